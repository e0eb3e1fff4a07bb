"""Scores of columns: F-scores of classes, R² of regressions."""

import warnings

import numpy as np

from fastnn import _eager
from fastnn.metrics.base import StateMetric

_EPSILON = 1e-7  # as in Keras: keeps quotients finite


class FBetaScore(StateMetric):
    """Weighted harmonic mean of precision and recall: ``(1 + beta²) p r / (beta² p + r)``.

    Parameters
    ----------
    average : {None, "micro", "macro", "weighted"}, default None
        None: an array of each class's score; "micro": one score of all counts; "macro": mean of the classes';
        "weighted": their mean, weighted by how often each class is true.
    beta : float, default 1.0
        How much more recall counts than precision.
    threshold : float, optional
        In (0, 1]: greater predictions are positive. Default: the largest prediction of each row is.
    name : str, default "fbeta_score"
    dtype : str, optional

    Raises
    ------
    ValueError
        For arguments out of range, or predictions that are no matrix.
    """

    _direction = "up"

    def __init__(self, average=None, beta=1.0, threshold=None, name="fbeta_score", dtype=None):
        super().__init__(dtype, name)
        if average not in (None, "micro", "macro", "weighted"):
            raise ValueError(
                "Invalid `average` argument value. Expected one of: {None, 'micro', 'macro', 'weighted'}. "
                f"Received: average={average}"
            )
        if not isinstance(beta, float) or beta <= 0.0:
            raise ValueError(
                "Invalid `beta` argument value. It should be a Python float > 0. "
                f"Received: beta={beta} of type '{type(beta)}'"
            )
        if threshold is not None and (not isinstance(threshold, float) or not 0.0 < threshold <= 1.0):
            raise ValueError(
                "Invalid `threshold` argument value. It should be a Python float with 0 < threshold <= 1. "
                f"Received: threshold={threshold} of type '{type(threshold)}'"
            )
        self.average = average
        self.beta = beta
        self.threshold = threshold

    def update_state(self, y_true, y_pred, sample_weight=None):
        _require_matrices(self, y_true, y_pred)
        super().update_state(y_true, y_pred, sample_weight)

    def state_size(self, n):
        return 4 * n

    def accumulate(self, b, prediction, target, weights, state):
        b.emit(
            "class_counts", rows=prediction.rows_per_sample, work_per_row=3.0 * prediction.n, p=prediction,
            targets=target, weights=weights, state=state, n=prediction.n, ldp=prediction.ld, ldt=target.ld,
            by_maximum=self.threshold is None, threshold=self.threshold or 0.0,
        )  # fmt: skip

    def finish(self, state):
        counts = np.asarray(state, np.float64).reshape(4, -1)
        if self.average == "micro":
            counts = counts.sum(axis=1, keepdims=True)
        tp, fp, fn, weight = counts
        precision, recall = tp / (tp + fp + _EPSILON), tp / (tp + fn + _EPSILON)
        factor = self.beta**2
        score = (1 + factor) * precision * recall / (factor * precision + recall + _EPSILON)
        if self.average is None:
            return score
        if self.average == "weighted":
            return float((score * weight / (weight.sum() + _EPSILON)).sum())
        return float(score.mean())

    def get_config(self):
        own = {"average": self.average, "beta": self.beta, "threshold": self.threshold}
        return {**super().get_config(), **own}


class F1Score(FBetaScore):
    """Harmonic mean of precision and recall: ``2 p r / (p + r)``.

    Parameters
    ----------
    average, threshold, dtype
        See `FBetaScore`.
    name : str, default "f1_score"
    """

    def __init__(self, average=None, threshold=None, name="f1_score", dtype=None):
        super().__init__(average, 1.0, threshold, name, dtype)

    def get_config(self):
        config = super().get_config()
        del config["beta"]
        return config


class R2Score(StateMetric):
    """Coefficient of determination: ``1 - sum((y_true - y_pred)²) / sum((y_true - mean)²)``.

    Parameters
    ----------
    class_aggregation : {"uniform_average", "variance_weighted_average", None}, default "uniform_average"
        The columns' mean, their mean weighted by the variance of their targets, or an array of them.
    num_regressors : int, default 0
        Number of inputs of the model, if the score is to be adjusted for it.
    name : str, default "r2_score"
    dtype : str, optional
    """

    _direction = "up"

    def __init__(self, class_aggregation="uniform_average", num_regressors=0, name="r2_score", dtype=None):
        super().__init__(dtype, name)
        valid = (None, "uniform_average", "variance_weighted_average")
        if class_aggregation not in valid:
            raise ValueError(
                f"Invalid value for argument `class_aggregation`. Expected one of {valid}. "
                f"Received: class_aggregation={class_aggregation}"
            )
        if num_regressors < 0:
            raise ValueError(
                "Invalid value for argument `num_regressors`. Expected a value >= 0. "
                f"Received: num_regressors={num_regressors}"
            )
        self.class_aggregation = class_aggregation
        self.num_regressors = num_regressors

    def update_state(self, y_true, y_pred, sample_weight=None):
        _require_matrices(self, y_true, y_pred)
        super().update_state(y_true, y_pred, sample_weight)

    def _update(self, y_true, y_pred, weights):
        if weights is None or weights.ndim == 1:
            super()._update(y_true, y_pred, weights)
            return
        n = y_pred.shape[1]
        state = self._state_for(n)
        for j in range(n):  # weights of every value: each column by itself
            part = np.zeros(5)
            _eager.accumulate(self.accumulate, y_true[:, j : j + 1], y_pred[:, j : j + 1], weights[:, j], part)
            state[j : 4 * n : n] += part[:4]
            state[4 * n] += part[4]

    def state_size(self, n):
        return 4 * n + 1

    def accumulate(self, b, prediction, target, weights, state):
        b.emit(
            "regression_moments", rows=prediction.rows_per_sample, work_per_row=3.0 * prediction.n, p=prediction,
            targets=target, weights=weights, state=state, n=prediction.n, ldp=prediction.ld, ldt=target.ld,
        )  # fmt: skip

    def finish(self, state):
        *_, values = state
        total, squares, residual, count = np.asarray(state[:-1], np.float64).reshape(4, -1)
        with np.errstate(divide="ignore", invalid="ignore"):
            spread = squares - total * (total / count)
            scores = 1 - residual / spread
            scores = np.where(np.isinf(scores), 0.0, scores)
            score = scores
            if self.class_aggregation == "uniform_average":
                score = scores.mean()
            elif self.class_aggregation == "variance_weighted_average":
                score = (spread * scores).sum() / spread.sum()
        free = values - self.num_regressors - 1
        if self.num_regressors and free < 0:
            warnings.warn(
                "More independent predictors than datapoints in adjusted R2 score. Falling back to standard R2 score.",
                stacklevel=2,
            )
        elif self.num_regressors and free == 0:
            warnings.warn("Division by zero in Adjusted R2 score. Falling back to standard R2 score.", stacklevel=2)
        elif self.num_regressors:
            score = 1 - (1 - score) * (values - 1) / free
        return score if np.ndim(score) else float(score)

    def get_config(self):
        own = {"class_aggregation": self.class_aggregation, "num_regressors": self.num_regressors}
        return {**super().get_config(), **own}


def _require_matrices(metric, y_true, y_pred):
    if np.ndim(y_true) != 2 or np.ndim(y_pred) != 2:
        raise ValueError(
            f"{type(metric).__name__} expects 2D inputs with shape (batch_size, output_dim). Received input shapes: "
            f"y_pred.shape={np.shape(y_pred)} and y_true.shape={np.shape(y_true)}."
        )
