/* How long does one row take? Prints the 50th, 99th and 99.9th percentile of many calls, in nanoseconds.
 *
 *     latency net.fnn [calls]
 *
 * The time of looking at the clock (some 20 ns) is in it.
 */
#define _POSIX_C_SOURCE 199309L
#include <fastnn.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static int ascending(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

int main(int count, char **arguments) {
    fastnn_net net;
    fastnn_session *session;
    fastnn_port port;
    const float *inputs[FASTNN_MAX_PORTS];
    float *outputs[FASTNN_MAX_PORTS];
    int calls = count > 2 ? atoi(arguments[2]) : 10000;
    fastnn_status status = count > 1 ? fastnn_open_file(arguments[1], &net) : FASTNN_BAD_ARGUMENT;
    if (status != FASTNN_OK || calls < 1) {
        fprintf(stderr, "latency net.fnn [calls]: %s\n", fastnn_message(status));
        return 1;
    }
    for (int i = 0; fastnn_input(&net, i, &port) == FASTNN_OK; i++)
        inputs[i] = calloc((size_t)port.floats, sizeof(float));
    for (int i = 0; fastnn_output(&net, i, &port) == FASTNN_OK; i++)
        outputs[i] = calloc((size_t)port.floats, sizeof(float));
    size_t bytes = fastnn_memory(&net, 1);
    status = fastnn_bind(&net, malloc(bytes), bytes, 1, &session);
    if (status != FASTNN_OK) {
        fprintf(stderr, "%s\n", fastnn_message(status));
        return 1;
    }
    int64_t *times = malloc(sizeof(int64_t) * (size_t)calls);
    for (int warm = 0; warm < 100; warm++) fastnn_run_many(session, inputs, 1, outputs);
    for (int i = 0; i < calls; i++) {
        int64_t before = now();
        fastnn_run_many(session, inputs, 1, outputs);
        times[i] = now() - before;
    }
    qsort(times, (size_t)calls, sizeof *times, ascending);
    printf("50 %%: %lld ns, 99 %%: %lld ns, 99.9 %%: %lld ns, memory: %zu bytes\n", (long long)times[calls / 2],
           (long long)times[calls * 99LL / 100], (long long)times[calls * 999LL / 1000], bytes);
    return 0; /* the memory goes with the process */
}
