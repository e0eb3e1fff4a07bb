/* Runs a program: every instruction for every batch, by a team of threads that stays together for the whole chunk.
 *
 * A cost model says how large a team could be of use; measurement says whether it is (see `fnn_tuner`). Within a team
 * an instruction too small to be worth sharing is run by thread 0 alone. `fence` instructions wait for the whole team,
 * which is how data flows safely from one instruction to the next; instructions that do not depend on each other follow
 * without waiting.
 */
#define _GNU_SOURCE
#include "engine.h"
#include "float_mode.h"

#include <time.h>

/* Estimated cycles between two looks at the clock (about 0.1 ms), and the time between two calls of poll(). */
static const double WORK_PER_LOOK = 3e5;
static const int64_t POLL_NS = 10 * 1000 * 1000;

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void look_at_clock(fnn_job *job) {
    int64_t now = now_ns();
    job->work_since_poll = 0;
    if (job->budget_ns > 0 && (double)(now - job->started_ns) >= job->budget_ns) job->over_budget = 1;
    if (now - job->last_poll_ns < POLL_NS) return;
    job->last_poll_ns = now;
    if (job->poll && job->poll(job->poll_arg)) job->stop = 1;
}

static inline int has_worked(fnn_job *job, double work) {
    job->work_since_poll += work;
    if (job->work_since_poll > WORK_PER_LOOK) look_at_clock(job);
    return job->stop;
}

int fnn_interrupted(const fnn_run *run, double work) {
    fnn_job *job = run->job;
    if (!job || run->commits) return 0;
    return run->thread == 0 ? has_worked(job, work) : job->stop;
}

typedef struct chunk {
    fnn_job *job;
    int64_t first, count; /* batches of the job that this team runs */
    int64_t done;         /* those completed; thread 0 counts */
    _Atomic int64_t last; /* thread 0's word to the team: this batch was the last. A number and not a flag, because
                              a slow thread may read it when thread 0 is already in the next batch. */
} chunk;

static inline void start_batch(fnn_job *job, int64_t batch, fnn_run *run) {
    run->first = (job->first_batch + batch) * job->batch;
    run->left = job->total - run->first;
    run->samples = run->left < job->batch ? run->left : job->batch;
    run->step = job->step + batch;
    run->hyper = job->hyper ? job->hyper + batch * job->hyper_stride : NULL;
    run->job = job;
    run->commits = 0;
}

/* What a team does for a batch, by one thread: small networks feel every decision. Was the step completed? */
static int run_alone(fnn_job *job, fnn_run *run) {
    const fnn_instr *in = job->instrs, *end = in + job->instr_count;
    for (; in < end && !in->commits; in++) {
        in->run(in, run);
        if (has_worked(job, fnn_work(in, run->samples))) return 0;
    }
    run->commits = 1;
    for (; in < end; in += 1 + in->followers) in->run(in, run);
    return 1;
}

static void run_chunk(void *argument, int thread, int team) {
    chunk *c = argument;
    fnn_job *job = c->job;
    float_mode mode = flush_subnormals();
    fnn_run run = {
        .order = job->order,
        .seed = job->seed,
        .thread = thread,
        .threads = team,
        .scratch = job->scratch + (int64_t)thread * FNN_SCRATCH_FLOATS,
    };
    for (int64_t b = c->first; b < c->first + c->count; b++) {
        start_batch(job, b, &run);
        if (team == 1) {
            if (!run_alone(job, &run)) break;
            c->done++;
            if (job->stop || job->over_budget) break;
            continue;
        }
        const fnn_instr *first = job->instrs, *end = first + job->instr_count;
        for (const fnn_instr *in = first; in < end; in += 1 + in->followers) {
            int first_to_commit = in->commits && !run.commits;
            if ((in->fence && in > first) || first_to_commit) fnn_team_barrier(team); /* a step ends with a barrier */
            /* Behind this barrier `stop` cannot change until the step is over, so that the team agrees on it. */
            if (first_to_commit) {
                if (job->stop) goto out;
                run.commits = 1;
            }
            /* What is left of a stopped step would read half-written values, and take its time. */
            if (job->stop && !run.commits) continue;
            double work = fnn_work(in, run.samples);
            run.threads = fnn_threads_of(in, run.samples, team);
            if (thread >= run.threads) continue;
            in->run(in, &run);
            fnn_interrupted(&run, work);
        }
        if (thread == 0) {
            if (run.commits || !job->stop) c->done++;
            if (job->stop || job->over_budget) c->last = b;
        }
        fnn_team_barrier(team);
        if (c->last == b) break;
    }
out:
    restore_float_mode(mode);
}

/* Runs on this thread alone, with a look at the clock after every instruction. Steps are whole: `run` has no job, so
 * that nothing inside of them asks for an interrupt. */
