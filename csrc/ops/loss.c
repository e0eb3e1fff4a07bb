/* Losses. Each writes row_loss[rows] = the loss of the row times its weight and, where asked for, the gradient of
 * scale * sum(row_loss) / rows with respect to its first operand (0 in the padding). weights[rows], or NULL for 1.
 *
 *   softmax_crossentropy_{sparse,dense}   z[rows][n] logits; y = softmax(z);  loss = -sum t log y
 *   crossentropy_{sparse,dense}           p[rows][n] probabilities; q = clip(p / sum p);  loss = -sum t log q
 *   accumulate                            acc[0] += sum(values * weight), acc[1] += sum(weight), in float64, one thread
 *
 * targets[rows][n], or labels[rows] with t the one-hot row. label_smoothing s: t (1 - s) + s / n. y may be z. The clip
 * is to [1e-7, 1 - 1e-7], with a zero gradient outside, as Keras 3 does it.
 */
#define LOSS_EPSILON 1e-7f
#define LOSS_SMOOTHED "scale label_smoothing" /* scalars of the losses that smooth their labels */

/* Where the targets of a row come from: labels if not NULL, otherwise the matrix. */
typedef struct loss_targets {
    const int32_t *labels;
    const float *matrix;
    int64_t ld, n;
    float keep, spread; /* t = target * keep + spread */
} loss_targets;

static loss_targets loss_from_labels(const fnn_instr *in, float smoothing) {
    int64_t n = in->d[0];
    return (loss_targets){.labels = in->p[1], .n = n, .keep = 1.0f - smoothing, .spread = smoothing / (float)n};
}

static loss_targets loss_from_matrix(const fnn_instr *in, float smoothing, float classes) {
    return (loss_targets){
        .matrix = in->p[1], .n = in->d[0], .ld = in->d[2], .keep = 1.0f - smoothing, .spread = smoothing / classes};
}

/* Targets of the vector at column j; 0 in the padding. A label that is no column of the row gives no target. */
static inline vf loss_target(const loss_targets *t, int64_t r, int64_t j) {
    vf v;
    if (t->labels) v = vf_select(vf_eq(vf_lane_numbers(), vf_set((float)(t->labels[r] - j))), vf_set(1.0f), vf_zero());
    else v = vf_load(t->matrix + r * t->ld + j);
    return vf_select(vf_inside(j, t->n), vf_fma(v, vf_set(t->keep), vf_set(t->spread)), vf_zero());
}

/* This thread's rows, and how a row's loss and gradient are scaled. */
typedef struct loss_rows {
    int64_t begin, end;
    int64_t width; /* columns written */
    const float *weights;
    float *row_loss;
    float unit; /* gradient of the whole for a row of weight 1 */
} loss_rows;

static loss_rows loss_split(const fnn_instr *in, const fnn_run *run, const float *weights, float *row_loss) {
    int64_t rows = run->samples * in->rows_per_sample;
    loss_rows s = {.width = fnn_round_up(in->d[0], FNN_ALIGN_FLOATS),
                   .weights = weights,
                   .row_loss = row_loss,
                   .unit = in->s[0] / (float)rows};
    fnn_split(rows, 1, run->thread, run->threads, &s.begin, &s.end);
    return s;
}

static inline float loss_weight(const loss_rows *s, int64_t r) { return s->weights ? s->weights[r] : 1.0f; }

/* ---- from logits ------------------------------------------------------------------------------------------------- */

/* Rows that go through softmax_crossentropy together: their logarithms are one vector's work. */
enum { LOSS_BLOCK = 16 };

/* Sums over a row of which only the column `label` has a target, of 1; none if it is no column. */
static inline int loss_is_column(int32_t label, int64_t n) { return label >= 0 && label < n; }

/* VF rows of few logits and a label each: the same bits as below, by columns. */
static NOT_INLINED void softmax_crossentropy_columns(const fnn_instr *in, const loss_rows *s, int64_t row, int64_t ldy,
                                                     int64_t lddz) {
    const float *z = (const float *)in->p[0] + row * in->d[1];
    const int32_t *labels = (const int32_t *)in->p[1] + row;
    float *y = in->p[3], *dz = in->p[5], *row_loss = s->row_loss + row;
    float values[SOFTMAX_FEW * VF], max[VF], units[VF], masses[VF], log_total[VF], at_label[VF];
    int64_t n = in->d[0];
    vf largest, total = softmax_exp_columns(z, in->d[1], n, values, &largest);
    vf inverse = vf_div(vf_set(1.0f), total);
    vf_store(max, largest), vf_store(log_total, vf_log(total));
    for (int64_t j = 0; (y || dz) && j < n; j++) vf_store(values + j * VF, vf_mul(vf_load(values + j * VF), inverse));
    for (int i = 0; i < VF; i++) {
        int32_t label = labels[i];
        int is_column = loss_is_column(label, n);
        float weight = loss_weight(s, row + i), to_label = is_column ? z[i * in->d[1] + label] - max[i] : 0.0f;
        units[i] = s->unit * weight;
        masses[i] = is_column ? 1.0f : 0.0f;
        row_loss[i] = weight * (masses[i] * log_total[i] - to_label);
        at_label[i] = is_column ? units[i] * (values[label * VF + i] - 1.0f) : 0.0f;
    }
    for (int64_t j = 0; y && j < s->width; j += VF)
        vf_transpose(values + j * VF, VF, n - j < VF ? (int)(n > j ? n - j : 0) : VF, y + row * ldy + j, ldy);
    if (!dz) return;
    dz += row * lddz;
    vf unit = vf_load(units), mass = vf_load(masses);
    for (int64_t j = 0; j < n; j++) vf_store(values + j * VF, vf_mul(unit, vf_mul(vf_load(values + j * VF), mass)));
    for (int64_t j = 0; j < s->width; j += VF)
        vf_transpose(values + j * VF, VF, n - j < VF ? (int)(n > j ? n - j : 0) : VF, dz + j, lddz);
    for (int i = 0; i < VF; i++)
        if (masses[i] != 0.0f) dz[i * lddz + labels[i]] = at_label[i];
}

