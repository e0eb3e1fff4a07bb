/* Losses of whole rows, and of whole batches. They write what those of loss.c do.
 *
 *   kl_divergence                     sum of t log(t / p), both clipped to [1e-7, 1]
 *   cosine_similarity                 -(t / |t|) . (p / |p|), norms being at least 1e-7
 *   categorical_hinge                 max(max of (1 - t) p - sum of t p + 1, 0)
 *   categorical_focal_crossentropy    sum of alpha (1 - q)^gamma (-t log q), q = clip(p / sum p); p is a softmax of
 *                                     logits, if so told
 *   generalized_crossentropy          (1 - p[label]^q) / q
 *   tversky                           1 - I / (I + alpha (T - I) + beta (P - I) + epsilon), I = sum of t p, T of t, P
 *                                     of p: of each row, or (whole) of the batch, where it is the loss of all rows
 *   rescale_loss                      row_loss and dp times rows / D: D = 1 makes a sum of the mean; the sum of
 *                                     weights; or the number (or sum of weights) of those rows whose label is one
 *   ignore_labels                     out[rows] = -1 where the label is the one to be ignored
 */
static void kl_divergence(const fnn_instr *in, const fnn_run *run) {
    const float *p = in->p[0], *t = in->p[1];
    float *dp = in->p[4];
    int64_t n = in->d[0], ldp = in->d[1], ldt = in->d[2], lddp = in->d[3];
    loss_rows s = loss_split(in, run, in->p[2], in->p[3]);
    const vf zero = vf_zero(), one = vf_set(1.0f), epsilon = vf_set(LOSS_EPSILON);
    for (int64_t r = s.begin; r < s.end; r++) {
        float weight = loss_weight(&s, r);
        vf unit = vf_set(s.unit * weight), sum = zero;
        for (int64_t j = 0; j < s.width; j += VF) {
            vm inside = vf_inside(j, n);
            vf v = vf_load(p + r * ldp + j), q = vf_min(one, vf_max(epsilon, v));
            vf u = vf_min(one, vf_max(epsilon, vf_load(t + r * ldt + j)));
            sum = vf_add(sum, vf_select(inside, vf_mul(u, vf_log(vf_div(u, q))), zero));
            if (!dp) continue;
            vf free = vf_mul(loss_above(v, epsilon), vf_sub(one, loss_above(v, one)));
            vf_store(dp + r * lddp + j, vf_select(inside, vf_mul(unit, vf_neg(vf_mul(free, vf_div(u, q)))), zero));
        }
        s.row_loss[r] = weight * vf_sum(sum);
    }
}

static void cosine_similarity(const fnn_instr *in, const fnn_run *run) {
    const float *p = in->p[0], *t = in->p[1];
    float *dp = in->p[4];
    int64_t n = in->d[0], ldp = in->d[1], ldt = in->d[2], lddp = in->d[3];
    loss_rows s = loss_split(in, run, in->p[2], in->p[3]);
    const float largest = 1.0f / LOSS_EPSILON;
    for (int64_t r = s.begin; r < s.end; r++) {
        const float *pr = p + r * ldp, *tr = t + r * ldt;
        float weight = loss_weight(&s, r);
        vf pp = vf_zero(), tt = vf_zero(), pt = vf_zero();
        for (int64_t j = 0; j < n; j += VF) {
            vm inside = vf_inside(j, n);
            vf v = vf_select(inside, vf_load(pr + j), vf_zero()), u = vf_select(inside, vf_load(tr + j), vf_zero());
            pp = vf_fma(v, v, pp);
            tt = vf_fma(u, u, tt);
            pt = vf_fma(v, u, pt);
        }
        float inverse_p = 1.0f / sqrtf(vf_sum(pp)), inverse_t = 1.0f / sqrtf(vf_sum(tt));
        int bounded = inverse_p > largest; /* then the norm is taken for a constant */
        if (bounded) inverse_p = largest;
        if (inverse_t > largest) inverse_t = largest;
        float similarity = vf_sum(pt) * inverse_p * inverse_t, unit = s.unit * weight * inverse_p;
        s.row_loss[r] = -weight * similarity;
        if (!dp) continue;
        vf across = vf_set(-unit * inverse_t), along = vf_set(bounded ? 0.0f : unit * inverse_p * similarity);
        for (int64_t j = 0; j < s.width; j += VF) {
            vf g = vf_fma(across, vf_load(tr + j), vf_mul(along, vf_load(pr + j)));
            vf_store(dp + r * lddp + j, vf_select(vf_inside(j, n), g, vf_zero()));
        }
    }
}

