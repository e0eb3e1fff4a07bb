"""A graph as it is at inference, over float64 constants: the first pass."""

import numpy as np

from fastnn.freeze.folding.network import Constant, Network
from fastnn.graph import Node, Tensor
from fastnn.operations import REGISTRY
from fastnn.operations.scaling import Scaling


class Folder:
    """Rebuilds the nodes of a graph one by one; the operations' `fold` methods say how.

    Attributes
    ----------
    graph : Graph
        The old one.
    """

    def __init__(self, graph, report):
        self.graph = graph
        self._report = report
        self._values = {}

    def run(self):
        """The network."""
        inputs = [Tensor(each.shape, each.dtype, name=each.name) for each in self.graph.inputs]
        self._values.update(zip(self.graph.inputs, inputs, strict=True))
        for node in self.graph.nodes:
            self._values[node.output] = node.operation.fold(node, self)
        return Network(inputs, [self._values[each] for each in self.graph.outputs])

    # ---- what the operations ask for ---------------------------------------------------------------------------------

    def note(self, text):
        self._report.notes.append(text)

    def value(self, tensor):
        """The new tensor for an old one."""
        return self._values[tensor]

    def constant(self, variable, default=None):
        """A variable's value in float64; `default` for a variable that is not there."""
        return default if variable is None else variable.numpy().astype(np.float64)

    def keep(self, node, inputs=None, operation=None, **attributes):
        """The same operation on the new inputs, with copies of its variables; or another with its own attributes."""
        inputs = [self.value(each) for each in node.inputs] if inputs is None else inputs
        if operation is None:
            operation, attributes = node.operation.name, dict(node.attributes)
        variables = {
            name: each and Constant(self.constant(each), each.name, each.layout)
            for name, each in node.variables.items()
        }
        return self._new(node, operation, inputs, variables, attributes)

    def dense(self, node, kernel, bias):
        """A dense layer."""
        variables = {"kernel": Constant(kernel, "kernel", "panels"), "bias": Constant(bias, "bias")}
        return self._new(node, "dense", [self.value(node.inputs[0])], variables, {})

    def scaled(self, node, scale, shift, x=None):
        """The node's input, or a tensor of the new graph, by features times `scale`, plus `shift`."""
        x = self.value(node.inputs[0]) if x is None else x
        scaling = Scaling.of(x, scale, shift)
        variables = {"scale": Constant(scaling.scale, "scale"), "shift": Constant(scaling.shift, "shift")}
        return self._new(node, "affine", [x], variables, {})

    def _new(self, node, operation, inputs, variables, attributes):
        output = Node(REGISTRY[operation], inputs, variables, attributes, None).output
        output.name = node.output.name
        return output


def at_inference(graph, report):
    """The network of a graph at inference."""
    return Folder(graph, report).run()
