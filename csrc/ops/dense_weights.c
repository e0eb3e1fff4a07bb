/* The gradient of a dense layer's weights. `dw` is a panel-packed k x n matrix (gemm.c), db a vector of n.
 *
 *   dense_backward_weights:  dw[k][n] (+)= x' . dz,   db[n] (+)= column sums of dz[rows][n]
 *                            accumulate: 1 adds to dw, 2 to db, 3 to both. With half_dw, these are sums over the first
 *                            half of the rows, half_dw and half_db those over the second: `join_halves` adds them up,
 *                            on any number of threads. Two threads that share all rows then need not read what the
 *                            other one has written. (Too few rows are not halved, and the second sums are zero.)
 *                            With followers, dw is theirs alone, and never as a whole.
 */
#include "optimizer.h"

enum {
    /* Packing x pays when it is read again for this many panels, and when its rows are too many for the first-level
     * cache of pages (64 entries on Zen 3). */
    PANELS_WORTH_PACKING = 4,
    ROWS_WORTH_PACKING = 64,
    PIECE_ROWS = 128,         /* of two vectors: 16 KiB, half of a first-level cache */
    ROWS_WORTH_HALVING = 128, /* Each half is still a deep product. halves_rows in cost.py has the same number. */
};

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

/* Rows k0 to k1 of a panel of dw, which lie in `values`, and the sums of its columns of dz, go to all who follow. */
static void hand_over(const fnn_instr *in, const fnn_run *run, int64_t p, int64_t k0, int64_t k1, float *values,
                      const float *sums) {
    int64_t k = in->d[0], width = (int64_t)panel_width(in->d[1], p) * VF, begin = p * PANEL * k + k0 * width;
    fnn_piece piece = {values, sums, p, k0, k1 - k0, begin, begin + (k1 - k0) * width};
    fnn_run part = *run;
    part.piece = &piece;
    if (in->p[3] && k0 == 0) memcpy((float *)in->p[3] + p * PANEL, sums, sizeof(float) * (size_t)width);
    for (int i = 1; i <= in->followers; i++) in[i].run(in + i, &part);
}

/* Panel after panel, so that parameters are read from front to back. */
static void dense_weights_by_panels(const fnn_instr *in, const fnn_run *run, int64_t m, int64_t k0, int64_t k1,
                                    int64_t p0, int64_t p1) {
    const float *x = in->p[0], *dz = in->p[1];
    int64_t n = in->d[1], ldx = in->d[2], lddz = in->d[3], rows = even_block(k1 - k0, PIECE_ROWS), high;
    float *panel = run->scratch, *values = panel + KC * 3 * VF;
    _Alignas(FNN_ALIGN_BYTES) float sums[3 * VF];
    for (int64_t p = p0; p < p1; p++) {
        int vectors = panel_width(n, p);
        pack_rows(dz + p * PANEL, lddz, m, vectors, n - p * PANEL, panel, sums, 1);
        for (int64_t kb = k0; kb < k1; kb += high) {
            high = k1 - kb < rows ? k1 - kb : rows;
            gemm_tiles(micro_columns, vectors, high, m, x + kb, ldx, 1, panel, values, (int64_t)vectors * VF, NULL, 1,
                       nothing_ahead());
            hand_over(in, run, p, kb, kb + high, values, sums);
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

/* Block after block of x, packed for all panels. A panel of three vectors comes in two parts. */
static void dense_weights_by_blocks(const fnn_instr *in, const fnn_run *run, int64_t m, int64_t k0, int64_t k1,
                                    int64_t p0, int64_t p1) {
    const float *x = in->p[0], *dz = in->p[1];
    int64_t k = in->d[0], n = in->d[1], ldx = in->d[2], lddz = in->d[3], wc = even_block(k1 - k0, WC), high;
    float *panel = run->scratch, *values = panel + KC * 3 * VF, *columns = values + WC * 3 * VF;
    _Alignas(FNN_ALIGN_BYTES) float sums[3 * VF];
    for (int64_t kb = k0; kb < k1; kb += high) {
        high = k1 - kb < wc ? k1 - kb : wc;
        pack_columns(x + kb, ldx, m, high, ldx - kb, columns);
        for (int64_t p = p0; p < p1; p++) {
            int vectors = panel_width(n, p), part;
            int64_t width = (int64_t)vectors * VF;
            for (int j = 0; j < vectors; j += part) {
                int64_t column = p * PANEL + j * VF;
                part = vectors - j < PACKED_VECTORS ? vectors - j : PACKED_VECTORS;
                ahead next = nothing_ahead();
                if (p + 1 < p1) next = ahead_of(dz + (p + 1) * PANEL, m, PANEL, lddz);
                if (j == 0) fetch_parameters(&next, in + in->followers, p * PANEL * k + kb * width, high * width);
                pack_rows(dz + column, lddz, m, part, n - column, panel, sums + j * VF, 1);
                gemm_packed_tiles(part, high, m, columns, panel, values + j * VF, width, 1, next);
            }
            hand_over(in, run, p, kb, kb + high, values, sums);
        }
    }
}

/* The gradient piece by piece: each goes to the instructions that follow while it is in a cache, and nowhere else. The
 * rows of the batch are at most KC, and added to nothing. */
static void dense_weights_followed(const fnn_instr *in, const fnn_run *run, int64_t m) {
    int64_t k0, k1, p0, p1;
    gemm_share(run, in->d[0], in->d[1], &k0, &k1, &p0, &p1);
    int packed = p1 - p0 >= PANELS_WORTH_PACKING && m >= ROWS_WORTH_PACKING;
    (packed ? dense_weights_by_blocks : dense_weights_by_panels)(in, run, m, k0, k1, p0, p1);
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

#define fnn_op_dense_backward_weights \
    {"dense_backward_weights", "x dz dw db? half_dw? half_db?", "k n ldx lddz accumulate", "", dense_backward_weights}
