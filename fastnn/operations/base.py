"""What an operation is to the rest of the package, and the registry of all of them."""

import threading

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

    def is_random(self, node, b):
        """Does the node draw random numbers in the program that is being built?"""
        return False

    def forward(self, node, b):
        """Emit the forward instructions; return the slot that holds the output."""
        raise NotImplementedError(f"Operation {self.name!r} has no forward pass.")

    def backward(self, node, b, gradient):
        """Emit the instructions that turn the output's gradient into those of the inputs and the variables."""
        raise NotImplementedError(f"Operation {self.name!r} has no backward pass.")

    def to_onnx(self, node, e):
        """Emit the ONNX nodes that compute the node at inference; returns the name of its value.

        `e` is the `fastnn.interop.onnx_writer.Exporter` at work.
        """
        raise ValueError(f"Layer {node.output.name!r} cannot be written as ONNX: nothing there is {self.name!r}.")

    def fold(self, node, f):
        """Rebuild the node for inference, with constants; returns a `fastnn.freeze.fold.Value`.

        `f` is the `Folder` at work. By default the operation is applied as it is to the rebuilt inputs.
        """
        return f.keep(node)


class _Calling(threading.local):
    """The layers that are being built or traced, the innermost last; every thread may build a model of its own."""

    def __init__(self):
        self.layers = []
        self.inside = False  # of the `call` of a layer?


_calling = _Calling()


class calling:
    """While this context lasts, new nodes belong to the given layer, and the names of new variables begin with its
    name. None: to no layer."""

    def __init__(self, layer):
        self.layer = layer

    def __enter__(self):
        _calling.layers.append(self.layer)

    def __exit__(self, *error):
        _calling.layers.pop()


class inside_call:
    """While this context lasts, calls of layers are part of another layer's `call`, and not remembered as calls that a
    person made; or, with `value` False, are again."""

    def __init__(self, value=True):
        self.value = value

    def __enter__(self):
        self.before, _calling.inside = _calling.inside, self.value

    def __exit__(self, *error):
        _calling.inside = self.before


def is_inside_call():
    """Is the `call` of a layer being traced?"""
    return _calling.inside


def layers_being_called():
    """The layers that are being built or traced, the innermost last."""
    return tuple(layer for layer in _calling.layers if layer is not None)


def tracing():
    """Is something being traced: a layer, or a function of the user's own?"""
    return bool(_calling.layers)


def apply(name, inputs, variables=None, **attributes):
    """Add a node to the graph of its inputs; returns its symbolic output."""
    layer = _calling.layers[-1] if _calling.layers else None
    return Node(REGISTRY[name], inputs, variables or {}, attributes, layer).output
