/* Metrics: values[rows], a number for each row; `accumulate` (loss.c) makes their mean. The losses are metrics, too.
 *
 *   sparse_accuracy:       argmax(p[rows][n]) == labels[rows]
 *   categorical_accuracy:  argmax(p[rows][n]) == argmax(targets[rows][n])
 *   binary_accuracy:       mean over n of (p[rows][n] > threshold) == targets[rows][n]
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

#define fnn_op_sparse_accuracy {"sparse_accuracy", "p labels values", "n ldp", "", sparse_accuracy}
#define fnn_op_categorical_accuracy \
    {"categorical_accuracy", "p targets values", "n ldp ldt", "", categorical_accuracy}
#define fnn_op_binary_accuracy {"binary_accuracy", "p targets values", "n ldp ldt", "threshold", binary_accuracy}
