"""The numbers of the int8 precision: weights of 8 bits for each output, activations of up to 16.

A product of integers is exact, so what a layer answers differs from float32 only by the two roundings described here,
and by nothing between one processor and another. Everything that packs, runs or exports quantised layers takes its
numbers from this file.
"""

import numpy as np

INT8_LARGEST = 127
INT16_LARGEST = 32767
_INT32_LARGEST = 2**31 - 1


def quantize(kernel):
    """Round a kernel to 8 bits, symmetrically, with a scale for each output.

    Parameters
    ----------
    kernel : ndarray of float32, shape (inputs, outputs)

    Returns
    -------
    integers : ndarray of int8, shape (inputs, outputs)
        From -127 to 127; ``integers * scale`` is nearly the kernel.
    scale : ndarray of float32, shape (outputs,)
        1 where a whole column is zero.

    Raises
    ------
    ValueError
        If the kernel has infinities or what is not a number.
    """
    kernel = np.asarray(kernel, np.float32)
    if not np.isfinite(kernel).all():
        raise ValueError("A kernel with infinities or NaN cannot be quantised: train again with smaller steps.")
    largest = np.abs(kernel).max(axis=0, initial=0)
    scale = (largest / np.float32(INT8_LARGEST)).astype(np.float32)
    scale[scale == 0] = 1
    integers = np.clip(np.rint(kernel / scale), -INT8_LARGEST, INT8_LARGEST).astype(np.int8)
    return integers, scale


def activation_limit(integers):
    """The largest integer that an activation may become, so that no sum of products leaves 32 bits.

    Parameters
    ----------
    integers : ndarray of int8, shape (inputs, outputs)
        The layer's quantised kernel.

    Returns
    -------
    int
        At most 32767. An activation becomes ``rint(x * (limit / range))``; the range is the largest magnitude of a row
        or of the calibration data.
    """
    sums = np.abs(integers.astype(np.int64)).sum(axis=0)
    return int(min(INT16_LARGEST, _INT32_LARGEST // max(1, int(sums.max(initial=0)))))
