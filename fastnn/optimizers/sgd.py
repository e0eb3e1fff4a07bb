"""Steps along the gradient, or along its sign."""

import math

from fastnn.optimizers import settings
from fastnn.optimizers.base import Optimizer


class SGD(Optimizer, learning_rate=0.01):
    """Gradient descent, with or without momentum.

    Without: ``w -= learning_rate * g``. With momentum:
    ``m = momentum * m - learning_rate * g; w += m``; with Nesterov's,
    ``w += momentum * m - learning_rate * g`` (Sutskever et al., ICML 2013).

    Parameters
    ----------
    learning_rate : float, default 0.01
    momentum : float, default 0.0
        In [0, 1].
    nesterov : bool, default False
    weight_decay, ..., name
        See `Optimizer`.
    """

    op = "sgd"
    own_numbers = ("momentum",)
    momentum_setting = "momentum"

    momentum = settings.number(0.0, 0, 1, shape=bool)
    nesterov = settings.switch(False, remembered=False)

    @property
    def slot_names(self):
        return ("momentum",) if self.momentum else ()

    def switches(self):
        return {"nesterov": self.nesterov}


class Lion(Optimizer, learning_rate=0.001):
    """Steps of one size along the sign of a running mean: half of Adam's memory.

    ``w -= learning_rate * sign(beta_1 * m + (1 - beta_1) * g); m = beta_2 * m + (1 - beta_2) * g`` (Chen et al.,
    "Symbolic discovery of optimization algorithms", NeurIPS 2023). Learning rates are 3 to 10 times smaller than
    Adam's, weight decay as much larger.

    Parameters
    ----------
    learning_rate : float, default 0.001
    beta_1 : float, default 0.9
        In (0, 1].
    beta_2 : float, default 0.99
        In [0, 1].
    weight_decay, ..., name
        See `Optimizer`.
    """

    op = "lion"
    own_numbers = ("beta_1", "beta_2")
    momentum_setting = "beta_1"

    beta_1 = settings.number(0.9, math.nextafter(0, 1), 1)
    beta_2 = settings.number(0.99, 0, 1)

    @property
    def slot_names(self):
        return ("momentum",)
