/* Dropout (Srivastava et al., JMLR 15, 2014), inverted: what is kept is scaled by 1 / (1 - rate).
 *
 *   dropout_forward:   x[rows][n] -> y[rows][n], mask[rows][round_up(n, 16) / 16]; y may be x
 *   dropout_backward:  dx[rows][n] = dy[rows][n] * mask * scale; dx may be dy
 *
 * mask has one bit for each element, 16 columns to a word, the first column lowest. Element (r, j) is number
 * r * round_up(n, 16) + j of the words that Philox draws for (seed, stream, step), see random.h, and is kept if the
 * upper 31 bits of its word are at least rate * 2^31: with the same seed, the same bits on any number of threads.
 * Stream 0 is that of a layer with a seed of its own, see noise.c, where other kinds of dropout are.
 */
#include "../random.h"

enum { DROPOUT_CHUNK = FNN_ALIGN_FLOATS };

static float dropout_scale(float rate) { return rate < 1.0f ? 1.0f / (1.0f - rate) : 0.0f; }

/* Lanes as all ones where they are negative, else zero. */
static inline vi dropout_signs(vi a) { return vi_shr(a, 31); }

static inline vi dropout_load(const void *p) { return vi_bits(vf_load(p)); }

static const int32_t dropout_bits[DROPOUT_CHUNK] = {1 << 0,  1 << 1,  1 << 2,  1 << 3, 1 << 4,  1 << 5,
                                                    1 << 6,  1 << 7,  1 << 8,  1 << 9, 1 << 10, 1 << 11,
                                                    1 << 12, 1 << 13, 1 << 14, 1 << 15};

/* y[16] = x[16] * scale where the word is above `last_dropped`, else 0; returns the bits of what was kept. */
static inline uint16_t dropout_chunk(const float *x, float *y, const uint32_t *words, int32_t last_dropped,
                                     float scale) {
    int bits = 0;
    for (int j = 0; j < DROPOUT_CHUNK; j += VF) {
        vi word = vi_and(vi_shr(dropout_load(words + j), 1), vi_set(INT32_MAX));
        vi keep = dropout_signs(vi_sub(vi_set(last_dropped), word));
        vf_store(y + j, vf_bits(vi_and(vi_bits(vf_mul(vf_load(x + j), vf_set(scale))), keep)));
        bits |= vi_signs(keep) << j;
    }
    return (uint16_t)bits;
}

static void dropout_forward(const fnn_instr *in, const fnn_run *run) {
    const float *x = in->p[0];
    float *y = in->p[1], rate = in->s[0], scale = dropout_scale(rate);
    uint16_t *mask = in->p[2];
    int64_t n = in->d[0], ldx = in->d[1], ldy = in->d[2], chunks = fnn_round_up(n, DROPOUT_CHUNK) / DROPOUT_CHUNK;
    int64_t begin, end;
    fnn_split(run->samples * in->rows_per_sample, 1, run->thread, run->threads, &begin, &end);
    int32_t last_dropped = (int32_t)((int64_t)(rate * 0x1p31) - 1);
    philox generator = noise_stream(in, run, 3);
    uint32_t words[PHILOX_WORDS];
    int64_t drawn = -1, group, element = begin * chunks * DROPOUT_CHUNK;
    for (int64_t r = begin; r < end; r++)
        for (int64_t c = 0; c < chunks; c++, element += DROPOUT_CHUNK) {
            if ((group = element / PHILOX_WORDS) != drawn) philox_group(&generator, (uint64_t)(drawn = group), words);
            mask[r * chunks + c] = dropout_chunk(x + r * ldx + c * DROPOUT_CHUNK, y + r * ldy + c * DROPOUT_CHUNK,
                                                 words + element % PHILOX_WORDS, last_dropped, scale);
        }
}

static void dropout_backward(const fnn_instr *in, const fnn_run *run) {
    const float *dy = in->p[0];
    const uint16_t *mask = in->p[1];
    float *dx = in->p[2];
    vf scale = vf_set(in->s[0]);
    int64_t n = in->d[0], lddy = in->d[1], lddx = in->d[2], chunks = fnn_round_up(n, DROPOUT_CHUNK) / DROPOUT_CHUNK;
    int64_t begin, end;
    fnn_split(run->samples * in->rows_per_sample, 1, run->thread, run->threads, &begin, &end);
    for (int64_t r = begin; r < end; r++)
        for (int64_t j = 0; j < chunks * DROPOUT_CHUNK; j += VF) {
            vi set = vi_set(mask[r * chunks + j / DROPOUT_CHUNK]);
            vi keep = dropout_signs(vi_sub(vi_set(0), vi_and(set, dropout_load(dropout_bits + j % DROPOUT_CHUNK))));
            vf value = vf_mul(vf_load(dy + r * lddy + j), scale);
            vf_store(dx + r * lddx + j, vf_bits(vi_and(vi_bits(value), keep)));
        }
}

#define fnn_op_dropout_forward {"dropout_forward", "x y mask", "n ldx ldy stream own_seed", "rate", dropout_forward}
#define fnn_op_dropout_backward {"dropout_backward", "dy mask dx", "n lddy lddx", "scale", dropout_backward}
