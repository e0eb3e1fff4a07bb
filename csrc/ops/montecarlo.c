/* Mean and spread of many random passes over the same rows.
 *
 *   montecarlo:  mean[total][n], spread[total][n] (float64) take in y[rows][n]: B. P. Welford's update (Technometrics
 *                4(3), 1962), which does not cancel; spread is the sum of squared deviations from the mean
 *
 * Pass p of sample i is number p * total + i of the epoch (whose order repeats the samples), so that a batch may hold
 * several passes. Threads share out the samples; each takes in the passes of one in their order.
 */
static void montecarlo(const fnn_instr *in, const fnn_run *run) {
    const float *y = in->p[0];
    double *mean = in->p[1], *spread = in->p[2];
    int64_t n = in->d[0], ldy = in->d[1], total = in->d[2], per = in->rows_per_sample, begin, end;
    fnn_split(total, 1, run->thread, run->threads, &begin, &end);
    for (int64_t s = 0; s < run->samples; s++) {
        int64_t sample = (run->first + s) % total;
        if (sample < begin || sample >= end) continue;
        double count = (double)((run->first + s) / total + 1);
        for (int64_t r = 0; r < per; r++)
            for (int64_t j = 0; j < n; j++) {
                int64_t at = (sample * per + r) * n + j;
                double value = y[(s * per + r) * ldy + j], delta = value - mean[at];
                mean[at] += delta / count;
                spread[at] += delta * (value - mean[at]);
            }
    }
}

#define fnn_op_montecarlo {"montecarlo", "y mean spread", "n ldy total", "", montecarlo}
