"""Scalings go into the layers around them.

Normalisation at inference, Rescaling, and arithmetic with constants are scalings, ``x * scale + shift``. One goes into
what computes its input, if nobody else reads that: through sums, joints, rearrangements and activations that allow it,
up to dense layers, embeddings and layer normalisations (`Operation.scale_output`). Or it goes into everything that
reads its output, the same way down (`Operation.scale_inputs`). All or nothing: it disappears, or stays as it is.

A large shift is dangerous: in ``(x - mean) * scale`` the large parts of `x` and `mean` cancel, and what is left has all
its digits; in ``x . (scale * W) + (bias - (mean * scale) . W)`` they cancel in a sum that was rounded for their size.
Such a scaling is split: `mean` is subtracted first, by a node of its own, and only the rest is folded.
"""

import heapq

import numpy as np

from fastnn.freeze.folding.network import arithmetic
from fastnn.operations.scaling import Scaling

LARGEST_SHIFT = 64  # in units of the output, about 1: times 2^-24, a rounding of float32, well below 1e-5


def fold_scalings(network, report):
    """Let every scaling that can disappear do so."""
    for node in network.nodes:
        if node not in network or node.operation.name != "affine":
            continue
        scaling = scaling_of(node)
        if scaling.is_identity:
            network.replace(node.output, node.inputs[0])
        else:
            _fold(network, node, scaling, report)


def scaling_of(node):
    """What an affine node does."""
    return Scaling(node.variables["scale"].value, node.variables["shift"].value)


def _fold(network, node, scaling, report):
    if scaling.is_extreme:
        report.keep(node, "its factors are too far from 1 for float32")
        return
    before, after = node.inputs[0].node, network.only_reader(node.output)
    normalises = before is not None and before.operation.name == "rownorm"  # which can take it, but has work for it
    joins = after is not None and after.operation.name == "affine"  # another scaling, which may make the shift small
    if not normalises and _take(network, node, _upwards(network, node.inputs[0], scaling), "comes before", report):
        return
    if not (normalises or joins):
        scaling = _without_large_shift(network, node, scaling, report)
    found, blocked = _downwards(network, node.output, scaling)
    if _take(network, node, found, "follows", report):
        return
    if normalises and _take(network, node, _upwards(network, node.inputs[0], scaling), "comes before", report):
        return
    report.keep(node, blocked)


def _take(network, node, changes, where, report):
    """Apply changes to other nodes that make this one superfluous."""
    if changes is None:
        return False
    name, takers = node.output.name, []
    for each, constants in changes.items():
        if not constants:
            continue
        network.set_constants(each, **constants)
        if each.operation.name == "affine":
            each.output.name = f"{name} and {each.output.name}"
        else:
            takers.append(each.output.name)
    if takers:
        report.notes.append(f"{name} folded into {', '.join(takers)}, which {where} it")
    network.replace(node.output, node.inputs[0])
    return True


def _upwards(network, tensor, scaling):
    """The constants of nodes by which a tensor would be scaled: a dict by nodes. None if that cannot be."""
    changes, work = {}, [(tensor, scaling)]
    while work:
        tensor, scaling = work.pop()
        if tensor.node is None or network.only_reader(tensor) is None:
            return None
        found = tensor.node.operation.scale_output(tensor.node, scaling)
        if found is None:
            return None
        changes[tensor.node], scalings = found
        pairs = zip(tensor.node.inputs, scalings, strict=True)
        work += [(each, own) for each, own in pairs if own is not None and not own.is_identity]
    return changes


def _downwards(network, tensor, scaling):
    """The constants of nodes by which they would do what they do to a scaled tensor: a dict by nodes, and None. Or None
    and who does not let that happen."""
    changes, pending, queue = {}, {}, []

    def scaled(tensor, scaling):
        pending[tensor] = scaling
        for node in network.readers(tensor):
            heapq.heappush(queue, (network.place(node), node))

    scaled(tensor, scaling)
    while True:
        if any(each in network.outputs for each in pending):
            return None, "it is an output of the network"
        if not queue:
            return changes, None
        _, node = heapq.heappop(queue)
        if node in changes:
            continue
        found = node.operation.scale_inputs(node, [pending.get(each) for each in node.inputs])
        if found is None:
            return None, f"{node.output.name} follows ({node.operation.name})"
        changes[node], out = found
        if out is not None and not out.is_identity:
            scaled(node.output, out)


def _without_large_shift(network, node, scaling, report):
    """Put a subtraction before a scaling whose shift is large, and leave it the rest; returns what it is then."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        centre = np.float32(-scaling.shift / scaling.scale).astype(np.float64)  # exactly what will be subtracted
    if not ((np.abs(scaling.shift) > LARGEST_SHIFT) & np.isfinite(centre)).any():
        return scaling
    centre = np.where(np.isfinite(centre), centre, 0)
    report.notes.append(f"{node.output.name}: its mean is subtracted first, folded it would cost digits")
    network.put_before(node, arithmetic("subtract", node.inputs[0], centre))
    rest = Scaling(scaling.scale, scaling.shift + centre * scaling.scale)
    network.set_constants(node, scale=rest.scale, shift=rest.shift)
    return rest
