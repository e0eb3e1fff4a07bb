"""Activations and their derivatives in float64: the oracle of ``csrc/ops/activation.c``.

Every function takes the input ``x``, never the saved output. At infinite ``x`` it gives the limit;
NaN gives NaN.
"""

import math

import numpy as np

SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946
GELU_A = 2 * math.sqrt(2 / math.pi)  # gelu_tanh(x) = x sigmoid(x (A + B x^2))
GELU_B = GELU_A * 0.044715

# In the order of the enum in csrc/ops/activation.h; True where the derivative is taken from the
# output, False where the forward pass gives it, too.
SAVES_OUTPUT = {
    "linear": True,
    "relu": True,
    "leaky_relu": True,
    "elu": True,
    "selu": True,
    "sigmoid": True,
    "tanh": True,
    "softplus": True,
    "silu": False,
    "gelu": False,
    "gelu_tanh": False,
    "mish": False,
}
NAMES = list(SAVES_OUTPUT)
FAR = 300.0  # beyond |x| = FAR every derivative below has reached its limit in float64


def sigmoid(x):
    return np.exp(-np.logaddexp(0, -x))


def softplus(x):
    return np.logaddexp(0, x)


def normal_cdf(x):
    return 0.5 * np.vectorize(math.erfc, otypes=[float])(-x / math.sqrt(2))


def normal_pdf(x):
    return np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)


def _not_below(x):
    """``x``, finite where it goes to minus infinity: there the functions that use this are 0."""
    return np.maximum(x, -1e4)


def forward(name, x, alpha=0.0):
    """``act(x)`` as float64."""
    x = np.asarray(x, np.float64)
    with np.errstate(all="ignore"):
        match name:
            case "linear":
                return x.copy()
            case "relu":
                return np.maximum(x, 0)
            case "leaky_relu":
                return np.where(x > 0, x, alpha * x)
            case "elu":
                return np.where(x > 0, x, alpha * np.expm1(x))
            case "selu":
                return SELU_SCALE * np.where(x > 0, x, SELU_ALPHA * np.expm1(x))
            case "sigmoid":
                return sigmoid(x)
            case "tanh":
                return np.tanh(x)
            case "softplus":
                return softplus(x)
        x = _not_below(x)
        match name:
            case "silu":
                return x * sigmoid(x)
            case "gelu":
                return x * normal_cdf(x)
            case "gelu_tanh":
                return x * sigmoid(x * (GELU_A + GELU_B * x * x))
            case "mish":
                return x * np.tanh(softplus(x))
    raise ValueError(f"No activation of the name {name!r}; expected one of {NAMES}.")


def derivative(name, x, alpha=0.0):
    """``act'(x)`` as float64; at a kink, the derivative from the left."""
    x = np.clip(np.asarray(x, np.float64), -FAR, FAR)
    with np.errstate(under="ignore"):
        match name:
            case "linear":
                return np.ones_like(x)
            case "relu":
                return np.where(x > 0, 1.0, 0.0)
            case "leaky_relu":
                return np.where(x > 0, 1.0, alpha)
            case "elu":
                return np.where(x > 0, 1.0, alpha * np.exp(x))
            case "selu":
                return SELU_SCALE * np.where(x > 0, 1.0, SELU_ALPHA * np.exp(x))
            case "sigmoid":
                return sigmoid(x) * sigmoid(-x)
            case "tanh":
                return 1 / np.cosh(x) ** 2
            case "softplus":
                return sigmoid(x)
            case "silu":
                return sigmoid(x) * (1 + x * sigmoid(-x))
            case "gelu":
                return normal_cdf(x) + x * normal_pdf(x)
            case "gelu_tanh":
                u, slope = x * (GELU_A + GELU_B * x * x), GELU_A + 3 * GELU_B * x * x
                return sigmoid(u) * (1 + x * slope * sigmoid(-u))
            case "mish":
                return np.tanh(softplus(x)) + x * sigmoid(x) / np.cosh(softplus(x)) ** 2
    raise ValueError(f"No activation of the name {name!r}; expected one of {NAMES}.")


def softmax(x):
    """Softmax along the last axis."""
    x = np.asarray(x, np.float64)
    with np.errstate(invalid="ignore"):
        e = np.exp(x - x.max(axis=-1, keepdims=True))
        return e / e.sum(axis=-1, keepdims=True)


def softmax_backward(y, dy):
    """The gradient with respect to softmax's input, from its output."""
    y, dy = np.asarray(y, np.float64), np.asarray(dy, np.float64)
    return y * (dy - (y * dy).sum(axis=-1, keepdims=True))
