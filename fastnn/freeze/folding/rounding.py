"""Variables in float32, and operations that programs have: the last pass."""

import numpy as np

from fastnn.freeze.folding.network import arithmetic
from fastnn.freeze.folding.scalings import scaling_of
from fastnn.graph import Graph
from fastnn.variables import Variable


def rounded(network, report):
    """The graph of a network."""
    for node in network.nodes:
        if node.operation.name == "affine":
            _write_scaling(network, node, report)
    for node in Graph(network.inputs, network.outputs).nodes:
        node.variables = {
            name: each and Variable(each.value, name=each.name, layout=each.layout)
            for name, each in node.variables.items()
        }
    return Graph(network.inputs, network.outputs)


def _write_scaling(network, node, report):
    """A scaling of features is an operation; others are arithmetic, and so is one beside arithmetic, which becomes part
    of the same formula."""
    scaling, n = scaling_of(node), node.output.features
    vectors = scaling.by_feature(n)
    if vectors is not None and not _beside_arithmetic(network, node):
        network.set_constants(node, **dict(zip(("scale", "shift"), map(np.array, vectors), strict=True)))
        return
    x = node.inputs[0]
    if not scaling.only_shifts:
        x = arithmetic("multiply", x, scaling.scale)
    if not scaling.only_scales:
        x = arithmetic("add", x, scaling.shift)
    x.name = node.output.name
    report.becomes(node, x.node)
    network.replace(node.output, x)


def _beside_arithmetic(network, node):
    before, after = node.inputs[0].node, network.only_reader(node.output)
    return (before is not None and before.operation.name == "elementwise" and network.only_reader(node.inputs[0])) or (
        after is not None and after.operation.name == "elementwise"
    )
