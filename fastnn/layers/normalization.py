"""BatchNormalization, and the scaling of inputs: Normalization, Rescaling."""

import math

import numpy as np

from fastnn import initializers
from fastnn.layers.base import Layer
from fastnn.layers.row_normalization import GammaAndBeta, as_axes, sorted_axes, with_axes_last
from fastnn.operations import apply
from fastnn.training.arguments import flag, integer, number
from fastnn.variables import Variable


class BatchNormalization(GammaAndBeta, Layer):
    """Normalises each feature by the batch's mean and variance in training, by their moving averages otherwise.

    ``gamma * (x - mean) / sqrt(variance + epsilon) + beta`` over the last axis (Ioffe and Szegedy, 2015);
    ``moving = moving * momentum + of_batch * (1 - momentum)``. With ``trainable = False`` it always uses the moving
    averages, as in Keras.

    Parameters
    ----------
    axis : int or list of int, default -1
        The features' axes; statistics are taken over all others. Weights have the shape of those axes, in ascending
        order. (Keras 3 takes one axis only; a list means what it did in Keras 2.)
    momentum : float, default 0.99
    epsilon : float, default 1e-3
    center, scale : bool, default True
        Have `beta`, have `gamma`.
    beta_initializer, gamma_initializer, moving_mean_initializer, moving_variance_initializer
        As in Keras.
    beta_regularizer, gamma_regularizer : str or Regularizer, optional
    beta_constraint, gamma_constraint : str or Constraint, optional
    synchronized : False
        There is one device.
    """

    def __init__(
        self,
        axis=-1,
        momentum=0.99,
        epsilon=1e-3,
        center=True,
        scale=True,
        beta_initializer="zeros",
        gamma_initializer="ones",
        moving_mean_initializer="zeros",
        moving_variance_initializer="ones",
        beta_regularizer=None,
        gamma_regularizer=None,
        beta_constraint=None,
        gamma_constraint=None,
        synchronized=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if synchronized:
            raise ValueError(
                "BatchNormalization: `synchronized=True` takes statistics over the devices of a distributed model, and "
                f"there is one device here: leave it out. Received: synchronized={synchronized!r}"
            )
        self.axis = as_axes(self, axis) if isinstance(axis, (list, tuple)) else as_axes(self, axis)[0]
        self.momentum = number(self, "momentum", momentum, "a number in [0, 1]", lambda value: 0 <= value <= 1)
        self.epsilon = number(self, "epsilon", epsilon, "a positive number", lambda value: 0 < value < math.inf)
        self._scale_and_centre(
            center,
            scale,
            beta_initializer,
            gamma_initializer,
            beta_regularizer,
            gamma_regularizer,
            beta_constraint,
            gamma_constraint,
        )
        self.moving_mean_initializer = initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = initializers.get(moving_variance_initializer)
        self.moving_mean = self.moving_variance = None

    def build(self, input_shape):
        shape = tuple(input_shape[axis] for axis in self._axes(len(input_shape)))
        if self.scale:
            self._add_gamma(shape)
        if self.center:
            self._add_beta(shape)
        self.moving_mean = self.add_weight(
            shape, self.moving_mean_initializer, name="moving_mean", trainable=False, layout="flat"
        )
        self.moving_variance = self.add_weight(
            shape, self.moving_variance_initializer, name="moving_variance", trainable=False, layout="flat"
        )

    def _axes(self, ndim):
        """The features' axes, in ascending order."""
        return sorted_axes(self, as_axes(self, self.axis), ndim)

    def call(self, inputs, training=None):
        axes, shape = self._axes(inputs.ndim), self.moving_mean.shape
        if tuple(inputs.shape[axis] for axis in axes) != shape:
            features = (
                f"{shape[0]} features" if len(shape) == 1 else f"features of shape {shape} along axis {self.axis}"
            )
            raise ValueError(
                f"Layer {self.name!r} was built for {features}. Received an input of shape {inputs.shape}."
            )
        variables = {
            "gamma": self.gamma,
            "beta": self.beta,
            "moving_mean": self.moving_mean,
            "moving_variance": self.moving_variance,
        }
        settings = dict(momentum=self.momentum, epsilon=self.epsilon, training=training)
        return with_axes_last(inputs, axes, lambda tensor: apply("batchnorm", [tensor], variables, **settings))

    def get_config(self):
        return {
            **super().get_config(),
            "axis": self.axis,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            **self._scaling_config(),
            "moving_mean_initializer": initializers.serialize(self.moving_mean_initializer),
            "moving_variance_initializer": initializers.serialize(self.moving_variance_initializer),
            "synchronized": False,
        }


class Normalization(Layer):
    """``(x - mean) / sqrt(variance)`` with statistics of the data, from `adapt` or given.

    An array of one axis has as many samples of one feature. (In Keras, without ``axis=None``, it is one sample: `adapt`
    finds no variance.)

    Parameters
    ----------
    axis : int, tuple of int or None, default -1
        Axes along which every place has statistics of its own: the last one, any others of a sample, or none (None).
    mean, variance : float or array_like, optional
        Given both, `adapt` is not needed. One number, or of the shape of those axes.
    invert : bool, default False
        ``x * sqrt(variance) + mean`` instead.
    """

    _takes_columns = True

    def __init__(self, axis=-1, mean=None, variance=None, invert=False, **kwargs):
        super().__init__(**kwargs)
        if (mean is None) != (variance is None):
            raise ValueError(
                "When setting values directly, both `mean` and `variance` must be set. "
                f"Received: mean={mean} and variance={variance}"
            )
        self.axis = axis if axis is None or integer(axis) is not None else tuple(axis)
        if self.axis == 0 or (isinstance(self.axis, tuple) and 0 in self.axis):
            raise ValueError(
                "Normalization: axis 0 is the batch, whose size is not known; name axes of a sample, from 1 on or "
                f"negative. Received: axis={axis}"
            )
        self.invert = flag(invert, "invert")
        if mean is not None:
            _numbers(mean, "mean", self.name)
            _numbers(variance, "variance", self.name)
        self.input_mean, self.input_variance = mean, variance
        self.mean = self.variance = self.count = None
        self._scale = self._shift = None

    def _axes(self, ndim):
        """The axes that `axis` names, in ascending order."""
        if self.axis is None or self.axis == ():
            return []
        return sorted_axes(self, self.axis if isinstance(self.axis, tuple) else [self.axis], ndim)

    def build(self, input_shape):
        axes = self._axes(len(input_shape))
        shape = tuple(input_shape[axis] for axis in axes)
        n = math.prod(shape) if axes else input_shape[-1]
        self._scale = Variable(np.ones(n), name="scale", trainable=False)
        self._shift = Variable(np.zeros(n), name="shift", trainable=False)
        if self.input_mean is not None:
            self.mean = _of_shape(self.input_mean, shape, "mean", self.name)
            self.variance = _of_shape(self.input_variance, shape, "variance", self.name)
            if not (self.variance >= 0).all():
                raise ValueError(f"Layer {self.name!r}: a variance is at least 0. Received: {self.input_variance}")
        else:
            self.mean = self.add_weight(shape, "zeros", name="mean", trainable=False)
            self.variance = self.add_weight(shape, "ones", name="variance", trainable=False)
            self.count = self.add_weight((), "zeros", name="count", trainable=False)
            self.mean.on_assign = self.variance.on_assign = self._statistics_changed
        self._statistics_changed()

    def adapt(self, data):
        """Compute mean and variance of the data, in float64, without copying it as a whole.

        Parameters
        ----------
        data : array_like, shape (samples, ..., features)
        """
        from fastnn.training.data import as_array, check_lengths

        if self.input_mean is not None:
            raise ValueError(
                "Cannot `adapt` a Normalization layer that is initialized with static `mean` and `variance`."
            )
        what = f"The data of {self.name!r}.adapt"
        data = as_array(data, what)
        check_lengths(**{what: data})
        if data.ndim == 1:
            data = data[:, np.newaxis]
        self._build_for((None, *data.shape[1:]))
        axes = self._axes(data.ndim)
        if tuple(data.shape[axis] for axis in axes) != self.mean.shape:
            raise ValueError(
                f"Layer {self.name!r} was built for {self._features()}. Received data of shape {data.shape}."
            )
        count, mean, spread = 0, 0.0, 0.0
        rows = max(1, 2**20 // max(1, data[0].size))
        for start in range(0, len(data), rows):  # Chan, Golub and LeVeque's pairwise update: no cancellation
            chunk = np.asarray(data[start : start + rows], np.float64)
            last = range(chunk.ndim - len(axes), chunk.ndim)
            chunk = np.moveaxis(chunk, axes, last).reshape(-1, math.prod(self.mean.shape))
            delta = chunk.mean(axis=0) - mean
            total = count + len(chunk)
            spread = spread + ((chunk - chunk.mean(axis=0)) ** 2).sum(axis=0) + delta**2 * count * len(chunk) / total
            mean = mean + delta * len(chunk) / total
            count = total
        shape = self.mean.shape
        self.mean.assign(np.reshape(mean, shape))
        self.variance.assign(np.reshape(spread / count, shape))
        self.count.assign(count)

    def _statistics_changed(self):
        """scale and shift are what the kernel multiplies with and adds."""
        n = self._scale.shape
        mean = np.broadcast_to(np.asarray(self.mean, np.float64).reshape(-1), n)
        # Keras's guard for features that do not vary
        spread = np.broadcast_to(np.asarray(self.variance, np.float64).reshape(-1), n)
        deviation = np.maximum(np.sqrt(spread), 1e-7)
        if self.invert:
            self._scale.assign(deviation)
            self._shift.assign(mean)
        else:
            self._scale.assign(1 / deviation)
            self._shift.assign(-mean / deviation)

    def _features(self):
        shape = self.mean.shape
        return f"{shape[0]} features" if len(shape) == 1 else f"places of shape {shape} along axis {self.axis}"

    def call(self, inputs):
        axes = self._axes(inputs.ndim)
        if tuple(inputs.shape[axis] for axis in axes) != np.shape(self.mean):
            raise ValueError(
                f"Layer {self.name!r} was built for {self._features()}. Received an input of shape {inputs.shape}."
            )
        variables = {"scale": self._scale, "shift": self._shift}
        if not axes:
            return apply("affine", [inputs], variables)
        return with_axes_last(inputs, axes, lambda tensor: apply("affine", [tensor], variables))

    def save_own_variables(self, store):
        super().save_own_variables(store)
        if "2" in store:
            store["2"] = store["2"].astype(np.int32)  # as Keras counts

    def get_config(self):
        return {
            **super().get_config(),
            "axis": () if self.axis is None else self.axis if isinstance(self.axis, tuple) else (self.axis,),
            "invert": self.invert,
            "mean": _as_list(self.input_mean),
            "variance": _as_list(self.input_variance),
        }


class Rescaling(Layer):
    """``x * scale + offset``; both numbers, or one for each feature.

    Parameters
    ----------
    scale, offset : float or array_like
    """

    _takes_columns = True

    def __init__(self, scale, offset=0.0, **kwargs):
        super().__init__(**kwargs)
        _numbers(scale, "scale", self.name)
        _numbers(offset, "offset", self.name)
        self.scale = scale
        self.offset = offset
        self._scale = self._shift = None

    def build(self, input_shape):
        n = input_shape[-1]
        self._scale = Variable(_per_feature(self.scale, n, "scale", self.name), name="scale", trainable=False)
        self._shift = Variable(_per_feature(self.offset, n, "offset", self.name), name="shift", trainable=False)

    def call(self, inputs):
        return apply("affine", [inputs], {"scale": self._scale, "shift": self._shift})

    def get_config(self):
        return {**super().get_config(), "scale": _as_list(self.scale), "offset": _as_list(self.offset)}


def _as_list(value):
    """Numbers as JSON can hold them."""
    return value if value is None or isinstance(value, (int, float)) else np.asarray(value).tolist()


def _numbers(value, what, layer):
    """One number or several as a float32 vector."""
    try:
        array = np.asarray(value)
    except ValueError:  # rows of different lengths
        array = np.empty(0, object)
    if array.dtype.kind not in "iuf" or not np.isfinite(array).all():
        raise ValueError(
            f"Layer {layer!r}: `{what}` must be one finite number or one for each feature. Received: {what}={value!r}"
        )
    return array.astype(np.float32).reshape(-1)


def _of_shape(value, shape, what, layer):
    flat = _numbers(value, what, layer)
    try:
        return np.broadcast_to(flat.reshape(np.shape(value)), shape).copy()
    except ValueError:
        if flat.size == math.prod(shape):
            return flat.reshape(shape)
        raise ValueError(
            f"Layer {layer!r}: `{what}` must be one number, or of the shape {shape} of the axes that have statistics. "
            f"Received the shape {np.shape(value)}."
        ) from None


def _per_feature(value, n, what, layer):
    value = _numbers(value, what, layer)
    if value.size not in (1, n):
        raise ValueError(
            f"Layer {layer!r}: `{what}` must be one number or one for each of {n} features. "
            f"Received {value.size} numbers."
        )
    return np.broadcast_to(value, n).copy()
