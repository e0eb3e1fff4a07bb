"""What can be said from counts of true and false positives and negatives at thresholds.

A prediction is positive where it is greater than a threshold; a target is positive unless it is 0. Batches are added to
a histogram: for positive and for negative targets, how many predictions (or what weight of them) exceed 0, 1, 2, ... of
the thresholds. Its cumulated sums are the four counts at every threshold.
"""

import numpy as np

from fastnn.metrics.base import StateMetric

_OUT_OF_TOP_K = -1e10  # what predictions count as that are not among the k largest


class ThresholdMetric(StateMetric):
    """Base class of metrics made of counts at thresholds.

    Parameters
    ----------
    thresholds : list of float
        Ascending.
    even : bool
        Are they spread evenly over [0, 1]? Then predictions are clipped to that, and sorted in by one multiplication.
    name, dtype
        See `Metric`.
    top_k : int, optional
        Only the k largest predictions of a row can be positive.
    class_id : int, optional
        The only column that counts.
    """

    _per_column = False
    _least = 0  # thresholds that every prediction exceeds
    _sigmoid = False
    _column_weights = None

    def __init__(self, thresholds, even, name, dtype, top_k=None, class_id=None):
        super().__init__(dtype, name)
        self._levels = np.asarray(thresholds, np.float64)
        self._even = even
        self.top_k = top_k
        self.class_id = class_id

    def _update(self, y_true, y_pred, weights):
        if weights is None or weights.ndim == 1:
            super()._update(y_true, y_pred, weights)
            return
        # Weights of every value: column by column, since those of an operation are of rows.
        n = y_pred.shape[1]
        state = self._state_for(n)
        from fastnn import _eager

        first, end = self._columns(n)
        for j in range(first, end):

            def emit(b, prediction, target, row_weights, part, j=j):
                self._emit(b, prediction, target, row_weights, part, j, j + 1)

            part = state.reshape(n, -1)[j] if self._per_column else state
            _eager.accumulate(emit, y_true, y_pred, weights[:, j], part)

    def _columns(self, n):
        if self.class_id is None:
            return 0, n
        if not -n <= self.class_id < n:
            raise ValueError(f"Metric {self.name!r}: there is no class_id={self.class_id} among {n} columns.")
        return self.class_id % n, self.class_id % n + 1

    def state_size(self, n):
        return (n if self._per_column else 1) * 2 * (len(self._levels) + 1)

    def accumulate(self, b, prediction, target, weights, state):
        self._emit(b, prediction, target, weights, state, *self._columns(prediction.n))

    def _emit(self, b, prediction, target, weights, state, first, end):
        from fastnn.lowering.cost import elementwise_cycles

        rows, n = prediction.rows_per_sample, prediction.n
        if self.top_k is not None:
            if not 1 <= self.top_k <= n:
                raise ValueError(f"Metric {self.name!r}: top_k={self.top_k} of predictions of {n} columns.")
            kept = b.matrix(rows, n)
            work = elementwise_cycles(n, 4 * self.top_k)
            b.emit(
                "top_k_filter", rows=rows, work_per_row=work, p=prediction, y=kept, n=n, ldp=prediction.ld, ldy=kept.ld,
                k=self.top_k,
            )  # fmt: skip
            prediction = kept
        columns = self._column_weights
        if columns is not None and len(columns) != n:
            raise ValueError(f"Metric {self.name!r} has {len(columns)} label weights for {n} columns.")
        b.emit(
            "threshold_histogram",
            rows=rows,
            work_per_row=4.0 * (end - first),
            p=prediction,
            targets=target,
            weights=weights,
            thresholds=None if self._even else b.constant(self._levels),
            columns=None if columns is None else b.constant(columns),
            state=state,
            ldp=prediction.ld,
            ldt=target.ld,
            first=first,
            end=end,
            m=len(self._levels),
            least=self._least,
            per_column=self._per_column,
            sigmoid=self._sigmoid,
        )

    def _counts(self, state):
        """True positives, false positives, true negatives and false negatives: each (thresholds,), or
        (columns, thresholds)."""
        histogram = np.asarray(state, np.float64).reshape(-1, 2, len(self._levels) + 1)
        exceeding = histogram[..., ::-1].cumsum(-1)[..., ::-1]
        positives = exceeding[:, :, 1:]
        negatives = exceeding[:, :, :1] - positives
        counts = positives[:, 1], positives[:, 0], negatives[:, 0], negatives[:, 1]
        return counts if self._per_column else tuple(each[0] for each in counts)


