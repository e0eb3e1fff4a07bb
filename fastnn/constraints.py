"""What weights are held to: applied after every update, in C (``csrc/ops/constraint.c``).

``Dense(100, kernel_constraint=fastnn.constraints.MaxNorm(1.0))`` and the like. A dense kernel has the shape (inputs,
units), so that ``axis=0`` means the weights that come into each unit.
"""

import math

import numpy as np

from fastnn import _eager, _registry, ops
from fastnn.backend import epsilon
from fastnn.eager import is_symbolic


class Constraint:
    """Base class of constraints: functions from an array to the array that it is to be.

    Notes
    -----
    One of one's own is a subclass whose `__call__`, or any function that, is composed of `fastnn.ops` and returns a
    tensor of the weight's shape: it is traced into the training step.
    """

    def __call__(self, w):
        """The array that `w` becomes."""
        return w

    def lower(self, b, variable):
        """Emit what the constraint does to a variable, where the engine has an operation for it."""
        raise NotImplementedError(f"{self!r} has no operation in the engine; it is traced.")

    def reads(self, variable):
        """Does that operation know how the variable lies in memory? If not, the constraint is traced."""
        return True

    def get_config(self):
        """Return the arguments that make an equal constraint."""
        return {}

    @classmethod
    def from_config(cls, config):
        """Make a constraint from what `get_config` returned."""
        return cls(**config)


class NonNeg(Constraint):
    """No weight is negative."""

    def __call__(self, w):
        return ops.maximum(w, 0.0) if is_symbolic(w) else np.maximum(np.asarray(w), 0)

    def lower(self, b, variable):
        from fastnn.lowering.cost import elementwise_cycles

        n = variable.nbytes // 4
        b.emit("non_negative", work=elementwise_cycles(n, 2), commits=True, w=variable, n=n)


