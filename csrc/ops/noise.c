/* Random numbers that layers add to, multiply with, or take as a slope below zero.
 *
 *   noise:           y[rows][n] = f(x[rows][n], number of the element), v and y may be x:
 *     NOISE_ADD      x + high * z                        z: standard normal        (GaussianNoise)
 *     NOISE_SCALE    x * (1 + high * z)                                            (GaussianDropout)
 *     NOISE_SLOPE    v > 0 ? x : x * u                   u: uniform in [low, high) (RReLU: Xu et al., 2015)
 *   masked_forward:  y[rows][n] = keep ? x * scale + shift : dropped, and mask[rows][round_up(n, 16) / 16] as in
 *                    dropout.c, whose backward pass this is, too: dropout of whole rows, columns or samples, and
 *                    AlphaDropout (Klambauer et al., 2017)
 *
 * Element (r, j) takes word number r * round_up(n, 16) + j of the words that Philox draws for (seed, stream, step), see
 * random.h. Stream 0 is that of a layer with a seed of its own: own_seed is the key then, not the program's seed. The
 * words depend on nothing else, so that a backward pass draws them again instead of keeping them: that of NOISE_SCALE
 * is itself, applied to dy, that of NOISE_SLOPE is itself with v = x, x = dy.
 *   u = (upper 24 bits) / 2^24;  z = the normal distribution's quantile at (upper 24 bits + 1/2) / 2^24, so |z| < 5.5
 *
 * masked_forward shares words among elements: a sample has noise_rows rows of noise_n words, row r of the matrix reads
 * row map[r % rows_per_sample] of its sample's (map NULL: r % rows_per_sample), or of the only sample's if
 * shared_batch; with noise_n 1 all columns read one word.
 */
#include "../random.h"

enum { NOISE_ADD, NOISE_SCALE, NOISE_SLOPE };

/* The stream of an instruction whose dimensions `at` and `at` + 1 are stream and own_seed. */
static philox noise_stream(const fnn_instr *in, const fnn_run *run, int at) {
    uint64_t seed = in->d[at] ? run->seed : (uint64_t)in->d[at + 1];
    return philox_stream(seed, (uint64_t)in->d[at], (uint64_t)run->step);
}

/* The words of one group at a time; whoever asks in order pays for each group once. */
typedef struct noise_words {
    philox generator;
    int64_t drawn;
    uint32_t words[PHILOX_WORDS];
} noise_words;

static inline const uint32_t *noise_at(noise_words *w, int64_t element) {
    int64_t group = element / PHILOX_WORDS;
    if (group != w->drawn) philox_group(&w->generator, (uint64_t)(w->drawn = group), w->words);
    return w->words + element % PHILOX_WORDS;
}

static inline vi noise_bits(const uint32_t *words) { /* the upper 24 bits */
    return vi_and(vi_shr(vi_bits(vf_load((const float *)(const void *)words)), 8), vi_set(0xffffff));
}

static inline vf noise_uniform(const uint32_t *words) { return vf_mul(vf_of(noise_bits(words)), vf_set(0x1p-24f)); }

/* sqrt(2) erfinv(x) at x = 2 (bits + 1/2) / 2^24 - 1, which float32 represents exactly. The polynomials are those of
 * M. Giles, Approximating the erfinv function, GPU Computing Gems (Jade), 2011, for single precision. */
static inline vf noise_normal(const uint32_t *words) {
    static const float central[9] = {2.81022636e-08f,  3.43273939e-07f, -3.5233877e-06f,
                                     -4.39150654e-06f, 0.00021858087f,  -0.00125372503f,
                                     -0.00417768164f,  0.246640727f,    1.50140941f};
    static const float tail[9] = {-0.000200214257f, 0.000100950558f, 0.00134934322f, -0.00367342844f, 0.00573950773f,
                                  -0.0076224613f,   0.00943887047f,  1.00167406f,    2.83297682f};
    vi odd = vi_sub(vi_add(vi_shl(noise_bits(words), 1), vi_set(1)), vi_set(1 << 24));
    vf x = vf_mul(vf_of(odd), vf_set(0x1p-24f)), one = vf_set(1.0f);
    vf w = vf_neg(vf_log(vf_mul(vf_sub(one, x), vf_add(one, x))));
    vf near = vf_sub(w, vf_set(2.5f)), far = vf_sub(vf_sqrt(vf_max(vf_set(5.0f), w)), vf_set(3.0f));
    vf p = vf_set(central[0]), q = vf_set(tail[0]);
    for (int i = 1; i < 9; i++) {
        p = vf_fma(p, near, vf_set(central[i]));
        q = vf_fma(q, far, vf_set(tail[i]));
    }
    return vf_mul(vf_mul(x, vf_set(1.41421356f)), vf_select(vf_lt(w, vf_set(5.0f)), p, q));
}

