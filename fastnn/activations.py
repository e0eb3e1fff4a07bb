"""Activation functions, by name, as functions of arrays and as functions of symbolic tensors.

Each function below takes an array and returns one, or takes a symbolic tensor and adds a node to the graph; a function
of one's own that is composed of them and of `fastnn.ops` can do both as well. The usual ones have kernels
(``csrc/ops/activation.c``); the others are formulas, which become one instruction together with what is elementwise
around them.
"""

import inspect

import numpy as np

from fastnn import _registry
from fastnn.eager import Array
from fastnn.operations import apply
from fastnn.operations.activation import KERNELS
from fastnn.ops import core, elementwise, reductions, shapes
from fastnn.saving.registration import CustomObjectScope, custom_objects_here
from fastnn.saving.serialization import serialize_keras_object


def _elementwise(function, x, alpha=0.0):
    kernel = KERNELS[function][0]
    if core.symbolic(x):
        return apply("activation", [core.tensor(x)], function=function, kernel=kernel, alpha=float(alpha))
    return _on_array("activation_forward", x, {"act": kernel}, {"alpha": float(alpha)})


def _on_array(op, x, dims, scalars):
    from fastnn._engine import kernels

    x = np.asarray(x, np.float32)
    if x.size == 0:
        return x.view(Array)
    matrix = x.reshape(-1, x.shape[-1]) if x.ndim else x.reshape(1, 1)
    rows, n = matrix.shape
    y = kernels.padded(matrix)
    kernels.call(op, rows, {"x": y, "y": y}, {"n": n, "ldx": y.shape[1], "ldy": y.shape[1], **dims}, scalars)
    return np.ascontiguousarray(y[:, :n]).reshape(x.shape).view(Array)


def linear(x):
    """``x`` itself."""
    return core.tensor(x) if core.symbolic(x) else np.asarray(x, np.float32).view(Array)


def relu(x, negative_slope=0.0, max_value=None, threshold=0.0):
    """``max(x, 0)`` (Nair and Hinton, 2010); ``negative_slope * (x - threshold)`` below `threshold`, at most
    `max_value`."""
    if not threshold and max_value is None:
        return leaky_relu(x, negative_slope) if negative_slope else _elementwise("relu", x)
    above = elementwise.where(elementwise.less_equal(x, threshold), 0.0, x) if threshold else _elementwise("relu", x)
    if max_value is not None:
        above = _at_most(float(max_value), above)
    if not negative_slope:
        return above
    below = _elementwise("relu", elementwise.subtract(threshold, x))
    return elementwise.subtract(above, elementwise.multiply(negative_slope, below))


def _at_most(limit, x):
    """``min(x, limit)`` with a slope of 0 at the limit; not a number stays so."""
    return elementwise.where(elementwise.greater_equal(x, limit), limit, x)


def leaky_relu(x, negative_slope=0.2):
    """``x`` above zero, ``negative_slope * x`` below (Maas et al., 2013)."""
    if negative_slope is None or negative_slope < 0:
        raise ValueError(f"leaky_relu: `negative_slope` must be at least 0. Received: negative_slope={negative_slope}")
    return _elementwise("leaky_relu", x, negative_slope)


def elu(x, alpha=1.0):
    """``x`` above zero, ``alpha * (exp(x) - 1)`` below (Clevert et al., 2016)."""
    if alpha is None or alpha < 0:
        raise ValueError(f"elu: `alpha` must be at least 0. Received: alpha={alpha}")
    return _elementwise("elu", x, alpha)


def selu(x):
    """``1.0507 * elu(x, 1.67326)``: keeps mean 0 and variance 1 with LeCun normal weights (Klambauer et al., 2017)."""
    return _elementwise("selu", x)


def sigmoid(x):
    """``1 / (1 + exp(-x))``."""
    return _elementwise("sigmoid", x)


def tanh(x):
    """Hyperbolic tangent."""
    return _elementwise("tanh", x)


