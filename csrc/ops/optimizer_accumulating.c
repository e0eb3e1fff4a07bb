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

enum { FTRL_TERMS = 4, FTRL_STRIP = VF_ABREAST * 64 };

/* What raises an accumulator to a power, from `least` to `most`, whose powers are normal numbers. */
typedef struct ftrl_powers {
    vf power, of_zero, least, most, few, terms[FTRL_TERMS];
} ftrl_powers;

/* 1 - (1 - q)^power = q (terms[0] + q (terms[1] + ...)) up to q = `few`, exact to float32: six terms of the binomial
 * series, the last two of them spread over the others so that the error is least (by Chebyshev's polynomials). */
static ftrl_powers ftrl_begin(double power) {
    static const double last[2][5] = {{-1.0 / 128, 32.0 / 128, -160.0 / 128, 256.0 / 128},
                                      {1.0 / 512, -50.0 / 512, 400.0 / 512, -1120.0 / 512, 1280.0 / 512}};
    double few = power > 2 ? 0.25 / power : 0.125, reach = 125 / fmax(power, 1), terms[FTRL_TERMS + 2], term = power;
    ftrl_powers p = {.power = vf_set((float)power), .of_zero = vf_set(power == 0), .few = vf_set((float)few)};
    p.least = vf_set((float)exp2(-reach));
    p.most = vf_set((float)exp2(reach));
    for (int k = 0; k < FTRL_TERMS + 2; k++) { /* as coefficients of (q / few)^k */
        terms[k] = term;
        term *= few * (k + 1 - power) / (k + 2);
    }
    for (int n = FTRL_TERMS + 1; n >= FTRL_TERMS; n--)
        for (int k = 0; k < n; k++) terms[k] += terms[n] * last[n - FTRL_TERMS][k];
    for (int k = 0; k < FTRL_TERMS; k++) p.terms[k] = vf_set((float)(terms[k] * pow(few, -k)));
    return p;
}

static inline vf ftrl_base(const ftrl_powers *p, vf a) { return vf_min(p->most, vf_max(p->least, a)); }

/* b^power - a^power, given b^power. As a grows towards b by little, mostly, one power does for both. */
static inline vf ftrl_growth(const ftrl_powers *p, vf a, vf b, vf after) {
    vf q = vf_quotient(vf_sub(b, a), vf_max(vf_set(FLT_MIN), b));
    if (vi_signs(vi_bits(vf_sub(p->few, q)))) {
        vf before = ftrl_base(p, a);
        vf_pow_positive(&before, 1, p->power);
        before = vf_select(vf_lt(vf_zero(), a), before, vf_select(vf_lt(vf_zero(), b), p->of_zero, after));
        return vf_sub(after, before);
    }
    vf sum = p->terms[FTRL_TERMS - 1];
    for (int k = FTRL_TERMS - 2; k >= 0; k--) sum = vf_fma(sum, q, p->terms[k]);
    return vf_mul(vf_mul(sum, q), after);
}

/* From `begin` to `end`, with the powers that the accumulators will have; by their roots if there are none. */
FNN_INLINE void ftrl_strip(const fnn_instr *in, const update *u, int plain, int64_t begin, int64_t end,
                           const ftrl_powers *powers, const float *raised) {
    float *accumulator = in->p[OPT_STATE], *linear = in->p[OPT_STATE + 1];
    const double *own = u->own;
    vf l1 = vf_set((float)own[1]), shrinkage = vf_set((float)(2.0 * own[3]));
    vf per_rate = vf_set((float)(1.0 / u->rate)), constant = vf_set((float)(2.0 * own[2] + own[4] / u->rate));
    for (int64_t i = begin; i < end; i += VF) {
        vf g = clipped(u, i, plain), w = decayed(u, i, plain), a = vf_load(accumulator + i), b = vf_fma(g, g, a);
        vf after = powers ? vf_load(raised + i - begin) : vf_sqrt(b);
        vf growth = powers ? ftrl_growth(powers, a, b, after) : vf_sub(after, vf_sqrt(a));
        vf z = vf_add(vf_load(linear + i), vf_fma(shrinkage, w, g));
        z = vf_fnma(vf_mul(growth, per_rate), w, z);
        vf quadratic = vf_fma(after, per_rate, constant);
        vf inside = vf_min(l1, vf_max(vf_neg(l1), z));
        vf_store(accumulator + i, b);
        vf_store(linear + i, z);
        /* the bound: padding is 0 / 0 where nothing has accumulated */
        vf_store(u->param + i, vf_quotient(vf_sub(inside, z), vf_max(vf_set(FLT_MIN), quadratic)));
    }
}

/* The powers of n vectors of accumulators as they will be. */
FNN_INLINE void ftrl_raise(const fnn_instr *in, const update *u, int plain, int64_t i, int n, const ftrl_powers *p,
                           float *raised) {
    const float *accumulator = in->p[OPT_STATE];
    vf b[VF_ABREAST];
    for (int j = 0; j < n; j++) {
        vf g = clipped(u, i + j * VF, plain);
        b[j] = ftrl_base(p, vf_fma(g, g, vf_load(accumulator + i + j * VF)));
    }
    vf_pow_positive(b, n, p->power);
    for (int j = 0; j < n; j++) vf_store(raised + j * VF, b[j]);
}

FNN_INLINE void ftrl_loop(const fnn_instr *in, const update *u, int plain) {
    if (u->own[0] == -0.5) {
        ftrl_strip(in, u, plain, u->begin, u->end, NULL, NULL);
        return;
    }
    ftrl_powers p = ftrl_begin(-u->own[0]);
    float raised[FTRL_STRIP];
    for (int64_t begin = u->begin, end; begin < u->end; begin = end) {
        end = begin + FTRL_STRIP < u->end ? begin + FTRL_STRIP : u->end;
        int64_t i = begin;
        for (; i + VF_ABREAST * VF <= end; i += VF_ABREAST * VF)
            ftrl_raise(in, u, plain, i, VF_ABREAST, &p, raised + i - begin);
        for (; i < end; i += VF) ftrl_raise(in, u, plain, i, 1, &p, raised + i - begin);
        ftrl_strip(in, u, plain, begin, end, &p, raised);
    }
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
