/* The C library that runs frozen networks (fastnn.h), as one file for one compiler command:
 *
 *     cc -O3 -march=native -shared -fPIC fastnn.c -o libfastnn.so -lm
 *     cc -O3 -march=native -c fastnn.c && ar rcs libfastnn.a fastnn.o
 *
 * It has the kernels of one instruction set, the best that the compiler's flags allow. A library with several, of which
 * it takes at run time what the processor has, is this file with -DFASTNN_DISPATCH and kernels.c with -DFNN_INFERENCE
 * once for each of them: CMakeLists.txt does that. -DFASTNN_NO_FILES leaves fastnn_open_file out, and with it all that
 * is not C11. Only what fastnn.h declares is visible outside of a shared library.
 */
#if defined(__FAST_MATH__)
#error "Compile fastnn.c without -ffast-math: the kernels need infinities and NaN, and say what may be fused."
#endif
#if !defined(FASTNN_NO_FILES)
#define _GNU_SOURCE
#endif

/* The kernels say where a multiply-add is fused: the compiler must not, or bits would depend on it. */
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(__GNUC__)
#pragma GCC optimize("fp-contract=off", "no-math-errno", "no-trapping-math")
#endif

#include "frozen.c"

#if defined(FASTNN_DISPATCH)
#include "cpu.c"
#else

#define FNN_INFERENCE
#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__) &&                 \
    defined(__FMA__) && defined(__F16C__)
#define FNN_USE_AVX512
#define FNN_ISA avx512
#elif defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)
#define FNN_USE_AVX2
#define FNN_ISA avx2
#elif defined(__aarch64__)
#define FNN_ISA neon
#else
#define FNN_ISA baseline
#endif
#include "kernels.c"

const fnn_isa *fnn_isa_best(void) { return &FNN_PASTE(fnn_isa_, FNN_ISA); }

#endif

/* Here is no executor: a session runs on the caller's thread, to its end. */
int fnn_interrupted(const fnn_run *run, double work) {
    (void)run, (void)work;
    return 0;
}
