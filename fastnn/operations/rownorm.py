"""Normalisation of each row by its own statistics, and scaling by trained vectors. Both stay operations when frozen."""

import numpy as np

from fastnn.lowering.cost import elementwise_cycles
from fastnn.operations.base import Operation

# kind -> flags of csrc/ops/rownorm.c
KINDS = {
    "layer": dict(subtract=1, centre=1, unit=0),
    "rms": dict(subtract=0, centre=0, unit=0),
    "variance": dict(subtract=0, centre=1, unit=0),
    "unit": dict(subtract=0, centre=0, unit=1),
}


def _gradients(node, b, gradient, mean=None, inv=None):
    """The gradients of `gamma` and `beta`, if they are trained."""
    x = b.slot(node.inputs[0])
    gamma, beta = node.variables["gamma"], node.variables["beta"]
    if not (b.trains(gamma) or b.trains(beta)):
        return
    dgamma, accumulate_gamma = b.variable_gradient(gamma)
    dbeta, accumulate_beta = b.variable_gradient(beta)
    b.emit(
        "column_gradients", rows=x.rows_per_sample, work_per_row=elementwise_cycles(x.n, 5), x=x, mean=mean, inv=inv,
        dy=gradient, dgamma=dgamma, dbeta=dbeta, n=x.n, ldx=x.ld, lddy=gradient.ld,
        accumulate=accumulate_gamma or accumulate_beta,
    )  # fmt: skip


class RowNorm(Operation):
    """Attributes of its nodes: `kind` (a key of `KINDS`), `epsilon`. Variables: `gamma`, `beta`; each may be None."""

    name = "rownorm"

    def to_onnx(self, node, e):
        x, kind, size = e.value(node.inputs[0]), node.attributes["kind"], node.inputs[0].features
        variables = [node.variables[name] for name in ("gamma", "beta")]
        gamma, beta = (each and e.constant(each.numpy().reshape(-1), each.name) for each in variables)
        if kind == "layer" and e.opset >= 17:
            gamma = gamma or e.constant(np.ones(size), "gamma")
            vectors = [gamma, beta] if beta else [gamma]
            return e.emit("LayerNormalization", x, *vectors, axis=-1, epsilon=node.attributes["epsilon"])
        epsilon, centred = e.constant(node.attributes["epsilon"], "epsilon"), x
        if KINDS[kind]["centre"]:
            centred = e.emit("Sub", x, e.reduce("Mean", x, -1, True))
        square = e.emit("Mul", centred, centred)
        if kind == "unit":
            size = e.emit("Max", e.reduce("Sum", square, -1, True), epsilon)
        else:
            size = e.emit("Add", e.reduce("Mean", square, -1, True), epsilon)
        return e.scaled(e.emit("Div", centred if kind == "layer" else x, e.emit("Sqrt", size)), gamma, beta)

    def forward(self, node, b):
        x = b.slot(node.inputs[0])
        y, mean, inv = b.matrix(x.rows_per_sample, x.n), None, None
        if b.training:
            mean, inv = b.per_row(x.rows_per_sample), b.per_row(x.rows_per_sample)
        b.keep(node, (mean, inv))
        b.emit(
            "rownorm_forward", rows=x.rows_per_sample, work_per_row=elementwise_cycles(x.n, 8) + 40, x=x,
            **node.variables, y=y, mean=mean, inv=inv, n=x.n, ldx=x.ld, ldy=y.ld, epsilon=node.attributes["epsilon"],
            **KINDS[node.attributes["kind"]],
        )  # fmt: skip
        return y

    def backward(self, node, b, gradient):
        x = b.slot(node.inputs[0])
        mean, inv = b.kept(node)
        flags = KINDS[node.attributes["kind"]]
        _gradients(node, b, gradient, mean if flags["subtract"] else None, inv)

        def write(dx, accumulate, epilogue):
            b.emit(
                "rownorm_backward", rows=x.rows_per_sample, work_per_row=elementwise_cycles(x.n, 10) + 40, x=x,
                mean=mean, inv=inv, gamma=node.variables["gamma"], dy=gradient, dx=dx, n=x.n, ldx=x.ld,
                lddy=gradient.ld, lddx=dx.ld, epsilon=node.attributes["epsilon"], **flags,
            )  # fmt: skip

        b.propagate(node.inputs[0], write)

    def fold(self, node, f):
        """The normalisation, and what is trained as a scaling of its own, which may find a better place."""
        gamma, beta = node.variables["gamma"], node.variables["beta"]
        bare = f.keep(node)
        if gamma is None and beta is None:
            return bare
        bare.node.variables = {"gamma": None, "beta": None}
        scale, shift = f.constant(gamma, default=np.ones(1)), f.constant(beta, default=np.zeros(1))
        return f.scaled(node, scale.reshape(-1), shift.reshape(-1), bare)

    def scale_output(self, node, scaling):
        """It has a scaling of its own."""
        n = node.output.features
        vectors = scaling.by_feature(n)
        if vectors is None:
            return None
        scale, shift = vectors
        gamma, beta = node.variables["gamma"], node.variables["beta"]
        gamma = scale if gamma is None else gamma.value.reshape(-1) * scale
        beta = shift if beta is None else beta.value.reshape(-1) * scale + shift
        return {"gamma": gamma, "beta": beta}, [None]


class ScaleShift(Operation):
    """``x * gamma + beta`` over the last axis. Variables of its nodes: `gamma`, `beta`; one of them may be None."""

    name = "scale_shift"

    def to_onnx(self, node, e):
        gamma, beta = (e.variable(node.variables[name]) for name in ("gamma", "beta"))
        return e.scaled(e.value(node.inputs[0]), gamma, beta)

    def forward(self, node, b):
        x = b.slot(node.inputs[0])
        y = b.matrix(x.rows_per_sample, x.n)
        b.emit(
            "affine_forward", rows=x.rows_per_sample, work_per_row=elementwise_cycles(x.n, 2), x=x,
            scale=node.variables["gamma"], shift=node.variables["beta"], y=y, n=x.n, ldx=x.ld, ldy=y.ld,
        )  # fmt: skip
        return y

    def backward(self, node, b, gradient):
        _gradients(node, b, gradient)

        def write(dx, accumulate, epilogue):
            b.emit(
                "affine_backward", rows=gradient.rows_per_sample, work_per_row=elementwise_cycles(gradient.n, 2),
                dy=gradient, scale=node.variables["gamma"], dx=dx, n=gradient.n, lddy=gradient.ld, lddx=dx.ld,
            )  # fmt: skip

        b.propagate(node.inputs[0], write)

    def fold(self, node, f):
        gamma, beta = (node.variables[name] for name in ("gamma", "beta"))
        size = (gamma or beta).shape
        return f.scaled(node, f.constant(gamma, default=np.ones(size)), f.constant(beta, default=np.zeros(size)))
