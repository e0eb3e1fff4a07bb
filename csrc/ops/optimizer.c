/* Optimizers: one pass over contiguous parameters. The updates and their coefficients are those of Keras 3; what they
 * share is in optimizer.h. Slots are named as Keras names its variables; own numbers stand in hyper[HYPER_OWN ...].
 *
 *   sgd       momentum?: hyper momentum       w -= lr g;  with momentum: m = mu m - lr g,
 *                                             w += m, or w += mu m - lr g (Nesterov; Sutskever et al., ICML 2013)
 *   adam      hyper beta_1 beta_2 epsilon     Kingma & Ba, ICLR 2015, in the form just before its section 2.1;
 *                                             velocity_hat: AMSGrad (Reddi et al., ICLR 2018)
 *   adamax    hyper beta_1 beta_2 epsilon     the same paper, section 7.1
 *   nadam     hyper beta_1 beta_2 epsilon u   Dozat, 2016; u: product of its momentum schedule up to this step
 *   lion      hyper beta_1 beta_2             Chen et al., NeurIPS 2023
 *
 * The accumulating ones are in optimizer_accumulating.c, the layer-wise one in optimizer_lamb.c.
 */
#include "optimizer.h"

FNN_INLINE void sgd_loop(const fnn_instr *in, const update *u, int plain) {
    float *momentum = in->p[OPT_STATE];
    vf rate = vf_set((float)u->rate);
    if (!momentum) {
        UNROLL for (int64_t i = u->begin; i < u->end; i += VF)
            vf_store(u->param + i, vf_fnma(rate, clipped(u, i, plain), decayed(u, i, plain)));
        return;
    }
    vf mu = vf_set((float)u->own[0]);
    int nesterov = in->d[OPT_OWN] != 0;
    for (int64_t i = u->begin; i < u->end; i += VF) {
        vf step = vf_mul(rate, clipped(u, i, plain));
        vf m = vf_sub(vf_mul(mu, vf_load(momentum + i)), step);
        vf_store(momentum + i, m);
        vf_store(u->param + i, vf_add(decayed(u, i, plain), nesterov ? vf_sub(vf_mul(mu, m), step) : m));
    }
}

/* Never 0 / 0, which would poison the padding. */
static vf positive(double epsilon) { return vf_set(epsilon > FLT_MIN ? (float)epsilon : FLT_MIN); }

/* m += (x - m) gain */
static inline vf towards(float *average, vf x, vf gain) {
    vf m = vf_load(average);
    m = vf_fma(vf_sub(x, m), gain, m);
    vf_store(average, m);
    return m;
}

FNN_INLINE void adam_loop(const fnn_instr *in, const update *u, int plain) {
    float *first = in->p[OPT_STATE], *second = in->p[OPT_STATE + 1], *largest = in->p[OPT_STATE + 2];
    double beta_1 = u->own[0], beta_2 = u->own[1];
    vf alpha = vf_set((float)(u->rate * sqrt(1.0 - pow(beta_2, u->t)) / (1.0 - pow(beta_1, u->t))));
    vf gain_1 = vf_set((float)(1.0 - beta_1)), gain_2 = vf_set((float)(1.0 - beta_2)), epsilon = positive(u->own[2]);
    for (int64_t i = u->begin; i < u->end; i += VF) {
        vf g = clipped(u, i, plain);
        vf m = towards(first + i, g, gain_1), v = towards(second + i, vf_mul(g, g), gain_2);
        if (largest) {
            v = vf_max(vf_load(largest + i), v);
            vf_store(largest + i, v);
        }
        vf_store(u->param + i, vf_descend(decayed(u, i, plain), alpha, m, v, epsilon));
    }
}

