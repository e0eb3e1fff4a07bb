/* Metrics that are more than a mean: each adds a batch to a state of float64 numbers, from which Python computes the
 * result. One thread does it, in the order of the rows, so that the result does not depend on the team. A row
 * without weight counts once.
 *
 *   threshold_histogram   state[groups][2][m + 1] += weight at [group][target != 0][thresholds below p]: what counts of
 *                         true and false positives and negatives at m thresholds are made of. groups: 1, or one for
 *                         each column. Thresholds are ascending, or (where there are none) spread evenly over [0, 1].
 *   class_counts          state[4][n] += weight * {d t, d (1 - t), (1 - d) t, t}, d being 1 where p is above a
 *                         threshold or (by_maximum) the largest of its row and not 0
 *   confusion_matrix      state[classes][classes] += weight (or its whole part) at [true class][predicted class]
 *   regression_moments    state[4][n] += weight * {t, t^2, (t - p)^2, 1}; state[4 n] += values of the batch
 *   top_k_filter          y[rows][n] = p where p is among the k largest of its row (of equals the first), else -1e10
 */
enum { METRIC_BLOCK = 64 }; /* values whose thresholds are counted together */

static inline double metric_weight(const float *weights, int64_t r) { return weights ? weights[r] : 1.0; }

/* How many of m ascending thresholds are less than each of METRIC_BLOCK values; none are less than NaN. Even ones are
 * counted as Keras 3 does it, by ceil(p (m - 1)). */
static void metric_thresholds_below(const float *p, const float *thresholds, int64_t m, int64_t least, float *count) {
    const vf zero = vf_zero(), one = vf_set(1.0f);
    for (int64_t i = 0; i < METRIC_BLOCK; i += VF) {
        vf v = vf_load(p + i), below = zero;
        if (!thresholds) {
            vf scaled = vf_mul(vf_min(one, vf_max(zero, v)), vf_set((float)(m - 1)));
            vf nearest = vf_round(scaled);
            below = vf_add(nearest, vf_select(vf_lt(nearest, scaled), one, zero));
            below = vf_max(below, vf_set((float)least)); /* NaN counts as the least */
        } else if (m <= 32) {
            for (int64_t k = 0; k < m; k++)
                below = vf_add(below, vf_select(vf_lt(vf_set(thresholds[k]), v), one, zero));
        } else {
            float lanes[VF];
            for (int64_t l = 0; l < VF; l++) {
                int64_t low = 0;
                for (int64_t half = m; half > 0;) { /* low thresholds are less, those from low + half on are not */
                    int64_t step = half / 2;
                    if (thresholds[low + step] < p[i + l]) low += step + 1, half -= step + 1;
                    else half = step;
                }
                lanes[l] = (float)low;
            }
            below = vf_load(lanes);
        }
        vf_store(count + i, below);
    }
}

static void threshold_histogram(const fnn_instr *in, const fnn_run *run) {
    const float *p = in->p[0], *t = in->p[1], *weights = in->p[2], *thresholds = in->p[3], *columns = in->p[4];
    double *state = in->p[5];
    int64_t ldp = in->d[0], ldt = in->d[1], first = in->d[2], end = in->d[3], m = in->d[4], least = in->d[5];
    int64_t stride = in->d[6] ? 2 * (m + 1) : 0, rows = run->samples * in->rows_per_sample;
    if (run->thread != 0) return;
    float value[METRIC_BLOCK] = {0}, count[METRIC_BLOCK];
    double weight[METRIC_BLOCK], *place[METRIC_BLOCK];
    int64_t filled = 0;
    for (int64_t r = 0; r < rows; r++) {
        double w = metric_weight(weights, r);
        for (int64_t j = first; j < end; j++) {
            value[filled] = p[r * ldp + j];
            place[filled] = state + (j - first) * stride + (t[r * ldt + j] != 0.0f ? m + 1 : 0);
            weight[filled] = columns ? w * columns[j] : w;
            if (++filled < METRIC_BLOCK && (r + 1 < rows || j + 1 < end)) continue;
            if (in->d[7])
                for (int64_t i = 0; i < METRIC_BLOCK; i += VF) vf_store(value + i, vf_sigmoid(vf_load(value + i)));
            metric_thresholds_below(value, thresholds, m, least, count);
            for (int64_t i = 0; i < filled; i++) place[i][(int64_t)count[i]] += weight[i];
            filled = 0;
        }
    }
}

