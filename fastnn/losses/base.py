"""What every loss is: a value for each row, and a way to reduce them to one number."""

import numpy as np

from fastnn import _eager
from fastnn._initialised import Initialised
from fastnn._naming import unique_name

_REDUCTIONS = ("sum_over_batch_size", "sum", None, "none", "mean", "mean_with_sample_weight")


class Loss(Initialised):
    """Base class of losses.

    Parameters
    ----------
    name : str, optional
    reduction : str or None, default "sum_over_batch_size"
        How the losses of all rows become one number: "sum"; "sum_over_batch_size" or "mean", their
        sum divided by their number; "mean_with_sample_weight", divided by the sum of the weights;
        "none" or None leaves them, which training does not.
    dtype : str, optional
        "float32", the only type.

    Attributes
    ----------
    target_kind : {"labels", "groups", "values", "column"}
        What targets are: one class number for each row, which is a column of the prediction; one whole number for each
        row; numbers like those predicted; or one number for each row.
    fused_activation : {"softmax", "sigmoid", None}
        The activation that the loss can compute together with itself.
    from_logits : bool
        Is the prediction what such an activation would be applied to?
    ignore_class : int or None
        The label of rows that have no loss.
    of_batch : bool
        Is it one loss of the whole batch, so that it matters what is evaluated together?

    Notes
    -----
    A loss of one's own is a subclass whose ``call(y_true, y_pred)`` is composed of `fastnn.ops`: it is traced
    into the training step, and differentiated.
    """

    target_kind = "values"
    fused_activation = None
    from_logits = False
    ignore_class = None
    of_batch = False

    def __init__(self, name=None, reduction="sum_over_batch_size", dtype=None):
        if reduction not in _REDUCTIONS:
            raise ValueError(
                "Invalid value for argument `reduction`. Expected one of "
                f"{_REDUCTIONS}. Received: reduction={reduction}"
            )
        if dtype not in (None, "float32"):
            raise ValueError(f"Losses are computed in float32. Received: dtype={dtype!r}")
        self.name = name or unique_name(type(self).__name__)
        self.reduction = reduction

    dtype = "float32"

    def __call__(self, y_true, y_pred, sample_weight=None):
        """Compute the loss of arrays.

        Parameters
        ----------
        y_true : array_like
            Targets: ``(samples, ..., n)`` for values, ``(samples, ...)`` for labels.
        y_pred : array_like, shape (samples, ..., n)
        sample_weight : array_like, optional
            Factors that can be broadcast to ``(samples, ...)``.

        Returns
        -------
        float32, or ndarray of float32 where `reduction` is "none"
        """
        values = self.call(y_true, y_pred)
        return _reduced(values, sample_weight, self.reduction, self._mask(y_true, values))

    def _mask(self, y_true, values):
        """Which rows count, given their targets and losses; None: all."""
        return None

    def call(self, y_true, y_pred):
        """Return the loss of each row, of the shape of `y_pred` without its last axis."""
        raise NotImplementedError(f"{type(self).__name__} must implement call(y_true, y_pred).")

    def lower(self, b, prediction, target, weights, row_loss, gradient, logits=None, scale=1.0):
        """Emit the operation that computes this loss in a program.

        Parameters
        ----------
        b : fastnn.lowering.builder.Builder
        prediction, target, row_loss : Slot
        weights : Slot or None
            One for each row.
        gradient : Slot or None
            Takes the gradient of ``scale * mean(row_loss)`` by the prediction, or by the logits
            where they are given.
        logits : Slot, optional
            What `fused_activation` turns into the prediction: the operation does that too.
        scale : float, default 1.0
        """
        raise self.not_compiled()

    def lower_rows(self, b, prediction, target, row_loss):
        """Emit the operation that computes the losses of rows, for a metric: without weights, and not reduced."""
        self.lower(b, prediction, target, None, row_loss, None)

    @property
    def depends_on_batch(self):
        """Does it matter for the loss of an epoch which samples make a batch?"""
        by_rows = self.reduction in ("sum_over_batch_size", "mean") and self.ignore_class is None
        return self.of_batch or not by_rows

    def _require_reduction(self):
        if self.reduction in (None, "none"):
            raise ValueError(
                f"Loss {self.name!r} has reduction={self.reduction!r}: training needs one number. Use "
                "'sum_over_batch_size', 'sum' or 'mean_with_sample_weight'; reduction 'none' works on arrays."
            )

    def _rescale(self, b, prediction, weights, row_loss, gradient, counted):
        """Make the mean of rows that the kernels write what `reduction` asks for.

        Parameters
        ----------
        counted : Slot or None
            Labels of rows; those whose label is negative do not count.
        """
        is_sum = self.reduction == "sum" and not (self.of_batch and weights is None)
        by_weights = self.reduction == "mean_with_sample_weight" and weights is not None
        by_labels = counted is not None and self.reduction != "sum"
        if is_sum or by_weights or by_labels:  # the kernels make means over all rows
            n = 0 if gradient is None else gradient.n
            b.emit(
                "rescale_loss", rows=prediction.rows_per_sample, work_per_row=2 + n / 4,
                weights=weights if by_weights else None, labels=counted if by_labels else None, row_loss=row_loss,
                dp=gradient, n=n, lddp=0 if gradient is None else gradient.ld,
            )  # fmt: skip

    def not_compiled(self):
        """Return the error of a loss that cannot be trained with."""
        from fastnn.losses import COMPILED

        return ValueError(
            f"Loss {self.name!r} cannot be trained with: a training step runs without Python, and "
            f"{type(self).__name__} has no compiled form. Compiled losses: {COMPILED}."
        )

    def get_config(self):
        """Return the arguments that make an equal loss."""
        return {"name": self.name, "reduction": self.reduction}

    @classmethod
    def from_config(cls, config):
        """Make a loss from what `get_config` returned."""
        return cls(**config)


