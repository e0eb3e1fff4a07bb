"""ONNX models as functional models.

Constants are computed first. Then every node becomes a layer: one that everybody knows where there is such, with the
node's weights as its own (`onnx_layers`), and an `OnnxOperator` otherwise.
"""

import os

import numpy as np

from fastnn import layers
from fastnn.graph import Tensor
from fastnn.interop.onnx_layers import LAYERS, LayerMaker, kind_of
from fastnn.interop.onnx_operators import BATCH, OPERATORS, sizes_of
from fastnn.interop.onnx_writer import import_onnx
from fastnn.models import Model

OLDEST = 9
_INTEGERS = {2, 3, 4, 5, 6, 7, 12, 13}
_STRING = 8


def from_onnx(model, outputs=None, input_shapes=None):
    """Make a model of an ONNX model for dense networks.

    Parameters
    ----------
    model : str, path, bytes or onnx.ModelProto
        A file, what is in it, or what the onnx package makes of it. Opset 9 or later.
    outputs : list of str, optional
        Names of values that are the outputs, instead of all that the ONNX model says; what they do not need is not
        read. Of a classifier with labels and probabilities, say, the probabilities alone.
    input_shapes : dict of str to tuple, optional
        Shapes of samples, without the batch, for inputs whose shape the file leaves open.

    Returns
    -------
    Model
        With float32 weights, ready to be trained, saved or frozen. Matrices and normalisations are `Dense`,
        `BatchNormalization`, ... and trainable; other constants are not. Axis 0 of every input counts the samples.

    Raises
    ------
    ValueError
        For operators that are not supported, naming the node, and for files that are damaged or too old.
    ImportError
        If the onnx package is not installed: ``pip install 'fastnn[onnx]'``.

    Examples
    --------
    >>> frozen = fastnn.from_onnx("network.onnx").freeze()
    """
    onnx = import_onnx()
    source = f"The file {os.fspath(model)!r}" if isinstance(model, (str, os.PathLike)) else "The ONNX model"
    if isinstance(model, (str, os.PathLike)) and not os.path.isfile(model):
        raise FileNotFoundError(f"There is no file {os.fspath(model)!r}; the current folder is {os.getcwd()!r}.")
    if not isinstance(model, (str, os.PathLike, bytes, onnx.ModelProto)):
        raise TypeError(f"from_onnx takes a file, bytes or an onnx.ModelProto. Received: {type(model).__name__}")
    try:
        if isinstance(model, (str, os.PathLike)):
            model = onnx.load(model)
        elif isinstance(model, bytes):
            model = onnx.load_model_from_string(model)
    except Exception as error:  # protobuf's own, of any of its implementations
        raise ValueError(f"{source} is no ONNX model, or damaged: {error}") from error
    if not model.graph.output:
        raise ValueError(f"{source} is no ONNX model, or damaged: it has no outputs.")
    if model.functions:
        import onnx.inliner

        model = onnx.inliner.inline_local_functions(model)
    return _Reader(onnx, model, source, dict(input_shapes or {})).run(outputs)


