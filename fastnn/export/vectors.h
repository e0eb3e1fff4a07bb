/* Dense layers in the processor's vectors of NET_LANES floats or fewer: one row of a layer whose sizes are constants.
 *
 * A vector is some neighbouring outputs, and stays in a register while all inputs pass: each of its lanes is the chain
 * that plain C would be. The last vector of a layer ends with its last output, even if the one before has some of those
 * outputs, too; it is stored first, so that whoever reads the others finds each in one piece. */
#if NET_LANES
#ifdef __aarch64__
#include <arm_neon.h>
#else
#include <immintrin.h>
#endif
/* From here on *p is known to be in memory alone: clang takes a vector apart whose values it knows to be in a register,
 * though a float that comes from memory into all lanes costs nothing. */
#ifdef __clang__
#define NET_SETTLED(p) __asm__ __volatile__("" : "+r"(p) : : "memory")
#define NET_UNROLL(times) _Pragma(NET_TEXT(clang loop unroll_count(times)))
#else
#define NET_SETTLED(p) (void)0
#define NET_UNROLL(times) _Pragma(NET_TEXT(GCC unroll times))
#endif
#define NET_TEXT(...) #__VA_ARGS__

/* y = act(x[k] . w[k][..] + bias) of `count` vectors: at 0, LANES, 2 * LANES, and so on, but the last one at `last`.
 * n: from one row of w to the next. Each sum is a variable: compilers keep arrays of them in memory. */
#define NET_COLUMNS(LANES, VECTOR, LOAD, STORE, SET, MULTIPLY_ADD, RELU)                                     \
    static NET_INLINE void net_columns##LANES(const float *restrict x, float *restrict y, int k, int n,      \
                                              const float *restrict w, const float *restrict bias, int relu, \
                                              int count, int last) {                                         \
        VECTOR s0 = SET(0.0f), s1 = s0, s2 = s0, s3 = s0, s4 = s0, s5 = s0, s6 = s0, s7 = s0;                \
        int i;                                                                                               \
        if (bias) {                                                                                          \
            NET_EACH(NET_START, LANES, LOAD, )                                                               \
        }                                                                                                    \
        if (count < 3) {                                                                                     \
            NET_UNROLL(16) for (i = 0; i < k; i++, w += n) {                                                 \
                const VECTOR value = SET(x[i]);                                                              \
                NET_STEP(0, LANES, LOAD, MULTIPLY_ADD) NET_STEP(1, LANES, LOAD, MULTIPLY_ADD)                \
            }                                                                                                \
        } else {                                                                                             \
            NET_UNROLL(2) for (i = 0; i < k; i++, w += n) {                                                  \
                const VECTOR value = SET(x[i]);                                                              \
                NET_EACH(NET_STEP, LANES, LOAD, MULTIPLY_ADD)                                                \
            }                                                                                                \
        }                                                                                                    \
        if (relu) {                                                                                          \
            NET_EACH(NET_RELU, LANES, RELU, )                                                                \
        }                                                                                                    \
        NET_EACH(NET_LAST, LANES, STORE, )                                                                   \
        NET_EACH(NET_STORE, LANES, STORE, )                                                                  \
    }
#define NET_EACH(DO, LANES, A, B)                                                                  \
    DO(0, LANES, A, B) DO(1, LANES, A, B) DO(2, LANES, A, B) DO(3, LANES, A, B) DO(4, LANES, A, B) \
    DO(5, LANES, A, B) DO(6, LANES, A, B) DO(7, LANES, A, B)
#define NET_AT(v, LANES) (v < count - 1 ? v * LANES : last)
#define NET_START(v, LANES, LOAD, _) \
    if (v < count) s##v = LOAD(bias + NET_AT(v, LANES));
#define NET_STEP(v, LANES, LOAD, MULTIPLY_ADD) \
    if (v < count) s##v = MULTIPLY_ADD(value, LOAD(w + NET_AT(v, LANES)), s##v);
#define NET_RELU(v, LANES, RELU, _) \
    if (v < count) s##v = RELU(s##v);
