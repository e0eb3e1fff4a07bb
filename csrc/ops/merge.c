/* Two matrices of one shape, value by value (Add, Subtract, Multiply, Average, Maximum, Minimum).
 *
 *   merge_forward:   y[rows][n] = (a op b) * scale                   y may be a or b
 *   merge_backward:  dx[rows][n] = dy * scale * d(x op other)/dx     dx may be dy; sums and differences need no x, other
 *
 * A maximum is NaN where one of the two is; where both are equal, each gets half of the gradient, as in Keras on JAX.
 */
enum { MERGE_ADD, MERGE_SUBTRACT, MERGE_MULTIPLY, MERGE_MAXIMUM, MERGE_MINIMUM };

static inline vf vf_or_nan(vf result, vf a) { return vf_select(vf_eq(a, a), result, a); } /* b's NaN came through */

/* What products and sums of padding are must not grow beyond all bounds. */
static inline void zero_padding(float *row, int64_t n) {
    for (int64_t j = n; j % FNN_ALIGN_FLOATS; j++) row[j] = 0.0f;
}

#define MERGE_ROWS(expression)                                                                                         \
    for (int64_t r = begin; r < end; r++) {                                                                            \
        for (int64_t j = 0; j < n; j += VF) {                                                                          \
            vf a = vf_load(pa + r * lda + j), b = vf_load(pb + r * ldb + j);                                           \
            vf_store(py + r * ldy + j, vf_mul(expression, scale));                                                     \
        }                                                                                                              \
        zero_padding(py + r * ldy, n);                                                                                 \
    }

static void merge_forward(const fnn_instr *in, const fnn_run *run) {
    const float *pa = in->p[0], *pb = in->p[1];
    float *py = in->p[2];
    int64_t n = in->d[0], lda = in->d[1], ldb = in->d[2], ldy = in->d[3], begin, end;
    vf scale = vf_set(in->s[0]);
    fnn_split(run->samples * in->rows_per_sample, 1, run->thread, run->threads, &begin, &end);
    switch (in->d[4]) {
    case MERGE_ADD: MERGE_ROWS(vf_add(a, b)) break;
    case MERGE_SUBTRACT: MERGE_ROWS(vf_sub(a, b)) break;
    case MERGE_MULTIPLY: MERGE_ROWS(vf_mul(a, b)) break;
    case MERGE_MAXIMUM: MERGE_ROWS(vf_or_nan(vf_max(a, b), a)) break;
    default: MERGE_ROWS(vf_or_nan(vf_min(a, b), a)) break;
    }
}

/* 1 where x wins, 1/2 where both are equal, else 0. */
static inline vf merge_share(vm wins, vf x, vf other) {
    return vf_select(wins, vf_set(1.0f), vf_select(vf_eq(x, other), vf_set(0.5f), vf_zero()));
}

static void merge_backward(const fnn_instr *in, const fnn_run *run) {
    const float *x = in->p[0], *other = in->p[1], *dy = in->p[2];
    float *dx = in->p[3];
    int64_t n = in->d[0], ldx = in->d[1], ldo = in->d[2], lddy = in->d[3], lddx = in->d[4], op = in->d[5], begin, end;
    vf scale = vf_set(in->s[0]);
    fnn_split(run->samples * in->rows_per_sample, 1, run->thread, run->threads, &begin, &end);
    for (int64_t r = begin; r < end; r++) {
        for (int64_t j = 0; j < n; j += VF) {
            vf d = vf_mul(vf_load(dy + r * lddy + j), scale);
            if (op >= MERGE_MULTIPLY) {
                vf o = vf_load(other + r * ldo + j);
                if (op == MERGE_MULTIPLY) {
                    d = vf_mul(d, o);
                } else {
                    vf v = vf_load(x + r * ldx + j);
                    d = vf_mul(d, merge_share(op == MERGE_MAXIMUM ? vf_lt(o, v) : vf_lt(v, o), v, o));
                }
            }
            vf_store(dx + r * lddx + j, d);
        }
        zero_padding(dx + r * lddx, n);
    }
}

#define fnn_op_merge_forward {"merge_forward", "a b y", "n lda ldb ldy function", "scale", merge_forward}
#define fnn_op_merge_backward                                                                                          \
    {"merge_backward", "x? other? dy dx", "n ldx ldother lddy lddx function", "scale", merge_backward}
