"""Makes the inputs of dense layers alike before their weights are rounded to 8 bits.

An output's weights share one scale, so where an input's weights are a hundred times larger than the others', little is
left of the others. Batch normalisation leaves such kernels when it is folded into the layer after it: an input that
hardly varies gets huge weights. Activations have 16 bits and can carry the difference: ``x . W = (x s) . (W / s)``,
with s a power of two for each input, so that nothing is rounded.
"""

import numpy as np

from fastnn.graph import Graph, Node, Tensor
from fastnn.operations import REGISTRY
from fastnn.variables import Variable

_WORTH_IT = 4  # how much larger than the usual input's the weights of one input must be


def input_scales(kernel):
    """Powers of two by which the inputs of a layer are to be multiplied; None where there is no need.

    Parameters
    ----------
    kernel : ndarray of float32, shape (inputs, outputs)

    Returns
    -------
    ndarray of float32, shape (inputs,), or None
    """
    largest = np.abs(kernel).max(axis=1, initial=0)
    used = largest[largest > 0]
    if not used.size or not np.isfinite(used).all() or used.max() < _WORTH_IT * np.median(used):
        return None
    exponents = np.rint(np.log2(np.where(largest > 0, largest / np.median(used), 1)))
    return np.exp2(exponents).astype(np.float32)


def alike(x, variables, name):
    """The input and the variables of a dense layer with its inputs made alike.

    Parameters
    ----------
    x : Tensor
    variables : dict of str to Variable
    name : str
        For the scaling, if there is one.

    Returns
    -------
    x : Tensor
    variables : dict of str to Variable
    scale : ndarray of float32 or None
        By what the inputs are multiplied.
    """
    kernel = variables["kernel"]
    scale = input_scales(kernel.numpy())
    if scale is None:
        return x, variables, None
    shift = Variable(np.zeros_like(scale), name="shift")
    x = Node(REGISTRY["affine"], [x], {"scale": Variable(scale, name="scale"), "shift": shift}, {}, None).output
    x.name = name
    divided = Variable(kernel.numpy() / scale[:, None], name="kernel", layout=kernel.layout)
    return x, {**variables, "kernel": divided}, scale


def balance(graph):
    """A folded graph in which the inputs of each dense layer matter alike; scalings by powers of two are added.

    Layers that are int8 already stay as they are.

    Parameters
    ----------
    graph : Graph

    Returns
    -------
    Graph
        Over its own kernels where they change, and over those of `graph` elsewhere.
    """
    tensors = {each: Tensor(each.shape, each.dtype, name=each.name) for each in graph.inputs}
    for node in graph.nodes:
        inputs, variables = [tensors[each] for each in node.inputs], dict(node.variables)
        if node.operation.name in ("dense", "packed_dense") and node.attributes.get("precision") != "int8":
            inputs[0], variables, _ = alike(inputs[0], variables, node.output.name)
        output = Node(node.operation, inputs, variables, dict(node.attributes), None).output
        output.name = node.output.name
        tensors[node.output] = output
    return Graph([tensors[each] for each in graph.inputs], [tensors[each] for each in graph.outputs])
