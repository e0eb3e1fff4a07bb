"""Graphs as ONNX models.

One walk over the nodes of a graph: each operation says, in its `to_onnx`, which ONNX operators compute it at inference.
The model takes batches of any size, and needs nothing but the standard operators of its opset.
"""

import os

import numpy as np

OLDEST, DEFAULT = 13, 17  # 13: Softmax means one axis, and ReduceSum takes its axes as an input; 17: LayerNormalization
_LARGEST = 2**31 - 2**20  # what a file of protobuf can hold
_OF_OTHERS = (".fastnn", ".fnn", ".keras", ".h5", ".hdf5", ".safetensors", ".c")


def import_onnx():
    try:
        import onnx
    except ImportError as error:
        raise ImportError(
            "ONNX models are read and written with the onnx package: pip install 'fastnn[onnx]'."
        ) from error
    return onnx


class Exporter:
    """Collects the ONNX nodes of one graph; what the operations' `to_onnx` methods talk to.

    Attributes
    ----------
    opset : int
        The version of the operators that are wanted.
    notes : list of str
        What a reader of the model should know.
    """

    def __init__(self, opset, taken):
        self.opset = opset
        self.notes = []
        self.nodes = []  # (operator, inputs, output, attributes)
        self.constants = {}
        self._values = {}
        self._variables = {}
        self._truths = {}
        self._names = set(taken)
        self._layer = ""
        self._batch = None

    # ---- the walk ----------------------------------------------------------------------------------------------------

    def run(self, graph, input_names):
        """Names of the values of the graph's outputs."""
        self._values.update(zip(graph.inputs, input_names, strict=True))
        self._first_input = input_names[0]
        for node in graph.nodes:
            self._layer = node.output.name
            self._values[node.output] = node.operation.to_onnx(node, self)
        return [self._values[each] for each in graph.outputs]

    def unique(self, name):
        """This name, or with a number if it is taken."""
        found, number = name, 0
        while found in self._names:
            number += 1
            found = f"{name}_{number}"
        self._names.add(found)
        return found

    # ---- what the operations ask for ---------------------------------------------------------------------------------

    def value(self, tensor):
        """The name of a tensor's value."""
        return self._values[tensor]

    def emit(self, operator, *inputs, **attributes):
        """Add an ONNX node of one output; returns its name. An input that is None is left out."""
        output = self.unique(f"{self._layer}/{operator}")
        self.nodes.append((operator, ["" if each is None else each for each in inputs], output, attributes))
        return output

    def variable(self, variable):
        """The name of a variable's value; None for None."""
        if variable is None:
            return None
        if variable not in self._variables:
            self._variables[variable] = self.constant(variable.numpy(), variable.name)
        return self._variables[variable]

    def constant(self, value, name="constant", dtype=None):
        """The name of a constant: of a type, or float32, or int64 of what is made of integers."""
        value = np.asarray(value)
        value = value.astype(dtype or (np.int64 if value.dtype.kind == "i" and value.ndim else np.float32))
        name = self.unique(f"{self._layer}/{name}")
        self.constants[name] = value
        return name

    def truth(self, value):
        """A value as a Boolean: is it not 0?"""
        if value not in self._truths:
            self._truths[value] = self.emit("Cast", value, to=9)
        return self._truths[value]

    def number(self, truth):
        """A Boolean as 0 and 1."""
        value = self.emit("Cast", truth, to=1)
        self._truths[value] = truth
        return value

    def batch_size(self):
        """The number of samples, int64 of shape (1,)."""
        if self._batch is None:
            shape = self.emit("Shape", self._first_input)
            self._batch = self.emit("Gather", shape, self.constant([0], "first"), axis=0)
        return self._batch

    def reshape(self, value, tensor):
        """A value in the shape of a tensor."""
        shape = [-1 if size is None else size for size in tensor.shape]
        if len(shape) == 2 and shape[0] == -1:
            return self.emit("Flatten", value, axis=1)
        return self.emit("Reshape", value, self.constant(np.array(shape, np.int64), "shape"))

    def reduce(self, kind, value, axis, keepdims):
        """A sum, mean or extreme: `kind` is "Sum", "Mean", "Max" or "Min"."""
        if kind == "Sum" or self.opset >= 18:
            return self.emit(f"Reduce{kind}", value, self.constant([axis], "axis"), keepdims=int(keepdims))
        return self.emit(f"Reduce{kind}", value, axes=[axis], keepdims=int(keepdims))

    def scaled(self, value, scale, shift):
        """``value * scale + shift`` with names of values; each may be None."""
        value = value if scale is None else self.emit("Mul", value, scale)
        return value if shift is None else self.emit("Add", value, shift)

    def unchanged(self, node):
        """The input of a node that does something in training only."""
        if node.attributes.get("training"):
            raise ValueError(
                f"Layer {node.output.name!r} is called with training=True: what it computes depends on random numbers "
                "or on the other samples of the batch. An ONNX model holds what inference computes."
            )
        return self.value(node.inputs[0])

    # ---- the end -----------------------------------------------------------------------------------------------------

    def name_outputs(self, values, names):
        """Give the values of the outputs the names of the outputs, and forget what none of them needs."""
        renamed = {}
        for value, name in zip(values, names, strict=True):
            if value in renamed or all(value != output for _, _, output, _ in self.nodes):
                self.nodes.append(("Identity", [value], name, {}))
            else:
                renamed[value] = name
        needed, kept = set(names), []
        for operator, inputs, output, attributes in reversed(self.nodes):
            inputs, output = [renamed.get(each, each) for each in inputs], renamed.get(output, output)
            if output in needed:
                needed.update(inputs)
                kept.append((operator, inputs, output, attributes))
        self.nodes = kept[::-1]
        self.constants = {name: value for name, value in self.constants.items() if name in needed}


