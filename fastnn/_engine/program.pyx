# cython: language_level=3, boundscheck=False, cdivision=True, freethreading_compatible=True
"""A program: many instructions over shared buffers, run for many batches in one call without the GIL."""

from cpython.exc cimport PyErr_CheckSignals
from cpython.long cimport PyLong_AsUnsignedLongLongMask
from cpython.pythread cimport (
    NOWAIT_LOCK, PyThread_acquire_lock, PyThread_allocate_lock, PyThread_free_lock, PyThread_get_thread_ident,
    PyThread_release_lock, PyThread_type_lock,
)
from libc.stdint cimport int64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

import numpy as np

cimport numpy as cnp

from fastnn._engine.engine cimport (
    FNN_SCRATCH_FLOATS, FNN_TEAM_SIZES, FNN_WORK_WORTH_SHARING, fnn_instr, fnn_job, fnn_run, fnn_team_size,
    fnn_threads_for, fnn_threads_of, fnn_work, fnn_work_shared,
)
from fastnn._engine.runtime cimport Buffer, Source, active_isa, data_of, execute, op_named, thread_limit

from fastnn._engine.runtime import OPS

cdef extern from "pythread.h" nogil:
    ctypedef enum PyLockStatus:
        PY_LOCK_ACQUIRED
    PyLockStatus PyThread_acquire_lock_timed(PyThread_type_lock lock, long long microseconds, int interruptible)

cnp.import_array()

# Estimated cycles from which on an instruction is worth each further thread.
WORK_WORTH_SHARING = FNN_WORK_WORTH_SHARING


class Instruction:
    """One operation with everything it is bound to, before it becomes C.

    Attributes
    ----------
    op : str
        Name of the operation.
    operands : dict of str to (Buffer, byte offset, byte length), Source or None
    dims, scalars : dict of str to number
    rows_per_sample : int
    work_per_row, work : float
        Estimated cycles of one core, for each row and for the instruction as a whole.
    commits : bool
        Changes the model's parameters.
    fence : bool
        Needs what another thread may have computed before it.
    by_rows : float
        Threads share the rows of the batch; see ``csrc/engine.h``.
    followers : int
        So many of the next instructions are run by this one, piece by piece.
    label : str
        What it is part of, a layer for example.
    """

    __slots__ = ("op", "operands", "dims", "scalars", "rows_per_sample", "work_per_row", "work", "commits", "fence",
                 "by_rows", "followers", "label")

    def __init__(self, op, operands, dims, scalars, rows_per_sample=1, work_per_row=0.0, work=0.0, commits=False,
                 fence=True, by_rows=0.0, followers=0, label=""):
        self.op = op
        self.operands = operands
        self.dims = dims
        self.scalars = scalars
        self.rows_per_sample = rows_per_sample
        self.work_per_row = work_per_row
        self.work = work
        self.commits = commits
        self.fence = fence
        self.by_rows = by_rows
        self.followers = followers
        self.label = label


cdef enum:
    MAX_HYPER = 16


cdef int poll_signals(void *raised) noexcept with gil:
    """Called by C every 10 ms or so: lets Python run its signal handlers. What they raise waits for C's return."""
    try:
        PyErr_CheckSignals()
    except BaseException as error:
        (<list>raised).append(error)
        return 1
    return 0


cdef int call_python(void *callback, const fnn_instr *instr, const fnn_run *run) noexcept with gil:
    return (<Callback>callback).call(instr, run)


cdef _matrix(void *data, tuple shape, int64_t ld, int64_t samples):
    """Memory of the engine as an array: rows of `ld` values, of which the first belong to the tensor; and its shape."""
    cdef cnp.npy_intp sizes[2]
    full = tuple(samples if size is None else size for size in shape)
    columns = shape[-1] if shape and shape[-1] is not None else 1
    sizes[0] = int(np.prod(full, dtype=np.int64)) // max(columns, 1)
    sizes[1] = ld
    return cnp.PyArray_SimpleNewFromData(2, sizes, cnp.NPY_FLOAT32, data), columns, full


