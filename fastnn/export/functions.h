/* Functions of one value: the elementary ones, and activations. This and layers.h are what exported networks are made
 * of: `fastnn.export` copies the functions that a network needs into its file, with the network's own name for `net`;
 * comments that begin at a function's margin go with it. So each is C99 of its own, knows no type but float and
 * integers, calls nothing but its neighbours, and is named net_<something>.
 *
 * The elementary functions are those of csrc/simd_math.h, for one value: the same constants and the same operations in
 * the same order, so that a network answers with the same bits, and with the errors in ulp that are stated there.
 * Where C has choices (the order of comparisons, for what is not a number), they are those of the engine's vectors.
 */
#ifndef FASTNN_EXPORT_FUNCTIONS_H
#define FASTNN_EXPORT_FUNCTIONS_H

#include <math.h>
#include <stdint.h>

#define NET_FMA 1
/* a * b + c, rounded once or twice. */
static inline float net_fma(float a, float b, float c) {
#if !NET_FMA
    return a * b + c;
#elif defined(__GNUC__)
    return __builtin_fmaf(a, b, c);
#else
    return fmaf(a, b, c);
#endif
}

static inline uint32_t net_bits(float x) {
    union {
        float value;
        uint32_t bits;
    } both;
    both.value = x;
    return both.bits;
}

static inline float net_float(uint32_t bits) {
    union {
        float value;
        uint32_t bits;
    } both;
    both.bits = bits;
    return both.value;
}

static inline float net_abs(float x) { return net_float(net_bits(x) & 0x7fffffffu); }
static inline float net_nan(void) { return net_float(0x7fc00000u); }
static inline float net_infinity(void) { return net_float(0x7f800000u); }
static inline float net_max(float a, float b) { return a > b ? a : b; }
static inline float net_min(float a, float b) { return a < b ? a : b; }
static inline float net_copysign(float magnitude, float sign) {
    return net_float(net_bits(magnitude) | (net_bits(sign) & 0x80000000u));
}

/* x = k ln2 + r (Cody and Waite); *half is 2^(k-1) */
static inline float net_exp_reduce(float x, float *half) {
    const float magic = 12582912.0f + 126.0f;
    const float t = net_fma(x, 1.44269504f, magic), k = t - magic;
    *half = net_float(net_bits(t) << 23);
    return net_fma(-k, -2.12194440e-4f, net_fma(-k, 0.693359375f, x));
}

/* (exp(r) - 1 - r) / r^2 */
static inline float net_exp_polynomial(float r) {
    float q = 0.0013870716f;
    q = net_fma(q, r, 0.008366273f);
    q = net_fma(q, r, 0.041667435f);
    q = net_fma(q, r, 0.16666546f);
    return net_fma(q, r, 0.49999997f);
}

/* exp(x) for x <= 89, where one bound is enough: two become many instructions. 1 ulp with fused multiply-adds, 1.5
 * without; results below 2^-125 are 0. */
static inline float net_exp_below(float x) {
    float half, r = net_exp_reduce(net_max(-87.0f, x), &half), q = 2.0f * net_exp_polynomial(r);
    return half * net_fma(net_fma(q, r, 2.0f), r, 2.0f);
}

static inline float net_exp(float x) { return net_exp_below(net_min(89.0f, x)); }

/* exp(x) - 1 for x <= 89, 2 ulp */
static inline float net_expm1_below(float x) {
    float half, r = net_exp_reduce(net_max(-30.0f, x), &half);
    const float e = net_fma(r * r, net_exp_polynomial(r), r), y = net_fma(half, e, half - 0.5f);
    return y + y;
}

static inline float net_expm1(float x) { return net_expm1_below(net_min(89.0f, x)); }

/* 1 ulp */
static inline float net_log(float x) {
    const uint32_t sqrt_half = 0x3f3504f3u, i = net_bits(net_abs(x)) - sqrt_half;
    const float k = (float)((int32_t)((i + 0x80000000u) >> 23) - 256);
    const float f = net_float((i & 0x7fffffu) + sqrt_half) - 1.0f, ff = f * f;
    float q = -0.07636437f, low, y;
    q = net_fma(q, f, 0.1276222f);
    q = net_fma(q, f, -0.13159612f);
    q = net_fma(q, f, 0.1420158f);
    q = net_fma(q, f, -0.16623409f);
    q = net_fma(q, f, 0.20001242f);
    q = net_fma(q, f, -0.2500082f);
    q = net_fma(q, f, 0.3333333f);
    low = net_fma(k, -2.12194440e-4f, q * f * ff);
    y = net_fma(k, 0.693359375f, f + net_fma(-ff, 0.5f, low));
    if (!(x < net_infinity())) return x;
    if (x < 1.17549435e-38f) return x < 0.0f ? net_nan() : -net_infinity();
    return y;
}

