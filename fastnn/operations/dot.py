"""Products of two matrices of each sample, and rows of length 1."""

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


class UnitRows(Operation):
    """Rows divided by their Euclidean norms, or by the attribute `least` where that is more."""

    name = "unit_rows"

    def forward(self, node, b):
        x = b.slot(node.inputs[0])
        y, norm = b.matrix(x.rows_per_sample, x.n), b.per_row(x.rows_per_sample)
        b.keep(node, norm)
        b.emit(
            "unit_rows_forward", rows=x.rows_per_sample, work_per_row=elementwise_cycles(x.n, 8), x=x, y=y, norm=norm,
            n=x.n, ldx=x.ld, ldy=y.ld, least=node.attributes["least"],
        )  # fmt: skip
        return y

    def backward(self, node, b, gradient):
        y, norm = b.slot(node.output), b.kept(node)

        def write(dx, accumulate, epilogue):
            b.emit(
                "unit_rows_backward", rows=dx.rows_per_sample, work_per_row=elementwise_cycles(dx.n, 10), y=y,
                norm=norm, dy=gradient, dx=dx, n=dx.n, ldy=y.ld, lddy=gradient.ld, lddx=dx.ld,
                least=node.attributes["least"],
            )  # fmt: skip

        b.propagate(node.inputs[0], write)
