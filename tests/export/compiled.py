"""Compiles exported networks and runs them."""

import ctypes
import itertools
import shutil
import subprocess

import numpy as np
import pytest
from fastnn._engine.runtime import active_isa_name

WARNINGS = (
    "-Wall -Wextra -pedantic -Wconversion -Wsign-conversion -Wdouble-promotion -Wshadow -Wundef -Wcast-qual "
    "-Wstrict-prototypes -Werror"
).split()
STRICT = ["-std=c99", *WARNINGS]
_number = itertools.count()
FLOATS = ctypes.POINTER(ctypes.c_float)
FUSED = int(active_isa_name() != "baseline")  # does the predictor here fuse multiply-adds?


def need(*tools):
    for tool in tools:
        if shutil.which(tool) is None:
            pytest.skip(f"needs {tool}")


def run(*command, **options):
    done = subprocess.run([str(each) for each in command], capture_output=True, text=True, timeout=120, **options)
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout + done.stderr


class Library:
    """An exported network as a function of arrays.

    Parameters
    ----------
    exported : ExportedC
    graph : Graph
        For the shapes.
    """

    def __init__(self, exported, graph, compiler="gcc", flags=()):
        need(compiler)
        source = exported.files[0]
        fused = f"-D{exported.name.upper()}_FMA={FUSED}"
        binary = source.with_suffix(f".{next(_number)}.so")  # a name that was loaded before would be that library again
        run(compiler, *STRICT, "-O1", fused, *flags, "-fPIC", "-shared", source, "-o", binary, "-lm")
        self._function = getattr(ctypes.CDLL(str(binary)), f"{exported.name}_predict")
        self._shapes = [each.shape[1:] for each in graph.outputs]

    def __call__(self, *inputs):
        inputs = [np.ascontiguousarray(each, np.float32) for each in inputs]
        samples = len(inputs[0])
        outputs = [np.full((samples, *shape), 777, np.float32) for shape in self._shapes]
        for row in range(samples):
            self._function(*(each[row : row + 1].ctypes.data_as(FLOATS) for each in [*inputs, *outputs]))
        return outputs[0] if len(outputs) == 1 else outputs


def samples_of(graph, count=9, seed=0):
    random = np.random.default_rng(seed)
    return [random.normal(size=(count, *each.shape[1:])).astype(np.float32) for each in graph.inputs]


def same_bits(a, b):
    """Equal to the bit; NaN is NaN."""
    a, b = np.asarray(a, np.float32), np.asarray(b, np.float32)
    return a.shape == b.shape and bool(np.all((a.view(np.uint32) == b.view(np.uint32)) | (np.isnan(a) & np.isnan(b))))


def close(a, b, ulp):
    """Within some ulp of the larger magnitude of the array."""
    return np.max(np.abs(a - b), initial=0) <= ulp * 2.0**-23 * max(1e-30, np.max(np.abs(b), initial=0))
