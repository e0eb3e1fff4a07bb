"""Samples transposed, repeated along an axis, or put together (Permute, RepeatVector, broadcasting, Concatenate)."""

import math

from fastnn.lowering.cost import elementwise_cycles
from fastnn.operations.base import Operation, apply

_AXES = 5


def steps(slot, shape):
    """Floats from one value of a sample to the next along each of its axes."""
    return [slot.ld * math.prod(shape[axis + 1 : -1]) for axis in range(len(shape) - 1)] + [1]


def emit(b, op, x, y, sizes, x_steps, y_steps, x_first=0, y_first=0, pad=0):
    """Emit one of the two operations of ``csrc/ops/rearrange.c`` for a box of up to 5 axes."""
    missing = _AXES - len(sizes)
    dims = {f"s{axis}": size for axis, size in enumerate([1] * missing + list(sizes))}
    for letter, values in (("x", x_steps), ("y", y_steps)):
        dims |= {f"{letter}{axis}": step for axis, step in enumerate([0] * missing + list(values))}
    b.emit(
        op, work_per_row=elementwise_cycles(math.prod(sizes), 4), x=x, y=y, x_sample=x.rows_per_sample * x.ld,
        y_sample=y.rows_per_sample * y.ld, x_first=x_first, y_first=y_first, pad=pad, **dims,
    )  # fmt: skip


def padding(n):
    """Values of a row that are behind its last column, and written with it."""
    return -n % 16


class Rearrange(Operation):
    """Attributes of its nodes: `shape`, the sample's new shape; `axes`, for each of its axes the input's axis that it
    is, without counting the batch, or None for one along which the values repeat."""

    name = "rearrange"

    def output_shape(self, node):
        return (None, *node.attributes["shape"])

    def forward(self, node, b):
        x = b.slot(node.inputs[0])
        y = b.matrix(node.output.rows_per_sample, node.output.features)
        shape = node.attributes["shape"]
        emit(b, "rearrange", x, y, shape, self._input_steps(node, x), steps(y, shape), pad=padding(y.n))
        return y

    def backward(self, node, b, gradient):
        source, shape, axes = node.inputs[0], node.attributes["shape"], node.attributes["axes"]

        def write(dx, accumulate, epilogue):
            target = self._input_steps(node, dx)
            given = steps(gradient, shape)
            if None in axes:
                emit(b, "rearrange_sum", gradient, dx, shape, given, target)
                return
            back = [axes.index(axis) for axis in range(len(axes))]
            sizes = source.shape[1:]
            emit(b, "rearrange", gradient, dx, sizes, [given[i] for i in back], steps(dx, sizes), pad=padding(dx.n))

        b.propagate(source, write)

    @staticmethod
    def _input_steps(node, x):
        own = steps(x, node.inputs[0].shape[1:])
        return [0 if axis is None else own[axis] for axis in node.attributes["axes"]]


class Concatenate(Operation):
    """Attributes of its nodes: `axis`, not counting the batch."""

    name = "concatenate"

    def output_shape(self, node):
        axis, shape = node.attributes["axis"], list(node.inputs[0].shape)
        shape[axis + 1] = sum(each.shape[axis + 1] for each in node.inputs)
        return tuple(shape)

    def forward(self, node, b):
        y = b.matrix(node.output.rows_per_sample, node.output.features)
        for x, sizes, first, pad in self._parts(node, y, [b.slot(each) for each in node.inputs]):
            emit(b, "rearrange", x, y, sizes, steps(x, sizes), steps(y, node.output.shape[1:]), y_first=first, pad=pad)
        return y

    def backward(self, node, b, gradient):
        parts = self._parts(node, gradient, node.inputs)
        for tensor, sizes, first, _ in parts:

            def write(dx, accumulate, epilogue, sizes=sizes, first=first):
                given = steps(gradient, node.output.shape[1:])
                emit(b, "rearrange", gradient, dx, sizes, given, steps(dx, sizes), x_first=first, pad=padding(dx.n))

            b.propagate(tensor, write)

    @staticmethod
    def _parts(node, whole, values):
        """For each input: the given value, its sizes, where it begins in the whole, and zeros to write behind rows."""
        axis, place, parts = node.attributes["axis"], 0, []
        step = steps(whole, node.output.shape[1:])[axis]
        last_axis = axis == node.output.ndim - 2
        for tensor, value in zip(node.inputs, values, strict=True):
            sizes = tensor.shape[1:]
            ends = not last_axis or tensor is node.inputs[-1] and len(parts) == len(node.inputs) - 1
            parts.append((value, sizes, place * step, padding(whole.n) if ends else 0))
            place += sizes[axis]
        return parts


def broadcast(tensor, shape):
    """A tensor with axes of size 1, and axes that are missing in front of the sample's, repeated to give the shape.

    Parameters
    ----------
    tensor : Tensor
    shape : tuple
        With None for the batch.
    """
    if tensor.shape == tuple(shape):
        return tensor
    missing = len(shape) - tensor.ndim
    axes = [None] * missing
    for axis, size in enumerate(tensor.shape[1:]):
        axes.append(axis if size == shape[1 + missing + axis] else None)
    return apply("rearrange", [tensor], shape=tuple(shape[1:]), axes=tuple(axes))


def permuted(tensor, order):
    """A tensor with the axes of its samples in another order: for each axis the tensor's, 1 being the first after the
    batch. The tensor itself if it is the same."""
    if list(order) == list(range(1, tensor.ndim)):
        return tensor
    shape = tuple(tensor.shape[axis] for axis in order)
    return apply("rearrange", [tensor], shape=shape, axes=tuple(int(axis) - 1 for axis in order))
