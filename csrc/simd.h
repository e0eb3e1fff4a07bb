/* One vocabulary of vectors for every instruction set, so that each kernel is written once.
 *
 * VF floats to a vector. vf: floats; vi: int32 lanes; vm: a lane mask. Loads and stores need no alignment.
 *   vf_load vf_store vf_set vf_zero | add sub mul div min max sqrt abs neg | vf_fma(a,b,c) = a*b+c, vf_fnma = c-a*b
 *   vf_round: to the nearest integer, ties to even (|x| < 2^22) | vf_lt vf_le vf_eq -> vm | vf_select(m,a,b): m ? a : b
 *   vf_min/vf_max return the SECOND argument when one is NaN (as x86 does): write vf_max(bound, x) to let NaN through.
 *   vi_set vi_add vi_sub vi_shl vi_shr(arithmetic) vi_and | vi_of(vf) converts (truncates), vf_of(vi) converts
 *   vi_signs: the lanes' signs as bits, lane 0 lowest
 *   vf_bits(vi) / vi_bits(vf) reinterpret | vf_load_n/vf_store_n: the first n lanes only (the rest read as zero)
 *   vf_load_column(p, ld, n): p[0], p[ld], ..., n of them
 *   vf_sum: horizontal sum, always in the same order | vf_max_lane: horizontal maximum
 *   vf_transpose(src, ld, rows, dst, ldd): a VF x VF block; source rows past `rows` read as zero
 *   vf_sums(a): from VF vectors, one vector of their vf_sum
 *   vf_fma_broadcast(c, b, x): c += b * x with x a float in memory, in one instruction where there is one
 *   vf_fma_into(c, b, x): c += b * x, in the register of c: unrolled loops need no copies of it
 *   vf_over_root(a, v, e): a / (sqrt(v) + e) | vf_descend(w, r, a, v, e): w - r * a / (sqrt(v) + e)
 *   vf_quotient(a, b): a / b within 2 ulp, for normal b up to 2^125
 * Weights of fewer bits: vf_load_half: finite numbers of IEEE's 16-bit format | vi_load vi_store: VF int32
 *   vi_load_pairs: VF pairs of int8, each a lane of two int16 | vi_dot(c, a, b): c + the sum of both products, a lane
 *   vi_store_short: as int16, saturated
 * FNN_FMA is 1 where vf_fma rounds once.
 */
#ifndef FNN_SIMD_H
#define FNN_SIMD_H

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__GNUC__)
#define FNN_INLINE static inline __attribute__((always_inline))
#else
#define FNN_INLINE static inline
#endif

#if defined(__clang__) /* the loop that follows, four times */
#define UNROLL _Pragma("clang loop unroll_count(4)")
#else
#define UNROLL _Pragma("GCC unroll 4")
#endif

static const float vf_zeros[16]; /* any register's worth */

/* For what would crowd its caller's registers. */
#define NOT_INLINED __attribute__((noinline, unused))

