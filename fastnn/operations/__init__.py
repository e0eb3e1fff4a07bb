"""The operations that networks are made of, one file each: shape rule, kernels to emit, gradient."""

from fastnn.operations import (  # noqa: F401  (they register)
    activation,
    affine,
    augment,
    batchnorm,
    dense,
    dropout,
    embedding,
    lookup,
    noise,
    prelu,
    reshape,
    rownorm,
    transpose,
)
from fastnn.operations.base import REGISTRY, Operation, apply, calling, layers_being_called

__all__ = ["REGISTRY", "Operation", "apply", "calling", "layers_being_called"]
