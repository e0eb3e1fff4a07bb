"""Data augmentation inside the training step: random changes of image-shaped samples, and mixup."""

import math

import numpy as np

from fastnn.eager import Array, is_symbolic
from fastnn.layers.categories import one_of
from fastnn.layers.core import refuse_unsupported
from fastnn.layers.regularization import RandomLayer
from fastnn.operations import apply
from fastnn.training.arguments import number

_FLIP, _TRANSLATE, _ROTATE, _ZOOM = range(4)
_CONTRAST, _BRIGHTNESS = range(2)
_FILL_MODES = ("constant", "nearest", "reflect", "wrap")
_INTERPOLATIONS = ("bilinear", "nearest")


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _factor(layer, name, value, least, most, symmetric=True):
    """A factor argument as its lower and upper bound."""
    pair = isinstance(value, (tuple, list)) and len(value) == 2
    values = value if pair else [value]
    if not all(_is_number(each) and least <= each <= most for each in values):
        raise ValueError(
            f"{type(layer).__name__}: `{name}` must be a number, or a list of two, in [{least}, {most}]. "
            f"Received: {name}={value!r}"
        )
    if pair:
        return tuple(float(each) for each in sorted(value))
    return (-abs(float(value)) if symmetric else 0.0, abs(float(value)))


class _Image(RandomLayer):
    def __init__(self, seed=None, data_format=None, **kwargs):
        super().__init__(seed, **kwargs)
        refuse_unsupported(self, data_format=None if data_format in (None, "channels_last") else data_format)

    def _changed(self, inputs, training, operation, dims, scalars):
        shape = inputs.shape[1:]
        if len(shape) not in (2, 3):
            raise ValueError(
                f"Layer {self.name!r} expects samples of shape (height, width) or (height, width, channels). "
                f"Received an input of shape {inputs.shape}; put Reshape before it."
            )
        height, width, channels = shape if len(shape) == 3 else (*shape, 1)
        sizes = dict(h=height, w=width) if operation == "random_warp" else dict(pixels=height * width)
        dims = {**sizes, "c": channels, **dims}
        rows = apply("reshape", [inputs], shape=(math.prod(shape),))
        changed = apply(operation, [rows], dims=dims, scalars=scalars, training=training, seed=self.seed)
        return apply("reshape", [changed], shape=shape)

    def _warped(self, inputs, training, kind, a, b, c=(0.0, 0.0), uniform=False):
        dims = dict(kind=kind, fill=_FILL_MODES.index(self.fill_mode), nearest=self.interpolation == "nearest")
        scalars = dict(a=a, b=b, c_low=c[0], c_high=c[1], fill_value=self.fill_value)
        return self._changed(inputs, training, "random_warp", {**dims, "uniform": uniform}, scalars)


class RandomFlip(_Image):
    """Mirrors every second image, on average, in training.

    Parameters
    ----------
    mode : {"horizontal_and_vertical", "horizontal", "vertical"}
        "horizontal" swaps left and right. Both happen at once, as in Keras.
    seed : int, optional
        See `RandomLayer`.
    data_format : "channels_last"
    """

    fill_mode, interpolation, fill_value = "constant", "nearest", 0.0

    def __init__(self, mode="horizontal_and_vertical", seed=None, data_format=None, **kwargs):
        super().__init__(seed, data_format, **kwargs)
        self.mode = one_of(self, "mode", mode, ("horizontal_and_vertical", "horizontal", "vertical"))

    def call(self, inputs, training=None):
        return self._warped(inputs, training, _FLIP, "horizontal" in self.mode, "vertical" in self.mode)

    def get_config(self):
        return {**super().get_config(), "mode": self.mode, "data_format": "channels_last"}


class _Warp(_Image):
    def __init__(self, fill_mode, interpolation, seed, fill_value, data_format, **kwargs):
        super().__init__(seed, data_format, **kwargs)
        self.fill_mode = one_of(self, "fill_mode", fill_mode, _FILL_MODES)
        self.interpolation = one_of(self, "interpolation", interpolation, _INTERPOLATIONS)
        self.fill_value = number(self, "fill_value", fill_value, "a finite number", math.isfinite)

    def get_config(self):
        return {
            **super().get_config(),
            "fill_mode": self.fill_mode,
            "interpolation": self.interpolation,
            "fill_value": self.fill_value,
            "data_format": "channels_last",
        }


