/* Elementwise formulas: a small register machine over strips of values that lie in the first-level cache.
 *
 *   expression:  o[...][rows][n] = formula(inputs, constants)
 *
 * A register is a strip: so many whole rows, or a piece of a long one. A step of the formula is one loop of vectors
 * over a strip, so that what a step costs beyond its arithmetic is a load and a store. Registers of operands that
 * are laid out like the strip, and of results, are the operands' own memory. What does not depend on the row
 * (constants, parameters of a column) is laid out once. `fixed` counts the rows where rows_per_sample is 0: values
 * that no sample has a part in.
 *
 * `code` holds int32 numbers:
 *   registers, inputs, constants, steps, outputs
 *   for each input:   operand, ld, width (n, or 1: one value for the row), div, mod
 *   for each step:    operation, result, first, second, third register
 *   for each output:  operand, ld, register
 * Inputs are the first registers, the constants (in `constants`) follow. Row r of a result reads row
 * (r / div) % mod of an input; mod 0 stands for infinity. Results are 0 in the padding.
 */
#include "../simd_math.h"

enum { EXPR_CODE, EXPR_CONSTANTS, EXPR_FIRST }; /* operands */
enum { EXPR_HEAD = 5, EXPR_INPUT = 5, EXPR_STEP = 5, EXPR_OUTPUT = 3 };
enum { EXPR_REGISTERS = 256, EXPR_SHORTEST = 384, EXPR_LONGEST = 1024, EXPR_OPERANDS = FNN_MAX_OPERANDS - EXPR_FIRST };
_Static_assert(EXPR_REGISTERS *EXPR_SHORTEST <= FNN_SCRATCH_FLOATS, "the registers fit into scratch");

/* Python names them in this order. */
enum {
    EXPR_COPY,
    EXPR_NEGATIVE,
    EXPR_ABS,
    EXPR_SIGN,
    EXPR_SQRT,
    EXPR_EXP,
    EXPR_EXPM1,
    EXPR_LOG,
    EXPR_LOG1P,
    EXPR_TANH,
    EXPR_SIGMOID,
    EXPR_SOFTPLUS,
    EXPR_ERF,
    EXPR_SIN,
    EXPR_COS,
    EXPR_ATAN,
    EXPR_FLOOR,
    EXPR_ROUND,
    EXPR_ADD,
    EXPR_SUBTRACT,
    EXPR_MULTIPLY,
    EXPR_DIVIDE,
    EXPR_MAXIMUM,
    EXPR_MINIMUM,
    EXPR_POWER,
    EXPR_LESS,
    EXPR_LESS_EQUAL,
    EXPR_EQUAL,
    EXPR_WHERE
};

static inline vf expr_truth(vm m) { return vf_select(m, vf_set(1.0f), vf_zero()); }
static inline vf expr_sign(vf x) { /* NaN stays */
    vf s = vf_select(vf_lt(vf_zero(), x), vf_set(1.0f), vf_select(vf_lt(x, vf_zero()), vf_set(-1.0f), vf_zero()));
    return vf_select(vf_eq(x, x), s, x);
}
static inline vf expr_max(vf a, vf b) { return vf_select(vf_eq(a, a), vf_max(a, b), a); } /* NaN of either stays */
static inline vf expr_min(vf a, vf b) { return vf_select(vf_eq(a, a), vf_min(a, b), a); }
static inline vf expr_softplus(vf x) { return vf_add(vf_max(vf_zero(), x), vf_log1p_unit(vf_exp(vf_neg(vf_abs(x))))); }

#define EXPR_EACH(value) \
    for (int64_t i = 0; i < count; i += VF) { \
        vf x = vf_load(a + i); \
        vf_store(y + i, value); \
    } \
    break
#define EXPR_EACH2(value) \
    UNROLL for (int64_t i = 0; i < count; i += VF) { \
        vf u = vf_load(a + i), v = vf_load(b + i); \
        vf_store(y + i, value); \
    } \
    break

