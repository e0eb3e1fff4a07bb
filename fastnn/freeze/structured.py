"""A frozen network of several inputs or outputs."""

from fastnn import _tree
from fastnn.eager import CHUNK
from fastnn.lowering.programs import Prediction
from fastnn.variables import move_to_arena


class StructuredPredictor:
    """A network of several inputs or outputs with constant weights: immutable, callable from any thread. Threads that
    call it at once take turns.

    Made by `Model.freeze`. It does not follow later changes of the model.

    Parameters
    ----------
    graph : Graph
        The folded network.
    notes : list of str
        What was folded into what.
    inputs, outputs
        The model's own, for their names and structure.
    input_names : list of str
    name : str

    Attributes
    ----------
    input_shape, output_shape
        Structures of shapes, with None for the batch.
    """

    def __init__(self, graph, notes, inputs, outputs, input_names, name="predictor"):
        self.name = name
        self.graph = graph
        self.notes = tuple(notes)
        self.input_names = tuple(input_names)
        self.input_shape = _tree.map_structure(lambda each: each.shape, inputs)
        self.output_shape = _tree.map_structure(lambda each: each.shape, outputs)
        move_to_arena(graph.variables)
        self._outputs = outputs
        self._prediction = Prediction(graph, CHUNK)

    def __call__(self, x, out=None):
        """Outputs for the rows of `x`; see `predict`."""
        return self.predict(x, out)

    def predict(self, x, out=None):
        """Outputs for the rows of `x`.

        Parameters
        ----------
        x : array_like, list of array_like, or dict of str to array_like
            One for each input, or by the names of the inputs.
        out : None
            Only predictors of one input and one output write into a given array.

        Returns
        -------
        ndarray, or structure of ndarray
            Like the outputs of the model.

        Raises
        ------
        ValueError, TypeError
            For inputs that do not fit.
        """
        from fastnn.training.data import as_array, check_inputs

        if out is not None:
            raise ValueError("`out` is for predictors of one input and one output; this one returns new arrays.")
        values = self._values(x)
        arrays = [
            check_inputs(as_array(each, name, text=True), tensor.shape[1:], f"Input {name!r} of {self.name!r}")
            for each, name, tensor in zip(values, self.input_names, self.graph.inputs, strict=True)
        ]
        lengths = {len(each) for each in arrays}
        if len(lengths) > 1:
            raise ValueError(f"The inputs of {self.name!r} must have as many samples each. Received: {sorted(lengths)}")
        inputs = dict(zip(self.graph.inputs, arrays, strict=True))
        results = self._prediction.run(inputs, lengths.pop())
        return results[0] if len(results) == 1 else _tree.pack(self._outputs, results)

    def export_c(self, path, precision=None, name=None, **options):
        """Write the network as C source; see `fastnn.export.export_c`."""
        from fastnn.export import export_c

        return export_c(self, path, precision, name, **options)

    def _values(self, x):
        names = self.input_names
        if isinstance(x, dict):
            missing = [name for name in names if name not in x]
            if missing:
                raise ValueError(f"Expected inputs named {list(names)}. Received a dictionary without {missing}.")
            return [x[name] for name in names]
        if len(names) == 1:
            return [x]
        if not isinstance(x, (list, tuple)) or len(x) != len(names):
            raise ValueError(
                f"Expected a list of {len(names)} arrays or a dictionary by {list(names)}. Received: {type(x).__name__}"
            )
        return list(x)

    def __setattr__(self, name, value):
        if "_prediction" in self.__dict__:
            raise AttributeError("A predictor is immutable: freeze the model again after changing it.")
        super().__setattr__(name, value)

    def __repr__(self):
        return f"<StructuredPredictor name={self.name}, {self.input_shape} -> {self.output_shape}>"
