"""How often predictions are right."""

import numpy as np

from fastnn import _eager
from fastnn.metrics.base import Mean, MeanMetricWrapper, Metric


def accuracy(y_true, y_pred):
    """Return 1 where targets and predictions are equal, else 0."""
    y_true, y_pred = pair(y_true, y_pred)
    return np.equal(y_true, y_pred).astype(np.float32)


def binary_accuracy(y_true, y_pred, threshold=0.5):
    """Return 1 where ``y_pred > threshold`` is what the target (0 or 1) says, else 0."""
    y_true, y_pred = pair(y_true, y_pred)
    return np.equal(y_true, y_pred > np.float32(threshold)).astype(np.float32)


def categorical_accuracy(y_true, y_pred):
    """Return, for each row, 1 if target and prediction are largest in the same column, else 0."""
    y_true, y_pred = pair(y_true, y_pred)
    return np.equal(y_true.argmax(-1), y_pred.argmax(-1)).astype(np.float32)


def sparse_categorical_accuracy(y_true, y_pred):
    """Return, for each row, 1 if the prediction is largest in the label's column, else 0."""
    y_true, y_pred = np.asarray(y_true), np.asarray(y_pred, np.float32)
    if y_true.ndim == y_pred.ndim and y_true.shape[-1] == 1:
        y_true = y_true[..., 0]
    if y_true.shape != y_pred.shape[:-1]:
        raise ValueError(
            f"Expected labels of shape {y_pred.shape[:-1]} for y_pred of shape {y_pred.shape}. "
            f"Received y_true of shape {y_true.shape}."
        )
    return np.equal(y_true, y_pred.argmax(-1)).astype(np.float32)


def top_k_categorical_accuracy(y_true, y_pred, k=5):
    """Return, for each row, 1 if the prediction of the largest target's column is among the k largest, else 0."""
    return TopKCategoricalAccuracy(k).row_values(y_true, y_pred)


def sparse_top_k_categorical_accuracy(y_true, y_pred, k=5, from_sorted_ids=False):
    """Return, for each row, 1 if the prediction of the label's column is among the k largest, else 0.

    With `from_sorted_ids`, `y_pred` holds class numbers, the most probable first.
    """
    if not from_sorted_ids:
        return SparseTopKCategoricalAccuracy(k).row_values(y_true, y_pred)
    y_true, y_pred = np.asarray(y_true), np.asarray(y_pred)
    return (y_true.reshape(*y_pred.shape[:-1], 1) == y_pred[..., :k]).any(-1).astype(np.float32)


class CompiledAccuracy(MeanMetricWrapper):
    """An accuracy that an operation of the engine computes, too."""

    _direction = "up"
    _op = ""

    def lower(self, b, prediction, target, values):
        from fastnn.lowering.cost import elementwise_cycles

        if self.target_kind == "labels":
            bindings = {"labels": target}
        else:
            bindings = {"targets": target, "ldt": target.ld}
        b.emit(
            self._op,
            rows=prediction.rows_per_sample,
            work_per_row=elementwise_cycles(prediction.n, 4),
            p=prediction,
            values=values,
            n=prediction.n,
            ldp=prediction.ld,
            **bindings,
            **self._fn_kwargs,
        )

    def get_config(self):
        return {**Metric.get_config(self), **self._fn_kwargs}


class Accuracy(CompiledAccuracy):
    """How often predictions equal targets. For class numbers on both sides.

    Parameters
    ----------
    name : str, default "accuracy"
    dtype : str, optional
    """

    _op = "equal_values"

    def __init__(self, name="accuracy", dtype=None):
        super().__init__(accuracy, name, dtype)


class BinaryAccuracy(CompiledAccuracy):
    """How often predictions are on the side of a threshold that targets (0 or 1) say.

    Parameters
    ----------
    name : str, default "binary_accuracy"
    dtype : str, optional
    threshold : float, default 0.5
        Greater predictions count as 1.
    """

    _op = "binary_accuracy"

    def __init__(self, name="binary_accuracy", dtype=None, threshold=0.5):
        super().__init__(binary_accuracy, name, dtype, threshold=threshold)
        self.threshold = threshold


class CategoricalAccuracy(CompiledAccuracy):
    """How often the largest prediction is in the column of the largest target.

    Parameters
    ----------
    name : str, default "categorical_accuracy"
    dtype : str, optional
    """

    _op = "categorical_accuracy"

    def __init__(self, name="categorical_accuracy", dtype=None):
        super().__init__(categorical_accuracy, name, dtype)


class SparseCategoricalAccuracy(CompiledAccuracy):
    """How often the largest prediction is in the column that the label names.

    Parameters
    ----------
    name : str, default "sparse_categorical_accuracy"
    dtype : str, optional
    """

    _op = "sparse_accuracy"
    target_kind = "labels"

    def __init__(self, name="sparse_categorical_accuracy", dtype=None):
        super().__init__(sparse_categorical_accuracy, name, dtype)


class _TopK(CompiledAccuracy):
    """An accuracy of the k largest predictions."""

    def __init__(self, fn, k, name, dtype):
        if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or k < 1:
            raise ValueError(f"`k` must be a positive integer. Received: k={k!r}")
        super().__init__(fn, name, dtype, k=int(k))
        self.k = int(k)

    def row_values(self, y_true, y_pred):
        return _eager.row_values(self.lower, self.target_kind, y_true, y_pred)


class TopKCategoricalAccuracy(_TopK):
    """How often the prediction of the largest target's column is among the k largest of its row.

    Parameters
    ----------
    k : int, default 5
    name : str, default "top_k_categorical_accuracy"
    dtype : str, optional
    """

    _op = "categorical_top_k"

    def __init__(self, k=5, name="top_k_categorical_accuracy", dtype=None):
        super().__init__(top_k_categorical_accuracy, k, name, dtype)


class SparseTopKCategoricalAccuracy(_TopK):
    """How often the prediction of the label's column is among the k largest of its row.

    Parameters
    ----------
    k : int, default 5
    name : str, default "sparse_top_k_categorical_accuracy"
    dtype : str, optional
    from_sorted_ids : bool, default False
        Predictions are class numbers, the most probable first. On arrays only.
    """

    _op = "sparse_top_k"
    target_kind = "labels"

    def __init__(self, k=5, name="sparse_top_k_categorical_accuracy", dtype=None, from_sorted_ids=False):
        super().__init__(sparse_top_k_categorical_accuracy, k, name, dtype)
        self.from_sorted_ids = from_sorted_ids

    def update_state(self, y_true, y_pred, sample_weight=None):
        values = self._fn(y_true, y_pred, self.k, self.from_sorted_ids)
        Mean.update_state(self, values, sample_weight)

    def lower(self, b, prediction, target, values):
        if self.from_sorted_ids:
            raise ValueError(f"Metric {self.name!r} of a model takes scores, not sorted class numbers.")
        super().lower(b, prediction, target, values)

    def get_config(self):
        config = super().get_config()
        return {**config, "from_sorted_ids": True} if self.from_sorted_ids else config


def pair(y_true, y_pred):
    """Make two float32 arrays of the same shape."""
    a, b = np.asarray(y_true, np.float32), np.asarray(y_pred, np.float32)
    a, b = _eager.same_rank(a, b)
    if a.shape != b.shape:
        raise ValueError(f"Expected y_true and y_pred of the same shape. Received {a.shape} and {b.shape}.")
    return a, b
