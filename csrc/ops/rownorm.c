/* Normalisation of each row by its own statistics, and an affine map with trained vectors.
 *
 *   rownorm_forward:     y[rows][n] = (x - m) * inv * gamma + beta, inv = 1 / sqrt(s + epsilon), for each row:
 *     subtract, centre   m = mean of x, s = mean of (x - m)^2     (LayerNormalization: Ba, Kiros & Hinton, 2016)
 *     neither            m = 0,         s = mean of x^2           (RMSNormalization: Zhang & Sennrich, 2019)
 *     centre alone       m = 0,         s = variance of x         (Keras's LayerNormalization with rms_scaling)
 *     unit               m = 0, inv = 1 / sqrt(max(sum of x^2, epsilon)) (UnitNormalization)
 *   rownorm_backward:    dx[rows][n], through every path
 *   column_gradients:    dgamma[n] = sum of dy * (x - m) * inv, dbeta[n] = sum of dy over the rows; mean and inv of
 *                        each row, or NULL: 0 and 1
 *
 * mean[rows] and inv[rows] keep the statistics; with `unit`, a row whose norm was cut off is told by its inv. gamma
 * NULL is 1, beta NULL is 0. y may be x. The mean is corrected for rounding, as in batchnorm.c. What is not finite
 * stays in
 * its row.
 */
typedef struct row_sums {
    float first, second;
} row_sums;

/* sum of (x - m) and of (x - m)^2 over a row */
static inline row_sums rownorm_sums(const float *x, int64_t n, float m) {
    vf first = vf_zero(), second = vf_zero(), mean = vf_set(m);
    for (int64_t j = 0; j < n; j += VF) {
        vf d = vf_select(vf_inside(j, n), vf_sub(vf_load(x + j), mean), vf_zero());
        first = vf_add(first, d);
        second = vf_fma(d, d, second);
    }
    return (row_sums){vf_sum(first), vf_sum(second)};
}

static void rownorm_forward(const fnn_instr *in, const fnn_run *run) {
    const float *x = in->p[0], *gamma = in->p[1], *beta = in->p[2];
    float *y = in->p[3], *mean = in->p[4], *inv = in->p[5], epsilon = in->s[0];
    int64_t n = in->d[0], ldx = in->d[1], ldy = in->d[2], subtract = in->d[3], centre = in->d[4], unit = in->d[5];
    int64_t begin, end;
    fnn_split(run->samples * in->rows_per_sample, 1, run->thread, run->threads, &begin, &end);
    for (int64_t r = begin; r < end; r++) {
        const float *xr = x + r * ldx;
        float m = centre ? rownorm_sums(xr, n, 0.0f).first / (float)n : 0.0f;
        row_sums sums = rownorm_sums(xr, n, m);
        float error = centre ? sums.first / (float)n : 0.0f, statistic = sums.second;
        m += error;
        if (!unit) statistic = statistic / (float)n - error * error;
        if (!unit) statistic = (statistic > 0.0f || statistic != statistic ? statistic : 0.0f) + epsilon;
        else statistic = statistic < epsilon ? epsilon : statistic;
        float inverse = 1.0f / sqrtf(statistic);
        if (mean) mean[r] = m;
        if (inv) inv[r] = inverse;
        vf from = vf_set(subtract ? m : 0.0f), by = vf_set(inverse);
        for (int64_t j = 0; j < fnn_round_up(n, FNN_ALIGN_FLOATS); j += VF) {
            vf value = vf_mul(vf_sub(vf_load(xr + j), from), by);
            value = vf_fma(value, gamma ? vf_load(gamma + j) : vf_set(1.0f), beta ? vf_load(beta + j) : vf_zero());
            vf_store(y + r * ldy + j, vf_select(vf_inside(j, n), value, vf_zero()));
        }
    }
}

