/* Runs recorded programs on one instruction set, by teams of one, two and three threads, and compares what they leave
 * in memory with what was recorded: the same bits, or nearly so where two instruction sets may differ, and the same
 * bits for every team. recording.py says what is in the file.
 *
 *   kernels_test ISA FILE
 */
#define _GNU_SOURCE /* posix_memalign */
#include "engine.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAGIC = 0x666E6E31, NAME = 32, TEAMS = 3, MOST_COMPLAINTS = 20 };

typedef struct buffer {
    char *data;
    int64_t nbytes;
    float fill;
} buffer;

typedef struct region {
    const char *name, *before, *after;
    int64_t buffer, offset, rows, columns, ld, dtype, packed, same_bits;
    double rtol, atol;
    char *alone; /* what one thread left */
} region;

typedef struct program {
    const char *name;
    int64_t batch, total, first_batch, batches, step, epoch;
    uint64_t seed;
    const int64_t *order; /* or NULL */
    const double *hyper;
    int64_t buffer_count, source_count, region_count, instr_count;
    buffer *buffers;
    fnn_source *sources;
    char **source_owners; /* the memory that they look into */
    region *regions;
    fnn_instr *instrs;
} program;

static const fnn_isa *isa;
static const fnn_training *training;
static int fused, failures; /* fused: here and where it was recorded, a multiply-add rounds once */
static const int64_t dtype_bytes[] = {4, 8, 2, 1, 1, 2, 2, 4, 4, 8, 8, 1};

static void die(const char *what, const char *name) {
    fprintf(stderr, "%s: %s\n", what, name);
    exit(2);
}

static void *memory(int64_t nbytes) { /* exactly so much, so that a sanitizer sees what is read beyond */
    void *data;
    if (posix_memalign(&data, FNN_ALIGN_BYTES, (size_t)nbytes)) die("out of memory", "");
    return data;
}

static void complain(const program *p, const region *r, int64_t at, int threads, const char *what, double got,
                     double wanted) {
    if (++failures <= MOST_COMPLAINTS)
        printf("%s on %d threads, %s[%lld][%lld]: %.9g %s %.9g\n", p->name, threads, r->name,
               (long long)(at / r->columns), (long long)(at % r->columns), got, what, wanted);
}

/* ---- the file ---------------------------------------------------------------------------------------------------- */

static const char *cursor;

static const char *read_bytes(int64_t nbytes) {
    const char *at = cursor;
    cursor += fnn_round_up(nbytes, 8);
    return at;
}
static int64_t read_int(void) { return *(const int64_t *)read_bytes(8); }
static double read_float(void) { return *(const double *)read_bytes(8); }
static const char *read_name(void) { return read_bytes(NAME); }

static char *read_file(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END)) die("cannot read", path);
    int64_t nbytes = ftell(file);
    char *data = memory(nbytes);
    rewind(file);
    if (fread(data, 1, (size_t)nbytes, file) != (size_t)nbytes) die("cannot read", path);
    fclose(file);
    return data;
}

static fnn_source read_source(char **owner) {
    int64_t nbytes = read_int(), offset = read_int();
    fnn_source source = {0};
    source.dtype = (fnn_dtype)read_int(), source.axes = (int32_t)read_int();
    for (int i = 0; i < source.axes; i++) source.shape[i] = read_int();
    for (int i = 0; i < source.axes; i++) source.strides[i] = read_int();
    *owner = memory(nbytes);
    memcpy(*owner, read_bytes(nbytes), (size_t)nbytes);
    source.data = *owner + offset;
    return source;
}

static region read_region(void) {
    region r = {0};
    r.name = read_name(), r.buffer = read_int(), r.offset = read_int(), r.rows = read_int(), r.columns = read_int(),
    r.ld = read_int(), r.dtype = read_int();
    r.packed = read_int(), r.same_bits = read_int() && fused, r.rtol = read_float(), r.atol = read_float();
    int64_t nbytes = r.rows * r.columns * dtype_bytes[r.dtype];
    r.before = read_bytes(nbytes), r.after = read_bytes(nbytes), r.alone = memory(nbytes);
    return r;
}

static const fnn_op *op_named(const char *name, char *covered) {
    const fnn_op *op;
    for (int i = 0; (op = fnn_op_at(isa, i)); i++)
        if (strcmp(op->name, name) == 0) {
            covered[i] = 1;
            return op;
        }
    die("no such operation", name);
    return NULL;
}

