/* The circle loss (Sun et al., CVPR 2020): of each row beside all other rows of the batch, or beside given references.
 *
 *   distance d = max(1 - p . other, 0);   a pair of one label is positive, of two labels negative
 *   positive logit  -gamma max(margin + d, 0) (margin - d)
 *   negative logit   gamma max(1 + margin - d, 0) (1 - margin - d)
 *   loss = softplus(logsumexp of the positive logits + logsumexp of the negative ones); 0 without one of either kind
 *
 *   circle           p[rows][n], labels[rows]; refs[count][n] and ref_labels[count], or none: then p and labels.
 *                    row_loss[rows], times the weight; counted[rows] = -1 where the loss is 0, else 0; what the
 *                    gradient wants: positive[rows] and negative[rows], those logarithms, and
 *                    unit[rows] = weight sigmoid(sum)
 *   circle_gradient  dp[rows][n], the gradient of scale * sum(row_loss) / rows, without refs: each row is one of a pair
 *                    and the other of one
 *
 * Similarities are computed anew in the gradient, since the matrix of all pairs could be larger than anything else.
 */
typedef struct circle {
    const float *p, *others;
    const int32_t *labels, *other_labels;
    int64_t n, ldp, ld_others, count, remove_diagonal;
    vf gamma, margin;
} circle;

/* A row beside VF others. */
typedef struct circle_pairs {
    vm positive, negative;
    vf distance, slope; /* slope: -1 times the derivative of the distance by the similarity */
    vf positive_logit, negative_logit;
} circle_pairs;

static inline int circle_width(const circle *c, int64_t j) { return (int)(c->count - j < VF ? c->count - j : VF); }

static inline circle_pairs circle_beside(const circle *c, int64_t r, int64_t j) {
    const vf zero = vf_zero(), one = vf_set(1.0f);
    const float *row = c->p + r * c->ldp, *other[VF];
    float kind[VF];
    vf sums[VF];
    for (int i = 0; i < VF; i++) {
        int64_t at = j + i < c->count ? j + i : c->count - 1;
        int none = j + i >= c->count || (c->remove_diagonal && at == r && c->other_labels[at] == c->labels[r]);
        kind[i] = none ? 0.0f : c->other_labels[at] == c->labels[r] ? 1.0f : -1.0f;
        other[i] = c->others + at * c->ld_others;
        sums[i] = zero;
    }
    for (int64_t k = 0; k < c->n; k += VF) {
        vm inside = vf_inside(k, c->n);
        vf x = vf_select(inside, vf_load(row + k), zero);
        for (int i = 0; i < VF; i++) sums[i] = vf_fma(x, vf_select(inside, vf_load(other[i] + k), zero), sums[i]);
    }
    vf far = vf_sub(one, vf_sums(sums)), d = vf_max(zero, far), kinds = vf_load(kind);
    vf pull = vf_max(zero, vf_add(c->margin, d)), push = vf_max(zero, vf_sub(vf_add(one, c->margin), d));
    return (circle_pairs){
        .positive = vf_lt(zero, kinds),
        .negative = vf_lt(kinds, zero),
        .distance = d,
        .slope = loss_above(far, zero),
        .positive_logit = vf_mul(vf_mul(c->gamma, pull), vf_sub(d, c->margin)),
        .negative_logit = vf_mul(vf_mul(c->gamma, push), vf_sub(vf_sub(one, c->margin), d)),
    };
}

/* A logarithm of a sum of exponentials, in the making: of each lane. */
typedef struct circle_sum {
    vf highest, sum;
} circle_sum;

static inline void circle_add(circle_sum *s, vm counts, vf logit) {
    vf highest = vf_select(counts, vf_max(s->highest, logit), s->highest);
    vf term = vf_select(counts, vf_exp(vf_sub(logit, highest)), vf_zero());
    s->sum = vf_fma(s->sum, vf_exp(vf_sub(s->highest, highest)), term);
    s->highest = highest;
}

static inline float circle_lane(vf a) {
    float lanes[VF];
    vf_store(lanes, a);
    return lanes[0];
}

static inline float circle_logarithm(const circle_sum *s) {
    float highest = vf_max_lane(s->highest);
    float sum = vf_sum(vf_mul(s->sum, vf_exp(vf_sub(s->highest, vf_set(highest)))));
    return sum == 0.0f ? -INFINITY : highest + circle_lane(vf_log(vf_set(sum)));
}

/* Each row of p beside all of them. */
static circle circle_of(const fnn_instr *in, const fnn_run *run, int64_t remove_diagonal, const float *settings) {
    return (circle){.p = in->p[0],
                    .labels = in->p[1],
                    .others = in->p[0],
                    .other_labels = in->p[1],
                    .n = in->d[0],
                    .ldp = in->d[1],
                    .ld_others = in->d[1],
                    .count = run->samples * in->rows_per_sample,
                    .remove_diagonal = remove_diagonal,
                    .gamma = vf_set(settings[0]),
                    .margin = vf_set(settings[1])};
}

