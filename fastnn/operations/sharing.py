"""Values that several elements of a sample share: a slope for each channel, a mask for whole rows."""

import math

import numpy as np

from fastnn._engine.runtime import Buffer


def row_map(sizes, shared_sizes):
    """Which row of the shared values each row of a sample reads.

    Parameters
    ----------
    sizes, shared_sizes : tuple of int
        A sample's axes but the last; those of the values, each either the same or 1.

    Returns
    -------
    (Buffer, offset, nbytes)
        int32, as an operand of the engine.
    """
    numbers = np.arange(math.prod(shared_sizes), dtype=np.int32).reshape(shared_sizes)
    numbers = np.broadcast_to(numbers, sizes).reshape(-1)
    buffer = Buffer(max(64, numbers.nbytes))
    buffer.array(numbers.size, np.int32)[:] = numbers
    return buffer, 0, buffer.nbytes