def ratio(part, whole):
    """``part / whole``, and 0 where `whole` is 0."""
    return np.divide(part, whole, out=np.zeros(np.shape(whole)), where=np.asarray(whole) != 0)


def are_even(thresholds):
    """Are these the thresholds 0, 1 / (m - 1), ..., 1?"""
    m = len(thresholds)
    return m >= 3 and np.allclose(thresholds, np.arange(m, dtype=np.float32) / (m - 1), atol=1e-7)


class _AtThresholds(ThresholdMetric):
    """A metric at one threshold, or an array of it at several."""

    def __init__(self, thresholds, name, dtype, top_k=None, class_id=None):
        self.init_thresholds = thresholds
        levels = thresholds
        if levels is None:
            levels = 0.5 if top_k is None else _OUT_OF_TOP_K
        levels = list(levels) if isinstance(levels, (list, tuple, np.ndarray)) else [levels]
        if thresholds is not None and any(level is None or not 0 <= level <= 1 for level in levels):
            raise ValueError(f"Threshold values must be in [0, 1]. Received: {levels}")
        self.thresholds = levels
        self._order = np.argsort(levels, kind="stable")  # the operation wants them to ascend
        super().__init__(np.asarray(levels)[self._order], are_even(levels), name, dtype, top_k, class_id)

    def finish(self, state):
        values = np.empty(len(self._levels))
        values[self._order] = self._value(*self._counts(state))
        return float(values[0]) if len(values) == 1 else values

    def get_config(self):
        return {**super().get_config(), "thresholds": self.init_thresholds}


class _Count(_AtThresholds):
    def __init__(self, thresholds=None, name=None, dtype=None):
        super().__init__(thresholds, name, dtype)


class TruePositives(_Count):
    """How many (or what weight of) positive targets are predicted to be positive.

    Parameters
    ----------
    thresholds : float or list of float, default 0.5
        In [0, 1]; a list gives an array.
    name, dtype
        See `Metric`.
    """

    @staticmethod
    def _value(tp, fp, tn, fn):
        return tp


class FalsePositives(_Count):
    """How many (or what weight of) negative targets are predicted to be positive. Parameters: see `TruePositives`."""

    @staticmethod
    def _value(tp, fp, tn, fn):
        return fp


class TrueNegatives(_Count):
    """How many (or what weight of) negative targets are predicted to be negative. Parameters: see `TruePositives`."""

    @staticmethod
    def _value(tp, fp, tn, fn):
        return tn


class FalseNegatives(_Count):
    """How many (or what weight of) positive targets are predicted to be negative. Parameters: see `TruePositives`."""

    @staticmethod
    def _value(tp, fp, tn, fn):
        return fn


class _Share(_AtThresholds):
    _direction = "up"

    def __init__(self, thresholds=None, top_k=None, class_id=None, name=None, dtype=None):
        super().__init__(thresholds, name, dtype, top_k, class_id)

    def get_config(self):
        return {**super().get_config(), "top_k": self.top_k, "class_id": self.class_id}


class Precision(_Share):
    """Share of the positive predictions that are right; 0 if there are none.

    Parameters
    ----------
    thresholds : float or list of float, optional
        In [0, 1]; a list gives an array. Default 0.5; with `top_k` none.
    top_k : int, optional
        Only the k largest predictions of a row can be positive.
    class_id : int, optional
        The only column that counts.
    name, dtype
        See `Metric`.
    """

    @staticmethod
    def _value(tp, fp, tn, fn):
        return ratio(tp, tp + fp)


class Recall(_Share):
    """Share of the positive targets that are predicted to be; 0 if there are none. Parameters: see `Precision`."""

    @staticmethod
    def _value(tp, fp, tn, fn):
        return ratio(tp, tp + fn)


