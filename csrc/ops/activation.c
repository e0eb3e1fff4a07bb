/* Activations, element by element, and softmax along a row.
 *
 *   activation_forward:   y[rows][n] = act(x[rows][n])
 *   activation_backward:  dx[rows][n] = dy[rows][n] * act'(v[rows][n])     v: what the forward pass saves, activation.h
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

/* x sigmoid(x) (Elfwing et al. 2017; Ramachandran et al. 2017) */
static inline vf act_silu(vf x) { return vf_div(vf_max(vf_set(-89.0f), x), vf_add(act_one(), vf_exp(vf_neg(x)))); }

static inline vf act_silu_slope(vf x) { /* s (1 + x (1 - s)), where 1 - s = e s without cancellation */
    x = act_clamp(x, -88.5f, 100.0f);
    vf e = vf_exp(vf_neg(x)), s = vf_div(act_one(), vf_add(act_one(), e));
    return vf_mul(s, vf_fma(x, vf_mul(e, s), act_one()));
}

/* x cdf(x) of the normal distribution (Hendrycks and Gimpel 2016) */
static inline vf act_gelu(vf x) {
    vf bell;
    x = vf_max(vf_set(-14.0f), x);
    return vf_mul(x, vf_normal_cdf(x, &bell));
}

static inline vf act_gelu_slope(vf x) {
    vf bell, c;
    x = act_clamp(x, -14.0f, 14.0f);
    c = vf_normal_cdf(x, &bell);
    return vf_fma(vf_mul(x, vf_set(0.3989422804f)), bell, c);
}

/* x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) = x sigmoid(x (GELU_A + GELU_B x^2)) */
#define GELU_A 1.5957691216057308f
#define GELU_B 0.07135481627260025f
static inline vf act_gelu_tanh(vf x) {
    x = vf_max(vf_set(-11.0f), x);
    vf u = vf_mul(x, vf_fma(vf_mul(x, x), vf_set(GELU_B), vf_set(GELU_A)));
    return vf_div(x, vf_add(act_one(), vf_exp(vf_neg(u))));
}

static inline vf act_gelu_tanh_slope(vf x) {
    x = act_clamp(x, -10.05f, 10.0f);
    vf xx = vf_mul(x, x), u = vf_mul(x, vf_fma(xx, vf_set(GELU_B), vf_set(GELU_A)));
    vf e = vf_exp(vf_neg(u)), s = vf_div(act_one(), vf_add(act_one(), e));
    vf du = vf_fma(xx, vf_set(3.0f * GELU_B), vf_set(GELU_A));
    return vf_fma(vf_mul(vf_mul(x, du), vf_mul(e, s)), s, s);
}

/* x tanh(softplus(x)) = x m / (m + 2), m = e (e + 2), e = exp(x) (Misra 2019); from x = 20 on the quotient is 1 */
static inline vf act_mish(vf x) {
    vf e = vf_exp(vf_min(vf_set(20.0f), x)), m = vf_mul(e, vf_add(e, vf_set(2.0f)));
    return vf_mul(vf_max(vf_set(-87.0f), x), vf_div(m, vf_add(m, vf_set(2.0f))));
}

static inline vf act_mish_slope(vf x) { /* m / (m + 2) + 4 x e (1 + e) / (m + 2)^2 */
    x = act_clamp(x, -87.0f, 20.0f);
    vf e = vf_exp(x), m = vf_mul(e, vf_add(e, vf_set(2.0f)));
    vf inverse = vf_div(act_one(), vf_add(m, vf_set(2.0f)));
    vf bend = vf_mul(vf_mul(vf_mul(vf_set(4.0f), x), vf_mul(vf_mul(e, vf_add(e, act_one())), inverse)), inverse);
    return vf_fma(m, inverse, bend);
}

/* One loop for each activation: the choice is made outside. Rows that follow each other without a gap are one row. */
#define ACT_EACH(y_of_v) \
    for (int64_t r = 0; r < rows; r++) \
        for (int64_t j = 0; j < n; j += VF) { \
            vf v = vf_load(x + r * ldx + j); \
            vf_store(y + r * ldy + j, y_of_v); \
        } \
    break

static void act_forward_block(int act, float alpha, const float *x, int64_t ldx, float *y, int64_t ldy, int64_t rows,
                              int64_t n) {
    const vf a = vf_set(alpha);
    if (ldx == ldy && ldx == fnn_round_up(n, VF)) {
        n = rows * ldx;
        rows = 1;
    }
    switch (act) {
    case ACT_LINEAR:
        if (x == y && ldx == ldy) break;
        ACT_EACH(v);
    case ACT_RELU: ACT_EACH(vf_max(vf_zero(), v));
    case ACT_LEAKY_RELU: ACT_EACH(vf_select(act_positive(v), v, vf_mul(a, v)));
    case ACT_ELU: ACT_EACH(vf_select(act_positive(v), v, vf_mul(a, vf_expm1(v))));
    case ACT_SELU:
        ACT_EACH(vf_select(act_positive(v), vf_mul(vf_set(SELU_SCALE), v),
                           vf_mul(vf_set(SELU_SCALE * SELU_ALPHA), vf_expm1(v))));
    case ACT_SIGMOID: ACT_EACH(vf_sigmoid(v));
    case ACT_TANH: ACT_EACH(vf_tanh(v));
    case ACT_SOFTPLUS: ACT_EACH(act_softplus(v));
    case ACT_SILU: ACT_EACH(act_silu(v));
    case ACT_GELU: ACT_EACH(act_gelu(v));
    case ACT_GELU_TANH: ACT_EACH(act_gelu_tanh(v));
    case ACT_MISH: ACT_EACH(act_mish(v));
    }
}

