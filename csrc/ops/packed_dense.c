/* The dense layer of a frozen network: constant weights, packed once for all instruction sets.
 *
 *   packed_dense:  y[rows][n] = act(x[rows][k] . w + bias)
 *
 * x and y need no padding: exactly k floats of a row are read and exactly n written, at any alignment.
 *
 * w lies in blocks of 16 columns, zero past n and past k, by precision:
 *   0 float32  [n/16][k][16]
 *   1 float16  [n/16][k][16], converted to float32 where it is used; finite
 *   2 int8     [n/16][k/2][16][2]: two values of k side by side, whose products with integers of 16 bits are summed up
 *
 * Same bits. float32 and float16: one chain of fused multiply-adds in ascending k, starting from the bias. int8: a row
 * of x becomes integers, rint(x * (limit / r)), r being its largest magnitude, or `range` if that is not 0; limit / r
 * counts as 0 where it is infinite. The sum of their products is exact, and y = sum * ((r / limit) * scale) + bias is
 * rounded after each of its steps. Rows with infinities or NaN give NaN. Nothing depends on the instruction set, on the
 * batch or on threads.
 *
 * A few rows are multiplied with the weights as they lie (packed_rows.c), more of them in tiles, and with AVX-512 any
 * number of float32. Elsewhere many rows pay for having them expanded into the panels of gemm.c, a piece at a time that
 * stays in the first-level cache; float32 in blocks of two vectors are such panels already, as a lone block of one is.
 * Of int8, all rows go through the kernels for a few, in groups.
 */

enum { FLOAT32, FLOAT16, INT8 };
enum {
    /* scratch: the last columns, whole vectors of them, before they go into y, and behind them int16 or a piece of a
     * panel of weights; see packed_scratch */
    ROW_TILE = WIDEST_ROW * VF,                                           /* of each of a few rows */
    INTEGERS = 2 * (FNN_SCRATCH_FLOATS - MC * PANEL - KC * PANEL) - 1024, /* at most */
    /* From so many rows on, panels pay; a block of two vectors is one. Measured on AVX-512, where they never do, and
     * AVX2. */
    ROWS_WORTH_EXPANDING = VF == 16 ? INT32_MAX : (VF == 8 ? ROWS_TOP + 1 : 32),
    DEPTH_IN_L2 = 800,                        /* of MC rows: 800 kB */
    ROWS_WORTH_CONVERTING = 2 * ROWS_TOP + 1, /* from float16: once for all rows, and not once for each tile */
    /* Copying rows (packed_rows.c: TILE) takes as long as the twentieth part of a product with 19 blocks: with many of
     * them it gains that several times over, if the rows are many, too. */
    ROWS_WORTH_COPYING = 48,
    BLOCKS_WORTH_COPYING = 48,
    COPIED_ROWS = 128, /* of COPIED floats: 392 KiB; half as many beside expanded weights */
};

_Static_assert(COPIED_ROWS *(COPIED + WIDEST_MORE * BLOCK) <= FNN_SCRATCH_FLOATS &&
                   COPIED_ROWS / 2 * (COPIED + WIDEST_MORE * BLOCK) + WIDEST_MORE * BLOCK * COPIED <=
                       FNN_SCRATCH_FLOATS,
               "copied rows, sums that wait and expanded weights fit into scratch");

typedef struct packed {
    const char *w;
    const float *bias, *scale;
    int64_t k, n, stride; /* stride: bytes of a block */
    int precision, act;
    float alpha;
} packed;

static inline int64_t lesser(int64_t a, int64_t b) { return a < b ? a : b; }

/* The columns that there are of a tile that has whole vectors. */
static inline void packed_copy(const float *tile, int64_t ldt, float *y, int64_t ldy, int64_t rows, int64_t count) {
    for (; count >= VF; count -= VF, tile += VF, y += VF)
        for (int64_t r = 0; r < rows; r++) vf_store(y + r * ldy, vf_load(tile + r * ldt));
    if (count == 1)
        for (int64_t r = 0; r < rows; r++) y[r * ldy] = tile[r * ldt];
    else
        for (int64_t r = 0; count > 0 && r < rows; r++) vf_store_n(y + r * ldy, (int)count, vf_load(tile + r * ldt));
}

