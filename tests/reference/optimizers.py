"""Optimizer updates in float64: the oracle of ``csrc/ops/optimizer*.c``.

Each function is one update: it takes the parameters, the gradient, a dict of the slots, the learning rate, the
number of the update from 1 on and the optimizer's own numbers, and returns new parameters and slots.
"""

import numpy as np


def _double(*arrays):
    return [np.asarray(each, np.float64) for each in arrays]


def sgd(w, g, slots, rate, t, momentum=0.0, nesterov=False):
    w, g = _double(w, g)
    if "momentum" not in slots:
        return w - rate * g, {}
    m = momentum * _double(slots["momentum"])[0] - rate * g
    return w + (momentum * m - rate * g if nesterov else m), {"momentum": m}


def _moments(g, slots, beta_1, beta_2):
    m, v = _double(slots["momentum"], slots["velocity"])
    return beta_1 * m + (1 - beta_1) * g, beta_2 * v + (1 - beta_2) * g**2


def adam(w, g, slots, rate, t, beta_1, beta_2, epsilon):
    w, g = _double(w, g)
    m, v = _moments(g, slots, beta_1, beta_2)
    after, largest = {"momentum": m, "velocity": v}, v
    if "velocity_hat" in slots:
        after["velocity_hat"] = largest = np.maximum(slots["velocity_hat"], v)
    alpha = rate * np.sqrt(1 - beta_2**t) / (1 - beta_1**t)
    return w - alpha * m / (np.sqrt(largest) + epsilon), after


def adamax(w, g, slots, rate, t, beta_1, beta_2, epsilon):
    w, g, m, u = _double(w, g, slots["momentum"], slots["norm"])
    m = beta_1 * m + (1 - beta_1) * g
    u = np.maximum(beta_2 * u, np.abs(g))
    return w - rate * m / ((1 - beta_1**t) * (u + epsilon)), {"momentum": m, "norm": u}


def nadam(w, g, slots, rate, t, beta_1, beta_2, epsilon):
    w, g = _double(w, g)
    m, v = _moments(g, slots, beta_1, beta_2)
    schedule = beta_1 * (1 - 0.5 * 0.96 ** np.arange(1, t + 2))
    product, now, following = np.prod(schedule[:t]), schedule[t - 1], schedule[t]
    hat = following * m / (1 - product * following) + (1 - now) * g / (1 - product)
    return w - rate * hat / (np.sqrt(v / (1 - beta_2**t)) + epsilon), {"momentum": m, "velocity": v}


def lion(w, g, slots, rate, t, beta_1, beta_2):
    w, g, m = _double(w, g, slots["momentum"])
    return w - rate * np.sign(beta_1 * m + (1 - beta_1) * g), {"momentum": beta_2 * m + (1 - beta_2) * g}


def rmsprop(w, g, slots, rate, t, rho, momentum, epsilon):
    w, g = _double(w, g)
    v = rho * _double(slots["velocity"])[0] + (1 - rho) * g**2
    after, below = {"velocity": v}, v
    if "average_gradient" in slots:
        after["average_gradient"] = mean = rho * _double(slots["average_gradient"])[0] + (1 - rho) * g
        below = v - mean**2
    step = rate * g / np.sqrt(below + epsilon)
    if "momentum" in slots:
        after["momentum"] = step = momentum * _double(slots["momentum"])[0] + step
    return w - step, after


def adagrad(w, g, slots, rate, t, epsilon):
    w, g, a = _double(w, g, slots["accumulator"])
    a = a + g**2
    return w - rate * g / np.sqrt(a + epsilon), {"accumulator": a}


def adadelta(w, g, slots, rate, t, rho, epsilon):
    w, g, a, b = _double(w, g, slots["accumulated_grad"], slots["accumulated_delta_var"])
    a = rho * a + (1 - rho) * g**2
    d = np.sqrt(b + epsilon) / np.sqrt(a + epsilon) * g
    return w - rate * d, {"accumulated_grad": a, "accumulated_delta_var": rho * b + (1 - rho) * d**2}


def ftrl(w, g, slots, rate, t, power, l1, l2, shrinkage, beta):
    w, g, a, z = _double(w, g, slots["accumulator"], slots["linear"])
    after = a + g**2
    z = z + g + 2 * shrinkage * w - (after**-power - a**-power) / rate * w
    quadratic = after**-power / rate + 2 * (l2 + beta / (2 * rate))
    return (np.clip(z, -l1, l1) - z) / quadratic, {"accumulator": after, "linear": z}


