"""``y = x * scale + shift`` with constants, feature by feature: Normalization, Rescaling."""

from fastnn.lowering.cost import elementwise_cycles
from fastnn.operations.base import Operation
from fastnn.operations.scaling import Scaling


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

    # Folding speaks of scalings of whole samples: there, `scale` and `shift` have a sample's axes.

    def scale_output(self, node, scaling):
        return _constants(_scaling(node).then(scaling)), [None]

    def scale_inputs(self, node, scalings):
        return _constants(scalings[0].then(_scaling(node))), None


def _scaling(node):
    return Scaling(node.variables["scale"].value, node.variables["shift"].value)


def _constants(scaling):
    return {"scale": scaling.scale, "shift": scaling.shift}