def softmax(x, axis=-1):
    """``exp(x) / sum(exp(x))`` over an axis, or some, computed without overflow."""
    if not core.symbolic(x):
        x = np.asarray(x, np.float32)
        if axis in (-1, x.ndim - 1):
            return _on_array("softmax_forward", x, {}, {})
    elif axis in (-1, core.tensor(x).ndim - 1) and core.is_batched(x) and x.ndim > 1:
        return apply("softmax", [x])
    _refuse_samples(x, axis, "softmax")
    e = elementwise.exp(elementwise.subtract(x, elementwise.stop_gradient(reductions.max(x, axis, keepdims=True))))
    return elementwise.divide(e, reductions.sum(e, axis, keepdims=True))


def log_softmax(x, axis=-1):
    """``x - log(sum(exp(x)))`` over an axis."""
    _refuse_samples(x, axis, "log_softmax")
    x = elementwise.subtract(x, elementwise.stop_gradient(reductions.max(x, axis, keepdims=True)))
    total = reductions.sum(elementwise.exp(x), axis, keepdims=True)
    return elementwise.subtract(x, elementwise.log(total))


def sparsemax(x, axis=-1):
    """The nearest distribution, most of whose values are 0 (Martins and Astudillo, ICML 2016).

    Each value is compared with each other one of its row, so it takes time in the square of their number.
    """
    _refuse_samples(x, axis, "sparsemax")
    last = len(core.shape_of(x)) - 1
    axis = core.axis_of(x, axis, "sparsemax")
    if axis != last:
        return shapes.swapaxes(sparsemax(shapes.swapaxes(x, axis, last)), axis, last)
    one, all_others = shapes.expand_dims(x, -1), shapes.expand_dims(x, -2)
    at_least = elementwise.less_equal(one, all_others)
    count = reductions.sum(elementwise.where(at_least, 1.0, 0.0), -1)
    above = reductions.sum(elementwise.where(at_least, all_others, 0.0), -1)
    support = elementwise.where(
        elementwise.less(above, elementwise.add(elementwise.multiply(count, x), 1.0)), 1.0, 0.0
    )  # fmt: skip
    support = elementwise.stop_gradient(support)
    finite = elementwise.maximum(x, -3e38)  # minus infinity has no part, nor is it no number when times 0
    total = reductions.sum(elementwise.multiply(finite, support), -1, keepdims=True)
    bound = elementwise.divide(elementwise.subtract(total, 1.0), reductions.sum(support, -1, keepdims=True))
    return _elementwise("relu", elementwise.subtract(x, bound))


def _refuse_samples(x, axis, name):
    for each in axis if isinstance(axis, (tuple, list)) else [axis]:
        if core.axis_of(x, each, name) == 0 and core.is_batched(x):
            raise ValueError(f"{name}: axis 0 counts the samples; the outputs of a row depend on that row alone.")


def softplus(x):
    """``log(1 + exp(x))``."""
    return _elementwise("softplus", x)


def silu(x):
    """``x * sigmoid(x)``, also known as swish (Ramachandran et al., 2017)."""
    return _elementwise("silu", x)


swish = silu


def gelu(x, approximate=False):
    """``x * Phi(x)``, Phi being the normal distribution function; its tanh approximation if `approximate` (Hendrycks
    and Gimpel, 2016)."""
    return _elementwise("gelu_tanh" if approximate else "gelu", x)


def mish(x):
    """``x * tanh(softplus(x))`` (Misra, 2019)."""
    return _elementwise("mish", x)


def relu6(x):
    """``min(max(x, 0), 6)``."""
    return _at_most(6.0, elementwise.where(elementwise.less_equal(x, 0.0), 0.0, x))


def celu(x, alpha=1.0):
    """``x`` above zero, ``alpha * (exp(x / alpha) - 1)`` below (Barron, 2017)."""
    below = elementwise.multiply(alpha, elementwise.expm1(elementwise.divide(x, alpha)))
    return elementwise.where(elementwise.greater(x, 0.0), x, below)


def glu(x, axis=-1):
    """The first half along an axis times the sigmoid of the second (Dauphin et al., 2017)."""
    axis = core.axis_of(x, axis, "glu")
    if core.shape_of(x)[axis] % 2:
        raise ValueError(f"glu: axis {axis} of shape {core.shape_of(x)} has no halves.")
    a, b = shapes.split(x, 2, axis)
    return elementwise.multiply(a, sigmoid(b))


def softsign(x):
    """``x / (1 + |x|)``."""
    return elementwise.divide(x, elementwise.add(elementwise.abs(x), 1.0))


