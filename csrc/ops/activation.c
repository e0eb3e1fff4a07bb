/* Activations, element by element, and softmax along a row.
 *
 *   activation_forward:   y[rows][n] = act(x[rows][n]), slope[rows][n] = act'(x) if given, with the row stride of y
 *   activation_backward:  dx[rows][n] = dy[rows][n] * act', from v[rows][n], which the forward pass saves: activation.h
 *   softmax_forward:      y[rows][n] = exp(x - max x) / sum exp(x - max x) over each row
 *   softmax_backward:     dx[rows][n] = y * (dy - sum y dy)                over each row
 *
 * alpha: slope of leaky_relu for x < 0, scale of elu. Where a formula has the form infinity * 0, its argument is
 * clamped to where the result no longer changes, so that an infinite x gives the limit and not NaN; NaN gives NaN.
 */
#include "activation.h"
#include "../simd_math.h"

#define SELU_ALPHA 1.6732632423543772f /* Klambauer et al., Self-Normalizing Neural Networks, 2017 */
#define SELU_SCALE 1.0507009873554805f

static inline vf act_clamp(vf x, float low, float high) { return vf_min(vf_set(high), vf_max(vf_set(low), x)); }
static inline vf act_one(void) { return vf_set(1.0f); }
static inline vm act_positive(vf x) { return vf_lt(vf_zero(), x); }

static inline vf act_softplus(vf x) { return vf_add(vf_max(vf_zero(), x), vf_log1p_unit(vf_exp(vf_neg(vf_abs(x))))); }

/* What follows takes an exponential for the value and for the slope alike: the forward pass of a training step computes
 * both. Where only the value is wanted, the compiler drops the rest. */

/* x sigmoid(x) (Elfwing et al. 2017; Ramachandran et al. 2017); slope s (1 + x (1 - s)), 1 - s = e s: no cancelling */
static inline vf act_silu(vf x, vf *slope) {
    x = vf_max(vf_set(-88.5f), x);
    vf e = vf_exp(vf_neg(x)), s = vf_div(act_one(), vf_add(act_one(), e));
    *slope = vf_mul(s, vf_fma(vf_min(vf_set(100.0f), x), vf_mul(e, s), act_one()));
    return vf_mul(x, s);
}

/* x cdf(x) of the normal distribution (Hendrycks and Gimpel 2016) */
static inline vf act_gelu(vf x, vf *slope) {
    x = vf_max(vf_set(-14.0f), x);
    vf bell, c = vf_normal_cdf(x, &bell);
    *slope = vf_fma(vf_mul(vf_min(vf_set(14.0f), x), vf_set(0.3989422804f)), bell, c);
    return vf_mul(x, c);
}

/* x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) = x s, s = sigmoid(x (GELU_A + GELU_B x^2)) */
#define GELU_A 1.5957691216057308f
#define GELU_B 0.07135481627260025f
static inline vf act_gelu_tanh(vf x, vf *slope) {
    vf t = act_clamp(x, -10.05f, 10.0f), tt = vf_mul(t, t);
    vf e = vf_exp(vf_neg(vf_mul(t, vf_fma(tt, vf_set(GELU_B), vf_set(GELU_A)))));
    vf s = vf_div(act_one(), vf_add(act_one(), e));
    vf du = vf_fma(tt, vf_set(3.0f * GELU_B), vf_set(GELU_A));
    *slope = vf_fma(vf_mul(vf_mul(t, du), vf_mul(e, s)), s, s);
    return vf_mul(vf_max(vf_set(-10.05f), x), s);
}

/* x tanh(softplus(x)) = x m / (m + 2), m = e (e + 2), e = exp(x) (Misra 2019); from x = 20 on the quotient is 1.
 * Slope: m / (m + 2) + 4 x e (1 + e) / (m + 2)^2 */
