/* All operations for one instruction set.
 *
 * This file is compiled twice for each set, with that set's flags and -DFNN_ISA=<name>: with -DFNN_INFERENCE for the
 * operations that frozen images may have, a third of the code, which is what the library that runs them has (fastnn.c),
 * and with -DFNN_TRAINING for all others. With neither of the two it has all: so tests compile it, and are told what
 * nobody uses.
 *
 * The tables at the end are the one place where an operation is declared to the engine: a file in ops/ defines
 * `fnn_op_<x>` (names of its operands and its run function) and gets a line here. All names in here are of one
 * instruction set, and all are static but the tables and what training takes of inference (gemm.c): no code compiled
 * for a better CPU can be linked into a worse one's path.
 */
#if defined(FNN_INFERENCE) || defined(FNN_TRAINING)
#pragma GCC diagnostic ignored "-Wunused-function" /* forward and backward passes are side by side */
#endif
#include "check.h"
#include "engine.h"
#include "simd.h"

#define FNN_PASTE_(a, b) a##b
#define FNN_PASTE(a, b) FNN_PASTE_(a, b)
#define FNN_TEXT_(a) #a
#define FNN_TEXT(a) FNN_TEXT_(a)

/* what frozen images need, much of which training does, too */
#include "ops/activation.c"
#include "ops/affine.c"
#include "ops/gemm.c"
#include "ops/arrange.c"
#include "ops/batchnorm.c"
#include "ops/copy_rows.c"
#include "ops/elementwise.c"
#include "ops/embedding.c"
#include "ops/expression.c"
#include "ops/gather.c"
#include "ops/matmul.c"
#include "ops/packed_rows.c"
#include "ops/packed_dense.c"
#include "ops/prelu.c"
#include "ops/reduce.c"
#include "ops/rownorm.c"