def export(graph, path=None, opset=DEFAULT, *, input_names=None, output_names=None, name="model"):
    """A graph of inference as an ONNX model; see `fastnn.models.Model.to_onnx`.

    Parameters
    ----------
    graph : Graph
    path : str or path, optional
    opset : int, default 17
    input_names, output_names : list of str, optional
        By default those of the graph's tensors.
    name : str

    Returns
    -------
    onnx.ModelProto
    """
    onnx = import_onnx()
    import fastnn

    if path is not None and os.path.splitext(path)[1] in _OF_OTHERS:
        raise ValueError(
            "to_onnx writes ONNX, to a file that ends in '.onnx'; for other formats there are model.save, "
            f"model.freeze().save and model.freeze().export_c. Received: {os.fspath(path)!r}"
        )
    newest = onnx.defs.onnx_opset_version()
    if isinstance(opset, bool) or not isinstance(opset, int) or not OLDEST <= opset <= newest:
        raise ValueError(
            f"to_onnx: `opset` must be a whole number from {OLDEST} to {newest}, the newest that the installed onnx "
            f"package ({onnx.__version__}) knows. Received: opset={opset!r}"
        )
    names = Exporter(opset, ())
    input_names = [names.unique(each) for each in input_names or [tensor.name for tensor in graph.inputs]]
    if output_names is None or len(output_names) != len(graph.outputs):  # of structures in structures
        output_names = [tensor.name for tensor in graph.outputs]
    output_names = [names.unique(each) for each in output_names]
    exporter = Exporter(opset, [*input_names, *output_names])
    exporter.name_outputs(exporter.run(graph, input_names), output_names)
    size = sum(value.nbytes for value in exporter.constants.values())
    if size > _LARGEST:
        raise ValueError(f"An ONNX file holds at most 2 GiB; the weights of {name!r} are {size / 2**30:.1f} GiB.")

    def described(names, tensors, what):
        return [_value_info(onnx, each, tensor, what) for each, tensor in zip(names, tensors, strict=True)]

    nodes = [
        onnx.helper.make_node(operator, inputs, [output], name=output, **attributes)
        for operator, inputs, output, attributes in exporter.nodes
    ]
    onnx_graph = onnx.helper.make_graph(
        nodes,
        name,
        described(input_names, graph.inputs, "input"),
        described(output_names, graph.outputs, "output"),
        [onnx.numpy_helper.from_array(value, each) for each, value in exporter.constants.items()],
    )
    opsets = [onnx.helper.make_opsetid("", opset)]
    model = onnx.helper.make_model(
        onnx_graph,
        opset_imports=opsets,
        ir_version=onnx.helper.find_min_ir_version_for(opsets),  # what older runtimes read, too
        producer_name="fastnn",
        producer_version=fastnn.__version__,
        doc_string=" ".join([f"Inference of {name!r}, in float32.", *dict.fromkeys(exporter.notes)]),
    )
    if path is not None:
        from fastnn.saving import files

        with files.replacing(files.check_target(path, True)) as file:
            file.write(model.SerializeToString())
    return model


def _value_info(onnx, name, tensor, what):
    shape = ["batch" if size is None else size for size in tensor.shape]
    doc = f"{what}: float32, {' x '.join(map(str, shape))}"
    return onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape, doc_string=doc)
