/* Moving values: slices, transpositions, repetitions, joints, and the way back of their gradients.
 *
 *   arrange:  y[sample][ys . i] = (or +=) x[sample][xs . i] for every index i of a box of up to 6 axes
 *   panel_pack, panel_unpack:  a k x n matrix into the panels of gemm.c, and back; 0 in the padding
 *
 * `plan` holds int64 numbers: axes; floats of y to set to 0 first; add?; floats from a sample to the next in x and
 * in y; offsets in x and in y; then size, step in x and step in y of each axis. A step of 0 in x repeats, one of 0
 * in y adds up (with add). With rows_per_sample 0 there is one sample, of values that belong to none.
 */
enum { ARRANGE_HEAD = 7, ARRANGE_AXES = 6 };

static void arrange_run(const float *x, int64_t xs, float *y, int64_t ys, int64_t size, int adds) {
    int64_t i = 0;
    if (xs == 1 && ys == 1 && !adds)
        for (; i + VF <= size; i += VF) vf_store(y + i, vf_load(x + i));
    else if (xs == 1 && ys == 1)
        for (; i + VF <= size; i += VF) vf_store(y + i, vf_add(vf_load(y + i), vf_load(x + i)));
    if (adds)
        for (; i < size; i++) y[i * ys] += x[i * xs];
    else
        for (; i < size; i++) y[i * ys] = x[i * xs];
}

static void arrange(const fnn_instr *in, const fnn_run *run) {
    const int64_t *plan = in->p[0], *axis = plan + ARRANGE_HEAD;
    int64_t axes = plan[0], last = 3 * (axes - 1), begin, end;
    fnn_split(in->rows_per_sample ? run->samples : 1, 1, run->thread, run->threads, &begin, &end);
    for (int64_t sample = begin; sample < end; sample++) {
        const float *x = (const float *)in->p[1] + sample * plan[3] + plan[5];
        float *y = (float *)in->p[2] + sample * plan[4];
        memset(y, 0, sizeof(float) * (size_t)plan[1]);
        y += plan[6];
        int64_t index[ARRANGE_AXES] = {0};
        for (;;) {
            arrange_run(x, axis[last + 1], y, axis[last + 2], axis[last], (int)plan[2]);
            int64_t a = axes - 2;
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

#define fnn_op_arrange {"arrange", "plan x y", "", "", arrange}
#define fnn_op_pack_panels {"pack_panels", "x y", "k n ldx", "", pack_panels}
#define fnn_op_unpack_panels {"unpack_panels", "x y", "k n ldy", "", unpack_panels}
