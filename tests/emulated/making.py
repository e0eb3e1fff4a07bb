"""What makes random cases of an operation: operands with garbage in their padding, at awkward sizes."""

import numpy as np
from fastnn._engine.program import Instruction
from fastnn._engine.runtime import OPS, Source

from emulated.recording import Recording, Region
from fastnn._engine import kernels
from reference.arrays import GARBAGE

# samples, rows for each of them, columns, cache lines that rows are longer than need be
SHAPES = [(1, 1, 1, 0), (5, 1, 16, 0), (7, 2, 33, 1), (3, 3, 50, 2), (37, 1, 100, 0)]
# rows, inputs, units; the last ones are deeper than one block, and wide enough to have x packed
PRODUCTS = [(1, 3, 5), (1, 70, 140), (7, 17, 33), (13, 48, 20), (33, 65, 49), (70, 300, 9)]
PRODUCTS += [(100, 31, 130), (266, 40, 300), (64, 260, 150)]
# every 4194319th float there is, with NaN, infinities, denormals and what overflows
SWEEP = np.arange(0, 2**32, 4194319, dtype=np.uint64).astype(np.uint32).view(np.float32)[:, None]


class Maker:
    """Makes operands of random numbers, and cases of them."""

    def __init__(self, op):
        self.op = op
        self.random = np.random.default_rng(list(op.encode()))

    def normal(self, *shape):
        return self.random.normal(size=shape).astype(np.float32)

    def uniform(self, *shape):
        return self.random.uniform(0.05, 1, size=shape).astype(np.float32)

    def case(self, samples, operands, rows_per_sample=1, same_bits=True, **settings):
        """One instruction on the given operands; row strides are theirs, other dimensions and scalars are settings."""
        info = OPS[self.op]
        arrays = {Source(value): value for value in operands.values() if isinstance(value, np.ndarray)}
        regions = {key: value for key, value in operands.items() if isinstance(value, Region)}
        bound = {key: (region.buffer, region.offset, region.nbytes) for key, region in regions.items()}
        bound.update(dict.fromkeys((key for key in operands if key == "source"), next(iter(arrays), None)))
        strides = {"ld" + {"targets": "t"}.get(key, key): region.ld for key, region in regions.items()}
        values = {**dict.fromkeys((*info.dims, *info.scalars), 0), **strides, **settings}
        dims, scalars = ({key: values[key] for key in keys} for keys in (info.dims, info.scalars))
        run = {key: value for key, value in settings.items() if key not in dims and key not in scalars}
        run.setdefault("batch", samples)
        instruction = Instruction(self.op, bound, dims, scalars, rows_per_sample)
        return Recording(self.op, [instruction], regions, arrays, same_bits=same_bits, **run)


def matrix(values, extra=0):
    """An operand with garbage in its padding."""
    return Region(values, kernels.row_stride(np.shape(values)[1]) + 16 * extra)


def result(rows, n, extra=0):
    return matrix(np.full((rows, n), GARBAGE, np.float32), extra)


def vector(values):
    """An operand whose padding is zero, and stays so."""
    return Region(kernels.padded(values))


def panels(values):
    return Region(values, packed=True)
