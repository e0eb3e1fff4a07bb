"""Makes the dense layers of a folded graph the packed ones of a frozen network."""

import numpy as np

from fastnn.freeze.balance import alike
from fastnn.graph import Graph, Node, Tensor
from fastnn.operations import REGISTRY
from fastnn.operations.packed_dense import PRECISIONS, check


def pack(graph, precision="float32", ranges=None):
    """A graph whose dense layers are packed for the kernels that read them; everything else stays.

    Parameters
    ----------
    graph : Graph
        A folded one, see `fastnn.freeze.fold`. Its variables become those of the new graph, too.
    precision : {"float32", "float16", "int8"} or dict of Node to one of them
        Of the weights; "float32" for nodes that are not in a dictionary.
    ranges : dict of Node to ndarray, optional
        Of each dense node the largest magnitude of each input, see `fastnn.freeze.calibrate`: int8's inputs are rounded
        for the largest of them; by default, and where it is 0, for that of each row.

    Raises
    ------
    ValueError
        For another precision, and for weights that it cannot hold.
    """
    if not isinstance(precision, dict):
        check_precision(precision)
        precision = dict.fromkeys(graph.nodes, precision)
    tensors = {each: Tensor(each.shape, each.dtype, name=each.name) for each in graph.inputs}
    for node in graph.nodes:
        name, attributes, variables = node.operation.name, dict(node.attributes), dict(node.variables)
        inputs = [tensors[each] for each in node.inputs]
        if name == "dense":
            chosen, largest = precision.get(node, "float32"), None
            check(node.variables["kernel"].numpy(), chosen, node.output.name)
            if chosen == "int8":
                inputs[0], variables, scale = alike(inputs[0], variables, node.output.name)
                largest = _largest(ranges[node], scale) if ranges else None
            name, attributes = "packed_dense", {"precision": chosen, "range": largest}
        output = Node(REGISTRY[name], inputs, variables, attributes, None).output
        output.name = node.output.name
        tensors[node.output] = output
    return Graph([tensors[each] for each in graph.inputs], [tensors[each] for each in graph.outputs])


def _largest(inputs, scale):
    """What int8 rounds inputs for that are multiplied by a scale, None for each row's own largest."""
    return float(np.max(inputs if scale is None else inputs * scale, initial=0)) or None


def check_precision(precision):
    """Refuse what is none."""
    if precision not in PRECISIONS:
        raise ValueError(
            f"`precision` is what the weights of dense layers are stored in: {', '.join(map(repr, PRECISIONS))}. "
            f"Received: precision={precision!r}"
        )
