"""Slices, transpositions, repetitions, joints: each input's values go to places of the output by walking a box."""

import math

from fastnn.lowering.layout import emit_arrange, emit_reduce, is_batched, new_slot
from fastnn.operations.base import Operation


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


class Arrange(Operation):
    """Attributes of its nodes: `shape` of the output, and `pieces`, one for each input."""

    name = "arrange"

    def output_shape(self, node):
        return node.attributes["shape"]

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
