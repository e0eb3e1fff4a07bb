/* Adafactor (Shazeer & Stern, ICML 2018): Adam's second moments of a matrix, kept as the means of its rows and of its
 * columns, whose product they are taken to be; and steps as long, for each variable, as the variable. Every mean has to
 * be known before the next pass, so there are four. See optimizer.h for what all optimizers share.
 *
 *   hyper beta_2_decay epsilon_1 epsilon_2 clip_threshold;  beta = 1 - t^beta_2_decay
 *
 *   adafactor_moments    c = beta c + (1 - beta) (column means of g^2 + epsilon_1); sums[0][..]: squares of the
 *                        parameters; partial[strip][row]: sums of g^2. Clips `grad` and decays `param` where that is
 *                        asked for
 *   adafactor_rows       r likewise, from what the strips have; root = 1 / sqrt(r)
 *   adafactor_direction  grad = u = grad / sqrt(r c / mean(r)); sums[1][..]: its squares
 *   adafactor_vector     instead of these three, for what is no matrix: v = beta v + (1 - beta) (g^2 + epsilon_1),
 *                        grad = u = g / sqrt(v), sums
 *   adafactor_apply      w -= max(epsilon_2, rms(w)) min(lr, 1 / sqrt(t)) u / max(1, rms(u) / clip_threshold)
 *
 * A variable is `batches` matrices of height x columns, in rows `ld` floats apart or, where that is 0, in panels.
 * Either way it is cut into strips: columns that lie side by side. r and c have rows of whole cache lines, one for each
 * matrix. sums[2][count]: count is at least the number of strips, or of a vector's chunks.
 */
#include "optimizer.h"

enum { FACTORED_BATCHES = OPT_OWN, FACTORED_ROWS, FACTORED_COLUMNS, FACTORED_LD, FACTORED_COUNT };
#define FACTORED_DIMS FNN_OPT_DIMS " batches height columns ld count"

typedef struct strip {
    int64_t batch, number; /* of the matrix, and of the strip inside it */
    int64_t at, ld;        /* its first float in the variable, and the way to the next row */
    int64_t column;
    int vectors, last; /* one to three, and how many floats of the last one belong to this row */
} strip;

static int64_t strips_of(const fnn_instr *in) {
    int64_t n = in->d[FACTORED_COLUMNS];
    return in->d[FACTORED_LD] ? (n + PANEL - 1) / PANEL : panel_count(n);
}

static strip strip_of(const fnn_instr *in, int64_t which) {
    int64_t k = in->d[FACTORED_ROWS], n = in->d[FACTORED_COLUMNS], ld = in->d[FACTORED_LD], strips = strips_of(in);
    strip s = {.batch = which / strips, .number = which % strips, .last = VF};
    s.column = s.number * PANEL;
    if (ld == 0) {
        s.vectors = panel_width(n, s.number);
        s.ld = (int64_t)s.vectors * VF;
        s.at = s.column * k;
        return s;
    }
    s.vectors = n - s.column > VF ? 2 : 1;
    s.ld = ld;
    s.at = s.batch * k * ld + s.column;
    int64_t left = ld - s.column - (s.vectors - 1) * VF; /* a table's rows follow each other without padding */
    if (left < VF) s.last = (int)left;
    return s;
}

static inline vf part_load(const float *p, int n) { return n < VF ? vf_load_n(p, n) : vf_load(p); }
static inline void part_store(float *p, int n, vf x) {
    if (n < VF) vf_store_n(p, n, x);
    else vf_store(p, x);
}

/* The decay of the second moments at this update. */
static double second_beta(const update *u) { return 1.0 - pow(u->t, u->own[0]); }

FNN_INLINE void squares_of(const fnn_instr *in, const update *u, const strip *s, int vectors, float *grad,
                           float *partial, vf *columns, vf *weights) {
    int64_t rows = in->d[FACTORED_ROWS];
    for (int64_t i = 0; i < rows; i++) {
        vf sum = vf_zero();
        for (int v = 0; v < vectors; v++) {
            int64_t at = s->at + i * s->ld + v * VF;
            int part = v + 1 < vectors ? VF : s->last;
            vf g = part_load(u->grad + at, part), w = part_load(u->param + at, part);
            if (!u->plain) {
                g = clip_vector(u, g);
                w = vf_fnma(u->decay, w, w);
                part_store(grad + at, part, g);
                part_store(u->param + at, part, w);
            }
            columns[v] = vf_fma(g, g, columns[v]);
            sum = vf_fma(g, g, sum);
            *weights = vf_fma(w, w, *weights);
        }
        partial[i] = vf_sum(sum);
    }
}

