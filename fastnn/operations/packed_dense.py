"""The dense layer of a frozen network: constant weights, packed for the kernel that reads them.

The layouts do not depend on the instruction set, so that a file of packed weights can be used as it lies; they are
described in ``csrc/ops/packed_dense.c``.
"""

import numpy as np

from fastnn._engine.runtime import Buffer
from fastnn.lowering.cost import gemm_cycles
from fastnn.operations.activation import fusable_activation
from fastnn.operations.base import Operation
from fastnn.operations.dense import product

BLOCK = 16  # columns that lie together
PRECISIONS = ("float32", "float16", "int8")  # in the order of their numbers in C
_DTYPES = {"float32": np.float32, "float16": np.float16, "int8": np.int8}
_FLOAT16_LARGEST = np.finfo(np.float16).max
_INT8_MOST_INPUTS = 131072  # more than that leave less than 7 bits to each; the kernel has room for so many
_BYTES_PER_CYCLE = 40  # at which weights come from the second-level cache


class PackedDense(Operation):
    """Attributes of its nodes: `precision`, one of `PRECISIONS`, and `range`, the largest magnitude that int8's inputs
    are rounded for, or None for that of each row. Variables: `kernel` (float32, whatever the precision) and `bias` or
    None."""

    name = "packed_dense"

    def output_shape(self, node):
        return (*node.inputs[0].shape[:-1], node.variables["kernel"].shape[1])

    def to_onnx(self, node, e):
        """Computed in float32 from weights that are stored as they are rounded, which runtimes convert once, when they
        load the model. int8's rounding of the inputs is left out: ONNX has only 8 bits for it, which lose more than the
        15 that are used here and that a tolerance was measured with."""
        values, precision = node.variables["kernel"].numpy(), node.attributes["precision"]
        scale = None
        if precision == "int8":
            from fastnn.freeze.quantize import quantize  # fastnn.freeze is imported when needed

            values, scale = quantize(values)
        kernel = e.constant(values, "kernel", _DTYPES[precision])
        if precision != "float32":
            e.notes.append(f"Weights are stored in {precision}.")
            kernel = e.emit("Cast", kernel, to=1)
        if scale is not None:
            kernel = e.emit("Mul", kernel, e.constant(scale, "scale"))
        return product(node, e, kernel, e.variable(node.variables["bias"]))

    def forward(self, node, b):
        x = b.slot(node.inputs[0])
        precision, kernel = node.attributes["precision"], node.variables["kernel"].numpy()
        k, n = kernel.shape
        limit, scale = 0, None
        if precision == "int8":
            from fastnn.freeze.quantize import activation_limit, quantize  # fastnn.freeze is imported when needed

            kernel, scale = quantize(kernel)
            limit = activation_limit(kernel)
        weights = packed(kernel, precision)
        activation = fusable_activation(node, b)
        y = b.matrix(x.rows_per_sample, n)
        b.emit(
            "packed_dense",
            rows=x.rows_per_sample,
            work_per_row=gemm_cycles(k, n),
            work=weights.nbytes / _BYTES_PER_CYCLE,
            x=x,
            w=(weights, 0, weights.nbytes),
            bias=node.variables["bias"],
            scale=None if scale is None else b.constant(scale),
            y=y,
            k=k,
            n=n,
            ldx=x.ld,
            ldy=y.ld,
            act=activation.attributes["kernel"] if activation else 0,
            precision=PRECISIONS.index(precision),
            limit=limit,
            alpha=activation.attributes["alpha"] if activation else 0.0,
            range=node.attributes["range"] or 0.0,
        )
        if activation:
            b.absorb(activation, y)
        return y


def packed(kernel, precision):
    """A kernel in the blocks that the engine reads.

    Parameters
    ----------
    kernel : ndarray, shape (k, n)
        int8 for the precision "int8" (see `fastnn.freeze.quantize`), float32 for the others.
    precision : {"float32", "float16", "int8"}

    Returns
    -------
    Buffer
    """
    k, n = kernel.shape
    dtype, blocks = np.dtype(_DTYPES[precision]), -(-n // BLOCK)
    rows = k + k % 2 if precision == "int8" else k
    buffer = Buffer(rows * blocks * BLOCK * dtype.itemsize)
    if precision == "int8":
        out = buffer.array((blocks, rows // 2, BLOCK, 2), dtype).transpose(1, 3, 0, 2)  # (k / 2, 2, block, column)
        halves = [(out[: (k + 1 - side) // 2, side], kernel[side::2]) for side in range(2)]
    else:
        halves = [(buffer.array((blocks, k, BLOCK), dtype).transpose(1, 0, 2), kernel)]
    whole = n // BLOCK
    for out, values in halves:
        out[:, :whole] = values[:, : whole * BLOCK].reshape(len(values), whole, BLOCK)
        if n % BLOCK:
            out[:, whole, : n % BLOCK] = values[:, whole * BLOCK :]
    return buffer


def check(kernel, precision, name):
    """Refuse a kernel that a precision cannot hold."""
    if precision == "float16":
        largest = np.abs(kernel).max(initial=0)
        if not largest <= _FLOAT16_LARGEST:
            raise ValueError(
                f"The weights of {name!r} reach {largest:.6g}, and float16 ends at {_FLOAT16_LARGEST:.0f}: freeze with "
                'precision="float32", or scale the inputs of the layer down.'
            )
    if precision == "int8" and not np.isfinite(kernel).all():
        raise ValueError(
            f"The weights of {name!r} have infinities or NaN, which int8 cannot hold: train again with smaller steps."
        )
    if precision == "int8" and len(kernel) > _INT8_MOST_INPUTS:
        raise ValueError(
            f"{name!r} reads {len(kernel)} values, and a sum of integers has room for {_INT8_MOST_INPUTS} at most: "
            'freeze with precision="float16".'
        )
