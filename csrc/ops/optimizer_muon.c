/* Muon (Jordan et al., 2024; its step's size: Liu et al., arXiv:2502.16982): the momentum of a matrix, its singular
 * values brought to about 1 by a few Newton-Schulz iterations. See optimizer.h for what all optimizers share.
 *
 *   hyper beta_1 beta_2 epsilon ratio adam_decay   of Adam, for what is no matrix, with its part of the learning rate
 *         momentum a b c rms                       of Muon; rms below 0: the step's size is not adjusted
 *
 *   muon_adam      Adam's update
 *   muon_momentum  m = mu m + g; grad = m or, by Nesterov, g + mu m; sums: its squares. Decays `param`
 *   muon_start     x[short][long] = grad / (its norm + 1e-7), as it lies or transposed
 *   muon_product   y = x . w, w in panels, or x . w' (`turned`)
 *   muon_blend     y = u x + v y, over rows of n: by hyper numbers `u` and `v` counted from 1; 0 is the number 1
 *   muon_apply     w -= lr rms sqrt(long) x
 *
 * The matrix height x columns lies in rows that are `ld` floats apart or, where that is 0, in panels. Nothing of this
 * happens in steps that only accumulate gradients.
 */
#include "optimizer.h"

enum { MUON_RATIO = 3, MUON_ADAM_DECAY, MUON_MOMENTUM, MUON_A, MUON_B, MUON_C, MUON_RMS };

static void muon_adam(const fnn_instr *in, const fnn_run *run) {
    update u;
    if (!begin_update(in, run, &u)) return;
    if (in->s[1] != 0) u.decay = vf_set((float)(u.own[MUON_ADAM_DECAY] * u.rate));
    u.rate *= u.own[MUON_RATIO];
    if (u.plain) adam_loop(in, &u, 1);
    else adam_loop(in, &u, 0);
}

static void muon_momentum(const fnn_instr *in, const fnn_run *run) {
    update u;
    if (!begin_update(in, run, &u)) return;
    fnn_split(in->d[OPT_N], SUM_CHUNK, run->thread, run->threads, &u.begin, &u.end);
    float *momentum = in->p[OPT_STATE], *direction = in->p[OPT_GRAD];
    double *sums = in->p[OPT_STATE + 1];
    vf mu = vf_set((float)u.own[MUON_MOMENTUM]);
    int nesterov = in->d[OPT_OWN] != 0;
    for (int64_t from = u.begin; from < u.end; from += SUM_CHUNK) {
        int64_t to = from + SUM_CHUNK < u.end ? from + SUM_CHUNK : u.end;
        vf sum = vf_zero();
        for (int64_t i = from; i < to; i += VF) {
            vf g = clipped(&u, i, u.plain), m = vf_fma(mu, vf_load(momentum + i), g);
            vf step = nesterov ? vf_fma(mu, m, g) : m;
            vf_store(momentum + i, m);
            vf_store(direction + i, step);
            sum = vf_fma(step, step, sum);
            if (!u.plain) vf_store(u.param + i, decayed(&u, i, 0));
        }
        sums[from / SUM_CHUNK] = vf_sum(sum);
    }
}

/* Is this a step of an update? `every`: the operation's dimension of accumulation. */
static int updates_now(const fnn_run *run, int64_t every) { return every < 2 || (run->step + 1) % every == 0; }

static inline int64_t matrix_at(int64_t k, int64_t n, int64_t ld, int64_t i, int64_t j) {
    return ld ? i * ld + j : panel_at(k, n, i, j);
}

static void muon_start(const fnn_instr *in, const fnn_run *run) {
    if (!updates_now(run, in->d[0])) return;
    const float *grad = in->p[0];
    const double *sums = in->p[1];
    float *x = in->p[2];
    int64_t k = in->d[1], n = in->d[2], ld = in->d[3], ldx = in->d[4], begin, end;
    int turned = k > n;
    int64_t rows = turned ? n : k, columns = turned ? k : n;
    float scale = (float)(1.0 / (norm_of(sums, in->d[5]) + 1e-7));
    fnn_split(rows, 1, run->thread, run->threads, &begin, &end);
    for (int64_t i = begin; i < end; i++)
        for (int64_t j = 0; j < ldx; j++) {
            int64_t at = j >= columns ? 0 : turned ? matrix_at(k, n, ld, j, i) : matrix_at(k, n, ld, i, j);
            x[i * ldx + j] = j < columns ? grad[at] * scale : 0.0f;
        }
}

