"""The IDX format of the MNIST files: a big-endian header, then one array in C order.

========  =======================================================================
bytes     meaning
========  =======================================================================
0, 1      zero
2         type: 8 uint8, 9 int8, 11 int16, 12 int32, 13 float32, 14 float64
3         number of axes, n
4 ...     n lengths, uint32 each
...       the values
========  =======================================================================
"""

import gzip
import math
import os
import struct
import zlib

import numpy as np

__all__ = ["read"]

_DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_MAX_AXES = 32
# Deflate cannot do better: it bounds what a compressed file of a given size may claim to hold.
_MAX_GZIP_RATIO = 1032


def read(path):
    """Read an IDX file, gzip-compressed or plain (told by its first bytes, not by its name).

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    numpy.ndarray
        A new, writable, C-ordered array in the machine's byte order.

    Raises
    ------
    ValueError
        If the file is not IDX, is cut short, is damaged or has bytes left over. Nothing is
        allocated for lengths that the file cannot hold.
    OSError
        If the file cannot be opened or read.

    Examples
    --------
    >>> read("/usr/share/datasets/fashion-mnist/t10k-labels-idx1-ubyte.gz").shape  # doctest: +SKIP
    (10000,)
    """
    with open(path, "rb") as raw:
        compressed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        size = os.fstat(raw.fileno()).st_size
        if not compressed:
            return _read(path, raw, size)
        try:
            with gzip.GzipFile(fileobj=raw) as file:
                return _read(path, file, size * _MAX_GZIP_RATIO)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise ValueError(f"{path}: damaged gzip file ({error}); fetch it again") from error


def _read(path, file, capacity):
    head = file.read(4)
    if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in _DTYPES:
        raise ValueError(
            f"{path}: not an IDX file: expected it to start with 00 00, a type "
            f"({', '.join(f'{code:02x}' for code in _DTYPES)}) and a number of axes, "
            f"received {head.hex(' ') or 'nothing'}"
        )
    axes = head[3]
    if not 1 <= axes <= _MAX_AXES:
        raise ValueError(f"{path}: expected 1 to {_MAX_AXES} axes, received {axes}")
    lengths = file.read(4 * axes)
    if len(lengths) < 4 * axes:
        raise ValueError(
            f"{path}: cut short: expected {4 * axes} bytes of lengths for {axes} axes, "
            f"received {len(lengths)}; fetch it again"
        )
    shape = struct.unpack(f">{axes}I", lengths)
    dtype = np.dtype(_DTYPES[head[2]])
    # The second limit is NumPy's own: it holds for the other axes of an empty array too.
    limit = np.iinfo(np.intp).max // dtype.itemsize
    if math.prod(shape) * dtype.itemsize > capacity or math.prod(filter(None, shape)) > limit:
        raise ValueError(
            f"{path}: cut short or damaged: its header promises {dtype.name} values of shape "
            f"{shape}, more than the file can hold; fetch it again"
        )
    values = np.empty(shape, dtype)
    received = file.readinto(values.reshape(-1).view(np.uint8))
    if received < values.nbytes:
        raise ValueError(
            f"{path}: cut short: expected {values.nbytes} bytes of {dtype.name} values of shape "
            f"{shape}, received {received}; fetch it again"
        )
    if file.read(1):
        raise ValueError(
            f"{path}: expected the file to end after {dtype.name} values of shape {shape}, "
            "received more bytes; is the header right?"
        )
    return values.astype(dtype.newbyteorder("="), copy=False)
