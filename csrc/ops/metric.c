/* Metrics: values[rows], a number for each row; `accumulate` (loss.c) makes their mean. The losses are metrics, too.
 *
 *   sparse_accuracy:       argmax(p[rows][n]) == labels[rows]
 *   categorical_accuracy:  argmax(p[rows][n]) == argmax(targets[rows][n])
 *   binary_accuracy:       mean over n of (p[rows][n] > threshold) == targets[rows][n]
 *   equal_values:          mean over n of p[rows][n] == targets[rows][n]
 *   sparse_top_k:          is p[rows][labels[rows]] among the k largest of its row?
 *   categorical_top_k:     the same of the column of the largest target
 *   pearson, concordance:  how a row of predictions goes with its row of targets
 *
 * Of equal maxima the first one counts. NaN is never the maximum; a row of nothing else has its maximum at 0.
 */
static int64_t metric_argmax(const float *x, int64_t n) {
    const vf low = vf_set(-INFINITY);
    vf best = low, at = vf_zero();
    for (int64_t j = 0; j < n; j += VF) {
        vf v = vf_select(vf_inside(j, n), vf_load(x + j), low);
        vm more = vf_lt(best, v);
        best = vf_select(more, v, best);
        at = vf_select(more, vf_add(vf_lane_numbers(), vf_set((float)j)), at);
    }
    /* each lane holds its first maximum; the smallest index among the lanes that hold the row's maximum wins */
    vm is_max = vf_eq(best, vf_set(vf_max_lane(best)));
    return (int64_t)-vf_max_lane(vf_select(is_max, vf_neg(at), low));
}

static void sparse_accuracy(const fnn_instr *in, const fnn_run *run) {
    const float *p = in->p[0];
    const int32_t *labels = in->p[1];
    float *values = in->p[2];
    int64_t n = in->d[0], ldp = in->d[1], begin, end;
    fnn_split(run->samples * in->rows_per_sample, 1, run->thread, run->threads, &begin, &end);
    for (int64_t r = begin; r < end; r++) values[r] = metric_argmax(p + r * ldp, n) == labels[r] ? 1.0f : 0.0f;
}

static void categorical_accuracy(const fnn_instr *in, const fnn_run *run) {
    const float *p = in->p[0], *t = in->p[1];
    float *values = in->p[2];
    int64_t n = in->d[0], ldp = in->d[1], ldt = in->d[2], begin, end;
    fnn_split(run->samples * in->rows_per_sample, 1, run->thread, run->threads, &begin, &end);
    for (int64_t r = begin; r < end; r++)
        values[r] = metric_argmax(p + r * ldp, n) == metric_argmax(t + r * ldt, n) ? 1.0f : 0.0f;
}

static void binary_accuracy(const fnn_instr *in, const fnn_run *run) {
    const float *p = in->p[0], *t = in->p[1];
    float *values = in->p[2];
    int64_t n = in->d[0], ldp = in->d[1], ldt = in->d[2], begin, end;
    const vf threshold = vf_set(in->s[0]), zero = vf_zero(), one = vf_set(1.0f);
    fnn_split(run->samples * in->rows_per_sample, 1, run->thread, run->threads, &begin, &end);
    for (int64_t r = begin; r < end; r++) {
        vf right = zero;
        for (int64_t j = 0; j < n; j += VF) {
            vf predicted = vf_select(vf_lt(threshold, vf_load(p + r * ldp + j)), one, zero);
            vf equal = vf_select(vf_eq(predicted, vf_load(t + r * ldt + j)), one, zero);
            right = vf_add(right, vf_select(vf_inside(j, n), equal, zero));
        }
        values[r] = vf_sum(right) / (float)n;
    }
}

static void equal_values(const fnn_instr *in, const fnn_run *run) {
    const float *p = in->p[0], *t = in->p[1];
    float *values = in->p[2];
    int64_t n = in->d[0], ldp = in->d[1], ldt = in->d[2], begin, end;
    fnn_split(run->samples * in->rows_per_sample, 1, run->thread, run->threads, &begin, &end);
    for (int64_t r = begin; r < end; r++) {
        vf right = vf_zero();
        for (int64_t j = 0; j < n; j += VF) {
            vf equal = vf_select(vf_eq(vf_load(p + r * ldp + j), vf_load(t + r * ldt + j)), vf_set(1.0f), vf_zero());
            right = vf_add(right, vf_select(vf_inside(j, n), equal, vf_zero()));
        }
        values[r] = vf_sum(right) / (float)n;
    }
}

/* Equals of the k-th largest count as among them, as in Keras 3; NaN is never, and nothing is less than it. */
static float metric_in_top_k(const float *p, int64_t n, int64_t column, int64_t k) {
    vf value = vf_set(p[column]), greater = vf_zero();
    for (int64_t j = 0; j < n; j += VF) {
        vf more = vf_select(vf_lt(value, vf_load(p + j)), vf_set(1.0f), vf_zero());
        greater = vf_add(greater, vf_select(vf_inside(j, n), more, vf_zero()));
    }
    return p[column] == p[column] && vf_sum(greater) < (float)k ? 1.0f : 0.0f;
}

