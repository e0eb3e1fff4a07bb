"""Sums and extremes along one axis."""

import numpy as np

from fastnn.lowering.formula import Formula
from fastnn.lowering.layout import emit_formula, emit_reduce, new_slot, reshaped
from fastnn.operations.base import Operation
from fastnn.operations.scaling import Scaling

KINDS = {"sum": 0, "max": 1, "min": 2, "argmax": 3, "argmin": 4}


class Reduce(Operation):
    """Attributes of its nodes: `kind` (a key of `KINDS`), `axis` (from 0, the batch), `keepdims`."""

    name = "reduce"

    def output_shape(self, node):
        shape, axis = node.inputs[0].shape, node.attributes["axis"]
        return (*shape[:axis], *((1,) if node.attributes["keepdims"] else ()), *shape[axis + 1 :])

    def to_onnx(self, node, e):
        x, kind = e.value(node.inputs[0]), node.attributes["kind"]
        axis, keepdims = node.attributes["axis"], node.attributes["keepdims"]
        if not kind.startswith("arg"):
            return e.reduce(kind.capitalize(), x, axis, keepdims)
        places = e.emit("ArgMax" if kind == "argmax" else "ArgMin", x, axis=axis, keepdims=int(keepdims))
        return e.emit("Cast", places, to=1)

    def forward(self, node, b):
        x, shape = node.inputs[0], node.output.shape
        y = new_slot(b, shape)
        emit_reduce(b, KINDS[node.attributes["kind"]], b.slot(x), x.shape, node.attributes["axis"], y, shape)
        return y

    def backward(self, node, b, gradient):
        kind, axis = node.attributes["kind"], node.attributes["axis"]
        if kind.startswith("arg"):
            return
        x, y = node.inputs[0], node.output
        kept = (*x.shape[:axis], 1, *x.shape[axis + 1 :])
        of_output = reshaped(b, gradient, y.shape, kept)
        formula = Formula()
        if kind == "sum":
            slot = new_slot(b, x.shape)
            emit_formula(b, formula, [formula.input(0)], [(of_output, kept)], [slot], x.shape)
        else:  # those that are equal to the extreme share its gradient
            value = reshaped(b, b.slot(y), y.shape, kept)
            inputs = [(b.slot(x), x.shape), (value, kept)]
            equal, count, slot = new_slot(b, x.shape), new_slot(b, kept), new_slot(b, x.shape)
            term = formula.input(0).equal(formula.input(1))
            emit_formula(b, formula, [term], inputs, [equal], x.shape)
            emit_reduce(b, KINDS["sum"], equal, x.shape, axis, count, kept)
            formula = Formula()
            term = formula.input(0) * (formula.input(1) / formula.input(2))
            inputs = [(equal, x.shape), (of_output, kept), (count, kept)]
            emit_formula(b, formula, [term], inputs, [slot], x.shape)
        b.set_gradient(x, slot)

    def scale_inputs(self, node, scalings):
        """A sum of values that are scaled alike is scaled so, too."""
        (scaling,), axis = scalings, node.attributes["axis"] - 1
        if node.attributes["kind"] != "sum" or axis < 0 or scaling.scale.shape[axis] != 1:
            return None
        shift = np.broadcast_to(scaling.shift, _with_size(scaling.shift, axis, node.inputs[0].shape[axis + 1]))
        arrays = [scaling.scale, shift.sum(axis, keepdims=True)]
        if not node.attributes["keepdims"]:
            arrays = [array.squeeze(axis) for array in arrays]
        return {}, Scaling(*arrays)


def _with_size(array, axis, size):
    return (*array.shape[:axis], size, *array.shape[axis + 1 :])
