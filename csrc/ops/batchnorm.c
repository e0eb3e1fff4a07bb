/* Batch normalisation (Ioffe & Szegedy, ICML 2015) over the rows, feature by feature, as Keras 3 does it.
 *
 *   batchnorm_train:     mean[n] and (population) variance[n] of x[rows][n]
 *                        inv_std[n] = 1 / sqrt(variance + epsilon)
 *                        y[rows][n] = (x - mean) * inv_std * gamma + beta
 *                        moving[n] = moving * momentum + statistic * (1 - momentum)
 *                        and xhat[rows][n] = (x - mean) * inv_std, with y's row stride, where it is wanted
 *   batchnorm_infer:     the same y, mean and inv_std from moving_mean and moving_variance
 *   batchnorm_backward:  dbeta[n] = sum of dy, dgamma[n] = sum of dy * xhat over the rows, xhat = (x - mean) * inv_std
 *                        dx[rows][n] = gamma * inv_std * (dy - dbeta / rows - xhat * dgamma / rows), or, where the
 *                        statistics were constants (batch_statistics 0), gamma * inv_std * dy
 *                        and, if act is not linear, dx *= act'(x), x being what that activation saved
 *
 * gamma NULL is 1 and beta NULL is 0; y may be x, dx may be dy. The work goes strip by strip: a few columns of all
 * rows, which stay in the first-level cache while they are read two or three times. Threads share out columns, never a
 * sum, and a column is summed in the same order whichever strip it lies in. In the padding, statistics and gradients
 * are zero.
 */
#include <float.h>

/* The widest strip; the last of an odd number of 16 columns is half as wide. Eight sums at once hide the latency of
 * addition: SUMS of each column if there is one kind of them, half as many if there are two kinds. */
enum { STRIP_VECTORS = VF == 16 ? 2 : 4, STRIP = STRIP_VECTORS * VF, SUMS = 8 / STRIP_VECTORS };

/* These functions are called with constants (vectors, fetch, NULL), so that what is not asked for disappears and the
 * sums live in registers: inlining them is the point. */
#define INLINE static inline __attribute__((always_inline))

/* A strip's rows are a page apart where rows are long, which no hardware prefetcher follows. Where the matrices cannot
 * all be in the second-level cache, `fetch` is 1, and each row asks for its part of the next strip. */
enum { FLOATS_WORTH_FETCHING = 1 << 17 };

INLINE void strip_fetch(int vectors, const float *row) {
    for (int v = 0; v < vectors * VF; v += FNN_ALIGN_FLOATS) __builtin_prefetch(row + vectors * VF + v, 0, 2);
}
INLINE void strip_fetch_to_write(int vectors, const float *row) {
    for (int v = 0; v < vectors * VF; v += FNN_ALIGN_FLOATS) __builtin_prefetch(row + vectors * VF + v, 1, 2);
}

INLINE void strip_add(int vectors, const float *a, const float *x, const float *mean, vf *s, vf *t) {
    for (int v = 0; v < vectors; v++) {
        vf d = mean ? vf_sub(vf_load(x + v * VF), vf_load(mean + v * VF)) : vf_zero();
        vf value = a ? vf_load(a + v * VF) : d;
        s[v] = vf_add(s[v], value);
        if (mean) t[v] = vf_fma(value, d, t[v]);
    }
}

/* first[j] = sum over rows of a, second[j] = sum over rows of a * (x - mean[j]); a NULL stands for x - mean, mean NULL
 * for no second sum. */
INLINE void strip_sums(int vectors, int fetch, const float *a, int64_t lda, const float *x, int64_t ldx, int64_t rows,
                       const float *mean, float *first, float *second) {
    const int sums = mean ? SUMS / 2 : SUMS;
    vf s[SUMS][STRIP_VECTORS], t[SUMS][STRIP_VECTORS];
    for (int k = 0; k < sums; k++)
        for (int v = 0; v < vectors; v++) s[k][v] = t[k][v] = vf_zero();
    int64_t r = 0;
    for (; r + sums <= rows; r += sums)
        for (int k = 0; k < sums; k++) {
            if (fetch) strip_fetch(vectors, x + (r + k) * ldx);
            if (fetch && a && mean) strip_fetch(vectors, a + (r + k) * lda);
            strip_add(vectors, a ? a + (r + k) * lda : NULL, x + (r + k) * ldx, mean, s[k], t[k]);
        }
    for (; r < rows; r++) strip_add(vectors, a ? a + r * lda : NULL, x + r * ldx, mean, s[0], t[0]);
    for (int v = 0; v < vectors; v++) {
        for (int k = sums / 2; k > 0; k /= 2)
            for (int i = 0; i < k; i++) {
                s[i][v] = vf_add(s[i][v], s[i + k][v]);
                t[i][v] = vf_add(t[i][v], t[i + k][v]);
            }
        vf_store(first + v * VF, s[0][v]);
        if (mean) vf_store(second + v * VF, t[0][v]);
    }
}

