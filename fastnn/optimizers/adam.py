"""Adam and its relatives: running means of the gradient and of its size."""

import numpy as np

from fastnn.optimizers import settings
from fastnn.optimizers.base import Optimizer
from fastnn.optimizers.live import Scalar


class Adam(Optimizer, learning_rate=0.001):
    """Steps scaled by running means of the gradient and of its square.

    ``m += (1 - beta_1) * (g - m); v += (1 - beta_2) * (g**2 - v)``, then with both corrected for
    their start at zero ``w -= learning_rate * m / (sqrt(v) + epsilon)``: Kingma and Ba, "Adam: a
    method for stochastic optimization", ICLR 2015, in the form before their section 2.1.

    Parameters
    ----------
    learning_rate : float, default 0.001
    beta_1, beta_2 : float, default 0.9 and 0.999
        In [0, 1).
    epsilon : float, default 1e-7
        The "epsilon hat" of the paper; not negative.
    amsgrad : bool, default False
        Divide by the largest v so far (Reddi et al., ICLR 2018).
    weight_decay, ..., name
        See `Optimizer`.
    """

    op = "adam"
    own_numbers = ("beta_1", "beta_2", "epsilon")
    momentum_setting = "beta_1"

    beta_1 = settings.number(0.9, 0, 1, open_end=True)
    beta_2 = settings.number(0.999, 0, 1, open_end=True)
    epsilon = settings.number(1e-7, 0)
    amsgrad = settings.switch(False)

    @property
    def slot_names(self):
        return ("momentum", "velocity", "velocity_hat") if self.amsgrad else ("momentum", "velocity")

    def _slot_groups(self):
        return [["momentum", "velocity"], ["velocity_hat"]][: 1 + self.amsgrad]


class AdamW(Adam, learning_rate=0.001):
    """`Adam` with weight decay: Loshchilov and Hutter, "Decoupled weight decay regularization", ICLR 2019.

    Parameters
    ----------
    learning_rate : float, default 0.001
    weight_decay : float, default 0.004
    beta_1, beta_2, epsilon, amsgrad
        See `Adam`.
    clipnorm, ..., name
        See `Optimizer`.
    """

    @staticmethod
    def _decay(owner, name, value):
        if value is None:
            raise ValueError("Argument `weight_decay` must be a float. Received: weight_decay=None")
        return settings.as_number(owner, name, value, 0)

    weight_decay = settings.Setting(0.004, _decay.__func__, bool, remembered=False)


class Adamax(Optimizer, learning_rate=0.001):
    """`Adam` by the largest gradient instead of the mean of squares.

    ``m += (1 - beta_1) * (g - m); u = max(beta_2 * u, |g|)``, then ``w -= learning_rate * m / ((1 - beta_1**t) *
    (u + epsilon))``: section 7.1 of Adam's paper.

    Parameters
    ----------
    learning_rate : float, default 0.001
    beta_1, beta_2 : float, default 0.9 and 0.999
        In [0, 1).
    epsilon : float, default 1e-7
    weight_decay, ..., name
        See `Optimizer`.
    """

    op = "adamax"
    own_numbers = ("beta_1", "beta_2", "epsilon")
    momentum_setting = "beta_1"

    beta_1 = settings.number(0.9, 0, 1, open_end=True)
    beta_2 = settings.number(0.999, 0, 1, open_end=True)
    epsilon = settings.number(1e-7, 0)

    @property
    def slot_names(self):
        return ("momentum", "norm")


class Nadam(Optimizer, learning_rate=0.001):
    """`Adam` with Nesterov's momentum: Dozat, "Incorporating Nesterov momentum into Adam", 2016.

    Its momentum grows to `beta_1` by the schedule ``beta_1 * (1 - 0.96**t / 2)``.

    Parameters
    ----------
    learning_rate : float, default 0.001
    beta_1, beta_2 : float, default 0.9 and 0.999
        In [0, 1).
    epsilon : float, default 1e-7
        Added to the root of the corrected second moment.
    weight_decay, ..., name
        See `Optimizer`.

    Notes
    -----
    The product of the momenta so far follows from the number of updates. Keras stores it, which differs only if
    `beta_1` is assigned in the middle of training.
    """

    op = "nadam"
    own_numbers = ("beta_1", "beta_2", "epsilon")

    beta_1 = settings.number(0.9, 0, 1, open_end=True)
    beta_2 = settings.number(0.999, 0, 1, open_end=True)
    epsilon = settings.number(1e-7, 0)

    # product of 1 - 0.96**t / 2 over the first so many updates; from there on it stays what it is
    _PRODUCTS = np.concatenate([[1.0], np.cumprod(1 - 0.5 * 0.96 ** np.arange(1, 1025))])

    @property
    def slot_names(self):
        return ("momentum", "velocity")

    @property
    def variables(self):
        if not self.built:
            return super().variables
        # Keras keeps the product; here it follows from the number of updates, so that there is nothing to assign.
        updates = np.arange(self.iterations, self.iterations + 1)
        product = Scalar(self, "u_product", lambda: self._products(updates)[0], lambda value: None, "float32")
        return [*super().variables, product]

    def _products(self, updates):
        return self.beta_1**updates * self._PRODUCTS[np.minimum(updates, len(self._PRODUCTS) - 1)]

    def steps_at_once(self, wanted):
        return min(super().steps_at_once(wanted), 16384)

    def hyper(self, steps=1):
        rows = np.atleast_2d(super().hyper(steps))
        updates = np.arange(self.steps, self.steps + steps) // (self.gradient_accumulation_steps or 1) + 1
        table = np.empty((steps, rows.shape[1] + 1))
        table[:, :-1], table[:, -1] = rows, self._products(updates)
        return table
