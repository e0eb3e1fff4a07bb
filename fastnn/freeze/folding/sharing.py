"""Nodes that compute the same from the same become one."""

import numpy as np

from fastnn._revision import Setting
from fastnn.operations.arrange import Piece


def share_equal_nodes(network, report):
    """Let readers of equal nodes read the first of them."""
    known = {}
    for node in network.nodes:
        if node not in network:
            continue
        candidates = known.setdefault(_kind(node), [])
        twin = next((each for each in candidates if _equal_constants(each, node)), None)
        if twin is None:
            candidates.append(node)
            continue
        if node.operation.name != "parameter":
            name, other = node.output.name, twin.output.name
            note = f"{name} shared with {other}: they compute the same"
            if name == other:
                note = f"{name} computed once: it is applied twice to the same"
            if note not in report.notes:  # its activation is another node of the same name
                report.notes.append(note)
        network.replace(node.output, twin.output)


def _kind(node):
    attributes = tuple((name, _key(value)) for name, value in sorted(node.attributes.items()))
    return node.operation.name, tuple(node.inputs), node.output.shape, attributes


def _key(value):
    """What attributes are compared by."""
    if isinstance(value, (list, tuple)):
        return tuple(_key(each) for each in value)
    if isinstance(value, dict):
        return tuple((name, _key(each)) for name, each in sorted(value.items()))
    if isinstance(value, Piece):
        return tuple(_key(getattr(value, name)) for name in Piece.__slots__)
    if isinstance(value, Setting):
        return id(value.value)
    return value if value is None or isinstance(value, (str, int, float)) else id(value)


def _equal_constants(one, other):
    return one.variables.keys() == other.variables.keys() and all(
        np.array_equal(*(each and each.value for each in (mine, other.variables[name])))
        for name, mine in one.variables.items()
    )
