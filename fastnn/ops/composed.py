"""Functions of `keras.ops` that are composed of the others: pieces and joints, triangles, sums without NaN, ranks."""

import builtins
import math

import numpy as np

from fastnn.graph import Tensor
from fastnn.ops.core import array, axis_of, is_batched, refuse_batch_axis, result, shape_of, symbolic, tensor
from fastnn.ops.elementwise import (
    abs,
    add,
    cast,
    equal,
    greater,
    isfinite,
    isnan,
    less_equal,
    logical_and,
    logical_or,
    multiply,
    rsqrt,
    square,
    subtract,
    where,
)
from fastnn.ops.products import matmul
from fastnn.ops.reductions import all, argmax, max, mean, min, sum
from fastnn.ops.shapes import (
    concatenate,
    expand_dims,
    flip,
    full_like,
    getitem,
    moveaxis,
    one_hot,
    reshape,
    split,
    stack,
    take_along_axis,
    transpose,
)

_slice = slice

# ---- as they are -----------------------------------------------------------------------------------------------------


def copy(x):
    """Another array of the same values; a tensor is its own copy."""
    return tensor(x) if symbolic(x) else result(array(x).copy())


def dtype(x):
    """The name of the type of the values: of a tensor always "float32"."""
    return str(x.dtype) if hasattr(x, "dtype") else result(array(x)).dtype.name


def empty(shape, dtype=None):
    """An array of a known shape whose values say nothing (they are 0)."""
    return result(np.zeros(shape, dtype or "float32"))


def empty_like(x, dtype=None):
    """An array in the shape of `x` whose values say nothing (they are 0)."""
    return full_like(x, 0.0, dtype)


def get_item(x, key):
    """``x[key]``."""
    return getitem(tensor(x), key) if symbolic(x) else result(array(x)[key])


def saturate_cast(x, dtype):
    """`cast`, of values that are cut off at what the type can hold."""
    if not symbolic(x) and np.dtype(dtype).kind in "iu":
        limits = np.iinfo(dtype)
        # The nearest float32 may lie outside: the bounds are compared as Python's integers.
        values = np.clip(np.nan_to_num(np.asarray(array(x), np.float64)), limits.min, limits.max)
        return result(values.astype(dtype))
    return cast(x, dtype)


# ---- pieces and joints -----------------------------------------------------------------------------------------------


def ravel(x):
    """All values in one row; of a batch each sample's, as there is no row that holds all samples of a traced one."""
    if symbolic(x) and is_batched(tensor(x)):
        raise ValueError(
            f"ops.ravel: {x!r} is a batch, whose samples cannot become one row in a traced function. Use "
            "ops.reshape(x, (-1, n)) for a row of each sample."
        )
    return reshape(x, (-1,))


def vstack(xs):
    """Joined along axis 0; vectors are rows."""
    return concatenate([expand_dims(each, 0) if len(shape_of(each)) < 2 else each for each in xs], 0)


def dstack(xs):
    """Joined along axis 2, which vectors and matrices get first."""
    if not symbolic(*xs):
        return result(np.dstack([array(each) for each in xs]))
    return concatenate([expand_dims(each, -1) if len(shape_of(each)) < 3 else each for each in map(tensor, xs)], 2)


def array_split(x, indices_or_sections, axis=0):
    """`split` into parts that need not be equal: the first ones are longer by one."""
    if not isinstance(indices_or_sections, int):
        return split(x, indices_or_sections, axis)
    size = shape_of(x)[axis_of(x, axis, "array_split")]
    if size is None:
        refuse_batch_axis(x, 0, "array_split")
    short, longer = divmod(size, indices_or_sections)
    sizes = [short + 1] * longer + [short] * (indices_or_sections - longer)
    return split(x, np.cumsum(sizes)[:-1].tolist(), axis)


def hsplit(x, indices_or_sections):
    """`split` along axis 1, or 0 of a vector."""
    return split(x, indices_or_sections, 0 if len(shape_of(x)) == 1 else 1)


def vsplit(x, indices_or_sections):
    """`split` along axis 0."""
    return split(x, indices_or_sections, 0)


def dsplit(x, indices_or_sections):
    """`split` along axis 2."""
    return split(x, indices_or_sections, 2)


def fliplr(x):
    """Reversed along axis 1."""
    return flip(x, 1)


def flipud(x):
    """Reversed along axis 0."""
    return flip(x, 0)


