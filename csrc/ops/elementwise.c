/* y[rows][n] = a[rows][n] + b[rows][n], for gradients that meet and for residual connections. y may be a or b. */
static void add(const fnn_instr *in, const fnn_run *run) {
    const float *a = in->p[0], *b = in->p[1];
    float *y = in->p[2];
    int64_t n = in->d[0], lda = in->d[1], ldb = in->d[2], ldy = in->d[3];
    int64_t begin, end;
    fnn_split(run->samples * in->rows_per_sample, 1, run->thread, run->threads, &begin, &end);
    for (int64_t r = begin; r < end; r++)
        for (int64_t j = 0; j < n; j += VF)
            vf_store(y + r * ldy + j, vf_add(vf_load(a + r * lda + j), vf_load(b + r * ldb + j)));
}

static int add_check(const fnn_instr *in, const fnn_place *places) {
    int64_t n = in->d[0];
    return fnn_reads(in, &places[0], n, in->d[1]) && fnn_reads(in, &places[1], n, in->d[2]) &&
           fnn_writes(in, &places[2], n, in->d[3]);
}

#define fnn_op_add {"add", "a b y", "n lda ldb ldy", "", add, add_check}

/* y[n] = x[n], vectors: values that a step computes early and the model takes over when the step commits. */
static void copy_vector(const fnn_instr *in, const fnn_run *run) {
    if (run->thread == 0) memcpy(in->p[1], in->p[0], sizeof(float) * (size_t)in->d[0]);
}

#define fnn_op_copy_vector {"copy_vector", "x y", "n", "", copy_vector}
