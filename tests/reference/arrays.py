"""Matrices as the engine holds them, with something in the padding that must not leak."""

import numpy as np

from fastnn._engine import kernels

GARBAGE = -7.5e30  # finite, as the engine's contract says, and loud where it reaches a result


def matrix(values, extra=0, garbage=GARBAGE):
    """A float32 copy of ``(rows, n)`` values, its rows ``extra`` cache lines longer than need be."""
    out = kernels.padded(values, extra)
    out[:, np.shape(values)[1] :] = garbage
    return out


def garbage(rows, n, extra=0):
    """An output matrix before anything was written to it."""
    return matrix(np.full((rows, n), GARBAGE), extra)


def width(n):
    """The columns that an operation writes for a row of ``n`` values."""
    return kernels.row_stride(n)


def same_bits(a, b):
    """Whether two float arrays are equal bit by bit, except that any NaN equals any other."""
    a, b = np.ascontiguousarray(a), np.ascontiguousarray(b)
    bits = np.dtype(f"u{a.itemsize}")
    return bool(np.all((a.view(bits) == b.view(bits)) | (np.isnan(a) & np.isnan(b))))
