"""Losses that operations of the engine compute (``csrc/ops/loss.c``), and what they share."""

import numpy as np

from fastnn import _eager
from fastnn.losses.base import Loss


class CompiledLoss(Loss):
    """A loss that an operation of the engine computes.

    Attributes
    ----------
    _op, _logits_op : str
        Operation on the prediction, and on logits ("": the same, which is told that they are).
    _cycles : (int, int)
        What 8 values cost in each of the two.
    of_batch : bool
        Is it one loss of the whole batch?
    """

    _op = _logits_op = ""
    _cycles = (3, 3)

    def call(self, y_true, y_pred):
        def lower(b, prediction, target, values):
            self._emit(b, prediction, target, None, values, None, None, 1.0)

        return _eager.row_values(lower, self.target_kind, y_true, y_pred)

    def lower(self, b, prediction, target, weights, row_loss, gradient, logits=None, scale=1.0):
        self._require_reduction()
        target = self._counted(b, target)
        self._emit(b, prediction, target, weights, row_loss, gradient, logits, scale)
        self._rescale(b, prediction, weights, row_loss, gradient, None if self.ignore_class is None else target)

    def lower_rows(self, b, prediction, target, row_loss):
        self._emit(b, prediction, self._counted(b, target), None, row_loss, None, None, 1.0)

    def _counted(self, b, target):
        """Targets in which the class to be ignored is none."""
        if self.ignore_class is None:
            return target
        counted = b.per_row(target.rows_per_sample)
        b.emit(
            "ignore_labels", rows=target.rows_per_sample, work_per_row=1, labels=target, out=counted,
            ignored=self.ignore_class,
        )  # fmt: skip
        return counted

    def _emit(self, b, prediction, target, weights, row_loss, gradient, logits, scale):
        from fastnn.lowering.cost import elementwise_cycles

        if self.from_logits:
            logits = prediction
        if logits is None or not self._logits_op:
            op, cycles = self._op, self._cycles[0]
            bindings = {"p": prediction, "ldp": prediction.ld}
            bindings |= {"dp": gradient, "lddp": _ld(gradient)}
        else:
            op, cycles = self._logits_op, self._cycles[1]
            y = None if logits is prediction else prediction
            bindings = {"z": logits, "ldz": logits.ld, "y": y, "ldy": _ld(y)}
            bindings |= {"dz": gradient, "lddz": _ld(gradient)}
        if self.target_kind == "labels":
            bindings["labels"] = target
        else:
            bindings |= {"targets": target, "ldt": target.ld}
        b.emit(
            op,
            rows=prediction.rows_per_sample,
            work_per_row=elementwise_cycles(prediction.n, cycles),
            weights=weights,
            row_loss=row_loss,
            n=prediction.n,
            scale=scale,
            **bindings,
            **self._further(b, prediction.n),
        )

    def _further(self, b, n):
        """Further operands, dimensions and scalars of the operation for n columns."""
        return {}


class MeanSquaredError(CompiledLoss):
    """Mean over the last axis of ``(y_true - y_pred) ** 2``.

    Parameters
    ----------
    reduction, name, dtype
        See `Loss`.
    """

    _op = "mean_squared_error"

    def __init__(self, reduction="sum_over_batch_size", name="mean_squared_error", dtype=None):
        super().__init__(name, reduction, dtype)


class MeanAbsoluteError(CompiledLoss):
    """Mean over the last axis of ``|y_true - y_pred|``.

    Parameters
    ----------
    reduction, name, dtype
        See `Loss`.
    """

    _op = "mean_absolute_error"

    def __init__(self, reduction="sum_over_batch_size", name="mean_absolute_error", dtype=None):
        super().__init__(name, reduction, dtype)


class Crossentropy(CompiledLoss):
    """A crossentropy of probabilities or of logits."""

    def __init__(self, from_logits, label_smoothing, axis, reduction, name, dtype):
        if isinstance(axis, bool) or axis != -1:
            raise ValueError(f"{type(self).__name__} works over the last axis. Received: axis={axis!r}")
        if not 0 <= label_smoothing <= 1:
            raise ValueError(f"`label_smoothing` must be in [0, 1]. Received: label_smoothing={label_smoothing}")
        super().__init__(name, reduction, dtype)
        self.from_logits = bool(from_logits)
        self.label_smoothing = label_smoothing
        self.axis = axis

    def _further(self, b, n):
        return {"label_smoothing": self.label_smoothing}

    def get_config(self):
        return {
            **super().get_config(),
            "from_logits": self.from_logits,
            "label_smoothing": self.label_smoothing,
            "axis": self.axis,
        }


