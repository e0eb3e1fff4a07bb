"""What all models can do: compile, fit, evaluate, predict, be called, be frozen."""

import numpy as np

from fastnn import _random
from fastnn.eager import CHUNK, Array, Eager
from fastnn.layers.base import Layer, as_floats
from fastnn.operations.lookup import reads_text
from fastnn.training.arguments import count
from fastnn.training.loop import Trainer
from fastnn.variables import move_to_arena


class Model(Layer, Trainer):
    """A network: a layer that knows its graph, and can be trained.

    Subclasses provide `graph`, the description that training, prediction, `summary` and `freeze` read.
    """

    def __init__(self, *, trainable=True, name=None):
        super().__init__(trainable=trainable, name=name)
        self._eager_program = None
        self._monte_carlo = None
        self._settled = None  # the graph whose variables all lie in arenas
        self._reset_trainer()

    # ---- structure ---------------------------------------------------------------------------------------------------

    @property
    def graph(self):
        """The network's `Graph`.

        Raises
        ------
        ValueError
            If the model does not know the shape of its input yet.
        """
        raise NotImplementedError

    @property
    def layers(self):
        """The model's layers, without its inputs."""
        return list(self._sublayers)

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
        raise ValueError(f"No such layer: {name!r}. Existing layers: {[layer.name for layer in self.layers]}")

    @property
    def input_shape(self):
        return self.graph.inputs[0].shape

    @property
    def output_shape(self):
        return self.graph.outputs[0].shape

    @property
    def inputs(self):
        return self.graph.inputs

    @property
    def outputs(self):
        return self.graph.outputs

    def summary(self, line_length=None, positions=None, print_fn=None, expand_nested=False, show_trainable=False):
        """Print a table of the layers, their output shapes and numbers of parameters.

        Parameters
        ----------
        print_fn : callable, optional
            Takes the text instead of `print`.
        show_trainable : bool, default False
            Add a column that says which layers are trained.
        """
        from fastnn.models.summary import summary_text

        (print_fn or print)(summary_text(self, show_trainable))

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
            flops, bytes, estimated cycles and threads. Where `fit` has run with such batches, also what that showed.

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
        x = self._checked_input(as_floats(inputs, self, text=True), "The model's input")
        if self._eager_program is None or self._eager_program.graph is not self.graph:
            self._eager_program = Eager(self.graph)
        outputs = self._eager_program.run({self.graph.inputs[0]: x}, len(x), bool(training), self._random_state)
        return outputs[0].view(Array)

    def _checked_input(self, x, name):
        """An input array in the shape of the model's input; builds the model if this is its first data."""
        from fastnn.training.data import check_inputs

        if not self.built:
            self._build_for((None, *(x.shape[1:] or (1,))))
        if x.dtype.kind in "US" and not reads_text(self.graph, self.graph.inputs[0]):
            raise TypeError(
                f"{name} has dtype {x.dtype}, which model {self.name!r} cannot read as numbers. A model reads text "
                "through layers.StringLookup, as its first layer."
            )
        return check_inputs(x, self.graph.inputs[0].shape[1:], f"{name} (model {self.name!r})")

    def predict_on_batch(self, x):
        """Predictions for one batch, as a plain array."""
        return np.asarray(self(x))

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
            where nothing is random. Sums are kept in float64. Of a model of several outputs, lists.

        References
        ----------
        Gal and Ghahramani, Dropout as a Bayesian approximation, ICML 2016.
        """
        from fastnn.lowering.montecarlo import MonteCarlo
        from fastnn.training.data import as_array, check_lengths

        passes = count(n, "n")
        x = self._checked_input(as_array(x, "x", text=True), "x")
        samples = check_lengths(x=x)
        made_for = self.graph, self.graph.state()
        if self._monte_carlo is None or self._monte_carlo[0] != made_for:
            self._monte_carlo = made_for, MonteCarlo(self.graph)
        seed, step = self._random_state(-(-samples * passes // self._chunk) + samples) if seed is None else (seed, 0)
        means, deviations = self._monte_carlo[1].run({self.graph.inputs[0]: x}, samples, passes, seed, step)
        return (means[0], deviations[0]) if len(means) == 1 else (means, deviations)

    def freeze(self):
        """Fold everything that is constant and pack the weights: an immutable, thread-safe predictor.

        Batch normalisation disappears into the dense layers around it, dropout vanishes. The predictor does not follow
        later changes of the model.

        Returns
        -------
        fastnn.freeze.Predictor
        """
        from fastnn.freeze import freeze

        return freeze(self)

    # ---- storage -----------------------------------------------------------------------------------------------------

    def _settle_variables(self):
        """Give variables that no model owns yet one arena: those that are trained first, so that the optimizer goes
        over them in one pass."""
        if self._settled is self.graph:
            return
        trainable = set(self.trainable_weights)
        move_to_arena(sorted(self.graph.variables, key=lambda variable: variable not in trainable))
        self._settled = self.graph

    def _new_seed(self):
        return _random.next_seed()

    _chunk = CHUNK
