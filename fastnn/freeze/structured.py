"""A frozen network of several inputs or outputs."""

import numpy as np

from fastnn import _tree
from fastnn.freeze.description import decode
from fastnn.freeze.predictor import Predictor


class StructuredPredictor(Predictor):
    """A network of several inputs or outputs with constant weights: immutable, callable from any number of threads at
    once.

    Made by `Model.freeze`. It does not follow later changes of the model.

    Attributes
    ----------
    input_shape, output_shape
        Structures of shapes, with None for the batch.
    """

    def __init__(self, description, image=None, graph=None, own=None):
        self._outputs = decode(description["outputs"])
        self._reads = [number for number, _ in description["reads"]]
        self._plain = image is not None and all(node is None for _, node in description["reads"])
        super().__init__(description, image, graph, own)

    def predict(self, x, batch_size=None, verbose="auto", steps=None, callbacks=None, *, out=None, **unknown):
        """Outputs for the rows of `x`; as calling it, with the further arguments of `Predictor.predict`.

        Parameters
        ----------
        x : array_like, list of array_like, or dict of str to array_like
            One for each input, or by the names of the inputs; or what yields batches of such.
        """
        return self._predict_as_told(x, batch_size, verbose, steps, callbacks, out, unknown)

    def __call__(self, x, out=None):
        """Outputs for the rows of `x`.

        Parameters
        ----------
        x : array_like, list of array_like, or dict of str to array_like
            One for each input, or by the names of the inputs. Where all of them have the shape of one sample, that is
            one sample, and so is the answer; an input of one value may then be that value.
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
        values, rows = self._as_it_is(x)
        if values is None:
            arrays, lone = self._arrays(self._values(x))
            arrays, rows = self._batch(arrays)
        else:
            lone = False
        shapes = self.output_sample_shapes
        results = self._results(out, shapes if lone else [(rows, *shape) for shape in shapes])
        if self.image is None:
            inputs = dict(zip(self._graph.inputs, arrays, strict=True))
            for result, value in zip(results, self._program.run(inputs, rows), strict=True):
                result[...] = value[0] if lone else value
        else:
            values = self._read(arrays) if values is None else values
            if out is not None:  # what one layer writes, another may have to read
                shared = [any(np.may_share_memory(each, result) for result in results) for each in values]
                values = [each.copy() if copy else each for each, copy in zip(values, shared, strict=True)]
            self._run_arrays(values, rows, results)
        return _tree.pack(self._outputs, results) if out is None else out

    def _as_it_is(self, x):
        """What the image reads and how many rows, where it needs no conversion: a batch of C-contiguous float32 arrays.
        (None, 0) for anything else, which costs several microseconds to look at."""
        if type(x) is dict:
            given = [x.get(name) for name in self.input_names]
        elif type(x) in (list, tuple) and len(x) == len(self.sample_shapes) and type(self.input_shape) is list:
            given = x
        else:
            return None, 0
        if not self._plain or type(given[0]) is not np.ndarray or given[0].ndim == 0:
            return None, 0
        rows = len(given[0])
        for each, shape in zip(given, self.sample_shapes, strict=True):
            fits = type(each) is np.ndarray and each.shape == (rows, *shape) and each.dtype == np.float32
            if not (fits and each.flags.c_contiguous):
                return None, 0
        return [given[number] for number in self._reads], rows

    def _arrays(self, values):
        """An array for each input, and whether they are one sample, which then is a batch of one."""
        arrays, certain = [], False
        for number, (value, shape) in enumerate(zip(values, self.sample_shapes, strict=True)):
            one_value = shape in ((), (1,))
            if one_value and getattr(value, "ndim", 0 if np.isscalar(value) else 1) == 0:
                value, one_value = np.reshape(value, 1), False
            arrays.append(self._array(number, value))
            certain |= not one_value  # an array of one value may be a batch: what the other inputs are decides
        if certain and all(
            each.shape == (shape or (1,)) for each, shape in zip(arrays, self.sample_shapes, strict=True)
        ):
            return [each.reshape(1, *shape) for each, shape in zip(arrays, self.sample_shapes, strict=True)], True
        return arrays, False

    def _results(self, out, shapes):
        """The arrays to write to."""
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

    def to_onnx(self, path=None, opset=17):
        """The folded network as an ONNX model; see `fastnn.Model.to_onnx`."""
        from fastnn.interop.onnx_writer import export

        names = sorted(self._outputs) if isinstance(self._outputs, dict) else None
        return export(self.graph, path, opset, input_names=self.input_names, output_names=names, name=self.name)
