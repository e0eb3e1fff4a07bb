"""What the passes of folding work on: nodes that may be changed, over constants in float64."""

from fastnn.graph import Graph, Node
from fastnn.operations import REGISTRY


class Constant:
    """What stands in a node for a `Variable` until folding is done.

    Attributes
    ----------
    value : ndarray of float64
    name, layout : str
        As the variable will have them.
    """

    __slots__ = ("value", "name", "layout")

    def __init__(self, value, name, layout="rows"):
        self.value = value
        self.name = name
        self.layout = layout

    @property
    def shape(self):
        return self.value.shape

    @property
    def size(self):
        return self.value.size


def arithmetic(function, x, value):
    """The sum, the product or the difference of a tensor and an array that is broadcast to its samples: a tensor."""
    if value.size == 1:
        inputs, arguments = [x], (None, value.item())
    else:
        while value.shape[0] == 1:
            value = value[0]
        constant = Node(REGISTRY["parameter"], [], {"value": Constant(value, "value")}, {}, None)
        inputs, arguments = [x, constant.output], (None, None)
    attributes = dict(function=function, arguments=arguments, shape=x.shape)
    return Node(REGISTRY["elementwise"], inputs, {}, attributes, None).output


class Network:
    """A graph that knows at any time who reads what, while nodes are changed, replaced and dropped.

    Attributes
    ----------
    inputs, outputs : list of Tensor
    """

    def __init__(self, inputs, outputs):
        self.inputs = list(inputs)
        self.outputs = list(outputs)
        self._number()

    def _number(self):
        """Put the nodes into an order in which they can be computed."""
        self._places = {node: place for place, node in enumerate(Graph(self.inputs, self.outputs).nodes)}
        self._readers = {}
        for node in self._places:
            for tensor in node.inputs:
                self._readers.setdefault(tensor, {})[node] = None

    @property
    def nodes(self):
        """A list of those that there are now, in order."""
        return list(self._places)

    def __contains__(self, node):
        return node in self._places

    def place(self, node):
        """Where a node stands in the order."""
        return self._places[node]

    @property
    def size(self):
        """The number of nodes and that of constants."""
        return len(self._places), sum(each.size for node in self._places for each in node.variables.values() if each)

    def readers(self, tensor):
        """The nodes that read a tensor, each once."""
        return list(self._readers.get(tensor, ()))

    def only_reader(self, tensor):
        """The one node that reads a tensor, and reads it once; None if there is no such, or it is an output as well."""
        readers = self._readers.get(tensor, ())
        if len(readers) != 1 or tensor in self.outputs:
            return None
        (reader,) = readers
        return reader if reader.inputs.count(tensor) == 1 else None

    def set_constants(self, node, **values):
        """Give a node other constants, by name; the others stay."""
        for name, value in values.items():
            before = node.variables.get(name)
            node.variables[name] = Constant(value, name, before.layout if before else "rows")

    def become(self, node, operation, inputs, constants, **attributes):
        """Make another operation of a node, with the same output."""
        node.operation = REGISTRY[operation]
        node.attributes = attributes
        node.variables = {each.name: each for each in constants}
        self.set_inputs(node, inputs)

    def set_inputs(self, node, inputs):
        """Let a node read something else."""
        before, node.inputs = node.inputs, list(inputs)
        for tensor in node.inputs:
            self._readers.setdefault(tensor, {})[node] = None
        for tensor in before:
            self._unread(tensor, node)

    def replace(self, old, new):
        """Let everybody read another tensor."""
        self.outputs = [new if each is old else each for each in self.outputs]
        for node in self.readers(old):
            self.set_inputs(node, [new if each is old else each for each in node.inputs])
        self._unread(old, None)

    def put_before(self, node, tensor):
        """Let a node read what a new node computes, which reads what it has read."""
        tensor.name = node.output.name
        node.inputs = [tensor]
        self._number()

    def _unread(self, tensor, reader):
        """Forget a reader that no longer reads a tensor, and whoever computes it if it was the last."""
        stack = [(tensor, reader)]
        while stack:
            tensor, reader = stack.pop()
            readers = self._readers.get(tensor, {})
            if reader is not None and tensor not in (reader.inputs if reader in self._places else ()):
                readers.pop(reader, None)
            node = tensor.node
            if not readers and tensor not in self.outputs and node in self._places:
                del self._places[node]
                stack += [(each, node) for each in node.inputs]
