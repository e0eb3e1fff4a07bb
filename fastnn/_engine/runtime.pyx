# cython: language_level=3, boundscheck=False, cdivision=True, freethreading_compatible=True
"""The engine's state: instruction set, threads, memory, and the data that programs read.

This module alone links the C objects of ``csrc/``; the other modules of the package call them through the ``cdef``
functions declared in ``runtime.pxd``, so that there is one thread pool and one choice of kernels in the process.
"""

from cpython.buffer cimport PyBuffer_FillInfo
from libc.stdint cimport int64_t, uint64_t, uintptr_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset, strcmp

cimport numpy as cnp

import os

import numpy as np

from fastnn._engine.engine cimport (
    FNN_ALIGN_BYTES, FNN_BOOL, FNN_F16, FNN_F32, FNN_F64, FNN_I16, FNN_I32, FNN_I64, FNN_I8, FNN_MAX_AXES, FNN_U16,
    FNN_U32, FNN_U64, FNN_U8, fastnn_input, fastnn_message, fastnn_net, fastnn_output, fastnn_port,
    fastnn_session, fastnn_status, fnn_additions, fnn_cpu_count, fnn_dtype, fnn_execute, fnn_frozen_bind,
    fnn_frozen_memory, fnn_frozen_run, fnn_get_threads, fnn_isa, fnn_isa_best, fnn_isa_supported, fnn_isas, fnn_job,
    fnn_op, fnn_op_at, fnn_open_whole, fnn_poll, fnn_run_rows, fnn_set_threads, fnn_team_function,
    fnn_team_run, fnn_training, fnn_training_of,
)

cdef extern from *:
    """
    #define FNN_TEXT_OF_(x) #x
    #define FNN_TEXT_OF(x) FNN_TEXT_OF_(x)
    #if defined(__clang__)
    #define FNN_COMPILER "clang " FNN_TEXT_OF(__clang_major__) "." FNN_TEXT_OF(__clang_minor__)
    #else
    #define FNN_COMPILER "gcc " FNN_TEXT_OF(__GNUC__) "." FNN_TEXT_OF(__GNUC_MINOR__)
    #endif
    """
    const char *FNN_COMPILER

cnp.import_array()

cdef const fnn_isa *_active = NULL


# ---- instruction sets ------------------------------------------------------------------------------------------------

cdef const fnn_isa *active_isa() noexcept:
    return _active


cdef const fnn_isa *isa_named(str name) except NULL:
    cdef int i = 0
    if name is None:
        return _active
    while fnn_isas[i] != NULL:
        if fnn_isas[i].name.decode() == name:
            if not fnn_isa_supported(fnn_isas[i]):
                raise ValueError(f"This CPU cannot run the instruction set {name!r}; it can run {isas()}.")
            return fnn_isas[i]
        i += 1
    raise ValueError(f"Unknown instruction set {name!r}; this build has {_compiled()} and this CPU can run {isas()}.")


def _compiled():
    cdef int i = 0
    names = []
    while fnn_isas[i] != NULL:
        names.append(fnn_isas[i].name.decode())
        i += 1
    return names


def isas():
    """Names of the instruction sets that this build has and this CPU can run, the best last."""
    cdef int i = 0
    names = []
    while fnn_isas[i] != NULL:
        if fnn_isa_supported(fnn_isas[i]):
            names.append(fnn_isas[i].name.decode())
        i += 1
    return names


cdef const fnn_training *training_named(str isa) except NULL:
    return fnn_training_of(isa_named(isa))


cdef const fnn_op *op_named(const fnn_isa *isa, str name) except NULL:
    cdef int i = 0
    cdef bytes wanted = name.encode()
    cdef const fnn_op *op = fnn_op_at(isa, 0)
    while op != NULL:
        if strcmp(op.name, wanted) == 0:
            return op
        i += 1
        op = fnn_op_at(isa, i)
    raise KeyError(f"The engine has no operation named {name!r}.")


