/* Matrix products: one family of micro-kernels serves the three shapes that a dense layer needs.
 *
 *   forward          y [m][n] = x [m][k] . w [k][n]        reduce over k, w read as it lies
 *   input gradient   dx[m][k] = dz[m][n] . w'[n][k]        reduce over n, w transposed block by block into L1
 *   weight gradient  dw[k][n] = x'[k][m] . dz[m][n]        reduce over m, dz packed panel by panel into L1
 *
 * Panels. A packed k x n matrix is cut into panels of columns, two vectors (2 * VF floats) wide; the last panel takes
 * what is left: one to three vectors, so that an odd number of vectors costs no thin extra panel. Inside a panel the
 * rows follow each other: panel p holds w[i][2*VF*p + j] at floats 2*VF*p*k + i*width + j. Columns past n are zero.
 *
 * Micro-kernel. C[mr][nv vectors] = bias or C, plus the sum over the reduction index i, in ascending order, of
 * A(row, i) * B[i][:]. Every accumulator is a named variable: gcc 12 spills arrays of them to memory.
 *
 * Same bits. Each output element is one chain of fused multiply-adds in ascending order of the reduction index,
 * starting from the bias. Blocking stores a partial chain and loads it again, which is exact; tiles, threads and batch
 * size only choose which chain is computed where. So a result depends on its own row and column alone.
 */

/* Registers: mr * nv accumulators, nv vectors of B and one broadcast have to fit into 16 or 32. */
#if defined(__AVX512F__) && defined(FNN_USE_AVX512) || defined(__aarch64__)
enum { MR_1 = 16, MR_2 = 12, MR_3 = 8, MR_TOP = 16 };
#else
enum { MR_1 = 12, MR_2 = 6, MR_3 = 4, MR_TOP = 12 };
#endif
enum {
    PANEL = 2 * VF,
    /* Reduction block: a three-vector panel of this many rows stays in a 32 KiB (VF 8) or 48 KiB (VF 16) L1 with room
     * for the rows of A that pass by. */
    KC = 256,
    MC = 256,                  /* rows of A that are used again for the next panel: MC x KC floats stay in L2 ... */
    NC = 256,                  /* ... beside MC x NC floats of C, which every reduction block loads and stores again */
    WC = VF == 16 ? 360 : 240, /* columns of x that the weight gradient uses again for the next panel: a multiple of
                                * tiles of two and three vectors, for 1 MB (VF 16) or 512 KiB of L2 */
};
_Static_assert(KC * 3 * VF + WC * 3 * VF + KC * WC <= FNN_SCRATCH_FLOATS,
               "a panel of dz, one of dw and a packed block of x fit into scratch");

/* A(i): element of row i of the tile at the current reduction index. Rows are reached from every third row's pointer
 * (base, base + ld, base + 2 ld are addressing modes), because sixteen pointers would not fit the integer registers. */
#define A_ROW_POINTERS \
    const float *q0 = a, *q1 = a + 3 * lda, *q2 = a + 6 * lda, *q3 = a + 9 * lda, *q4 = a + 12 * lda, *q5 = a + 15 * lda
#define A_ROW_NEXT q0++, q1++, q2++, q3++, q4++, q5++
#define A_ROW_0 q0[0]
#define A_ROW_1 q0[lda]
#define A_ROW_2 q0[2 * lda]
#define A_ROW_3 q1[0]
#define A_ROW_4 q1[lda]
#define A_ROW_5 q1[2 * lda]
#define A_ROW_6 q2[0]
#define A_ROW_7 q2[lda]
#define A_ROW_8 q2[2 * lda]
#define A_ROW_9 q3[0]
#define A_ROW_10 q3[lda]
#define A_ROW_11 q3[2 * lda]
#define A_ROW_12 q4[0]
#define A_ROW_13 q4[lda]
#define A_ROW_14 q4[2 * lda]
#define A_ROW_15 q5[0]
/* Transposed A: the rows of the tile lie side by side. */
#define A_COLUMN_POINTERS const float *q0 = a
#define A_COLUMN_NEXT q0 += lda
#define A_COLUMN_0 q0[0]
#define A_COLUMN_1 q0[1]
#define A_COLUMN_2 q0[2]
#define A_COLUMN_3 q0[3]
#define A_COLUMN_4 q0[4]
#define A_COLUMN_5 q0[5]
#define A_COLUMN_6 q0[6]
#define A_COLUMN_7 q0[7]
#define A_COLUMN_8 q0[8]
#define A_COLUMN_9 q0[9]
#define A_COLUMN_10 q0[10]
#define A_COLUMN_11 q0[11]
#define A_COLUMN_12 q0[12]
#define A_COLUMN_13 q0[13]
#define A_COLUMN_14 q0[14]
#define A_COLUMN_15 q0[15]