/* Blocks that a kernel takes at once. */
static inline int64_t packed_widest(int64_t rows) {
    return (rows == 1               ? WIDEST_ROW
            : rows <= ROWS_WIDE_TOP ? WIDEST_ROWS
            : rows <= ROWS_MORE_TOP ? WIDEST_MORE
                                    : WIDEST_MANY) /
           IN_BLOCK;
}

/* At most ROWS_TOP rows, blocks b0 to b1. x: floats, or int16 if there are `steps`. */
static void packed_rows(const packed *l, const void *x, int64_t ldx, float *y, int64_t ldy, int64_t rows, int64_t b0,
                        int64_t b1, const float *steps, float *tile) {
    const rows_kernel *kernels = rows_kernels[l->precision == INT8 ? INT8 + rows_vnni() : l->precision][rows - 1];
    int64_t k = l->precision == INT8 ? (l->k + 1) / 2 : l->k;
    uint32_t all = (uint32_t)(b1 - b0), top = (uint32_t)packed_widest(rows); /* narrow divisions are quicker */
    uint32_t groups = all <= top ? 1 : (all + top - 1) / top, small = groups == 1 ? all : all / groups;
    int64_t large = all - small * groups; /* groups that are one larger */
    int by_kernel = l->act == ACT_LINEAR || l->act == ACT_RELU;
    rows_end end = {.steps = steps, .floor = l->act == ACT_RELU ? 0.0f : -INFINITY};
    for (int64_t b = b0, blocks; b < b1; b += blocks) {
        blocks = small + (large-- > 0);
        int64_t column = b * BLOCK, count = blocks * BLOCK;
        float *to = y + column, *c = to;
        int64_t ldc = ldy, earlier = count - BLOCK, left = l->n - column;
        end.bias = l->bias ? l->bias + column : NULL;
        end.scale = l->scale ? l->scale + column : NULL;
        end.last = c + earlier, end.ldlast = ldc;
        if (left < count) {
            end.last = tile + earlier, end.ldlast = ROW_TILE;
            if (!by_kernel) c = tile, ldc = end.ldlast;
        }
        kernels[blocks - 1](k, x, ldx, l->w + b * l->stride, l->stride, c, ldc, &end);
        if (!by_kernel) act_forward_block(l->act, l->alpha, c, ldc, c, ldc, NULL, rows, count);
        if (c == tile) packed_copy(c, ldc, to, ldy, rows, left);
        else if (left < count) packed_copy(end.last, end.ldlast, to + earlier, ldy, rows, left - earlier);
    }
}

/* Rows that follow each other without a gap are one, which has fewer vectors than there are rows. */
static inline void packed_act_dense(const packed *l, float *y, int64_t count) {
    int64_t whole = count - count % VF;
    float last[VF];
    if (l->act == ACT_LINEAR) return;
    if (whole) act_forward_block(l->act, l->alpha, y, whole, y, whole, NULL, 1, whole);
    if (whole == count) return;
    vf_store(last, vf_load_n(y + whole, (int)(count - whole)));
    act_forward_block(l->act, l->alpha, last, VF, last, VF, NULL, 1, VF);
    vf_store_n(y + whole, (int)(count - whole), vf_load(last));
}

/* How more rows of floats are cut: `mc` of them and `kc` of k at a time, `top` blocks for a tile. Square tiles read
 * least; but where weights come from the second-level cache (of float16: are converted), it is they that count. Of many
 * rows and blocks, rows are copied, and of many rows, float16 is `expanded` for all of them. */
typedef struct cut {
    int64_t mc, kc, top;
    int copied, expanded;
    int64_t waiting, panel, copies; /* floats of scratch: of a part of a block, expanded weights, copied rows */
} cut;

