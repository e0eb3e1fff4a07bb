"""Data on the way into a model: checked, matched with its inputs, and in their shapes."""

from fastnn import _tree
from fastnn.graph import Tensor
from fastnn.layers.eager_inputs import several
from fastnn.operations.lookup import reads_text
from fastnn.training.data import as_array, check_inputs, check_lengths, columns_of


def _as_array_or_text(x, name):
    return as_array(x, name, text=True)


class ReadsInputs:
    """The part of `Model` that takes data."""

    def _checked_inputs(self, x, name, as_array=_as_array_or_text):
        """Input arrays in the shapes of the model's inputs, and how many samples they have; builds the model if this is
        its first data."""
        network = self._network
        if network is not None and type(network.inputs) is Tensor and not isinstance(x, (dict, list, tuple)):
            array = self._in_shape(as_array(x, name), network.inputs, f"{name} (model {self.name!r})")
            return [array], len(array)
        arrays = self._input_arrays(x, name, as_array)
        if network is None:
            self._build_for(_tree.map_structure(lambda each: (None, *(each.shape[1:] or (1,))), arrays))
        return self._shaped(_tree.flatten(arrays), name)

    def _input_arrays(self, x, name, as_array=_as_array_or_text):
        """Input arrays as they were given: a list with one for each input, or a structure of some before the model is
        built."""
        if self._network is None:
            return _tree.map_structure(lambda each: as_array(each.array, name), several(x))
        if type(self._network.inputs) is Tensor and not isinstance(x, (dict, list, tuple)):
            return [as_array(x, name)]
        return [as_array(each, name) for each in self._matched(x, name)]

    def _shaped(self, arrays, name):
        """A list of input arrays in the shapes that the model expects, and their length."""
        network = self._network or self._known_network()  # changed attributes of layers change no input
        inputs = network.graph.inputs
        if len(arrays) != len(inputs):
            raise ValueError(f"{name} (model {self.name!r}): expected {len(inputs)} arrays, received {len(arrays)}.")
        if len(inputs) == 1:
            return [self._in_shape(arrays[0], inputs[0], f"{name} (model {self.name!r})")], len(arrays[0])
        names = [f"{name} of input {each!r} (model {self.name!r})" for each in self.input_names]
        shaped = [
            self._in_shape(array, tensor, each) for array, tensor, each in zip(arrays, inputs, names, strict=True)
        ]
        samples = len(shaped[0])
        if any(len(each) != samples for each in shaped):
            check_lengths(**dict(zip(names, shaped, strict=True)))  # raises
        return shaped, samples

    def _in_shape(self, array, tensor, name):
        if array.dtype.kind in "US" and not reads_text(self.graph, tensor):
            raise TypeError(
                f"{name} has dtype {array.dtype}, which cannot be read as numbers. A model reads text through "
                "layers.StringLookup or layers.Hashing, as the first layer behind an Input(shape, dtype='string')."
            )
        return check_inputs(array, tensor.shape[1:], name)

    def _matched(self, values, name):
        """Values given for the inputs (arrays or tensors), as a list in the order of `inputs`: by name from a
        dictionary or a frame, by position from a list or tuple; one alone for a single input."""
        names = self.input_names
        values = columns_of(values, names)
        if isinstance(values, dict):
            missing = [each for each in names if each not in values]
            if missing:
                raise ValueError(
                    f"{name} (model {self.name!r}): expected a dictionary with {names}, received one with "
                    f"{sorted(map(str, values))}."
                )
            return [values[each] for each in names]
        if len(names) == 1:
            listed = isinstance(values, (list, tuple)) and len(values) == 1
            rank = (self._network or self._known_network()).graph.inputs[0].ndim
            return list(values) if listed and getattr(values[0], "ndim", 0) >= min(2, rank) else [values]
        if not isinstance(values, (list, tuple)) or len(values) != len(names):
            got = f"{len(values)} in a {type(values).__name__}" if isinstance(values, (list, tuple)) else type(values)
            raise ValueError(
                f"{name} (model {self.name!r}): expected a list of {len(names)} arrays, one for each of {names}, or a "
                f"dictionary or a frame with these names. Received: {got}"
            )
        flat = list(values)
        inputs = self._network.inputs
        return [flat[list(inputs).index(key)] for key in names] if isinstance(inputs, dict) else flat
