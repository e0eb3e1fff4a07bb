/* Layers of exported networks, from rows to rows; see functions.h. */
#ifndef FASTNN_EXPORT_LAYERS_H
#define FASTNN_EXPORT_LAYERS_H

#include "vectors.h"

/* y[rows][n] = act(x[rows][k] . w[k][n] + bias), act being relu or nothing. Each sum is one chain in ascending order of
 * k, from the bias (but with NET_LANES that of a lone output is several). In plain C the outputs are the inner loop,
 * which compilers vectorise; four inputs at a time, so that sums are loaded and stored less often. */
static NET_INLINE void net_dense(const float *restrict x, float *restrict y, int rows, int k, int n,
                                 const float *restrict w, const float *restrict bias, int relu) {
    int r;
    for (r = 0; r < rows; r++, x += k, y += n) {
#if NET_LANES
        net_dense_row(x, y, k, n, w, bias, relu);
#else
        const float *w0 = w;
        int i, j;
        for (j = 0; j < n; j++) y[j] = bias ? bias[j] : 0.0f;
        for (i = 0; i + 4 <= k; i += 4, w0 += 4 * n) {
            const float *w1 = w0 + n, *w2 = w1 + n, *w3 = w2 + n;
            const float x0 = x[i], x1 = x[i + 1], x2 = x[i + 2], x3 = x[i + 3];
            for (j = 0; j < n; j++) {
                const float two = net_fma(x1, w1[j], net_fma(x0, w0[j], y[j]));
                y[j] = net_fma(x3, w3[j], net_fma(x2, w2[j], two));
            }
        }
        for (i = k - k % 4; i < k; i++, w0 += n)
            for (j = 0; j < n; j++) y[j] = net_fma(x[i], w0[j], y[j]);
        if (relu)
            for (j = 0; j < n; j++) y[j] = net_relu(y[j]);
#endif
    }
}

/* A float16 as a float; exact. None is infinite or not a number. */
static inline float net_half(uint16_t half) {
    const uint32_t bits = half, magnitude = (bits & 0x7fffu) << 13;
    return net_float(((bits & 0x8000u) << 16) | net_bits(net_float(magnitude) * 5.192296858534828e33f));
}

/* The same with weights of float16. */
static void net_dense_float16(const float *restrict x, float *restrict y, int rows, int k, int n,
                              const uint16_t *restrict w, const float *restrict bias) {
    int r, i, j;
    for (r = 0; r < rows; r++, x += k, y += n) {
        const uint16_t *w0 = w;
        for (j = 0; j < n; j++) y[j] = bias ? bias[j] : 0.0f;
        for (i = 0; i + 4 <= k; i += 4, w0 += 4 * n) {
            const uint16_t *w1 = w0 + n, *w2 = w1 + n, *w3 = w2 + n;
            const float x0 = x[i], x1 = x[i + 1], x2 = x[i + 2], x3 = x[i + 3];
            for (j = 0; j < n; j++) {
                const float two = net_fma(x1, net_half(w1[j]), net_fma(x0, net_half(w0[j]), y[j]));
                y[j] = net_fma(x3, net_half(w3[j]), net_fma(x2, net_half(w2[j]), two));
            }
        }
        for (i = k - k % 4; i < k; i++, w0 += n)
            for (j = 0; j < n; j++) y[j] = net_fma(x[i], net_half(w0[j]), y[j]);
    }
}

/* Sums of q[k] times a row of w, for up to four rows: all at once, so that q is loaded once. */
static inline void net_products(const int16_t *restrict q, const int8_t *restrict w, int k, int rows,
                                int32_t *restrict sums) {
    int r, i;
    if (rows == 4) {
        const int8_t *w1 = w + k, *w2 = w1 + k, *w3 = w2 + k;
        int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
#ifdef __GNUC__
#pragma GCC unroll 1 /* compilers that know a small k write it out, and find no dot product in it any more */
#endif
        for (i = 0; i < k; i++) {
            const int32_t value = q[i];
            s0 += value * w[i];
            s1 += value * w1[i];
            s2 += value * w2[i];
            s3 += value * w3[i];
        }
        sums[0] = s0, sums[1] = s1, sums[2] = s2, sums[3] = s3;
        return;
    }
    for (r = 0; r < rows; r++, w += k) {
        sums[r] = 0;
        for (i = 0; i < k; i++) sums[r] += (int32_t)q[i] * w[i];
    }
}

