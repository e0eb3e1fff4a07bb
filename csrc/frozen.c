/* Opens frozen images, binds them to memory and runs them: fastnn.h says what, frozen.h in which format.
 *
 * An image may come from anywhere. `fastnn_open` proves that running it cannot leave its memory: it checks where every
 * section, operand and port lies, and asks each operation whether its reads and writes end in time (`fnn_op.check`).
 * Everything after that trusts the image.
 */
#if !defined(FASTNN_NO_FILES)
#define _GNU_SOURCE
#endif
#include "frozen.h"
#include "check.h"
#include "float_mode.h"

#include <string.h>

#if !defined(FASTNN_NO_FILES)
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#endif

const char *fastnn_message(fastnn_status status) {
    switch (status) {
    case FASTNN_OK: return "All is well.";
    case FASTNN_BAD_ARGUMENT: return "An argument is NULL or out of range: rows count from 1, ports from 0.";
    case FASTNN_NO_FILE: return "The file cannot be opened, read or mapped; errno says why.";
    case FASTNN_NOT_AN_IMAGE: return "This is no frozen network: write one with model.freeze().save(\"net.fnn\").";
    case FASTNN_TRUNCATED: return "The frozen network ends too early: it was not copied or downloaded as a whole.";
    case FASTNN_DAMAGED: return "The frozen network is damaged: its checksum does not fit. Copy or save it again.";
    case FASTNN_NEWER: return "A newer version of fastnn has written this frozen network: update this one.";
    case FASTNN_INVALID: return "The frozen network contradicts itself, which fastnn never writes: do not trust it.";
    case FASTNN_UNKNOWN_OPERATION:
        return "The frozen network needs an operation that this version of fastnn lacks or has in another form: freeze "
               "the "
               "model again with this version, or use the one that has written it.";
    case FASTNN_MISALIGNED:
        return "A frozen network must start at a multiple of 64 bytes, arrays of numbers at one of 4: align them.";
    case FASTNN_TOO_LITTLE_MEMORY: return "The memory has fewer bytes than fastnn_memory says.";
    case FASTNN_UNSUPPORTED: return "This machine is big-endian, or this build cannot map files.";
    case FASTNN_TOO_LONG:
        return "There is more behind the frozen network, and no checksum covers it: save the network again.";
    }
    return "This is no status of fastnn.";
}

/* ---- the checksum ------------------------------------------------------------------------------------------------ */

/* CRC-32, eight bytes at a time. Its tables take a microsecond to make and live on the stack. */
static uint32_t checksum(const unsigned char *at, size_t bytes) {
    uint32_t table[8][256], crc = 0xffffffffu;
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t value = i;
        for (int bit = 0; bit < 8; bit++) value = value >> 1 ^ (value & 1 ? 0xedb88320u : 0);
        table[0][i] = value;
    }
    for (int i = 0; i < 256; i++)
        for (int t = 1; t < 8; t++) table[t][i] = table[t - 1][i] >> 8 ^ table[0][table[t - 1][i] & 255];
    for (; bytes >= 8; bytes -= 8, at += 8) {
        uint32_t low, high;
        memcpy(&low, at, 4), memcpy(&high, at + 4, 4);
        low ^= crc;
        crc = table[7][low & 255] ^ table[6][low >> 8 & 255] ^ table[5][low >> 16 & 255] ^ table[4][low >> 24] ^
              table[3][high & 255] ^ table[2][high >> 8 & 255] ^ table[1][high >> 16 & 255] ^ table[0][high >> 24];
    }
    for (; bytes; bytes--, at++) crc = crc >> 8 ^ table[0][(crc ^ *at) & 255];
    return ~crc;
}

/* ---- operations by their signatures ------------------------------------------------------------------------------ */

typedef struct bound_op {
    const fnn_op *op;
    int operands, dims, scalars;
} bound_op;

static int words(const char *text) {
    int count = 0;
    for (; *text; text++) count += *text != ' ' && (text[1] == ' ' || !text[1]);
    return count;
}

/* Takes `part` and the character after it from the front of a text; NULL if it does not begin so. */
static const char *after(const char *text, const char *part, char end) {
    size_t length = strlen(part);
    return text && strncmp(text, part, length) == 0 && text[length] == end ? text + length + (end != 0) : NULL;
}