static cut packed_cut(int64_t precision, int64_t rows, int64_t k, int64_t n, int64_t blocks) {
    int deep = VF == 16 && k >= DEPTH_WORTH_FETCHING;
    cut c = {.copied = deep && rows >= ROWS_WORTH_COPYING && blocks >= BLOCKS_WORTH_COPYING};
    c.expanded = deep && precision == FLOAT16 && rows >= ROWS_WORTH_CONVERTING && blocks >= WIDEST_MORE;
    int64_t most = lesser(rows, c.copied ? COPIED_ROWS >> c.expanded : MC);
    c.mc = even_block(rows, c.copied ? COPIED_ROWS >> c.expanded : MC);
    c.kc = even_block(k, c.copied ? COPIED : DEPTH_IN_L2);
    c.top = VF < 16 ? 1 : precision == FLOAT16 && !c.expanded ? WIDEST_MANY : deep ? WIDEST_MORE : WIDEST_ROWS;
    if (n % BLOCK) c.waiting = k > c.kc ? most * c.top * BLOCK : ROWS_TOP * WIDEST_MANY * BLOCK; /* or of a tile */
    c.panel = c.expanded * c.kc * c.top * BLOCK;
    c.copies = c.copied * most * COPIED;
    return c;
}
static inline int64_t packed_tile_rows(int64_t blocks) {
    return blocks * IN_BLOCK <= WIDEST_MANY || VF < 16 ? ROWS_TOP
           : blocks <= WIDEST_MORE                     ? ROWS_MORE_TOP
                                                       : ROWS_WIDE_TOP;
}

/* even_block of few rows: narrow divisions are quicker. */
static inline int64_t even_tile(int64_t rows, int64_t top) {
    if (rows <= top) return rows;
    uint32_t tiles = ((uint32_t)rows + (uint32_t)top - 1) / (uint32_t)top;
    return ((uint32_t)rows + tiles - 1) / tiles;
}

/* Some rows of floats, `depth` of k from `first` on, and where they go; scratch for what `cut` says: sums that wait,
 * expanded weights, and behind them copied rows, which x then is. */
typedef struct tiles {
    const float *x;
    float *y, *waiting, *panel;
    int64_t ldx, ldy, rows, first, depth;
    int copied, expanded;
} tiles;

/* Blocks b to b + blocks. Meanwhile as many blocks at `next`, which may be NULL, come into the second-level cache: with
 * AVX-512, where a product takes hardly longer than that. */