#if defined(__AVX512F__) && defined(FNN_USE_AVX512)
#include <immintrin.h>
#define VF 16
#define FNN_FMA 1
typedef __m512 vf;
typedef __m512i vi;
typedef __mmask16 vm;
static inline vf vf_load(const float *p) { return _mm512_loadu_ps(p); }
static inline void vf_store(float *p, vf a) { _mm512_storeu_ps(p, a); }
static inline vf vf_set(float x) { return _mm512_set1_ps(x); }
static inline vf vf_zero(void) { return _mm512_setzero_ps(); }
static inline vf vf_add(vf a, vf b) { return _mm512_add_ps(a, b); }
static inline vf vf_sub(vf a, vf b) { return _mm512_sub_ps(a, b); }
static inline vf vf_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
static inline vf vf_div(vf a, vf b) { return _mm512_div_ps(a, b); }
static inline vf vf_min(vf a, vf b) { return _mm512_min_ps(a, b); }
static inline vf vf_max(vf a, vf b) { return _mm512_max_ps(a, b); }
static inline vf vf_sqrt(vf a) { return _mm512_sqrt_ps(a); }
static inline vf vf_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
static inline vf vf_fnma(vf a, vf b, vf c) { return _mm512_fnmadd_ps(a, b, c); }
static inline vf vf_round(vf a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
static inline vm vf_lt(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
static inline vm vf_le(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_LE_OQ); }
static inline vm vf_eq(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ); }
static inline vf vf_select(vm m, vf a, vf b) { return _mm512_mask_blend_ps(m, b, a); }
static inline vi vi_set(int32_t x) { return _mm512_set1_epi32(x); }
static inline vi vi_add(vi a, vi b) { return _mm512_add_epi32(a, b); }
static inline vi vi_sub(vi a, vi b) { return _mm512_sub_epi32(a, b); }
static inline vi vi_and(vi a, vi b) { return _mm512_and_si512(a, b); }
#define vi_shl(a, n) _mm512_slli_epi32(a, n)
#define vi_shr(a, n) _mm512_srai_epi32(a, n)
static inline int vi_signs(vi a) { return (int)_mm512_movepi32_mask(a); }
static inline vi vi_of(vf a) { return _mm512_cvttps_epi32(a); }
static inline vf vf_of(vi a) { return _mm512_cvtepi32_ps(a); }
static inline vf vf_bits(vi a) { return _mm512_castsi512_ps(a); }
static inline vi vi_bits(vf a) { return _mm512_castps_si512(a); }
static inline vf vf_abs(vf a) { return vf_bits(vi_and(vi_bits(a), vi_set(0x7fffffff))); }
static inline vf vf_neg(vf a) { return vf_bits(_mm512_xor_si512(vi_bits(a), vi_set((int32_t)0x80000000))); }
static inline vi vi_load(const void *p) { return _mm512_loadu_si512(p); }
static inline void vi_store(void *p, vi a) { _mm512_storeu_si512(p, a); }
static inline vf vf_load_half(const uint16_t *p) { return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p)); }
static inline vi vi_load_pairs(const int8_t *p) { return _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)p)); }
static inline vi vi_dot(vi c, vi a, vi b) { return _mm512_add_epi32(c, _mm512_madd_epi16(a, b)); }
static inline void vi_store_short(int16_t *p, vi a) { _mm256_storeu_si256((__m256i *)p, _mm512_cvtsepi32_epi16(a)); }
static inline vf vf_load_n(const float *p, int n) { return _mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p); }
static inline void vf_store_n(float *p, int n, vf a) { _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), a); }

static inline void vf_transpose(const float *src, int64_t ld, int rows, float *dst, int64_t ldd) {
    __m512 r[16], t[16];
    if (rows >= 16)
        for (int i = 0; i < 16; i++) r[i] = vf_load(src + i * ld);
    else
        for (int i = 0; i < 16; i++) r[i] = vf_load(i < rows ? src + i * ld : vf_zeros);
    for (int i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
    }
    for (int i = 0; i < 16; i += 4) { /* 4x4 blocks are transposed in each 128-bit lane */
        r[i] = _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(t[i]), _mm512_castps_pd(t[i + 2])));
        r[i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(t[i]), _mm512_castps_pd(t[i + 2])));
        r[i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(t[i + 1]), _mm512_castps_pd(t[i + 3])));
        r[i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(t[i + 1]), _mm512_castps_pd(t[i + 3])));
    }
    for (int i = 0; i < 4; i++) { /* then the 4x4 grid of lanes */
        t[i] = _mm512_shuffle_f32x4(r[i], r[i + 4], 0x88);
        t[i + 4] = _mm512_shuffle_f32x4(r[i], r[i + 4], 0xdd);
        t[i + 8] = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0x88);
        t[i + 12] = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0xdd);
    }
    for (int i = 0; i < 4; i++) {
        vf_store(dst + i * ldd, _mm512_shuffle_f32x4(t[i], t[i + 8], 0x88));
        vf_store(dst + (i + 8) * ldd, _mm512_shuffle_f32x4(t[i], t[i + 8], 0xdd));
        vf_store(dst + (i + 4) * ldd, _mm512_shuffle_f32x4(t[i + 4], t[i + 12], 0x88));
        vf_store(dst + (i + 12) * ldd, _mm512_shuffle_f32x4(t[i + 4], t[i + 12], 0xdd));
    }
}