class OpInfo:
    """What an operation of the engine is bound by: the names of its operands, dimensions and scalars. `signature` is
    their declaration as one text; `in_images` tells whether the loader of frozen images can check its instructions."""

    __slots__ = ("name", "operands", "optional", "dims", "scalars", "signature", "in_images")

    def __init__(self, name, operands, dims, scalars, in_images):
        self.name = name
        self.signature = f"{name} {operands};{dims};{scalars}"
        self.in_images = in_images
        names = operands.split()
        self.operands = tuple(each.rstrip("?") for each in names)
        self.optional = frozenset(each[:-1] for each in names if each.endswith("?"))
        self.dims = tuple(dims.split())
        self.scalars = tuple(scalars.split())


def _read_ops():
    cdef const fnn_op *op = fnn_op_at(_active, 0)
    infos = {}
    while op != NULL:
        info = OpInfo(op.name.decode(), op.operands.decode(), op.dims.decode(), op.scalars.decode(),
                      op.check != NULL)
        infos[info.name] = info
        op = fnn_op_at(_active, len(infos))
    return infos


def active_isa_name():
    """The instruction set chosen when the package was imported."""
    return _active.name.decode()


def vector_floats(isa=None):
    """Lanes of one register of an instruction set."""
    return isa_named(isa).vector_floats


cdef int64_t execute(fnn_job *job) noexcept nogil:
    return fnn_execute(job)


cdef int thread_limit() noexcept nogil:
    return fnn_get_threads()


cdef int frozen_open(const void *image, size_t nbytes, fastnn_net *net) noexcept nogil:
    return fnn_open_whole(image, nbytes, net)


cdef const char *frozen_message(int status) noexcept nogil:
    return fastnn_message(<fastnn_status>status)


cdef int frozen_port(const fastnn_net *net, bint output, int number, fastnn_port *port) noexcept nogil:
    return fastnn_output(net, number, port) if output else fastnn_input(net, number, port)


cdef size_t frozen_memory(const fastnn_net *net, int64_t max_rows) noexcept nogil:
    return fnn_frozen_memory(net, _active, max_rows)


cdef int frozen_bind(const fastnn_net *net, void *memory, size_t nbytes, int64_t max_rows,
                     fastnn_session **session) noexcept nogil:
    return fnn_frozen_bind(net, _active, memory, nbytes, max_rows, session)


cdef void frozen_run(fastnn_session *session, const float **inputs, int64_t rows, float **outputs) noexcept nogil:
    fnn_frozen_run(session, inputs, rows, outputs)


cdef int frozen_run_rows(fastnn_session **sessions, int threads, const float **inputs, int64_t rows, float **outputs,
                         fnn_poll poll, void *poll_arg) noexcept nogil:
    return fnn_run_rows(sessions, threads, inputs, rows, outputs, poll, poll_arg)


cdef int team_run(int threads, fnn_team_function fn, void *arg) noexcept nogil:
    return fnn_team_run(threads, fn, arg)


# ---- threads ---------------------------------------------------------------------------------------------------------

def set_threads(threads):
    """Limit the engine to this many threads.

    Parameters
    ----------
    threads : int
        At least 1. Small networks use fewer where more would be slower. Results do not depend on it: the same seed
        gives the same bits for any number of threads.
    """
    if isinstance(threads, bool) or not hasattr(threads, "__index__") or threads < 1:
        raise ValueError(f"`threads` must be a positive integer. Received: threads={threads!r}")
    fnn_set_threads(min(int(threads), 4096))


def get_threads():
    """The most threads the engine will use (``OMP_NUM_THREADS``, affinity and cgroup limits are respected)."""
    return fnn_get_threads()


def cpu_count():
    """Processors that this process may use, by its affinity and its cgroup's quota."""
    return fnn_cpu_count()


def additions(int64_t count):
    """Do so many integer additions, each of which waits for the one before: they take a cycle each."""
    with nogil:
        count = fnn_additions(count)
    return count


# ---- memory ----------------------------------------------------------------------------------------------------------