/* Calls `function` with the number of a strip's vectors and `fetch` as constants. */
#define FOR_STRIP(width, fetch, function, ...)                                                                         \
    do {                                                                                                               \
        if ((width) < STRIP) function(FNN_ALIGN_FLOATS / VF, 0, __VA_ARGS__); /* the last strip */                     \
        else if (fetch) function(STRIP_VECTORS, 1, __VA_ARGS__);                                                       \
        else function(STRIP_VECTORS, 0, __VA_ARGS__);                                                                  \
    } while (0)

/* The strip at column c of columns that end at `end`. */
static inline int64_t strip_width(int64_t c, int64_t end) {
    return end - c > FNN_ALIGN_FLOATS ? STRIP : FNN_ALIGN_FLOATS;
}

static inline void strip_clear(float *values, int64_t from, int64_t width) {
    for (int64_t j = from < 0 ? 0 : from; j < width; j++) values[j] = 0.0f;
}

/* mean and variance in two passes, corrected for the rounding of the first mean (Chan, Golub & LeVeque, The American
 * Statistician 37(3), 1983, eq. 1.7), so that a mean far from zero costs no accuracy. */
INLINE void strip_statistics(int vectors, int fetch, const float *x, int64_t ldx, int64_t rows, float *mean,
                             float *variance) {
    float first[STRIP];
    vf count = vf_set((float)rows);
    strip_sums(vectors, fetch, x, ldx, x, ldx, rows, NULL, first, NULL);
    for (int j = 0; j < vectors * VF; j += VF) vf_store(mean + j, vf_div(vf_load(first + j), count));
    strip_sums(vectors, 0, NULL, 0, x, ldx, rows, mean, first, variance);
    for (int j = 0; j < vectors * VF; j += VF) {
        vf error = vf_div(vf_load(first + j), count);
        vf_store(mean + j, vf_add(vf_load(mean + j), error));
        vf_store(variance + j, vf_max(vf_zero(), vf_fnma(error, error, vf_div(vf_load(variance + j), count))));
    }
}

INLINE void strip_normalise(int vectors, int fetch, const float *x, int64_t ldx, float *y, int64_t ldy, int64_t rows,
                            const float *mean, const float *scale, const float *beta) {
    vf m[STRIP_VECTORS], s[STRIP_VECTORS], b[STRIP_VECTORS];
    for (int v = 0; v < vectors; v++) {
        m[v] = vf_load(mean + v * VF);
        s[v] = vf_load(scale + v * VF);
        b[v] = beta ? vf_load(beta + v * VF) : vf_zero();
    }
    for (int64_t r = 0; r < rows; r++) {
        if (fetch) strip_fetch_to_write(vectors, y + r * ldy);
        for (int v = 0; v < vectors; v++)
            vf_store(y + r * ldy + v * VF, vf_fma(vf_sub(vf_load(x + r * ldx + v * VF), m[v]), s[v], b[v]));
    }
}

/* The same through xhat, which is kept: y = xhat * gamma + beta, xhat = (x - mean) * inv_std. */
INLINE void strip_normalise_and_keep(int vectors, int fetch, const float *x, int64_t ldx, float *xhat, float *y,
                                     int64_t ldy, int64_t rows, const float *mean, const float *inv_std,
                                     const float *gamma, const float *beta) {
    for (int64_t r = 0; r < rows; r++) {
        if (fetch) strip_fetch_to_write(vectors, xhat + r * ldy), strip_fetch_to_write(vectors, y + r * ldy);
        for (int v = 0; v < vectors * VF; v += VF) {
            vf h = vf_mul(vf_sub(vf_load(x + r * ldx + v), vf_load(mean + v)), vf_load(inv_std + v));
            vf_store(xhat + r * ldy + v, h);
            vf_store(y + r * ldy + v,
                     vf_fma(h, gamma ? vf_load(gamma + v) : vf_set(1.0f), beta ? vf_load(beta + v) : vf_zero()));
        }
    }
}

/* y (and xhat) of one strip, given mean and variance; leaves 1 / sqrt(variance + epsilon) in `variance`. */
static void strip_forward(int fetch, const float *x, int64_t ldx, float *xhat, float *y, int64_t ldy, int64_t rows,
                          int64_t width, int64_t used, const float *gamma, const float *beta, float epsilon,
                          float *mean, float *variance) {
    float scale[STRIP];
    for (int64_t j = 0; j < width; j += VF) { /* the bound keeps a constant feature finite without epsilon */
        vf v = vf_max(vf_set(FLT_MIN), vf_add(vf_load(variance + j), vf_set(epsilon)));
        vf_store(variance + j, vf_div(vf_set(1.0f), vf_sqrt(v)));
    }
    strip_clear(variance, used, width);
    if (xhat) {
        FOR_STRIP(width, fetch, strip_normalise_and_keep, x, ldx, xhat, y, ldy, rows, mean, variance, gamma, beta);
        return;
    }
    for (int64_t j = 0; j < width; j += VF)
        vf_store(scale + j, gamma ? vf_mul(vf_load(gamma + j), vf_load(variance + j)) : vf_load(variance + j));
    FOR_STRIP(width, fetch, strip_normalise, x, ldx, y, ldy, rows, mean, scale, beta);
}

