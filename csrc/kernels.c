/* All operations for one instruction set, as one translation unit.
 *
 * setup.py compiles this file once for each set, with that set's flags and -DFNN_ISA=<name>. The table at the end is
 * the one place where an operation is declared to the engine: a file in ops/ defines `static const fnn_op fnn_op_<x>`
 * (names of its operands and its run function) and gets a line here. Everything in here is static but the table, so
 * that no code compiled for a better CPU can be linked into a worse one's path.
 */
#include "engine.h"
#include "simd.h"

#define FNN_PASTE_(a, b) a##b
#define FNN_PASTE(a, b) FNN_PASTE_(a, b)
#define FNN_TEXT_(a) #a
#define FNN_TEXT(a) FNN_TEXT_(a)

#include "ops/activation.c"
#include "ops/affine.c"
#include "ops/gemm.c"
#include "ops/dense.c"
#include "ops/batchnorm.c"
#include "ops/batchnorm_dense.c"
#include "ops/constraint.c"
#include "ops/dropout.c"
#include "ops/elementwise.c"
#include "ops/gather.c"
#include "ops/loss.c"
#include "ops/metric.c"
#include "ops/optimizer.c"
#include "ops/optimizer_accumulating.c"
#include "ops/optimizer_around.c"
#include "ops/optimizer_lamb.c"
#include "ops/peak.c"
#include "ops/regularizer.c"

static const fnn_op ops[] = {
    /* one line an operation; any order */
    fnn_op_activation_forward,
    fnn_op_activation_backward,
    fnn_op_softmax_forward,
    fnn_op_softmax_backward,
    fnn_op_affine_forward,
    fnn_op_affine_backward,
    fnn_op_dense_forward,
    fnn_op_dense_backward_weights,
    fnn_op_dense_backward_input,
    fnn_op_add,
    fnn_op_copy_vector,
    fnn_op_gather,
    fnn_op_gather_labels,
    fnn_op_scatter,
    fnn_op_reshape,
    fnn_op_softmax_crossentropy_sparse,
    fnn_op_softmax_crossentropy_dense,
    fnn_op_sigmoid_crossentropy,
    fnn_op_crossentropy_sparse,
    fnn_op_crossentropy_dense,
    fnn_op_binary_crossentropy,
    fnn_op_mean_squared_error,
    fnn_op_mean_absolute_error,
    fnn_op_accumulate,
    fnn_op_sparse_accuracy,
    fnn_op_categorical_accuracy,
    fnn_op_binary_accuracy,
    fnn_op_sgd,
    fnn_op_adam,
    fnn_op_adamax,
    fnn_op_nadam,
    fnn_op_lion,
    fnn_op_rmsprop,
    fnn_op_adagrad,
    fnn_op_adadelta,
    fnn_op_ftrl,
    fnn_op_lamb_direction,
    fnn_op_lamb_apply,
    fnn_op_accumulate_gradients,
    fnn_op_sum_squares,
    fnn_op_average_weights,
    fnn_op_norm_constraint,
    fnn_op_non_negative,
    fnn_op_weight_penalty,
    fnn_op_activity_penalty,
    fnn_op_activity_gradient,
    fnn_op_unit_rows,
    fnn_op_orthogonal_penalty,
    fnn_op_add_penalty,
    fnn_op_batchnorm_train,
    fnn_op_batchnorm_infer,
    fnn_op_batchnorm_backward,
    fnn_op_batchnorm_dense_gradients,
    fnn_op_dropout_forward,
    fnn_op_dropout_backward,
};

const fnn_isa FNN_PASTE(fnn_isa_, FNN_ISA) = {
    .name = FNN_TEXT(FNN_ISA),
    .vector_floats = VF,
    .ops = ops,
    .op_count = (int)(sizeof ops / sizeof ops[0]),
    .panel_floats = panel_floats,
    .panel_pack = panel_pack,
    .panel_unpack = panel_unpack,
    .peak = peak,
};
