"""Elementwise activations and softmax.

The derivative of an activation is computed from its output, which the next layer keeps anyway; or, where that would
cost an exponential that the forward pass has computed already, training writes it down in the forward pass.
Which of the two is a property of the function, listed here and in ``csrc/ops/activation.h``.
"""

import math

from fastnn.lowering.cost import elementwise_cycles
from fastnn.operations.base import Operation

# name -> (number in csrc/ops/activation.h, derivative from "output" or kept as "slope", cycles for 8 values)
KERNELS = {
    "linear": (0, "output", 1),
    "relu": (1, "output", 1),
    "leaky_relu": (2, "output", 2),
    "elu": (3, "output", 14),
    "selu": (4, "output", 14),
    "sigmoid": (5, "output", 14),
    "tanh": (6, "output", 16),
    "softplus": (7, "output", 24),
    "silu": (8, "slope", 16),
    "gelu": (9, "slope", 24),
    "gelu_tanh": (10, "slope", 20),
    "mish": (11, "slope", 30),
}


# name -> (ONNX operator, the opset that brought it, its attributes)
_ONNX = {
    "relu": ("Relu", 13, {}),
    "leaky_relu": ("LeakyRelu", 13, {}),
    "elu": ("Elu", 13, {}),
    "selu": ("Selu", 13, {"alpha": 1.6732632423543772, "gamma": 1.0507009873554805}),
    "sigmoid": ("Sigmoid", 13, {}),
    "tanh": ("Tanh", 13, {}),
    "softplus": ("Softplus", 13, {}),
    "silu": ("Swish", 24, {}),
    "gelu": ("Gelu", 20, {"approximate": "none"}),
    "gelu_tanh": ("Gelu", 20, {"approximate": "tanh"}),
    "mish": ("Mish", 18, {}),
}


def _composed(function, x, e):
    """The younger ones of ONNX's activations, of older operators."""
    if function == "mish":
        return e.emit("Mul", x, e.emit("Tanh", e.emit("Softplus", x)))
    if function == "gelu":
        part = e.emit("Erf", e.emit("Mul", x, e.constant(math.sqrt(0.5))))
        return e.emit("Mul", e.emit("Mul", x, e.constant(0.5)), e.emit("Add", part, e.constant(1.0)))
    if function == "gelu_tanh":
        curve = e.emit("Mul", e.emit("Mul", x, x), e.constant(0.07135481627260025))
        curve = e.emit("Mul", x, e.emit("Add", curve, e.constant(1.5957691216057308)))
        return e.emit("Mul", x, e.emit("Sigmoid", curve))
    return e.emit("Mul", x, e.emit("Sigmoid", x))


class Activation(Operation):
    """Attributes of its nodes: `function` (a key of `KERNELS`), `kernel` (its number), `alpha` (its parameter)."""

    name = "activation"

    def to_onnx(self, node, e):
        x, function = e.value(node.inputs[0]), node.attributes["function"]
        if function == "linear":
            return x
        operator, since, attributes = _ONNX[function]
        if e.opset < since:
            return _composed(function, x, e)
        if function in ("leaky_relu", "elu"):
            attributes = {"alpha": node.attributes["alpha"]}
        return e.emit(operator, x, **attributes)

    def forward(self, node, b):
        absorbed = b.absorbed(node)
        if absorbed is not None:
            return absorbed
        x = b.slot(node.inputs[0])
        y = b.matrix(x.rows_per_sample, x.n)
        slope = slope_slot(node, b)
        b.emit(
            "activation_forward",
            rows=x.rows_per_sample,
            work_per_row=elementwise_cycles(x.n, KERNELS[node.attributes["function"]][2]),
            x=x,
            y=y,
            slope=slope,
            n=x.n,
            ldx=x.ld,
            ldy=y.ld,
            act=node.attributes["kernel"],
            alpha=node.attributes["alpha"],
        )
        return y

    def backward(self, node, b, gradient):
        saved = saved_slot(node, b)
        _, saves, cycles = KERNELS[node.attributes["function"]]
        cycles = cycles if saves == "output" else 1

        def write(dx, accumulate, epilogue):
            b.emit(
                "activation_backward",
                rows=gradient.rows_per_sample,
                work_per_row=elementwise_cycles(gradient.n, cycles),
                v=saved,
                dy=gradient,
                dx=dx,
                n=gradient.n,
                ldv=saved.ld,
                lddy=gradient.ld,
                lddx=dx.ld,
                act=node.attributes["kernel"],
                alpha=node.attributes["alpha"],
            )

        b.propagate(node.inputs[0], write)

    def fold(self, node, f):
        return f.value(node.inputs[0]) if node.attributes["function"] == "linear" else f.keep(node)

    def scale_output(self, node, scaling):
        """``relu(x) s = relu(x s)`` for positive s."""
        if node.attributes["function"] in ("relu", "leaky_relu") and scaling.is_positive:
            return {}, [scaling]
        return None

    def scale_inputs(self, node, scalings):
        return scaled_before(self, node, scalings)


class Softmax(Operation):
    """Over the last axis."""

    name = "softmax"

    def to_onnx(self, node, e):
        return e.emit("Softmax", e.value(node.inputs[0]), axis=-1)

    def forward(self, node, b):
        x = b.slot(node.inputs[0])
        y = b.matrix(x.rows_per_sample, x.n)
        b.emit(
            "softmax_forward",
            rows=x.rows_per_sample,
            work_per_row=elementwise_cycles(x.n, 20),
            x=x,
            y=y,
            n=x.n,
            ldx=x.ld,
            ldy=y.ld,
        )
        return y

    def backward(self, node, b, gradient):
        y = b.slot(node.output)

        def write(dx, accumulate, epilogue):
            b.emit(
                "softmax_backward",
                rows=gradient.rows_per_sample,
                work_per_row=elementwise_cycles(gradient.n, 6),
                y=y,
                dy=gradient,
                dx=dx,
                n=gradient.n,
                ldy=y.ld,
                lddy=gradient.ld,
                lddx=dx.ld,
            )

        b.propagate(node.inputs[0], write)


def scaled_before(operation, node, scalings):
    """What `scale_inputs` returns for an operation of one input that a scaling of the output passes unchanged."""
    found = operation.scale_output(node, scalings[0])
    return found and ({}, scalings[0])


def slope_slot(node, b):
    """Where the forward pass of an activation node writes its slope for the backward pass; None where nothing reads it.

    It has the row stride of the output.
    """
    if KERNELS[node.attributes["function"]][1] == "output" or not b.needs_gradient(node.inputs[0]):
        return None
    slope = b.matrix(node.output.rows_per_sample, node.output.features)
    b.keep(node, slope)
    return slope


def saved_slot(node, b):
    """What the derivative of an activation node is computed from."""
    return b.slot(node.output) if KERNELS[node.attributes["function"]][1] == "output" else b.kept(node)


def fusable_activation(node, b):
    """The activation node that a kernel can apply to this node's output before storing it, or None."""
    consumer = b.graph.only_consumer(node.output)
    if consumer is None or not isinstance(consumer.operation, Activation) or b.is_deferred(consumer):
        return None
    return consumer