static void packed_group(const packed *l, const tiles *t, int64_t b, int64_t blocks, const char *next) {
    int64_t column = b * BLOCK, count = blocks * BLOCK, row = l->stride / l->k; /* bytes of a row of a block */
    int64_t rows = t->rows, depth = t->depth, ldx = t->ldx, ldy = t->ldy, stride = l->stride, precision = l->precision;
    int64_t tall = even_tile(rows, packed_tile_rows(blocks)), left = l->n - column;
    int part = left < count, complete = t->first + depth == l->k,
        by_kernel = l->act == ACT_LINEAR || l->act == ACT_RELU;
    int64_t ldc = part ? count : ldy, wait = part && depth < l->k ? ldc : 0; /* where sums that go on wait */
    const float *bias = l->bias ? l->bias + column : NULL, *x = t->x;
    const char *w = l->w + b * stride + t->first * row;
#if VF == 16
    if (t->expanded) {
        for (int64_t j = 0; j < blocks; j++)
            for (int64_t i = 0; i < depth; i++)
                vf_store(t->panel + (j * depth + i) * VF, vf_load_half((const uint16_t *)(w + j * stride) + i * VF));
        w = (const char *)t->panel, stride = depth * BLOCK * (int64_t)sizeof(float), precision = FLOAT32;
    }
#else
    (void)next;
#endif
    const rows_kernel(*kernels)[WIDEST_ROW / IN_BLOCK] = rows_kernels[precision];
    rows_end end = {
        .ldbias = t->first ? ldc : 0, .floor = complete && l->act == ACT_RELU ? 0.0f : -INFINITY, .ldlast = ldc};
#if VF == 16
    int64_t piece = depth * row, asked = next ? 0 : blocks * piece; /* bytes of `next` */
    int64_t step = lesser((blocks * row * tall + rows - 1) / rows, row);
#endif
    for (int64_t r = 0, high; r < rows; r += high) {
        high = lesser(rows - r, tall);
        float *to = t->y + r * ldy + column, *c = part ? t->waiting + r * wait : to;
        rows_kernel kernel = kernels[high - 1][blocks - 1];
        end.bias = t->first ? c : bias;
        end.last = c + count - BLOCK;
        end.fetch = (uintptr_t)w, end.fetch_step = 0;
#if VF == 16
        if (blocks == WIDEST_MORE && high >= 5) {
            int64_t block = asked / piece; /* each tile asks for as much, and for what there is */
            if (block < blocks) {
                end.fetch = (uintptr_t)next + (uintptr_t)(block * l->stride + asked - block * piece);
                end.fetch_step = step;
                asked += step * depth;
            }
            if (t->copied || end.fetch_step) kernel = rows_fetching[t->copied][high - 5];
            for (int64_t i = 0; !part && r + high < rows && i < high; i++) /* and where the next tile goes */
                for (int64_t j = 0; j < count; j += FNN_ALIGN_FLOATS)
                    __builtin_prefetch(to + (high + i) * ldy + j, 1, 3);
        }
#endif
        kernel(depth, x + r * ldx, ldx, w, stride, c, ldc, &end);
        if (!complete) continue;
        if (!by_kernel) act_forward_block(l->act, l->alpha, c, ldc, c, ldc, NULL, high, count);
        if (part) packed_copy(c, ldc, to, ldy, high, left);
    }
}

/* Exactly so many values of a row. */
static inline void packed_copy_row(const float *x, int64_t count, float *to) {
    int64_t i = 0;
    for (; i + VF <= count; i += VF) vf_store(to + i, vf_load(x + i));
    if (i < count) vf_store_n(to + i, (int)(count - i), vf_load_n(x + i, (int)(count - i)));
}

/* More rows of floats: a few blocks at a time, and so much of k that they stay in the second-level cache while the rows
 * pass, as do the rows while the blocks pass. From there weights are read nearly as fast as from the first-level cache,
 * for which k would have to be cut more often. Rows that are whole pages apart would share a few places of each cache:
 * copied ones do not. */
static void packed_tiles(const packed *l, const fnn_run *run, const float *x, int64_t ldx, float *y, int64_t ldy,
                         int64_t rows, int64_t b0, int64_t b1) {
    cut c = packed_cut(l->precision, rows, l->k, l->n, b1 - b0);
    int64_t row = l->stride / l->k, blocks, groups = b1 - b0 <= c.top ? 1 : (b1 - b0 + c.top - 1) / c.top;
    tiles t = {.waiting = run->scratch, .ldx = ldx, .ldy = ldy, .copied = c.copied, .expanded = c.expanded};
    t.panel = t.waiting + c.waiting;
    float *copies = t.panel + c.panel;
    for (int64_t m = 0; m < rows; m += c.mc)
        for (int64_t first = 0; first < l->k; first += t.depth) {
            t.rows = lesser(rows - m, c.mc), t.first = first, t.depth = lesser(l->k - first, c.kc);
            t.x = x + m * ldx + first, t.y = y + m * ldy;
            if (c.copied) {
                for (int64_t r = 0; r < t.rows; r++) packed_copy_row(t.x + r * ldx, t.depth, copies + r * COPIED);
                t.x = copies, t.ldx = COPIED;
            }
            for (int64_t g = 0, b = b0; g < groups; g++, b += blocks) {
                blocks = groups == 1 ? b1 - b : (b1 - b + groups - g - 1) / (groups - g);
                const char *next = NULL;
                if (g + 1 < groups) next = l->w + (b + blocks) * l->stride + first * row;
                else if (first + t.depth < l->k) next = l->w + b0 * l->stride + (first + t.depth) * row;
                packed_group(l, &t, b, blocks, t.depth >= DEPTH_WORTH_FETCHING ? next : NULL);
                if (fnn_interrupted(run, (double)(t.rows * t.depth * blocks))) return;
            }
        }
}