class _Norm(Constraint):
    """``w * wanted / (epsilon + norm)`` with ``wanted = rate * clip(norm, low, high) + (1 - rate) * norm``."""

    def _range(self):
        """low, high, rate"""
        raise NotImplementedError(f"{type(self).__name__} must implement _range(): the bounds of norms, and the rate.")

    def __call__(self, w):
        if is_symbolic(w):  # a weight that lies as the kernel does not read it, or part of a constraint of one's own
            axis = tuple(range(w.ndim)) if self.axis is None else self.axis
            norms = ops.sqrt(ops.sum(w * w, axis, keepdims=True))
            low, high, rate = self._range()
            return w * ((ops.clip(norms, low, high) * rate + norms * (1 - rate)) / (norms + epsilon()))
        w = np.asarray(w)
        axis = tuple(self.axis) if isinstance(self.axis, list) else self.axis
        norms = np.sqrt(np.square(w).sum(axis=axis, keepdims=True))
        low, high, rate = self._range()
        return (w * ((rate * np.clip(norms, low, high) + (1 - rate) * norms) / (epsilon() + norms))).astype(w.dtype)

    def reads(self, variable):
        return variable.ndim < 2 or variable.layout == "panels"

    def lower(self, b, variable):
        from fastnn.lowering.cost import elementwise_cycles

        low, high, rate = self._range()
        k, n = variable.shape if variable.ndim == 2 else (1, variable.size)
        b.emit(
            "norm_constraint", work=elementwise_cycles(variable.nbytes // 4, 5), commits=True, w=variable, k=k, n=n,
            axis=self._engine_axis(variable), low=low, high=high, rate=rate, epsilon=epsilon(),
        )  # fmt: skip

    def _engine_axis(self, variable):
        """0: of each column, 1: of each row, 2: of all."""
        given = self.axis if isinstance(self.axis, (list, tuple)) else [self.axis]
        axes = range(variable.ndim) if self.axis is None else given
        if any(not -variable.ndim <= axis < variable.ndim for axis in axes):
            raise ValueError(
                f"{type(self).__name__}: variable {variable.path!r} of shape {variable.shape} has no axis {self.axis}."
            )
        axes = {axis % variable.ndim for axis in axes}
        return 2 if len(axes) == variable.ndim else axes.pop()


class MaxNorm(_Norm):
    """The norm along an axis is at most `max_value`.

    Parameters
    ----------
    max_value : float, default 2
    axis : int, list of int or None, default 0
        0: of the weights into each unit.
    """

    def __init__(self, max_value=2, axis=0):
        self.max_value = _number(self, "max_value", max_value)
        self.axis = _axis(self, axis)

    def _range(self):
        return 0.0, self.max_value, 1.0

    def get_config(self):
        return {"max_value": self.max_value, "axis": self.axis}


class UnitNorm(_Norm):
    """The norm along an axis is 1.

    Parameters
    ----------
    axis : int, list of int or None, default 0
    """

    def __init__(self, axis=0):
        self.axis = _axis(self, axis)

    def _range(self):
        return 1.0, 1.0, 1.0

    def get_config(self):
        return {"axis": self.axis}


class MinMaxNorm(_Norm):
    """The norm along an axis lies between two values, or comes nearer to that.

    Parameters
    ----------
    min_value, max_value : float, default 0.0 and 1.0
    rate : float, default 1.0
        Part of the way to go at each update.
    axis : int, list of int or None, default 0
    """

    def __init__(self, min_value=0.0, max_value=1.0, rate=1.0, axis=0):
        self.min_value = _number(self, "min_value", min_value)
        self.max_value = _number(self, "max_value", max_value)
        self.rate = _number(self, "rate", rate)
        self.axis = _axis(self, axis)

    def _range(self):
        return self.min_value, self.max_value, self.rate

    def get_config(self):
        return {"min_value": self.min_value, "max_value": self.max_value, "rate": self.rate, "axis": self.axis}


def _number(owner, name, value):
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not 0 <= value < math.inf:
        raise ValueError(f"{type(owner).__name__}: `{name}` must be a number of at least 0. Received: {name}={value!r}")
    return value


def _axis(owner, axis):
    given = axis if isinstance(axis, (list, tuple)) else [axis]
    if axis is not None and any(isinstance(each, bool) or not isinstance(each, (int, np.integer)) for each in given):
        raise ValueError(
            f"{type(owner).__name__}: `axis` must be an integer or a list of them. Received: axis={axis!r}"
        )
    return axis


def lower(b, constraint, variable):
    """Emit what a constraint does to a variable; one of the user's own, which the engine has no operation for, is
    traced."""
    ours = isinstance(constraint, Constraint) and type(constraint).lower is not Constraint.lower
    if ours and constraint.reads(variable) and not _eager.changed(constraint, __call__="lower"):
        constraint.lower(b, variable)
        return
    from fastnn.lowering.traced import projection

    projection(b, constraint, variable)


max_norm, unit_norm, min_max_norm, non_neg = MaxNorm, UnitNorm, MinMaxNorm, NonNeg

__all__ = [
    "Constraint", "MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm", "deserialize", "get", "max_norm", "min_max_norm",
    "non_neg", "serialize", "unit_norm",
]  # fmt: skip
_OBJECTS = {
    **{cls.__name__: cls for cls in (Constraint, MaxNorm, MinMaxNorm, NonNeg, UnitNorm)},
    "constraint": Constraint,
    "max_norm": MaxNorm,
    "min_max_norm": MinMaxNorm,
    "non_neg": NonNeg,
    "unit_norm": UnitNorm,
}


def serialize(constraint):
    """Return a constraint's configuration as a dictionary."""
    return _registry.serialize(constraint)


def deserialize(config, custom_objects=None):
    """Make a constraint from its configuration."""
    return _registry.deserialize(config, {**_OBJECTS, **(custom_objects or {})}, "constraint")


def get(identifier):
    """Return the constraint that a name, configuration, class or callable means; None for None.

    Raises
    ------
    ValueError
        If the identifier is unknown.
    """
    return _registry.get(identifier, _OBJECTS, "constraint")