static int bind_ops(const fnn_image_header *h, const fnn_isa *isa, bound_op *ops) {
    const char *text = (const char *)h + h->names;
    for (uint32_t i = 0; i < h->operations; i++, text += strlen(text) + 1) {
        const fnn_op *op = isa->ops, *end = op + isa->op_count;
        for (; op < end; op++)
            if (op->check &&
                after(after(after(after(text, op->name, ' '), op->operands, ';'), op->dims, ';'), op->scalars, 0))
                break;
        if (op == end) return 0;
        ops[i] = (bound_op){op, words(op->operands), words(op->dims), words(op->scalars)};
    }
    return 1;
}

/* ---- instructions ------------------------------------------------------------------------------------------------ */

typedef struct reader {
    const unsigned char *at;
    size_t left;
} reader;

static int take(reader *from, void *to, size_t bytes) {
    if (bytes > from->left) return 0;
    if (bytes) memcpy(to, from->at, bytes);
    from->at += bytes;
    from->left -= bytes;
    return 1;
}

/* The next instruction, without its pointers. */
static int next_instr(reader *from, const fnn_image_header *h, const bound_op *ops, fnn_instr *in, const bound_op **op,
                      fnn_image_operand *operands) {
    fnn_image_instr head;
    if (!take(from, &head, sizeof head) || head.operation >= h->operations) return 0;
    *op = &ops[head.operation];
    memset(in, 0, sizeof *in);
    in->run = (*op)->op->run;
    in->rows_per_sample = head.rows_per_sample;
    in->work_per_row = head.work_per_row;
    in->work = head.work;
    in->fence = head.fence != 0;
    size_t scalars = (size_t)((*op)->scalars + (*op)->scalars % 2); /* padded to 8 bytes */
    float values[FNN_MAX_SCALARS + 1] = {0};
    if (!take(from, operands, (size_t)(*op)->operands * sizeof *operands)) return 0;
    if (!take(from, in->d, (size_t)(*op)->dims * sizeof *in->d) || !take(from, values, scalars * sizeof *values))
        return 0;
    memcpy(in->s, values, sizeof in->s);
    return 1;
}

static const fnn_image_header *header_of(const fastnn_net *net) { return net->image; }
static const fnn_image_port *ports_of(const fnn_image_header *h) {
    return (const fnn_image_port *)(const void *)((const char *)h + h->ports);
}
static reader code_of(const fnn_image_header *h) {
    return (reader){(const unsigned char *)h + h->code, (size_t)h->code_bytes};
}

/* ---- is it safe to run? ------------------------------------------------------------------------------------------ */

static int inside(const fnn_image_header *h, uint64_t offset, uint64_t bytes, uint64_t alignment) {
    return offset % alignment == 0 && offset >= sizeof *h && offset <= h->bytes && bytes <= h->bytes - offset;
}

static int names_are_valid(const fnn_image_header *h) {
    const char *names = (const char *)h + h->names;
    uint32_t ends = 0;
    for (uint64_t i = 0; i < h->names_bytes; i++) ends += names[i] == 0;
    return h->names_bytes > 0 && names[h->names_bytes - 1] == 0 && ends >= h->operations;
}

static int ports_are_valid(const fnn_image_header *h) {
    const fnn_image_port *port = ports_of(h);
    for (uint32_t i = 0; i < h->inputs + h->outputs; i++, port++) {
        int64_t floats = 1;
        if (port->name >= h->names_bytes || port->axes > FASTNN_MAX_AXES || port->reserved) return 0;
        for (uint32_t axis = 0; axis < port->axes; axis++) {
            if (port->shape[axis] < 1 || port->shape[axis] > FNN_LARGEST_DIM) return 0;
            floats = fnn_times(floats, (int64_t)port->shape[axis]);
        }
        if (floats > FNN_LARGEST_DIM || port->floats != (uint64_t)floats) return 0;
    }
    return 1;
}

