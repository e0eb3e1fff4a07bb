/* Images that nobody has written: real ones are changed, mostly with the right checksum, opened, bound and run under
 * sanitizers. One file, two programs:
 *
 *   fuzz_image COUNT SEED IMAGE...   changes of its own, the same for the same seed; prints what came of them
 *   -fsanitize=fuzzer, -DLIBFUZZER   libFuzzer's, guided by coverage: fuzz_image FOLDER_OF_IMAGES
 *
 * All memory has exactly the size that is asked for, and there are poisoned gaps between the parts of a session's.
 */
enum { GAP = 64 };
#define FNN_SESSION_GAP GAP
#include "../../csrc/fastnn.c"

#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>

enum { MOST_BYTES = 1 << 22, MOST_WORK = 1 << 26 };

/* Sessions of so many rows, of which the last are for kernels that a few rows do not see. */
static const int64_t session_rows[] = {3, 1, 3, 3, 30, 3, 1, 140};
enum { SESSIONS = sizeof session_rows / sizeof *session_rows };

static uint64_t state;
static uint64_t draw(uint64_t below) { /* splitmix64 (Steele, Lea and Flood, OOPSLA 2014) */
    uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (z ^ z >> 31) % below;
}

static void *exactly(size_t bytes) {
    void *memory = NULL;
    if (posix_memalign(&memory, FASTNN_ALIGNMENT, bytes)) abort();
    return memory;
}

/* ---- one image --------------------------------------------------------------------------------------------------- */

enum { RAN = FASTNN_TOO_LONG + 1, TOO_LARGE, RESULTS };
static long results[RESULTS];

static float odd_value(uint64_t i) {
    static const float values[] = {0, 1, 2, -1, 0.3f, 3.5f, 10, -1e-40f, 1e9f, -3e38f, INFINITY, -INFINITY, NAN};
    return values[(i * 0x9e3779b97f4a7c15u >> 32) % (sizeof values / sizeof *values)];
}

/* Estimates may lie: what instructions do at most, by their numbers, so that no input takes seconds. */
static double work_of(const fastnn_session *session) {
    double sum = 0;
    for (int64_t i = 0; i < session->count; i++) {
        const fnn_instr *in = &session->instrs[i];
        double rows = in->rows_per_sample > 0 ? (double)in->rows_per_sample : 1, product = 1;
        for (int k = 0; k < 3; k++) product *= in->d[k] > 1 ? (double)in->d[k] : 1;
        sum += rows * product;
    }
    return sum;
}

static int run_exactly(const fastnn_net *net, int64_t max_rows) {
    float *arrays[2 * FASTNN_MAX_PORTS];
    fastnn_session *session;
    fastnn_port port;
    int inputs = fastnn_inputs(net), ports = inputs + fastnn_outputs(net), ran = TOO_LARGE;
    int64_t rows = max_rows + 2;
    size_t bytes = fastnn_memory(net, max_rows), total = bytes;
    for (int i = 0; i < ports; i++) {
        if (i < inputs ? fastnn_input(net, i, &port) : fastnn_output(net, i - inputs, &port)) abort();
        if (strlen(port.name) > net->bytes) abort();
        total += (size_t)(port.floats * rows) * sizeof(float);
    }
    if (bytes == 0 || total > MOST_BYTES) return TOO_LARGE;
    for (int i = 0; i < ports; i++) {
        (void)(i < inputs ? fastnn_input(net, i, &port) : fastnn_output(net, i - inputs, &port));
        arrays[i] = malloc((size_t)(port.floats * rows) * sizeof(float));
        for (int64_t at = 0; i < inputs && at < port.floats * rows; at++) arrays[i][at] = odd_value((uint64_t)at);
    }
    char *memory = malloc(bytes);
    if (fastnn_bind(net, memory, bytes, max_rows, &session) != FASTNN_OK) abort();
    if (work_of(session) * (double)rows < MOST_WORK) {
        const fnn_image_header *h = header_of(net);
        bound_op ops[FNN_MAX_IMAGE_OPS];
        bind_ops(h, fnn_isa_best(), ops);
        plan p = plan_memory(h, ops, max_rows);
        const int64_t starts[] = {p.aims, p.scratch, p.once, p.samples};
        for (int i = 0; i < 4; i++) ASAN_POISON_MEMORY_REGION((char *)session + starts[i] - GAP, GAP);
        if (fastnn_run_many(session, (const float *const *)arrays, rows, arrays + inputs) != FASTNN_OK) abort();
        for (int i = 0; i < 4; i++) ASAN_UNPOISON_MEMORY_REGION((char *)session + starts[i] - GAP, GAP);
        ran = RAN;
    }
    for (int i = 0; i < ports; i++) free(arrays[i]);
    free(memory);
    return ran;
}

