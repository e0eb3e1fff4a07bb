"""What all models can do: compile, fit, evaluate, predict, be called, be frozen."""

import numpy as np

from fastnn import _random, _revision, _tree
from fastnn._suggestions import did_you_mean
from fastnn.eager import CHUNK, Array, Eager
from fastnn.graph import Tensor
from fastnn.layers.base import Layer
from fastnn.layers.eager_inputs import as_floats
from fastnn.layers.inputs import InputLayer
from fastnn.layers.tracing import alike, traced
from fastnn.models.freezing import Freezable
from fastnn.models.inputs import ReadsInputs
from fastnn.models.network import Network, between
from fastnn.operations import calling, inside_call
from fastnn.saving import CustomObjectScope
from fastnn.saving.model import SaveableModel
from fastnn.training.arguments import count
from fastnn.training.data import check_lengths
from fastnn.training.loop import Trainer
from fastnn.variables import move_to_arena


class Model(SaveableModel, ReadsInputs, Freezable, Layer, Trainer):
    """A network: a layer that knows its graph, and can be trained.

    There are three ways to make one:

    * `Sequential`, a stack of layers;
    * the functional way: call layers on `Input` tensors, then name what goes in and what comes out;
    * a subclass, whose ``__init__`` makes layers and whose ``call`` composes them. ``call`` is traced, with
      symbolic tensors, when `build` or the first data tells the shape of the input.

    Parameters
    ----------
    inputs, outputs : Tensor, or list, tuple or dict of some, optional
        What goes in and comes out of a functional model. Tensors that layers have made may go in, too: the model then
        is the part between them, and shares its layers.
    name : str, optional
    trainable : bool, default True

    Raises
    ------
    ValueError
        If an output depends on what is no input, or two layers have the same name.

    Examples
    --------
    >>> import fastnn
    >>> from fastnn import layers
    >>> wide, deep = fastnn.Input((5,), name="wide"), fastnn.Input((6,), name="deep")
    >>> hidden = layers.Dense(30, activation="relu")(deep)
    >>> model = fastnn.Model([wide, deep], layers.Dense(1)(layers.concatenate([wide, hidden])))
    >>> model.output_shape
    (None, 1)
    """

    _BOOKKEEPING = Layer._BOOKKEEPING | set(
        """_checked_at _compiled _compiled_with _eager_program _epochs_shuffled _flags_checked_at _frozen _heads
        _initial_epoch _known_batch _last_program _monte_carlo _network _network_given _pinned _predicting _programs
        _seed_of_training _settled _tensors _told _traced_at _trainable_flags _trained _warned_of history loss
        optimizer stop_training""".split()
    )
    _kind, _advice = "Model", "Call model.build((None, features)), or call it on data first."

    def __new__(cls, *args, **kwargs):
        if cls is Model and (args or "inputs" in kwargs):
            from fastnn.models.functional import Functional

            cls = Functional
        return super().__new__(cls, *args, **kwargs)

    def __init__(self, inputs=None, outputs=None, name=None, *, trainable=True, dtype=None):
        if (inputs is None) != (outputs is None):
            raise ValueError(f"A functional model needs `inputs` and `outputs`. Received: {inputs=}, {outputs=}")
        super().__init__(trainable=trainable, name=name, dtype=dtype)
        self._network = None  # what lies between the inputs and the outputs, once that is known
        self._network_given = inputs is not None
        self._traced_at = self._checked_at = 0  # the revisions at which it was traced, and found to be up to date
        self._eager_program = None
        self._monte_carlo = None
        self._settled = None  # the graph whose variables all lie in arenas
        self._reset_trainer()
        if inputs is not None:
            self._network = between(inputs, outputs)
            self._sublayers = list(self._network.layers)
            self.built = True
            if not trainable:
                self.trainable = False

    @property
    def _is_functional(self):
        """Was it made of `inputs` and `outputs`?"""
        return self._network is not None and type(self).call is Model.call

    # ---- structure ---------------------------------------------------------------------------------------------------

    def build(self, input_shape=None):
        """Make the variables for inputs of this shape.

        Parameters
        ----------
        input_shape : tuple, or list, tuple or dict of tuples
            The batch axis, None, included. A functional model knows it.
        """
        if input_shape is None:
            raise ValueError(
                f"Model {self.name!r} must be told the shape of its input, batch axis included: "
                "model.build((None, features))."
            )
        self._trace_network(input_shape)

    def _build_again(self, input_shape=None):
        pass

    def _build_for(self, shape):
        super()._build_for(shape)
        if self._network is None:
            with calling(self):
                self._trace_network(shape)

    def _trace_network(self, shape):
        """Find out what `call` makes of inputs of this shape, or structure of shapes."""
        self._network = self._traced_on(_inputs_of(shape))
        self._traced_at = _revision.current()

    def _traced_on(self, inputs):
        self._was_traced = True
        with inside_call():
            return Network(inputs, traced(self, inputs, {"training": None} if self._call_takes_training() else {}))

    def _traced_again(self):
        """What the layers make of the inputs now; the same network if nothing has changed."""
        network = self._network
        if self._network_given:
            return network.traced_again()
        with calling(self):
            found = self._traced_on(network.inputs)
        return network if alike(found.outputs, network.outputs, but=()) else found

    def _follow_changes(self, always=False):
        """Trace the network anew if attributes of layers have changed that a `call` may read."""
        now = _revision.current()
        if always or (self._checked_at != now and self._changed_since(self._traced_at)):
            self._network = self._traced_again()
            self._traced_at = now
        self._checked_at = now

    def call(self, inputs, training=None):
        """Compose layers; inputs and result are symbolic tensors. A functional model repeats its calls."""
        if self._network is None:
            raise NotImplementedError(
                f"Model {self.name!r} has neither inputs and outputs nor a `call`. Make it with "
                "Model(inputs, outputs), or implement call(self, inputs) in a subclass."
            )
        return self._network.apply(self._matched(inputs, "Its input"), training)

    def _known_network(self):
        if self._network is not None:
            if self._checked_at != _revision.current():
                self._follow_changes()
            return self._network
        raise ValueError(
            f"{self._kind} {self.name!r} is not built: it does not know the shape of its input. {self._advice}"
        )

    @property
    def graph(self):
        """The network's `Graph`.

        Raises
        ------
        ValueError
            If the model does not know the shape of its input yet.
        """
        network = self._network
        if network is None or self._checked_at != _revision.current():
            network = self._known_network()
        return network.graph

    @property
    def layers(self):
        """The model's layers: those of a stack in its order, without its input; those of a functional model with its
        inputs; those of a subclass as they were made."""
        return list(self._network.layers if self._is_functional else self._sublayers)

    def get_layer(self, name=None, index=None):
        """A layer by name or by index.

        Raises
        ------
        ValueError
            If there is none, or not exactly one of the arguments is given.
        """
        if (name is None) == (index is None):
            raise ValueError(f"Provide either a layer name or a layer index. Received: name={name}, index={index}")
        if index is not None:
            if not -len(self.layers) <= index < len(self.layers):
                raise ValueError(f"The model has {len(self.layers)} layers; there is none of index {index}.")
            return self.layers[index]
        for layer in self.layers:
            if layer.name == name:
                return layer
        names = [layer.name for layer in self.layers]
        raise ValueError(f"No such layer: {name!r}.{did_you_mean(name, names)} Existing layers: {names}")

    @property
    def input_shape(self):
        """Shape of the input, None for the batch; a structure of shapes for several inputs."""
        return _single(_tree.map_structure(lambda each: each.shape, self._known_network().inputs))

    @property
    def output_shape(self):
        """Shape of the output, None for the batch; a structure of shapes for several outputs."""
        return _single(_tree.map_structure(lambda each: each.shape, self._known_network().outputs))

    @property
    def input(self):
        """The symbolic input, in the structure that the model was made with."""
        return self._known_network().inputs

    @property
    def output(self):
        """The symbolic output, in the structure that the model was made with."""
        return self._known_network().outputs

    @property
    def inputs(self):
        """The symbolic inputs, as a list."""
        return self.graph.inputs

    @property
    def outputs(self):
        """The symbolic outputs, as a list."""
        return self.graph.outputs

    @property
    def input_names(self):
        """Of each of `inputs`: its name, by which a dictionary of data is read."""
        inputs = self._known_network().inputs
        return sorted(inputs) if isinstance(inputs, dict) else [each.name for each in self.inputs]

    @property
    def output_names(self):
        """Of each of `outputs`: the name of the layer that makes it."""
        return self._known_network().output_names

    def _heads_names(self):
        """What targets, losses and metrics are named by, for each output; None where the outputs have no names."""
        outputs = self._known_network().outputs
        if isinstance(outputs, dict) and len(outputs) == len(self.graph.outputs):
            return sorted(outputs)
        return None if self._is_traced else self.output_names

    @property
    def _is_traced(self):
        """Is it the `call` of a subclass that says what the model computes?"""
        return not self._is_functional

    @property
    def metrics(self):
        """The metrics in use, once data has told which kinds they are, and those that are attributes."""
        return [*self._attached_metrics(), *Trainer.metrics.fget(self)]

    def _attached_metrics(self):
        """The metrics that are attributes, of the model or of its layers, and that it was not compiled with."""
        compiled = Trainer.metrics.fget(self)
        return [each for each in Layer.metrics.fget(self) if not any(each is other for other in compiled)]

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Make a model, with new weights, from what `get_config` returned.

        Parameters
        ----------
        config : dict
        custom_objects : dict of str to class or function, optional
            What names in it mean that this library does not know.
        """
        if cls is Model and "layers" in config:
            from fastnn.models.functional import Functional

            return Functional.from_config(config, custom_objects)
        with CustomObjectScope(custom_objects or {}):
            return super().from_config(config)

    def to_json(self, **kwargs):
        """The model's configuration as a JSON string, without weights; `models.model_from_json` makes a model of it.

        Parameters
        ----------
        **kwargs
            Of `json.dumps`.
        """
        import json

        from fastnn.saving.serialization import serialize_keras_object

        return json.dumps(serialize_keras_object(self), **kwargs)

    def summary(
        self,
        line_length=None,
        positions=None,
        print_fn=None,
        expand_nested=False,
        show_trainable=False,
        layer_range=None,
    ):
        """Print a table of the layers, their output shapes and numbers of parameters.

        Parameters
        ----------
        print_fn : callable, optional
            Takes the text instead of `print`.
        expand_nested : bool, default False
            Also list the layers of models inside the model.
        show_trainable : bool, default False
            Add a column that says which layers are trained.
        layer_range : (str, str), optional
            Names, or regular expressions, of the first and the last layer to list.
        line_length, positions
            Accepted for compatibility: the table is as wide as its text.
        """
        from fastnn.models.summary import summary_text

        (print_fn or print)(summary_text(self, show_trainable, expand_nested, layer_range))

    def explain_plan(self, batch_size=32, training=True, print_fn=None, measure=False):
        """Print what one step computes: every instruction that the engine runs, its cost, and its threads.

        Parameters
        ----------
        batch_size : int, default 32
            Samples of the step. A prediction takes up to 256 at a time, whatever `predict` is told.
        training : bool, default True
            The step that `fit` runs, which needs a compiled model, or the one of `predict`.
        print_fn : callable, optional
            Takes the text instead of `print`.
        measure : bool, default False
            Time each instruction, on one thread and on random data, for about half a second. The model is afterwards
            what it was; nothing else may use it meanwhile.

        Returns
        -------
        fastnn.lowering.explain.Plan
            Instruction set, threads and the reason for their number, memory, and for each instruction its layer,
            flops, bytes, estimated cycles, threads and flags, which stand explained under the table. Where `fit` has
            run with such batches, also what that showed.

        Raises
        ------
        ValueError
            If the model does not know the shape of its input, or is to be trained and was not compiled.
        """
        from fastnn.lowering.explain import explain

        plan = explain(self, batch_size, training, measure)
        (print_fn or print)(str(plan))
        return plan

    # ---- calling -----------------------------------------------------------------------------------------------------

    def _compute(self, inputs, training=None):
        arrays, samples = self._checked_inputs(inputs, "The model's input", lambda each, _: as_floats(each, self, True))
        return self._packed(self._forward(arrays, samples, training), Array)

    def _forward(self, arrays, samples, training):
        """The outputs, as a list of arrays, of what the layers make now."""
        eager = self._eager_program
        if eager is None or self._checked_at != _revision.current() or eager.graph is not self._network.graph:
            eager = self._eager_of(self.graph)
        return self._run(eager, arrays, samples, training)

    def _eager_of(self, graph):
        if self._eager_program is None or self._eager_program.graph is not graph:
            self._eager_program = Eager(graph)
        return self._eager_program

    def _run(self, eager, arrays, samples, training):
        inputs = dict(zip(eager.graph.inputs, arrays, strict=True))
        return eager.run(inputs, samples, bool(training), self._random_state)

    def _predicted(self, arrays, samples):
        """The same in inference, of what the layers made when predictions were asked for first since `compile`."""
        if self._predicting is None:
            self._predicting = self._eager_of(self.graph)
        return self._run(self._predicting, arrays, samples, False)

    def _packed(self, arrays, view):
        """A list of arrays, one an output, in the structure of the outputs."""
        outputs = self._network.outputs
        if type(outputs) is Tensor:
            return arrays[0].view(view)
        return _single(_tree.pack(outputs, [each.view(view) for each in arrays]))

    def predict_on_batch(self, x):
        """Predictions for one batch, as a plain array, or as a structure of some for several outputs."""
        arrays, samples = self._checked_inputs(x, "x")
        return self._packed(self._predicted(arrays, samples), np.ndarray)

    def predict_mc(self, x, n=100, seed=None):
        """Mean and standard deviation of `n` predictions with dropout and noise switched on: Monte-Carlo dropout.

        Layers that draw random numbers in training do so; all others run in inference mode, batch normalisation with
        its moving averages. What comes before the first such layer is computed once. (``model(x, training=True)`` is
        one pass in which everything is as in training.)

        Parameters
        ----------
        x : array_like, shape (samples, ...)
        n : int, default 100
            Passes.
        seed : int, optional
            The same seed gives the same bits, on any number of threads. By default each call draws other numbers.

        Returns
        -------
        mean, deviation : ndarray of float32
            Of the shape that `predict` returns; the deviation is the population's, as `numpy.std` computes it, and 0
            where nothing is random. Sums are kept in float64. For several outputs, structures as `predict` returns.

        References
        ----------
        Gal and Ghahramani, Dropout as a Bayesian approximation, ICML 2016.
        """
        from fastnn.lowering.montecarlo import MonteCarlo

        passes = count(n, "n")
        arrays, samples = self._checked_inputs(x, "x")
        check_lengths(x=arrays[0])
        made_for = self.graph, self.graph.state()
        if self._monte_carlo is None or self._monte_carlo[0] != made_for:
            self._monte_carlo = made_for, MonteCarlo(self.graph)
        seed, step = self._random_state(-(-samples * passes // self._chunk) + samples) if seed is None else (seed, 0)
        inputs = dict(zip(self.graph.inputs, arrays, strict=True))
        means, deviations = self._monte_carlo[1].run(inputs, samples, passes, seed, step)
        return self._packed(means, np.ndarray), self._packed(deviations, np.ndarray)

    def gradients(self, x, y, sample_weight=None):
        """The gradient of the loss by each trainable weight, on one batch; the model stays as it is.

        They are those that `train_on_batch` would use for its next step, before the optimizer clips or adds them up:
        layers behave as in training and draw the same random numbers, batch normalisation uses the statistics of the
        batch (but does not move its averages), and the loss includes the penalties of regularizers.

        Parameters
        ----------
        x, y, sample_weight
            As for `train_on_batch`. All samples are one batch, whose activations are all in memory.

        Returns
        -------
        list of ndarray of float32
            One for each of `trainable_weights`, of its shape; zeros where the loss does not depend on it. What is
            `trainable` now counts, not what was when the model was compiled.

        Raises
        ------
        ValueError
            If the model is not compiled, or the data does not fit it.

        Examples
        --------
        >>> norms = [np.linalg.norm(each) for each in model.gradients(x[:256], y[:256])]
        """
        self._require_compiled("gradients")
        samples = self._checked_data(x, y, sample_weight, None)
        count = len(samples)
        program = self._program("gradients", self._capacity("gradients", samples), samples.weighted)
        program.program.run(
            count,
            batch=count,
            step=self.optimizer.steps if self.optimizer else 0,
            seed=self._seed_of_training,
            sources=self._bound(program, samples),
        )
        return program.values()

    # ---- storage -----------------------------------------------------------------------------------------------------

    def _settle_variables(self, graph):
        """Give variables that no model owns yet one arena: those that are trained first, so that the optimizer goes
        over them in one pass."""
        if self._settled is graph:
            return
        trainable = set(self.trainable_weights)
        move_to_arena(sorted(graph.variables, key=lambda variable: variable not in trainable))
        self._settled = graph

    def _new_seed(self):
        return _random.next_seed()

    _chunk = CHUNK


def _single(structure):
    """The only entry of a list or tuple of one; anything else as it is."""
    if isinstance(structure, (list, tuple)) and len(structure) == 1 and not isinstance(structure[0], int):
        return structure[0]
    return structure


def _inputs_of(shape):
    """New inputs for a shape that includes the batch axis, or for a structure of some."""
    if isinstance(shape, dict):
        return {key: InputLayer(tuple(each)[1:], name=key).output for key, each in shape.items()}
    if shape and isinstance(shape[0], (list, tuple)):
        return [InputLayer(tuple(each)[1:]).output for each in shape]
    return InputLayer(tuple(shape)[1:]).output
