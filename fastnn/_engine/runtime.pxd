# The one module that links the C engine; the others reach it through these functions.
from libc.stdint cimport int64_t, uint64_t

from fastnn._engine.engine cimport (
    fastnn_net, fastnn_port, fastnn_session, fnn_isa, fnn_job, fnn_op, fnn_poll, fnn_source, fnn_team_function,
    fnn_training,
)

cdef const fnn_isa *active_isa() noexcept
cdef const fnn_isa *isa_named(str name) except NULL
cdef const fnn_training *training_named(str isa) except NULL
cdef const fnn_op *op_named(const fnn_isa *isa, str name) except NULL
cdef int64_t execute(fnn_job *job) noexcept nogil
cdef int thread_limit() noexcept nogil
cdef int frozen_open(const void *image, size_t nbytes, fastnn_net *net) noexcept nogil
cdef const char *frozen_message(int status) noexcept nogil
cdef int frozen_port(const fastnn_net *net, bint output, int number, fastnn_port *port) noexcept nogil
cdef size_t frozen_memory(const fastnn_net *net, int64_t max_rows) noexcept nogil
cdef int frozen_bind(const fastnn_net *net, void *memory, size_t nbytes, int64_t max_rows,
                     fastnn_session **session) noexcept nogil
cdef void frozen_run(fastnn_session *session, const float **inputs, int64_t rows, float **outputs) noexcept nogil
cdef int frozen_run_rows(fastnn_session **sessions, int threads, const float **inputs, int64_t rows, float **outputs,
                         fnn_poll poll, void *poll_arg) noexcept nogil
cdef int team_run(int threads, fnn_team_function fn, void *arg) noexcept nogil
cdef void *data_of(object values, int axes, int dtype, str name, bint written=*) except? NULL


cdef class Buffer:
    cdef char *data          # 64-byte aligned, zeroed at the start
    cdef void *block         # what malloc gave
    cdef readonly Py_ssize_t nbytes


cdef class Source:
    cdef fnn_source c
    cdef object array

    cpdef int bind(self, object values) except -1  # an ndarray; who cimports this need not have NumPy's headers
