"""The operations that networks are made of, one file each: shape rule, kernels to emit, gradient."""

from fastnn.operations import activation, activity_penalty, affine, batchnorm, dense, dropout, reshape  # noqa: F401  (they register)
from fastnn.operations.base import REGISTRY, Operation, apply, calling, layers_being_called

__all__ = ["REGISTRY", "Operation", "apply", "calling", "layers_being_called"]