static void categorical_hinge(const fnn_instr *in, const fnn_run *run) {
    const float *p = in->p[0], *t = in->p[1];
    float *dp = in->p[4];
    int64_t n = in->d[0], ldp = in->d[1], ldt = in->d[2], lddp = in->d[3];
    loss_rows s = loss_split(in, run, in->p[2], in->p[3]);
    const vf zero = vf_zero(), one = vf_set(1.0f);
    for (int64_t r = s.begin; r < s.end; r++) {
        const float *pr = p + r * ldp, *tr = t + r * ldt;
        float weight = loss_weight(&s, r);
        vf positive = zero, highest = vf_set(-INFINITY), ties = zero;
        for (int64_t j = 0; j < n; j += VF) {
            vf v = vf_load(pr + j), u = vf_load(tr + j), other = vf_mul(vf_sub(one, u), v);
            positive = vf_add(positive, vf_select(vf_inside(j, n), vf_mul(u, v), zero));
            highest = vf_max(vf_select(vf_inside(j, n), other, vf_set(-INFINITY)), highest);
        }
        vf negative = vf_set(vf_max_lane(highest));
        for (int64_t j = 0; j < n; j += VF) {
            vf other = vf_mul(vf_sub(one, vf_load(tr + j)), vf_load(pr + j));
            vm tie = vf_eq(vf_select(vf_inside(j, n), other, vf_set(NAN)), negative);
            ties = vf_add(ties, vf_select(tie, one, zero));
        }
        float sum = vf_sum(positive), m = vf_max_lane(highest) - sum + 1.0f;
        if (sum != sum) m = sum;
        s.row_loss[r] = weight * (m < 0.0f ? 0.0f : m);
        if (!dp) continue;
        vf unit = vf_set(s.unit * weight * (m > 0.0f ? 1.0f : m == 0.0f ? 0.5f : m < 0.0f ? 0.0f : m));
        vf share = vf_set(1.0f / vf_sum(ties)); /* equal maxima share the gradient */
        for (int64_t j = 0; j < s.width; j += VF) {
            vf u = vf_load(tr + j), rest = vf_sub(one, u);
            vf g = vf_select(vf_eq(vf_mul(rest, vf_load(pr + j)), negative), vf_mul(rest, share), zero);
            vf_store(dp + r * lddp + j, vf_select(vf_inside(j, n), vf_mul(unit, vf_sub(g, u)), zero));
        }
    }
}

/* -target (1 - c)^gamma log c with c = clip(q), and its derivative by q. */
typedef struct focal_point {
    vf q, loss, slope;
} focal_point;

static inline focal_point focal(vf q, vf target, float gamma) {
    vf c = loss_clip(q), log_c = vf_log(c), factor_slope;
    vf factor = loss_power(vf_sub(vf_set(1.0f), c), gamma, &factor_slope);
    vf slope = vf_mul(target, vf_sub(vf_mul(factor_slope, log_c), vf_div(factor, c)));
    return (focal_point){q, vf_neg(vf_mul(target, vf_mul(factor, log_c))),
                         vf_select(vf_eq(q, c), slope, vf_sub(q, q))}; /* NaN stays NaN */
}

