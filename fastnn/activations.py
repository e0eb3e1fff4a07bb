"""Activation functions, by name, as functions of arrays and as functions of symbolic tensors.

Each function below takes an array and returns one, or takes a symbolic tensor and adds a node to the graph; a function
of one's own that is composed of them can do both as well. The mathematics is in ``csrc/ops/activation.c``.
"""

import numpy as np

from fastnn import _registry
from fastnn.eager import Array
from fastnn.graph import Tensor
from fastnn.operations import apply
from fastnn.operations.activation import KERNELS
from fastnn.saving.registration import CustomObjectScope, custom_objects_here, get_registered_object
from fastnn.saving.serialization import serialize_keras_object


def _elementwise(function, x, alpha=0.0):
    kernel = KERNELS[function][0]
    if isinstance(x, Tensor):
        return apply("activation", [x], function=function, kernel=kernel, alpha=float(alpha))
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
    return x if isinstance(x, Tensor) else np.asarray(x, np.float32).view(Array)


def relu(x, negative_slope=0.0, max_value=None, threshold=0.0):
    """``max(x, 0)``, or ``negative_slope * x`` below zero (Nair and Hinton, 2010).

    Raises
    ------
    ValueError
        For a `max_value` or a `threshold`: the engine has no kernel for them yet.
    """
    if max_value is not None or threshold != 0.0:
        raise ValueError(
            "relu: `max_value` and `threshold` are not supported yet. "
            f"Received: max_value={max_value}, threshold={threshold}"
        )
    return leaky_relu(x, negative_slope) if negative_slope else _elementwise("relu", x)


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
    """``exp(x) / sum(exp(x))`` over the last axis, computed without overflow."""
    if axis not in (-1, _ndim(x) - 1):
        raise ValueError(f"softmax: only the last axis is supported. Received: axis={axis} for shape {_shape(x)}")
    return apply("softmax", [x]) if isinstance(x, Tensor) else _on_array("softmax_forward", x, {}, {})


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


_FUNCTIONS = {
    each.__name__: each
    for each in (linear, relu, leaky_relu, elu, selu, sigmoid, tanh, softmax, softplus, silu, gelu, mish)
}
_FUNCTIONS["swish"] = silu


def get(identifier):
    """The activation that a name, a function or None (linear) means.

    Raises
    ------
    ValueError
        For an unknown name.
    """
    if identifier is None:
        return linear
    if isinstance(identifier, str):
        found = get_registered_object(identifier, module_objects=_FUNCTIONS)
        if found is None:
            raise ValueError(
                f"Could not interpret activation function identifier: {identifier!r}. Known names: {sorted(_FUNCTIONS)}"
            )
        return found
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if callable(identifier):
        return identifier
    raise ValueError(
        "Could not interpret activation function identifier: expected a name, a function or a layer. "
        f"Received: {identifier!r} of type {type(identifier).__name__}"
    )


def serialize(activation):
    """The name of an activation function; the configuration of one that is not from here."""
    name = getattr(activation, "__name__", None)
    return name if _FUNCTIONS.get(name) is activation else serialize_keras_object(activation)


def deserialize(config, custom_objects=None):
    """The activation that a name or a configuration means."""
    with CustomObjectScope(custom_objects_here(custom_objects)):
        return _registry.deserialize(config, _FUNCTIONS, "activation function")


def _shape(x):
    return x.shape if isinstance(x, Tensor) else np.shape(x)


def _ndim(x):
    return len(_shape(x))