static void softmax_crossentropy(const fnn_instr *in, const fnn_run *run, loss_targets targets, int64_t ldy,
                                 int64_t lddz) {
    const float *z = in->p[0];
    float *y = in->p[3], *dz = in->p[5];
    int64_t n = in->d[0], ldz = in->d[1];
    int one_column = targets.labels && targets.spread == 0.0f; /* the targets need not be looked at one by one */
    loss_rows s = loss_split(in, run, in->p[2], in->p[4]);
    for (; one_column && n <= SOFTMAX_FEW && s.begin + VF <= s.end; s.begin += VF)
        softmax_crossentropy_columns(in, &s, s.begin, ldy, lddz);
    for (int64_t block = s.begin; block < s.end; block += LOSS_BLOCK) {
        int64_t count = s.end - block < LOSS_BLOCK ? s.end - block : LOSS_BLOCK;
        float total[LOSS_BLOCK] = {0}, mass[LOSS_BLOCK], dot[LOSS_BLOCK], log_total[LOSS_BLOCK];
        for (int64_t i = 0, r = block; i < count; i++, r++) {
            const float *zr = z + r * ldz;
            float *exponentials = y ? y + r * ldy : dz ? dz + r * lddz : NULL, highest = softmax_max(zr, n);
            vf max = vf_set(highest), sum = vf_zero(), target_sum = vf_zero(), dot_sum = vf_zero();
            if (one_column) { /* before y is written, which may be z */
                int is_column = loss_is_column(targets.labels[r], n);
                mass[i] = is_column ? 1.0f : 0.0f;
                dot[i] = is_column ? zr[targets.labels[r]] - highest : 0.0f;
            }
            for (int64_t j = 0; j < s.width; j += VF) {
                vf d = vf_sub(vf_load(zr + j), max);
                vf e = vf_select(vf_inside(j, n), vf_exp(d), vf_zero());
                if (exponentials) vf_store(exponentials + j, e);
                sum = vf_add(sum, e);
                if (one_column) continue;
                vf t = loss_target(&targets, r, j);
                target_sum = vf_add(target_sum, t);
                /* a logit of -infinity (a masked class) is no loss where its target is 0 */
                dot_sum = vf_add(dot_sum, vf_select(vf_eq(t, vf_zero()), vf_zero(), vf_mul(t, d)));
            }
            total[i] = vf_sum(sum);
            if (!one_column) {
                mass[i] = vf_sum(target_sum);
                dot[i] = vf_sum(dot_sum);
            }
        }
        for (int64_t i = 0; i < LOSS_BLOCK; i += VF) vf_store(log_total + i, vf_log(vf_load(total + i)));
        for (int64_t i = 0, r = block; i < count; i++, r++) {
            float *yr = y ? y + r * ldy : NULL, *dzr = dz ? dz + r * lddz : NULL;
            float weight = loss_weight(&s, r), inverse = 1.0f / total[i], unit = s.unit * weight;
            float *labelled = one_column && mass[i] != 0.0f && dzr ? dzr + targets.labels[r] : NULL;
            float at_label = labelled ? unit * ((yr ? yr : dzr)[targets.labels[r]] * inverse - 1.0f) : 0.0f;
            s.row_loss[r] = weight * (mass[i] * log_total[i] - dot[i]);
            for (int64_t j = 0; (y || dz) && j < s.width; j += VF) {
                vf v = vf_select(vf_inside(j, n), vf_mul(vf_load((yr ? yr : dzr) + j), vf_set(inverse)), vf_zero());
                if (yr) vf_store(yr + j, v);
                if (!dzr) continue;
                vf g = vf_mul(v, vf_set(mass[i]));
                if (!one_column) g = vf_sub(g, loss_target(&targets, r, j));
                vf_store(dzr + j, vf_select(vf_inside(j, n), vf_mul(vf_set(unit), g), vf_zero()));
            }
            if (labelled) *labelled = at_label;
        }
    }
}