static int place_of(const fnn_image_header *h, const fnn_image_operand *at, fnn_place *place) {
    uint64_t floats;
    *place = (fnn_place){0};
    if (at->section == FNN_AT_NONE) return at->offset == 0 && at->port == 0;
    switch (at->section) {
    case FNN_AT_SAMPLES: floats = h->per_sample; break;
    case FNN_AT_ONCE: floats = h->once; break;
    case FNN_AT_CONSTANT: floats = h->constants_bytes / sizeof(float); break;
    case FNN_AT_INPUT:
        if (at->port >= h->inputs || at->offset) return 0;
        floats = ports_of(h)[at->port].floats;
        break;
    case FNN_AT_OUTPUT:
        if (at->port >= h->outputs || at->offset) return 0;
        floats = ports_of(h)[h->inputs + at->port].floats;
        break;
    default: return 0;
    }
    if (at->offset % FNN_ALIGN_FLOATS || at->offset >= floats) return 0;
    int64_t there = (int64_t)(floats - at->offset);
    int once = at->section == FNN_AT_ONCE || at->section == FNN_AT_CONSTANT;
    place->per_sample = once ? 0 : there;
    place->fixed = once ? there : 0;
    if (at->section == FNN_AT_CONSTANT) place->data = (const char *)h + h->constants + at->offset * sizeof(float);
    place->writable = at->section != FNN_AT_CONSTANT && at->section != FNN_AT_INPUT;
    return 1;
}

static int numbers_are_valid(const fnn_instr *in, const bound_op *op) {
    if (in->rows_per_sample < 0 || in->rows_per_sample > FNN_LARGEST_DIM) return 0;
    for (int i = 0; i < op->dims; i++)
        if (in->d[i] < 0 || in->d[i] > FNN_LARGEST_DIM) return 0;
    return in->work_per_row >= 0 && in->work_per_row < 1e18 && in->work >= 0 && in->work < 1e18;
}

static fastnn_status code_is_valid(const fnn_image_header *h, const fnn_isa *isa) {
    bound_op ops[FNN_MAX_IMAGE_OPS];
    const bound_op *op;
    uint64_t written = 0; /* a bit for each output */
    if (!bind_ops(h, isa, ops)) return FASTNN_UNKNOWN_OPERATION;
    reader code = code_of(h);
    for (uint32_t i = 0; i < h->instructions; i++) {
        fnn_instr in;
        fnn_image_operand operands[FNN_MAX_OPERANDS];
        fnn_place places[FNN_MAX_OPERANDS];
        if (!next_instr(&code, h, ops, &in, &op, operands) || !numbers_are_valid(&in, op)) return FASTNN_INVALID;
        for (int p = 0; p < op->operands; p++) {
            if (!place_of(h, &operands[p], &places[p])) return FASTNN_INVALID;
            if (operands[p].section == FNN_AT_OUTPUT) written |= (uint64_t)1 << operands[p].port;
        }
        if (!op->op->check(&in, places)) return FASTNN_INVALID;
    }
    uint64_t all = h->outputs == 64 ? ~(uint64_t)0 : ((uint64_t)1 << h->outputs) - 1;
    return code.left == 0 && written == all ? FASTNN_OK : FASTNN_INVALID;
}

fastnn_status fastnn_open(const void *image, size_t bytes, fastnn_net *net) {
    if (!image || !net) return FASTNN_BAD_ARGUMENT;
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
    return FASTNN_UNSUPPORTED;
#endif
    size_t known =
        bytes < 8 ? bytes : 8; /* of a file cut so short that this is all, it can still be told what it was */
    if (known == 0 || memcmp(image, FNN_IMAGE_MAGIC, known) != 0) return FASTNN_NOT_AN_IMAGE;
    if (bytes < 16) return FASTNN_TRUNCATED;
    if ((uintptr_t)image % FASTNN_ALIGNMENT) return FASTNN_MISALIGNED;
    const fnn_image_header *h = image;
    if (h->version > FNN_IMAGE_VERSION) return FASTNN_NEWER;
    if (bytes < sizeof *h || bytes < h->bytes) return FASTNN_TRUNCATED;
    if (h->bytes < sizeof *h) return FASTNN_DAMAGED;
    const unsigned char *checked = (const unsigned char *)image + FNN_IMAGE_CHECKED_FROM;
    if (checksum(checked, (size_t)h->bytes - FNN_IMAGE_CHECKED_FROM) != h->checksum) return FASTNN_DAMAGED;
    if (h->version < 1 || h->inputs < 1 || h->inputs > FASTNN_MAX_PORTS || h->outputs < 1 ||
        h->outputs > FASTNN_MAX_PORTS || h->operations > FNN_MAX_IMAGE_OPS || h->per_sample > FNN_LARGEST_DIM ||
        h->once > FNN_LARGEST_DIM || h->per_sample % FNN_ALIGN_FLOATS || h->once % FNN_ALIGN_FLOATS)
        return FASTNN_INVALID;
    if (!inside(h, h->names, h->names_bytes, 1) ||
        !inside(h, h->ports, (uint64_t)(h->inputs + h->outputs) * sizeof(fnn_image_port), 8) ||
        !inside(h, h->code, h->code_bytes, 8) || !inside(h, h->constants, h->constants_bytes, FASTNN_ALIGNMENT) ||
        !inside(h, h->json, h->json_bytes, 1) || !names_are_valid(h) || !ports_are_valid(h))
        return FASTNN_INVALID;
    fastnn_status status = code_is_valid(h, fnn_isa_best());
    if (status == FASTNN_OK) *net = (fastnn_net){image, bytes, 0};
    return status;
}

