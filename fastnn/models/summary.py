"""The table that `model.summary()` prints."""

import re

from fastnn import _tree
from fastnn.graph import Node
from fastnn.layers.base import Layer
from fastnn.layers.inputs import InputLayer
from fastnn.models.network import maker, name_of, owner_of


def summary_text(model, show_trainable=False, expand_nested=False, layer_range=None):
    """Layers, output shapes and numbers of parameters of a model, as text; of a functional model that is no mere stack
    also what each layer is connected to."""
    from tabulate import tabulate

    network = model._network if model._is_functional else None
    connected = network is not None and _branches(network)
    headers = (
        ["Layer (type)", "Output Shape", "Param #"] + ["Connected to"] * connected + ["Trainable"] * show_trainable
    )
    shapes = _output_shapes(model) if model._network is not None else {}
    rows = []
    owners = list(network.owners) if network is not None else model.layers
    for owner in owners if layer_range is None else _between(owners, *layer_range):
        row = [_title(owner), shapes.get(owner, "?"), _count(owner)]
        if connected:
            row.append(_connections(network, owner))
        if show_trainable:
            row.append("-" if isinstance(owner, Node) or not owner.weights else "Y" if owner.trainable else "N")
        rows.append(row)
        if expand_nested:
            rows += [each + [""] * (len(headers) - 3) for each in _nested(owner, 1)]
    trainable = sum(variable.size for variable in model.trainable_weights)
    total = sum(variable.size for variable in model.weights)
    alignment = ["left", "left", "right"] + ["left"] * (len(headers) - 3)
    table = tabulate(rows, headers, tablefmt="rounded_outline", colalign=alignment, disable_numparse=True)
    lines = [
        f'Model: "{model.name}"',
        table,
        f" Total params: {total:,} ({_size(total * 4)})",
        f" Trainable params: {trainable:,} ({_size(trainable * 4)})",
        f" Non-trainable params: {total - trainable:,} ({_size((total - trainable) * 4)})",
    ]
    return "\n".join(lines)


def _between(owners, first, last):
    """From the first layer whose name is, or matches, `first` to the last one of `last`."""
    found = [
        [number for number, owner in enumerate(owners) if re.match(pattern, name_of(owner))]
        for pattern in (first, last)
    ]
    if not all(found):
        raise ValueError(
            f"Passed layer_range does not match the model layers. Received: {(first, last)}; layers: "
            f"{[name_of(owner) for owner in owners]}"
        )
    start, stop = sorted((found[0][0], found[1][-1]))
    return owners[start : stop + 1]


def _title(owner):
    kind = owner.operation.name if isinstance(owner, Node) else type(owner).__name__
    return f"{name_of(owner)} ({kind})"


def _count(owner):
    """Number of parameters, as text."""
    if isinstance(owner, Node):
        return "0"
    if not owner.built:  # Keras says so of those that have something to build
        return "0" if type(owner).build is Layer.build and not owner._sublayers else "0 (unbuilt)"
    return f"{owner.count_params():,}"


def _output_shapes(model):
    """For each layer the shape that its first call gives, as text."""
    if model._is_functional:
        owners = model._network.owners
        return {owner: output_shape_text(model._network, owner) for owner in owners}
    inside = {layer: outer for outer in model.layers for layer in outer._all_layers()}
    shapes = {inside[node.layer]: node.output.shape for node in model.graph.nodes if node.layer in inside}
    shape = model.input_shape
    for layer in model.layers:  # no node: the layer gives on what it gets
        shape = shapes.setdefault(layer, shape)
    return {layer: str(shape) for layer, shape in shapes.items()}


def output_shape_text(network, owner):
    """The shape that a layer's first call in the network gives; of several outputs, all of them."""
    if isinstance(owner, Node):
        return str(owner.output.shape)
    outputs = network.calls_of(owner)[0].outputs if network.calls_of(owner) else owner.output
    shapes = [str(each.shape) for each in _tree.flatten(outputs)]
    return shapes[0] if len(shapes) == 1 else f"[{', '.join(shapes)}]"


def _branches(network):
    """Is the network more than a stack of layers, each called once?"""
    used = [tensor for step in network.steps if not _is_input(step) for tensor in step.inputs]
    return len(used) != len(set(used)) or len(network.steps) != len(network.owners) or any(
        not _is_input(step) and len(step.inputs) != 1 for step in network.steps
    )  # fmt: skip


def _is_input(step):
    return not isinstance(step, Node) and isinstance(step.layer, InputLayer)


def _connections(network, owner):
    """Where a layer's inputs come from: "name[number of the call][number of its output]"."""
    places = []
    for step in network.calls_of(owner):
        for tensor in () if _is_input(step) else step.inputs:
            before = maker(tensor)
            number = 0 if isinstance(before, Node) else before.number
            index = 0 if isinstance(before, Node) else _tree.flatten(before.outputs).index(tensor)
            places.append(f"{name_of(owner_of(before))}[{number}][{index}]")
    return ",\n".join(places) or "-"


def _nested(owner, level):
    """Rows for the layers of a model inside the model."""
    rows = []
    for layer in getattr(owner, "layers", ()):
        shape = str(layer._calls[0].outputs.shape) if _has_one_output(layer) else "?"
        rows.append([f"{'   ' * level}└ {_title(layer)}", shape, _count(layer)])
        rows += _nested(layer, level + 1)
    return rows


def _has_one_output(layer):
    return bool(layer._calls) and hasattr(layer._calls[0].outputs, "shape")


def _size(nbytes):
    for unit in ("B", "KB", "MB"):
        if nbytes < 1024:
            return f"{nbytes:.2f} {unit}"
        nbytes /= 1024
    return f"{nbytes:.2f} GB"
