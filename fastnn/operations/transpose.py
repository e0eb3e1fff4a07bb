"""The axes of a sample in another order."""

import numpy as np

from fastnn.lowering.cost import elementwise_cycles
from fastnn.operations.base import Operation

_AXES = 5  # of a sample, in csrc/ops/gather.c


class Transpose(Operation):
    """Attributes of its nodes: `order`, the input's axes in the order of the output's; 1 is the first of a sample."""

    name = "transpose"

    def output_shape(self, node):
        return (None, *(node.inputs[0].shape[axis] for axis in node.attributes["order"]))

    def forward(self, node, b):
        x = b.slot(node.inputs[0])
        y = b.matrix(node.output.rows_per_sample, node.output.features)
        self._copy(b, node.inputs[0].shape[1:], node.attributes["order"], x, y)
        return y

    def backward(self, node, b, gradient):
        order = np.argsort(node.attributes["order"]) + 1
        shape = node.output.shape[1:]
        b.propagate(node.inputs[0], lambda dx, accumulate, epilogue: self._copy(b, shape, order, gradient, dx))

    @staticmethod
    def _copy(b, shape, order, x, y):
        missing = _AXES - len(shape)
        sizes = (1,) * missing + tuple(shape)
        places = [*range(missing), *(missing + axis - 1 for axis in order)]
        b.emit(
            "transpose", rows=1, work_per_row=elementwise_cycles(x.rows_per_sample * x.n, 8), x=x, y=y,
            **{f"a{axis}": size for axis, size in enumerate(sizes)}, ldx=x.ld,
            order=sum(int(place) << 3 * (_AXES - 1 - i) for i, place in enumerate(places)),
            rows_y=y.rows_per_sample, n_y=y.n, ldy=y.ld,
        )  # fmt: skip
