/* Products of a few rows with packed weights (packed_dense.c), at the speed at which the weights come from memory.
 *
 * A lone row is one chain of multiply-adds for each vector of columns, and each of them waits for the one before: only
 * several vectors side by side keep the multipliers busy. So a kernel takes MR rows and NV vectors of neighbouring
 * blocks at once, whose weights are streams that each are read from front to back: processors fetch those ahead by
 * themselves (asking for them gained nothing where weights are in the second-level cache, and a twentieth in
 * the third).
 *
 *   y[MR][NV vectors] = max(floor, bias + x[MR][k] . w)                     float32 and float16
 *   y[MR][NV vectors] = max(floor, x[MR][k] . w * (step * scale) + bias)    int8: x being int16 in pairs
 *
 * The last block goes where the caller wants it, as y may not have all of its columns. What else could be done to the
 * sums later would take them through memory once more, and that takes small layers as long as the product itself.
 */

enum {
    BLOCK = 16,            /* columns */
    IN_BLOCK = BLOCK / VF, /* vectors */
    /* Vectors that a kernel takes: of one row as many as chains hide the latency of a multiply-add; of more rows fewer,
     * so that all sums stay in registers. */
    WIDEST_ROW = 8,
    WIDEST_ROWS = 4,                /* up to ROWS_WIDE_TOP of them, */
    WIDEST_MORE = VF == 16 ? 3 : 2, /* up to ROWS_MORE_TOP, */
    WIDEST_MANY = 2,                /* and more */
    ROWS_WIDE_TOP = VF == 16 ? 6 : 3,
    ROWS_MORE_TOP = 8,
    ROWS_TOP = VF == 16 ? 12
    : VF == 8           ? 6
                        : 3,
};

/* Where the sums start from, and what becomes of them. */
typedef struct rows_end {
    const float *bias;          /* of these columns, or NULL; or sums of floats that go on, */
    int64_t ldbias;             /* and their rows' distance: 0 for a bias */
    const float *scale, *steps; /* int8: of these columns, of these rows */
    float floor;                /* 0: relu, -infinity: nothing */
    float *last;                /* where the last block goes, */
    int64_t ldlast;             /* and its rows' distance */
    uintptr_t fetch;            /* what a kernel of tiles asks for meanwhile: */
    int64_t fetch_step;         /* `fetch_step` bytes at each step of k */
} rows_end;

/* `stride`: bytes from one block of w to the next. */
typedef void (*rows_kernel)(int64_t k, const void *x, int64_t ldx, const void *w, int64_t stride, float *y, int64_t ldy,
                            const rows_end *end);

/* EACH: X(j, i, P) for the vectors j. EVERY: X(i, j, P) for the rows i. P is a precision. */
#define EACH_1(X, i, P) X(0, i, P)
#define EACH_2(X, i, P) EACH_1(X, i, P) X(1, i, P)
#define EACH_3(X, i, P) EACH_2(X, i, P) X(2, i, P)
#define EACH_4(X, i, P) EACH_3(X, i, P) X(3, i, P)
#define EACH_5(X, i, P) EACH_4(X, i, P) X(4, i, P)
#define EACH_6(X, i, P) EACH_5(X, i, P) X(5, i, P)
#define EACH_7(X, i, P) EACH_6(X, i, P) X(6, i, P)
#define EACH_8(X, i, P) EACH_7(X, i, P) X(7, i, P)
#define EVERY_1(X, j, P) X(0, j, P)
#define EVERY_2(X, j, P) EVERY_1(X, j, P) X(1, j, P)
#define EVERY_3(X, j, P) EVERY_2(X, j, P) X(2, j, P)
#define EVERY_4(X, j, P) EVERY_3(X, j, P) X(3, j, P)
#define EVERY_5(X, j, P) EVERY_4(X, j, P) X(4, j, P)
#define EVERY_6(X, j, P) EVERY_5(X, j, P) X(5, j, P)
#define EVERY_7(X, j, P) EVERY_6(X, j, P) X(6, j, P)
#define EVERY_8(X, j, P) EVERY_7(X, j, P) X(7, j, P)
#define EVERY_9(X, j, P) EVERY_8(X, j, P) X(8, j, P)
#define EVERY_10(X, j, P) EVERY_9(X, j, P) X(9, j, P)
#define EVERY_11(X, j, P) EVERY_10(X, j, P) X(10, j, P)
#define EVERY_12(X, j, P) EVERY_11(X, j, P) X(11, j, P)

