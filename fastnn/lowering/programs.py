"""The programs of a model: training step, evaluation, prediction."""

import numpy as np

from fastnn._engine.runtime import OPS, Buffer
from fastnn.lowering.builder import Builder
from fastnn.lowering.cost import elementwise_cycles
from fastnn.operations.activation import Softmax
from fastnn.variables import runs_of

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
        self.sources = b.sources
        self.draws = b.random_streams > 0
        self.program = b.program()

    def run(self, inputs, samples, seed=0, step=0, batch=0):
        """Predict all samples; `inputs` maps the graph's inputs to arrays. Returns a list of float32 arrays."""
        results = [np.empty((samples, *tensor.shape[1:]), np.float32) for tensor in self.graph.outputs]
        sources = [(self.sources[each], inputs[each]) for each in self.graph.inputs if each in self.sources]
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
    """

    __slots__ = ("loss", "loss_weight", "metrics", "weighted_metrics")

    def __init__(self, loss, metrics=(), weighted_metrics=(), loss_weight=1.0):
        self.loss = loss
        self.loss_weight = loss_weight
        self.metrics = [*metrics, *weighted_metrics]
        self.weighted_metrics = list(weighted_metrics)


class Evaluation:
    """Forward pass, losses and metrics, summed up over the batches of an epoch.

    Parameters
    ----------
    graph : Graph
    batch : int
    heads : list of Head
        One for each output of the graph.
    weighted : bool
        Are there sample weights?

    Attributes
    ----------
    trackers : list of (int, Metric or None)
        Number of the head and metric (None: its loss) that each row of `totals` belongs to.
    totals : ndarray, shape (trackers, 2)
        Sum of values and number of rows (or sum of weights) since the last `reset`.
    """

    training = False

    def __init__(self, graph, batch, heads, weighted=False):
        self.graph = graph
        self.batch = batch
        self.heads = heads
        self.trackers = []
        accumulators = Buffer(16 * sum(1 + len(head.metrics) for head in heads))
        self.totals = accumulators.array((accumulators.nbytes // 16, 2), np.float64)
        self._accumulators = accumulators
        self._weighted = weighted
        b = Builder(graph, batch, training=self.training)
        self._lower(b)
        self.sources = b.sources
        self.program = b.program()

    def _lower(self, b):
        self._forward(b)
        self._measure(b)
        b.commit()

    def _forward(self, b):
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
            if self._weighted:
                weights = b.per_row(1)
                b.emit("gather", work_per_row=2, source=b.source(("weights", number)), y=weights, n=1, ldy=1)
            if head.loss is not None:
                b.label = head.loss.name
                self._loss(b, number, head, y, self._target(b, number, y, targets, head.loss), weights)
            for metric in head.metrics:
                b.label = metric.name
                values = b.per_row(y.rows_per_sample)
                metric.lower(b, y, self._target(b, number, y, targets, metric), values)
                self._accumulate(b, number, metric, values, weights if metric in head.weighted_metrics else None)
        b.label = ""

    @staticmethod
    def _target(b, number, y, targets, wanting):
        kind = wanting.target_kind
        if kind not in targets:
            key = ("targets", number)
            if kind == "labels":
                targets[kind] = b.gather_labels(key, y.rows_per_sample)
            elif kind == "column":
                targets[kind] = b.gather(key, y.rows_per_sample, 1, without_gaps=y.rows_per_sample == 1)
            else:
                targets[kind] = b.gather(key, y.rows_per_sample, y.n)
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
        self._accumulate(b, number, None, row_loss, None)

    def _accumulate(self, b, number, metric, values, weights):
        row = len(self.trackers)
        b.emit(
            "accumulate", rows=values.rows_per_sample, work_per_row=2, values=values, weights=weights,
            acc=(self._accumulators, 16 * row, 16),
        )  # fmt: skip
        self.trackers.append((number, metric))

    def reset(self):
        """Start a new sum."""
        self.totals[:] = 0

    def bind(self, inputs, targets, weights=None):
        """What `Program.run` is to read: inputs by tensor, targets (and weights) one array for each output."""
        data = dict(inputs)
        for number, array in enumerate(targets):
            data["targets", number] = array
        for number, array in enumerate(weights or ()):
            data["weights", number] = array
        return [(source, data[key]) for key, source in self.sources.items()]


class Training(Evaluation):
    """The whole training step: gather, forward, losses, metrics, backward, update.

    Parameters
    ----------
    graph, batch, heads, weighted
        As for `Evaluation`.
    optimizer : Optimizer
    variables : list of Variable
        Those that are trained.
    """

    training = True

    def __init__(self, graph, batch, heads, weighted, optimizer, variables):
        self._optimizer = optimizer
        self._trained = list(variables)
        super().__init__(graph, batch, heads, weighted)

    def _lower(self, b):
        b.train(self._trained)
        self._forward(b)
        self._measure(b)
        b.backward()
        b.commit()
        self._update(b)

    def _update(self, b):
        optimizer = self._optimizer
        b.label = optimizer.name
        variables = b.gradients_written
        state = optimizer_state(optimizer, variables)
        runs = []
        for run in runs_of(variables):  # cut where gradients or optimizer state do not follow each other
            for variable in run:
                arrays = {"param": variable.storage, "grad": b.variable_gradient(variable)[0], **state[variable]}
                if variable is not run[0] and all(_adjacent(runs[-1][name], arrays[name]) for name in arrays):
                    runs[-1] = {name: _joined(runs[-1][name], arrays[name]) for name in arrays}
                else:
                    runs.append(arrays)
        for arrays in runs:
            slots = {name: arrays[name] for name in optimizer.slot_names}
            optimizer.lower(b, arrays["param"], arrays["grad"], slots, arrays["param"][2] // 4)


def _adjacent(run, piece):
    return run[0] is piece[0] and run[1] + run[2] == piece[1]


def _joined(run, piece):
    return run[0], run[1], run[2] + piece[2]


def optimizer_state(optimizer, variables):
    """The optimizer's memory for each variable: dict of slot name to (buffer, offset, nbytes). Created where missing,
    laid out as the variables are, and kept by the optimizer from then on."""
    state = optimizer.state
    missing = [variable for variable in variables if variable not in state]
    for run in runs_of(missing):
        buffers = {name: Buffer(sum(each.nbytes for each in run)) for name in optimizer.slot_names}
        offset = 0
        for variable in run:
            state[variable] = {name: (buffer, offset, variable.nbytes) for name, buffer in buffers.items()}
            offset += variable.nbytes
    return state
