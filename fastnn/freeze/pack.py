"""Makes the dense layers of a folded graph the packed ones of a frozen network."""

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
    ranges : dict of Node to float, optional
        The largest magnitudes that int8's inputs are rounded for; by default, and where it is 0, that of each row.

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
        name, attributes = node.operation.name, dict(node.attributes)
        if name == "dense":
            chosen = precision.get(node, "float32")
            check(node.variables["kernel"].numpy(), chosen, node.output.name)
            largest = ranges.get(node) if ranges and chosen == "int8" else None
            name, attributes = "packed_dense", {"precision": chosen, "range": largest or None}
        inputs = [tensors[each] for each in node.inputs]
        output = Node(REGISTRY[name], inputs, dict(node.variables), attributes, None).output
        output.name = node.output.name
        tensors[node.output] = output
    return Graph([tensors[each] for each in graph.inputs], [tensors[each] for each in graph.outputs])


def check_precision(precision):
    """Refuse what is none."""
    if precision not in PRECISIONS:
        raise ValueError(
            f"`precision` is what the weights of dense layers are stored in: {', '.join(map(repr, PRECISIONS))}. "
            f"Received: precision={precision!r}"
        )
