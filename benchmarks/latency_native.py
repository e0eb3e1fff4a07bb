"""Builds `latency_native.c` and calls it: networks through fastnn's C interface, how fast memory can be read, and
additions that need nothing but the processor's time."""

import ctypes
import functools
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

from fastnn.cli.latency import time_calls

# Of one look at the clock: what it costs itself, some 25 ns, disappears in this.
_LOOK_SECONDS = 5e-6
_LEAST_LOOKS = 5
_INT64 = np.ctypeslib.ndpointer(np.int64, flags="C_CONTIGUOUS")
_FLOAT32 = np.ctypeslib.ndpointer(np.float32, flags="C_CONTIGUOUS")


def compiler():
    """The C compiler to use, or None."""
    return next(filter(None, map(shutil.which, (os.environ.get("CC") or "cc", "gcc", "clang"))), None)


@functools.cache
def compiled():
    """The compiled clocks.

    Raises
    ------
    OSError
        Where there is no C compiler.
    """
    if compiler() is None:
        raise OSError("no C compiler: install gcc or clang")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "latency_native.so")
        source = Path(__file__).with_suffix(".c")
        flags = ["-std=c11", "-O3", "-march=native", "-mprefer-vector-width=512"]
        attempts = (flags, flags[:2])  # the second is for compilers and processors that do not know the others
        for number, each in enumerate(attempts, 1):
            done = subprocess.run(
                [compiler(), *each, "-shared", "-fPIC", str(source), "-o", str(path)], capture_output=True, text=True
            )
            if done.returncode == 0:
                break
            if number == len(attempts):
                raise OSError(f"{source.name} does not compile: {done.stderr}")
        native = ctypes.CDLL(str(path))
    native.time_reading.argtypes = [ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64, _INT64]
    native.time_reading.restype = ctypes.c_float
    native.wait_for_additions.argtypes, native.wait_for_additions.restype = [ctypes.c_int64], ctypes.c_float
    native.time_runs.argtypes = [
        *(ctypes.c_void_p, ctypes.c_void_p, _FLOAT32, ctypes.c_int64, _FLOAT32),
        *(ctypes.c_int64, ctypes.c_int64, _INT64),
    ]
    return native


def looks(timed, seconds):
    """Nanoseconds of single calls: each look at the clock is the mean of as many as take a few microseconds.

    Parameters
    ----------
    timed : callable
        ``timed(repeat, count)``: an array of the nanoseconds of `count` times `repeat` calls.
    """
    repeat = 1
    while (once := timed(repeat, 1)[0] / 1e9) < _LOOK_SECONDS:
        repeat *= 2
    end, found = time.perf_counter() + seconds, []
    count = max(1, int(min(seconds, 0.01) / once))
    while sum(map(len, found)) < _LEAST_LOOKS or time.perf_counter() < end:
        found.append(timed(repeat, count) / repeat)
    return np.concatenate(found)


def reading(nbytes, seconds):
    """Bytes a second of reading the same memory of about `nbytes` bytes again and again."""
    nbytes = max(1, round(nbytes / 4096)) * 4096
    memory = np.zeros(nbytes // 4 + 16, np.float32)
    memory += 1  # pages of zeros that nobody wrote to are all the same one
    start = -(-memory.ctypes.data // 64) * 64
    native = compiled()

    def timed(repeat, count):
        nanoseconds = np.empty(count, np.int64)
        native.time_reading(start, nbytes, repeat, count, nanoseconds)
        return nanoseconds

    return nbytes / np.median(looks(timed, seconds)) * 1e9


def waiting(nanoseconds):
    """A call that takes about so long on a processor that nobody disturbs, and its arguments."""
    call = compiled().wait_for_additions

    def takes(count):
        return float(np.median(time_calls(call, (count,), 0.002)))

    many = 100_000
    nothing = takes(0)
    return call, (max(0, round((nanoseconds - nothing) / (takes(many) - nothing) * many)),)


class Session:
    """A network bound by fastnn.h: call it with `x` and `y`, or time such calls.

    Parameters
    ----------
    path : str or path
        A file of `frozen.save`.
    rows : int
    """

    def __init__(self, path, rows):
        self._c = interface()
        self._net = ctypes.create_string_buffer(64)  # a fastnn_net, which is smaller
        self._check(self._c.fastnn_open_file(os.fsencode(path), self._net))
        nbytes = self._c.fastnn_memory(self._net, rows)
        self._memory = ctypes.create_string_buffer(nbytes)
        self._session = ctypes.c_void_p()
        self._check(
            self._c.fastnn_bind(self._net, self._memory, ctypes.c_size_t(nbytes), rows, ctypes.byref(self._session))
        )

    def __call__(self, x, y):
        self._timed(x, y, 1, 1)
        return y

    def times(self, x, y, seconds):
        """Nanoseconds of single calls of fastnn_run; see `looks`."""
        return looks(functools.partial(self._timed, x, y), seconds)

    def _timed(self, x, y, repeat, count):
        nanoseconds = np.empty(count, np.int64)
        run = ctypes.cast(self._c.fastnn_run, ctypes.c_void_p)
        self._check(compiled().time_runs(run, self._session, x, len(x), y, repeat, count, nanoseconds))
        return nanoseconds

    def _check(self, status):
        if status:
            raise OSError(self._c.fastnn_message(status).decode())


@functools.cache
def interface():
    """The functions of fastnn.h, from the library that `import fastnn` loads."""
    from fastnn._engine import runtime

    c = ctypes.CDLL(runtime.__file__)
    c.fastnn_message.restype = ctypes.c_char_p
    c.fastnn_memory.argtypes, c.fastnn_memory.restype = [ctypes.c_void_p, ctypes.c_int64], ctypes.c_size_t
    c.fastnn_bind.argtypes = [*[ctypes.c_void_p] * 2, ctypes.c_size_t, ctypes.c_int64, ctypes.c_void_p]
    return c