/* One step on `count` values, a multiple of VF. */
static void expr_step(int32_t operation, float *y, const float *a, const float *b, const float *c, int64_t count) {
    switch (operation) {
    case EXPR_COPY: EXPR_EACH(x);
    case EXPR_NEGATIVE: EXPR_EACH(vf_neg(x));
    case EXPR_ABS: EXPR_EACH(vf_abs(x));
    case EXPR_SIGN: EXPR_EACH(expr_sign(x));
    case EXPR_SQRT: EXPR_EACH(vf_sqrt(x));
    case EXPR_EXP: EXPR_EACH(vf_exp(x));
    case EXPR_EXPM1: EXPR_EACH(vf_expm1(x));
    case EXPR_LOG: EXPR_EACH(vf_log(x));
    case EXPR_LOG1P: EXPR_EACH(vf_log1p(x));
    case EXPR_TANH: EXPR_EACH(vf_tanh(x));
    case EXPR_SIGMOID: EXPR_EACH(vf_sigmoid(x));
    case EXPR_SOFTPLUS: EXPR_EACH(expr_softplus(x));
    case EXPR_ERF: EXPR_EACH(vf_erf(x));
    case EXPR_SIN: EXPR_EACH(vf_sin(x));
    case EXPR_COS: EXPR_EACH(vf_cos(x));
    case EXPR_ATAN: EXPR_EACH(vf_atan(x));
    case EXPR_FLOOR: EXPR_EACH(vf_floor(x));
    case EXPR_ROUND: EXPR_EACH(vf_nearest(x));
    case EXPR_ADD: EXPR_EACH2(vf_add(u, v));
    case EXPR_SUBTRACT: EXPR_EACH2(vf_sub(u, v));
    case EXPR_MULTIPLY: EXPR_EACH2(vf_mul(u, v));
    case EXPR_DIVIDE: EXPR_EACH2(vf_div(u, v));
    case EXPR_MAXIMUM: EXPR_EACH2(expr_max(u, v));
    case EXPR_MINIMUM: EXPR_EACH2(expr_min(u, v));
    case EXPR_POWER: EXPR_EACH2(vf_pow(u, v));
    case EXPR_LESS: EXPR_EACH2(expr_truth(vf_lt(u, v)));
    case EXPR_LESS_EQUAL: EXPR_EACH2(expr_truth(vf_le(u, v)));
    case EXPR_EQUAL: EXPR_EACH2(expr_truth(vf_eq(u, v)));
    case EXPR_WHERE: EXPR_EACH2(vf_select(vf_eq(vf_load(c + i), vf_zero()), v, u));
    }
}

/* Strips of 384 to 1024 floats, so that the registers of most formulas take 36 KiB at most, and each step's loop is
 * worth its start. */
static inline int64_t expr_capacity(int32_t registers) {
    int64_t capacity = 9216 / registers / FNN_ALIGN_FLOATS * FNN_ALIGN_FLOATS;
    return capacity > EXPR_LONGEST ? EXPR_LONGEST : capacity < EXPR_SHORTEST ? EXPR_SHORTEST : capacity;
}

/* How strips of a formula lie in registers. */
typedef struct expr_shape {
    int64_t width, rows, floats; /* of a row, of a strip; of a register */
    int pieces;                  /* of a row at a time */
} expr_shape;

static inline expr_shape expr_shape_of(const int32_t *code, int64_t n, int64_t rows) {
    const int32_t *output = code + EXPR_HEAD + code[1] * EXPR_INPUT + code[3] * EXPR_STEP;
    int64_t capacity = expr_capacity(code[0]), padded = fnn_round_up(n, FNN_ALIGN_FLOATS);
    int64_t width = output[1]; /* rows as long as the operands have them */
    for (int32_t i = 0; i < code[4]; i++)
        if (output[EXPR_OUTPUT * i + 1] != output[1]) width = padded;
    if (width > capacity) width = padded;
    if (width > capacity) return (expr_shape){capacity, 1, capacity, 1};
    int64_t at_once = rows < capacity / width ? rows : capacity / width;
    return (expr_shape){width, at_once, fnn_round_up(at_once * width, FNN_ALIGN_FLOATS), 0};
}

/* The rows and columns that a strip covers: `width` floats for each of its rows, `used` of them in the matrix. */
typedef struct expr_strip {
    int64_t row, rows, column, width, used;
} expr_strip;

static inline int64_t expr_row(const int32_t *input, int64_t r) {
    int64_t div = input[3], mod = input[4];
    if (mod == 1) return 0;
    if (div != 1) r /= div;
    return mod ? r % mod : r;
}

