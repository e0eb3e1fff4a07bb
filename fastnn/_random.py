"""The seed stream: where every seed that the user did not give comes from.

Initializers, shuffling and dropout each take one 64-bit seed from here when they are created, in
the order in which the program creates them. So one call of `set_random_seed` fixes a whole run,
while two layers never start from the same numbers.
"""

import os
import threading

_MASK = (1 << 64) - 1
_lock = threading.Lock()
_state = None  # None until set_seed: seeds then come from the operating system


def set_seed(seed):
    """Restart the stream at `seed` (any integer; taken modulo 2**64)."""
    global _state
    with _lock:
        _state = int(seed) & _MASK


def next_seed():
    """Return the next seed, an integer in [0, 2**64).

    Deterministic after `set_seed`, else 64 bits of the operating system's entropy. The sequence is
    SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA
    2014): neighbouring states give unrelated seeds.
    """
    global _state
    with _lock:
        if _state is None:
            return int.from_bytes(os.urandom(8), "little")
        _state = (_state + 0x9E3779B97F4A7C15) & _MASK
        z = _state
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)
