/* The format of a frozen image, and what the engine's own Python needs of a session. fastnn/freeze/image.py writes it.
 *
 * All numbers are little-endian. Offsets are in bytes from the start of the image, which is aligned to 64 bytes.
 *
 *   header
 *   names      NUL-terminated texts: first the signatures of the operations, "name operands;dims;scalars" as declared
 *              in csrc/ops (an image is refused where they differ), then the names of the ports
 *   ports      the inputs, then the outputs: fnn_image_port
 *   code       the instructions: fnn_image_instr, then a fnn_image_operand for each operand, then the dims as int64,
 *              then the scalars as float32, padded to 8 bytes
 *   constants  64-byte aligned, so is each of them: float32, float16, int8, int32 or int64, as the operation has it
 *   json       a description for Python; C does not read it
 *
 * Memory has a part that is there once and one that grows with the rows: an operand at offset o of that part lies at
 * o * max_rows, o being a multiple of 16 floats.
 */
#ifndef FNN_FROZEN_H
#define FNN_FROZEN_H

#include "engine.h"
#include "fastnn.h"

#define FNN_IMAGE_MAGIC "\x89" "FNN\r\n\x1a\n" /* a transfer that changes line ends, or cuts at 7 bits, changes it */
enum { FNN_IMAGE_VERSION = 1, FNN_IMAGE_CHECKED_FROM = 16, FNN_MAX_IMAGE_OPS = 64 };

typedef struct fnn_image_header {
    char magic[8];
    uint32_t version;
    uint32_t checksum; /* CRC-32 (zlib's) of everything from byte 16 on */
    uint64_t bytes;    /* of the image */
    uint32_t inputs, outputs, operations, instructions;
    uint64_t per_sample, once; /* floats of memory */
    uint64_t names, names_bytes;
    uint64_t ports;
    uint64_t code, code_bytes;
    uint64_t constants, constants_bytes;
    uint64_t json, json_bytes;
} fnn_image_header;

typedef struct fnn_image_port {
    uint64_t name; /* offset in names */
    uint64_t floats;
    uint32_t axes, reserved;
    uint64_t shape[FASTNN_MAX_AXES];
} fnn_image_port;

typedef struct fnn_image_instr {
    uint32_t operation; /* number of its signature */
    uint32_t fence;
    int64_t rows_per_sample;
    double work_per_row, work;
} fnn_image_instr;

enum { FNN_AT_NONE, FNN_AT_SAMPLES, FNN_AT_ONCE, FNN_AT_CONSTANT, FNN_AT_INPUT, FNN_AT_OUTPUT };
typedef struct fnn_image_operand {
    uint32_t section;
    uint32_t port;   /* of inputs and outputs */
    uint64_t offset; /* floats, from the start of the section */
} fnn_image_operand;

/* An operand that is an input or an output: bound anew for each call. */
typedef struct fnn_aim {
    void **operand;
    int32_t port, writes;
    int64_t floats; /* of a sample */
} fnn_aim;

struct fastnn_session {
    fnn_instr *instrs;
    int64_t count, max_rows;
    fnn_aim *aims;
    int64_t aim_count;
    float *scratch;
    int32_t inputs, outputs;
    fnn_job job; /* for fnn_run_rows */
};

#pragma GCC visibility push(hidden)

/* As fastnn_open, of bytes that must be an image and nothing else. */
fastnn_status fnn_open_whole(const void *image, size_t bytes, fastnn_net *net);

/* As fastnn_memory and fastnn_bind, for an instruction set of choice. */
size_t fnn_frozen_memory(const fastnn_net *net, const fnn_isa *isa, int64_t max_rows);
fastnn_status fnn_frozen_bind(const fastnn_net *net, const fnn_isa *isa, void *memory, size_t bytes, int64_t max_rows,
                              fastnn_session **session);

/* As fastnn_run_many, with arguments that are known to be right. */
void fnn_frozen_run(fastnn_session *session, const float *const *inputs, int64_t rows, float *const *outputs);

/* Points a session's inputs and outputs at sample `first` of the arrays. */
static inline void fnn_frozen_aim(fastnn_session *session, const float *const *inputs, float *const *outputs,
                                  int64_t first) {
    for (int64_t i = 0; i < session->aim_count; i++) {
        const fnn_aim *aim = &session->aims[i];
        const float *base = aim->writes ? outputs[aim->port] : inputs[aim->port];
        *aim->operand = (void *)(uintptr_t)(base + first * aim->floats);
    }
}

/* Runs samples by a team, each thread with a session of its own (of as many rows, and of the same net), a stretch of
 * rows at a time: what a row gives does not depend on the others. Returns 0 if poll stopped it. */
int fnn_run_rows(fastnn_session *const *sessions, int threads, const float *const *inputs, int64_t rows,
                 float *const *outputs, int (*poll)(void *), void *poll_arg);

#pragma GCC visibility pop

#endif
