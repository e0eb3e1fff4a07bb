"""The programs of a model: training step, evaluation, prediction."""

import numpy as np

from fastnn import regularizers
from fastnn._engine.runtime import OPS, Buffer
from fastnn.lowering.builder import Builder
from fastnn.lowering.cost import elementwise_cycles
from fastnn.lowering.update import emit_update
from fastnn.metrics.base import accumulate_mean
from fastnn.operations.activation import Softmax
from fastnn.operations.augment import mixed_targets
from fastnn.operations.lookup import host_values

# Bound by each run: where `scatter` writes.
NOT_YET = (Buffer(64), 0, 64)


class Prediction:
    """Forward pass of a graph into arrays.

    Parameters
    ----------
    graph : Graph
    batch : int
    training : bool
        Run dropout and batch normalisation as in training.

    Attributes
    ----------
    draws : bool
        Does it draw random numbers?
    """

    def __init__(self, graph, batch, training=False):
        graph = graph.in_mode(training)
        b = Builder(graph, batch, training=training)
        b.forward()
        self.graph = graph
        self.outputs = []
        for tensor in graph.outputs:
            y = b.slot(tensor)
            index = b.emit(
                "scatter", rows=y.rows_per_sample, work_per_row=elementwise_cycles(y.n, 2), y=y, out=NOT_YET,
                n=y.n, ldy=y.ld,
            )  # fmt: skip
            self.outputs.append((index, OPS["scatter"].operands.index("out")))
        b.commit()
        self._shapes = [tensor.shape[1:] for tensor in graph.outputs]
        self.sources = b.sources
        self.draws = b.random_streams > 0
        self.program = b.program()

    def run(self, inputs, samples, seed=0, step=0, batch=0):
        """Predict all samples; `inputs` maps the graph's inputs to arrays. Returns a list of float32 arrays."""
        results = [np.empty((samples, *shape), np.float32) for shape in self._shapes]
        data = host_values(self.graph, inputs)
        sources = [(source, data[key]) for key, source in self.sources.items()]
        ports = [(*port, result) for port, result in zip(self.outputs, results, strict=True)]
        self.program.run(samples, sources=sources, outputs=ports, seed=seed, step=step, batch=batch)
        return results


class Head:
    """What one output of a model is measured by.

    Attributes
    ----------
    loss : Loss or None
    loss_weight : float
    metrics : list of Metric
    weighted_metrics : list of Metric
        Those of `metrics` that sample weights apply to.
    loss_log : str or None
        What the loss of this output is reported as, where there are several.
    loss_place : int
        Where it is reported among those of the outputs.
    metric_logs : dict of Metric to str
        What the metrics are reported as.
    """

    __slots__ = ("loss", "loss_weight", "metrics", "weighted_metrics", "loss_log", "loss_place", "metric_logs")

    def __init__(self, loss, metrics=(), weighted_metrics=(), loss_weight=1.0):
        self.loss = loss
        self.loss_weight = loss_weight
        self.metrics = [*metrics, *weighted_metrics]
        self.weighted_metrics = list(weighted_metrics)
        self.loss_log = None
        self.loss_place = 0
        self.metric_logs = {}

    @property
    def target_kinds(self):
        """The kinds of targets that its loss and its metrics read, each once."""
        measures = self.metrics if self.loss is None else [self.loss, *self.metrics]
        return list(dict.fromkeys([each.target_kind for each in measures]))

    @property
    def depends_on_batch(self):
        """Does it matter which samples are evaluated together?"""
        return any(each is not None and each.depends_on_batch for each in (self.loss, *self.metrics))


