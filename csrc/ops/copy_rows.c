/* Values into the rows of a frozen network, and out of them.
 *
 *   copy_rows:  y[rows][n] = x[rows][n], zeros from n on up to a whole vector or to ldy, whichever comes first
 *
 * Rows need no padding: exactly n floats of a row of x are read.
 */
static void copy_rows(const fnn_instr *in, const fnn_run *run) {
    const float *x = in->p[0];
    float *y = in->p[1];
    int64_t n = in->d[0], ldx = in->d[1], ldy = in->d[2], padded = fnn_round_up(n, FNN_ALIGN_FLOATS), begin, end;
    fnn_split(run->samples * in->rows_per_sample, 1, run->thread, run->threads, &begin, &end);
    if (padded > ldy) padded = ldy;
    if (ldx == n && ldy == n) { /* without gaps */
        memmove(y + begin * n, x + begin * n, sizeof(float) * (size_t)((end - begin) * n));
        return;
    }
    for (int64_t r = begin; r < end; r++) {
        const float *from = x + r * ldx;
        float *to = y + r * ldy;
        int64_t j = 0;
        for (; j + VF <= n; j += VF) vf_store(to + j, vf_load(from + j));
        if (j < n) vf_store_n(to + j, (int)(n - j), vf_load_n(from + j, (int)(n - j)));
        for (j = n; j < padded; j++) to[j] = 0.0f;
    }
}

static int copy_rows_check(const fnn_instr *in, const fnn_place *places) {
    int64_t n = in->d[0], ldx = in->d[1], ldy = in->d[2];
    return n >= 1 && n <= ldx && n <= ldy && in->rows_per_sample >= 1 && places[1].writable &&
           fnn_times(in->rows_per_sample, ldx) <= places[0].per_sample &&
           fnn_times(in->rows_per_sample, ldy) <= places[1].per_sample;
}

#define fnn_op_copy_rows {"copy_rows", "x y", "n ldx ldy", "", copy_rows, copy_rows_check}
