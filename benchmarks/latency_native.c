/* Clocks without Python: calls through fastnn.h, the reading of memory, and nothing at all. Built by latency_native.py. */
#define _POSIX_C_SOURCE 200809L
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

typedef int run_function(void *session, const float *x, int64_t rows, float *y);

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Nanoseconds of `count` times `repeat` calls of fastnn_run. Returns the first status that is not 0. */
int time_runs(run_function *run, void *session, const float *x, int64_t rows, float *y, int64_t repeat, int64_t count,
              int64_t *nanoseconds) {
    for (int64_t i = 0; i < count; i++) {
        int64_t started = now();
        for (int64_t j = 0; j < repeat; j++) {
            int status = run(session, x, rows, y);
            if (status) return status;
        }
        nanoseconds[i] = now() - started;
    }
    return 0;
}

/* Additions, each of which waits for the one before: they need nothing but the processor's time. */
float wait_for_additions(int64_t count) {
    volatile float one = 1.0f;
    float sum = 0, next = one;
    for (int64_t i = 0; i < count; i++) sum += next;
    return sum;
}

/* 16 sums of vectors: as many loads a cycle as the processor has, none waiting for an addition. */
typedef float vector __attribute__((vector_size(64)));
enum { LANES = 16, SUMS = 16 };

/* Reads a multiple of 4096 bytes, aligned to 64, again and again; nanoseconds of each time. Returns a sum of it all. */
float time_reading(const float *memory, int64_t bytes, int64_t repeat, int64_t count, int64_t *nanoseconds) {
    vector sums[SUMS] = {{0}};
    const vector *end = (const vector *)(memory + bytes / (int64_t)sizeof(float));
    for (int64_t i = 0; i < count; i++) {
        int64_t started = now();
        for (int64_t j = 0; j < repeat; j++)
            for (const vector *v = (const vector *)memory; v < end; v += SUMS)
                for (int s = 0; s < SUMS; s++) sums[s] += v[s];
        nanoseconds[i] = now() - started;
    }
    float total = 0;
    for (int s = 0; s < SUMS; s++)
        for (int lane = 0; lane < LANES; lane++) total += sums[s][lane];
    return total;
}
