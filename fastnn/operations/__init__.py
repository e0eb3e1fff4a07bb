"""The operations that networks are made of, one file each: shape rule, kernels to emit, gradient."""

from fastnn.operations import (  # noqa: F401  (they register)
    activation,
    activity_penalty,
    added_loss,
    affine,
    arrange,
    augment,
    batchnorm,
    by_mode,
    custom,
    dense,
    dense_transpose,
    dropout,
    elementwise,
    embedding,
    identity,
    lookup,
    matmul,
    noise,
    parameter,
    prelu,
    reduce,
    reshape,
    rownorm,
)
from fastnn.operations.base import (
    REGISTRY,
    Operation,
    apply,
    calling,
    inside_call,
    is_inside_call,
    layers_being_called,
    tracing,
)

__all__ = [
    "REGISTRY",
    "Operation",
    "apply",
    "calling",
    "inside_call",
    "is_inside_call",
    "layers_being_called",
    "tracing",
]