#elif defined(__AVX2__) && defined(__FMA__) && defined(FNN_USE_AVX2)
#include <immintrin.h>
#define VF 8
#define FNN_FMA 1
typedef __m256 vf;
typedef __m256i vi;
typedef __m256 vm;
static inline vf vf_load(const float *p) { return _mm256_loadu_ps(p); }
static inline void vf_store(float *p, vf a) { _mm256_storeu_ps(p, a); }
static inline vf vf_set(float x) { return _mm256_set1_ps(x); }
static inline vf vf_zero(void) { return _mm256_setzero_ps(); }
static inline vf vf_add(vf a, vf b) { return _mm256_add_ps(a, b); }
static inline vf vf_sub(vf a, vf b) { return _mm256_sub_ps(a, b); }
static inline vf vf_mul(vf a, vf b) { return _mm256_mul_ps(a, b); }
static inline vf vf_div(vf a, vf b) { return _mm256_div_ps(a, b); }
static inline vf vf_min(vf a, vf b) { return _mm256_min_ps(a, b); }
static inline vf vf_max(vf a, vf b) { return _mm256_max_ps(a, b); }
static inline vf vf_sqrt(vf a) { return _mm256_sqrt_ps(a); }
static inline vf vf_fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
static inline vf vf_fnma(vf a, vf b, vf c) { return _mm256_fnmadd_ps(a, b, c); }
static inline vf vf_round(vf a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
static inline vm vf_lt(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_LT_OQ); }
static inline vm vf_le(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_LE_OQ); }
static inline vm vf_eq(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_EQ_OQ); }
static inline vf vf_select(vm m, vf a, vf b) { return _mm256_blendv_ps(b, a, m); }
static inline vi vi_set(int32_t x) { return _mm256_set1_epi32(x); }
static inline vi vi_add(vi a, vi b) { return _mm256_add_epi32(a, b); }
static inline vi vi_sub(vi a, vi b) { return _mm256_sub_epi32(a, b); }
static inline vi vi_and(vi a, vi b) { return _mm256_and_si256(a, b); }
#define vi_shl(a, n) _mm256_slli_epi32(a, n)
#define vi_shr(a, n) _mm256_srai_epi32(a, n)
static inline int vi_signs(vi a) { return _mm256_movemask_ps(_mm256_castsi256_ps(a)); }
static inline vi vi_of(vf a) { return _mm256_cvttps_epi32(a); }
static inline vf vf_of(vi a) { return _mm256_cvtepi32_ps(a); }
static inline vf vf_bits(vi a) { return _mm256_castsi256_ps(a); }
static inline vi vi_bits(vf a) { return _mm256_castps_si256(a); }
static inline vf vf_abs(vf a) { return vf_bits(vi_and(vi_bits(a), vi_set(0x7fffffff))); }
static inline vf vf_neg(vf a) { return _mm256_xor_ps(a, _mm256_set1_ps(-0.0f)); }
static inline vi vi_load(const void *p) { return _mm256_loadu_si256(p); }
static inline void vi_store(void *p, vi a) { _mm256_storeu_si256(p, a); }
static inline vf vf_load_half(const uint16_t *p) { return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p)); }
static inline vi vi_load_pairs(const int8_t *p) { return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)p)); }
static inline vi vi_dot(vi c, vi a, vi b) { return _mm256_add_epi32(c, _mm256_madd_epi16(a, b)); }
static inline void vi_store_short(int16_t *p, vi a) {
    _mm_storeu_si128((__m128i *)p, _mm_packs_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1)));
}
static inline vi vf_tail_mask(int n) {
    static const int32_t on_off[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};
    return _mm256_loadu_si256((const __m256i *)(on_off + 8 - n));
}
static inline vf vf_load_n(const float *p, int n) { return _mm256_maskload_ps(p, vf_tail_mask(n)); }
static inline void vf_store_n(float *p, int n, vf a) { _mm256_maskstore_ps(p, vf_tail_mask(n), a); }

