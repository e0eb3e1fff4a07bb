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
 *                               exit; w and dw in panels; db[n] is read; gamma NULL is 1, beta NULL is 0;
 *                               sums[panel][2][k]: what the panel adds to dgamma and dbeta, k padded to whole lines
 *   batchnorm_dense_sums:       dgamma[k] and dbeta[k], added up in the order of the panels
 *
 * Sums by panels are the same whichever thread has a panel; and threads have those that they have in products.
 */

static void batchnorm_dense_gradients(const fnn_instr *in, const fnn_run *run) {
    enum { W, DW, DB, GAMMA, BETA, SUMS };
    const float *w = in->p[W], *db = in->p[DB], *gamma = in->p[GAMMA], *beta = in->p[BETA];
    float *dw = in->p[DW], *result = in->p[SUMS];
    int64_t k = in->d[0], n = in->d[1], padded = fnn_round_up(k, FNN_ALIGN_FLOATS), begin, end, p0, p1;
    const fnn_piece *piece = run->piece;
    int64_t dw_first = 0, db_first = 0; /* what lies at the start of dw and of db */
    if (piece) {
        p0 = piece->panel, p1 = p0 + 1, begin = piece->first, end = begin + piece->rows;
        dw = piece->values, db = piece->bias_values, dw_first = piece->begin, db_first = p0 * PANEL;
    } else {
        gemm_share(run, k, n, &begin, &end, &p0, &p1);
    }
    for (int64_t p = p0; p < p1; p++) {
        int64_t width = (int64_t)panel_width(n, p) * VF, rows;
        for (int64_t first = begin; first < end; first += rows) {
            rows = end - first < VF ? end - first : VF;
            vf sums[2][VF];
            for (int64_t i = rows; i < VF; i++) sums[0][i] = sums[1][i] = vf_zero();
            for (int64_t i = 0; i < rows; i++) {
                int64_t at = p * PANEL * k + (first + i) * width, at_dw = at - dw_first, at_db = p * PANEL - db_first;
                vf scale = vf_set(gamma ? gamma[first + i] : 1.0f), shift = vf_set(beta ? beta[first + i] : 0.0f);
                vf of_gamma = vf_zero(), of_beta = vf_zero();
                for (int64_t j = 0; j < width; j += VF) {
                    vf weight = vf_load(w + at + j), g = vf_load(dw + at_dw + j), b = vf_load(db + at_db + j);
                    of_gamma = vf_fma(weight, g, of_gamma);
                    of_beta = vf_fma(weight, b, of_beta);
                    vf_store(dw + at_dw + j, vf_fma(scale, g, vf_mul(shift, b)));
                }
                sums[0][i] = of_gamma, sums[1][i] = of_beta;
            }
            float *to = result + 2 * p * padded + first;
            vf_store_n(to, (int)rows, vf_sums(sums[0]));
            vf_store_n(to + padded, (int)rows, vf_sums(sums[1]));
        }
    }
}

static void batchnorm_dense_sums(const fnn_instr *in, const fnn_run *run) {
    int64_t k = in->d[0], padded = fnn_round_up(k, FNN_ALIGN_FLOATS), panels = panel_count(in->d[1]), begin, end;
    fnn_split(padded, FNN_ALIGN_FLOATS, run->thread, run->threads, &begin, &end);
    for (int side = 0; side < 2; side++) {
        float *to = in->p[1 + side];
        for (int64_t i = begin; to && i < end; i += VF) {
            const float *sums = (const float *)in->p[0] + side * padded + i;
            int lanes = k - i < VF ? (int)(k - i) : VF; /* zeros in the padding */
            vf total = vf_zero();
            for (int64_t p = 0; lanes > 0 && p < panels; p++, sums += 2 * padded)
                total = vf_add(total, lanes == VF ? vf_load(sums) : vf_load_n(sums, lanes));
            vf_store(to + i, total);
        }
    }
}

#define fnn_op_batchnorm_dense_gradients                                                                             \
    {"batchnorm_dense_gradients", "w dw db gamma? beta? sums", "k n", "", batchnorm_dense_gradients}
#define fnn_op_batchnorm_dense_sums                                                                                  \
    {"batchnorm_dense_sums", "sums dgamma? dbeta?", "k n", "", batchnorm_dense_sums}
