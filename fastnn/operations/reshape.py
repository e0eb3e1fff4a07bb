"""Another shape for the values of a sample (Flatten, Reshape)."""

import numpy as np

from fastnn.lowering.cost import elementwise_cycles
from fastnn.operations.base import Operation


class Reshape(Operation):
    """Attributes of its nodes: `shape`, the sample's new shape."""

    name = "reshape"

    def output_shape(self, node):
        return (None, *node.attributes["shape"])

    def forward(self, node, b):
        source, target = node.inputs[0], node.output
        if source in b.graph.inputs:  # gather the data in its new shape at once
            return b.gather(source, target.rows_per_sample, target.features)
        x = b.slot(source)
        consumers = b.graph.consumers(target)
        if (
            consumers
            and target not in b.graph.outputs
            and all(isinstance(each.operation, Reshape) for each in consumers)
        ):
            return x  # they read the values in whatever shape these are
        if (x.rows_per_sample, x.n) == (target.rows_per_sample, target.features):
            return x
        y = b.matrix(target.rows_per_sample, target.features)
        self._copy(b, x, y)
        return y

    def backward(self, node, b, gradient):
        source = node.inputs[0]
        if (gradient.rows_per_sample, gradient.n) == (source.rows_per_sample, source.features):
            b.propagate_alias(source, gradient)
        else:
            b.propagate(source, lambda dx, accumulate, epilogue: self._copy(b, gradient, dx))

    def fold(self, node, f):
        """A pending scaling goes through if it can be told from the position on the new last axis alone."""
        value = f.value(node.inputs[0])
        if value.affine is None:
            return f.keep(node)
        shape, features = node.inputs[0].shape[1:], node.output.features
        vectors = []
        for vector in value.affine:
            rows = np.broadcast_to(vector, shape).reshape(-1, features)
            if (rows != rows[0]).any():
                return f.keep(node)
            vectors.append(rows[0])
        return f.keep(node, inputs=[f.unscaled(value)]).with_affine(*vectors, value.affine_from)

    def _copy(self, b, x, y):
        b.emit(
            "reshape",
            rows=1,
            work_per_row=elementwise_cycles(x.rows_per_sample * x.n, 2),
            x=x,
            y=y,
            rows_x=x.rows_per_sample,
            n_x=x.n,
            ldx=x.ld,
            rows_y=y.rows_per_sample,
            n_y=y.n,
            ldy=y.ld,
        )
