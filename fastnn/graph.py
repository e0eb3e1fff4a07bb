"""The one description of a network: nodes, shapes, parameters. Plain data; nothing is computed here.

Calling a layer on a symbolic `Tensor` adds nodes; `Graph` collects the nodes between given inputs and outputs.
Training, prediction, `summary`, `freeze` and exports all read the same graph.
"""

from fastnn import _revision, _tree


class Tensor:
    """A symbolic value: the output of a node, or an input of the network (`node` is None).

    Attributes
    ----------
    shape : tuple
        The first axis is the batch, always None.
    dtype : str
    name : str
    call : Call or None
        The call of a layer that returned it; None inside of layers, and for operations outside of any.
    """

    __slots__ = ("shape", "dtype", "node", "name", "call", "__weakref__")

    def __init__(self, shape, dtype="float32", node=None, name=None, record_history=True):
        self.shape = tuple(shape)
        self.dtype = dtype
        self.node = node
        self.name = name
        self.call = None

    @property
    def ndim(self):
        return len(self.shape)

    @property
    def features(self):
        """Size of the last axis; 1 where there is none but the batch."""
        return self.shape[-1] if self.shape and self.shape[-1] is not None else 1

    @property
    def rows_per_sample(self):
        """Rows of the matrix that one sample is: the product of the axes between the first and the last."""
        rows = 1
        for size in self.shape[1:-1]:
            rows *= size
        return rows

    def __array__(self, dtype=None, copy=None):
        raise self._no_values("numpy.asarray")

    def __float__(self):
        raise self._no_values("float")

    def __int__(self):
        raise self._no_values("int")

    def __bool__(self):
        raise self._no_values("if or bool")

    def _no_values(self, function):
        return TypeError(
            f"`{function}` on {self!r}: it is symbolic, it has a shape but no values yet. What a network, a "
            "loss or a metric "
            "computes is written with Python's operators and fastnn.ops (ops.exp, ops.where, ops.mean, ...), which are "
            "compiled. What only Python can compute must happen before, on the data, or after, on "
            "predictions. For values, "
            "build a model and call it on data."
        )

    def __repr__(self):
        return f"<Tensor shape={self.shape}, dtype={self.dtype}, name={self.name}>"


class Node:
    """One operation applied to tensors.

    Attributes
    ----------
    operation : fastnn.operations.Operation
    inputs : list of Tensor
    output : Tensor
    variables : dict of str to Variable or None
    attributes : dict
        What the operation needs to know: plain numbers, strings and flags.
    layer : Layer or None
        The layer whose call made this node; None for operations applied outside of a layer.
    """

    __slots__ = ("operation", "inputs", "output", "variables", "attributes", "layer")

    def __init__(self, operation, inputs, variables, attributes, layer):
        self.operation = operation
        self.inputs = list(inputs)
        self.variables = variables
        self.attributes = attributes
        self.layer = layer
        name = layer.name if layer is not None else operation.name
        self.output = Tensor(operation.output_shape(self), node=self, name=name)

    def __repr__(self):
        return f"<Node {self.operation.name} {[each.shape for each in self.inputs]} -> {self.output.shape}>"


class Call:
    """One call of a layer on symbolic tensors, as a person wrote it: what models are drawn, copied and saved from.

    Attributes
    ----------
    layer : Layer
    args, kwargs
        The arguments, with tensors anywhere in nested lists, tuples and dictionaries.
    outputs
        What it returned: a tensor, or a structure of some.
    number : int
        Of the layer's calls before it.
    """

    __slots__ = ("layer", "args", "kwargs", "outputs", "number")

    def __init__(self, layer, args, kwargs, outputs, number):
        self.layer = layer
        self.args = args
        self.kwargs = kwargs
        self.outputs = outputs
        self.number = number
        for each in _tree.flatten(outputs):
            each.call = self

    @property
    def inputs(self):
        """The tensors among the arguments, as a list."""
        return [each for each in _tree.flatten([self.args, self.kwargs]) if isinstance(each, Tensor)]

    def __repr__(self):
        return f"<Call number {self.number} of {self.layer.name}>"


class Graph:
    """Everything between `inputs` and `outputs`.

    Attributes
    ----------
    inputs, outputs : list of Tensor
    nodes : list of Node
        In an order in which they can be computed.
    variables : list of Variable
        Every one once, in the order of the nodes.
    on_host : list of Node
        Those that Python computes, before the engine reads the data.
    adds_losses : bool
        Does a layer add a loss of a batch as a whole?
    """

    def __init__(self, inputs, outputs):
        self.inputs = list(inputs)
        self.outputs = list(outputs)
        self.nodes = self._sorted_nodes()
        self._state = self._state_of = None
        self._modes = {}
        values = (value for node in self.nodes for value in node.attributes.values())
        self._settings = [value for value in values if isinstance(value, _revision.Setting)]
        self._consumers = {}
        for node in self.nodes:
            for tensor in node.inputs:
                self._consumers.setdefault(tensor, []).append(node)
        self.on_host = [node for node in self.nodes if node.operation.on_host]
        self.adds_losses = any(node.operation.name == "added_loss" for node in self.nodes)
        used = (variable for node in self.nodes for variable in node.variables.values())
        self.variables = list(dict.fromkeys(variable for variable in used if variable is not None))

    def _sorted_nodes(self):
        nodes, known = [], set(self.inputs)
        stack = [(tensor, False) for tensor in reversed(self.outputs)]
        while stack:  # depth first without recursion: a network may be thousands of layers deep
            tensor, inputs_done = stack.pop()
            if tensor in known:
                continue
            if tensor.node is None:
                raise ValueError(
                    f"The output depends on {tensor!r}, which is not among the inputs of the model. "
                    f"Inputs: {self.inputs}"
                )
            if inputs_done:
                nodes.append(tensor.node)
                known.add(tensor)
            else:
                stack.append((tensor, True))
                stack.extend((each, False) for each in reversed(tensor.node.inputs))
        return nodes

    def in_mode(self, training):
        """The graph with one of the branches where a `call` branches on `training`; this one where none does."""
        if not any(node.operation.name == "by_mode" for node in self.nodes):
            return self
        if training not in self._modes:
            now = {each: each for each in self.inputs}
            for node in self.nodes:
                if node.operation.name == "by_mode":
                    now[node.output] = now[node.inputs[0 if training else 1]]
                    continue
                inputs = [now[each] for each in node.inputs]
                if inputs != node.inputs:
                    again = Node(node.operation, inputs, node.variables, node.attributes, node.layer)
                    again.output.name = node.output.name
                    now[node.output] = again.output
                else:
                    now[node.output] = node.output
            self._modes[training] = Graph(self.inputs, [now[each] for each in self.outputs])
        return self._modes[training]

    def consumers(self, tensor):
        """Nodes of the graph that read a tensor."""
        return self._consumers.get(tensor, [])

    def only_consumer(self, tensor):
        """The one node that reads a tensor; None if there are several, or if it is also an output of the graph."""
        consumers = self.consumers(tensor)
        return consumers[0] if len(consumers) == 1 and tensor not in self.outputs else None

    def state(self):
        """What programs of this graph are made for: where the variables lie, their masks, which layers are trainable,
        and settings. They are made again when it changes."""
        revision = _revision.current()
        if self._state_of != revision:
            places = [(id(each._buffer), each._offset, each.mask) for each in self.variables]
            settings = [each.value for each in self._settings]
            state = places, [node.layer is None or node.layer.trainable for node in self.nodes], settings
            if self._state != state:  # an equal one stays the same object, which is quicker to compare
                self._state = state
            self._state_of = revision
        return self._state