/* log(1 + x) for 0 <= x <= 1, 2 ulp */
static inline float net_log1p_unit(float x) {
    float q = -0.0032908914f;
    q = net_fma(q, x, 0.02008786f);
    q = net_fma(q, x, -0.057459723f);
    q = net_fma(q, x, 0.10661325f);
    q = net_fma(q, x, -0.15344964f);
    q = net_fma(q, x, 0.1969212f);
    q = net_fma(q, x, -0.2495802f);
    q = net_fma(q, x, 0.33330464f);
    q = net_fma(q, x, -0.4999993f);
    return net_fma(q, x, 1.0f) * x;
}

/* log(1 + x): the logarithm of the rounded sum, times what its rounding has changed; 3 ulp */
static inline float net_log1p(float x) {
    const float u = 1.0f + x, d = u - 1.0f, y = net_log(u) * (x / (d == 0.0f ? 1.0f : d));
    if (!(x < net_infinity())) return net_log(x);
    return d == 0.0f ? x : y;
}

/* 3 ulp */
static inline float net_tanh(float x) {
    const float e = net_expm1_below(net_abs(x) * -2.0f);
    return net_copysign(net_abs(e) / (e + 2.0f), x);
}

/* 3 ulp */
static inline float net_sigmoid(float x) { return 1.0f / (1.0f + net_exp(-x)); }

static inline float net_softplus(float x) { return net_max(0.0f, x) + net_log1p_unit(net_exp_below(-net_abs(x))); }

/* The standard normal distribution: 8 ulp for x > -1, 80 below */
static inline float net_normal_cdf(float x) {
    const float t = 1.0f / net_fma(net_abs(x), 0.26f, 1.0f);
    float q = 0.030783277f, tail;
    q = net_fma(q, t, -0.15418784f);
    q = net_fma(q, t, 0.25431493f);
    q = net_fma(q, t, -0.15420312f);
    q = net_fma(q, t, 0.16321813f);
    q = net_fma(q, t, 0.050047964f);
    q = net_fma(q, t, 0.10328515f);
    q = net_fma(q, t, 0.10298025f);
    q = net_fma(q, t, 0.103761256f);
    tail = q * t * net_exp_below(x * x * -0.5f);
    return x < 0.0f ? tail : 1.0f - tail;
}

/* 2 ulp */
static inline float net_erf(float x) {
    const float t = x * x, magnitude = net_abs(x);
    float q = -8.577988e-06f;
    q = net_fma(q, t, 1.0858782e-04f);
    q = net_fma(q, t, -8.4232324e-04f);
    q = net_fma(q, t, 5.216406e-03f);
    q = net_fma(q, t, -2.686355e-02f);
    q = net_fma(q, t, 1.12837434e-01f);
    q = net_fma(q, t, -3.7612635e-01f);
    q = net_fma(q, t, 1.2837917e-01f);
    if (x != x) return x;
    if (!(1.0f < magnitude)) return net_fma(q, x, x);
    return net_copysign(net_fma(-2.0f, net_normal_cdf(net_min(6.0f, magnitude) * -1.41421356f), 1.0f), x);
}

static inline float net_floor(float x) {
    float t;
    if (!(net_abs(x) < 8388608.0f)) return x; /* whole already */
    t = (float)(int32_t)x;
    return t - (x < t ? 1.0f : 0.0f);
}

/* ties to even */
static inline float net_round(float x) {
    const float t = net_floor(x), d = x - t, odd = t - 2.0f * net_floor(t * 0.5f);
    if (!(net_abs(x) < 8388608.0f)) return x;
    return t + (0.5f < d ? 1.0f : d == 0.5f ? odd : 0.0f);
}

/* sin(x + quarter pi / 2), 2 ulp or 2^-24; beyond 8192, where the reduction would cost more, not a number */
static inline float net_sin_of(float x, int32_t quarter) {
    const float k = net_round(x * 0.636619772f);
    float r = net_fma(-k, 1.5703125f, x), t, y;
    int32_t quadrant;
    if (!(net_abs(x) < 8192.0f)) return net_nan();
    r = net_fma(-k, 4.837512969970703125e-4f, r);
    r = net_fma(-k, 7.54978995489188e-8f, r);
    t = r * r;
    quadrant = (int32_t)k + quarter;
    if (quadrant % 2 == 0) {
        y = net_fma(net_fma(net_fma(2.8036643e-06f, t, -1.985026e-04f), t, 8.333373e-03f), t, -1.6666667e-01f);
        y = net_fma(y * t, r, r);
    } else {
        y = net_fma(net_fma(2.4432025e-05f, t, -1.3887308e-03f), t, 4.1666646e-02f);
        y = net_fma(y * t, t, net_fma(-0.5f, t, 1.0f));
    }
    return ((uint32_t)quadrant & 2u) == 0u ? y : -y;
}

