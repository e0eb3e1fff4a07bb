/* LAMB (You et al., ICLR 2020): Adam's direction, as long for each variable as the variable itself. Two passes, as the
 * length of the direction has to be known first. See optimizer.h for what all optimizers share.
 *
 *   lamb_direction  hyper beta_1 beta_2 epsilon   moves momentum and velocity, and leaves the direction in `grad`;
 *                                                 sums[2][chunks]: sums of squares of its and the parameters' chunks
 *   lamb_apply      w -= lr |w| / |direction| direction, with lr alone where one of them is zero
 */
#include "optimizer.h"

static int64_t sum_chunks(int64_t n) { return (n + SUM_CHUNK - 1) / SUM_CHUNK; }

static void lamb_direction(const fnn_instr *in, const fnn_run *run) {
    update u;
    if (!begin_update(in, run, &u)) return;
    fnn_split(in->d[OPT_N], SUM_CHUNK, run->thread, run->threads, &u.begin, &u.end);
    float *first = in->p[OPT_STATE], *second = in->p[OPT_STATE + 1], *direction = in->p[OPT_GRAD];
    double *sums = in->p[OPT_STATE + 2], beta_1 = u.own[0], beta_2 = u.own[1];
    int64_t chunks = sum_chunks(in->d[OPT_N]);
    vf of_m = vf_set((float)(1.0 / (1.0 - pow(beta_1, u.t)))), of_v = vf_set((float)(1.0 / (1.0 - pow(beta_2, u.t))));
    vf gain_1 = vf_set((float)(1.0 - beta_1)), gain_2 = vf_set((float)(1.0 - beta_2)), epsilon = positive(u.own[2]);
    for (int64_t from = u.begin; from < u.end; from += SUM_CHUNK) {
        int64_t to = from + SUM_CHUNK < u.end ? from + SUM_CHUNK : u.end;
        vf steps = vf_zero(), weights = vf_zero();
        for (int64_t i = from; i < to; i += VF) {
            vf g = clipped(&u, i, u.plain), w = decayed(&u, i, u.plain);
            vf m = towards(first + i, g, gain_1), v = towards(second + i, vf_mul(g, g), gain_2);
            vf step = vf_over_root(vf_mul(m, of_m), vf_mul(v, of_v), epsilon);
            steps = vf_fma(step, step, steps);
            weights = vf_fma(w, w, weights);
            vf_store(direction + i, step);
            if (!u.plain) vf_store(u.param + i, w);
        }
        sums[from / SUM_CHUNK] = vf_sum(steps);
        sums[chunks + from / SUM_CHUNK] = vf_sum(weights);
    }
}

static void lamb_apply(const fnn_instr *in, const fnn_run *run) {
    float *param = in->p[0];
    const float *direction = in->p[1];
    const double *sums = in->p[2];
    int64_t n = in->d[0], every = in->d[1] > 1 ? in->d[1] : 1, chunks = sum_chunks(n), begin, end;
    if ((run->step + 1) % every) return;
    double step = norm_of(sums, chunks), weight = norm_of(sums + chunks, chunks);
    vf rate = vf_set((float)(run->hyper[HYPER_RATE] * in->s[0] * (step > 0 && weight > 0 ? weight / step : 1.0)));
    fnn_split(n, FNN_ALIGN_FLOATS, run->thread, run->threads, &begin, &end);
    for (int64_t i = begin; i < end; i += VF)
        vf_store(param + i, vf_fnma(rate, vf_load(direction + i), vf_load(param + i)));
}

#define fnn_op_lamb_direction                                                                                        \
    {"lamb_direction", FNN_OPT_OPERANDS "momentum velocity sums", FNN_OPT_DIMS, FNN_OPT_SCALARS, lamb_direction}
#define fnn_op_lamb_apply {"lamb_apply", "param direction sums", "n accumulation", "rate_factor", lamb_apply}
