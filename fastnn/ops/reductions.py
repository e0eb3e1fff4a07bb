"""Sums, means, extremes and what is made of them, as in `keras.ops`.

A reduction over axis 0, or over all axes (``axis=None``), is one over the samples of the batch: what comes of it
belongs to no sample, so the outputs of a network cannot depend on it, but losses can.
"""

import numpy as np

from fastnn.operations import apply
from fastnn.ops.core import array, axis_of, is_batched, result, shape_of, symbolic, tensor
from fastnn.ops.elementwise import (
    abs,
    cast,
    divide,
    equal,
    exp,
    log,
    maximum,
    minimum,
    multiply,
    power,
    sqrt,
    square,
    stop_gradient,
    subtract,
    where,
)

_builtin_sum, _builtin_max, _builtin_min, _builtin_any, _builtin_all = sum, max, min, any, all


def _axes(x, axis, name):
    axes = range(len(shape_of(x))) if axis is None else axis if isinstance(axis, (tuple, list)) else [axis]
    return sorted({axis_of(x, each, name) for each in axes}, reverse=True)


def _reduce(kind, x, axis, keepdims):
    if not symbolic(x):
        return result(
            getattr(np, kind)(array(x), axis=tuple(axis) if isinstance(axis, list) else axis, keepdims=keepdims)
        )
    x = tensor(x)
    for each in _axes(x, axis, kind):
        x = apply("reduce", [x], kind=kind, axis=each, keepdims=bool(keepdims))
    return x


def sum(x, axis=None, keepdims=False):
    """The sum over one axis, some, or all."""
    return _reduce("sum", x, axis, keepdims)


def max(x, axis=None, keepdims=False, initial=None):
    """The largest value, and at least `initial`; those that are equal to it share its gradient."""
    found = _reduce("max", x, axis, keepdims)
    return found if initial is None else maximum(found, initial)


def min(x, axis=None, keepdims=False, initial=None):
    """The smallest value, and at most `initial`; those that are equal to it share its gradient."""
    found = _reduce("min", x, axis, keepdims)
    return found if initial is None else minimum(found, initial)


amax, amin = max, min


def _count(x, axis, name):
    """How many values a reduction takes in: a number, times the samples where there are some."""
    sizes = [shape_of(x)[each] for each in _axes(x, axis, name)]
    known = int(np.prod([each for each in sizes if each is not None], dtype=np.int64))
    return multiply(float(known), apply("batch_size", [])) if None in sizes else float(known)


def mean(x, axis=None, keepdims=False):
    """The mean over one axis, some, or all."""
    total = sum(x, axis, keepdims)
    count = _count(x, axis, "mean")
    return multiply(total, 1 / count) if isinstance(count, float) and symbolic(x) else divide(total, count)


def average(x, axis=None, weights=None):
    """The mean, each value counting as much as its weight: weights in the shape of `x`, or one for each place of
    `axis`."""
    from fastnn.ops.shapes import reshape

    if weights is None:
        return mean(x, axis)
    if len(shape_of(weights)) != len(shape_of(x)):
        place = axis_of(x, axis, "average")
        weights = reshape(weights, (-1,) + (1,) * (len(shape_of(x)) - 1 - place))
    return divide(sum(multiply(x, weights), axis), sum(multiply(weights, subtract(x, x) + 1.0), axis))


def var(x, axis=None, keepdims=False):
    """The mean square of what is left without the mean."""
    return mean(square(subtract(x, mean(x, axis, keepdims=True))), axis, keepdims)


def std(x, axis=None, keepdims=False):
    """The square root of `var`."""
    return sqrt(var(x, axis, keepdims))


def moments(x, axes, keepdims=False, synchronized=False):
    """Mean and variance."""
    return mean(x, axes, keepdims), var(x, axes, keepdims)


def logsumexp(x, axis=None, keepdims=False):
    """``log(sum(exp(x)))`` without overflow."""
    from fastnn.ops.elementwise import add
    from fastnn.ops.shapes import squeeze

    largest = stop_gradient(max(x, axis, keepdims=True))
    value = add(log(sum(exp(subtract(x, largest)), axis, keepdims=True)), largest)
    if keepdims:
        return value
    for each in _axes(x, axis, "logsumexp"):
        value = squeeze(value, each)
    return value


