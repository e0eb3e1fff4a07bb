# cython: language_level=3, boundscheck=False, cdivision=True, freethreading_compatible=True
"""Frozen images: opened, bound to memory and called with the least overhead."""

from cpython.buffer cimport (
    PyBUF_SIMPLE, PyBuffer_Release, PyObject_CheckBuffer, PyObject_GetBuffer,
)
from cpython.ref cimport Py_DECREF, Py_INCREF, Py_XDECREF, PyObject
from libc.stdint cimport int64_t, uintptr_t
from libc.stdlib cimport calloc, free
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

cdef extern from *:
    """
    /* Leaves one object in a place and takes what was there, in one go even if threads run without the GIL. */
    static inline PyObject *fnn_exchange(PyObject **place, PyObject *object) {
        return __atomic_exchange_n(place, object, __ATOMIC_ACQ_REL);
    }
    """
    PyObject *fnn_exchange(PyObject **place, PyObject *object) noexcept

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
        If it is no image, damaged, from a newer version, or has something behind it.
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
    cdef PyObject *spare[SIZES]  # for each of ROWS, a session that nobody uses, or NULL
    cdef list more  # for each of ROWS, further ones: several threads have called at once
    cdef Port *inputs
    cdef Port *outputs
    cdef readonly list input_shapes
    cdef readonly list output_shapes
    cdef double work_per_sample, work
    cdef bint direct  # no class derived from this one has another way to call it
    cdef bint ambiguous  # each input has one value: an array may be a sample or a batch

    def __cinit__(self):
        memset(&self.net, 0, sizeof(self.net))
        memset(self.spare, 0, sizeof(self.spare))
        self.direct = type(self).__call__ is FrozenProgram.__call__

    def __dealloc__(self):
        for spare in self.spare:
            Py_XDECREF(spare)
        free(self.inputs)
        free(self.outputs)

    def _open(self, Image image):
        cdef Session session
        cdef fnn_instr *instr
        if self.inputs != NULL:
            raise RuntimeError("This predictor has a network already: make another one.")
        self.image = image.memory
        self.net = image.net
        self.input_shapes = self._ports(False, &self.inputs)
        self.output_shapes = self._ports(True, &self.outputs)
        self.ambiguous = all([shape in ((), (1,)) for shape in self.input_shapes])
        self.more = [[] for _ in range(SIZES)]
        session = self._session(0)
        for i in range(session.c.count):
            instr = &session.c.instrs[i]
            self.work_per_sample += instr.work_per_row * instr.rows_per_sample
            self.work += instr.work
        self._give_back(session, 0)

    @property
    def nbytes(self):
        return 0 if self.image is None else self.image.nbytes

    cdef list _ports(self, bint output, Port **ports):
        """The shapes of the inputs, or of the outputs, and the same for C."""
        cdef fastnn_port port
        cdef int number = 0
        shapes = []
        ports[0] = <Port *>calloc(MAX_PORTS, sizeof(Port))
        if ports[0] == NULL:
            raise MemoryError()
        while frozen_port(&self.net, output, number, &port) == 0:
            _describe(&port, &ports[0][number])
            shapes.append(tuple([port.shape[axis] for axis in range(port.axes)]))
            number += 1
        return shapes

    cdef Session _session(self, int size):
        """One that nobody uses, of `ROWS[size]` rows."""
        cdef Session session
        cdef int status
        cdef size_t nbytes
        cdef PyObject *spare = fnn_exchange(&self.spare[size], NULL)
        if spare != NULL:
            session = <Session>spare
            Py_DECREF(session)
            return session
        try:
            return (<list>self.more[size]).pop()
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

    cdef int _give_back(self, Session session, int size) except -1:
        cdef PyObject *other
        Py_INCREF(session)
        other = fnn_exchange(&self.spare[size], <PyObject *>session)
        if other != NULL:
            (<list>self.more[size]).append(<Session>other)
            Py_DECREF(<Session>other)
        return 0

    # ---- one input, one output --------------------------------------------------------------------------------------

    def __call__(self, x, out=None, *, training=None):
        """Outputs for the rows of `x`; see `predict`."""
        if training:
            self._refuse_training()
        return self._predict(x, out)

    def predict(self, x, batch_size=None, verbose="auto", steps=None, callbacks=None, *, out=None, **unknown):
        """Outputs for the rows of `x`. Takes what Keras's `predict` takes.

        Parameters
        ----------
        x : array_like, shape (samples, ...)
            float32 and contiguous is fastest; anything numeric is converted on the way, and what offers its memory
            (array.array, memoryview, arrays of other libraries) is read in place. An array of the shape of one sample
            is one sample, and so is the answer then. Also a list of one array, a dictionary by the name of the input,
            and what yields batches, as for `Model.predict`. For several inputs or outputs see `StructuredPredictor`.
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
        if (
            (batch_size is None or type(batch_size) is int and batch_size > 0)
            and (verbose is _AUTO or type(verbose) is int and 0 <= verbose <= 2)
            and steps is None and callbacks is None and not unknown
        ):
            if self.direct and cnp.PyArray_CheckExact(x):
                return self._predict(x, out)
            if isinstance(x, (np.ndarray, list, tuple, dict)):  # which yield no batches, whatever is in them
                return self(x, out)
        return self._predict_as_told(x, batch_size, verbose, steps, callbacks, out, unknown)

    cdef object _predict(self, x, out):
        cdef cnp.ndarray array
        cdef cnp.ndarray result
        cdef int64_t rows
        cdef int lone
        cdef const float *source
        cdef float *target
        if self.net.image == NULL:
            return self._predict_without_image(x, out)
        if cnp.PyArray_CheckExact(x):
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
        result = self._new_output(0, rows, lone) if out is None else self._checked_output(0, out, rows, lone)
        if rows > 0:
            source = <const float *>cnp.PyArray_DATA(array)
            target = <float *>cnp.PyArray_DATA(result)
            if _overlap(source, rows * self.inputs.floats, target, rows * self.outputs.floats):
                array = array.copy()  # what one layer writes, another row may have to read
                source = <const float *>cnp.PyArray_DATA(array)
            self._run(&source, rows, &target)
        return result if out is None else out

    cdef int _fits(self, cnp.ndarray array):
        """Can it be read in place: as a batch (0), or as a lone sample (1)? Else -1."""
        cdef int lone = _read_as(array, self.inputs)
        return -1 if lone == 1 and self.ambiguous else lone

    cdef cnp.ndarray _new_output(self, int number, int64_t rows, bint lone):
        cdef cnp.npy_intp[MAX_SAMPLE_AXES + 1] dims
        cdef Port *port = &self.outputs[number]
        cdef int i
        dims[0] = rows
        for i in range(port.axes):
            dims[i + 1 - lone] = port.dims[i]
        return cnp.PyArray_EMPTY(port.axes + 1 - lone, dims, cnp.NPY_FLOAT32, 0)

    cdef cnp.ndarray _checked_output(self, int number, out, int64_t rows, bint lone):
        cdef cnp.ndarray result
        if cnp.PyArray_CheckExact(out) or PyObject_CheckBuffer(out):
            result = out if cnp.PyArray_CheckExact(out) else np.asarray(out)
            if (_read_as(result, &self.outputs[number]) == lone and cnp.PyArray_ISWRITEABLE(result)
                    and (lone or cnp.PyArray_DIM(result, 0) == rows)):
                return result
        self._refuse_output(out, (() if lone else (rows,)) + self.output_shapes[number])

    @staticmethod
    def _refuse_output(out, shape):
        got = f"{out.dtype} {out.shape}" if isinstance(out, np.ndarray) else type(out).__name__
        raise ValueError(
            "`out`, the second argument, is where to write: a writable, C-contiguous float32 array of shape "
            f"{shape}. Received: {got}"
        )

    @staticmethod
    def _refuse_shared(one, other):
        raise ValueError(
            f"`out` has arrays that share memory, those of outputs {one} and {other}: one answer would overwrite the "
            "other. Make one array for each, for example with numpy.empty."
        )

    # ---- any number of inputs and outputs ---------------------------------------------------------------------------

    def _predict_several(self, list arrays, list out=None, bint certain=False):
        """Outputs, as a list, for arrays that can be read in place: float32, C-contiguous, of the shapes of the ports,
        all of them batches of one length or all of them lone samples.

        Parameters
        ----------
        arrays : list
            One for each input of the image.
        out : list, optional
            Where to write, an array for each output.
        certain : bool
            Arrays of the shapes of samples are samples, even if all of these have one value.

        Returns
        -------
        list of ndarray, or None
            None if they are something else, which costs less to find out here than in Python.
        """
        cdef const float *sources[MAX_PORTS]
        cdef float *targets[MAX_PORTS]
        cdef int64_t rows = -1
        cdef int i, k, fit, lone = -1, inputs = len(self.input_shapes), outputs = len(self.output_shapes)
        cdef list read = [], written = []
        cdef cnp.ndarray array
        if len(arrays) != inputs:
            return None
        for i in range(inputs):
            if not cnp.PyArray_CheckExact(arrays[i]):
                return None
            array = arrays[i]
            fit = _read_as(array, &self.inputs[i])
            if fit < 0 or (fit == 1 and self.ambiguous and not certain) or (lone >= 0 and fit != lone):
                return None
            lone = fit
            if not lone:
                if rows >= 0 and rows != cnp.PyArray_DIM(array, 0):
                    return None
                rows = cnp.PyArray_DIM(array, 0)
            sources[i] = <const float *>cnp.PyArray_DATA(array)
            read.append(array)
        rows = 1 if lone else rows
        for i in range(outputs):
            array = self._new_output(i, rows, lone) if out is None else self._checked_output(i, out[i], rows, lone)
            targets[i] = <float *>cnp.PyArray_DATA(array)
            written.append(array)
            for k in range(0 if out is None else i):
                if _overlap(targets[k], rows * self.outputs[k].floats, targets[i], rows * self.outputs[i].floats):
                    self._refuse_shared(k, i)
        for i in range(inputs if out is not None else 0):
            for k in range(outputs):
                if _overlap(sources[i], rows * self.inputs[i].floats, targets[k], rows * self.outputs[k].floats):
                    array = read[i].copy()  # what one layer writes, another may have to read
                    sources[i] = <const float *>cnp.PyArray_DATA(array)
                    read[i] = array
                    break
        if rows > 0:
            self._run(sources, rows, targets)
        return written

    # ---- running ----------------------------------------------------------------------------------------------------

    cdef int _run(self, const float **inputs, int64_t rows, float **outputs) except -1:
        """Run samples from arrays into arrays that do not overlap."""
        cdef double work = self.work + self.work_per_sample * rows
        cdef int size = 0 if rows == 1 else 1 if rows <= 16 else 2
        cdef Session session
        if work > WORK_WORTH_RELEASING:
            return self._run_long(inputs, rows, outputs, size, work)
        session = self._session(size)
        frozen_run(session.c, inputs, rows, outputs)
        return self._give_back(session, size)

    cdef int _run_long(self, const float **inputs, int64_t rows, float **outputs, int size, double work) except -1:
        """A long call: other threads run meanwhile, and so do signal handlers."""
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
            self._give_back(sessions[i], size)
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
        self._give_back(session, size)
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


cdef int _read_as(cnp.ndarray array, const Port *port) noexcept:
    """Does it have the type and the shape of a batch (0), or of a lone sample (1)? Else -1."""
    cdef int i, lone = cnp.PyArray_NDIM(array) == port.axes
    if cnp.PyArray_NDIM(array) + lone != port.axes + 1 or cnp.PyArray_TYPE(array) != cnp.NPY_FLOAT32:
        return -1
    if not cnp.PyArray_ISCARRAY_RO(array):
        return -1
    for i in range(port.axes):
        if cnp.PyArray_DIM(array, i + 1 - lone) != port.dims[i]:
            return -1
    return lone


cdef bint _overlap(const float *a, int64_t count, const float *b, int64_t others) noexcept:
    return a < b + others and b < a + count


cdef void _describe(const fastnn_port *port, Port *to) noexcept:
    cdef int i
    to.axes = port.axes
    to.floats = port.floats
    for i in range(port.axes):
        to.dims[i] = port.shape[i]
