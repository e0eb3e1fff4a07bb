"""What folding did, and what the precisions cost."""

import math
from typing import NamedTuple

import numpy as np

from fastnn import _tree
from fastnn.lowering.layout import body, is_batched

# What a tolerance may be of, in words.
MEASURES = {"accuracy": "accuracy", "error": "relative error"}


class FoldReport:
    """What became of a network when it was folded.

    Attributes
    ----------
    notes : list of str
        What was folded into what, and what was kept and why, in words.
    kept : dict of str to str
        Scalings and layers that could not be folded, by name, and the reason.
    nodes, parameters, multiplications : tuple of int
        Before and after; multiplications of one sample, by weights and scales.
    difference : tuple of float or None
        The largest difference to the model's outputs, absolute, and relative to the largest output of all; None until
        `compare` has seen a sample.
    """

    def __init__(self):
        self.notes = []
        self.kept = {}
        self.nodes = self.parameters = self.multiplications = (0, 0)
        self.difference = None
        self._reasons = {}

    def keep(self, node, reason):
        """A node that could not be folded, for now."""
        self._reasons[node] = reason

    def becomes(self, node, other):
        """What holds for a node holds for another one that is written in its place: for a layer, not for a step of some
        formula, which has no name of its own."""
        if node in self._reasons and node.output.name != "elementwise":
            self._reasons[other] = self._reasons.pop(node)

    def finish(self, before, after):
        """Take the numbers of the two graphs."""
        left = set(after.nodes)
        for node, reason in self._reasons.items():
            if node in left:
                self.kept[node.output.name] = reason
                self.notes.append(f"{node.output.name} kept: {reason}")
        self._reasons = {}
        graphs = before, after
        self.nodes = tuple(len(each.nodes) for each in graphs)
        self.parameters = tuple(sum(variable.size for variable in each.variables) for each in graphs)
        self.multiplications = tuple(sum(map(_multiplications, each.nodes)) for each in graphs)

    def compare(self, expected, outputs):
        """Note how far outputs are from what the model gives; arrays, or equal structures of arrays.

        Returns
        -------
        absolute, relative : float
        """
        pairs = list(zip(_tree.flatten(expected), _tree.flatten(outputs), strict=True))
        absolute = [np.abs(np.float64(a) - np.float64(b)).max(initial=0) for a, b in pairs]
        largest = [np.abs(np.float64(a)).max(initial=0) for a, _ in pairs]
        relative = [a / b if b else math.inf if a else 0.0 for a, b in zip(absolute, largest, strict=True)]
        self.difference = float(max(absolute)), float(max(relative))
        return self.difference

    def __str__(self):
        rows = [("", "before", "after")]
        for name in "nodes", "parameters", "multiplications":
            rows.append((name, *(f"{each:,}" for each in getattr(self, name))))
        lines = [f"{name:16}{before:>14}{after:>14}" for name, before, after in rows]
        if self.difference is not None:
            absolute, relative = self.difference
            lines.append(f"largest difference to the model {absolute:.2g}, relative {relative:.2g}")
        return "\n".join([*lines, *(f"- {note}" for note in self.notes)])

    def plain(self):
        """As a dictionary of numbers, texts and lists; `from_plain` is the way back."""
        return {name: getattr(self, name) for name in _PLAIN}

    @classmethod
    def from_plain(cls, plain):
        """The report that `plain` has described."""
        report = cls()
        report.notes, report.kept, report.difference = list(plain["notes"]), plain["kept"], plain["difference"]
        for name in "nodes", "parameters", "multiplications":
            setattr(report, name, tuple(plain[name]))
        return report


_PLAIN = ("notes", "kept", "nodes", "parameters", "multiplications", "difference")


class LayerReport(NamedTuple):
    """A dense layer of a frozen network.

    Attributes
    ----------
    name : str
    inputs, units : int
    precision : {"float32", "float16", "int8"}
    bytes : int
        Of its weights, scales and bias, without padding.
    range : float or None
        What int8 rounds its inputs for: the largest magnitude on the calibration data; None for that of each row.
    error : float or None
        What the precision of this layer alone costs: the relative error of the network's outputs (see
        `OutputReport.relative`) with all others in float32; None where that was not measured.
    """

    name: str
    inputs: int
    units: int
    precision: str
    bytes: int
    range: float | None = None
    error: float | None = None


