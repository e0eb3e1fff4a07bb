/* Optimizers that divide by the root of what a gradient's squares add up to. See optimizer.h for what they share.
 *
 *   rmsprop   hyper rho momentum epsilon   v: running mean of g^2; centered: minus the square of the mean;
 *                                          step = lr g / sqrt(v + epsilon), through a momentum if there is one
 *                                          (Tieleman & Hinton, lecture 6.5, 2012)
 *   adagrad   hyper epsilon                a += g^2; w -= lr g / sqrt(a + epsilon)  (Duchi et al., JMLR 2011)
 *   adadelta  hyper rho epsilon            Zeiler, arXiv:1212.5701
 *   ftrl      hyper power l1 l2 shrinkage beta   McMahan et al., "Ad click prediction", KDD 2013; shrinkage: an l2
 *                                          that acts on the gradient alone
 */
#include "../simd_math.h"
#include "optimizer.h"

/* x / sqrt(v), where v may be zero, or a little less by rounding. */
static inline vf over_root(vf x, vf v) { return vf_over_root(x, v, vf_set(FLT_MIN)); }

/* a = rho a + (1 - rho) x */
static inline vf blended(float *average, vf x, vf rho, vf rest) {
    vf a = vf_fma(rho, vf_load(average), vf_mul(rest, x));
    vf_store(average, a);
    return a;
}

FNN_INLINE void rmsprop_loop(const fnn_instr *in, const update *u, int plain) {
    float *velocity = in->p[OPT_STATE], *momentum = in->p[OPT_STATE + 1], *average = in->p[OPT_STATE + 2];
    vf rho = vf_set((float)u->own[0]), rest = vf_set((float)(1.0 - u->own[0]));
    vf rate = vf_set((float)u->rate), mu = vf_set((float)u->own[1]), epsilon = vf_set((float)u->own[2]);
    for (int64_t i = u->begin; i < u->end; i += VF) {
        vf g = clipped(u, i, plain), v = blended(velocity + i, vf_mul(g, g), rho, rest);
        if (average) {
            vf mean = blended(average + i, g, rho, rest);
            v = vf_fnma(mean, mean, v);
        }
        vf step = over_root(vf_mul(rate, g), vf_add(v, epsilon));
        if (momentum) {
            step = vf_fma(mu, vf_load(momentum + i), step);
            vf_store(momentum + i, step);
        }
        vf_store(u->param + i, vf_sub(decayed(u, i, plain), step));
    }
}

FNN_INLINE void adagrad_loop(const fnn_instr *in, const update *u, int plain) {
    float *accumulator = in->p[OPT_STATE];
    vf rate = vf_set((float)u->rate), epsilon = vf_set((float)u->own[0]);
    for (int64_t i = u->begin; i < u->end; i += VF) {
        vf g = clipped(u, i, plain), a = vf_fma(g, g, vf_load(accumulator + i));
        vf_store(accumulator + i, a);
        vf_store(u->param + i, vf_sub(decayed(u, i, plain), over_root(vf_mul(rate, g), vf_add(a, epsilon))));
    }
}

FNN_INLINE void adadelta_loop(const fnn_instr *in, const update *u, int plain) {
    float *gradients = in->p[OPT_STATE], *deltas = in->p[OPT_STATE + 1];
    vf rho = vf_set((float)u->own[0]), rest = vf_set((float)(1.0 - u->own[0]));
    vf rate = vf_set((float)u->rate), epsilon = vf_set((float)u->own[1]);
    for (int64_t i = u->begin; i < u->end; i += VF) {
        vf g = clipped(u, i, plain), a = blended(gradients + i, vf_mul(g, g), rho, rest);
        vf root = vf_sqrt(vf_add(vf_load(deltas + i), epsilon));
        vf delta = over_root(vf_mul(root, g), vf_add(a, epsilon));
        blended(deltas + i, vf_mul(delta, delta), rho, rest);
        vf_store(u->param + i, vf_fnma(rate, delta, decayed(u, i, plain)));
    }
}

/* a^power for a >= 0, whatever the power. */
static inline vf power_of(vf a, vf power) {
    vf p = vf_exp(vf_mul(power, vf_log(vf_max(vf_set(FLT_MIN), a))));
    return vf_select(vf_lt(vf_zero(), a), p, vf_select(vf_eq(power, vf_zero()), vf_set(1.0f), a));
}

/* How ftrl raises its accumulator to a power: by a root, by a power from 0 to 1, or by any power. */
enum { FTRL_ROOT, FTRL_FRACTION, FTRL_ANY };
enum { FTRL_TERMS = 6 };

