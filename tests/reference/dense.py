"""The dense layer in float64: the oracle of ``csrc/ops/dense.c`` (and, through it, of ``gemm.c``)."""

import numpy as np


def forward(x_bk, w_kn, bias_n):
    """``x . w + bias``."""
    return x_bk.astype(np.float64) @ w_kn.astype(np.float64) + bias_n


def backward_weights(x_bk, dz_bn):
    """Gradients of the weights and of the bias."""
    return x_bk.T.astype(np.float64) @ dz_bn, dz_bn.sum(axis=0, dtype=np.float64)


def backward_input(dz_bn, w_kn):
    """Gradient of the input."""
    return dz_bn.astype(np.float64) @ w_kn.T
