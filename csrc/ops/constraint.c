/* What weights are held to after an update.
 *
 *   norm_constraint  every column (axis 0), every row (1) or all (2) of w[k][n], in panels, gets the norm
 *                    rate * clip(norm, low, high) + (1 - rate) * norm:  w *= that / (epsilon + norm).
 *                    A vector of n is a matrix of one row
 *   non_negative     w[n] = max(w, 0)
 *   masked_weights   w[n] = mask[n] > 0 ? w[n] : 0, whatever w[n] is; mask is laid out as w
 */

static inline vf norm_factor(const fnn_instr *in, vf norm) {
    vf low = vf_set(in->s[0]), high = vf_set(in->s[1]), rate = vf_set(in->s[2]);
    vf wanted = vf_min(high, vf_max(low, norm));
    wanted = vf_fma(rate, wanted, vf_mul(vf_sub(vf_set(1.0f), rate), norm));
    return vf_div(wanted, vf_add(vf_set(in->s[3]), norm));
}

static void constrain_columns(const fnn_instr *in, const fnn_run *run) {
    float *w = in->p[0];
    int64_t k = in->d[0], n = in->d[1], begin, end;
    fnn_split(panel_vectors(n), 1, run->thread, run->threads, &begin, &end);
    for (int64_t v = begin; v < end; v++) {
        int64_t p = v / 2 < panel_count(n) ? v / 2 : panel_count(n) - 1;
        int64_t width = (int64_t)panel_width(n, p) * VF;
        float *column = w + p * PANEL * k + (v - 2 * p) * VF;
        vf sum = vf_zero();
        for (int64_t i = 0; i < k; i++) {
            vf x = vf_load(column + i * width);
            sum = vf_fma(x, x, sum);
        }
        vf factor = norm_factor(in, vf_sqrt(sum));
        for (int64_t i = 0; i < k; i++) vf_store(column + i * width, vf_mul(factor, vf_load(column + i * width)));
    }
}

/* Rows `first` to `last` share one norm. */
static void constrain_rows(const fnn_instr *in, int64_t first, int64_t last) {
    float *w = in->p[0];
    int64_t k = in->d[0], n = in->d[1];
    vf factor = vf_zero();
    for (int pass = 0; pass < 2; pass++) {
        vf sum = vf_zero();
        for (int64_t p = 0; p < panel_count(n); p++) {
            int64_t width = (int64_t)panel_width(n, p) * VF;
            float *rows = w + p * PANEL * k;
            for (int64_t j = first * width; j < last * width; j += VF) {
                vf x = vf_load(rows + j);
                if (pass) vf_store(rows + j, vf_mul(factor, x));
                else sum = vf_fma(x, x, sum);
            }
        }
        factor = norm_factor(in, vf_set(sqrtf(vf_sum(sum))));
    }
}

static void norm_constraint(const fnn_instr *in, const fnn_run *run) {
    int64_t axis = in->d[2], begin, end;
    if (axis == 0) {
        constrain_columns(in, run);
    } else if (axis == 1) {
        fnn_split(in->d[0], 1, run->thread, run->threads, &begin, &end);
        for (int64_t i = begin; i < end; i++) constrain_rows(in, i, i + 1);
    } else if (run->thread == 0) {
        constrain_rows(in, 0, in->d[0]);
    }
}

static void non_negative(const fnn_instr *in, const fnn_run *run) {
    float *w = in->p[0];
    int64_t begin, end;
    fnn_split(in->d[0], FNN_ALIGN_FLOATS, run->thread, run->threads, &begin, &end);
    for (int64_t i = begin; i < end; i += VF) vf_store(w + i, vf_max(vf_zero(), vf_load(w + i)));
}

static void masked_weights(const fnn_instr *in, const fnn_run *run) {
    float *w = in->p[0];
    const float *mask = in->p[1];
    int64_t begin, end;
    fnn_split(in->d[0], FNN_ALIGN_FLOATS, run->thread, run->threads, &begin, &end);
    for (int64_t i = begin; i < end; i += VF)
        vf_store(w + i, vf_select(vf_lt(vf_zero(), vf_load(mask + i)), vf_load(w + i), vf_zero()));
}

#define fnn_op_norm_constraint {"norm_constraint", "w", "k n axis", "low high rate epsilon", norm_constraint}
#define fnn_op_non_negative {"non_negative", "w", "n", "", non_negative}
#define fnn_op_masked_weights {"masked_weights", "w mask", "n", "", masked_weights}
