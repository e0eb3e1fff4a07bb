/* What becomes of whole numbers: rows of a table, and indicators. Numbers come as float32, which is exact to 2^24.
 *
 *   embedding:           ids -> y[rows][n], row number id of table[vocabulary][n] (C-contiguous). As in JAX, negative
 *                        ids count from the end, and NaN stands for one that is not in [-vocabulary, vocabulary)
 *   embedding_gradient:  dtable[vocabulary][n] (+)= sum of the rows of dy whose id is the row's, in their order
 *   category_encode:     ids -> y[rows][n], `per` of them to a row: 1 where there is such an id (count 0), or how many
 *                        there are (count 1); others than [0, n) count for nothing
 *   discretize:          y[rows][n] = how many of boundaries[bins] are <= x; all of them for NaN
 *
 * ids is a matrix of ids_n columns: number q lies in row q / ids_n, column q % ids_n. Threads share out rows of y and
 * of the table, never a sum.
 */
static inline int64_t id_at(const float *ids, int64_t ids_n, int64_t ld, int64_t q, int64_t limit) {
    float id = ids[q / ids_n * ld + q % ids_n];
    return id >= 0.0f && id < (float)limit ? (int64_t)id : -1;
}

/* The row of a table. */
static inline int64_t row_at(const float *ids, int64_t ids_n, int64_t ld, int64_t q, int64_t vocabulary) {
    float id = ids[q / ids_n * ld + q % ids_n];
    if (id > -1.0f && id < (float)vocabulary) return (int64_t)id;
    return id <= -1.0f && id > -1.0f - (float)vocabulary ? vocabulary + (int64_t)id : -1;
}

static void embedding(const fnn_instr *in, const fnn_run *run) {
    const float *ids = in->p[0], *table = in->p[1];
    float *y = in->p[2];
    int64_t ids_n = in->d[0], ld = in->d[1], vocabulary = in->d[2], n = in->d[3], ldy = in->d[4], begin, end;
    fnn_split(run->samples * in->rows_per_sample, 1, run->thread, run->threads, &begin, &end);
    for (int64_t r = begin; r < end; r++) {
        int64_t id = row_at(ids, ids_n, ld, r, vocabulary);
        float *row = y + r * ldy;
        if (id >= 0) memcpy(row, table + id * n, sizeof(float) * (size_t)n);
        for (int64_t j = id >= 0 ? n : 0; j < fnn_round_up(n, FNN_ALIGN_FLOATS); j++) row[j] = j < n ? NAN : 0.0f;
    }
}

static void embedding_gradient(const fnn_instr *in, const fnn_run *run) {
    const float *ids = in->p[0], *dy = in->p[1];
    float *dtable = in->p[2];
    int64_t ids_n = in->d[0], ld = in->d[1], vocabulary = in->d[2], n = in->d[3], lddy = in->d[4], begin, end;
    fnn_split(vocabulary, 1, run->thread, run->threads, &begin, &end);
    if (!in->d[5]) memset(dtable + begin * n, 0, sizeof(float) * (size_t)((end - begin) * n));
    for (int64_t r = 0; r < run->samples * in->rows_per_sample; r++) {
        int64_t id = row_at(ids, ids_n, ld, r, vocabulary), j = 0;
        if (id < begin || id >= end) continue;
        float *row = dtable + id * n;
        const float *g = dy + r * lddy;
        for (; j + VF <= n; j += VF) vf_store(row + j, vf_add(vf_load(row + j), vf_load(g + j)));
        for (; j < n; j++) row[j] += g[j];
    }
}

static void category_encode(const fnn_instr *in, const fnn_run *run) {
    const float *ids = in->p[0];
    float *y = in->p[1];
    int64_t ids_n = in->d[0], ld = in->d[1], per = in->d[2], n = in->d[3], ldy = in->d[4], begin, end;
    fnn_split(run->samples * in->rows_per_sample, 1, run->thread, run->threads, &begin, &end);
    for (int64_t r = begin; r < end; r++) {
        float *row = y + r * ldy;
        memset(row, 0, sizeof(float) * (size_t)fnn_round_up(n, FNN_ALIGN_FLOATS));
        for (int64_t q = r * per; q < (r + 1) * per; q++) {
            int64_t id = id_at(ids, ids_n, ld, q, n);
            if (id >= 0) row[id] = in->d[5] ? row[id] + 1.0f : 1.0f;
        }
    }
}

static void discretize(const fnn_instr *in, const fnn_run *run) {
    const float *x = in->p[0], *boundaries = in->p[1];
    float *y = in->p[2];
    int64_t n = in->d[0], ldx = in->d[1], ldy = in->d[2], bins = in->d[3], begin, end;
    vf one = vf_set(1.0f);
    fnn_split(run->samples * in->rows_per_sample, 1, run->thread, run->threads, &begin, &end);
    for (int64_t r = begin; r < end; r++)
        for (int64_t j = 0; j < fnn_round_up(n, FNN_ALIGN_FLOATS); j += VF) {
            vf v = vf_load(x + r * ldx + j), count = vf_zero();
            for (int64_t b = 0; b < bins; b++)
                count = vf_add(count, vf_select(vf_lt(v, vf_set(boundaries[b])), vf_zero(), one));
            vf_store(y + r * ldy + j, vf_select(vf_inside(j, n), count, vf_zero()));
        }
}

/* Are there `count` numbers for each sample? */
static int ids_check(const fnn_place *ids, int64_t ids_n, int64_t ld, int64_t count) {
    return ids_n >= 1 && ids_n <= ld && count >= 1 && count % ids_n == 0 &&
           fnn_times(count / ids_n, ld) <= ids->per_sample;
}

static int embedding_check(const fnn_instr *in, const fnn_place *places) {
    int64_t n = in->d[3];
    return ids_check(&places[0], in->d[0], in->d[1], in->rows_per_sample) &&
           fnn_times(in->d[2], n) <= places[1].fixed && fnn_writes(in, &places[2], n, in->d[4]);
}

static int category_check(const fnn_instr *in, const fnn_place *places) {
    return ids_check(&places[0], in->d[0], in->d[1], fnn_times(in->rows_per_sample, in->d[2])) &&
           fnn_writes(in, &places[1], in->d[3], in->d[4]);
}

static int discretize_check(const fnn_instr *in, const fnn_place *places) {
    int64_t n = in->d[0];
    return fnn_reads(in, &places[0], n, in->d[1]) && in->d[3] <= places[1].fixed &&
           fnn_writes(in, &places[2], n, in->d[2]);
}

#define fnn_op_embedding {"embedding", "ids table y", "ids_n ldids vocabulary n ldy", "", embedding, embedding_check}
#define fnn_op_embedding_gradient                                                                                   \
    {"embedding_gradient", "ids dy dtable", "ids_n ldids vocabulary n lddy accumulate", "", embedding_gradient}
#define fnn_op_category_encode \
    {"category_encode", "ids y", "ids_n ldids per n ldy count", "", category_encode, category_check}
#define fnn_op_discretize {"discretize", "x boundaries y", "n ldx ldy bins", "", discretize, discretize_check}
