"""What a frozen network answers beside the model it was made from, on data."""

import numpy as np

from fastnn.freeze.heads import head_of
from fastnn.freeze.report import OutputReport
from fastnn.lowering.programs import Prediction
from fastnn.training import data, feeds
from fastnn.training.compiled import per_output

_ROWS = 256


def read(model, x, name):
    """The arrays of samples, one for each of the model's inputs: of whatever `predict` takes."""
    if feeds.yields_batches(x):
        parts = [arrays for arrays, _ in feeds.prediction(model, x, None, None).parts(True)]
        if not parts:
            raise ValueError(f"{name} has no batches.")
        return [np.concatenate(each) for each in zip(*parts, strict=True)]
    if isinstance(x, tuple) and len(model.input_names) == 1 and any(isinstance(each, np.ndarray) for each in x):
        raise ValueError(f"{name}: expected samples alone, {name}=x. Received: a tuple of {len(x)}, as of (x, y)")
    arrays, samples = model._checked_inputs(x, name)
    if samples == 0:
        raise ValueError(f"{name} has no samples.")
    return arrays


def outputs_of(graph, arrays):
    """What a graph makes of samples, an array for each output."""
    return Prediction(graph, _ROWS).run(dict(zip(graph.inputs, arrays, strict=True)), len(arrays[0]))


def split(validation_data):
    """x and y, which is None where there are no targets."""
    if not isinstance(validation_data, tuple):
        return validation_data, None
    if len(validation_data) != 2:
        raise ValueError(
            "validation_data: expected x, or a tuple (x, y); several inputs are a list or a dictionary. Received: a "
            f"tuple of {len(validation_data)}"
        )
    return validation_data


class Evaluation:
    """Samples, and what the model makes of them.

    Parameters
    ----------
    model : Model
    graph : Graph
        What folding has made of the model's: it shows what the outputs are.
    arrays : list of ndarray
        For each input; see `read`.
    y : array_like, or list or dict of array_like, optional
        Targets, one for each output: class numbers or one-hot rows for a classifier, else numbers like the outputs.
    name : str
        Of the argument, for error messages.

    Attributes
    ----------
    arrays : list of ndarray
        For each input.
    expected : list of ndarray
        What the model gives, for each output.
    """

    def __init__(self, model, graph, arrays, y=None, name="validation_data"):
        self.arrays = arrays
        self.expected = model._forward(arrays, len(arrays[0]), False)
        names = list(model._heads_names() or [each.name for each in graph.outputs])
        self._heads = [head_of(each.node) for each in graph.outputs]
        self._names = [each or f"output_{number}" for number, each in enumerate(names)]
        targets = _targets(y, self._names, name) if y is not None else [None] * len(self.expected)
        self._answers = [
            self._answer(number, target, f"{name}: y of {self._names[number]!r}")
            for number, target in enumerate(targets)
        ]

    def __len__(self):
        return len(self.arrays[0])

    @property
    def has_labels(self):
        """Has an output the classes of its samples?"""
        return any(kind in ("class", "yes") and answer is not None for kind, answer in self._answers)

    def some(self, count):
        """The same with at most so many of the samples, evenly spread, and without targets."""
        if len(self) <= count:
            rows = slice(None)
        else:
            rows = np.linspace(0, len(self) - 1, count).astype(int)
        fewer = object.__new__(Evaluation)
        fewer.arrays = [each[rows] for each in self.arrays]
        fewer.expected = [each[rows] for each in self.expected]
        fewer._heads, fewer._names = self._heads, self._names
        fewer._answers = [(None, None)] * len(self._names)
        return fewer

    def reports(self, graph):
        """How far each output of a graph is from the model's: a list of OutputReport."""
        found = outputs_of(graph, self.arrays)
        return [self._report(number, each) for number, each in enumerate(found)]

    def distance(self, graph):
        """The largest relative error of any output, as a root of mean squares."""
        found = outputs_of(graph, self.arrays)
        return max(_distance(*pair)[1] for pair in zip(self.expected, found, strict=True))

    def _answer(self, number, target, name):
        """How an output is judged, and by what: ("class", numbers), ("yes", array of bool), ("value", array)."""
        output, head = self.expected[number], self._heads[number]
        if target is None:
            return {"softmax": "class", "sigmoid": "yes"}.get(head), None
        target = data.as_array(target, name)
        if len(target) != len(output):
            raise ValueError(f"{name} has {len(target)} targets for {len(output)} samples.")
        if head == "softmax" or (head is None and output.shape[-1] > 1 and _names_classes(target, output)):
            if target.size == output.size and output.shape[-1] > 1:
                return "class", _like(target, output.shape, name).argmax(axis=-1)
            numbers = _like(target, output.shape[:-1], name)
            data.check_labels(numbers.ravel(), output.shape[-1], name)
            return "class", numbers.astype(np.int64)
        target = _like(target, output.shape, name)
        return ("yes", target > 0.5) if head == "sigmoid" else ("value", target.astype(np.float64))

    def _report(self, number, found):
        expected = self.expected[number]
        kind, answer = self._answers[number]
        largest, relative = _distance(expected, found)
        report = OutputReport(self._names[number], largest, relative)
        if kind == "value":
            before, after = (float(np.sqrt(np.mean(np.square(each - answer)))) for each in (expected, found))
            return report._replace(rmse=(before, after))
        if kind in ("class", "yes"):
            before, after = (each.argmax(axis=-1) if kind == "class" else each > 0.5 for each in (expected, found))
            report = report._replace(changed=float(np.mean(before != after)))
            if answer is not None:
                right = tuple(float(np.mean(each == answer)) for each in (before, after))
                report = report._replace(accuracy=right)
        return report


def _targets(y, names, name):
    """Of each output, or None."""
    if isinstance(y, dict):
        return per_output(y, names, len(names), name)
    if len(names) == 1:
        listed = isinstance(y, (list, tuple)) and len(y) == 1 and getattr(y[0], "ndim", 0)
        return list(y) if listed else [y]
    if not isinstance(y, (list, tuple)) or len(y) != len(names):
        raise ValueError(
            f"{name}: the model has {len(names)} outputs, {names}. Expected a list of targets, one for each of them "
            f"(None for no targets), or a dictionary by their names. Received: {type(y).__name__}"
        )
    return list(y)


def _names_classes(target, output):
    """Are these class numbers, or one-hot rows? Then the outputs that they are for are logits."""
    if target.size * output.shape[-1] == output.size:
        return target.dtype.kind in "biu"
    return target.shape == output.shape and bool(np.all((target == 0) | (target == 1)) and np.all(target.sum(-1) == 1))


def _like(target, shape, name):
    """A target in the shape that it is compared in; an axis of length 1 may be missing or too many."""
    if target.size != np.prod(shape, dtype=np.int64):
        raise ValueError(f"{name}: expected the shape {tuple(shape)}. Received: {target.shape}")
    return target.reshape(shape)


def _distance(expected, found):
    """The largest difference, and the root of the mean square relative to that of what is expected."""
    expected, found = np.asarray(expected, np.float64), np.asarray(found, np.float64)
    difference = np.abs(found - expected)
    if not np.isfinite(difference).all():
        same = (found == expected) | (np.isnan(found) & np.isnan(expected))
        if not same[~np.isfinite(difference)].all():
            return float("inf"), float("inf")
        expected, difference = np.where(np.isfinite(difference), (expected, difference), 0)
    size, error = np.linalg.norm(expected), np.linalg.norm(difference)
    relative = error / size if size else (float("inf") if error else 0.0)
    return float(difference.max(initial=0)), float(relative)
