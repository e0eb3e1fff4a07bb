# ruff: noqa: F401
"""Mathematics of one's own, with the names of `keras.ops`: on symbolic tensors it becomes part of the compiled
network, on arrays it is computed at once.

Elementwise functions that follow each other become one instruction of the engine; gradients are derived
symbolically. In a graph every number is a float32, truth is 1.0.
"""

from fastnn.ops.composed import *  # noqa: F403
from fastnn.ops.custom import custom_gradient, python_callback
from fastnn.ops.elementwise import *  # noqa: F403
from fastnn.ops.nn import *  # noqa: F403
from fastnn.ops.operators import install as _install
from fastnn.ops.products import dot, einsum, matmul, outer, tensordot, vdot
from fastnn.ops.reductions import (
    all,
    amax,
    amin,
    any,
    argmax,
    argmin,
    average,
    count_nonzero,
    logsumexp,
    max,
    mean,
    min,
    moments,
    norm,
    normalize,
    prod,
    std,
    sum,
    var,
)
from fastnn.ops.shapes import (
    append,
    arange,
    broadcast_to,
    concatenate,
    convert_to_numpy,
    convert_to_tensor,
    expand_dims,
    eye,
    flip,
    full,
    full_like,
    hstack,
    identity,
    is_tensor,
    linspace,
    moveaxis,
    ndim,
    one_hot,
    ones,
    ones_like,
    repeat,
    reshape,
    shape,
    size,
    slice,
    split,
    squeeze,
    stack,
    swapaxes,
    take,
    take_along_axis,
    tile,
    transpose,
    unstack,
    zeros,
    zeros_like,
)
from fastnn.ops.without_nan import *  # noqa: F403

array = convert_to_tensor

_install()


def __getattr__(name):
    """The activations, which are made of the functions above."""
    from fastnn import activations

    if name in activations.FUNCTIONS:
        return activations.FUNCTIONS[name]
    import sys

    here = sys.modules[__name__]  # for Python's "Did you mean"
    raise AttributeError(f"fastnn.ops has no function {name!r}", name=name, obj=here)


def __dir__():
    from fastnn import activations

    return sorted({*globals(), *activations.FUNCTIONS})
