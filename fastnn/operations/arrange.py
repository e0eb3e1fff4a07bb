"""Slices, transpositions, repetitions, joints: each input's values go to places of the output by walking a box."""

import math

import numpy as np

from fastnn.lowering.layout import body, emit_arrange, emit_reduce, is_batched, new_slot
from fastnn.operations.base import Operation
from fastnn.operations.scaling import Scaling


class Piece:
    """What becomes of one input. Axes are those of one sample, or all where there is no batch.

    Attributes
    ----------
    sizes : tuple of int
        Of the box that is walked.
    x_axes, y_axes : tuple of (axis, step)
        What a step along each of its axes is in the input and in the output; axis -1: nothing.
    x_start, y_start : tuple of (axis, index)
    """

    __slots__ = ("sizes", "x_axes", "y_axes", "x_start", "y_start")

    def __init__(self, sizes, x_axes, y_axes, x_start=(), y_start=()):
        self.sizes = tuple(sizes)
        self.x_axes = tuple(x_axes)
        self.y_axes = tuple(y_axes)
        self.x_start = tuple(x_start)
        self.y_start = tuple(y_start)

    def places(self, axes, start, shape):
        """Where in a flat sample of this shape the walk comes by: of the input, or of the output."""
        strides = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
        found = np.full(self.sizes, sum(index * strides[axis] for axis, index in start), np.int64)
        for steps, (axis, step) in zip(np.indices(self.sizes), axes, strict=True):
            if axis >= 0:
                found += steps * step * strides[axis]
        return found.reshape(-1)


