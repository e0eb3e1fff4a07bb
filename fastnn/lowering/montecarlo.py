"""Many random passes over the same rows, for `Model.predict_mc`: only what depends on a random number is repeated."""

import numpy as np

from fastnn._engine.runtime import OPS
from fastnn.graph import Graph
from fastnn.lowering.builder import Builder
from fastnn.lowering.cost import elementwise_cycles
from fastnn.lowering.programs import NOT_YET, Prediction

# Rows of a batch, in which several passes over few samples lie one after the other; and samples of one run.
_ROWS = 256


def _drawing(graph):
    """The graph of inference; of training, if some `call` draws further numbers in its branch for that."""
    training, inference = graph.in_mode(True), graph.in_mode(False)
    if training is inference:
        return graph
    drawn = [sum(node.operation.is_random(node, Builder(each, 1, noise=True)) for node in each.nodes)
             for each in (training, inference)]  # fmt: skip
    return training if drawn[0] > drawn[1] else inference


class MonteCarlo:
    """The programs of one graph: what comes before the first random number, and the rest.

    Parameters
    ----------
    graph : Graph
    """

    def __init__(self, graph):
        graph = _drawing(graph)
        b = Builder(graph, 1, noise=True)
        self._varying = set()
        known = {}  # the tensors that the varying part reads of the constant one, in order
        for node in graph.nodes:
            if node.operation.is_random(node, b) or self._varying.intersection(node.inputs):
                self._varying.add(node.output)
                known.update((each, None) for each in node.inputs if each not in self._varying)
        known.update((each, None) for each in graph.outputs if each not in self._varying)
        self._graph, self._known = graph, list(known)
        self._before = Prediction(Graph(graph.inputs, self._known), _ROWS)
        self._rest = {}

    def _program(self, samples):
        """The program that repeats the rest for so many samples, its sources, and where its results go."""
        if samples not in self._rest:
            outputs = [each for each in self._graph.outputs if each in self._varying]
            b = Builder(Graph(self._known, outputs), _ROWS, noise=True)
            b.forward()
            ports = []
            for tensor in outputs:
                y = b.slot(tensor)
                index = b.emit(
                    "montecarlo", rows=y.rows_per_sample, work_per_row=elementwise_cycles(y.n, 40), y=y, mean=NOT_YET,
                    spread=NOT_YET, n=y.n, ldy=y.ld, total=samples,
                )  # fmt: skip
                ports.append((tensor, index))
            b.commit()
            self._rest[samples] = b.program(), b.sources, ports
        return self._rest[samples]

    def run(self, inputs, samples, passes, seed, step):
        """Mean and standard deviation of each output, as float32 arrays; `inputs` maps the graph's inputs to arrays."""
        shapes = [(samples, *each.shape[1:]) for each in self._graph.outputs]
        means, spreads = ([np.zeros(shape) for shape in shapes] for _ in range(2))
        mean_at, spread_at = (OPS["montecarlo"].operands.index(name) for name in ("mean", "spread"))
        for start in range(0, samples, _ROWS):
            rows = slice(start, min(start + _ROWS, samples))
            count = rows.stop - start
            known = self._before.run({key: value[rows] for key, value in inputs.items()}, count)
            known = dict(zip(self._known, known, strict=True))
            for number, tensor in enumerate(self._graph.outputs):
                if tensor not in self._varying:
                    means[number][rows] = known[tensor]
            if not self._varying:
                continue
            program, sources, ports = self._program(count)
            numbers = {tensor: number for number, tensor in enumerate(self._graph.outputs)}
            places = []
            for tensor, index in ports:
                number = numbers[tensor]
                places += [(index, mean_at, means[number][rows]), (index, spread_at, spreads[number][rows])]
            program.run(
                count * passes,
                samples=count,
                order=np.tile(np.arange(count), passes),
                seed=seed,
                step=step,
                sources=[(source, known[key]) for key, source in sources.items()],
                outputs=places,
            )
            step += -(-count * passes // _ROWS)
        deviations = [np.sqrt(spread / passes).astype(np.float32) for spread in spreads]
        return [mean.astype(np.float32) for mean in means], deviations
