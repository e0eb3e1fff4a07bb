/* ReLU with learned slopes.
 *
 *   prelu:           y[rows][n] = v > 0 ? x : v < 0 ? alpha * x : 0 (PReLU: He et al., 2015). Forward: v = x; backward:
 *                    x = dy, y = dx, v = the forward pass's x. At 0 the gradient is 0, as in Keras. y may be x.
 *   prelu_gradient:  dalpha += sum of dy * min(x, 0) over the rows (and columns) that share it
 *
 * alpha is C-contiguous, alpha_n (n, or 1: shared by all columns) values a row; row r of the matrix takes row
 * map[r % rows_per_sample] of alpha (map NULL: the only one). Threads share out the values of alpha, never a sum.
 */
static inline vf prelu_slopes(const float *alpha, int64_t alpha_n, int64_t j, int64_t n) {
    if (alpha_n == 1) return vf_set(*alpha);
    return j + VF <= n ? vf_load(alpha + j) : j < n ? vf_load_n(alpha + j, (int)(n - j)) : vf_zero();
}

static void prelu(const fnn_instr *in, const fnn_run *run) {
    const float *v = in->p[0], *x = in->p[1], *alpha = in->p[2];
    const int32_t *map = in->p[3];
    float *y = in->p[4];
    int64_t n = in->d[0], ldv = in->d[1], ldx = in->d[2], ldy = in->d[3], alpha_n = in->d[4], begin, end;
    fnn_split(run->samples * in->rows_per_sample, 1, run->thread, run->threads, &begin, &end);
    for (int64_t r = begin; r < end; r++) {
        const float *a = alpha + (map ? map[r % in->rows_per_sample] * alpha_n : 0);
        for (int64_t j = 0; j < fnn_round_up(n, FNN_ALIGN_FLOATS); j += VF) {
            vf from = vf_load(v + r * ldv + j), value = vf_load(x + r * ldx + j);
            vf other = vf_select(vf_eq(from, vf_zero()), vf_zero(), value);
            vf slope = prelu_slopes(a, alpha_n, j, n);
            value = vf_select(vf_lt(from, vf_zero()), vf_mul(slope, value), other);
            vf_store(y + r * ldy + j, vf_select(vf_inside(j, n), value, vf_zero()));
        }
    }
}

static inline vf prelu_part(const float *x, const float *dy, int64_t j, int64_t n) { /* dy * min(x, 0), 0 past n */
    vf v = vf_load(x + j);
    vm counts = vf_lt(v, vf_zero());
    return vf_select(vf_inside(j, n), vf_select(counts, vf_mul(vf_load(dy + j), v), vf_zero()), vf_zero());
}

static void prelu_gradient(const fnn_instr *in, const fnn_run *run) {
    const float *x = in->p[0], *dy = in->p[1];
    const int32_t *map = in->p[2];
    float *dalpha = in->p[3];
    int64_t n = in->d[0], ldx = in->d[1], lddy = in->d[2], alpha_n = in->d[3], alpha_rows = in->d[4], begin, end;
    int64_t rows = run->samples * in->rows_per_sample, per = in->rows_per_sample;
    if (alpha_n == 1 && n > 1) { /* this thread's rows of alpha */
        fnn_split(alpha_rows, 1, run->thread, run->threads, &begin, &end);
        if (!in->d[5]) memset(dalpha + begin, 0, sizeof(float) * (size_t)(end - begin));
        for (int64_t r = 0; r < rows; r++) {
            int64_t row = map ? map[r % per] : 0;
            if (row < begin || row >= end) continue;
            vf sum = vf_zero();
            for (int64_t j = 0; j < n; j += VF) sum = vf_add(sum, prelu_part(x + r * ldx, dy + r * lddy, j, n));
            dalpha[row] += vf_sum(sum);
        }
        return;
    }
    fnn_split(n, FNN_ALIGN_FLOATS, run->thread, run->threads, &begin, &end); /* this thread's columns */
    if (!in->d[5])
        for (int64_t r = 0; r < alpha_rows; r++)
            for (int64_t j = begin; j < end; j++) dalpha[r * n + j] = 0.0f;
    for (int64_t r = 0; r < rows; r++) {
        float *sums = dalpha + (map ? map[r % per] * n : 0);
        for (int64_t j = begin; j < end; j += VF) {
            vf part = prelu_part(x + r * ldx, dy + r * lddy, j, n);
            if (j + VF <= end) vf_store(sums + j, vf_add(vf_load(sums + j), part));
            else vf_store_n(sums + j, (int)(end - j), vf_add(vf_load_n(sums + j, (int)(end - j)), part));
        }
    }
}

static int prelu_check(const fnn_instr *in, const fnn_place *places) {
    const fnn_place *alpha = &places[2], *map = &places[3];
    int64_t n = in->d[0], alpha_n = in->d[4], rows = 1;
    if (alpha_n != 1 && alpha_n != n) return 0;
    if (!fnn_absent(map)) {
        const int32_t *row = map->data;
        if (!row || map->fixed < in->rows_per_sample) return 0;
        for (int64_t r = 0; r < in->rows_per_sample; r++) {
            if (row[r] < 0) return 0;
            rows = row[r] >= rows ? (int64_t)row[r] + 1 : rows;
        }
    }
    return fnn_times(rows, alpha_n) <= alpha->fixed && fnn_reads(in, &places[0], n, in->d[1]) &&
           fnn_reads(in, &places[1], n, in->d[2]) && fnn_writes(in, &places[4], n, in->d[3]);
}

#define fnn_op_prelu {"prelu", "v x alpha map? y", "n ldv ldx ldy alpha_n", "", prelu, prelu_check}
#define fnn_op_prelu_gradient                                                                                       \
    {"prelu_gradient", "x dy map? dalpha", "n ldx lddy alpha_n alpha_rows accumulate", "", prelu_gradient}