static inline vf act_mish(vf x, vf *slope) {
    vf t = act_clamp(x, -87.0f, 20.0f), e = vf_exp(t), m = vf_mul(e, vf_add(e, vf_set(2.0f)));
    vf inverse = vf_div(act_one(), vf_add(m, vf_set(2.0f))), quotient = vf_mul(m, inverse);
    vf bend = vf_mul(vf_mul(vf_mul(vf_set(4.0f), t), vf_mul(vf_mul(e, vf_add(e, act_one())), inverse)), inverse);
    *slope = vf_add(quotient, bend);
    return vf_mul(vf_max(vf_set(-87.0f), x), quotient);
}

/* One loop for each activation: the choice is made outside. Rows that follow each other without a gap are one row. */
#define ACT_LOOP(unroll, y_of_v) \
    for (int64_t r = 0; r < rows; r++) \
        unroll for (int64_t j = 0; j < n; j += VF) { \
            vf v = vf_load(x + r * ldx + j); \
            vf_store(y + r * ldy + j, y_of_v); \
        }
#define ACT_EACH(y_of_v) ACT_LOOP(, y_of_v) break
/* So little for each vector that counting takes as long, where there are many in a row. */
#define ACT_EACH_QUICK(y_of_v) \
    if (rows == 1) ACT_LOOP(UNROLL, y_of_v) \
    else ACT_LOOP(, y_of_v) \
    break

/* The same of functions that give their slope, too. */
#define ACT_EACH_AND_SLOPE(function) \
    if (slope) \
        for (int64_t r = 0; r < rows; r++) \
            for (int64_t j = 0; j < n; j += VF) { \
                vf s, v = function(vf_load(x + r * ldx + j), &s); \
                vf_store(y + r * ldy + j, v); \
                vf_store(slope + r * ldy + j, s); \
            } \
    else \
        for (int64_t r = 0; r < rows; r++) \
            for (int64_t j = 0; j < n; j += VF) { \
                vf s; \
                vf_store(y + r * ldy + j, function(vf_load(x + r * ldx + j), &s)); \
            } \
    break

static void act_forward_block(int act, float alpha, const float *x, int64_t ldx, float *y, int64_t ldy, float *slope,
                              int64_t rows, int64_t n) {
    const vf a = vf_set(alpha);
    if (ldx == ldy && ldx == fnn_round_up(n, VF)) {
        n = rows * ldx;
        rows = 1;
    }
    switch (act) {
    case ACT_LINEAR:
        if (x == y && ldx == ldy) break;
        ACT_EACH(v);
    case ACT_RELU: ACT_EACH_QUICK(vf_max(vf_zero(), v));
    case ACT_LEAKY_RELU: ACT_EACH_QUICK(vf_select(act_positive(v), v, vf_mul(a, v)));
    case ACT_ELU: ACT_EACH(vf_select(act_positive(v), v, vf_mul(a, vf_expm1(v))));
    case ACT_SELU:
        ACT_EACH(vf_select(act_positive(v), vf_mul(vf_set(SELU_SCALE), v),
                           vf_mul(vf_set(SELU_SCALE * SELU_ALPHA), vf_expm1(v))));
    case ACT_SIGMOID: ACT_EACH(vf_sigmoid(v));
    case ACT_TANH: ACT_EACH(vf_tanh(v));
    case ACT_SOFTPLUS: ACT_EACH(act_softplus(v));
    case ACT_SILU: ACT_EACH_AND_SLOPE(act_silu);
    case ACT_GELU: ACT_EACH_AND_SLOPE(act_gelu);
    case ACT_GELU_TANH: ACT_EACH_AND_SLOPE(act_gelu_tanh);
    case ACT_MISH: ACT_EACH_AND_SLOPE(act_mish);
    }
}

#define ACT_SLOPE_LOOP(unroll, dx_of_v_and_g) \
    for (int64_t r = 0; r < rows; r++) \
        unroll for (int64_t j = 0; j < n; j += VF) { \
            vf g = vf_load(dy + r * lddy + j); \
            vf w = vf_load(v + r * ldv + j); \
            vf_store(dx + r * lddx + j, dx_of_v_and_g); \
        }
