"""A frozen network."""

import numpy as np

from fastnn._engine.predictor import FrozenProgram
from fastnn.eager import CHUNK
from fastnn.freeze.plain import from_plain, to_plain
from fastnn.lowering.builder import Builder
from fastnn.lowering.cost import elementwise_cycles
from fastnn.lowering.programs import NOT_YET
from fastnn.operations.lookup import host_values
from fastnn.variables import move_to_arena


class Predictor(FrozenProgram):
    """A network with constant weights: immutable, callable from any number of threads at once.

    Made by `Model.freeze`. It does not follow later changes of the model.

    Attributes
    ----------
    name : str
    graph : Graph
        The folded network.
    notes : tuple of str
        What was folded into what.
    input_shape, output_shape : tuple
        With None for the batch.

    Examples
    --------
    >>> import fastnn, numpy as np
    >>> model = fastnn.Sequential([fastnn.Input((4,)), fastnn.layers.Dense(3), fastnn.layers.BatchNormalization()])
    >>> frozen = model.freeze()
    >>> frozen(np.ones((2, 4), np.float32)).shape
    (2, 3)
    """

    def __init__(self, graph, notes=(), name="predictor"):
        self.name = name
        self.graph = graph
        self.notes = tuple(notes)
        self.input_shape = graph.inputs[0].shape
        self.output_shape = graph.outputs[0].shape
        move_to_arena(graph.variables)
        builder = Builder(graph, CHUNK)
        builder.forward()
        y = builder.slot(graph.outputs[0])
        builder.emit(
            "scatter", rows=y.rows_per_sample, work_per_row=elementwise_cycles(y.n, 2), y=y, out=NOT_YET, n=y.n,
            ldy=y.ld
        )  # fmt: skip
        if len(builder.sources) > 1:
            raise ValueError(f"A predictor reads one array. This network reads {len(builder.sources)}.")
        key = next(iter(builder.sources), graph.inputs[0])  # the input, or what is looked up for it
        super().__init__(builder.program, builder.source(key), key.shape[1:], self.output_shape[1:])

    def predict(self, x, out=None):
        """Outputs for the rows of `x`.

        Parameters
        ----------
        x : array_like, shape (samples, ...)
            float32 and contiguous is fastest; anything numeric is converted on the way.
        out : ndarray of float32, C-contiguous, shape (samples, ...), optional
            Where to write; returned. A new array by default.

        Returns
        -------
        ndarray

        Raises
        ------
        ValueError, TypeError
            For a shape or a type that does not fit.
        """
        return self(x, out)

    def export_c(self, path, precision=None, name=None, **options):
        """Write the network as C source; see `fastnn.export.export_c`."""
        from fastnn.export import export_c

        return export_c(self, path, precision, name, **options)

    def _convert(self, x):
        """An input that is not float32, contiguous and of the right shape already."""
        from fastnn.training.data import as_array, check_inputs

        x = check_inputs(as_array(x, "x"), self.input_shape[1:], f"The input of {self.name!r}")
        return np.ascontiguousarray(x, np.float32)

    def __setattr__(self, name, value):
        if "output_shape" in self.__dict__:
            raise AttributeError("A predictor is immutable: freeze the model again after changing it.")
        super().__setattr__(name, value)

    def __reduce__(self):
        """Pickled and copied as folded graph and weights; nothing of the model is needed to have it back."""
        return _unpickled, (type(self), to_plain(self.graph), self.notes, self.name)

    def __repr__(self):
        return f"<Predictor name={self.name}, {self.input_shape} -> {self.output_shape}>"


class LookupPredictor(Predictor):
    """A predictor whose input, text or integers, is looked up first; see `fastnn.operations.lookup`."""

    def __call__(self, x, out=None):
        """Outputs for the rows of `x`; see `predict`."""
        from fastnn.training.data import as_array, check_inputs

        tensor = self.graph.inputs[0]
        x = check_inputs(as_array(x, "x", text=True), tensor.shape[1:], f"The input of {self.name!r}")
        values = host_values(self.graph, {tensor: x})
        (looked_up,) = (value for key, value in values.items() if key is not tensor)
        return super().__call__(np.ascontiguousarray(looked_up, np.float32), out)


def _unpickled(cls, plain, notes, name):
    return cls(from_plain(plain), notes, name)