static inline void vf_transpose(const float *src, int64_t ld, int rows, float *dst, int64_t ldd) {
    __m256 r[8], t[8];
    for (int i = 0; i < 8; i++) r[i] = vf_load(i < rows ? src + i * ld : vf_zeros);
    for (int i = 0; i < 8; i += 2) {
        t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
    for (int i = 0; i < 8; i += 4) {
        r[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
        r[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xee);
        r[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
        r[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xee);
    }
    for (int i = 0; i < 4; i++) {
        vf_store(dst + i * ldd, _mm256_permute2f128_ps(r[i], r[i + 4], 0x20));
        vf_store(dst + (i + 4) * ldd, _mm256_permute2f128_ps(r[i], r[i + 4], 0x31));
    }
}

#else /* four lanes through the compiler's portable vectors: SSE2, NEON and anything else */
#define VF 4
#if defined(__aarch64__) || defined(__FMA__)
#define FNN_FMA 1
#else
#define FNN_FMA 0
#endif
typedef float vf __attribute__((vector_size(16)));
typedef int32_t vi __attribute__((vector_size(16)));
typedef vi vm;
#define FNN_LANES(expr) ((vf){(expr(0)), (expr(1)), (expr(2)), (expr(3))})
static inline vf vf_load(const float *p) {
    vf v;
    memcpy(&v, p, sizeof v);
    return v;
}
static inline void vf_store(float *p, vf a) { memcpy(p, &a, sizeof a); }
static inline vf vf_set(float x) { return (vf){x, x, x, x}; }
static inline vf vf_zero(void) { return vf_set(0.0f); }
static inline vf vf_add(vf a, vf b) { return a + b; }
static inline vf vf_sub(vf a, vf b) { return a - b; }
static inline vf vf_mul(vf a, vf b) { return a * b; }
static inline vf vf_div(vf a, vf b) { return a / b; }
static inline vf vf_bits(vi a) { return (vf)a; }
static inline vi vi_bits(vf a) { return (vi)a; }
static inline vm vf_lt(vf a, vf b) { return (vm)(a < b); }
static inline vm vf_le(vf a, vf b) { return (vm)(a <= b); }
static inline vm vf_eq(vf a, vf b) { return (vm)(a == b); }
static inline vf vf_select(vm m, vf a, vf b) { return (vf)((m & (vi)a) | (~m & (vi)b)); }
static inline vf vf_neg(vf a) { return -a; }
#if defined(__SSE2__)
#include <emmintrin.h>
static inline vf vf_min(vf a, vf b) { return (vf)_mm_min_ps((__m128)a, (__m128)b); }
static inline vf vf_max(vf a, vf b) { return (vf)_mm_max_ps((__m128)a, (__m128)b); }
static inline vf vf_sqrt(vf a) { return (vf)_mm_sqrt_ps((__m128)a); }
static inline vi vi_of(vf a) { return (vi)_mm_cvttps_epi32((__m128)a); }
static inline vf vf_of(vi a) { return (vf)_mm_cvtepi32_ps((__m128i)a); }
#else
static inline vf vf_min(vf a, vf b) { return vf_select(vf_lt(a, b), a, b); }
static inline vf vf_max(vf a, vf b) { return vf_select(vf_lt(b, a), a, b); }
#if defined(__aarch64__)
#include <arm_neon.h>
static inline vf vf_sqrt(vf a) { return (vf)vsqrtq_f32((float32x4_t)a); }
static inline vi vi_of(vf a) { return (vi)vcvtq_s32_f32((float32x4_t)a); }
static inline vf vf_of(vi a) { return (vf)vcvtq_f32_s32((int32x4_t)a); }
#else
static inline vf vf_sqrt(vf a) { return (vf){sqrtf(a[0]), sqrtf(a[1]), sqrtf(a[2]), sqrtf(a[3])}; }
static inline vi vi_of(vf a) { return (vi){(int32_t)a[0], (int32_t)a[1], (int32_t)a[2], (int32_t)a[3]}; }
static inline vf vf_of(vi a) { return (vf){(float)a[0], (float)a[1], (float)a[2], (float)a[3]}; }
#endif
#endif
#if defined(__aarch64__)
static inline vf vf_fma(vf a, vf b, vf c) { return (vf)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b); }
static inline vf vf_fnma(vf a, vf b, vf c) { return (vf)vfmsq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b); }
#else
static inline vf vf_fma(vf a, vf b, vf c) { return a * b + c; }
static inline vf vf_fnma(vf a, vf b, vf c) { return c - a * b; }
#endif
/* Adding and taking away 1.5 * 2^23 leaves the nearest integer, ties to even. */
static inline vf vf_round(vf a) {
    volatile const float magic = 12582912.0f;
    vf m = vf_set(magic);
    return (a + m) - m;
}
static inline vi vi_set(int32_t x) { return (vi){x, x, x, x}; }
static inline vi vi_add(vi a, vi b) { return a + b; }
static inline vi vi_sub(vi a, vi b) { return a - b; }
static inline vi vi_and(vi a, vi b) { return a & b; }
#define vi_shl(a, n) ((a) << (n))
#define vi_shr(a, n) ((a) >> (n))
#if defined(__SSE2__)
static inline int vi_signs(vi a) { return _mm_movemask_ps((__m128)a); }
#else
static inline int vi_signs(vi a) { return (a[0] < 0) | (a[1] < 0) << 1 | (a[2] < 0) << 2 | (a[3] < 0) << 3; }
#endif
static inline vf vf_abs(vf a) { return vf_bits(vi_bits(a) & vi_set(0x7fffffff)); }
static inline vi vi_load(const void *p) {
    vi v;
    memcpy(&v, p, sizeof v);
    return v;
}
static inline void vi_store(void *p, vi a) { memcpy(p, &a, sizeof a); }
#if defined(__SSE2__)
static inline vi vi_load_unsigned(const uint16_t *p) {
    return (vi)_mm_unpacklo_epi16(_mm_loadl_epi64((const __m128i *)p), _mm_setzero_si128());
}
static inline vi vi_load_pairs(const int8_t *p) {
    __m128i v = _mm_loadl_epi64((const __m128i *)p);
    return (vi)_mm_srai_epi16(_mm_unpacklo_epi8(v, v), 8);
}
static inline vi vi_dot(vi c, vi a, vi b) { return c + (vi)_mm_madd_epi16((__m128i)a, (__m128i)b); }
static inline void vi_store_short(int16_t *p, vi a) {
    _mm_storel_epi64((__m128i *)p, _mm_packs_epi32((__m128i)a, (__m128i)a));
}
#elif defined(__aarch64__)
static inline vi vi_load_pairs(const int8_t *p) { return (vi)vmovl_s8(vld1_s8(p)); }
static inline vi vi_dot(vi c, vi a, vi b) {
    int16x8_t s = vreinterpretq_s16_s32((int32x4_t)a), t = vreinterpretq_s16_s32((int32x4_t)b);
    return c + (vi)vpaddq_s32(vmull_s16(vget_low_s16(s), vget_low_s16(t)), vmull_high_s16(s, t));
}
static inline void vi_store_short(int16_t *p, vi a) { vst1_s16(p, vqmovn_s32((int32x4_t)a)); }
#else
static inline vi vi_load_unsigned(const uint16_t *p) { return (vi){p[0], p[1], p[2], p[3]}; }
static inline vi vi_load_pairs(const int8_t *p) {
    int16_t pairs[2 * VF];
    for (int i = 0; i < 2 * VF; i++) pairs[i] = p[i];
    return vi_load(pairs);
}
static inline vi vi_dot(vi c, vi a, vi b) {
    return c + vi_shr(vi_shl(a, 16), 16) * vi_shr(vi_shl(b, 16), 16) + vi_shr(a, 16) * vi_shr(b, 16);
}
static inline void vi_store_short(int16_t *p, vi a) {
    for (int i = 0; i < VF; i++) p[i] = (int16_t)(a[i] > INT16_MAX ? INT16_MAX : a[i] < INT16_MIN ? INT16_MIN : a[i]);
}
#endif
#if defined(__aarch64__)
static inline vf vf_load_half(const uint16_t *p) { return (vf)vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p))); }
#else
static inline vf vf_load_half(const uint16_t *p) {
    vi half = vi_load_unsigned(p), rest = half & 0x7fff;
    vf normal = vf_bits((rest << 13) + (112 << 23)), small = vf_of(rest) * vf_set(0x1p-24f); /* below 2^-14 */
    return vf_bits(vi_bits(vf_select(rest < 0x400, small, normal)) | (half & 0x8000) << 16);
}
#endif
static inline vf vf_load_n(const float *p, int n) {
    vf v = vf_zero();
    memcpy(&v, p, sizeof(float) * (size_t)n);
    return v;
}
static inline void vf_store_n(float *p, int n, vf a) { memcpy(p, &a, sizeof(float) * (size_t)n); }
static inline void vf_transpose(const float *src, int64_t ld, int rows, float *dst, int64_t ldd) {
    vf r[4];
    for (int i = 0; i < 4; i++) r[i] = vf_load(i < rows ? src + i * ld : vf_zeros);
    for (int i = 0; i < 4; i++) vf_store(dst + i * ldd, (vf){r[0][i], r[1][i], r[2][i], r[3][i]});
}
#endif

