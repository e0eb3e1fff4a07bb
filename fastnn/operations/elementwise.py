"""Elementwise functions of tensors that are broadcast against each other (see ``fastnn.lowering.primitives``)."""

import numpy as np

from fastnn.lowering.layout import body
from fastnn.operations.base import Operation
from fastnn.operations.scaling import Scaling

# primitive -> ONNX operator
_ONNX = {
    "negative": "Neg", "abs": "Abs", "sign": "Sign", "sqrt": "Sqrt", "exp": "Exp", "log": "Log", "tanh": "Tanh",
    "sigmoid": "Sigmoid", "softplus": "Softplus", "erf": "Erf", "sin": "Sin", "cos": "Cos", "arctan": "Atan",
    "floor": "Floor", "round": "Round", "add": "Add", "subtract": "Sub", "multiply": "Mul", "divide": "Div",
    "maximum": "Max", "minimum": "Min", "power": "Pow",
}  # fmt: skip
_ONNX_TESTS = {"less": "Less", "less_equal": "LessOrEqual", "equal": "Equal"}


class Elementwise(Operation):
    """Attributes of its nodes: `function`, the name of a primitive; `arguments`, a number for each argument that is one
    and None for each that is a tensor; `shape`, the output's.

    Groups of such nodes become one instruction; see ``fastnn/lowering/fusion.py``.
    """

    name = "elementwise"

    def fold(self, node, f):
        if node.attributes["function"] in ("copy", "stop_gradient") and node.inputs[0].shape == node.output.shape:
            return f.value(node.inputs[0])
        return f.keep(node)

    def scale_output(self, node, scaling):
        """``(x + y) s + t = (x s + t) + y s``, and so for differences. What has constants takes the shift."""
        function = node.attributes["function"]
        if function not in ("add", "subtract") or len(node.inputs) != 2:
            return None
        second = node.inputs[0].node is None or not node.inputs[0].node.variables
        shifts = [0.0 * scaling.shift, scaling.shift if function == "add" else -scaling.shift]
        wanted = [Scaling(scaling.scale, each) for each in (shifts if second else (scaling.shift, shifts[0]))]
        scalings = [each.onto(x) for each, x in zip(wanted, node.inputs, strict=True)]
        return None if None in scalings else ({}, scalings)

    def scale_inputs(self, node, scalings):
        """A shift passes sums and differences, a factor that both have, too; a factor of one passes products."""
        function = node.attributes["function"]
        if function not in ("add", "subtract", "multiply") or len(node.inputs) != 2:
            return None
        wide = [each and each.in_axes(len(body(node.output.shape))) for each in scalings]
        first, second = (each or Scaling.nothing(len(body(node.output.shape))) for each in wide)
        if function == "multiply":
            if not (first.only_scales and second.only_scales):
                return None
            return {}, first.then(second)
        if not np.array_equal(first.scale, second.scale):
            return None
        sign = 1 if function == "add" else -1
        return {}, Scaling(first.scale, first.shift + sign * second.shift)

    def output_shape(self, node):
        return node.attributes["shape"]

    def to_onnx(self, node, e):
        function, inputs = node.attributes["function"], iter(node.inputs)
        values = [
            e.value(next(inputs)) if number is None else e.constant(number) for number in node.attributes["arguments"]
        ]
        if function in ("copy", "stop_gradient"):
            return values[0]
        if function in _ONNX_TESTS:
            return e.number(e.emit(_ONNX_TESTS[function], *values))
        if function == "where":
            return e.emit("Where", e.truth(values[0]), *values[1:])
        if function == "expm1":
            return e.emit("Sub", e.emit("Exp", *values), e.constant(1.0))
        if function == "log1p":
            return e.emit("Log", e.emit("Add", *values, e.constant(1.0)))
        return e.emit(_ONNX[function], *values)
