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
    Input,
    InputLayer,
    LeakyReLU,
    ReLU,
    Reshape,
    Softmax,
)
from fastnn.layers.lookup import IntegerLookup, StringLookup
from fastnn.layers.normalization import BatchNormalization, Normalization, Rescaling
from fastnn.layers.regularization import AlphaDropout, Dropout, GaussianDropout, GaussianNoise
from fastnn.layers.relus import PReLU, RReLU, ThresholdedReLU
from fastnn.layers.row_normalization import (
    GroupNormalization,
    LayerNormalization,
    RMSNormalization,
    UnitNormalization,
)

__all__ = [
    "ELU",
    "Activation",
    "AlphaDropout",
    "BatchNormalization",
    "CategoryEncoding",
    "Dense",
    "Discretization",
    "Dropout",
    "Embedding",
    "Flatten",
    "GaussianDropout",
    "GaussianNoise",
    "GroupNormalization",
    "Input",
    "InputLayer",
    "IntegerLookup",
    "Layer",
    "LayerNormalization",
    "LeakyReLU",
    "MixUp",
    "Normalization",
    "PReLU",
    "RMSNormalization",
    "RReLU",
    "RandomBrightness",
    "RandomContrast",
    "RandomFlip",
    "RandomRotation",
    "RandomTranslation",
    "RandomZoom",
    "ReLU",
    "Rescaling",
    "Reshape",
    "Softmax",
    "StringLookup",
    "ThresholdedReLU",
    "UnitNormalization",
]
