/* Elementary functions on vectors, from nothing but the vocabulary of simd.h, so each is written once.
 *
 * Largest error against float64 in ulp, with / without fused multiply-add; tests/engine/test_simd_math.py holds them to
 * it over the whole float range. NaN gives NaN, infinities the limit, and denormal arguments may count as 0.
 *   vf_exp           1 / 1.5  overflow gives infinity; results below 2^-125 give 0
 *   vf_expm1         2 / 2    of the result, near 0 too
 *   vf_log           1 / 1    0 and denormals give -infinity, negative numbers NaN
 *   vf_log1p_unit    2 / 2    for 0 <= x <= 1 only
 *   vf_tanh          3 / 3    of the result, near 0 too
 *   vf_sigmoid       3 / 3    results below 2^-126 may give 0
 *   vf_normal_cdf    8 / 8    for x > -1; 80 in the lower tail, where rounding x^2 costs up to 2^-24 x^2
 *   vf_log1p         3 / 3    near 0 too; -1 gives -infinity, less NaN
 *   vf_erf           2 / 2    near 0 too
 *   vf_sin, vf_cos   2 / 2    or 2^-24, whichever is more; beyond 8192 one lane after the other by the C library
 *   vf_atan          3 / 3
 *   vf_floor, vf_nearest   exact; ties to even
 *   vf_pow           2 + 2 |y log x|, negative x to whole y too: what the rounding of y log x costs
 *   vf_pow_positive  3 + 2 |y log x|, for normal x > 0 and results from 2^-125 to 2^127: up to VF_ABREAST vectors at a
 *                  time, each with half of vf_pow's instructions
 *
 * exp: Cody and Waite (1980): x = k ln2 + r, |r| <= ln2 / 2, and a minimax polynomial for r. log: the same backwards.
 * The coefficients were fitted for least relative error with each one rounded to float32 before fitting the next.
 */
#ifndef FNN_SIMD_MATH_H
#define FNN_SIMD_MATH_H

#include "simd.h"

enum { VF_ABREAST = 4 };

