"""Penalties that are part of the loss: on weights, and on what layers put out.

``Dense(100, kernel_regularizer="l2")`` and the like. The engine adds their gradients (``csrc/ops/regularizer.c``) and
their values, so that the loss of `fit` and of `evaluate` contains them, as in Keras.
"""

import math

import numpy as np

from fastnn import _eager, _registry, ops
from fastnn.eager import is_symbolic
from fastnn.graph import Tensor
from fastnn.operations import apply


class Regularizer:
    """Base class of regularizers: functions from an array to a number.

    Notes
    -----
    One of one's own is a subclass whose `__call__`, or any function that, is composed of `fastnn.ops` and returns one
    number: it is traced into the training step, and differentiated.
    """

    def __call__(self, x):
        """The penalty of an array, a float."""
        return 0.0

    def lower(self, b, variable, grad, accumulate):
        """Emit the penalty of a variable, and its gradient, where the engine has an operation for it.

        Parameters
        ----------
        b : fastnn.lowering.builder.Builder
        variable : Variable
        grad : operand or None
            Where its gradient is; None where that is not needed.
        accumulate : bool
            Add to what is there?

        Returns
        -------
        (Buffer, int, int)
            Doubles that add up to the penalty.
        """
        raise NotImplementedError(f"{self!r} has no operation in the engine; it is traced.")

    def reads(self, variable):
        """Does that operation know how the variable lies in memory? If not, the penalty is traced."""
        return True

    def get_config(self):
        """Return the arguments that make an equal regularizer."""
        raise NotImplementedError(f"{self} does not implement get_config()")

    @classmethod
    def from_config(cls, config):
        """Make a regularizer from what `get_config` returned."""
        return cls(**config)


class _Powers(Regularizer):
    """``l1 * sum(|x|) + l2 * sum(x**2)``."""

    l1 = l2 = 0.0

    def __call__(self, x):
        if is_symbolic(x):  # part of a penalty of one's own
            return self.l1 * ops.sum(ops.abs(x)) + self.l2 * ops.sum(x * x)
        x = np.asarray(x, np.float64)
        return float(self.l1 * np.abs(x).sum() + self.l2 * (x * x).sum())

    def lower(self, b, variable, grad, accumulate):
        from fastnn._engine.runtime import Buffer
        from fastnn.lowering.cost import elementwise_cycles
        from fastnn.optimizers.lamb import chunks

        n = variable.nbytes // 4
        nbytes = 8 * chunks(n)
        sums = (Buffer(nbytes), 0, nbytes)
        b.emit(
            "weight_penalty", work=elementwise_cycles(n, 5), w=variable, grad=grad, sums=sums, n=n,
            accumulate=accumulate, l1=self.l1, l2=self.l2,
        )  # fmt: skip
        return sums


class L1L2(_Powers):
    """``l1 * sum(|x|) + l2 * sum(x**2)``.

    Parameters
    ----------
    l1, l2 : float, default 0.0
        Not negative.
    """

    def __init__(self, l1=0.0, l2=0.0):
        self.l1 = _factor(0.0 if l1 is None else l1, "l1")
        self.l2 = _factor(0.0 if l2 is None else l2, "l2")

    def get_config(self):
        return {"l1": self.l1, "l2": self.l2}


class L1(_Powers):
    """``l1 * sum(|x|)``: pulls weights to exactly zero.

    Parameters
    ----------
    l1 : float, default 0.01
        Not negative.
    """

    def __init__(self, l1=0.01):
        self.l1 = _factor(0.01 if l1 is None else l1, "l1")

    def get_config(self):
        return {"l1": self.l1}


class L2(_Powers):
    """``l2 * sum(x**2)``.

    Parameters
    ----------
    l2 : float, default 0.01
        Not negative.
    """

    def __init__(self, l2=0.01):
        self.l2 = _factor(0.01 if l2 is None else l2, "l2")

    def get_config(self):
        return {"l2": self.l2}


