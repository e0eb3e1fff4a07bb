/* Threads share a net, each with a session of its own in memory of another alignment: c_threads IMAGE THREADS.
 * All must give the same bits, and a thread sanitizer sees nothing. */
#include "fastnn.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 7, ROUNDS = 20 };
static fastnn_net net;
static fastnn_port in, out;
static float *x;

static void *work(void *argument) {
    size_t number = (size_t)(uintptr_t)argument;
    int64_t max_rows = 1 + (int64_t)(number % 3);
    size_t bytes = fastnn_memory(&net, max_rows);
    char *memory = malloc(bytes + number);
    float *y = malloc(sizeof(float) * (size_t)(ROWS * out.floats));
    fastnn_session *session;
    if (fastnn_bind(&net, memory + number, bytes, max_rows, &session) != FASTNN_OK) return NULL;
    for (int i = 0; i < ROUNDS; i++)
        if (fastnn_run(session, x, ROWS, y) != FASTNN_OK) return NULL;
    free(memory);
    return y;
}

int main(int count, char **arguments) {
    if (count != 3 || fastnn_open_file(arguments[1], &net) != FASTNN_OK) return 2;
    if (fastnn_input(&net, 0, &in) != FASTNN_OK || fastnn_output(&net, 0, &out) != FASTNN_OK) return 2;
    x = malloc(sizeof(float) * (size_t)(ROWS * in.floats));
    for (int64_t i = 0; i < ROWS * in.floats; i++) x[i] = (float)(i % 19) / 7 - 1;
    size_t threads = (size_t)atoi(arguments[2]);
    pthread_t *ids = malloc(threads * sizeof *ids);
    float *first = work(NULL);
    if (!first) return 3;
    for (size_t i = 0; i < threads; i++)
        if (pthread_create(&ids[i], NULL, work, (void *)(uintptr_t)(i + 1))) return 2;
    int same = 1;
    for (size_t i = 0; i < threads; i++) {
        void *y;
        pthread_join(ids[i], &y);
        same &= y && memcmp(y, first, sizeof(float) * (size_t)(ROWS * out.floats)) == 0;
        free(y);
    }
    puts(same ? "the same" : "different");
    free(ids), free(x), free(first);
    fastnn_close(&net);
    return !same;
}