#define ACT_EACH_SLOPE(dx_of_v_and_g) ACT_SLOPE_LOOP(, dx_of_v_and_g) break
#define ACT_EACH_SLOPE_QUICK(dx_of_v_and_g) \
    if (rows == 1) ACT_SLOPE_LOOP(UNROLL, dx_of_v_and_g) \
    else ACT_SLOPE_LOOP(, dx_of_v_and_g) \
    break

static void act_backward_block(int act, float alpha, const float *v, int64_t ldv, const float *dy, int64_t lddy,
                               float *dx, int64_t lddx, int64_t rows, int64_t n) {
    const vf a = vf_set(alpha), one = act_one();
    if (ldv == lddy && lddy == lddx && lddx == fnn_round_up(n, VF)) {
        n = rows * lddx;
        rows = 1;
    }
    switch (act) {
    case ACT_LINEAR: act_forward_block(ACT_LINEAR, alpha, dy, lddy, dx, lddx, NULL, rows, n); break;
    case ACT_RELU: ACT_EACH_SLOPE_QUICK(vf_select(act_positive(w), g, vf_zero()));
    case ACT_LEAKY_RELU: ACT_EACH_SLOPE_QUICK(vf_select(act_positive(w), g, vf_mul(a, g)));
    case ACT_ELU: ACT_EACH_SLOPE(vf_select(act_positive(w), g, vf_mul(g, vf_add(w, a))));
    case ACT_SELU:
        ACT_EACH_SLOPE(
            vf_mul(g, vf_select(act_positive(w), vf_set(SELU_SCALE), vf_add(w, vf_set(SELU_SCALE * SELU_ALPHA)))));
    case ACT_SIGMOID: ACT_EACH_SLOPE(vf_mul(g, vf_mul(w, vf_sub(one, w))));
    case ACT_TANH: ACT_EACH_SLOPE(vf_mul(g, vf_mul(vf_sub(one, w), vf_add(one, w))));
    case ACT_SOFTPLUS: ACT_EACH_SLOPE(vf_mul(g, vf_neg(vf_expm1(vf_neg(w))))); /* 1 - exp(-softplus) = sigmoid */
    case ACT_SILU:
    case ACT_GELU:
    case ACT_GELU_TANH:
    case ACT_MISH: ACT_EACH_SLOPE(vf_mul(g, w));
    }
}

/* ---- operations -------------------------------------------------------------------------------------------------- */

static void activation_forward(const fnn_instr *in, const fnn_run *run) {
    const float *x = in->p[0];
    float *y = in->p[1], *slope = in->p[2];
    int64_t n = in->d[0], ldx = in->d[1], ldy = in->d[2], begin, end;
    fnn_split(run->samples * in->rows_per_sample, 1, run->thread, run->threads, &begin, &end);
    act_forward_block((int)in->d[3], in->s[0], x + begin * ldx, ldx, y + begin * ldy, ldy,
                      slope ? slope + begin * ldy : NULL, end - begin, fnn_round_up(n, FNN_ALIGN_FLOATS));
}

static void activation_backward(const fnn_instr *in, const fnn_run *run) {
    const float *v = in->p[0], *dy = in->p[1];
    float *dx = in->p[2];
    int64_t n = in->d[0], ldv = in->d[1], lddy = in->d[2], lddx = in->d[3], begin, end;
    fnn_split(run->samples * in->rows_per_sample, 1, run->thread, run->threads, &begin, &end);
    act_backward_block((int)in->d[4], in->s[0], v + begin * ldv, ldv, dy + begin * lddy, lddy, dx + begin * lddx, lddx,
                       end - begin, fnn_round_up(n, FNN_ALIGN_FLOATS));
}

