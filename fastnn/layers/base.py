"""The base of all layers."""

import inspect

import numpy as np

from fastnn import initializers
from fastnn._naming import unique_name
from fastnn.eager import Array, Eager, is_symbolic, trace
from fastnn.graph import Tensor
from fastnn.operations import calling
from fastnn.variables import Variable

_names = []  # the layers that are being built, the outermost first: they prefix a variable's path


class Layer:
    """A part of a network: variables, and how a tensor passes through.

    A layer of one's own is a subclass whose ``__init__`` makes other layers, whose ``build`` makes variables that
    depend on the input's shape, and whose ``call`` composes layers and activations. ``call`` is traced once for each
    use, with symbolic tensors; the engine then runs the traced graph.

    Parameters
    ----------
    trainable : bool, default True
        Whether `fit` may change the layer's variables.
    name : str, optional
        Unique in its model; made from the class name by default.
    dtype : str, optional
        Only "float32".
    input_shape : tuple, optional
        Shape of one sample, for the first layer of a `Sequential` without an `Input`.

    Attributes
    ----------
    built : bool
    trainable : bool
    weights : list of Variable
        Trainable ones first.
    """

    def __init__(self, *, trainable=True, name=None, dtype=None, input_shape=None, input_dim=None):
        if dtype not in (None, "float32", np.float32):
            raise ValueError(f"fastnn computes in float32. Received: dtype={dtype!r}")
        if input_dim is not None:
            input_shape = (input_dim,)
        self.name = unique_name(type(self).__name__) if name is None else str(name)
        self.built = False
        self.first_input_shape = None if input_shape is None else tuple(input_shape)
        self._trainable = bool(trainable)
        self._own_trainable = []
        self._own_non_trainable = []
        self._sublayers = []
        self._eager = {}
        self._seed = None
        self._eager_calls = 0

    # ---- for subclasses -----------------------------------------------------------------------------------------------

    def build(self, input_shape):
        """Make the variables; `input_shape` includes the batch axis, None. Called once, before the first `call`."""

    def call(self, inputs, *args, **kwargs):
        """Compose layers and activations; inputs and result are symbolic tensors."""
        raise NotImplementedError(f"{type(self).__name__} must implement call(inputs).")

    def add_weight(self, shape=(), initializer="glorot_uniform", name="weight", trainable=True, layout="rows"):
        """Make a variable.

        Parameters
        ----------
        shape : tuple of int
        initializer : str or Initializer
        name : str
        trainable : bool
        layout : {"rows", "panels"}
            See `fastnn.variables.Variable`.
        """
        variable = Variable(initializers.get(initializer)(tuple(shape)), name, trainable and self._trainable, layout)
        variable.path = "/".join([*_names, name] if _names and _names[-1] == self.name else [*_names, self.name, name])
        (self._own_trainable if trainable else self._own_non_trainable).append(variable)
        return variable

    # ---- calling ------------------------------------------------------------------------------------------------------

    def __call__(self, inputs, training=None, **kwargs):
        """Apply the layer to a symbolic tensor (adds to the graph) or to an array (computes).

        Parameters
        ----------
        inputs : Tensor or array_like, shape (batch, ...)
        training : bool, optional
            Overrides whether layers such as dropout behave as in training; by default they do in `fit` only.
        """
        if is_symbolic(inputs):
            return self._trace(inputs, training, **kwargs)
        return self._compute(inputs, training, **kwargs)

    def _build_for(self, shape):
        if not self.built:
            _names.append(self.name)
            try:
                self.build(shape)
            finally:
                _names.pop()
            self.built = True

    def _trace(self, inputs, training=None, **kwargs):
        shape = inputs.shape if isinstance(inputs, Tensor) else [each.shape for each in inputs]
        self._build_for(shape)
        if self._call_takes_training():
            kwargs["training"] = training
        _names.append(self.name)
        try:
            with calling(self):
                return self.call(inputs, **kwargs)
        finally:
            _names.pop()

    @classmethod
    def _call_takes_training(cls):
        known = cls.__dict__.get("_takes_training")
        if known is None:
            parameters = inspect.signature(cls.call).parameters.values()
            known = any(p.name == "training" or p.kind is p.VAR_KEYWORD for p in parameters)
            cls._takes_training = known
        return known

    def _compute(self, inputs, training=None, **kwargs):
        x = as_floats(inputs, self)
        training = bool(training)
        key = (x.shape[1:], *sorted(kwargs.items()))
        if key not in self._eager:
            # The node's own mode stays open, so that one graph serves both.
            self._eager[key] = Eager(trace(lambda tensor: self._trace(tensor, None, **kwargs), [x.shape[1:]]))
        eager = self._eager[key]
        outputs = eager.run({eager.graph.inputs[0]: x}, len(x), training, *self._random_state(training))
        return outputs[0].view(Array)

    def _random_state(self, training):
        """Seed and step of the random numbers of an eager call."""
        if not training:
            return 0, 0
        if self._seed is None:
            from fastnn._random import next_seed

            self._seed = next_seed()
        self._eager_calls += 1
        return self._seed, self._eager_calls

    # ---- variables ----------------------------------------------------------------------------------------------------

    def __setattr__(self, name, value):
        if name != "_sublayers" and "_sublayers" in self.__dict__:
            for each in value if isinstance(value, (list, tuple)) else [value]:
                if isinstance(each, Layer) and each not in self._sublayers:
                    self._sublayers.append(each)
        super().__setattr__(name, value)

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
        for layer in self._all_layers():
            layer._trainable = bool(value)
            for variable in layer._own_trainable:
                variable.trainable = bool(value)

    @property
    def weights(self):
        variables = [*self._own_trainable, *self._own_non_trainable]
        for layer in self._sublayers:
            variables += layer.weights
        return list(dict.fromkeys(variables))

    variables = weights

    @property
    def trainable_weights(self):
        return [variable for variable in self.weights if variable.trainable]

    trainable_variables = trainable_weights

    @property
    def non_trainable_weights(self):
        return [variable for variable in self.weights if not variable.trainable]

    non_trainable_variables = non_trainable_weights

    def count_params(self):
        """Number of values in the layer's variables."""
        if not self.built:
            raise ValueError(f"Layer {self.name!r} has no variables yet: it is not built. Call it on data first.")
        return sum(variable.size for variable in self.weights)

    def get_weights(self):
        """The values of `weights`, as a list of arrays."""
        return [variable.numpy() for variable in self.weights]

    def set_weights(self, weights):
        """Set the values of `weights`.

        Raises
        ------
        ValueError
            If the number of arrays or a shape differs.
        """
        variables = self.weights
        if len(weights) != len(variables):
            raise ValueError(
                f"Layer {self.name!r} has {len(variables)} variables and cannot take {len(weights)} arrays. "
                f"Expected shapes: {[each.shape for each in variables]}"
            )
        arrays = [np.asarray(each, np.float32) for each in weights]
        for variable, array in zip(variables, arrays, strict=True):
            if array.shape != variable.shape:
                raise ValueError(
                    f"Layer {self.name!r}: variable {variable.path!r} has shape {variable.shape} and cannot take a value "
                    f"of shape {array.shape}."
                )
        for variable, array in zip(variables, arrays, strict=True):
            variable.assign(array)
        for layer in self._all_layers():
            layer._weights_changed()

    def _weights_changed(self):
        """Called after `set_weights`: a layer may keep something computed from its variables."""

    def __repr__(self):
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"


def as_floats(inputs, layer):
    """Eager inputs as an array that the engine can read."""
    from fastnn.training.data import as_array

    x = as_array(inputs, f"The input of {layer.name!r}")
    if x.ndim < 2:
        raise ValueError(
            f"Layer {layer.name!r} expects a batch: an array of at least 2 axes, (samples, features). "
            f"Received shape {x.shape}; add an axis, for example x[np.newaxis]."
        )
    return x
