"""The elementwise functions that formulas are made of: their number in C, what they are on arrays, their derivative.

A derivative takes the gradient, the value and the arguments as terms of a formula (`fastnn.lowering.formula`) and
returns a gradient for each argument, or None where there is none. At kinks it is what JAX takes it to be: two equal
arguments of a maximum share its gradient, ``abs`` and ``sign`` have none at 0.
"""

import math

import numpy as np


class Primitive:
    """An elementwise function.

    Attributes
    ----------
    name : str
    opcode : int
        Its number in ``csrc/ops/expression.c``.
    on_arrays : callable
    derivative : callable
    cycles : float
        What 8 values cost, with 8 lanes.
    """

    __slots__ = ("name", "opcode", "on_arrays", "derivative", "cycles")

    def __init__(self, name, opcode, on_arrays, derivative, cycles):
        self.name = name
        self.opcode = opcode
        self.on_arrays = on_arrays
        self.derivative = derivative
        self.cycles = cycles


def _erf(x):
    return np.vectorize(math.erf, otypes=[np.result_type(np.float32, np.asarray(x).dtype)])(x)


def _sigmoid(x):
    e = np.exp(-np.abs(x))
    return np.where(np.asarray(x) >= 0, 1 / (1 + e), e / (1 + e))


def _share(before, equal, g):
    """What an argument of an extreme gets: all of the gradient, half of it where both are equal, or nothing."""
    return g * (before + equal * 0.5)


def _power(g, y, u, v):
    # log(u) counts for u > 0 only: elsewhere the exponent cannot move.
    return g * v * u ** (v - 1), g * y * u.greater(0).where(u.greater(0).where(u, 1).log(), 0)


def _none(count):
    return lambda g, y, *arguments: (None,) * count


# In the order of csrc/ops/expression.c.
_TABLE = [
    ("copy", lambda x: x, lambda g, y, x: (g,), 1),
    ("negative", np.negative, lambda g, y, x: (-g,), 1),
    ("abs", np.abs, lambda g, y, x: (g * x.sign(),), 1),
    ("sign", np.sign, _none(1), 2),
    ("sqrt", np.sqrt, lambda g, y, x: (g * 0.5 / y,), 6),
    ("exp", np.exp, lambda g, y, x: (g * y,), 8),
    ("expm1", np.expm1, lambda g, y, x: (g * (y + 1),), 10),
    ("log", np.log, lambda g, y, x: (g / x,), 14),
    ("log1p", np.log1p, lambda g, y, x: (g / (x + 1),), 20),
    ("tanh", np.tanh, lambda g, y, x: (g * ((1 - y) * (1 + y)),), 16),
    ("sigmoid", _sigmoid, lambda g, y, x: (g * (y * (1 - y)),), 14),
    ("softplus", lambda x: np.logaddexp(x, np.float32(0)), lambda g, y, x: (g * x.sigmoid(),), 24),
    ("erf", _erf, lambda g, y, x: (g * (2 / math.sqrt(math.pi)) * (-(x * x)).exp(),), 40),
    ("sin", np.sin, lambda g, y, x: (g * x.cos(),), 24),
    ("cos", np.cos, lambda g, y, x: (-(g * x.sin()),), 24),
    ("arctan", np.arctan, lambda g, y, x: (g / (x * x + 1),), 20),
    ("floor", np.floor, _none(1), 4),
    ("round", np.round, _none(1), 10),
    ("add", np.add, lambda g, y, u, v: (g, g), 1),
    ("subtract", np.subtract, lambda g, y, u, v: (g, -g), 1),
    ("multiply", np.multiply, lambda g, y, u, v: (g * v, g * u), 1),
    ("divide", np.true_divide, lambda g, y, u, v: (g / v, -(g * y / v)), 5),
    ("maximum", np.maximum, lambda g, y, u, v: (_share(v.less(u), u.equal(v), g), _share(u.less(v), u.equal(v), g)), 2),
    ("minimum", np.minimum, lambda g, y, u, v: (_share(u.less(v), u.equal(v), g), _share(v.less(u), u.equal(v), g)), 2),
    ("power", np.power, _power, 30),
    ("less", np.less, _none(2), 1),
    ("less_equal", np.less_equal, _none(2), 1),
    ("equal", np.equal, _none(2), 1),
    ("where", np.where, lambda g, y, c, u, v: (None, c.where(g, 0), c.where(0, g)), 2),
]  # fmt: skip

PRIMITIVES = {name: Primitive(name, code, *rest) for code, (name, *rest) in enumerate(_TABLE)}
# The value without its derivative: in C, a copy.
PRIMITIVES["stop_gradient"] = Primitive("stop_gradient", 0, lambda x: x, _none(1), 1)


def _selu(x, alpha):
    return x.greater(0).where(x * 1.0507009873554805, x.expm1() * (1.0507009873554805 * 1.6732632423543772))


# The activations with kernels of their own, as formulas: beside other elementwise operations they become part of those.
ACTIVATIONS = {
    "relu": lambda x, alpha: x.less_equal(0).where(0, x),  # not a number stays so
    "leaky_relu": lambda x, alpha: x.greater(0).where(x, x * alpha),
    "elu": lambda x, alpha: x.greater(0).where(x, x.expm1() * alpha),
    "selu": _selu,
    "sigmoid": lambda x, alpha: x.sigmoid(),
    "tanh": lambda x, alpha: x.tanh(),
    "softplus": lambda x, alpha: x.softplus(),
    "silu": lambda x, alpha: x * x.sigmoid(),
    "gelu": lambda x, alpha: x * 0.5 * ((x * math.sqrt(0.5)).erf() + 1),
    "gelu_tanh": lambda x, alpha: x * (x * (x * x * 0.07135481627260025 + 1.5957691216057308)).sigmoid(),
    "mish": lambda x, alpha: x * x.softplus().tanh(),
}