/* The same with weights of 8 bits, w[n][k], and a row's values rounded to integers from -limit to limit: sums of
 * integers, exact. `range`: the magnitude that becomes the limit; 0: the largest of the row. A row that has an infinity
 * or what is not a number gives that. q is room for k integers. */
static void net_dense_int8(const float *x, float *y, int rows, int k, int n, const int8_t *w, const float *scale,
                           const float *bias, float limit, float range, int16_t *q) {
    int r, i, j;
    for (r = 0; r < rows; r++, x += k, y += n) {
        const int8_t *from = w;
        uint32_t largest = 0u;
        float to, step;
        for (i = 0; i < k; i++) {
            const uint32_t magnitude = net_bits(x[i]) & 0x7fffffffu;
            if (magnitude > largest) largest = magnitude;
        }
        if (largest >= 0x7f800000u) {
            for (j = 0; j < n; j++) y[j] = net_nan();
            continue;
        }
        step = range > 0.0f ? range : net_float(largest);
        to = limit / step;
        if (!(to < net_infinity())) to = 0.0f; /* nothing but zeros, or as good as that */
        step /= limit;
        for (i = 0; i < k; i++) {
            const float value = net_max(-limit, net_min(limit, x[i] * to));
            q[i] = (int16_t)((int32_t)net_bits(value + 12582912.0f) - 0x4b400000); /* the nearest, ties to even */
        }
        for (j = 0; j < n; j += 4, from += 4 * k) {
            const int outputs = n - j < 4 ? n - j : 4;
            int32_t sums[4];
            net_products(q, from, k, outputs, sums);
            for (i = j; i < j + outputs; i++) {
                const float value = (float)sums[i - j] * (step * scale[i]);
                y[i] = value + (bias ? bias[i] : 0.0f);
            }
        }
    }
}

/* y[rows][n] = exp(x - max x) / sum exp(x - max x); y may be x */
static void net_softmax(const float *x, float *y, int rows, int n) {
    int r, j;
    for (r = 0; r < rows; r++, x += n, y += n) {
        float best = -net_infinity(), sum = 0.0f;
        for (j = 0; j < n; j++)
            if (x[j] > best) best = x[j];
        for (j = 0; j < n; j++) y[j] = net_exp_below(x[j] - best);
        for (j = 0; j < n; j++) sum += y[j];
        sum = 1.0f / sum;
        for (j = 0; j < n; j++) y[j] *= sum;
    }
}

/* y[rows][n] = (x - m) / sqrt(s + epsilon) * gamma + beta: m is the mean if `subtract`, else 0; s the mean of
 * (x - mean)^2 if `centre`, else of x^2. With `unit`, x / sqrt(max(sum of x^2, epsilon)). y may be x. */
static void net_rownorm(const float *x, float *y, int rows, int n, const float *gamma, const float *beta, float epsilon,
                        int subtract, int centre, int unit) {
    int r, j;
    for (r = 0; r < rows; r++, x += n, y += n) {
        float mean = 0.0f, error = 0.0f, squares = 0.0f;
        if (centre) {
            for (j = 0; j < n; j++) mean += x[j];
            mean /= (float)n;
        }
        for (j = 0; j < n; j++) {
            const float d = x[j] - mean;
            error += d;
            squares = net_fma(d, d, squares);
        }
        error = centre ? error / (float)n : 0.0f; /* what rounding did to the mean */
        mean += error;
        if (unit) squares = squares < epsilon ? epsilon : squares;
        else {
            squares = squares / (float)n - error * error;
            squares = (squares > 0.0f || squares != squares ? squares : 0.0f) + epsilon;
        }
        squares = 1.0f / net_sqrt(squares);
        if (!subtract) mean = 0.0f;
        for (j = 0; j < n; j++) y[j] = net_fma((x[j] - mean) * squares, gamma ? gamma[j] : 1.0f, beta ? beta[j] : 0.0f);
    }
}

