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
    return np.abs(d).mean(axis=-1), np.where(d > 0, 1.0, -1.0) / d.shape[-1]  # -1 at 0: JAX's |t - p|


def huber(p, targets, delta=1.0):
    size = np.abs(p - targets)
    return np.where(size <= delta, size**2 / 2, delta * size - delta**2 / 2).mean(axis=-1)


def log_cosh(p, targets):
    d = p - targets
    return (np.logaddexp(d, -d) - np.log(2)).mean(axis=-1)


def mean_absolute_percentage_error(p, targets):
    return 100 * (np.abs(p - targets) / np.maximum(np.abs(targets), EPSILON)).mean(axis=-1)


def mean_squared_logarithmic_error(p, targets):
    return ((np.log1p(np.maximum(p, EPSILON)) - np.log1p(np.maximum(targets, EPSILON))) ** 2).mean(axis=-1)


def poisson(p, targets):
    return (p - targets * np.log(p + EPSILON)).mean(axis=-1)


def hinge(p, targets, power=1):
    signs = 2 * targets - 1 if np.isin(targets, (0, 1)).all() else targets
    return (np.maximum(1 - signs * p, 0) ** power).mean(axis=-1)


def squared_hinge(p, targets):
    return hinge(p, targets, 2)


def categorical_hinge(p, targets):
    return np.maximum(((1 - targets) * p).max(axis=-1) - (targets * p).sum(axis=-1) + 1, 0)


def kl_divergence(p, targets):
    p, t = np.clip(p, EPSILON, 1), np.clip(targets, EPSILON, 1)
    return (t * np.log(t / p)).sum(axis=-1)


def cosine_similarity(p, targets):
    norms = [np.maximum(np.linalg.norm(each, axis=-1), EPSILON) for each in (p, targets)]
    return -(p * targets).sum(axis=-1) / norms[0] / norms[1]


def binary_focal_crossentropy(p, targets, label_smoothing=0.0, gamma=2.0, alpha=-1.0, from_logits=0):
    p = 1 / (1 + np.exp(-p)) if from_logits else p
    t = smoothed(targets, label_smoothing, 2)
    c = np.clip(p, EPSILON, 1 - EPSILON)
    value = -(t * np.log(c) + (1 - t) * np.log(1 - c)) * (1 - t * p - (1 - t) * (1 - p)) ** gamma
    return (value * (1 if alpha < 0 else t * alpha + (1 - t) * (1 - alpha))).mean(axis=-1)


def categorical_focal_crossentropy(p, targets, label_smoothing=0.0, gamma=2.0, alpha=0.25, from_logits=0):
    t = smoothed(targets, label_smoothing, p.shape[-1])
    p = np.exp(p - p.max(axis=-1, keepdims=True)) if from_logits else p
    q = np.clip(p / p.sum(axis=-1, keepdims=True), EPSILON, 1 - EPSILON)
    return (-alpha * (1 - q) ** gamma * t * np.log(q)).sum(axis=-1)


def generalized_crossentropy(p, targets, q=0.5):
    return (1 - (p * targets).sum(axis=-1) ** q) / q


def tversky(p, targets, alpha=0.5, beta=0.5, epsilon=EPSILON, whole=0):
    axis = None if whole else -1
    both = (p * targets).sum(axis=axis)
    missed, invented = ((1 - p) * targets).sum(axis=axis), (p * (1 - targets)).sum(axis=axis)
    return (1 - both / (both + alpha * missed + beta * invented + epsilon)) * np.ones(len(p))


def sparse_accuracy(p, labels):
    return (np.argmax(p, axis=-1) == labels).astype(np.float64)


def categorical_accuracy(p, targets):
    return (np.argmax(p, axis=-1) == np.argmax(targets, axis=-1)).astype(np.float64)


def binary_accuracy(p, targets, threshold=0.5):
    return ((np.asarray(p) > threshold) == np.asarray(targets)).mean(axis=-1)


def circle(p, labels, gamma, margin, remove_diagonal, others=None, other_labels=None):
    """The loss of each row alone: differences make a gradient of it."""
    p = np.asarray(p, np.float64)
    others, other_labels = (p, labels) if others is None else (np.asarray(others, np.float64), other_labels)
    d = np.maximum(1 - p @ others.T, 0)
    same = labels[:, None] == other_labels
    pull = -gamma * np.maximum(margin + d, 0) * (margin - d)
    push = gamma * np.maximum(1 + margin - d, 0) * (1 - margin - d)
    total = np.zeros(len(p))
    for logits, pairs in (pull, same & ~np.eye(*d.shape, dtype=bool) if remove_diagonal else same), (push, ~same):
        total += np.logaddexp.reduce(np.where(pairs, logits, -np.inf), axis=1)
    return np.logaddexp(0, total)
