"""What an operation is to the rest of the package, and the registry of all of them."""

from fastnn.graph import Node

REGISTRY = {}


class Operation:
    """One kind of node. Stateless: what differs between two nodes of a kind is in the node.

    A new operation is one file here (shape, forward, backward, folding), one in ``csrc/ops``, and the layer that
    applies it; `REGISTRY` finds it by name.
    """

    name = ""

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if cls.name:
            REGISTRY[cls.name] = cls()

    def output_shape(self, node):
        """Shape of the output; by default that of the first input."""
        return node.inputs[0].shape

    def forward(self, node, b):
        """Emit the forward instructions; return the slot that holds the output."""
        raise NotImplementedError(f"Operation {self.name!r} has no forward pass.")

    def backward(self, node, b, gradient):
        """Emit the instructions that turn the output's gradient into those of the inputs and the variables."""
        raise NotImplementedError(f"Operation {self.name!r} has no backward pass.")

    def fold(self, node, f):
        """Rebuild the node for inference, with constants; returns a `fastnn.freeze.fold.Value`.

        `f` is the `Folder` at work. By default the operation is applied as it is to the rebuilt inputs.
        """
        return f.keep(node)


_calling = []  # the layers whose `call` is being traced, the innermost last


class calling:
    """While this context lasts, nodes belong to the given layer."""

    def __init__(self, layer):
        self.layer = layer

    def __enter__(self):
        _calling.append(self.layer)

    def __exit__(self, *error):
        _calling.pop()


def apply(name, inputs, variables=None, **attributes):
    """Add a node to the graph of its inputs; returns its symbolic output."""
    layer = _calling[-1] if _calling else None
    return Node(REGISTRY[name], inputs, variables or {}, attributes, layer).output
