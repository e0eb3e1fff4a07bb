/* The engine's vocabulary: what an instruction is, what an operation is, what runs them.
 *
 * Python lowers a network to a flat array of `fnn_instr`. Each instruction names one operation (`fnn_op`) and binds its
 * operands (pointers), dimensions (integers) and scalars (floats). `fnn_execute` runs the array once for each training
 * step. No function declared here allocates, locks or calls Python while a program runs.
 *
 * Matrices are row-major float32: `rows` x `n` values with a row stride `ld` >= n, a multiple of FNN_ALIGN_FLOATS, so
 * that a kernel may load and store whole vectors up to round_up(n, FNN_ALIGN_FLOATS). What lies between n and ld is
 * padding: finite, otherwise unspecified; kernels must not let it reach a value that somebody reads.
 * Dense weights lie in panels (see ops/gemm.c). Vectors of length n (bias, gamma, ...) are padded with zeros to a
 * multiple of FNN_ALIGN_FLOATS and stay zero there.
 */
#ifndef FNN_ENGINE_H
#define FNN_ENGINE_H

#include <stddef.h>
#include <stdint.h>

#pragma GCC visibility push(hidden) /* a library shows nothing of this, whatever the compiler's flags */

#define FNN_ALIGN_BYTES 64
#define FNN_ALIGN_FLOATS 16

enum { FNN_MAX_OPERANDS = 12, FNN_MAX_DIMS = 20, FNN_MAX_SCALARS = 6 };

/* ---- what an operation sees of the running program -------------------------------------------------------------- */

typedef struct fnn_run {
    int64_t samples;               /* samples in this batch; the last one of an epoch may be smaller */
    int64_t first;                 /* position in `order` of the batch's first sample */
    int64_t left;                  /* samples from there to the end of the epoch, this batch's included */
    const int64_t *order;          /* sample numbers in the order of this epoch, or NULL: first, first + 1, ... */
    int64_t step;                  /* training steps done before this one, since the model was compiled */
    uint64_t seed;                 /* key of every random number drawn in this program */
    const double *hyper;           /* this step's hyper-parameters; hyper[0] is the learning rate */
    struct fnn_job *job;           /* for fnn_interrupted(), and callbacks that fail; or NULL */
    int commits;                   /* nonzero: the step changes the model by now, and is not interrupted any more */
    int thread, threads;           /* this thread's number and the size of the team that runs this instruction */
    float *scratch;                /* this thread's own scratch, FNN_SCRATCH_FLOATS long, aligned */
    const struct fnn_piece *piece; /* of an instruction that follows another: what it is to work on. Else NULL */
} fnn_run;

enum { FNN_SCRATCH_FLOATS = 120 * 1024 };

/* Rows of one panel of a weight gradient, which those that follow change or read while they are in a cache. */
typedef struct fnn_piece {
    float *values;            /* the gradient of these weights, */
    const float *bias_values; /* and that of the biases of these columns */
    int64_t panel, first, rows;
    int64_t begin, end; /* where they lie among the floats of the matrix */
} fnn_piece;

struct fnn_instr;
typedef void (*fnn_op_run)(const struct fnn_instr *in, const fnn_run *run);

/* One instruction. `run` must depend on nothing else than what the instruction, the run and the operands hold. */
typedef struct fnn_instr {
    fnn_op_run run;
    int64_t rows_per_sample; /* matrix rows of one sample: 1, or the product of the middle dimensions */
    void *p[FNN_MAX_OPERANDS];
    int64_t d[FNN_MAX_DIMS];
    float s[FNN_MAX_SCALARS];
    double work_per_row; /* estimated cycles of one core for a row, and for the instruction as a whole: */
    double work;         /* they choose the number of threads and when to look for an interrupt */
    int16_t fence;       /* nonzero: all threads must have finished what came before this starts */
    int16_t commits;     /* nonzero: changes the model; from the first such one on a step is not interrupted */
    int16_t followers;   /* so many instructions behind this one are run by it, with each piece of its result */
    /* Nonzero: threads share the rows of the batch, each as many of them, and nothing else. A row is then the same
     * thread's in every such instruction, and none waits for the one before. It is the estimated cycles for a row of
     * all those in sequence, which therefore choose the same number of threads. (Gradients in halves of the rows have
     * it for that number alone: threads share the halves, and each of them by panels.) */
    float by_rows;
} fnn_instr;

/* Where an operand of an instruction of a frozen image lies, and how many floats there are from there on. */
typedef struct fnn_place {
    int64_t per_sample; /* for each sample of a batch, however large it is; or else */
    int64_t fixed;      /* once. Both 0: there is no such operand */
    const void *data;   /* what a constant holds, else NULL */
    int writable;
} fnn_place;

/* Does an instruction of an image, which anybody may have written, stay inside of its memory? `in` has its numbers, all
 * of dims and rows_per_sample being 0 to FNN_LARGEST_DIM, and no pointers. See check.h. */
