/* Values between the caller's arrays and the engine's rows: a batch is read in place from any dtype and any strides.
 *
 *   gather:         source -> y[rows][n] float32, the samples order[first ...] (order NULL: first, first + 1, ...)
 *   gather_labels:  source -> labels[rows] int32
 *   scatter:        y[rows][n] -> out[total rows][n], C-contiguous, from row first * rows_per_sample on
 *   reshape:        x[rows_x][n_x] of each sample -> y[rows_y][n_y], in C order
 *
 * All four are one walk: a source's sample is a list of runs (values with one stride), a destination's is a list of
 * rows (contiguous values, then zeros as padding), and every piece that lies in one run and in one row is converted by
 * one call. A label that int32 cannot hold becomes -1, which is no class.
 */

/* n values, `step` bytes apart; with an order those numbered order[0], order[1], ... */
typedef void (*convert_fn)(const char *restrict src, int64_t step, const int64_t *order, void *restrict dst, int64_t n);

/* memcpy because NumPy arrays may be unaligned; compilers make it a plain (vector) load. */
#define FNN_CONVERT(name, from, to, expr)                                                                            \
    static void name(const char *restrict src, int64_t step, const int64_t *order, void *restrict dst, int64_t n) {  \
        to *restrict out = dst;                                                                                      \
        from v;                                                                                                      \
        if (order)                                                                                                   \
            for (int64_t i = 0; i < n; i++) memcpy(&v, src + order[i] * step, sizeof v), out[i] = expr;              \
        else if (step == (int64_t)sizeof v)                                                                          \
            for (int64_t i = 0; i < n; i++) memcpy(&v, src + i * (int64_t)sizeof v, sizeof v), out[i] = expr;        \
        else                                                                                                         \
            for (int64_t i = 0; i < n; i++) memcpy(&v, src + i * step, sizeof v), out[i] = expr;                     \
    }

/* IEEE half to float by integers: not every instruction set has the conversion, and denormal halves must survive
 * although the engine flushes denormal floats. Without branches, so that compilers vectorise it. */
