"""A frozen network as Python sees it: an image, and what calls it."""

import functools
import mmap
import os

import numpy as np

from fastnn import _tree
from fastnn._engine.predictor import FrozenProgram, Image
from fastnn.freeze.description import NotInImage, damage_told, decode, description_of, encode
from fastnn.freeze.heads import head_of
from fastnn.freeze.report import FreezeReport
from fastnn.training.data import as_array, check_inputs, columns_of

# What a loaded predictor can do without (graphs, operations, files to write) is imported where it is used: a program
# that serves one shall start quickly.

SUFFIX = ".fnn"


class Predictor(FrozenProgram):
    """A network with constant weights: immutable, callable from any number of threads at once.

    Made by `Model.freeze`. It does not follow later changes of the model.

    Attributes
    ----------
    name : str
    notes : tuple of str
        What was folded into what.
    input_shape, output_shape : tuple
        With None for the batch; structures of such, where there are several.
    input_names, output_names : tuple of str
        By which dictionaries of arrays, and of targets, are read.
    sample_shapes, output_sample_shapes : list of tuple
        Of one sample of each input, and of each output.
    graph : Graph
        The folded network. After loading, kernels of float16 and int8 have their rounded values.
    precision : str
        "float32", "float16" or "int8": what the weights of dense layers are stored in; "mixed" for several.
    report : FreezeReport
        What freezing did: folding, the precision of each layer, and, where `freeze` was given data, how far the outputs
        are from the model's. It is in the file, too.
    nbytes : int
        Bytes of the image, weights included; 0 for the rare network that an image cannot hold.

    Examples
    --------
    >>> import fastnn, numpy as np
    >>> model = fastnn.Sequential([fastnn.Input((4,)), fastnn.layers.Dense(3), fastnn.layers.BatchNormalization()])
    >>> frozen = model.freeze()
    >>> frozen(np.ones((2, 4), np.float32)).shape
    (2, 3)
    >>> frozen(np.ones(4, np.float32)).shape
    (3,)
    """

    def __init__(self, description, image=None, graph=None, own=None):
        self._description = description
        self._own = own or {}  # classes and functions of the user's that `compile` was given, by name
        self.name = description["name"]
        self.input_names = tuple(description["input_names"])
        self.sample_shapes = [tuple(shape) for shape in description["sample_shapes"]]
        self.report = FreezeReport.from_plain(decode(description["report"]))
        self.notes = tuple(self.report.folding.notes)
        self.heads = tuple(description["heads"])
        self.output_names = tuple(description.get("output_names") or (f"output_{n}" for n in range(len(self.heads))))
        self._graph = graph
        self._program = None
        if image is None:
            from fastnn.eager import CHUNK
            from fastnn.lowering.programs import Prediction
            from fastnn.variables import move_to_arena

            move_to_arena(graph.variables)
            self._program = Prediction(graph, CHUNK)
        else:
            self._open(image)
        self.input_shape, self.output_shape = decode(description["shapes"])
        self._complete = True

    @property
    def graph(self):
        """The folded network."""
        if self._graph is None:
            from fastnn.freeze.image import graph_of

            self.__dict__["_graph"] = graph_of(self.image)
        return self._graph

    async def predict_async(self, x, **options):
        """As `predict`, with its arguments, in a thread of the running event loop's executor, so that the loop goes on
        meanwhile.

        Worth it for calls that take long: a hop to a thread and back costs more than a small network does.
        """
        import asyncio  # its import takes longer than that of all else here

        call = functools.partial(self.predict, x, **options)
        return await asyncio.get_running_loop().run_in_executor(None, call)

    def predict_on_batch(self, x):
        """Outputs for one batch, as calling it: Keras's name."""
        return self(x)

    def test_on_batch(self, x, y=None, sample_weight=None, return_dict=False):
        """Loss and metrics on one batch; see `evaluate`."""
        return self.evaluate(x, y, None, 0, sample_weight, return_dict=return_dict)

    def evaluate(
        self, x=None, y=None, batch_size=None, verbose="auto", sample_weight=None, steps=None, callbacks=None,
        return_dict=False, *, loss=None, metrics=None, **unknown,
    ):  # fmt: skip
        """Loss and metrics on data, of what this network predicts: those that the model was compiled with.

        Parameters
        ----------
        x, y, batch_size, verbose, sample_weight, steps, return_dict
            As for `fastnn.Model.evaluate`.
        callbacks : None
            There is nothing that they could be called at.
        loss, metrics : optional
            As for `fastnn.Model.compile`, instead of those that the model had when it was frozen. If it was not
            compiled, the loss is by default that of each output's last activation: cross-entropy for softmax (of
            labels or of one-hot rows, as `y` has them) and for sigmoid, both with the accuracy, mean squared error for
            all others.

        Returns
        -------
        float, list of float or dict
            The loss, followed by the metrics if there are any; a dict by name if `return_dict`. Unlike the model's,
            the loss is that of the data alone: regularizers and `add_loss` belong to training.

        Raises
        ------
        ValueError, TypeError
            For data that does not fit, and for a compiled loss or metric that is not known here, or has no name.
        """
        from fastnn.freeze import serving

        serving.check_arguments("evaluate", batch_size, verbose, callbacks, unknown)
        return serving.evaluate(self, x, y, batch_size, verbose, sample_weight, steps, return_dict, loss, metrics)

    def predict_proba(self, x):
        """Probabilities of the classes, as scikit-learn has them.

        Parameters
        ----------
        x : array_like

        Returns
        -------
        ndarray, shape (samples, classes)
            The outputs of softmax. Of a single sigmoid two columns, those of class 0 and class 1; of several sigmoids
            theirs, one column each (labels that do not exclude each other).

        Raises
        ------
        ValueError
            If the network ends in anything else: its outputs are no probabilities.
        """
        y = self(x)
        if self._head() == "sigmoid" and self.output_shape[-1] == 1:
            return np.concatenate([1 - y, y], axis=-1)
        return y

    def predict_classes(self, x):
        """The most probable class of each sample.

        Parameters
        ----------
        x : array_like

        Returns
        -------
        ndarray of int64, shape (samples,)
            The number of the largest output of softmax; of a single sigmoid 1 where it is above 0.5. Of several
            sigmoids 0 or 1 for each, shape (samples, labels).

        Raises
        ------
        ValueError
            If the network ends in anything else.
        """
        y = self(x)
        if self._head() == "softmax":
            return y.argmax(axis=-1)
        classes = (y > 0.5).astype(np.int64)
        return classes[..., 0] if self.output_shape[-1] == 1 else classes

    def _head(self):
        """What the only output ends in: "softmax" or "sigmoid"."""
        if len(self.heads) > 1:
            raise ValueError(f"{self.name!r} has {len(self.heads)} outputs: take the probabilities from `predict`.")
        if self.heads[0] is None:
            raise ValueError(
                f"The outputs of {self.name!r} are no probabilities: predict_proba and predict_classes need a network "
                "that ends in softmax or sigmoid. For one trained with from_logits=True, add that activation before "
                "freezing; a regression has `predict`."
            )
        return self.heads[0]

    # ---- files -------------------------------------------------------------------------------------------------------

    def save(self, path, overwrite=True):
        """Write the network to a file that `fastnn.load_frozen` and C (``fastnn.h``) map and run as it lies.

        Parameters
        ----------
        path : path-like
            With the suffix ".fnn".
        overwrite : bool, default True

        Raises
        ------
        ValueError
            For another suffix, and for a network that an image cannot hold; the message names the layer.
        FileExistsError
            If the file is there and `overwrite` is False.
        """
        if os.path.splitext(os.fspath(path))[1] != SUFFIX:
            raise ValueError(f"Frozen networks are saved in files whose names end in {SUFFIX!r}. Received: {path!r}")
        if self.image is None:
            raise ValueError(f"Cannot save {self.name!r}: {self._description['why_no_image']}")
        from fastnn.saving.files import check_target, replacing

        with replacing(check_target(path, overwrite)) as file:
            file.write(self.image)

    @property
    def precision(self):
        """What the weights of dense layers are stored in."""
        known = {
            node.attributes["precision"] for node in self.graph.nodes if node.operation.name == "packed_dense"
        } or {"float32"}
        return known.pop() if len(known) == 1 else "mixed"

    def summary(self, print_fn=print):
        """Print what the network is made of: its operations with shapes, parameters, precisions and bytes, and what was
        folded into what."""
        from fastnn.freeze.stored import table

        size = f"{self.nbytes:,} bytes as an image" if self.image is not None else self._description["why_no_image"]
        lines = [f"Frozen network {self.name!r}: {self.input_shape} -> {self.output_shape}, {size}", table(self.graph)]
        print_fn("\n".join([*lines, *(f" {note}" for note in self.notes)]))

    # ---- how it is called --------------------------------------------------------------------------------------------

    def to_onnx(self, path=None, opset=17):
        """The folded network as an ONNX model; see `fastnn.Model.to_onnx`."""
        from fastnn.interop.onnx_writer import export

        return export(self.graph, path, opset, name=self.name)

    def export_c(self, path, precision=None, name=None, **options):
        """Write the network as C source; see `fastnn.export.export_c`."""
        from fastnn.export import export_c

        return export_c(self, path, precision, name, **options)

    def _predict_as_told(self, x, batch_size, verbose, steps, callbacks, out, unknown):
        """`predict` of what yields batches, or with arguments that change something, or are wrong."""
        from fastnn.freeze import serving

        serving.check_arguments("predict", batch_size, verbose, callbacks, unknown)
        return serving.predict(self, x, batch_size, steps, out)

    def _refuse_training(self):
        raise ValueError(
            f"A frozen network has no training mode: what training adds (dropout, noise, statistics of the batch) is "
            f"not in {self.name!r}. Call the model that it was made of, or leave `training` False."
        )

    def _convert(self, x):
        """An input as a float32 and contiguous array of the shape of a batch or of a sample."""
        if isinstance(x, (bytes, bytearray)):
            raise TypeError("Bytes have no type: pass memoryview(x).cast('f') if they are float32 values.")
        array, shape = as_array(self._values(x)[0], "x"), self.input_shape[1:]
        if array.shape != shape or shape == (1,):
            array = check_inputs(array, shape, f"The input of {self.name!r}")
        return np.ascontiguousarray(array, np.float32)

    def _predict_without_image(self, x, out):
        array = self._convert(x)
        lone = array.ndim < len(self.input_shape)
        (result,) = self._program.run(
            {self._graph.inputs[0]: array[None] if lone else array}, 1 if lone else len(array)
        )
        result = result[0] if lone else result
        return result if out is None else self._written(result, out)

    def _written(self, result, out):
        """`out`, with a result in it."""
        if not isinstance(out, np.ndarray) or out.shape != result.shape or out.dtype != np.float32:
            self._refuse_output(out, result.shape)
        out[...] = result
        return out

    def _values(self, x):
        """What was given for each of the inputs: by name in a dictionary, or in their order in a list."""
        names = self.input_names
        x = columns_of(x, names)
        if isinstance(x, dict):
            missing = [name for name in names if name not in x]
            if missing:
                raise ValueError(f"Expected inputs named {list(names)}. Received a dictionary without {missing}.")
            return [x[name] for name in names]
        if len(names) == 1:  # as the model's `predict`: a list of one array is that array
            listed = isinstance(x, (list, tuple)) and len(x) == 1
            return list(x) if listed and getattr(x[0], "ndim", 0) >= min(2, len(self.sample_shapes[0]) + 1) else [x]
        if not isinstance(x, (list, tuple)) or len(x) != len(names):
            got = f"{len(x)} in a {type(x).__name__}" if isinstance(x, (list, tuple)) else type(x).__name__
            raise ValueError(
                f"Expected a list of {len(names)} arrays or a dictionary by {list(names)}. Received: {got}"
            )
        if isinstance(self.input_shape, dict):  # a list has the order in which the model's dictionary was written
            order = list(self.input_shape)
            return [x[order.index(name)] for name in names]
        return list(x)

    def _array(self, number, value):
        """What was given for an input as an array; text only where it is looked up."""
        return as_array(value, f"Input {self.input_names[number]!r} of {self.name!r}", text=number in self.looked_up)

    @functools.cached_property
    def looked_up(self):
        """Numbers of the inputs that pass through a table first."""
        if self.image is not None:
            return {number for number, node in self._description["reads"] if node is not None}
        from fastnn.operations.lookup import Lookup

        inputs, nodes = self._graph.inputs, self._graph.nodes
        return {inputs.index(node.inputs[0]) for node in nodes if isinstance(node.operation, Lookup)}

    def _batch(self, arrays):
        """Arrays in the shapes of a batch of inputs, and how many samples they have."""
        arrays = [
            check_inputs(each, shape, f"Input {name!r} of {self.name!r}")
            for each, name, shape in zip(arrays, self.input_names, self.sample_shapes, strict=True)
        ]
        lengths = {len(each) for each in arrays}
        if len(lengths) > 1:
            raise ValueError(f"The inputs of {self.name!r} must have as many samples each. Received: {sorted(lengths)}")
        return arrays, lengths.pop()

    def _checked_inputs(self, x, name="x"):
        """As of a model: an array for each input, of the shape of a batch, and how many samples they have."""
        return self._batch([self._array(number, value) for number, value in enumerate(self._values(x))])

    @property
    def output_sample_shapes(self):
        """The shape of a sample of each output."""
        if self.image is None:
            return [each.shape[1:] for each in self._graph.outputs]
        return self.output_shapes

    def _read(self, arrays):
        """What the image's inputs read, given an array for each of the graph's: tokens are looked up."""
        nodes, values = self.graph.nodes, []
        for number, node in self._description["reads"]:
            array = arrays[number]
            if node is not None:
                array = nodes[node].operation.compute(nodes[node], array)
            values.append(np.ascontiguousarray(array, np.float32))
        return values

    def __setattr__(self, name, value):
        if "_complete" in self.__dict__:
            raise AttributeError("A predictor is immutable: freeze the model again after changing it.")
        super().__setattr__(name, value)

    def __reduce__(self):
        """Pickled and copied as the image; nothing of the model is needed to have it back."""
        if self.image is None:
            from fastnn.freeze.plain import to_plain

            return _from_plain, (type(self), self._description, to_plain(self._graph))
        return from_image, (bytes(self.image),)

    def __repr__(self):
        return f"<{type(self).__name__} name={self.name}, {self.input_shape} -> {self.output_shape}>"


