"""Layers and models called on arrays: a small cached program of the same graph that training uses."""

import threading

import numpy as np

from fastnn.graph import Tensor

# Rows that go through the network at a time. The result of a row does not depend on it.
CHUNK = 256


class Array(np.ndarray):
    """What an eager call returns: a NumPy array that also answers `numpy()`, as Keras's tensors do."""

    def numpy(self):
        """This value as a plain `numpy.ndarray`."""
        return self.view(np.ndarray)


def is_symbolic(value):
    """Is this a symbolic tensor, or a list, tuple or dict that holds one?"""
    if isinstance(value, (list, tuple)):
        return any(is_symbolic(each) for each in value)
    if isinstance(value, dict):
        return any(is_symbolic(each) for each in value.values())
    return isinstance(value, Tensor)


class Eager:
    """Runs one graph on arrays; keeps its programs.

    Parameters
    ----------
    graph : Graph
    """

    def __init__(self, graph):
        self.graph = graph
        self._programs = {}
        self._lock = threading.RLock()  # a signal handler may come in between, and call the same

    def run(self, inputs, samples, training, random_state):
        """Outputs for `samples` rows; `inputs` maps the graph's inputs to arrays.

        `random_state` gives the seed and the first step of so many batches; it is asked only if numbers are drawn.
        """
        # In training the batch is one: its statistics are those of all rows.
        batch = max(1, samples) if training else CHUNK
        wanted = (batch, self.graph.state())
        with self._lock:
            made_for, program = self._programs.get(training, (None, None))
            if made_for != wanted:
                from fastnn.lowering.programs import Prediction

                program = Prediction(self.graph, batch, training=training)
                self._programs[training] = (wanted, program)
        seed, step = random_state(-(-samples // batch)) if program.draws else (0, 0)
        return program.run(inputs, samples, seed=seed, step=step)