#if VF == 16
/* Rows of floats that have one block: it lies as a panel of gemm.c of one vector, whose tiles are higher. */
static void packed_narrow(const packed *l, const fnn_run *run, const float *x, int64_t ldx, float *y, int64_t ldy,
                          int64_t rows, int64_t b) {
    int64_t column = b * BLOCK, left = l->n - column, high;
    int part = left < BLOCK, dense = part && ldy == left;
    y += column;
    for (int64_t m = 0; m < rows; m += high, x += high * ldx, y += high * ldy) {
        high = lesser(rows - m, MC);
        float *c = part ? run->scratch : y;
        int64_t ldc = part ? BLOCK : ldy;
        gemm_few_tiles(micro_rows, 1, high, l->k, x, ldx, ldx, (const float *)(l->w + b * l->stride), c, ldc,
                       l->bias ? l->bias + column : NULL, 1);
        if (!dense) act_forward_block(l->act, l->alpha, c, ldc, c, ldc, NULL, high, BLOCK);
        if (part) packed_copy(c, ldc, y, ldy, high, left);
        if (dense) packed_act_dense(l, y, high * left);
        if (fnn_interrupted(run, (double)(high * l->k))) return;
    }
}
#endif

/* A row as integers, zeros behind them up to a whole vector; returns what sums of their products are multiplied by. */
static NOT_INLINED float quantize_row(const float *x, int64_t k, int64_t limit, float range, int16_t *integers) {
    const vf infinity = vf_set(INFINITY);
    vf largest = vf_zero();
    int64_t i = 0;
    for (; i + VF <= k; i += VF) largest = vf_max(largest, vf_min(vf_abs(vf_load(x + i)), infinity)); /* NaN is, too */
    if (i < k) largest = vf_max(largest, vf_min(vf_abs(vf_load_n(x + i, (int)(k - i))), infinity));
    float found = vf_max_lane(largest), r = range > 0 ? range : found, top = (float)limit, inverse = top / r;
    if (found > FLT_MAX || inverse > FLT_MAX) { /* or a row of zeros, or nearly */
        memset(integers, 0, (size_t)fnn_round_up(k, VF) * sizeof *integers);
        return found > FLT_MAX ? NAN : r / top;
    }
    const vf scale = vf_set(inverse), high = vf_set(top), low = vf_set(-top);
    for (i = 0; i < k; i += VF) {
        vf v = i + VF <= k ? vf_load(x + i) : vf_load_n(x + i, (int)(k - i));
        vi_store_short(integers + i, vi_of(vf_round(vf_max(low, vf_min(high, vf_mul(v, scale))))));
    }
    return r / top;
}

/* Any number of rows of integers, a few blocks at a time, which stay in a near cache while all rows pass. */
static void packed_groups(const packed *l, const fnn_run *run, const int16_t *x, int64_t ldx, float *y, int64_t ldy,
                          int64_t rows, int64_t b0, int64_t b1, const float *steps) {
    int64_t tall = even_block(rows, ROWS_WIDE_TOP), group = rows <= ROWS_WIDE_TOP ? b1 - b0 : packed_widest(tall);
    for (int64_t b = b0; b < b1; b += group)
        for (int64_t r = 0; r < rows; r += tall) {
            int64_t high = rows - r < tall ? rows - r : tall;
            packed_rows(l, x + r * ldx, ldx, y + r * ldy, ldy, high, b, b1 - b < group ? b1 : b + group, steps + r,
                        run->scratch);
            if (fnn_interrupted(run, (double)(high * l->k * group))) return;
        }
}

