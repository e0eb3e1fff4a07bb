"""Losses and metrics in float64: the oracle of ``csrc/ops/loss.c`` and ``csrc/ops/metric.c``.

A loss takes ``(rows, n)`` arrays and returns ``(row_loss, gradient)``: the loss of each row, and
its gradient with respect to the row, both without weights. What they mean is what Keras 3 does
(``keras.losses``, JAX backend).
"""

import numpy as np

EPSILON = 1e-7  # keras.config.epsilon()


def one_hot(labels, n):
    return (np.arange(n) == np.asarray(labels)[:, None]).astype(np.float64)


def smoothed(targets, label_smoothing, classes):
    """Targets moved towards the uniform distribution over ``classes``."""
    targets = np.asarray(targets, np.float64)
    return targets * (1 - label_smoothing) + label_smoothing / classes


def softmax_crossentropy(z, targets, label_smoothing=0.0):
    z = np.asarray(z, np.float64)
    t = smoothed(targets, label_smoothing, z.shape[-1])
    shifted = z - z.max(axis=-1, keepdims=True)
    total = np.exp(shifted).sum(axis=-1, keepdims=True)
    with np.errstate(invalid="ignore"):
        product = np.where(t == 0, 0.0, t * (shifted - np.log(total)))
    return -product.sum(axis=-1), np.exp(shifted) / total * t.sum(axis=-1, keepdims=True) - t


def crossentropy(p, targets, label_smoothing=0.0):
    p = np.asarray(p, np.float64)
    t = smoothed(targets, label_smoothing, p.shape[-1])
    total = p.sum(axis=-1, keepdims=True)
    q = p / total
    clipped = np.clip(q, EPSILON, 1 - EPSILON)
    dq = np.where(q == clipped, -t / clipped, 0.0)
    return (
        -(t * np.log(clipped)).sum(axis=-1),
        (dq - (dq * q).sum(axis=-1, keepdims=True)) / total,
    )


def sigmoid_crossentropy(z, targets, label_smoothing=0.0):
    z, t = np.asarray(z, np.float64), smoothed(targets, label_smoothing, 2)
    loss = t * np.logaddexp(0, -z) + (1 - t) * np.logaddexp(0, z)
    return loss.mean(axis=-1), (np.exp(-np.logaddexp(0, -z)) - t) / z.shape[-1]


def binary_crossentropy(p, targets, label_smoothing=0.0):
    p, t = np.asarray(p, np.float64), smoothed(targets, label_smoothing, 2)
    c = np.clip(p, EPSILON, 1 - EPSILON)
    loss = -(t * np.log(c) + (1 - t) * np.log(1 - c))
    return loss.mean(axis=-1), np.where(p == c, (c - t) / (c * (1 - c)), 0.0) / p.shape[-1]


def mean_squared_error(p, targets):
    d = np.asarray(p, np.float64) - targets
    return (d * d).mean(axis=-1), 2 * d / d.shape[-1]


def mean_absolute_error(p, targets):
    d = np.asarray(p, np.float64) - targets
    return np.abs(d).mean(axis=-1), np.sign(d) / d.shape[-1]


def sparse_accuracy(p, labels):
    return (np.argmax(p, axis=-1) == labels).astype(np.float64)


def categorical_accuracy(p, targets):
    return (np.argmax(p, axis=-1) == np.argmax(targets, axis=-1)).astype(np.float64)


def binary_accuracy(p, targets, threshold=0.5):
    return ((np.asarray(p) > threshold) == np.asarray(targets)).mean(axis=-1)