def norm(x, ord=None, axis=None, keepdims=False):
    """The length of vectors: of order 2 (the default), 1, infinity, or any other number."""
    if ord in (None, 2, "fro"):
        return sqrt(sum(square(x), axis, keepdims))
    if ord == 1:
        return sum(abs(x), axis, keepdims)
    if ord in (np.inf, -np.inf):
        return (max if ord > 0 else min)(abs(x), axis, keepdims)
    if not isinstance(ord, (int, float)) or ord == 0:
        raise ValueError(f"ops.norm: `ord` must be a number but 0, or infinity. Received: ord={ord!r}")
    return power(sum(power(abs(x), ord), axis, keepdims), 1 / ord)


def normalize(x, axis=-1, order=2, epsilon=None):
    """Vectors of length 1; of a shorter one than `epsilon` (1e-7 by default) that part."""
    return divide(x, maximum(norm(x, order, axis, keepdims=True), 1e-7 if epsilon is None else epsilon))


def prod(x, axis=None, keepdims=False, dtype=None):
    """The product, by multiplying the first half with the second: its gradient needs no division."""
    from fastnn.ops.shapes import concatenate, reshape, slice_axis

    x = x if dtype is None else cast(x, dtype)
    if not symbolic(x):
        return _reduce("prod", x, axis, keepdims)
    x = tensor(x)
    kept = list(x.shape)
    axes = _axes(x, axis, "prod")
    if 0 in axes and is_batched(x):
        raise ValueError("ops.prod: there is no product over the samples of a batch. Give `axis`.")
    for each in axes:
        while x.shape[each] > 1:
            half = x.shape[each] // 2
            left = slice_axis(x, each, 2 * half, x.shape[each])
            x = multiply(slice_axis(x, each, 0, half), slice_axis(x, each, half, 2 * half))
            x = x if left is None else concatenate([x, left], each)
        kept[each] = 1 if keepdims else 0
    return reshape(x, [-1 if size is None else size for size in kept if size != 0])


def any(x, axis=None, keepdims=False):
    """1 where one of the values is not 0."""
    return max(where(equal(x, 0.0), 0.0, 1.0), axis, keepdims)


def all(x, axis=None, keepdims=False):
    """1 where none of the values is 0."""
    return min(where(equal(x, 0.0), 0.0, 1.0), axis, keepdims)


def count_nonzero(x, axis=None):
    """How many of the values are not 0."""
    return sum(where(equal(x, 0.0), 0.0, 1.0), axis)


def _place(kind, x, axis, keepdims):
    from fastnn.ops.shapes import reshape, swapaxes

    if not symbolic(x):
        return result(getattr(np, kind)(array(x), axis=axis, keepdims=keepdims))
    x = tensor(x)
    if axis is None:
        if is_batched(x):
            raise ValueError(f"ops.{kind}: give `axis`: a place among all samples is no number of a network.")
        x, axis = reshape(x, (-1,)), 0
    axis, last = axis_of(x, axis, kind), x.ndim - 1
    if axis == 0 and is_batched(x):
        raise ValueError(f"ops.{kind}: not over the samples of a batch (axis 0).")
    if axis == last:
        return apply("reduce", [x], kind=kind, axis=axis, keepdims=bool(keepdims))
    value = apply("reduce", [swapaxes(x, axis, last)], kind=kind, axis=last, keepdims=True)
    value = swapaxes(value, axis, last)
    return value if keepdims else reshape(value, [-1 if s is None else s for i, s in enumerate(x.shape) if i != axis])


def argmax(x, axis=None, keepdims=False):
    """The place of the first largest value along an axis."""
    return _place("argmax", x, axis, keepdims)


def argmin(x, axis=None, keepdims=False):
    """The place of the first smallest value along an axis."""
    return _place("argmin", x, axis, keepdims)