static void packed_int8(const packed *l, const fnn_run *run, const float *x, int64_t ldx, float *y, int64_t ldy,
                        int64_t m0, int64_t m1, int64_t b0, int64_t b1, int64_t limit, float range) {
    float steps[MC];
    int16_t *integers = (int16_t *)(run->scratch + lesser(m1 - m0, ROWS_WIDE_TOP) * ROW_TILE);
    int64_t ldq = fnn_round_up(l->k, VF), most = INTEGERS >= ldq * (int64_t)MC ? MC : INTEGERS / ldq;
    for (int64_t m = m0; m < m1; m += most) {
        int64_t rows = m1 - m < most ? m1 - m : most;
        for (int64_t r = 0; r < rows; r++)
            steps[r] = quantize_row(x + (m + r) * ldx, l->k, limit, range, integers + r * ldq);
        packed_groups(l, run, integers, ldq, y + m * ldy, ldy, rows, b0, b1, steps);
    }
}

/* `depth` rows of `vectors` vectors of weights, from row `first` of k on, as a panel of gemm.c. */
static void packed_expand(const packed *l, int64_t column, int64_t first, int64_t depth, int vectors, float *panel) {
    for (int j = 0; j < vectors; j++) {
        int64_t at = column + (int64_t)j * VF;
        const char *block = l->w + at / BLOCK * l->stride;
        int64_t from = first * BLOCK + at % BLOCK;
        if (l->precision == FLOAT16)
            for (int64_t i = 0; i < depth; i++)
                vf_store(panel + (i * vectors + j) * VF, vf_load_half((const uint16_t *)block + from + i * BLOCK));
        else
            for (int64_t i = 0; i < depth; i++)
                vf_store(panel + (i * vectors + j) * VF, vf_load((const float *)block + from + i * BLOCK));
    }
}

/* Many rows of floats, columns n0 to n1. */
static void packed_many(const packed *l, const fnn_run *run, const float *x, int64_t ldx, float *y, int64_t ldy,
                        int64_t m0, int64_t m1, int64_t n0, int64_t n1) {
    float *tile = run->scratch, *expanded = tile + lesser(m1 - m0, MC) * PANEL;
    int direct = VF == 8 && l->precision == FLOAT32; /* blocks that are panels */
    int64_t k = l->k, kc = even_block(k, KC), width = direct ? BLOCK : PANEL;
    for (int64_t m = m0; m < m1; m += MC) {
        int64_t rows = m1 - m < MC ? m1 - m : MC;
        for (int64_t nb = n0; nb < n1; nb += NC) {
            int64_t end = n1 - nb < NC ? n1 : nb + NC;
            for (int64_t kb = 0; kb < k; kb += kc) {
                int64_t depth = k - kb < kc ? k - kb : kc;
                for (int64_t column = nb; column < end; column += width) {
                    int64_t count = end - column < width ? end - column : width, ldc = count < width ? width : ldy;
                    float *to = y + m * ldy + column, *c = count < width ? tile : to;
                    const float *bias = l->bias ? l->bias + column : NULL, *panel = expanded;
                    int vectors = (int)panel_vectors(count), as_it_lies = direct && vectors == IN_BLOCK;
                    ahead next = nothing_ahead();
                    if (rows >= ROWS_WORTH_FETCHING && column + width < end) {
                        int64_t row = l->stride / l->k; /* bytes of a row of a block */
                        const char *at = l->w + (column + width) / BLOCK * l->stride + kb * row;
                        next = ahead_of((const float *)at, width > BLOCK ? 2 : 1, depth * row / 4, l->stride / 4);
                    }
                    if (as_it_lies) panel = (const float *)(l->w + column / BLOCK * l->stride) + kb * BLOCK;
                    else packed_expand(l, column, kb, depth, vectors, expanded);
                    gemm_tiles(micro_rows, vectors, rows, depth, x + m * ldx + kb, ldx, ldx, panel, c, ldc, bias,
                               kb == 0, next);
                    if (kb + depth == k) {
                        act_forward_block(l->act, l->alpha, c, ldc, c, ldc, NULL, rows, (int64_t)vectors * VF);
                        if (c == tile) packed_copy(tile, ldc, to, ldy, rows, count);
                    }
                    if (fnn_interrupted(run, (double)(rows * depth * vectors))) return;
                }
            }
        }
    }
}