/* The largest of a row; NaN is passed over (it comes back through the sum of the exponentials). */
static inline float softmax_max(const float *x, int64_t n) {
    vf best = vf_set(-INFINITY);
    for (int64_t j = 0; j < n; j += VF) best = vf_max(vf_select(vf_inside(j, n), vf_load(x + j), best), best);
    return vf_max_lane(best);
}

/* e[n] = exp(x[n] - max), 0 in the padding; e may be x, or NULL where only the sum is wanted. Returns the sum. */
static inline float softmax_exp(const float *x, float max, float *e, int64_t n) {
    vf sum = vf_zero();
    for (int64_t j = 0; j < fnn_round_up(n, FNN_ALIGN_FLOATS); j += VF) {
        vf v = vf_exp(vf_sub(vf_load(x + j), vf_set(max)));
        v = vf_select(vf_inside(j, n), v, vf_zero());
        if (e) vf_store(e + j, v);
        sum = vf_add(sum, v);
    }
    return vf_sum(sum);
}

/* The same bits into a row of exactly n floats, as the caller of a frozen network has it. */
static void softmax_unpadded(const float *x, float *y, int64_t n) {
    int64_t whole = n - n % VF;
    vf max = vf_set(softmax_max(x, n)), sum = vf_zero(), last = vf_zero();
    for (int64_t j = 0; j < whole; j += VF) {
        vf v = vf_exp(vf_sub(vf_load(x + j), max));
        vf_store(y + j, v);
        sum = vf_add(sum, v);
    }
    if (whole < n) {
        last = vf_select(vf_inside(whole, n), vf_exp(vf_sub(vf_load(x + whole), max)), vf_zero());
        sum = vf_add(sum, last);
    }
    vf inverse = vf_set(1.0f / vf_sum(sum));
    for (int64_t j = 0; j < whole; j += VF) vf_store(y + j, vf_mul(vf_load(y + j), inverse));
    if (whole < n) vf_store_n(y + whole, (int)(n - whole), vf_mul(last, inverse));
}

/* VF rows of few values at once, the same bits: transposed, so that a vector has the same value of each row, and maxima
 * and sums need no shuffles. */
enum { SOFTMAX_FEW = VF == 4 ? 16 : 32 };

/* e[j][i] = exp(x[i][j] - max[i]) for j < n; returns the sums over j. */
static inline vf softmax_exp_columns(const float *x, int64_t ldx, int64_t n, float *e, vf *largest) {
    vf max = vf_set(-INFINITY), sums[VF];
    for (int64_t j = 0; j < n; j += VF) vf_transpose(x + j, ldx, VF, e + j * VF, VF);
    for (int64_t j = 0; j < n; j++) max = vf_max(vf_load(e + j * VF), max);
    for (int i = 0; i < VF; i++) sums[i] = vf_zero();
    for (int64_t j = 0; j < n; j++) {
        vf v = vf_exp(vf_sub(vf_load(e + j * VF), max));
        vf_store(e + j * VF, v);
        sums[j % VF] = vf_add(sums[j % VF], v);
    }
    for (int half = VF / 2; half; half /= 2) /* as vf_sum adds the lanes */
        for (int i = 0; i < half; i++) sums[i] = vf_add(sums[i], sums[i + half]);
    *largest = max;
    return sums[0];
}

static void softmax_columns(const float *x, int64_t ldx, float *y, int64_t ldy, int64_t n, int unpadded) {
    float values[SOFTMAX_FEW * VF], rows[VF * VF];
    vf max, inverse = vf_div(vf_set(1.0f), softmax_exp_columns(x, ldx, n, values, &max));
    for (int64_t j = 0; j < n; j++) vf_store(values + j * VF, vf_mul(vf_load(values + j * VF), inverse));
    for (int64_t j = 0; j < (unpadded ? n : fnn_round_up(n, FNN_ALIGN_FLOATS)); j += VF) {
        int left = n - j < VF ? (int)(n > j ? n - j : 0) : VF;
        int direct = !unpadded || left == VF;
        vf_transpose(values + j * VF, VF, left, direct ? y + j : rows, direct ? ldy : VF);
        for (int i = 0; !direct && i < VF; i++) vf_store_n(y + i * ldy + j, left, vf_load(rows + i * VF));
    }
}