static void categorical_focal_crossentropy(const fnn_instr *in, const fnn_run *run) {
    const float *p = in->p[0], *alpha = in->p[5];
    float *dp = in->p[4];
    int64_t n = in->d[0], ldp = in->d[1], lddp = in->d[3];
    float gamma = in->s[2];
    loss_targets targets = loss_from_matrix(in, in->s[1], (float)n);
    loss_rows s = loss_split(in, run, in->p[2], in->p[3]);
    const vf zero = vf_zero();
    for (int64_t r = s.begin; r < s.end; r++) {
        const float *pr = p + r * ldp;
        float weight = loss_weight(&s, r);
        vf highest = vf_set(in->d[4] ? softmax_max(pr, n) : 0.0f), sum = zero, loss = zero, dot = zero;
        for (int64_t j = 0; j < n; j += VF) {
            vf v = vf_load(pr + j);
            if (in->d[4]) v = vf_exp(vf_sub(v, highest));
            sum = vf_add(sum, vf_select(vf_inside(j, n), v, zero));
        }
        vf total = vf_set(vf_sum(sum));
        for (int64_t j = 0; j < n; j += VF) {
            vm inside = vf_inside(j, n);
            vf v = vf_load(pr + j);
            if (in->d[4]) v = vf_exp(vf_sub(v, highest));
            focal_point f = focal(vf_div(v, total), vf_mul(vf_load(alpha + j), loss_target(&targets, r, j)), gamma);
            loss = vf_add(loss, vf_select(inside, f.loss, zero));
            dot = vf_add(dot, vf_select(inside, vf_mul(f.slope, f.q), zero));
        }
        /* by p: (slope - sum of slope q) / total; by logits: q (slope - sum of slope q) */
        vf unit = vf_set(s.unit * weight), mean = vf_set(vf_sum(dot));
        for (int64_t j = 0; dp && j < s.width; j += VF) {
            vf v = vf_load(pr + j);
            if (in->d[4]) v = vf_exp(vf_sub(v, highest));
            focal_point f = focal(vf_div(v, total), vf_mul(vf_load(alpha + j), loss_target(&targets, r, j)), gamma);
            vf g = vf_mul(unit, vf_sub(f.slope, mean));
            g = in->d[4] ? vf_mul(g, f.q) : vf_div(g, total);
            vf_store(dp + r * lddp + j, vf_select(vf_inside(j, n), g, zero));
        }
        s.row_loss[r] = weight * vf_sum(loss);
    }
}

static void generalized_crossentropy(const fnn_instr *in, const fnn_run *run) {
    const float *p = in->p[0];
    const int32_t *labels = in->p[1];
    float *dp = in->p[4];
    int64_t n = in->d[0], ldp = in->d[1], lddp = in->d[2];
    float q = in->s[1];
    loss_rows s = loss_split(in, run, in->p[2], in->p[3]);
    for (int64_t r = s.begin; r < s.end; r++) {
        int is_column = loss_is_column(labels[r], n);
        float weight = loss_weight(&s, r), chosen = is_column ? p[r * ldp + labels[r]] : 0.0f;
        s.row_loss[r] = weight * ((1.0f - powf(chosen, q)) / q);
        if (!dp) continue;
        for (int64_t j = 0; j < s.width; j += VF) vf_store(dp + r * lddp + j, vf_zero());
        if (is_column) dp[r * lddp + labels[r]] = -s.unit * weight * powf(chosen, q - 1.0f);
    }
}

/* Sums of t p, t and p. */
typedef struct loss_overlap {
    double both, targets, predictions;
} loss_overlap;

static void loss_add_overlap(loss_overlap *of, const float *p, const float *t, int64_t n) {
    vf both = vf_zero(), targets = vf_zero(), predictions = vf_zero();
    for (int64_t j = 0; j < n; j += VF) {
        vm inside = vf_inside(j, n);
        vf v = vf_select(inside, vf_load(p + j), vf_zero()), u = vf_select(inside, vf_load(t + j), vf_zero());
        both = vf_fma(v, u, both);
        targets = vf_add(targets, u);
        predictions = vf_add(predictions, v);
    }
    of->both += vf_sum(both);
    of->targets += vf_sum(targets);
    of->predictions += vf_sum(predictions);
}