cdef class Callback:
    """A Python function that an instruction "callback" calls: arrays in, arrays out.

    Parameters
    ----------
    function : callable
        Takes copies of the inputs, returns an array for each output.
    inputs, outputs : list of (shape, ld)
        How they lie: a first axis of None counts samples; ld floats from one row to the next.
    """

    def __init__(self, function, list inputs, list outputs):
        self.function = function
        self.inputs = inputs
        self.outputs = outputs
        self.c.call = call_python
        self.c.object = <void *>self

    cdef int call(self, const fnn_instr *instr, const fnn_run *run):
        # What the function raises waits for the end of the run, as an interrupt does (see poll_signals).
        cdef int place = 1
        written = []
        try:
            for shape, ld in self.outputs:
                written.append(_matrix(instr.p[7 + len(written)], shape, ld, run.samples))
                written[-1][0][...] = 0
            arrays = []
            for shape, ld in self.inputs:
                rows, columns, full = _matrix(instr.p[place], shape, ld, run.samples)
                arrays.append(rows[:, :columns].copy().reshape(full))
                place += 1
            for (rows, columns, full), result in zip(written, self.function(*arrays), strict=True):
                rows[:, :columns] = result.reshape(-1, columns)
        except BaseException as error:
            if self.raised is None:
                self.raised = error
            return 1
        return 0

    cdef object take_raised(self):
        error, self.raised = self.raised, None
        return error


