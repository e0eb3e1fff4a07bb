/* Penalties on weights and on activities, and their gradients. All but the orthogonal one are l1 |x| + l2 x^2.
 *
 *   weight_penalty      sums[ceil(n / SUM_CHUNK)] of w[n]; grad (+)= the gradient
 *   activity_penalty    values[rows]: the penalty of each row of y
 *   activity_gradient   dx = dy + the gradient / samples: a batch's penalty is divided by its size
 *   unit_rows           u[i] = row (or column) i of the panels w, of length 1; lengths[i] is what it was
 *   orthogonal_penalty  sums[i] = factor times the sum over j of |u[i] . u[j]|, j not i; grad (+)= the gradient for w
 *   add_penalty         acc[0] += samples * the sum of sums; if counts, acc[1] += samples: the mean is acc[0] / acc[1]
 */
#include "optimizer.h"

static inline vf sign_of(vf x) { /* 0 for 0, NaN for NaN */
    return vf_select(vf_lt(vf_zero(), x), vf_set(1.0f), vf_select(vf_lt(x, vf_zero()), vf_set(-1.0f), x));
}

static void weight_penalty(const fnn_instr *in, const fnn_run *run) {
    const float *w = in->p[0];
    float *grad = in->p[1];
    double *sums = in->p[2];
    vf l1 = vf_set(in->s[0]), l2 = vf_set(in->s[1]), twice = vf_add(l2, l2);
    int64_t begin, end;
    int accumulate = in->d[1] != 0;
    fnn_split(in->d[0], SUM_CHUNK, run->thread, run->threads, &begin, &end);
    for (int64_t from = begin; from < end; from += SUM_CHUNK) {
        int64_t to = from + SUM_CHUNK < end ? from + SUM_CHUNK : end;
        vf sum = vf_zero();
        for (int64_t i = from; i < to; i += VF) {
            vf x = vf_load(w + i);
            sum = vf_fma(vf_fma(l2, x, vf_mul(l1, sign_of(x))), x, sum);
            if (!grad) continue;
            vf g = vf_fma(twice, x, vf_mul(l1, sign_of(x)));
            vf_store(grad + i, accumulate ? vf_add(vf_load(grad + i), g) : g);
        }
        sums[from / SUM_CHUNK] = vf_sum(sum);
    }
}

static void activity_penalty(const fnn_instr *in, const fnn_run *run) {
    const float *y = in->p[0];
    float *values = in->p[1];
    int64_t n = in->d[0], ldy = in->d[1], begin, end;
    vf l1 = vf_set(in->s[0]), l2 = vf_set(in->s[1]);
    fnn_split(run->samples * in->rows_per_sample, 1, run->thread, run->threads, &begin, &end);
    for (int64_t r = begin; r < end; r++) {
        vf sum = vf_zero();
        for (int64_t j = 0; j < n; j += VF) {
            vf x = vf_select(vf_inside(j, n), vf_load(y + r * ldy + j), vf_zero());
            sum = vf_fma(vf_fma(l2, x, vf_mul(l1, sign_of(x))), x, sum);
        }
        values[r] = vf_sum(sum);
    }
}

static void activity_gradient(const fnn_instr *in, const fnn_run *run) {
    const float *y = in->p[0], *dy = in->p[1];
    float *dx = in->p[2];
    int64_t n = in->d[0], ldy = in->d[1], lddy = in->d[2], lddx = in->d[3], begin, end;
    vf l1 = vf_set(in->s[0] / (float)run->samples), l2 = vf_set(2.0f * in->s[1] / (float)run->samples);
    fnn_split(run->samples * in->rows_per_sample, 1, run->thread, run->threads, &begin, &end);
    for (int64_t r = begin; r < end; r++)
        for (int64_t j = 0; j < n; j += VF) {
            vf x = vf_load(y + r * ldy + j);
            vf g = vf_fma(l2, x, vf_mul(l1, sign_of(x)));
            vf_store(dx + r * lddx + j, vf_add(vf_load(dy + r * lddy + j), g));
        }
}

/* Where the panels of a k x n matrix hold row i, column j. */
static inline int64_t panel_at(int64_t k, int64_t n, int64_t i, int64_t j) {
    int64_t p = j / PANEL < panel_count(n) ? j / PANEL : panel_count(n) - 1;
    return p * PANEL * k + i * panel_width(n, p) * VF + j - p * PANEL;
}