class CategoricalCrossentropy(Crossentropy):
    """``-sum(y_true * log(y_pred))`` over the last axis, for one-hot or other distributions.

    Probabilities are divided by their sum and kept at least 1e-7 away from 0 and 1, as in Keras.

    Parameters
    ----------
    from_logits : bool, default False
        Predictions are what a softmax would be applied to.
    label_smoothing : float, default 0.0
        Share of the target that is spread over all classes (Szegedy et al., CVPR 2016).
    axis : int, default -1
        Only the last is supported.
    reduction, name, dtype
        See `Loss`.
    """

    _op, _logits_op = "crossentropy_dense", "softmax_crossentropy_dense"
    _cycles = (24, 26)
    fused_activation = "softmax"

    def __init__(
        self,
        from_logits=False,
        label_smoothing=0.0,
        axis=-1,
        reduction="sum_over_batch_size",
        name="categorical_crossentropy",
        dtype=None,
    ):
        super().__init__(from_logits, label_smoothing, axis, reduction, name, dtype)


class SparseCategoricalCrossentropy(Crossentropy):
    """``-log(y_pred[label])``: `CategoricalCrossentropy` for class numbers instead of one-hot rows.

    Parameters
    ----------
    from_logits : bool, default False
        Predictions are what a softmax would be applied to.
    ignore_class : int, optional
        Rows of this label have no loss, and do not count in the mean.
    reduction : str, default "sum_over_batch_size"
    axis : int, default -1
        Only the last is supported.
    name, dtype
        See `Loss`.
    """

    _op, _logits_op = "crossentropy_sparse", "softmax_crossentropy_sparse"
    _cycles = (6, 22)
    target_kind = "labels"
    fused_activation = "softmax"

    def __init__(
        self,
        from_logits=False,
        ignore_class=None,
        reduction="sum_over_batch_size",
        axis=-1,
        name="sparse_categorical_crossentropy",
        dtype=None,
    ):
        if ignore_class is not None and (isinstance(ignore_class, bool) or int(ignore_class) != ignore_class):
            raise ValueError(f"`ignore_class` must be a whole number or None. Received: ignore_class={ignore_class!r}")
        super().__init__(from_logits, 0.0, axis, reduction, name, dtype)
        self.ignore_class = None if ignore_class is None else int(ignore_class)

    def call(self, y_true, y_pred):
        mask = self._mask(y_true, None)
        if mask is None:
            return super().call(y_true, y_pred)
        y_true = np.where(mask, np.asarray(y_true), 0)
        values = super().call(y_true, y_pred)
        return np.where(mask.reshape(values.shape), values, np.float32(0))

    def _mask(self, y_true, values):
        return None if self.ignore_class is None else np.asarray(y_true) != self.ignore_class

    def get_config(self):
        return {
            **Loss.get_config(self),
            "from_logits": self.from_logits,
            "ignore_class": self.ignore_class,
        }


class BinaryCrossentropy(Crossentropy):
    """Mean over the last axis of ``-t * log(p) - (1 - t) * log(1 - p)``, targets being 0 or 1.

    Probabilities are kept at least 1e-7 away from 0 and 1, as in Keras.

    Parameters
    ----------
    from_logits : bool, default False
        Predictions are what a sigmoid would be applied to.
    label_smoothing : float, default 0.0
        Targets are drawn this much towards 0.5.
    axis : int, default -1
        Only the last is supported.
    reduction, name, dtype
        See `Loss`.
    """

    _op, _logits_op = "binary_crossentropy", "sigmoid_crossentropy"
    _cycles = (48, 40)
    fused_activation = "sigmoid"

    def __init__(
        self,
        from_logits=False,
        label_smoothing=0.0,
        axis=-1,
        reduction="sum_over_batch_size",
        name="binary_crossentropy",
        dtype=None,
    ):
        super().__init__(from_logits, label_smoothing, axis, reduction, name, dtype)


def _ld(slot):
    return 0 if slot is None else slot.ld
