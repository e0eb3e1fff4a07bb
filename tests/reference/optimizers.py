"""Optimizer updates in float64: the oracle of ``csrc/ops/optimizer.c``. They return new arrays."""

import numpy as np


def sgd(param, grad, learning_rate, momentum=None, momentum_factor=0.0, nesterov=False):
    """``(param, momentum)`` after one step; ``momentum`` None for the plain method."""
    step = learning_rate * np.asarray(grad, np.float64)
    if momentum is None:
        return param - step, None
    momentum = momentum_factor * np.asarray(momentum, np.float64) - step
    return param + (momentum_factor * momentum - step if nesterov else momentum), momentum


def adam(param, grad, m, v, vmax, learning_rate, t, beta_1, beta_2, epsilon):
    """``(param, m, v, vmax)`` after step ``t`` (from 1); ``vmax`` None without AMSGrad."""
    grad = np.asarray(grad, np.float64)
    m = beta_1 * np.asarray(m, np.float64) + (1 - beta_1) * grad
    v = beta_2 * np.asarray(v, np.float64) + (1 - beta_2) * grad**2
    if vmax is not None:
        vmax = np.maximum(vmax, v)
    alpha = learning_rate * np.sqrt(1 - beta_2**t) / (1 - beta_1**t)
    return param - alpha * m / (np.sqrt(v if vmax is None else vmax) + epsilon), m, v, vmax
