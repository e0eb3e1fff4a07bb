/* y = x * scale + shift, feature by feature (Normalization, Rescaling, a frozen batch norm that could not be folded).
 *
 *   affine_forward:   y[rows][n] = x[rows][n] * scale[n] + shift[n]
 *   affine_backward:  dx[rows][n] = dy[rows][n] * scale[n]
 *
 * scale NULL is 1, shift NULL is 0; where they are trained, column_gradients (rownorm.c) has their gradients.
 */
enum { AFFINE_X, AFFINE_SCALE, AFFINE_SHIFT, AFFINE_Y };
enum { AFFINE_N, AFFINE_LDX, AFFINE_LDY };

static void affine_forward(const fnn_instr *in, const fnn_run *run) {
    const float *x = in->p[AFFINE_X], *scale = in->p[AFFINE_SCALE], *shift = in->p[AFFINE_SHIFT];
    float *y = in->p[AFFINE_Y];
    int64_t n = in->d[AFFINE_N], ldx = in->d[AFFINE_LDX], ldy = in->d[AFFINE_LDY];
    int64_t begin, end;
    fnn_split(run->samples * in->rows_per_sample, 1, run->thread, run->threads, &begin, &end);
    for (int64_t r = begin; r < end; r++)
        for (int64_t j = 0; j < n; j += VF)
            vf_store(y + r * ldy + j, vf_fma(vf_load(x + r * ldx + j), scale ? vf_load(scale + j) : vf_set(1.0f),
                                             shift ? vf_load(shift + j) : vf_zero()));
}

static void affine_backward(const fnn_instr *in, const fnn_run *run) {
    const float *dy = in->p[0], *scale = in->p[1];
    float *dx = in->p[2];
    int64_t n = in->d[0], lddy = in->d[1], lddx = in->d[2];
    int64_t begin, end;
    fnn_split(run->samples * in->rows_per_sample, 1, run->thread, run->threads, &begin, &end);
    for (int64_t r = begin; r < end; r++)
        for (int64_t j = 0; j < n; j += VF)
            vf_store(dx + r * lddx + j, vf_mul(vf_load(dy + r * lddy + j), scale ? vf_load(scale + j) : vf_set(1.0f)));
}

static int affine_check(const fnn_instr *in, const fnn_place *places) {
    int64_t n = in->d[AFFINE_N];
    return fnn_reads(in, &places[AFFINE_X], n, in->d[AFFINE_LDX]) && fnn_vector_or_none(&places[AFFINE_SCALE], n) &&
           fnn_vector_or_none(&places[AFFINE_SHIFT], n) && fnn_writes(in, &places[AFFINE_Y], n, in->d[AFFINE_LDY]);
}

#define fnn_op_affine_forward {"affine_forward", "x scale? shift? y", "n ldx ldy", "", affine_forward, affine_check}
#define fnn_op_affine_backward {"affine_backward", "dy scale? dx", "n lddy lddx", "", affine_backward}
