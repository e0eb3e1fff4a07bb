/* The order in which an epoch visits its samples. */
#include "../random.h"

/* Far from the streams of layers, which are counted from zero. */
static const uint64_t SHUFFLE_STREAM = UINT64_MAX;

/* Writes a permutation of 0 ... n - 1, n < 2^32: every one is as likely as any other; (n, seed, epoch) alone decide.
 * The Fisher-Yates shuffle from inside out: element i goes to one of the first i + 1 places, and what was there goes to
 * place i (Knuth, TAOCP 2, 3.4.2). Places are drawn without bias by D. Lemire, Fast random integer generation in an
 * interval, ACM TOMACS 29(1), 2019: the high half of word * bound, unless the low half is below 2^32 mod bound, which
 * is worth its division only where the low half is below bound. A word so rejected is skipped. */
static void shuffle(int64_t *order, int64_t n, uint64_t seed, uint64_t epoch) {
    philox generator = philox_stream(seed, SHUFFLE_STREAM, epoch);
    uint32_t words[PHILOX_WORDS];
    int64_t i = 0;
    for (uint64_t group = 0; i < n; group++) {
        philox_group(&generator, group, words);
        for (int k = 0; k < PHILOX_WORDS && i < n; k++) {
            uint32_t bound = (uint32_t)(i + 1);
            uint64_t product = (uint64_t)words[k] * bound;
            if ((uint32_t)product < bound && (uint32_t)product < (0u - bound) % bound) continue;
            order[i] = order[product >> 32];
            order[product >> 32] = i++;
        }
    }
}