/* From so many rows of floats on, panels pay. */
static inline int64_t packed_few(int64_t precision) {
    return precision == FLOAT16 ? ROWS_WORTH_CONVERTING : ROWS_WORTH_EXPANDING;
}

static NOT_INLINED void packed_more(const fnn_instr *in, const fnn_run *run) {
    const float *x = in->p[0];
    float *y = in->p[4];
    int64_t ldx = in->d[2], ldy = in->d[3], m = run->samples * in->rows_per_sample, m0, m1, b0, b1;
    packed l = {.w = in->p[1], .bias = in->p[2], .scale = in->p[3], .k = in->d[0], .n = in->d[1]};
    l.act = (int)in->d[4], l.precision = (int)in->d[5], l.alpha = in->s[0];
    l.stride = l.precision == FLOAT32 ? l.k * 64 : l.precision == FLOAT16 ? l.k * 32 : (l.k + 1) / 2 * 32;
    even_share(run, m, (l.n + BLOCK - 1) / BLOCK, &m0, &m1, &b0, &b1);
    if (m0 == m1 || b0 == b1) return;
    int64_t rows = m1 - m0, few = packed_few(l.precision);
    if (l.precision == INT8) packed_int8(&l, run, x, ldx, y, ldy, m0, m1, b0, b1, in->d[6], in->s[1]);
    else if (rows <= ROWS_TOP) packed_rows(&l, x + m0 * ldx, ldx, y + m0 * ldy, ldy, rows, b0, b1, NULL, run->scratch);
#if VF == 16
    else if (l.precision == FLOAT32 && b1 - b0 == 1)
        packed_narrow(&l, run, x + m0 * ldx, ldx, y + m0 * ldy, ldy, rows, b0);
#endif
    else if (rows < few || packed_cut(l.precision, rows, l.k, l.n, b1 - b0).expanded)
        packed_tiles(&l, run, x + m0 * ldx, ldx, y + m0 * ldy, ldy, rows, b0, b1);
    else packed_many(&l, run, x, ldx, y, ldy, m0, m1, b0 * BLOCK, b1 * BLOCK < l.n ? b1 * BLOCK : l.n);
}

/* The activation of a lone row that has come as whole vectors; apart, as it would crowd the registers. */
static NOT_INLINED void packed_lone_end(const fnn_instr *in, float *c) {
    int64_t n = in->d[1];
    float *y = in->p[4];
    act_forward_block((int)in->d[4], in->s[0], c, 0, c, 0, NULL, 1, fnn_round_up(n, BLOCK));
    if (c != y) packed_copy(c, 0, y, 0, 1, n);
}

/* A lone row that one kernel takes, without a team: deciding how would take longer than the product. */
static inline int packed_lone(const fnn_instr *in, const fnn_run *run) {
    int64_t k = in->d[0], n = in->d[1], act = in->d[4], precision = in->d[5], kernel = precision;
    int64_t blocks = (int64_t)((uint64_t)(n + BLOCK - 1) / BLOCK), earlier = (blocks - 1) * BLOCK;
    if (run->threads > 1 || run->samples * in->rows_per_sample != 1 || blocks > WIDEST_ROW / IN_BLOCK) return 0;
    int part = n % BLOCK != 0, by_kernel = act == ACT_LINEAR || act == ACT_RELU;
    const void *x = in->p[0];
    float *y = in->p[4], *tile = run->scratch, *c = part && !by_kernel ? tile : y, step;
    rows_end end = {.bias = in->p[2], .scale = in->p[3], .steps = &step, .floor = act == ACT_RELU ? 0.0f : -INFINITY};
    end.last = (part ? tile : y) + earlier;
    if (precision == INT8) {
        step = quantize_row(x, k, in->d[6], in->s[1], (int16_t *)(tile + ROW_TILE));
        x = tile + ROW_TILE, k = (k + 1) / 2, kernel += rows_vnni();
    }
    rows_kernels[kernel][0][blocks - 1](k, x, 0, in->p[1], k * (precision == FLOAT32 ? 64 : 32), c, 0, &end);
    if (!by_kernel) packed_lone_end(in, c);
    else if (part) packed_copy(end.last, 0, y + earlier, 0, 1, n - earlier);
    return 1;
}

