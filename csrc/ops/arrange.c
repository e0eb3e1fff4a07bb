/* Moving values: slices, transpositions, repetitions, joints, and the way back of their gradients.
 *
 *   arrange:  y[sample][ys . i] = (or +=) x[sample][xs . i] for every index i of a box of up to 6 axes
 *   pack_panels, unpack_panels:  a k x n matrix into the panels of gemm.c, and back; 0 in the padding
 *
 * `plan` holds int64 numbers: axes; add?; what to set to 0 in each sample of y first: so many rows, offset of the
 * first, step to the next, floats of each; floats from a sample to the next in x and in y; offsets in x and in y; then
 * size, step in x and step in y of each axis. A step of 0 in x repeats, one of 0 in y adds up (with add). With
 * rows_per_sample 0 there is one sample, of values that belong to none.
 */
enum { ARRANGE_ADDS = 1, ARRANGE_ZERO, ARRANGE_X_SAMPLE = 6, ARRANGE_Y_SAMPLE, ARRANGE_X, ARRANGE_Y, ARRANGE_HEAD };
enum { ARRANGE_AXES = 6 };

static void arrange_copy(const float *x, int64_t xs, float *y, int64_t ys, int64_t n) {
    int64_t j = 0, rest = n % VF;
    if (xs == 1 && ys == 1) {
        for (; j < n - rest; j += VF) vf_store(y + j, vf_load(x + j));
        if (rest) vf_store_n(y + j, (int)rest, vf_load_n(x + j, (int)rest));
    } else if (xs == 0 && ys == 1) {
        for (; j < n - rest; j += VF) vf_store(y + j, vf_set(*x));
        if (rest) vf_store_n(y + j, (int)rest, vf_set(*x));
    } else {
        for (; j < n; j++) y[j * ys] = x[j * xs];
    }
}

static void arrange_add(const float *x, int64_t xs, float *y, int64_t ys, int64_t n) {
    int64_t j = 0, rest = n % VF;
    if (xs == 1 && ys == 0) { /* one sum */
        vf sum = vf_load_n(x + n - rest, (int)rest);
        for (; j < n - rest; j += VF) sum = vf_add(sum, vf_load(x + j));
        *y += vf_sum(sum);
    } else if (xs == 1 && ys == 1) {
        for (; j < n - rest; j += VF) vf_store(y + j, vf_add(vf_load(y + j), vf_load(x + j)));
        if (rest) vf_store_n(y + j, (int)rest, vf_add(vf_load_n(y + j, (int)rest), vf_load_n(x + j, (int)rest)));
    } else {
        for (; j < n; j++) y[j * ys] += x[j * xs];
    }
}

/* The two innermost axes: m rows of n values each. */
static void arrange_plane(const int64_t *rows, const int64_t *row, const float *x, float *y, int64_t adds) {
    int64_t m = rows[0], xm = rows[1], ym = rows[2], n = row[0], xn = row[1], yn = row[2], i = 0, blocks = n - n % VF;
    if (xm == 1 && yn == 1 && xn != 1 && !adds) /* transposed, by blocks in registers */
        for (; i + VF <= m; i += VF) {
            for (int64_t j = 0; j < blocks; j += VF) vf_transpose(x + i + j * xn, xn, VF, y + i * ym + j, ym);
            for (int64_t r = i; r < i + VF; r++)
                for (int64_t j = blocks; j < n; j++) y[r * ym + j] = x[r + j * xn];
        }
    for (; i < m; i++) (adds ? arrange_add : arrange_copy)(x + i * xm, xn, y + i * ym, yn, n);
}

