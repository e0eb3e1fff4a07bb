"""Layers that regularise: Dropout, ActivityRegularization."""

from fastnn import regularizers
from fastnn.layers.base import Layer
from fastnn.operations import apply
from fastnn.training.arguments import number


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
        self.rate = number(self, "rate", rate, "a number in [0, 1]", lambda value: 0 <= value <= 1)
        if noise_shape is not None:
            raise ValueError(f"Dropout: `noise_shape` is not supported yet. Received: noise_shape={noise_shape}")
        self.seed = seed

    def call(self, inputs, training=None):
        return apply("dropout", [inputs], rate=self.rate, training=training)


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
