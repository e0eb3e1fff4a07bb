/* Products of matrices that are both values of a sample, or of none.
 *
 *   matmul:  y[g][height][n] = a[g] . b[g]      g: samples times `groups`; b_groups 0: the same b for each
 *
 * a is height x k and b is k x n; `turned` 1: b is n x k, 2: a is k x height, and is read transposed. The sum is one
 * chain of fused multiply-adds in ascending order of k; with b turned it has a chain for each lane of a vector, and
 * those are added. Rows of b are read as they lie; products with a weight matrix are dense_forward's. y is 0 in the
 * padding.
 */
enum { MATMUL_ROWS = 4 };

/* `rows` rows of y, a vector of columns. From one row of a to the next it is `down` floats, along k `along`. */
static void matmul_tile(const float *a, int64_t down, int64_t along, int rows, const float *b, int64_t ldb, int64_t k,
                        float *y, int64_t ldy, vm inside) {
    vf c0 = vf_zero(), c1 = c0, c2 = c0, c3 = c0;
    const float *a1 = a + (rows > 1 ? down : 0), *a2 = a + (rows > 2 ? 2 * down : 0);
    const float *a3 = a + (rows > 3 ? 3 * down : 0);
    for (int64_t i = 0; i < k; i++) {
        vf v = vf_load(b + i * ldb);
        c0 = vf_fma(vf_set(a[i * along]), v, c0);
        c1 = vf_fma(vf_set(a1[i * along]), v, c1);
        c2 = vf_fma(vf_set(a2[i * along]), v, c2);
        c3 = vf_fma(vf_set(a3[i * along]), v, c3);
    }
    vf_store(y, vf_select(inside, c0, vf_zero()));
    if (rows > 1) vf_store(y + ldy, vf_select(inside, c1, vf_zero()));
    if (rows > 2) vf_store(y + 2 * ldy, vf_select(inside, c2, vf_zero()));
    if (rows > 3) vf_store(y + 3 * ldy, vf_select(inside, c3, vf_zero()));
}

static inline float dot_rows(const float *a, const float *b, int64_t n) {
    int64_t blocks = n - n % VF;
    vf sum = vf_mul(vf_load_n(a + blocks, (int)(n - blocks)), vf_load_n(b + blocks, (int)(n - blocks)));
    for (int64_t j = 0; j < blocks; j += VF) sum = vf_fma(vf_load(a + j), vf_load(b + j), sum);
    return vf_sum(sum);
}

static void matmul(const fnn_instr *in, const fnn_run *run) {
    int64_t m = in->d[0], k = in->d[1], n = in->d[2], lda = in->d[3], ldb = in->d[4], ldy = in->d[5], begin, end;
    int64_t groups = in->d[6] * (in->rows_per_sample ? run->samples : 1), turned = in->d[9];
    int64_t a_step = in->d[7] * (turned == 2 ? k : m) * lda, b_step = in->d[8] * (turned == 1 ? n : k) * ldb;
    int64_t down = turned == 2 ? 1 : lda, along = turned == 2 ? lda : 1, padded = fnn_round_up(n, FNN_ALIGN_FLOATS);
    fnn_split(groups, 1, run->thread, run->threads, &begin, &end);
    for (int64_t g = begin; g < end; g++) {
        const float *a = (const float *)in->p[0] + g * a_step, *b = (const float *)in->p[1] + g * b_step;
        float *y = (float *)in->p[2] + g * m * ldy;
        if (turned == 1)
            for (int64_t i = 0; i < m; i++) {
                for (int64_t j = 0; j < n; j++) y[i * ldy + j] = dot_rows(a + i * lda, b + j * ldb, k);
                memset(y + i * ldy + n, 0, sizeof(float) * (size_t)(padded - n));
            }
        else
            for (int64_t i = 0; i < m; i += MATMUL_ROWS)
                for (int64_t j = 0; j < padded; j += VF)
                    matmul_tile(a + i * down, down, along, (int)(m - i < MATMUL_ROWS ? m - i : MATMUL_ROWS), b + j, ldb,
                                k, y + i * ldy + j, ldy, vf_inside(j, n));
    }
}

/* The matrices of one operand: `groups` of them for each sample, or the same one for all. */
static int matmul_operand(const fnn_instr *in, const fnn_place *place, int64_t each, int64_t rows, int64_t n,
                          int64_t ld) {
    int64_t floats = each ? fnn_floats_of(in, place) : place->fixed ? place->fixed : place->per_sample;
    return each <= 1 && fnn_fits(floats, each ? fnn_times(in->d[6], rows) : rows, n, ld);
}

static int matmul_check(const fnn_instr *in, const fnn_place *places) {
    int64_t m = in->d[0], k = in->d[1], n = in->d[2], turned = in->d[9];
    return turned <= 2 &&
           matmul_operand(in, &places[0], in->d[7], turned == 2 ? k : m, turned == 2 ? m : k, in->d[3]) &&
           matmul_operand(in, &places[1], in->d[8], turned == 1 ? n : k, turned == 1 ? k : n, in->d[4]) &&
           places[2].writable && matmul_operand(in, &places[2], 1, m, n, in->d[5]);
}

#define fnn_op_matmul \
    {"matmul", "a b y", "height k n lda ldb ldy groups a_groups b_groups turned", "", matmul, matmul_check}
