"""What folding did."""

import math

import numpy as np

from fastnn import _tree
from fastnn.lowering.layout import body, is_batched


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

    def check(self, model, frozen, x):
        """`compare` the outputs of a model and of its predictor for the same inputs."""
        return self.compare(model.predict(x, verbose=0), frozen.predict(x))

    def __str__(self):
        rows = [("", "before", "after")]
        for name in "nodes", "parameters", "multiplications":
            rows.append((name, *(f"{each:,}" for each in getattr(self, name))))
        lines = [f"{name:16}{before:>14}{after:>14}" for name, before, after in rows]
        if self.difference is not None:
            absolute, relative = self.difference
            lines.append(f"largest difference to the model {absolute:.2g}, relative {relative:.2g}")
        return "\n".join([*lines, *(f"- {note}" for note in self.notes)])


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
