# cython: language_level=3, boundscheck=False, cdivision=True, freethreading_compatible=True
"""Frozen images: opened, bound to memory and called with the least overhead."""

from cpython.buffer cimport (
    PyBUF_SIMPLE, PyBuffer_Release, PyObject_CheckBuffer, PyObject_GetBuffer,
)
from libc.stdint cimport int64_t, uintptr_t
from libc.string cimport memset

import numpy as np

cimport numpy as cnp

from fastnn._engine.engine cimport (
    FNN_SCRATCH_FLOATS, fastnn_net, fastnn_port, fastnn_session, fnn_frozen_aim, fnn_instr, fnn_job, fnn_threads_for,
    fnn_tuner,
)
from fastnn._engine.program cimport poll_signals
from fastnn._engine.runtime cimport (
    Buffer, execute, frozen_bind, frozen_memory, frozen_message, frozen_open, frozen_port, frozen_run, frozen_run_rows,
    thread_limit,
)

cnp.import_array()

cdef enum:
    MAX_SAMPLE_AXES = 6
    MAX_PORTS = 64
    MAX_TEAM = 64
    SIZES = 3

# Rows of the sessions that small, middle and large calls take: a lone row's values lie side by side. The last is a
# multiple of the kernels' tiles and no power of two, so that the same place of different matrices does not fall into
# the same cache sets.
cdef int64_t[SIZES] ROWS = [1, 16, 264]

# Estimated cycles from which on a call lets other Python threads run meanwhile: handing the GIL over and back costs
# about 0.1 us when nobody wants it, and far more when somebody does.
cdef double WORK_WORTH_RELEASING = 2e4

cdef object _AUTO = "auto"


cdef class Session:
    """What one call at a time needs: the network bound to memory of its own."""

    cdef fastnn_session *c
    cdef Buffer memory
    cdef fnn_tuner tuner


cdef struct Port:
    int axes
    int64_t floats
    int64_t dims[MAX_SAMPLE_AXES]


cdef class Image:
    """A frozen network that C has checked: once is enough.

    Parameters
    ----------
    image : buffer of bytes
        Kept, and used in place if it is aligned to 64 bytes and read-only; else copied.

    Attributes
    ----------
    memory : memoryview
        Its bytes: weights, instructions and description.

    Raises
    ------
    ValueError
        If it is no image, damaged, or from a newer version.
    """

    cdef readonly object memory
    cdef fastnn_net net

    def __cinit__(self, image):
        cdef Py_buffer view
        cdef Buffer copy
        cdef int status
        PyObject_GetBuffer(image, &view, PyBUF_SIMPLE)
        try:
            if <uintptr_t>view.buf % 64 or not view.readonly:  # what can be written to may change
                copy = Buffer(view.len)
                copy.array((view.len,), np.uint8)[:] = np.frombuffer(image, np.uint8)
                image = copy
        finally:
            PyBuffer_Release(&view)
        PyObject_GetBuffer(image, &view, PyBUF_SIMPLE)
        self.memory = memoryview(image).toreadonly()  # what is exported neither moves nor ends
        status = frozen_open(view.buf, view.len, &self.net)
        PyBuffer_Release(&view)
        if status != 0:
            raise ValueError(frozen_message(status).decode())


