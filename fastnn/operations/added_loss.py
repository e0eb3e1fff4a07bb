"""The identity, with a number that joins the loss: what `add_loss` and activity regularizers of one's own leave."""

from fastnn.lowering.formula import Formula
from fastnn.lowering.layout import emit_formula, new_slot, sum_to
from fastnn.operations.base import Operation


class AddedLoss(Operation):
    """Of two inputs, a value and a loss, the value; the sum of the loss, times `factor`, is part of the batch's.

    Attributes of its nodes: `factor`; `per_sample`, whether it is divided by the number of samples."""

    name = "added_loss"
    adds_loss = True

    def to_onnx(self, node, e):
        return e.unchanged(node)

    def forward(self, node, b):
        value, loss = node.inputs
        if b.penalties is not None:
            total = sum_to(b, b.slot(loss), loss.shape, ())
            add_to_loss(b, total, node.attributes["factor"], node.attributes["per_sample"])
        return b.slot(value)

    def backward(self, node, b, gradient):
        value, loss = node.inputs
        if gradient is not None:  # there may be no other loss
            b.propagate_alias(value, gradient)
        if not b.needs_gradient(loss):
            return
        inputs, factor = [], node.attributes["factor"]
        formula, seed = Formula(), new_slot(b, loss.shape)
        term = formula.constant(factor)
        if node.attributes["per_sample"]:
            samples = new_slot(b, ())
            b.emit("batch_size", rows=0, work=1, y=samples)
            inputs, term = [(samples, ())], factor / formula.input(0)
        emit_formula(b, formula, [term], inputs, [seed], loss.shape)
        b.set_gradient(loss, seed)

    def fold(self, node, f):
        return f.value(node.inputs[0])


def add_to_loss(b, value, factor=1.0, per_sample=False):
    """Let a number be part of the loss of the batch: `b.penalties` has it once for each sample, and divides by their
    number. Or, with `per_sample`, a share of it."""
    values = b.per_row(1)
    formula, inputs = Formula(), [(value, ())]
    term = formula.input(0) * factor
    if per_sample:
        samples = new_slot(b, ())
        b.emit("batch_size", rows=0, work=1, y=samples)
        inputs, term = [*inputs, (samples, ())], term / formula.input(1)
    emit_formula(b, formula, [term], inputs, [values], (None,))
    b.penalties.append(values)
