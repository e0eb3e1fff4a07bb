/* What happens around an update, where it was asked for: before it, gradients of several steps are added up and their
 * norms taken; after it, the mean of the weights moves.
 *
 *   join_halves           grad[n] += half[n], where products over halves of the rows were computed apart
 *   accumulate_gradients  grad[n] accumulator[n]: at every `accumulation`-th step grad becomes the mean of all since
 *                         the last such step; at the others the optimizer does nothing
 *   sum_squares           x[n] sums[ceil(n / SUM_CHUNK)]
 *   prepare_update        for an update rule that is traced: grad and param, clipped and decayed
 *   update_numbers        what such a rule asks for: its learning rate, the number of updates before this one, and
 *                         whether this step is one (1 or 0)
 *   average_weights       param[n] average[n]: a = mu a + (1 - mu) w, from a = w at the first update on; every
 *                         `overwrite`-th update (0: never) the weights become their mean
 */
#include "optimizer.h"

static void accumulate_gradients(const fnn_instr *in, const fnn_run *run) {
    float *grad = in->p[0], *accumulator = in->p[1];
    int64_t every = in->d[1], begin, end;
    int last = (run->step + 1) % every == 0;
    vf part = vf_set((float)(1.0 / (double)every));
    fnn_split(in->d[0], FNN_ALIGN_FLOATS, run->thread, run->threads, &begin, &end);
    for (int64_t i = begin; i < end; i += VF) {
        vf sum = vf_add(vf_load(grad + i), vf_load(accumulator + i));
        if (last) vf_store(grad + i, vf_mul(sum, part));
        vf_store(accumulator + i, last ? vf_zero() : sum);
    }
}

static void join_halves(const fnn_instr *in, const fnn_run *run) {
    float *grad = in->p[0];
    const float *half = in->p[1];
    int64_t begin, end;
    share_parameters(in, run, &begin, &end);
    for (int64_t i = begin; i < end; i += VF) vf_store(grad + i, vf_add(vf_load(grad + i), vf_load(half + i)));
}

static void sum_squares(const fnn_instr *in, const fnn_run *run) {
    const float *x = in->p[0];
    double *sums = in->p[1];
    int64_t begin, end;
    fnn_split(in->d[0], SUM_CHUNK, run->thread, run->threads, &begin, &end);
    for (int64_t from = begin; from < end; from += SUM_CHUNK) {
        int64_t to = from + SUM_CHUNK < end ? from + SUM_CHUNK : end;
        vf sum = vf_zero();
        for (int64_t i = from; i < to; i += VF) {
            vf v = vf_load(x + i);
            sum = vf_fma(v, v, sum);
        }
        sums[from / SUM_CHUNK] = vf_sum(sum);
    }
}

static void average_weights(const fnn_instr *in, const fnn_run *run) {
    float *param = in->p[0], *average = in->p[1];
    int64_t every = in->d[1] > 1 ? in->d[1] : 1, overwrite = in->d[2], update = run->step / every, begin, end;
    double momentum = update ? run->hyper[HYPER_EMA] : 0.0;
    vf mu = vf_set((float)momentum), rest = vf_set((float)(1.0 - momentum));
    int back = overwrite && (update + 1) % overwrite == 0;
    fnn_split(in->d[0], FNN_ALIGN_FLOATS, run->thread, run->threads, &begin, &end);
    for (int64_t i = begin; i < end; i += VF) {
        vf a = vf_fma(mu, vf_load(average + i), vf_mul(rest, vf_load(param + i)));
        vf_store(average + i, a);
        if (back) vf_store(param + i, a);
    }
}

FNN_INLINE void prepare_update_loop(const fnn_instr *in, const update *u, int plain) {
    float *grad = in->p[OPT_GRAD];
    for (int64_t i = u->begin; i < u->end; i += VF) {
        vf_store(grad + i, clipped(u, i, plain));
        vf_store(u->param + i, decayed(u, i, plain));
    }
}

FNN_OPTIMIZER(prepare_update)

static void update_numbers(const fnn_instr *in, const fnn_run *run) {
    if (run->thread) return;
    int64_t every = in->d[0] > 1 ? in->d[0] : 1;
    *(float *)in->p[0] = (float)(run->hyper[HYPER_RATE] * in->s[0]);
    *(float *)in->p[1] = (float)(run->step / every);
    *(float *)in->p[2] = (run->step + 1) % every == 0;
}

#define fnn_op_prepare_update {"prepare_update", FNN_OPT_OPERANDS, FNN_OPT_DIMS, FNN_OPT_SCALARS, prepare_update}
#define fnn_op_update_numbers                                                                                        \
    {"update_numbers", "rate iterations updates", "accumulation", "rate_factor", update_numbers}
#define fnn_op_join_halves {"join_halves", "grad half", "n matrix_rows matrix_columns", "", join_halves}
#define fnn_op_accumulate_gradients                                                                                  \
    {"accumulate_gradients", "grad accumulator", "n accumulation", "", accumulate_gradients}
#define fnn_op_sum_squares {"sum_squares", "x sums", "n", "", sum_squares}
#define fnn_op_average_weights                                                                                       \
    {"average_weights", "param average", "n accumulation overwrite", "", average_weights}
