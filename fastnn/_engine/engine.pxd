# What csrc/engine.h declares, for Cython.
from libc.stdint cimport int16_t, int32_t, int64_t, uint64_t


# (Array sizes below only tell Cython that these members are arrays; C knows their length.)
cdef extern from "engine.h" nogil:
    enum:
        FNN_ALIGN_BYTES
        FNN_ALIGN_FLOATS
        FNN_MAX_OPERANDS
        FNN_MAX_DIMS
        FNN_MAX_SCALARS
        FNN_SCRATCH_FLOATS
        FNN_MAX_AXES
        FNN_TEAM_SIZES
        FNN_WORK_WORTH_SHARING

    ctypedef struct fnn_run:
        int64_t samples
        int64_t first
        int64_t left
        const int64_t *order
        int64_t step
        uint64_t seed
        const double *hyper
        fnn_job *job
        int thread
        int threads
        float *scratch

    ctypedef struct fnn_instr
    ctypedef void (*fnn_op_run)(const fnn_instr *instr, const fnn_run *run) noexcept

    ctypedef struct fnn_instr:
        fnn_op_run run
        int64_t rows_per_sample
        void *p[12]
        int64_t d[12]
        float s[6]
        double work_per_row
        double work
        int16_t fence
        int16_t commits
        int16_t followers
        float by_rows

    ctypedef struct fnn_callback:
        int (*call)(void *object, const fnn_instr *instr, const fnn_run *run) noexcept
        void *object

    ctypedef struct fnn_op:
        const char *name
        const char *operands
        const char *dims
        const char *scalars
        fnn_op_run run
        void *check

    ctypedef struct fnn_isa:
        const char *name
        int vector_floats

    ctypedef struct fnn_training:
        int64_t (*panel_floats)(int64_t k, int64_t n) noexcept
        void (*panel_pack)(const float *src, int64_t ld, int64_t k, int64_t n, float *packed) noexcept
        void (*panel_unpack)(const float *packed, int64_t k, int64_t n, float *dst, int64_t ld) noexcept
        double (*peak)(int64_t rounds, float *result) noexcept nogil
        void (*shuffle)(int64_t *order, int64_t n, uint64_t seed, uint64_t epoch) noexcept

    const fnn_isa **fnn_isas
    const fnn_isa *fnn_isa_best()
    int fnn_isa_supported(const fnn_isa *isa)
    const fnn_training *fnn_training_of(const fnn_isa *isa)
    const fnn_op *fnn_op_at(const fnn_isa *isa, int i)
    int64_t fnn_additions(int64_t count)

    double fnn_work(const fnn_instr *instr, int64_t samples)
    double fnn_work_shared(const fnn_instr *instr, int64_t samples)
    int fnn_threads_for(double work, int team)
    int fnn_threads_of(const fnn_instr *instr, int64_t samples, int team)

    ctypedef struct fnn_tuner:
        int largest
        int64_t samples
        int best
        double ns_per_batch[10]

    int fnn_team_size(const fnn_tuner *tuner, int index)

    ctypedef struct fnn_job:
        const fnn_instr *instrs
        int64_t instr_count
        int64_t batch
        int64_t total
        const int64_t *order
        int64_t first_batch
        int64_t batch_count
        int64_t step
        uint64_t seed
        const double *hyper
        int64_t hyper_stride
        int max_threads
        fnn_tuner *tuner
        float *scratch
        double budget_ns
        double *instr_ns
        int (*poll)(void *) noexcept
        void *poll_arg
        int stop

    int64_t fnn_execute(fnn_job *job)

    int fnn_cpu_count()
    void fnn_set_threads(int threads)
    int fnn_get_threads()
    ctypedef void (*fnn_team_function)(void *arg, int thread, int threads) noexcept
    int fnn_team_run(int threads, fnn_team_function fn, void *arg)

    ctypedef enum fnn_dtype:
        FNN_F32
        FNN_F64
        FNN_F16
        FNN_U8
        FNN_I8
        FNN_U16
        FNN_I16
        FNN_U32
        FNN_I32
        FNN_U64
        FNN_I64
        FNN_BOOL

    ctypedef struct fnn_source:
        const char *data
        fnn_dtype dtype
        int32_t axes
        int64_t shape[6]
        int64_t strides[6]


cdef extern from "fastnn.h" nogil:
    ctypedef enum fastnn_status:
        FASTNN_OK
        FASTNN_NO_FILE
        FASTNN_NOT_AN_IMAGE
        FASTNN_UNKNOWN_OPERATION

    enum:
        FASTNN_MAX_AXES

    ctypedef struct fastnn_net:
        const void *image
        size_t bytes

    ctypedef struct fastnn_port:
        const char *name
        int64_t floats
        int axes
        int64_t shape[6]

    const char *fastnn_message(fastnn_status status)
    int fastnn_inputs(const fastnn_net *net)
    int fastnn_outputs(const fastnn_net *net)
    fastnn_status fastnn_input(const fastnn_net *net, int number, fastnn_port *port)
    fastnn_status fastnn_output(const fastnn_net *net, int number, fastnn_port *port)
    const char *fastnn_description(const fastnn_net *net, size_t *nbytes)


ctypedef int (*fnn_poll)(void *) noexcept


cdef extern from "frozen.h" nogil:
    ctypedef struct fastnn_session:
        fnn_instr *instrs
        int64_t count
        int64_t max_rows

    fastnn_status fnn_open_whole(const void *image, size_t nbytes, fastnn_net *net)
    size_t fnn_frozen_memory(const fastnn_net *net, const fnn_isa *isa, int64_t max_rows)
    fastnn_status fnn_frozen_bind(const fastnn_net *net, const fnn_isa *isa, void *memory, size_t nbytes,
                                  int64_t max_rows, fastnn_session **session)
    void fnn_frozen_aim(fastnn_session *session, const float **inputs, float **outputs, int64_t first)
    void fnn_frozen_run(fastnn_session *session, const float **inputs, int64_t rows, float **outputs)
    int fnn_run_rows(fastnn_session **sessions, int threads, const float **inputs, int64_t rows, float **outputs,
                     fnn_poll poll, void *poll_arg)
