"""The layers that networks are made of, named as in Keras."""

from fastnn.layers.base import Layer
from fastnn.layers.core import (
    ELU,
    Activation,
    Dense,
    Flatten,
    Input,
    InputLayer,
    Lambda,
    LeakyReLU,
    ReLU,
    Reshape,
    Softmax,
)
from fastnn.layers.normalization import BatchNormalization, Normalization, Rescaling
from fastnn.layers.regularization import Dropout

__all__ = [
    "ELU",
    "Activation",
    "BatchNormalization",
    "Dense",
    "Dropout",
    "Flatten",
    "Input",
    "InputLayer",
    "Lambda",
    "Layer",
    "LeakyReLU",
    "Normalization",
    "ReLU",
    "Rescaling",
    "Reshape",
    "Softmax",
]
