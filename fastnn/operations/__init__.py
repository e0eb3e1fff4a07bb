"""The operations that networks are made of, one file each: shape rule, kernels to emit, gradient."""

from fastnn.operations import (  # noqa: F401  (they register)
    activation,
    affine,
    arrange,
    batchnorm,
    dense,
    dropout,
    elementwise,
    matmul,
    parameter,
    reduce,
    reshape,
)
from fastnn.operations.base import REGISTRY, Operation, apply, calling, layers_being_called, tracing

__all__ = ["REGISTRY", "Operation", "apply", "calling", "layers_being_called", "tracing"]