/* What the three precisions differ in: types, values of a vector of w, how both are read, multiplied and summed up. */
#define FLOAT_W float
#define FLOAT_X float
#define FLOAT_C vf
#define FLOAT_WIDTH 1
#define FLOAT_LOAD(p) vf_load(p)
#define FLOAT_BROADCAST(p) vf_set(*(p))
#define FLOAT_MULTIPLY(c, x, b) vf_fma(x, b, c)
#define FLOAT_START(i, j) (bias ? vf_load(bias + i * ldbias + j * VF) : vf_zero())
#define FLOAT_FINISH(c, i, j) vf_max(floor, c) /* lets NaN through */
#define FETCH_W float
#define FETCH_X float
#define FETCH_C vf
#define FETCH_WIDTH 1
#define FETCH_LOAD(p) vf_load(p)
#define FETCH_BROADCAST(p) vf_set(*(p))
#define FETCH_MULTIPLY(c, x, b) vf_fma(x, b, c)
#define FETCH_START(i, j) FLOAT_START(i, j)
#define FETCH_FINISH(c, i, j) FLOAT_FINISH(c, i, j)
#define HALF_W uint16_t
#define HALF_X float
#define HALF_C vf
#define HALF_WIDTH 1
#define HALF_LOAD(p) vf_load_half(p)
#define HALF_BROADCAST(p) vf_set(*(p))
#define HALF_MULTIPLY(c, x, b) vf_fma(x, b, c)
#define HALF_START(i, j) FLOAT_START(i, j)
#define HALF_FINISH(c, i, j) FLOAT_FINISH(c, i, j)
#define PAIR_W int8_t
#define PAIR_X int16_t
#define PAIR_C vi
#define PAIR_WIDTH 2
#define PAIR_LOAD(p) vi_load_pairs(p)
#define PAIR_BROADCAST(p) vi_broadcast_pair(p)
#define PAIR_MULTIPLY(c, x, b) vi_dot(c, x, b)
#define PAIR_START(i, j) vi_set(0)
#define PAIR_FINISH(c, i, j) \
    vf_max(floor, vf_add(vf_mul(vf_of(c), vf_mul(vf_set(end->steps[i]), vf_load(end->scale + (j) * VF))), \
                         FLOAT_START(0, j)))

/* Steps of the loop at once, where more are faster. float16 waits for its conversions: two micro-operations each, at
 * the ports of the multiply-adds. */
#if defined(__clang__)
#define FLOAT_UNROLL _Pragma("clang loop unroll_count(2)")
#else
#define FLOAT_UNROLL _Pragma("GCC unroll 2")
#endif
#define FETCH_UNROLL FLOAT_UNROLL
#define HALF_UNROLL
#define PAIR_UNROLL UNROLL
#define VNNI_UNROLL UNROLL

#define FLOAT_TARGET
#define FETCH_TARGET
#define HALF_TARGET
#define PAIR_TARGET
/* Where the processor has an instruction that multiplies pairs and adds them to the sums at once. Not an instruction
 * set of its own, which would be all kernels once more: these few are chosen when they run. */
#if VF == 16
#define VNNI_TARGET __attribute__((target("avx512vnni")))
#define VNNI_W PAIR_W
#define VNNI_X PAIR_X
#define VNNI_C PAIR_C
#define VNNI_WIDTH PAIR_WIDTH
#define VNNI_LOAD(p) PAIR_LOAD(p)
#define VNNI_BROADCAST(p) PAIR_BROADCAST(p)
#define VNNI_MULTIPLY(c, x, b) _mm512_dpwssd_epi32(c, x, b)
#define VNNI_START(i, j) PAIR_START(i, j)
#define VNNI_FINISH(c, i, j) PAIR_FINISH(c, i, j)
static inline int rows_vnni(void) { return __builtin_cpu_supports("avx512vnni") != 0; }
#else
static inline int rows_vnni(void) { return 0; }
#endif

static inline vi vi_broadcast_pair(const int16_t *p) {
    int32_t pair;
    memcpy(&pair, p, sizeof pair);
    return vi_set(pair);
}

#define ROWS_STREAM(j, i, P) \
    const P##_W *b##j = (const P##_W *)((const char *)w + j / IN_BLOCK * stride) + j % IN_BLOCK * VF * P##_WIDTH;
