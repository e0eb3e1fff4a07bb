"""Normalisation of each sample by its own statistics: the same in training and inference."""

import math

import numpy as np

from fastnn import constraints, initializers, ops, regularizers
from fastnn.layers.base import Layer
from fastnn.operations import apply
from fastnn.training.arguments import count, flag, integer, number


def sorted_axes(layer, axis, ndim):
    """Axes of an input of `ndim` axes as positive numbers in ascending order; the batch's is refused."""
    axes = sorted((integer(each) + ndim) % ndim if -ndim <= each < ndim else 0 for each in axis)
    if not axes or axes[0] == 0 or len(set(axes)) < len(axes):
        raise ValueError(
            f"Layer {layer.name!r}: `axis` must name different axes of a sample, 1 to {ndim - 1} or negative for an "
            f"input of {ndim} axes. Received: axis={list(axis)}"
        )
    return axes


def as_axes(layer, axis):
    """An `axis` argument as a list of integers."""
    axes = list(axis) if isinstance(axis, (list, tuple)) else [axis]
    if any(integer(each) is None for each in axes):
        raise TypeError(
            f"Expected an int or a list/tuple of ints for the argument 'axis' of {type(layer).__name__}. "
            f"Received: {axis!r}"
        )
    return axes


def with_axes_last(inputs, axes, function):
    """Apply `function` to a tensor whose `axes` are together its last one; the result has the input's shape."""
    others = [axis for axis in range(1, inputs.ndim) if axis not in axes]
    order = [0, *others, *axes]
    moved = ops.transpose(inputs, order)
    joined = moved
    if len(axes) > 1:
        size = math.prod(inputs.shape[axis] for axis in axes)
        joined = apply("reshape", [moved], shape=(*moved.shape[1 : 1 + len(others)], size))
    result = function(joined)
    if joined is not moved:
        result = apply("reshape", [result], shape=moved.shape[1:])
    return ops.transpose(result, [int(place) for place in np.argsort(order)])


class GammaAndBeta:
    """What normalising layers with a trained scale and shift share: their arguments, weights and configuration."""

    gamma = beta = None

    def _scale_and_centre(
        self,
        center,
        scale,
        beta_initializer,
        gamma_initializer,
        beta_regularizer,
        gamma_regularizer,
        beta_constraint,
        gamma_constraint,
    ):
        self.center = flag(center, "center")
        self.scale = flag(scale, "scale")
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)
        self.beta_constraint = constraints.get(beta_constraint)
        self.gamma_constraint = constraints.get(gamma_constraint)

    def _add_gamma(self, shape):
        self.gamma = self.add_weight(
            shape,
            self.gamma_initializer,
            name="gamma",
            regularizer=self.gamma_regularizer,
            constraint=self.gamma_constraint,
            layout="flat",
        )

    def _add_beta(self, shape):
        self.beta = self.add_weight(
            shape,
            self.beta_initializer,
            name="beta",
            regularizer=self.beta_regularizer,
            constraint=self.beta_constraint,
            layout="flat",
        )

    def _scaling_config(self):
        return {
            "center": self.center,
            "scale": self.scale,
            "beta_initializer": initializers.serialize(self.beta_initializer),
            "gamma_initializer": initializers.serialize(self.gamma_initializer),
            "beta_regularizer": regularizers.serialize(self.beta_regularizer),
            "gamma_regularizer": regularizers.serialize(self.gamma_regularizer),
            "beta_constraint": constraints.serialize(self.beta_constraint),
            "gamma_constraint": constraints.serialize(self.gamma_constraint),
        }


class _RowNormalization(Layer):
    def __init__(self, axis, epsilon, **kwargs):
        super().__init__(**kwargs)
        self.axis = axis if isinstance(axis, int) else as_axes(self, axis)
        as_axes(self, axis)
        self.epsilon = number(self, "epsilon", epsilon, "a positive number", lambda value: 0 < value < math.inf)
        self._shape = None

    def _sizes(self, input_shape):
        axes = sorted_axes(self, as_axes(self, self.axis), len(input_shape))
        self._shape = tuple(input_shape[axis] for axis in axes)
        return self._shape

    def _normalised(self, inputs, kind, gamma=None, beta=None):
        axes = sorted_axes(self, as_axes(self, self.axis), inputs.ndim)
        if tuple(inputs.shape[axis] for axis in axes) != self._shape:
            raise ValueError(
                f"Layer {self.name!r} was built for {self._shape} values along axis {self.axis}. "
                f"Received an input of shape {inputs.shape}."
            )
        variables = {"gamma": gamma, "beta": beta}
        return with_axes_last(
            inputs, axes, lambda tensor: apply("rownorm", [tensor], variables, kind=kind, epsilon=self.epsilon)
        )

    def get_config(self):
        return {**super().get_config(), "axis": self.axis, "epsilon": self.epsilon}


