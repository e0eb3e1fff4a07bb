"""Units of dense layers that make no difference disappear: pruned ones, constant ones, and those that are alike.

A unit is a column of a dense layer's kernel. It can be followed as long as its values stay in its column: through
activations, scalings and arithmetic of such columns, to the dense layers that read them, where it is a row.
"""

import heapq

import numpy as np

from fastnn.freeze.folding.evaluate import evaluate
from fastnn.operations.scaling import Scaling


class _Lane:
    """What units of a dense layer pass through.

    Attributes
    ----------
    nodes : list of Node
        Column by column, in order.
    ends : list of Node
        The dense layers that read the columns.
    """

    def __init__(self):
        self.nodes = []
        self.ends = []


def remove_units(network, report):
    """Remove units; those of the last layers first, which may be the only ones to read others."""
    for node in reversed(network.nodes):
        lane = _lane(network, node) if node.operation.name == "dense" else None
        if lane is None:
            continue
        n = node.output.features
        constant = ~node.variables["kernel"].value.any(axis=0)
        values = _values(node, lane) if constant.any() else None
        unread = ~np.any([end.variables["kernel"].value.any(axis=1) for end in lane.ends], axis=0)
        if values is None or not np.isfinite([values[end.inputs[0]] for end in lane.ends]).all():
            constant[:] = False
        alike = _alike(node, lane, ~unread & ~constant)
        twins = alike != np.arange(n)
        removed = unread | constant | twins
        if removed.all():
            removed[0] = False  # a layer has a unit
        if removed.any():
            _remove(network, node, lane, removed, constant & ~unread & removed, np.where(twins, alike, -1), values)
            counts = {"read by nobody": unread, "constant": constant & ~unread, "like another": twins}
            counts = {why: (each & removed).sum() for why, each in counts.items()}
            what = ", ".join(f"{count} {why}" for why, count in counts.items() if count)
            report.notes.append(f"{removed.sum()} of {n} units of {node.output.name} removed: {what}")


def _lane(network, node):
    """Where a dense layer's units go; None where their values get among those of others."""
    lane, tensors, seen = _Lane(), {node.output}, set()
    queue = [(network.place(each), each) for each in network.readers(node.output)]
    if node.output in network.outputs:
        return None
    heapq.heapify(queue)
    while queue:
        _, reader = heapq.heappop(queue)
        if reader in seen:
            continue
        seen.add(reader)
        if reader.operation.name == "dense":
            lane.ends.append(reader)
            continue
        if not _by_column(reader, tensors) or reader.output in network.outputs:
            return None
        lane.nodes.append(reader)
        tensors.add(reader.output)
        for each in network.readers(reader.output):
            heapq.heappush(queue, (network.place(each), each))
    return lane if lane.ends else None


def _by_column(node, tensors):
    """Does a node compute every column from the same columns?"""
    if any(each not in tensors for each in node.inputs):
        return False
    name = node.operation.name
    if name == "affine":
        return _vectors(node) is not None
    if name == "prelu":
        return node.variables["alpha"].size == node.variables["alpha"].shape[-1]
    return name == "activation" or (name == "elementwise" and node.output.shape == node.inputs[0].shape)


def _vectors(node):
    """What a node has for each column: arrays by the names of constants. None if the rows are not alike."""
    n = node.output.features
    if node.operation.name == "affine":
        scaling = Scaling(node.variables["scale"].value, node.variables["shift"].value)
        vectors = scaling.by_feature(n)
        return vectors and dict(zip(("scale", "shift"), vectors, strict=True))
    if node.operation.name == "prelu":
        return {"alpha": np.broadcast_to(node.variables["alpha"].value.reshape(-1), n)}
    return {}


def _alike(node, lane, among):
    """For each of some units the first of them that has the same inputs and the same way to go; others are alone."""
    rows = [node.variables["kernel"].value, node.variables["bias"].value[None]]
    rows += [vector[None] for each in lane.nodes for vector in _vectors(each).values()]
    columns = np.ascontiguousarray(np.concatenate(rows).T) + 0.0  # -0 is 0
    first = {}
    return np.array(
        [
            first.setdefault(column.tobytes(), number) if among[number] else number
            for number, column in enumerate(columns)
        ]
    )


def _values(node, lane):
    """The value of each unit in every tensor of a lane, if all weights into it are zero."""
    values = {node.output: node.variables["bias"].value}
    for each in lane.nodes:
        values[each.output] = _evaluated(each, [values[x] for x in each.inputs])
    return values


def _evaluated(node, arrays):
    if node.operation.name in ("affine", "prelu"):
        vectors = _vectors(node)
        (x,) = arrays
        if node.operation.name == "affine":
            return x * vectors["scale"] + vectors["shift"]
        return np.where(x > 0, x, x * vectors["alpha"])
    return evaluate(node, arrays)


def _remove(network, node, lane, removed, constant, twin_of, values):
    kept = ~removed
    for end in lane.ends:
        kernel, bias = end.variables["kernel"].value.copy(), end.variables["bias"].value
        if constant.any():
            bias = bias + values[end.inputs[0]][constant] @ kernel[constant]
        for number in np.flatnonzero((twin_of >= 0) & removed):
            kernel[twin_of[number]] += kernel[number]
        network.set_constants(end, kernel=kernel[kept], bias=bias)
    n = int(kept.sum())
    network.set_constants(node, kernel=node.variables["kernel"].value[:, kept], bias=node.variables["bias"].value[kept])
    for each in [node, *lane.nodes]:
        vectors = _vectors(each) if each is not node else {}
        for name, vector in vectors.items():
            shape = (1,) * (each.variables[name].value.ndim - 1)
            network.set_constants(each, **{name: vector[kept].reshape(*shape, n)})
    for each in [node, *lane.nodes]:
        each.output.shape = (*each.output.shape[:-1], n)
        if each.operation.name == "elementwise":
            each.attributes = {**each.attributes, "shape": each.output.shape}
