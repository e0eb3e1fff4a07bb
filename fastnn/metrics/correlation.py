"""How rows of predictions go with their rows of targets."""

from fastnn import _eager
from fastnn.metrics.base import Mean


def pearson_correlation(y_true, y_pred, axis=-1):
    """Return the `PearsonCorrelation` of each row."""
    return PearsonCorrelation(axis=axis).row_values(y_true, y_pred)


def concordance_correlation(y_true, y_pred, axis=-1):
    """Return the `ConcordanceCorrelation` of each row."""
    return ConcordanceCorrelation(axis=axis).row_values(y_true, y_pred)


class _Correlation(Mean):
    _direction = "up"
    _op = ""

    def __init__(self, name, dtype, axis):
        if axis != -1:
            raise ValueError(f"{type(self).__name__} works over the last axis. Received: axis={axis!r}")
        super().__init__(name, dtype)
        self.axis = axis

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Take in further targets, predictions and, if given, their weights."""
        super().update_state(self.row_values(y_true, y_pred), sample_weight)

    def row_values(self, y_true, y_pred):
        return _eager.row_values(self.lower, self.target_kind, y_true, y_pred)

    def lower(self, b, prediction, target, values):
        from fastnn.lowering.cost import elementwise_cycles

        b.emit(
            self._op, rows=prediction.rows_per_sample, work_per_row=elementwise_cycles(prediction.n, 12) + 40,
            p=prediction, targets=target, values=values, n=prediction.n, ldp=prediction.ld, ldt=target.ld,
        )  # fmt: skip

    def get_config(self):
        return {**super().get_config(), "axis": self.axis}


class PearsonCorrelation(_Correlation):
    """Mean over rows of ``covariance / (deviation of y_true * deviation of y_pred)``; NaN where one is constant.

    Parameters
    ----------
    name : str, default "pearson_correlation"
    dtype : str, optional
    axis : int, default -1
        Only the last is supported.
    """

    _op = "pearson"

    def __init__(self, name="pearson_correlation", dtype=None, axis=-1):
        super().__init__(name, dtype, axis)


class ConcordanceCorrelation(_Correlation):
    """Mean over rows of ``2 covariance / (both variances + (difference of the means)²)``.

    Lin, "A concordance correlation coefficient to evaluate reproducibility", Biometrics 1989.

    Parameters
    ----------
    name : str, default "concordance_correlation"
    dtype : str, optional
    axis : int, default -1
        Only the last is supported.
    """

    _op = "concordance"

    def __init__(self, name="concordance_correlation", dtype=None, axis=-1):
        super().__init__(name, dtype, axis)