/* Lays an input out as the strip is. */
static void expr_load(const int32_t *input, const float *x, const expr_strip *s, float *to) {
    for (int64_t r = 0; r < s->rows; r++, to += s->width) {
        const float *from = x + expr_row(input, s->row + r) * input[1];
        if (input[2] == 1)
            if (s->width == 1) *to = *from;
            else
                for (int64_t j = 0; j < s->width; j += VF) vf_store(to + j, vf_set(*from));
        else
            for (int64_t j = 0; j < s->used; j += VF) vf_store(to + j, vf_load(from + s->column + j));
    }
}

static void expression(const fnn_instr *in, const fnn_run *run) {
    const int32_t *code = in->p[EXPR_CODE];
    const float *constants = in->p[EXPR_CONSTANTS];
    int32_t registers = code[0], inputs = code[1], constant_count = code[2], steps = code[3], outputs = code[4];
    const int32_t *input = code + EXPR_HEAD, *step = input + inputs * EXPR_INPUT, *output = step + steps * EXPR_STEP;
    int64_t n = in->d[0], padded = fnn_round_up(n, FNN_ALIGN_FLOATS);
    int64_t rows = in->rows_per_sample ? run->samples * in->rows_per_sample : in->d[1], begin, end;
    int one_value = output[1] == 1; /* a value a row, without gaps: rows of one float */
    fnn_split(rows, one_value ? FNN_ALIGN_FLOATS : 1, run->thread, run->threads, &begin, &end);
    if (begin == end) return;

    const expr_shape shape = expr_shape_of(code, n, end - begin);
    const int64_t capacity = shape.floats, rows_at_once = shape.rows;
    const int pieces = shape.pieces;
    float *registry[EXPR_REGISTERS];
    for (int32_t i = 0; i < registers; i++) registry[i] = run->scratch + i * capacity;
    expr_strip strip = {begin, rows_at_once, 0, shape.width, pieces ? capacity : one_value ? 1 : padded};
    int64_t count = fnn_round_up(strip.rows * strip.width, FNN_ALIGN_FLOATS);
    for (int32_t i = 0; i < constant_count; i++)
        for (int64_t j = 0; j < count; j += VF) vf_store(registry[inputs + i] + j, vf_set(constants[i]));
    int once[EXPR_OPERANDS]; /* inputs that every strip reads alike */
    for (int32_t i = 0; i < inputs; i++) {
        const int32_t *each = input + i * EXPR_INPUT;
        once[i] = each[4] == 1 && (each[2] == 1 || !pieces);
        if (once[i]) expr_load(each, in->p[EXPR_FIRST + each[0]], &strip, registry[i]);
    }

    for (strip.row = begin; strip.row < end; strip.row += rows_at_once) {
        if (strip.rows > end - strip.row) strip.rows = end - strip.row;
        for (strip.column = 0; strip.column < n; strip.column += capacity) {
            if (pieces) strip.width = strip.used = padded - strip.column < capacity ? padded - strip.column : capacity;
            count = fnn_round_up(strip.rows * strip.width, FNN_ALIGN_FLOATS);
            for (int32_t i = 0; i < inputs; i++) {
                const int32_t *each = input + i * EXPR_INPUT;
                if (once[i]) continue;
                float *x = in->p[EXPR_FIRST + each[0]];
                int plain = each[3] == 1 && each[4] == 0;
                if (pieces && each[2] != 1) registry[i] = x + expr_row(each, strip.row) * each[1] + strip.column;
                else if (plain && each[1] == strip.width && (each[2] != 1 || n == 1))
                    registry[i] = x + strip.row * each[1];
                else expr_load(each, x, &strip, registry[i] = run->scratch + i * capacity);
            }
            for (int32_t i = 0; i < outputs; i++) {
                const int32_t *each = output + i * EXPR_OUTPUT;
                float *y = in->p[EXPR_FIRST + each[0]];
                if (pieces || each[1] == strip.width) registry[each[2]] = y + strip.row * each[1] + strip.column;
            }
            for (int32_t i = 0; i < steps; i++) {
                const int32_t *each = step + i * EXPR_STEP;
                expr_step(each[0], registry[each[1]], registry[each[2]], registry[each[3]], registry[each[4]], count);
            }
            for (int32_t i = 0; i < outputs; i++) {
                const int32_t *each = output + i * EXPR_OUTPUT;
                float *y = (float *)in->p[EXPR_FIRST + each[0]] + strip.row * each[1] + strip.column;
                int64_t inside = n - strip.column < strip.width ? n - strip.column : strip.width;
                if (inside == strip.width && (pieces || each[1] == strip.width)) continue;
                for (int64_t r = 0; r < strip.rows; r++, y += each[1]) {
                    const float *from = registry[each[2]] + r * strip.width;
                    if (from != y) memcpy(y, from, sizeof(float) * (size_t)inside);
                    memset(y + inside, 0, sizeof(float) * (size_t)(strip.used - inside));
                }
            }
            if (!pieces) break;
        }
    }
}

