"""What the weights of each dense layer are stored in: as told, or by the error that it makes.

A layer's error is measured alone, all others in float32. "mixed" starts with int8 everywhere and raises the layers that
cost most for their bytes, as many of them as it takes for the outputs to be as near to the model's as they have to be.
"""

import math
import numbers

import numpy as np

from fastnn._suggestions import did_you_mean
from fastnn.freeze.calibrate import ranges as measure_ranges
from fastnn.freeze.evaluation import Evaluation, outputs_of, read, split
from fastnn.freeze.pack import pack
from fastnn.freeze.report import MEASURES, FreezeReport, LayerReport
from fastnn.freeze.stored import stored_bytes
from fastnn.operations.packed_dense import PRECISIONS, check

# Permitted with "mixed" where nothing else is said: of accuracy, and of relative error where there are no labels.
TOLERANCES = {"accuracy": 0.002, "error": 0.02}
# With fewer weights, rounding a row to integers takes int8 longer than it wins.
SMALL = 64 * 64
# From so many weights on, 2 MiB of float32 stream from beyond the second-level cache: there float16 is faster, too.
LARGE = 2**19
_BYTES = {"float32": 4, "float16": 2, "int8": 1}
_SAMPLES = 1024  # that the error of a single layer is measured on


def check_arguments(precision, calibration_data, validation_data, tolerance):
    """Refuse what does not go together."""
    known = (*PRECISIONS, "mixed")
    for each in precision.values() if isinstance(precision, dict) else [precision]:
        if each not in (PRECISIONS if isinstance(precision, dict) else known):
            raise ValueError(
                f"`precision` is what the weights of dense layers are stored in: {', '.join(map(repr, PRECISIONS))}, "
                f'"mixed" to have each layer measured, or a dictionary from names of layers to the first three. '
                f"Received: precision={precision!r}"
            )
    if precision == "mixed" and calibration_data is None and validation_data is None:
        raise ValueError(
            'precision="mixed" chooses for each layer by the error that it makes on data: pass some hundred samples, '
            "model.freeze(precision='mixed', validation_data=(x, y)), or validation_data=x without labels."
        )
    if tolerance is None:
        return
    given = tolerance if isinstance(tolerance, dict) else {"accuracy": tolerance}
    known = given and given.keys() <= MEASURES.keys() and all(map(_is_limit, given.values()))
    if not known or given.get("accuracy", 0) > 1:  # percentage points, it seems
        raise ValueError(
            "`tolerance` is the largest permitted loss of accuracy (0.002: 0.2 percentage points) or, without labels, "
            'relative error of the outputs; or a dictionary of either or both, {"accuracy": 0.002, "error": 0.05}. '
            f"Received: tolerance={tolerance!r}"
        )
    if precision != "mixed" and validation_data is None:
        raise ValueError("`tolerance` needs validation_data: samples, best with labels, that the loss is measured on.")


def _is_limit(value):
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and 0 <= value < math.inf


def packed(model, graph, folding, precision, calibration_data, validation_data, tolerance):
    """Pack a folded graph in the precisions asked for, and measure them.

    Parameters
    ----------
    model : Model
    graph : Graph
        What folding has made of the model's.
    folding : FoldReport
    precision, calibration_data, validation_data, tolerance
        See `fastnn.Model.freeze`.

    Returns
    -------
    graph : Graph
    report : FreezeReport
    """
    chosen = _as_told(graph, precision)
    ranges = evaluation = None
    if calibration_data is not None:
        calibrating = read(model, calibration_data, "calibration_data")
        ranges = measure_ranges(graph, calibrating)
    if validation_data is not None:
        x, y = split(validation_data)
        evaluation = Evaluation(model, graph, read(model, x, "validation_data"), y)
    elif precision == "mixed":
        evaluation = Evaluation(model, graph, calibrating)
    if evaluation is None:
        result = pack(graph, chosen, ranges)
        return result, FreezeReport(folding, _layers(graph, result, {}))
    if isinstance(tolerance, dict) and "accuracy" in tolerance and not evaluation.has_labels:
        raise ValueError(
            "`tolerance` permits a loss of accuracy, which needs labels: pass validation_data=(x, y) with the classes "
            f"of a classifier, or permit an error alone. Received: tolerance={tolerance!r}"
        )
    trial = _Trial(graph, ranges, evaluation)
    folding.compare(trial.few.expected, outputs_of(graph, trial.few.arrays))
    if precision == "mixed":
        chosen, tolerance = trial.choose(chosen, tolerance)
    result = pack(graph, chosen, ranges)
    outputs = evaluation.reports(result)
    layers = _layers(graph, result, trial.errors_of(chosen))
    report = FreezeReport(folding, layers, outputs, len(evaluation), tolerance)
    if report.missed:
        raise ValueError(_refusal(report, precision))
    return result, report


def _dense(graph):
    return [node for node in graph.nodes if node.operation.name == "dense"]


def _as_told(graph, precision):
    """The precision of each dense node; the smallest that is worth it for "mixed"."""
    dense = _dense(graph)
    if isinstance(precision, dict):
        names = list(dict.fromkeys(node.output.name for node in dense))
        unknown = [each for each in precision if each not in names]
        if unknown:
            raise ValueError(
                f"`precision`: after folding, the dense layers of this network are {', '.join(map(repr, names))}. "
                f"Received a dictionary with {', '.join(map(repr, unknown))}: layers that are something else, that "
                f"were folded into others, or that are not there.{did_you_mean(unknown[0], names)}"
            )
        return {node: precision.get(node.output.name, "float32") for node in dense}
    if precision == "mixed":
        return {node: _steps(node)[0] for node in dense}
    return dict.fromkeys(dense, precision)