/* Lanes are folded in halves, the upper half onto the lower, so the order is fixed for a given VF. */
#if defined(__SSE2__)
static inline float vf_fold_sum4(__m128 a) {
    a = _mm_add_ps(a, _mm_movehl_ps(a, a));
    return _mm_cvtss_f32(_mm_add_ss(a, _mm_shuffle_ps(a, a, 1)));
}
static inline float vf_fold_max4(__m128 a) { /* the lower lane where one of two is NaN */
    a = _mm_max_ps(_mm_movehl_ps(a, a), a);
    return _mm_cvtss_f32(_mm_max_ss(_mm_shuffle_ps(a, a, 1), a));
}
#endif
#if VF >= 8
static inline float vf_fold_sum8(__m256 a) {
    return vf_fold_sum4(_mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1)));
}
static inline float vf_fold_max8(__m256 a) {
    return vf_fold_max4(_mm_max_ps(_mm256_extractf128_ps(a, 1), _mm256_castps256_ps128(a)));
}
#endif
#if VF == 16
static inline float vf_sum(vf a) {
    return vf_fold_sum8(_mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1)));
}
static inline float vf_max_lane(vf a) {
    return vf_fold_max8(_mm256_max_ps(_mm512_extractf32x8_ps(a, 1), _mm512_castps512_ps256(a)));
}
#elif VF == 8
static inline float vf_sum(vf a) { return vf_fold_sum8(a); }
static inline float vf_max_lane(vf a) { return vf_fold_max8(a); }
#elif defined(__SSE2__)
static inline float vf_sum(vf a) { return vf_fold_sum4((__m128)a); }
static inline float vf_max_lane(vf a) { return vf_fold_max4((__m128)a); }
#else
static inline float vf_sum(vf a) { return (a[0] + a[2]) + (a[1] + a[3]); }
static inline float vf_max_lane(vf a) {
    float even = a[2] > a[0] ? a[2] : a[0], odd = a[3] > a[1] ? a[3] : a[1];
    return odd > even ? odd : even;
}
#endif

