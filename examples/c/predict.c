/* Runs the rows of a text through a frozen network: one row a line, numbers with commas or blanks in between.
 *
 *     predict net.fnn < rows.csv
 *
 * Prints a line of outputs for each row. The network has one input and one output; what it was frozen with decides the
 * rest. Build it: see README.md beside this file.
 */
#include <fastnn.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 64 }; /* rows that are run at a time: larger batches are faster for each row, and need more memory */

static int fail(const char *what, fastnn_status status) {
    fprintf(stderr, "predict: %s: %s", what, fastnn_message(status));
    if (status == FASTNN_NO_FILE) fprintf(stderr, " (%s)", strerror(errno));
    fprintf(stderr, "\n");
    return 1;
}

/* Reads up to BATCH rows of n numbers; returns how many, or -1 where something else is there. */
static int64_t read_rows(float *x, int64_t n) {
    for (int64_t i = 0; i < BATCH * n; i++) {
        int got = scanf(" %f", &x[i]);
        if (got == EOF) return i % n ? -1 : i / n;
        if (got != 1) return -1;
        (void)scanf(" ,");
    }
    return BATCH;
}

int main(int count, char **arguments) {
    if (count != 2) {
        fprintf(stderr, "usage: predict net.fnn < rows.csv\n");
        return 2;
    }
    fastnn_net net;
    fastnn_status status = fastnn_open_file(arguments[1], &net);
    if (status != FASTNN_OK) return fail(arguments[1], status);

    fastnn_port in, out;
    if (fastnn_inputs(&net) != 1 || fastnn_outputs(&net) != 1) {
        fprintf(stderr, "predict: this network has several inputs or outputs: fastnn_run_many runs it\n");
        return 1;
    }
    fastnn_input(&net, 0, &in);
    fastnn_output(&net, 0, &out);
    fprintf(stderr, "%s: %lld numbers -> %s: %lld numbers\n", in.name, (long long)in.floats, out.name,
            (long long)out.floats);

    /* All the memory that there will be: one block for the session, two for the arrays. */
    size_t bytes = fastnn_memory(&net, BATCH);
    void *memory = malloc(bytes);
    float *x = malloc(sizeof(float) * BATCH * (size_t)in.floats);
    float *y = malloc(sizeof(float) * BATCH * (size_t)out.floats);
    fastnn_session *session;
    if (!memory || !x || !y) return fail("memory", FASTNN_TOO_LITTLE_MEMORY);
    status = fastnn_bind(&net, memory, bytes, BATCH, &session);
    if (status != FASTNN_OK) return fail("bind", status);

    int64_t rows;
    while ((rows = read_rows(x, in.floats)) > 0) {
        status = fastnn_run(session, x, rows, y);
        if (status != FASTNN_OK) return fail("run", status);
        for (int64_t i = 0; i < rows * out.floats; i++) printf("%.9g%c", y[i], (i + 1) % out.floats ? ' ' : '\n');
    }
    if (rows < 0) fprintf(stderr, "predict: a row of %lld numbers was expected\n", (long long)in.floats);

    free(memory), free(x), free(y);
    fastnn_close(&net); /* after the last use of the session */
    return rows < 0;
}
