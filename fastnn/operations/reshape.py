"""Another shape for the values of a sample (Flatten, Reshape)."""

import numpy as np

from fastnn.lowering.layout import body, columns, copy_reshaped, is_batched, new_slot
from fastnn.operations.base import Operation


class Reshape(Operation):
    """Attributes of its nodes: `shape`, the sample's new shape."""

    name = "reshape"

    def output_shape(self, node):
        batch = (None,) if is_batched(node.inputs[0].shape) else ()
        return (*batch, *node.attributes["shape"])

    def to_onnx(self, node, e):
        return e.reshape(e.value(node.inputs[0]), node.output)

    def forward(self, node, b):
        source, target = node.inputs[0], node.output
        if b.reads_data(source) and target.ndim > 1:  # gather the data in its new shape at once
            return b.gather(source, target.rows_per_sample, target.features)
        x = b.slot(source)
        consumers = b.graph.consumers(target)
        if (
            consumers
            and is_batched(target.shape)
            and target not in b.graph.outputs
            and all(isinstance(each.operation, Reshape) for each in consumers)
        ):
            return x  # they read the values in whatever shape these are
        shape = source.shape
        if is_batched(shape) and x.ld > 1:  # which may be another than the source's, if that is such a one
            shape = (None, x.rows_per_sample, x.n)
        if self._same_memory(shape, target.shape):
            return x
        y = new_slot(b, target.shape)
        copy_reshaped(b, x, shape, y, target.shape)
        return y

    def backward(self, node, b, gradient):
        source, target = node.inputs[0], node.output
        if self._same_memory(source.shape, target.shape):
            b.propagate_alias(source, gradient)
            return

        def write(dx, accumulate, epilogue):
            copy_reshaped(b, gradient, target.shape, dx, source.shape)

        b.propagate(source, write)

    @staticmethod
    def _same_memory(old, new):
        """Do the values of the two shapes lie alike? Those of a vector over the samples have no gaps between them."""
        if is_batched(old) and 1 in (len(old), len(new)) and len(old) != len(new):
            return False
        return columns(old) == columns(new)

    def scale_output(self, node, scaling):
        return {}, [_reshaped(scaling, node.output.shape, node.inputs[0].shape)]

    def scale_inputs(self, node, scalings):
        return {}, _reshaped(scalings[0], node.inputs[0].shape, node.output.shape)


def _reshaped(scaling, old, new):
    """The scaling of the same values in another shape."""
    return scaling.moved(lambda array: np.broadcast_to(array, body(old)).reshape(body(new)))
