"""The identity, with a penalty on its values that is part of the loss: what an `activity_regularizer` adds."""

from fastnn.lowering.cost import elementwise_cycles
from fastnn.lowering.formula import Formula
from fastnn.lowering.layout import emit_formula, new_slot
from fastnn.operations.base import Operation


class ActivityPenalty(Operation):
    """Attributes of its nodes: `l1`, `l2`."""

    name = "activity_penalty"
    adds_loss = True

    def to_onnx(self, node, e):
        return e.unchanged(node)

    def forward(self, node, b):
        y = b.slot(node.inputs[0])
        if b.penalties is not None:
            values = b.per_row(y.rows_per_sample)
            b.emit(
                "activity_penalty", rows=y.rows_per_sample, work_per_row=elementwise_cycles(y.n, 4), y=y,
                values=values, n=y.n, ldy=y.ld, l1=node.attributes["l1"], l2=node.attributes["l2"],
            )  # fmt: skip
            b.penalties.append(values)
        return y

    def backward(self, node, b, gradient):
        y = b.slot(node.inputs[0])
        if gradient is None:  # nothing else depends on the layer
            if not b.needs_gradient(node.inputs[0]):
                return
            gradient, formula = new_slot(b, node.output.shape), Formula()
            emit_formula(b, formula, [formula.constant(0.0)], [], [gradient], node.output.shape)

        def write(dx, accumulate, epilogue):
            b.emit(
                "activity_gradient", rows=y.rows_per_sample, work_per_row=elementwise_cycles(y.n, 4), y=y,
                dy=gradient, dx=dx, n=y.n, ldy=y.ld, lddy=gradient.ld, lddx=dx.ld, l1=node.attributes["l1"],
                l2=node.attributes["l2"],
            )  # fmt: skip

        b.propagate(node.inputs[0], write)

    def fold(self, node, f):
        return f.value(node.inputs[0])
