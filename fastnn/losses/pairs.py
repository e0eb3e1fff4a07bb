"""How alike rows of one label are, and how unlike rows of different labels (``csrc/ops/loss_pairs.c``)."""

import math

import numpy as np

from fastnn import _eager
from fastnn.losses.base import Loss
from fastnn.losses.compiled import CompiledLoss
from fastnn.training.arguments import flag, number
from fastnn.training.data import as_array, check_labels


class Circle(CompiledLoss):
    """Draws rows of one label together and pushes rows of different labels apart, the more the further they have to go.

    Of each row beside all others of the batch: the logarithms of ``sum(exp(-gamma * a * (margin - d)))`` over those of
    its own label and of ``sum(exp(gamma * b * (1 - margin - d)))`` over the rest, added up, in a softplus; ``d`` is the
    distance ``1 - cos``, ``a = margin + d`` and ``b = 1 + margin - d``, both at least 0 (Sun et al., CVPR 2020). Rows
    without another of their label, and those whose loss is 0, do not count in the mean, as in Keras.

    Predictions are embeddings of length 1: end the model with a Dense layer without activation and `UnitNormalization`.
    Targets are one whole number for each row. An embedding is compared with the whole batch: its size matters.

    Parameters
    ----------
    gamma : float, default 80.0
        By how much similarities are scaled.
    margin : float, default 0.4
        How near is near enough.
    remove_diagonal : bool, default True
        A row is not beside itself.
    reduction, name, dtype
        See `Loss`.
    """

    target_kind = "groups"
    depends_on_batch = True

    def __init__(
        self,
        gamma=80.0,
        margin=0.4,
        remove_diagonal=True,
        reduction="sum_over_batch_size",
        name="circle",
        dtype=None,
    ):
        super().__init__(name, reduction, dtype)
        self.gamma = number(self, "gamma", gamma, "a finite number", math.isfinite)
        self.margin = number(self, "margin", margin, "a finite number", math.isfinite)
        self.remove_diagonal = flag(remove_diagonal, "remove_diagonal")

    def call(self, y_true, y_pred):
        return self._beside(y_true, y_pred)

    def _beside(self, y_true, y_pred, references=None):
        """The loss of each row, beside the others or beside `references`: slots of their labels and embeddings."""

        def lower(b, prediction, target, values):
            self._forward(b, prediction, target, None, values, references)

        if np.ndim(y_pred) != 2:
            raise ValueError(self._expected(np.shape(y_pred)))
        return _eager.row_values(lower, self.target_kind, y_true, y_pred)

    def _mask(self, y_true, values):
        return values > 0

    def _expected(self, shape):
        return (
            f"Loss {self.name!r} compares samples: it expects one embedding for each, that is predictions of shape "
            f"(samples, n). Received the shape {tuple(shape)}."
        )

    def lower(self, b, prediction, target, weights, row_loss, gradient, logits=None, scale=1.0):
        self._require_reduction()
        if prediction.rows_per_sample != 1:
            raise ValueError(self._expected(b.output_shape(prediction)))
        found = self._forward(b, prediction, target, weights, row_loss)
        if gradient is not None:
            kept = {name: found[name] for name in ("positive", "negative", "unit")}
            b.emit(
                "circle_gradient", rows=1, work_per_row=2 * _cycles(b, prediction), p=prediction, labels=target,
                dp=gradient, n=prediction.n, ldp=prediction.ld, lddp=gradient.ld, scale=scale, **kept,
                **self._settings(),
            )  # fmt: skip
        self._rescale(b, prediction, weights, row_loss, gradient, found["counted"])

    def lower_rows(self, b, prediction, target, row_loss):
        self._forward(b, prediction, target, None, row_loss)

    def _forward(self, b, prediction, target, weights, row_loss, references=None):
        found = {name: b.per_row(1) for name in ("positive", "negative", "unit", "counted")}
        labels, rows = references or (None, None)
        count, ld = (0, 0) if rows is None else (len(rows.array), rows.ld)
        b.emit(
            "circle", rows=1, work_per_row=_cycles(b, prediction), p=prediction, labels=target, refs=rows,
            ref_labels=labels, weights=weights, row_loss=row_loss, n=prediction.n, ldp=prediction.ld, ldrefs=ld,
            count=count, **found, **self._settings(),
        )  # fmt: skip
        return found

    def _settings(self):
        return {"remove_diagonal": self.remove_diagonal, "gamma": self.gamma, "margin": self.margin}

    def get_config(self):
        own = {"gamma": self.gamma, "margin": self.margin, "remove_diagonal": self.remove_diagonal}
        return {**Loss.get_config(self), **own}


def _cycles(b, prediction):
    """Of a row beside all of its batch."""
    from fastnn.lowering.cost import elementwise_cycles, gemm_cycles

    return gemm_cycles(prediction.n, b.batch) + elementwise_cycles(b.batch, 60)


def beside_references(loss, y_true, y_pred, ref_labels, ref_embeddings):
    """The `Circle` loss of rows beside other rows than those of their batch.

    Raises
    ------
    ValueError
        If labels or embeddings do not match.
    """
    from fastnn._engine import kernels

    y_pred = as_array(y_pred, "y_pred")
    embeddings = y_pred if ref_embeddings is None else as_array(ref_embeddings, "ref_embeddings")
    labels = as_array(y_true if ref_labels is None else ref_labels, "ref_labels")
    labels = labels.reshape(-1) if labels.ndim == 2 and labels.shape[1] == 1 else labels
    if embeddings.ndim != 2 or y_pred.ndim != 2 or embeddings.shape[1] != y_pred.shape[1] or not len(embeddings):
        raise ValueError(
            f"circle: expected `ref_embeddings` of shape (references, n) for `y_pred` of shape (samples, n). Received "
            f"the shapes {embeddings.shape} and {y_pred.shape}."
        )
    if labels.shape != embeddings.shape[:1]:
        raise ValueError(
            f"circle: expected one label for each of {len(embeddings)} reference embeddings. Received `ref_labels` of "
            f"shape {labels.shape}."
        )
    check_labels(labels, None, "ref_labels")
    references = np.ascontiguousarray(labels, np.int32), kernels.padded(embeddings)
    return loss._beside(y_true, y_pred, [_eager.Slot(each) for each in references])