def pad(x, pad_width, mode="constant", constant_values=None):
    """More values at the ends of axes.

    Parameters
    ----------
    x : Tensor or array_like
    pad_width : int, pair, or sequence of pairs
        How many before and behind: for all axes, or for each.
    mode : {"constant", "reflect", "symmetric"}
        What lies there: a number; the values mirrored at the last one; or mirrored behind the last one.
    constant_values : float, default 0
    """
    if mode != "constant" and constant_values is not None:
        raise ValueError(
            f"Argument `constant_values` can only be provided when `mode == 'constant'`. Received: mode={mode!r}"
        )
    value = 0.0 if constant_values is None else constant_values
    if not symbolic(x):
        options = {"constant_values": value} if mode == "constant" else {}
        return result(np.pad(array(x), pad_width, mode, **options))
    if mode not in ("constant", "reflect", "symmetric"):
        raise ValueError(f"ops.pad: `mode` must be 'constant', 'reflect' or 'symmetric'. Received: mode={mode!r}")
    x = tensor(x)
    for axis, (before, behind) in enumerate(np.broadcast_to(pad_width, (x.ndim, 2)).tolist()):
        if before or behind:
            refuse_batch_axis(x, axis, "pad")
        parts = [_beside(x, axis, before, mode, value), x, _beside(x, axis, -behind, mode, value)]
        parts = [each for each in parts if each is not None]
        x = concatenate(parts, axis) if len(parts) > 1 else x
    return x


def _beside(x, axis, count, mode, value):
    """So many values that lie before a tensor along an axis, or behind it if the number is negative."""
    if count == 0:
        return None
    all_before = (_slice(None),) * axis
    if mode == "constant":
        sizes = [1 if size is None else size for size in x.shape]
        block = np.full([*sizes[:axis], builtins.abs(count), *sizes[axis + 1 :]], value, np.float32)
        return where(1.0, block, getitem(x, (*all_before, _slice(0, 1)))) if is_batched(x) else block
    gap, size = int(mode == "reflect"), x.shape[axis]
    if builtins.abs(count) + gap > size:
        raise ValueError(f"ops.pad: {builtins.abs(count)} values cannot be mirrored of an axis of {size}.")
    places = range(gap + count - 1, gap - 1, -1) if count > 0 else range(size - gap - 1, size - gap - 1 + count, -1)
    stop = places.stop if places.stop >= 0 else None
    return getitem(x, (*all_before, _slice(places.start, stop, -1)))


def roll(x, shift, axis=None):
    """Every value `shift` places further along an axis; what leaves at the end comes in at the beginning.

    Without `axis` the values are rolled as one row.
    """
    if not symbolic(x):
        return result(np.roll(array(x), shift, axis))
    x = tensor(x)
    if axis is None:
        return reshape(roll(ravel(x), shift, 0), x.shape)
    for step, each in zip(np.atleast_1d(shift).tolist(), np.atleast_1d(axis).tolist(), strict=True):
        place = axis_of(x, each, "roll")
        refuse_batch_axis(x, place, "roll")
        step %= x.shape[place]
        if step:
            x = concatenate(split(x, [x.shape[place] - step], place)[::-1], place)
    return x


