"""``optimizers.legacy``, where books of the years before Keras 3 find their optimizers: today's, with `decay`."""

from fastnn.optimizers import accumulating, adam, sgd
from fastnn.optimizers.base import Optimizer
from fastnn.optimizers.schedules import InverseTimeDecay

__all__ = ["SGD", "Adagrad", "Adam", "Ftrl", "Optimizer", "RMSprop"]


class _Decaying:
    """``learning_rate / (1 + decay * iterations)``: with a `decay`, the learning rate is this schedule."""

    def _begin(self, learning_rate, name, others, given):
        decay = others.pop("decay", None)
        learning_rate = others.pop("lr", learning_rate)
        if decay:
            if callable(learning_rate):
                raise ValueError(
                    f"{type(self).__name__}: `decay` is for a learning rate that is a number. Received: "
                    f"learning_rate={learning_rate!r}, decay={decay!r}"
                )
            learning_rate = InverseTimeDecay(learning_rate, 1, decay)
        super()._begin(learning_rate, name, others, given)


class SGD(_Decaying, sgd.SGD):
    __doc__ = sgd.SGD.__doc__
    saved_as = sgd.SGD


class RMSprop(_Decaying, accumulating.RMSprop):
    __doc__ = accumulating.RMSprop.__doc__
    saved_as = accumulating.RMSprop


class Adagrad(_Decaying, accumulating.Adagrad):
    __doc__ = accumulating.Adagrad.__doc__
    saved_as = accumulating.Adagrad


class Adam(_Decaying, adam.Adam):
    __doc__ = adam.Adam.__doc__
    saved_as = adam.Adam


class Ftrl(_Decaying, accumulating.Ftrl):
    __doc__ = accumulating.Ftrl.__doc__
    saved_as = accumulating.Ftrl
