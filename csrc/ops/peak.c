/* The most that this instruction set can do: multiply-adds of registers alone. benchmarks/roofline.py draws the roof.
 *
 * Twelve chains hide the latency of a multiply-add on two units (4 or 5 cycles), and fit the 16 registers of AVX2 with
 * their two constants. Each accumulator is a factor of its own product, so that nothing can be computed ahead; all tend
 * to 1, far from numbers that are slow.
 */
#define PEAK_EACH(f) f(0) f(1) f(2) f(3) f(4) f(5) f(6) f(7) f(8) f(9) f(10) f(11)
enum { PEAK_CHAINS = 12 };

/* Returns the number of floating-point operations; `result` is theirs, so that the compiler cannot leave them out. */
static double peak(int64_t rounds, float *result) {
    const vf half = vf_set(0.5f);
#define PEAK_START(i) vf a##i = vf_set((float)i);
#define PEAK_STEP(i) a##i = vf_fma(a##i, half, half);
#define PEAK_SUM(i) total = vf_add(total, a##i);
    PEAK_EACH(PEAK_START)
    for (int64_t r = 0; r < rounds; r++) {
        PEAK_EACH(PEAK_STEP)
    }
    vf total = vf_zero();
    PEAK_EACH(PEAK_SUM)
    *result = vf_sum(total);
    return 2.0 * VF * PEAK_CHAINS * (double)rounds;
}
