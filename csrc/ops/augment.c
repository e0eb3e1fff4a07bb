/* Random changes of images, one draw for each sample. An image is one row of height x width x channels values.
 *
 *   random_warp:       y[samples][h * w * c]: x moved, turned, enlarged or mirrored; kinds below
 *   random_intensity:  y = x with another contrast or brightness, clipped to [low, high]
 *   mixup:             y[rows] = lambda x + (1 - lambda) x of another sample of the batch (Zhang et al., ICLR 2018)
 *   replace_features:  y[rows][n] = x, but with probability `rate`, for each value alone, what stands in its place in
 *                      another sample of the batch, or, given sums[rows_per_sample][n] over the batch, their mean
 *
 * Sample i draws from the words of group i of its stream (random.h), u[k] = (upper 24 bits of word k) / 2^24:
 *   WARP_FLIP          mirrored in a: width, b: height (both at once) if u[0] <= 1/2
 *   WARP_TRANSLATE     by width * between(a, b)[1], height * between(c, d)[0]
 *   WARP_ROTATE        by 2 pi between(a, b)[0], counter-clockwise, about the centre
 *   WARP_ZOOM          height by 1 + between(a, b)[0], width by 1 + between(c, d)[1], or, if `uniform`, as height
 *   INTENSITY_CONTRAST (x - mean) * between(a, b)[0] + mean, the mean being each channel's
 *   INTENSITY_BRIGHTNESS x + between(a, b)[0] * (high - low)
 *   mixup              lambda ~ Beta(alpha, alpha) from u[0] and u[1]: Devroye, Non-Uniform Random Variate Generation,
 *                      1986, IX.3.4; the other sample is i + shift, round the batch, shift from group 0's word 2
 *   replace_features   value (r, j) by word number r * round_up(n, 16) + j of the stream: replaced if u < rate; u /
 *                      rate is uniform, too, and says by which of the other samples
 *   with between(lo, hi)[k] = lo + (hi - lo) u[k]. A warp is the affine map from a place of y to one of x that Keras
 *   makes of these numbers; between places x is read bilinearly or at the nearest.
 * A place outside of the image is filled as scipy.ndimage's modes say: constant, nearest, mirrored at the edge
 * (reflect), or wrapped.
 */
#include "../random.h"

enum { WARP_FLIP, WARP_TRANSLATE, WARP_ROTATE, WARP_ZOOM };
enum { FILL_CONSTANT, FILL_NEAREST, FILL_REFLECT, FILL_WRAP };
enum { INTENSITY_CONTRAST, INTENSITY_BRIGHTNESS };

/* The first uniform numbers of a sample. */
static inline void augment_draw(const philox *generator, int64_t sample, float u[3]) {
    uint32_t words[PHILOX_WORDS];
    philox_group(generator, (uint64_t)sample, words);
    for (int k = 0; k < 3; k++) u[k] = (float)(words[k] >> 8) * 0x1p-24f;
}

static inline float augment_between(float low, float high, float u) { return low + (high - low) * u; }

/* x = m[0] x + m[1] y + m[2], y = m[3] x + m[4] y + m[5]; computed in float64, so that every machine rounds alike. */
static void warp_matrix(const fnn_instr *in, const float u[3], int64_t h, int64_t w, double m[6]) {
    const float *s = in->s;
    double identity[6] = {1, 0, 0, 0, 1, 0}, cx = 0.5 * (double)(w - 1), cy = 0.5 * (double)(h - 1);
    memcpy(m, identity, sizeof identity);
    switch (in->d[3]) {
    case WARP_FLIP:
        if (u[0] > 0.5f) break;
        if (s[0] != 0.0f) m[0] = -1, m[2] = (double)(w - 1);
        if (s[1] != 0.0f) m[4] = -1, m[5] = (double)(h - 1);
        break;
    case WARP_TRANSLATE:
        m[5] = -(double)augment_between(s[0], s[1], u[0]) * (double)h;
        m[2] = -(double)augment_between(s[2], s[3], u[1]) * (double)w;
        break;
    case WARP_ROTATE: {
        double angle = 6.283185307179586 * (double)augment_between(s[0], s[1], u[0]), c = cos(angle), t = sin(angle);
        m[0] = c, m[1] = -t, m[2] = cx - c * cx + t * cy;
        m[3] = t, m[4] = c, m[5] = cy - t * cx - c * cy;
        break;
    }
    case WARP_ZOOM:
        m[4] = 1 + (double)augment_between(s[0], s[1], u[0]);
        m[0] = in->d[6] ? m[4] : 1 + (double)augment_between(s[2], s[3], u[1]);
        m[2] = cx * (1 - m[0]), m[5] = cy * (1 - m[4]);
        break;
    }
}