static void muon_product(const fnn_instr *in, const fnn_run *run) {
    if (!updates_now(run, in->d[0])) return;
    int64_t m = in->d[1], k = in->d[2], n = in->d[3], ldx = in->d[4], ldy = in->d[5], turned = in->d[6];
    fnn_run rows = *run;
    rows.samples = m; /* whatever the batch is */
    fnn_instr forward = {
        .rows_per_sample = 1, .p = {in->p[0], in->p[1], NULL, in->p[2], NULL}, .d = {k, n, ldx, ldy, 0}};
    fnn_instr backward = {
        .rows_per_sample = 1, .p = {in->p[0], in->p[1], NULL, in->p[2]}, .d = {k, n, ldx, 0, ldy, 0, 0}};
    if (turned) dense_backward_input(&backward, &rows);
    else dense_forward(&forward, &rows);
}

static void muon_blend(const fnn_instr *in, const fnn_run *run) {
    if (!updates_now(run, in->d[0])) return;
    const float *x = in->p[0];
    float *y = in->p[1];
    int64_t n = in->d[2], ldx = in->d[3], ldy = in->d[4], begin, end;
    const double *own = run->hyper + HYPER_OWN;
    vf of_x = vf_set(in->d[5] ? (float)own[in->d[5] - 1] : 1.0f),
       of_y = vf_set(in->d[6] ? (float)own[in->d[6] - 1] : 1.0f);
    fnn_split(in->d[1], 1, run->thread, run->threads, &begin, &end);
    for (int64_t i = begin; i < end; i++)
        for (int64_t j = 0; j < n; j += VF) {
            float *at = y + i * ldy + j;
            vf_store(at, vf_fma(of_x, vf_load(x + i * ldx + j), vf_mul(of_y, vf_load(at))));
        }
}

static void muon_apply(const fnn_instr *in, const fnn_run *run) {
    if (!updates_now(run, in->d[0])) return;
    float *param = in->p[0];
    const float *x = in->p[1];
    int64_t k = in->d[1], n = in->d[2], ld = in->d[3], ldx = in->d[4], begin, end;
    int turned = k > n;
    double rms = run->hyper[HYPER_OWN + MUON_RMS];
    double rate = run->hyper[HYPER_RATE] * in->s[0] * (rms < 0 ? 1.0 : rms * sqrt((double)(turned ? k : n)));
    fnn_split(k, 1, run->thread, run->threads, &begin, &end);
    for (int64_t i = begin; i < end; i++)
        for (int64_t j = 0; j < n; j++)
            param[matrix_at(k, n, ld, i, j)] -= (float)rate * x[turned ? j * ldx + i : i * ldx + j];
}

#define fnn_op_muon_adam                                                                                             \
    {"muon_adam", FNN_OPT_OPERANDS "momentum velocity velocity_hat?", FNN_OPT_DIMS, FNN_OPT_SCALARS, muon_adam}
#define fnn_op_muon_momentum                                                                                         \
    {"muon_momentum", FNN_OPT_OPERANDS "momentum sums", FNN_OPT_DIMS " nesterov", FNN_OPT_SCALARS, muon_momentum}
#define fnn_op_muon_start {"muon_start", "grad sums x", "accumulation height columns ld ldx count", "", muon_start}
#define fnn_op_muon_product {"muon_product", "x w y", "accumulation height k n ldx ldy turned", "", muon_product}
#define fnn_op_muon_blend {"muon_blend", "x y", "accumulation height n ldx ldy u v", "", muon_blend}
#define fnn_op_muon_apply {"muon_apply", "param x", "accumulation height columns ld ldx", "rate_factor", muon_apply}
