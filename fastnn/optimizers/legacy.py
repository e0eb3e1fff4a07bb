"""``optimizers.legacy``, where books of the years before Keras 3 find their optimizers. They are those of today."""

from fastnn.optimizers.accumulating import Adagrad, Ftrl, RMSprop
from fastnn.optimizers.adam import Adam
from fastnn.optimizers.base import Optimizer
from fastnn.optimizers.sgd import SGD

__all__ = ["SGD", "Adagrad", "Adam", "Ftrl", "Optimizer", "RMSprop"]
