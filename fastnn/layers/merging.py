"""Layers that make one tensor of several: sums, products, concatenation."""

import math

from fastnn import ops
from fastnn.layers.base import Layer
from fastnn.layers.core import check_axes
from fastnn.operations import apply
from fastnn.training.arguments import flag, integer


class _Elementwise(Layer):
    """Merges tensors value by value. Axes of size 1 repeat to fit the others, and missing ones are added in front of
    the sample's, as in Keras."""

    _function = staticmethod(ops.add)

    def build(self, input_shape):
        _check_several(self, input_shape, least=1)

    def call(self, inputs):
        shape = _common_shape(self, [each.shape for each in inputs])
        merged, *others = (_with_axes(each, len(shape)) for each in inputs)
        for each in others:
            merged = self._function(merged, each)
        return merged


class Add(_Elementwise):
    """The sum of a list of tensors.

    Tensors of shapes ``(batch, ...)`` that agree, or of which axes are 1. The result has their common shape. Examples::

        layers.Add()([x, layers.Dense(x.shape[-1])(x)])

    Raises
    ------
    ValueError
        If shapes do not fit, or it is called on something else than a list.
    """


class Subtract(_Elementwise):
    """The difference of two tensors; shapes as for `Add`.

    Raises
    ------
    ValueError
        If shapes do not fit, or there are not exactly two inputs.
    """

    _function = staticmethod(ops.subtract)

    def build(self, input_shape):
        super().build(input_shape)
        if len(input_shape) != 2:
            raise ValueError(
                f"A Subtract layer should be called on exactly 2 inputs. Layer {self.name!r} received {input_shape}."
            )


class Multiply(_Elementwise):
    """The product of a list of tensors, value by value; shapes as for `Add`."""

    _function = staticmethod(ops.multiply)


class Average(_Elementwise):
    """The mean of a list of tensors; shapes as for `Add`."""

    def call(self, inputs):
        return super().call(inputs) * (1 / len(inputs))


class Maximum(_Elementwise):
    """The greatest of the values of a list of tensors; shapes as for `Add`. NaN where one of them is."""

    _function = staticmethod(ops.maximum)


class Minimum(_Elementwise):
    """The smallest of the values of a list of tensors; shapes as for `Add`. NaN where one of them is."""

    _function = staticmethod(ops.minimum)


class Concatenate(Layer):
    """Tensors one after the other along an axis.

    Parameters
    ----------
    axis : int, default -1
        Any but the batch's, 0. The other axes must agree.

    Raises
    ------
    ValueError
        If shapes do not fit.
    """

    def __init__(self, axis=-1, **kwargs):
        super().__init__(**kwargs)
        if integer(axis) is None:
            raise ValueError(f"Concatenate: `axis` must be an integer. Received: axis={axis!r}")
        self.axis = integer(axis)

    def build(self, input_shape):
        _check_several(self, input_shape, least=1)

    def call(self, inputs):
        shapes = [each.shape for each in inputs]
        axis = _axis(self, self.axis, shapes[0])
        others = {(*shape[:axis], *shape[axis + 1 :]) for shape in shapes}
        if len(others) > 1 or len({len(shape) for shape in shapes}) > 1:
            raise ValueError(
                f"Layer {self.name!r}: a Concatenate layer requires inputs with matching shapes except for the "
                f"concatenation axis, {self.axis}. Received: {shapes}"
            )
        return ops.concatenate(inputs, axis) if len(inputs) > 1 else inputs[0]

    def get_config(self):
        return {**super().get_config(), "axis": self.axis}


