"""Transpositions and reshapes that undo each other disappear, and what stands between them works without them."""

import math

import numpy as np

from fastnn.freeze.folding.evaluate import evaluate
from fastnn.freeze.folding.network import Constant
from fastnn.lowering.layout import body, is_batched
from fastnn.operations.scaling import Scaling


def cancel_rearrangements(network, report):
    """Drop rearrangements that change nothing, alone or together with others before them. One that leaves the order of
    the values as it is, as a transposition of an axis of size 1 does, is a reshape.

    Between those that undo each other there may be scalings and activations: they do the same wherever the values lie.
    """
    for node in network.nodes:
        if node not in network or not _rearranges(node):
            continue
        if node.operation.name == "arrange" and _keeps_order(node):
            network.become(node, "reshape", node.inputs, [], shape=body(node.output.shape))
        before = node.inputs[0].node
        if node.operation.name == "reshape" and before is not None and before.operation.name == "reshape":
            network.set_inputs(node, before.inputs)  # what shape the values have in between does not matter
        chain = _chain(network, node)
        if chain is not None:
            _cancel(network, chain, node)


def _rearranges(node):
    return (
        node.operation.name in ("reshape", "arrange")
        and len(node.inputs) == 1
        and is_batched(node.inputs[0].shape)
        and math.prod(body(node.inputs[0].shape)) == math.prod(body(node.output.shape))
    )


def _chain(network, last):
    """The nodes from a rearrangement to the one that it undoes, or itself alone if it does nothing; None otherwise."""
    chain, nodes = [last], [last]
    while True:
        node = chain[-1]
        x = node.inputs[0]
        if _rearranges(node) and x.shape == last.output.shape and _keeps_order(*nodes):
            return chain
        if network.only_reader(x) is None or x.node is None:
            return None
        if _rearranges(x.node):
            nodes.append(x.node)
        elif not (x.node.operation.name in ("affine", "activation") and len(x.node.inputs) == 1):
            return None
        chain.append(x.node)


def _keeps_order(*rearrangements):
    """Is every value at its place again after them, counted through all axes? The last of them comes first."""
    x = rearrangements[-1].inputs[0]
    numbers = np.arange(math.prod(body(x.shape)), dtype=np.float64).reshape(body(x.shape))
    for node in reversed(rearrangements):
        numbers = evaluate(node, [numbers])
    return bool((np.diff(numbers.reshape(-1)) == 1).all())


def _cancel(network, chain, last):
    """Let what stands between rearrangements read what the first of them reads."""
    x = chain[-1].inputs[0]
    kept = [node for node in chain if not _rearranges(node)]
    for node in kept:
        if node.operation.name == "affine":
            scaling = Scaling(node.variables["scale"].value, node.variables["shift"].value)
            for each in chain[chain.index(node) :]:
                if _rearranges(each):
                    scaling = each.operation.scale_output(each, scaling)[1][0]
            node.variables = {"scale": Constant(scaling.scale, "scale"), "shift": Constant(scaling.shift, "shift")}
    for node in reversed(kept):
        network.set_inputs(node, [x])
        node.output.shape = x.shape
        x = node.output
    network.replace(last.output, x)