static void tversky(const fnn_instr *in, const fnn_run *run) {
    const float *p = in->p[0], *t = in->p[1], *weights = in->p[2];
    float *dp = in->p[4];
    int64_t n = in->d[0], ldp = in->d[1], ldt = in->d[2], lddp = in->d[3], whole = in->d[4];
    int64_t rows = run->samples * in->rows_per_sample;
    double alpha = in->s[1], beta = in->s[2], epsilon = in->s[3], unit = in->s[0];
    loss_rows s = loss_split(in, run, weights, in->p[3]);
    loss_overlap of = {0, 0, 0};
    if (whole) { /* every thread adds up for itself, in the order of the rows */
        double mean_weight = 0;
        for (int64_t r = 0; r < rows; r++) {
            loss_add_overlap(&of, p + r * ldp, t + r * ldt, n);
            mean_weight += loss_weight(&s, r);
        }
        unit *= mean_weight / (double)rows;
    }
    for (int64_t r = s.begin; r < s.end; r++) {
        float weight = loss_weight(&s, r);
        if (!whole) {
            of = (loss_overlap){0, 0, 0};
            loss_add_overlap(&of, p + r * ldp, t + r * ldt, n);
            unit = s.unit * weight;
        }
        double d = of.both + alpha * (of.targets - of.both) + beta * (of.predictions - of.both) + epsilon;
        s.row_loss[r] = weight * (float)(1.0 - of.both / d);
        if (!dp) continue;
        /* -(t d - I (t (1 - alpha - beta) + beta)) / d^2 */
        vf slope = vf_set((float)(unit * (of.both * (1.0 - alpha - beta) - d) / (d * d)));
        vf constant = vf_set((float)(unit * of.both * beta / (d * d)));
        for (int64_t j = 0; j < s.width; j += VF) {
            vf g = vf_fma(slope, vf_load(t + r * ldt + j), constant);
            vf_store(dp + r * lddp + j, vf_select(vf_inside(j, n), g, vf_zero()));
        }
    }
}

static void rescale_loss(const fnn_instr *in, const fnn_run *run) {
    const float *weights = in->p[0];
    const int32_t *labels = in->p[1];
    float *row_loss = in->p[2], *dp = in->p[3];
    int64_t n = in->d[0], lddp = in->d[1], rows = run->samples * in->rows_per_sample, begin, end;
    double divisor = labels || weights ? 0.0 : 1.0;
    for (int64_t r = 0; (labels || weights) && r < rows; r++)
        if (!labels || labels[r] >= 0) divisor += weights ? weights[r] : 1.0f;
    float factor = divisor != 0.0 ? (float)((double)rows / divisor) : 0.0f;
    fnn_split(rows, 1, run->thread, run->threads, &begin, &end);
    for (int64_t r = begin; r < end; r++) {
        row_loss[r] *= factor;
        for (int64_t j = 0; dp && j < n; j += VF)
            vf_store(dp + r * lddp + j, vf_mul(vf_load(dp + r * lddp + j), vf_set(factor)));
    }
}

static void ignore_labels(const fnn_instr *in, const fnn_run *run) {
    const int32_t *labels = in->p[0];
    int32_t *out = in->p[1];
    int64_t begin, end;
    fnn_split(run->samples * in->rows_per_sample, FNN_ALIGN_FLOATS, run->thread, run->threads, &begin, &end);
    for (int64_t r = begin; r < end; r++) out[r] = labels[r] == in->d[0] ? -1 : labels[r];
}

#define fnn_op_kl_divergence {"kl_divergence", LOSS_OF_POINTS, "scale", kl_divergence}
#define fnn_op_cosine_similarity {"cosine_similarity", LOSS_OF_POINTS, "scale", cosine_similarity}
#define fnn_op_categorical_hinge {"categorical_hinge", LOSS_OF_POINTS, "scale", categorical_hinge}
#define fnn_op_categorical_focal_crossentropy \
    {"categorical_focal_crossentropy", "p targets weights? row_loss dp? alpha", "n ldp ldt lddp from_logits", \
     "scale label_smoothing gamma", categorical_focal_crossentropy}
#define fnn_op_generalized_crossentropy \
    {"generalized_crossentropy", "p labels weights? row_loss dp?", "n ldp lddp", "scale q", generalized_crossentropy}
#define fnn_op_tversky \
    {"tversky", "p targets weights? row_loss dp?", "n ldp ldt lddp whole", "scale alpha beta epsilon", tversky}
#define fnn_op_rescale_loss {"rescale_loss", "weights? labels? row_loss dp?", "n lddp", "", rescale_loss}
#define fnn_op_ignore_labels {"ignore_labels", "labels out", "ignored", "", ignore_labels}