class RandomTranslation(_Warp):
    """Moves each image by random shares of its height and width in training.

    Parameters
    ----------
    height_factor, width_factor : float or list of two
        In [-1, 1]; one number f stands for [-f, f]. Positive: down, to the right.
    fill_mode : {"reflect", "wrap", "constant", "nearest"}
        What is seen beyond the edge, as in `scipy.ndimage`.
    interpolation : {"bilinear", "nearest"}
    seed : int, optional
        See `RandomLayer`.
    fill_value : float, default 0
        For `fill_mode` "constant".
    data_format : "channels_last"
    """

    def __init__(
        self,
        height_factor,
        width_factor,
        fill_mode="reflect",
        interpolation="bilinear",
        seed=None,
        fill_value=0.0,
        data_format=None,
        **kwargs,
    ):
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, **kwargs)
        self.height_factor, self.width_factor = height_factor, width_factor
        self._height = _factor(self, "height_factor", height_factor, -1, 1)
        self._width = _factor(self, "width_factor", width_factor, -1, 1)

    def call(self, inputs, training=None):
        return self._warped(inputs, training, _TRANSLATE, *self._height, self._width)

    def get_config(self):
        return {**super().get_config(), "height_factor": self.height_factor, "width_factor": self.width_factor}


class RandomRotation(_Warp):
    """Turns each image about its centre by a random angle in training.

    Parameters
    ----------
    factor : float or list of two
        In [-1, 1], of a full turn; one number f stands for [-f, f]. Positive: counter-clockwise.
    fill_mode, interpolation, seed, fill_value, data_format
        As for `RandomTranslation`.
    """

    def __init__(
        self,
        factor,
        fill_mode="reflect",
        interpolation="bilinear",
        seed=None,
        fill_value=0.0,
        data_format=None,
        **kwargs,
    ):
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, **kwargs)
        self.factor = _factor(self, "factor", factor, -1, 1)

    def call(self, inputs, training=None):
        return self._warped(inputs, training, _ROTATE, *self.factor)

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


class RandomZoom(_Warp):
    """Enlarges or shrinks each image about its centre in training.

    Parameters
    ----------
    height_factor : float or list of two
        In (-1, 1]; one number f stands for [-f, f]. A place at distance d from the centre is read at ``(1 + factor)
        d``: positive numbers show more of what surrounds the image.
    width_factor : float or list of two, optional
        By default height and width keep their proportion.
    fill_mode, interpolation, seed, fill_value, data_format
        As for `RandomTranslation`.
    """

    def __init__(
        self,
        height_factor,
        width_factor=None,
        fill_mode="reflect",
        interpolation="bilinear",
        seed=None,
        fill_value=0.0,
        data_format=None,
        **kwargs,
    ):
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, **kwargs)
        self.height_factor, self.width_factor = height_factor, width_factor
        least = math.nextafter(-1, 0)
        self._height = _factor(self, "height_factor", height_factor, least, 1)
        self._width = self._height if width_factor is None else _factor(self, "width_factor", width_factor, least, 1)

    def call(self, inputs, training=None):
        return self._warped(inputs, training, _ZOOM, *self._height, self._width, uniform=self.width_factor is None)

    def get_config(self):
        return {**super().get_config(), "height_factor": self.height_factor, "width_factor": self.width_factor}


class _Intensity(_Image):
    def __init__(self, value_range, seed, **kwargs):
        super().__init__(seed, **kwargs)
        pair = isinstance(value_range, (tuple, list)) and len(value_range) == 2 and all(map(_is_number, value_range))
        if not pair or value_range[0] >= value_range[1]:
            raise ValueError(
                f"{type(self).__name__}: `value_range` must be two numbers, the lower one first. "
                f"Received: value_range={value_range!r}"
            )
        self.value_range = tuple(value_range)

    def _adjusted(self, inputs, training, kind, a, b):
        low, high = self.value_range
        return self._changed(inputs, training, "random_intensity", dict(kind=kind), dict(a=a, b=b, low=low, high=high))

    def get_config(self):
        return {**super().get_config(), "factor": self.factor, "value_range": self.value_range}


