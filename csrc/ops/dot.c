/* Products of two matrices of each sample, and rows of length 1 (Dot).
 *
 *   dot_forward:         y[m][n] = sum over k of a[m][k] * b[n][k], for each sample
 *   dot_backward:        dx[m][k] = sum over n of dy[m][n] * other[n][k]; transposed: of dy[n][m] * other[n][k]
 *   unit_rows_forward:   y[rows][n] = x / max(|x|, least), norm[rows] = max(|x|, least), |x| being Euclid's norm
 *   unit_rows_backward:  dx[rows][n] = (dy - y * sum(y * dy)) / norm; dy / norm where the norm was least
 */
static inline float dot_rows(const float *a, const float *b, int64_t n) {
    int64_t blocks = n - n % VF;
    vf sum = vf_mul(vf_load_n(a + blocks, (int)(n - blocks)), vf_load_n(b + blocks, (int)(n - blocks)));
    for (int64_t j = 0; j < blocks; j += VF) sum = vf_fma(vf_load(a + j), vf_load(b + j), sum);
    return vf_sum(sum);
}

static void dot_forward(const fnn_instr *in, const fnn_run *run) {
    int64_t m = in->d[0], n = in->d[1], k = in->d[2], lda = in->d[3], ldb = in->d[4], ldy = in->d[5], begin, end;
    fnn_split(run->samples, 1, run->thread, run->threads, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        const float *a = (const float *)in->p[0] + i * m * lda, *b = (const float *)in->p[1] + i * n * ldb;
        float *y = (float *)in->p[2] + i * m * ldy;
        for (int64_t r = 0; r < m; r++) {
            for (int64_t c = 0; c < n; c++) y[r * ldy + c] = dot_rows(a + r * lda, b + c * ldb, k);
            zero_padding(y + r * ldy, n);
        }
    }
}

static void dot_backward(const fnn_instr *in, const fnn_run *run) {
    int64_t m = in->d[0], n = in->d[1], k = in->d[2], lddy = in->d[3], ldo = in->d[4], lddx = in->d[5], begin, end;
    int64_t along_m = in->d[6] ? 1 : lddy, along_n = in->d[6] ? lddy : 1, rows = in->d[6] ? n : m;
    fnn_split(run->samples, 1, run->thread, run->threads, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        const float *dy = (const float *)in->p[0] + i * rows * lddy, *other = (const float *)in->p[1] + i * n * ldo;
        float *dx = (float *)in->p[2] + i * m * lddx;
        for (int64_t r = 0; r < m; r++) {
            for (int64_t j = 0; j < k; j += VF) {
                vf sum = vf_zero();
                for (int64_t c = 0; c < n; c++)
                    sum = vf_fma(vf_set(dy[r * along_m + c * along_n]), vf_load(other + c * ldo + j), sum);
                vf_store(dx + r * lddx + j, sum);
            }
            zero_padding(dx + r * lddx, k);
        }
    }
}

static void unit_rows_forward(const fnn_instr *in, const fnn_run *run) {
    const float *x = in->p[0];
    float *y = in->p[1], *norm = in->p[2];
    int64_t n = in->d[0], ldx = in->d[1], ldy = in->d[2], begin, end;
    fnn_split(run->samples * in->rows_per_sample, 1, run->thread, run->threads, &begin, &end);
    for (int64_t r = begin; r < end; r++) {
        float length = sqrtf(dot_rows(x + r * ldx, x + r * ldx, n));
        norm[r] = length < in->s[0] ? in->s[0] : length;
        vf divisor = vf_set(norm[r]);
        for (int64_t j = 0; j < n; j += VF) vf_store(y + r * ldy + j, vf_div(vf_load(x + r * ldx + j), divisor));
        zero_padding(y + r * ldy, n);
    }
}

static void unit_rows_backward(const fnn_instr *in, const fnn_run *run) {
    const float *y = in->p[0], *norm = in->p[1], *dy = in->p[2];
    float *dx = in->p[3];
    int64_t n = in->d[0], ldy = in->d[1], lddy = in->d[2], lddx = in->d[3], begin, end;
    fnn_split(run->samples * in->rows_per_sample, 1, run->thread, run->threads, &begin, &end);
    for (int64_t r = begin; r < end; r++) {
        vf part = vf_set(norm[r] > in->s[0] ? dot_rows(y + r * ldy, dy + r * lddy, n) : 0.0f), size = vf_set(norm[r]);
        for (int64_t j = 0; j < n; j += VF) {
            vf d = vf_fnma(vf_load(y + r * ldy + j), part, vf_load(dy + r * lddy + j));
            vf_store(dx + r * lddx + j, vf_div(d, size));
        }
        zero_padding(dx + r * lddx, n);
    }
}

#define fnn_op_dot_forward {"dot_forward", "a b y", "rows_a rows_b k lda ldb ldy", "", dot_forward}
#define fnn_op_dot_backward {"dot_backward", "dy other dx", "rows_x rows_other k lddy ldother lddx transposed", "", dot_backward}
#define fnn_op_unit_rows_forward {"unit_rows_forward", "x y norm", "n ldx ldy", "least", unit_rows_forward}
#define fnn_op_unit_rows_backward                                                                                      \
    {"unit_rows_backward", "y norm dy dx", "n ldy lddy lddx", "least", unit_rows_backward}
