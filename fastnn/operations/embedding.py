"""What becomes of whole numbers: rows of a table, indicators; and whole numbers of numbers. They come as float32, which
is exact to 2^24. None of these passes a gradient on to its input."""

import numpy as np

from fastnn.lowering.cost import elementwise_cycles
from fastnn.operations.base import Operation


class Embedding(Operation):
    """Variables of its nodes: `embeddings`."""

    name = "embedding"

    def output_shape(self, node):
        return (*node.inputs[0].shape, node.variables["embeddings"].shape[1])

    def to_onnx(self, node, e):
        numbers = e.emit("Cast", e.value(node.inputs[0]), to=7)  # an ONNX runtime refuses a number that has no row
        return e.emit("Gather", e.variable(node.variables["embeddings"]), numbers, axis=0)

    def forward(self, node, b):
        ids = b.slot(node.inputs[0])
        vocabulary, n = node.variables["embeddings"].shape
        y = b.matrix(ids.rows_per_sample * ids.n, n)
        b.emit(
            "embedding", rows=y.rows_per_sample, work_per_row=elementwise_cycles(n, 2) + 20, ids=ids,
            table=node.variables["embeddings"], y=y, ids_n=ids.n, ldids=ids.ld, vocabulary=vocabulary, n=n, ldy=y.ld,
        )  # fmt: skip
        return y

    def backward(self, node, b, gradient):
        table = node.variables["embeddings"]
        if not b.trains(table):
            return
        ids = b.slot(node.inputs[0])
        vocabulary, n = table.shape
        dtable, accumulate = b.variable_gradient(table)
        b.emit(
            "embedding_gradient", rows=gradient.rows_per_sample, work_per_row=elementwise_cycles(n, 3) + 10,
            work=0 if accumulate else vocabulary * n / 16, ids=ids, dy=gradient, dtable=dtable, ids_n=ids.n,
            ldids=ids.ld, vocabulary=vocabulary, n=n, lddy=gradient.ld, accumulate=accumulate,
        )  # fmt: skip

    def scale_output(self, node, scaling):
        table = node.variables["embeddings"].value
        vectors = scaling.by_feature(table.shape[1])
        return vectors and ({"embeddings": table * vectors[0] + vectors[1]}, [None])


class CategoryEncode(Operation):
    """Attributes of its nodes: `mode` ("one_hot": each number for itself; "multi_hot", "count": those of the last axis
    together), `tokens`."""

    name = "category_encode"

    def output_shape(self, node):
        shape, tokens = node.inputs[0].shape, node.attributes["tokens"]
        if node.attributes["mode"] == "one_hot" and shape[-1] != 1:
            return (*shape, tokens)
        return (*shape[:-1], tokens) if len(shape) > 1 else (*shape, tokens)

    def to_onnx(self, node, e):
        x, mode = node.inputs[0], node.attributes["mode"]
        number = e.emit("Unsqueeze", e.emit("Floor", e.value(x)), e.constant([-1], "axis"))
        tokens = e.constant(np.arange(node.attributes["tokens"], dtype=np.float32), "tokens")
        found = e.number(e.emit("Equal", number, tokens))
        if mode == "one_hot" or x.ndim == 1:
            return e.reshape(found, node.output)
        return e.reduce("Sum" if mode == "count" else "Max", found, -2, False)

    def forward(self, node, b):
        ids, n = b.slot(node.inputs[0]), node.attributes["tokens"]
        per = 1 if node.attributes["mode"] == "one_hot" else ids.n
        y = b.matrix(ids.rows_per_sample * ids.n // per, n)
        b.emit(
            "category_encode", rows=y.rows_per_sample, work_per_row=elementwise_cycles(n, 1) + 10 * per, ids=ids, y=y,
            ids_n=ids.n, ldids=ids.ld, per=per, n=n, ldy=y.ld, count=node.attributes["mode"] == "count",
        )  # fmt: skip
        return y

    def backward(self, node, b, gradient):
        """An indicator has no slope."""


class Discretize(Operation):
    """Variables of its nodes: `boundaries`, in ascending order; never trained."""

    name = "discretize"

    def to_onnx(self, node, e):
        value = e.emit("Unsqueeze", e.value(node.inputs[0]), e.constant([-1], "axis"))
        below = e.emit("Less", value, e.variable(node.variables["boundaries"]))
        return e.reduce("Sum", e.number(e.emit("Not", below)), -1, False)

    def forward(self, node, b):
        x, boundaries = b.slot(node.inputs[0]), node.variables["boundaries"]
        y = b.matrix(x.rows_per_sample, x.n)
        b.emit(
            "discretize", rows=x.rows_per_sample, work_per_row=elementwise_cycles(x.n, 2 * boundaries.size + 1), x=x,
            boundaries=boundaries, y=y, n=x.n, ldx=x.ld, ldy=y.ld, bins=boundaries.size,
        )  # fmt: skip
        return y

    def backward(self, node, b, gradient):
        """A number of a bin has no slope."""
