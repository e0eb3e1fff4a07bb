/* Losses that are a mean over the row of a function of one prediction p and its target t. They write what those of
 * loss.c do. Where a function has a kink its derivative is the one that Keras 3 has on JAX.
 *
 *   mean_squared_error, mean_absolute_error   (p - t)^2 or |p - t|
 *   sigmoid_crossentropy              -(t log y + (1 - t) log(1 - y)), y = sigmoid(p), which may be p
 *   binary_crossentropy               the same of probabilities, p clipped
 *   huber                             (p - t)^2 / 2 where |p - t| <= delta, else delta |p - t| - delta^2 / 2
 *   log_cosh                          log(cosh(p - t))
 *   mean_absolute_percentage_error    100 |t - p| / max(|t|, 1e-7)
 *   mean_squared_logarithmic_error    (log(1 + max(p, 1e-7)) - log(1 + max(t, 1e-7)))^2
 *   poisson                           p - t log(p + 1e-7)
 *   hinge, squared_hinge              max(1 - t p, 0), its square; targets of a batch of 0 and 1 only mean -1 and 1
 *   binary_focal_crossentropy         (1 - q)^gamma * binary_crossentropy, q = t p + (1 - t) (1 - p); times alpha for
 *                                     t = 1 and 1 - alpha for t = 0, if balanced; p is a sigmoid of logits, if so told
 *
 * label_smoothing s: t (1 - s) + s / 2.
 */
typedef struct loss_point {
    vf loss, slope, y; /* y: what the prediction is made into, for losses that return it */
} loss_point;

/* s: the scalars of the instruction, or what a loss made of them. Always inlined: one loop for each function. */
typedef loss_point (*loss_point_function)(vf p, vf t, const float *s);

typedef struct loss_points {
    const float *p, *t;
    float *y, *dp;
    int64_t ldp, ldt, ldy, lddp;
} loss_points;

/* Lanes of a vector as the only values of so many rows. */
static NOT_INLINED void loss_store_column(float *to, int64_t ld, int count, vf lanes) {
    float values[VF];
    vf_store(values, lanes);
    UNROLL for (int i = 0; i < count; i++, to += ld) {
        vf_store(to, vf_load_n(values + i, 1));
        for (int j = VF; j < FNN_ALIGN_FLOATS; j += VF) vf_store(to + j, vf_zero());
    }
}

static inline vf loss_weights(const loss_rows *rows, int64_t r, int count) {
    if (!rows->weights) return vf_set(1.0f);
    float weights[VF] = {0};
    for (int i = 0; i < count; i++) weights[i] = loss_weight(rows, r + i);
    return vf_load(weights);
}

/* A vector is a part of a row, or, where rows have one value, as many rows as it has lanes. */
static inline __attribute__((always_inline)) void loss_of_each(const fnn_instr *in, loss_points at, loss_rows rows,
                                                               loss_point_function function, const float *s) {
    int64_t n = in->d[0];
    int column = n == 1;
    for (int64_t r = rows.begin; r < rows.end; r += column ? VF : 1) {
        int count = rows.end - r < VF ? (int)(rows.end - r) : VF;
        float weight = column ? 0.0f : loss_weight(&rows, r);
        vf unit = vf_set(rows.unit * weight / (float)n), sum = vf_zero();
        for (int64_t j = 0; j < (column ? 1 : rows.width); j += VF) {
            vf p = column ? vf_load_column(at.p + r * at.ldp, at.ldp, count) : vf_load(at.p + r * at.ldp + j);
            vf t = column ? vf_load_column(at.t + r * at.ldt, at.ldt, count) : vf_load(at.t + r * at.ldt + j);
            loss_point point = function(p, t, s);
            if (column) {
                vf weights = loss_weights(&rows, r, count);
                vf_store_n(rows.row_loss + r, count, vf_mul(weights, point.loss));
                vf slopes = vf_mul(vf_mul(vf_set(rows.unit), weights), point.slope);
                if (at.y) loss_store_column(at.y + r * at.ldy, at.ldy, count, point.y);
                if (at.dp) loss_store_column(at.dp + r * at.lddp, at.lddp, count, slopes);
                continue;
            }
            vm inside = vf_inside(j, n);
            sum = vf_add(sum, vf_select(inside, point.loss, vf_zero()));
            if (at.y) vf_store(at.y + r * at.ldy + j, vf_select(inside, point.y, vf_zero()));
            if (at.dp) vf_store(at.dp + r * at.lddp + j, vf_select(inside, vf_mul(unit, point.slope), vf_zero()));
        }
        if (!column) rows.row_loss[r] = weight * (vf_sum(sum) / (float)n);
    }
}