enum { FNN_LARGEST_DIM = 0x7fffffff };
typedef int (*fnn_op_check)(const fnn_instr *in, const fnn_place *places);

/* How many floats of fnn_run.scratch does a thread alone need for an instruction that has been checked, with up to so
 * many samples? More samples never need less. */
typedef int64_t (*fnn_op_scratch)(const fnn_instr *in, const fnn_place *places, int64_t samples);

/* A function that an instruction calls (ops/callback.c); nonzero stops the job. */
typedef struct fnn_callback {
    int (*call)(void *object, const fnn_instr *in, const fnn_run *run);
    void *object;
} fnn_callback;

/* One operation, as declared by its file in ops/. The names are what Python binds by. */
typedef struct fnn_op {
    const char *name;     /* "dense_forward" */
    const char *operands; /* names of p[], in order, separated by spaces; a trailing '?' marks one that may be NULL */
    const char *dims;     /* names of d[] */
    const char *scalars;  /* names of s[] */
    fnn_op_run run;
    fnn_op_check check;     /* NULL: not allowed in images */
    fnn_op_scratch scratch; /* NULL: needs none. For images only: programs have FNN_SCRATCH_FLOATS for everyone */
} fnn_op;

/* ---- one instruction set: the same sources compiled with its flags ----------------------------------------------- */

typedef struct fnn_isa {
    const char *name;  /* "baseline", "avx2", "avx512", "neon" */
    int vector_floats; /* lanes of one register */
    const fnn_op *ops; /* those that frozen images may have; the same, in the same order, for every instruction set */
    int op_count;
} fnn_isa;

/* And what training needs on top, which the library of frozen networks does without. */
typedef struct fnn_training {
    const fnn_op *ops;
    int op_count;
    /* panel-packed weights (layout in ops/gemm.c) */
    int64_t (*panel_floats)(int64_t k, int64_t n); /* size of a packed k x n matrix */
    void (*panel_pack)(const float *src, int64_t ld, int64_t k, int64_t n, float *packed); /* zero in the padding */
    void (*panel_unpack)(const float *packed, int64_t k, int64_t n, float *dst, int64_t ld);
    double (*peak)(int64_t rounds, float *result); /* what the processor can do at most (ops/peak.c) */
    /* the same permutation for every instruction set (ops/order.c) */
    void (*shuffle)(int64_t *order, int64_t n, uint64_t seed, uint64_t epoch);
} fnn_training;

extern const fnn_isa fnn_isa_baseline, fnn_isa_avx2, fnn_isa_avx512, fnn_isa_neon; /* those that there are */
extern const fnn_training fnn_training_baseline, fnn_training_avx2, fnn_training_avx512, fnn_training_neon;

/* The sets compiled into this binary; NULL-terminated, best last. */
extern const fnn_isa *const fnn_isas[];
const fnn_isa *fnn_isa_best(void);         /* the best that this CPU can run */
int fnn_isa_supported(const fnn_isa *isa); /* can this CPU run it? */
const fnn_training *fnn_training_of(const fnn_isa *isa);
const fnn_op *fnn_op_at(const fnn_isa *isa, int i); /* the i-th of all its operations, or NULL */
int64_t fnn_additions(int64_t count);               /* does so many, one a cycle: with a watch, it tells the clock */

/* ---- running a program ------------------------------------------------------------------------------------------- */

/* Cycles below which sharing an instruction costs more than it gains: a barrier is about 500 cycles when every thread
 * is running, and the slower thread sets the pace. Measured on 2-core x86-64 servers with benchmarks/. */
enum { FNN_WORK_WORTH_SHARING = 8000 };
/* The same within a team that is at work anyway: what it would share waits for a fence in any case, and thread 0 alone
 * would have to fetch what the others have written. */
enum { FNN_WORK_WORTH_SPLITTING = 2000 };

/* Estimated cycles of one core for a batch of so many samples. */
static inline double fnn_work(const fnn_instr *in, int64_t samples) {
    return in->work + in->work_per_row * (double)(samples * in->rows_per_sample);
}

/* How many threads of a team share so much work. */
static inline int fnn_threads_for(double work, int team) {
    double wanted = work / FNN_WORK_WORTH_SHARING;
    return wanted < 2 ? 1 : wanted < team ? (int)wanted : team;
}

/* What threads share with an instruction: also what follows it. */
static inline double fnn_work_shared(const fnn_instr *in, int64_t samples) {
    if (in->by_rows > 0) return (double)in->by_rows * (double)samples;
    double work = fnn_work(in, samples);
    for (int i = 1; i <= in->followers; i++) work += fnn_work(in + i, samples);
    return work;
}

/* How many threads of a team that is at work run an instruction. */
static inline int fnn_threads_of(const fnn_instr *in, int64_t samples, int team) {
    double wanted = fnn_work_shared(in, samples) / FNN_WORK_WORTH_SPLITTING;
    return wanted < 2 ? 1 : wanted < team ? (int)wanted : team;
}

