/* Samples as boxes of up to 5 axes, walked by strides: transposed, repeated, put together from parts.
 *
 * A box has the sizes s0 ... s4; x0 ... x4 and y0 ... y4 are the steps, in floats, from one value to the next along each
 * axis of x and of y; x_sample and y_sample those from one sample to the next; x_first and y_first where it begins.
 *
 *   rearrange:      y[i] = x[i] for all i of the box; y4 is 1, and `pad` zeros are written after each row of s4 values.
 *                   A step of 0 in x repeats.
 *   rearrange_sum:  y = 0, then y[i] += x[i]; x4 is 1. A step of 0 in y sums up: the gradient of what repeats.
 */
enum { BOX_SIZE, BOX_X = 5, BOX_Y = 10, BOX_SAMPLE = 15, BOX_FIRST = 17, BOX_PAD = 19 };
#define BOX_DIMS "s0 s1 s2 s3 s4 x0 x1 x2 x3 x4 y0 y1 y2 y3 y4 x_sample y_sample x_first y_first pad"

/* The two innermost axes: m rows of n values each. */
static void copy_plane(const float *x, float *y, int64_t m, int64_t n, int64_t xm, int64_t xn, int64_t ym) {
    int64_t i = 0, blocks = n - n % VF;
    if (xm == 1 && xn != 1) /* transposed, by blocks in registers */
        for (; i + VF <= m; i += VF) {
            for (int64_t j = 0; j < blocks; j += VF) vf_transpose(x + i + j * xn, xn, VF, y + i * ym + j, ym);
            for (int64_t r = i; r < i + VF; r++)
                for (int64_t j = blocks; j < n; j++) y[r * ym + j] = x[r + j * xn];
        }
    for (; i < m; i++) {
        const float *from = x + i * xm;
        float *to = y + i * ym;
        if (xn == 1) {
            for (int64_t j = 0; j < blocks; j += VF) vf_store(to + j, vf_load(from + j));
            if (blocks < n) vf_store_n(to + blocks, (int)(n - blocks), vf_load_n(from + blocks, (int)(n - blocks)));
        } else {
            for (int64_t j = 0; j < n; j++) to[j] = from[j * xn];
        }
    }
}

static void rearrange(const fnn_instr *in, const fnn_run *run) {
    int64_t s[5], xs[5], ys[5], begin, end, pad = in->d[BOX_PAD];
    for (int a = 0; a < 5; a++) s[a] = in->d[BOX_SIZE + a], xs[a] = in->d[BOX_X + a], ys[a] = in->d[BOX_Y + a];
    for (int a = 0; a < 3; a++) /* the axis along which x is contiguous is the last but one */
        if (xs[a] == 1 && s[a] > 1) {
            int64_t size = s[a], step_x = xs[a], step_y = ys[a];
            s[a] = s[3], xs[a] = xs[3], ys[a] = ys[3];
            s[3] = size, xs[3] = step_x, ys[3] = step_y;
        }
    fnn_split(run->samples, 1, run->thread, run->threads, &begin, &end);
    for (int64_t i = begin; i < end; i++)
        for (int64_t a = 0; a < s[0]; a++)
            for (int64_t b = 0; b < s[1]; b++)
                for (int64_t c = 0; c < s[2]; c++) {
                    int64_t from = i * in->d[BOX_SAMPLE] + in->d[BOX_FIRST] + a * xs[0] + b * xs[1] + c * xs[2];
                    int64_t to = i * in->d[BOX_SAMPLE + 1] + in->d[BOX_FIRST + 1] + a * ys[0] + b * ys[1] + c * ys[2];
                    float *y = (float *)in->p[1] + to;
                    copy_plane((const float *)in->p[0] + from, y, s[3], s[4], xs[3], xs[4], ys[3]);
                    if (pad)
                        for (int64_t d = 0; d < s[3]; d++) memset(y + d * ys[3] + s[4], 0, sizeof(float) * (size_t)pad);
                }
}

static void add_row(const float *x, float *y, int64_t n, int64_t step) {
    int64_t blocks = n - n % VF;
    int rest = (int)(n - blocks);
    if (step == 0) { /* one sum */
        vf sum = vf_load_n(x + blocks, rest);
        for (int64_t j = 0; j < blocks; j += VF) sum = vf_add(sum, vf_load(x + j));
        *y += vf_sum(sum);
    } else if (step == 1) {
        for (int64_t j = 0; j < blocks; j += VF) vf_store(y + j, vf_add(vf_load(y + j), vf_load(x + j)));
        if (rest) vf_store_n(y + blocks, rest, vf_add(vf_load_n(y + blocks, rest), vf_load_n(x + blocks, rest)));
    } else {
        for (int64_t j = 0; j < n; j++) y[j * step] += x[j];
    }
}

static void rearrange_sum(const fnn_instr *in, const fnn_run *run) {
    const int64_t *s = in->d + BOX_SIZE, *xs = in->d + BOX_X, *ys = in->d + BOX_Y;
    int64_t begin, end, x_sample = in->d[BOX_SAMPLE], y_sample = in->d[BOX_SAMPLE + 1];
    fnn_split(run->samples, 1, run->thread, run->threads, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        const float *x = (const float *)in->p[0] + i * x_sample + in->d[BOX_FIRST];
        float *y = (float *)in->p[1] + i * y_sample;
        memset(y, 0, sizeof(float) * (size_t)y_sample);
        y += in->d[BOX_FIRST + 1];
        for (int64_t a = 0; a < s[0]; a++)
            for (int64_t b = 0; b < s[1]; b++)
                for (int64_t c = 0; c < s[2]; c++)
                    for (int64_t d = 0; d < s[3]; d++)
                        add_row(x + a * xs[0] + b * xs[1] + c * xs[2] + d * xs[3],
                                y + a * ys[0] + b * ys[1] + c * ys[2] + d * ys[3], s[4], ys[4]);
    }
}

#define fnn_op_rearrange {"rearrange", "x y", BOX_DIMS, "", rearrange}
#define fnn_op_rearrange_sum {"rearrange_sum", "x y", BOX_DIMS, "", rearrange_sum}