FNN_INLINE void adamax_loop(const fnn_instr *in, const update *u, int plain) {
    float *first = in->p[OPT_STATE], *norm = in->p[OPT_STATE + 1];
    double beta_1 = u->own[0];
    vf alpha = vf_set((float)(u->rate / (1.0 - pow(beta_1, u->t))));
    vf gain_1 = vf_set((float)(1.0 - beta_1)), beta_2 = vf_set((float)u->own[1]), epsilon = positive(u->own[2]);
    for (int64_t i = u->begin; i < u->end; i += VF) {
        vf g = clipped(u, i, plain), m = towards(first + i, g, gain_1);
        vf largest = vf_max(vf_mul(beta_2, vf_load(norm + i)), vf_abs(g));
        vf_store(norm + i, largest);
        vf_store(u->param + i, vf_sub(decayed(u, i, plain), vf_div(vf_mul(alpha, m), vf_add(largest, epsilon))));
    }
}

FNN_INLINE void nadam_loop(const fnn_instr *in, const update *u, int plain) {
    float *first = in->p[OPT_STATE], *second = in->p[OPT_STATE + 1];
    double beta_1 = u->own[0], beta_2 = u->own[1], product = u->own[3];
    double now = beta_1 * (1.0 - 0.5 * pow(0.96, u->t)), next = beta_1 * (1.0 - 0.5 * pow(0.96, u->t + 1));
    vf of_m = vf_set((float)(u->rate * next / (1.0 - product * next)));
    vf of_g = vf_set((float)(u->rate * (1.0 - now) / (1.0 - product)));
    vf correction = vf_set((float)(1.0 / (1.0 - pow(beta_2, u->t))));
    vf gain_1 = vf_set((float)(1.0 - beta_1)), gain_2 = vf_set((float)(1.0 - beta_2)), epsilon = positive(u->own[2]);
    for (int64_t i = u->begin; i < u->end; i += VF) {
        vf g = clipped(u, i, plain);
        vf m = towards(first + i, g, gain_1), v = towards(second + i, vf_mul(g, g), gain_2);
        vf step = vf_fma(of_m, m, vf_mul(of_g, g));
        vf_store(u->param + i, vf_sub(decayed(u, i, plain), vf_over_root(step, vf_mul(v, correction), epsilon)));
    }
}

FNN_INLINE void lion_loop(const fnn_instr *in, const update *u, int plain) {
    float *momentum = in->p[OPT_STATE];
    vf beta_1 = vf_set((float)u->own[0]), rest_1 = vf_set((float)(1.0 - u->own[0]));
    vf beta_2 = vf_set((float)u->own[1]), rest_2 = vf_set((float)(1.0 - u->own[1]));
    vf up = vf_set((float)u->rate), down = vf_neg(up);
    for (int64_t i = u->begin; i < u->end; i += VF) {
        vf g = clipped(u, i, plain), m = vf_load(momentum + i);
        vf way = vf_add(vf_mul(m, beta_1), vf_mul(g, rest_1));
        /* 0 and NaN stay what they are */
        vf step = vf_select(vf_lt(vf_zero(), way), up, vf_select(vf_lt(way, vf_zero()), down, way));
        vf_store(momentum + i, vf_add(vf_mul(m, beta_2), vf_mul(g, rest_2)));
        vf_store(u->param + i, vf_sub(decayed(u, i, plain), step));
    }
}

FNN_OPTIMIZER(sgd)
FNN_OPTIMIZER(adam)
FNN_OPTIMIZER(adamax)
FNN_OPTIMIZER(nadam)
FNN_OPTIMIZER(lion)

#define fnn_op_sgd {"sgd", FNN_OPT_OPERANDS "momentum?", FNN_OPT_DIMS " nesterov", FNN_OPT_SCALARS, sgd}
#define fnn_op_adam                                                                                                  \
    {"adam", FNN_OPT_OPERANDS "momentum velocity velocity_hat?", FNN_OPT_DIMS, FNN_OPT_SCALARS, adam}
#define fnn_op_adamax {"adamax", FNN_OPT_OPERANDS "momentum norm", FNN_OPT_DIMS, FNN_OPT_SCALARS, adamax}
#define fnn_op_nadam {"nadam", FNN_OPT_OPERANDS "momentum velocity", FNN_OPT_DIMS, FNN_OPT_SCALARS, nadam}
#define fnn_op_lion {"lion", FNN_OPT_OPERANDS "momentum", FNN_OPT_DIMS, FNN_OPT_SCALARS, lion}