static inline const float *at_column(const float *vector, int64_t c) { return vector ? vector + c : NULL; }

static inline void strip_copy(float *to, const float *from, int64_t width) {
    memcpy(to, from, sizeof(float) * (size_t)width);
}

static void batchnorm_train(const fnn_instr *in, const fnn_run *run) {
    const float *x = in->p[0], *gamma = in->p[1], *beta = in->p[2];
    float *moving[2] = {in->p[3], in->p[4]}, *saved_mean = in->p[5], *saved_inv_std = in->p[6], *y = in->p[7];
    float *xhat = in->p[8];
    int64_t n = in->d[0], ldx = in->d[1], ldy = in->d[2], rows = run->samples * in->rows_per_sample;
    vf momentum = vf_set(in->s[0]), gain = vf_set(1.0f - in->s[0]);
    int fetch = rows * n > FLOATS_WORTH_FETCHING;
    int64_t begin, end;
    fnn_split(n, FNN_ALIGN_FLOATS, run->thread, run->threads, &begin, &end);
    for (int64_t c = begin, width; c < end; c += width) {
        width = strip_width(c, end);
        float statistic[2][STRIP];
        FOR_STRIP(width, fetch, strip_statistics, x + c, ldx, rows, statistic[0], statistic[1]);
        for (int i = 0; i < 2; i++) {
            strip_clear(statistic[i], n - c, width);
            for (int64_t j = 0; j < width; j += VF) {
                vf kept = vf_mul(vf_load(moving[i] + c + j), momentum);
                vf_store(moving[i] + c + j, vf_fma(vf_load(statistic[i] + j), gain, kept));
            }
        }
        strip_forward(fetch, x + c, ldx, xhat ? xhat + c : NULL, y + c, ldy, rows, width, n - c, at_column(gamma, c),
                      at_column(beta, c), in->s[1], statistic[0], statistic[1]);
        strip_copy(saved_mean + c, statistic[0], width);
        strip_copy(saved_inv_std + c, statistic[1], width);
    }
}

static void batchnorm_infer(const fnn_instr *in, const fnn_run *run) {
    const float *x = in->p[0], *gamma = in->p[1], *beta = in->p[2];
    const float *moving_mean = in->p[3], *moving_variance = in->p[4];
    float *saved_mean = in->p[5], *saved_inv_std = in->p[6], *y = in->p[7];
    int64_t n = in->d[0], ldx = in->d[1], ldy = in->d[2], rows = run->samples * in->rows_per_sample;
    int fetch = rows * n > FLOATS_WORTH_FETCHING;
    int64_t begin, end;
    fnn_split(n, FNN_ALIGN_FLOATS, run->thread, run->threads, &begin, &end);
    for (int64_t c = begin, width; c < end; c += width) {
        width = strip_width(c, end);
        float mean[STRIP], inv_std[STRIP];
        strip_copy(mean, moving_mean + c, width);
        strip_copy(inv_std, moving_variance + c, width);
        strip_forward(fetch, x + c, ldx, NULL, y + c, ldy, rows, width, n - c, at_column(gamma, c), at_column(beta, c),
                      in->s[0], mean, inv_std);
        if (saved_mean) strip_copy(saved_mean + c, mean, width);
        if (saved_inv_std) strip_copy(saved_inv_std + c, inv_std, width);
    }
}

/* dx = (dy - offset - (x - mean) * slope) * scale */
INLINE void strip_gradient(int vectors, int fetch, const float *x, int64_t ldx, const float *dy, int64_t lddy,
                           float *dx, int64_t lddx, int64_t rows, const float *mean, const float *offset,
                           const float *slope, const float *scale) {
    for (int64_t r = 0; r < rows; r++) {
        if (fetch) strip_fetch_to_write(vectors, dx + r * lddx);
        for (int v = 0; v < vectors * VF; v += VF) {
            vf d = vf_sub(vf_load(x + r * ldx + v), vf_load(mean + v));
            vf centred = vf_sub(vf_load(dy + r * lddy + v), vf_load(offset + v));
            vf_store(dx + r * lddx + v, vf_mul(vf_fnma(d, vf_load(slope + v), centred), vf_load(scale + v)));
        }
    }
}