static void sparse_top_k(const fnn_instr *in, const fnn_run *run) {
    const float *p = in->p[0];
    const int32_t *labels = in->p[1];
    float *values = in->p[2];
    int64_t n = in->d[0], ldp = in->d[1], k = in->d[2], begin, end;
    fnn_split(run->samples * in->rows_per_sample, 1, run->thread, run->threads, &begin, &end);
    for (int64_t r = begin; r < end; r++)
        values[r] = labels[r] >= 0 && labels[r] < n ? metric_in_top_k(p + r * ldp, n, labels[r], k) : 0.0f;
}

static void categorical_top_k(const fnn_instr *in, const fnn_run *run) {
    const float *p = in->p[0], *t = in->p[1];
    float *values = in->p[2];
    int64_t n = in->d[0], ldp = in->d[1], ldt = in->d[2], k = in->d[3], begin, end;
    fnn_split(run->samples * in->rows_per_sample, 1, run->thread, run->threads, &begin, &end);
    for (int64_t r = begin; r < end; r++) values[r] = metric_in_top_k(p + r * ldp, n, metric_argmax(t + r * ldt, n), k);
}

/* Means, variances and covariance of a row of predictions and its row of targets. */
typedef struct metric_moments {
    float mean_p, mean_t, variance_p, variance_t, covariance;
} metric_moments;

static metric_moments metric_row_moments(const float *p, const float *t, int64_t n) {
    const vf zero = vf_zero();
    vf sum_p = zero, sum_t = zero, pp = zero, tt = zero, pt = zero;
    for (int64_t j = 0; j < n; j += VF) {
        vm inside = vf_inside(j, n);
        sum_p = vf_add(sum_p, vf_select(inside, vf_load(p + j), zero));
        sum_t = vf_add(sum_t, vf_select(inside, vf_load(t + j), zero));
    }
    metric_moments of = {.mean_p = vf_sum(sum_p) / (float)n, .mean_t = vf_sum(sum_t) / (float)n};
    for (int64_t j = 0; j < n; j += VF) {
        vm inside = vf_inside(j, n);
        vf dp = vf_select(inside, vf_sub(vf_load(p + j), vf_set(of.mean_p)), zero);
        vf dt = vf_select(inside, vf_sub(vf_load(t + j), vf_set(of.mean_t)), zero);
        pp = vf_fma(dp, dp, pp);
        tt = vf_fma(dt, dt, tt);
        pt = vf_fma(dp, dt, pt);
    }
    of.variance_p = vf_sum(pp) / (float)n;
    of.variance_t = vf_sum(tt) / (float)n;
    of.covariance = vf_sum(pt) / (float)n;
    return of;
}

static void pearson(const fnn_instr *in, const fnn_run *run) {
    const float *p = in->p[0], *t = in->p[1];
    float *values = in->p[2];
    int64_t n = in->d[0], ldp = in->d[1], ldt = in->d[2], begin, end;
    fnn_split(run->samples * in->rows_per_sample, 1, run->thread, run->threads, &begin, &end);
    for (int64_t r = begin; r < end; r++) {
        metric_moments of = metric_row_moments(p + r * ldp, t + r * ldt, n);
        values[r] = of.covariance / (sqrtf(of.variance_p) * sqrtf(of.variance_t)); /* NaN where one is constant */
    }
}

/* 2 covariance / (both variances + the means' squared distance + 1e-7). As Keras 3 has it, the "covariance" is the mean
 * of (t - mean p) (p - mean p), which is the covariance, too. */
static void concordance(const fnn_instr *in, const fnn_run *run) {
    const float *p = in->p[0], *t = in->p[1];
    float *values = in->p[2];
    int64_t n = in->d[0], ldp = in->d[1], ldt = in->d[2], begin, end;
    fnn_split(run->samples * in->rows_per_sample, 1, run->thread, run->threads, &begin, &end);
    for (int64_t r = begin; r < end; r++) {
        metric_moments of = metric_row_moments(p + r * ldp, t + r * ldt, n);
        float distance = of.mean_t - of.mean_p;
        values[r] = 2.0f * of.covariance / (of.variance_t + of.variance_p + distance * distance + 1e-7f);
    }
}

#define fnn_op_sparse_accuracy {"sparse_accuracy", "p labels values", "n ldp", "", sparse_accuracy}
#define fnn_op_categorical_accuracy \
    {"categorical_accuracy", "p targets values", "n ldp ldt", "", categorical_accuracy}
#define fnn_op_binary_accuracy {"binary_accuracy", "p targets values", "n ldp ldt", "threshold", binary_accuracy}
#define fnn_op_equal_values {"equal_values", "p targets values", "n ldp ldt", "", equal_values}
#define fnn_op_sparse_top_k {"sparse_top_k", "p labels values", "n ldp k", "", sparse_top_k}
#define fnn_op_categorical_top_k {"categorical_top_k", "p targets values", "n ldp ldt k", "", categorical_top_k}
#define fnn_op_pearson {"pearson", "p targets values", "n ldp ldt", "", pearson}
#define fnn_op_concordance {"concordance", "p targets values", "n ldp ldt", "", concordance}
