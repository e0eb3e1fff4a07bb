"""Dense, activations, and layers that only change a shape."""

import math

from fastnn import activations, constraints, initializers, ops, regularizers
from fastnn.layers.base import Layer
from fastnn.operations import apply
from fastnn.training.arguments import count, flag, integer, number
from fastnn.training.data import MAX_AXES


class Dense(Layer):
    """``activation(inputs . kernel + bias)`` over the last axis of an input of any rank.

    Parameters
    ----------
    units : int
        Size of the last axis of the output.
    activation : str or callable, optional
        None: linear.
    use_bias : bool, default True
    kernel_initializer : str or Initializer, default "glorot_uniform"
    bias_initializer : str or Initializer, default "zeros"
    kernel_regularizer, bias_regularizer, activity_regularizer : str or Regularizer, optional
        Penalties on kernel, bias and output: see `fastnn.regularizers`.
    kernel_constraint, bias_constraint : str or Constraint, optional
        See `fastnn.constraints`.
    **kwargs
        `name`, `trainable`, `input_shape`: see `Layer`.

    Raises
    ------
    ValueError
        For `units` that is no positive integer, and for options that are not supported yet.
    """

    def __init__(
        self,
        units,
        activation=None,
        use_bias=True,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        kernel_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
        **kwargs,
    ):
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        size = integer(units)
        if size is None or size < 1:
            raise ValueError(
                f"Received an invalid value for `units`, expected a positive integer. Received: units={units!r}"
            )
        self.units = size
        self.activation = activations.get(activation)
        self.use_bias = flag(use_bias, "use_bias")
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.kernel = self.bias = None

    def build(self, input_shape):
        self.kernel = self.add_weight(
            (input_shape[-1], self.units),
            self.kernel_initializer,
            name="kernel",
            layout="panels",
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        if self.use_bias:
            self.bias = self.add_weight(
                (self.units,),
                self.bias_initializer,
                name="bias",
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )

    def call(self, inputs):
        if inputs.features != self.kernel.shape[0]:
            raise ValueError(
                f"Layer {self.name!r} was built for inputs whose last axis is {self.kernel.shape[0]}. "
                f"Received an input of shape {inputs.shape}."
            )
        return self.activation(apply("dense", [inputs], {"kernel": self.kernel, "bias": self.bias}))

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
            "kernel_regularizer": regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": regularizers.serialize(self.bias_regularizer),
            "kernel_constraint": constraints.serialize(self.kernel_constraint),
            "bias_constraint": constraints.serialize(self.bias_constraint),
        }


class Activation(Layer):
    """An activation as a layer of its own.

    Parameters
    ----------
    activation : str or callable
    """

    def __init__(self, activation, **kwargs):
        super().__init__(**kwargs)
        self.activation = activations.get(activation)

    def call(self, inputs):
        return self.activation(inputs)

    def get_config(self):
        return {**super().get_config(), "activation": activations.serialize(self.activation)}


class Lambda(Layer):
    """A function as a layer.

    Parameters
    ----------
    function : callable
        Takes the inputs, and what `arguments` says; composed of layers, activations and `fastnn.ops`.
    output_shape, mask : None
        Accepted for compatibility: tracing finds the shape.
    arguments : dict, optional
        Passed on to `function` by name.

    Notes
    -----
    A model is saved with the function's name: register it (`fastnn.saving.register_keras_serializable`), or pass it as
    one of the `custom_objects` that a model is loaded with. A lambda has no name and cannot be saved.
    """

    def __init__(self, function, output_shape=None, mask=None, arguments=None, **kwargs):
        super().__init__(**kwargs)
        if not callable(function):
            raise TypeError(f"Lambda takes a function. Received: {function!r}")
        self.function = function
        self.arguments = dict(arguments or {})

    def call(self, inputs):
        return self.function(inputs, **self.arguments)

    def get_config(self):
        from fastnn.saving.serialization import serialize_keras_object

        own = {"function": self.function, "arguments": self.arguments}
        return {**super().get_config(), **serialize_keras_object(own)}

    @classmethod
    def from_config(cls, config, custom_objects=None, safe_mode=None):
        from fastnn.saving.serialization import deserialize_keras_object

        own = {name: config[name] for name in ("function", "arguments") if name in config}
        return cls(**{**config, **deserialize_keras_object(own, custom_objects)})


class ReLU(Layer):
    """``min(x, max_value)`` above `threshold`, ``negative_slope * (x - threshold)`` below.

    Parameters
    ----------
    max_value : float, optional
        None: no maximum.
    negative_slope, threshold : float, default 0
        Of at least 0.
    """

    def __init__(self, max_value=None, negative_slope=0.0, threshold=0.0, **kwargs):
        super().__init__(**kwargs)
        if max_value is not None:
            max_value = number(self, "max_value", max_value, "None or a number of at least 0", at_least_0)
        self.max_value = max_value
        self.negative_slope = number(self, "negative_slope", negative_slope, "a number of at least 0", at_least_0)
        self.threshold = number(self, "threshold", threshold, "a number of at least 0", at_least_0)

    def call(self, inputs):
        return activations.relu(inputs, self.negative_slope, self.max_value, self.threshold)

    def get_config(self):
        return {
            **super().get_config(),
            "max_value": self.max_value,
            "negative_slope": self.negative_slope,
            "threshold": self.threshold,
        }


