"""``y = x . kernel'``: the product of a dense layer the other way round, with the weights as they lie.

Each pass is one of a dense layer's kernels: forward is its gradient by the input, and the gradient by the input is its
forward pass.
"""

import numpy as np

from fastnn.lowering.cost import gemm_cycles
from fastnn.operations.dense import Dense, product


class DenseTranspose(Dense):
    name = "dense_transpose"

    def output_shape(self, node):
        return (*node.inputs[0].shape[:-1], node.variables["kernel"].shape[0])

    def to_onnx(self, node, e):
        return product(node, e, e.variable(node.variables["kernel"]), None, turned=True)

    def forward(self, node, b):
        x, kernel = b.slot(node.inputs[0]), node.variables["kernel"]
        k, n = kernel.shape
        y = b.matrix(x.rows_per_sample, k)
        b.emit(
            "dense_backward_input", rows=x.rows_per_sample, work_per_row=gemm_cycles(k, n), work=k * n / 2, dz=x,
            w=kernel, v=None, dx=y, k=k, n=n, lddz=x.ld, ldv=0, lddx=y.ld, act=0, accumulate=False, alpha=0.0,
        )  # fmt: skip
        return y

    def backward(self, node, b, gradient):
        x, kernel = b.slot(node.inputs[0]), node.variables["kernel"]
        k, n = kernel.shape
        common = dict(rows=x.rows_per_sample, work_per_row=gemm_cycles(k, n), k=k, n=n)
        if b.trains(kernel):
            dw, accumulate = b.variable_gradient(kernel)
            b.emit("dense_backward_weights", x=gradient, dz=x, dw=dw, db=None, ldx=gradient.ld, lddz=x.ld,
                   accumulate=accumulate, **common)  # fmt: skip

        def write(dx, accumulate, epilogue):
            b.emit("dense_forward", x=gradient, w=kernel, bias=None, y=dx, slope=None, ldx=gradient.ld, ldy=dx.ld,
                   act=0, alpha=0.0, **common)  # fmt: skip

        b.propagate(node.inputs[0], write)

    def fold(self, node, f):
        """A dense layer of its own."""
        kernel = f.constant(node.variables["kernel"]).T
        return f.dense(node, kernel, np.zeros(kernel.shape[1]))