static void packed_dense(const fnn_instr *in, const fnn_run *run) {
    if (!packed_lone(in, run)) packed_more(in, run);
}

/* With int8 no sum may leave 32 bits, as quantize.py sees to. */
static int packed_sums_check(const int8_t *w, int64_t k, int64_t n, int64_t limit) {
    for (int64_t j = 0; j < n; j += BLOCK) {
        int64_t sums[BLOCK] = {0};
        for (int64_t i = 0; i < k; i += 2, w += 2 * BLOCK)
            for (int64_t c = 0; c < 2 * BLOCK; c++) sums[c / 2] += w[c] < 0 ? -w[c] : w[c];
        for (int64_t c = 0; c < BLOCK; c++)
            if (fnn_times(sums[c], limit) > INT32_MAX) return 0;
    }
    return 1;
}

static int packed_dense_check(const fnn_instr *in, const fnn_place *places) {
    enum { X, W, BIAS, SCALE, Y };
    int64_t k = in->d[0], n = in->d[1], ldx = in->d[2], ldy = in->d[3], precision = in->d[5], limit = in->d[6];
    int64_t rows = in->rows_per_sample, values = fnn_times(precision == INT8 ? k + k % 2 : k, fnn_padded(n));
    if (k < 1 || n < 1 || ldx < k || ldy < n || rows < 1 || precision > INT8 || in->d[4] > ACT_MISH) return 0;
    if (fnn_times(rows, ldx) > places[X].per_sample || fnn_times(rows, ldy) > places[Y].per_sample) return 0;
    if (!places[Y].writable || !places[W].data || values > fnn_times(places[W].fixed, (int64_t)1 << precision))
        return 0;
    if (!fnn_vector_or_none(&places[BIAS], n) || !fnn_vector_or_none(&places[SCALE], n)) return 0;
    if (precision < INT8) return fnn_absent(&places[SCALE]);
    return !fnn_absent(&places[SCALE]) && limit >= 1 && limit <= INT16_MAX && fnn_round_up(k, VF) <= INTEGERS &&
           packed_sums_check(places[W].data, k, n, limit);
}

/* What the ways above take, those for fewer rows included. */
static int64_t packed_scratch(const fnn_instr *in, const fnn_place *places, int64_t samples) {
    int64_t k = in->d[0], n = in->d[1], precision = in->d[5], rows = fnn_times(samples, in->rows_per_sample);
    int64_t part = n % BLOCK != 0, few = packed_few(precision), most, more;
    (void)places;
    if (precision == INT8) {
        int64_t ldq = fnn_round_up(k, VF), fit = INTEGERS >= ldq * (int64_t)MC ? MC : INTEGERS / ldq;
        return lesser(rows, ROWS_WIDE_TOP) * ROW_TILE + (lesser(rows, fit) * ldq + 1) / 2;
    }
    most = part * lesser(rows, ROWS_TOP) * ROW_TILE;
    if (rows <= ROWS_TOP) return most;
    cut c = packed_cut(precision, rows, k, n, (n + BLOCK - 1) / BLOCK);
    if (n <= BLOCK) more = part * lesser(rows, MC) * BLOCK;
    else more = c.waiting + c.panel + c.copies;
    most = most > more ? most : more;
    more = rows < few || c.expanded ? 0 : lesser(rows, MC) * PANEL + even_block(k, KC) * PANEL;
    return most > more ? most : more;
}

#define fnn_op_packed_dense \
    {"packed_dense", "x w bias? scale? y", "k n ldx ldy act precision limit", "alpha range", packed_dense, \
     packed_dense_check, packed_scratch}