static void adafactor_moments(const fnn_instr *in, const fnn_run *run) {
    update u;
    if (!begin_update(in, run, &u)) return;
    float *c = in->p[OPT_STATE], *partial = in->p[OPT_STATE + 1];
    double *sums = in->p[OPT_STATE + 2], beta = second_beta(&u), rows = (double)in->d[FACTORED_ROWS];
    int64_t ldc = fnn_round_up(in->d[FACTORED_COLUMNS], FNN_ALIGN_FLOATS), begin, end;
    vf keep = vf_set((float)beta), gain = vf_set((float)((1.0 - beta) / rows));
    vf least = vf_set((float)((1.0 - beta) * u.own[1]));
    fnn_split(in->d[FACTORED_BATCHES] * strips_of(in), 1, run->thread, run->threads, &begin, &end);
    for (int64_t which = begin; which < end; which++) {
        strip s = strip_of(in, which);
        vf columns[3] = {vf_zero(), vf_zero(), vf_zero()}, weights = vf_zero();
        float *grad = in->p[OPT_GRAD], *of_rows = partial + which * in->d[FACTORED_ROWS];
        if (s.vectors == 1) squares_of(in, &u, &s, 1, grad, of_rows, columns, &weights);
        else if (s.vectors == 2) squares_of(in, &u, &s, 2, grad, of_rows, columns, &weights);
        else squares_of(in, &u, &s, 3, grad, of_rows, columns, &weights);
        for (int v = 0; v < s.vectors; v++) {
            float *mean = c + s.batch * ldc + s.column + v * VF;
            vf_store(mean, vf_fma(keep, vf_load(mean), vf_fma(gain, columns[v], least)));
        }
        sums[which] = vf_sum(weights);
    }
}

static void adafactor_rows(const fnn_instr *in, const fnn_run *run) {
    update u;
    if (!begin_update(in, run, &u)) return;
    float *r = in->p[OPT_STATE], *root = in->p[OPT_STATE + 1];
    const float *partial = in->p[OPT_STATE + 2];
    int64_t rows = in->d[FACTORED_ROWS], ldr = fnn_round_up(rows, FNN_ALIGN_FLOATS), strips = strips_of(in), begin, end;
    double beta = second_beta(&u);
    vf keep = vf_set((float)beta), gain = vf_set((float)((1.0 - beta) / (double)in->d[FACTORED_COLUMNS]));
    vf least = vf_set((float)((1.0 - beta) * u.own[1]));
    fnn_split(in->d[FACTORED_BATCHES] * ldr, FNN_ALIGN_FLOATS, run->thread, run->threads, &begin, &end);
    for (int64_t at = begin; at < end; at += VF) {
        int64_t batch = at / ldr, i = at % ldr;
        if (i >= rows) continue;
        int part = rows - i < VF ? (int)(rows - i) : VF;
        vf sum = vf_zero();
        for (int64_t s = 0; s < strips; s++)
            sum = vf_add(sum, part_load(partial + (batch * strips + s) * rows + i, part));
        vf mean = vf_fma(keep, vf_load(r + at), vf_fma(gain, sum, least));
        vf_store(r + at, mean);
        vf_store(root + at, vf_div(vf_set(1.0f), vf_sqrt(vf_max(vf_set(FLT_MIN), mean))));
    }
}

FNN_INLINE vf direction_of(const fnn_instr *in, const strip *s, int vectors, float *grad, const float *root,
                           const vf *scale) {
    vf sum = vf_zero();
    for (int64_t i = 0; i < in->d[FACTORED_ROWS]; i++) {
        vf row = vf_set(root[i]);
        for (int v = 0; v < vectors; v++) {
            float *at = grad + s->at + i * s->ld + v * VF;
            int part = v + 1 < vectors ? VF : s->last;
            vf u = vf_mul(vf_mul(part_load(at, part), row), scale[v]);
            part_store(at, part, u);
            sum = vf_fma(u, u, sum);
        }
    }
    return sum;
}

static void adafactor_direction(const fnn_instr *in, const fnn_run *run) {
    update u;
    if (!begin_update(in, run, &u)) return;
    float *grad = in->p[OPT_GRAD];
    const float *r = in->p[OPT_STATE], *c = in->p[OPT_STATE + 1], *root = in->p[OPT_STATE + 2];
    double *sums = (double *)in->p[OPT_STATE + 3] + in->d[FACTORED_COUNT];
    int64_t rows = in->d[FACTORED_ROWS], ldr = fnn_round_up(rows, FNN_ALIGN_FLOATS), batch = -1, begin, end;
    int64_t ldc = fnn_round_up(in->d[FACTORED_COLUMNS], FNN_ALIGN_FLOATS);
    vf mean = vf_zero();
    fnn_split(in->d[FACTORED_BATCHES] * strips_of(in), 1, run->thread, run->threads, &begin, &end);
    for (int64_t which = begin; which < end; which++) {
        strip s = strip_of(in, which);
        if (s.batch != batch) { /* every thread adds up the rows for itself, in the same order */
            double sum = 0;
            batch = s.batch;
            for (int64_t i = 0; i < rows; i++) sum += r[batch * ldr + i];
            mean = vf_set((float)sqrt(sum / (double)rows));
        }
        vf scale[3] = {vf_zero(), vf_zero(), vf_zero()}, squares;
        for (int v = 0; v < s.vectors; v++)
            scale[v] = vf_div(mean, vf_sqrt(vf_max(vf_set(FLT_MIN), vf_load(c + batch * ldc + s.column + v * VF))));
        const float *of_rows = root + batch * ldr;
        if (s.vectors == 1) squares = direction_of(in, &s, 1, grad, of_rows, scale);
        else if (s.vectors == 2) squares = direction_of(in, &s, 2, grad, of_rows, scale);
        else squares = direction_of(in, &s, 3, grad, of_rows, scale);
        sums[which] = vf_sum(squares);
    }
}

