"""What is constant is computed, and arithmetic with a constant becomes a scaling or a dense layer."""

import numpy as np

from fastnn.freeze.folding.evaluate import depends_on_batch, evaluate
from fastnn.freeze.folding.network import Constant
from fastnn.lowering.layout import is_batched
from fastnn.operations.scaling import Scaling


def compute_constants(network, report):
    """Replace nodes that read nothing but constants by their values."""
    values = {}
    for node in network.nodes:
        if depends_on_batch(node) or any(each not in values for each in node.inputs):
            continue
        value = evaluate(node, [values[each] for each in node.inputs])
        if value is None:
            continue
        values[node.output] = value
        if node.operation.name != "parameter":
            report.notes.append(f"{node.output.name} computed: it is constant")
            network.become(node, "parameter", [], [Constant(value, "value")])


def find_layers(network, report):
    """Make scalings of sums, products, differences and quotients with a constant, and dense layers of products with a
    constant matrix."""
    for node in network.nodes:
        if node.operation.name == "matmul":
            x, matrix = node.inputs[0], _constant(node.inputs[1])
            if matrix is not None and matrix.ndim == 2 and is_batched(x.shape) and x.ndim > 1:
                matrix = matrix.T if node.attributes["turned"] else matrix
                constants = [Constant(matrix, "kernel", "panels"), Constant(np.zeros(matrix.shape[1]), "bias")]
                network.become(node, "dense", [x], constants)
        elif node.operation.name == "elementwise":
            x, scaling = _as_scaling(node)
            if scaling is not None:
                constants = [Constant(scaling.scale, "scale"), Constant(scaling.shift, "shift")]
                network.become(node, "affine", [x], constants)


def _as_scaling(node):
    """The one input that is no constant, and its scaling; None and None where the node is something else."""
    tensors = iter(node.inputs)
    arguments = [next(tensors) if each is None else each for each in node.attributes["arguments"]]
    constants = [_constant(each) for each in arguments]
    batched = [each for each, known in zip(arguments, constants, strict=True) if known is None]
    function = node.attributes["function"]
    if len(batched) != 1 or function not in _SCALINGS:
        return None, None
    (x,) = batched
    if x.ndim < 2 or not is_batched(x.shape) or x.shape != node.output.shape:
        return None, None
    scale, shift = _SCALINGS[function](*constants)
    if scale is None or not (np.isfinite(scale).all() and np.isfinite(shift).all()):
        return None, None
    return x, Scaling.of(x, scale, shift)


def _constant(argument):
    """The value of an argument: a number's, or that of a tensor that is one; None for others."""
    if isinstance(argument, (int, float)):
        return np.float64(argument)
    node = argument.node
    if node is not None and node.operation.name == "parameter" and not is_batched(argument.shape):
        return node.variables["value"].value
    return None


def _divided(x, c):
    if x is not None or not np.all(c):  # c / x is none, and x / 0 has no scale
        return None, None
    return 1 / c, 0.0


_SCALINGS = {
    "add": lambda a, b: (1.0, b if a is None else a),
    "subtract": lambda a, b: (1.0, -b) if a is None else (-1.0, a),
    "multiply": lambda a, b: (b if a is None else a, 0.0),
    "divide": _divided,
    "negative": lambda a: (-1.0, 0.0),
}