static inline vf vf_lane_numbers(void) { /* 0, 1, 2, ... */
    static const float lane[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    return vf_load(lane);
}

/* Lanes of the vector at column j that lie inside a row of n columns; the others are padding. */
static inline vm vf_inside(int64_t j, int64_t n) { return vf_lt(vf_lane_numbers(), vf_set((float)(n - j))); }

/* x = k ln2 + r; returns r and sets *half to 2^(k-1). Adding 1.5 * 2^23 leaves the nearest integer in the low bits;
 * adding 126 on top makes them the biased exponent of 2^(k-1), which unlike 2^k is finite for every finite exp(x). */
static inline vf vf_exp_reduce(vf x, vf *half) {
    vf magic = vf_set(12582912.0f + 126.0f);
    vf t = vf_fma(x, vf_set(1.44269504f), magic);
    vf k = vf_sub(t, magic);
    *half = vf_bits(vi_shl(vi_bits(t), 23));
    return vf_fnma(k, vf_set(-2.12194440e-4f), vf_fnma(k, vf_set(0.693359375f), x)); /* k * 0.69.. is exact */
}

/* scale * (exp(r) - 1 - r) / r^2 for |r| <= ln2 / 2 */
static inline vf vf_exp_polynomial(vf r, float scale) {
    vf q = vf_set(scale * 0.0013870716f);
    q = vf_fma(q, r, vf_set(scale * 0.008366273f));
    q = vf_fma(q, r, vf_set(scale * 0.041667435f));
    q = vf_fma(q, r, vf_set(scale * 0.16666546f));
    return vf_fma(q, r, vf_set(scale * 0.49999997f));
}

static inline vf vf_exp(vf x) {
    vf half, r = vf_exp_reduce(vf_min(vf_set(89.0f), vf_max(vf_set(-87.0f), x)), &half);
    vf q = vf_exp_polynomial(r, 2.0f);
    return vf_mul(half, vf_fma(vf_fma(q, r, vf_set(2.0f)), r, vf_set(2.0f)));
}

static inline vf vf_expm1(vf x) {
    vf half, r = vf_exp_reduce(vf_min(vf_set(89.0f), vf_max(vf_set(-30.0f), x)), &half);
    vf e = vf_fma(vf_mul(r, r), vf_exp_polynomial(r, 1.0f), r);
    vf y = vf_fma(half, e, vf_sub(half, vf_set(0.5f)));
    return vf_add(y, y);
}

static inline vf vf_log(vf x) {
    const int32_t sqrt_half = 0x3f3504f3; /* the mantissa m goes from sqrt(1/2) to sqrt(2): x = m 2^k */
    vi i = vi_sub(vi_bits(vf_abs(x)), vi_set(sqrt_half));
    vf k = vf_of(vi_shr(i, 23));
    vf f = vf_sub(vf_bits(vi_add(vi_and(i, vi_set(0x7fffff)), vi_set(sqrt_half))), vf_set(1.0f));
    vf q = vf_set(-0.07636437f);
    q = vf_fma(q, f, vf_set(0.1276222f));
    q = vf_fma(q, f, vf_set(-0.13159612f));
    q = vf_fma(q, f, vf_set(0.1420158f));
    q = vf_fma(q, f, vf_set(-0.16623409f));
    q = vf_fma(q, f, vf_set(0.20001242f));
    q = vf_fma(q, f, vf_set(-0.2500082f));
    q = vf_fma(q, f, vf_set(0.3333333f));
    vf ff = vf_mul(f, f);
    vf low = vf_fma(k, vf_set(-2.12194440e-4f), vf_mul(vf_mul(q, f), ff));
    vf y = vf_fma(k, vf_set(0.693359375f), vf_add(f, vf_fnma(ff, vf_set(0.5f), low)));
    y = vf_select(vf_lt(x, vf_set(INFINITY)), y, x);
    vf below = vf_select(vf_lt(x, vf_zero()), vf_set(NAN), vf_set(-INFINITY));
    return vf_select(vf_lt(x, vf_set(1.17549435e-38f)), below, y);
}

/* log(1 + x) for x in [0, 1]: what softplus and cross-entropy from logits need. */
static inline vf vf_log1p_unit(vf x) {
    vf q = vf_set(-0.0032908914f);
    q = vf_fma(q, x, vf_set(0.02008786f));
    q = vf_fma(q, x, vf_set(-0.057459723f));
    q = vf_fma(q, x, vf_set(0.10661325f));
    q = vf_fma(q, x, vf_set(-0.15344964f));
    q = vf_fma(q, x, vf_set(0.1969212f));
    q = vf_fma(q, x, vf_set(-0.2495802f));
    q = vf_fma(q, x, vf_set(0.33330464f));
    q = vf_fma(q, x, vf_set(-0.4999993f));
    return vf_mul(vf_fma(q, x, vf_set(1.0f)), x);
}

static inline vf vf_copysign(vf magnitude, vf sign) { /* magnitude >= 0, so that the bits do not overlap */
    return vf_bits(vi_add(vi_bits(magnitude), vi_and(vi_bits(sign), vi_set((int32_t)0x80000000))));
}

static inline vf vf_tanh(vf x) {
    vf e = vf_expm1(vf_mul(vf_abs(x), vf_set(-2.0f)));
    return vf_copysign(vf_div(vf_abs(e), vf_add(e, vf_set(2.0f))), x);
}

static inline vf vf_sigmoid(vf x) { return vf_div(vf_set(1.0f), vf_add(vf_set(1.0f), vf_exp(vf_neg(x)))); }

/* The standard normal distribution's cdf at x; *bell = exp(-x^2 / 2). For |x| the upper tail is the bell times a smooth
 * function (Mills' ratio), fitted as a polynomial in 1 / (1 + 0.26 |x|): no cancellation in the lower tail. */
static inline vf vf_normal_cdf(vf x, vf *bell) {
    vf t = vf_div(vf_set(1.0f), vf_fma(vf_abs(x), vf_set(0.26f), vf_set(1.0f)));
    vf q = vf_set(0.030783277f);
    q = vf_fma(q, t, vf_set(-0.15418784f));
    q = vf_fma(q, t, vf_set(0.25431493f));
    q = vf_fma(q, t, vf_set(-0.15420312f));
    q = vf_fma(q, t, vf_set(0.16321813f));
    q = vf_fma(q, t, vf_set(0.050047964f));
    q = vf_fma(q, t, vf_set(0.10328515f));
    q = vf_fma(q, t, vf_set(0.10298025f));
    q = vf_fma(q, t, vf_set(0.103761256f));
    *bell = vf_exp(vf_mul(vf_mul(x, x), vf_set(-0.5f)));
    vf tail = vf_mul(vf_mul(q, t), *bell);
    return vf_select(vf_lt(x, vf_zero()), tail, vf_sub(vf_set(1.0f), tail));
}

/* log(1 + x) for any x: the logarithm of the rounded sum, times what the rounding of the sum has changed. */
static inline vf vf_log1p(vf x) {
    vf u = vf_add(vf_set(1.0f), x), d = vf_sub(u, vf_set(1.0f));
    vf y = vf_mul(vf_log(u), vf_div(x, vf_select(vf_eq(d, vf_zero()), vf_set(1.0f), d)));
    y = vf_select(vf_eq(d, vf_zero()), x, y);
    return vf_select(vf_lt(x, vf_set(INFINITY)), y, vf_log(x)); /* infinity, NaN */
}

/* 2 / sqrt(pi) integral of exp(-t^2) from 0 to x: a polynomial up to 1, then by the normal distribution's tail. */
static inline vf vf_erf(vf x) {
    vf t = vf_mul(x, x), bell;
    vf q = vf_set(-8.577988e-06f);
    q = vf_fma(q, t, vf_set(1.0858782e-04f));
    q = vf_fma(q, t, vf_set(-8.4232324e-04f));
    q = vf_fma(q, t, vf_set(5.216406e-03f));
    q = vf_fma(q, t, vf_set(-2.686355e-02f));
    q = vf_fma(q, t, vf_set(1.12837434e-01f));
    q = vf_fma(q, t, vf_set(-3.7612635e-01f));
    q = vf_fma(q, t, vf_set(1.2837917e-01f));
    vf magnitude = vf_abs(x);
    vf tail = vf_normal_cdf(vf_mul(vf_min(vf_set(6.0f), magnitude), vf_set(-1.41421356f)), &bell);
    vf outer = vf_copysign(vf_fnma(vf_set(2.0f), tail, vf_set(1.0f)), x);
    vf y = vf_select(vf_lt(vf_set(1.0f), magnitude), outer, vf_fma(q, x, x));
    return vf_select(vf_eq(x, x), y, x);
}

/* Floats from 2^23 on are whole; smaller ones go through integers. */
static inline vf vf_floor(vf x) {
    vm small = vf_lt(vf_abs(x), vf_set(8388608.0f));
    vf t = vf_of(vi_of(vf_select(small, x, vf_zero())));
    t = vf_sub(t, vf_select(vf_lt(x, t), vf_set(1.0f), vf_zero()));
    return vf_select(small, t, x);
}

static inline vf vf_nearest(vf x) { /* ties to even */
    vf t = vf_floor(x), d = vf_sub(x, t), half = vf_set(0.5f), one = vf_set(1.0f);
    vf odd = vf_sub(t, vf_mul(vf_set(2.0f), vf_floor(vf_mul(t, half))));
    vf up = vf_select(vf_lt(half, d), one, vf_select(vf_eq(d, half), odd, vf_zero()));
    return vf_select(vf_lt(vf_abs(x), vf_set(8388608.0f)), vf_add(t, up), x);
}

/* sin(x + quarter pi / 2): Cody and Waite's reduction to |r| <= pi / 4 with a pi / 2 of three parts, whose products
 * with k < 2^13 are exact. */
static inline vf vf_sin_of(vf x, int32_t quarter) {
    vf k = vf_nearest(vf_mul(x, vf_set(0.636619772f)));
    vf r = vf_fnma(k, vf_set(1.5703125f), x);
    r = vf_fnma(k, vf_set(4.837512969970703125e-4f), r);
    r = vf_fnma(k, vf_set(7.54978995489188e-8f), r);
    vf t = vf_mul(r, r);
    vf s = vf_fma(vf_fma(vf_fma(vf_set(2.8036643e-06f), t, vf_set(-1.985026e-04f)), t, vf_set(8.333373e-03f)), t,
                  vf_set(-1.6666667e-01f));
    s = vf_fma(vf_mul(s, t), r, r);
    vf c = vf_fma(vf_fma(vf_set(2.4432025e-05f), t, vf_set(-1.3887308e-03f)), t, vf_set(4.1666646e-02f));
    c = vf_fma(vf_mul(c, t), t, vf_fnma(vf_set(0.5f), t, vf_set(1.0f)));
    vm small = vf_lt(vf_abs(x), vf_set(8192.0f));
    vi quadrant = vi_add(vi_of(vf_select(small, k, vf_zero())), vi_set(quarter));
    vf y = vf_select(vf_eq(vf_of(vi_and(quadrant, vi_set(1))), vf_zero()), s, c);
    y = vf_select(vf_eq(vf_of(vi_and(quadrant, vi_set(2))), vf_zero()), y, vf_neg(y));
    if (vf_sum(vf_select(small, vf_zero(), vf_set(1.0f))) == 0.0f) return y;
    float lane[VF], in[VF];
    vf_store(lane, y);
    vf_store(in, x);
    for (int i = 0; i < VF; i++)
        if (!(fabsf(in[i]) < 8192.0f)) lane[i] = quarter ? cosf(in[i]) : sinf(in[i]);
    return vf_load(lane);
}

static inline vf vf_sin(vf x) { return vf_sin_of(x, 0); }
static inline vf vf_cos(vf x) { return vf_sin_of(x, 1); }

/* To [-tan(pi / 8), tan(pi / 8)] by atan(x) = pi / 2 - atan(1 / x) and atan(x) = pi / 4 + atan((x - 1) / (x + 1)). */
static inline vf vf_atan(vf x) {
    vf a = vf_abs(x), one = vf_set(1.0f);
    vm large = vf_lt(vf_set(2.41421356f), a), middle = vf_lt(vf_set(0.41421356f), a);
    vf r = vf_select(large, vf_div(vf_set(-1.0f), vf_max(one, a)),
                     vf_select(middle, vf_div(vf_sub(a, one), vf_add(a, one)), a));
    vf base = vf_select(large, vf_set(1.57079633f), vf_select(middle, vf_set(0.785398163f), vf_zero()));
    vf t = vf_mul(r, r), q = vf_set(-6.047929e-02f);
    q = vf_fma(q, t, vf_set(1.0581728e-01f));
    q = vf_fma(q, t, vf_set(-1.4241855e-01f));
    q = vf_fma(q, t, vf_set(1.9998378e-01f));
    q = vf_fma(q, t, vf_set(-3.3333313e-01f));
    vf y = vf_copysign(vf_add(base, vf_fma(vf_mul(q, t), r, r)), x);
    return vf_select(vf_eq(x, x), y, x);
}

/* x to the power of y, with the special values of C's pow. */
static inline vf vf_pow(vf x, vf y) {
    vf one = vf_set(1.0f), zero = vf_zero(), a = vf_abs(x);
    vf r = vf_select(vf_eq(a, one), one, vf_exp(vf_mul(y, vf_log(a)))); /* (-1) ** inf is 1 */
    vf whole = vf_floor(y), half = vf_mul(whole, vf_set(0.5f));
    vf odd = vf_select(vf_eq(vf_floor(half), half), r, vf_neg(r));
    vf root = vf_select(vf_eq(a, zero), r, vf_select(vf_eq(a, vf_set(INFINITY)), r, vf_set(NAN)));
    r = vf_select(vf_lt(vf_copysign(one, x), zero), vf_select(vf_eq(whole, y), odd, root), r);
    r = vf_select(vf_eq(x, one), one, r);
    return vf_select(vf_eq(y, zero), one, r);
}

/* Raises x[0..n), n a constant: x^y = 2^t, t = y log2(x). log2(x) = k + log2(m) = k + 2 atanh(s) / ln2 with
 * s = (m - 1) / (m + 1), and 2^t = 2^whole 2^r. Each line for all n: no vector waits long for its line before. */
#define EACH for (int j = 0; j < n; j++)
FNN_INLINE void vf_pow_positive(vf *x, int n, vf y) {
    const int32_t sqrt_half = 0x3f3504f3;
    vf one = vf_set(1.0f), magic = vf_set(12582912.0f); /* see vf_exp_reduce */
    vi i[VF_ABREAST];
    vf k[VF_ABREAST], m[VF_ABREAST], s[VF_ABREAST], ss[VF_ABREAST], q[VF_ABREAST];
    EACH i[j] = vi_sub(vi_bits(x[j]), vi_set(sqrt_half));
    EACH k[j] = vf_of(vi_shr(i[j], 23));
    EACH m[j] = vf_bits(vi_add(vi_and(i[j], vi_set(0x7fffff)), vi_set(sqrt_half)));
    EACH s[j] = vf_quotient(vf_sub(m[j], one), vf_add(m[j], one));
    EACH ss[j] = vf_mul(s[j], s[j]);
    EACH q[j] = vf_fma(vf_set(0.5988381f), ss[j], vf_set(0.9614765f));
    EACH q[j] = vf_fma(q[j], ss[j], vf_set(2.8853912f));
    vf t[VF_ABREAST], whole[VF_ABREAST], r[VF_ABREAST], e[VF_ABREAST];
    EACH t[j] = vf_mul(y, vf_fma(q[j], s[j], k[j]));
    EACH whole[j] = vf_add(t[j], magic);
    EACH r[j] = vf_sub(t[j], vf_sub(whole[j], magic));
    EACH e[j] = vf_fma(vf_set(0.0013269555f), r[j], vf_set(0.009671293f));
    EACH e[j] = vf_fma(e[j], r[j], vf_set(0.05550711f));
    EACH e[j] = vf_fma(e[j], r[j], vf_set(0.24022247f));
    EACH e[j] = vf_fma(e[j], r[j], vf_set(0.693147f));
    EACH e[j] = vf_fma(e[j], r[j], one);
    EACH x[j] = vf_bits(vi_add(vi_bits(e[j]), vi_shl(vi_bits(whole[j]), 23)));
}
#undef EACH

#endif
