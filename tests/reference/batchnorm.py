"""Batch normalisation in float64: the oracle of ``csrc/ops/batchnorm.c``."""

import numpy as np


def statistics(x):
    x = np.asarray(x, np.float64)
    return x.mean(axis=0), x.var(axis=0)


def normalised(x, mean, variance, epsilon):
    return (np.asarray(x, np.float64) - mean) / np.sqrt(np.asarray(variance, np.float64) + epsilon)


def forward(x, gamma, beta, mean, variance, epsilon):
    return normalised(x, mean, variance, epsilon) * gamma + beta


def moved(moving, statistic, momentum):
    return np.asarray(moving, np.float64) * momentum + statistic * (1 - momentum)


def backward(x, gamma, dy, mean, variance, epsilon, batch_statistics=True):
    """``(dx, dgamma, dbeta)``, written out from the definition: dy through each path to x."""
    x, dy = np.asarray(x, np.float64), np.asarray(dy, np.float64)
    rows = len(x)
    std = np.sqrt(np.asarray(variance, np.float64) + epsilon)
    xhat = (x - mean) / std
    dxhat = dy * gamma
    dx = dxhat / std
    if batch_statistics:
        dvariance = (dxhat * (x - mean)).sum(axis=0) * -0.5 / std**3
        dmean = -(dxhat / std).sum(axis=0) - 2 * dvariance * (x - mean).mean(axis=0)
        dx = dx + dvariance * 2 * (x - mean) / rows + dmean / rows
    return dx, (dy * xhat).sum(axis=0), dy.sum(axis=0)
