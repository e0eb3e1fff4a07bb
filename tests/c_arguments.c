/* What the functions of fastnn.h say to wrong arguments, and that a session takes what it asked for and no more:
 * c_arguments NET SEVERAL PIPE FOLDER, the first with one input and one output, the second with two of each. */
#include "fastnn.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failures;
static void expect(int fits, const char *what, int line) {
    if (!fits) fprintf(stderr, "line %d: %s\n", line, what), failures++;
}
#define EXPECT(x) expect(x, #x, __LINE__)
#define REFUSED(status, x) EXPECT((x) == FASTNN_##status)

enum { ROWS = 150, MOST = 64 };

static void *exactly(size_t bytes, size_t alignment) {
    void *memory = NULL;
    if (posix_memalign(&memory, alignment, bytes)) abort();
    return memory;
}

static void opening(const fastnn_net *net, char **files) {
    fastnn_net other, before;
    memset(&other, 7, sizeof other), before = other;
    unsigned char *copy = exactly(net->bytes + 64, 64);
    memcpy(copy, net->image, net->bytes);
    REFUSED(BAD_ARGUMENT, fastnn_open(NULL, net->bytes, &other));
    REFUSED(BAD_ARGUMENT, fastnn_open(copy, net->bytes, NULL));
    REFUSED(NOT_AN_IMAGE, fastnn_open(copy, 0, &other));
    for (size_t bytes = 1; bytes < net->bytes; bytes += 1 + bytes / 9)
        REFUSED(TRUNCATED, fastnn_open(copy, bytes, &other));
    memmove(copy + 4, copy, net->bytes);
    REFUSED(MISALIGNED, fastnn_open(copy + 4, net->bytes, &other));
    REFUSED(BAD_ARGUMENT, fastnn_open_file(NULL, &other));
    REFUSED(BAD_ARGUMENT, fastnn_open_file(files[0], NULL));
    REFUSED(NO_FILE, fastnn_open_file("", &other));
    errno = 0;
    REFUSED(NO_FILE, fastnn_open_file(files[2], &other)); /* at once */
    EXPECT(errno == EINVAL);
    REFUSED(NO_FILE, fastnn_open_file(files[3], &other));
    EXPECT(errno == EISDIR);
    EXPECT(memcmp(&other, &before, sizeof other) == 0);
    memmove(copy, copy + 4, net->bytes);
    EXPECT(fastnn_open(copy, net->bytes + 64, &other) == FASTNN_OK);
    fastnn_close(&other), fastnn_close(&other), fastnn_close(NULL);
    EXPECT(fastnn_inputs(&other) == 0 && fastnn_memory(&other, 1) == 0);
    free(copy);
}

static void describing(const fastnn_net *net) {
    fastnn_port port, before;
    fastnn_net none = {0};
    size_t bytes = 3;
    memset(&port, 7, sizeof port), before = port;
    EXPECT(fastnn_inputs(NULL) == 0 && fastnn_outputs(NULL) == 0 && fastnn_inputs(&none) == 0);
    REFUSED(BAD_ARGUMENT, fastnn_input(NULL, 0, &port));
    REFUSED(BAD_ARGUMENT, fastnn_output(&none, 0, &port));
    for (int number = -2; number < 5; number += number == -1 ? fastnn_inputs(net) + 1 : 1) {
        REFUSED(BAD_ARGUMENT, fastnn_input(net, number, &port));
        REFUSED(BAD_ARGUMENT, fastnn_output(net, number, &port));
    }
    REFUSED(BAD_ARGUMENT, fastnn_input(net, 0, NULL));
    REFUSED(BAD_ARGUMENT, fastnn_output(net, 0, NULL));
    EXPECT(memcmp(&port, &before, sizeof port) == 0);
    EXPECT(!fastnn_description(NULL, &bytes) && !fastnn_description(&none, &bytes) && bytes == 3);
    EXPECT(!fastnn_description(net, NULL) && fastnn_description(net, &bytes) && bytes != 3);
    for (int status = -3; status < 40; status++) EXPECT(strlen(fastnn_message((fastnn_status)status)) > 10);
}