/* What a program has learnt about how fast teams of different sizes run it. Results do not depend on the team, so the
 * executor may try another one at any time, and stays with what is fastest now: a team whose threads have to share a
 * processor with other programs is slower than one thread alone. All zero at the start. */
enum { FNN_TEAM_SIZES = 10 }; /* 1, 2, 4, ..., 256 and the largest */
typedef struct fnn_tuner {
    int largest;                         /* the cost model's team, and */
    int64_t samples;                     /* the samples of a batch that these measurements are of */
    int best;                            /* index of the size in use */
    int direction;                       /* where the last trial went: -1 smaller, 1 larger */
    int interval, countdown;             /* segments from one trial to the next, and until the next */
    double ns_per_batch[FNN_TEAM_SIZES]; /* 0: not measured */
} fnn_tuner;

/* The sizes that are tried are powers of two, and the largest. */
static inline int fnn_team_size(const fnn_tuner *tuner, int index) {
    int size = 1 << index;
    return size < tuner->largest ? size : tuner->largest;
}

typedef struct fnn_job {
    const fnn_instr *instrs;
    int64_t instr_count;
    int64_t batch;        /* samples of a full batch */
    int64_t total;        /* samples in the epoch */
    const int64_t *order; /* `total` sample numbers, or NULL */
    int64_t first_batch;  /* batches of this epoch already done */
    int64_t batch_count;  /* run at most this many */
    int64_t step;         /* fnn_run.step of the first batch */
    uint64_t seed;
    const double *hyper; /* hyper_stride doubles for each batch (stride 0: the same for all) */
    int64_t hyper_stride;
    int max_threads;
    fnn_tuner *tuner;    /* kept from run to run; NULL: always the cost model's team */
    float *scratch;      /* max_threads x FNN_SCRATCH_FLOATS */
    double budget_ns;    /* return after the batch in which about this much time has passed; 0: no limit */
    double *instr_ns;    /* NULL; or batch_count x instr_count, to run on one thread and time every instruction */
    int (*poll)(void *); /* called by the calling thread every ~10 ms; nonzero stops. May be NULL */
    void *poll_arg;
    /* owned by the executor: */
    int64_t started_ns, last_poll_ns;
    double work_since_poll;
    int over_budget;
    _Atomic int stop; /* set by thread 0, read by all */
} fnn_job;

/* Runs up to batch_count batches; returns how many were completed. job->stop tells whether poll stopped it. */
int64_t fnn_execute(fnn_job *job);

/* For long operations: has the job been stopped? Thread 0 asks poll() when enough `work` (cycles) has gone by. */
int fnn_interrupted(const fnn_run *run, double work);

/* ---- threads ----------------------------------------------------------------------------------------------------- */

int fnn_cpu_count(void);           /* processors this process may use: affinity and cgroup quota */
void fnn_set_threads(int threads); /* upper limit for any team; starts nothing */
int fnn_get_threads(void);
/* Runs fn(arg, thread) on `threads` threads, the caller being number 0. Returns the team's size, which is 1 if the
 * pool is in use by another thread. */
typedef void (*fnn_team_function)(void *arg, int thread, int threads);
int fnn_team_run(int threads, fnn_team_function fn, void *arg);
void fnn_team_barrier(int threads); /* inside fn only: waits for the team */

/* Splits n items in multiples of `grain` evenly over a team. */
static inline void fnn_split(int64_t n, int64_t grain, int thread, int threads, int64_t *begin, int64_t *end) {
    if (threads == 1) { /* spares the divisions */
        *begin = 0, *end = n;
        return;
    }
    int64_t units = (n + grain - 1) / grain;
    int64_t b = units * thread / threads * grain, e = units * (thread + 1) / threads * grain;
    *begin = b < n ? b : n;
    *end = e < n ? e : n;
}

static inline int64_t fnn_round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

/* ---- data that programs read ------------------------------------------------------------------------------------- */

typedef enum fnn_dtype {
    FNN_F32,
    FNN_F64,
    FNN_F16,
    FNN_U8,
    FNN_I8,
    FNN_U16,
    FNN_I16,
    FNN_U32,
    FNN_I32,
    FNN_U64,
    FNN_I64,
    FNN_BOOL
} fnn_dtype;

enum { FNN_MAX_AXES = 6 };

/* A set of samples as the caller holds it: any dtype of the list, any strides (bytes), never copied as a whole.
 * Axis 0 counts samples; the other axes are one sample, read in C order. */
typedef struct fnn_source {
    const char *data;
    fnn_dtype dtype;
    int32_t axes;
    int64_t shape[FNN_MAX_AXES];
    int64_t strides[FNN_MAX_AXES];
} fnn_source;

#pragma GCC visibility pop

#endif