fastnn_status fnn_open_whole(const void *image, size_t bytes, fastnn_net *net) {
    fastnn_net opened;
    fastnn_status status = net ? fastnn_open(image, bytes, &opened) : FASTNN_BAD_ARGUMENT;
    if (status == FASTNN_OK && header_of(&opened)->bytes != bytes) status = FASTNN_TOO_LONG;
    if (status == FASTNN_OK) *net = opened;
    return status;
}

/* ---- files ------------------------------------------------------------------------------------------------------- */

#if defined(FASTNN_NO_FILES)
fastnn_status fastnn_open_file(const char *path, fastnn_net *net) {
    return path && net ? FASTNN_UNSUPPORTED : FASTNN_BAD_ARGUMENT;
}

void fastnn_close(fastnn_net *net) {
    if (net) *net = (fastnn_net){0};
}
#else
fastnn_status fastnn_open_file(const char *path, fastnn_net *net) {
    struct stat about;
    if (!path || !net) return FASTNN_BAD_ARGUMENT;
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* or a pipe without a writer would be waited for */
    if (file < 0) return FASTNN_NO_FILE;
    int failed = fstat(file, &about);
    if (failed || !S_ISREG(about.st_mode) || (uintmax_t)about.st_size > SIZE_MAX) {
        int why = failed ? errno : S_ISDIR(about.st_mode) ? EISDIR : S_ISREG(about.st_mode) ? EFBIG : EINVAL;
        close(file);
        errno = why;
        return FASTNN_NO_FILE;
    }
    size_t bytes = (size_t)about.st_size;
    void *image = bytes ? mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, file, 0) : NULL;
    int why = errno;
    close(file);
    if (!bytes) return FASTNN_NOT_AN_IMAGE;
    if (image == MAP_FAILED) {
        errno = why;
        return FASTNN_NO_FILE;
    }
    fastnn_status status = fnn_open_whole(image, bytes, net);
    if (status == FASTNN_OK) net->mapped = 1;
    else munmap(image, bytes);
    return status;
}

void fastnn_close(fastnn_net *net) {
    if (!net) return;
    if (net->mapped) munmap((void *)(uintptr_t)net->image, net->bytes);
    *net = (fastnn_net){0};
}
#endif

/* ---- what it is -------------------------------------------------------------------------------------------------- */

int fastnn_inputs(const fastnn_net *net) { return net && net->image ? (int)header_of(net)->inputs : 0; }
int fastnn_outputs(const fastnn_net *net) { return net && net->image ? (int)header_of(net)->outputs : 0; }

static fastnn_status describe_port(const fnn_image_header *h, uint32_t number, fastnn_port *port) {
    const fnn_image_port *from = &ports_of(h)[number];
    *port = (fastnn_port){(const char *)h + h->names + from->name, (int64_t)from->floats, (int)from->axes, {0}};
    for (uint32_t axis = 0; axis < from->axes; axis++) port->shape[axis] = (int64_t)from->shape[axis];
    return FASTNN_OK;
}

fastnn_status fastnn_input(const fastnn_net *net, int number, fastnn_port *port) {
    if (!port || number < 0 || number >= fastnn_inputs(net)) return FASTNN_BAD_ARGUMENT;
    return describe_port(header_of(net), (uint32_t)number, port);
}