static void try_image(const unsigned char *data, size_t bytes, int64_t max_rows) {
    fastnn_net net;
    unsigned char *image = exactly(bytes);
    memcpy(image, data, bytes);
    fastnn_status status = fastnn_open(image, bytes, &net);
    results[status == FASTNN_OK ? run_exactly(&net, max_rows) : (int)status]++;
    free(image);
}

/* ---- changes ----------------------------------------------------------------------------------------------------- */

/* Offsets of the sections, where the image still says so. */
typedef struct parts {
    size_t ports, code, code_end, constants, constants_end;
} parts;

static parts parts_of(const unsigned char *image, size_t bytes) {
    fnn_image_header h;
    if (bytes < sizeof h) return (parts){0};
    memcpy(&h, image, sizeof h);
    if (h.ports > bytes || h.code > bytes || h.code_bytes > bytes - h.code || h.constants > bytes ||
        h.constants_bytes > bytes - h.constants)
        return (parts){0};
    return (parts){h.ports, h.code, h.code + h.code_bytes, h.constants, h.constants + h.constants_bytes};
}

static int64_t another_value(int64_t value, int width) {
    static const int64_t values[] = {0,   1,   -1,   2,     3,      4,          7,          8,           15,
                                     16,  17,  31,   32,    33,     63,         64,         65,          127,
                                     255, 256, 1000, 65535, 104857, 0x7fffffff, 0x80000000, 0x100000000, INT64_MIN};
    switch (draw(6)) {
    case 0: return values[draw(sizeof values / sizeof *values)];
    case 1: return value ^ (int64_t)((uint64_t)1 << draw(8u * (unsigned)width));
    case 2: return (int64_t)((uint64_t)value + draw(65) - 32);
    case 3: return (int64_t)((uint64_t)value << draw(8));
    case 4: return (int64_t)((uint64_t)value + (draw(2) ? 1 : -1) * 16);
    default: return (int64_t)draw(UINT64_MAX);
    }
}

static size_t place_in(size_t begin, size_t end, size_t step) {
    return begin + (end > begin + step ? draw((end - begin) / step) * step : 0);
}

static size_t change(unsigned char *image, size_t bytes) {
    parts p = parts_of(image, bytes);
    uint64_t kind = p.code ? draw(20) : 0;
    size_t at, from, width = draw(3) ? 8 : 4;
    if (bytes < 32) return bytes;
    if (kind == 1) return draw(bytes); /* cut */
    if (kind == 2) {                   /* any byte */
        image[draw(bytes)] ^= (unsigned char)(1 + draw(255));
        return bytes;
    }
    if (kind >= 17 && p.code_end > p.code + 16) { /* an operand, or some dims, of another instruction, or of this one */
        size_t length = 8 * (1 + draw(kind == 19 ? 12 : 2));
        at = place_in(p.code, p.code_end, 8), from = place_in(p.code, p.code_end, 8);
        if (at + length <= p.code_end && from + length <= p.code_end) memmove(image + at, image + from, length);
        return bytes;
    }
    if (kind <= 3) at = place_in(16, sizeof(fnn_image_header), 4);
    else if (kind == 4) at = place_in(p.ports, p.code, 4);
    else if (kind <= 7) at = place_in(p.constants, p.constants_end, width = 4);
    else at = place_in(p.code, p.code_end, width);
    int64_t value = 0;
    if (at + width > bytes) return bytes;
    memcpy(&value, image + at, width);
    if (width == 4) value = (int32_t)value;
    value = another_value(value, (int)width);
    memcpy(image + at, &value, width);
    return bytes;
}