static void class_counts(const fnn_instr *in, const fnn_run *run) {
    const float *p = in->p[0], *t = in->p[1], *weights = in->p[2];
    double *state = in->p[3];
    int64_t n = in->d[0], ldp = in->d[1], ldt = in->d[2], rows = run->samples * in->rows_per_sample;
    const float tiny = 1e-9f; /* so that a row of nothing decides for no class */
    if (run->thread != 0) return;
    for (int64_t r = 0; r < rows; r++) {
        const float *pr = p + r * ldp, *tr = t + r * ldt;
        double w = metric_weight(weights, r);
        float highest = in->d[3] ? softmax_max(pr, n) : in->s[0];
        for (int64_t j = 0; j < n; j++) {
            int decided = in->d[3] ? pr[j] >= highest && (pr[j] > tiny || pr[j] < -tiny) : pr[j] > highest;
            double target = tr[j];
            state[j] += decided ? w * target : 0.0;
            state[n + j] += decided ? w * (1.0 - target) : 0.0;
            state[2 * n + j] += decided ? 0.0 : w * target;
            state[3 * n + j] += w * target;
        }
    }
}

/* Which class a number names: its whole part, as Keras 3 has it; -1 if that is none. */
static inline int64_t metric_class(float x, int64_t classes) {
    return x > -1.0f && x < (float)classes ? (int64_t)x : -1;
}

static void confusion_matrix(const fnn_instr *in, const fnn_run *run) {
    const float *p = in->p[0], *t = in->p[1], *weights = in->p[3];
    const int32_t *labels = in->p[2];
    double *state = in->p[4];
    int64_t n = in->d[0], ldp = in->d[1], ldt = in->d[2], classes = in->d[3], ignored = in->d[4];
    int64_t by_row = in->d[5], above = in->d[6], whole = in->d[7], rows = run->samples * in->rows_per_sample;
    if (run->thread != 0) return;
    for (int64_t r = 0; r < rows; r++) {
        double w = metric_weight(weights, r);
        if (whole) w = trunc(w);
        for (int64_t j = 0; j < (by_row ? 1 : n); j++) {
            float value = p[r * ldp + j];
            int64_t truth, guess;
            if (by_row) guess = metric_argmax(p + r * ldp, n);
            else guess = above ? value >= in->s[0] : metric_class(value, classes);
            if (labels) truth = labels[r];
            else truth = by_row ? metric_argmax(t + r * ldt, n) : metric_class(t[r * ldt + j], classes);
            if (truth == ignored || truth < 0 || truth >= classes || guess < 0 || guess >= classes) continue;
            state[truth * classes + guess] += w;
        }
    }
}

static void regression_moments(const fnn_instr *in, const fnn_run *run) {
    const float *p = in->p[0], *t = in->p[1], *weights = in->p[2];
    double *state = in->p[3];
    int64_t n = in->d[0], ldp = in->d[1], ldt = in->d[2], rows = run->samples * in->rows_per_sample;
    if (run->thread != 0) return;
    for (int64_t r = 0; r < rows; r++) {
        double w = metric_weight(weights, r);
        for (int64_t j = 0; j < n; j++) {
            double target = t[r * ldt + j], error = target - p[r * ldp + j];
            state[j] += w * target;
            state[n + j] += w * target * target;
            state[2 * n + j] += w * error * error;
            state[3 * n + j] += w;
        }
    }
    state[4 * n] += (double)(rows * n);
}

static void top_k_filter(const fnn_instr *in, const fnn_run *run) {
    const float *p = in->p[0];
    float *y = in->p[1];
    int64_t n = in->d[0], ldp = in->d[1], ldy = in->d[2], k = in->d[3], begin, end;
    const float out = -1e10f;
    fnn_split(run->samples * in->rows_per_sample, 1, run->thread, run->threads, &begin, &end);
    for (int64_t r = begin; r < end; r++) {
        const float *pr = p + r * ldp;
        float *yr = y + r * ldy, bound = 0.0f;
        /* the k-th largest value, and how many of its equals are in: taking the maxima out of a copy, one by one */
        int64_t equals = 0;
        for (int64_t j = 0; j < n; j += VF) vf_store(yr + j, vf_select(vf_inside(j, n), vf_load(pr + j), vf_zero()));
        for (int64_t i = 0; i < k; i++) {
            int64_t at = metric_argmax(yr, n);
            equals = i > 0 && yr[at] == bound ? equals + 1 : 1;
            bound = yr[at];
            yr[at] = -INFINITY;
        }
        for (int64_t j = 0; j < n; j++) {
            int in_ties = pr[j] == bound && equals > 0;
            equals -= in_ties;
            yr[j] = pr[j] > bound || in_ties ? pr[j] : out;
        }
    }
}

#define fnn_op_threshold_histogram \
    {"threshold_histogram", "p targets weights? thresholds? columns? state", \
     "ldp ldt first end m least per_column sigmoid", "", threshold_histogram}
#define fnn_op_class_counts \
    {"class_counts", "p targets weights? state", "n ldp ldt by_maximum", "threshold", class_counts}
#define fnn_op_confusion_matrix \
    {"confusion_matrix", "p targets? labels? weights? state", "n ldp ldt classes ignored by_row above whole", \
     "threshold", confusion_matrix}
#define fnn_op_regression_moments \
    {"regression_moments", "p targets weights? state", "n ldp ldt", "", regression_moments}
#define fnn_op_top_k_filter {"top_k_filter", "p y", "n ldp ldy k", "", top_k_filter}