# Buffers of page-aligned size would all start at the same address modulo 4096, and loads would wait for stores to
# another array (4 KiB aliasing): each buffer starts a different, odd number of cache lines into its page.
cdef int _stagger = 0


cdef class Buffer:
    """Zeroed memory, aligned to a cache line, that arrays and programs may share."""

    def __cinit__(self, Py_ssize_t nbytes):
        global _stagger
        if nbytes < 0:
            raise ValueError(f"A buffer needs a size of at least 0 bytes. Received: {nbytes}")
        cdef Py_ssize_t shift = (_stagger % 31) * 2 * FNN_ALIGN_BYTES + FNN_ALIGN_BYTES if nbytes >= 4096 else 0
        if nbytes >= 4096:
            _stagger += 7
        self.nbytes = nbytes
        # What is never touched, the gradients that are made piece by piece, takes no memory.
        self.block = calloc(1, <size_t>(nbytes + shift + 2 * FNN_ALIGN_BYTES))
        if self.block == NULL:
            raise MemoryError(f"Could not allocate {nbytes:,} bytes.")
        cdef uintptr_t address = <uintptr_t>self.block + <uintptr_t>shift + FNN_ALIGN_BYTES - 1
        self.data = <char *>(address - address % FNN_ALIGN_BYTES)

    def __dealloc__(self):
        free(self.block)

    def __getbuffer__(self, Py_buffer *view, int flags):
        PyBuffer_FillInfo(view, self, self.data, self.nbytes, 0, flags)

    def __releasebuffer__(self, Py_buffer *view):
        pass

    def clear(self):
        """Set all of it to zero."""
        memset(self.data, 0, <size_t>self.nbytes)

    def array(self, shape, dtype=np.float32, Py_ssize_t offset=0):
        """A NumPy array over this memory, starting `offset` bytes into it."""
        return np.ndarray(shape, dtype, self, offset)


# ---- data ------------------------------------------------------------------------------------------------------------

cdef enum:
    TYPES = 32

# By NumPy's number of a type: the engine's name of it, or -1.
cdef int[TYPES] _DTYPES


def _name_dtypes():
    names = {
        "float32": FNN_F32, "float64": FNN_F64, "float16": FNN_F16, "uint8": FNN_U8, "int8": FNN_I8, "uint16": FNN_U16,
        "int16": FNN_I16, "uint32": FNN_U32, "int32": FNN_I32, "uint64": FNN_U64, "int64": FNN_I64, "bool": FNN_BOOL,
    }
    for number in range(TYPES):
        _DTYPES[number] = -1
    for code in "?bBhHiIlLqQefd":  # of the C types, some of which are alike
        _DTYPES[np.dtype(code).num] = names[np.dtype(code).name]


_name_dtypes()


# Typed memoryviews would do this, too, with 18 000 more lines of generated C in each module.
cdef void *data_of(object values, int axes, int dtype, str name, bint written=False) except? NULL:
    """Where the values of a C-contiguous array lie that has so many axes and this NumPy type."""
    cdef cnp.ndarray array = values
    if (array is None or cnp.PyArray_NDIM(array) != axes or not cnp.PyArray_ISCARRAY_RO(array)
            or not cnp.PyArray_EquivTypenums(cnp.PyArray_TYPE(array), dtype)):
        got = "None" if array is None else f"{array.dtype} {(<object>array).shape}"
        raise ValueError(
            f"`{name}` must be a C-contiguous {cnp.PyArray_DescrFromType(dtype)} array of {axes} axes. Received: {got}")
    if written and not cnp.PyArray_ISWRITEABLE(array):
        raise ValueError(f"`{name}` is written to. Received: a read-only array")
    return cnp.PyArray_DATA(array)


