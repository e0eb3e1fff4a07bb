"""Hashes of text that spread tokens over bins as TensorFlow's, and so Keras's, do: FarmHash's 64-bit fingerprint, and
SipHash-2-4 where there is a key. On the host, once for each different token of an array."""

import numpy as np

_ALL = 2**64 - 1
_K0, _K1, _K2 = 0xC3A5C85C97CB3127, 0xB492B66FBE98F273, 0x9AE16A3B2F90404F


def bins(values, count, key=None):
    """The bin of each value, int64: its text's hash modulo `count`.

    Parameters
    ----------
    values : ndarray
        Of text, bytes or integers, which are hashed as their decimal digits.
    count : int
    key : pair of int, optional
        For SipHash; without it, the fingerprint.
    """
    unique, places = np.unique(values, return_inverse=True)
    texts = [each if isinstance(each, bytes) else str(each).encode() for each in unique.tolist()]
    hashes = [(fingerprint(each) if key is None else siphash(each, key)) % count for each in texts]
    return np.array(hashes, np.int64)[places].reshape(values.shape)


def crossed(columns, count):
    """The bin of each row of several columns together, int64: fingerprints of text, and integers as they are, are
    mixed one after the other, as ``tf.sparse.cross_hashed`` does."""
    mixed = [0xDECAFCAFFE] * columns[0].size
    for column in columns:
        for row, value in enumerate(column.reshape(-1).tolist()):
            if isinstance(value, (str, bytes)):
                value = fingerprint(value if isinstance(value, bytes) else value.encode())
            mixed[row] = _together(mixed[row], value & _ALL)
    return np.array([each % count for each in mixed], np.int64).reshape(columns[0].shape)


def _together(a, b):
    factor = 0xC6A4A7935BD1E995
    result = a ^ factor ^ _folded(b * factor & _ALL) * factor & _ALL
    return _folded(_folded(result * factor & _ALL) * factor & _ALL)


def fingerprint(text):
    """FarmHash's `Fingerprint64` of bytes."""
    size = len(text)
    if size <= 16:
        return _up_to_16(text, size)
    if size <= 64:
        return _up_to_64(text, size)
    return _longer(text, size)


def _word(text, place, size=8):
    return int.from_bytes(text[place : place + size], "little")


def _turned(value, places):
    """Turned to the right."""
    value &= _ALL
    return (value >> places | value << 64 - places) & _ALL


def _folded(value):
    return value ^ value >> 47


def _pair(u, v, factor):
    a = _folded((u ^ v) * factor & _ALL)
    return _folded((v ^ a) * factor & _ALL) * factor & _ALL


def _up_to_16(text, size):
    if size >= 8:
        factor = _K2 + 2 * size & _ALL
        a, b = _word(text, 0) + _K2 & _ALL, _word(text, size - 8)
        c, d = _turned(b, 37) * factor + a & _ALL, (_turned(a, 25) + b) * factor & _ALL
        return _pair(c, d, factor)
    if size >= 4:
        return _pair(size + (_word(text, 0, 4) << 3), _word(text, size - 4, 4), _K2 + 2 * size & _ALL)
    if not size:
        return _K2
    y, z = text[0] + (text[size >> 1] << 8), size + (text[-1] << 2)
    return _folded(y * _K2 & _ALL ^ z * _K0 & _ALL) * _K2 & _ALL


def _up_to_64(text, size):
    factor, short = _K2 + 2 * size & _ALL, size <= 32
    a, b = _word(text, 0) * (_K1 if short else _K2) & _ALL, _word(text, 8)
    c, d = _word(text, size - 8) * factor & _ALL, _word(text, size - 16) * _K2 & _ALL
    y = _turned(a + b, 43) + _turned(c, 30) + d & _ALL
    z = _pair(y, a + _turned(b + _K2, 18) + c & _ALL, factor)
    if short:
        return z
    e, f = _word(text, 16) * factor & _ALL, _word(text, 24)
    g, h = (y + _word(text, size - 32)) * factor & _ALL, (z + _word(text, size - 24)) * factor & _ALL
    return _pair(_turned(e + f, 43) + _turned(g, 30) + h & _ALL, e + _turned(f + a, 18) + g & _ALL, factor)


def _weak(text, place, a, b):
    """Of 32 bytes and two seeds."""
    w, x, y, z = (_word(text, place + each) for each in (0, 8, 16, 24))
    a = a + w & _ALL
    b, c = _turned(b + a + z, 21), a
    a = a + x + y & _ALL
    return a + z & _ALL, b + _turned(a, 44) + c & _ALL


def _longer(text, size):
    seed = 81
    x, y = seed * _K2 + _word(text, 0) & _ALL, seed * _K1 + 113 & _ALL
    z = _folded(y * _K2 + 113 & _ALL) * _K2 & _ALL
    v = w = (0, 0)
    last = size - 64
    for place in [*range(0, (size - 1) // 64 * 64, 64), last]:
        end = place == last
        factor = _K1 + ((z & 0xFF) << 1) & _ALL if end else _K1
        nine = 9 if end else 1
        if end:
            w = (w[0] + (size - 1 & 63) & _ALL, w[1])
            v = (v[0] + w[0] & _ALL, v[1])
            w = (w[0] + v[0] & _ALL, w[1])
        x = _turned(x + y + v[0] + _word(text, place + 8), 37) * factor & _ALL
        y = _turned(y + v[1] + _word(text, place + 48), 42) * factor & _ALL
        x ^= w[1] * nine & _ALL
        y = y + v[0] * nine + _word(text, place + 40) & _ALL
        z = _turned(z + w[0], 33) * factor & _ALL
        v = _weak(text, place, v[1] * factor & _ALL, x + w[0] & _ALL)
        w = _weak(text, place + 32, z + w[1] & _ALL, y + _word(text, place + 16) & _ALL)
        x, z = z, x
    first = _pair(v[0], w[0], factor) + _folded(y) * _K0 + z & _ALL
    return _pair(first, _pair(v[1], w[1], factor) + x & _ALL, factor)


def siphash(text, key):
    """SipHash-2-4 of bytes (Aumasson and Bernstein, 2012), with a key of two 64-bit integers."""
    k0, k1 = (each & _ALL for each in key)
    v = [k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D, k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573]
    whole = len(text) // 8 * 8
    words = [_word(text, place) for place in range(0, whole, 8)]
    words.append(_word(text, whole) | (len(text) & 0xFF) << 56)
    for word in words:
        v[3] ^= word
        _rounds(v, 2)
        v[0] ^= word
    v[2] ^= 0xFF
    _rounds(v, 4)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def _rounds(v, count):
    for _ in range(count):
        v[0] = v[0] + v[1] & _ALL
        v[1] = _turned(v[1], 51) ^ v[0]
        v[0] = _turned(v[0], 32)
        v[2] = v[2] + v[3] & _ALL
        v[3] = _turned(v[3], 48) ^ v[2]
        v[0] = v[0] + v[3] & _ALL
        v[3] = _turned(v[3], 43) ^ v[0]
        v[2] = v[2] + v[1] & _ALL
        v[1] = _turned(v[1], 47) ^ v[2]
        v[2] = _turned(v[2], 32)