def _steps(node):
    """The precisions that "mixed" tries for a layer, one after the other."""
    kernel = node.variables["kernel"]
    steps = ["int8"] if kernel.size >= SMALL else []
    steps += ["float16"] if kernel.size >= LARGE else []
    return [each for each in steps if _holds(node, each)] + ["float32"]


def _holds(node, precision):
    if precision == "int8" and not np.isfinite(node.variables["kernel"].numpy()).all():
        return False
    try:
        check(node.variables["kernel"].numpy(), precision, node.output.name)
        return True
    except ValueError:
        return False


class _Trial:
    """Packs a graph in several ways, and measures each."""

    def __init__(self, graph, ranges, evaluation):
        self.graph = graph
        self.ranges = ranges
        self.evaluation = evaluation
        self.few = evaluation.some(_SAMPLES)
        self._errors = {}

    def error(self, node, precision):
        """What a layer costs alone."""
        if precision == "float32":
            return 0.0
        if (node, precision) not in self._errors:
            graph = pack(self.graph, {node: precision}, self.ranges)
            self._errors[node, precision] = self.few.distance(graph)
        return self._errors[node, precision]

    def errors_of(self, chosen):
        """{node: error} of all that are not in float32."""
        return {node: self.error(node, each) for node, each in chosen.items() if each != "float32"}

    def choose(self, chosen, tolerance):
        """Raise the layers that cost most for their bytes until the tolerance is met, or nothing is left to raise.

        Returns
        -------
        chosen : dict of Node to str
        tolerance : float or dict
            The default one, where there was none; and with an error for the outputs without labels, where others have
            some.
        """
        first = self._measured(chosen)
        if not isinstance(tolerance, dict):
            names = dict.fromkeys("accuracy" if each.accuracy else "error" for each in first.outputs)
            limits = {name: TOLERANCES[name] for name in TOLERANCES if name in names}
            if tolerance is not None:
                limits[next(iter(limits))] = tolerance
            tolerance = limits if len(limits) > 1 else limits.popitem()[1]
        if not self._measured(chosen, tolerance).missed:
            return chosen, tolerance
        ways = [chosen, *self._raised(chosen)]
        missing, enough = 0, len(ways) - 1  # all in float32 is enough, or nothing is
        while enough - missing > 1:
            middle = (missing + enough) // 2
            if not self._measured(ways[middle], tolerance).missed:
                enough = middle
            else:
                missing = middle
        return ways[enough], tolerance

    def _measured(self, chosen, tolerance=None):
        outputs = self.evaluation.reports(pack(self.graph, chosen, self.ranges))
        return FreezeReport(None, outputs=outputs, tolerance=tolerance)

    def _raised(self, chosen):
        """One layer after the other is raised, until all are in float32: errors add up as squares, so the next is that
        whose square falls most for each byte that it takes."""
        ways = []
        while any(each != "float32" for each in chosen.values()):
            gains = {}
            for node, precision in chosen.items():
                steps = _steps(node)
                following = steps[steps.index(precision) + 1 :][:1]
                if following:
                    gain = self.error(node, precision) ** 2 - self.error(node, following[0]) ** 2
                    gain = math.inf if math.isnan(gain) else gain
                    more = _BYTES[following[0]] - _BYTES[precision]
                    gains[node, following[0]] = gain / (more * node.variables["kernel"].size)
            worst, following = max(gains, key=gains.get)
            chosen = {**chosen, worst: following}
            ways.append(chosen)
        return ways


def _layers(graph, result, errors):
    """A report of each dense layer."""
    layers = []
    after = [node for node in result.nodes if node.operation.name == "packed_dense"]
    for before, node in zip(_dense(graph), after, strict=True):
        inputs, units = node.variables["kernel"].shape
        layers.append(
            LayerReport(
                node.output.name, inputs, units, node.attributes["precision"], stored_bytes(node),
                node.attributes["range"], errors.get(before),
            )
        )  # fmt: skip
    return layers


def _refusal(report, precision):
    """Why a tolerance is missed, in numbers, and what to do."""
    found = []
    for name in report.missed:
        if name == "accuracy":
            worst = max((each for each in report.outputs if each.accuracy), key=lambda each: each.lost)
            before, after = worst.accuracy
            what = f"its accuracy falls from {before:.2%} to {after:.2%}, by {worst.lost:.4g}"
        else:
            worst = max(report.outputs, key=lambda each: each.relative)
            what = f"the relative RMS error of its outputs is {worst.relative:.3g}"
        found.append(what + (f" (output {worst.name!r})" if len(report.outputs) > 1 else ""))
    permitted = " and ".join(f"{limit:g} of {MEASURES[name]}" for name, limit in report.missed.items())
    text = f"Frozen with precision={precision!r}, {', and '.join(found)}, on {report.samples:,} samples. Permitted: "
    text += f"tolerance={permitted}."
    costly = sorted((each for each in report.layers if each.error), key=lambda each: -each.error)
    if costly:
        names = ", ".join(f"{each.name!r} ({each.precision}: {each.error:.2g})" for each in costly[:3])
        text += f" What costs most, as relative error alone: {names}."
        text += ' Let precision="mixed" choose for each layer, or name those that need more in a dictionary.'
    else:
        text += " That is in float32: only folding is left, which rounds differently. Permit more."
    return text