/* Over the middle axis of x[outer][count][inner], of numbers and of places: the first of equal ones */
static void net_sum(const float *x, float *y, int outer, int count, int inner) {
    int o, c, i;
    for (o = 0; o < outer; o++, x += count * inner, y += inner)
        for (i = 0; i < inner; i++) {
            float sum = x[i];
            for (c = 1; c < count; c++) sum += x[c * inner + i];
            y[i] = sum;
        }
}

/* The place of the maximum (sign 1) or minimum (sign -1); NaN is never one. */
static inline int net_place(const float *x, int count, int inner, float sign) {
    int c, at = 0;
    for (c = 1; c < count; c++) {
        const float best = x[at * inner], value = x[c * inner];
        if (best != best ? value == value : sign * value > sign * best) at = c;
    }
    return at;
}

static void net_argextreme(const float *x, float *y, int outer, int count, int inner, float sign) {
    int o, i;
    for (o = 0; o < outer; o++, x += count * inner, y += inner)
        for (i = 0; i < inner; i++) y[i] = (float)net_place(x + i, count, inner, sign);
}

/* NaN wherever there is one. */
static void net_extreme(const float *x, float *y, int outer, int count, int inner, float sign) {
    int o, c, i;
    for (o = 0; o < outer; o++, x += count * inner, y += inner)
        for (i = 0; i < inner; i++) {
            float best = x[i];
            for (c = 1; c < count; c++) {
                const float value = x[c * inner + i];
                if (best == best && (value != value || sign * value > sign * best)) best = value;
            }
            y[i] = best;
        }
}

/* y[g][m][n] = a[g][m][k] . b[g], which is [k][n], or [n][k] if turned, and b_step floats from the next one */
static void net_matmul(const float *a, const float *b, float *y, int groups, int m, int k, int n, int a_step,
                       int b_step, int turned) {
    int g, i, j, l;
    for (g = 0; g < groups; g++, a += a_step, b += b_step)
        for (i = 0; i < m; i++)
            for (j = 0; j < n; j++) {
                float sum = 0.0f;
                for (l = 0; l < k; l++) sum = net_fma(a[i * k + l], turned ? b[j * k + l] : b[l * n + j], sum);
                *y++ = sum;
            }
}

/* A whole number from 0 to limit - 1, or -1. */
static inline int net_id(float id, int limit) { return id >= 0.0f && id < (float)limit ? (int)id : -1; }

/* y[count][n] = rows of the table by number; not a number for one that is not there */
static void net_embedding(const float *ids, float *y, int count, int n, const float *table, int vocabulary) {
    int i, j;
    for (i = 0; i < count; i++, y += n) {
        const int id = net_id(ids[i], vocabulary);
        for (j = 0; j < n; j++) y[j] = id < 0 ? net_nan() : table[id * n + j];
    }
}

/* y[rows][n]: which numbers are there among `per` of them, or how many times */
static void net_category_encode(const float *ids, float *y, int rows, int per, int n, int counts) {
    int r, i;
    for (r = 0; r < rows; r++, y += n) {
        for (i = 0; i < n; i++) y[i] = 0.0f;
        for (i = 0; i < per; i++) {
            const int id = net_id(*ids++, n);
            if (id >= 0) y[id] = counts ? y[id] + 1.0f : 1.0f;
        }
    }
}

/* How many of the boundaries are <= x; all of them if x is not a number */
static inline float net_bin(float x, const float *boundaries, int count) {
    int i, bin = 0;
    for (i = 0; i < count; i++) bin += !(x < boundaries[i]);
    return (float)bin;
}

#endif