static void arrange(const fnn_instr *in, const fnn_run *run) {
    const int64_t *plan = in->p[0], *axis = plan + ARRANGE_HEAD, *zero = plan + ARRANGE_ZERO, one_row[3] = {1, 0, 0};
    int64_t axes = plan[0], begin, end;
    const int64_t *row = axis + 3 * (axes - 1), *rows = axes > 1 ? row - 3 : one_row;
    fnn_split(in->rows_per_sample ? run->samples : 1, 1, run->thread, run->threads, &begin, &end);
    for (int64_t sample = begin; sample < end; sample++) {
        const float *x = (const float *)in->p[1] + sample * plan[ARRANGE_X_SAMPLE] + plan[ARRANGE_X];
        float *y = (float *)in->p[2] + sample * plan[ARRANGE_Y_SAMPLE];
        for (int64_t r = 0; r < zero[0]; r++) memset(y + zero[1] + r * zero[2], 0, sizeof(float) * (size_t)zero[3]);
        y += plan[ARRANGE_Y];
        int64_t index[ARRANGE_AXES] = {0};
        for (;;) {
            arrange_plane(rows, row, x, y, plan[ARRANGE_ADDS]);
            int64_t a = axes - 3;
            for (; a >= 0; a--) { /* as an odometer turns */
                x += axis[3 * a + 1];
                y += axis[3 * a + 2];
                if (++index[a] < axis[3 * a]) break;
                x -= axis[3 * a + 1] * axis[3 * a];
                y -= axis[3 * a + 2] * axis[3 * a];
                index[a] = 0;
            }
            if (a < 0) break;
        }
    }
}

/* How far the box reaches, from its offset on; `lane`: 1 for x, 2 for y. */
static int arrange_reach(const int64_t *plan, int64_t offset, int lane, int64_t floats) {
    int64_t low = offset, high = offset;
    for (int64_t a = 0; a < plan[0]; a++) {
        int64_t size = plan[ARRANGE_HEAD + 3 * a], step = plan[ARRANGE_HEAD + 3 * a + lane];
        if (step < 0) low -= fnn_times(size - 1, -step);
        else high += fnn_times(size - 1, step);
    }
    return low >= 0 && high < floats;
}

static int arrange_check(const fnn_instr *in, const fnn_place *places) {
    const int64_t *plan = places[0].data;
    int64_t numbers = places[0].fixed / 2;
    if (!plan || numbers < ARRANGE_HEAD || plan[0] < 1 || plan[0] > ARRANGE_AXES) return 0;
    int64_t count = ARRANGE_HEAD + 3 * plan[0];
    if (numbers < count) return 0;
    int64_t values = 1; /* of the box: no more than there are in x or in y */
    for (int64_t a = 0; a < plan[0]; a++)
        if (plan[ARRANGE_HEAD + 3 * a] > 0) values = fnn_times(values, plan[ARRANGE_HEAD + 3 * a]);
    for (int64_t i = 1; i < count; i++) {
        int step = i > ARRANGE_HEAD && (i - ARRANGE_HEAD) % 3 != 0, size = i >= ARRANGE_HEAD && !step;
        if (plan[i] > FNN_LARGEST_DIM || plan[i] < (step ? -FNN_LARGEST_DIM : size ? 1 : 0)) return 0;
    }
    /* What belongs to no sample may be read for each of them. */
    int64_t x = places[1].fixed && plan[ARRANGE_X_SAMPLE] == 0 ? places[1].fixed : fnn_floats_of(in, &places[1]);
    int64_t y = fnn_floats_of(in, &places[2]);
    const int64_t *zero = plan + ARRANGE_ZERO;
    int64_t zeroed = zero[0] ? zero[1] + fnn_times(zero[0] - 1, zero[2]) + zero[3] : 0;
    return values <= (x > y ? x : y) && plan[ARRANGE_X_SAMPLE] <= x && plan[ARRANGE_Y_SAMPLE] <= y && zeroed <= y &&
           places[2].writable && arrange_reach(plan, plan[ARRANGE_X], 1, x) &&
           arrange_reach(plan, plan[ARRANGE_Y], 2, y);
}

static void pack_panels(const fnn_instr *in, const fnn_run *run) {
    if (run->thread == 0) panel_pack(in->p[0], in->d[2], in->d[0], in->d[1], in->p[1]);
}

static void unpack_panels(const fnn_instr *in, const fnn_run *run) {
    if (run->thread) return;
    int64_t k = in->d[0], n = in->d[1], ld = in->d[2];
    float *y = in->p[1];
    panel_unpack(in->p[0], k, n, y, ld);
    for (int64_t i = 0; i < k; i++)
        memset(y + i * ld + n, 0, sizeof(float) * (size_t)(fnn_round_up(n, FNN_ALIGN_FLOATS) - n));
}

#define fnn_op_arrange {"arrange", "plan x y", "", "", arrange, arrange_check}
#define fnn_op_pack_panels {"pack_panels", "x y", "k n ldx", "", pack_panels}
#define fnn_op_unpack_panels {"unpack_panels", "x y", "k n ldy", "", unpack_panels}
