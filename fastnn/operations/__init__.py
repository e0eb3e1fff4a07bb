"""The operations that networks are made of, one file each: shape rule, kernels to emit, gradient."""

from fastnn.operations import (  # noqa: F401  (they register)
    activation,
    activity_penalty,
    affine,
    arrange,
    augment,
    batchnorm,
    dense,
    dense_transpose,
    dot,
    dropout,
    elementwise,
    embedding,
    identity,
    lookup,
    matmul,
    merge,
    noise,
    parameter,
    prelu,
    rearrange,
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
