/* The gradients of a batch normalisation that feeds one dense layer and whose own input needs none.
 *
 * With y = xhat * gamma + beta, z = y . w + bias and dz given, let G[k][n] = xhat' . dz. Then
 *
 *     dw = gamma * G + beta (x) db,    dgamma[k] = sum over n of w * G,    dbeta[k] = sum over n of w * db
 *
 * so that the product dz . w', which a general backward pass would need for dgamma and dbeta alone, is not computed: a
 * quarter of the arithmetic of a network that normalises its inputs.
 *
 *   batchnorm_dense_gradients:  dw[k][n] holds G on entry (dense_backward_weights with xhat for x) and the gradient on
 *                               exit; w and dw in panels; db[n] is read; gamma NULL is 1, beta NULL is 0
 */

static void batchnorm_dense_gradients(const fnn_instr *in, const fnn_run *run) {
    enum { W, DW, DB, GAMMA, BETA, DGAMMA, DBETA };
    const float *w = in->p[W], *db = in->p[DB], *gamma = in->p[GAMMA], *beta = in->p[BETA];
    float *dw = in->p[DW], *dgamma = in->p[DGAMMA], *dbeta = in->p[DBETA];
    int64_t k = in->d[0], n = in->d[1], begin, end;
    fnn_split(k, FNN_ALIGN_FLOATS, run->thread, run->threads, &begin, &end);
    for (int64_t first = begin; first < end; first += FNN_ALIGN_FLOATS) {
        int64_t rows = end - first < FNN_ALIGN_FLOATS ? end - first : FNN_ALIGN_FLOATS;
        vf sums[2][FNN_ALIGN_FLOATS];
        for (int64_t i = 0; i < FNN_ALIGN_FLOATS; i++) sums[0][i] = sums[1][i] = vf_zero();
        for (int64_t p = 0; p < panel_count(n); p++) {
            int64_t width = (int64_t)panel_width(n, p) * VF, at = p * PANEL * k + first * width;
            for (int64_t i = 0; i < rows; i++, at += width) {
                vf scale = vf_set(gamma ? gamma[first + i] : 1.0f), shift = vf_set(beta ? beta[first + i] : 0.0f);
                for (int64_t j = 0; j < width; j += VF) {
                    vf weight = vf_load(w + at + j), g = vf_load(dw + at + j), b = vf_load(db + p * PANEL + j);
                    sums[0][i] = vf_fma(weight, g, sums[0][i]);
                    sums[1][i] = vf_fma(weight, b, sums[1][i]);
                    vf_store(dw + at + j, vf_fma(scale, g, vf_mul(shift, b)));
                }
            }
        }
        for (int64_t i = 0; i < FNN_ALIGN_FLOATS; i += VF) { /* zeros in the padding */
            if (dgamma) vf_store(dgamma + first + i, vf_sums(sums[0] + i));
            if (dbeta) vf_store(dbeta + first + i, vf_sums(sums[1] + i));
        }
    }
}

#define fnn_op_batchnorm_dense_gradients                                                                             \
    {"batchnorm_dense_gradients", "w dw db gamma? beta? dgamma? dbeta?", "k n", "", batchnorm_dense_gradients}
