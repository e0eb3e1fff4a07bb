/* The dense layer. `w` and `dw` are panel-packed k x n matrices (ops/gemm.c), bias and db vectors of n.
 *
 *   dense_forward:           y [rows][n] = act(x[rows][k] . w + bias), slope[rows][n] = act' if wanted, strided as y
 *   dense_backward_weights:  dw[k][n] (+)= x' . dz,   db[n] (+)= column sums of dz[rows][n]
 *                            accumulate: 1 adds to dw, 2 to db, 3 to both. With half_dw, these are sums over the first
 *                            half of the rows, half_dw and half_db those over the second: `join_halves` adds them up,
 *                            on any number of threads. Two threads that share all rows then need not read what the
 *                            other one has written. (Too few rows are not halved, and the second sums are zero.)
 *                            With followers, dw is theirs alone, and never as a whole.
 *   dense_backward_input:    dx[rows][k] (+)= dz . w',   then dx *= act'(v) if act is not linear: the derivative of the
 *                            layer before is applied while the values are still in L1
 */
#include "optimizer.h"

enum {
    /* Packing x for its weight gradient pays when it is read again for this many panels, and when its rows are too
     * many for the first-level cache of pages (64 entries on Zen 3). */
    PANELS_WORTH_PACKING = 4,
    ROWS_WORTH_PACKING = 64,
    /* Few rows soon are through a transposed panel. Cut short, it leaves the first-level cache to the weights, and the
     * next transposition fills the time in which the last multiply-adds wait for each other. */
    ROWS_WORTH_DEPTH = VF == 16 ? 20 : 6,
    FEW_DEPTH = 64,
    PIECE_ROWS = 128,           /* of two vectors: 16 KiB, half of a first-level cache */
    LINES_WORTH_FETCHING = 512, /* 32 KiB: as much as a first-level cache holds */
    ROWS_WORTH_HALVING = 128,   /* Each half is still a deep product. halves_rows in cost.py has the same number. */
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

/* Copies rows of up to three vectors side by side, zero past column `used`. If there are `sums`, adds the columns up:
 * to what is there, unless this is the first block. */
static NOT_INLINED void pack_rows(const float *from, int64_t ld, int64_t rows, int vectors, int64_t used, float *packed,
                                  float *sums, int first) {
    const float *before = first ? NULL : sums;
    if (vectors == 2 && used >= 2 * VF) {
        vf sum0 = NTH_OR_ZERO(before, 0), sum1 = NTH_OR_ZERO(before, 1);
        UNROLL for (int64_t r = 0; r < rows; r++) {
            vf value0 = vf_load(from + r * ld), value1 = vf_load(from + r * ld + VF);
            vf_store(packed + r * 2 * VF, value0), vf_store(packed + r * 2 * VF + VF, value1);
            sum0 = vf_add(sum0, value0), sum1 = vf_add(sum1, value1);
        }
        if (sums) vf_store(sums, sum0), vf_store(sums + VF, sum1);
        return;
    }
    for (int j = 0; j < vectors; j++, used -= VF, from += VF, packed += VF) {
        int64_t step = (int64_t)vectors * VF;
        vf sum = NTH_OR_ZERO(before, j);
        if (used >= VF) {
            UNROLL for (int64_t r = 0; r < rows; r++) {
                vf value = vf_load(from + r * ld);
                vf_store(packed + r * step, value);
                sum = vf_add(sum, value);
            }
        } else {
            int lanes = used > 0 ? (int)used : 0;
            UNROLL for (int64_t r = 0; r < rows; r++) {
                vf value = vf_load_n(from + r * ld, lanes);
                vf_store(packed + r * step, value);
                sum = vf_add(sum, value);
            }
        }
        if (sums) vf_store(sums + j * VF, sum);
    }
}

/* The sums alone, of rows that lie as packed ones do. */
static NOT_INLINED void sum_rows(const float *rows, int64_t count, int vectors, float *sums, int first) {
    const float *before = first ? NULL : sums;
    for (int j = 0; j < vectors; j++, rows += VF) {
        vf sum = NTH_OR_ZERO(before, j);
        UNROLL for (int64_t r = 0; r < count; r++) sum = vf_add(sum, vf_load(rows + r * vectors * VF));
        vf_store(sums + j * VF, sum);
    }
}

/* Few columns, of which a vector would be padding for the most part: dw' = dz' . x instead, with as many multiply-adds
 * as dw has columns for each vector of its rows. Rows k0 to k1 of dw, and the bias with the first of them. */
static NOT_INLINED void dense_backward_few(const fnn_instr *in, const fnn_run *run, int64_t m, int64_t k0, int64_t k1) {
    const float *x = in->p[0], *dz = in->p[1];
    float *dw = in->p[2], *db = in->p[3], *packed = run->scratch, *product = packed + KC * PANEL;
    int64_t n = in->d[1], ldx = in->d[2], lddz = in->d[3];
    for (int64_t kb = k0; kb < k1; kb += PANEL) {
        int64_t left = k1 - kb;
        int vectors = left > VF ? 2 : 1;
        for (int64_t mb = 0; mb < m; mb += KC) {
            int64_t depth = m - mb < KC ? m - mb : KC;
            const float *rows = x + mb * ldx + kb;
            if (kb > 0 || ldx != vectors * VF) /* else they lie as packed ones do */
                pack_rows(rows, ldx, depth, vectors, left, packed, NULL, 1), rows = packed;
            micro_columns[vectors - 1][n - 1](depth, dz + mb * lddz, lddz, rows, product, PANEL, NULL, mb == 0, NULL);
            if (fnn_interrupted(run, (double)(depth * vectors * n))) return;
        }
        store_transposed(product, n, dw + kb * VF, VF, left < VF ? left : VF);
        if (left > VF) store_transposed(product + VF, n, dw + (kb + VF) * VF, VF, left < PANEL ? left - VF : VF);
    }
    if (!db || k0 > 0 || k1 == 0) return;
    vf sum = (in->d[4] & 2) ? vf_load(db) : vf_zero();
    UNROLL for (int64_t r = 0; r < m; r++) sum = vf_add(sum, vf_load_n(dz + r * lddz, (int)n));
    vf_store(db, sum);
}

static NOT_INLINED void dense_backward_weights_block(const fnn_instr *in, int64_t m, int64_t k0, int64_t k1, int64_t p0,
                                                     int64_t p1, float *panel) {
    const float *x = in->p[0], *dz = in->p[1];
    float *dw = in->p[2], *db = k0 == 0 ? in->p[3] : NULL;
    int64_t k = in->d[0], n = in->d[1], ldx = in->d[2], lddz = in->d[3];
    int accumulate = in->d[4] & 1, accumulate_bias = (in->d[4] & 2) != 0;
    for (int64_t p = p0; p < p1; p++) {
        int vectors = panel_width(n, p);
        int64_t column = p * PANEL, width = (int64_t)vectors * VF;
        const float *packed = panel;
        if (lddz == width && n == width) { /* one panel, which lies as it shall */
            packed = dz;
            if (db) sum_rows(dz, m, vectors, db, !accumulate_bias);
        } else {
            pack_rows(dz + column, lddz, m, vectors, n - column, panel, db ? db + column : NULL, !accumulate_bias);
        }
        gemm_few_tiles(micro_columns, vectors, k1 - k0, m, x + k0, ldx, 1, packed, dw + column * k + k0 * width, width,
                       NULL, !accumulate);
    }
}

static void dense_weights(const fnn_instr *in, const fnn_run *run, int64_t m) {
    const float *x = in->p[0], *dz = in->p[1];
    float *dw = in->p[2], *db = in->p[3];
    int64_t k = in->d[0], n = in->d[1], ldx = in->d[2], lddz = in->d[3];
    int accumulate = in->d[4] & 1, accumulate_bias = (in->d[4] & 2) != 0;
    int64_t k0, k1, p0, p1;
    gemm_share(run, k, n, &k0, &k1, &p0, &p1);
    /* The thread that has the first rows of a panel of dw also has its bias. */
    float *panel = run->scratch, *columns = panel + KC * 3 * VF;
    if (n <= VF / 2 && !accumulate && p1 > p0) {
        dense_backward_few(in, run, m, k0, k1);
        return;
    }
    if (is_one_block(k1 - k0, m, p1 - p0) && (p1 - p0 < PANELS_WORTH_PACKING || m < ROWS_WORTH_PACKING)) {
        dense_backward_weights_block(in, m, k0, k1, p0, p1, panel);
        return;
    }
    int64_t mc = even_block(m, KC), wc = even_block(k1 - k0, WC);
    for (int64_t kb = k0; kb < k1; kb += wc)
        for (int64_t mb = 0; mb < m; mb += mc) {
            int64_t depth = m - mb < mc ? m - mb : mc, width = k1 - kb < wc ? k1 - kb : wc;
            const float *from = x + mb * ldx + kb;
            int packed = p1 - p0 >= PANELS_WORTH_PACKING && depth >= ROWS_WORTH_PACKING, first = mb == 0 && !accumulate;
            if (packed) pack_columns(from, ldx, depth, width, ldx - kb, columns);
            for (int64_t p = p0; p < p1; p++) {
                int vectors = panel_width(n, p), part = packed && vectors > PACKED_VECTORS ? PACKED_VECTORS : vectors;
                float *to = dw + p * PANEL * k + kb * vectors * VF;
                int64_t ldw = (int64_t)vectors * VF;
                for (int j = 0; j < vectors; j += part) { /* a panel of three vectors in two parts, if x is packed */
                    int64_t column = p * PANEL + j * VF;
                    if (part > vectors - j) part = vectors - j;
                    pack_rows(dz + mb * lddz + column, lddz, depth, part, n - column, panel,
                              db && kb == 0 ? db + column : NULL, mb == 0 && !accumulate_bias);
                    if (packed) {
                        ahead next = nothing_ahead();
                        if (p + 1 < p1) next = ahead_of(dz + mb * lddz + (p + 1) * PANEL, depth, PANEL, lddz);
                        gemm_packed_tiles(part, width, depth, columns, panel, to + j * VF, ldw, first, next);
                    } else {
                        gemm_tiles(micro_columns, part, width, depth, from, ldx, 1, panel, to, ldw, NULL, first,
                                   nothing_ahead());
                    }
                }
                if (fnn_interrupted(run, (double)(width * depth * vectors))) return;
            }
        }
}

/* Asks for the parameters that an update will change, and what it remembers of them, while the product is computed. */
static inline void fetch_parameters(ahead *next, const fnn_instr *update, int64_t begin, int64_t count) {
    next->then[0] = (const float *)update->p[OPT_PARAM] + begin;
    for (int i = 0; i < 2; i++) {
        const float *state = update->p[OPT_STATE + i];
        next->then[1 + i] = state ? state + begin : NULL;
    }
    next->then_lines = count / FNN_ALIGN_FLOATS;
}

/* The same, piece by piece: each goes to the instructions that follow while it is in a cache, and nowhere else. The
 * rows of the batch are at most KC, and added to nothing. */
static NOT_INLINED void dense_weights_followed(const fnn_instr *in, const fnn_run *run, int64_t m) {
    const float *x = in->p[0], *dz = in->p[1];
    float *db = in->p[3];
    int64_t k = in->d[0], n = in->d[1], ldx = in->d[2], lddz = in->d[3];
    int64_t k0, k1, p0, p1;
    gemm_share(run, k, n, &k0, &k1, &p0, &p1);
    float *panel = run->scratch, *values = panel + KC * 3 * VF, *columns = values + WC * 3 * VF;
    int packed = p1 - p0 >= PANELS_WORTH_PACKING && m >= ROWS_WORTH_PACKING;
    int64_t wc = even_block(k1 - k0, packed ? WC : PIECE_ROWS);
    fnn_run part = *run;
    for (int64_t kb = k0; kb < k1; kb += wc) {
        int64_t width = k1 - kb < wc ? k1 - kb : wc;
        if (packed) pack_columns(x + kb, ldx, m, width, ldx - kb, columns);
        for (int64_t p = p0; p < p1; p++) {
            int vectors = panel_width(n, p), each = packed && vectors > PACKED_VECTORS ? PACKED_VECTORS : vectors;
            int64_t ldw = (int64_t)vectors * VF, begin = p * PANEL * k + kb * ldw;
            _Alignas(FNN_ALIGN_BYTES) float sums[3 * VF];
            for (int j = 0; j < vectors; j += each) { /* a panel of three vectors in two parts, if x is packed */
                int64_t column = p * PANEL + j * VF;
                if (each > vectors - j) each = vectors - j;
                pack_rows(dz + column, lddz, m, each, n - column, panel, sums + j * VF, 1);
                if (packed) {
                    ahead next = nothing_ahead();
                    if (p + 1 < p1) next = ahead_of(dz + (p + 1) * PANEL, m, PANEL, lddz);
                    if (j == 0) fetch_parameters(&next, in + in->followers, begin, width * ldw);
                    gemm_packed_tiles(each, width, m, columns, panel, values + j * VF, ldw, 1, next);
                } else {
                    gemm_tiles(micro_columns, each, width, m, x + kb, ldx, 1, panel, values + j * VF, ldw, NULL, 1,
                               nothing_ahead());
                }
            }
            if (db && kb == 0) memcpy(db + p * PANEL, sums, sizeof(float) * (size_t)ldw);
            fnn_piece piece = {values, sums, p, kb, width, begin, begin + width * ldw};
            part.piece = &piece;
            for (int i = 1; i <= in->followers; i++) in[i].run(in + i, &part);
        }
    }
}

static void clear_gradients(float *dw, float *db, int64_t k, int64_t n) {
    memset(dw, 0, sizeof(float) * (size_t)panel_floats(k, n));
    if (db) memset(db, 0, sizeof(float) * (size_t)fnn_round_up(n, FNN_ALIGN_FLOATS));
}

/* A half of the rows: the first into dw and db, the second into what is added to them later. */
static void dense_weights_of_half(const fnn_instr *in, const fnn_run *run, int half) {
    fnn_instr part = *in;
    int64_t begin, end;
    fnn_split(run->samples * in->rows_per_sample, 1, half, 2, &begin, &end);
    part.p[0] = (float *)in->p[0] + begin * in->d[2];
    part.p[1] = (float *)in->p[1] + begin * in->d[3];
    if (half) part.p[2] = in->p[4], part.p[3] = in->p[5];
    dense_weights(&part, run, end - begin);
}

static void dense_backward_weights(const fnn_instr *in, const fnn_run *run) {
    int64_t k = in->d[0], n = in->d[1], m = run->samples * in->rows_per_sample;
    if (in->followers) {
        dense_weights_followed(in, run, m);
        return;
    }
    if (!in->p[4] || m < ROWS_WORTH_HALVING || 2 * k * n > m * (k + n)) {
        dense_weights(in, run, m);
        if (in->p[4] && run->thread == 0) clear_gradients(in->p[4], in->p[5], k, n);
        return;
    }
    fnn_run part = *run;
    if (run->threads > 1) {
        part.threads = run->threads / 2; /* of an odd team one stands by */
        part.thread = run->thread % part.threads;
        if (run->thread > 0) part.job = NULL; /* one thread of all asks for interrupts */
    }
    for (int half = 0; half < 2; half++)
        if (run->threads == 1 || run->thread / part.threads == half) dense_weights_of_half(in, &part, half);
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
#define fnn_op_dense_backward_weights \
    {"dense_backward_weights", "x dz dw db? half_dw? half_db?", "k n ldx lddz accumulate", "", dense_backward_weights}
#define fnn_op_dense_backward_input \
    {"dense_backward_input", "dz w v? dx", "k n lddz ldv lddx act accumulate", "alpha", dense_backward_input}