/* Not inlined: compilers would keep all sixteen addresses of a loop in registers that there are not. */
static NOT_INLINED vf vf_load_column(const float *p, int64_t ld, int n) {
    const float *q = p + 3 * ld;
    if (n < VF) {
        float lanes[VF] = {0};
        for (int i = 0; i < n; i++) lanes[i] = p[i * ld];
        return vf_load(lanes);
    }
#if VF == 16
    const float *r = q + 3 * ld, *s = r + 3 * ld, *t = s + 3 * ld;
    return _mm512_setr_ps(p[0], p[ld], p[2 * ld], q[0], q[ld], q[2 * ld], r[0], r[ld], r[2 * ld], s[0], s[ld],
                          s[2 * ld], t[0], t[ld], t[2 * ld], t[3 * ld]);
#elif VF == 8
    return _mm256_setr_ps(p[0], p[ld], p[2 * ld], q[0], q[ld], q[2 * ld], q[3 * ld], q[4 * ld]);
#else
    return (vf){p[0], p[ld], p[2 * ld], q[0]};
#endif
}

/* As vf_sum adds: the halves of each vector, then the halves of those; each time two vectors become one. */
static inline vf vf_sums(const vf *a) {
#if VF == 16
#define FNN_HALVES(x, y) \
    _mm512_add_ps(_mm512_shuffle_f32x4(x, y, _MM_SHUFFLE(1, 0, 1, 0)), \
                  _mm512_shuffle_f32x4(x, y, _MM_SHUFFLE(3, 2, 3, 2)))
#define FNN_QUARTERS(x, y) \
    _mm512_add_ps(_mm512_shuffle_f32x4(x, y, _MM_SHUFFLE(2, 0, 2, 0)), \
                  _mm512_shuffle_f32x4(x, y, _MM_SHUFFLE(3, 1, 3, 1)))
#define FNN_PAIRS(x, y, low, high) _mm512_add_ps(_mm512_shuffle_ps(x, y, low), _mm512_shuffle_ps(x, y, high))
    vf fours[4];
    for (int i = 0; i < 4; i++) fours[i] = FNN_QUARTERS(FNN_HALVES(a[i], a[4 + i]), FNN_HALVES(a[8 + i], a[12 + i]));
#elif VF == 8
#define FNN_HALVES(x, y) _mm256_add_ps(_mm256_permute2f128_ps(x, y, 0x20), _mm256_permute2f128_ps(x, y, 0x31))
#define FNN_PAIRS(x, y, low, high) _mm256_add_ps(_mm256_shuffle_ps(x, y, low), _mm256_shuffle_ps(x, y, high))
    vf fours[4];
    for (int i = 0; i < 4; i++) fours[i] = FNN_HALVES(a[i], a[4 + i]);
#endif
#if VF >= 8
    enum { LOW = _MM_SHUFFLE(1, 0, 1, 0), HIGH = _MM_SHUFFLE(3, 2, 3, 2) };
    enum { EVEN = _MM_SHUFFLE(2, 0, 2, 0), ODD = _MM_SHUFFLE(3, 1, 3, 1) };
    vf twos = FNN_PAIRS(fours[0], fours[1], LOW, HIGH), more = FNN_PAIRS(fours[2], fours[3], LOW, HIGH);
    return FNN_PAIRS(twos, more, EVEN, ODD);
#undef FNN_HALVES
#undef FNN_QUARTERS
#undef FNN_PAIRS
#else
    float lanes[VF * VF];
    vf_transpose((const float *)a, VF, VF, lanes, VF);
    return vf_add(vf_add(vf_load(lanes), vf_load(lanes + 8)), vf_add(vf_load(lanes + 4), vf_load(lanes + 12)));
#endif
}