static void circle_forward(const fnn_instr *in, const fnn_run *run) {
    const float *weights = in->p[4];
    float *row_loss = in->p[5], *positive = in->p[6], *negative = in->p[7], *unit = in->p[8];
    int32_t *counted = in->p[9];
    loss_rows s = loss_split(in, run, weights, row_loss);
    circle c = circle_of(in, run, in->d[4], in->s);
    if (in->p[2]) {
        c.others = in->p[2], c.other_labels = in->p[3];
        c.ld_others = in->d[2], c.count = in->d[3];
    }
    const vf lowest = vf_set(-3e38f); /* finite: differences are no NaN */
    for (int64_t r = s.begin; r < s.end; r++) {
        circle_sum pull = {lowest, vf_zero()}, push = pull;
        for (int64_t j = 0; j < c.count; j += VF) {
            circle_pairs of = circle_beside(&c, r, j);
            circle_add(&pull, of.positive, of.positive_logit);
            circle_add(&push, of.negative, of.negative_logit);
        }
        float of_positive = circle_logarithm(&pull), of_negative = circle_logarithm(&push);
        float weight = loss_weight(&s, r), loss = 0.0f, slope = 0.0f;
        int lacks = of_positive + of_negative < -87.0f; /* its exponential is 0 in float32, and so is the loss */
        if (!lacks) {                                   /* softplus */
            vf x = vf_set(of_positive + of_negative), e = vf_exp(vf_neg(vf_abs(x)));
            loss = circle_lane(vf_add(vf_max(vf_zero(), x), vf_log1p_unit(e)));
            slope = circle_lane(vf_sigmoid(x));
        }
        row_loss[r] = weight * loss;
        counted[r] = loss == 0.0f ? -1 : 0;
        positive[r] = lacks ? 0.0f : of_positive;
        negative[r] = lacks ? 0.0f : of_negative;
        unit[r] = weight * slope;
    }
}

static void circle_gradient(const fnn_instr *in, const fnn_run *run) {
    const float *positive = in->p[2], *negative = in->p[3], *unit = in->p[4];
    float *dp = in->p[5];
    int64_t lddp = in->d[2];
    loss_rows s = loss_split(in, run, NULL, NULL);
    circle c = circle_of(in, run, in->d[3], in->s + 1);
    const vf zero = vf_zero(), one = vf_set(1.0f), twice = vf_mul(vf_set(2.0f), c.gamma);
    for (int64_t r = s.begin; r < s.end; r++) {
        const vf here = vf_set(unit[r]), own_positive = vf_set(positive[r]), own_negative = vf_set(negative[r]);
        for (int64_t k = 0; k < s.width; k += VF) vf_store(dp + r * lddp + k, zero);
        for (int64_t j = 0; j < c.count; j += VF) {
            circle_pairs of = circle_beside(&c, r, j);
            int width = circle_width(&c, j);
            vf there = vf_load_n(unit + j, width);
            /* what the loss of this row, and that of the other, say of the pair */
            vf pull = vf_fma(here, vf_exp(vf_sub(of.positive_logit, own_positive)),
                             vf_mul(there, vf_exp(vf_sub(of.positive_logit, vf_load_n(positive + j, width)))));
            vf push = vf_fma(here, vf_exp(vf_sub(of.negative_logit, own_negative)),
                             vf_mul(there, vf_exp(vf_sub(of.negative_logit, vf_load_n(negative + j, width)))));
            /* derivatives of the logits by the distance: 2 gamma d and -2 gamma (1 - d), where they are not held */
            vf pulled = vf_select(vf_lt(zero, vf_add(c.margin, of.distance)), of.distance, zero);
            vf pushed = vf_sub(of.distance, one);
            pushed = vf_select(vf_lt(of.distance, vf_add(one, c.margin)), pushed, zero);
            pull = vf_select(of.positive, vf_mul(pull, pulled), zero);
            push = vf_select(of.negative, vf_mul(push, pushed), zero);
            vf g = vf_mul(vf_set(-s.unit), vf_mul(of.slope, vf_mul(twice, vf_add(pull, push))));
            float factors[VF];
            vf_store(factors, g);
            for (int64_t k = 0; k < c.n; k += VF) {
                vf sum = vf_load(dp + r * lddp + k);
                for (int i = 0; i < width; i++)
                    sum = vf_fma(vf_set(factors[i]), vf_load(c.p + (j + i) * c.ldp + k), sum);
                vf_store(dp + r * lddp + k, vf_select(vf_inside(k, c.n), sum, zero));
            }
        }
    }
}

#define fnn_op_circle \
    {"circle", "p labels refs? ref_labels? weights? row_loss positive negative unit counted", \
     "n ldp ldrefs count remove_diagonal", "gamma margin", circle_forward}
#define fnn_op_circle_gradient \
    {"circle_gradient", "p labels positive negative unit dp", "n ldp lddp remove_diagonal", "scale gamma margin", \
     circle_gradient}
