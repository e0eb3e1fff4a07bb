"""Products of two matrices of each sample."""

from fastnn.lowering.cost import elementwise_cycles
from fastnn.operations.base import Operation


class Dot(Operation):
    """``y[m, n] = sum of a[m, k] * b[n, k] over k``, a and b being samples of (..., k), m and n their other axes."""

    name = "dot"

    def output_shape(self, node):
        first, second = node.inputs
        return (None, first.rows_per_sample, second.rows_per_sample)

    def forward(self, node, b):
        first, second = (b.slot(each) for each in node.inputs)
        y = b.matrix(first.rows_per_sample, second.rows_per_sample)
        b.emit(
            "dot_forward", work_per_row=self._work(first, second), a=first, b=second, y=y,
            rows_a=first.rows_per_sample, rows_b=second.rows_per_sample, k=first.n, lda=first.ld, ldb=second.ld,
            ldy=y.ld,
        )  # fmt: skip
        return y

    def backward(self, node, b, gradient):
        for number, tensor in enumerate(node.inputs):
            other = b.slot(node.inputs[1 - number])

            def write(dx, accumulate, epilogue, other=other, number=number):
                b.emit(
                    "dot_backward", work_per_row=self._work(dx, other), dy=gradient, other=other, dx=dx,
                    rows_x=dx.rows_per_sample, rows_other=other.rows_per_sample, k=dx.n, lddy=gradient.ld,
                    ldother=other.ld, lddx=dx.ld, transposed=number,
                )  # fmt: skip

            b.propagate(tensor, write)

    @staticmethod
    def _work(first, second):
        return first.rows_per_sample * second.rows_per_sample * elementwise_cycles(first.n, 2)
