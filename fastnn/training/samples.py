"""Checked data of a model: arrays for each of its inputs and outputs."""

import numpy as np

from fastnn import _tree
from fastnn.training import data
from fastnn.training.compiled import per_output


class Samples:
    """Arrays that the programs can read, in the shapes that they expect.

    Attributes
    ----------
    inputs : list of ndarray
    targets : list of (ndarray or None)
        For each output; None where nothing is measured.
    weights : list of (ndarray or None), or None
        For each output, one number for each row: of the shape of the output without its last axis.
    """

    __slots__ = ("inputs", "targets", "weights", "length")

    def __init__(self, inputs, targets, weights, length):
        self.inputs = inputs
        self.targets = targets
        self.weights = weights
        self.length = length

    def __len__(self):
        return self.length

    @property
    def weighted(self):
        """Which outputs have weights; False if none has."""
        return False if self.weights is None else tuple(each is not None for each in self.weights)

    def split(self, fraction):
        """The first samples, and the last ones for validation, as views."""
        arrays = (*self.inputs, *self.targets, *(self.weights or ()))
        parts = data.split_validation(fraction, *arrays)
        first, last = len(self.inputs), len(self.inputs) + len(self.targets)
        return tuple(
            Samples(
                list(part[:first]), list(part[first:last]), list(part[last:]) if self.weights else None, len(part[0])
            )
            for part in parts
        )


def checked(model, x, y, sample_weight, class_weight, names):
    """The data of one of the methods of training, as `Samples`.

    Parameters
    ----------
    model : Model
        Compiled; built if this is its first data.
    names : tuple of str
        Of the arguments x, y, sample_weight, for error messages.
    """
    x_name, y_name, weight_name = names
    if y is None:
        raise ValueError(
            f"`{y_name}` is missing: training and evaluation need targets. Pass them as an array, or let `{x_name}` "
            "yield batches (inputs, targets): a generator, PyDataset or DataLoader. "
            f"Received: {x_name} of type {type(x).__name__}"
        )
    arrays = model._input_arrays(x, x_name)
    if model._network is None:
        if not isinstance(y, (list, tuple, dict)):  # data that does not fit shall not build the model
            data.check_lengths(**{x_name: _tree.flatten(arrays)[0], y_name: data.as_array(y, y_name)})
        model._build_for(_tree.map_structure(lambda each: (None, *(each.shape[1:] or (1,))), arrays))
    arrays = _tree.flatten(arrays)
    outputs = model._network.graph.outputs
    labels = [y_name] if len(outputs) == 1 else [_of(y_name, number, model) for number in range(len(outputs))]
    targets = _targets(model, y, y_name, labels, len(arrays[0]))
    lengths = {len(each) for each in (arrays[0], *targets) if each is not None}
    if len(lengths) > 1 or 0 in lengths:
        data.check_lengths(**{x_name: arrays[0], **dict(zip(labels, targets, strict=True))})  # raises
    inputs, samples = model._shaped(arrays, x_name)
    heads = model._resolved_heads(targets)
    weights = _weights(model, y, heads, targets, sample_weight, class_weight, samples, weight_name)
    for number, head in enumerate(heads):
        kinds = head.target_kinds
        if not kinds:
            targets[number] = None
            continue
        name = labels[number]
        if targets[number] is None:
            raise ValueError(f"{name} is missing: the model was compiled with a loss or metrics for this output.")
        ignored = None if head.loss is None else head.loss.ignore_class
        for kind in kinds:
            seen = data.check_targets(targets[number], kind, outputs[number].shape[1:], name, ignored)
        targets[number] = seen
    return Samples(inputs, targets, weights, samples)


def _of(name, number, model):
    """The argument for one output, for messages."""
    if len(model._network.graph.outputs) == 1:
        return name
    names = model._heads_names()
    return f"{name} of output {names[number] if names else number!r}"


def _targets(model, y, name, labels, samples):
    """The target array of each output, or None; the outputs' labels are for messages."""
    count = len(labels)
    names = model._heads_names() if count > 1 or isinstance(y, dict) else None
    if isinstance(y, dict):
        given = per_output(y, names, count, name)
    elif count == 1:
        listed = isinstance(y, (list, tuple)) and len(y) == 1 and getattr(y[0], "ndim", 0) and len(y[0]) == samples
        given = list(y) if listed else [y]
    elif isinstance(y, (list, tuple)):
        measured = model._measured(count, names)
        given = [None] * count
        places = range(count) if len(y) == count else [number for number in range(count) if measured[number]]
        if len(places) != len(y):
            raise ValueError(
                f"{name}: the model has {count} outputs{f', {names}' if names else ''}. Expected a list of targets for "
                f"each of them, or a dictionary by their names. Received {len(y)} in a {type(y).__name__}."
            )
        for place, each in zip(places, y, strict=True):
            given[place] = each
    else:
        raise ValueError(
            f"{name}: the model has {count} outputs{f', {names}' if names else ''}. Expected a list of targets for "
            f"each of them, or a dictionary by their names. Received {type(y).__name__}."
        )
    return [each if each is None else data.as_array(each, label) for each, label in zip(given, labels, strict=True)]


def _weights(model, y, heads, targets, sample_weight, class_weight, samples, name):
    """The weights of samples for each output, or None."""
    steps = [tensor.shape[1:-1] for tensor in model._network.graph.outputs]
    if class_weight is not None:
        if sample_weight is not None:
            raise ValueError(
                "`class_weight` and `sample_weight` cannot be given at the same time: multiply them yourself."
            )
        if len(heads) > 1:
            raise ValueError("`class_weight` is only supported for models with a single output.")
        labels = heads[0].loss.target_kind == "labels"
        classes = model._network.graph.outputs[0].features if labels else None
        return [
            data.check_sample_weight(data.class_weights(targets[0], class_weight, classes), samples, steps=steps[0])
        ]
    if sample_weight is None:
        return None
    several = isinstance(sample_weight, dict) or (
        isinstance(sample_weight, (list, tuple)) and all(each is None or np.ndim(each) for each in sample_weight)
    )
    if several:
        given = per_output(sample_weight, model._heads_names(), len(heads), name)
    else:
        given = [sample_weight] * len(heads)
    weights = [
        each if each is None else data.check_sample_weight(each, samples, _of(name, number, model), steps[number])
        for number, each in enumerate(given)
    ]
    return weights if any(each is not None for each in weights) else None
