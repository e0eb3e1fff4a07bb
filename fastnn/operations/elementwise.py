"""Elementwise functions of tensors that are broadcast against each other (see ``primitives``)."""

from fastnn.operations.base import Operation

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