static void softmax_crossentropy_sparse(const fnn_instr *in, const fnn_run *run) {
    softmax_crossentropy(in, run, loss_from_labels(in, in->s[1]), in->d[2], in->d[3]);
}

static void softmax_crossentropy_dense(const fnn_instr *in, const fnn_run *run) {
    softmax_crossentropy(in, run, loss_from_matrix(in, in->s[1], (float)in->d[0]), in->d[3], in->d[4]);
}

/* ---- from probabilities ------------------------------------------------------------------------------------------ */

static inline vf loss_clip(vf q) {
    return vf_min(vf_set(1.0f - LOSS_EPSILON), vf_max(vf_set(LOSS_EPSILON), q)); /* lets NaN through */
}

/* With t' = t where q is not clipped and 0 elsewhere: dL/dp = (sum t' - t' / q) / sum p. */
static void crossentropy(const fnn_instr *in, const fnn_run *run, loss_targets targets, int64_t lddp) {
    const float *p = in->p[0];
    float *dp = in->p[4];
    int64_t n = in->d[0], ldp = in->d[1];
    loss_rows s = loss_split(in, run, in->p[2], in->p[3]);
    const vf zero = vf_zero();
    for (int64_t r = s.begin; r < s.end; r++) {
        const float *pr = p + r * ldp;
        vf sum = zero, loss = zero, mass = zero;
        for (int64_t j = 0; j < n; j += VF) sum = vf_add(sum, vf_select(vf_inside(j, n), vf_load(pr + j), zero));
        float total = vf_sum(sum), weight = loss_weight(&s, r);
        for (int64_t j = 0; j < n; j += VF) {
            vf q = vf_div(vf_load(pr + j), vf_set(total)), c = loss_clip(q), t = loss_target(&targets, r, j);
            loss = vf_add(loss, vf_select(vf_inside(j, n), vf_mul(t, vf_log(c)), zero));
            mass = vf_add(mass, vf_select(vf_eq(q, c), t, zero));
        }
        s.row_loss[r] = -weight * vf_sum(loss);
        if (!dp) continue;
        vf unit = vf_set(s.unit * weight / total), m = vf_set(vf_sum(mass));
        for (int64_t j = 0; j < s.width; j += VF) {
            vf q = vf_div(vf_load(pr + j), vf_set(total)), t = loss_target(&targets, r, j);
            vf ratio = vf_select(vf_eq(q, loss_clip(q)), vf_div(t, q), zero);
            vf_store(dp + r * lddp + j, vf_select(vf_inside(j, n), vf_mul(unit, vf_sub(m, ratio)), zero));
        }
    }
}

static void crossentropy_sparse(const fnn_instr *in, const fnn_run *run) {
    crossentropy(in, run, loss_from_labels(in, in->s[1]), in->d[2]);
}

static void crossentropy_dense(const fnn_instr *in, const fnn_run *run) {
    crossentropy(in, run, loss_from_matrix(in, in->s[1], (float)in->d[0]), in->d[3]);
}

/* ---- totals of an epoch ------------------------------------------------------------------------------------------ */

/* Four running sums, so that an addition need not wait for the one before it. */
static void accumulate(const fnn_instr *in, const fnn_run *run) {
    const float *values = in->p[0], *weights = in->p[1];
    double *acc = in->p[2];
    int64_t rows = run->samples * in->rows_per_sample;
    if (run->thread != 0) return;
    double sum[4] = {0}, weight_sum[4] = {0};
    int64_t r = 0;
    if (!weights) {
        for (; r + 4 <= rows; r += 4)
            for (int i = 0; i < 4; i++) sum[i] += values[r + i];
        weight_sum[0] = (double)r;
    }
    for (; r < rows; r++) {
        double weight = weights ? weights[r] : 1.0;
        sum[r & 3] += values[r] * weight;
        weight_sum[r & 3] += weight;
    }
    acc[0] += sum[0] + sum[1] + sum[2] + sum[3];
    acc[1] += weight_sum[0] + weight_sum[1] + weight_sum[2] + weight_sum[3];
}

#define fnn_op_softmax_crossentropy_sparse \
    {"softmax_crossentropy_sparse", "z labels weights? y? row_loss dz?", "n ldz ldy lddz", LOSS_SMOOTHED, \
     softmax_crossentropy_sparse}
#define fnn_op_softmax_crossentropy_dense \
    {"softmax_crossentropy_dense", "z targets weights? y? row_loss dz?", "n ldz ldt ldy lddz", LOSS_SMOOTHED, \
     softmax_crossentropy_dense}
#define fnn_op_crossentropy_sparse \
    {"crossentropy_sparse", "p labels weights? row_loss dp?", "n ldp lddp", LOSS_SMOOTHED, crossentropy_sparse}
#define fnn_op_crossentropy_dense \
    {"crossentropy_dense", "p targets weights? row_loss dp?", "n ldp ldt lddp", LOSS_SMOOTHED, crossentropy_dense}
#define fnn_op_accumulate {"accumulate", "values weights? acc", "", "", accumulate}