static inline __attribute__((always_inline)) void loss_of_points(const fnn_instr *in, const fnn_run *run,
                                                                 loss_point_function function, const float *s) {
    loss_points at = {in->p[0], in->p[1], NULL, in->p[4], in->d[1], in->d[2], 0, in->d[3]};
    loss_of_each(in, at, loss_split(in, run, in->p[2], in->p[3]), function, s);
}

static inline loss_point squared_point(vf p, vf t, const float *s) {
    (void)s;
    vf d = vf_sub(p, t);
    return (loss_point){vf_mul(d, d), vf_add(d, d), p};
}

static void mean_squared_error(const fnn_instr *in, const fnn_run *run) {
    loss_of_points(in, run, squared_point, in->s);
}

/* The derivative of |d|, d being p - t, by p: 1 or -1. At 0 it is -1, as Keras 3 has it on JAX, where |t - p| has the
 * slope 1 by t - p; NaN stays NaN. */
static inline vf loss_sign(vf d) {
    return vf_select(vf_lt(vf_zero(), d), vf_set(1.0f), vf_select(vf_eq(d, d), vf_set(-1.0f), d));
}

static inline loss_point absolute_point(vf p, vf t, const float *s) {
    (void)s;
    vf d = vf_sub(p, t);
    return (loss_point){vf_abs(d), loss_sign(d), p};
}

static void mean_absolute_error(const fnn_instr *in, const fnn_run *run) {
    loss_of_points(in, run, absolute_point, in->s);
}

/* s: scale, label_smoothing */
static inline vf loss_smoothed_bit(vf t, const float *s) { return vf_fma(t, vf_set(1.0f - s[1]), vf_set(s[1] / 2.0f)); }

static inline loss_point binary_point(vf p, vf t, const float *s) {
    const vf one = vf_set(1.0f);
    t = loss_smoothed_bit(t, s);
    vf c = loss_clip(p), other = vf_sub(one, c);
    vf loss = vf_neg(vf_fma(t, vf_log(c), vf_mul(vf_sub(one, t), vf_log(other))));
    vf slope = vf_div(vf_sub(c, t), vf_mul(c, other)); /* 0 where p is clipped, NaN where it is NaN */
    return (loss_point){loss, vf_select(vf_eq(p, c), slope, vf_select(vf_eq(p, p), vf_zero(), p)), p};
}

static void binary_crossentropy(const fnn_instr *in, const fnn_run *run) {
    loss_of_points(in, run, binary_point, in->s);
}

/* -(t log y + (1 - t) log(1 - y)) = max(z, 0) - z t + log(1 + exp(-|z|)) */
static inline loss_point logit_point(vf z, vf t, const float *s) {
    const vf zero = vf_zero(), one = vf_set(1.0f);
    t = loss_smoothed_bit(t, s);
    vf e = vf_exp(vf_neg(vf_abs(z))), inverse = vf_div(one, vf_add(one, e));
    vf y = vf_select(vf_lt(z, zero), vf_mul(e, inverse), inverse);
    return (loss_point){vf_add(vf_fnma(z, t, vf_max(zero, z)), vf_log1p_unit(e)), vf_sub(y, t), y};
}

static void sigmoid_crossentropy(const fnn_instr *in, const fnn_run *run) {
    loss_points at = {in->p[0], in->p[1], in->p[3], in->p[5], in->d[1], in->d[2], in->d[3], in->d[4]};
    loss_of_each(in, at, loss_split(in, run, in->p[2], in->p[4]), logit_point, in->s);
}

/* The derivative of max(x, bound) by x: 1, 0 or, where they are equal, 1/2; NaN stays NaN. */
static inline vf loss_above(vf x, vf bound) {
    vf step = vf_select(vf_lt(bound, x), vf_set(1.0f), vf_select(vf_eq(x, bound), vf_set(0.5f), vf_zero()));
    return vf_select(vf_eq(x, x), step, x);
}

static inline loss_point huber_point(vf p, vf t, const float *s) {
    vf d = vf_sub(p, t), size = vf_abs(d), delta = vf_set(s[1]), half = vf_set(0.5f);
    vm near = vf_le(size, delta);
    vf far_loss = vf_fnma(vf_mul(half, delta), delta, vf_mul(delta, size));
    return (loss_point){vf_select(near, vf_mul(half, vf_mul(d, d)), far_loss),
                        vf_select(near, d, vf_mul(delta, loss_sign(d))), p};
}

