"""The values of nodes on constants, in float64."""

import numpy as np

from fastnn.lowering.layout import is_batched
from fastnn.lowering.primitives import ACTIVATIONS, PRIMITIVES


class _Values:
    """An array with the operators that formulas have (see `fastnn.lowering.formula.Term`)."""

    def __init__(self, array):
        self.array = array

    def __getattr__(self, name):
        if name not in PRIMITIVES:
            raise AttributeError(name)
        return lambda *others: _apply(name, self, *others)

    def greater(self, other):
        return _apply("less", other, self)

    def __add__(self, other):
        return _apply("add", self, other)

    def __mul__(self, other):
        return _apply("multiply", self, other)


def _apply(primitive, *arguments):
    arrays = [each.array if isinstance(each, _Values) else np.float64(each) for each in arguments]
    return _Values(np.asarray(PRIMITIVES[primitive].on_arrays(*arrays), np.float64))


def _activation(node, x):
    return ACTIVATIONS[node.attributes["function"]](_Values(x), node.attributes["alpha"]).array


def _elementwise(node, *arrays):
    given = iter(arrays)
    arguments = [next(given) if each is None else each for each in node.attributes["arguments"]]
    return PRIMITIVES[node.attributes["function"]].on_arrays(*arguments)


def _prelu(node, x):
    return np.where(x > 0, x, x * node.variables["alpha"].value)


def _reduce(node, x):
    kind, axis = node.attributes["kind"], node.attributes["axis"]
    result = getattr(x, kind)(axis=axis)
    return np.expand_dims(result, axis) if node.attributes["keepdims"] else result


def _dense(node, x):
    return x @ node.variables["kernel"].value + node.variables["bias"].value


_FUNCTIONS = {
    "parameter": lambda node: node.variables["value"].value,
    "elementwise": _elementwise,
    "activation": _activation,
    "prelu": _prelu,
    "affine": lambda node, x: x * node.variables["scale"].value + node.variables["shift"].value,
    "reshape": lambda node, x: x.reshape(node.attributes["shape"]),
    "arrange": lambda node, *arrays: node.operation.on_arrays(node, arrays),
    "reduce": _reduce,
    "dense": _dense,
    "matmul": lambda node, x, w: x @ (np.swapaxes(w, -1, -2) if node.attributes["turned"] else w),
}


def evaluate(node, arrays):
    """The output of a node for arrays in the place of its inputs; None where there is no such function."""
    function = _FUNCTIONS.get(node.operation.name)
    if function is None:
        return None
    with np.errstate(all="ignore"):
        return np.asarray(function(node, *arrays), np.float64)


def depends_on_batch(node):
    """Is there something of a sample in a node's output, or in its inputs?"""
    return any(is_batched(each.shape) for each in (node.output, *node.inputs)) or node.operation.name == "batch_size"
