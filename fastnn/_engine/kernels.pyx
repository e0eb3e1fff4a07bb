# cython: language_level=3, boundscheck=False, cdivision=True, freethreading_compatible=True
"""One operation of the engine on NumPy arrays: what tests, benchmarks and eager calls use.

Matrices are C-contiguous float32 arrays whose last axis is the row stride (a multiple of 16); `padded` makes one.
"""

from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memset

import numpy as np

cimport numpy as cnp

from fastnn._engine.engine cimport FNN_SCRATCH_FLOATS, fnn_instr, fnn_run, fnn_training
from fastnn._engine.runtime cimport Buffer, Source, data_of, isa_named, op_named, team_run, training_named

from fastnn._engine.runtime import OPS, isas

__all__ = ["aligned", "call", "isas", "pack", "packed_floats", "padded", "panel_count", "peak", "row_stride", "unpack"]

cnp.import_array()

cdef int ALIGN = 16


def aligned(shape, dtype=np.float32):
    """A zeroed array that starts at a cache line."""
    shape = (shape,) if np.isscalar(shape) else tuple(shape)
    nbytes = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    return Buffer(nbytes).array(shape, dtype)


def row_stride(n):
    """The padded length of a row of n values."""
    return -(-n // ALIGN) * ALIGN


def padded(array, extra=0):
    """A float32 copy of a vector or matrix, its last axis padded with zeros (and `extra` further cache lines)."""
    array = np.asarray(array)
    out = aligned((*array.shape[:-1], row_stride(array.shape[-1]) + extra * ALIGN))
    out[..., :array.shape[-1]] = array
    return out


def pack(matrix, isa=None):
    """A k x n matrix in the panels that the dense kernels read."""
    cdef const fnn_training *kernels = training_named(isa)
    cdef cnp.ndarray source = np.ascontiguousarray(matrix, np.float32)
    cdef float *values = <float *>data_of(source, 2, cnp.NPY_FLOAT32, "matrix")
    cdef cnp.ndarray packed = aligned(kernels.panel_floats(source.shape[0], source.shape[1]))
    kernels.panel_pack(values, source.shape[1], source.shape[0], source.shape[1],
                       <float *>cnp.PyArray_DATA(packed))
    return packed


def unpack(cnp.ndarray packed, int64_t k, int64_t n, isa=None):
    """The k x n matrix that `pack` packed."""
    cdef const fnn_training *kernels = training_named(isa)
    cdef float *values = <float *>data_of(packed, 1, cnp.NPY_FLOAT32, "packed")
    if packed.shape[0] < kernels.panel_floats(k, n):
        raise ValueError(
            f"A packed {k} x {n} matrix has {kernels.panel_floats(k, n)} floats. Received {packed.shape[0]}.")
    cdef cnp.ndarray matrix = np.empty((k, n), np.float32)
    kernels.panel_unpack(values, k, n, <float *>cnp.PyArray_DATA(matrix), n)
    return matrix


def packed_floats(int64_t k, int64_t n, isa=None):
    """How many floats a packed k x n matrix takes."""
    return training_named(isa).panel_floats(k, n)


def panel_count(int64_t n, isa=None):
    """How many panels a packed matrix of n columns has: of two vectors, the last one of up to three."""
    cdef int64_t width = isa_named(isa).vector_floats
    return max(1, (n + width - 1) // width // 2)


def peak(int64_t rounds, isa=None):
    """Multiply and add in registers alone, on this thread; returns how many floating-point operations that were."""
    cdef const fnn_training *kernels = training_named(isa)
    cdef float result
    cdef double flops
    with nogil:
        flops = kernels.peak(rounds, &result)
    return flops


cdef struct Team:
    fnn_instr *instr
    fnn_run run
    float *scratch


cdef void run_in_team(void *argument, int thread, int threads) noexcept nogil:
    cdef Team *team = <Team *>argument
    cdef fnn_run run = team.run
    run.thread = thread
    run.threads = threads
    run.scratch = team.scratch + <int64_t>thread * FNN_SCRATCH_FLOATS
    team.instr.run(team.instr, &run)


def call(str name, int64_t samples, dict operands, dict dims=None, dict scalars=None, int64_t rows_per_sample=1,
         isa=None, int threads=1, int64_t step=0, seed=0, int64_t first=0, order=None, hyper=(0.01,), int repeat=1):
    """Run one operation in place.

    Parameters
    ----------
    name : str
        The operation, for example ``"dense_forward"``; `fastnn._engine.runtime.OPS` lists them.
    samples : int
        Samples in the batch; the operation sees ``samples * rows_per_sample`` rows.
    operands : dict of str to C-contiguous ndarray or None
        Every operand by name; those that are optional may be missing. A `source` may be any array.
    dims, scalars : dict
        Every dimension (int) and scalar (float) by name.
    isa : str, optional
        An instruction set of `isas()`; the active one by default.
    threads : int
        Size of the team.
    step, seed, first, order, hyper
        What the operation sees of the running program.
    repeat : int
        Run it so many times without returning (for benchmarks).
    """
    cdef fnn_instr instr
    cdef Team team
    cdef cnp.ndarray hyper_values = np.ascontiguousarray(hyper, np.float64), order_values
    cdef int i
    cdef cnp.ndarray array
    info = OPS[name]
    dims = dims or {}
    scalars = scalars or {}
    operands = {**dict.fromkeys(info.optional), **operands}
    _check_names(info, "operand", info.operands, operands)
    _check_names(info, "dimension", info.dims, dims)
    _check_names(info, "scalar", info.scalars, scalars)
    memset(&instr, 0, sizeof(instr))
    memset(&team, 0, sizeof(team))
    instr.run = op_named(isa_named(isa), name).run
    instr.rows_per_sample = rows_per_sample
    sources = []
    for i, key in enumerate(info.operands):
        value = operands[key]
        if value is None:
            if key not in info.optional:
                raise ValueError(f"{name}: operand {key!r} must be an array. Received None.")
        elif key == "source":
            source = Source(np.asarray(value))
            sources.append(source)
            instr.p[i] = &(<Source>source).c
        else:
            if not isinstance(value, np.ndarray) or not value.flags.c_contiguous:
                raise ValueError(f"{name}: operand {key!r} must be a C-contiguous array.")
            array = value
            instr.p[i] = <void *>array.data
    for i, key in enumerate(info.dims):
        instr.d[i] = dims[key]
    for i, key in enumerate(info.scalars):
        instr.s[i] = scalars[key]
    cdef Buffer scratch = Buffer(threads * FNN_SCRATCH_FLOATS * sizeof(float))
    team.instr = &instr
    team.scratch = <float *>scratch.data
    team.run.samples = samples
    team.run.first = first
    team.run.left = samples
    team.run.step = step
    team.run.seed = <uint64_t>(seed & 0xFFFFFFFFFFFFFFFF)
    team.run.hyper = <const double *>cnp.PyArray_DATA(hyper_values)
    if order is not None:
        order_values = np.ascontiguousarray(order, np.int64)
        team.run.order = <const int64_t *>cnp.PyArray_DATA(order_values)
    with nogil:
        for _ in range(repeat):
            team_run(threads, run_in_team, &team)


def _check_names(info, kind, expected, given):
    if set(expected) != set(given):
        raise ValueError(f"{info.name} takes the {kind}s {list(expected)}. Received: {list(given)}")