def squareplus(x, b=4):
    """``(x + sqrt(x^2 + b)) / 2`` (Barron, 2021)."""
    root = elementwise.sqrt(elementwise.add(elementwise.square(x), float(b)))
    return elementwise.multiply(0.5, elementwise.add(x, root))


def soft_shrink(x, threshold=0.5):
    """``x`` moved towards zero by `threshold`, and zero where that would pass it."""
    up, down = elementwise.add(x, threshold), elementwise.subtract(x, threshold)
    low = elementwise.where(elementwise.less(x, -threshold), up, 0.0)
    return elementwise.where(elementwise.greater(x, threshold), down, low)


def hard_shrink(x, threshold=0.5):
    """``x`` where its size is above `threshold`, else 0."""
    return elementwise.where(elementwise.greater(elementwise.abs(x), threshold), x, 0.0)


def tanh_shrink(x):
    """``x - tanh(x)``."""
    return elementwise.subtract(x, tanh(x))


def threshold(x, threshold, default_value):
    """``x`` above `threshold`, else `default_value`."""
    return elementwise.where(elementwise.greater(x, threshold), x, default_value)


def hard_sigmoid(x):
    """``relu6(x + 3) / 6``."""
    return elementwise.divide(relu6(elementwise.add(x, 3.0)), 6.0)


def hard_silu(x):
    """``x * hard_sigmoid(x)``, also known as hard swish (Howard et al., 2019)."""
    return elementwise.multiply(x, hard_sigmoid(x))


hard_swish = hard_silu


def hard_tanh(x):
    """``x``, but at least -1 and at most 1."""
    low = elementwise.where(elementwise.less(x, -1.0), -1.0, x)
    return elementwise.where(elementwise.greater(x, 1.0), 1.0, low)


def log_sigmoid(x):
    """``-softplus(-x)``."""
    return elementwise.negative(softplus(elementwise.negative(x)))


def exponential(x):
    """``exp(x)``."""
    return elementwise.exp(x)


def sparse_plus(x):
    """0 up to -1, ``(x + 1)^2 / 4`` between, ``x`` from 1 on (Blondel et al.)."""
    curve = elementwise.multiply(0.25, elementwise.square(elementwise.add(x, 1.0)))
    high = elementwise.where(elementwise.less_equal(1.0, x), x, curve)
    return elementwise.where(elementwise.less_equal(x, -1.0), 0.0, high)


def sparse_sigmoid(x):
    """0 up to -1, ``(x + 1) / 2`` between, 1 from 1 on: the derivative of `sparse_plus`."""
    return elementwise.multiply(0.5, elementwise.clip(elementwise.add(x, 1.0), 0.0, 2.0))


FUNCTIONS = {
    each.__name__: each
    for each in (
        linear, relu, leaky_relu, relu6, elu, celu, selu, sigmoid, tanh, softmax, log_softmax, sparsemax, softplus,
        silu, gelu, mish, glu, softsign, squareplus, soft_shrink, hard_shrink, tanh_shrink, threshold, hard_sigmoid,
        hard_silu, hard_tanh, log_sigmoid, exponential, sparse_plus, sparse_sigmoid,
    )
}  # fmt: skip
FUNCTIONS |= {"swish": silu, "hard_swish": hard_silu}
__all__ = [*FUNCTIONS, "deserialize", "get", "serialize"]


def get(identifier):
    """The activation that a name, a configuration, a class, a function or None (linear) means.

    Raises
    ------
    ValueError
        For an unknown name.
    """
    if identifier is None:
        return linear
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if isinstance(identifier, str):
        return _registry.get(identifier, FUNCTIONS, "activation function")
    if inspect.isclass(identifier):
        return identifier()
    if callable(identifier):
        return identifier
    raise ValueError(
        "Could not interpret activation function identifier: expected a name, a function or a layer. "
        f"Received: {identifier!r} of type {type(identifier).__name__}"
    )


def serialize(activation):
    """The name of an activation function; the configuration of one that is not from here."""
    name = getattr(activation, "__name__", None)
    return name if FUNCTIONS.get(name) is activation else serialize_keras_object(activation)


def deserialize(config, custom_objects=None):
    """The activation that a name or a configuration means."""
    with CustomObjectScope(custom_objects_here(custom_objects)):
        return _registry.deserialize(config, FUNCTIONS, "activation function")
