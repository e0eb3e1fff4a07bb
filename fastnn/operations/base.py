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
    on_host = False  # is it computed by Python, before the engine reads the data?
    adds_loss = False  # has it a gradient of its own, whatever depends on its output?

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
        """Rebuild the node for inference, over constants; returns the new output.

        `f` is the `fastnn.freeze.folding.inference.Folder` at work. By default the operation is applied as it is to the
        rebuilt inputs.
        """
        return f.keep(node)

    # What happens to a `Scaling` of values (``fastnn/operations/scaling.py``) that meets a node, when a network is
    # folded. The constants that are returned, arrays by name, take the place of the node's variables.

    def scale_output(self, node, scaling):
        """What would scale the output: constants of the node, and for each input a scaling of it, or None.

        Returns None where that cannot be.
        """

    def scale_inputs(self, node, scalings):
        """What a node does with scaled inputs, said otherwise: constants of the node, for inputs as they were, and the
        scaling of its output, or None where there is none left.

        `scalings` has one for each input, or None. Returns None where there is no other way to say it.
        """


class _Calling(threading.local):
    """The layers that are being built or traced, the innermost last; every thread may build a model of its own."""

    def __init__(self):
        self.layers = []
        self.inside = False  # of the `call` of a layer?
        self.training = None  # the mode that the layers being called were told


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


class in_mode:
    """While this context lasts, layers that are called and told no mode are in this one."""

    def __init__(self, training):
        self.training = training

    def __enter__(self):
        self.before, _calling.training = _calling.training, self.training

    def __exit__(self, *error):
        _calling.training = self.before


def mode_told():
    """The mode that a layer around was told: True, False, or None where none was."""
    return _calling.training


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