static inline float net_sin(float x) { return net_sin_of(x, 0); }
static inline float net_cos(float x) { return net_sin_of(x, 1); }

/* 3 ulp */
static inline float net_arctan(float x) {
    const float a = net_abs(x);
    const int large = 2.41421356f < a, middle = 0.41421356f < a;
    const float r = large ? -1.0f / a : middle ? (a - 1.0f) / (a + 1.0f) : a, t = r * r;
    float q = -6.047929e-02f;
    q = net_fma(q, t, 1.0581728e-01f);
    q = net_fma(q, t, -1.4241855e-01f);
    q = net_fma(q, t, 1.9998378e-01f);
    q = net_fma(q, t, -3.3333313e-01f);
    if (x != x) return x;
    return net_copysign((large ? 1.57079633f : middle ? 0.785398163f : 0.0f) + net_fma(q * t, r, r), x);
}

/* 2 + 2 |y log x| ulp: what the rounding of y log x costs */
static inline float net_power(float x, float y) {
    const float r = net_exp(y * net_log(net_abs(x))), whole = net_floor(y), half = whole * 0.5f;
    if (y == 0.0f || x == 1.0f) return 1.0f;
    if (!(x < 0.0f)) return r;
    if (whole != y) return net_nan();
    return net_floor(half) == half ? r : -r;
}

/* Rounded correctly, bit by bit: neither the C library nor an instruction is needed. */
static inline float net_sqrt(float x) {
    const uint32_t bits = net_bits(x), odd = (bits >> 23) & 1u;
    uint64_t square;
    uint32_t root = 0u, bit;
    if (!(x > 0.0f)) return x == 0.0f ? x : net_nan();
    if (!(x < net_infinity())) return x;
    if (x < 1.17549435e-38f) return 0.0f;
    square = (uint64_t)((bits & 0x7fffffu) | 0x800000u) << (26u - odd);
    for (bit = 1u << 24; bit; bit >>= 1)
        if ((uint64_t)(root + bit) * (root + bit) <= square) root += bit;
    return net_float((((bits >> 23) + 127u) >> 1 << 23) + ((root + 1u) >> 1) - 0x800000u);
}

static inline float net_sign(float x) {
    if (x != x) return x;
    return 0.0f < x ? 1.0f : x < 0.0f ? -1.0f : 0.0f;
}

/* If either is not a number, that. */
static inline float net_maximum(float a, float b) { return a == a ? net_max(a, b) : a; }
static inline float net_minimum(float a, float b) { return a == a ? net_min(a, b) : a; }

/* Activations */

static inline float net_relu(float x) { return 0.0f > x ? 0.0f : x; }
static inline float net_leaky_relu(float x, float alpha) { return 0.0f < x ? x : alpha * x; }
static inline float net_elu(float x, float alpha) { return 0.0f < x ? x : alpha * net_expm1_below(x); }
static inline float net_selu(float x) {
    return 0.0f < x ? 1.0507009873554805f * x : (1.0507009873554805f * 1.6732632423543772f) * net_expm1_below(x);
}
static inline float net_silu(float x) {
    x = net_max(-88.5f, x);
    return x * (1.0f / (1.0f + net_exp_below(-x)));
}
static inline float net_gelu(float x) {
    x = net_max(-14.0f, x);
    return x * net_normal_cdf(x);
}
static inline float net_gelu_tanh(float x) {
    const float t = net_min(10.0f, net_max(-10.05f, x));
    const float s = 1.0f / (1.0f + net_exp_below(-(t * net_fma(t * t, 0.07135481627260025f, 1.5957691216057308f))));
    return net_max(-10.05f, x) * s;
}
static inline float net_mish(float x) {
    const float e = net_exp_below(net_min(20.0f, x)), m = e * (e + 2.0f);
    return net_max(-87.0f, x) * (m * (1.0f / (m + 2.0f)));
}
static inline float net_prelu(float x, float alpha) { return x < 0.0f ? alpha * x : x == 0.0f ? 0.0f : x; }

#endif
