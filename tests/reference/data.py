"""What the engine draws and reads, in plain NumPy: the oracle of ``random.h``, ``order.c`` and
``ops/gather.c``.
"""

import numpy as np

SHUFFLE_STREAM = 2**64 - 1
LANES = 16
GROUP = 4 * LANES
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


def philox4x32(counter, key):
    """Philox4x32-10: blocks of four words for counters ``(..., 4)`` under a key of two words."""
    c = [np.asarray(counter)[..., i].astype(np.uint64) for i in range(4)]
    k0, k1 = key
    for _ in range(10):
        first, second = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        c = [
            (second >> _HALF) ^ c[1] ^ np.uint64(k0),
            second & _LOW,
            (first >> _HALF) ^ c[3] ^ np.uint64(k1),
            first & _LOW,
        ]
        k0, k1 = (k0 + 0x9E3779B9) % 2**32, (k1 + 0xBB67AE85) % 2**32
    return np.stack(c, axis=-1).astype(np.uint32)


def _halves(value):
    return value % 2**32, value // 2**32


def words(n, seed, stream, step):
    """The first ``n`` random words of a stream at a step, in the engine's order."""
    key = philox4x32(np.array([*_halves(stream), 0, 0]), _halves(seed))[:2].tolist()
    groups = -(-n // GROUP)
    counter = np.zeros((groups * LANES, 4), np.uint64)
    counter[:, 0] = np.arange(groups * LANES)
    counter[:, 2:] = _halves(step)
    blocks = philox4x32(counter, key).reshape(groups, LANES, 4)
    return blocks.transpose(0, 2, 1).reshape(-1)[:n]


def shuffled(n, seed, epoch):
    """Fisher-Yates from inside out; places by Lemire's unbiased multiplication."""
    order = []
    stream = iter(words(n + 1000, seed, SHUFFLE_STREAM, epoch).tolist())
    while len(order) < n:
        bound = len(order) + 1
        product = next(stream) * bound
        if product % 2**32 < 2**32 % bound:
            continue
        place = product >> 32
        order.append(order[place] if place < len(order) else place)
        order[place] = bound - 1
    return np.array(order, np.int64)


def gathered(source, samples, rows_per_sample, n):
    """Those samples of an array as float32 rows."""
    return np.asarray(source)[samples].astype(np.float32).reshape(len(samples) * rows_per_sample, n)