/* gcc 12 spills arrays of sums to memory, so each is a variable of its own; so are the streams of weights. */
#define ROWS_DECLARE(j, i, P) P##_C c##i##_##j = P##_START(i, j);
#define ROWS_START(i, NV, P) EACH_##NV(ROWS_DECLARE, i, P)
#define ROWS_X(i, j, P) const P##_C x##i = P##_BROADCAST(&A_ROW_##i);
#define ROWS_ADD(i, j, P) c##i##_##j = P##_MULTIPLY(c##i##_##j, x##i, b);
#define ROWS_MULTIPLY(j, MR, P) { \
        const P##_C b = P##_LOAD(b##j + p * (BLOCK * P##_WIDTH)); \
        EVERY_##MR(ROWS_ADD, j, P) \
    }
#define ROWS_WIDE_STEP(P, MR, NV) EVERY_##MR(ROWS_X, 0, P) EACH_##NV(ROWS_MULTIPLY, MR, P)
/* Of many rows the few vectors of weights stay in registers while the rows pass, of a few rows these. */
#define ROWS_VECTOR(j, i, P) const P##_C v##j = P##_LOAD(b##j + p * (BLOCK * P##_WIDTH));
#define ROWS_ADD_VECTOR(j, i, P) c##i##_##j = P##_MULTIPLY(c##i##_##j, x, v##j);
#define ROWS_MULTIPLY_ROW(i, NV, P) { \
        const P##_C x = P##_BROADCAST(&A_ROW_##i); \
        EACH_##NV(ROWS_ADD_VECTOR, i, P) \
    }
#define ROWS_HIGH_STEP(P, MR, NV) EACH_##NV(ROWS_VECTOR, 0, P) EVERY_##MR(P##_MULTIPLY_ROW, NV, P)
#define FLOAT_MULTIPLY_ROW(i, NV, P) ROWS_MULTIPLY_ROW(i, NV, P)
#define HALF_MULTIPLY_ROW(i, NV, P) ROWS_MULTIPLY_ROW(i, NV, P)
/* Of three vectors every other row is broadcast inside of each multiply-add: more loads, fewer instructions. */
#define ROWS_ADD_BROADCAST(j, i, P) vf_fma_broadcast(c##i##_##j, v##j, A_ROW_##i);
#define FETCH_MULTIPLY_ROW(i, NV, P) \
    if ((NV) == 3 && (i) % 2 == 0) { EACH_##NV(ROWS_ADD_BROADCAST, i, P) } \
    else ROWS_MULTIPLY_ROW(i, NV, P)
/* The same, and weights that are wanted next come nearer. */
#define ROWS_FETCHING_STEP(P, MR, NV)               \
    __builtin_prefetch((const void *)fetch, 0, 2); \
    fetch += step;                                 \
    ROWS_HIGH_STEP(P, MR, NV)
#define ROWS_PUT(j, i, P) \
    vf_store(j < EARLIER ? y + i * ldy + j * VF : last + i * ldlast + (j - EARLIER) * VF, P##_FINISH(c##i##_##j, i, j));
#define ROWS_STORE(i, NV, P) EACH_##NV(ROWS_PUT, i, P)
#define ROWS_LOOP(STEP, P, MR, NV)                                                      \
    const P##_X *q0 = a, *q1 = a + 3 * lda, *q2 = a + 6 * lda, *q3 = a + 9 * lda;       \
    P##_UNROLL for (int64_t p = 0; p < k; p++) {                                        \
        STEP(P, MR, NV)                                                                 \
        q0 += P##_WIDTH, q1 += P##_WIDTH, q2 += P##_WIDTH, q3 += P##_WIDTH;             \
    }
#define ROWS_KERNEL_BY(NAME, LOOP, STEP, P, MR, NV)                                                                   \
    P##_TARGET static void rows_##NAME##_##MR##x##NV(                                                                 \
        int64_t k, const void *restrict x, int64_t lda, const void *restrict w, int64_t stride, float *restrict y,    \
        int64_t ldy, const rows_end *restrict end) {                                                                  \
        const P##_X *a = x;                                                                                           \
        const float *bias = end->bias;                                                                                \
        const int64_t ldbias = end->ldbias;                                                                           \
        const uintptr_t step = (uintptr_t)end->fetch_step;                                                            \
        uintptr_t fetch = end->fetch;                                                                                 \
        EACH_##NV(ROWS_STREAM, 0, P)                                                                                  \
        EVERY_##MR(ROWS_START, NV, P)                                                                                 \
        LOOP(STEP, P, MR, NV)                                                                                         \
        enum { EARLIER = NV - IN_BLOCK };                                                                             \
        const vf floor = vf_set(end->floor);                                                                          \
        float *last = end->last;                                                                                      \
        int64_t ldlast = end->ldlast;                                                                                 \
        EVERY_##MR(ROWS_STORE, NV, P)                                                                                 \
        (void)lda, (void)ldy, (void)bias, (void)ldbias, (void)stride, (void)step;                                      \
    }

