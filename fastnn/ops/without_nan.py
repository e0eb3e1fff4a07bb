"""Reductions that leave NaN out, as in `keras.ops`."""

import math

from fastnn.ops.elementwise import divide, isnan, sqrt, square, subtract, where
from fastnn.ops.reductions import all, max, min, prod, sum


def _number(x, instead):
    return where(isnan(x), instead, x)


def nansum(x, axis=None, keepdims=False):
    """`sum` of what is no NaN."""
    return sum(_number(x, 0.0), axis, keepdims)


def nanprod(x, axis=None, keepdims=False):
    """`prod` of what is no NaN."""
    return prod(_number(x, 1.0), axis, keepdims)


def _or_nan(x, value, axis, keepdims):
    """`value`, and NaN where all of `x` is."""
    return where(all(isnan(x), axis, keepdims), math.nan, value)


def nanmax(x, axis=None, keepdims=False):
    """`max` of what is no NaN."""
    return _or_nan(x, max(_number(x, -math.inf), axis, keepdims), axis, keepdims)


def nanmin(x, axis=None, keepdims=False):
    """`min` of what is no NaN."""
    return _or_nan(x, min(_number(x, math.inf), axis, keepdims), axis, keepdims)


def nanmean(x, axis=None, keepdims=False):
    """`mean` of what is no NaN."""
    return divide(nansum(x, axis, keepdims), sum(where(isnan(x), 0.0, 1.0), axis, keepdims))


def nanvar(x, axis=None, keepdims=False):
    """`var` of what is no NaN."""
    return nanmean(square(subtract(x, nanmean(x, axis, True))), axis, keepdims)


def nanstd(x, axis=None, keepdims=False):
    """`std` of what is no NaN."""
    return sqrt(nanvar(x, axis, keepdims))


__all__ = ["nansum", "nanprod", "nanmax", "nanmin", "nanmean", "nanvar", "nanstd"]
