/* The dense layer of a frozen network: constant weights, packed once for all instruction sets (fastnn/freeze/pack.py).
 *
 *   packed_dense:  y[rows][n] = act(x[rows][k] . w + bias)
 *
 * x and y need no padding: exactly k floats of a row are read and exactly n written, at any alignment.
 *
 * w lies in blocks of 16 columns, zero past n and past k, by precision:
 *   0 float32  [n/16][k][16]
 *   1 float16  [n/16][k][16], converted to float32 where it is used
 *   2 int8     [n/16][k/2][16][2]: two values of k side by side, whose products with integers of 16 bits are summed up
 *
 * Same bits. float32 and float16: one chain of fused multiply-adds in ascending k, starting from the bias. int8: a row of
 * x becomes integers, rint(x * limit / r), r being its largest magnitude or `range` if that is not 0; the sum of their
 * products is exact, and y = sum * ((r / limit) * scale) + bias is rounded after each of its steps. Rows with infinities
 * or NaN give NaN. Nothing depends on the instruction set, on the batch or on threads.
 */

static inline float half_value(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, rest = (uint32_t)(half & 0x7fff) << 13;
    float value;
    if (rest < 0x0800000) { /* zero and subnormal numbers: multiples of 2^-24 */
        value = (float)(half & 0x7fff) * 0x1p-24f;
        return sign ? -value : value;
    }
    rest = rest + (112u << 23) + (rest >= 0x0f800000 ? 112u << 23 : 0) + sign;
    memcpy(&value, &rest, sizeof value);
    return value;
}

/* Integers of a row, and what a sum of their products is to be multiplied with. */
static float quantize_row(const float *x, int64_t k, int64_t limit, float range, int16_t *integers) {
    float largest = 0, bad = 0, top = (float)limit;
    for (int64_t i = 0; i < k; i++) {
        float a = fabsf(x[i]);
        largest = a > largest ? a : largest;
        bad += a * 0.0f;
    }
    if (range > 0) largest = range;
    float inverse = top / largest;
    if (!(inverse <= FLT_MAX) || bad != 0) inverse = 0; /* a row of zeros, or nearly */
    for (int64_t i = 0; i < k; i++) {
        float v = inverse == 0 ? 0 : x[i] * inverse;
        v = v > top ? top : v < -top ? -top : v;
        integers[i] = (int16_t)rintf(v);
    }
    return bad != 0 ? NAN : largest / top;
}

static float packed_value(const fnn_instr *in, const float *x, const int16_t *integers, float step, int64_t j) {
    const void *w = in->p[1];
    const float *bias = in->p[2], *scale = in->p[3];
    int64_t k = in->d[0], block = j / 16, lane = j % 16;
    float start = bias ? bias[j] : 0;
    if (in->d[5] == 2) {
        const int8_t *at = (const int8_t *)w + block * ((k + 1) / 2) * 32 + lane * 2;
        int32_t sum = 0;
        for (int64_t i = 0; i < k; i++) sum += integers[i] * at[i / 2 * 32 + i % 2];
        float factor = step * scale[j], product = (float)sum * factor;
        return product + start;
    }
    for (int64_t i = 0; i < k; i++) {
        int64_t at = (block * k + i) * 16 + lane;
        float weight = in->d[5] == 1 ? half_value(((const uint16_t *)w)[at]) : ((const float *)w)[at];
        start = FNN_FMA ? fmaf(x[i], weight, start) : x[i] * weight + start;
    }
    return start;
}

static void packed_dense(const fnn_instr *in, const fnn_run *run) {
    const float *x = in->p[0];
    float *y = in->p[4], step = 0;
    int16_t *integers = (int16_t *)run->scratch;
    int64_t k = in->d[0], n = in->d[1], ldx = in->d[2], ldy = in->d[3], begin, end;
    fnn_split(run->samples * in->rows_per_sample, 1, run->thread, run->threads, &begin, &end);
    for (int64_t r = begin; r < end; r++) {
        if (in->d[5] == 2) step = quantize_row(x + r * ldx, k, in->d[6], in->s[1], integers);
        for (int64_t j = 0; j < n; j++) {
            float value[16] = {packed_value(in, x + r * ldx, integers, step, j)};
            act_forward_block((int)in->d[4], in->s[0], value, 16, value, 16, NULL, 1, 16);
            y[r * ldy + j] = value[0];
        }
    }
}

/* With int8 no sum may leave 32 bits, as quantize.py sees to. */
static int packed_sums_check(const int8_t *w, int64_t k, int64_t n, int64_t limit) {
    for (int64_t j = 0; j < fnn_padded(n); j++) {
        int64_t sum = 0, pairs = (k + 1) / 2;
        const int8_t *at = w + j / 16 * pairs * 32 + j % 16 * 2;
        for (int64_t i = 0; i < 2 * pairs; i++) {
            int64_t weight = at[i / 2 * 32 + i % 2];
            sum += weight < 0 ? -weight : weight;
        }
        if (fnn_times(sum, limit) > INT32_MAX) return 0;
    }
    return 1;
}

static int packed_dense_check(const fnn_instr *in, const fnn_place *places, int64_t *scratch) {
    enum { X, W, BIAS, SCALE, Y };
    int64_t k = in->d[0], n = in->d[1], ldx = in->d[2], ldy = in->d[3], precision = in->d[5], limit = in->d[6];
    int64_t rows = in->rows_per_sample, values = fnn_times(precision == 2 ? k + k % 2 : k, fnn_padded(n));
    if (k < 1 || n < 1 || ldx < k || ldy < n || rows < 1 || precision > 2 || in->d[4] > ACT_MISH) return 0;
    if (fnn_times(rows, ldx) > places[X].per_sample || fnn_times(rows, ldy) > places[Y].per_sample) return 0;
    if (!places[Y].writable || !places[W].data || values > fnn_times(places[W].fixed, (int64_t)1 << precision))
        return 0;
    if (!fnn_vector_or_none(&places[BIAS], n) || !fnn_vector_or_none(&places[SCALE], n)) return 0;
    if (precision < 2) return fnn_absent(&places[SCALE]);
    if (k > 2 * FNN_SCRATCH_FLOATS - 64) return 0;
    *scratch += FNN_SCRATCH_FLOATS;
    return !fnn_absent(&places[SCALE]) && limit >= 1 && limit <= INT16_MAX &&
           packed_sums_check(places[W].data, k, n, limit);
}

#define fnn_op_packed_dense \
    {"packed_dense", "x w bias? scale? y", "k n ldx ldy act precision limit", "alpha range", packed_dense, packed_dense_check}
