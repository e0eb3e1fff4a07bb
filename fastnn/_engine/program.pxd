from cpython.pythread cimport PyThread_type_lock
from libc.stdint cimport int64_t

from fastnn._engine.engine cimport fnn_callback, fnn_instr, fnn_run, fnn_tuner
from fastnn._engine.runtime cimport Buffer


cdef int poll_signals(void *raised) noexcept with gil


cdef class Callback:
    cdef fnn_callback c
    cdef readonly object function
    cdef readonly list inputs, outputs
    cdef object raised

    cdef int call(self, const fnn_instr *instr, const fnn_run *run)
    cdef object take_raised(self)


cdef class Program:
    cdef fnn_instr *instrs
    cdef readonly Py_ssize_t length
    cdef readonly int64_t batch
    cdef readonly list instructions
    cdef readonly dict memory
    cdef readonly int64_t completed  # batches that the last run completed, also when it was interrupted
    cdef list held
    cdef list reads
    cdef list callbacks
    cdef PyThread_type_lock lock
    cdef long owner  # the thread that is running it, or 0
    cdef Buffer scratch
    cdef int scratch_threads
    cdef fnn_tuner tuner

    cdef int _take(self) except -1
    cdef int _bind(self, fnn_instr *instr, instruction) except -1