static inline int64_t warp_modulo(int64_t i, int64_t n) { return (i % n + n) % n; }

/* Where place i of a line of n values is read; -1: nowhere. */
static inline int64_t warp_place(int64_t i, int64_t n, int64_t fill) {
    if (i >= 0 && i < n) return i;
    switch (fill) {
    case FILL_NEAREST: return i < 0 ? 0 : n - 1;
    case FILL_WRAP: return warp_modulo(i, n);
    case FILL_REFLECT: i = warp_modulo(i, 2 * n); return i < n ? i : 2 * n - 1 - i;
    default: return -1;
    }
}

typedef struct warp_point {
    int64_t at[4]; /* of the image's places, -1 for the fill value */
    float weight[4];
    int count;
} warp_point;

static warp_point warp_read(double x, double y, int64_t h, int64_t w, int64_t fill, int64_t nearest) {
    warp_point p = {.count = nearest ? 1 : 4};
    double fx = nearest ? round(x) : floor(x), fy = nearest ? round(y) : floor(y);
    /* Beyond this, floats have no fraction, and places no meaning. */
    double far = 1e9;
    int64_t ix = (int64_t)(fx < -far  ? -far
                           : fx > far ? far
                                      : fx),
            iy = (int64_t)(fy < -far  ? -far
                           : fy > far ? far
                                      : fy);
    float tx = (float)(x - fx), ty = (float)(y - fy);
    for (int k = 0; k < p.count; k++) {
        int64_t px = warp_place(ix + k % 2, w, fill), py = warp_place(iy + k / 2, h, fill);
        p.at[k] = px < 0 || py < 0 ? -1 : py * w + px;
        p.weight[k] = nearest ? 1.0f : (k % 2 ? tx : 1.0f - tx) * (k / 2 ? ty : 1.0f - ty);
    }
    return p;
}

static void random_warp(const fnn_instr *in, const fnn_run *run) {
    enum { H, W, C, KIND, FILL, NEAREST, UNIFORM, STREAM, OWN_SEED, LDX, LDY };
    const float *x = in->p[0];
    float *y = in->p[1];
    int64_t h = in->d[H], w = in->d[W], c = in->d[C], begin, end;
    philox generator = noise_stream(in, run, STREAM);
    fnn_split(run->samples, 1, run->thread, run->threads, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        const float *from = x + i * in->d[LDX];
        float *to = y + i * in->d[LDY], u[3];
        double m[6];
        augment_draw(&generator, i, u);
        warp_matrix(in, u, h, w, m);
        for (int64_t row = 0; row < h; row++)
            for (int64_t col = 0; col < w; col++, to += c) {
                double px = m[0] * (double)col + m[1] * (double)row + m[2];
                double py = m[3] * (double)col + m[4] * (double)row + m[5];
                warp_point p = warp_read(px, py, h, w, in->d[FILL], in->d[NEAREST]);
                for (int64_t channel = 0; channel < c; channel++) {
                    float sum = 0.0f;
                    for (int k = 0; k < p.count; k++) {
                        if (p.weight[k] == 0.0f) continue; /* infinity * 0 */
                        sum += p.weight[k] * (p.at[k] < 0 ? in->s[4] : from[p.at[k] * c + channel]);
                    }
                    to[channel] = sum;
                }
            }
        memset(to, 0, sizeof(float) * (size_t)(fnn_round_up(h * w * c, FNN_ALIGN_FLOATS) - h * w * c));
    }
}