/* y may be x. Rows of y that are shorter than whole vectors have no padding: exactly n floats are written. */
static void softmax_forward(const fnn_instr *in, const fnn_run *run) {
    const float *x = in->p[0];
    float *y = in->p[1];
    int64_t n = in->d[0], ldx = in->d[1], ldy = in->d[2], begin, end;
    int unpadded = ldy < fnn_round_up(n, FNN_ALIGN_FLOATS);
    fnn_split(run->samples * in->rows_per_sample, 1, run->thread, run->threads, &begin, &end);
    int64_t r = begin;
    for (; n <= SOFTMAX_FEW && r + VF <= end; r += VF) softmax_columns(x + r * ldx, ldx, y + r * ldy, ldy, n, unpadded);
    for (; r < end; r++) {
        const float *xr = x + r * ldx;
        float *yr = y + r * ldy;
        if (unpadded) {
            softmax_unpadded(xr, yr, n);
            continue;
        }
        vf inverse = vf_set(1.0f / softmax_exp(xr, softmax_max(xr, n), yr, n));
        for (int64_t j = 0; j < n; j += VF)
            vf_store(yr + j, vf_select(vf_inside(j, n), vf_mul(vf_load(yr + j), inverse), vf_zero()));
    }
}

static void softmax_backward(const fnn_instr *in, const fnn_run *run) {
    const float *y = in->p[0], *dy = in->p[1];
    float *dx = in->p[2];
    int64_t n = in->d[0], ldy = in->d[1], lddy = in->d[2], lddx = in->d[3], begin, end;
    fnn_split(run->samples * in->rows_per_sample, 1, run->thread, run->threads, &begin, &end);
    for (int64_t r = begin; r < end; r++) {
        const float *yr = y + r * ldy, *gr = dy + r * lddy;
        vf sum = vf_zero();
        for (int64_t j = 0; j < n; j += VF)
            sum = vf_add(sum, vf_select(vf_inside(j, n), vf_mul(vf_load(yr + j), vf_load(gr + j)), vf_zero()));
        vf dot = vf_set(vf_sum(sum));
        for (int64_t j = 0; j < fnn_round_up(n, FNN_ALIGN_FLOATS); j += VF) {
            vf g = vf_mul(vf_load(yr + j), vf_sub(vf_load(gr + j), dot));
            vf_store(dx + r * lddx + j, vf_select(vf_inside(j, n), g, vf_zero()));
        }
    }
}

static int activation_check(const fnn_instr *in, const fnn_place *places) {
    int64_t n = in->d[0];
    return in->d[3] <= ACT_MISH && fnn_reads(in, &places[0], n, in->d[1]) && fnn_writes(in, &places[1], n, in->d[2]) &&
           fnn_absent(&places[2]);
}

static int softmax_check(const fnn_instr *in, const fnn_place *places) {
    int64_t n = in->d[0], ldy = in->d[2];
    return fnn_reads(in, &places[0], n, in->d[1]) && n <= ldy && places[1].writable &&
           fnn_times(in->rows_per_sample, ldy) <= places[1].per_sample;
}

#define fnn_op_activation_forward \
    {"activation_forward", "x y slope?", "n ldx ldy act", "alpha", activation_forward, activation_check}
#define fnn_op_activation_backward \
    {"activation_backward", "v dy dx", "n ldv lddy lddx act", "alpha", activation_backward}
#define fnn_op_softmax_forward {"softmax_forward", "x y", "n ldx ldy", "", softmax_forward, softmax_check}
#define fnn_op_softmax_backward {"softmax_backward", "y dy dx", "n ldy lddy lddx", "", softmax_backward}
