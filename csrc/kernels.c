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
#include "ops/arrange.c"
#include "ops/batchnorm.c"
#include "ops/batchnorm_dense.c"
#include "ops/dropout.c"
#include "ops/elementwise.c"
#include "ops/expression.c"
#include "ops/gather.c"
#include "ops/loss.c"
#include "ops/matmul.c"
#include "ops/metric.c"
#include "ops/optimizer.c"
#include "ops/peak.c"
#include "ops/reduce.c"

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
    fnn_op_batchnorm_train,
    fnn_op_batchnorm_infer,
    fnn_op_batchnorm_backward,
    fnn_op_batchnorm_dense_gradients,
    fnn_op_dropout_forward,
    fnn_op_dropout_backward,
    fnn_op_expression,
    fnn_op_reduce_columns,
    fnn_op_reduce_rows,
    fnn_op_batch_size,
    fnn_op_arrange,
    fnn_op_pack_panels,
    fnn_op_unpack_panels,
    fnn_op_matmul,
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
