"""Dropout in its kinds, noise, and penalties of activities: what regularises in training and does nothing later."""

import math

from fastnn import regularizers
from fastnn._revision import Setting
from fastnn.layers.base import Layer
from fastnn.operations import apply
from fastnn.training.arguments import integer, number


class Changeable:
    """A number of a layer that can be assigned at any time, also after `compile`.

    Programs are made again with the new value when they are next asked for: at the next call, or the next `fit`.
    """

    def __init__(self, expected, fits):
        self._expected = expected
        self._fits = fits

    def __set_name__(self, owner, name):
        self._name = name

    def __get__(self, layer, owner):
        return self if layer is None else layer.__dict__[self._name].value

    def __set__(self, layer, value):
        value = number(layer, self._name, value, self._expected, self._fits)
        if self._name in layer.__dict__:
            layer.__dict__[self._name].value = value
        else:
            layer.__dict__[self._name] = Setting(value)


def setting(layer, name):
    """What the nodes of a layer hold of a `Changeable`."""
    return vars(layer)[name]


class RandomLayer(Layer):
    """A layer that draws random numbers.

    Parameters
    ----------
    seed : int, optional
        Of the layer's own: another model in which the layer has this seed draws the same numbers in its first, second,
        ... step. Without, they come from the model's seed (`fastnn.utils.set_random_seed`) and the layer's place.
    """

    def __init__(self, seed=None, **kwargs):
        super().__init__(**kwargs)
        if seed is not None and integer(seed) is None:
            raise ValueError(f"{type(self).__name__}: `seed` must be an integer or None. Received: seed={seed!r}")
        self.seed = None if seed is None else integer(seed)

    def get_config(self):
        return {**super().get_config(), "seed": self.seed}


class Dropout(RandomLayer):
    """Zeroes each value with probability `rate` in training and scales the others by ``1 / (1 - rate)``.

    Srivastava et al., JMLR 15, 2014.

    Parameters
    ----------
    rate : float
        In [0, 1]. May be assigned later; the next `fit` or call then uses it.
    noise_shape : tuple, optional
        Of the batch: None where the draws follow the input, 1 along an axis whose values are kept or dropped together.
        ``(None, 1, features)`` for the same mask in all rows of a sample, for example.
    seed : int, optional
        See `RandomLayer`.
    """

    rate = Changeable("a number in [0, 1]", lambda value: 0 <= value <= 1)

    def __init__(self, rate, noise_shape=None, seed=None, **kwargs):
        super().__init__(seed, **kwargs)
        self.rate = rate
        if noise_shape is not None:
            if not isinstance(noise_shape, (tuple, list)) or not all(
                size is None or (integer(size) or 0) > 0 for size in noise_shape
            ):
                raise ValueError(
                    f"{type(self).__name__}: `noise_shape` must be a tuple of positive integers and None, one for each "
                    f"axis of a batch. Received: noise_shape={noise_shape!r}"
                )
            noise_shape = tuple(noise_shape)
        self.noise_shape = noise_shape

    def call(self, inputs, training=None):
        return self._dropped(inputs, training, alpha=False)

    def _dropped(self, inputs, training, alpha):
        return apply(
            "dropout",
            [inputs],
            rate=setting(self, "rate"),
            noise_shape=self._shape_for(inputs),
            alpha=alpha,
            training=training,
            seed=self.seed,
        )

    def _shape_for(self, inputs):
        """The shape of the draws for a batch, None if each value has its own."""
        if self.noise_shape is None:
            return None
        fits = len(self.noise_shape) == inputs.ndim and all(
            wanted in (None, 1) or wanted == size for wanted, size in zip(self.noise_shape, inputs.shape, strict=True)
        )
        if not fits:
            raise ValueError(
                f"Layer {self.name!r}: `noise_shape` must have None, 1 or the input's size for each axis of the input, "
                f"which has the shape {inputs.shape}; the batch's is None or 1. Received: {self.noise_shape}"
            )
        return tuple(
            size if wanted is None else wanted for wanted, size in zip(self.noise_shape, inputs.shape, strict=True)
        )

    def get_config(self):
        return {**super().get_config(), "rate": self.rate, "noise_shape": self.noise_shape}


class AlphaDropout(Dropout):
    """Dropout that keeps mean and variance of what SELU gives (Klambauer et al., NeurIPS 2017).

    In training each value becomes, with probability `rate`, what SELU tends to for large negative inputs, and all are
    then scaled and shifted.

    Parameters
    ----------
    rate : float
        In [0, 1).
    noise_shape, seed
        As for `Dropout`.
    """

    rate = Changeable("a number in [0, 1)", lambda value: 0 <= value < 1)

    def call(self, inputs, training=None):
        return self._dropped(inputs, training, alpha=True)


class GaussianDropout(RandomLayer):
    """Multiplies by ``1 + sqrt(rate / (1 - rate)) z`` in training, z being standard normal (Srivastava et al., 2014).

    Parameters
    ----------
    rate : float
        In [0, 1), as for `Dropout`: noise of the same variance. May be assigned later.
    seed : int, optional
        See `RandomLayer`.
    """

    def __init__(self, rate, seed=None, **kwargs):
        super().__init__(seed, **kwargs)
        self._stddev = Setting(0.0)
        self.rate = rate

    @property
    def rate(self):
        return self._rate

    @rate.setter
    def rate(self, rate):
        self._rate = number(self, "rate", rate, "a number in [0, 1)", lambda value: 0 <= value < 1)
        self._stddev.value = math.sqrt(self._rate / (1 - self._rate))

    def call(self, inputs, training=None):
        return apply(
            "gaussian_noise", [inputs], stddev=self._stddev, multiplied=True, training=training, seed=self.seed
        )

    def get_config(self):
        return {**super().get_config(), "rate": self.rate}


class GaussianNoise(RandomLayer):
    """Adds ``stddev z`` in training, z being standard normal.

    Parameters
    ----------
    stddev : float
        At least 0. May be assigned later.
    seed : int, optional
        See `RandomLayer`.
    """

    stddev = Changeable("a number of at least 0", lambda value: 0 <= value < math.inf)

    def __init__(self, stddev, seed=None, **kwargs):
        super().__init__(seed, **kwargs)
        self.stddev = stddev

    def call(self, inputs, training=None):
        return apply(
            "gaussian_noise",
            [inputs],
            stddev=setting(self, "stddev"),
            multiplied=False,
            training=training,
            seed=self.seed,
        )

    def get_config(self):
        return {**super().get_config(), "stddev": self.stddev}


class ActivityRegularization(Layer):
    """Passes its input on, and adds ``(l1 * sum(|x|) + l2 * sum(x**2)) / batch size`` to the loss.

    Parameters
    ----------
    l1, l2 : float, default 0.0
        Not negative.
    """

    def __init__(self, l1=0.0, l2=0.0, **kwargs):
        super().__init__(activity_regularizer=regularizers.L1L2(l1, l2), **kwargs)
        self.l1, self.l2 = l1, l2

    def call(self, inputs):
        return inputs

    def get_config(self):
        config = {**super().get_config(), "l1": self.l1, "l2": self.l2}
        config.pop("activity_regularizer")  # made of the two
        return config