static void unit_rows(const fnn_instr *in, const fnn_run *run) {
    const float *w = in->p[0];
    float *u = in->p[1], *lengths = in->p[2];
    int64_t k = in->d[0], n = in->d[1], ldu = in->d[2], begin, end;
    int columns = in->d[3] != 0;
    int64_t rows = columns ? n : k, size = columns ? k : n;
    fnn_split(rows, 1, run->thread, run->threads, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        double sum = 0;
        for (int64_t j = 0; j < ldu; j++) {
            float x = j >= size ? 0.0f : columns ? w[panel_at(k, n, j, i)] : w[panel_at(k, n, i, j)];
            u[i * ldu + j] = x;
            sum += (double)x * x;
        }
        lengths[i] = sum > 1e-14 ? (float)sqrt(sum) : 1e-7f; /* Keras's epsilon */
        vf scale = vf_set(1.0f / lengths[i]);
        for (int64_t j = 0; j < ldu; j += VF) vf_store(u + i * ldu + j, vf_mul(scale, vf_load(u + i * ldu + j)));
    }
}

static void orthogonal_penalty(const fnn_instr *in, const fnn_run *run) {
    const float *u = in->p[0], *lengths = in->p[1];
    float *grad = in->p[2], *d = run->scratch;
    double *sums = in->p[3];
    int64_t k = in->d[0], n = in->d[1], ldu = in->d[2], begin, end;
    int columns = in->d[3] != 0, accumulate = in->d[4] != 0;
    int64_t rows = columns ? n : k, size = columns ? k : n;
    fnn_split(rows, 1, run->thread, run->threads, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        const float *own = u + i * ldu;
        double total = 0;
        for (int64_t j = 0; j < ldu; j += VF) vf_store(d + j, vf_zero());
        for (int64_t other = 0; other < rows; other++) {
            if (other == i) continue;
            const float *v = u + other * ldu;
            vf dot = vf_zero();
            for (int64_t j = 0; j < ldu; j += VF) dot = vf_fma(vf_load(own + j), vf_load(v + j), dot);
            float product = vf_sum(dot);
            total += fabsf(product);
            vf sign = vf_set((float)((product > 0) - (product < 0)));
            for (int64_t j = 0; j < ldu; j += VF) vf_store(d + j, vf_fma(sign, vf_load(v + j), vf_load(d + j)));
        }
        sums[i] = in->s[0] * total;
        if (!grad) continue;
        /* |u . v| counts twice, for i and for its partner; what points along u changes its length alone */
        vf along = vf_zero();
        for (int64_t j = 0; j < ldu; j += VF) along = vf_fma(vf_load(d + j), vf_load(own + j), along);
        float dot = vf_sum(along), factor = 2.0f * in->s[0] / lengths[i];
        if (lengths[i] <= 1e-7f) dot = 0; /* such a row is not divided by its length */
        for (int64_t j = 0; j < size; j++) {
            float *g = grad + (columns ? panel_at(k, n, j, i) : panel_at(k, n, i, j));
            float value = factor * (d[j] - dot * own[j]);
            *g = accumulate ? *g + value : value;
        }
    }
}

static void add_penalty(const fnn_instr *in, const fnn_run *run) {
    if (run->thread) return;
    const double *sums = in->p[0];
    double *acc = in->p[1], total = 0;
    for (int64_t i = 0; i < in->d[0]; i++) total += sums[i];
    acc[0] += total * (double)run->samples;
    if (in->d[1]) acc[1] += (double)run->samples;
}

#define fnn_op_weight_penalty {"weight_penalty", "w grad? sums", "n accumulate", "l1 l2", weight_penalty}
#define fnn_op_activity_penalty {"activity_penalty", "y values", "n ldy", "l1 l2", activity_penalty}
#define fnn_op_activity_gradient {"activity_gradient", "y dy dx", "n ldy lddy lddx", "l1 l2", activity_gradient}
#define fnn_op_unit_rows {"unit_rows", "w u lengths", "k n ldu columns", "", unit_rows}
#define fnn_op_orthogonal_penalty                                                                                    \
    {"orthogonal_penalty", "u lengths grad? sums", "k n ldu columns accumulate", "factor", orthogonal_penalty}
#define fnn_op_add_penalty {"add_penalty", "sums? acc", "count counts", "", add_penalty}
