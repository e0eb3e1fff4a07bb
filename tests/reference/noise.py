"""Random numbers of layers in float64: the oracle of ``csrc/ops/noise.c``."""

from statistics import NormalDist

import numpy as np

from reference.data import words


def bits(rows, n, seed, stream, step):
    """The upper 24 bits of each element's word; an element is numbered in rows of 16 columns."""
    padded = -(-n // 16) * 16
    return (words(rows * padded, seed, stream, step).reshape(rows, padded)[:, :n] >> np.uint32(8)).astype(np.int64)


def uniform(*where):
    return bits(*where) / 2.0**24


def normal(*where):
    return np.vectorize(NormalDist().inv_cdf)((bits(*where) + 0.5) / 2.0**24)