class LookupPredictor(Predictor):
    """A predictor whose input, text or integers, is looked up first; see `fastnn.operations.lookup`."""

    def __call__(self, x, out=None, *, training=None):
        """Outputs for the rows of `x`; see `predict`."""
        if training:
            self._refuse_training()
        x = as_array(self._values(x)[0], "x", text=True)
        shape = self.input_shape[1:]
        lone = x.shape == shape and shape != (1,)
        x = x[None] if lone else check_inputs(x, shape, f"The input of {self.name!r}")
        (values,) = self._read([x])
        return super().__call__(values[0] if lone else values, out)


def predictor_of(graph, report, model):
    """The predictor of a folded and packed graph.

    Parameters
    ----------
    graph : Graph
    report : FreezeReport
    model : Model
        For its name, and the names and structure of its inputs and outputs.
    """
    from fastnn.freeze import serving
    from fastnn.freeze.image import looks_up, to_image
    from fastnn.freeze.structured import StructuredPredictor

    single = len(graph.inputs) == len(graph.outputs) == 1
    cls = (LookupPredictor if looks_up(graph) else Predictor) if single else StructuredPredictor
    if single:
        shapes = graph.inputs[0].shape, graph.outputs[0].shape
    else:
        shapes = [_tree.map_structure(lambda each: each.shape, ends) for ends in (model.input, model.output)]
    numbers = iter(range(len(graph.outputs)))
    compiled, own = serving.compiled_with(model)
    description = {
        "kind": cls.__name__,
        "name": model.name,
        "report": encode(report.plain()),
        "heads": [head_of(tensor.node) for tensor in graph.outputs],
        "input_names": list(model.input_names),
        "shapes": encode(tuple(shapes)),
        "sample_shapes": [list(each.shape[1:]) for each in graph.inputs],
        "outputs": encode(_tree.map_structure(lambda each: next(numbers), model.output)),
        "output_names": model._heads_names(),
        "compiled": compiled,
    }
    try:
        image = to_image(graph, description)
    except NotInImage as error:
        return cls({**description, "reads": [], "why_no_image": str(error)}, graph=graph, own=own)
    return cls(description_of(image), Image(image), graph, own)