class OrthogonalRegularizer(Regularizer):
    """The mean cosine, without its sign, between the rows or columns of a matrix, times `factor`.

    Parameters
    ----------
    factor : float, default 0.01
        Not negative.
    mode : {"rows", "columns"}, default "rows"
        What shall be orthogonal to each other.
    """

    def __init__(self, factor=0.01, mode="rows"):
        self.factor = _factor(factor, "factor")
        if mode not in ("rows", "columns"):
            raise ValueError(
                f'Invalid value for argument `mode`. Expected one of {{"rows", "columns"}}. Received: mode={mode}'
            )
        self.mode = mode

    def __call__(self, x):
        if is_symbolic(x):
            self._check(x.shape)
            x = x if self.mode == "rows" else ops.transpose(x)
            x = x / ops.maximum(ops.sqrt(ops.sum(x * x, 1, keepdims=True)), 1e-7)
            others = 1 - np.eye(x.shape[0], dtype=np.float32)
            return self._share(x.shape[0]) * ops.sum(ops.abs(ops.matmul(x, ops.transpose(x))) * others)
        x = np.asarray(x, np.float64)
        self._check(x.shape)
        x = x if self.mode == "rows" else x.T
        x = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-7)
        cosines = np.abs(x @ x.T)
        np.fill_diagonal(cosines, 0)
        return float(self._share(len(x)) * cosines.sum())

    def _share(self, rows):
        return self.factor * 0.5 / max(rows * (rows - 1) / 2, 0.5)

    @staticmethod
    def _check(shape):
        if len(shape) != 2:
            raise ValueError(f"Inputs to OrthogonalRegularizer must have rank 2. Received: inputs.shape={shape}")

    def reads(self, variable):
        self._check(variable.shape)
        return variable.layout == "panels"

    def lower(self, b, variable, grad, accumulate):
        from fastnn._engine.runtime import Buffer

        self._check(variable.shape)
        k, n = variable.shape
        rows, size = (k, n) if self.mode == "rows" else (n, k)
        ld = -(-size // 16) * 16
        if ld > 65536:
            raise ValueError(f"OrthogonalRegularizer takes up to 65536 values a row. Received shape {variable.shape}")
        columns = self.mode == "columns"
        u, lengths, sums = b.vector(rows * ld), b.vector(rows), (Buffer(8 * rows), 0, 8 * rows)
        b.emit("unit_rows", work=rows * size * 2, w=variable, u=u, lengths=lengths, k=k, n=n, ldu=ld, columns=columns)
        b.emit(
            "orthogonal_penalty", work=rows * rows * size / 4, u=u, lengths=lengths, grad=grad, sums=sums, k=k, n=n,
            ldu=ld, columns=columns, accumulate=accumulate, factor=self._share(rows),
        )  # fmt: skip
        return sums

    def get_config(self):
        return {"factor": self.factor, "mode": self.mode}


def _factor(value, name):
    if isinstance(value, bool) or not isinstance(value, (float, int)) or not 0 <= value < math.inf:
        raise ValueError(
            f"Invalid value for argument {name}: expected a non-negative float. Received: {name}={value!r}"
        )
    return float(value)


def is_traced(regularizer):
    """Is it one of the user's own, which the engine has no operation for?"""
    if not isinstance(regularizer, Regularizer):
        return True
    return type(regularizer).lower is Regularizer.lower or _eager.changed(regularizer, __call__="lower")


def lower(b, regularizer, variable):
    """Emit a variable's penalty, and its gradient if the variable is trained.

    Returns
    -------
    (Buffer, int, int) or None
        Doubles that add up to the penalty; None if `b.penalties` has it.
    """
    if is_traced(regularizer) or not regularizer.reads(variable):
        from fastnn.lowering.traced import penalty
        from fastnn.operations.added_loss import add_to_loss

        add_to_loss(b, penalty(b, regularizer, variable))
        return None
    return regularizer.lower(b, variable, *b.variable_gradient(variable))


def of_activity(regularizer, tensor):
    """What a layer puts out, with the penalty on it, divided by the size of the batch."""
    if not is_traced(regularizer):
        if not isinstance(regularizer, _Powers):
            raise ValueError(
                f"{regularizer!r} cannot be an `activity_regularizer`: the engine computes L1, L2 and L1L2 of "
                "activities, and functions composed of fastnn.ops."
            )
        return apply("activity_penalty", [tensor], l1=regularizer.l1, l2=regularizer.l2)
    penalty = regularizer(tensor)
    if not isinstance(penalty, Tensor):
        raise TypeError(
            f"{regularizer!r} as an `activity_regularizer` must return one number, made of its argument by fastnn.ops. "
            f"Received: {penalty!r:.100} of type {type(penalty).__name__}"
        )
    return apply("added_loss", [tensor, penalty], factor=1.0, per_sample=True)


l1, l2, l1_l2, orthogonal_regularizer = L1, L2, L1L2, OrthogonalRegularizer

__all__ = [
    "L1", "L1L2", "L2", "OrthogonalRegularizer", "Regularizer", "deserialize", "get", "l1", "l1_l2", "l2",
    "orthogonal_regularizer", "serialize",
]  # fmt: skip
_OBJECTS = {
    **{cls.__name__: cls for cls in (Regularizer, L1, L2, L1L2, OrthogonalRegularizer)},
    "l1": L1,
    "l2": L2,
    "l1l2": L1L2,
    "l1_l2": L1L2,
    "regularizer": Regularizer,
    "orthogonal_regularizer": OrthogonalRegularizer,
}


def serialize(regularizer):
    """Return a regularizer's configuration as a dictionary."""
    return _registry.serialize(regularizer)


def deserialize(config, custom_objects=None):
    """Make a regularizer from its configuration."""
    return _registry.deserialize(config, {**_OBJECTS, **(custom_objects or {})}, "regularizer")


def get(identifier):
    """Return the regularizer that a name, configuration, class or callable means; None for None.

    Raises
    ------
    ValueError
        If the identifier is unknown.
    """
    return _registry.get(identifier, _OBJECTS, "regularizer")
