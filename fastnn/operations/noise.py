"""Layers that draw random numbers in training: Gaussian noise, added or multiplied, and random slopes.

Attributes of all nodes: `training` (True, False, or None: as the program), `seed` (of the layer's own, or None). Random
numbers are a function of (seed, instruction, step, element), see ``csrc/ops/noise.c``.
"""

from fastnn.lowering.cost import elementwise_cycles
from fastnn.lowering.formula import Formula
from fastnn.lowering.layout import emit_formula, new_slot
from fastnn.operations.activation import KERNELS
from fastnn.operations.base import Operation

_KINDS = {"add": 0, "scale": 1, "slope": 2}


def is_on(node, b):
    """Does this node draw random numbers in the program that is being built?"""
    training = node.attributes["training"]
    return b.noise if training is None else training


def drawing(node, b):
    """The dimensions by which an instruction finds its random numbers."""
    stream, seed = b.new_random_stream(), node.attributes["seed"]
    if seed is None:
        return dict(stream=stream, own_seed=0)
    return dict(stream=0, own_seed=(seed + 2**63) % 2**64 - 2**63)  # stream 0 has the layer's own seed as its key


def cannot_freeze(node):
    return ValueError(
        f"Layer {node.output.name!r} is called with training=True: it draws random numbers in every call and cannot be "
        "frozen."
    )


def _emit(b, kind, x, y, low, high, numbers, v=None):
    b.emit(
        "noise",
        rows=x.rows_per_sample,
        work_per_row=elementwise_cycles(x.n, 60 if kind != "slope" else 30),
        v=v,
        x=x,
        y=y,
        n=x.n,
        ldv=v.ld if v is not None else 0,
        ldx=x.ld,
        ldy=y.ld,
        kind=_KINDS[kind],
        low=low,
        high=high,
        **numbers,
    )


class GaussianNoise(Operation):
    """Attributes: `stddev`, a `Setting`, and whether it is `multiplied`: ``x (1 + stddev z)`` instead of ``x + stddev
    z``."""

    name = "gaussian_noise"

    def to_onnx(self, node, e):
        return e.unchanged(node)

    def is_random(self, node, b):
        return is_on(node, b) and node.attributes["stddev"].value > 0

    def forward(self, node, b):
        x = b.slot(node.inputs[0])
        if not self.is_random(node, b):
            return x
        numbers, y = drawing(node, b), b.matrix(x.rows_per_sample, x.n)
        b.keep(node, numbers)
        kind = "scale" if node.attributes["multiplied"] else "add"
        _emit(b, kind, x, y, 0.0, node.attributes["stddev"].value, numbers)
        return y

    def backward(self, node, b, gradient):
        if not (self.is_random(node, b) and node.attributes["multiplied"]):
            b.propagate_alias(node.inputs[0], gradient)
            return

        def write(dx, accumulate, epilogue):
            _emit(b, "scale", gradient, dx, 0.0, node.attributes["stddev"].value, b.kept(node))

        b.propagate(node.inputs[0], write)

    def fold(self, node, f):
        if node.attributes["training"] and node.attributes["stddev"].value:
            raise cannot_freeze(node)
        f.note(f"{node.output.name} dropped")
        return f.value(node.inputs[0])


class RandomNormal(Operation):
    """Numbers of their own, for no input. Attributes: `shape`, `mean`, `stddev`."""

    name = "random_normal"

    def output_shape(self, node):
        return node.attributes["shape"]

    def is_random(self, node, b):
        return True

    def forward(self, node, b):
        shape = node.output.shape
        mean, y, formula = new_slot(b, shape), new_slot(b, shape), Formula()
        emit_formula(b, formula, [formula.constant(node.attributes["mean"])], [], [mean], shape)
        _emit(b, "add", mean, y, 0.0, node.attributes["stddev"], drawing(node, b))
        return y

    def backward(self, node, b, gradient):
        """Random numbers have no gradient."""

    def fold(self, node, f):
        raise cannot_freeze(node)


class RandomReLU(Operation):
    """Attributes: `lower`, `upper`. Where nothing is drawn, the slope is their mean."""

    name = "random_relu"

    def to_onnx(self, node, e):
        return e.emit("LeakyRelu", e.unchanged(node), alpha=self._leaky(node)["alpha"])

    def is_random(self, node, b):
        return is_on(node, b)

    def _leaky(self, node):
        alpha = (node.attributes["lower"] + node.attributes["upper"]) / 2
        return dict(act=KERNELS["leaky_relu"][0], alpha=alpha)

    def forward(self, node, b):
        x = b.slot(node.inputs[0])
        y = b.matrix(x.rows_per_sample, x.n)
        if not self.is_random(node, b):
            b.emit(
                "activation_forward", rows=x.rows_per_sample, work_per_row=elementwise_cycles(x.n, 2), x=x, y=y, n=x.n,
                ldx=x.ld, ldy=y.ld, **self._leaky(node),
            )  # fmt: skip
            return y
        numbers = drawing(node, b)
        b.keep(node, numbers)
        _emit(b, "slope", x, y, node.attributes["lower"], node.attributes["upper"], numbers, v=x)
        return y

    def backward(self, node, b, gradient):
        x = b.slot(node.inputs[0])

        def write(dx, accumulate, epilogue):
            if self.is_random(node, b):
                _emit(b, "slope", gradient, dx, node.attributes["lower"], node.attributes["upper"], b.kept(node), v=x)
                return
            b.emit(
                "activation_backward", rows=x.rows_per_sample, work_per_row=elementwise_cycles(x.n, 2), v=x,
                dy=gradient, dx=dx, n=x.n, ldv=x.ld, lddy=gradient.ld, lddx=dx.ld, **self._leaky(node),
            )  # fmt: skip

        b.propagate(node.inputs[0], write)

    def fold(self, node, f):
        if node.attributes["training"]:
            raise cannot_freeze(node)
        leaky = self._leaky(node)
        return f.keep(node, operation="activation", function="leaky_relu", kernel=leaky["act"], alpha=leaky["alpha"])
