"""ReLU with learned slopes."""

import math

from fastnn.lowering.cost import elementwise_cycles
from fastnn.operations.activation import scaled_before
from fastnn.operations.base import Operation
from fastnn.operations.sharing import row_map


class PReLU(Operation):
    """Variables of its nodes: `alpha`, of the sample's shape, or 1 along an axis that shares it."""

    name = "prelu"

    def to_onnx(self, node, e):
        return e.emit("PRelu", e.value(node.inputs[0]), e.variable(node.variables["alpha"]))

    def forward(self, node, b):
        x = b.slot(node.inputs[0])
        y = b.matrix(x.rows_per_sample, x.n)
        middle = node.variables["alpha"].shape[:-1]
        b.keep(node, row_map(node.inputs[0].shape[1:-1], middle))
        self._emit(node, b, x, x, y)
        return y

    @staticmethod
    def _emit(node, b, v, x, y):
        alpha = node.variables["alpha"]
        b.emit(
            "prelu", rows=x.rows_per_sample, work_per_row=elementwise_cycles(x.n, 4), v=v, x=x, alpha=alpha,
            map=b.kept(node), y=y, n=x.n, ldv=v.ld, ldx=x.ld, ldy=y.ld, alpha_n=alpha.shape[-1],
        )  # fmt: skip

    def backward(self, node, b, gradient):
        x, alpha = b.slot(node.inputs[0]), node.variables["alpha"]
        if b.trains(alpha):
            dalpha, accumulate = b.variable_gradient(alpha)
            b.emit(
                "prelu_gradient", rows=x.rows_per_sample, work_per_row=elementwise_cycles(x.n, 4), x=x, dy=gradient,
                map=b.kept(node), dalpha=dalpha, n=x.n, ldx=x.ld, lddy=gradient.ld, alpha_n=alpha.shape[-1],
                alpha_rows=math.prod(alpha.shape[:-1]), accumulate=accumulate,
            )  # fmt: skip
        b.propagate(node.inputs[0], lambda dx, accumulate, epilogue: self._emit(node, b, x, gradient, dx))

    def scale_output(self, node, scaling):
        """A positive scale passes, as that of ReLU does."""
        return ({}, [scaling]) if scaling.is_positive else None

    def scale_inputs(self, node, scalings):
        return scaled_before(self, node, scalings)
