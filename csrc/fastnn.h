/* fastnn.h: runs frozen networks, from C and C++.
 *
 * A network that `model.freeze().save("net.fnn")` has written is an image: one block of bytes that is used where it
 * lies, be it a mapped file, an array in the program or flash memory. Nothing here allocates, locks, starts a thread or
 * has a global state: the memory in which a network runs is the caller's.
 *
 *     fastnn_net net;
 *     fastnn_session *session;
 *     fastnn_status status = fastnn_open_file("net.fnn", &net);
 *     if (status != FASTNN_OK) { fprintf(stderr, "%s\n", fastnn_message(status)); return 1; }
 *     size_t bytes = fastnn_memory(&net, 1);
 *     void *memory = malloc(bytes);
 *     status = fastnn_bind(&net, memory, bytes, 1, &session);
 *     status = fastnn_run(session, x, 1, y);   (one sample)
 *     free(memory);
 *     fastnn_close(&net);
 *
 * Threads: a net may be shared by any number of threads, a session belongs to one thread at a time. The same row gives
 * the same bits in any batch, in any session, and, but for exp and its kin, on any processor.
 *
 * All functions that return a status leave their results untouched when it is not FASTNN_OK.
 */
#ifndef FASTNN_H
#define FASTNN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__) && !defined(FASTNN_API)
#define FASTNN_API __attribute__((visibility("default")))
#elif !defined(FASTNN_API)
#define FASTNN_API
#endif

typedef enum fastnn_status {
    FASTNN_OK = 0,
    FASTNN_BAD_ARGUMENT,      /* a pointer that is NULL (in an array, too), a number of rows below 1 */
    FASTNN_NO_FILE,           /* the file cannot be opened, read or mapped; errno says why */
    FASTNN_NOT_AN_IMAGE,      /* these are other bytes, or were changed as text is */
    FASTNN_TRUNCATED,         /* there are fewer bytes than the image says it has */
    FASTNN_DAMAGED,           /* the checksum is another one than the image says */
    FASTNN_NEWER,             /* of a format that a newer library has written */
    FASTNN_INVALID,           /* something in it would read or write outside of its memory, or makes no sense */
    FASTNN_UNKNOWN_OPERATION, /* it needs an operation that this library does not have, or has in another form */
    FASTNN_MISALIGNED,        /* the image is at no multiple of FASTNN_ALIGNMENT bytes, or an array at none of 4 */
    FASTNN_TOO_LITTLE_MEMORY, /* the memory has fewer bytes than fastnn_memory says */
    FASTNN_UNSUPPORTED,       /* this machine is big-endian, or has no files to map */
    FASTNN_TOO_LONG           /* the file goes on behind the image */
} fastnn_status;

/* An English sentence, never NULL. */
FASTNN_API const char *fastnn_message(fastnn_status status);

enum { FASTNN_ALIGNMENT = 64, FASTNN_MAX_AXES = 6, FASTNN_MAX_PORTS = 64 };

/* A network that was opened. The members are the library's own; the caller only gives the space. */
typedef struct fastnn_net {
    const void *image;
    size_t bytes;
    int mapped; /* by fastnn_open_file */
} fastnn_net;

/* A network bound to memory to run in. It lies in that memory. */
typedef struct fastnn_session fastnn_session;

/* An input or an output. Values are float32, one sample after the other without gaps, each in C order. */
typedef struct fastnn_port {
    const char *name;
    int64_t floats;                 /* of one sample */
    int axes;                       /* of one sample; 0: one value */
    int64_t shape[FASTNN_MAX_AXES]; /* of one sample */
} fastnn_port;

/* Checks all of an image: version, checksum, and that no instruction can leave its memory, so that images from anywhere
 * may be opened. The bytes stay the caller's, must not change, and must outlive the net and its sessions. `image` must
 * be a multiple of FASTNN_ALIGNMENT; `bytes` may be more than the image has, as a part of flash memory is: what lies
 * behind is not looked at. */
FASTNN_API fastnn_status fastnn_open(const void *image, size_t bytes, fastnn_net *net);

/* The same of a file, which must be an image and nothing else. It is mapped read-only: processes share one copy of its
 * weights. */
FASTNN_API fastnn_status fastnn_open_file(const char *path, fastnn_net *net);

/* Unmaps what fastnn_open_file has mapped, after the last use of the net's sessions. Otherwise does nothing. */
FASTNN_API void fastnn_close(fastnn_net *net);

FASTNN_API int fastnn_inputs(const fastnn_net *net);
FASTNN_API int fastnn_outputs(const fastnn_net *net);
/* FASTNN_BAD_ARGUMENT if there is no such input or output. `port->name` points into the image. */
FASTNN_API fastnn_status fastnn_input(const fastnn_net *net, int number, fastnn_port *port);
FASTNN_API fastnn_status fastnn_output(const fastnn_net *net, int number, fastnn_port *port);

/* The JSON text that describes the network (its name, layers and so on): not terminated, `*bytes` long. */
FASTNN_API const char *fastnn_description(const fastnn_net *net, size_t *bytes);

/* Bytes of memory for a session that runs up to `max_rows` samples at a time; 0 if no memory is large enough. */
FASTNN_API size_t fastnn_memory(const fastnn_net *net, int64_t max_rows);

/* Makes a session in `memory`, of any alignment, for the best instruction set that is compiled in and that this
 * processor has. The memory must stay as long as the session is used; there is nothing to close. */
FASTNN_API fastnn_status fastnn_bind(const fastnn_net *net, void *memory, size_t bytes, int64_t max_rows,
                                     fastnn_session **session);

/* Runs any number of samples through a network of one input and one output, max_rows at a time: more than the session
 * was made for are several turns, and never more memory. x and y must not overlap. Subnormal numbers count as zero
 * meanwhile; the caller's floating-point mode comes back. */
FASTNN_API fastnn_status fastnn_run(fastnn_session *session, const float *x, int64_t rows, float *y);

/* The same with an array for each input and each output. */
FASTNN_API fastnn_status fastnn_run_many(fastnn_session *session, const float *const *inputs, int64_t rows,
                                         float *const *outputs);

#ifdef __cplusplus
}
#endif

#endif