class _BestUnderConstraint(ThresholdMetric):
    """The largest value of something at those thresholds where something else is large enough; 0 if there are none."""

    _direction = "up"
    _argument = ""

    def __init__(self, value, num_thresholds, class_id, name, dtype):
        if not 0 <= value <= 1:
            raise ValueError(
                f"Argument `{self._argument}` must be in the range [0, 1]. Received: {self._argument}={value}"
            )
        if num_thresholds <= 0:
            raise ValueError(
                f"Argument `num_thresholds` must be an integer > 0. Received: num_thresholds={num_thresholds}"
            )
        self.value = value
        self.num_thresholds = num_thresholds
        self.thresholds = [0.5] if num_thresholds == 1 else np.linspace(0.0, 1.0, num_thresholds).tolist()
        super().__init__(self.thresholds, num_thresholds > 1, name, dtype, class_id=class_id)

    def finish(self, state):
        constrained, wanted = self._values(*self._counts(state))
        return float(np.where(constrained >= self.value, wanted, 0.0).max())

    def get_config(self):
        own = {"num_thresholds": self.num_thresholds, self._argument: self.value, "class_id": self.class_id}
        return {**super().get_config(), **own}


class SensitivityAtSpecificity(_BestUnderConstraint):
    """Best sensitivity, ``tp / (tp + fn)``, where specificity, ``tn / (tn + fp)``, is at least as given.

    Parameters
    ----------
    specificity : float
        In [0, 1].
    num_thresholds : int, default 200
        So many thresholds, spread evenly over [0, 1], are tried.
    class_id : int, optional
        The only column that counts.
    name, dtype
        See `Metric`.
    """

    _argument = "specificity"

    def __init__(self, specificity, num_thresholds=200, class_id=None, name=None, dtype=None):
        super().__init__(specificity, num_thresholds, class_id, name, dtype)
        self.specificity = specificity

    @staticmethod
    def _values(tp, fp, tn, fn):
        return ratio(tn, tn + fp), ratio(tp, tp + fn)


class SpecificityAtSensitivity(_BestUnderConstraint):
    """Best specificity, ``tn / (tn + fp)``, where sensitivity, ``tp / (tp + fn)``, is at least as given.

    Parameters
    ----------
    sensitivity : float
        In [0, 1].
    num_thresholds, class_id, name, dtype
        See `SensitivityAtSpecificity`.
    """

    _argument = "sensitivity"

    def __init__(self, sensitivity, num_thresholds=200, class_id=None, name=None, dtype=None):
        super().__init__(sensitivity, num_thresholds, class_id, name, dtype)
        self.sensitivity = sensitivity

    @staticmethod
    def _values(tp, fp, tn, fn):
        return ratio(tp, tp + fn), ratio(tn, tn + fp)


class PrecisionAtRecall(_BestUnderConstraint):
    """Best precision where recall is at least as given.

    Parameters
    ----------
    recall : float
        In [0, 1].
    num_thresholds, class_id, name, dtype
        See `SensitivityAtSpecificity`.
    """

    _argument = "recall"

    def __init__(self, recall, num_thresholds=200, class_id=None, name=None, dtype=None):
        super().__init__(recall, num_thresholds, class_id, name, dtype)
        self.recall = recall

    @staticmethod
    def _values(tp, fp, tn, fn):
        return ratio(tp, tp + fn), ratio(tp, tp + fp)


class RecallAtPrecision(_BestUnderConstraint):
    """Best recall where precision is at least as given.

    Parameters
    ----------
    precision : float
        In [0, 1].
    num_thresholds, class_id, name, dtype
        See `SensitivityAtSpecificity`.
    """

    _argument = "precision"

    def __init__(self, precision, num_thresholds=200, class_id=None, name=None, dtype=None):
        super().__init__(precision, num_thresholds, class_id, name, dtype)
        self.precision = precision

    @staticmethod
    def _values(tp, fp, tn, fn):
        return ratio(tp, tp + fp), ratio(tp, tp + fn)