class Arrange(Operation):
    """Attributes of its nodes: `shape` of the output, and `pieces`, one for each input."""

    name = "arrange"

    def output_shape(self, node):
        return node.attributes["shape"]

    def to_onnx(self, node, e):
        """Transpose, Slice or Concat where it is one of them, else a Gather of all the values of the inputs."""
        shape, pieces, batched = node.output.shape, node.attributes["pieces"], is_batched(node.output.shape)
        values = [e.value(each) for each in node.inputs]
        for i, x in enumerate(node.inputs):
            if batched and not is_batched(x.shape):
                sizes = e.emit("Concat", e.batch_size(), e.constant(np.array(x.shape, np.int64), "sizes"), axis=0)
                values[i] = e.emit("Expand", values[i], sizes)
        axes = [tuple((i, 1) for i in range(len(piece.sizes))) for piece in pieces]
        to_all = all(piece.y_axes == each for piece, each in zip(pieces, axes, strict=True))
        whole = to_all and all(piece.x_axes == each for piece, each in zip(pieces, axes, strict=True))
        first = pieces[0]
        if len(pieces) > 1 and whole and not any(piece.x_start for piece in pieces):
            places = {place for piece in pieces for place, _ in piece.y_start}
            if len(places) == 1:
                return e.emit("Concat", *values, axis=places.pop() + batched)
        if len(pieces) == 1 and to_all and not first.y_start:
            if not first.x_start and sorted(first.x_axes) == list(axes[0]) and first.x_axes != axes[0]:
                order = [axis + batched for axis, _ in first.x_axes]
                return e.emit("Transpose", values[0], perm=[0] * batched + order)
            if [axis for axis, _ in first.x_axes] == [axis for axis, _ in axes[0]]:
                return self._sliced(first, values[0], batched, e)
        if batched:
            flat = [e.emit("Flatten", each, axis=1) for each in values]
        else:
            flat = [e.emit("Reshape", each, e.constant([-1], "shape")) for each in values]
        flat = flat[0] if len(flat) == 1 else e.emit("Concat", *flat, axis=int(batched))
        places, offset = np.zeros(math.prod(body(shape)), np.int64), 0
        for x, piece in zip(node.inputs, pieces, strict=True):
            places[piece.places(piece.y_axes, piece.y_start, body(shape))] = offset + piece.places(
                piece.x_axes, piece.x_start, body(x.shape)
            )
            offset += math.prod(body(x.shape))
        return e.reshape(e.emit("Gather", flat, e.constant(places, "places"), axis=int(batched)), node.output)

    @staticmethod
    def _sliced(piece, value, batched, e):
        starts = dict(piece.x_start)
        starts = [starts.get(axis, 0) for axis in range(len(piece.sizes))]
        steps = [step for _, step in piece.x_axes]
        last = [start + step * (size - 1) for start, step, size in zip(starts, steps, piece.sizes, strict=True)]
        ends = [each + 1 if step > 0 else each - 1 for each, step in zip(last, steps, strict=True)]
        ends = [each if each >= 0 else -(2**31) for each in ends]  # -1 would be the last one
        axes = [axis + batched for axis in range(len(piece.sizes))]
        wanted = [e.constant(np.array(each, np.int64), "slice") for each in (starts, ends, axes, steps)]
        return e.emit("Slice", value, *wanted)

    def forward(self, node, b):
        y, shape = new_slot(b, node.output.shape), node.output.shape
        joins = sum(math.prod(piece.sizes) for piece in node.attributes["pieces"])
        for x, piece in zip(node.inputs, node.attributes["pieces"], strict=True):
            emit_arrange(
                b, b.slot(x), x.shape, y, shape, piece.sizes, piece.x_axes, piece.y_axes, piece.x_start, piece.y_start,
                joins=joins,
            )  # fmt: skip
            joins = 0
        return y

    def backward(self, node, b, gradient):
        shape, of_batch = node.output.shape, None
        for x, piece in zip(node.inputs, node.attributes["pieces"], strict=True):
            if not b.needs_gradient(x):
                continue
            source, source_shape = gradient, shape
            if is_batched(shape) and not is_batched(x.shape):
                source_shape = shape[1:]
                if of_batch is None:
                    of_batch = new_slot(b, source_shape)
                    emit_reduce(b, 0, gradient, shape, 0, of_batch, source_shape)
                source = of_batch
            dx = new_slot(b, x.shape)
            adds = math.prod(piece.sizes) > math.prod(
                size for size, (axis, _) in zip(piece.sizes, piece.x_axes, strict=True) if axis >= 0
            )
            emit_arrange(
                b, source, source_shape, dx, x.shape, piece.sizes, piece.y_axes, piece.x_axes, piece.y_start,
                piece.x_start, add=adds,
            )  # fmt: skip
            b.set_gradient(x, dx)

    @staticmethod
    def on_arrays(node, arrays, rest=0.0):
        """A sample of the output, from samples of the inputs; `rest` is where nothing goes."""
        shape = body(node.output.shape)
        result = np.full(math.prod(shape), rest)
        for array, (x, source, target) in zip(arrays, _moves(node), strict=True):
            result[target] = np.broadcast_to(array, body(x.shape)).reshape(-1)[source]
        return result.reshape(shape)

    def scale_output(self, node, scaling):
        """Each input is scaled as the places are that its values go to, if they all are scaled alike."""
        shape = body(node.output.shape)
        wanted = [array.reshape(-1) for array in scaling.broadcast(shape)]
        empty, scalings = np.ones(math.prod(shape), bool), []
        for x, source, target in _moves(node):
            own = np.ones(math.prod(body(x.shape))), np.zeros(math.prod(body(x.shape)))
            for array, of_places in zip(own, wanted, strict=True):
                array[source] = of_places[target]
                if (array[source] != of_places[target]).any():
                    return None
            empty[target] = False
            scalings.append(Scaling(*(array.reshape(body(x.shape)) for array in own)))
        return None if wanted[1][empty].any() else ({}, scalings)

    def scale_inputs(self, node, scalings):
        scales = [1.0 if each is None else each.scale for each in scalings]
        shifts = [0.0 if each is None else each.shift for each in scalings]
        return {}, Scaling(self.on_arrays(node, scales, rest=1.0), self.on_arrays(node, shifts))


def _moves(node):
    """Of each input: where its values come from and where they go, in flat samples."""
    shape = body(node.output.shape)
    for x, piece in zip(node.inputs, node.attributes["pieces"], strict=True):
        source = piece.places(piece.x_axes, piece.x_start, body(x.shape))
        yield x, source, piece.places(piece.y_axes, piece.y_start, shape)
