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


def _legacy(cls):
    names = {"__doc__": cls.__doc__, "__module__": __name__, "saved_as": cls}
    return type(cls.__name__, (_Decaying, cls), names)


SGD = _legacy(sgd.SGD)
RMSprop = _legacy(accumulating.RMSprop)
Adagrad = _legacy(accumulating.Adagrad)
Adam = _legacy(adam.Adam)
Ftrl = _legacy(accumulating.Ftrl)