static int expr_input_check(const fnn_instr *in, const int32_t *input, const fnn_place *place, int64_t rows) {
    int64_t ld = input[1], div = input[3], mod = input[4];
    if (input[2] < 1 || div < 1 || mod < 0) return 0;
    int64_t floats = fnn_floats_of(in, place);
    if (mod) floats = place->fixed ? place->fixed : place->per_sample; /* the same rows for each sample */
    return fnn_fits(floats, mod ? mod : (rows + div - 1) / div, input[2] == 1 ? 1 : in->d[0], ld);
}

/* A step must not write to what may be an operand's own memory: registers of inputs, and of the other outputs. */
static int expression_check(const fnn_instr *in, const fnn_place *places) {
    const int32_t *code = places[EXPR_CODE].data;
    int64_t numbers = places[EXPR_CODE].fixed, n = in->d[0],
            rows = in->rows_per_sample ? in->rows_per_sample : in->d[1];
    if (!code || numbers < EXPR_HEAD) return 0;
    int32_t registers = code[0], inputs = code[1], constants = code[2], steps = code[3], outputs = code[4];
    if (registers < 1 || registers > EXPR_REGISTERS || inputs < 0 || constants < 0 || constants > EXPR_REGISTERS ||
        inputs > EXPR_OPERANDS || inputs + constants > registers || steps < 0 || outputs < 1 ||
        outputs > EXPR_OPERANDS || constants > places[EXPR_CONSTANTS].fixed || !places[EXPR_CONSTANTS].data)
        return 0;
    if (EXPR_HEAD + (int64_t)EXPR_INPUT * inputs + (int64_t)EXPR_STEP * steps + EXPR_OUTPUT * outputs > numbers)
        return 0;
    const int32_t *input = code + EXPR_HEAD, *step = input + inputs * EXPR_INPUT;
    const int32_t *output = step + (int64_t)steps * EXPR_STEP, *each = input;
    for (int32_t i = 0; i < inputs; i++, each += EXPR_INPUT)
        if (each[0] < 0 || each[0] >= EXPR_OPERANDS || !expr_input_check(in, each, &places[EXPR_FIRST + each[0]], rows))
            return 0;
    for (int32_t i = 0; i < steps; i++, each += EXPR_STEP) {
        if (each[0] < EXPR_COPY || each[0] > EXPR_WHERE || each[1] < inputs + constants || each[1] >= registers)
            return 0;
        for (int k = 2; k < EXPR_STEP; k++)
            if (each[k] < 0 || each[k] >= registers) return 0;
    }
    for (int32_t i = 0; i < outputs; i++, each += EXPR_OUTPUT) {
        int64_t ld = each[1];
        if (each[0] < 0 || each[0] >= EXPR_OPERANDS || each[2] < inputs + constants || each[2] >= registers) return 0;
        if (output[1] == 1 ? ld != 1 || n != 1 : ld % FNN_ALIGN_FLOATS || fnn_padded(n) > ld) return 0;
        for (int32_t k = 0; k < i; k++)
            if (output[EXPR_OUTPUT * k + 2] == each[2]) return 0;
        const fnn_place *place = &places[EXPR_FIRST + each[0]];
        if (!place->writable || !fnn_fits(fnn_floats_of(in, place), rows, n, ld)) return 0;
    }
    return 1;
}

static int64_t expression_scratch(const fnn_instr *in, const fnn_place *places, int64_t samples) {
    const int32_t *code = places[EXPR_CODE].data;
    int64_t rows = in->rows_per_sample ? fnn_times(samples, in->rows_per_sample) : in->d[1];
    return code[0] * expr_shape_of(code, in->d[0], rows).floats;
}

#define fnn_op_expression                                                                                \
    {"expression", "code constants o0 o1? o2? o3? o4? o5? o6? o7? o8? o9?", "n fixed", "", expression,   \
     expression_check, expression_scratch}