static inline float half_to_float(uint16_t h) {
    uint32_t bits = (uint32_t)(h & 0x7fff) << 13, exponent = bits >> 23, denormal_bits;
    uint32_t is_denormal = 0u - (exponent == 0), is_special = 0u - (exponent == 31);
    float value = (float)(int32_t)(h & 0x3ff) * 0x1p-24f;
    memcpy(&denormal_bits, &value, sizeof value);
    bits += ((127u - 15u) << 23) + (is_special & (128u - 16u) << 23);
    bits = (bits & ~is_denormal) | (denormal_bits & is_denormal) | (uint32_t)(h & 0x8000) << 16;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline int32_t label_of_float(double v) { return v >= -2147483648.0 && v < 2147483648.0 ? (int32_t)v : -1; }
static inline int32_t label_of_signed(int64_t v) { return v == (int32_t)v ? (int32_t)v : -1; }
static inline int32_t label_of_unsigned(uint64_t v) { return v <= INT32_MAX ? (int32_t)v : -1; }

FNN_CONVERT(floats_of_f32, float, float, v)
FNN_CONVERT(floats_of_f64, double, float, (float)v)
FNN_CONVERT(floats_of_f16, uint16_t, float, half_to_float(v))
FNN_CONVERT(floats_of_u8, uint8_t, float, (float)v)
FNN_CONVERT(floats_of_i8, int8_t, float, (float)v)
FNN_CONVERT(floats_of_u16, uint16_t, float, (float)v)
FNN_CONVERT(floats_of_i16, int16_t, float, (float)v)
FNN_CONVERT(floats_of_u32, uint32_t, float, (float)v)
FNN_CONVERT(floats_of_i32, int32_t, float, (float)v)
FNN_CONVERT(floats_of_u64, uint64_t, float, (float)v)
FNN_CONVERT(floats_of_i64, int64_t, float, (float)v)
FNN_CONVERT(floats_of_bool, uint8_t, float, v ? 1.0f : 0.0f)
FNN_CONVERT(labels_of_f32, float, int32_t, label_of_float(v))
FNN_CONVERT(labels_of_f64, double, int32_t, label_of_float(v))
FNN_CONVERT(labels_of_f16, uint16_t, int32_t, label_of_float(half_to_float(v)))
FNN_CONVERT(labels_of_u8, uint8_t, int32_t, v)
FNN_CONVERT(labels_of_i8, int8_t, int32_t, v)
FNN_CONVERT(labels_of_u16, uint16_t, int32_t, v)
FNN_CONVERT(labels_of_i16, int16_t, int32_t, v)
FNN_CONVERT(labels_of_u32, uint32_t, int32_t, label_of_unsigned(v))
FNN_CONVERT(labels_of_i32, int32_t, int32_t, v)
FNN_CONVERT(labels_of_u64, uint64_t, int32_t, label_of_unsigned(v))
FNN_CONVERT(labels_of_i64, int64_t, int32_t, label_of_signed(v))
FNN_CONVERT(labels_of_bool, uint8_t, int32_t, v != 0)

/* In the order of fnn_dtype. */
static const struct {
    int64_t size;
    convert_fn floats, labels;
} converters[] = {
#ifdef FNN_INFERENCE /* frozen networks read and write float32 */
    {4, floats_of_f32, NULL},
#else
    {4, floats_of_f32, labels_of_f32}, {8, floats_of_f64, labels_of_f64}, {2, floats_of_f16, labels_of_f16},
    {1, floats_of_u8, labels_of_u8},   {1, floats_of_i8, labels_of_i8},   {2, floats_of_u16, labels_of_u16},
    {2, floats_of_i16, labels_of_i16}, {4, floats_of_u32, labels_of_u32}, {4, floats_of_i32, labels_of_i32},
    {8, floats_of_u64, labels_of_u64}, {8, floats_of_i64, labels_of_i64}, {1, floats_of_bool, labels_of_bool},
#endif
};

/* One sample as runs: `axes` outer axes, each step of which leads to a run of `length` values, `step` bytes apart. */
typedef struct runs {
    int axes;
    int64_t shape[FNN_MAX_AXES], strides[FNN_MAX_AXES];
    int64_t length, step;
} runs;

/* Neighbouring axes that one stride can walk become one, so that a C-contiguous sample is a single run. */
static runs runs_of(const fnn_source *source) {
    runs s = {.length = 1, .step = converters[source->dtype].size};
    int axis = source->axes - 1;
    for (; axis > 0; axis--) {
        int64_t size = source->shape[axis], stride = source->strides[axis];
        if (size == 1) continue;
        if (s.length == 1) s.step = stride;
        else if (stride != s.step * s.length) break;
        s.length *= size;
    }
    for (int a = 1; a <= axis; a++) {
        s.shape[s.axes] = source->shape[a];
        s.strides[s.axes++] = source->strides[a];
    }
    return s;
}

/* The destination of one sample: `rows` rows of n values of four bytes, `ld` apart, zeros from n up to `padded`. */
typedef struct rows_to {
    int64_t rows, n, ld, padded;
} rows_to;

static void copy_sample(const char *base, const runs *s, convert_fn convert, char *dst, const rows_to *to) {
    int64_t index[FNN_MAX_AXES] = {0}, run = 0, at = 0;
    for (int64_t r = 0; r < to->rows; r++, dst += 4 * to->ld) {
        for (int64_t j = 0, piece; j < to->n; j += piece) {
            piece = s->length - at < to->n - j ? s->length - at : to->n - j;
            convert(base + run + at * s->step, s->step, NULL, dst + 4 * j, piece);
            at += piece;
            if (at < s->length) continue;
            at = 0;
            for (int a = s->axes - 1; a >= 0; a--) { /* on to the next run, as an odometer turns */
                run += s->strides[a];
                if (++index[a] < s->shape[a]) break;
                run -= s->strides[a] * s->shape[a];
                index[a] = 0;
            }
        }
        memset(dst + 4 * to->n, 0, (size_t)(4 * (to->padded - to->n)));
    }
}

/* Shuffled samples lie anywhere in memory: each is asked for so many samples early that about PREFETCH_BYTES are on
 * their way, be they of the next batch. That halves the time of a set larger than the cache; what a sample has beyond,
 * the hardware foresees. */
enum { PREFETCH_BYTES = 2048, PREFETCH_SAMPLES = 32 };

static inline void prefetch_sample(const char *sample, int64_t bytes) {
    if (bytes > PREFETCH_BYTES) bytes = PREFETCH_BYTES;
    for (int64_t at = 0; at < bytes; at += FNN_ALIGN_BYTES) __builtin_prefetch(sample + at);
    __builtin_prefetch(sample + bytes - 1); /* samples rarely start where a cache line does */
}

/* A sample that is a row already, in whole vectors: two at a time, since compilers call memmove for less, which takes
 * longer than a short row. */
static inline void copy_floats(const float *restrict src, float *restrict dst, int64_t n, int64_t padded) {
    int64_t j = 0;
    for (; j + 2 * VF <= n; j += 2 * VF) {
        vf first = vf_load(src + j), second = vf_load(src + j + VF);
        vf_store(dst + j, first), vf_store(dst + j + VF, second);
    }
    if (j + VF <= n) vf_store(dst + j, vf_load(src + j)), j += VF;
    if (j < n) vf_store(dst + j, vf_load_n(src + j, (int)(n - j))), j += VF;
    for (; j < padded; j += VF) vf_store(dst + j, vf_zero());
}

/* Which samples a thread copies: `begin` to `end`, the i-th being number order[i], or first + i without an order; the
 * first `asks` of them ask for the one `ahead` of them, `bytes` long. */
typedef struct samples_of {
    const char *data;
    int64_t stride, first, begin, end, asks, ahead, bytes;
    const int64_t *order;
} samples_of;

static inline const char *sample_at(const samples_of *of, int64_t i) {
    if (i < of->asks) prefetch_sample(of->data + of->order[i + of->ahead] * of->stride, of->bytes);
    return of->data + (of->order ? of->order[i] : of->first + i) * of->stride;
}

/* Not inlined, and from a copy: where vectors are stored, compilers would read it all again for each sample. */
static NOT_INLINED void copy_rows_of_floats(const samples_of *samples, float *dst, int64_t ld, int64_t n,
                                            int64_t padded) {
    const samples_of of = *samples;
    dst += of.begin * ld;
    for (int64_t i = of.begin; i < of.end; i++, dst += ld)
        copy_floats((const float *)sample_at(&of, i), dst, n, padded);
}

/* Asks for all that ask, at once. Inlined, since compilers leave out calls of what only asks. */
static inline __attribute__((always_inline)) void prefetch_short(const samples_of *of) {
    int64_t end = of->asks < of->end ? of->asks : of->end, last = of->bytes - 1, stride = of->stride;
    int64_t alignment = (int64_t)((uintptr_t)of->data | (uintptr_t)stride | FNN_ALIGN_BYTES);
    const char *data = of->data;
    const int64_t *order = of->order + of->ahead;
    if ((alignment & -alignment) > last)
        for (int64_t i = of->begin; i < end; i++) __builtin_prefetch(data + order[i] * stride);
    else
        for (int64_t i = of->begin; i < end; i++) {
            const char *sample = data + order[i] * stride;
            __builtin_prefetch(sample), __builtin_prefetch(sample + last);
        }
}

/* Samples of at most one vector of floats. */
static inline void copy_short(const void *from, float *to, int64_t n, int padding) {
    vf_store(to, vf_load_n(from, (int)n));
    if (padding)
        for (int j = VF; j < FNN_ALIGN_FLOATS; j += VF) vf_store(to + j, vf_zero());
}

/* This thread's share of run->samples. A step of a small network takes a large part of its time to get them: nothing is
 * looked at here that need not be, and the samples of the next batch are asked for on the way. */
static NOT_INLINED void gather_short(const fnn_source *source, const int64_t *order, const fnn_run *run, float *to,
                                     int64_t ld, int64_t n) {
    int64_t stride = source->strides[0], last = 4 * n - 1, asks = run->left - PREFETCH_SAMPLES, i, end;
    const char *data = source->data;
    int padding = VF < FNN_ALIGN_FLOATS;
    fnn_split(run->samples, 1, run->thread, run->threads, &i, &end);
    to += i * ld;
    if (!order) {
        data += run->first * stride;
        for (; i < end; i++, to += ld) copy_short(data + i * stride, to, n, padding);
        return;
    }
    if (run->first == 0) /* there was no batch before that asked for these */
        for (int64_t j = i; j < end; j++) prefetch_sample(data + order[j] * stride, last + 1);
    for (; i < end && i < asks; i++, to += ld) {
        const char *next = data + order[i + PREFETCH_SAMPLES] * stride;
        __builtin_prefetch(next), __builtin_prefetch(next + last);
        copy_short(data + order[i] * stride, to, n, padding);
    }
    for (; i < end; i++, to += ld) copy_short(data + order[i] * stride, to, n, padding);
}

/* Is a sample one short row, as it lies? */
static inline int is_short(const fnn_source *source, rows_to to) {
    return to.rows == 1 && to.n <= VF && to.padded == FNN_ALIGN_FLOATS && source->dtype == FNN_F32 &&
           (source->axes == 1 || (source->axes == 2 && (to.n == 1 || source->strides[1] == sizeof(float)))) &&
           ((uintptr_t)source->data | (uintptr_t)source->strides[0]) % sizeof(float) == 0;
}

/* This thread's share of run->samples, the i-th of which is number order[i], or first + i without an order. */
static void copy_samples(const fnn_source *source, const int64_t *order, int64_t first, const fnn_run *run, char *dst,
                         convert_fn convert, rows_to to) {
    runs s = runs_of(source);
    int64_t size = converters[source->dtype].size, stride = source->strides[0];
    int contiguous = s.axes == 0 && s.step == size;
    int64_t bytes = order && contiguous ? size * s.length : 0; /* to prefetch of each sample */
    int64_t ahead = bytes > PREFETCH_BYTES / PREFETCH_SAMPLES ? PREFETCH_BYTES / bytes + 1 : PREFETCH_SAMPLES;
    int64_t begin, end;
    fnn_split(run->samples, 1, run->thread, run->threads, &begin, &end);
    if (bytes && run->first == 0) /* later batches find that the one before has asked for their first samples */
        for (int64_t i = begin; i < begin + ahead && i < run->left; i++)
            prefetch_sample(source->data + order[i] * stride, bytes);
    int aligned = ((uintptr_t)source->data | (uintptr_t)stride) % sizeof(float) == 0;
    int one_row = contiguous && to.rows == 1,
        vectors = one_row && aligned && convert == floats_of_f32 && to.padded % VF == 0;
    samples_of of = {source->data, stride, first, begin, end, bytes ? run->left - ahead : 0, ahead, bytes, order};
    if (one_row && to.n == 1 && to.ld == 1) {
        if (order && of.asks > begin) prefetch_short(&of);
        convert(source->data + (order ? 0 : (first + begin) * stride), stride, order ? order + begin : NULL,
                dst + 4 * begin, end - begin);
        return;
    }
    if (vectors) {
        copy_rows_of_floats(&of, (float *)dst, to.ld, to.n, to.padded);
        return;
    }
    for (int64_t i = begin; i < end; i++) {
        const char *sample = sample_at(&of, i);
        char *row = dst + 4 * i * to.rows * to.ld;
        if (one_row) {
            convert(sample, size, NULL, row, to.n);
            if (to.n < to.padded) memset(row + 4 * to.n, 0, (size_t)(4 * (to.padded - to.n)));
        } else {
            copy_sample(sample, &s, convert, row, &to);
        }
    }
}

static void gather(const fnn_instr *in, const fnn_run *run) {
    const fnn_source *source = in->p[0];
    /* rows of one value may follow each other without padding */
    rows_to to = {in->rows_per_sample, in->d[0], in->d[1],
                  fnn_round_up(in->d[0], in->d[1] == 1 ? 1 : FNN_ALIGN_FLOATS)};
    const int64_t *order = run->order ? run->order + run->first : NULL;
    if (is_short(source, to)) gather_short(source, order, run, in->p[1], to.ld, to.n);
    else copy_samples(source, order, run->first, run, in->p[1], converters[source->dtype].floats, to);
}

static void gather_labels(const fnn_instr *in, const fnn_run *run) {
    const fnn_source *source = in->p[0];
    rows_to to = {1, in->rows_per_sample, in->rows_per_sample, in->rows_per_sample};
    const int64_t *order = run->order ? run->order + run->first : NULL;
    copy_samples(source, order, run->first, run, in->p[1], converters[source->dtype].labels, to);
}

/* The engine's own rows as a source, so that they take the same walk. */
static fnn_source source_of_rows(const float *x, int64_t samples, int64_t rows, int64_t n, int64_t ld) {
    return (fnn_source){(const char *)x, FNN_F32, 3, {samples, rows, n}, {4 * rows * ld, 4 * ld, 4}};
}

static void scatter(const fnn_instr *in, const fnn_run *run) {
    int64_t n = in->d[0], values = in->rows_per_sample * n;
    fnn_source source = source_of_rows(in->p[0], run->samples, in->rows_per_sample, n, in->d[1]);
    rows_to to = {1, values, values, values};
    copy_samples(&source, NULL, 0, run, (char *)in->p[1] + 4 * run->first * values, floats_of_f32, to);
}

static void reshape(const fnn_instr *in, const fnn_run *run) {
    fnn_run one = *run; /* values that belong to no sample: as one */
    if (!in->rows_per_sample) one.samples = 1;
    fnn_source source = source_of_rows(in->p[0], one.samples, in->d[0], in->d[1], in->d[2]);
    rows_to to = {in->d[3], in->d[4], in->d[5], fnn_round_up(in->d[4], in->d[5] == 1 ? 1 : FNN_ALIGN_FLOATS)};
    copy_samples(&source, NULL, 0, &one, in->p[1], floats_of_f32, to);
}

static int reshape_check(const fnn_instr *in, const fnn_place *places) {
    int64_t rows_x = in->d[0], n_x = in->d[1], ldx = in->d[2], rows_y = in->d[3], n_y = in->d[4], ldy = in->d[5];
    return rows_x >= 1 && rows_y >= 1 && n_x >= 1 && n_x <= ldx && n_y >= 1 &&
           fnn_times(rows_x, n_x) == fnn_times(rows_y, n_y) && (ldy == 1 ? n_y == 1 : fnn_padded(n_y) <= ldy) &&
           fnn_times(rows_x, ldx) <= fnn_floats_of(in, &places[0]) &&
           fnn_times(rows_y, ldy) <= fnn_floats_of(in, &places[1]) && places[1].writable;
}

#define fnn_op_gather {"gather", "source y", "n ldy", "", gather}
#define fnn_op_gather_labels {"gather_labels", "source labels", "", "", gather_labels}
#define fnn_op_scatter {"scatter", "y out", "n ldy", "", scatter}
#define fnn_op_reshape {"reshape", "x y", "rows_x n_x ldx rows_y n_y ldy", "", reshape, reshape_check}