def lamb(w, g, slots, rate, t, beta_1, beta_2, epsilon):
    w, g = _double(w, g)
    m, v = _moments(g, slots, beta_1, beta_2)
    d = m / (1 - beta_1**t) / (np.sqrt(v / (1 - beta_2**t)) + epsilon)
    weight, length = np.linalg.norm(w), np.linalg.norm(d)
    ratio = weight / length if weight > 0 and length > 0 else 1.0
    return w - ratio * rate * d, {"momentum": m, "velocity": v}


def adafactor(w, g, slots, rate, t, beta_2_decay=-0.8, epsilon_1=1e-30, epsilon_2=1e-3, clip_threshold=1.0):
    w, g = _double(w, g)
    beta, squares, after = 1 - float(t) ** beta_2_decay, g**2 + epsilon_1, {}
    rms = lambda x: np.sqrt(np.mean(x**2))  # noqa: E731
    if w.ndim > 1:
        for name, axis in ("r", -1), ("c", -2):
            after[name] = beta * slots[name] + (1 - beta) * squares.mean(axis)
        r, c = after["r"], after["c"]
        v = (r / r.mean(-1, keepdims=True))[..., None] * c[..., None, :]
    else:
        v = after["velocity"] = beta * slots["velocity"] + (1 - beta) * squares
    u = g / np.sqrt(v)
    alpha = max(epsilon_2, rms(w)) * min(rate, 1 / np.sqrt(t))
    return w - alpha * u / max(1, rms(u) / clip_threshold), after


def muon(w, g, slots, rate, t, momentum, a, b, c, rms, steps=5, nesterov=True):
    """Of a matrix: the others are Adam's. `rms` below 0: the step is as long as the iteration makes it."""
    w, g = _double(w, g)
    m = momentum * _double(slots["momentum"])[0] + g
    d = g + momentum * m if nesterov else m
    x = d / (np.linalg.norm(d) + 1e-7)
    x = x.T if w.shape[0] > w.shape[1] else x
    for _ in range(steps):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    x = x.T if w.shape[0] > w.shape[1] else x
    return w - rate * (1 if rms < 0 else rms * np.sqrt(max(w.shape))) * x, {"momentum": m}


class Loop:
    """What happens around the update: several variables, step after step. Keras's order of things.

    Parameters
    ----------
    update : callable
        One of the functions above.
    start : list of ndarray
    slots : list of dict
    rate : float
    own : dict
        Its own numbers.
    """

    def __init__(self, update, start, slots, rate, own, *, weight_decay=0, clipvalue=None, clipnorm=None,
                 global_clipnorm=None, accumulation=1, ema_momentum=None, overwrite=None):  # fmt: skip
        self.update, self.rate, self.own = update, rate, own
        self.weights = [np.asarray(each, np.float64) for each in start]
        self.slots = slots
        self.decay, self.accumulation = weight_decay, accumulation
        self.clips = clipvalue, clipnorm, global_clipnorm
        self.ema_momentum, self.overwrite = ema_momentum, overwrite
        self.sums = [np.zeros(each.shape) for each in start]
        self.averages = [np.zeros(each.shape) for each in start]
        self.steps = 0

    def step(self, grads):
        updates = self.steps // self.accumulation
        self.sums = [a + np.asarray(g, np.float64) for a, g in zip(self.sums, grads, strict=True)]
        if (self.steps + 1) % self.accumulation == 0:
            grads = self._clipped([a / self.accumulation for a in self.sums])
            self.sums = [np.zeros_like(a) for a in self.sums]
            for i, g in enumerate(grads):
                w = self.weights[i] * (1 - self.decay * self.rate)
                self.weights[i], self.slots[i] = self.update(w, g, self.slots[i], self.rate, updates + 1, **self.own)
        if self.ema_momentum is not None:
            mu = self.ema_momentum if updates else 0
            self.averages = [mu * a + (1 - mu) * w for a, w in zip(self.averages, self.weights, strict=True)]
            if self.overwrite and (updates + 1) % self.overwrite == 0:
                self.weights = [a.copy() for a in self.averages]
        self.steps += 1

    def _clipped(self, grads):
        value, norm, of_all = self.clips
        if value is not None:
            return [np.clip(g, -value, value) for g in grads]
        if norm is not None:
            return [g * norm / max(np.linalg.norm(g), norm) for g in grads]
        if of_all is not None:
            total = np.sqrt(sum((g**2).sum() for g in grads))
            return [g * of_all / max(total, of_all) for g in grads]
        return grads