cdef class FrozenProgram:
    """A frozen network, callable.

    Attributes
    ----------
    image : memoryview
        The bytes of an `Image`; None for a network that images cannot hold.
    nbytes : int
        Of the image.
    """

    cdef readonly object image
    cdef fastnn_net net
    cdef list free  # for each of ROWS, sessions that nobody uses
    cdef Port input, output  # the first ones
    cdef readonly list input_shapes
    cdef readonly list output_shapes
    cdef double work_per_sample, work
    cdef bint ambiguous  # an array of one value may be a sample or a batch

    def __cinit__(self):
        memset(&self.net, 0, sizeof(self.net))

    def _open(self, Image image):
        cdef Session session
        cdef fnn_instr *instr
        cdef fastnn_port port
        self.image = image.memory
        self.net = image.net
        self.input_shapes = self._shapes(False)
        self.output_shapes = self._shapes(True)
        frozen_port(&self.net, False, 0, &port)
        _describe(&port, &self.input)
        frozen_port(&self.net, True, 0, &port)
        _describe(&port, &self.output)
        self.ambiguous = self.input.axes == 0 or (self.input.axes == 1 and self.input.dims[0] == 1)
        self.free = [[] for _ in range(SIZES)]
        session = self._session(0)
        for i in range(session.c.count):
            instr = &session.c.instrs[i]
            self.work_per_sample += instr.work_per_row * instr.rows_per_sample
            self.work += instr.work
        (<list>self.free[0]).append(session)

    @property
    def nbytes(self):
        return 0 if self.image is None else self.image.nbytes

    cdef list _shapes(self, bint output):
        cdef fastnn_port port
        cdef int number = 0
        shapes = []
        while frozen_port(&self.net, output, number, &port) == 0:
            shapes.append(tuple([port.shape[axis] for axis in range(port.axes)]))
            number += 1
        return shapes

    cdef Session _session(self, int size):
        """One that nobody uses, of `ROWS[size]` rows."""
        cdef Session session
        cdef int status
        cdef size_t nbytes
        try:
            return (<list>self.free[size]).pop()
        except IndexError:
            pass
        session = Session()
        memset(&session.tuner, 0, sizeof(fnn_tuner))
        nbytes = frozen_memory(&self.net, ROWS[size])
        if nbytes == 0:
            raise MemoryError("The activations of this network do not fit into any memory.")
        session.memory = Buffer(nbytes)
        status = frozen_bind(&self.net, session.memory.data, nbytes, ROWS[size], &session.c)
        if status != 0:
            raise RuntimeError(frozen_message(status).decode())
        return session

    # ---- one input, one output --------------------------------------------------------------------------------------

    def __call__(self, x, out=None):
        """Outputs for the rows of `x`; see `predict`."""
        return self._predict(x, out)

    def predict(self, x, batch_size=None, verbose="auto", steps=None, callbacks=None, *, out=None, **unknown):
        """Outputs for the rows of `x`. Takes what Keras's `predict` takes.

        Parameters
        ----------
        x : array_like, shape (samples, ...)
            float32 and contiguous is fastest; anything numeric is converted on the way, and what offers its memory
            (array.array, memoryview, arrays of other libraries) is read in place. An array of the shape of one sample
            is one sample, and so is the answer then. Also a list of one array, a dictionary by the name of the input,
            and what yields batches, as for `Model.predict`.
        batch_size : int, optional
            Only decides how many samples `steps` are: all rows are computed at once, and a row's result is the same in
            any batch.
        verbose : {"auto", 0, 1, 2}
            Nothing is printed, whatever it is.
        steps : int, optional
            Predict so many batches only.
        callbacks : None
            There is nothing that they could be called at.
        out : ndarray of float32, C-contiguous, shape (samples, ...), optional
            Where to write; returned. A new array by default.

        Returns
        -------
        ndarray

        Raises
        ------
        ValueError, TypeError
            For a shape or a type that does not fit, and for callbacks.
        """
        if batch_size is None and steps is None and callbacks is None and type(x) is np.ndarray and not unknown:
            if verbose is _AUTO:
                return self._predict(x, out)
        return self._predict_as_told(x, batch_size, verbose, steps, callbacks, out, unknown)

    cdef object _predict(self, x, out):
        cdef cnp.ndarray array
        cdef object result
        cdef Session session
        cdef int64_t rows
        cdef int lone, size
        cdef const float *source
        cdef float *target
        if self.net.image == NULL:
            return self._predict_without_image(x, out)
        if type(x) is np.ndarray:
            array = x
            lone = self._fits(array)
        elif PyObject_CheckBuffer(x) and not isinstance(x, (bytes, bytearray)):
            array = np.asarray(x)
            lone = self._fits(array)
        else:
            lone = -1
        if lone < 0:
            array = self._convert(x)  # of the shape of a batch, or of a sample
            lone = self._fits(array)
        rows = 1 if lone else cnp.PyArray_DIM(array, 0)
        if out is None:
            out = result = self._new_output(rows, lone)
        else:
            result = self._checked_output(out, rows, lone)
        if rows == 0:
            return out
        source = <const float *>cnp.PyArray_DATA(array)
        target = <float *>cnp.PyArray_DATA(<cnp.ndarray>result)
        if source < target + rows * self.output.floats and target < source + rows * self.input.floats:
            array = array.copy()  # what one layer writes, another row may have to read
            source = <const float *>cnp.PyArray_DATA(array)
        if self.work + self.work_per_sample * rows > WORK_WORTH_RELEASING:
            self._run(&source, rows, &target)
            return out
        size = 0 if rows == 1 else 1 if rows <= 16 else 2
        session = self._session(size)
        frozen_run(session.c, &source, rows, &target)
        (<list>self.free[size]).append(session)
        return out

    cdef int _fits(self, cnp.ndarray array):
        """Can it be read in place: as a batch (0), or as a lone sample (1)? Else -1."""
        cdef int i, lone = array.ndim == self.input.axes
        if lone and self.ambiguous or array.ndim + lone != self.input.axes + 1:
            return -1
        if cnp.PyArray_TYPE(array) != cnp.NPY_FLOAT32 or not cnp.PyArray_ISCARRAY_RO(array):
            return -1
        for i in range(self.input.axes):
            if cnp.PyArray_DIM(array, i + 1 - lone) != self.input.dims[i]:
                return -1
        return lone

    cdef object _new_output(self, int64_t rows, bint lone):
        cdef cnp.npy_intp[MAX_SAMPLE_AXES + 1] dims
        cdef int i
        dims[0] = rows
        for i in range(self.output.axes):
            dims[i + 1 - lone] = self.output.dims[i]
        return cnp.PyArray_EMPTY(self.output.axes + 1 - lone, dims, cnp.NPY_FLOAT32, 0)

    cdef object _checked_output(self, out, int64_t rows, bint lone):
        cdef cnp.ndarray result
        cdef int i
        cdef bint fits = False
        if type(out) is np.ndarray or PyObject_CheckBuffer(out):
            result = out if type(out) is np.ndarray else np.asarray(out)
            fits = (cnp.PyArray_TYPE(result) == cnp.NPY_FLOAT32 and cnp.PyArray_ISCARRAY(result)
                    and result.ndim == self.output.axes + 1 - lone
                    and (lone or cnp.PyArray_DIM(result, 0) == rows))
            if fits:
                for i in range(self.output.axes):
                    fits = fits and cnp.PyArray_DIM(result, i + 1 - lone) == self.output.dims[i]
        if not fits:
            self._refuse_output(out, (() if lone else (rows,)) + self.output_shapes[0])
        return result

    @staticmethod
    def _refuse_output(out, shape):
        got = f"{out.dtype} {out.shape}" if isinstance(out, np.ndarray) else type(out).__name__
        raise ValueError(f"`out` must be a writable, C-contiguous float32 array of shape {shape}. Received: {got}")

    # ---- any number of inputs and outputs, and long calls -----------------------------------------------------------

    def _run_arrays(self, list inputs, int64_t rows, list outputs):
        """Run samples from arrays into arrays: float32, C-contiguous, of the shapes of the ports, not overlapping."""
        cdef const float *sources[MAX_PORTS]
        cdef float *targets[MAX_PORTS]
        cdef int i
        for i in range(len(inputs)):
            sources[i] = <const float *>cnp.PyArray_DATA(<cnp.ndarray?>inputs[i])
        for i in range(len(outputs)):
            targets[i] = <float *>cnp.PyArray_DATA(<cnp.ndarray?>outputs[i])
        if rows > 0:
            self._run(sources, rows, targets)

    cdef int _run(self, const float **inputs, int64_t rows, float **outputs) except -1:
        """A long call: other threads run meanwhile, and so do signal handlers."""
        cdef double work = self.work + self.work_per_sample * rows
        cdef int size = 0 if rows == 1 else 1 if rows <= 16 else 2
        cdef int i, team = min(fnn_threads_for(work, thread_limit()), MAX_TEAM)
        cdef list raised = [], sessions = []
        cdef fastnn_session *bound[MAX_TEAM]
        if rows <= ROWS[size]:
            return self._run_batch(inputs, rows, outputs, size)
        team = min(team, (rows + 11) // 12)
        for i in range(team):
            sessions.append(self._session(size))
            bound[i] = (<Session>sessions[i]).c
        with nogil:
            frozen_run_rows(bound, team, inputs, rows, outputs, poll_signals, <void *>raised)
        for i in range(team):
            (<list>self.free[size]).append(sessions[i])
        if raised:
            raise raised[0]
        return 0

    cdef int _run_batch(self, const float **inputs, int64_t rows, float **outputs, int size) except -1:
        """A batch that a session runs at once: a team shares each instruction."""
        cdef Session session = self._session(size)
        cdef int threads = thread_limit()
        cdef list raised = []
        cdef Buffer scratch = _scratch(threads)
        cdef fnn_job job
        memset(&job, 0, sizeof(job))
        fnn_frozen_aim(session.c, inputs, outputs, 0)
        job.instrs = session.c.instrs
        job.instr_count = session.c.count
        job.batch = job.total = rows
        job.batch_count = 1
        job.max_threads = threads
        job.tuner = &session.tuner
        job.scratch = <float *>scratch.data
        job.poll = poll_signals
        job.poll_arg = <void *>raised
        with nogil:
            execute(&job)
        _scratches.append((threads, scratch))
        (<list>self.free[size]).append(session)
        if raised:
            raise raised[0]
        return 0


# Scratch for teams, which all predictors share.
cdef list _scratches = []


cdef Buffer _scratch(int threads):
    try:
        known, scratch = _scratches.pop()
        if known >= threads:
            return scratch
    except IndexError:
        pass
    return Buffer(threads * FNN_SCRATCH_FLOATS * sizeof(float))


cdef void _describe(const fastnn_port *port, Port *to) noexcept:
    cdef int i
    to.axes = port.axes
    to.floats = port.floats
    for i in range(port.axes):
        to.dims[i] = port.shape[i]