class Dot(Layer):
    """Products of two tensors over one axis of each, sample by sample.

    For samples of shapes ``(i, k)`` and ``(k, j)``, ``Dot(axes=(2, 1))`` gives ``(i, j)``; two vectors give one number,
    of shape ``(batch, 1)``.

    Parameters
    ----------
    axes : int or tuple of 2 int
        The axis of each to sum over; the batch is axis 0 and cannot be one.
    normalize : bool, default False
        Divide both by their Euclidean norms along that axis first: the result is the cosine of an angle.

    Raises
    ------
    ValueError
        If the axes do not exist or differ in size, or there are not exactly two inputs.
    """

    def __init__(self, axes, normalize=False, **kwargs):
        super().__init__(**kwargs)
        pair = [axes, axes] if integer(axes) is not None else list(axes) if isinstance(axes, (tuple, list)) else []
        if len(pair) != 2 or any(integer(axis) is None for axis in pair):
            raise ValueError(f"Dot: `axes` must be an integer or a pair of them. Received: axes={axes!r}")
        self.axes = axes
        self._pair = [integer(axis) for axis in pair]
        self.normalize = flag(normalize, "normalize")

    def build(self, input_shape):
        _check_several(self, input_shape, least=2)
        if len(input_shape) != 2:
            raise ValueError(
                f"A Dot layer should be called on exactly 2 inputs. Layer {self.name!r} received {input_shape}."
            )

    def call(self, inputs):
        axes = [_axis(self, axis, each.shape) for axis, each in zip(self._pair, inputs, strict=True)]
        sizes = [each.shape[axis] for axis, each in zip(axes, inputs, strict=True)]
        if sizes[0] != sizes[1]:
            raise ValueError(
                f"Layer {self.name!r}: dimension incompatibility. Inputs of shapes {[each.shape for each in inputs]} "
                f"have sizes {sizes} along axes {self.axes}."
            )
        second_turned = axes[1] != 1 or inputs[1].ndim == 2 or self.normalize
        rows, shape = [], []
        for number, (axis, each) in enumerate(zip(axes, inputs, strict=True)):
            rest = [other for other in range(1, each.ndim) if other != axis]
            sizes = [each.shape[other] for other in rest]
            shape += sizes
            if number == 1 and not second_turned:
                rows.append(ops.reshape(each, (-1, each.shape[1], math.prod(sizes))))
                continue
            each = ops.transpose(each, [0, *rest, axis])
            if self.normalize:
                each = apply("rownorm", [each], {"gamma": None, "beta": None}, kind="unit", epsilon=1e-12)
            rows.append(ops.reshape(each, (-1, math.prod(sizes), each.features)))
        check_axes(shape, f"Layer {self.name!r}")
        return ops.reshape(apply("matmul", rows, turned=second_turned), (-1, *(shape or [1])))

    def get_config(self):
        return {**super().get_config(), "axes": self.axes, "normalize": self.normalize}


# ---- functions -------------------------------------------------------------------------------------------------------


def add(inputs, **kwargs):
    """`Add` applied to a list of tensors."""
    return Add(**kwargs)(inputs)


def subtract(inputs, **kwargs):
    """`Subtract` applied to a list of two tensors."""
    return Subtract(**kwargs)(inputs)


def multiply(inputs, **kwargs):
    """`Multiply` applied to a list of tensors."""
    return Multiply(**kwargs)(inputs)


def average(inputs, **kwargs):
    """`Average` applied to a list of tensors."""
    return Average(**kwargs)(inputs)


def maximum(inputs, **kwargs):
    """`Maximum` applied to a list of tensors."""
    return Maximum(**kwargs)(inputs)


def minimum(inputs, **kwargs):
    """`Minimum` applied to a list of tensors."""
    return Minimum(**kwargs)(inputs)


def concatenate(inputs, axis=-1, **kwargs):
    """`Concatenate` applied to a list of tensors."""
    return Concatenate(axis=axis, **kwargs)(inputs)


def dot(inputs, axes=-1, **kwargs):
    """`Dot` applied to a list of two tensors."""
    return Dot(axes=axes, **kwargs)(inputs)


def _check_several(layer, shapes, least):
    several = isinstance(shapes, (list, tuple)) and all(isinstance(shape, (list, tuple)) for shape in shapes)
    if not several or len(shapes) < least:
        raise ValueError(
            f"A merge layer should be called on a list of at least {least} input{'s' * (least > 1)}. Layer "
            f"{layer.name!r} ({type(layer).__name__}) received: {shapes}"
        )


def _common_shape(layer, shapes):
    longest = max(len(shape) for shape in shapes)
    common = [None]
    for axis in range(1, longest):
        sizes = {shape[axis - longest] for shape in shapes if longest - axis < len(shape)} - {1}
        if len(sizes) > 1:
            raise ValueError(f"Layer {layer.name!r}: inputs have incompatible shapes. Received shapes {shapes}")
        common.append(sizes.pop() if sizes else 1)
    return tuple(common)


def _with_axes(tensor, ndim):
    """Axes of size 1 in front of a sample's, as many as are missing."""
    return ops.reshape(tensor, (-1, *[1] * (ndim - tensor.ndim), *tensor.shape[1:])) if tensor.ndim < ndim else tensor


def _axis(layer, axis, shape):
    """An axis counted from the front, the batch being 0."""
    found = axis + len(shape) if axis < 0 else axis
    if not 0 < found < len(shape):
        raise ValueError(
            f"Layer {layer.name!r}: axis {axis} is none of a sample's. Axis 0 is the batch. Received an input of shape "
            f"{shape}."
        )
    return found