class LeakyReLU(Layer):
    """``x`` above zero, ``negative_slope * x`` below. `alpha` is its older name."""

    def __init__(self, negative_slope=0.3, alpha=None, **kwargs):
        super().__init__(**kwargs)
        negative_slope = negative_slope if alpha is None else alpha
        self.negative_slope = number(self, "negative_slope", negative_slope, "a number of at least 0", at_least_0)

    def call(self, inputs):
        return activations.leaky_relu(inputs, self.negative_slope)

    def get_config(self):
        return {**super().get_config(), "negative_slope": self.negative_slope}


class ELU(Layer):
    """``x`` above zero, ``alpha * (exp(x) - 1)`` below; `alpha` at least 0."""

    def __init__(self, alpha=1.0, **kwargs):
        super().__init__(**kwargs)
        self.alpha = number(self, "alpha", alpha, "a number of at least 0", at_least_0)

    def call(self, inputs):
        return activations.elu(inputs, self.alpha)

    def get_config(self):
        return {**super().get_config(), "alpha": self.alpha}


class Softmax(Layer):
    """Softmax over an axis, or some; by default the last."""

    def __init__(self, axis=-1, **kwargs):
        super().__init__(**kwargs)
        self.axis = axis

    def call(self, inputs):
        return activations.softmax(inputs, self.axis)

    def get_config(self):
        return {**super().get_config(), "axis": self.axis}


class Flatten(Layer):
    """All values of a sample on one axis."""

    def __init__(self, data_format=None, **kwargs):
        super().__init__(**kwargs)

    def call(self, inputs):
        return apply("reshape", [inputs], shape=(math.prod(inputs.shape[1:]),))

    def get_config(self):
        return {**super().get_config(), "data_format": "channels_last"}


class Reshape(Layer):
    """Another shape for a sample; one axis may be -1.

    Parameters
    ----------
    target_shape : tuple of int
        Without the batch axis.
    """

    def __init__(self, target_shape, **kwargs):
        super().__init__(**kwargs)
        sizes = tuple(integer(size) for size in target_shape)
        if sizes.count(-1) > 1 or any(size in (None, 0) or size < -1 for size in sizes):
            raise ValueError(
                f"`target_shape` takes positive sizes and at most one -1. Received: target_shape={target_shape}"
            )
        self.target_shape = sizes

    def call(self, inputs):
        size = math.prod(inputs.shape[1:])
        known = math.prod(each for each in self.target_shape if each != -1)
        shape = tuple(size // known if each == -1 else each for each in self.target_shape)
        check_axes(shape, f"Layer {self.name!r}")
        if math.prod(shape) != size:
            raise ValueError(
                f"Layer {self.name!r} cannot give a sample of shape {inputs.shape[1:]} ({size} values) "
                f"the shape {self.target_shape}."
            )
        return apply("reshape", [inputs], shape=shape or (1,))

    def get_config(self):
        return {**super().get_config(), "target_shape": self.target_shape}


class Identity(Layer):
    """Its input, unchanged."""

    def call(self, inputs):
        return inputs


class Permute(Layer):
    """The axes of a sample in another order.

    Parameters
    ----------
    dims : tuple of int
        For each axis of the output the input's, counted from 1: the batch, 0, stays where it is. ``(2, 1)`` swaps two.
    """

    def __init__(self, dims, **kwargs):
        super().__init__(**kwargs)
        sizes = tuple(integer(each) for each in dims) if isinstance(dims, (tuple, list)) else ()
        if not sizes or None in sizes or sorted(sizes) != list(range(1, len(sizes) + 1)):
            raise ValueError(
                "Invalid permutation argument `dims` for Permute Layer. The set of indices in `dims` must be "
                f"consecutive and start from 1. Received dims={dims!r}"
            )
        self.dims = sizes

    def call(self, inputs):
        if len(self.dims) != inputs.ndim - 1:
            raise ValueError(
                f"Layer {self.name!r}: dims={self.dims} are for samples of {len(self.dims)} axes. Received an input of "
                f"shape {inputs.shape}."
            )
        return ops.transpose(inputs, (0, *self.dims))

    def get_config(self):
        return {**super().get_config(), "dims": self.dims}


class RepeatVector(Layer):
    """A vector, `n` times: ``(batch, features)`` becomes ``(batch, n, features)``.

    Parameters
    ----------
    n : int
    """

    def __init__(self, n, **kwargs):
        super().__init__(**kwargs)
        if integer(n) is None:
            raise TypeError(f"Expected an integer value for `n`, got {type(n)}.")
        self.n = count(n, "n")

    def call(self, inputs):
        if inputs.ndim != 2:
            raise ValueError(
                f"Layer {self.name!r} repeats vectors: inputs of shape (batch, features). Received an input of shape "
                f"{inputs.shape}."
            )
        return ops.repeat(ops.expand_dims(inputs, 1), self.n, axis=1)

    def get_config(self):
        return {**super().get_config(), "n": self.n}


def at_least_0(value):
    return 0 <= value < math.inf


def check_axes(shape, layer):
    """Refuse samples of more axes than the engine reads."""
    if len(shape) >= MAX_AXES:
        raise ValueError(f"{layer}: a sample has at most {MAX_AXES - 1} axes. Received: shape={shape}")


def refuse_unsupported(layer, **options):
    """Options of Keras that the engine does not have yet must not be taken silently."""
    for name, value in options.items():
        if value is not None:
            raise ValueError(f"{type(layer).__name__}: `{name}` is not supported yet. Received: {name}={value!r}")
