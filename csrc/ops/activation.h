/* Activations as other operations use them: on a block of a matrix, in place if wanted. */
#ifndef FNN_OPS_ACTIVATION_H
#define FNN_OPS_ACTIVATION_H

#include <stdint.h>

/* Python names them in this order. Up to softplus the derivative is taken from the output; after it the forward pass
 * writes it down, because it costs an exponential that the value costs, too. */
enum {
    ACT_LINEAR,
    ACT_RELU,
    ACT_LEAKY_RELU,
    ACT_ELU,
    ACT_SELU,
    ACT_SIGMOID,
    ACT_TANH,
    ACT_SOFTPLUS,
    ACT_SILU,
    ACT_GELU,
    ACT_GELU_TANH,
    ACT_MISH
};

/* y[rows][n] = act(x[rows][n]); x == y is allowed. Reads and writes whole vectors: up to round_up(n, VF) columns.
 * slope[rows][n] = act'(x[rows][n]), rows ldy apart, if it is not NULL and act comes after softplus. */
static void act_forward_block(int act, float alpha, const float *x, int64_t ldx, float *y, int64_t ldy, float *slope,
                              int64_t rows, int64_t n);

/* dx[rows][n] = dy[rows][n] * act', v[rows][n] being the output or the slope as above; dx == dy is allowed. */
static void act_backward_block(int act, float alpha, const float *v, int64_t ldv, const float *dy, int64_t lddy,
                               float *dx, int64_t lddx, int64_t rows, int64_t n);

#endif
