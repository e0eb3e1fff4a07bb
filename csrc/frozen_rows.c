/* Many samples through a frozen network, by a team. Threads take stretches of rows one after the other, and never wait
 * for each other before the end: one that shares its processor with another program just takes fewer of them. */
#include "float_mode.h"
#include "frozen.h"

#include <stdatomic.h>

typedef struct share {
    fastnn_session *const *sessions;
    const float *const *inputs;
    float *const *outputs;
    int64_t rows, stretch;
    int threads;
    int (*poll)(void *);
    void *poll_arg;
    _Atomic int64_t next; /* the first row that nobody has taken */
} share;

/* Called through the job of thread 0: stops the others, too. */
static int poll_for_all(void *argument) {
    share *s = argument;
    if (!s->poll || !s->poll(s->poll_arg)) return 0;
    for (int i = 0; i < s->threads; i++) s->sessions[i]->job.stop = 1;
    return 1;
}

static void take_rows(void *argument, int thread, int team) {
    share *s = argument;
    fastnn_session *session = s->sessions[thread];
    (void)team;
    float_mode mode = flush_subnormals();
    /* To the kernels every session is a team of one. */
    fnn_run run = {.job = &session->job, .threads = 1, .scratch = session->scratch};
    while (!session->job.stop) {
        int64_t first = atomic_fetch_add(&s->next, s->stretch);
        if (first >= s->rows) break;
        run.samples = s->rows - first < s->stretch ? s->rows - first : s->stretch;
        fnn_frozen_aim(session, s->inputs, s->outputs, first);
        for (int64_t i = 0; i < session->count && !session->job.stop; i++) {
            const fnn_instr *in = &session->instrs[i];
            in->run(in, &run);
            fnn_interrupted(&run, fnn_work(in, run.samples));
        }
    }
    restore_float_mode(mode);
}

int fnn_run_rows(fastnn_session *const *sessions, int threads, const float *const *inputs, int64_t rows,
                 float *const *outputs, int (*poll)(void *), void *poll_arg) {
    int64_t most = sessions[0]->max_rows, stretch = most;
    if (threads > 1) { /* a few for each thread, even ones, so that all end together */
        int64_t stretches = (rows + most - 1) / most;
        stretches = fnn_round_up(stretches < 2 * threads ? 2 * threads : stretches, threads);
        stretch = fnn_round_up((rows + stretches - 1) / stretches, 12); /* no thin tiles in between */
        if (stretch > most) stretch = most;
    }
    share s = {sessions, inputs, outputs, rows, stretch, threads, poll, poll_arg, 0};
    for (int i = 0; i < threads; i++) {
        fnn_job *job = &sessions[i]->job;
        *job = (fnn_job){.poll = i == 0 ? poll_for_all : NULL, .poll_arg = &s};
    }
    fnn_team_run(threads, take_rows, &s);
    return !sessions[0]->job.stop;
}