class OutputReport(NamedTuple):
    """An output of a frozen network beside the model's, on validation data.

    Attributes
    ----------
    name : str
    largest : float
        The largest absolute difference of any of its numbers.
    relative : float
        The root of the mean square of the differences, divided by that of the model's output.
    changed : float or None
        Share of the samples that get another class; None where the output is no classifier's.
    accuracy : tuple of float or None
        Share of right classes, of the model and of the frozen network; None without labels.
    rmse : tuple of float or None
        Root of the mean squared error to the targets of a regression, of the model and of the frozen network.
    """

    name: str
    largest: float
    relative: float
    changed: float | None = None
    accuracy: tuple | None = None
    rmse: tuple | None = None

    @property
    def lost(self):
        """How much lower the accuracy is, as a fraction; None without labels."""
        return None if self.accuracy is None else self.accuracy[0] - self.accuracy[1]

    def __str__(self):
        parts = [f"largest difference {self.largest:.2g}, relative RMS error {self.relative:.2g}"]
        if self.changed is not None:
            parts.append(f"other classes {self.changed:.2%}")
        if self.accuracy is not None:
            before, after = self.accuracy
            parts.append(f"accuracy {before:.2%} -> {after:.2%} ({100 * (after - before):+.2f} points)")
        if self.rmse is not None:
            parts.append("RMSE {:.5g} -> {:.5g}".format(*self.rmse))
        return f"output {self.name!r}: {', '.join(parts)}"


class FreezeReport:
    """What freezing did to a network: ``frozen.report``; printed, it is a page of text.

    Attributes
    ----------
    folding : FoldReport
        What was folded into what, and what was not.
    layers : list of LayerReport
        The dense layers that are left, with their precisions.
    outputs : list of OutputReport
        How far each output is from the model's; empty without data.
    samples : int
        How many they were measured on.
    tolerance : float, dict or None
        What was permitted: a float of lost accuracy, or of relative error; a dictionary of "accuracy", of "error", or
        of both.
    """

    def __init__(self, folding, layers=(), outputs=(), samples=0, tolerance=None):
        self.folding = folding
        self.layers = list(layers)
        self.outputs = list(outputs)
        self.samples = samples
        self.tolerance = tolerance

    @property
    def losses(self):
        """The largest loss of "accuracy" of any output that has labels, if one has, and the largest relative RMS
        "error" of any output; empty without data."""
        lost = [each.lost for each in self.outputs if each.lost is not None]
        found = {"accuracy": max(lost)} if lost else {}
        return {**found, "error": max(each.relative for each in self.outputs)} if self.outputs else {}

    @property
    def loss(self):
        """What a tolerance that is one number is about: the loss of accuracy where there are labels, else the relative
        error. None without data."""
        return next(iter(self.losses.values()), None)

    @property
    def measure(self):
        """What `loss` is of: "accuracy" or "relative error"."""
        return MEASURES[next(iter(self.losses), "error")]

    @property
    def limits(self):
        """The tolerance as a dictionary of "accuracy", "error" or both; empty where all was permitted."""
        if self.tolerance is None or isinstance(self.tolerance, dict):
            return self.tolerance or {}
        return {next(iter(self.losses), "error"): self.tolerance}

    @property
    def missed(self):
        """Those of `limits` that are not kept."""
        return {name: limit for name, limit in self.limits.items() if not self.losses[name] <= limit}

    def plain(self):
        """As a dictionary of numbers, texts and lists; `from_plain` is the way back."""
        return {
            "folding": self.folding.plain(),
            "layers": [each._asdict() for each in self.layers],
            "outputs": [each._asdict() for each in self.outputs],
            "samples": self.samples,
            "tolerance": self.tolerance,
        }

    @classmethod
    def from_plain(cls, plain):
        """The report that `plain` has described."""
        return cls(
            FoldReport.from_plain(plain["folding"]),
            [LayerReport(**each) for each in plain["layers"]],
            [OutputReport(**each) for each in plain["outputs"]],
            plain["samples"],
            plain["tolerance"],
        )

    def __repr__(self):
        return str(self)

    def __str__(self):
        lines = [str(self.folding)]
        if self.layers:
            rows = [("dense layer", "inputs", "units", "weights", "bytes", "range", "error alone")]
            for each in self.layers:
                row = [each.name, f"{each.inputs:,}", f"{each.units:,}", each.precision, f"{each.bytes:,}"]
                row.append("" if each.range is None else f"{each.range:.4g}")
                row.append("" if each.error is None else f"{each.error:.2g}")
                rows.append(row)
            widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
            lines.append("")
            for name, *cells in rows:
                rest = (f"{cell:>{width}}" for cell, width in zip(cells, widths[1:], strict=True))
                lines.append("  ".join([f"{name:{widths[0]}}", *rest]).rstrip())
        if self.outputs:
            lines += ["", f"beside the model, on {self.samples:,} samples:", *map(str, self.outputs)]
        for name, limit in self.limits.items():
            lines.append(f"tolerance {limit:g} of {MEASURES[name]}: kept with {self.losses[name]:.2g}")
        return "\n".join(lines)


def _multiplications(node):
    """Of one sample."""
    name, shape = node.operation.name, node.output.shape
    if not is_batched(shape):
        return 0
    size = math.prod(body(shape))
    if name in ("dense", "dense_transpose"):
        return node.inputs[0].rows_per_sample * node.variables["kernel"].size
    if name == "matmul":
        return size * node.inputs[0].shape[-1]
    if name == "elementwise":
        return size * (node.attributes["function"] in ("multiply", "divide"))
    return size * {"batchnorm": 1, "affine": 1, "scale_shift": 1, "rownorm": 2}.get(name, 0)