#define REPEAT_1(X, A) X(0, A)
#define REPEAT_2(X, A) REPEAT_1(X, A) X(1, A)
#define REPEAT_3(X, A) REPEAT_2(X, A) X(2, A)
#define REPEAT_4(X, A) REPEAT_3(X, A) X(3, A)
#define REPEAT_5(X, A) REPEAT_4(X, A) X(4, A)
#define REPEAT_6(X, A) REPEAT_5(X, A) X(5, A)
#define REPEAT_7(X, A) REPEAT_6(X, A) X(6, A)
#define REPEAT_8(X, A) REPEAT_7(X, A) X(7, A)
#define REPEAT_9(X, A) REPEAT_8(X, A) X(8, A)
#define REPEAT_10(X, A) REPEAT_9(X, A) X(9, A)
#define REPEAT_11(X, A) REPEAT_10(X, A) X(10, A)
#define REPEAT_12(X, A) REPEAT_11(X, A) X(11, A)
#define REPEAT_13(X, A) REPEAT_12(X, A) X(12, A)
#define REPEAT_14(X, A) REPEAT_13(X, A) X(13, A)
#define REPEAT_15(X, A) REPEAT_14(X, A) X(14, A)
#define REPEAT_16(X, A) REPEAT_15(X, A) X(15, A)