static void random_intensity(const fnn_instr *in, const fnn_run *run) {
    enum { PIXELS, C, KIND, STREAM, OWN_SEED, LDX, LDY };
    const float *x = in->p[0];
    float *y = in->p[1], low = in->s[2], high = in->s[3];
    int64_t pixels = in->d[PIXELS], c = in->d[C], n = pixels * c, begin, end;
    philox generator = noise_stream(in, run, STREAM);
    fnn_split(run->samples, 1, run->thread, run->threads, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        const float *from = x + i * in->d[LDX];
        float *to = y + i * in->d[LDY], u[3];
        augment_draw(&generator, i, u);
        float drawn = augment_between(in->s[0], in->s[1], u[0]);
        for (int64_t channel = 0; channel < c; channel++) {
            float factor = 1.0f, shift = drawn * (high - low), mean = 0.0f;
            if (in->d[KIND] == INTENSITY_CONTRAST) {
                double sum = 0;
                for (int64_t p = channel; p < n; p += c) sum += (double)from[p];
                mean = (float)(sum / (double)pixels), factor = drawn, shift = mean;
            }
            for (int64_t p = channel; p < n; p += c) {
                float value = (from[p] - mean) * factor + shift;
                to[p] = value < low ? low : value > high ? high : value; /* NaN stays */
            }
        }
        memset(to + n, 0, sizeof(float) * (size_t)(fnn_round_up(n, FNN_ALIGN_FLOATS) - n));
    }
}

static void mixup(const fnn_instr *in, const fnn_run *run) {
    const float *x = in->p[0];
    float *y = in->p[1], u[3];
    int64_t n = in->d[0], ldx = in->d[1], ldy = in->d[2], per = in->rows_per_sample, begin, end;
    double power = -1.0 / (double)in->s[0];
    philox generator = noise_stream(in, run, 3);
    augment_draw(&generator, 0, u);
    int64_t shift = (int64_t)(u[2] * (float)run->samples);
    fnn_split(run->samples, 1, run->thread, run->threads, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        int64_t other = (i + shift) % run->samples;
        augment_draw(&generator, i, u);
        double angle = cos(6.283185307179586 * ((double)u[1] + 0x1p-25)), size = pow((double)u[0] + 0x1p-25, power) - 1;
        double half = 0.5 / sqrt(1 + 1 / (size * angle * angle));
        vf lambda = vf_set((float)(angle < 0 ? 0.5 - half : 0.5 + half)),
           rest = vf_set((float)(angle < 0 ? 0.5 + half : 0.5 - half));
        for (int64_t r = 0; r < per; r++)
            for (int64_t j = 0; j < fnn_round_up(n, FNN_ALIGN_FLOATS); j += VF) {
                vf a = vf_load(x + (i * per + r) * ldx + j), b = vf_load(x + (other * per + r) * ldx + j);
                vf value = vf_fma(lambda, a, vf_mul(rest, b));
                vf_store(y + (i * per + r) * ldy + j, vf_select(vf_inside(j, n), value, vf_zero()));
            }
    }
}

static void replace_features(const fnn_instr *in, const fnn_run *run) {
    const float *sums = in->p[0], *x = in->p[1];
    float *y = in->p[2], rate = in->s[0], others = (float)(run->samples - 1);
    int64_t n = in->d[0], ldsums = in->d[1], ldx = in->d[2], ldy = in->d[3], per = in->rows_per_sample, begin, end;
    int64_t width = fnn_round_up(n, FNN_ALIGN_FLOATS);
    noise_words words = {.generator = noise_stream(in, run, 4), .drawn = -1};
    fnn_split(run->samples * per, 1, run->thread, run->threads, &begin, &end);
    for (int64_t row = begin; row < end; row++) {
        int64_t sample = row / per, r = row % per;
        for (int64_t j = 0; j < n; j++) {
            float u = (float)(*noise_at(&words, row * width + j) >> 8) * 0x1p-24f;
            float value = x[row * ldx + j];
            if (u < rate && sums) {
                value = sums[r * ldsums + j] / (float)run->samples;
            } else if (u < rate && run->samples > 1) {
                int64_t step = (int64_t)(u / rate * others); /* rounded, the product may be `others` */
                step = step < run->samples - 1 ? step + 1 : run->samples - 1;
                value = x[((sample + step) % run->samples * per + r) * ldx + j];
            }
            y[row * ldy + j] = value;
        }
        memset(y + row * ldy + n, 0, sizeof(float) * (size_t)(width - n));
    }
}

#define fnn_op_random_warp                                                                                             \
    {"random_warp", "x y", "h w c kind fill nearest uniform stream own_seed ldx ldy", \
     "a b c_low c_high fill_value", random_warp}
#define fnn_op_random_intensity                                                                                        \
    {"random_intensity", "x y", "pixels c kind stream own_seed ldx ldy", "a b low high", random_intensity}
#define fnn_op_mixup {"mixup", "x y", "n ldx ldy stream own_seed", "alpha", mixup}
#define fnn_op_replace_features \
    {"replace_features", "sums? x y", "n ldsums ldx ldy stream own_seed", "rate", replace_features}
