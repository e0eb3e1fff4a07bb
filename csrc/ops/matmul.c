/* Products of matrices that are both values of a sample, or of none.
 *
 *   matmul:  y[g][m][n] = a[g][m][k] . b[g][k][n]      g: samples times `groups`; b_groups 0: the same b for each
 *
 * Each element is one chain of fused multiply-adds in ascending order of k. Rows of b are read as they lie; products
 * with a weight matrix are dense_forward's. y is 0 in the padding.
 */
enum { MATMUL_ROWS = 4 };

static void matmul_tile(const float *a, int64_t lda, int rows, const float *b, int64_t ldb, int64_t k, float *y,
                        int64_t ldy, vm inside) {
    vf c0 = vf_zero(), c1 = c0, c2 = c0, c3 = c0;
    const float *a1 = a + (rows > 1 ? lda : 0), *a2 = a + (rows > 2 ? 2 * lda : 0), *a3 = a + (rows > 3 ? 3 * lda : 0);
    for (int64_t i = 0; i < k; i++) {
        vf v = vf_load(b + i * ldb);
        c0 = vf_fma(vf_set(a[i]), v, c0);
        c1 = vf_fma(vf_set(a1[i]), v, c1);
        c2 = vf_fma(vf_set(a2[i]), v, c2);
        c3 = vf_fma(vf_set(a3[i]), v, c3);
    }
    vf_store(y, vf_select(inside, c0, vf_zero()));
    if (rows > 1) vf_store(y + ldy, vf_select(inside, c1, vf_zero()));
    if (rows > 2) vf_store(y + 2 * ldy, vf_select(inside, c2, vf_zero()));
    if (rows > 3) vf_store(y + 3 * ldy, vf_select(inside, c3, vf_zero()));
}

static void matmul(const fnn_instr *in, const fnn_run *run) {
    const float *a = in->p[0], *b = in->p[1];
    float *y = in->p[2];
    int64_t m = in->d[0], k = in->d[1], n = in->d[2], lda = in->d[3], ldb = in->d[4], ldy = in->d[5], begin, end;
    int64_t groups = in->d[6] * (in->rows_per_sample ? run->samples : 1);
    int64_t a_step = in->d[7] * m * lda, b_step = in->d[8] * k * ldb, padded = fnn_round_up(n, FNN_ALIGN_FLOATS);
    fnn_split(groups, 1, run->thread, run->threads, &begin, &end);
    for (int64_t g = begin; g < end; g++)
        for (int64_t i = 0; i < m; i += MATMUL_ROWS)
            for (int64_t j = 0; j < padded; j += VF)
                matmul_tile(a + g * a_step + i * lda, lda, (int)(m - i < MATMUL_ROWS ? m - i : MATMUL_ROWS),
                            b + g * b_step + j, ldb, k, y + (g * m + i) * ldy + j, ldy, vf_inside(j, n));
}

#define fnn_op_matmul {"matmul", "a b y", "height k n lda ldb ldy groups a_groups b_groups", "", matmul}
