"""What a layer's `call` makes of symbolic tensors: in both modes, and with the losses that it adds."""

import numpy as np

from fastnn import _tree
from fastnn.graph import Tensor
from fastnn.operations import apply


def traced(layer, inputs, kwargs):
    """The outputs of ``layer.call(inputs, **kwargs)``.

    A `call` of one's own whose `training` the caller left open is tried as True and as False. If both make the same
    graph, it only passes the mode on, and what it makes of None serves both modes. Otherwise it branches, and the graph
    has both branches.

    Raises
    ------
    TypeError
        If something else than symbolic tensors is returned.
    ValueError
        If the branches return different shapes.
    """
    if kwargs.get("training", False) is not None or _is_ours(type(layer).call):
        return _once(layer, inputs, kwargs)
    training, inference = (_once(layer, inputs, {**kwargs, "training": mode}) for mode in (True, False))
    if alike(training, inference):
        return _once(layer, inputs, kwargs)
    flat, other = _tree.flatten(training), _tree.flatten(inference)
    shapes, others = ([each.shape for each in tensors] for tensors in (flat, other))
    if shapes != others:
        raise ValueError(
            f"{type(layer).__name__}.call of {layer.name!r} returns shapes {shapes} with training=True and {others} "
            "with training=False. Both must be the same."
        )
    chosen = [a if a is b else apply("by_mode", [a, b]) for a, b in zip(flat, other, strict=True)]
    return _tree.pack(training, chosen)


def _is_ours(method):
    return method.__module__.partition(".")[0] == "fastnn"


def _once(layer, inputs, kwargs):
    outer, layer._added_losses = layer._added_losses, []
    try:
        outputs = layer.call(inputs, **kwargs)
        losses = layer._added_losses
    finally:
        layer._added_losses = outer
    for each in _tree.flatten(outputs):
        if not isinstance(each, Tensor):
            raise TypeError(
                f"{type(layer).__name__}.call of layer {layer.name!r} must return what layers and activations make "
                f"of its inputs, a symbolic tensor. Received: {each!r:.100} of type {type(each).__name__}"
            )
    return with_losses(outputs, losses)


def with_losses(outputs, losses, **attributes):
    """The outputs, the first of which carries losses: whatever is trained on them has those in its loss."""
    first, *others = _tree.flatten(outputs)
    for loss in losses:
        first = apply("added_loss", [first, loss], **{"factor": 1.0, "per_sample": False, **attributes})
    return _tree.pack(outputs, [first, *others])


def alike(first, second, but=("training",)):
    """Do two structures of tensors have the same graph, but for some attributes: by default, the mode that layers
    were told?"""
    pairs = list(zip(_tree.flatten(first), _tree.flatten(second), strict=False))
    if str(_tree.map_structure(lambda each: 0, first)) != str(_tree.map_structure(lambda each: 0, second)):
        return False
    partners = {}
    while pairs:
        a, b = pairs.pop()
        if a is b or partners.get(a) is b:
            continue
        partners[a] = b
        x, y = a.node, b.node
        if x is None or y is None or x.operation is not y.operation or len(x.inputs) != len(y.inputs):
            return False
        if not _same(x.variables, y.variables) or not _same(x.attributes, y.attributes, but):
            return False
        pairs += zip(x.inputs, y.inputs, strict=True)
    return True


def _same(first, second, but=()):
    return first.keys() == second.keys() and all(_equal(first[key], second[key]) for key in first if key not in but)


def _equal(a, b):
    if a is b:
        return True
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        return np.array_equal(a, b)
    constants = getattr(a, "name", None) == "constant" == getattr(b, "name", None)  # made anew by each trace
    return np.array_equal(a.numpy(), b.numpy()) if constants else bool(a == b)