def from_image(image):
    """The predictor of an image, which is used in place where it is aligned to 64 bytes and read-only."""
    from fastnn.freeze.structured import StructuredPredictor

    opened = Image(image)  # C decides whether it is one, before Python reads its description
    description = description_of(opened.memory)
    kinds = {cls.__name__: cls for cls in (Predictor, LookupPredictor, StructuredPredictor)}
    if str(description["kind"]) not in kinds:
        raise ValueError(
            f"This frozen network is a {description['kind']!r}, which this version of fastnn does not know."
        )
    with damage_told():
        return kinds[description["kind"]](description, opened)


def _from_plain(cls, description, plain):
    from fastnn.freeze.plain import from_plain

    return cls(description, graph=from_plain(plain))


# What reads files that are no frozen networks, by their suffix.
_OTHERS = {
    **dict.fromkeys(
        (".fastnn", ".keras", ".h5"), " Models are loaded by fastnn.saving.load_model(path), and then frozen."
    ),
    ".onnx": " Networks in ONNX are read by fastnn.from_onnx(path), and then frozen.",
}


def load_frozen(path):
    """Load a frozen network that `save` has written.

    The file is mapped into memory, checked and used as it lies: several processes share one copy of its weights. It
    must not be changed in place meanwhile; saving over it is safe, as that makes a new file.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    fastnn.freeze.Predictor

    Raises
    ------
    FileNotFoundError
        If it is not there.
    ValueError
        If it is no frozen network, incomplete, damaged, followed by something else, or written by a newer version.
    """
    path = os.fspath(path)
    if os.path.isdir(path):
        raise IsADirectoryError(f"{path!r} is a folder. A frozen network is a file that ends in {SUFFIX!r}.")
    if not os.path.exists(path):
        raise FileNotFoundError(f"There is no file {path!r}. Check its name; the current folder is {os.getcwd()!r}.")
    with open(path, "rb") as file:
        if os.fstat(file.fileno()).st_size == 0:
            raise ValueError(f"Cannot load {path!r}: the file is empty.")
        image = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    try:
        return from_image(image)
    except ValueError as error:
        hint = _OTHERS.get(os.path.splitext(path)[1].lower(), "")
        raise ValueError(f"Cannot load {path!r}. {error}{hint}") from None
