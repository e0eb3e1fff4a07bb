"""Dropout in float64: the oracle of ``csrc/ops/dropout.c``."""

import numpy as np

from reference.data import words


def kept(rows, n, rate, seed, stream, step):
    """Which elements dropout keeps; an element's word is its number in rows of 16 columns."""
    padded = -(-n // 16) * 16
    drawn = words(rows * padded, seed, stream, step).reshape(rows, padded)[:, :n]
    return (drawn >> np.uint32(1)) >= int(np.float32(rate) * 2.0**31)


def scaled(values, keep, rate):
    """The forward pass of x and, with the same ``keep``, the backward pass of dy."""
    scale = 1 / (1 - np.float64(np.float32(rate))) if rate < 1 else 0.0
    return np.where(keep, np.asarray(values, np.float64) * scale, 0.0)
