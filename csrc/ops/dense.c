/* The dense layer, but for the gradient of its weights (dense_weights.c). `w` is a panel-packed k x n matrix (gemm.c),
 * bias a vector of n.
 *
 *   dense_forward:           y [rows][n] = act(x[rows][k] . w + bias), slope[rows][n] = act' if wanted, strided as y
 *   dense_backward_input:    dx[rows][k] (+)= dz . w',   then dx *= act'(v) if act is not linear: the derivative of the
 *                            layer before is applied while the values are still in L1
 */

enum {
    /* Few rows soon are through a transposed panel. Cut short, it leaves the first-level cache to the weights, and the
     * next transposition fills the time in which the last multiply-adds wait for each other. */
    ROWS_WORTH_DEPTH = VF == 16 ? 20 : 6,
    FEW_DEPTH = 64,
    LINES_WORTH_FETCHING = 512, /* 32 KiB: as much as a first-level cache holds */
};

/* The transpose of product[n][count] as `count` rows of one vector; n and count are at most VF, and a row of the
 * product is a panel wide. */
static inline void store_transposed(const float *product, int64_t n, float *to, int64_t ld, int64_t count) {
    if (n == 1) {
        UNROLL for (int64_t i = 0; i < count; i++) vf_store(to + i * ld, vf_load_n(product + i, 1));
    } else if (count == VF) {
        vf_transpose(product, PANEL, (int)n, to, ld);
    } else {
        float rows[VF * VF];
        vf_transpose(product, PANEL, (int)n, rows, VF);
        for (int64_t i = 0; i < count; i++) vf_store(to + i * ld, vf_load(rows + i * VF));
    }
}

/* Few columns, of which a vector would be padding for the most part: y' = w' . x' instead, with x transposed on the
 * way, and the activation of whole vectors. The chains are the same. */
static NOT_INLINED void dense_forward_few(const fnn_instr *in, const fnn_run *run, int64_t begin, int64_t end) {
    const float *x = in->p[0], *w = in->p[1], *bias = in->p[2];
    float *y = in->p[3], *slope = in->p[4], *panel = run->scratch, *product = panel + KC * PANEL;
    float *slopes = slope ? product + MR_TOP * PANEL : NULL;
    int64_t k = in->d[0], n = in->d[1], ldx = in->d[2], ldy = in->d[3];
    int act = (int)in->d[4];
    for (int64_t m = begin; m < end; m += PANEL) {
        int64_t left = end - m;
        int vectors = left > VF ? 2 : 1;
        for (int64_t j = 0; j < n; j++) {
            vf start = vf_set(bias ? bias[j] : 0.0f);
            vf_store(product + j * PANEL, start), vf_store(product + j * PANEL + VF, start);
        }
        for (int64_t kb = 0; kb < k; kb += KC) {
            int64_t depth = k - kb < KC ? k - kb : KC, width = (int64_t)vectors * VF;
            for (int64_t r = 0; r < width; r += VF)
                for (int64_t i = 0; i < depth; i += VF)
                    vf_transpose(x + (m + r) * ldx + kb + i, ldx, left - r < VF ? (int)(left - r) : VF,
                                 panel + i * width + r, width);
            micro_columns[vectors - 1][n - 1](depth, w + kb * VF, VF, panel, product, PANEL, NULL, 0, NULL);
            if (fnn_interrupted(run, (double)(depth * vectors * (VF + n)))) return;
        }
        if (act != ACT_LINEAR) act_forward_block(act, in->s[0], product, PANEL, product, PANEL, slopes, n, PANEL);
        for (int64_t r = 0; r < left && r < PANEL; r += VF) {
            int64_t at = (m + r) * ldy, count = left - r < VF ? left - r : VF;
            store_transposed(product + r, n, y + at, ldy, count);
            if (slope) store_transposed(slopes + r, n, slope + at, ldy, count);
        }
    }
}