class FunctionLoss(Loss):
    """A loss of one's own: a function of ``(y_true, y_pred)``, composed of `fastnn.ops`.

    Parameters
    ----------
    function : callable
        Returns a value for each sample, several (their mean counts), or one number for the whole batch.
    target_kind : {"values", "column"}
        Targets have the shape of the prediction, or a last axis of 1.
    name, reduction
        See `Loss`.
    **kwargs
        Passed on to `function`.
    """

    of_batch = True  # until it is traced, and what it returns tells

    def __init__(self, function, target_kind="values", name=None, reduction="sum_over_batch_size", **kwargs):
        super().__init__(name or getattr(function, "__name__", type(function).__name__), reduction)
        self.target_kind = target_kind
        self._function = function
        self._kwargs = kwargs

    def call(self, y_true, y_pred):
        y_true, y_pred = _eager.same_rank(np.asarray(y_true), np.asarray(y_pred))
        return np.asarray(self._function(y_true, y_pred, **self._kwargs), np.float32)

    def lower(self, b, prediction, target, weights, row_loss, gradient, logits=None, scale=1.0):
        from fastnn.lowering.traced import row_values

        self._require_reduction()

        def function(y_true, y_pred):
            return self._function(y_true, y_pred, **self._kwargs)

        # Divided by 1 or by the sum of the weights, each of several values of a sample counts, not their mean.
        adds_up = self.reduction == "sum" or (self.reduction == "mean_with_sample_weight" and weights is not None)
        kind = f"loss {self.name!r}"
        self.of_batch = row_values(
            b, function, kind, prediction, target, weights, row_loss, gradient, scale, adds_up=adds_up
        )
        self._rescale(b, prediction, weights, row_loss, gradient, None)


def _reduced(values, sample_weight, reduction, mask):
    """Weigh the losses of rows and reduce them, by the rules of Keras 3."""
    weights = None
    if mask is not None:
        mask = np.reshape(mask, values.shape)
        valid = np.count_nonzero(mask)
        is_mean = reduction in ("mean", "sum_over_batch_size")  # over those that have a loss
        weights = mask * np.float32((mask.size / valid if valid else 0.0) if is_mean else 1.0)
    if sample_weight is not None:
        given = np.asarray(sample_weight, np.float32)
        fitting, given = _eager.same_rank(values if weights is None else weights, given)
        try:
            weights = given if weights is None else fitting * given
            values, weights = _eager.same_rank(values, weights)
            values = values * weights
        except ValueError:
            raise ValueError(
                f"sample_weight of shape {given.shape} does not fit the losses of the rows, of shape {values.shape}."
            ) from None
    elif weights is not None:
        values = values * weights
    if reduction in (None, "none") or values.shape in ((), (0,)):
        return values[()]
    divisor = values.size
    if reduction == "sum":
        divisor = 1
    elif reduction == "mean_with_sample_weight" and weights is not None:
        divisor = weights.sum(dtype=np.float64)
    total = values.sum(dtype=np.float64)
    return np.float32(total / divisor if divisor else 0.0)