static void binding(const fastnn_net *net) {
    fastnn_session *session = NULL;
    size_t bytes = fastnn_memory(net, MOST);
    char *memory = exactly(bytes, 64);
    EXPECT(bytes && fastnn_memory(net, 1) < bytes);
    EXPECT(!fastnn_memory(NULL, 1) && !fastnn_memory(net, 0) && !fastnn_memory(net, -1));
    EXPECT(!fastnn_memory(net, INT64_MIN) && !fastnn_memory(net, INT64_MAX));
    REFUSED(BAD_ARGUMENT, fastnn_bind(NULL, memory, bytes, 1, &session));
    REFUSED(BAD_ARGUMENT, fastnn_bind(net, NULL, bytes, 1, &session));
    REFUSED(BAD_ARGUMENT, fastnn_bind(net, memory, bytes, 1, NULL));
    REFUSED(BAD_ARGUMENT, fastnn_bind(net, memory, bytes, 0, &session));
    REFUSED(BAD_ARGUMENT, fastnn_bind(net, memory, bytes, INT64_MIN, &session));
    REFUSED(TOO_LITTLE_MEMORY, fastnn_bind(net, memory, 0, 1, &session));
    REFUSED(TOO_LITTLE_MEMORY, fastnn_bind(net, memory, bytes - 1, MOST, &session));
    REFUSED(TOO_LITTLE_MEMORY, fastnn_bind(net, memory, bytes, 2 * MOST, &session)); /* of a session of fewer rows */
    REFUSED(TOO_LITTLE_MEMORY, fastnn_bind(net, memory, SIZE_MAX, INT64_MAX, &session));
    EXPECT(session == NULL);
    free(memory);
}

/* Sessions of any number of rows, in exactly their memory at any alignment, give the same bits for more rows. */
static void running(const fastnn_net *net) {
    float *arrays[4], *wrong[4], *expected = NULL;
    int inputs = fastnn_inputs(net), outputs = fastnn_outputs(net);
    fastnn_port port;
    for (int i = 0; i < inputs + outputs; i++) {
        EXPECT((i < inputs ? fastnn_input(net, i, &port) : fastnn_output(net, i - inputs, &port)) == FASTNN_OK);
        arrays[i] = exactly((size_t)port.floats * ROWS * sizeof(float), 64);
        for (int64_t at = 0; at < port.floats * ROWS; at++) arrays[i][at] = (float)(at % 23) / 7 - 1.5f;
    }
    size_t floats = (size_t)port.floats * ROWS; /* of the last output */
    expected = exactly(floats * sizeof(float), 64);
    const float *const *x = (const float *const *)arrays, *const *wrong_x = (const float *const *)wrong;
    for (int64_t max_rows = 1; max_rows <= ROWS + 9; max_rows += max_rows < 5 ? 1 : 11) {
        size_t bytes = fastnn_memory(net, max_rows), shift = (size_t)max_rows % 67;
        char *memory = malloc(bytes + shift);
        fastnn_session *session;
        if (!memory || fastnn_bind(net, memory + shift, bytes, max_rows, &session) != FASTNN_OK) abort();
        EXPECT(fastnn_run_many(session, x, ROWS, arrays + inputs) == FASTNN_OK);
        if (max_rows == 1) memcpy(expected, arrays[inputs + outputs - 1], floats * sizeof(float));
        EXPECT(memcmp(expected, arrays[inputs + outputs - 1], floats * sizeof(float)) == 0);
        REFUSED(BAD_ARGUMENT, fastnn_run_many(NULL, x, 1, arrays + inputs));
        REFUSED(BAD_ARGUMENT, fastnn_run_many(session, NULL, 1, arrays + inputs));
        REFUSED(BAD_ARGUMENT, fastnn_run_many(session, x, 1, NULL));
        REFUSED(BAD_ARGUMENT, fastnn_run_many(session, x, 0, arrays + inputs));
        REFUSED(BAD_ARGUMENT, fastnn_run_many(session, x, INT64_MIN, arrays + inputs));
        for (int i = 0; i < inputs + outputs; i++) {
            memcpy(wrong, arrays, sizeof wrong), wrong[i] = NULL;
            REFUSED(BAD_ARGUMENT, fastnn_run_many(session, wrong_x, 1, wrong + inputs));
            memcpy(&wrong[i], &(char *){(char *)arrays[i] + 2}, sizeof wrong[i]);
            REFUSED(MISALIGNED, fastnn_run_many(session, wrong_x, 1, wrong + inputs));
        }
        fastnn_status one = inputs == 1 && outputs == 1 ? FASTNN_OK : FASTNN_BAD_ARGUMENT;
        EXPECT(fastnn_run(session, arrays[0], ROWS, arrays[inputs]) == one);
        REFUSED(BAD_ARGUMENT, fastnn_run(NULL, arrays[0], 1, arrays[inputs]));
        REFUSED(BAD_ARGUMENT, fastnn_run(session, NULL, 1, arrays[inputs]));
        REFUSED(BAD_ARGUMENT, fastnn_run(session, arrays[0], 1, NULL));
        REFUSED(BAD_ARGUMENT, fastnn_run(session, arrays[0], 0, arrays[inputs]));
        free(memory);
    }
    for (int i = 0; i < inputs + outputs; i++) free(arrays[i]);
    free(expected);
}

int main(int count, char **arguments) {
    fastnn_net net;
    if (count != 5) return 2;
    for (int i = 1; i < 3; i++) {
        if (fastnn_open_file(arguments[i], &net) != FASTNN_OK) return 3;
        opening(&net, arguments + 1);
        describing(&net);
        binding(&net);
        running(&net);
        fastnn_close(&net);
    }
    if (!failures) printf("as it should be\n");
    return failures != 0;
}