static void rownorm_backward(const fnn_instr *in, const fnn_run *run) {
    enum { X, MEAN, INV, GAMMA, DY, DX };
    enum { N, LDX, LDDY, LDDX, SUBTRACT, CENTRE, UNIT };
    const float *x = in->p[X], *mean = in->p[MEAN], *inv = in->p[INV], *gamma = in->p[GAMMA], *dy = in->p[DY];
    float *dx = in->p[DX], cut = 1.0f / sqrtf(in->s[0]);
    int64_t n = in->d[N], ldx = in->d[LDX], lddy = in->d[LDDY], lddx = in->d[LDDX], begin, end;
    fnn_split(run->samples * in->rows_per_sample, 1, run->thread, run->threads, &begin, &end);
    for (int64_t r = begin; r < end; r++) {
        const float *xr = x + r * ldx, *gr = dy + r * lddy;
        vf m = vf_set(in->d[SUBTRACT] ? mean[r] : 0.0f), centre = vf_set(in->d[CENTRE] ? mean[r] : 0.0f);
        vf sum = vf_zero(), dot = vf_zero();
        for (int64_t j = 0; j < n; j += VF) {
            vf g = gamma ? vf_mul(vf_load(gr + j), vf_load(gamma + j)) : vf_load(gr + j);
            g = vf_select(vf_inside(j, n), g, vf_zero());
            vf d = vf_select(vf_inside(j, n), vf_sub(vf_load(xr + j), m), vf_zero());
            sum = vf_add(sum, g);
            dot = vf_fma(g, d, dot);
        }
        float share = in->d[UNIT] ? 1.0f : 1.0f / (float)n, inverse = inv[r];
        vf slope = vf_set(in->d[UNIT] && inverse >= cut ? 0.0f : vf_sum(dot) * inverse * inverse * share);
        vf offset = vf_set(in->d[SUBTRACT] ? vf_sum(sum) * share : 0.0f), by = vf_set(inverse);
        for (int64_t j = 0; j < fnn_round_up(n, FNN_ALIGN_FLOATS); j += VF) {
            vf g = gamma ? vf_mul(vf_load(gr + j), vf_load(gamma + j)) : vf_load(gr + j);
            vf value = vf_fnma(vf_sub(vf_load(xr + j), centre), slope, vf_sub(g, offset));
            vf_store(dx + r * lddx + j, vf_select(vf_inside(j, n), vf_mul(value, by), vf_zero()));
        }
    }
}

static void column_gradients(const fnn_instr *in, const fnn_run *run) {
    const float *x = in->p[0], *mean = in->p[1], *inv = in->p[2], *dy = in->p[3];
    float *dgamma = in->p[4], *dbeta = in->p[5];
    int64_t n = in->d[0], ldx = in->d[1], lddy = in->d[2], rows = run->samples * in->rows_per_sample, begin, end;
    fnn_split(n, FNN_ALIGN_FLOATS, run->thread, run->threads, &begin, &end);
    for (int64_t j = begin; j < end; j += VF) {
        vf gain = vf_zero(), shift = vf_zero();
        for (int64_t r = 0; r < rows; r++) {
            vf g = vf_load(dy + r * lddy + j), value = vf_load(x + r * ldx + j);
            if (mean) value = vf_sub(value, vf_set(mean[r]));
            if (inv) value = vf_mul(value, vf_set(inv[r]));
            gain = vf_fma(g, value, gain);
            shift = vf_add(shift, g);
        }
        for (int i = 0; i < 2; i++) {
            float *to = i ? dbeta : dgamma;
            if (!to) continue;
            vf before = in->d[3] ? vf_load(to + j) : vf_zero();
            vf_store(to + j, vf_select(vf_inside(j, n), vf_add(before, i ? shift : gain), vf_zero()));
        }
    }
}

static int rownorm_check(const fnn_instr *in, const fnn_place *places) {
    int64_t n = in->d[0];
    for (int i = 4; i < 6; i++) /* mean and inv: a value for each row */
        if (!fnn_absent(&places[i]) && !(places[i].writable && in->rows_per_sample <= places[i].per_sample)) return 0;
    return fnn_reads(in, &places[0], n, in->d[1]) && fnn_vector_or_none(&places[1], n) &&
           fnn_vector_or_none(&places[2], n) && fnn_writes(in, &places[3], n, in->d[2]);
}

#define fnn_op_rownorm_forward                                                                                      \
    {"rownorm_forward", "x gamma? beta? y mean? inv?", "n ldx ldy subtract centre unit", "epsilon", rownorm_forward, \
     rownorm_check}
#define fnn_op_rownorm_backward                                                                                     \
    {"rownorm_backward", "x mean? inv gamma? dy dx", "n ldx lddy lddx subtract centre unit", "epsilon",              \
     rownorm_backward}
#define fnn_op_column_gradients                                                                                     \
    {"column_gradients", "x mean? inv? dy dgamma? dbeta?", "n ldx lddy accumulate", "", column_gradients}
