/* Frozen images in C alone.
 *
 *   runtime_test run IMAGE ROWS MAX_ROWS INPUT OUTPUT   runs rows of float32 from a file into another
 *                                                       (one input and output)
 *   runtime_test open IMAGE                             prints what fastnn_open_file says
 *
 * `run` fails if anything was allocated between opening and closing: malloc and its kin are wrapped by the linker.
 */
#include "fastnn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static long allocations;
void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *memory, size_t bytes);
void *__wrap_malloc(size_t bytes) { return allocations++, __real_malloc(bytes); }
void *__wrap_calloc(size_t count, size_t bytes) { return allocations++, __real_calloc(count, bytes); }
void *__wrap_realloc(void *memory, size_t bytes) { return allocations++, __real_realloc(memory, bytes); }

static int fail(const char *what) {
    fprintf(stderr, "%s\n", what);
    return 1;
}

static unsigned char *read_file(const char *path, size_t *bytes) {
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END)) exit(fail("cannot read"));
    *bytes = (size_t)ftell(file);
    rewind(file);
    unsigned char *data = aligned_alloc(64, (*bytes / 64 + 1) * 64);
    if (!data || fread(data, 1, *bytes, file) != *bytes) exit(fail("cannot read"));
    fclose(file);
    return data;
}

static int run(char **arguments) {
    int64_t rows = atoll(arguments[1]), max_rows = atoll(arguments[2]);
    fastnn_net net;
    fastnn_port in, out;
    fastnn_session *session;
    size_t bytes;
    float *x = (float *)read_file(arguments[3], &bytes);
    long before = allocations;
    fastnn_status status = fastnn_open_file(arguments[0], &net);
    if (status != FASTNN_OK) return fail(fastnn_message(status));
    if (fastnn_input(&net, 0, &in) || fastnn_output(&net, 0, &out)) return fail("no ports");
    if (fastnn_input(&net, 1, &in) != FASTNN_BAD_ARGUMENT) return fail("too many ports");
    if (bytes != sizeof(float) * (size_t)(rows * in.floats)) return fail("an input of another size");
    bytes = fastnn_memory(&net, max_rows);
    before -= allocations;
    char *memory = malloc(bytes + 1);
    float *y = malloc(sizeof(float) * (size_t)(rows * out.floats));
    before += allocations;
    if (fastnn_bind(&net, memory + 1, bytes - 1, max_rows, &session) != FASTNN_TOO_LITTLE_MEMORY) return fail("memory");
    status = fastnn_bind(&net, memory + 1, bytes, max_rows, &session);
    if (status != FASTNN_OK) return fail(fastnn_message(status));
    for (int again = 0; again < 3; again++)
        if (fastnn_run(session, x, rows, y) != FASTNN_OK) return fail("run");
    if (fastnn_run(session, x, 0, y) != FASTNN_BAD_ARGUMENT || fastnn_run(NULL, x, 1, y) != FASTNN_BAD_ARGUMENT)
        return fail("arguments");
    fastnn_close(&net);
    if (allocations != before) return fail("something was allocated");
    FILE *file = fopen(arguments[4], "wb");
    if (!file) return fail("cannot write");
    fwrite(y, sizeof(float), (size_t)(rows * out.floats), file);
    fclose(file);
    free(memory), free(x), free(y);
    return 0;
}

int main(int count, char **arguments) {
    fastnn_net net;
    if (count == 7 && strcmp(arguments[1], "run") == 0) return run(arguments + 2);
    if (count != 3 || strcmp(arguments[1], "open") != 0) return fail("what?");
    fastnn_status status = fastnn_open_file(arguments[2], &net);
    printf("%d %s\n", (int)status, fastnn_message(status));
    if (status == FASTNN_OK) fastnn_close(&net);
    return 0;
}