/* In assembler because compilers broadcast a number that is used twice only once. */
#if VF == 16
#define vf_fma_broadcast(c, b, x) __asm__("vfmadd231ps %2%{1to16%}, %1, %0" : "+v"(c) : "v"(b), "m"(x))
#define vf_fma_into(c, b, x) __asm__("vfmadd231ps %2, %1, %0" : "+v"(c) : "v"(b), "v"(x))
#else
#define vf_fma_into(c, b, x) ((c) = vf_fma(x, b, c))
#define vf_fma_broadcast(c, b, x) ((c) = vf_fma(vf_set(x), b, c))
#endif

/* For v >= 0 and e >= the smallest normal number, what adaptive optimizers divide by. With 16 lanes estimates of 14
 * bits and one Newton step each are within 3 ulp, and Adam takes two thirds of the time of the exact root and
 * quotient. */
#if VF == 16
static inline vf vf_one_over_root(vf v, vf e) {
    v = vf_max(vf_set(FLT_MIN), v); /* lets NaN through; the estimates of 0 would make it */
    vf r = _mm512_rsqrt14_ps(v), root = vf_mul(v, r);
    root = vf_fma(vf_fnma(root, root, v), vf_mul(vf_set(0.5f), r), root);
    vf divisor = vf_add(root, e), q = _mm512_rcp14_ps(divisor);
    /* Newton's step makes NaN of infinity, for which this is 0. */
    vm finite = _mm512_cmp_ps_mask(v, vf_set(INFINITY), _CMP_NEQ_UQ);
    return _mm512_maskz_fmadd_ps(finite, vf_fnma(divisor, q, vf_set(1.0f)), q, q);
}
#endif

/* a / (sqrt(v) + e) */
static inline vf vf_over_root(vf a, vf v, vf e) {
#if VF == 16
    return vf_mul(a, vf_one_over_root(v, e));
#else
    return vf_div(a, vf_add(vf_sqrt(vf_max(vf_set(FLT_MIN), v)), e));
#endif
}

/* w - rate * a / (sqrt(v) + e), with a rounding less where that is an instruction less. */
static inline vf vf_descend(vf w, vf rate, vf a, vf v, vf e) {
#if VF == 16
    return vf_fnma(rate, vf_mul(a, vf_one_over_root(v, e)), w);
#else
    return vf_sub(w, vf_over_root(vf_mul(a, rate), v, e));
#endif
}

/* a / b for normal b of at most 2^125, within 2 ulp: as above, an estimate and a Newton step with 16 lanes. */
static inline vf vf_quotient(vf a, vf b) {
#if VF == 16
    vf r = _mm512_rcp14_ps(b);
    return vf_mul(a, vf_fma(vf_fnma(b, r, vf_set(1.0f)), r, r));
#else
    return vf_div(a, b);
#endif
}

#endif
