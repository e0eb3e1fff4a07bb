/* Which instruction sets are in this binary, and which of them can this CPU run? */
#include "engine.h"

#include <string.h>

const fnn_isa *const fnn_isas[] = {
#if defined(__aarch64__)
    &fnn_isa_neon,
#else
    &fnn_isa_baseline,
#if defined(__x86_64__)
    &fnn_isa_avx2,
    &fnn_isa_avx512,
#endif
#endif
    NULL,
};

#ifndef FASTNN_DISPATCH /* the library of frozen networks, which do not learn, has no such kernels */
static const fnn_training *const trainings[] = {
#if defined(__aarch64__)
    &fnn_training_neon,
#else
    &fnn_training_baseline,
#if defined(__x86_64__)
    &fnn_training_avx2,
    &fnn_training_avx512,
#endif
#endif
};

const fnn_training *fnn_training_of(const fnn_isa *isa) {
    int i = 0;
    while (fnn_isas[i] != isa) i++;
    return trainings[i];
}

const fnn_op *fnn_op_at(const fnn_isa *isa, int i) {
    const fnn_training *training = fnn_training_of(isa);
    if (i < isa->op_count) return &isa->ops[i];
    return i < isa->op_count + training->op_count ? &training->ops[i - isa->op_count] : NULL;
}
#endif

#if defined(__x86_64__)
#include <cpuid.h>
/* Conversions from float16; not every compiler's __builtin_cpu_supports has the name. */
static int has_f16c(void) {
    unsigned a, b, c, d;
    return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
}
#endif

int fnn_isa_supported(const fnn_isa *isa) {
#if defined(__x86_64__)
    __builtin_cpu_init(); /* its answers include whether the operating system saves the registers */
    if (strcmp(isa->name, "avx2") == 0)
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c();
    if (strcmp(isa->name, "avx512") == 0)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
               __builtin_cpu_supports("fma");
#endif
    (void)isa;
    return 1;
}

/* Each addition waits for the one before, and the compiler knows neither number. (Newer x86 processors add constants
 * for nothing, so it must be a register that is added.) */
int64_t fnn_additions(int64_t count) {
    int64_t sum = 0, one = 1;
    __asm__ volatile("" : "+r"(one));
    for (int64_t i = 0; i < count; i += 8)
        for (int k = 0; k < 8; k++) {
            sum += one;
            __asm__ volatile("" : "+r"(sum));
        }
    return sum;
}

const fnn_isa *fnn_isa_best(void) {
    const fnn_isa *best = fnn_isas[0];
    for (int i = 0; fnn_isas[i]; i++)
        if (fnn_isa_supported(fnn_isas[i])) best = fnn_isas[i];
    return best;
}
