"""How far predictions are from numbers, directions, counts and signs (``csrc/ops/loss_points.c``, ``loss_rows.c``)."""

from fastnn.losses.base import Loss
from fastnn.losses.compiled import CompiledLoss


class MeanAbsolutePercentageError(CompiledLoss):
    """Mean over the last axis of ``100 |y_true - y_pred| / max(|y_true|, 1e-7)``.

    Parameters
    ----------
    reduction, name, dtype
        See `Loss`.
    """

    _op = "mean_absolute_percentage_error"
    _cycles = (20, 0)

    def __init__(self, reduction="sum_over_batch_size", name="mean_absolute_percentage_error", dtype=None):
        super().__init__(name, reduction, dtype)


class MeanSquaredLogarithmicError(CompiledLoss):
    """Mean over the last axis of ``(log(1 + y_true) - log(1 + y_pred)) ** 2``, both being at least 1e-7.

    Parameters
    ----------
    reduction, name, dtype
        See `Loss`.
    """

    _op = "mean_squared_logarithmic_error"
    _cycles = (44, 0)

    def __init__(self, reduction="sum_over_batch_size", name="mean_squared_logarithmic_error", dtype=None):
        super().__init__(name, reduction, dtype)


class CosineSimilarity(CompiledLoss):
    """``-cos`` of the angle between ``y_true`` and ``y_pred``: -1 for the same direction, 1 for the opposite one.

    Parameters
    ----------
    axis : int, default -1
        Only the last is supported.
    reduction, name, dtype
        See `Loss`.
    """

    _op = "cosine_similarity"
    _cycles = (8, 0)

    def __init__(self, axis=-1, reduction="sum_over_batch_size", name="cosine_similarity", dtype=None):
        if isinstance(axis, bool) or axis != -1:
            raise ValueError(f"CosineSimilarity works over the last axis. Received: axis={axis!r}")
        super().__init__(name, reduction, dtype)


class Huber(CompiledLoss):
    """Squared error, halved, of small errors, and absolute error of large ones (Huber, Ann. Math. Statist. 1964).

    Parameters
    ----------
    delta : float, default 1.0
        Where the one becomes the other.
    reduction, name, dtype
        See `Loss`.
    """

    _op = "huber"
    _cycles = (8, 0)

    def __init__(self, delta=1.0, reduction="sum_over_batch_size", name="huber_loss", dtype=None):
        super().__init__(name, reduction, dtype)
        self.delta = float(delta)

    def _further(self, b, n):
        return {"delta": self.delta}

    def get_config(self):
        return {**Loss.get_config(self), "delta": self.delta}


class LogCosh(CompiledLoss):
    """Mean over the last axis of ``log(cosh(y_pred - y_true))``.

    Parameters
    ----------
    reduction, name, dtype
        See `Loss`.
    """

    _op = "log_cosh"
    _cycles = (50, 0)

    def __init__(self, reduction="sum_over_batch_size", name="log_cosh", dtype=None):
        super().__init__(name, reduction, dtype)


class Poisson(CompiledLoss):
    """Mean over the last axis of ``y_pred - y_true * log(y_pred + 1e-7)``, for counts.

    Parameters
    ----------
    reduction, name, dtype
        See `Loss`.
    """

    _op = "poisson"
    _cycles = (26, 0)

    def __init__(self, reduction="sum_over_batch_size", name="poisson", dtype=None):
        super().__init__(name, reduction, dtype)


class KLDivergence(CompiledLoss):
    """``sum(y_true * log(y_true / y_pred))`` over the last axis, both kept within [1e-7, 1].

    Parameters
    ----------
    reduction, name, dtype
        See `Loss`.
    """

    _op = "kl_divergence"
    _cycles = (32, 0)

    def __init__(self, reduction="sum_over_batch_size", name="kl_divergence", dtype=None):
        super().__init__(name, reduction, dtype)


class Hinge(CompiledLoss):
    """Mean over the last axis of ``max(1 - y_true * y_pred, 0)``.

    Targets are -1 or 1; where all targets of a batch are 0 or 1, 0 means -1.

    Parameters
    ----------
    reduction, name, dtype
        See `Loss`.
    """

    _op = "hinge"
    _cycles = (12, 0)

    def __init__(self, reduction="sum_over_batch_size", name="hinge", dtype=None):
        super().__init__(name, reduction, dtype)


class SquaredHinge(CompiledLoss):
    """Mean over the last axis of ``max(1 - y_true * y_pred, 0) ** 2``; targets as of `Hinge`.

    Parameters
    ----------
    reduction, name, dtype
        See `Loss`.
    """

    _op = "squared_hinge"
    _cycles = (12, 0)

    def __init__(self, reduction="sum_over_batch_size", name="squared_hinge", dtype=None):
        super().__init__(name, reduction, dtype)


class CategoricalHinge(CompiledLoss):
    """``max(max((1 - y_true) * y_pred) - sum(y_true * y_pred) + 1, 0)``: by how much the best wrong class is too good.

    Parameters
    ----------
    reduction, name, dtype
        See `Loss`.
    """

    _op = "categorical_hinge"
    _cycles = (12, 0)

    def __init__(self, reduction="sum_over_batch_size", name="categorical_hinge", dtype=None):
        super().__init__(name, reduction, dtype)