class _Reader(LayerMaker):
    """Reads one model.

    Attributes
    ----------
    values : dict of str to ndarray, Tensor or None
        What is known of the values of the ONNX graph; None for an input that is left out.
    """

    def __init__(self, onnx, model, source, input_shapes):
        super().__init__()
        self.onnx = onnx
        self.graph = model.graph
        self.source = source
        versions = {each.domain: each.version for each in model.opset_import}
        self.opset = versions.get("", versions.get("ai.onnx", 0))
        if 0 < self.opset < OLDEST:
            raise ValueError(
                f"{source} is of opset {self.opset}; this reads opset {OLDEST} and later. Convert it: "
                "onnx.version_converter.convert_version(model, 17)."
            )
        self.values = {"": None}
        self.types = self._types(model)
        if self.graph.sparse_initializer:
            raise ValueError(f"{source} has sparse weights, which are not supported. Write it with dense ones.")
        for each in self.graph.initializer:
            self.values[each.name] = _array(onnx, each)
        self.inputs = [self._input(each, input_shapes) for each in self.graph.input if each.name not in self.values]
        if input_shapes:
            raise ValueError(f"{source} has no input {sorted(input_shapes)}; it has {[x.name for x in self.inputs]}.")
        self.consumers = {}
        for node in self.graph.node:
            for name in node.input:
                self.consumers.setdefault(name, []).append(node)

    def _types(self, model):
        """The element type of each value, as far as it can be inferred."""
        try:
            graph = self.onnx.shape_inference.infer_shapes(model).graph
        except Exception:  # types stay unknown of what cannot be inferred
            graph = model.graph
        known = [*graph.input, *graph.value_info, *graph.output]
        return {each.name: each.type.tensor_type.elem_type for each in known if each.type.HasField("tensor_type")}

    def _input(self, value, input_shapes):
        if not value.type.HasField("tensor_type"):
            raise ValueError(f"{self.source}: input {value.name!r} is no tensor.")
        if value.type.tensor_type.elem_type == _STRING:
            raise ValueError(f"{self.source}: input {value.name!r} is text; only numbers are read.")
        sizes = [each.dim_value if each.HasField("dim_value") else None for each in value.type.tensor_type.shape.dim]
        if value.name in input_shapes:
            sizes = [None, *input_shapes.pop(value.name)]
        if len(sizes) < 2 or not all(sizes[1:]):
            raise ValueError(
                f"{self.source}: input {value.name!r} has the shape {sizes}; all axes but the first, the batch, must "
                f"be known. Give them: from_onnx(model, input_shapes={{{value.name!r}: (...)}})."
            )
        self.batch = self.batch or sizes[0] or None
        x = layers.Input(tuple(sizes[1:]), name=self.unique(value.name))
        self.values[value.name] = x
        return x

    # ---- the walk ----------------------------------------------------------------------------------------------------

    def run(self, outputs):
        wanted = [each.name for each in self.graph.output] if outputs is None else list(outputs)
        made = {name for node in self.graph.node for name in node.output} | set(self.values)
        missing = [name for name in wanted if name not in made or not name]
        if missing:
            raise ValueError(
                f"{self.source} has no value {missing}. Its outputs are {[each.name for each in self.graph.output]}."
            )
        needed, nodes = set(wanted), []
        for node in reversed(self.graph.node):
            if needed.intersection(node.output):
                nodes.append(node)
                needed.update(node.input)
        self.wanted = set(wanted)
        nodes.reverse()
        for node in nodes:  # constants first: what a layer's weights are may stand behind it
            if all(isinstance(self.values.get(name), np.ndarray) or not name for name in node.input):
                self._read(node)
        for node in nodes:
            if node.output[0] not in self.values:
                self._read(node)
        return Model(self.inputs if len(self.inputs) > 1 else self.inputs[0], self._outputs(wanted))

    def _outputs(self, wanted):
        results = []
        for name in wanted:
            value = self.values[name]
            if not isinstance(value, Tensor) or value.shape[:1] != (None,):
                raise ValueError(f"{self.source}: output {name!r} does not depend on the samples.")
            results.append(value if value.node is not None else layers.Identity(name=self.unique(name))(value))
        return results if len(results) > 1 else results[0]

    def _read(self, node):
        try:
            results = self._results(node)
        except (ValueError, TypeError, IndexError, KeyError, AttributeError) as error:
            what = f"{type(error).__name__}: {error}" if not isinstance(error, ValueError) else error
            raise ValueError(f"{self.source}: node {_name(node)!r} ({kind_of(node)}) cannot be read: {what}") from error
        results = results if isinstance(results, (list, tuple)) else [results]
        for name, value in zip(node.output, results, strict=False):  # what is beyond, masks say, nobody may read
            self.values[name] = value

    def _results(self, node):
        inputs = [self.values[name] for name in node.input]
        while inputs and inputs[-1] is None:
            inputs.pop()
        attributes = {each.name: _attribute(self.onnx, each) for each in node.attribute}
        kind = kind_of(node)
        if kind in _CONSTANTS:
            return _CONSTANTS[kind](inputs, attributes, self)
        if kind not in OPERATORS and kind not in LAYERS:
            supported = sorted({*OPERATORS, *LAYERS, *_CONSTANTS})
            raise ValueError(f"this operator is not supported. Supported: {', '.join(supported)}")
        if any(isinstance(each, Tensor) for each in inputs):
            return self.make(node, kind, inputs, attributes)
        if kind not in OPERATORS:
            raise ValueError("none of its inputs depends on the input of the model")
        result = OPERATORS[kind](inputs, attributes, self.opset)
        return [np.asarray(each) for each in result] if isinstance(result, list) else np.asarray(result)

    def operator(self, node, kind, inputs, attributes):
        if kind == "Div" and self.types.get(node.input[0]) in _INTEGERS:
            raise ValueError("it divides integers that are not known here, and numbers are float32")
        if kind == "Split":
            attributes = {**attributes, "outputs": len(node.output)}
        return super().operator(node, kind, inputs, attributes)

    def only_reader(self, name):
        """The one node that reads a value which is no output."""
        readers = self.consumers.get(name, [])
        return readers[0] if len(readers) == 1 and name not in self.wanted else None


def _name(node):
    return node.name or f"the one that makes {', '.join(node.output)}"


def _numbers(array, name):
    """Weights as float32; what counts as it is."""
    if array.dtype.kind in "iub":
        return array
    try:
        return array.astype(np.float32)
    except (TypeError, ValueError) as error:
        raise ValueError(f"The constant {name!r} is of type {array.dtype}; only numbers are read.") from error


def _array(onnx, tensor):
    try:
        array = onnx.numpy_helper.to_array(tensor)
    except Exception as error:  # each way of being damaged has one of its own
        raise ValueError(f"The constant {tensor.name!r} cannot be read: {error}") from error
    return _numbers(array, tensor.name)


def _attribute(onnx, attribute):
    value = onnx.helper.get_attribute_value(attribute)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, onnx.TensorProto):
        return _array(onnx, value)
    return list(value) if hasattr(value, "__len__") and not isinstance(value, str) else value


# ---- constants -------------------------------------------------------------------------------------------------------


def _constant(inputs, attributes, reader):
    (name, value), *_ = attributes.items()
    if name not in ("value", "value_float", "value_floats", "value_int", "value_ints"):
        raise ValueError(f"a constant of kind {name!r} is no array of numbers")
    return _numbers(np.asarray(value), "constant")


def _shape(inputs, attributes, reader):
    shape = np.array([BATCH if size is None else size for size in inputs[0].shape], np.int64)
    return shape[attributes.get("start", 0) : attributes.get("end", len(shape))]


def _constant_of_shape(inputs, attributes, reader):
    return np.full(sizes_of(inputs[0]), np.ravel(attributes.get("value", np.zeros(1, np.float32)))[0])


def _range(inputs, attributes, reader):
    return np.arange(*[np.ravel(each)[0] for each in inputs])


_CONSTANTS = {"Constant": _constant, "ConstantOfShape": _constant_of_shape, "Range": _range, "Shape": _shape}