static void batchnorm_backward(const fnn_instr *in, const fnn_run *run) {
    enum { X, MEAN, INV_STD, GAMMA, DY, DX, DGAMMA, DBETA };
    enum { N, LDX, LDDY, LDDX, BATCH_STATISTICS, ACCUMULATE, ACT };
    const float *x = in->p[X], *mean = in->p[MEAN], *inv_std = in->p[INV_STD], *gamma = in->p[GAMMA], *dy = in->p[DY];
    float *dx = in->p[DX], *gradient[2] = {in->p[DBETA], in->p[DGAMMA]};
    int64_t n = in->d[N], ldx = in->d[LDX], lddy = in->d[LDDY], lddx = in->d[LDDX];
    int64_t rows = run->samples * in->rows_per_sample;
    int sums_needed = in->d[BATCH_STATISTICS] || gradient[0] || gradient[1];
    vf count = vf_set((float)rows);
    int fetch = rows * n > FLOATS_WORTH_FETCHING;
    int64_t begin, end;
    fnn_split(n, FNN_ALIGN_FLOATS, run->thread, run->threads, &begin, &end);
    for (int64_t c = begin, width; c < end; c += width) {
        width = strip_width(c, end);
        float sums[2][STRIP] = {{0}}, scale[STRIP], offset[STRIP] = {0}, slope[STRIP] = {0}; /* sums: dbeta, dgamma */
        if (sums_needed)
            FOR_STRIP(width, fetch, strip_sums, dy + c, lddy, x + c, ldx, rows, mean + c, sums[0], sums[1]);
        for (int64_t j = 0; j < width; j += VF)
            vf_store(sums[1] + j, vf_mul(vf_load(sums[1] + j), vf_load(inv_std + c + j)));
        for (int i = 0; i < 2; i++) {
            strip_clear(sums[i], n - c, width);
            if (!gradient[i]) continue;
            for (int64_t j = 0; j < width; j += VF) {
                vf before = in->d[ACCUMULATE] ? vf_load(gradient[i] + c + j) : vf_zero();
                vf_store(gradient[i] + c + j, vf_add(before, vf_load(sums[i] + j)));
            }
        }
        if (!dx) continue;
        for (int64_t j = 0; j < width; j += VF) {
            vf inverse = vf_load(inv_std + c + j);
            vf_store(scale + j, gamma ? vf_mul(vf_load(gamma + c + j), inverse) : inverse);
            if (!in->d[BATCH_STATISTICS]) continue;
            vf_store(offset + j, vf_div(vf_load(sums[0] + j), count));
            vf_store(slope + j, vf_mul(vf_div(vf_load(sums[1] + j), count), inverse));
        }
        FOR_STRIP(width, fetch, strip_gradient, x + c, ldx, dy + c, lddy, dx + c, lddx, rows, mean + c, offset, slope,
                  scale);
        if (in->d[ACT] == ACT_LINEAR) continue;
        act_backward_block((int)in->d[ACT], in->s[0], x + c, ldx, dx + c, lddx, dx + c, lddx, rows, width);
        for (int64_t r = 0; r < rows; r++) /* a derivative may overflow at what lies in the padding of x */
            strip_clear(dx + r * lddx + c, n - c, width);
    }
}

#define fnn_op_batchnorm_train                                                                                         \
    {"batchnorm_train", "x gamma? beta? moving_mean moving_variance mean inv_std y xhat?", "n ldx ldy",                \
     "momentum epsilon", batchnorm_train}
static int batchnorm_check(const fnn_instr *in, const fnn_place *places) {
    enum { X, GAMMA, BETA, MOVING_MEAN, MOVING_VARIANCE, MEAN, INV_STD, Y };
    int64_t n = in->d[0];
    return fnn_reads(in, &places[X], n, in->d[1]) && fnn_vector_or_none(&places[GAMMA], n) &&
           fnn_vector_or_none(&places[BETA], n) && fnn_padded(n) <= places[MOVING_MEAN].fixed &&
           fnn_padded(n) <= places[MOVING_VARIANCE].fixed && fnn_absent(&places[MEAN]) &&
           fnn_absent(&places[INV_STD]) && fnn_writes(in, &places[Y], n, in->d[2]);
}

#define fnn_op_batchnorm_infer                                                                                         \
    {"batchnorm_infer", "x gamma? beta? moving_mean moving_variance mean? inv_std? y", "n ldx ldy", "epsilon",         \
     batchnorm_infer, batchnorm_check}
#define fnn_op_batchnorm_backward                                                                                      \
    {"batchnorm_backward", "x mean inv_std gamma? dy dx? dgamma? dbeta?",                                              \
     "n ldx lddy lddx batch_statistics accumulate act", "alpha", batchnorm_backward}