static void huber(const fnn_instr *in, const fnn_run *run) { loss_of_points(in, run, huber_point, in->s); }

/* |d| + log(1 + exp(-2 |d|)) - log 2 */
static inline loss_point log_cosh_point(vf p, vf t, const float *s) {
    (void)s;
    vf d = vf_sub(p, t), size = vf_abs(d);
    vf rest = vf_log1p_unit(vf_exp(vf_mul(vf_set(-2.0f), size)));
    return (loss_point){vf_add(size, vf_sub(rest, vf_set(0.693147181f))), vf_tanh(d), p};
}

static void log_cosh(const fnn_instr *in, const fnn_run *run) { loss_of_points(in, run, log_cosh_point, in->s); }

static inline loss_point percentage_point(vf p, vf t, const float *s) {
    (void)s;
    vf size = vf_max(vf_set(LOSS_EPSILON), vf_abs(t)), d = vf_div(vf_sub(p, t), size), hundred = vf_set(100.0f);
    return (loss_point){vf_mul(hundred, vf_abs(d)), vf_div(vf_mul(hundred, loss_sign(d)), size), p};
}

static void mean_absolute_percentage_error(const fnn_instr *in, const fnn_run *run) {
    loss_of_points(in, run, percentage_point, in->s);
}

static inline loss_point logarithmic_point(vf p, vf t, const float *s) {
    (void)s;
    const vf epsilon = vf_set(LOSS_EPSILON), one = vf_set(1.0f);
    vf inner = vf_add(vf_max(epsilon, p), one);
    vf d = vf_sub(vf_log(inner), vf_log(vf_add(vf_max(epsilon, t), one)));
    return (loss_point){vf_mul(d, d), vf_mul(vf_div(vf_add(d, d), inner), loss_above(p, epsilon)), p};
}

static void mean_squared_logarithmic_error(const fnn_instr *in, const fnn_run *run) {
    loss_of_points(in, run, logarithmic_point, in->s);
}

static inline loss_point poisson_point(vf p, vf t, const float *s) {
    (void)s;
    vf q = vf_add(p, vf_set(LOSS_EPSILON));
    return (loss_point){vf_fnma(t, vf_log(q), p), vf_sub(vf_set(1.0f), vf_div(t, q)), p};
}

static void poisson(const fnn_instr *in, const fnn_run *run) { loss_of_points(in, run, poisson_point, in->s); }

/* Are all targets of the batch 0 or 1? Every thread looks for itself. */
static int loss_targets_are_bits(const fnn_instr *in, const fnn_run *run) {
    const float *t = in->p[1];
    int64_t n = in->d[0], ldt = in->d[2], rows = run->samples * in->rows_per_sample;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t j = 0; j < n; j++)
            if (t[r * ldt + j] != 0.0f && t[r * ldt + j] != 1.0f) return 0;
    return 1;
}

/* s: factor and shift of targets */
static inline loss_point hinge_point(vf p, vf t, const float *s) {
    vf target = vf_add(vf_mul(t, vf_set(s[0])), vf_set(s[1])), m = vf_sub(vf_set(1.0f), vf_mul(target, p));
    return (loss_point){vf_max(vf_zero(), m), vf_mul(vf_neg(target), loss_above(m, vf_zero())), p};
}

static inline loss_point squared_hinge_point(vf p, vf t, const float *s) {
    vf target = vf_add(vf_mul(t, vf_set(s[0])), vf_set(s[1])), m = vf_sub(vf_set(1.0f), vf_mul(target, p));
    vf kept = vf_max(vf_zero(), m);
    return (loss_point){vf_mul(kept, kept), vf_mul(vf_neg(target), vf_add(kept, kept)), p};
}

static void hinge(const fnn_instr *in, const fnn_run *run) {
    int bits = loss_targets_are_bits(in, run);
    loss_of_points(in, run, hinge_point, (const float[]){bits ? 2.0f : 1.0f, bits ? -1.0f : 0.0f});
}

static void squared_hinge(const fnn_instr *in, const fnn_run *run) {
    int bits = loss_targets_are_bits(in, run);
    loss_of_points(in, run, squared_hinge_point, (const float[]){bits ? 2.0f : 1.0f, bits ? -1.0f : 0.0f});
}

