"""Modules of PyTorch as functional models.

`torch.fx` traces what a module does with its submodules. Those become layers (`torch_layers`); what functions and
methods do between them (`torch_functions`) is told in ONNX's words to what makes layers of an ONNX model, too.
"""

import collections

import numpy as np

from fastnn import _tree, layers
from fastnn.graph import Tensor
from fastnn.interop.onnx_layers import LayerMaker
from fastnn.interop.torch_functions import FUNCTIONS
from fastnn.interop.torch_layers import ELEMENTWISE, MODULES, numbers
from fastnn.models import Model

_Place = collections.namedtuple("_Place", "name op_type output", defaults=[("",)])


def from_torch(module, input_shape=None):
    """Make a model of a PyTorch module for dense networks.

    Parameters
    ----------
    module : torch.nn.Module
        A `Sequential`, or any module whose `forward` can be traced by `torch.fx` and is made of dense layers,
        normalisations, activations, dropout and embeddings, of sums, products, joints and reshapes.
    input_shape : tuple of int, or list of such, optional
        Shape of a sample, without the batch; a list for several inputs. The first layer may tell it.

    Returns
    -------
    Model
        With copies of the weights, in float32. Axis 0 of every input counts the samples. Inference is that of
        ``module.eval()``; training is Keras's: a normalisation's moving variance, which PyTorch multiplies by
        ``n / (n - 1)`` of a batch of n, is the plain one, and its momentum is 1 less PyTorch's. Parameters of modules
        of one's own, which belong to no layer, become constants.

    Raises
    ------
    ValueError
        For what is not supported, naming it.

    Examples
    --------
    >>> frozen = fastnn.from_torch(torch.nn.Sequential(torch.nn.Linear(8, 4), torch.nn.ReLU())).freeze()
    """
    try:
        import torch
        import torch.fx
    except ImportError as error:
        raise ImportError("from_torch takes a module of PyTorch, and torch is not installed.") from error
    if not isinstance(module, torch.nn.Module):
        raise TypeError(f"from_torch takes a torch.nn.Module. Received: {type(module).__name__}")
    module = getattr(module, "_orig_mod", module)  # of a compiled one
    if _maker_of(torch, module):
        module = torch.nn.Sequential(module)
    return _Importer(torch, module).run(input_shape)


def _maker_of(torch, module):
    """The entry of `MODULES` for a module, which may be of a subclass; None if there is none."""
    for each in type(module).__mro__:
        if each.__module__.startswith("torch.nn.") and each.__name__ in MODULES:
            return MODULES[each.__name__]
    return None