/* Layers of which everything is one block. What a loop over blocks prepares costs as much as a product of 16 x 16. */
static inline int is_one_block(int64_t rows, int64_t depth, int64_t panels) {
    return depth < DEPTH_WORTH_FETCHING && rows > 0 && rows <= MC && panels <= NC / PANEL;
}

static NOT_INLINED void dense_forward_block(const fnn_instr *in, int64_t first, int64_t rows, int64_t p0, int64_t p1) {
    const float *x = in->p[0], *w = in->p[1], *bias = in->p[2];
    float *y = in->p[3], *slope = in->p[4];
    int64_t k = in->d[0], n = in->d[1], ldx = in->d[2], ldy = in->d[3];
    int act = (int)in->d[4], how = act == ACT_RELU ? FIRST | RECTIFIED : FIRST;
    for (int64_t p = p0; p < p1; p++) {
        int vectors = panel_width(n, p);
        int64_t at = first * ldy + p * PANEL;
        gemm_few_tiles(micro_rows, vectors, rows, k, x + first * ldx, ldx, ldx, w + p * PANEL * k, y + at, ldy,
                       bias ? bias + p * PANEL : NULL, how);
        if (act != ACT_LINEAR && act != ACT_RELU)
            act_forward_block(act, in->s[0], y + at, ldy, y + at, ldy, slope ? slope + at : NULL, rows,
                              (int64_t)vectors * VF);
    }
}

/* Which part of a product is this thread's: of its rows alone, if all that comes before and after is shared so. */
static inline void dense_share(const fnn_instr *in, const fnn_run *run, int64_t m, int64_t n, int64_t *m0, int64_t *m1,
                               int64_t *p0, int64_t *p1) {
    if (in->by_rows > 0) {
        *p0 = 0, *p1 = panel_count(n);
        fnn_split(m, 1, run->thread, run->threads, m0, m1);
    } else {
        gemm_share(run, m, n, m0, m1, p0, p1);
    }
}

/* Asks at once for all of what the whole team has written: the products would wait for one line after the other of
 * those that another processor has in its cache. More than that comes in long rows, which processors fetch ahead
 * themselves. */
static inline void fetch_shared(const fnn_run *run, const float *x, int64_t ldx, int64_t rows, int64_t columns) {
    int64_t lines = (columns + FNN_ALIGN_FLOATS - 1) / FNN_ALIGN_FLOATS;
    if (run->threads == 1 || rows * lines > LINES_WORTH_FETCHING) return;
    for (int64_t r = 0; r < rows; r++, x += ldx)
        for (int64_t j = 0; j < lines; j++) __builtin_prefetch(x + j * FNN_ALIGN_FLOATS, 0, 3);
}

static NOT_INLINED void dense_forward_blocks(const fnn_instr *in, const fnn_run *run, int64_t m0, int64_t m1,
                                             int64_t p0, int64_t p1) {
    const float *x = in->p[0], *w = in->p[1], *bias = in->p[2];
    float *y = in->p[3], *slope = in->p[4];
    int64_t k = in->d[0], n = in->d[1], ldx = in->d[2], ldy = in->d[3];
    int act = (int)in->d[4];
    float alpha = in->s[0];
    int64_t kc = even_block(k, KC);
    for (int64_t mb = m0; mb < m1; mb += MC) {
        int64_t rows = m1 - mb < MC ? m1 - mb : MC;
        int64_t group = even_block(p1 - p0, NC / PANEL);
        for (int64_t pb = p0; pb < p1; pb += group) {
            int64_t pe = p1 - pb < group ? p1 : pb + group;
            for (int64_t kb = 0; kb < k; kb += kc) {
                int64_t depth = k - kb < kc ? k - kb : kc;
                for (int64_t p = pb; p < pe; p++) {
                    int vectors = panel_width(n, p);
                    int64_t at = mb * ldy + p * PANEL;
                    float *c = y + at;
                    const float *a = x + mb * ldx + kb, *panel = w + p * PANEL * k + kb * vectors * VF;
                    const float *start = bias ? bias + p * PANEL : NULL;
                    if (rows == 1 && p + WIDE <= pe && panel_width(n, p + WIDE - 1) == 2) {
                        micro_wide(depth, a, panel, PANEL * k, c, start, kb == 0);
                        p += WIDE - 1;
                        vectors = 2 * WIDE;
                    } else {
                        ahead next = nothing_ahead();
                        if (rows >= ROWS_WORTH_FETCHING && p + 1 < pe)
                            next = ahead_of(w + (p + 1) * PANEL * k + kb * PANEL, 1, depth * PANEL, 0);
                        gemm_tiles(micro_rows, vectors, rows, depth, a, ldx, ldx, panel, c, ldy, start, kb == 0, next);
                    }
                    if (kb + depth == k && act != ACT_LINEAR)
                        act_forward_block(act, alpha, c, ldy, c, ldy, slope ? slope + at : NULL, rows,
                                          (int64_t)vectors * VF);
                    if (fnn_interrupted(run, (double)(rows * depth * vectors))) return;
                }
            }
        }
    }
}

