/* Philox4x32-10: random numbers that are a function of their position.
 *
 * J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw: Parallel random numbers: as easy as 1, 2, 3. SC 2011. A block of
 * four words is an encryption of a 128-bit counter under a 64-bit key, so any thread can compute any word. Here
 *   key of a stream    the first two words of the block with counter (stream, 0) under the key `seed`
 *   counter            (block number, step), 64 bits each
 *   word number i      belongs to group i / 64; there, lane i % 16 is block 16 * group + lane, and it takes word
 *                      i % 64 / 16 of that block
 * The last rule spares every instruction set a transposition and is the same for all of them.
 */
#ifndef FNN_RANDOM_H
#define FNN_RANDOM_H

#include <stdint.h>
#include <string.h>

enum { PHILOX_LANES = 16, PHILOX_WORDS = 4 * PHILOX_LANES };

enum { PHILOX_ROUNDS = 10 };

typedef struct philox {
    uint32_t step[2];
    uint64_t keys[PHILOX_ROUNDS][2]; /* of every round: they are the same for all blocks of a stream */
} philox;

/* One word of a counter for several blocks, each in the low half of 64 bits: what a widening multiplication wants. What
 * is in the high halves does not matter. Compilers do not find this form by themselves; it doubles the speed. */
#if defined(__AVX512F__)
#include <immintrin.h>
typedef uint64_t philox_lanes __attribute__((vector_size(64)));
#define philox_multiply(a, m) ((philox_lanes)_mm512_mul_epu32((__m512i)(a), _mm512_set1_epi64(m)))
/* A shift would take the port of the multiplications. */
#define philox_high(a) ((philox_lanes)_mm512_shuffle_epi32((__m512i)(a), 0xF5))
#elif defined(__AVX2__)
#include <immintrin.h>
typedef uint64_t philox_lanes __attribute__((vector_size(32)));
#define philox_multiply(a, m) ((philox_lanes)_mm256_mul_epu32((__m256i)(a), _mm256_set1_epi64x(m)))
#else
typedef uint64_t philox_lanes __attribute__((vector_size(16)));
#if defined(__SSE2__)
#include <emmintrin.h>
#define philox_multiply(a, m) ((philox_lanes)_mm_mul_epu32((__m128i)(a), _mm_set1_epi64x(m)))
#elif defined(__aarch64__)
#include <arm_neon.h>
#define philox_multiply(a, m) ((philox_lanes)vmull_n_u32(vmovn_u64((uint64x2_t)(a)), m))
#else
#define philox_multiply(a, m) (((a) & 0xffffffffu) * (m))
#endif
#endif

#ifndef philox_high
#define philox_high(a) ((a) >> 32)
#endif

/* words[PHILOX_WORDS] of one group, the even and the odd lanes of a part of it side by side. */
static inline void philox_group(const philox *p, uint64_t group, uint32_t *words) {
    enum { PART = sizeof(philox_lanes) / 4 };
    static const uint64_t lanes[2][8] = {{0, 2, 4, 6, 8, 10, 12, 14}, {1, 3, 5, 7, 9, 11, 13, 15}};
    for (int part = 0; part < PHILOX_LANES; part += PART) {
        philox_lanes c[2][4];
        for (int odd = 0; odd < 2; odd++) {
            memcpy(&c[odd][0], lanes[odd], sizeof c[odd][0]);
            c[odd][0] += (group << 4) + (uint64_t)part;
            c[odd][1] = c[odd][0] >> 32;
            c[odd][2] = (philox_lanes){0} + p->step[0];
            c[odd][3] = (philox_lanes){0} + p->step[1];
        }
        for (int round = 0; round < PHILOX_ROUNDS; round++)
            for (int odd = 0; odd < 2; odd++) {
                philox_lanes first = philox_multiply(c[odd][0], 0xD2511F53u);
                philox_lanes second = philox_multiply(c[odd][2], 0xCD9E8D57u);
                c[odd][0] = philox_high(second) ^ c[odd][1] ^ p->keys[round][0];
                c[odd][1] = second;
                c[odd][2] = philox_high(first) ^ c[odd][3] ^ p->keys[round][1];
                c[odd][3] = first;
            }
        for (int word = 0; word < 4; word++) {
            philox_lanes both = (c[0][word] & 0xffffffffu) | c[1][word] << 32;
            memcpy(words + PHILOX_LANES * word + part, &both, sizeof both);
        }
    }
}

static inline philox philox_of(uint32_t k0, uint32_t k1, uint64_t step) {
    philox p = {.step = {(uint32_t)step, (uint32_t)(step >> 32)}};
    for (int round = 0; round < PHILOX_ROUNDS; round++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u)
        p.keys[round][0] = k0, p.keys[round][1] = k1;
    return p;
}

static inline philox philox_stream(uint64_t seed, uint64_t stream, uint64_t step) {
    philox p = philox_of((uint32_t)seed, (uint32_t)(seed >> 32), 0);
    uint32_t words[PHILOX_WORDS], lane = (uint32_t)(stream % PHILOX_LANES);
    philox_group(&p, stream / PHILOX_LANES, words);
    return philox_of(words[lane], words[PHILOX_LANES + lane], step);
}

#endif
