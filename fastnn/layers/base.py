"""The base of all layers."""

import functools
import inspect
import math

import numpy as np

from fastnn import _random, _revision, _tree, constraints, initializers, regularizers
from fastnn._initialised import Initialised
from fastnn._naming import scopes_open, unique_name
from fastnn._suggestions import of_argument
from fastnn.eager import Array, Eager, is_symbolic
from fastnn.graph import Call, Graph, Tensor
from fastnn.layers.attributes import HasAttributes
from fastnn.layers.eager_inputs import as_floats, is_flat, several
from fastnn.layers.input_spec import check_inputs
from fastnn.layers.tracing import traced
from fastnn.layers.tracked import parts_of
from fastnn.layers.weights import HasWeights
from fastnn.operations import (
    apply,
    calling,
    in_mode,
    inside_call,
    is_inside_call,
    layers_being_called,
    mode_told,
)
from fastnn.saving.saveable import Saveable, check_allocation, dtype_name
from fastnn.training.arguments import flag
from fastnn.variables import Variable


class Layer(HasAttributes, HasWeights, Saveable, Initialised):
    """A part of a network: variables, and how a tensor passes through.

    A layer of one's own is a subclass whose ``__init__`` makes other layers, whose ``build`` makes variables that
    depend on the input's shape, and whose ``call`` composes layers and activations. ``call`` is traced for each use,
    with symbolic tensors; the engine then runs the traced graph. A ``call`` that takes `training` may pass it on to the
    layers that it composes, and may branch on it: it is traced for both modes. An attribute that is assigned later is
    seen by calls on arrays at once, by `fit`, `evaluate` and `predict` after the next `compile`.

    Parameters
    ----------
    activity_regularizer : str or Regularizer, optional
        A penalty on what the layer puts out, divided by the size of the batch: part of the loss. Where the layer is
        used several times, each use counts. (In Keras on JAX only the last one does, unless it is inside a layer.)
    trainable : bool, default True
        Whether `fit` may change the layer's variables.
    name : str, optional
        Unique in its model; made from the class name by default.
    dtype : str, optional
        Only "float32".
    autocast : bool, default True
        Accepted for compatibility: there is one type.
    input_shape : tuple, optional
        Shape of one sample, for the first layer of a `Sequential` without an `Input`.

    Attributes
    ----------
    built : bool
    path : str or None
        The names of the layers around it and its own, joined by "/"; None before it is built.
    input_spec : InputSpec or list of InputSpec, optional
        What inputs must look like. A subclass may assign it.
    trainable : bool
    weights : list of Variable
        Trainable ones first.
    """

    dtype = "float32"
    input_spec = None
    _is_layer = True
    _can_be_locked = True  # once it is built, it gets no further variables and layers

    def __init__(
        self,
        *,
        activity_regularizer=None,
        trainable=True,
        dtype=None,
        autocast=True,
        name=None,
        input_shape=None,
        input_dim=None,
        **unknown,
    ):
        if unknown:
            hint = of_argument(next(iter(unknown)), type(self))
            raise ValueError(f"Unrecognized keyword arguments passed to {type(self).__name__}: {unknown}.{hint}")
        if dtype_name(dtype) not in (None, "float32", np.float32):
            raise ValueError(f"fastnn computes in float32. Received: dtype={dtype!r}")
        if input_dim is not None:
            input_shape = (input_dim,)
        self.name = unique_name(type(self).__name__) if name is None else str(name)
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self.built = False
        self.path = None
        self._build_shape = None  # what build() was called with
        self.first_input_shape = None if input_shape is None else tuple(input_shape)
        self._trainable = flag(trainable, "trainable")
        self._own_trainable = []
        self._own_non_trainable = []
        self.__dict__.setdefault("_sublayers", [])  # there already where an attribute was set before
        self._calls = []
        self._added_losses = None  # a list while `call` is being traced
        self._eager = {}
        self._eager_at = 0  # the revision at which what is in it was still up to date
        self._seed = None
        self._eager_steps = 0

    # ---- for subclasses ----------------------------------------------------------------------------------------------

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if "build" in cls.__dict__:
            cls.build = _once(cls.build)

    def build(self, input_shape):
        """Make the variables; `input_shape` includes the batch axis, None. Called once, before the first `call`."""

    def _build_again(self, *args, **kwargs):
        """Called instead of `build` if the layer is built already."""

    def call(self, inputs, *args, **kwargs):
        """Compose layers and activations; inputs and result are symbolic tensors."""
        raise NotImplementedError(f"{type(self).__name__} must implement call(inputs).")

    def add_weight(
        self,
        shape=None,
        initializer=None,
        dtype=None,
        trainable=True,
        autocast=True,
        regularizer=None,
        constraint=None,
        aggregation="none",
        overwrite_with_gradient=False,
        name=None,
        layout="rows",
    ):
        """Make a variable.

        Parameters
        ----------
        shape : tuple of int, default ()
        initializer : str or Initializer, default "glorot_uniform"
        dtype : str, optional
            Only "float32".
        trainable : bool, default True
        regularizer : str or Regularizer, optional
            Its penalty is part of the loss, as long as the variable is trainable.
        constraint : str or Constraint, optional
            What the value is held to after every update.
        name : str, default "variable"
        layout : {"rows", "flat", "panels"}
            See `fastnn.variables.Variable`.
        autocast, aggregation, overwrite_with_gradient
            Accepted for compatibility: there is one type, and one machine.
        """
        if isinstance(shape, str):
            raise ValueError(f"`name` is given by name. Received: add_weight({shape!r}, ...)")
        self._refuse_if_locked(f"add_weight(name={name!r})")
        if overwrite_with_gradient:
            raise ValueError(
                f"Layer {self.name!r}: `overwrite_with_gradient` is for variables of 8 bits, which fastnn has not."
            )
        name = name or "variable"
        shape = tuple(shape or ())
        if math.prod(shape) >= 2**60:
            raise MemoryError(f"Layer {self.name!r}: no machine has memory for {name!r} of shape {shape}.")
        check_allocation(math.prod(shape), name)
        try:
            variable = Variable(
                initializers.get(initializer or "glorot_uniform")(shape, dtype="float32"),
                dtype=dtype,
                trainable=trainable and self._trainable,
                name=name,
                layout=layout,
            )
        except (MemoryError, OverflowError) as error:
            message = f"Layer {self.name!r}: there is no memory for {name!r} of shape {shape}: {error}"
            raise MemoryError(message) from error
        if variable.shape != shape:
            raise ValueError(
                f"Layer {self.name!r}: the initializer of {name!r} must return an array of shape {shape}. "
                f"Received shape {variable.shape}."
            )
        variable.regularizer = regularizers.get(regularizer)
        variable.constraint = constraints.get(constraint)
        scopes = layers_being_called()
        outer = scopes if scopes and scopes[-1] is self else (*scopes, self)
        variable.path = "/".join([*scopes_open(), *(layer.name for layer in outer), name])
        (self._own_trainable if trainable else self._own_non_trainable).append(variable)
        return variable

    add_variable = add_weight

    # ---- calling -----------------------------------------------------------------------------------------------------

    def __call__(self, inputs, *args, training=None, **kwargs):
        """Apply the layer to symbolic tensors (adds to the graph) or to arrays (computes).

        Parameters
        ----------
        inputs : Tensor or array_like, shape (batch, ...); or a list, tuple or dictionary of some
        training : bool, optional
            Overrides whether layers such as dropout behave as in training, this one and those inside it that are not
            told otherwise; by default they do in `fit` only.
        *args, **kwargs
            Further arguments of `call`.
        """
        if args:
            training, args, kwargs = self._named_arguments(training, args, kwargs)
        if is_symbolic(inputs) or (kwargs and is_symbolic(kwargs)):
            return self._call_symbolically(inputs, training, kwargs)
        return self._compute(inputs, training, **kwargs)

    def _named_arguments(self, training, args, kwargs):
        """Positional arguments after the first one, by their names."""
        names = list(inspect.signature(self.call).parameters)[1 : 1 + len(args)]
        if len(names) < len(args):
            raise TypeError(
                f"Layer {self.name!r}: {type(self).__name__}.call takes {len(names) + 1} arguments. "
                f"Received {len(args) + 1}."
            )
        kwargs = {**dict(zip(names, args, strict=True)), **kwargs}
        return kwargs.pop("training", training), (), kwargs

    def _build_for(self, shape):
        if not self.built:
            self.build(shape)
            self.built = True

    def _call_symbolically(self, inputs, training, kwargs):
        """Trace the layer, and remember the call if it is not one of a layer inside another."""
        outputs = self._trace(inputs, training, **kwargs)
        if is_inside_call():
            return outputs
        # Every call has outputs of its own, also where the layer does nothing.
        known = set(_tree.flatten([inputs, kwargs]))
        fresh = []
        for each in _tree.flatten(outputs):
            if each in known or each.call is not None:
                with calling(self):
                    each = apply("identity", [each])
            known.add(each)
            fresh.append(each)
        outputs = _tree.pack(outputs, fresh)
        kwargs = kwargs if training is None else {**kwargs, "training": training}
        self._calls.append(Call(self, (inputs,), kwargs, outputs, len(self._calls)))
        return outputs

    def _trace(self, inputs, training=None, **kwargs):
        if self.input_spec is not None:
            check_inputs(self.input_spec, inputs, self.name)
        self._build_for(_tree.map_structure(lambda each: getattr(each, "shape", None), inputs))
        self._was_traced = True
        training = mode_told() if training is None else training  # what is inside of it does as it is told
        if self._call_takes_training():
            kwargs["training"] = training
        with calling(self), inside_call(), in_mode(training):
            outputs = traced(self, inputs, kwargs)
            self._is_locked = self._can_be_locked
            if self.activity_regularizer is None:
                return outputs
            return _tree.map_structure(lambda each: regularizers.of_activity(self.activity_regularizer, each), outputs)

    def add_loss(self, loss):
        """Add to the loss of the models that the layer is part of. For use inside of `call`.

        Parameters
        ----------
        loss : Tensor, or list of some
            Made by `fastnn.ops` of the layer's inputs and variables. The sum of its values joins the loss of the batch,
            in `fit` and in `evaluate`, and its gradient that of the variables it depends on.

        Raises
        ------
        ValueError
            Outside of this layer's `call`, and for what is no symbolic tensor.
        """
        losses = _tree.flatten(loss)
        if self._added_losses is None or not all(isinstance(each, Tensor) for each in losses):
            raise ValueError(
                f"Layer {self.name!r}: `add_loss()` can only be called from inside `call()`, on a tensor computed "
                f"there with fastnn.ops. Received: {loss!r:.100}"
            )
        self._added_losses += losses

    @classmethod
    def _call_takes_training(cls):
        known = cls.__dict__.get("_takes_training")
        if known is None:
            parameters = inspect.signature(cls.call).parameters.values()
            known = any(p.name == "training" or p.kind is p.VAR_KEYWORD for p in parameters)
            cls._takes_training = known
        return known

    def compute_output_spec(self, *args, **kwargs):
        """What a call with these arguments returns, without making variables: symbolic tensors."""
        layer = self if self.built else type(self).from_config(self.get_config())
        with calling(None), inside_call():
            return layer._trace(*args, **kwargs)

    def compute_output_shape(self, input_shape):
        """The shape of the output for inputs of this shape, or structure of shapes; the batch axis is None."""
        outputs = self.compute_output_spec(_tensors_of(input_shape))
        return _tree.map_structure(lambda each: each.shape, outputs)

    _takes_columns = False  # eager arrays of one axis, or none: values one by one?

    def _compute_columns(self, values, training=None):
        """Of values without an axis of features, each of which is a sample."""
        results = self._compute(values.reshape(-1, 1), training)
        return results.reshape((*values.shape, *results.shape[2:]))

    def _compute(self, inputs, training=None, **kwargs):
        if self._takes_columns and is_flat(inputs):
            return self._compute_columns(np.asarray(inputs), training)
        arrays = _tree.map_structure(lambda each: as_floats(each.array, self), several(inputs))
        leaves = _tree.flatten(arrays)
        samples = len(leaves[0])
        if any(len(each) != samples for each in leaves):
            raise ValueError(
                f"Layer {self.name!r}: its inputs are batches of one size. Received shapes: {[x.shape for x in leaves]}"
            )
        key = (str(_tree.map_structure(lambda each: each.shape[1:], arrays)), *sorted(kwargs.items()))
        if self._eager_at != _revision.current():
            if self._changed_since(self._eager_at):
                self._eager = {}
            self._eager_at = _revision.current()
        if key not in self._eager:
            tensors = _tree.map_structure(lambda each: Tensor((None, *each.shape[1:]), name="input"), arrays)
            # The node's own mode stays open, so that one graph serves both.
            outputs = self._trace(tensors, None, **kwargs)
            self._eager[key] = Eager(Graph(_tree.flatten(tensors), _tree.flatten(outputs))), outputs
        eager, outputs = self._eager[key]
        inputs = dict(zip(eager.graph.inputs, leaves, strict=True))
        results = eager.run(inputs, samples, bool(training), self._random_state)
        return _tree.pack(outputs, [each.view(Array) for each in results])

    def _random_state(self, batches):
        """Seed and first step of the random numbers of an eager call that draws some, for each of its batches."""
        if self._seed is None:
            self._seed = _random.next_seed()
        step = self._eager_steps
        self._eager_steps += batches
        return self._seed, step

    @property
    def input(self):
        """The symbolic input of the layer's first call: a tensor or a structure of some.

        Raises
        ------
        AttributeError
            If it was called on no symbolic tensor yet.
        """
        return self._first_call("input").args[0]

    @property
    def output(self):
        """The symbolic output of the layer's first call: a tensor or a structure of some.

        Raises
        ------
        AttributeError
            If it was called on no symbolic tensor yet.
        """
        return self._first_call("output").outputs

    def _first_call(self, what):
        if not self._calls:
            raise AttributeError(
                f"Layer {self.name!r} has no {what} yet: it was never called on a symbolic tensor. Call it on an "
                "Input, or build the model that it is part of."
            )
        return self._calls[0]

    # ---- variables ---------------------------------------------------------------------------------------------------

    def _all_layers(self):
        """This layer and those inside it."""
        found = {}
        stack = [self]
        while stack:
            layer = stack.pop()
            if layer not in found:
                found[layer] = None
                stack.extend(reversed(layer._sublayers))
        return list(found)

    @property
    def trainable(self):
        return self._trainable

    @trainable.setter
    def trainable(self, value):
        value = flag(value, "trainable")
        for layer in self._all_layers():
            layer._trainable = value
            for variable in layer._own_trainable:
                variable.trainable = value
        _revision.changed()

    @property
    def metrics(self):
        """The metrics that are attributes of the layer or of layers inside it, or in their lists and dictionaries."""
        from fastnn.metrics import Metric

        own = dict.fromkeys(each for value in vars(self).values() for each in parts_of(value, Metric))
        return [*own, *(each for layer in self._sublayers for each in Layer.metrics.fget(layer))]

    @property
    def metrics_variables(self):
        """The variables of `metrics`."""
        return [variable for metric in self.metrics for variable in metric.variables]

    def _described(self):
        return f"name={self.name}, built={self.built}"


def _once(build):
    """A `build` that can be called by anybody, and twice: the second time builds nothing."""

    @functools.wraps(build)
    def build_once(self, *args, **kwargs):
        if self.built:
            self._build_again(*args, **kwargs)
            return
        scopes = layers_being_called()
        if scopes and scopes[-1] is self:  # super().build()
            build(self, *args, **kwargs)
            return
        with calling(self):
            build(self, *args, **kwargs)
        self.built = True
        self._is_locked = self._can_be_locked
        self.path = "/".join([*scopes_open(), *(layer.name for layer in scopes), self.name])
        self._build_shape = next(iter((*args, *kwargs.values())), None)

    return build_once


def _tensors_of(shape):
    """Symbolic tensors of a shape that includes the batch axis, or of a structure of shapes."""
    if isinstance(shape, dict):
        return {key: _tensors_of(each) for key, each in shape.items()}
    if shape and isinstance(shape[0], (list, tuple)):
        return [_tensors_of(each) for each in shape]
    return Tensor((None, *shape[1:]), name="input")
