"""A short way to the step just taken: `train_on_batch` is called thousands of times with arrays of one kind."""

from fastnn import _revision
from fastnn._engine.runtime import Kind
from fastnn.training.data import check_labels

# From an array as it was passed to what the checks of `data` made of it, by the number of axes gained.
_VIEWS = {-1: (..., 0), 0: None, 1: (..., None)}


class KnownBatch:
    """What the checks of one batch have found out, for the next of the same shapes and types.

    Parameters
    ----------
    model : Model
        Compiled; with one input and one output.
    program : fastnn.lowering.programs.Training
    x, y : ndarray
        As they were passed.
    samples : fastnn.training.samples.Samples
        What the checks made of them.
    classes : int or None
        The values of labels have to be looked at each time.
    """

    def __init__(self, model, program, x, y, samples, classes):
        checked_x, checked_y = samples.inputs[0], samples.targets[0]
        self._compiled_with = model.optimizer, model.loss
        self._program = program
        self._length = len(samples)
        keys = model._network.graph.inputs[0], ("targets", 0)
        self._x_source, self._y_source = (program.sources[key] for key in keys)
        self._revision = _revision.current()
        self._x_kind, self._x_view = Kind(x), _VIEWS[checked_x.ndim - x.ndim]
        self._y_kind, self._y_view = Kind(y), _VIEWS[checked_y.ndim - y.ndim]
        self._classes = classes

    def checked(self, model, x, y):
        """Return the number of samples, the program and what it is to read; None if the arrays are of another kind, or
        the model has changed."""
        if not (self._x_kind.fits(x) and self._y_kind.fits(y)) or self._revision != _revision.current():
            return None
        optimizer, loss = self._compiled_with
        if model.optimizer is not optimizer or model.loss is not loss:
            return None
        if self._x_view is not None:
            x = x[self._x_view]
        if self._y_view is not None:
            y = y[self._y_view]
        if self._classes is not None:
            check_labels(y, self._classes, "y")
        return self._length, self._program, ((self._x_source, x), (self._y_source, y))
