/* Frozen images in C alone.
 *
 *   runtime_test run IMAGE ROWS MAX_ROWS INPUT OUTPUT   runs rows of float32 from a file into another (one input and output)
 *   runtime_test open IMAGE                             prints what fastnn_open_file says
 *   runtime_test mutate IMAGE SEED COUNT                changes words of it, makes the checksum right and runs what passes
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

/* ---- hostile images ---------------------------------------------------------------------------------------------- */

static uint64_t state;
static uint64_t draw(uint64_t below) { /* splitmix64 */
    uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (z ^ z >> 31) % below;
}

static uint32_t crc32_of(const unsigned char *at, size_t bytes) {
    static uint32_t table[256];
    uint32_t crc = 0xffffffffu;
    if (!table[1])
        for (uint32_t i = 0; i < 256; i++) {
            table[i] = i;
            for (int bit = 0; bit < 8; bit++) table[i] = table[i] >> 1 ^ (table[i] & 1 ? 0xedb88320u : 0);
        }
    for (; bytes; bytes--, at++) crc = crc >> 8 ^ table[(crc ^ *at) & 255];
    return ~crc;
}

static void change(unsigned char *image, size_t bytes) {
    static const int64_t values[] = {0, 1, -1, 2, 3, 7, 15, 16, 17, 63, 64, 65, 255, 256, 1000, 0x7fffffff, 0x80000000};
    int width = draw(3) ? 8 : 4;
    size_t at = 8 + draw(bytes / 4 - 4) * 4;
    int64_t value = 0;
    if (at + (size_t)width > bytes) return;
    memcpy(&value, image + at, (size_t)width);
    switch (draw(5)) {
    case 0: value = values[draw(sizeof values / sizeof *values)]; break;
    case 1: value ^= (int64_t)((uint64_t)1 << draw(8u * (unsigned)width)); break;
    case 2: value = (int64_t)((uint64_t)value + draw(65) - 32); break;
    case 3: value = (int64_t)((uint64_t)value << draw(8)); break;
    default: value = (int64_t)draw(UINT64_MAX); break;
    }
    memcpy(image + at, &value, (size_t)width);
}

/* Everything has exactly the size that it says, so that a sanitizer sees what goes beyond. */
static int run_exactly(const fastnn_net *net) {
    enum { ROWS = 5, MAX_ROWS = 3 };
    const float *inputs[FASTNN_MAX_PORTS];
    float *outputs[FASTNN_MAX_PORTS];
    size_t total = fastnn_memory(net, MAX_ROWS);
    fastnn_session *session;
    fastnn_port port;
    int ran = 0, in = 0, out = 0;
    for (int i = 0; fastnn_input(net, i, &port) == FASTNN_OK; i++) total += (size_t)port.floats * ROWS;
    for (int i = 0; fastnn_output(net, i, &port) == FASTNN_OK; i++) total += (size_t)port.floats * ROWS;
    if (total > 1 << 24) return 0;
    size_t bytes = fastnn_memory(net, MAX_ROWS);
    char *memory = malloc(bytes);
    for (; fastnn_input(net, in, &port) == FASTNN_OK; in++)
        inputs[in] = calloc((size_t)port.floats * ROWS, sizeof(float));
    for (; fastnn_output(net, out, &port) == FASTNN_OK; out++)
        outputs[out] = calloc((size_t)port.floats * ROWS, sizeof(float));
    ran = fastnn_bind(net, memory, bytes, MAX_ROWS, &session) == FASTNN_OK &&
          fastnn_run_many(session, inputs, ROWS, outputs) == FASTNN_OK;
    while (in > 0) free((void *)(uintptr_t)inputs[--in]);
    while (out > 0) free(outputs[--out]);
    free(memory);
    return ran;
}

static int mutate(char **arguments) {
    size_t bytes, interesting;
    unsigned char *image = read_file(arguments[0], &bytes);
    /* Weights and the description are the long part, and the least interesting one. */
    memcpy(&interesting, image + 96, sizeof interesting);
    if (interesting > bytes) interesting = bytes;
    unsigned char *copy = aligned_alloc(64, bytes);
    long ran = 0, refused = 0, count = atol(arguments[2]);
    state = strtoull(arguments[1], NULL, 10);
    for (long i = 0; i < count; i++) {
        memcpy(copy, image, bytes);
        for (uint64_t changes = 1 + draw(3); changes; changes--) change(copy, draw(4) ? interesting : bytes);
        uint32_t crc;
        uint64_t said;
        memcpy(&said, copy + 16, 8);
        crc = crc32_of(copy + 16, said >= 16 && said <= bytes ? (size_t)said - 16 : bytes - 16);
        memcpy(copy + 12, &crc, 4);
        fastnn_net net;
        if (fastnn_open(copy, draw(8) ? bytes : draw(bytes), &net) == FASTNN_OK) ran += run_exactly(&net);
        else refused++;
    }
    printf("%ld ran, %ld refused\n", ran, refused);
    free(image), free(copy);
    return 0;
}

int main(int count, char **arguments) {
    fastnn_net net;
    if (count == 7 && strcmp(arguments[1], "run") == 0) return run(arguments + 2);
    if (count == 5 && strcmp(arguments[1], "mutate") == 0) return mutate(arguments + 2);
    if (count != 3 || strcmp(arguments[1], "open") != 0) return fail("what?");
    fastnn_status status = fastnn_open_file(arguments[2], &net);
    printf("%d %s\n", (int)status, fastnn_message(status));
    if (status == FASTNN_OK) fastnn_close(&net);
    return 0;
}