class Evaluation:
    """Forward pass, losses and metrics, summed up over the batches of an epoch.

    Parameters
    ----------
    graph : Graph
    batch : int
    heads : list of Head
        One for each output of the graph.
    weighted : tuple of bool, or False
        Which outputs have sample weights?

    Attributes
    ----------
    totals : ndarray of float64
        What every loss and metric has added up since the last `reset`.
    trackers : list of (Head, Metric or None, ndarray)
        Each loss (None) and metric, with the part of `totals` that is its own: of a loss, its sum and the number of
        rows.
    attached : list of Metric
        Those that are attributes of the model, and updated by nobody here: they are reset and reported with the others.
    """

    training = False

    def __init__(self, graph, batch, heads, weighted=False):
        self.graph = graph = graph.in_mode(self.training)
        self.batch = batch
        self.heads = heads
        self.trackers = []
        sizes = []
        for head, output in zip(heads, graph.outputs, strict=True):
            sizes += [2] if head.loss is not None else []
            sizes += [metric.state_size(output.features) for metric in head.metrics]
        count = sum(sizes)
        self._own = [metric for head in heads for metric in head.metrics if metric._variables]
        self.attached = []
        self._accumulators = Buffer(8 * (count + 4))  # the last four: penalties of weights, of activities
        self.totals = self._accumulators.array((count,), np.float64)
        self._penalties = self._accumulators.array((2, 2), np.float64, 8 * count)
        self._penalised = False
        ends = np.cumsum(sizes, dtype=np.int64)
        self._states = [self.totals[end - size : end] for size, end in zip(sizes, ends, strict=True)]
        self._weighted = weighted
        b = Builder(graph, batch, training=self.training)
        self._lower(b)
        self.sources = b.sources
        self.program = b.program()

    def _lower(self, b):
        self._forward(b)
        self._measure(b)
        self._penalise(b)
        b.commit()

    def _forward(self, b):
        b.penalties = []
        for number, head in enumerate(self.heads):
            if self._absorbs_activation(number, head):
                b.defer(self.graph.outputs[number].node)
        b.forward()

    def _absorbs_activation(self, number, head):
        """Does the loss compute the last activation itself? The derivatives of softmax or sigmoid and of cross-entropy
        cancel to y - target, which is simpler and more precise than their product."""
        node = self.graph.outputs[number].node
        wanted = head.loss and not getattr(head.loss, "from_logits", False) and head.loss.fused_activation
        if not wanted or node is None or len(self.graph.consumers(node.output)) > 0:
            return False
        if self.graph.outputs.count(node.output) > 1:
            return False
        if isinstance(node.operation, Softmax):
            return wanted == "softmax"
        return node.attributes.get("function") == wanted

    def _measure(self, b):
        for number, head in enumerate(self.heads):
            tensor = self.graph.outputs[number]
            y = b.slot(tensor)
            targets = {}
            weights = None
            if self._weighted and self._weighted[number]:
                weights = b.per_row(y.rows_per_sample)
                b.emit(
                    "gather", rows=y.rows_per_sample, work_per_row=2, source=b.source(("weights", number)), y=weights,
                    n=1, ldy=1,
                )  # fmt: skip
            if head.loss is not None:
                b.label = head.loss.name
                self._loss(b, number, head, y, self._target(b, number, y, targets, head.loss), weights)
            for metric in head.metrics:
                b.label = metric.name
                target = self._target(b, number, y, targets, metric)
                weighted = any(metric is each for each in head.weighted_metrics)
                metric.accumulate(b, y, target, weights if weighted else None, self._state(number, metric))
        b.label = ""

    def _penalise(self, b):
        """Emit the penalties of regularizers, and their gradients for the variables that are trained."""
        first = 8 * len(self.totals)
        weights, activities = ((self._accumulators, first + offset, 16) for offset in (0, 16))
        variables = [each for each in self.graph.variables if each.regularizer is not None and each.trainable]
        self._penalised = bool(variables or b.penalties)
        for variable in variables:
            b.label = variable.path
            sums = regularizers.lower(b, variable.regularizer, variable)
            if sums is not None:
                b.emit("add_penalty", sums=sums, acc=weights, count=sums[2] // 8, counts=False)
        if self._penalised:
            b.label = "penalties"
            b.emit("add_penalty", sums=None, acc=weights, count=0, counts=True)
        for values in b.penalties:
            b.emit(
                "accumulate", rows=values.rows_per_sample, work_per_row=2, values=values, weights=None, acc=activities
            )
        b.label = ""

    def penalty(self):
        """Penalties of all regularizers, as the mean over the samples since the last `reset`: a part of the loss."""
        if not self._penalised:
            return 0.0
        samples = self._penalties[0, 1]
        return float(self._penalties[:, 0].sum() / samples) if samples else 0.0

    @staticmethod
    def _target(b, number, y, targets, wanting):
        kind = wanting.target_kind
        if kind not in targets:
            key = ("targets", number)
            if kind in ("labels", "groups"):
                targets[kind] = b.gather_labels(key, y.rows_per_sample)
            elif kind == "column":
                targets[kind] = b.gather(key, y.rows_per_sample, 1, without_gaps=y.rows_per_sample == 1)
            else:
                targets[kind] = b.gather(key, y.rows_per_sample, y.n)
            targets[kind] = mixed_targets(b, kind, targets[kind])
        return targets[kind]

    def _loss(self, b, number, head, y, target, weights):
        tensor = self.graph.outputs[number]
        row_loss = b.per_row(y.rows_per_sample)
        logits = None
        if getattr(head.loss, "from_logits", False):
            logits = y
        elif self._absorbs_activation(number, head):
            logits = b.slot(tensor.node.inputs[0])
        gradient = b.matrix(y.rows_per_sample, y.n) if b.needs_gradient(tensor) else None
        head.loss.lower(b, y, target, weights, row_loss, gradient, logits=logits, scale=head.loss_weight)
        if gradient is not None:
            b.set_gradient(tensor if logits is None or logits is y else tensor.node.inputs[0], gradient)
        accumulate_mean(b, row_loss, None, self._state(number, None))

    def _state(self, number, metric):
        """Memory of the next tracker's state."""
        state = self._states[len(self.trackers)]
        self.trackers.append((self.heads[number], metric, state))
        return self._accumulators, state.ctypes.data - self.totals.ctypes.data, state.nbytes

    def reset(self):
        """Start a new sum."""
        self._accumulators.clear()
        for metric in self._own:
            metric.reset_state()
        for metric in self.attached:
            metric.reset_state()

    def go_on_from(self, other):
        """Take over the sums of another program of the same heads: one for smaller batches, or other weights."""
        self.totals[:] = other.totals
        self._penalties[:] = other._penalties

    def bind(self, inputs, targets, weights=None):
        """What `Program.run` is to read: inputs by tensor, targets (and weights) one array for each output."""
        data = host_values(self.graph, inputs)
        others = {"targets": targets, "weights": weights}
        return [
            (source, others[key[0]][key[1]] if type(key) is tuple else data[key])
            for key, source in self.sources.items()
        ]


class Training(Evaluation):
    """The whole training step: gather, forward, losses, metrics, backward, update.

    Parameters
    ----------
    graph, batch, heads, weighted
        As for `Evaluation`.
    optimizer : Optimizer
    variables : list of Variable
        Those that are trained.
    frozen : set of Layer, optional
        Those that behave as not trainable, whatever their flags say now.
    """

    training = True

    def __init__(self, graph, batch, heads, weighted, optimizer, variables, frozen=None):
        self._optimizer = optimizer
        self._frozen = frozen
        self._trained = list(variables)
        super().__init__(graph, batch, heads, weighted)

    def _lower(self, b):
        b.train(self._trained)
        b.frozen = self._frozen
        self._forward(b)
        self._measure(b)
        b.backward()
        b.halves.emit_sums(b)
        self._penalise(b)
        self._finish(b)

    def _finish(self, b):
        b.commit()
        emit_update(b, self._optimizer, [variable for variable in self._trained if b.has_gradient(variable)])


class Gradients(Training):
    """The training step without its end: gradients are computed, and nothing of the model is changed.

    Parameters
    ----------
    graph, batch, heads, weighted
        As for `Evaluation`.
    variables : list of Variable
        Those whose gradients are wanted.
    """

    def __init__(self, graph, batch, heads, weighted, variables):
        super().__init__(graph, batch, heads, weighted, None, variables)

    def _finish(self, b):
        self._places = b.gradient_places()

    def values(self):
        """What the last run has found: row-major arrays in the order of the variables. Those that the loss does not
        depend on have zeros."""
        return [
            variable.unpacked(buffer.array(nbytes // 4, np.float32, offset))
            for variable, (buffer, offset, nbytes) in ((each, self._places[each]) for each in self._trained)
        ]