static void noise(const fnn_instr *in, const fnn_run *run) {
    const float *v = in->p[0] ? in->p[0] : in->p[1], *x = in->p[1];
    float *y = in->p[2];
    int64_t n = in->d[0], ldv = in->p[0] ? in->d[1] : in->d[2], ldx = in->d[2], ldy = in->d[3], kind = in->d[6];
    int64_t width = fnn_round_up(n, FNN_ALIGN_FLOATS), begin, end;
    vf low = vf_set(in->s[0]), high = vf_set(in->s[1]), range = vf_set(in->s[1] - in->s[0]), one = vf_set(1.0f);
    noise_words words = {.generator = noise_stream(in, run, 4), .drawn = -1};
    fnn_split(run->samples * in->rows_per_sample, 1, run->thread, run->threads, &begin, &end);
    for (int64_t r = begin; r < end; r++)
        for (int64_t j = 0; j < width; j += VF) {
            const uint32_t *w = noise_at(&words, r * width + j);
            vf value = vf_load(x + r * ldx + j);
            if (kind == NOISE_ADD) value = vf_fma(high, noise_normal(w), value);
            else if (kind == NOISE_SCALE) value = vf_mul(value, vf_fma(high, noise_normal(w), one));
            else {
                vf slope = vf_fma(range, noise_uniform(w), low);
                value = vf_select(vf_lt(vf_zero(), vf_load(v + r * ldv + j)), value, vf_mul(value, slope));
            }
            vf_store(y + r * ldy + j, vf_select(vf_inside(j, n), value, vf_zero()));
        }
}

static void masked_forward(const fnn_instr *in, const fnn_run *run) {
    enum { N, LDX, LDY, STREAM, OWN_SEED, NOISE_N, NOISE_ROWS, SHARED_BATCH };
    const float *x = in->p[0];
    const int32_t *map = in->p[1];
    float *y = in->p[2];
    uint16_t *mask = in->p[3];
    vf scale = vf_set(in->s[1]), shift = vf_set(in->s[2]), dropped = vf_set(in->s[3]);
    int64_t n = in->d[N], ldx = in->d[LDX], ldy = in->d[LDY],
            chunks = fnn_round_up(n, FNN_ALIGN_FLOATS) / FNN_ALIGN_FLOATS;
    int64_t noise_n = in->d[NOISE_N], noise_width = fnn_round_up(noise_n, FNN_ALIGN_FLOATS), per = in->rows_per_sample;
    int32_t last_dropped = (int32_t)((int64_t)(in->s[0] * 0x1p31) - 1);
    int64_t begin, end;
    noise_words words = {.generator = noise_stream(in, run, STREAM), .drawn = -1};
    uint32_t same[FNN_ALIGN_FLOATS];
    fnn_split(run->samples * per, 1, run->thread, run->threads, &begin, &end);
    for (int64_t r = begin; r < end; r++) {
        int64_t row = map ? map[r % per] : r % per;
        if (!in->d[SHARED_BATCH]) row += r / per * in->d[NOISE_ROWS];
        if (noise_n == 1)
            for (int i = 0; i < FNN_ALIGN_FLOATS; i++) same[i] = *noise_at(&words, row * noise_width);
        for (int64_t c = 0; c < chunks; c++) {
            int bits = 0;
            const uint32_t *w = noise_n == 1 ? same : noise_at(&words, row * noise_width + c * FNN_ALIGN_FLOATS);
            for (int64_t j = 0; j < FNN_ALIGN_FLOATS; j += VF) {
                int64_t at = c * FNN_ALIGN_FLOATS + j;
                vi word = vi_and(vi_shr(vi_bits(vf_load((const float *)(const void *)(w + j))), 1), vi_set(INT32_MAX));
                vi keep = vi_shr(vi_sub(vi_set(last_dropped), word), 31);
                vf value = vf_fma(vf_load(x + r * ldx + at), scale, shift);
                vf_store(y + r * ldy + at, vf_select(vf_lt(vf_of(keep), vf_zero()), value, dropped));
                bits |= vi_signs(keep) << j;
            }
            mask[r * chunks + c] = (uint16_t)bits;
        }
    }
}

#define fnn_op_noise {"noise", "v? x y", "n ldv ldx ldy stream own_seed kind", "low high", noise}
#define fnn_op_masked_forward                                                                                      \
    {"masked_forward", "x map? y mask", "n ldx ldy stream own_seed noise_n noise_rows shared_batch",                \
     "rate scale shift dropped", masked_forward}