#define NET_LAST(v, LANES, STORE, _) \
    if (v == count - 1) STORE(y + last, s##v);
#define NET_STORE(v, LANES, STORE, _) \
    if (v < count - 1) STORE(y + v * LANES, s##v);

/* All columns; there are LANES of them or more. */
#define NET_ALL_COLUMNS(LANES)                                                                                     \
    static NET_INLINE void net_all_columns##LANES(const float *restrict x, float *restrict y, int k, int n,        \
                                                  const float *restrict w, const float *restrict bias, int relu) { \
        const int step = 8 * LANES;                                                                                \
        int j = 0;                                                                                                 \
        for (; n - j > step; j += step) NET_BLOCK(8, LANES, step - LANES)                                          \
        switch ((n - j + LANES - 1) / LANES) {                                                                     \
            NET_CASE(1, LANES) NET_CASE(2, LANES) NET_CASE(3, LANES) NET_CASE(4, LANES)                            \
            NET_CASE(5, LANES) NET_CASE(6, LANES) NET_CASE(7, LANES) NET_CASE(8, LANES)                            \
        }                                                                                                          \
    }
#define NET_BLOCK(COUNT, LANES, LAST) \
    net_columns##LANES(x, y + j, k, n, w + j, bias ? bias + j : 0, relu, COUNT, LAST);
#define NET_CASE(COUNT, LANES)                         \
    case COUNT: NET_BLOCK(COUNT, LANES, n - LANES - j) \
        break;

#ifdef __aarch64__
#define NET_FMA_4(x, w, s) vfmaq_f32(s, x, w)
#define NET_RELU_4(s) vbslq_f32(vcltzq_f32(s), vdupq_n_f32(0.0f), s)
NET_COLUMNS(4, float32x4_t, vld1q_f32, vst1q_f32, vdupq_n_f32, NET_FMA_4, NET_RELU_4)
NET_ALL_COLUMNS(4)

/* x . w in NET_DOT_LANES chains; k is a multiple of that */
#define NET_DOT_LANES 4
static NET_INLINE float net_dot(const float *restrict x, const float *restrict w, int k) {
    float32x4_t s = vmulq_f32(vld1q_f32(x), vld1q_f32(w));
    int i;
    for (i = 4; i < k; i += 4) s = vfmaq_f32(s, vld1q_f32(x + i), vld1q_f32(w + i));
    return vaddvq_f32(s);
}
#else
#define NET_RELU_4(s) _mm_max_ps(_mm_setzero_ps(), s)
#define NET_RELU_8(s) _mm256_max_ps(_mm256_setzero_ps(), s)
#define NET_RELU_16(s) _mm512_max_ps(_mm512_setzero_ps(), s)
NET_COLUMNS(4, __m128, _mm_loadu_ps, _mm_storeu_ps, _mm_set1_ps, _mm_fmadd_ps, NET_RELU_4)
NET_ALL_COLUMNS(4)
NET_COLUMNS(8, __m256, _mm256_loadu_ps, _mm256_storeu_ps, _mm256_set1_ps, _mm256_fmadd_ps, NET_RELU_8)
NET_ALL_COLUMNS(8)
#if NET_LANES > 8
NET_COLUMNS(16, __m512, _mm512_loadu_ps, _mm512_storeu_ps, _mm512_set1_ps, _mm512_fmadd_ps, NET_RELU_16)
NET_ALL_COLUMNS(16)
#endif

/* x . w in NET_DOT_LANES chains; k is a multiple of that */
#define NET_DOT_LANES 8
static NET_INLINE float net_dot(const float *restrict x, const float *restrict w, int k) {
    __m256 s = _mm256_mul_ps(_mm256_loadu_ps(x), _mm256_loadu_ps(w));
    __m128 sum;
    int i;
    NET_UNROLL(4) for (i = 8; i < k; i += 8) { s = _mm256_fmadd_ps(_mm256_loadu_ps(x + i), _mm256_loadu_ps(w + i), s); }
    sum = _mm_add_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps(s, 1));
    sum = _mm_add_ps(sum, _mm_movehl_ps(sum, sum));
    return _mm_cvtss_f32(_mm_add_ss(sum, _mm_movehdup_ps(sum)));
}
#endif

/* Fewer columns than a vector has lanes. A lone one would be a single chain in which each product waits for the one
 * before: it is as many chains as fit. */
static NET_INLINE void net_few_columns(const float *restrict x, float *restrict y, int k, int n,
                                       const float *restrict w, const float *restrict bias, int relu) {
    float s0 = bias ? bias[0] : 0.0f, s1 = bias && n > 1 ? bias[1] : 0.0f, s2 = bias && n > 2 ? bias[2] : 0.0f;
    int i = n == 1 ? k - k % NET_DOT_LANES : 0;
    if (i) s0 += net_dot(x, w, i);
    NET_UNROLL(16) for (; i < k; i++) {
        s0 = net_fma(x[i], w[i * n], s0);
        if (n > 1) s1 = net_fma(x[i], w[i * n + 1], s1);
        if (n > 2) s2 = net_fma(x[i], w[i * n + 2], s2);
    }
    y[0] = relu ? net_relu(s0) : s0;
    if (n > 1) y[1] = relu ? net_relu(s1) : s1;
    if (n > 2) y[2] = relu ? net_relu(s2) : s2;
}

/* y[n] = act(x[k] . w[k][n] + bias) */
static NET_INLINE void net_dense_row(const float *restrict x, float *restrict y, int k, int n, const float *restrict w,
                                     const float *restrict bias, int relu) {
    if (n > 3 || NET_LANES > 8) NET_SETTLED(x);
    if (n < 4) net_few_columns(x, y, k, n, w, bias, relu);
#if NET_LANES > 8
    else if (n >= 16) net_all_columns16(x, y, k, n, w, bias, relu);
#endif
#if NET_LANES > 4
    else if (n >= 8) net_all_columns8(x, y, k, n, w, bias, relu);
#endif
    else net_all_columns4(x, y, k, n, w, bias, relu);
    if (n > 3 && !relu) NET_SETTLED(y);
}
#endif