#define ROWS_KERNEL(P, MR, NV) ROWS_KERNEL_BY(P, ROWS_LOOP, ROWS_WIDE_STEP, P, MR, NV)
#define ROWS_HIGH_KERNEL(P, MR, NV) ROWS_KERNEL_BY(P, ROWS_LOOP, ROWS_HIGH_STEP, P, MR, NV)

/* Where there is more to do than to read weights (packed_tiles): rows of x that were copied to a distance that the
 * compiler knows, so that one pointer reaches all of them. Every other one is broadcast inside of each multiply-add:
 * more loads, fewer instructions. Weights come from the second-level cache, and what is asked for some steps ahead is
 * in the first-level one when it is needed: where another thread shares the core, too little of the loop fits into its
 * buffers for it to find those loads in time by itself. Meanwhile weights that are wanted next come nearer. */
enum { COPIED = 784, STEPS_AHEAD = 8 };
#define TILE_VECTOR(j, i, P) const vf v##j = vf_load(b##j + p * BLOCK);
#define TILE_NEAR(j, i, P) __builtin_prefetch(b##j + (p + STEPS_AHEAD) * BLOCK, 0, 3);
#define TILE_ADD(j, i, P) vf_fma_into(c##i##_##j, v##j, x);
#define TILE_ADD_BROADCAST(j, i, P) vf_fma_broadcast(c##i##_##j, v##j, a[(i) * COPIED + p]);
#define TILE_MULTIPLY_ROW(i, NV, P) \
    if ((i) % 2 == 0) { EACH_##NV(TILE_ADD_BROADCAST, i, P) } \
    else { \
        const vf x = vf_set(a[(i) * COPIED + p]); \
        EACH_##NV(TILE_ADD, i, P) \
    }
#define TILE_STEP(P, MR, NV)                        \
    __builtin_prefetch((const void *)fetch, 0, 2); \
    fetch += step;                                 \
    EACH_##NV(TILE_NEAR, 0, P)                     \
    EACH_##NV(TILE_VECTOR, 0, P)                   \
    EVERY_##MR(TILE_MULTIPLY_ROW, NV, P)
#define TILE_LOOP(STEP, P, MR, NV) \
    UNROLL for (int64_t p = 0; p < k; p++) { STEP(P, MR, NV) }
#define FETCH_KERNEL(MR, NV) ROWS_KERNEL_BY(FETCH, ROWS_LOOP, ROWS_FETCHING_STEP, FETCH, MR, NV)
#define TILE_KERNEL(MR, NV) ROWS_KERNEL_BY(TILE, TILE_LOOP, TILE_STEP, FLOAT, MR, NV)

/* Kernels take whole blocks: of 1, 2 or 4 vectors. */
#if VF == 16
#define ROWS_NARROW(M, P, MR) M(P, MR, 1) M(P, MR, 2) M(P, MR, 3) M(P, MR, 4)
#define ROWS_WIDE(M, P, MR) M(P, MR, 5) M(P, MR, 6) M(P, MR, 7) M(P, MR, 8)
#define ROWS_SOME(M, P, MR) M(P, MR, 1) M(P, MR, 2) M(P, MR, 3)
#define ROWS_FEW(M, P, MR) M(P, MR, 1) M(P, MR, 2)
#define ROWS_FOR(M, P) M(P, 2) M(P, 3) M(P, 4) M(P, 5) M(P, 6)
#define ROWS_MORE(M, P) M(P, 7) M(P, 8)
#define ROWS_MANY(M, P) M(P, 9) M(P, 10) M(P, 11) M(P, 12)
#elif VF == 8
#define ROWS_NARROW(M, P, MR) M(P, MR, 2) M(P, MR, 4)
#define ROWS_WIDE(M, P, MR) M(P, MR, 6) M(P, MR, 8)
#define ROWS_SOME(M, P, MR)
#define ROWS_FEW(M, P, MR) M(P, MR, 2)
#define ROWS_FOR(M, P) M(P, 2) M(P, 3)
#define ROWS_MORE(M, P)
#define ROWS_MANY(M, P) M(P, 4) M(P, 5) M(P, 6)
#else
#define ROWS_NARROW(M, P, MR) M(P, MR, 4)
#define ROWS_WIDE(M, P, MR) M(P, MR, 8)
#define ROWS_SOME(M, P, MR)
#define ROWS_FEW(M, P, MR)
#define ROWS_FOR(M, P) M(P, 2) M(P, 3)
#define ROWS_MORE(M, P)
#define ROWS_MANY(M, P)
#endif
#define ROWS_KERNELS(P, MR) ROWS_NARROW(ROWS_KERNEL, P, MR)
#define ROWS_SOME_KERNELS(P, MR) ROWS_SOME(ROWS_HIGH_KERNEL, P, MR)
#define ROWS_FEW_KERNELS(P, MR) ROWS_FEW(ROWS_HIGH_KERNEL, P, MR)
#define ROWS_NAME(P, MR, NV) rows_##P##_##MR##x##NV,
#define ROWS_NAMES(P, MR) {ROWS_NARROW(ROWS_NAME, P, MR)},
#define ROWS_SOME_NAMES(P, MR) {ROWS_SOME(ROWS_NAME, P, MR)},
#define ROWS_FEW_NAMES(P, MR) {ROWS_FEW(ROWS_NAME, P, MR)},
#define ROWS_LOW(P) {ROWS_NARROW(ROWS_NAME, P, 1) ROWS_WIDE(ROWS_NAME, P, 1)}, ROWS_FOR(ROWS_NAMES, P)

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-variable" /* row pointers that a small tile does not need */
#pragma GCC diagnostic ignored "-Wunused-but-set-variable"
/* clang-format off */
ROWS_NARROW(ROWS_KERNEL, FLOAT, 1) ROWS_WIDE(ROWS_KERNEL, FLOAT, 1)
ROWS_FOR(ROWS_KERNELS, FLOAT) ROWS_MORE(ROWS_SOME_KERNELS, FLOAT) ROWS_MANY(ROWS_FEW_KERNELS, FLOAT)
ROWS_NARROW(ROWS_KERNEL, HALF, 1) ROWS_WIDE(ROWS_KERNEL, HALF, 1)
ROWS_FOR(ROWS_KERNELS, HALF) ROWS_MORE(ROWS_SOME_KERNELS, HALF) ROWS_MANY(ROWS_FEW_KERNELS, HALF)
ROWS_NARROW(ROWS_KERNEL, PAIR, 1) ROWS_WIDE(ROWS_KERNEL, PAIR, 1)
ROWS_FOR(ROWS_KERNELS, PAIR)
#if VF == 16
ROWS_NARROW(ROWS_KERNEL, VNNI, 1) ROWS_WIDE(ROWS_KERNEL, VNNI, 1) ROWS_FOR(ROWS_KERNELS, VNNI)
FETCH_KERNEL(5, 3) FETCH_KERNEL(6, 3) FETCH_KERNEL(7, 3) FETCH_KERNEL(8, 3)
TILE_KERNEL(5, 3) TILE_KERNEL(6, 3) TILE_KERNEL(7, 3) TILE_KERNEL(8, 3)
#endif
#pragma GCC diagnostic pop

/* By precision, rows and blocks, each but the first less one. */
static const rows_kernel rows_kernels[3 + (VF == 16)][ROWS_TOP][WIDEST_ROW / IN_BLOCK] = {
    {ROWS_LOW(FLOAT) ROWS_MORE(ROWS_SOME_NAMES, FLOAT) ROWS_MANY(ROWS_FEW_NAMES, FLOAT)},
    {ROWS_LOW(HALF) ROWS_MORE(ROWS_SOME_NAMES, HALF) ROWS_MANY(ROWS_FEW_NAMES, HALF)},
    {ROWS_LOW(PAIR)},
#if VF == 16
    {ROWS_LOW(VNNI)},
#endif
};
#if VF == 16
/* 5 to 8 rows of 3 blocks: as they lie, and copied. */
static const rows_kernel rows_fetching[2][4] = {
    {rows_FETCH_5x3, rows_FETCH_6x3, rows_FETCH_7x3, rows_FETCH_8x3},
    {rows_TILE_5x3, rows_TILE_6x3, rows_TILE_7x3, rows_TILE_8x3},
};
#endif
/* clang-format on */
