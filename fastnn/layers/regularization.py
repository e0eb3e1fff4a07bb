"""Dropout."""

from fastnn.layers.base import Layer
from fastnn.operations import apply


class Dropout(Layer):
    """Zeroes each value with probability `rate` in training and scales the others by ``1 / (1 - rate)``.

    Parameters
    ----------
    rate : float
        In [0, 1].
    seed : int, optional
        Accepted for compatibility: the masks come from the model's seed (`fastnn.utils.set_random_seed`), the training
        step and the position of the layer.
    """

    def __init__(self, rate, noise_shape=None, seed=None, **kwargs):
        super().__init__(**kwargs)
        if isinstance(rate, bool) or not 0 <= rate <= 1:
            raise ValueError(
                f"Invalid value received for argument `rate`. Expected a float in [0, 1]. Received: rate={rate}"
            )
        if noise_shape is not None:
            raise ValueError(f"Dropout: `noise_shape` is not supported yet. Received: noise_shape={noise_shape}")
        self.rate = float(rate)
        self.seed = seed

    def call(self, inputs, training=None):
        return apply("dropout", [inputs], rate=self.rate, training=training)