static fnn_instr read_instr(const program *p, char *covered) {
    fnn_instr in = {.run = op_named(read_name(), covered)->run};
    in.rows_per_sample = read_int(), in.fence = (int16_t)read_int(), in.commits = (int16_t)read_int();
    in.by_rows = read_int() ? 1e9F : 0; /* whoever shares rows without a fence does it with the whole team */
    in.followers = (int16_t)read_int();
    int64_t operands = read_int(), dims = read_int(), scalars = read_int();
    for (int64_t i = 0; i < operands; i++) {
        int64_t number = read_int(), offset = read_int();
        if (number >= p->buffer_count) in.p[i] = &p->sources[number - p->buffer_count];
        else if (number >= 0) in.p[i] = p->buffers[number].data + offset;
    }
    for (int64_t i = 0; i < dims; i++) in.d[i] = read_int();
    for (int64_t i = 0; i < scalars; i++) in.s[i] = (float)read_float();
    return in;
}

static program read_program(char *covered) {
    program p = {.name = read_name()};
    p.batch = read_int(), p.total = read_int(), p.first_batch = read_int(), p.batches = read_int();
    p.step = read_int(), p.seed = (uint64_t)read_int(), p.epoch = read_int();
    int64_t orders = read_int();
    p.order = (const int64_t *)read_bytes(8 * orders);
    if (orders == 0) p.order = NULL;
    p.hyper = (const double *)read_bytes(8 * read_int());
    p.buffers = memory((p.buffer_count = read_int()) * (int64_t)sizeof *p.buffers);
    for (int64_t i = 0; i < p.buffer_count; i++) {
        p.buffers[i].nbytes = read_int();
        p.buffers[i].fill = (float)read_float();
    }
    p.sources = memory((p.source_count = read_int()) * (int64_t)sizeof *p.sources);
    p.source_owners = memory(p.source_count * (int64_t)sizeof *p.source_owners);
    for (int64_t i = 0; i < p.source_count; i++) p.sources[i] = read_source(&p.source_owners[i]);
    p.regions = memory((p.region_count = read_int()) * (int64_t)sizeof *p.regions);
    for (int64_t i = 0; i < p.region_count; i++) {
        region *r = &p.regions[i];
        *r = read_region();
        int64_t *nbytes = &p.buffers[r->buffer].nbytes; /* of panels, recorded as for the widest vectors */
        if (r->packed && *nbytes == 4 * r->rows * fnn_round_up(r->columns, FNN_ALIGN_FLOATS))
            *nbytes = 4 * training->panel_floats(r->rows, r->columns);
    }
    for (int64_t i = 0; i < p.buffer_count; i++) p.buffers[i].data = memory(p.buffers[i].nbytes);
    p.instrs = memory((p.instr_count = read_int()) * (int64_t)sizeof *p.instrs);
    for (int64_t i = 0; i < p.instr_count; i++) p.instrs[i] = read_instr(&p, covered);
    return p;
}

static void free_program(program *p) {
    for (int64_t i = 0; i < p->buffer_count; i++) free(p->buffers[i].data);
    for (int64_t i = 0; i < p->region_count; i++) free(p->regions[i].alone);
    for (int64_t i = 0; i < p->source_count; i++) free(p->source_owners[i]);
    free(p->buffers), free(p->sources), free(p->source_owners), free(p->regions), free(p->instrs);
}

/* ---- before and after -------------------------------------------------------------------------------------------- */

static void fill(const program *p) {
    for (int64_t i = 0; i < p->buffer_count; i++) {
        buffer b = p->buffers[i];
        memset(b.data, 0, (size_t)b.nbytes);
        for (int64_t at = 0; b.fill != 0 && at + 4 <= b.nbytes; at += 4) memcpy(b.data + at, &b.fill, 4);
    }
    for (int64_t i = 0; i < p->region_count; i++) {
        const region *r = &p->regions[i];
        char *to = p->buffers[r->buffer].data + r->offset;
        int64_t size = dtype_bytes[r->dtype], row = r->columns * size;
        if (r->packed) training->panel_pack((const float *)r->before, r->columns, r->rows, r->columns, (float *)to);
        for (int64_t i = 0; !r->packed && i < r->rows; i++)
            memcpy(to + i * r->ld * size, r->before + i * row, (size_t)row);
    }
}

/* Values of a region now, without padding; complains of padding that is not as it must be. */
static char *values_of(const program *p, const region *r, int threads) {
    const char *from = p->buffers[r->buffer].data + r->offset;
    int64_t size = dtype_bytes[r->dtype], row = r->columns * size, floats;
    char *values = memory(r->rows * row);
    if (r->packed) {
        training->panel_unpack((const float *)from, r->rows, r->columns, (float *)values, r->columns);
        float *again = memory(4 * (floats = training->panel_floats(r->rows, r->columns)));
        training->panel_pack((const float *)values, r->columns, r->rows, r->columns, again);
        for (int64_t i = 0; i < floats; i++)
            if (again[i] == 0 && ((const float *)from)[i] != 0)
                complain(p, r, 0, threads, "in the padding of panels, not", ((const float *)from)[i], 0);
        free(again);
        return values;
    }
    for (int64_t i = 0; i < r->rows; i++) {
        memcpy(values + i * row, from + i * r->ld * size, (size_t)row);
        for (int64_t j = fnn_round_up(r->columns, FNN_ALIGN_FLOATS); j < r->ld; j++) {
            float value = ((const float *)from)[i * r->ld + j];
            if (value != p->buffers[r->buffer].fill)
                complain(p, r, i * r->columns, threads, "behind the row, not", value, p->buffers[r->buffer].fill);
        }
    }
    return values;
}

