"""Rewrites a graph for inference.

Nodes are rebuilt one by one, in order. Two things are put off as long as possible:

* a scaling (``x * scale + shift``, feature by feature): what batch normalisation, Normalization and Rescaling are at
  inference. It is only remembered with the value, scalings of scalings multiply, and the next dense layer takes it into
  its kernel. Where none follows, it goes into the dense layer before, or becomes one operation.
* a dense layer: its kernel and bias stay float64 arrays until something reads its output, so that a scaling which
  follows can still go into them.

So ``dense, BN``, ``BN, dense`` and ``dense, activation, BN, dense`` all end without the normalisation. All folding is
done in float64; weights are rounded to float32 once.
"""

import numpy as np

from fastnn.graph import Graph, Node, Tensor
from fastnn.operations import REGISTRY
from fastnn.variables import Variable


class Value:
    """A tensor of the old graph as it is known so far in the new one.

    Attributes
    ----------
    tensor : Tensor or None
        In the new graph; None while `dense` waits.
    dense : tuple (node of the old graph, input tensor, kernel, bias) or None
    affine : tuple (scale, shift) or None
        Still to be applied.
    affine_from : str
        Which layers the scaling comes from.
    """

    __slots__ = ("tensor", "dense", "affine", "affine_from")

    def __init__(self, tensor=None, dense=None, affine=None, affine_from=""):
        self.tensor = tensor
        self.dense = dense
        self.affine = affine
        self.affine_from = affine_from

    def with_affine(self, scale, shift, affine_from):
        """This tensor with a scaling still to be applied."""
        return Value(self.tensor, affine=(scale, shift), affine_from=affine_from)


class Folder:
    """Rebuilds one graph; the operations' `fold` methods say how.

    Attributes
    ----------
    notes : list of str
        What was folded into what.
    """

    def __init__(self, graph):
        self.graph = graph
        self.notes = []
        self._values = {}
        self._constants = {}

    def run(self):
        """The new graph."""
        inputs = [Tensor(each.shape, each.dtype, name=each.name) for each in self.graph.inputs]
        for old, new in zip(self.graph.inputs, inputs, strict=True):
            self._values[old] = Value(new)
        for node in self.graph.nodes:
            self._values[node.output] = node.operation.fold(node, self)
        return Graph(inputs, [self.tensor(each) for each in self.graph.outputs])

    def note(self, text):
        self.notes.append(text)

    def value(self, tensor):
        return self._values[tensor]

    def constant(self, variable, default=None):
        """A variable's value in float64; `default` for a variable that is not there."""
        return default if variable is None else variable.numpy().astype(np.float64)

    # ---- what the operations ask for ---------------------------------------------------------------------------------

    def tensor(self, old):
        """The new tensor for an old one, with everything applied that was put off."""
        value = self._values[old]
        tensor = self.unscaled(value)
        if value.affine is not None:
            scale, shift = value.affine
            self.note(f"{value.affine_from} kept as a scaling: no dense layer is there to take it")
            variables = {"scale": Variable(scale, name="scale"), "shift": Variable(shift, name="shift")}
            tensor = Node(REGISTRY["affine"], [tensor], variables, {}, None).output
            tensor.name = old.name
            self._values[old] = Value(tensor)
        return tensor

    def unscaled(self, value):
        """A value's tensor in the new graph, before its pending scaling."""
        if value.tensor is None:
            node, x, kernel, bias = value.dense
            variables = {
                "kernel": Variable(kernel, name="kernel", layout="panels"),
                "bias": Variable(bias, name="bias"),
            }
            value.tensor = Node(REGISTRY["dense"], [x], variables, {}, None).output
            value.tensor.name = node.output.name
        return value.tensor

    def keep(self, node, inputs=None, operation=None, **attributes):
        """The same operation on the new inputs, with copies of its variables; or another with its own attributes."""
        inputs = [self.tensor(each) for each in node.inputs] if inputs is None else inputs
        if operation is None:
            operation, attributes = node.operation.name, dict(node.attributes)
        output = Node(REGISTRY[operation], inputs, self._copies(node), attributes, None).output
        output.name = node.output.name
        return Value(output)

    def dense(self, node, x, kernel, bias):
        """A dense layer that waits for a scaling to come."""
        return Value(dense=(node, x, kernel, bias))

    def scaled(self, node, scale, shift):
        """The node's input with a scaling: into the waiting dense layer if nobody else reads that, else put off."""
        old = node.inputs[0]
        value = self._values[old]
        name = node.output.name
        if value.tensor is None and value.affine is None and self.graph.only_consumer(old) is node:
            dense_node, x, kernel, bias = value.dense
            self.note(f"{name} folded into {dense_node.output.name}, which comes before it")
            return self.dense(dense_node, x, kernel * scale, bias * scale + shift)
        tensor = self.unscaled(value)
        if value.affine is None:
            return Value(tensor, affine=(scale, shift), affine_from=name)
        first_scale, first_shift = value.affine
        affine = first_scale * scale, first_shift * scale + shift
        return Value(tensor, affine=affine, affine_from=f"{value.affine_from} and {name}")

    def _copies(self, node):
        return {
            name: variable and Variable(variable.numpy(), name=variable.name, layout=variable.layout)
            for name, variable in node.variables.items()
        }


def fold(graph):
    """Fold a graph for inference.

    Returns
    -------
    graph : Graph
        A new one over constants of its own.
    notes : list of str
        What was folded into what, in words.

    Raises
    ------
    ValueError
        If a layer is called with ``training=True``: what it computes is not constant.
    """
    folder = Folder(graph)
    return folder.run(), folder.notes
