"""How little predicted and true sets overlap (``csrc/ops/loss_rows.c``)."""

import numpy as np

from fastnn.losses.base import Loss
from fastnn.losses.compiled import CompiledLoss


class _Overlap(CompiledLoss):
    _op = "tversky"
    _cycles = (8, 0)
    _epsilon = 1e-7

    def __init__(self, alpha, beta, axis, reduction, name, dtype):
        if axis not in (None, -1):
            raise ValueError(
                f"{type(self).__name__} works over everything (axis=None) or over the last axis (-1). "
                f"Received: axis={axis!r}"
            )
        super().__init__(name, reduction, dtype)
        self.alpha = alpha
        self.beta = beta
        self.axis = axis
        self.of_batch = axis is None

    def call(self, y_true, y_pred):
        values = super().call(y_true, y_pred)
        return np.asarray(values.reshape(-1)[0]) if self.of_batch and values.size else values

    def _further(self, b, n):
        return {"whole": self.of_batch, "alpha": self.alpha, "beta": self.beta, "epsilon": self._epsilon}


class Dice(_Overlap):
    """``1 - 2 sum(y_true * y_pred) / (sum(y_true) + sum(y_pred))`` (Milletari et al., "V-Net", 3DV 2016).

    Parameters
    ----------
    reduction : str, default "sum_over_batch_size"
    name : str, default "dice"
    axis : {None, -1}, default None
        None: one loss of the whole batch; -1: one of each row.
    dtype
        See `Loss`.
    """

    _epsilon = 0.5e-7  # numerator and denominator are half of those that are written above

    def __init__(self, reduction="sum_over_batch_size", name="dice", axis=None, dtype=None):
        super().__init__(0.5, 0.5, axis, reduction, name, dtype)

    def get_config(self):
        return {**Loss.get_config(self), "axis": self.axis}


class Tversky(_Overlap):
    """``1 - tp / (tp + alpha fp + beta fn)`` (Salehi et al., "Tversky loss function for image segmentation", 2017).

    As in Keras, `alpha` weighs what is true and not predicted, `beta` what is predicted and not true.

    Parameters
    ----------
    alpha, beta : float, default 0.5
    reduction : str, default "sum_over_batch_size"
    name : str, default "tversky"
    axis : {None, -1}, default None
        None: one loss of the whole batch; -1: one of each row.
    dtype
        See `Loss`.
    """

    def __init__(self, alpha=0.5, beta=0.5, reduction="sum_over_batch_size", name="tversky", axis=None, dtype=None):
        super().__init__(alpha, beta, axis, reduction, name, dtype)

    def get_config(self):
        return {**Loss.get_config(self), "alpha": self.alpha, "beta": self.beta, "axis": self.axis}
