"""``y = x * scale + shift`` with constants, feature by feature: Normalization, Rescaling."""

from fastnn.lowering.cost import elementwise_cycles
from fastnn.operations.base import Operation


class Affine(Operation):
    """Variables of its nodes: `scale` and `shift`, one value for each feature; never trained."""

    name = "affine"

    def to_onnx(self, node, e):
        scale, shift = (e.variable(node.variables[name]) for name in ("scale", "shift"))
        return e.scaled(e.value(node.inputs[0]), scale, shift)

    def forward(self, node, b):
        x = b.slot(node.inputs[0])
        y = b.matrix(x.rows_per_sample, x.n)
        b.emit(
            "affine_forward",
            rows=x.rows_per_sample,
            work_per_row=elementwise_cycles(x.n, 2),
            x=x,
            scale=node.variables["scale"],
            shift=node.variables["shift"],
            y=y,
            n=x.n,
            ldx=x.ld,
            ldy=y.ld,
        )
        return y

    def backward(self, node, b, gradient):
        def write(dx, accumulate, epilogue):
            b.emit(
                "affine_backward",
                rows=gradient.rows_per_sample,
                work_per_row=elementwise_cycles(gradient.n, 2),
                dy=gradient,
                scale=node.variables["scale"],
                dx=dx,
                n=gradient.n,
                lddy=gradient.ld,
                lddx=dx.ld,
            )

        b.propagate(node.inputs[0], write)

    def fold(self, node, f):
        scale, shift = (f.constant(node.variables[name]) for name in ("scale", "shift"))
        return f.scaled(node, scale, shift)