static int64_t run_timed(fnn_job *job) {
    float_mode mode = flush_subnormals();
    fnn_run run = {.order = job->order, .seed = job->seed, .threads = 1, .scratch = job->scratch};
    int64_t b = 0;
    for (; b < job->batch_count && !job->stop && !job->over_budget; b++) {
        start_batch(job, b, &run);
        run.job = NULL;
        double *ns = job->instr_ns + b * job->instr_count;
        int64_t before = now_ns();
        for (int64_t i = 0; i < job->instr_count; i += 1 + job->instrs[i].followers) {
            job->instrs[i].run(&job->instrs[i], &run);
            int64_t now = now_ns();
            ns[i] = (double)(now - before);
            for (int j = 1; j <= job->instrs[i].followers; j++) ns[i + j] = 0; /* it is in that of the first */
            before = now;
        }
        look_at_clock(job);
    }
    restore_float_mode(mode);
    return b;
}

/* ---- how large a team? ------------------------------------------------------------------------------------------- */

static const double SEGMENT_NS = 1e6; /* what a team runs between two decisions: long against waking it (~10 us) */
enum { FIRST_INTERVAL = 2, LAST_INTERVAL = 256 };
static const double WORTH_CHANGING = 0.98;

static int last_index(const fnn_tuner *tuner) {
    int index = 0;
    while (fnn_team_size(tuner, index) < tuner->largest) index++;
    return index;
}

/* Which size runs the next segment: the best known, or now and then one of its neighbours. */
static int next_index(fnn_tuner *tuner) {
    if (tuner->ns_per_batch[tuner->best] == 0 || tuner->countdown-- > 0) return tuner->best;
    tuner->countdown = tuner->interval;
    int last = last_index(tuner);
    tuner->direction = tuner->best == 0 ? 1 : tuner->best == last ? -1 : -tuner->direction;
    return tuner->best + tuner->direction;
}

static void learn(fnn_tuner *tuner, int index, double ns) {
    double *known = &tuner->ns_per_batch[index];
    /* The size in use is measured all the time and changes slowly; of a trial only the last time counts. */
    *known = *known == 0 || index != tuner->best ? ns : 0.75 * *known + 0.25 * ns;
    if (index == tuner->best) return;
    if (*known < tuner->ns_per_batch[tuner->best] * WORTH_CHANGING) {
        tuner->best = index;
        tuner->interval = tuner->countdown = FIRST_INTERVAL;
    } else if (tuner->interval < LAST_INTERVAL) {
        tuner->interval *= 2;
    }
}

static void start_tuner(fnn_tuner *tuner, int largest, int64_t samples) {
    if (tuner->largest == largest && tuner->samples == samples) return;
    *tuner = (fnn_tuner){.largest = largest,
                         .samples = samples,
                         .direction = 1,
                         .interval = FIRST_INTERVAL,
                         .countdown = FIRST_INTERVAL};
    tuner->best = last_index(tuner);
}

int64_t fnn_execute(fnn_job *job) {
    job->stop = job->over_budget = 0;
    job->work_since_poll = 0;
    job->last_poll_ns = job->started_ns = now_ns();
    if (job->instr_ns) return run_timed(job);
    int largest = 1;
    int64_t samples = job->total < job->batch ? job->total : job->batch;
    for (int64_t i = 0; i < job->instr_count; i++) {
        int wanted = fnn_threads_for(fnn_work_shared(&job->instrs[i], samples), job->max_threads);
        if (wanted > largest) largest = wanted;
    }
    fnn_tuner *tuner = largest > 1 ? job->tuner : NULL;
    if (!tuner) {
        chunk c = {.job = job, .count = job->batch_count, .last = -1};
        fnn_team_run(largest, run_chunk, &c);
        return c.done;
    }
    start_tuner(tuner, largest, samples);
    int64_t done = 0;
    while (done < job->batch_count && !job->stop && !job->over_budget) {
        int index = next_index(tuner), size = fnn_team_size(tuner, index);
        double estimate = tuner->ns_per_batch[tuner->best];
        int64_t count = estimate > 0 ? (int64_t)(SEGMENT_NS / estimate) + 1 : 1;
        if (count > job->batch_count - done) count = job->batch_count - done;
        chunk c = {.job = job, .first = done, .count = count, .last = -1};
        int64_t before = now_ns();
        int team = fnn_team_run(size, run_chunk, &c);
        /* An unfinished segment, or another team than was asked for, tells nothing. */
        if (c.done == count && team == size) learn(tuner, index, (double)(now_ns() - before) / (double)count);
        done += c.done;
        if (c.done == 0) break;
    }
    return done;
}