#define DECLARE_1(i, A) vf c##i##_0;
#define DECLARE_2(i, A) vf c##i##_0, c##i##_1;
#define DECLARE_3(i, A) vf c##i##_0, c##i##_1, c##i##_2;
#define BIAS_1(i, A) c##i##_0 = b0;
#define BIAS_2(i, A) c##i##_0 = b0, c##i##_1 = b1;
#define BIAS_3(i, A) c##i##_0 = b0, c##i##_1 = b1, c##i##_2 = b2;
#define LOAD_1(i, A) c##i##_0 = vf_load(c + i * ldc);
#define LOAD_2(i, A) LOAD_1(i, A) c##i##_1 = vf_load(c + i * ldc + VF);
#define LOAD_3(i, A) LOAD_2(i, A) c##i##_2 = vf_load(c + i * ldc + 2 * VF);
#define RECTIFY_1(i, A) c##i##_0 = vf_max(vf_zero(), c##i##_0);
#define RECTIFY_2(i, A) RECTIFY_1(i, A) c##i##_1 = vf_max(vf_zero(), c##i##_1);
#define RECTIFY_3(i, A) RECTIFY_2(i, A) c##i##_2 = vf_max(vf_zero(), c##i##_2);
#define GATE(i, j) c##i##_##j = vf_select(vf_lt(vf_zero(), vf_load(bias + i * ldc + j * VF)), c##i##_##j, vf_zero());
#define GATE_1(i, A) GATE(i, 0)
#define GATE_2(i, A) GATE(i, 0) GATE(i, 1)
#define GATE_3(i, A) GATE(i, 0) GATE(i, 1) GATE(i, 2)
#define A_ROW_END(MR, NV) \
    if (how & RECTIFIED) { REPEAT_##MR(RECTIFY_##NV, ) } \
    else if (how & GATED) { __asm__("" : "+r"(bias)); REPEAT_##MR(GATE_##NV, ) }
#define A_COLUMN_END(MR, NV)
#define STORE_1(i, A) vf_store(c + i * ldc, c##i##_0);
#define STORE_2(i, A) STORE_1(i, A) vf_store(c + i * ldc + VF, c##i##_1);
#define STORE_3(i, A) STORE_2(i, A) vf_store(c + i * ldc + 2 * VF, c##i##_2);
#define FMA_1(i, A) { vf x = vf_set(A##i); c##i##_0 = vf_fma(x, b0, c##i##_0); }
/* Every third row is broadcast twice, inside of its multiply-adds: that takes more loads and fewer instructions. More
 * of them and the loads are what counts; without them it is the instructions, where another thread shares the core. */
#define FMA_2(i, A) \
    if ((i) % 3 == 0) { vf_fma_broadcast(c##i##_0, b0, A##i); vf_fma_broadcast(c##i##_1, b1, A##i); } \
    else { vf x = vf_set(A##i); c##i##_0 = vf_fma(x, b0, c##i##_0); c##i##_1 = vf_fma(x, b1, c##i##_1); }
#define FMA_3(i, A) { vf x = vf_set(A##i); c##i##_0 = vf_fma(x, b0, c##i##_0); c##i##_1 = vf_fma(x, b1, c##i##_1); \
                      c##i##_2 = vf_fma(x, b2, c##i##_2); }
#define VECTORS_1(load, p) vf b0 = load(p, 0);
#define VECTORS_2(load, p) VECTORS_1(load, p) vf b1 = load(p, 1);
#define VECTORS_3(load, p) VECTORS_2(load, p) vf b2 = load(p, 2);
#define NTH(p, j) vf_load((p) + (j) * VF)
#define NTH_OR_ZERO(p, j) ((p) ? vf_load((p) + (j) * VF) : vf_zero())

/* Fetching ahead. At large sizes C and the next panel come from the third-level cache, a few hundred cycles away, and
 * no hardware prefetcher guesses them in time. The micro-kernel asks for them while it computes, a line or a row of
 * the next tile every UNROLLED steps of its loop: all at once they would fill the few buffers that every load needs. */
enum {
    UNROLLED = 4,
    DEPTH_WORTH_FETCHING = 128, /* a tile this deep has the time to fetch the next one, */
    ROWS_WORTH_FETCHING = 48,   /* and a block this high to fetch the next panel */
};
typedef struct ahead {
    const float *tile;              /* where C goes on, or NULL */
    const float *at;                /* `lines` cache lines that the caller reads next, in runs of `run`, */
    int64_t lines, run, left, skip; /* each `skip` floats behind the end of the one before */
    const float *then[3];           /* and after those, so many lines of each of these that is not NULL */
    int64_t then_lines;
} ahead;

static inline ahead nothing_ahead(void) { return (ahead){0}; }
static inline ahead ahead_of(const float *at, int64_t runs, int64_t run_floats, int64_t stride) {
    int64_t run = run_floats / FNN_ALIGN_FLOATS;
    return (ahead){NULL, at, runs * run, run, run, stride - run * FNN_ALIGN_FLOATS, {0}, 0};
}
static inline void fetch_ahead(ahead *next, int64_t step, int64_t rows, int vectors, int64_t ldc) {
    if (next->tile && step < rows) {
        for (int j = 0; j < vectors * VF; j += FNN_ALIGN_FLOATS) __builtin_prefetch(next->tile + j, 1, 3);
        next->tile += ldc;
    } else if (next->lines > 0) {
        __builtin_prefetch(next->at, 0, 2);
        next->at += FNN_ALIGN_FLOATS;
        if (--next->left == 0) next->left = next->run, next->at += next->skip;
        next->lines--;
    } else if (next->then_lines > 0) {
        for (int j = 0; j < 3; j++)
            if (next->then[j]) __builtin_prefetch(next->then[j], 0, 2), next->then[j] += FNN_ALIGN_FLOATS;
        next->then_lines--;
    }
}

/* `how`: FIRST starts from the bias (or zero), otherwise C goes on from what it holds. What kernels for rows of A do in
 * the end, relu and its derivative: RECTIFIED makes 0 of what is negative; GATED of all but where `bias`, which then is
 * a matrix that lies as C does, is positive. `next`: what to fetch, or NULL. */
enum { FIRST = 1, RECTIFIED = 2, GATED = 4 };
typedef void (*micro_kernel)(int64_t k, const float *a, int64_t lda, const float *b, float *c, int64_t ldc,
                             const float *bias, int how, ahead *next);

/* By vectors and rows. Those for rows of A are compiled with inference, and training takes them from there. */
#define micro_rows FNN_PASTE(fnn_micro_rows_, FNN_ISA)
extern const micro_kernel micro_rows[3][MR_TOP] __attribute__((visibility("hidden")));

#define MULTIPLY(MR, NV, SIDE)   \
    VECTORS_##NV(NTH, b)         \
    REPEAT_##MR(FMA_##NV, SIDE##_) \
    SIDE##_NEXT, b += NV * VF;
#define MICRO_KERNEL(MR, NV, SIDE)                                                                                     \
    static void micro_##SIDE##_##MR##x##NV(int64_t k, const float *restrict a, int64_t lda, const float *restrict b,   \
                                           float *restrict c, int64_t ldc, const float *restrict bias, int how,        \
                                           ahead *next) {                                                              \
        REPEAT_##MR(DECLARE_##NV, )                                                                                    \
        if (how & FIRST) {                                                                                             \
            const float *start = how & GATED ? NULL : bias;                                                            \
            VECTORS_##NV(NTH_OR_ZERO, start)                                                                           \
            REPEAT_##MR(BIAS_##NV, )                                                                                   \
        } else {                                                                                                       \
            REPEAT_##MR(LOAD_##NV, )                                                                                   \
        }                                                                                                              \
        SIDE##_POINTERS;                                                                                               \
        int64_t i = 0;                                                                                                 \
        for (; i + UNROLLED <= k; i += UNROLLED) {                                                                     \
            if (next) fetch_ahead(next, i / UNROLLED, MR, NV, ldc);                                                    \
            UNROLL for (int j = 0; j < UNROLLED; j++) { MULTIPLY(MR, NV, SIDE) }                                       \
        }                                                                                                              \
        for (; i < k; i++) { MULTIPLY(MR, NV, SIDE) }                                                                  \
        SIDE##_END(MR, NV)                                                                                             \
        /* As if C were elsewhere now: compilers would compute all addresses before the loop, and keep them. */        \
        __asm__("" : "+r"(c));                                                                                         \
        REPEAT_##MR(STORE_##NV, )                                                                                      \
    }

#ifndef FNN_TRAINING
#define ROW_KERNEL(MR, NV) MICRO_KERNEL(MR, NV, A_ROW)
#else
#define ROW_KERNEL(MR, NV)
#endif
#ifndef FNN_INFERENCE
#define COLUMN_KERNEL(MR, NV) MICRO_KERNEL(MR, NV, A_COLUMN)
#else
#define COLUMN_KERNEL(MR, NV)
#endif
#define SIDES(MR, NV) ROW_KERNEL(MR, NV) COLUMN_KERNEL(MR, NV)
#define FOR_1_TO_4(X, NV) X(1, NV) X(2, NV) X(3, NV) X(4, NV)
#define FOR_5_TO_6(X, NV) X(5, NV) X(6, NV)
#define FOR_7_TO_8(X, NV) X(7, NV) X(8, NV)
#define FOR_13_TO_16(X, NV) X(13, NV) X(14, NV) X(15, NV) X(16, NV)
#define FOR_9_TO_12(X, NV) X(9, NV) X(10, NV) X(11, NV) X(12, NV)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-variable" /* row pointers that a small tile does not need */
#pragma GCC diagnostic ignored "-Wunused-but-set-variable"
/* Lines without semicolons, which a formatter cannot lay out. */
/* clang-format off */
FOR_1_TO_4(SIDES, 1) FOR_5_TO_6(SIDES, 1) FOR_7_TO_8(SIDES, 1) FOR_9_TO_12(SIDES, 1)
FOR_1_TO_4(SIDES, 2) FOR_5_TO_6(SIDES, 2)
FOR_1_TO_4(SIDES, 3)
#if VF == 16 || defined(__aarch64__)
FOR_13_TO_16(SIDES, 1)
FOR_7_TO_8(SIDES, 2) FOR_9_TO_12(SIDES, 2)
FOR_5_TO_6(SIDES, 3) FOR_7_TO_8(SIDES, 3)
#endif
/* clang-format on */
#pragma GCC diagnostic pop

#define ROW_ENTRY(MR, NV) micro_A_ROW_##MR##x##NV,
#define COLUMN_ENTRY(MR, NV) micro_A_COLUMN_##MR##x##NV,
#if VF == 16 || defined(__aarch64__)
#define ENTRIES(E)                                                                                            \
    {{FOR_1_TO_4(E, 1) FOR_5_TO_6(E, 1) FOR_7_TO_8(E, 1) FOR_9_TO_12(E, 1) FOR_13_TO_16(E, 1)},               \
     {FOR_1_TO_4(E, 2) FOR_5_TO_6(E, 2) FOR_7_TO_8(E, 2) FOR_9_TO_12(E, 2)},                                  \
     {FOR_1_TO_4(E, 3) FOR_5_TO_6(E, 3) FOR_7_TO_8(E, 3)}}
#else
#define ENTRIES(E)                                                                                            \
    {{FOR_1_TO_4(E, 1) FOR_5_TO_6(E, 1) FOR_7_TO_8(E, 1) FOR_9_TO_12(E, 1)},                                  \
     {FOR_1_TO_4(E, 2) FOR_5_TO_6(E, 2)},                                                                     \
     {FOR_1_TO_4(E, 3)}}
#endif
#ifndef FNN_TRAINING
        const micro_kernel micro_rows[3][MR_TOP] = ENTRIES(ROW_ENTRY);
#endif
#ifndef FNN_INFERENCE
static const micro_kernel micro_columns[3][MR_TOP] = ENTRIES(COLUMN_ENTRY);
#endif

/* m rows as tiles of nearly equal height: 32 rows are 6,6,5,5,5,5 rather than 6,6,6,6,6,2. The first `tall` ones have
 * a row more than the `small` ones. Divisions by constants, and narrow ones, are quicker. */
typedef struct tiling {
    uint32_t tiles, small, tall;
} tiling;

static inline tiling tiles_of(int vectors, int64_t m) {
    uint32_t all = (uint32_t)m;
    uint32_t tiles = vectors == 1   ? (all + MR_1 - 1) / MR_1
                     : vectors == 2 ? (all + MR_2 - 1) / MR_2
                                    : (all + MR_3 - 1) / MR_3;
    if (tiles <= 1) return (tiling){1, all, 0};
    uint32_t small = all / tiles;
    return (tiling){tiles, small, all - small * tiles};
}

/* Covers m rows with tiles. `a_step` is the distance between two rows of A. */
static inline void gemm_tiles(const micro_kernel kernels[3][MR_TOP], int vectors, int64_t m, int64_t k, const float *a,
                              int64_t lda, int64_t a_step, const float *b, float *c, int64_t ldc, const float *bias,
                              int first, ahead next) {
    tiling of = tiles_of(vectors, m);
    for (uint32_t t = 0; t < of.tiles; t++) {
        int64_t rows = of.small + (t < of.tall);
        next.tile = t + 1 < of.tiles ? c + rows * ldc : NULL;
        kernels[vectors - 1][rows - 1](k, a, lda, b, c, ldc, bias, first, k >= DEPTH_WORTH_FETCHING ? &next : NULL);
        a += rows * a_step;
        c += rows * ldc;
    }
}

/* The same where nothing is worth fetching ahead. Not inlined, for the sake of its callers' registers. */
static NOT_INLINED void gemm_few_tiles(const micro_kernel kernels[3][MR_TOP], int vectors, int64_t m, int64_t k,
                                       const float *a, int64_t lda, int64_t a_step, const float *b, float *c,
                                       int64_t ldc, const float *bias, int how) {
    tiling of = tiles_of(vectors, m);
    const micro_kernel *kernel = &kernels[vectors - 1][of.small - 1];
    if (of.tiles == 1) {
        (*kernel)(k, a, lda, b, c, ldc, bias, how, NULL);
        return;
    }
    for (uint32_t t = 0; t < of.tiles; t++) {
        int64_t taller = t < of.tall, rows = of.small + taller;
        kernel[taller](k, a, lda, b, c, ldc, bias, how, NULL);
        a += rows * a_step;
        c += rows * ldc;
        if (how & GATED) bias += rows * ldc;
    }
}

/* One row against WIDE full panels at once, `stride` floats apart. A single chain of additions waits for itself: a lone
 * row needs eight of them to keep the multipliers busy. Each chain is the one that the tiles compute. */
enum { WIDE = 4 };
static void micro_wide(int64_t k, const float *restrict a, const float *restrict b, int64_t stride, float *restrict c,
                       const float *restrict bias, int first) {
    const float *b0 = b, *b1 = b + stride, *b2 = b + 2 * stride, *b3 = b + 3 * stride;
    const float *from = first ? bias : c;
    vf c0 = NTH_OR_ZERO(from, 0), c1 = NTH_OR_ZERO(from, 1), c2 = NTH_OR_ZERO(from, 2), c3 = NTH_OR_ZERO(from, 3);
    vf c4 = NTH_OR_ZERO(from, 4), c5 = NTH_OR_ZERO(from, 5), c6 = NTH_OR_ZERO(from, 6), c7 = NTH_OR_ZERO(from, 7);
    for (int64_t i = 0; i < k; i++) {
        vf x = vf_set(a[i]);
        int64_t at = i * PANEL;
        c0 = vf_fma(x, vf_load(b0 + at), c0), c1 = vf_fma(x, vf_load(b0 + at + VF), c1);
        c2 = vf_fma(x, vf_load(b1 + at), c2), c3 = vf_fma(x, vf_load(b1 + at + VF), c3);
        c4 = vf_fma(x, vf_load(b2 + at), c4), c5 = vf_fma(x, vf_load(b2 + at + VF), c5);
        c6 = vf_fma(x, vf_load(b3 + at), c6), c7 = vf_fma(x, vf_load(b3 + at + VF), c7);
    }
    vf_store(c, c0), vf_store(c + VF, c1), vf_store(c + 2 * VF, c2), vf_store(c + 3 * VF, c3);
    vf_store(c + 4 * VF, c4), vf_store(c + 5 * VF, c5), vf_store(c + 6 * VF, c6), vf_store(c + 7 * VF, c7);
}

/* ---- panels ------------------------------------------------------------------------------------------------------ */

static inline int64_t panel_vectors(int64_t n) { return (n + VF - 1) / VF; }
static inline int64_t panel_count(int64_t n) {
    int64_t vectors = panel_vectors(n);
    return vectors < 2 ? 1 : vectors / 2;
}
/* Vectors in panel p. */
static inline int panel_width(int64_t n, int64_t p) {
    return (int)(p + 1 < panel_count(n) ? 2 : panel_vectors(n) - 2 * p);
}

static int64_t panel_floats(int64_t k, int64_t n) { return k * panel_vectors(n) * VF; }

static void panel_pack(const float *src, int64_t ld, int64_t k, int64_t n, float *packed) {
    for (int64_t p = 0; p < panel_count(n); p++) {
        int64_t width = (int64_t)panel_width(n, p) * VF, first = p * PANEL;
        int64_t used = n - first < width ? n - first : width;
        for (int64_t i = 0; i < k; i++, packed += width) {
            memcpy(packed, src + i * ld + first, sizeof(float) * (size_t)used);
            memset(packed + used, 0, sizeof(float) * (size_t)(width - used));
        }
    }
}

static void panel_unpack(const float *packed, int64_t k, int64_t n, float *dst, int64_t ld) {
    for (int64_t p = 0; p < panel_count(n); p++) {
        int64_t width = (int64_t)panel_width(n, p) * VF, first = p * PANEL;
        int64_t used = n - first < width ? n - first : width;
        for (int64_t i = 0; i < k; i++, packed += width)
            memcpy(dst + i * ld + first, packed, sizeof(float) * (size_t)used);
    }
}

/* ---- transposed A, tile by tile ---------------------------------------------------------------------------------- */

#ifndef FNN_INFERENCE
enum { PACKED_VECTORS = 2 };

/* `depth` rows of `count` columns of x, as tiles of two vectors take them: tile after tile, the rows of each behind
 * one another. In x itself they are a page apart where x is wide, and each twelve values cost a look-up of their page.
 * A row may be read up to x[readable - 1]. */
static void pack_columns(const float *x, int64_t ldx, int64_t depth, int64_t count, int64_t readable, float *packed) {
    tiling of = tiles_of(PACKED_VECTORS, count);
    for (uint32_t t = 0; t < of.tiles; t++) {
        int64_t width = of.small + (t < of.tall);
        for (int64_t r = 0; r < depth; r++)
            for (int64_t j = 0; j < width; j += VF) {
                const float *from = x + r * ldx + j;
                float *to = packed + r * width + j;
                int64_t lanes = width - j;
                /* What a whole vector writes past the end of a row, the next row overwrites. */
                if (lanes >= VF || (r + 1 < depth && j + VF <= readable)) vf_store(to, vf_load(from));
                else vf_store_n(to, (int)lanes, vf_load_n(from, (int)lanes));
            }
        x += width;
        readable -= width;
        packed += width * depth;
    }
}

/* gemm_tiles over what pack_columns packed. The panel may be thinner than the one that chose the tiles. */
static inline void gemm_packed_tiles(int vectors, int64_t m, int64_t k, const float *a, const float *b, float *c,
                                     int64_t ldc, int first, ahead next) {
    tiling of = tiles_of(PACKED_VECTORS, m);
    for (uint32_t t = 0; t < of.tiles; t++) {
        int64_t rows = of.small + (t < of.tall);
        next.tile = t + 1 < of.tiles ? c + rows * ldc : NULL;
        micro_columns[vectors - 1][rows - 1](k, a, rows, b, c, ldc, NULL, first,
                                             k >= DEPTH_WORTH_FETCHING ? &next : NULL);
        a += rows * k;
        c += rows * ldc;
    }
}
#endif

/* Even blocks of at most `top`: 300 = 150 + 150, not 256 + 44. */
static inline int64_t even_block(int64_t n, int64_t top) {
    if (n <= top) return n; /* a division takes as long as 40 multiplications of vectors */
    int64_t blocks = (n + top - 1) / top;
    return (n + blocks - 1) / blocks;
}

/* The panels of a matrix of n columns that are this thread's in every operation which as many threads share: it
 * multiplies with them, makes their gradient and updates them, so that they stay in the caches of its processor. What
 * another processor has changed takes as long to read as the product takes to compute. Returns 0 where panels cannot be
 * shared evenly: when one thread would have more than its part and a third. */
static inline int own_panels(int64_t n, int thread, int threads, int64_t *p0, int64_t *p1) {
    int64_t vectors = panel_vectors(n), panels = panel_count(n), largest = 0, begin = 0;
    if (panels < threads) return 0;
    for (int t = 0; t < threads; t++) {
        int64_t end = t + 1 < threads ? (vectors * (t + 1) / threads + 1) / 2 : panels;
        int64_t part = t + 1 < threads ? 2 * (end - begin) : vectors - 2 * begin;
        if (part > largest) largest = part;
        if (t == thread) *p0 = begin, *p1 = end;
        begin = end;
    }
    return 3 * largest * threads <= 4 * vectors;
}

/* Which part of m rows and of blocks of columns is this thread's: cut along those that divide more evenly; along blocks
 * if both do, since then no two threads read the same weights. */
static inline void even_share(const fnn_run *run, int64_t m, int64_t blocks, int64_t *m0, int64_t *m1, int64_t *b0,
                              int64_t *b1) {
    int64_t t = run->threads;
    *m0 = *b0 = 0, *m1 = m, *b1 = blocks;
    if (t == 1) return;
    int64_t longest_m = (m + t - 1) / t * blocks, longest_b = (blocks + t - 1) / t * m;
    if (longest_b <= longest_m) fnn_split(blocks, 1, run->thread, run->threads, b0, b1);
    else fnn_split(m, 1, run->thread, run->threads, m0, m1);
}

/* Which part of a product of m rows and all panels of n columns this thread computes: its own panels, if those are
 * shared evenly. */
static inline void gemm_share(const fnn_run *run, int64_t m, int64_t n, int64_t *m0, int64_t *m1, int64_t *p0,
                              int64_t *p1) {
    *m0 = *p0 = *p1 = 0, *m1 = m;
    if (run->threads > 1 && own_panels(n, run->thread, run->threads, p0, p1)) return;
    even_share(run, m, panel_count(n), m0, m1, p0, p1);
}
