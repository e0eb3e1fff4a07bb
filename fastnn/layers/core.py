"""Dense, activations, and layers that only change a shape."""

import math

from fastnn import activations, initializers
from fastnn.graph import Tensor
from fastnn.layers.base import Layer
from fastnn.operations import apply
from fastnn.training.arguments import count, flag, integer, number
from fastnn.training.data import MAX_AXES


class InputLayer(Layer):
    """The input of a model.

    Parameters
    ----------
    shape : tuple of int
        Shape of one sample, without the batch axis.
    batch_size : int, optional
        Accepted for compatibility; any batch fits.
    dtype : str, optional
        The engine converts whatever comes to float32, batch by batch.
    sparse, ragged, input_tensor : None
        Not supported yet.
    batch_shape : tuple, optional
        Instead of `shape`: ``(None, *shape)``.
    optional : False
        Not supported yet.
    name : str, optional
    """

    def __init__(
        self,
        shape=None,
        batch_size=None,
        dtype=None,
        sparse=None,
        ragged=None,
        batch_shape=None,
        input_tensor=None,
        optional=False,
        name=None,
    ):
        super().__init__(name=name)
        refuse_unsupported(
            self,
            sparse=sparse or None,
            ragged=ragged or None,
            input_tensor=input_tensor,
            optional=optional or None,
        )
        if batch_shape is not None:
            if shape is not None or batch_size is not None:
                raise ValueError(
                    "You cannot pass both `batch_shape` and `shape` or `batch_size`. "
                    f"Received: batch_shape={batch_shape!r}, shape={shape!r}, batch_size={batch_size!r}"
                )
            shape = _without_batch(batch_shape)
        if not isinstance(shape, (tuple, list)):
            raise ValueError(f"`shape` must be a tuple such as (784,). Received: shape={shape!r}")
        sizes = tuple(integer(size) for size in shape)
        if any(size is None or size < 1 for size in sizes):
            raise ValueError(f"Every axis of a sample must have a known, positive size. Received: shape={shape}")
        check_axes(shape, "Input")
        if not shape:
            raise ValueError("A sample needs at least one axis: use shape=(1,) for single numbers. Received: shape=()")
        self.shape = shape = sizes
        self.batch_size = None if batch_size is None else count(batch_size, "batch_size")
        self.output = Tensor((None, *shape), name=self.name)
        self.built = True

    def call(self, inputs):
        return inputs


def Input(
    shape=None,
    batch_size=None,
    dtype=None,
    sparse=None,
    ragged=None,
    batch_shape=None,
    name=None,
    tensor=None,
    optional=False,
):
    """A symbolic tensor to build a model from; see `InputLayer`. `tensor` is its `input_tensor`."""
    return InputLayer(shape, batch_size, dtype, sparse, ragged, batch_shape, tensor, optional, name).output


def _without_batch(batch_shape):
    """The shape of one sample in a shape that begins with the batch axis."""
    if not isinstance(batch_shape, (tuple, list)) or not batch_shape:
        raise ValueError(f"`batch_shape` must be a tuple such as (None, 784). Received: batch_shape={batch_shape!r}")
    if batch_shape[0] is not None:
        raise ValueError(
            "`batch_shape` must begin with None: batches of any size fit, none is fixed. Say how many samples make a "
            f"batch in fit(batch_size=...). Received: batch_shape={batch_shape!r}"
        )
    return tuple(batch_shape[1:])


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
    kernel_regularizer, bias_regularizer, activity_regularizer, kernel_constraint, bias_constraint : None
        Not supported yet.
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
        super().__init__(**kwargs)
        size = integer(units)
        if size is None or size < 1:
            raise ValueError(
                f"Received an invalid value for `units`, expected a positive integer. Received: units={units!r}"
            )
        refuse_unsupported(
            self,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
        )
        self.units = size
        self.activation = activations.get(activation)
        self.use_bias = flag(use_bias, "use_bias")
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel = self.bias = None

    def build(self, input_shape):
        self.kernel = self.add_weight((input_shape[-1], self.units), self.kernel_initializer, "kernel", layout="panels")
        if self.use_bias:
            self.bias = self.add_weight((self.units,), self.bias_initializer, "bias")

    def call(self, inputs):
        if inputs.features != self.kernel.shape[0]:
            raise ValueError(
                f"Layer {self.name!r} was built for inputs whose last axis is {self.kernel.shape[0]}. "
                f"Received an input of shape {inputs.shape}."
            )
        return self.activation(apply("dense", [inputs], {"kernel": self.kernel, "bias": self.bias}))


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
    """

    def __init__(self, function, output_shape=None, mask=None, arguments=None, **kwargs):
        super().__init__(**kwargs)
        if not callable(function):
            raise TypeError(f"Lambda takes a function. Received: {function!r}")
        self.function = function
        self.arguments = dict(arguments or {})

    def call(self, inputs):
        return self.function(inputs, **self.arguments)


class ReLU(Layer):
    """``max(x, 0)``; ``negative_slope * (x - threshold)`` below `threshold`, at most `max_value`."""

    def __init__(self, max_value=None, negative_slope=0.0, threshold=0.0, **kwargs):
        super().__init__(**kwargs)
        self.max_value = max_value
        if max_value is not None:
            self.max_value = number(self, "max_value", max_value, "a number of at least 0", at_least_0)
        self.negative_slope = number(self, "negative_slope", negative_slope, "a number of at least 0", at_least_0)
        self.threshold = number(self, "threshold", threshold, "a number of at least 0", at_least_0)

    def call(self, inputs):
        return activations.relu(inputs, self.negative_slope, self.max_value, self.threshold)


class LeakyReLU(Layer):
    """``x`` above zero, ``negative_slope * x`` below. `alpha` is its older name."""

    def __init__(self, negative_slope=0.3, alpha=None, **kwargs):
        super().__init__(**kwargs)
        negative_slope = negative_slope if alpha is None else alpha
        self.negative_slope = number(self, "negative_slope", negative_slope, "a number of at least 0", at_least_0)

    def call(self, inputs):
        return activations.leaky_relu(inputs, self.negative_slope)


class ELU(Layer):
    """``x`` above zero, ``alpha * (exp(x) - 1)`` below; `alpha` at least 0."""

    def __init__(self, alpha=1.0, **kwargs):
        super().__init__(**kwargs)
        self.alpha = number(self, "alpha", alpha, "a number of at least 0", at_least_0)

    def call(self, inputs):
        return activations.elu(inputs, self.alpha)


class Softmax(Layer):
    """Softmax over an axis, or some; by default the last."""

    def __init__(self, axis=-1, **kwargs):
        super().__init__(**kwargs)
        self.axis = axis

    def call(self, inputs):
        return activations.softmax(inputs, self.axis)


class Flatten(Layer):
    """All values of a sample on one axis."""

    def __init__(self, data_format=None, **kwargs):
        super().__init__(**kwargs)

    def call(self, inputs):
        return apply("reshape", [inputs], shape=(math.prod(inputs.shape[1:]),))


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
