"""Functions of `keras.ops` that networks are named after. Those with kernels of their own are
`fastnn.activations`'s."""

from fastnn.ops.core import shape_of
from fastnn.ops.elementwise import abs, clip, divide, log, maximum, multiply, negative, square, subtract, where
from fastnn.ops.elementwise import less as _less
from fastnn.ops.reductions import mean, sum
from fastnn.ops.reductions import var as _var
from fastnn.ops.shapes import one_hot


def gelu(x, approximate=True):
    """`fastnn.activations.gelu`, here approximated by default, as in Keras."""
    from fastnn import activations  # here and below: they are made of functions of `fastnn.ops` themselves

    return activations.gelu(x, approximate)


def binary_crossentropy(target, output, from_logits=False):
    """``-t log(p) - (1 - t) log(1 - p)`` of each value."""
    if from_logits:
        from fastnn.activations import relu, softplus

        return relu(output) - multiply(output, target) + softplus(negative(abs(output)))
    output = clip(output, 1e-7, 1 - 1e-7)
    return negative(multiply(target, log(output)) + multiply(subtract(1.0, target), log(subtract(1.0, output))))


def categorical_crossentropy(target, output, from_logits=False, axis=-1):
    """``-sum(t log(p))`` over an axis."""
    if from_logits:
        from fastnn.activations import log_softmax

        return negative(sum(multiply(target, log_softmax(output, axis)), axis))
    output = clip(divide(output, sum(output, axis, keepdims=True)), 1e-7, 1 - 1e-7)
    return negative(sum(multiply(target, log(output)), axis))


def sparse_categorical_crossentropy(target, output, from_logits=False, axis=-1):
    """`categorical_crossentropy` for class numbers."""
    if len(shape_of(target)) == len(shape_of(output)) and shape_of(target)[-1] == 1:
        from fastnn.ops.shapes import squeeze

        target = squeeze(target, -1)
    return categorical_crossentropy(one_hot(target, shape_of(output)[axis]), output, from_logits, axis)


def huber(error, delta=1.0):
    """Half the square of small errors, linear in large ones."""
    size = abs(error)
    return where(_less(size, delta), multiply(0.5, square(error)), multiply(delta, subtract(size, 0.5 * delta)))


def l2_normalize(x, axis=-1, epsilon=1e-12):
    """Vectors of length 1."""
    return divide(x, maximum(sum(square(x), axis, keepdims=True), epsilon) ** 0.5)


def layer_normalization(x, gamma=None, beta=None, axis=-1, epsilon=None):
    """Mean 0 and variance 1 along an axis, then a scale and a shift. `epsilon` is 1e-7 by default."""
    epsilon = 1e-7 if epsilon is None else epsilon
    y = subtract(x, mean(x, axis, keepdims=True)) / (_var(x, axis, keepdims=True) + epsilon) ** 0.5
    y = y if gamma is None else multiply(y, gamma)
    return y if beta is None else y + beta


def multi_hot(inputs, num_classes=None, axis=-1, dtype=None, sparse=False):
    """1 at each place that occurs among a row's values."""
    from fastnn.ops.reductions import max

    if num_classes is None:
        raise ValueError("Argument `num_classes` must be passed.")
    found = one_hot(inputs, num_classes, axis, dtype, sparse)
    return max(found, 1 if len(shape_of(inputs)) > 1 else 0)


__all__ = [
    "binary_crossentropy",
    "categorical_crossentropy",
    "gelu",
    "huber",
    "l2_normalize",
    "layer_normalization",
    "multi_hot",
    "sparse_categorical_crossentropy",
]
