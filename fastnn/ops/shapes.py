"""Shapes, slices, joints and repetitions, as in `keras.ops`. The samples of a batch (axis 0) stay where they are."""

import math

import numpy as np

from fastnn.eager import Array
from fastnn.graph import Tensor
from fastnn.operations import apply
from fastnn.operations.arrange import Piece
from fastnn.ops.core import (
    array,
    axis_of,
    counts_samples,
    is_batched,
    refuse_batch_axis,
    result,
    shape_of,
    symbolic,
    tensor,
)

_slice = slice


def shape(x):
    """The shape; of a symbolic tensor with a batch, the first entry is None in a layer, and in a loss or a metric a
    tensor: the number of samples."""
    if is_batched(x) and counts_samples():
        from fastnn.ops.elementwise import divide

        return (divide(size(x), math.prod(x.shape[1:])), *x.shape[1:])
    return shape_of(x)


def size(x):
    """The number of values; of a symbolic tensor with a batch, a tensor that counts those of each batch."""
    if is_batched(x):
        from fastnn.ops.reductions import sum

        return sum(ones_like(x))
    return math.prod(shape_of(x))


def ndim(x):
    """The number of axes."""
    return len(shape_of(x))


def reshape(x, newshape):
    """The same values in another shape; -1 stands for what is left, and for the batch at the first place."""
    newshape = (newshape,) if isinstance(newshape, int) else tuple(newshape)
    if not symbolic(x):
        return result(array(x).reshape(newshape))
    x = tensor(x)
    if newshape and isinstance(newshape[0], Tensor):  # of `shape`
        newshape = (-1, *newshape[1:])
    old, wanted = list(x.shape), list(newshape)
    if is_batched(x):
        if not wanted or wanted[0] not in (-1, None):
            raise ValueError(
                f"ops.reshape: axis 0 of {x!r} counts the samples and stays: the new shape must begin with -1. "
                f"Received: {newshape}"
            )
        old, wanted = old[1:], wanted[1:]
    total = math.prod(old)
    known = math.prod(each for each in wanted if each != -1)
    wanted = [total // known if each == -1 and known else each for each in wanted]
    if math.prod(wanted) != total:
        raise ValueError(f"ops.reshape: the shape {tuple(x.shape)} does not fit into {newshape}.")
    return apply("reshape", [x], shape=tuple(wanted))


def expand_dims(x, axis):
    """A new axis of size 1 at this place, or at these."""
    if isinstance(axis, (tuple, list)):
        for each in sorted(axis):
            x = expand_dims(x, each)
        return x
    if not symbolic(x):
        return result(np.expand_dims(array(x), axis))
    x = tensor(x)
    place = axis + x.ndim + 1 if axis < 0 else axis
    refuse_batch_axis(x, place, "expand_dims")
    return _to(x, [*x.shape[:place], 1, *x.shape[place:]])


def squeeze(x, axis=None):
    """Without axes of size 1: one, some, or all."""
    if not symbolic(x):
        return result(np.squeeze(array(x), axis))
    x = tensor(x)
    axes = [i for i, each in enumerate(x.shape) if each == 1] if axis is None else np.atleast_1d(axis).tolist()
    axes = [axis_of(x, each, "squeeze") for each in axes]
    for each in axes:
        if x.shape[each] != 1:
            raise ValueError(f"ops.squeeze: axis {each} of {x!r} has the size {x.shape[each]}, not 1.")
    return _to(x, [each for i, each in enumerate(x.shape) if i not in axes])


def _to(x, sizes):
    return reshape(x, [-1 if each is None else each for each in sizes])


def _offset(x):
    """Axes before those of a sample."""
    return int(is_batched(x))


def _arranged(inputs, shape, pieces):
    return apply("arrange", inputs, shape=tuple(shape), pieces=pieces)


def transpose(x, axes=None):
    """The axes in another order: reversed, or as given."""
    if not symbolic(x):
        return result(np.transpose(array(x), axes))
    x = tensor(x)
    order = list(range(x.ndim))[::-1] if axes is None else [axis_of(x, each, "transpose") for each in axes]
    if sorted(order) != list(range(x.ndim)):
        raise ValueError(f"ops.transpose: `axes` must name every axis of {x!r} once. Received: {axes}")
    offset = _offset(x)
    if offset and order[0] != 0:
        refuse_batch_axis(x, 0, "transpose")
    if order == list(range(x.ndim)):
        return x
    sizes = [x.shape[each] for each in order]
    walk = [(each - offset, 1) for each in order[offset:]]
    return _arranged([x], sizes, [Piece(sizes[offset:], walk, [(i, 1) for i in range(len(walk))])])


def swapaxes(x, axis1, axis2):
    """Two axes exchanged."""
    order = list(range(ndim(x)))
    a, b = axis_of(x, axis1, "swapaxes"), axis_of(x, axis2, "swapaxes")
    order[a], order[b] = order[b], order[a]
    return transpose(x, order)


def moveaxis(x, source, destination):
    """An axis, or some, at another place."""
    sources = [axis_of(x, each, "moveaxis") for each in np.atleast_1d(source)]
    places = [axis_of(x, each, "moveaxis") for each in np.atleast_1d(destination)]
    order = [each for each in range(ndim(x)) if each not in sources]
    for place, each in sorted(zip(places, sources, strict=True)):
        order.insert(place, each)
    return transpose(x, order)


def broadcast_to(x, shape):
    """Repeated to a shape."""
    if not symbolic(x):
        return result(np.broadcast_to(array(x), shape))
    x = tensor(x)
    shape = tuple(shape)
    target = (None, *shape[1:]) if is_batched(x) else shape
    if target == x.shape:
        return x
    offset = _offset(x)
    aligned = (1,) * (len(target) - x.ndim) + x.shape
    sizes = target[offset:]
    walk = [(i - len(target) + x.ndim, 1) if one == want else (-1, 0)
            for i, (one, want) in enumerate(zip(aligned[offset:], sizes, strict=True))]  # fmt: skip
    if any(one not in (1, want) for one, want in zip(aligned[offset:], sizes, strict=True)):
        raise ValueError(f"ops.broadcast_to: {x!r} cannot be broadcast to {shape}.")
    return _arranged([x], target, [Piece(sizes, walk, [(i, 1) for i in range(len(sizes))])])


def _sliced(x, starts, steps, sizes):
    """Part of each axis but the batch's, whose entries of the lists are left out."""
    offset = _offset(x)
    walk = [(i, step) for i, step in enumerate(steps)]
    start = [(i, each) for i, each in enumerate(starts)]
    return _arranged([x], [*x.shape[:offset], *sizes], [Piece(sizes, walk, [(i, 1) for i in range(len(sizes))], start)])


def slice_axis(x, axis, begin, end):
    """From `begin` to before `end` along an axis; None where that is nothing."""
    if begin >= end:
        return None
    offset = _offset(x)
    sizes, starts = list(x.shape[offset:]), [0] * (x.ndim - offset)
    sizes[axis - offset], starts[axis - offset] = end - begin, begin
    return _sliced(x, starts, [1] * len(sizes), sizes)


def slice(inputs, start_indices, shape):
    """A box of values, by where it starts and its shape."""
    return inputs[tuple(_slice(s, None if n is None else s + n) for s, n in zip(start_indices, shape, strict=True))]


def getitem(x, index):
    """``x[index]`` of a symbolic tensor: numbers, slices, ``...`` and None (a new axis)."""
    index = index if isinstance(index, tuple) else (index,)
    for each in index:
        if not (each is None or each is Ellipsis or isinstance(each, (_slice, int, np.integer))) or isinstance(
            each, bool
        ):
            raise TypeError(
                f"{x!r} takes whole numbers, slices, ... and None as an index. Received: {each!r}. For places that are "
                "computed, see ops.take, ops.take_along_axis and ops.one_hot."
            )
    given = len(index) - index.count(None) - index.count(Ellipsis)
    if given > x.ndim:
        raise IndexError(f"{x!r} has {x.ndim} axes. Received an index of {given}: {index}")
    gap = index.index(Ellipsis) if Ellipsis in index else len(index)
    index = (*index[:gap], *[_slice(None)] * (x.ndim - given), *index[gap + 1 :])
    offset, axis = _offset(x), 0
    starts, steps, sizes, final = [], [], [], []
    for each in index:
        if each is None:
            final.append(1)
            continue
        if axis < offset:
            if each != _slice(None):
                refuse_batch_axis(x, 0, "getitem")
            final.append(-1)
        elif isinstance(each, _slice):
            places = range(*each.indices(x.shape[axis]))
            if not places:
                raise IndexError(f"{x!r}: {each} along axis {axis} is empty.")
            starts.append(places.start)
            steps.append(places.step)
            sizes.append(len(places))
            final.append(len(places))
        else:
            if not -x.shape[axis] <= each < x.shape[axis]:
                raise IndexError(f"{x!r}: there is no place {each} along axis {axis}.")
            starts.append(int(each) % x.shape[axis])
            steps.append(1)
            sizes.append(1)
        axis += 1
    if sizes != list(x.shape[offset:]) or any(step != 1 for step in steps):
        x = _sliced(x, starts, steps, sizes)
    return x if [-1 if s is None else s for s in x.shape] == final else reshape(x, final)


def flip(x, axis=None):
    """Reversed along an axis, or along all but the batch's."""
    if not symbolic(x):
        return result(np.flip(array(x), axis))
    x = tensor(x)
    axes = range(_offset(x), x.ndim) if axis is None else [axis_of(x, each, "flip") for each in np.atleast_1d(axis)]
    for each in axes:
        refuse_batch_axis(x, each, "flip")
    return getitem(x, tuple(_slice(None, None, -1 if i in axes else None) for i in range(x.ndim)))


def concatenate(xs, axis=0):
    """Joined along an axis."""
    if not symbolic(*xs):
        return result(np.concatenate([array(each) for each in xs], axis))
    xs = [tensor(each) for each in xs]
    batched = [each for each in xs if is_batched(each)]
    axis = axis_of((batched or xs)[0], axis, "concatenate")
    first = (batched or xs)[0]
    refuse_batch_axis(first, axis, "concatenate")
    offset = _offset(first)
    xs = [
        reshape(each, each.shape[1:]) if offset and not is_batched(each) and each.shape[:1] == (1,) else each
        for each in xs
    ]
    total, pieces, place = list(first.shape), [], axis - offset
    total[axis] = 0
    for each in xs:
        sizes = list(each.shape[_offset(each) :])
        others = [size for i, size in enumerate(sizes) if i != place]
        if others != [size for i, size in enumerate(total[offset:]) if i != place]:
            raise ValueError(f"ops.concatenate: the shapes {[x.shape for x in xs]} differ in more than axis {axis}.")
        walk = [(i, 1) for i in range(len(sizes))]
        pieces.append(Piece(sizes, walk, walk, (), [(place, total[axis])]))
        total[axis] += sizes[place]
    return _arranged(xs, total, pieces)


def stack(x, axis=0):
    """Joined along a new axis."""
    if not symbolic(*x):
        return result(np.stack([array(each) for each in x], axis))
    return concatenate([expand_dims(each, axis) for each in x], axis)


def append(x1, x2, axis=None):
    """`x2` behind `x1` along an axis."""
    return concatenate([x1, x2], axis)


def hstack(xs):
    """Joined along axis 1, or 0 of vectors."""
    return concatenate(xs, 0 if ndim(xs[0]) == 1 else 1)


def split(x, indices_or_sections, axis=0):
    """So many equal parts, or parts between the given places, along an axis."""
    if not symbolic(x):
        return [result(each) for each in np.split(array(x), indices_or_sections, axis)]
    x = tensor(x)
    axis = axis_of(x, axis, "split")
    refuse_batch_axis(x, axis, "split")
    size = x.shape[axis]
    if isinstance(indices_or_sections, int):
        if size % indices_or_sections:
            raise ValueError(f"ops.split: axis {axis} of {x!r} is no multiple of {indices_or_sections}.")
        bounds = list(range(0, size + 1, size // indices_or_sections))
    else:
        bounds = [0, *indices_or_sections, size]
    return [slice_axis(x, axis, a, b) for a, b in zip(bounds, bounds[1:], strict=False)]


def unstack(x, num=None, axis=0):
    """The parts along an axis, without it."""
    return [squeeze(each, axis) for each in split(x, num or shape_of(x)[axis], axis)]


def _repeated(x, axis, repeats, inner):
    """Each value `repeats` times in a row (`inner`), or the whole axis so many times."""
    offset, place = _offset(x), axis - _offset(x)
    total = list(x.shape)
    total[axis] *= repeats
    sizes, x_axes, y_axes = [], [], []
    for i, each in enumerate(x.shape[offset:]):
        parts = [(each, (i, 1), (i, 1))]
        if i == place and inner:
            parts = [(each, (i, 1), (i, repeats)), (repeats, (-1, 0), (i, 1))]
        elif i == place:
            parts = [(repeats, (-1, 0), (i, each)), *parts]
        for part in parts:
            for target, value in zip((sizes, x_axes, y_axes), part, strict=True):
                target.append(value)
    return _arranged([x], total, [Piece(sizes, x_axes, y_axes)])


def repeat(x, repeats, axis=None):
    """Each value so many times in a row."""
    if not symbolic(x):
        return result(np.repeat(array(x), repeats, axis))
    x = tensor(x)
    if axis is None:
        x, axis = reshape(x, (-1, math.prod(x.shape[1:])) if is_batched(x) else (-1,)), -1
    axis = axis_of(x, axis, "repeat")
    refuse_batch_axis(x, axis, "repeat")
    return _repeated(x, axis, repeats, True)


def tile(x, repeats):
    """All of it so many times, along the last axes."""
    repeats = (repeats,) if isinstance(repeats, int) else tuple(repeats)
    if not symbolic(x):
        return result(np.tile(array(x), repeats))
    x = tensor(x)
    while len(repeats) > x.ndim:
        x = expand_dims(x, 1 if is_batched(x) else 0)
    for axis, times in enumerate(repeats, x.ndim - len(repeats)):
        if times != 1:
            refuse_batch_axis(x, axis, "tile")
            x = _repeated(x, axis, times, False)
    return x


def one_hot(x, num_classes, axis=-1, dtype=None, sparse=False):
    """Zeros with a 1 at the place that is the value, along a new axis."""
    from fastnn.ops.elementwise import equal

    if sparse:
        raise ValueError("ops.one_hot: there are no sparse tensors. Received: sparse=True")
    found = equal(expand_dims(x, -1), np.arange(num_classes, dtype=np.float32))
    found = found if isinstance(found, Tensor) else result(found.astype(dtype or np.float32))
    return found if axis in (-1, ndim(x)) else moveaxis(found, -1, axis)


def take(x, indices, axis=None):
    """The values at places along an axis, which numbers say, or a tensor of them where `x` belongs to no sample."""
    if isinstance(indices, Tensor):
        return _take_computed(tensor(x), indices, axis)
    if not symbolic(x):
        return result(np.take(array(x), array(indices).astype(np.int64), axis))
    x = tensor(x)
    axis = axis_of(x, axis, "take")
    places = [int(each) % x.shape[axis] for each in np.ravel(array(indices))]
    parts = [slice_axis(x, axis, each, each + 1) for each in places]
    joined = concatenate(parts, axis) if len(parts) > 1 else parts[0]
    return squeeze(joined, axis) if np.ndim(indices) == 0 else joined


def _take_computed(x, indices, axis):
    from fastnn.ops.elementwise import less, where
    from fastnn.ops.products import matmul

    x, axis = (reshape(x, (-1,)), 0) if axis is None else (x, axis_of(x, axis, "take"))
    if is_batched(x):
        raise ValueError(
            f"ops.take: computed places are looked up in what is the same for all samples. Received: {x!r}. For places "
            "within each sample there is ops.take_along_axis."
        )
    count, x = x.shape[axis], moveaxis(x, axis, 0)
    rest = x.shape[1:]
    places = where(less(indices, 0.0), indices + count, indices)  # negative ones count from the end
    found = matmul(one_hot(places, count), reshape(x, (count, -1)))
    inside = (places >= 0) * less(places, float(count))
    found = where(expand_dims(inside, -1), found, np.nan)
    shape = tuple(-1 if size is None else size for size in indices.shape)
    found = reshape(found, (*shape, *rest))
    first = len(shape)
    return moveaxis(found, range(first), range(axis, axis + first)) if axis else found


def take_along_axis(x, indices, axis=None):
    """The values at computed places along an axis, one or several for each row; without `axis` of all values in one
    row."""
    from fastnn.ops.elementwise import multiply
    from fastnn.ops.reductions import sum

    if not symbolic(x, indices):
        return result(np.take_along_axis(array(x), array(indices).astype(np.int64), axis))
    x = tensor(x)
    if axis is None:
        refuse_batch_axis(x, 0, "take_along_axis")
        x, indices, axis = reshape(x, (-1,)), reshape(indices, (-1,)), 0
    axis = axis_of(x, axis, "take_along_axis")
    refuse_batch_axis(x, axis, "take_along_axis")
    if axis != x.ndim - 1:
        return moveaxis(take_along_axis(moveaxis(x, axis, -1), moveaxis(indices, axis, -1), -1), -1, axis)
    return sum(multiply(one_hot(indices, x.shape[-1]), expand_dims(x, -2)), -1)


def convert_to_tensor(x, dtype=None, sparse=None, ragged=None):
    """`x` as these functions take it."""
    from fastnn.ops.elementwise import cast

    if symbolic(x):
        return tensor(x) if dtype is None else cast(x, dtype)
    return result(array(x) if dtype is None else array(x).astype(dtype))


def convert_to_numpy(x):
    """An array of NumPy's."""
    return np.asarray(x).view(np.ndarray) if isinstance(x, Array) else np.asarray(x)


def is_tensor(x):
    """Is it symbolic, or what these functions return?"""
    return isinstance(x, (Tensor, Array))


def full_like(x, fill_value, dtype=None):
    """A number in the shape of `x`."""
    from fastnn.ops.elementwise import add, multiply

    if symbolic(x):
        from fastnn.ops.elementwise import where

        return where(1.0, fill_value, multiply(tensor(x), 0.0)) if is_batched(tensor(x)) else add(
            np.zeros(shape_of(x), np.float32), fill_value
        )  # fmt: skip
    return result(np.full_like(array(x), fill_value, dtype))


def zeros_like(x, dtype=None):
    """0 in the shape of `x`."""
    return full_like(x, 0.0, dtype)


def ones_like(x, dtype=None):
    """1 in the shape of `x`."""
    return full_like(x, 1.0, dtype)


def zeros(shape, dtype=None):
    """0 in a known shape."""
    return full(shape, 0, dtype)


def ones(shape, dtype=None):
    """1 in a known shape."""
    return full(shape, 1, dtype)


def full(shape, fill_value, dtype=None):
    """A number in a known shape."""
    return result(np.full(shape, fill_value, dtype or "float32"))


def eye(N, M=None, k=0, dtype=None):
    """The identity matrix."""
    return result(np.eye(N, M, k, dtype or "float32"))


def identity(n, dtype=None):
    """The identity matrix."""
    return eye(n, dtype=dtype)


def arange(start, stop=None, step=None, dtype=None):
    """Numbers in steps, of 1 by default."""
    step = 1 if step is None else step
    return result(np.arange(start, stop, step, dtype) if stop is not None else np.arange(0, start, step, dtype))


def linspace(start, stop, num=50, endpoint=True, retstep=False, dtype=None, axis=0):
    """So many numbers between two, along a new axis; if `retstep`, also the step."""
    values, step = np.linspace(start, stop, num, endpoint, True, dtype or "float32", axis)
    return (result(values), result(step)) if retstep else result(values)