fastnn_status fastnn_output(const fastnn_net *net, int number, fastnn_port *port) {
    if (!port || number < 0 || number >= fastnn_outputs(net)) return FASTNN_BAD_ARGUMENT;
    return describe_port(header_of(net), header_of(net)->inputs + (uint32_t)number, port);
}

const char *fastnn_description(const fastnn_net *net, size_t *bytes) {
    if (!net || !net->image || !bytes) return NULL;
    *bytes = (size_t)header_of(net)->json_bytes;
    return (const char *)net->image + header_of(net)->json;
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

/* A session's memory, in bytes from its aligned start. */
typedef struct plan {
    int64_t instrs, aims, scratch, once, samples, end;
    int64_t aim_count;
} plan;

#if !defined(FNN_SESSION_GAP) /* bytes between the parts, by which tests notice who leaves his */
#define FNN_SESSION_GAP 0
#endif

static int64_t add_bytes(int64_t *end, int64_t bytes) {
    int64_t start = *end;
    *end = bytes < FNN_TOO_MANY - start ? fnn_round_up(start + bytes, FNN_ALIGN_BYTES) + FNN_SESSION_GAP : FNN_TOO_MANY;
    return start;
}

static plan plan_memory(const fnn_image_header *h, const bound_op *ops, int64_t max_rows) {
    plan p = {0};
    reader code = code_of(h);
    int64_t scratch = 0;
    for (uint32_t i = 0; i < h->instructions; i++) {
        fnn_instr in;
        fnn_image_operand operands[FNN_MAX_OPERANDS];
        fnn_place places[FNN_MAX_OPERANDS];
        const bound_op *op;
        next_instr(&code, h, ops, &in, &op, operands);
        for (int k = 0; k < op->operands; k++) {
            place_of(h, &operands[k], &places[k]);
            p.aim_count += operands[k].section == FNN_AT_INPUT || operands[k].section == FNN_AT_OUTPUT;
        }
        int64_t needed = op->op->scratch ? op->op->scratch(&in, places, max_rows) : 0;
        scratch = needed > scratch ? needed : scratch;
    }
    p.end = fnn_round_up((int64_t)sizeof(fastnn_session), FNN_ALIGN_BYTES);
    p.instrs = add_bytes(&p.end, fnn_times(h->instructions, sizeof(fnn_instr)));
    p.aims = add_bytes(&p.end, fnn_times(p.aim_count, sizeof(fnn_aim)));
    p.scratch = add_bytes(&p.end, fnn_times(scratch, sizeof(float)));
    p.once = add_bytes(&p.end, fnn_times((int64_t)h->once, sizeof(float)));
    p.samples = add_bytes(&p.end, fnn_times(fnn_times((int64_t)h->per_sample, max_rows), sizeof(float)));
    return p;
}

size_t fnn_frozen_memory(const fastnn_net *net, const fnn_isa *isa, int64_t max_rows) {
    bound_op ops[FNN_MAX_IMAGE_OPS];
    if (!net || !net->image || max_rows < 1 || max_rows > FNN_LARGEST_DIM || !bind_ops(header_of(net), isa, ops))
        return 0;
    int64_t bytes = plan_memory(header_of(net), ops, max_rows).end;
    /* The caller's memory may start anywhere, and is not larger than half of the addresses. */
    return bytes >= FNN_TOO_MANY || (uint64_t)bytes > SIZE_MAX / 2 ? 0 : (size_t)bytes + FNN_ALIGN_BYTES - 1;
}

size_t fastnn_memory(const fastnn_net *net, int64_t max_rows) {
    return fnn_frozen_memory(net, fnn_isa_best(), max_rows);
}

fastnn_status fnn_frozen_bind(const fastnn_net *net, const fnn_isa *isa, void *memory, size_t bytes, int64_t max_rows,
                              fastnn_session **result) {
    bound_op ops[FNN_MAX_IMAGE_OPS];
    if (!net || !net->image || !memory || !result || max_rows < 1) return FASTNN_BAD_ARGUMENT;
    size_t needed = fnn_frozen_memory(net, isa, max_rows);
    if (needed == 0 || bytes < needed) return FASTNN_TOO_LITTLE_MEMORY;
    const fnn_image_header *h = header_of(net);
    if (!bind_ops(h, isa, ops)) return FASTNN_UNKNOWN_OPERATION;
    plan p = plan_memory(h, ops, max_rows);
    char *base = (char *)memory + (FNN_ALIGN_BYTES - (uintptr_t)memory % FNN_ALIGN_BYTES) % FNN_ALIGN_BYTES;
    memset(base, 0, (size_t)p.scratch);
    memset(base + p.once, 0, (size_t)(p.end - p.once)); /* padding is finite */
    fastnn_session *session = (void *)base;
    session->instrs = (void *)(base + p.instrs);
    session->count = h->instructions;
    session->max_rows = max_rows;
    session->aims = (void *)(base + p.aims);
    session->scratch = (void *)(base + p.scratch);
    session->inputs = (int32_t)h->inputs;
    session->outputs = (int32_t)h->outputs;
    reader code = code_of(h);
    for (uint32_t i = 0; i < h->instructions; i++) {
        fnn_instr *in = &session->instrs[i];
        fnn_image_operand operands[FNN_MAX_OPERANDS];
        const bound_op *op;
        next_instr(&code, h, ops, in, &op, operands);
        for (int k = 0; k < op->operands; k++) {
            const fnn_image_operand *at = &operands[k];
            int64_t offset = (int64_t)(at->offset * sizeof(float));
            int writes = at->section == FNN_AT_OUTPUT;
            if (at->section == FNN_AT_SAMPLES) in->p[k] = base + p.samples + offset * max_rows;
            if (at->section == FNN_AT_ONCE) in->p[k] = base + p.once + offset;
            if (at->section == FNN_AT_CONSTANT) in->p[k] = (char *)(uintptr_t)h + (size_t)h->constants + (size_t)offset;
            if (at->section == FNN_AT_INPUT || writes)
                session->aims[session->aim_count++] =
                    (fnn_aim){&in->p[k], (int32_t)at->port, writes,
                              (int64_t)ports_of(h)[at->port + (writes ? h->inputs : 0)].floats};
        }
    }
    *result = session;
    return FASTNN_OK;
}

fastnn_status fastnn_bind(const fastnn_net *net, void *memory, size_t bytes, int64_t max_rows,
                          fastnn_session **session) {
    return fnn_frozen_bind(net, fnn_isa_best(), memory, bytes, max_rows, session);
}

/* ---- running ----------------------------------------------------------------------------------------------------- */

void fnn_frozen_run(fastnn_session *session, const float *const *inputs, int64_t rows, float *const *outputs) {
    fnn_run run = {.threads = 1, .scratch = session->scratch};
    float_mode mode = flush_subnormals();
    for (int64_t first = 0; first < rows; first += session->max_rows) {
        fnn_frozen_aim(session, inputs, outputs, first);
        run.samples = rows - first < session->max_rows ? rows - first : session->max_rows;
        for (const fnn_instr *in = session->instrs, *end = in + session->count; in < end; in++) in->run(in, &run);
    }
    restore_float_mode(mode);
}

static inline fastnn_status array_is_valid(const float *array) {
    if (!array) return FASTNN_BAD_ARGUMENT;
    return (uintptr_t)array % _Alignof(float) ? FASTNN_MISALIGNED : FASTNN_OK;
}

static fastnn_status arrays_are_valid(const float *const *arrays, int32_t count) {
    fastnn_status status = FASTNN_OK;
    for (int32_t i = 0; i < count && status == FASTNN_OK; i++) status = array_is_valid(arrays[i]);
    return status;
}

fastnn_status fastnn_run_many(fastnn_session *session, const float *const *inputs, int64_t rows,
                              float *const *outputs) {
    if (!session || !inputs || !outputs || rows < 1) return FASTNN_BAD_ARGUMENT;
    fastnn_status status = arrays_are_valid(inputs, session->inputs);
    if (status == FASTNN_OK) status = arrays_are_valid((const float *const *)outputs, session->outputs);
    if (status == FASTNN_OK) fnn_frozen_run(session, inputs, rows, outputs);
    return status;
}

fastnn_status fastnn_run(fastnn_session *session, const float *x, int64_t rows, float *y) {
    if (!session || session->inputs != 1 || session->outputs != 1 || rows < 1) return FASTNN_BAD_ARGUMENT;
    fastnn_status status = array_is_valid(x);
    if (status == FASTNN_OK) status = array_is_valid(y);
    if (status == FASTNN_OK) fnn_frozen_run(session, &x, rows, &y);
    return status;
}
