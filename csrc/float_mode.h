/* Subnormal numbers make x86 arithmetic 10-20 times slower and carry no information here: they count as zero inside the
 * engine, and the caller's mode comes back afterwards. */
#ifndef FNN_FLOAT_MODE_H
#define FNN_FLOAT_MODE_H

#include <stdint.h>

#if defined(__SSE2__)
#include <xmmintrin.h>
typedef unsigned float_mode;
static inline float_mode flush_subnormals(void) {
    unsigned mode = _mm_getcsr();
    _mm_setcsr(mode | 0x8040); /* FTZ | DAZ */
    return mode;
}
static inline void restore_float_mode(float_mode mode) { _mm_setcsr(mode); }
#elif defined(__aarch64__)
typedef uint64_t float_mode;
static inline float_mode flush_subnormals(void) {
    uint64_t mode;
    __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
    __asm__ volatile("msr fpcr, %0" ::"r"(mode | (1ull << 24))); /* FZ */
    return mode;
}
static inline void restore_float_mode(float_mode mode) { __asm__ volatile("msr fpcr, %0" ::"r"(mode)); }
#else
typedef int float_mode;
static inline float_mode flush_subnormals(void) { return 0; }
static inline void restore_float_mode(float_mode mode) { (void)mode; }
#endif

#endif