static void right_checksum(unsigned char *image, size_t bytes) {
    uint64_t said;
    if (bytes < 24) return;
    memcpy(&said, image + 16, 8);
    uint32_t crc = checksum(image + 16, said >= 16 && said <= bytes ? (size_t)said - 16 : bytes - 16);
    memcpy(image + 12, &crc, 4);
}

static size_t change_some(unsigned char *image, size_t bytes) {
    for (uint64_t changes = 1 + draw(draw(4) ? 2 : 6); changes; changes--) bytes = change(image, bytes);
    if (draw(64)) right_checksum(image, bytes);
    return bytes;
}

#if defined(LIBFUZZER)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);
size_t LLVMFuzzerMutate(uint8_t *data, size_t bytes, size_t most);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t bytes, size_t most, unsigned seed);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    try_image(data, bytes, session_rows[bytes > 12 ? data[12] % SESSIONS : 0]); /* by the checksum */
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t bytes, size_t most, unsigned seed) {
    state = seed;
    if (draw(4)) return change_some(data, bytes);
    bytes = LLVMFuzzerMutate(data, bytes, most);
    right_checksum(data, bytes);
    return bytes;
}

#else

static const unsigned char *current;
static size_t current_bytes;

static void save_current(void) {
    FILE *file = fopen("crash.fnn", "wb");
    if (file) fwrite(current, 1, current_bytes, file), fclose(file);
    fprintf(stderr, "the image is in crash.fnn\n");
}

static void too_slow(int number) {
    (void)number;
    fprintf(stderr, "an image runs for half a minute\n");
    abort();
}

static unsigned char *read_image(const char *path, size_t *bytes) {
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END)) exit(2);
    *bytes = (size_t)ftell(file);
    rewind(file);
    unsigned char *data = malloc(*bytes);
    if (fread(data, 1, *bytes, file) != *bytes) exit(2);
    fclose(file);
    return data;
}

int main(int count, char **arguments) {
    if (count < 4) return 2;
    long inputs = atol(arguments[1]);
    uint64_t seed = strtoull(arguments[2], NULL, 10);
    int seeds = count - 3;
    long tries = 0;
    unsigned char **images = malloc((size_t)seeds * sizeof *images);
    size_t *sizes = malloc((size_t)seeds * sizeof *sizes), largest = 0;
    for (int i = 0; i < seeds; i++) {
        images[i] = read_image(arguments[3 + i], &sizes[i]);
        if (sizes[i] > largest) largest = sizes[i];
        for (int64_t rows = 1; rows <= 300; rows += rows < 40 ? 1 : 37, tries++) try_image(images[i], sizes[i], rows);
    }
    if (results[RAN] != tries) return fprintf(stderr, "not all of these run as they are\n"), 2;
    unsigned char *changed = malloc(largest);
    current = changed;
    __sanitizer_set_death_callback(save_current);
    signal(SIGVTALRM, too_slow); /* of the time that this process has had: the machine may be busy otherwise */
    for (long i = 0; i < inputs; i++) {
        if (i % 128 == 0) setitimer(ITIMER_VIRTUAL, &(struct itimerval){.it_value.tv_sec = 30}, NULL);
        state = seed << 40 ^ (uint64_t)i;
        int which = (int)draw((uint64_t)seeds);
        memcpy(changed, images[which], sizes[which]);
        current_bytes = change_some(changed, sizes[which]);
        try_image(changed, current_bytes, session_rows[i % SESSIONS]);
    }
    printf("%ld images: %ld ran, %ld were too large to run here; refused: %ld no images, %ld truncated, %ld damaged, "
           "%ld newer, %ld unknown operations, %ld invalid\n",
           inputs + tries, results[RAN], results[TOO_LARGE], results[FASTNN_NOT_AN_IMAGE], results[FASTNN_TRUNCATED],
           results[FASTNN_DAMAGED], results[FASTNN_NEWER], results[FASTNN_UNKNOWN_OPERATION], results[FASTNN_INVALID]);
    for (int i = 0; i < seeds; i++) free(images[i]);
    free(images), free(sizes), free(changed);
    return 0;
}

#endif