cdef class Program:
    """An executable program.

    Parameters
    ----------
    instructions : list of Instruction
    batch : int
        The largest number of samples it can run at once: what its buffers were planned for.
    memory : dict of str to int, optional
        Bytes of its buffers, by what they are for. Only kept for those who ask.

    Notes
    -----
    A program keeps every buffer it is bound to alive. One thread runs it at a time; others wait.
    """

    def __cinit__(self, list instructions, int64_t batch, memory=None):
        self.length = len(instructions)
        self.instrs = <fnn_instr *>calloc(self.length + 1, sizeof(fnn_instr))
        self.lock = PyThread_allocate_lock()
        if self.instrs == NULL or self.lock == NULL:
            raise MemoryError()

    def __init__(self, list instructions, int64_t batch, memory=None):
        if batch < 1:
            raise ValueError(f"A program needs a batch of at least 1 sample. Received: {batch}")
        self.batch = batch
        self.instructions = instructions
        self.memory = memory or {}
        self.held = []
        self.reads = []  # the sources
        self.callbacks = []
        self.owner = 0
        self.scratch_threads = 0
        for i, instruction in enumerate(instructions):
            if instruction.followers > len(instructions) - i - 1:
                raise ValueError(f"{instruction.op} has {instruction.followers} followers, and they are not there.")
            self._bind(&self.instrs[i], instruction)

    def __dealloc__(self):
        free(self.instrs)
        if self.lock != NULL:
            PyThread_free_lock(self.lock)

    cdef int _take(self) except -1:
        """Wait until no other thread runs the program; signal handlers run meanwhile."""
        cdef PyLockStatus status
        if PyThread_acquire_lock(self.lock, NOWAIT_LOCK):
            return 0
        while True:
            with nogil:
                status = PyThread_acquire_lock_timed(self.lock, -1, True)
            if status == PY_LOCK_ACQUIRED:
                return 0
            PyErr_CheckSignals()

    cdef int _bind(self, fnn_instr *instr, instruction) except -1:
        cdef int i
        info = OPS[instruction.op]
        instr.run = op_named(active_isa(), instruction.op).run
        instr.rows_per_sample = instruction.rows_per_sample
        instr.work_per_row = instruction.work_per_row
        instr.work = instruction.work
        instr.commits = instruction.commits
        instr.fence = instruction.fence
        instr.by_rows = instruction.by_rows
        instr.followers = instruction.followers
        known = {*info.operands, *info.dims, *info.scalars}
        unknown = {*instruction.operands, *instruction.dims, *instruction.scalars} - known
        if unknown:
            raise ValueError(f"{info.name} has nothing named {sorted(unknown)}.")
        for i, key in enumerate(info.operands):
            value = instruction.operands.get(key)
            if value is None:
                if key not in info.optional:
                    raise ValueError(f"{info.name}: operand {key!r} is missing.")
                continue
            if isinstance(value, Source):
                instr.p[i] = &(<Source>value).c
                self.reads.append(value)
                continue
            if isinstance(value, Callback):
                instr.p[i] = &(<Callback>value).c
                self.callbacks.append(value)
                continue
            buffer, offset, nbytes = value
            if offset < 0 or nbytes < 0 or offset + nbytes > buffer.nbytes:
                raise ValueError(f"{info.name}: operand {key!r} lies outside of its buffer.")
            instr.p[i] = (<Buffer?>buffer).data + <Py_ssize_t>offset
            self.held.append(buffer)
        for i, key in enumerate(info.dims):
            instr.d[i] = instruction.dims[key]
        for i, key in enumerate(info.scalars):
            instr.s[i] = instruction.scalars[key]
        return 0

    def estimates(self, int64_t samples, int team):
        """Estimated cycles of each instruction for a batch of so many samples, and how many of a team would run it."""
        cdef Py_ssize_t i
        cdef int threads = 1, followers = 0
        result = []
        for i in range(self.length):
            if followers > 0:  # by the threads of the one that they follow
                followers -= 1
            else:
                threads, followers = fnn_threads_of(&self.instrs[i], samples, team), self.instrs[i].followers
            result.append((fnn_work(&self.instrs[i], samples), threads))
        return result

    def largest_team(self, int64_t samples, int allowed):
        """How many threads the program is estimated to be worth, and the number and the estimated cycles of the
        instruction that says so. Those that are shared by rows one behind the other count as one, and so does what
        follows an instruction."""
        cdef Py_ssize_t i
        shared = [fnn_work_shared(&self.instrs[i], samples) for i in range(self.length)]
        largest = max(range(self.length), key=shared.__getitem__)
        return fnn_threads_for(shared[largest], allowed), largest, shared[largest]

    def measured(self, int64_t samples, int largest):
        """What runs have shown, with batches of so many samples and teams of up to `largest`: seconds a batch by the
        size of the team, and the size in use now.

        The dict is empty where nothing was measured; so it stays where the estimates speak for one thread.
        """
        cdef int i, sizes = FNN_TEAM_SIZES
        known = {}
        if self.tuner.samples != samples or self.tuner.largest != largest:
            return known, 0
        for i in range(sizes):
            if self.tuner.ns_per_batch[i] > 0:
                known[fnn_team_size(&self.tuner, i)] = self.tuner.ns_per_batch[i] * 1e-9
        return known, fnn_team_size(&self.tuner, self.tuner.best)

    def run(self, int64_t total, *, int64_t first_batch=0, int64_t batches=-1, int64_t batch=0, int64_t step=0, seed=0,
            cnp.ndarray order=None, int64_t samples=-1, hyper=(), double budget=0.0, outputs=(), sources=(),
            cnp.ndarray times=None):
        """Run batches of an epoch; returns how many were completed.

        Parameters
        ----------
        total : int
            Samples in the epoch. The last batch has what is left.
        first_batch, batches : int
            Where to start, and how many to run at most (default: all).
        batch : int, optional
            Samples in a batch, at most what the program was planned for (the default).
        step : int
            Training steps done before.
        seed : int
            Key of the random numbers.
        order : int64 array of `total`, optional
            Sample numbers in the order of this epoch.
        samples : int, optional
            How many samples the data have, if `order` takes some more than once; `total` by default.
        hyper : tuple of float, or float64 array (batches, numbers)
            The optimizer's numbers, the learning rate first: the same for every batch, or a row for each.
        budget : float
            Return after the batch in which about this many seconds have passed (0: no limit).
        outputs : sequence of (instruction number, operand number, C-contiguous array)
            Arrays that this run writes into.
        sources : sequence of (Source, array)
            Data to read from. They are bound while the run has the program to itself.
        times : float64 array (batches, instructions), optional
            Run on one thread, and write here how many nanoseconds each instruction took.

        Raises
        ------
        KeyboardInterrupt
            Within about 0.1 s of Ctrl-C; a step is either complete or has not changed the model.
        """
        cdef fnn_job job
        cdef int64_t done = 0, count
        cdef int threads = thread_limit(), number
        cdef long here = PyThread_get_thread_ident()
        cdef double[MAX_HYPER] hypers
        cdef tuple numbers
        cdef cnp.ndarray array
        cdef list raised = []
        memset(&job, 0, sizeof(job))
        self.completed = 0
        if batch == 0:
            batch = self.batch
        if not 1 <= batch <= self.batch:
            raise ValueError(f"This program runs batches of 1 to {self.batch} samples. Received: {batch}")
        count = (total + batch - 1) // batch - first_batch
        if batches >= 0 and batches < count:
            count = batches
        if count <= 0:
            return 0
        if order is not None:
            if order.shape[0] < total:
                raise ValueError(f"`order` needs {total} entries. Received: {order.shape[0]}")
            job.order = <const int64_t *>data_of(order, 1, cnp.NPY_INT64, "order")
        if type(hyper) is tuple:
            numbers = hyper
            if len(numbers) > MAX_HYPER:
                raise ValueError(f"An optimizer has up to {MAX_HYPER} numbers. Received: {hyper}")
            for number in range(len(numbers)):
                hypers[number] = numbers[number]
            job.hyper = hypers
        else:
            array = hyper
            job.hyper = <const double *>data_of(array, 2, cnp.NPY_FLOAT64, "hyper")
            if array.shape[0] < count or array.shape[1] == 0:
                raise ValueError(f"`hyper` needs a row for each of {count} batches. Received: {array.shape[0]}")
            job.hyper_stride = array.shape[1]
        if times is not None:
            job.instr_ns = <double *>data_of(times, 2, cnp.NPY_FLOAT64, "times", True)
            if times.shape[0] < count or times.shape[1] != self.length:
                raise ValueError(
                    f"`times` must have the shape {(count, self.length)}. Received: {times.shape[0], times.shape[1]}")
        # The signal handlers that poll_signals runs are Python: they could come back here and wait for themselves.
        if self.owner == here:
            raise RuntimeError(
                "This model is running: a signal handler cannot use the model that it interrupts. Let it set a flag.")
        self._take()
        self.owner = here
        try:
            for source, array in sources:
                (<Source?>source).bind(array)
                if array.shape[0] < (total if samples < 0 else samples):
                    raise ValueError(f"An epoch of {total} samples cannot read an array of {array.shape[0]}.")
            for source in self.reads:
                if (<Source>source).array is None:
                    raise ValueError("This program gathers from a source that has no array: name it in `sources`.")
            if threads > self.scratch_threads:
                self.scratch = Buffer(threads * FNN_SCRATCH_FLOATS * sizeof(float))
                self.scratch_threads = threads
            for instr, operand, array in outputs:
                self.instrs[<Py_ssize_t>instr].p[<Py_ssize_t>operand] = <void *>array.data
            job.instrs = self.instrs
            job.instr_count = self.length
            job.batch = batch
            job.total = total
            job.first_batch = first_batch
            job.batch_count = count
            job.step = step
            job.seed = PyLong_AsUnsignedLongLongMask(seed)
            job.max_threads = threads
            job.tuner = &self.tuner
            job.scratch = <float *>self.scratch.data
            job.budget_ns = budget * 1e9
            job.poll = poll_signals
            job.poll_arg = <void *>raised
            with nogil:
                done = execute(&job)
            self.completed = done
        finally:
            self.owner = 0
            for source, _ in sources:  # whose arrays belong to the caller, who may want their memory back
                if isinstance(source, Source):
                    (<Source>source).array = None
            for callback in self.callbacks:
                error = (<Callback>callback).take_raised()
                if error is not None:
                    raised.append(error)
            PyThread_release_lock(self.lock)
        if raised:
            raise raised[0]
        return done
