/* What the operations' checks of instructions from images are made of: see `fnn_op_check`.
 *
 * Numbers of floats never overflow: products stop at FNN_TOO_MANY, which is more than any place has.
 */
#ifndef FNN_CHECK_H
#define FNN_CHECK_H

#include "engine.h"

#define FNN_TOO_MANY ((int64_t)1 << 60)

/* a * b for numbers that are not negative. */
static inline int64_t fnn_times(int64_t a, int64_t b) { return b && a > FNN_TOO_MANY / b ? FNN_TOO_MANY : a * b; }

static inline int64_t fnn_padded(int64_t n) { return fnn_round_up(n, FNN_ALIGN_FLOATS); }

/* The floats that there are for a sample, or, where the instruction's rows_per_sample is 0, once; else 0. */
static inline int64_t fnn_floats_of(const fnn_instr *in, const fnn_place *place) {
    return in->rows_per_sample ? place->per_sample : place->fixed;
}

/* Are there `rows` rows of n values, `ld` apart, of which whole vectors are touched? Rows may be closer than that, the
 * last one then ends behind its place. With floats f for a sample, so many as s samples have s * f, and need
 * (s * rows - 1) * ld + padded: it is enough that one sample has room for rows * ld, and for what the last row has
 * more. */
static inline int fnn_fits(int64_t floats, int64_t rows, int64_t n, int64_t ld) {
    int64_t taken = fnn_times(rows, ld), more = fnn_padded(n) > ld ? fnn_padded(n) - ld : 0;
    return n >= 1 && rows >= 1 && ld >= 1 && taken <= floats && more <= floats - taken;
}

/* The matrix of an instruction on rows of samples. */
static inline int fnn_reads(const fnn_instr *in, const fnn_place *place, int64_t n, int64_t ld) {
    return fnn_fits(place->per_sample, in->rows_per_sample, n, ld);
}
static inline int fnn_writes(const fnn_instr *in, const fnn_place *place, int64_t n, int64_t ld) {
    return place->writable && fnn_reads(in, place, n, ld);
}

static inline int fnn_absent(const fnn_place *place) { return !place->per_sample && !place->fixed; }

/* A vector of n values that whole vectors are read of, or none. */
static inline int fnn_vector_or_none(const fnn_place *place, int64_t n) {
    return fnn_absent(place) || fnn_padded(n) <= place->fixed;
}

#endif
