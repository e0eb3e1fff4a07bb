"""Optimizers that divide by the root of what the squares of a gradient add up to."""

import math

from fastnn.optimizers import settings
from fastnn.optimizers.base import Optimizer


class RMSprop(Optimizer, learning_rate=0.001):
    """Steps divided by the root of a running mean of the gradient's square.

    ``v = rho * v + (1 - rho) * g**2``, then ``w -= learning_rate * g / sqrt(v + epsilon)``: Tieleman and Hinton,
    Coursera lecture 6.5, 2012.

    Parameters
    ----------
    learning_rate : float, default 0.001
    rho : float, default 0.9
        In [0, 1].
    momentum : float, default 0.0
        Of the steps: ``s = momentum * s + step; w -= s``.
    epsilon : float, default 1e-7
        Inside the root.
    centered : bool, default False
        Divide by the running standard deviation: the square of the running mean is taken from v.
    weight_decay, ..., name
        See `Optimizer`.
    """

    op = "rmsprop"
    own_numbers = ("rho", "momentum", "epsilon")
    interleaved = False
    momentum_setting = "momentum"

    rho = settings.number(0.9, 0, 1)
    momentum = settings.number(0.0, 0, 1, shape=bool)
    epsilon = settings.number(1e-7, 0)
    centered = settings.switch(False)

    @property
    def slot_names(self):
        return ("velocity", *["momentum"] * bool(self.momentum), *["average_gradient"] * self.centered)


class Adagrad(Optimizer, learning_rate=0.001):
    """Steps divided by the root of the sum of all squared gradients so far.

    ``a += g**2; w -= learning_rate * g / sqrt(a + epsilon)``: Duchi et al., JMLR 2011.

    Parameters
    ----------
    learning_rate : float, default 0.001
    initial_accumulator_value : float, default 0.1
        Where the sum starts.
    epsilon : float, default 1e-7
        Inside the root.
    weight_decay, ..., name
        See `Optimizer`.
    """

    op = "adagrad"
    own_numbers = ("epsilon",)

    initial_accumulator_value = settings.number(0.1, 0, shape=lambda value: value)
    epsilon = settings.number(1e-7, 0)

    @property
    def slot_names(self):
        return ("accumulator",)

    def first_value(self, slot):
        return self.initial_accumulator_value


class Adadelta(Optimizer, learning_rate=0.001):
    """Steps as large as the last ones were, by the gradient's size: Zeiler, arXiv:1212.5701.

    ``a = rho * a + (1 - rho) * g**2; d = sqrt(b + epsilon) / sqrt(a + epsilon) * g;
    b = rho * b + (1 - rho) * d**2; w -= learning_rate * d``. The paper's learning rate is 1.

    Parameters
    ----------
    learning_rate : float, default 0.001
    rho : float, default 0.95
        In [0, 1].
    epsilon : float, default 1e-7
    weight_decay, ..., name
        See `Optimizer`.
    """

    op = "adadelta"
    own_numbers = ("rho", "epsilon")

    rho = settings.number(0.95, 0, 1)
    epsilon = settings.number(1e-7, 0)

    @property
    def slot_names(self):
        return ("accumulated_grad", "accumulated_delta_var")


class Ftrl(Optimizer, learning_rate=0.001):
    """Follow the regularized leader: keeps weights at exactly zero where their gradients do not add up to `l1`.

    McMahan et al., "Ad click prediction: a view from the trenches", KDD 2013, algorithm 1.

    Parameters
    ----------
    learning_rate : float, default 0.001
    learning_rate_power : float, default -0.5
        At most 0.
    initial_accumulator_value : float, default 0.1
    l1_regularization_strength, l2_regularization_strength : float, default 0.0
    l2_shrinkage_regularization_strength : float, default 0.0
        An l2 that acts through the gradient alone.
    beta : float, default 0.0
    weight_decay, ..., name
        See `Optimizer`.
    """

    op = "ftrl"
    own_numbers = (
        "learning_rate_power",
        "l1_regularization_strength",
        "l2_regularization_strength",
        "l2_shrinkage_regularization_strength",
        "beta",
    )

    learning_rate_power = settings.number(-0.5, -math.inf, 0)
    initial_accumulator_value = settings.number(0.1, 0, shape=lambda value: value)
    l1_regularization_strength = settings.number(0.0, 0)
    l2_regularization_strength = settings.number(0.0, 0)
    l2_shrinkage_regularization_strength = settings.number(0.0, 0)
    beta = settings.number(0.0, 0)

    @property
    def slot_names(self):
        return ("accumulator", "linear")

    def first_value(self, slot):
        return self.initial_accumulator_value if slot == "accumulator" else 0.0
