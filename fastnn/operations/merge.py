"""Two tensors of one shape, value by value: sum, difference, product, maximum, minimum."""

from fastnn.lowering.cost import elementwise_cycles
from fastnn.operations.base import Operation

KERNELS = {"add": 0, "subtract": 1, "multiply": 2, "maximum": 3, "minimum": 4}


class Merge(Operation):
    """Attributes of its nodes: `function` (a key of `KERNELS`), `scale` (a factor of the result)."""

    name = "merge"

    def forward(self, node, b):
        first, second = (b.slot(each) for each in node.inputs)
        y = b.matrix(first.rows_per_sample, first.n)
        b.emit(
            "merge_forward", rows=y.rows_per_sample, work_per_row=elementwise_cycles(y.n, 3), a=first, b=second, y=y,
            n=y.n, lda=first.ld, ldb=second.ld, ldy=y.ld, function=KERNELS[node.attributes["function"]],
            scale=node.attributes["scale"],
        )  # fmt: skip
        return y

    def backward(self, node, b, gradient):
        function, scale = node.attributes["function"], node.attributes["scale"]
        linear = function in ("add", "subtract")
        for number, tensor in enumerate(node.inputs):
            factor = -scale if function == "subtract" and number == 1 else scale
            if linear and factor == 1:
                b.propagate_alias(tensor, gradient)
                continue
            x, other = (None, None) if linear else (b.slot(tensor), b.slot(node.inputs[1 - number]))

            def write(dx, accumulate, epilogue, x=x, other=other, factor=factor):
                b.emit(
                    "merge_backward", rows=dx.rows_per_sample, work_per_row=elementwise_cycles(dx.n, 4), x=x,
                    other=other, dy=gradient, dx=dx, n=dx.n, ldx=x.ld if x else 0, ldother=other.ld if other else 0,
                    lddy=gradient.ld, lddx=dx.ld, function=KERNELS[function], scale=factor,
                )  # fmt: skip

            b.propagate(tensor, write)