class RandomContrast(_Intensity):
    """``(x - mean) * f + mean`` with each channel's mean and a random `f` for each image in training, clipped.

    Parameters
    ----------
    factor : float or list of two
        In [0, 1]. [a, b]: f is uniform in [1 - a, 1 + b); one number b stands for [0, b], as Keras 3 computes it.
    value_range : tuple of two, default (0, 255)
        Of the values.
    seed : int, optional
        See `RandomLayer`.
    """

    def __init__(self, factor, value_range=(0, 255), seed=None, **kwargs):
        super().__init__(value_range, seed, **kwargs)
        self.factor = _factor(self, "factor", factor, 0, 1, symmetric=False)

    def call(self, inputs, training=None):
        return self._adjusted(inputs, training, _CONTRAST, 1 - self.factor[0], 1 + self.factor[1])


class RandomBrightness(_Intensity):
    """Adds a random share of the value range to each image in training, clipped.

    Parameters
    ----------
    factor : float or list of two
        In [-1, 1]; one number f stands for [-f, f].
    value_range : tuple of two, default (0, 255)
        Of the values.
    seed : int, optional
        See `RandomLayer`.
    """

    def __init__(self, factor, value_range=(0, 255), seed=None, **kwargs):
        super().__init__(value_range, seed, **kwargs)
        self.factor = _factor(self, "factor", factor, -1, 1)

    def call(self, inputs, training=None):
        return self._adjusted(inputs, training, _BRIGHTNESS, *self.factor)


class MixUp(RandomLayer):
    """Trains on mixtures of two samples, ``lambda x_i + (1 - lambda) x_j``, and of their targets with that `lambda`.

    `lambda` is drawn from Beta(alpha, alpha) for each sample; j is another sample of the batch, at the same random
    distance from i for all of them. Put it first in the model: `fit` then mixes the targets, which must be numbers or
    one-hot rows, and what metrics see. Sample weights stay those of sample i. Called on an array, it mixes that alone.
    Zhang, Cisse, Dauphin and Lopez-Paz, mixup: Beyond empirical risk minimization, ICLR 2018.

    Parameters
    ----------
    alpha : float, default 0.2
        Positive; 1 is uniform, less prefers one of the two samples.
    seed : int, optional
        See `RandomLayer`.
    """

    def __init__(self, alpha=0.2, seed=None, **kwargs):
        kwargs.pop("data_format", None)
        super().__init__(seed, **kwargs)
        self.alpha = number(self, "alpha", alpha, "a positive number", lambda value: 0 < value < math.inf)

    def call(self, inputs, training=None):
        return apply("mixup", [inputs], alpha=self.alpha, training=training, seed=self.seed)

    def __call__(self, inputs, *args, training=None, **kwargs):
        """Mix symbolic samples, or an array's; or, at once, the arrays of a dictionary of "images" and "labels"."""
        if not isinstance(inputs, dict) or is_symbolic(inputs):
            return super().__call__(inputs, *args, training=training, **kwargs)
        unknown = sorted(inputs.keys() - {"images", "labels"})
        if unknown or "images" not in inputs:
            raise ValueError(
                f'Layer {self.name!r} mixes a dictionary of "images" and "labels". Received the keys: {list(inputs)}'
            )
        arrays = {key: np.asarray(value, np.float32) for key, value in inputs.items()}
        if any(each.ndim < 2 for each in arrays.values()):
            raise ValueError(
                f"Layer {self.name!r}: labels cannot be mixed, and images have axes. Give one-hot rows, "
                f"fastnn.utils.to_categorical(y, classes). Received shapes: {[x.shape for x in arrays.values()]}"
            )
        if training is False:
            return {key: each.view(Array) for key, each in arrays.items()}
        # Side by side, so that they are mixed with the same numbers. As in Keras, a dictionary is mixed unless one says
        # that it is not for training.
        rows = [each.reshape(len(each), -1) for each in arrays.values()]
        mixed = super().__call__(np.concatenate(rows, 1), *args, training=True, **kwargs)
        ends = np.cumsum([each.shape[1] for each in rows])[:-1]
        parts = np.split(mixed, ends, axis=1)
        return {key: part.reshape(arrays[key].shape).view(Array) for key, part in zip(arrays, parts, strict=True)}

    def get_config(self):
        return {**super().get_config(), "alpha": self.alpha}