cdef class Kind:
    """The type and the shape of an array, of up to 6 axes and any native number."""

    cdef int type, axes
    cdef cnp.npy_intp[FNN_MAX_AXES] shape

    def __init__(self, cnp.ndarray array not None):
        cdef int i
        if cnp.PyArray_NDIM(array) > FNN_MAX_AXES:
            raise ValueError(f"A kind has up to {FNN_MAX_AXES} axes. Received: {cnp.PyArray_NDIM(array)}")
        self.type, self.axes = cnp.PyArray_TYPE(array), cnp.PyArray_NDIM(array)
        for i in range(self.axes):
            self.shape[i] = cnp.PyArray_DIM(array, i)

    def fits(self, array):
        """Is this an ndarray, of no subclass, of the same type and shape?"""
        cdef int i
        if not cnp.PyArray_CheckExact(array):
            return False
        if cnp.PyArray_TYPE(array) != self.type or cnp.PyArray_NDIM(array) != self.axes:
            return False
        for i in range(self.axes):
            if cnp.PyArray_DIM(array, i) != self.shape[i]:
                return False
        return bool(cnp.PyArray_ISNOTSWAPPED(array))


cdef class Source:
    """A set of samples that a program gathers its batches from; axis 0 counts samples, nothing is copied."""

    def __init__(self, array=None):
        self.array = None
        if array is not None:
            self.bind(array)

    cpdef int bind(self, object values) except -1:
        """Read from this array from now on. Any strides; any native integer, float or bool dtype."""
        cdef int i, axes, number, merged = 1
        cdef int64_t size, stride
        cdef cnp.ndarray array = values
        if array is None:
            raise TypeError("A source reads an array. Received: None")
        axes, number = cnp.PyArray_NDIM(array), cnp.PyArray_TYPE(array)
        if not 0 <= number < TYPES or _DTYPES[number] < 0 or not cnp.PyArray_ISNOTSWAPPED(array):
            raise TypeError(
                f"The engine reads native float16/32/64, integer and bool arrays. Received dtype {array.dtype!r}; "
                "convert it, for example with array.astype('float32')."
            )
        if axes < 1:
            raise ValueError("A set of samples needs at least one axis. Received a scalar.")
        cdef fnn_source c
        c.data = <const char *>array.data
        c.dtype = <fnn_dtype>_DTYPES[number]
        c.shape[0], c.strides[0] = array.shape[0], array.strides[0]
        # Neighbouring axes of a sample are merged where they are one run of memory.
        for i in range(1, axes):
            size, stride = array.shape[i], array.strides[i]
            if size == 1:
                continue
            if merged > 1 and c.strides[merged - 1] == size * stride:
                c.shape[merged - 1] *= size
                c.strides[merged - 1] = stride
                continue
            if merged == FNN_MAX_AXES:
                raise ValueError(
                    f"Samples of {axes - 1} axes in irregular order cannot be read; pass np.ascontiguousarray(array).")
            c.shape[merged], c.strides[merged] = size, stride
            merged += 1
        if merged == 1:
            c.shape[1], c.strides[1] = 1, array.itemsize
            merged = 2
        c.axes = merged
        self.c = c
        self.array = array
        return 0


def shuffle(cnp.ndarray order, seed, epoch):
    """Fill `order` with a random permutation of 0..n-1, determined by (seed, epoch)."""
    cdef int64_t *values = <int64_t *>data_of(order, 1, cnp.NPY_INT64, "order", True)
    if order.shape[0] >= 2**32:
        raise ValueError(
            f"Only fewer than 2**32 samples can be shuffled. Received: {order.shape[0]:,}. Pass shuffle=False.")
    fnn_training_of(_active).shuffle(
        values, order.shape[0], <uint64_t>(seed & 0xFFFFFFFFFFFFFFFF), <uint64_t>epoch)


def _choose():
    global _active
    name = os.environ.get("FASTNN_CPU", "").strip().lower()
    if not name:
        _active = fnn_isa_best()
        return
    try:
        _active = isa_named(name)
    except ValueError as error:
        raise ImportError(f"FASTNN_CPU={name}: {error}") from None


_choose()
OPS = _read_ops()
COMPILER = FNN_COMPILER.decode()
