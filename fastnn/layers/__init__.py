"""The layers that networks are made of, named as in Keras."""

from fastnn.layers.augmentation import (
    MixUp,
    RandomBrightness,
    RandomContrast,
    RandomFlip,
    RandomRotation,
    RandomTranslation,
    RandomZoom,
)
from fastnn.layers.base import Layer
from fastnn.layers.categories import CategoryEncoding, Discretization, Embedding
from fastnn.layers.core import (
    ELU,
    Activation,
    Dense,
    Flatten,
    Identity,
    Lambda,
    LeakyReLU,
    Permute,
    ReLU,
    RepeatVector,
    Reshape,
    Softmax,
)
from fastnn.layers.einsum_dense import EinsumDense
from fastnn.layers.hashing import HashedCrossing, Hashing
from fastnn.layers.input_spec import InputSpec
from fastnn.layers.inputs import Input, InputLayer
from fastnn.layers.lookup import IntegerLookup, StringLookup
from fastnn.layers.merging import (
    Add,
    Average,
    Concatenate,
    Dot,
    Maximum,
    Minimum,
    Multiply,
    Subtract,
    add,
    average,
    concatenate,
    dot,
    maximum,
    minimum,
    multiply,
    subtract,
)
from fastnn.layers.normalization import BatchNormalization, Normalization, Rescaling
from fastnn.layers.pretraining import DenseTranspose, MaskFeatures
from fastnn.layers.regularization import ActivityRegularization, AlphaDropout, Dropout, GaussianDropout, GaussianNoise
from fastnn.layers.relus import PReLU, RReLU, ThresholdedReLU
from fastnn.layers.row_normalization import (
    GroupNormalization,
    LayerNormalization,
    RMSNormalization,
    UnitNormalization,
)
from fastnn.layers.wrapper import Wrapper

__all__ = [
    "ELU",
    "Activation",
    "ActivityRegularization",
    "Add",
    "AlphaDropout",
    "Average",
    "BatchNormalization",
    "CategoryEncoding",
    "Concatenate",
    "Dense",
    "DenseTranspose",
    "Discretization",
    "Dot",
    "Dropout",
    "EinsumDense",
    "Embedding",
    "Flatten",
    "GaussianDropout",
    "GaussianNoise",
    "GroupNormalization",
    "HashedCrossing",
    "Hashing",
    "Identity",
    "Input",
    "InputLayer",
    "InputSpec",
    "IntegerLookup",
    "Lambda",
    "Layer",
    "LayerNormalization",
    "LeakyReLU",
    "MaskFeatures",
    "Maximum",
    "Minimum",
    "MixUp",
    "Multiply",
    "Normalization",
    "PReLU",
    "Permute",
    "RMSNormalization",
    "RReLU",
    "RandomBrightness",
    "RandomContrast",
    "RandomFlip",
    "RandomRotation",
    "RandomTranslation",
    "RandomZoom",
    "ReLU",
    "RepeatVector",
    "Rescaling",
    "Reshape",
    "Softmax",
    "StringLookup",
    "Subtract",
    "ThresholdedReLU",
    "UnitNormalization",
    "Wrapper",
    "add",
    "average",
    "concatenate",
    "deserialize",
    "dot",
    "maximum",
    "minimum",
    "multiply",
    "serialize",
    "subtract",
]


def serialize(layer):
    """Return a layer's configuration as a dictionary."""
    from fastnn.saving.serialization import serialize_keras_object

    return serialize_keras_object(layer)


def deserialize(config, custom_objects=None):
    """Make a layer from its configuration.

    Parameters
    ----------
    config : dict
        What `serialize` returned, here or in Keras.
    custom_objects : dict of str to class or function, optional
        What names mean that this library does not know.

    Raises
    ------
    ValueError, TypeError
        If it describes no layer that is known.
    """
    from fastnn.saving.serialization import deserialize_keras_object

    layer = deserialize_keras_object(config, custom_objects)
    if not isinstance(layer, Layer):
        raise ValueError(
            f"`keras.layers.deserialize` was passed a `config` object that is not a `keras.layers.Layer`. "
            f"Received: {config}"
        )
    return layer


def __getattr__(name):
    import sys

    raise AttributeError(
        f"module 'fastnn.layers' has no attribute {name!r}: fastnn has the layers of dense networks, no convolutions, "
        "recurrence or attention. docs/keras.md says which of Keras's names are here",
        name=name,
        obj=sys.modules[__name__],  # for Python's "Did you mean"
    )
