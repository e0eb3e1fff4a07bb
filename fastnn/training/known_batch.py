"""A short way to the step just taken: `train_on_batch` is called thousands of times with arrays of one kind."""

import numpy as np

from fastnn import _revision
from fastnn.training.data import check_labels

# From an array as it was passed to what the checks of `data` made of it, by the number of axes gained.
_VIEWS = {-1: (..., 0), 0: None, 1: (..., None)}


class KnownBatch:
    """What the checks of one batch have found out, for the next of the same shapes and types.

    Parameters
    ----------
    program : fastnn.lowering.programs.Training
    graph : Graph
    x, y : ndarray
        As they were passed: there are one input and one output.
    samples : fastnn.training.samples.Samples
        What the checks made of them.
    classes : int or None
        The values of labels have to be looked at each time.
    """

    def __init__(self, program, graph, x, y, samples, classes):
        checked_x, checked_y = samples.inputs[0], samples.targets[0]
        self._program = program
        self._x_source, self._y_source = (program.sources.get(key) for key in (graph.inputs[0], ("targets", 0)))
        self._revision = _revision.current()
        self._x_shape, self._x_dtype, self._x_view = x.shape, x.dtype, _VIEWS[checked_x.ndim - x.ndim]
        self._y_shape, self._y_dtype, self._y_view = y.shape, y.dtype, _VIEWS[checked_y.ndim - y.ndim]
        self._classes = classes

    def checked(self, x, y):
        """Return the program and what it is to read; None if the arrays are of another kind, or the model has
        changed."""
        if (
            type(x) is not np.ndarray
            or type(y) is not np.ndarray
            or x.shape != self._x_shape
            or y.shape != self._y_shape
            or x.dtype is not self._x_dtype
            or y.dtype is not self._y_dtype
            or self._revision != _revision.current()
        ):
            return None
        if self._x_view is not None:
            x = x[self._x_view]
        if self._y_view is not None:
            y = y[self._y_view]
        if self._classes is not None:
            check_labels(y, self._classes, "y")
        return self._program, [(self._x_source, x), (self._y_source, y)]