class LayerNormalization(GammaAndBeta, _RowNormalization):
    """``gamma * (x - mean) / sqrt(variance + epsilon) + beta`` with each sample's own mean and variance.

    Ba, Kiros and Hinton, Layer normalization, 2016.

    Parameters
    ----------
    axis : int or list of int, default -1
        Axes over which mean and variance are taken; `gamma` and `beta` have their shape.
    epsilon : float, default 1e-3
    center, scale : bool, default True
        Have `beta`, have `gamma`.
    beta_initializer, gamma_initializer
        As in Keras.
    beta_regularizer, gamma_regularizer : str or Regularizer, optional
    beta_constraint, gamma_constraint : str or Constraint, optional
    rms_scaling : bool, default False
        Keras's deprecated option, computed as there: ``gamma * x / sqrt(variance + epsilon)``. `RMSNormalization` is
        what its name promises.
    """

    def __init__(
        self,
        axis=-1,
        epsilon=1e-3,
        center=True,
        scale=True,
        beta_initializer="zeros",
        gamma_initializer="ones",
        beta_regularizer=None,
        gamma_regularizer=None,
        beta_constraint=None,
        gamma_constraint=None,
        rms_scaling=False,
        **kwargs,
    ):
        super().__init__(axis, epsilon, **kwargs)
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
        self.rms_scaling = flag(rms_scaling, "rms_scaling")

    def build(self, input_shape):
        shape = self._sizes(input_shape)
        if self.scale or self.rms_scaling:
            self._add_gamma(shape)
        if self.center and not self.rms_scaling:
            self._add_beta(shape)

    def call(self, inputs):
        return self._normalised(inputs, "variance" if self.rms_scaling else "layer", self.gamma, self.beta)

    def get_config(self):
        return {
            **super().get_config(),
            **self._scaling_config(),
            "rms_scaling": self.rms_scaling,
        }


class RMSNormalization(_RowNormalization):
    """``scale * x / sqrt(mean(x^2) + epsilon)`` (Zhang and Sennrich, NeurIPS 2019).

    Parameters
    ----------
    axis : int or list of int, default -1
    epsilon : float, default 1e-6
    """

    def __init__(self, axis=-1, epsilon=1e-6, **kwargs):
        super().__init__(axis, epsilon, **kwargs)
        self.scale = None

    def build(self, input_shape):
        self.scale = self.add_weight(self._sizes(input_shape), "ones", name="scale", layout="flat")

    def call(self, inputs):
        return self._normalised(inputs, "rms", self.scale)


class UnitNormalization(_RowNormalization):
    """``x / max(norm, 1e-12)`` with the Euclidean norm over an axis, or several.

    Parameters
    ----------
    axis : int or list of int, default -1
    """

    def __init__(self, axis=-1, **kwargs):
        super().__init__(axis, 1e-24, **kwargs)  # of the squared norm

    def build(self, input_shape):
        self._sizes(input_shape)

    def call(self, inputs):
        return self._normalised(inputs, "unit")

    def get_config(self):
        config = super().get_config()
        del config["epsilon"]
        return config


class GroupNormalization(GammaAndBeta, Layer):
    """Normalises groups of channels of each sample, over all its other axes (Wu and He, ECCV 2018).

    Parameters
    ----------
    groups : int, default 32
        Divides the number of channels; -1: a group for each.
    axis : int, default -1
        The channels'.
    epsilon : float, default 1e-3
    center, scale : bool, default True
        Have `beta`, have `gamma`: one value for each channel.
    beta_initializer, gamma_initializer
        As in Keras.
    beta_regularizer, gamma_regularizer : str or Regularizer, optional
    beta_constraint, gamma_constraint : str or Constraint, optional
    """

    def __init__(
        self,
        groups=32,
        axis=-1,
        epsilon=1e-3,
        center=True,
        scale=True,
        beta_initializer="zeros",
        gamma_initializer="ones",
        beta_regularizer=None,
        gamma_regularizer=None,
        beta_constraint=None,
        gamma_constraint=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
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
        self.groups = groups if groups == -1 else count(groups, "groups")
        if integer(axis) is None:
            raise TypeError(f"GroupNormalization: `axis` must be an integer. Received: axis={axis!r}")
        self.axis = axis
        self.epsilon = number(self, "epsilon", epsilon, "a positive number", lambda value: 0 < value < math.inf)
        self._channels = None

    def build(self, input_shape):
        (axis,) = sorted_axes(self, [self.axis], len(input_shape))
        self._channels = size = input_shape[axis]
        if self.groups == -1:
            self.groups = size
        if size % self.groups:
            raise ValueError(
                f"Layer {self.name!r}: the number of channels must be a multiple of the number of groups, "
                f"{self.groups}. Received {size} channels, an input of shape {input_shape}."
            )
        if self.scale:
            self._add_gamma((size,))
        if self.center:
            self._add_beta((size,))

    def call(self, inputs):
        (axis,) = sorted_axes(self, [self.axis], inputs.ndim)
        if inputs.shape[axis] != self._channels:
            raise ValueError(
                f"Layer {self.name!r} was built for {self._channels} channels. "
                f"Received an input of shape {inputs.shape}."
            )
        return with_axes_last(inputs, [axis], self._grouped)

    def _grouped(self, inputs):
        """Of a tensor whose channels are the last axis."""
        shape, groups = inputs.shape[1:], self.groups
        rows, size = math.prod(shape[:-1]), shape[-1] // groups
        split = apply("reshape", [inputs], shape=(rows, groups, size))
        joined = apply("reshape", [ops.transpose(split, (0, 2, 1, 3))], shape=(groups, rows * size))
        result = apply("rownorm", [joined], {"gamma": None, "beta": None}, kind="layer", epsilon=self.epsilon)
        result = ops.transpose(apply("reshape", [result], shape=(groups, rows, size)), (0, 2, 1, 3))
        result = apply("reshape", [result], shape=shape)
        if self.gamma is None and self.beta is None:
            return result
        return apply("scale_shift", [result], {"gamma": self.gamma, "beta": self.beta})

    def get_config(self):
        return {
            **super().get_config(),
            "groups": self.groups,
            "axis": self.axis,
            "epsilon": self.epsilon,
            **self._scaling_config(),
        }
