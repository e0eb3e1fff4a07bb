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
        self._pack = _tree.packer(self._outputs)
        inputs = len(description["sample_shapes"])
        reads = [number for number, node in description["reads"] if node is None]
        as_they_are = image is not None and sorted(reads) == list(range(inputs)) and len(description["reads"]) == inputs
        self._reads = reads if as_they_are else None  # of each port of the image, the number of the input
        self._in_order = reads == sorted(reads)
        super().__init__(description, image, graph, own)

    def __call__(self, x, out=None, *, training=None):
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
            For inputs that do not fit, and for arrays to write to that share memory.
        """
        if training:
            self._refuse_training()
        leaves = None if out is None else self._leaves(out, x)
        given = self._given(x)
        results = None if given is None else self._predict_several(given, leaves)
        if results is None:
            results = self._predict_converted(x, leaves)
        return self._pack(results) if out is None else out

    def _leaves(self, out, x):
        """The arrays that `out` has, as a list."""
        if isinstance(x, np.ndarray) and len(self.input_names) > 1:
            raise ValueError(
                f"{self.name!r} has {len(self.input_names)} inputs, {', '.join(self.input_names)}, and they are one "
                f"argument: frozen([{', '.join(self.input_names)}]). The second argument is `out`, where to write. "
                f"Received: an array as x, and `out` of type {type(out).__name__}"
            )
        flat = self._pack in (list, tuple) and type(out) in (list, tuple)
        leaves = list(out) if flat else _tree.flatten(out)
        if len(leaves) != len(self.heads):
            raise ValueError(
                f"`out`, the second argument, is where to write. It must have {len(self.heads)} arrays, one for each "
                f"output. Received: {len(leaves)}"
            )
        return leaves

    def _given(self, x):
        """What was given for each port of the image, if that needs no more than to be put in order; else None."""
        if self._reads is None:
            return None
        if type(x) is dict:
            x = [x.get(name) for name in self.input_names]
        elif type(x) is np.ndarray:
            x = [x]
        elif type(self.input_shape) is not list or type(x) not in (list, tuple):
            return None
        if len(x) != len(self._reads):
            return None
        return list(x) if self._in_order else [x[number] for number in self._reads]

    def _predict_converted(self, x, out):
        """Outputs, as a list, for inputs of any kind."""
        arrays, lone = self._arrays(self._values(x))
        arrays, rows = self._batch(arrays)
        if self.image is not None:
            read = self._read(arrays)
            read = [each.reshape(each.shape[1:]) for each in read] if lone else read
            return self._predict_several(read, out, True)
        for number, each in enumerate(out or ()):
            for other in range(number):
                if np.may_share_memory(each, out[other]):
                    self._refuse_shared(other, number)
        results = self._program.run(dict(zip(self._graph.inputs, arrays, strict=True)), rows)
        results = [each[0] if lone else each for each in results]
        return results if out is None else list(map(self._written, results, out))

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

    def to_onnx(self, path=None, opset=17):
        """The folded network as an ONNX model; see `fastnn.Model.to_onnx`."""
        from fastnn.interop.onnx_writer import export

        names = sorted(self._outputs) if isinstance(self._outputs, dict) else None
        return export(self.graph, path, opset, input_names=self.input_names, output_names=names, name=self.name)
