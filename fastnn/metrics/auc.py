"""Areas under curves."""

import numpy as np

from fastnn.metrics.confusion import ThresholdMetric, are_even, ratio

_CURVES = ("ROC", "PR", "PRGAIN")
_METHODS = ("interpolation", "majoring", "minoring")


class AUC(ThresholdMetric):
    """Area under a curve, approximated by a sum over thresholds.

    Parameters
    ----------
    num_thresholds : int, default 200
        At least 2: so many thresholds, spread evenly over [0, 1].
    curve : {"ROC", "PR", "PRGAIN"}, default "ROC"
        True positive rate over false positive rate; precision over recall; precision gain over recall gain (Flach and
        Kull, "Precision-recall-gain curves", NeurIPS 2015).
    summation_method : {"interpolation", "majoring", "minoring"}, default "interpolation"
        The height of the curve between two thresholds: the mean (for "PR" the interpolation of Davis and Goadrich, "The
        relationship between precision-recall and ROC curves", ICML 2006), the larger or the smaller one.
    name, dtype
        See `Metric`.
    thresholds : list of float, optional
        In [0, 1], instead of `num_thresholds`; 0 and 1 are added.
    multi_label : bool, default False
        Mean of the columns' areas, instead of one area of all predictions.
    num_labels : int, optional
        Columns, only with `multi_label`.
    label_weights : list of float, optional
        Of the columns.
    from_logits : bool, default False
        Predictions are what a sigmoid would be applied to.
    """

    _direction = "up"
    _least = 1

    def __init__(
        self,
        num_thresholds=200,
        curve="ROC",
        summation_method="interpolation",
        name=None,
        dtype=None,
        thresholds=None,
        multi_label=False,
        num_labels=None,
        label_weights=None,
        from_logits=False,
    ):
        if curve not in (*_CURVES, "roc", "pr", "prgain"):
            raise ValueError(f'Invalid AUC curve value: "{curve}". Expected values are ["PR", "ROC", "PRGAIN"]')
        if summation_method not in (*_METHODS, *(method.title() for method in _METHODS)):
            raise ValueError(
                f'Invalid AUC summation method value: "{summation_method}". Expected values are {list(_METHODS)}'
            )
        if num_labels and not multi_label:
            raise ValueError("`num_labels` is needed only when `multi_label` is True.")
        self._given_thresholds = thresholds is not None
        if thresholds is None:
            if num_thresholds <= 1:
                raise ValueError(
                    f"Argument `num_thresholds` must be an integer > 1. Received: num_thresholds={num_thresholds}"
                )
            inner = np.linspace(0.0, 1.0, num_thresholds)[1:-1].tolist()
            even = True
        else:
            inner = sorted(thresholds)
            even = are_even([0.0, *inner, 1.0])
        self.num_thresholds = len(inner) + 2
        # A little wider than [0, 1], so that rounding leaves no prediction outside.
        super().__init__([-1e-7, *inner, 1.0 + 1e-7], even, name, dtype)
        self.curve = curve.upper()
        self.summation_method = summation_method.lower()
        self.multi_label = multi_label
        self.num_labels = num_labels
        self.label_weights = None if label_weights is None else np.asarray(label_weights, np.float32)
        self._from_logits = from_logits
        self._per_column = bool(multi_label)
        self._sigmoid = bool(from_logits)
        if not multi_label:
            self._column_weights = self.label_weights

    @property
    def thresholds(self):
        """All thresholds, with the two ends."""
        return self._levels.tolist()

    def state_size(self, n):
        if self.num_labels and n != self.num_labels:
            raise ValueError(
                f"Metric {self.name!r} was made for num_labels={self.num_labels}, but predictions have {n} columns."
            )
        return super().state_size(n)

    def result(self):
        if self._state is None:
            return np.float32(0.0)
        return super().result()

    def finish(self, state):
        tp, fp, tn, fn = self._counts(state)
        if self.curve == "PR" and self.summation_method == "interpolation":
            areas = _interpolated_precision_recall(tp, fp, fn)
        else:
            x, y = self._points(tp, fp, tn, fn)
            left, right = y[..., :-1], y[..., 1:]
            combine = {"interpolation": lambda a, b: (a + b) / 2, "majoring": np.maximum, "minoring": np.minimum}
            areas = ((x[..., :-1] - x[..., 1:]) * combine[self.summation_method](left, right)).sum(-1)
        if not self.multi_label:
            return float(areas)
        if self.label_weights is None:
            return float(areas.mean())
        return float(ratio((areas * self.label_weights).sum(), self.label_weights.sum()))

    def _points(self, tp, fp, tn, fn):
        if self.curve == "ROC":
            return ratio(fp, fp + tn), ratio(tp, tp + fn)
        if self.curve == "PR":
            return ratio(tp, tp + fn), ratio(tp, tp + fp)
        odds = ratio(tp + fn, tn + fp)
        recall_gain = np.where(tp == 0, 0.0, 1 - odds * ratio(fn, tp))
        precision_gain = np.where(tp == 0, 1.0, 1 - odds * ratio(fp, tp))
        return np.maximum(recall_gain, 0.0), precision_gain

    def get_config(self):
        config = {
            **super().get_config(),
            "num_thresholds": self.num_thresholds,
            "curve": self.curve,
            "summation_method": self.summation_method,
            "multi_label": self.multi_label,
            "num_labels": self.num_labels,
            "label_weights": None if self.label_weights is None else self.label_weights.tolist(),
            "from_logits": self._from_logits,
        }
        if self._given_thresholds:
            config["thresholds"] = self.thresholds[1:-1]
        return config


def _interpolated_precision_recall(tp, fp, fn):
    """Between two thresholds true positives are taken to be linear in positives, precision is their quotient, and the
    integral of that over recall has a closed form (Davis and Goadrich 2006)."""
    positive = tp + fp
    gained = tp[..., :-1] - tp[..., 1:]
    slope = ratio(gained, np.maximum(positive[..., :-1] - positive[..., 1:], 0))
    intercept = tp[..., 1:] - slope * positive[..., 1:]
    both = (positive[..., :-1] > 0) & (positive[..., 1:] > 0)
    quotient = np.where(both, ratio(positive[..., :-1], positive[..., 1:]), 1.0)
    return ratio(slope * (gained + intercept * np.log(quotient)), tp[..., 1:] + fn[..., 1:]).sum(-1)
