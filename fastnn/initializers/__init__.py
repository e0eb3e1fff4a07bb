"""Starting values of weights.

An initializer is called with a shape and returns a float32 array. Those that draw random numbers
hold one seed, taken from the session's seed stream when none is given, so that (as in Keras 3) the
same instance called twice gives the same values, and two instances give different ones.

References
----------
Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks",
AISTATS 2010. He et al., "Delving deep into rectifiers", ICCV 2015. LeCun et al., "Efficient
BackProp", 1998; used by Klambauer et al., "Self-normalizing neural networks", NeurIPS 2017.
"""

import numpy as np

from fastnn import _registry
from fastnn._naming import to_snake_case
from fastnn.initializers.base import Constant, Identity, Initializer, Ones, Zeros, as_dtype, as_shape
from fastnn.initializers.random import (
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LecunNormal,
    LecunUniform,
    Orthogonal,
    RandomInitializer,
    RandomNormal,
    RandomUniform,
    TruncatedNormal,
    VarianceScaling,
)
from fastnn.initializers.recommended import for_activation

__all__ = [
    "Constant",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Identity",
    "IdentityInitializer",
    "Initializer",
    "LecunNormal",
    "LecunUniform",
    "Ones",
    "Orthogonal",
    "OrthogonalInitializer",
    "RandomInitializer",
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
    "VarianceScaling",
    "Zeros",
    "constant",
    "deserialize",
    "for_activation",
    "get",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "identity",
    "lecun_normal",
    "lecun_uniform",
    "ones",
    "orthogonal",
    "random_normal",
    "random_uniform",
    "serialize",
    "truncated_normal",
    "variance_scaling",
    "zeros",
]

# Keras spells every initializer in snake_case too, as an attribute and as a string.
constant = Constant
glorot_normal = GlorotNormal
glorot_uniform = GlorotUniform
he_normal = HeNormal
he_uniform = HeUniform
identity = Identity
lecun_normal = LecunNormal
lecun_uniform = LecunUniform
ones = Ones
orthogonal = Orthogonal
random_normal = RandomNormal
random_uniform = RandomUniform
truncated_normal = TruncatedNormal
variance_scaling = VarianceScaling
zeros = Zeros
IdentityInitializer = Identity
OrthogonalInitializer = Orthogonal

_CLASSES = (
    Constant,
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    Identity,
    LecunNormal,
    LecunUniform,
    Ones,
    Orthogonal,
    RandomNormal,
    RandomUniform,
    TruncatedNormal,
    VarianceScaling,
    Zeros,
)
_OBJECTS = {
    **{cls.__name__: cls for cls in _CLASSES},
    **{to_snake_case(cls.__name__): cls for cls in _CLASSES},
    "IdentityInitializer": Identity,
    "OrthogonalInitializer": Orthogonal,
    "normal": RandomNormal,
    "one": Ones,
    "uniform": RandomUniform,
    "zero": Zeros,
}


def serialize(initializer):
    """Return an initializer's configuration as a dictionary."""
    return _registry.serialize(initializer)


def deserialize(config, custom_objects=None):
    """Make an initializer from its configuration."""
    return _registry.deserialize(config, {**_OBJECTS, **(custom_objects or {})}, "initializer")


def get(identifier):
    """Return the initializer that `identifier` means.

    Parameters
    ----------
    identifier : str, dict, class, callable, array or None
        A name ("he_normal" or "HeNormal"), a configuration, an `Initializer` class or instance, a
        function of ``(shape, dtype=None)``, or the values themselves.

    Raises
    ------
    ValueError
        If the identifier is unknown.
    """
    if isinstance(identifier, (np.ndarray, np.generic)):
        return _from_values(np.asarray(identifier))
    return _registry.get(identifier, _OBJECTS, "initializer")


def _from_values(values):
    def initializer(shape, dtype=None):
        if values.shape != as_shape(shape):
            raise ValueError(
                f"Expected `shape` to be {values.shape}, the shape of the array given as "
                f"initializer. Received: shape={as_shape(shape)}"
            )
        return values.astype(as_dtype(dtype))

    return initializer
