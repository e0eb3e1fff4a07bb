"""An optimizer whose steps are as long, for each variable, as the variable."""

from fastnn.optimizers import settings
from fastnn.optimizers.base import Optimizer

_CHUNK = 4096  # SUM_CHUNK of csrc/ops/optimizer.h


def chunks(n):
    """How many partial sums the engine makes of n floats."""
    return -(-n // _CHUNK)


class Lamb(Optimizer, learning_rate=0.001):
    """Adam's direction, scaled for each variable by the norm of its weights: for very large batches.

    ``w -= learning_rate * |w| / |d| * d`` with Adam's bias-corrected direction d: You et al., "Large batch
    optimization for deep learning", ICLR 2020.

    Parameters
    ----------
    learning_rate : float, default 0.001
    beta_1, beta_2 : float, default 0.9 and 0.999
        In [0, 1).
    epsilon : float, default 1e-7
        Added to the root of the corrected second moment.
    weight_decay, ..., name
        See `Optimizer`.
    """

    op = "lamb_direction"
    own_numbers = ("beta_1", "beta_2", "epsilon")
    per_variable = True
    momentum_setting = "beta_1"

    beta_1 = settings.number(0.9, 0, 1, open_end=True)
    beta_2 = settings.number(0.999, 0, 1, open_end=True)
    epsilon = settings.number(1e-7, 0)

    @property
    def slot_names(self):
        return ("momentum", "velocity")

    def lower(self, b, variable, param, grad, slots, n, **common):
        from fastnn._engine.runtime import Buffer
        from fastnn.lowering.cost import elementwise_cycles

        nbytes = 2 * 8 * chunks(n)
        sums = (Buffer(nbytes), 0, nbytes)
        super().lower(b, variable, param, grad, {**slots, "sums": sums}, n, **common)
        b.emit(
            "lamb_apply", work=elementwise_cycles(n, 4), commits=True, param=param, direction=grad, sums=sums, n=n,
            accumulation=common["accumulation"], rate_factor=common["rate_factor"],
        )  # fmt: skip
