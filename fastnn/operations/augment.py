"""Random changes of images in training, mixup, and replaced features; see ``csrc/ops/augment.c``. Images are rows of
all their values.

Attributes of all nodes: `training`, `seed` as in `noise`. They stand before everything that is trained: none has a
gradient.
"""

from fastnn.lowering.cost import elementwise_cycles
from fastnn.lowering.layout import emit_reduce, new_slot
from fastnn.operations.base import Operation
from fastnn.operations.noise import cannot_freeze, drawing, is_on


class _Augmentation(Operation):
    def is_random(self, node, b):
        return is_on(node, b)

    def to_onnx(self, node, e):
        return e.unchanged(node)

    def forward(self, node, b):
        x = b.slot(node.inputs[0])
        if not self.is_random(node, b):
            return x
        y = b.matrix(x.rows_per_sample, x.n)
        self._emit(node, b, x, y, drawing(node, b))
        return y

    def backward(self, node, b, gradient):
        if not self.is_random(node, b):
            b.propagate_alias(node.inputs[0], gradient)
        elif b.needs_gradient(node.inputs[0]):
            raise ValueError(
                f"Layer {node.output.name!r} changes data at random and passes no gradient on: put it before all "
                "layers that are trained."
            )

    def fold(self, node, f):
        if node.attributes["training"]:
            raise cannot_freeze(node)
        f.note(f"{node.output.name} dropped")
        return f.value(node.inputs[0])


class RandomWarp(_Augmentation):
    """Attributes: `dims` and `scalars` of the engine's operation."""

    name = "random_warp"

    def _emit(self, node, b, x, y, numbers):
        cycles = elementwise_cycles(x.n, 12 if node.attributes["dims"]["nearest"] else 40)
        operands = dict(x=x, y=y, ldx=x.ld, ldy=y.ld)
        dims, scalars = node.attributes["dims"], node.attributes["scalars"]
        b.emit("random_warp", work_per_row=cycles, **operands, **dims, **scalars, **numbers)


class RandomIntensity(_Augmentation):
    """Attributes: `dims` and `scalars` of the engine's operation."""

    name = "random_intensity"

    def _emit(self, node, b, x, y, numbers):
        operands = dict(x=x, y=y, ldx=x.ld, ldy=y.ld)
        dims, scalars = node.attributes["dims"], node.attributes["scalars"]
        b.emit("random_intensity", work_per_row=elementwise_cycles(x.n, 12), **operands, **dims, **scalars, **numbers)


class MixUp(_Augmentation):
    """Attributes: `alpha`. The program's targets are mixed with the same numbers, see `mixed_targets`."""

    name = "mixup"

    def _emit(self, node, b, x, y, numbers):
        _mix(b, x, y, node.attributes["alpha"], numbers)
        b.mixed.append((node, numbers))


def _mix(b, x, y, alpha, numbers):
    b.emit(
        "mixup", rows=x.rows_per_sample, work_per_row=elementwise_cycles(x.n, 4) + 200 // x.rows_per_sample, x=x, y=y,
        n=x.n, ldx=x.ld, ldy=y.ld, alpha=alpha, **numbers,
    )  # fmt: skip


class ReplaceFeatures(_Augmentation):
    """Attributes: `rate`, a `Setting`, and `by_mean`: does the batch's mean replace values, or do other samples'?"""

    name = "replace_features"

    def is_random(self, node, b):
        return is_on(node, b) and node.attributes["rate"].value > 0

    def _emit(self, node, b, x, y, numbers):
        shape = node.inputs[0].shape
        sums = None
        if node.attributes["by_mean"]:
            sums = new_slot(b, shape[1:])
            emit_reduce(b, 0, x, shape, 0, sums, shape[1:])
        b.emit(
            "replace_features", rows=x.rows_per_sample, work_per_row=elementwise_cycles(x.n, 40), sums=sums, x=x, y=y,
            n=x.n, ldsums=sums.ld if sums else 0, ldx=x.ld, ldy=y.ld, rate=node.attributes["rate"].value, **numbers,
        )  # fmt: skip


def mixed_targets(b, kind, targets):
    """The targets of a batch whose inputs `MixUp` has mixed, mixed alike."""
    for node, numbers in b.mixed:
        if kind == "labels":
            raise ValueError(
                f"Layer {node.output.name!r} mixes the targets of two samples, and labels cannot be mixed: train on "
                "one-hot rows, fastnn.utils.to_categorical(y, classes), with a loss such as categorical_crossentropy."
            )
        result = b.matrix(targets.rows_per_sample, targets.n)
        _mix(b, targets, result, node.attributes["alpha"], numbers)
        targets = result
    return targets