#ifndef FNN_INFERENCE /* and what training needs on top */
#include "ops/batchnorm_dense.c"
#include "ops/dense.c"
#include "ops/dense_weights.c"
#include "ops/noise.c"
#include "ops/augment.c"
#include "ops/callback.c"
#include "ops/constraint.c"
#include "ops/dropout.c"
#include "ops/loss.c"
#include "ops/loss_points.c"
#include "ops/loss_rows.c"
#include "ops/loss_pairs.c"
#include "ops/metric.c"
#include "ops/metric_state.c"
#include "ops/montecarlo.c"
#include "ops/optimizer.c"
#include "ops/optimizer_accumulating.c"
#include "ops/optimizer_adafactor.c"
#include "ops/optimizer_around.c"
#include "ops/optimizer_lamb.c"
#include "ops/peak.c"
#include "ops/regularizer.c"
#include "ops/order.c"
#include "ops/optimizer_muon.c" /* reads panels as regularizers do */
#endif

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmissing-field-initializers" /* most operations need no check, as no image has them */
/* One line an operation; any order. Those that images may have, which are those with a check: */
#ifndef FNN_TRAINING
static const fnn_op ops[] = {
    fnn_op_activation_forward,
    fnn_op_softmax_forward,
    fnn_op_affine_forward,
    fnn_op_packed_dense,
    fnn_op_add,
    fnn_op_copy_rows,
    fnn_op_reshape,
    fnn_op_batchnorm_infer,
    fnn_op_prelu,
    fnn_op_rownorm_forward,
    fnn_op_embedding,
    fnn_op_category_encode,
    fnn_op_discretize,
    fnn_op_expression,
    fnn_op_reduce_columns,
    fnn_op_reduce_rows,
    fnn_op_arrange,
    fnn_op_matmul,
};
#endif
/* And all others: */
#ifndef FNN_INFERENCE
static const fnn_op training_ops[] = {
    fnn_op_activation_backward,
    fnn_op_softmax_backward,
    fnn_op_affine_backward,
    fnn_op_dense_forward,
    fnn_op_dense_backward_weights,
    fnn_op_dense_backward_input,
    fnn_op_copy_vector,
    fnn_op_gather,
    fnn_op_gather_labels,
    fnn_op_scatter,
    fnn_op_softmax_crossentropy_sparse,
    fnn_op_softmax_crossentropy_dense,
    fnn_op_sigmoid_crossentropy,
    fnn_op_crossentropy_sparse,
    fnn_op_crossentropy_dense,
    fnn_op_binary_crossentropy,
    fnn_op_mean_squared_error,
    fnn_op_mean_absolute_error,
    fnn_op_huber,
    fnn_op_log_cosh,
    fnn_op_mean_absolute_percentage_error,
    fnn_op_mean_squared_logarithmic_error,
    fnn_op_poisson,
    fnn_op_hinge,
    fnn_op_squared_hinge,
    fnn_op_binary_focal_crossentropy,
    fnn_op_kl_divergence,
    fnn_op_cosine_similarity,
    fnn_op_categorical_hinge,
    fnn_op_categorical_focal_crossentropy,
    fnn_op_generalized_crossentropy,
    fnn_op_tversky,
    fnn_op_circle,
    fnn_op_circle_gradient,
    fnn_op_rescale_loss,
    fnn_op_ignore_labels,
    fnn_op_accumulate,
    fnn_op_sparse_accuracy,
    fnn_op_categorical_accuracy,
    fnn_op_binary_accuracy,
    fnn_op_equal_values,
    fnn_op_sparse_top_k,
    fnn_op_categorical_top_k,
    fnn_op_pearson,
    fnn_op_concordance,
    fnn_op_threshold_histogram,
    fnn_op_class_counts,
    fnn_op_confusion_matrix,
    fnn_op_regression_moments,
    fnn_op_top_k_filter,
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
    fnn_op_adafactor_moments,
    fnn_op_adafactor_rows,
    fnn_op_adafactor_direction,
    fnn_op_adafactor_vector,
    fnn_op_adafactor_apply,
    fnn_op_muon_adam,
    fnn_op_muon_momentum,
    fnn_op_muon_start,
    fnn_op_muon_product,
    fnn_op_muon_blend,
    fnn_op_muon_apply,
    fnn_op_join_halves,
    fnn_op_accumulate_gradients,
    fnn_op_sum_squares,
    fnn_op_prepare_update,
    fnn_op_update_numbers,
    fnn_op_average_weights,
    fnn_op_norm_constraint,
    fnn_op_non_negative,
    fnn_op_masked_weights,
    fnn_op_weight_penalty,
    fnn_op_activity_penalty,
    fnn_op_activity_gradient,
    fnn_op_unit_rows,
    fnn_op_orthogonal_penalty,
    fnn_op_add_penalty,
    fnn_op_batchnorm_train,
    fnn_op_batchnorm_backward,
    fnn_op_batchnorm_dense_gradients,
    fnn_op_batchnorm_dense_sums,
    fnn_op_dropout_forward,
    fnn_op_dropout_backward,
    fnn_op_masked_forward,
    fnn_op_noise,
    fnn_op_prelu_gradient,
    fnn_op_rownorm_backward,
    fnn_op_column_gradients,
    fnn_op_embedding_gradient,
    fnn_op_montecarlo,
    fnn_op_random_warp,
    fnn_op_random_intensity,
    fnn_op_mixup,
    fnn_op_replace_features,
    fnn_op_callback,
    fnn_op_batch_size,
    fnn_op_pack_panels,
    fnn_op_unpack_panels,
};
#endif
#pragma GCC diagnostic pop

#ifndef FNN_TRAINING
const fnn_isa FNN_PASTE(fnn_isa_, FNN_ISA) = {
    .name = FNN_TEXT(FNN_ISA),
    .vector_floats = VF,
    .ops = ops,
    .op_count = (int)(sizeof ops / sizeof ops[0]),
};
#endif
#ifndef FNN_INFERENCE
const fnn_training FNN_PASTE(fnn_training_, FNN_ISA) = {
    .ops = training_ops,
    .op_count = (int)(sizeof training_ops / sizeof training_ops[0]),
    .panel_floats = panel_floats,
    .panel_pack = panel_pack,
    .panel_unpack = panel_unpack,
    .peak = peak,
    .shuffle = shuffle,
};
#endif