/* x^power for x >= 0; *slope = its derivative */
static inline vf loss_power(vf x, float power, vf *slope) {
    if (power == 0.0f) {
        *slope = vf_zero();
        return vf_set(1.0f);
    }
    vf below = power == 2.0f ? x : power == 1.0f ? vf_set(1.0f) : vf_exp(vf_mul(vf_set(power - 1.0f), vf_log(x)));
    *slope = vf_mul(vf_set(power), below);
    return power < 1.0f ? vf_exp(vf_mul(vf_set(power), vf_log(x))) : vf_mul(x, below);
}

/* s: scale, label_smoothing, gamma, alpha (less than 0: not balanced) */
static inline loss_point binary_focal_point(vf p, vf t, const float *s) {
    const vf one = vf_set(1.0f);
    t = vf_fma(t, vf_set(1.0f - s[1]), vf_set(0.5f * s[1]));
    vf c = loss_clip(p), other = vf_sub(one, c), rest = vf_sub(one, t), factor_slope;
    vf entropy = vf_neg(vf_fma(t, vf_log(c), vf_mul(rest, vf_log(other))));
    vf entropy_slope = vf_select(vf_eq(p, c), vf_div(vf_sub(c, t), vf_mul(c, other)), vf_sub(p, p)); /* NaN stays NaN */
    vf q = vf_fma(t, p, vf_mul(rest, vf_sub(one, p)));
    vf factor = loss_power(vf_max(vf_zero(), vf_sub(one, q)), s[2], &factor_slope);
    vf loss = vf_mul(factor, entropy), slope = vf_mul(factor, entropy_slope);
    slope = vf_fma(vf_mul(factor_slope, vf_sub(rest, t)), entropy, slope); /* d(1 - q)/dp = 1 - 2 t */
    if (s[3] < 0.0f) return (loss_point){loss, slope, p};
    vf balance = vf_fma(t, vf_set(s[3]), vf_mul(rest, vf_set(1.0f - s[3])));
    return (loss_point){vf_mul(balance, loss), vf_mul(balance, slope), p};
}

static inline loss_point binary_focal_logit_point(vf z, vf t, const float *s) {
    vf p = vf_sigmoid(z);
    loss_point point = binary_focal_point(p, t, s);
    point.slope = vf_mul(point.slope, vf_mul(p, vf_sub(vf_set(1.0f), p)));
    return point;
}

static void binary_focal_crossentropy(const fnn_instr *in, const fnn_run *run) {
    if (in->d[4]) loss_of_points(in, run, binary_focal_logit_point, in->s);
    else loss_of_points(in, run, binary_focal_point, in->s);
}

#define LOSS_OF_POINTS "p targets weights? row_loss dp?", "n ldp ldt lddp"
#define fnn_op_mean_squared_error {"mean_squared_error", LOSS_OF_POINTS, "scale", mean_squared_error}
#define fnn_op_mean_absolute_error {"mean_absolute_error", LOSS_OF_POINTS, "scale", mean_absolute_error}
#define fnn_op_binary_crossentropy {"binary_crossentropy", LOSS_OF_POINTS, LOSS_SMOOTHED, binary_crossentropy}
#define fnn_op_sigmoid_crossentropy \
    {"sigmoid_crossentropy", "z targets weights? y? row_loss dz?", "n ldz ldt ldy lddz", LOSS_SMOOTHED, \
     sigmoid_crossentropy}
#define fnn_op_huber {"huber", LOSS_OF_POINTS, "scale delta", huber}
#define fnn_op_log_cosh {"log_cosh", LOSS_OF_POINTS, "scale", log_cosh}
#define fnn_op_mean_absolute_percentage_error \
    {"mean_absolute_percentage_error", LOSS_OF_POINTS, "scale", mean_absolute_percentage_error}
#define fnn_op_mean_squared_logarithmic_error \
    {"mean_squared_logarithmic_error", LOSS_OF_POINTS, "scale", mean_squared_logarithmic_error}
#define fnn_op_poisson {"poisson", LOSS_OF_POINTS, "scale", poisson}
#define fnn_op_hinge {"hinge", LOSS_OF_POINTS, "scale", hinge}
#define fnn_op_squared_hinge {"squared_hinge", LOSS_OF_POINTS, "scale", squared_hinge}
#define fnn_op_binary_focal_crossentropy \
    {"binary_focal_crossentropy", "p targets weights? row_loss dp?", "n ldp ldt lddp from_logits", \
     "scale label_smoothing gamma alpha", binary_focal_crossentropy}