/* Decides, and no more: what the loops over blocks keep on the stack is not for small layers. */
static void dense_forward(const fnn_instr *in, const fnn_run *run) {
    int64_t k = in->d[0], n = in->d[1], ldx = in->d[2], m = run->samples * in->rows_per_sample;
    int64_t m0, m1, p0, p1;
    dense_share(in, run, m, n, &m0, &m1, &p0, &p1);
    if (!in->by_rows) fetch_shared(run, (const float *)in->p[0] + m0 * ldx, ldx, m1 - m0, k);
    if (n <= VF / 4 && k >= VF / 2 && m1 - m0 >= VF && p1 > p0) dense_forward_few(in, run, m0, m1);
    else if (is_one_block(m1 - m0, k, p1 - p0) && (m1 - m0 > 1 || p1 - p0 < WIDE))
        dense_forward_block(in, m0, m1 - m0, p0, p1);
    else dense_forward_blocks(in, run, m0, m1, p0, p1);
}

/* t[j][i] = w[k0 + i][n0 + j] for i < vectors * VF and j < depth, zero for rows past k. n0 is a multiple of VF. */
static void transpose_weights(const float *w, int64_t k, int64_t n, int64_t k0, int vectors, int64_t n0, int64_t depth,
                              float *t) {
    int64_t width_t = (int64_t)vectors * VF, last = panel_count(n) - 1;
    if (n == 1) {
        for (int64_t i = 0; i < width_t; i += VF) {
            int64_t rows = k - (k0 + i);
            vf_store(t + i, vf_load_column(w + (k0 + i) * VF, VF, rows < VF ? (int)(rows < 0 ? 0 : rows) : VF));
        }
        return;
    }
    for (int64_t j = 0; j < depth; j += VF) {
        int64_t p = (n0 + j) / PANEL < last ? (n0 + j) / PANEL : last, width = (int64_t)panel_width(n, p) * VF;
        const float *panel = w + p * PANEL * k + (n0 + j - p * PANEL);
        for (int64_t i = 0; i < width_t; i += VF) {
            int64_t rows = k - (k0 + i);
            vf_transpose(panel + (k0 + i) * width, width, rows < VF ? (int)(rows < 0 ? 0 : rows) : VF,
                         t + j * width_t + i, width_t);
        }
    }
}

static NOT_INLINED void dense_backward_input_block(const fnn_instr *in, int64_t first, int64_t rows, int64_t p0,
                                                   int64_t p1, float *transposed) {
    const float *dz = in->p[0], *w = in->p[1], *v = in->p[2];
    float *dx = in->p[3];
    int64_t k = in->d[0], n = in->d[1], lddz = in->d[2], ldv = in->d[3], lddx = in->d[4];
    int act = (int)in->d[5], how = in->d[6] ? 0 : FIRST, gated = act == ACT_RELU && ldv == lddx;
    if (gated) how |= GATED;
    for (int64_t p = p0; p < p1; p++) {
        int vectors = panel_width(k, p);
        const float *values = v ? v + first * ldv + p * PANEL : NULL;
        float *c = dx + first * lddx + p * PANEL;
        transpose_weights(w, k, n, p * PANEL, vectors, 0, n, transposed);
        gemm_few_tiles(micro_rows, vectors, rows, n, dz + first * lddz, lddz, lddz, transposed, c, lddx,
                       gated ? values : NULL, how);
        if (act != ACT_LINEAR && !gated)
            act_backward_block(act, in->s[0], values, ldv, c, lddx, c, lddx, rows, (int64_t)vectors * VF);
    }
}

