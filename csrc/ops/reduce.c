/* Sums and extremes along an axis. `fixed` counts a result's rows where rows_per_sample is 0: values of no sample.
 *
 *   reduce_columns:  y[r / per][r % per] = reduction over j of x[r][j < n]         0 in the padding of y
 *   reduce_rows:     y[o * inner + i][n] = reduction over k of x[(o * count + k) * inner + i][n]
 *                    count 0: over the samples of the batch
 *   batch_size:      y[0] = the samples of this batch
 *
 * NaN is a sum's or an extreme's result, and its place; of several, and of equal extremes, the first counts. A sum of
 * rows is one chain in ascending order; one of columns is as many as there are lanes.
 */
#include "../simd_math.h"

enum { REDUCE_SUM, REDUCE_MAX, REDUCE_MIN, REDUCE_ARGMAX, REDUCE_ARGMIN };

static inline vf reduce_vectors(int kind, vf a, vf b) {
    if (kind == REDUCE_SUM) return vf_add(a, b);
    return kind == REDUCE_MAX ? expr_max(a, b) : expr_min(a, b);
}

static float reduce_row(int kind, const float *x, int64_t n) {
    vf start = kind == REDUCE_SUM ? vf_zero() : vf_set(kind == REDUCE_MAX ? -INFINITY : INFINITY);
    vf result = start;
    for (int64_t j = 0; j < n; j += VF)
        result = reduce_vectors(kind, result, vf_select(vf_inside(j, n), vf_load(x + j), start));
    if (kind == REDUCE_SUM) return vf_sum(result);
    float lanes[VF], best;
    vf_store(lanes, result);
    best = lanes[0];
    for (int i = 1; i < VF; i++)
        if (lanes[i] != lanes[i] || (kind == REDUCE_MAX ? lanes[i] > best : lanes[i] < best)) best = lanes[i];
    return best;
}

static float reduce_place(int kind, const float *x, int64_t n) {
    int64_t at = 0;
    for (int64_t j = 1; j < n; j++)
        if (x[at] == x[at] && (x[j] != x[j] || (kind == REDUCE_ARGMAX ? x[j] > x[at] : x[j] < x[at]))) at = j;
    return (float)at;
}

static int64_t reduce_result_rows(const fnn_instr *in, const fnn_run *run, int64_t fixed) {
    return in->rows_per_sample ? run->samples * in->rows_per_sample : fixed;
}

static void reduce_columns(const fnn_instr *in, const fnn_run *run) {
    const float *x = in->p[0];
    float *y = in->p[1];
    int64_t n = in->d[0], ldx = in->d[1], ldy = in->d[2], per = in->d[3], begin, end;
    int kind = (int)in->d[4];
    fnn_split(reduce_result_rows(in, run, in->d[5]), 1, run->thread, run->threads, &begin, &end);
    for (int64_t r = begin; r < end; r++) {
        float *row = y + r * ldy;
        for (int64_t j = 0; j < per; j++) {
            const float *from = x + (r * per + j) * ldx;
            row[j] = kind >= REDUCE_ARGMAX ? reduce_place(kind, from, n) : reduce_row(kind, from, n);
        }
        if (ldy > 1) memset(row + per, 0, sizeof(float) * (size_t)(fnn_round_up(per, FNN_ALIGN_FLOATS) - per));
    }
}

static void reduce_rows(const fnn_instr *in, const fnn_run *run) {
    const float *x = in->p[0];
    float *y = in->p[1];
    int64_t n = in->d[0], ldx = in->d[1], ldy = in->d[2], inner = in->d[3], begin, end;
    int64_t count = in->d[4] ? in->d[4] : run->samples, lines = (n + FNN_ALIGN_FLOATS - 1) / FNN_ALIGN_FLOATS;
    int kind = (int)in->d[5];
    fnn_split(reduce_result_rows(in, run, in->d[6]) * lines, 1, run->thread, run->threads, &begin, &end);
    for (int64_t unit = begin; unit < end; unit++) { /* a cache line of a result's row */
        int64_t r = unit / lines, column = unit % lines * FNN_ALIGN_FLOATS;
        const float *from = x + (r / inner * count * inner + r % inner) * ldx;
        for (int64_t j = column; j < column + FNN_ALIGN_FLOATS; j += VF) {
            if (ldy == 1) { /* rows of one value have no whole vectors */
                float best = from[0];
                for (int64_t k = 1; k < count; k++) {
                    float v = from[k * inner * ldx];
                    if (kind == REDUCE_SUM) best += v;
                    else if (v != v || (kind == REDUCE_MAX ? v > best : v < best)) best = v;
                }
                y[r] = best;
                break;
            }
            vf result;
            if (ldx == 1) {
                result = vf_zero();
                float best = from[0];
                for (int64_t k = 1; k < count; k++) {
                    float v = from[k * inner];
                    if (kind == REDUCE_SUM) best += v;
                    else if (v != v || (kind == REDUCE_MAX ? v > best : v < best)) best = v;
                }
                result = vf_set(best);
            } else {
                result = vf_load(from + j);
                for (int64_t k = 1; k < count; k++)
                    result = reduce_vectors(kind, result, vf_load(from + k * inner * ldx + j));
            }
            vf_store(y + r * ldy + j, vf_select(vf_inside(j, n), result, vf_zero()));
        }
    }
}

static void batch_size(const fnn_instr *in, const fnn_run *run) {
    if (run->thread == 0) *(float *)in->p[0] = (float)run->samples;
}

static int reduce_columns_check(const fnn_instr *in, const fnn_place *places) {
    int64_t n = in->d[0], ldx = in->d[1], ldy = in->d[2], per = in->d[3];
    int64_t rows = in->rows_per_sample ? in->rows_per_sample : in->d[5];
    return in->d[4] <= REDUCE_ARGMIN && per >= 1 && (ldy == 1 ? per == 1 : fnn_padded(per) <= ldy) && rows >= 1 &&
           fnn_fits(fnn_floats_of(in, &places[0]), fnn_times(rows, per), n, ldx) &&
           fnn_times(rows, ldy) <= fnn_floats_of(in, &places[1]) && places[1].writable;
}

/* Not over the samples of the batch: what a sample gives must not depend on the others. */
static int reduce_rows_check(const fnn_instr *in, const fnn_place *places) {
    int64_t n = in->d[0], ldx = in->d[1], ldy = in->d[2], inner = in->d[3], count = in->d[4];
    int64_t rows = in->rows_per_sample ? in->rows_per_sample : in->d[6];
    return in->d[5] <= REDUCE_MIN && count >= 1 && inner >= 1 && rows >= 1 && rows % inner == 0 &&
           (ldy == 1 || fnn_padded(n) <= ldy) &&
           fnn_fits(fnn_floats_of(in, &places[0]), fnn_times(rows, count), n, ldx) &&
           fnn_times(rows, ldy) <= fnn_floats_of(in, &places[1]) && places[1].writable;
}

#define fnn_op_reduce_columns \
    {"reduce_columns", "x y", "n ldx ldy per kind fixed", "", reduce_columns, reduce_columns_check}
#define fnn_op_reduce_rows \
    {"reduce_rows", "x y", "n ldx ldy inner count kind fixed", "", reduce_rows, reduce_rows_check}
#define fnn_op_batch_size {"batch_size", "y", "", "", batch_size}
