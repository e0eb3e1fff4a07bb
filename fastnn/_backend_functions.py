"""The mathematics that `keras.backend` had in Keras 2, as books use it (``K.mean(K.square(y_true - y_pred))``): today's
`fastnn.ops` where the two agree, and here the functions whose arguments or defaults were others."""

from fastnn import ops
from fastnn.ops import (
    abs,
    all,
    any,
    cast,
    cos,
    elu,
    equal,
    exp,
    eye,
    greater,
    greater_equal,
    less,
    less_equal,
    log,
    max,
    maximum,
    mean,
    min,
    minimum,
    ndim,
    not_equal,
    one_hot,
    ones,
    ones_like,
    prod,
    reshape,
    round,
    shape,
    sigmoid,
    sign,
    sin,
    softmax,
    softplus,
    softsign,
    square,
    squeeze,
    stack,
    std,
    stop_gradient,
    sum,
    tanh,
    tile,
    transpose,
    var,
    zeros,
    zeros_like,
)
from fastnn.ops import power as pow

__all__ = [
    "abs", "all", "any", "argmax", "argmin", "cast", "clip", "concatenate", "constant", "cos", "cumprod", "cumsum",
    "dot", "elu", "equal", "exp", "expand_dims", "eye", "flatten", "gather", "greater", "greater_equal", "hard_sigmoid",
    "int_shape", "l2_normalize", "less", "less_equal", "log", "max", "maximum", "mean", "min", "minimum", "ndim",
    "not_equal", "one_hot", "ones", "ones_like", "permute_dimensions", "pow", "prod", "reshape", "round", "shape",
    "sigmoid", "sign", "sin", "softmax", "softplus", "softsign", "sqrt", "square", "squeeze", "stack", "std",
    "stop_gradient", "sum", "tanh", "tile", "transpose", "var", "zeros", "zeros_like",
]  # fmt: skip


def argmax(x, axis=-1):
    """`ops.argmax`, of the last axis."""
    return ops.argmax(x, axis)


def argmin(x, axis=-1):
    """`ops.argmin`, of the last axis."""
    return ops.argmin(x, axis)


def clip(x, min_value, max_value):
    """`ops.clip`; None stands for no bound."""
    x = x if min_value is None else ops.maximum(x, min_value)
    return x if max_value is None else ops.minimum(x, max_value)


def concatenate(tensors, axis=-1):
    """`ops.concatenate`, along the last axis."""
    return ops.concatenate(tensors, axis)


def constant(value, dtype=None, shape=None, name=None):
    """`ops.convert_to_tensor`; a number fills a `shape`. The `name` is not kept."""
    return ops.convert_to_tensor(value, dtype) if shape is None else ops.full(shape, value, dtype or "float32")


def cumprod(x, axis=0):
    """`ops.cumprod`."""
    return ops.cumprod(x, axis)


def cumsum(x, axis=0):
    """`ops.cumsum`."""
    return ops.cumsum(x, axis)


def dot(x, y):
    """`ops.dot`: over the last axis of `x` and the last but one of `y`."""
    return ops.dot(x, y)


def expand_dims(x, axis=-1):
    """`ops.expand_dims`, at the end."""
    return ops.expand_dims(x, axis)


def flatten(x):
    """All values in one row; of arrays only, as samples stay apart in a network."""
    return ops.reshape(x, (-1,))


def gather(reference, indices):
    """`ops.take`, along axis 0."""
    return ops.take(reference, indices, axis=0)


def hard_sigmoid(x):
    """``0.2 x + 0.5`` between 0 and 1: steeper than today's `ops.hard_sigmoid`, which has a sixth."""
    return ops.clip(0.2 * ops.convert_to_tensor(x) + 0.5, 0.0, 1.0)


def int_shape(x):
    """The shape as a tuple, None for the samples."""
    return tuple(ops.shape(x))


def l2_normalize(x, axis=None):
    """``x / sqrt(max(sum(x²), 1e-12))``."""
    squares = ops.sum(ops.square(x), axis=axis, keepdims=True)
    return x * ops.rsqrt(ops.maximum(squares, 1e-12))


def permute_dimensions(x, pattern):
    """`ops.transpose`."""
    return ops.transpose(x, pattern)


def sqrt(x):
    """`ops.sqrt`, 0 for negative values."""
    return ops.sqrt(ops.maximum(x, 0.0))
