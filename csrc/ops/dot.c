/* Products of two matrices of each sample (Dot).
 *
 *   dot_forward:    y[m][n] = sum over k of a[m][k] * b[n][k], for each sample
 *   dot_backward:   dx[m][k] = sum over n of dy[m][n] * other[n][k]; transposed: of dy[n][m] * other[n][k]
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

#define fnn_op_dot_forward {"dot_forward", "a b y", "rows_a rows_b k lda ldb ldy", "", dot_forward}
#define fnn_op_dot_backward {"dot_backward", "dy other dx", "rows_x rows_other k lddy ldother lddx transposed", "", dot_backward}