#define ACT_EACH_SLOPE(dx_of_v_and_g) \
    for (int64_t r = 0; r < rows; r++) \
        for (int64_t j = 0; j < n; j += VF) { \
            vf g = vf_load(dy + r * lddy + j); \
            vf w = vf_load(v + r * ldv + j); \
            vf_store(dx + r * lddx + j, dx_of_v_and_g); \
        } \
    break

static void act_backward_block(int act, float alpha, const float *v, int64_t ldv, const float *dy, int64_t lddy,
                               float *dx, int64_t lddx, int64_t rows, int64_t n) {
    const vf a = vf_set(alpha), one = act_one();
    if (ldv == lddy && lddy == lddx && lddx == fnn_round_up(n, VF)) {
        n = rows * lddx;
        rows = 1;
    }
    switch (act) {
    case ACT_LINEAR: act_forward_block(ACT_LINEAR, alpha, dy, lddy, dx, lddx, rows, n); break;
    case ACT_RELU: ACT_EACH_SLOPE(vf_select(act_positive(w), g, vf_zero()));
    case ACT_LEAKY_RELU: ACT_EACH_SLOPE(vf_select(act_positive(w), g, vf_mul(a, g)));
    case ACT_ELU: ACT_EACH_SLOPE(vf_select(act_positive(w), g, vf_mul(g, vf_add(w, a))));
    case ACT_SELU:
        ACT_EACH_SLOPE(
            vf_mul(g, vf_select(act_positive(w), vf_set(SELU_SCALE), vf_add(w, vf_set(SELU_SCALE * SELU_ALPHA)))));
    case ACT_SIGMOID: ACT_EACH_SLOPE(vf_mul(g, vf_mul(w, vf_sub(one, w))));
    case ACT_TANH: ACT_EACH_SLOPE(vf_mul(g, vf_mul(vf_sub(one, w), vf_add(one, w))));
    case ACT_SOFTPLUS: ACT_EACH_SLOPE(vf_mul(g, vf_neg(vf_expm1(vf_neg(w))))); /* 1 - exp(-softplus) = sigmoid */
    case ACT_SILU: ACT_EACH_SLOPE(vf_mul(g, act_silu_slope(w)));
    case ACT_GELU: ACT_EACH_SLOPE(vf_mul(g, act_gelu_slope(w)));
    case ACT_GELU_TANH: ACT_EACH_SLOPE(vf_mul(g, act_gelu_tanh_slope(w)));
    case ACT_MISH: ACT_EACH_SLOPE(vf_mul(g, act_mish_slope(w)));
    }
}

/* ---- operations -------------------------------------------------------------------------------------------------- */

static void activation_forward(const fnn_instr *in, const fnn_run *run) {
    const float *x = in->p[0];
    float *y = in->p[1];
    int64_t n = in->d[0], ldx = in->d[1], ldy = in->d[2], begin, end;
    fnn_split(run->samples * in->rows_per_sample, 1, run->thread, run->threads, &begin, &end);
    act_forward_block((int)in->d[3], in->s[0], x + begin * ldx, ldx, y + begin * ldy, ldy, end - begin,
                      fnn_round_up(n, FNN_ALIGN_FLOATS));
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

static void softmax_forward(const fnn_instr *in, const fnn_run *run) {
    const float *x = in->p[0];
    float *y = in->p[1];
    int64_t n = in->d[0], ldx = in->d[1], ldy = in->d[2], begin, end;
    fnn_split(run->samples * in->rows_per_sample, 1, run->thread, run->threads, &begin, &end);
    for (int64_t r = begin; r < end; r++) {
        const float *xr = x + r * ldx;
        float *yr = y + r * ldy;
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

#define fnn_op_activation_forward {"activation_forward", "x y", "n ldx ldy act", "alpha", activation_forward}
#define fnn_op_activation_backward \
    {"activation_backward", "v dy dx", "n ldv lddy lddx act", "alpha", activation_backward}
#define fnn_op_softmax_forward {"softmax_forward", "x y", "n ldx ldy", "", softmax_forward}
#define fnn_op_softmax_backward {"softmax_backward", "y dy dx", "n ldy lddy lddx", "", softmax_backward}