static void adafactor_vector(const fnn_instr *in, const fnn_run *run) {
    update u;
    if (!begin_update(in, run, &u)) return;
    fnn_split(in->d[OPT_N], SUM_CHUNK, run->thread, run->threads, &u.begin, &u.end);
    float *velocity = in->p[OPT_STATE], *direction = in->p[OPT_GRAD];
    double *sums = in->p[OPT_STATE + 1], beta = second_beta(&u);
    vf keep = vf_set((float)beta), gain = vf_set((float)(1.0 - beta));
    vf least = vf_set((float)((1.0 - beta) * u.own[1]));
    for (int64_t from = u.begin; from < u.end; from += SUM_CHUNK) {
        int64_t to = from + SUM_CHUNK < u.end ? from + SUM_CHUNK : u.end;
        vf steps = vf_zero(), weights = vf_zero();
        for (int64_t i = from; i < to; i += VF) {
            vf g = clipped(&u, i, u.plain), w = decayed(&u, i, u.plain);
            vf v = vf_fma(keep, vf_load(velocity + i), vf_fma(gain, vf_mul(g, g), least));
            vf step = vf_div(g, vf_sqrt(vf_max(vf_set(FLT_MIN), v)));
            steps = vf_fma(step, step, steps);
            weights = vf_fma(w, w, weights);
            vf_store(velocity + i, v);
            vf_store(direction + i, step);
            if (!u.plain) vf_store(u.param + i, w);
        }
        sums[from / SUM_CHUNK] = vf_sum(weights);
        sums[in->d[OPT_OWN] + from / SUM_CHUNK] = vf_sum(steps);
    }
}

static void adafactor_apply(const fnn_instr *in, const fnn_run *run) {
    float *param = in->p[0];
    const float *direction = in->p[1];
    const double *sums = in->p[2], *own = run->hyper + HYPER_OWN;
    int64_t n = in->d[0], every = in->d[1] > 1 ? in->d[1] : 1, count = in->d[2], begin, end;
    if ((run->step + 1) % every) return;
    double root = sqrt((double)in->d[3]), weight = norm_of(sums, count) / root,
           step = norm_of(sums + count, count) / root;
    double bound = 1.0 / sqrt((double)(run->step / every + 1)), rate = run->hyper[HYPER_RATE];
    double excess = step / own[3], alpha = (weight < own[2] ? own[2] : weight) * (rate < bound ? rate : bound);
    vf factor = vf_set((float)(alpha * in->s[0] / (excess < 1.0 ? 1.0 : excess)));
    fnn_split(n, FNN_ALIGN_FLOATS, run->thread, run->threads, &begin, &end);
    for (int64_t i = begin; i < end; i += VF)
        vf_store(param + i, vf_fnma(factor, vf_load(direction + i), vf_load(param + i)));
}

#define fnn_op_adafactor_moments                                                                                     \
    {"adafactor_moments", FNN_OPT_OPERANDS "c partial sums", FACTORED_DIMS, FNN_OPT_SCALARS, adafactor_moments}
#define fnn_op_adafactor_rows                                                                                        \
    {"adafactor_rows", FNN_OPT_OPERANDS "r root partial", FACTORED_DIMS, FNN_OPT_SCALARS, adafactor_rows}
#define fnn_op_adafactor_direction                                                                                   \
    {"adafactor_direction", FNN_OPT_OPERANDS "r c root sums", FACTORED_DIMS, FNN_OPT_SCALARS, adafactor_direction}
#define fnn_op_adafactor_vector                                                                                      \
    {"adafactor_vector", FNN_OPT_OPERANDS "velocity sums", FNN_OPT_DIMS " count", FNN_OPT_SCALARS, adafactor_vector}
#define fnn_op_adafactor_apply                                                                                       \
    {"adafactor_apply", "param direction sums", "n accumulation count size", "rate_factor", adafactor_apply}
