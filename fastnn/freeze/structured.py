"""A frozen network of several inputs or outputs."""

import numpy as np

from fastnn import _tree
from fastnn.freeze.description import decode
from fastnn.freeze.predictor import Predictor
from fastnn.training.data import as_array, check_inputs


class StructuredPredictor(Predictor):
    """A network of several inputs or outputs with constant weights: immutable, callable from any number of threads at
    once.

    Made by `Model.freeze`. It does not follow later changes of the model.

    Attributes
    ----------
    input_names : tuple of str
    input_shape, output_shape
        Structures of shapes, with None for the batch.
    """

    def __init__(self, description, image=None, graph=None):
        self.input_names = tuple(description["input_names"])
        self._outputs = decode(description["outputs"])
        self._sample_shapes = [tuple(shape) for shape in description["sample_shapes"]]
        super().__init__(description, image, graph)

    def __call__(self, x, out=None):
        """Outputs for the rows of `x`; see `predict`."""
        return self.predict(x, out)

    def predict(self, x, out=None):
        """Outputs for the rows of `x`.

        Parameters
        ----------
        x : array_like, list of array_like, or dict of str to array_like
            One for each input, or by the names of the inputs.
        out : structure of ndarray, optional
            Where to write, a C-contiguous float32 array for each output, in the structure of the outputs; returned. New
            arrays by default.

        Returns
        -------
        ndarray, or structure of ndarray
            Like the outputs of the model.

        Raises
        ------
        ValueError, TypeError
            For inputs that do not fit.
        """
        arrays = [
            check_inputs(as_array(each, name, text=True), shape, f"Input {name!r} of {self.name!r}")
            for each, name, shape in zip(self._values(x), self.input_names, self._sample_shapes, strict=True)
        ]
        lengths = {len(each) for each in arrays}
        if len(lengths) > 1:
            raise ValueError(f"The inputs of {self.name!r} must have as many samples each. Received: {sorted(lengths)}")
        rows = lengths.pop()
        results = self._results(out, rows)
        if self.image is None:
            inputs = dict(zip(self._graph.inputs, arrays, strict=True))
            for result, value in zip(results, self._program.run(inputs, rows), strict=True):
                result[...] = value
        else:
            values = self._read(arrays)
            if out is not None:  # what one layer writes, another may have to read
                shared = [any(np.may_share_memory(each, result) for result in results) for each in values]
                values = [each.copy() if copy else each for each, copy in zip(values, shared, strict=True)]
            self._run_arrays(values, rows, results)
        return _tree.pack(self._outputs, results)

    def _results(self, out, rows):
        """The arrays to write to."""
        shapes = [(rows, *shape) for shape in self._output_shapes()]
        if out is None:
            return [np.empty(shape, np.float32) for shape in shapes]
        results = _tree.flatten(out)
        if len(results) != len(shapes):
            raise ValueError(f"`out` must have {len(shapes)} arrays, one for each output. Received: {len(results)}")
        for each, shape in zip(results, shapes, strict=True):
            fits = isinstance(each, np.ndarray) and each.dtype == np.float32 and each.shape == shape
            if not (fits and each.flags.c_contiguous and each.flags.writeable):
                self._refuse_output(each, shape)
        return results

    def _output_shapes(self):
        if self.image is None:
            return [each.shape[1:] for each in self._graph.outputs]
        return self.output_shapes

    def to_onnx(self, path=None, opset=17):
        """The folded network as an ONNX model; see `fastnn.Model.to_onnx`."""
        from fastnn.interop.onnx_writer import export

        names = sorted(self._outputs) if isinstance(self._outputs, dict) else None
        return export(self.graph, path, opset, input_names=self.input_names, output_names=names, name=self.name)

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
        if len(names) == 1:  # as the model's `predict`: a list of one array is that array
            listed = isinstance(x, (list, tuple)) and len(x) == 1
            return list(x) if listed and getattr(x[0], "ndim", 0) >= min(2, len(self._sample_shapes[0]) + 1) else [x]
        if not isinstance(x, (list, tuple)) or len(x) != len(names):
            raise ValueError(
                f"Expected a list of {len(names)} arrays or a dictionary by {list(names)}. Received: {type(x).__name__}"
            )
        return list(x)
