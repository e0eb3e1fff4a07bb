/* What every optimizer has in common: which part of the parameters is this thread's, the learning rate, and what
 * happens to gradients and parameters on the way into the update.
 *
 * Operands begin with "param grad norms?", dimensions with "n matrix_rows matrix_columns accumulation clip norm_count",
 * scalars with "rate_factor decays". n is a multiple of FNN_ALIGN_FLOATS. Padding has a gradient of zero, and zeros
 * stay zeros.
 *
 *   matrix_...    of the matrix in panels that these parameters are: threads update the panels that they have in
 *                 products (gemm.c); 0 if they are anything else
 *   rate_factor   of the learning rate, for these parameters
 *   decays        nonzero: w -= w * weight_decay * learning rate, before the update
 *   accumulation  the update happens at every so-manieth step, with the mean of the gradients since
 *   clip          of the gradient: nothing, every value, by its own norm, by the norm of all gradients
 *   norms         norm_count partial sums of squares that `sum_squares` wrote, for the last two
 *
 * hyper[]: the numbers that may change from step to step, those of the optimizer itself from HYPER_OWN on.
 */
#ifndef FNN_OPTIMIZER_H
#define FNN_OPTIMIZER_H

enum { HYPER_RATE, HYPER_DECAY, HYPER_CLIP, HYPER_EMA, HYPER_OWN };
enum { CLIP_NOTHING, CLIP_VALUES, CLIP_NORM, CLIP_GLOBAL_NORM };
enum { OPT_PARAM, OPT_GRAD, OPT_NORMS, OPT_STATE };
enum { OPT_N, OPT_ROWS, OPT_COLUMNS, OPT_ACCUMULATION, OPT_CLIP, OPT_NORM_COUNT, OPT_OWN };
#define FNN_OPT_OPERANDS "param grad norms? "
#define FNN_OPT_DIMS "n matrix_rows matrix_columns accumulation clip norm_count"
#define FNN_OPT_SCALARS "rate_factor decays"

/* A sum of squares is cut here whatever the team, so that its bits are the same for each. */
enum { SUM_CHUNK = 4096 };

typedef struct update {
    int64_t begin, end;
    float *param;
    const float *grad; /* of the parameter at `first`, and of those behind it */
    int64_t first;
    double rate, t; /* t: number of this update, from 1 */
    const double *own;
    int plain; /* no clipping and no decay: nothing but a load */
    vf scale, bound, decay;
} update;

static double norm_of(const double *sums, int64_t count) {
    double total = 0;
    for (int64_t i = 0; i < count; i++) total += sums[i];
    return sqrt(total);
}

/* The factor of a gradient that is clipped by a norm, its own or that of all. */
static double clip_factor(int clip, double limit, double norm) {
    if (clip == CLIP_NORM) return norm != norm ? norm : limit / (norm > limit ? norm : limit);
    return isfinite(norm) ? norm > limit ? limit / norm : 1.0 : NAN;
}

/* This thread's part of the parameters, where they are not given piece by piece. */
static void share_parameters(const fnn_instr *in, const fnn_run *run, int64_t *begin, int64_t *end) {
    int64_t n = in->d[OPT_N], panel = in->d[OPT_ROWS] * PANEL, p0 = 0, p1 = 0;
    if (panel > 0 && run->threads > 1 && own_panels(in->d[OPT_COLUMNS], run->thread, run->threads, &p0, &p1)) {
        *begin = p0 * panel;
        *end = run->thread + 1 < run->threads ? p1 * panel : n;
    } else {
        fnn_split(n, FNN_ALIGN_FLOATS, run->thread, run->threads, begin, end);
    }
}

/* Fills in `u`, 0 if this step only accumulates. */
static int begin_update(const fnn_instr *in, const fnn_run *run, update *u) {
    const double *hyper = run->hyper;
    int64_t every = in->d[OPT_ACCUMULATION] > 1 ? in->d[OPT_ACCUMULATION] : 1;
    if ((run->step + 1) % every) return 0;
    u->param = in->p[OPT_PARAM];
    if (run->piece) {
        u->begin = u->first = run->piece->begin, u->end = run->piece->end;
        u->grad = run->piece->values;
    } else {
        share_parameters(in, run, &u->begin, &u->end);
        u->grad = in->p[OPT_GRAD], u->first = 0;
    }
    u->rate = hyper[HYPER_RATE] * in->s[0];
    u->t = (double)(run->step / every + 1);
    u->own = hyper + HYPER_OWN;
    int clip = (int)in->d[OPT_CLIP], decays = in->s[1] != 0;
    u->plain = clip == CLIP_NOTHING && !decays;
    if (u->plain) return 1;
    u->bound = vf_set(clip == CLIP_VALUES ? (float)hyper[HYPER_CLIP] : INFINITY);
    u->scale = vf_set(1.0f);
    if (clip == CLIP_NORM || clip == CLIP_GLOBAL_NORM)
        u->scale =
            vf_set((float)clip_factor(clip, hyper[HYPER_CLIP], norm_of(in->p[OPT_NORMS], in->d[OPT_NORM_COUNT])));
    u->decay = vf_set((float)(decays ? hyper[HYPER_DECAY] * u->rate : 0.0));
    return 1;
}

/* The gradient and the parameters at i, clipped and decayed. `plain` is a constant where this is inlined. */
static inline vf clip_vector(const update *u, vf g) {
    /* NaN passes, as the second argument */
    return vf_min(u->bound, vf_max(vf_neg(u->bound), vf_mul(u->scale, g)));
}

static inline vf clipped(const update *u, int64_t i, int plain) {
    vf g = vf_load(u->grad + (i - u->first));
    return plain ? g : clip_vector(u, g);
}

static inline vf decayed(const update *u, int64_t i, int plain) {
    vf w = vf_load(u->param + i);
    return plain ? w : vf_fnma(u->decay, w, w);
}

/* Defines `static void name(in, run)` from `name_loop(in, u, plain)`, which is compiled for both values of `plain`. */
#define FNN_OPTIMIZER(name)                                                                                          \
    static void name(const fnn_instr *in, const fnn_run *run) {                                                      \
        update u;                                                                                                    \
        if (!begin_update(in, run, &u)) return;                                                                      \
        if (u.plain)                                                                                                 \
            name##_loop(in, &u, 1);                                                                                  \
        else                                                                                                         \
            name##_loop(in, &u, 0);                                                                                  \
    }

#endif
