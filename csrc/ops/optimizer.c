/* Optimizers: one pass over contiguous parameters. The updates and their coefficients are those of Keras 3.
 *
 *   sgd:   param[n] grad[n] momentum?[n]        w -= lr g;  with momentum: m = mu m - lr g,
 *                                               w += m, or w += mu m - lr g (Nesterov; Sutskever et al., ICML 2013)
 *   adam:  param[n] grad[n] m[n] v[n] vmax?[n]  Kingma & Ba, ICLR 2015, in the form just before its section 2.1;
 *                                               vmax: AMSGrad (Reddi et al., ICLR 2018)
 *
 * n is a multiple of FNN_ALIGN_FLOATS. Padding has a gradient of zero, and zeros stay zeros here. The learning rate is
 * hyper[0]; Adam's step counts from 1.
 */
static void sgd(const fnn_instr *in, const fnn_run *run) {
    float *param = in->p[0], *momentum = in->p[2];
    const float *grad = in->p[1];
    vf rate = vf_set((float)run->hyper[0]), mu = vf_set(in->s[0]);
    int nesterov = in->d[1] != 0;
    int64_t begin, end;
    fnn_split(in->d[0], FNN_ALIGN_FLOATS, run->thread, run->threads, &begin, &end);
    if (!momentum) {
        for (int64_t i = begin; i < end; i += VF)
            vf_store(param + i, vf_fnma(rate, vf_load(grad + i), vf_load(param + i)));
        return;
    }
    for (int64_t i = begin; i < end; i += VF) {
        vf step = vf_mul(rate, vf_load(grad + i));
        vf m = vf_sub(vf_mul(mu, vf_load(momentum + i)), step);
        vf_store(momentum + i, m);
        vf_store(param + i, vf_add(vf_load(param + i), nesterov ? vf_sub(vf_mul(mu, m), step) : m));
    }
}

static void adam(const fnn_instr *in, const fnn_run *run) {
    float *param = in->p[0], *first = in->p[2], *second = in->p[3], *largest = in->p[4];
    const float *grad = in->p[1];
    double beta_1 = in->s[0], beta_2 = in->s[1], t = (double)(run->step + 1);
    vf alpha = vf_set((float)(run->hyper[0] * sqrt(1.0 - pow(beta_2, t)) / (1.0 - pow(beta_1, t))));
    vf gain_1 = vf_set((float)(1.0 - beta_1)), gain_2 = vf_set((float)(1.0 - beta_2));
    vf epsilon = vf_set(in->s[2] > FLT_MIN ? in->s[2] : FLT_MIN); /* never 0 / 0, which would poison the padding */
    int64_t begin, end;
    fnn_split(in->d[0], FNN_ALIGN_FLOATS, run->thread, run->threads, &begin, &end);
    for (int64_t i = begin; i < end; i += VF) {
        vf g = vf_load(grad + i), m = vf_load(first + i), v = vf_load(second + i);
        m = vf_fma(vf_sub(g, m), gain_1, m);
        v = vf_fma(vf_sub(vf_mul(g, g), v), gain_2, v);
        vf_store(first + i, m);
        vf_store(second + i, v);
        if (largest) {
            v = vf_max(vf_load(largest + i), v);
            vf_store(largest + i, v);
        }
        vf_store(param + i, vf_sub(vf_load(param + i), vf_over_root(vf_mul(m, alpha), v, epsilon)));
    }
}

#define fnn_op_sgd {"sgd", "param grad momentum?", "n nesterov", "momentum_factor", sgd}
#define fnn_op_adam {"adam", "param grad m v vmax?", "n", "beta_1 beta_2 epsilon", adam}