/* Subnormal numbers count as zero: instructions that only choose between two values may hand them on. */
static double float_at(const region *r, const char *values, int64_t i) {
    double value = r->dtype == FNN_F32 ? ((const float *)values)[i] : ((const double *)values)[i];
    return fabs(value) < FLT_MIN ? copysign(0, value) : value;
}

static void compare(const program *p, region *r, int threads) {
    char *values = values_of(p, r, threads);
    int64_t size = dtype_bytes[r->dtype], count = r->rows * r->columns;
    int floats = r->dtype == FNN_F32 || r->dtype == FNN_F64;
    for (int64_t i = 0; i < count; i++) {
        const char *got = values + i * size, *wanted = r->after + i * size;
        if (memcmp(got, wanted, (size_t)size) == 0) continue;
        double a = floats ? float_at(r, values, i) : *got, b = floats ? float_at(r, r->after, i) : *wanted;
        if (floats && ((isnan(a) && isnan(b)) || (a == b && signbit(a) == signbit(b)))) continue;
        if (floats && !r->same_bits && (a == b || fabs(a - b) <= r->rtol * fabs(b) + r->atol)) continue;
        complain(p, r, i, threads, r->same_bits ? "is not the very" : "is not", a, b);
    }
    if (threads == 1) memcpy(r->alone, values, (size_t)(count * size));
    else if (memcmp(r->alone, values, (size_t)(count * size)))
        complain(p, r, 0, threads, "(and more) unlike alone:", 0, 0);
    free(values);
}

/* ---- running ----------------------------------------------------------------------------------------------------- */

/* A team of two shares every instruction; of a team of three, thread 0 runs every second one alone. */
static void run(const program *p, int threads, float *scratch) {
    int64_t *order = p->order ? memory(8 * p->total) : NULL;
    if (order) {
        training->shuffle(order, p->total, p->seed, (uint64_t)p->epoch);
        if (memcmp(order, p->order, (size_t)(8 * p->total))) failures++, printf("%s: another order\n", p->name);
    }
    for (int64_t i = 0; i < p->instr_count; i++) p->instrs[i].work = threads == 1 || (threads == 3 && i % 2) ? 0 : 1e9;
    fill(p);
    fnn_job job = {
        .instrs = p->instrs,
        .instr_count = p->instr_count,
        .batch = p->batch,
        .total = p->total,
        .order = order,
        .first_batch = p->first_batch,
        .batch_count = p->batches,
        .step = p->step,
        .seed = p->seed,
        .hyper = p->hyper,
        .max_threads = threads,
        .scratch = scratch,
    };
    if (fnn_execute(&job) != p->batches) failures++, printf("%s: not all batches were run\n", p->name);
    for (int64_t i = 0; i < p->region_count; i++) compare(p, &p->regions[i], threads);
    free(order);
}

int main(int argc, char **argv) {
    if (argc != 3) die("usage", "kernels_test ISA FILE");
    for (int i = 0; fnn_isas[i]; i++)
        if (strcmp(fnn_isas[i]->name, argv[1]) == 0) isa = fnn_isas[i];
    if (!isa || !fnn_isa_supported(isa)) die("cannot run", argv[1]);
    training = fnn_training_of(isa);
    char *file = read_file(argv[2]);
    cursor = file;
    if (read_int() != MAGIC) die("not a recording", argv[2]);
    fused = read_int() && strcmp(isa->name, "baseline") != 0;
    char covered[256] = {0};
    float *scratch = memory(TEAMS * FNN_SCRATCH_FLOATS * (int64_t)sizeof(float));
    memset(scratch, 0xff, TEAMS * FNN_SCRATCH_FLOATS * sizeof(float)); /* NaN: nothing may depend on it */
    int64_t programs = read_int();
    for (int64_t i = 0; i < programs; i++) {
        program p = read_program(covered);
        for (int threads = 1; threads <= TEAMS; threads++) run(&p, threads, scratch);
        free_program(&p);
    }
    int operations = 0;
    for (const fnn_op *op; (op = fnn_op_at(isa, operations)); operations++)
        if (!covered[operations] && strcmp(op->name, "callback") != 0) /* it calls Python, which is not here */
            failures++, printf("%s: no recording has it\n", op->name);
    printf("%s: %lld programs, %d operations, %d failures\n", isa->name, (long long)programs, operations, failures);
    free(scratch), free(file);
    return failures > 0;
}