class _Importer(LayerMaker):
    def __init__(self, torch, module):
        super().__init__()
        self.torch = torch
        self.module = module
        self._layers = {}  # id of a module with weights: the layer that has them
        self._owner = None  # id of the module that is being read

        class Tracer(torch.fx.Tracer):
            def is_leaf_module(self, inner, name):
                return bool(_maker_of(torch, inner)) or super().is_leaf_module(inner, name)

        try:
            self.graph = Tracer().trace(module)
        except Exception as error:  # whatever the module's own code does with what is traced
            raise ValueError(
                f"from_torch: torch.fx cannot trace {type(module).__name__}: {error}. Its forward must not depend on "
                "values. torch.onnx.export and fastnn.from_onnx are another way."
            ) from error

    def run(self, input_shape):
        shapes = [None] if input_shape is None else input_shape if isinstance(input_shape, list) else [input_shape]
        shapes, self.inputs, self.values = iter(shapes), [], {}
        for node in self.graph.nodes:
            if node.op == "output":
                outputs = self._known(node.args[0])
                break
            try:
                self.values[node] = getattr(self, f"_{node.op}")(node, shapes)
            except (ValueError, TypeError, IndexError, KeyError, AttributeError) as error:
                what = f"{type(error).__name__}: {error}" if not isinstance(error, ValueError) else error
                raise ValueError(f"from_torch: {_described(node)} cannot be read: {what}") from error
        for each in _tree.flatten(outputs):
            if not isinstance(each, Tensor):
                raise ValueError(f"from_torch: an output does not depend on the input, or is no tensor: {each!r:.100}")
        outputs = _tree.map_structure(self._made, outputs)
        return Model(self.inputs if len(self.inputs) > 1 else self.inputs[0], outputs)

    def _made(self, tensor):
        return layers.Identity(name=self.unique("identity"))(tensor) if tensor.node is None else tensor

    def _known(self, value):
        """An argument with what is known of the nodes in it."""
        if isinstance(value, self.torch.fx.Node):
            return self.values[value]
        if isinstance(value, (list, tuple)):
            return [self._known(each) for each in value]
        if isinstance(value, dict):
            return {key: self._known(each) for key, each in value.items()}
        if isinstance(value, slice):
            return slice(*map(self._known, (value.start, value.stop, value.step)))
        return value

    # ---- the kinds of nodes of torch.fx ------------------------------------------------------------------------------

    def _placeholder(self, node, shapes):
        shape = next(shapes, None)
        if shape is None and node.args:
            return node.args[0]  # its default
        shape = self._told_by(node) if shape is None else shape
        if shape is None:
            raise ValueError("no layer tells the shape of this input. Give it: from_torch(module, input_shape=(...))")
        self.inputs.append(layers.Input(tuple(shape), name=self.unique(node.target)))
        return self.inputs[-1]

    def _told_by(self, node):
        """The shape of a sample that the first layer behind an input takes; None if it takes any."""
        while len(node.users) == 1:
            (node,) = node.users
            if node.op != "call_module":
                return None
            module = self.graph_module(node)
            for name in ("in_features", "num_features"):
                if hasattr(module, name):
                    return (getattr(module, name),)
            if hasattr(module, "normalized_shape"):
                return tuple(module.normalized_shape)
            if type(module).__name__ not in ELEMENTWISE:
                return None
        return None

    def graph_module(self, node):
        return self.module.get_submodule(node.target)

    def _get_attr(self, node, shapes):
        value = self.module
        for part in node.target.split("."):
            value = getattr(value, part)
        return numbers(value)

    def _call_module(self, node, shapes):
        module = self.graph_module(node)
        make = _maker_of(self.torch, module)
        if make is None:
            raise ValueError(f"this module is not supported. Supported: {', '.join(sorted(MODULES))}")
        (x,) = self._known(node.args)
        if id(module) in self._layers:  # used twice: the same weights
            return self._layers[id(module)](x)
        name = node.target.replace(".", "_")
        name = name if not name[0].isdigit() else f"{type(module).__name__.lower()}_{name}"
        self._owner = id(module)
        return make(self, _Place(name, type(module).__name__), module, x)

    def _call_function(self, node, shapes):
        return self._call(node, node.target.__name__)

    def _call_method(self, node, shapes):
        return self._call(node, node.target)

    def _call(self, node, name):
        arguments, options = self._known(node.args), self._known(node.kwargs)
        symbolic = [each for each in _tree.flatten([arguments, options]) if isinstance(each, Tensor)]
        if not symbolic:
            return self._of_numbers(node, name, arguments, options)
        key = name.strip("_")  # add_ as add
        if key not in FUNCTIONS:
            raise ValueError(f"this function is not supported. Supported: {', '.join(sorted(FUNCTIONS))}")
        self._owner, place = None, _Place(node.name, key)
        return FUNCTIONS[key](self, place, *arguments, **options)

    @staticmethod
    def _of_numbers(node, name, arguments, options):
        """Sizes and weights are computed at once."""
        if node.op == "call_function" and getattr(node.target, "__module__", "") in ("_operator", "builtins"):
            return node.target(*arguments, **options)
        if name in ("t", "transpose") and isinstance(arguments[0], np.ndarray):
            return np.swapaxes(arguments[0], *(arguments[1:] or (0, 1)))
        raise ValueError("it is applied to weights or sizes alone, which is not supported")

    # ---- layers ------------------------------------------------------------------------------------------------------

    def apply(self, place, layer_class, x, *arguments, **options):
        y = super().apply(place, layer_class, x, *arguments, **options)
        if options.get("weights") and self._owner is not None:
            self._layers[self._owner] = y.call.layer
        return y


def _described(node):
    if node.op == "call_module":
        return f"module {node.target!r}"
    if node.op == "placeholder":
        return f"input {node.target!r}"
    return f"{getattr(node.target, '__name__', node.target)} ({node.name!r})"