typedef struct ftrl_powers {
    vf power, terms[FTRL_TERMS];
} ftrl_powers;

/* 1 - (1 - q)^power = q (terms[0] + q (terms[1] + ...)), the binomial series: exact to float32 up to q = 1/8. */
static ftrl_powers ftrl_begin(double power) {
    ftrl_powers p = {.power = vf_set((float)power)};
    double term = power;
    for (int k = 1; k <= FTRL_TERMS; k++) {
        p.terms[k - 1] = vf_set((float)term);
        term *= (k - power) / (k + 1);
    }
    return p;
}

/* *after = b^power; returns b^power - a^power. As a grows towards b by little, mostly, one power does for both. */
static inline vf ftrl_growth(const ftrl_powers *p, vf a, vf b, vf *after, int kind) {
    if (kind != FTRL_FRACTION) {
        *after = kind == FTRL_ROOT ? vf_sqrt(b) : power_of(b, p->power);
        return vf_sub(*after, kind == FTRL_ROOT ? vf_sqrt(a) : power_of(a, p->power));
    }
    vf least = vf_set(FLT_MIN), base = vf_max(least, b), q = vf_div(vf_sub(b, a), base);
    *after = vf_pow_positive(base, p->power);
    if (vi_signs(vi_bits(vf_sub(vf_set(0.125f), q))))
        return vf_sub(*after, vf_pow_positive(vf_max(least, a), p->power));
    vf sum = p->terms[FTRL_TERMS - 1];
    for (int k = FTRL_TERMS - 2; k >= 0; k--) sum = vf_fma(sum, q, p->terms[k]);
    return vf_mul(vf_mul(sum, q), *after);
}

FNN_INLINE void ftrl_by_power(const fnn_instr *in, const update *u, int plain, int kind) {
    float *accumulator = in->p[OPT_STATE], *linear = in->p[OPT_STATE + 1];
    const double *own = u->own;
    ftrl_powers powers = ftrl_begin(-own[0]);
    vf l1 = vf_set((float)own[1]), shrinkage = vf_set((float)(2.0 * own[3]));
    vf per_rate = vf_set((float)(1.0 / u->rate)), constant = vf_set((float)(2.0 * own[2] + own[4] / u->rate));
    for (int64_t i = u->begin; i < u->end; i += VF) {
        vf g = clipped(u, i, plain), w = decayed(u, i, plain), a = vf_load(accumulator + i), b = vf_fma(g, g, a);
        vf after, growth = ftrl_growth(&powers, a, b, &after, kind);
        vf z = vf_add(vf_load(linear + i), vf_fma(shrinkage, w, g));
        z = vf_fnma(vf_mul(growth, per_rate), w, z);
        vf quadratic = vf_fma(after, per_rate, constant);
        vf inside = vf_min(l1, vf_max(vf_neg(l1), z));
        vf_store(accumulator + i, b);
        vf_store(linear + i, z);
        /* the bound: padding is 0 / 0 where nothing has accumulated */
        vf_store(u->param + i, vf_div(vf_sub(inside, z), vf_max(vf_set(FLT_MIN), quadratic)));
    }
}

FNN_INLINE void ftrl_loop(const fnn_instr *in, const update *u, int plain) {
    double power = -u->own[0];
    if (power == 0.5) ftrl_by_power(in, u, plain, FTRL_ROOT);
    else if (power >= 0 && power <= 1) ftrl_by_power(in, u, plain, FTRL_FRACTION);
    else ftrl_by_power(in, u, plain, FTRL_ANY);
}

FNN_OPTIMIZER(rmsprop)
FNN_OPTIMIZER(adagrad)
FNN_OPTIMIZER(adadelta)
FNN_OPTIMIZER(ftrl)

#define fnn_op_rmsprop                                                                                               \
    {"rmsprop", FNN_OPT_OPERANDS "velocity momentum? average_gradient?", FNN_OPT_DIMS, FNN_OPT_SCALARS, rmsprop}
#define fnn_op_adagrad {"adagrad", FNN_OPT_OPERANDS "accumulator", FNN_OPT_DIMS, FNN_OPT_SCALARS, adagrad}
#define fnn_op_adadelta                                                                                              \
    {"adadelta", FNN_OPT_OPERANDS "accumulated_grad accumulated_delta_var", FNN_OPT_DIMS, FNN_OPT_SCALARS, adadelta}
#define fnn_op_ftrl {"ftrl", FNN_OPT_OPERANDS "accumulator linear", FNN_OPT_DIMS, FNN_OPT_SCALARS, ftrl}