def rearrange(tensor, pattern, **axes_lengths):
    """Axes in another order, split and joined, by einops' notation: ``"b (h w) -> b h w"`` with ``h=8``.

    Parameters
    ----------
    tensor : Tensor or array_like
    pattern : str
        Names of axes before and after ``->``; names in parentheses are one axis together.
    **axes_lengths : int
        Sizes that the shape does not tell.
    """
    before, arrow, after = pattern.partition("->")
    source, target = _axes_of(before), _axes_of(after)
    names = [each for group in source for each in group]
    if not arrow or sorted(names) != sorted(each for group in target for each in group) or len(set(names)) < len(names):
        raise ValueError(f"ops.rearrange: both sides must name the same axes, each once. Received: {pattern!r}")
    shape = shape_of(tensor)
    if len(source) != len(shape):
        raise ValueError(f"ops.rearrange: {pattern!r} names {len(source)} axes, the shape is {shape}.")
    sizes = {}
    for group, size in zip(source, shape, strict=True):
        unknown = [each for each in group if each not in axes_lengths]
        known = math.prod(axes_lengths[each] for each in group if each in axes_lengths)
        if size is None and len(group) == 1:
            sizes[group[0]] = -1
            continue
        if size is None or len(unknown) > 1 or size % known or (not unknown and size != known):
            raise ValueError(f"ops.rearrange: an axis of size {size} cannot be {' x '.join(group)}, {axes_lengths}.")
        sizes.update({each: axes_lengths.get(each, size // known) for each in group})
    x = reshape(tensor, [sizes[each] for each in names])
    order = [names.index(each) for group in target for each in group]
    x = x if order == sorted(order) else transpose(x, order)
    return reshape(x, [math.prod(sizes[each] for each in group) for group in target])


def _axes_of(side):
    """``"a (b c)"`` as ``[("a",), ("b", "c")]``."""
    groups, inside = [], None
    for word in side.replace("(", " ( ").replace(")", " ) ").split():
        if word == "(":
            inside = []
        elif word == ")":
            groups.append(tuple(inside))
            inside = None
        elif inside is not None:
            inside.append(word)
        else:
            groups.append((word,))
    return groups


# ---- triangles and diagonals -----------------------------------------------------------------------------------------


def tri(N, M=None, k=0, dtype=None):
    """1 on and below the diagonal `k` of a matrix, 0 above."""
    return result(np.tri(N, M, k, dtype or "float32"))


def tril(x, k=0):
    """0 above the diagonal `k` of the last two axes."""
    if not symbolic(x):
        return result(np.tril(array(x), k))
    return multiply(x, np.tri(*shape_of(x)[-2:], k, dtype=np.float32))


def triu(x, k=0):
    """0 below the diagonal `k` of the last two axes."""
    if not symbolic(x):
        return result(np.triu(array(x), k))
    return multiply(x, 1 - np.tri(*shape_of(x)[-2:], k - 1, dtype=np.float32))


def diagonal(x, offset=0, axis1=0, axis2=1):
    """The values on a diagonal of two axes, along a new last axis."""
    if not symbolic(x):
        return result(np.diagonal(array(x), offset, axis1, axis2))
    x = tensor(x)
    a, b = axis_of(x, axis1, "diagonal"), axis_of(x, axis2, "diagonal")
    for each in a, b:
        refuse_batch_axis(x, each, "diagonal")
    x = moveaxis(x, (a, b), (-2, -1))
    rows, columns = x.shape[-2:]
    places = [(i, i + offset) for i in range(rows) if 0 <= i + offset < columns]
    if not places:
        raise ValueError(f"ops.diagonal: axes of {rows} and {columns} have no diagonal {offset}.")
    return stack([getitem(x, (..., i, j)) for i, j in places], -1)


def trace(x, offset=0, axis1=0, axis2=1):
    """The sum of a diagonal."""
    return sum(diagonal(x, offset, axis1, axis2), -1)


# ---- products and differences ----------------------------------------------------------------------------------------


def inner(x1, x2):
    """Sums of products along the last axes."""
    if not symbolic(x1, x2):
        return result(np.inner(array(x1), array(x2)))
    if not shape_of(x1) or not shape_of(x2):
        return multiply(x1, x2)
    if len(shape_of(x2)) == 1:
        return sum(multiply(x1, x2), -1)
    if len(shape_of(x2)) > 2:
        raise ValueError(f"ops.inner: the second value is a vector or a matrix. Received shape {shape_of(x2)}.")
    return matmul(x1, transpose(x2))


def cumsum(x, axis=None, dtype=None):
    """Sums up to each place along an axis; of all values in one row without `axis`."""
    return _scan("cumsum", np.cumsum, add, 0.0, x, axis, dtype)


def cumprod(x, axis=None, dtype=None):
    """Products up to each place along an axis; of all values in one row without `axis`."""
    return _scan("cumprod", np.cumprod, multiply, 1.0, x, axis, dtype)


def _scan(name, of_array, combine, neutral, x, axis, dtype):
    """Each round combines what lies twice as far apart (Hillis and Steele, 1986): as many rounds as the length has
    binary digits."""
    x = x if dtype is None else cast(x, dtype)
    if not symbolic(x):
        return result(of_array(array(x), axis))
    if axis is None:
        refuse_batch_axis(x, 0, name)
    x = ravel(x) if axis is None else tensor(x)
    axis = axis_of(x, 0 if axis is None else axis, name)
    refuse_batch_axis(x, axis, name)
    before, length, distance = (_slice(None),) * axis, x.shape[axis], 1
    while distance < length:
        earlier = getitem(x, (*before, _slice(None, -distance)))
        x = combine(x, concatenate([_beside(x, axis, distance, "constant", neutral), earlier], axis))
        distance *= 2
    return x


def diff(a, n=1, axis=-1):
    """Each value less the one before it along an axis, `n` times over."""
    if not symbolic(a):
        return result(np.diff(array(a), n, axis))
    a = tensor(a)
    place = axis_of(a, axis, "diff")
    refuse_batch_axis(a, place, "diff")
    before = (_slice(None),) * place
    for _ in range(n):
        a = subtract(getitem(a, (*before, _slice(1, None))), getitem(a, (*before, _slice(None, -1))))
    return a


def ptp(x, axis=None, keepdims=False):
    """The largest value less the smallest."""
    return subtract(max(x, axis, keepdims), min(x, axis, keepdims))


# ---- comparisons and ranks -------------------------------------------------------------------------------------------


def isclose(x1, x2, rtol=1e-5, atol=1e-8, equal_nan=False):
    """1 where ``abs(x1 - x2) <= atol + rtol * abs(x2)``, or both are the same infinity, or, if `equal_nan`, NaN."""
    near = less_equal(abs(subtract(x1, x2)), add(atol, multiply(rtol, abs(x2))))
    near = logical_or(logical_and(near, isfinite(x2)), equal(x1, x2))
    return logical_or(near, logical_and(isnan(x1), isnan(x2))) if equal_nan else near


def allclose(x1, x2, rtol=1e-5, atol=1e-8, equal_nan=False):
    """1 if `isclose` holds everywhere."""
    found = isclose(x1, x2, rtol, atol, equal_nan)
    return all(found) if symbolic(found) else result(np.all(found))


def select(condlist, choicelist, default=0):
    """Of several values that of the first condition that holds."""
    value = default
    for condition, choice in zip(reversed(condlist), reversed(choicelist), strict=True):
        value = where(condition, choice, value)
    return value


def top_k(x, k, sorted=True):
    """The `k` largest values along the last axis in descending order, and their places.

    `sorted` is accepted for compatibility: they always are.
    """
    if not symbolic(x):
        values = array(x)
        places = np.argsort(-values, axis=-1, kind="stable")[..., :k]
        return result(np.take_along_axis(values, places, -1)), result(places.astype(np.int32))
    x = tensor(x)
    values, places, rest = [], [], x
    for _ in range(k):
        place = argmax(rest, -1)
        found = one_hot(place, x.shape[-1])
        places.append(place)
        values.append(sum(where(found, x, 0.0), -1))
        rest = where(found, -math.inf, rest)
    return stack(values, -1), stack(places, -1)


def in_top_k(targets, predictions, k):
    """1 where fewer than `k` predictions of a row are larger than that of its target (a class number)."""
    of_target = take_along_axis(predictions, expand_dims(targets, -1), -1)
    of_target = where(isnan(of_target), -math.inf, of_target)
    larger = where(greater(predictions, of_target), 1.0, 0.0)
    found = less_equal(add(sum(larger, -1), 1.0), k)
    return found if isinstance(found, Tensor) else result(np.asarray(found, bool))


# ---- normalisations --------------------------------------------------------------------------------------------------


def _along(values, x, axis):
    """One value for each place of an axis, in a shape that is broadcast against `x`."""
    place = axis_of(x, axis, "batch_normalization")
    return reshape(values, (-1,) + (1,) * (len(shape_of(x)) - 1 - place))


def batch_normalization(x, mean, variance, axis, offset=None, scale=None, epsilon=1e-3):
    """``(x - mean) / sqrt(variance + epsilon) * scale + offset``, with one value of each for every place of `axis`."""
    factor = rsqrt(add(variance, epsilon))
    factor = factor if scale is None else multiply(factor, scale)
    shift = multiply(mean, factor)
    shift = multiply(shift, -1.0) if offset is None else subtract(offset, shift)
    return add(multiply(x, _along(factor, x, axis)), _along(shift, x, axis))


def rms_normalization(x, scale=None, axis=-1, epsilon=None):
    """Divided by the root of the mean square along an axis, then scaled."""
    epsilon = 1e-7 if epsilon is None else epsilon
    y = multiply(x, rsqrt(add(mean(square(x), axis, keepdims=True), epsilon)))
    return y if scale is None else multiply(y, scale)


__all__ = [
    "allclose",
    "array_split",
    "batch_normalization",
    "copy",
    "cumprod",
    "cumsum",
    "diagonal",
    "diff",
    "dsplit",
    "dstack",
    "dtype",
    "empty",
    "empty_like",
    "fliplr",
    "flipud",
    "get_item",
    "hsplit",
    "in_top_k",
    "inner",
    "isclose",
    "pad",
    "ptp",
    "ravel",
    "rearrange",
    "rms_normalization",
    "roll",
    "saturate_cast",
    "select",
    "top_k",
    "trace",
    "tri",
    "tril",
    "triu",
    "vsplit",
    "vstack",
]
