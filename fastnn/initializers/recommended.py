"""Which initializer suits which activation."""

from fastnn._naming import to_snake_case
from fastnn.initializers import random

# How the variance of the weights keeps that of the activations from growing or vanishing with depth.
_SELF_NORMALISING = ("selu",)
_RECTIFIERS = (
    "celu", "crelu", "elu", "gelu", "hard_silu", "hard_swish", "leaky_relu", "mish", "prelu", "relu", "relu6", "rrelu",
    "silu", "softplus", "sparse_plus", "squareplus", "swish", "thresholded_relu",
)  # fmt: skip
_BALANCED = (
    "glu", "hard_shrink", "hard_sigmoid", "hard_tanh", "linear", "log_sigmoid", "log_softmax", "sigmoid", "soft_shrink",
    "softmax", "softsign", "sparse_sigmoid", "sparsemax", "tanh", "tanh_shrink",
)  # fmt: skip
_SCHEMES = {
    **dict.fromkeys(_SELF_NORMALISING, ("LecunNormal", "LecunUniform")),
    **dict.fromkeys(_RECTIFIERS, ("HeNormal", "HeUniform")),
    **dict.fromkeys(_BALANCED, ("GlorotNormal", "GlorotUniform")),
}


def for_activation(activation, distribution="normal", seed=None):
    """Return the recommended initializer for the kernel of a layer with this activation.

    LeCun's for SELU, which normalises itself for no other (Klambauer et al., "Self-normalizing neural networks",
    NeurIPS 2017); He's for ReLU and what resembles it (ELU, GELU, SiLU, Mish, ...), since a rectifier halves the
    variance (He et al., "Delving deep into rectifiers", ICCV 2015); Glorot's for what is nearly linear around 0 (none,
    tanh, sigmoid, softmax, ...), which balances the variances of the forward and the backward pass (Glorot and Bengio,
    AISTATS 2010).

    Parameters
    ----------
    activation : str, function, layer, class or None
        An activation by any of its spellings; None is the linear one.
    distribution : {"normal", "uniform"}, default "normal"
        The normal one is truncated; both have the same variance.
    seed : int, optional

    Returns
    -------
    Initializer

    Raises
    ------
    ValueError
        If no recommendation is known for the activation, or the distribution is unknown.

    Examples
    --------
    >>> from fastnn import initializers
    >>> type(initializers.for_activation("selu")).__name__
    'LecunNormal'
    """
    if distribution not in ("normal", "uniform"):
        raise ValueError(f"`distribution` must be 'normal' or 'uniform'. Received: distribution={distribution!r}")
    name = _name(activation)
    if name not in _SCHEMES:
        raise ValueError(
            f"No initializer is known to be recommended for activation {activation!r}. Known activations: "
            f"{', '.join(sorted(_SCHEMES))}. Choose one yourself, such as HeNormal for what resembles ReLU."
        )
    return getattr(random, _SCHEMES[name][distribution == "uniform"])(seed=seed)


def _name(activation):
    if activation is None:
        return "linear"
    if not isinstance(activation, str):
        inner = getattr(activation, "activation", None)  # of a layer: Activation("relu"), Dense(3, "relu")
        if inner is not None:
            return _name(inner)
        activation = getattr(activation, "__name__", type(activation).__name__)
    if activation.lower() in _SCHEMES:
        return activation.lower()
    return to_snake_case(activation).replace("re_lu", "relu")
