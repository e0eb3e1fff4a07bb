"""An optimizer that remembers of a matrix only its rows and its columns."""

import math

import numpy as np

from fastnn.optimizers import settings
from fastnn.optimizers.base import Optimizer
from fastnn.optimizers.lamb import chunks
from fastnn.optimizers.live import State


class Adafactor(Optimizer, learning_rate=0.001):
    """Second moments as the product of a matrix's row means and column means: memory for rows + columns, not for
    rows * columns. Steps are measured by the weights' own size.

    ``v = r * c / mean(r)`` with running means r and c of ``g**2 + epsilon_1`` along the last and the last but one axis
    (of what has one axis, v is that running mean itself), their decay being ``1 - t**beta_2_decay``;
    ``u = g / sqrt(v)``; ``w -= max(epsilon_2, rms(w)) * min(learning_rate, 1 / sqrt(t)) * u / max(1, rms(u) /
    clip_threshold)``: Shazeer and Stern, "Adafactor: adaptive learning rates with sublinear memory cost", ICML 2018.

    Parameters
    ----------
    learning_rate : float, default 0.001
    beta_2_decay : float, default -0.8
        At most 0.
    epsilon_1 : float, default 1e-30
        Added to the square of the gradient.
    epsilon_2 : float, default 0.001
        What weights count as at least, where steps are measured by them.
    clip_threshold : float, default 1.0
        Root mean square of a variable's step, before it is scaled, from which on it is shortened. Not `clipnorm`, which
        is of gradients.
    relative_step : bool, default True
        Has no effect, as in Keras 3.15: the learning rate is at most 1 / sqrt(t) either way.
    weight_decay, ..., name
        See `Optimizer`.

    Notes
    -----
    Where a whole row and a whole column of a matrix have never had a gradient, Keras divides 0 by 0; here such weights
    stay as they are.
    """

    op = "adafactor_direction"
    own_numbers = ("beta_2_decay", "epsilon_1", "epsilon_2", "clip_threshold")
    per_variable = True

    beta_2_decay = settings.number(-0.8, -math.inf, 0)
    epsilon_1 = settings.number(1e-30, 0)
    epsilon_2 = settings.number(1e-3, 0)
    clip_threshold = settings.number(1.0, 0)
    relative_step = settings.switch(True)

    @property
    def slot_names(self):
        return ("r", "c", "velocity")

    def slots_of(self, variable):
        # Of a matrix the velocity is a product. Of a vector, files have two numbers that nobody reads, as Keras's do.
        return ("r", "c") if variable.ndim > 1 else ("r", "c", "velocity")

    def slot_shape(self, variable, slot):
        if slot not in ("r", "c"):
            return None
        *batches, last = variable.shape or (1,)
        if not batches:
            return ()
        return tuple(batches) if slot == "r" else (*batches[:-1], last)

    def remembered(self, variable, slot):
        if slot == "velocity" and variable.ndim > 1:
            return _Product(self, variable, "c")
        return super().remembered(variable, slot)

    def lower(self, b, variable, param, grad, slots, n, **common):
        from fastnn._engine.runtime import Buffer
        from fastnn.lowering.cost import elementwise_cycles

        def emit(op, cycles, **bindings):
            b.emit(op, work=elementwise_cycles(n, cycles), commits=True, **bindings)

        parts = {"param": param, "grad": grad, "n": n, **common}
        if variable.ndim < 2:
            count = chunks(n)
            sums = (Buffer(2 * 8 * count), 0, 2 * 8 * count)
            emit("adafactor_vector", 14, **parts, velocity=slots["velocity"], sums=sums, count=count)
        else:
            rows, columns = variable.shape[-2:]
            batches = math.prod(variable.shape[:-2])
            count = batches * (columns // 8 + 1)  # strips, at the least number of lanes
            sums = (Buffer(2 * 8 * count), 0, 2 * 8 * count)
            partial, root = b.vector(count * rows), b.vector(batches * -(-rows // 16) * 16)
            parts |= {
                "batches": batches, "height": rows, "columns": columns, "count": count,
                "ld": 0 if variable.layout == "panels" else variable.row_stride,
            }  # fmt: skip
            emit("adafactor_moments", 5, **parts, c=slots["c"], partial=partial, sums=sums)
            emit("adafactor_rows", 0.5, **parts, r=slots["r"], root=root, partial=partial)
            emit("adafactor_direction", 5, **parts, r=slots["r"], c=slots["c"], root=root, sums=sums)
        emit(
            "adafactor_apply", 4, param=param, direction=grad, sums=sums, n=n, accumulation=common["accumulation"],
            count=count, size=variable.size, rate_factor=common["rate_factor"],
        )  # fmt: skip


class _Product(State):
    """The velocity of a matrix: what its rows and columns say. Keras's files have it, and nobody reads it again."""

    def __init__(self, optimizer, reference, slot):
        super().__init__(optimizer, reference, slot)
        self.name = f"{reference.path.replace('/', '_')}_velocity"
        self.path = f"{optimizer.name}/{self.name}"
        self._r, self._c = (optimizer.remembered(reference, each) for each in ("r", "c"))

    def numpy(self):
        """The values, computed anew."""
        r, c = self._r.numpy(), self._c.numpy()
        mean = r.mean(-1, keepdims=True)
        return (np.divide(r, mean, out=np.zeros_like(r), where=mean > 0)[..., None] * c[..., None, :]).astype(
            np.float32
        )

    def assign(self, value):
        """Nothing but a check of the shape: assign what it is the product of."""
        if np.shape(value) != self.shape:
            raise ValueError(
                f"{self.path!r} has shape {self.shape} and cannot take a value of shape {np.shape(value)}."
            )
        return self
