"""The value itself, under a name of its own: what a layer returns that does nothing."""

from fastnn.operations.base import Operation


class Identity(Operation):
    name = "identity"

    def to_onnx(self, node, e):
        return e.unchanged(node)

    def forward(self, node, b):
        return b.slot(node.inputs[0])

    def backward(self, node, b, gradient):
        b.propagate_alias(node.inputs[0], gradient)

    def fold(self, node, f):
        return f.value(node.inputs[0])