static NOT_INLINED void dense_backward_input_blocks(const fnn_instr *in, const fnn_run *run, int64_t m, int64_t m0,
                                                    int64_t m1, int64_t p0, int64_t p1) {
    const float *dz = in->p[0], *w = in->p[1], *v = in->p[2];
    float *dx = in->p[3];
    int64_t k = in->d[0], n = in->d[1], lddz = in->d[2], ldv = in->d[3], lddx = in->d[4];
    int act = (int)in->d[5], accumulate = in->d[6] != 0;
    float alpha = in->s[0];
    int64_t nc = m < ROWS_WORTH_DEPTH ? FEW_DEPTH : fnn_round_up(even_block(n, KC), VF);
    for (int64_t mb = m0; mb < m1; mb += MC) {
        int64_t rows = m1 - mb < MC ? m1 - mb : MC;
        int64_t group = even_block(p1 - p0, NC / PANEL);
        for (int64_t pb = p0; pb < p1; pb += group) {
            int64_t pe = p1 - pb < group ? p1 : pb + group;
            for (int64_t nb = 0; nb < n; nb += nc) {
                int64_t depth = n - nb < nc ? n - nb : nc;
                for (int64_t p = pb; p < pe; p++) {
                    int vectors = panel_width(k, p);
                    float *c = dx + mb * lddx + p * PANEL;
                    transpose_weights(w, k, n, p * PANEL, vectors, nb, depth, run->scratch);
                    ahead next = nothing_ahead();
                    if (rows >= ROWS_WORTH_FETCHING && p + 1 < pe) /* what the next transposition reads */
                        next = ahead_of(w + nb * k + (p + 1) * PANEL * PANEL, depth / PANEL, PANEL * PANEL, PANEL * k);
                    gemm_tiles(micro_rows, vectors, rows, depth, dz + mb * lddz + nb, lddz, lddz, run->scratch, c, lddx,
                               NULL, nb == 0 && !accumulate, next);
                    if (nb + depth >= n && act != ACT_LINEAR)
                        act_backward_block(act, alpha, v + mb * ldv + p * PANEL, ldv, c, lddx, c, lddx, rows,
                                           (int64_t)vectors * VF);
                    if (fnn_interrupted(run, (double)(rows * depth * vectors))) return;
                }
            }
        }
    }
}

static void dense_backward_input(const fnn_instr *in, const fnn_run *run) {
    int64_t k = in->d[0], n = in->d[1], lddz = in->d[2], m = run->samples * in->rows_per_sample, m0, m1, p0, p1;
    dense_share(in, run, m, k, &m0, &m1, &p0, &p1);
    if (!in->by_rows) fetch_shared(run, (const float *)in->p[0] + m0 * lddz, lddz, m1 - m0, n);
    if (is_one_block(m1 - m0, n, p1 - p0) && (m >= ROWS_WORTH_DEPTH || n <= FEW_DEPTH))
        dense_backward_input_block(in, m0, m1 - m0, p0, p1, run->scratch);
    else dense_backward_input_blocks(in, run, m, m0, m1, p0, p1);
}

#define fnn_op_dense_forward \
    {"dense_forward", "x w bias? y slope?", "k n ldx ldy act", "alpha", dense_forward}
#define fnn_op_dense_backward_input \
    {"dense_backward_input", "dz w v? dx", "k n lddz ldv lddx act accumulate", "alpha", dense_backward_input}
