# cython: language_level=3, boundscheck=False, cdivision=True, freethreading_compatible=True
"""A frozen network, called with the least overhead."""

from libc.stdint cimport int64_t
from libc.string cimport memset

import numpy as np

cimport numpy as cnp

from fastnn._engine.engine cimport FNN_F32, FNN_SCRATCH_FLOATS, fnn_instr, fnn_job, fnn_source, fnn_tuner
from fastnn._engine.program cimport Program, poll_signals
from fastnn._engine.runtime cimport Buffer, Source, execute, thread_limit

cnp.import_array()

cdef enum:
    MAX_SAMPLE_AXES = 5

# Estimated cycles from which on a call lets other Python threads run meanwhile: handing the GIL over and back costs
# about 0.1 us when nobody wants it, and far more when somebody does.
cdef double WORK_WORTH_RELEASING = 2e4


cdef class Context:
    """What one call at a time needs: a program over an arena of its own."""

    cdef Program program
    cdef fnn_job job
    cdef fnn_instr *output
    cdef fnn_source *input
    cdef Source source
    cdef Buffer scratch
    cdef int threads  # that there is scratch for
    cdef fnn_tuner tuner


cdef class FrozenProgram:
    """The callable part of `fastnn.freeze.Predictor`.

    Parameters
    ----------
    new_program : callable
        Returns the `Program` over a new arena; its last instruction writes the output.
    source : Source
        Where the program reads its input.
    input_shape, output_shape : tuple of int
        Of one sample.
    """

    cdef object new_program
    cdef Source source
    cdef list free
    cdef int input_axes, output_axes
    cdef int64_t[MAX_SAMPLE_AXES] input_dims
    cdef int64_t[MAX_SAMPLE_AXES] output_dims
    cdef int64_t sample_floats, batch
    cdef double work_per_sample

    def __init__(self, new_program, source, input_shape, output_shape):
        if max(len(input_shape), len(output_shape)) > MAX_SAMPLE_AXES:
            raise ValueError(
                f"A predictor's samples have at most {MAX_SAMPLE_AXES} axes. Received: {input_shape} -> {output_shape}")
        self.new_program = new_program
        self.source = source
        self.free = []
        self.input_axes = len(input_shape)
        self.output_axes = len(output_shape)
        self.sample_floats = 1
        for i, size in enumerate(input_shape):
            self.input_dims[i] = size
            self.sample_floats *= size
        for i, size in enumerate(output_shape):
            self.output_dims[i] = size
        context = self._new_context()
        self.work_per_sample = sum(
            (each.work_per_row * each.rows_per_sample for each in (<Context>context).program.instructions), 0.0)
        self.batch = (<Context>context).job.batch
        self.free.append(context)

    cdef Context _new_context(self):
        cdef Context context = Context()
        cdef int threads = thread_limit()
        context.threads = threads
        context.program, context.source = self._program()
        context.scratch = Buffer(threads * FNN_SCRATCH_FLOATS * sizeof(float))
        context.input = &context.source.c
        context.output = &context.program.instrs[context.program.length - 1]
        memset(&context.job, 0, sizeof(fnn_job))
        context.job.instrs = context.program.instrs
        context.job.instr_count = context.program.length
        context.job.batch = context.program.batch
        memset(&context.tuner, 0, sizeof(fnn_tuner))
        context.job.tuner = &context.tuner
        context.job.scratch = <float *>context.scratch.data
        context.input.dtype = FNN_F32
        context.input.axes = 2
        context.input.shape[1] = self.sample_floats
        context.input.strides[1] = sizeof(float)
        context.input.strides[0] = self.sample_floats * sizeof(float)
        return context

    cdef tuple _program(self):
        """A program over a new arena, reading from a source of its own."""
        cdef Source source = Source()
        return self.new_program({self.source: source}), source

    def __call__(self, x, out=None):
        """Outputs for the rows of `x`; see `predict`."""
        cdef cnp.ndarray array, result
        cdef Context context
        cdef int i
        cdef int64_t rows
        cdef bint fits = type(x) is np.ndarray
        if fits:
            array = x
            fits = (cnp.PyArray_TYPE(array) == cnp.NPY_FLOAT32 and cnp.PyArray_ISCARRAY_RO(array)
                    and array.ndim == self.input_axes + 1)
            if fits:
                for i in range(self.input_axes):
                    fits = fits and cnp.PyArray_DIM(array, i + 1) == self.input_dims[i]
        if not fits:
            array = self._convert(x)
        rows = cnp.PyArray_DIM(array, 0)
        if out is None:
            result = self._new_output(rows)
        else:
            result = self._checked_output(out, rows)
        if rows == 0:
            return result
        if out is not None and rows > self.batch and np.may_share_memory(array, result):
            array = array.copy()  # what one batch writes, a later one may have to read
        try:
            context = self.free.pop()
        except IndexError:
            context = self._new_context()
        context.input.data = <const char *>array.data
        context.input.shape[0] = rows
        context.output.p[1] = <void *>result.data
        context.job.total = rows
        context.job.max_threads = min(context.threads, thread_limit())
        context.job.batch_count = (rows + context.job.batch - 1) // context.job.batch
        if self.work_per_sample * rows > WORK_WORTH_RELEASING:
            self._run_without_gil(context)
        else:
            execute(&context.job)
        self.free.append(context)
        return result

    cdef int _run_without_gil(self, Context context) except -1:
        """A long call: other threads run meanwhile, and so do signal handlers."""
        cdef list raised = []
        context.job.poll = poll_signals
        context.job.poll_arg = <void *>raised
        with nogil:
            execute(&context.job)
        context.job.poll = NULL
        if raised:
            self.free.append(context)
            raise raised[0]
        return 0

    cdef cnp.ndarray _new_output(self, int64_t rows):
        cdef cnp.npy_intp[MAX_SAMPLE_AXES + 1] dims
        cdef int i
        dims[0] = rows
        for i in range(self.output_axes):
            dims[i + 1] = self.output_dims[i]
        return cnp.PyArray_EMPTY(self.output_axes + 1, dims, cnp.NPY_FLOAT32, 0)

    cdef cnp.ndarray _checked_output(self, out, int64_t rows):
        cdef cnp.ndarray result
        cdef int i
        cdef bint fits = isinstance(out, np.ndarray)
        if fits:
            result = out
            fits = (cnp.PyArray_TYPE(result) == cnp.NPY_FLOAT32 and cnp.PyArray_ISCARRAY(result)
                    and result.ndim == self.output_axes + 1 and cnp.PyArray_DIM(result, 0) == rows)
            if fits:
                for i in range(self.output_axes):
                    fits = fits and cnp.PyArray_DIM(result, i + 1) == self.output_dims[i]
        if not fits:
            shape = (rows, *[self.output_dims[i] for i in range(self.output_axes)])
            got = f"{out.dtype} {out.shape}" if isinstance(out, np.ndarray) else type(out).__name__
            raise ValueError(
                f"`out` must be a writable, C-contiguous float32 array of shape {shape}. Received: {got}")
        return result
