"""Elementwise functions with broadcasting, as in `keras.ops`. Truth is 1.0, falsehood 0.0 in a graph."""

import math

import numpy as np

from fastnn.ops.core import elementwise, symbolic


def _unary(name, primitive=None, doc=None):
    def function(x):
        return elementwise(primitive or name, x)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc or f"Elementwise ``{name}(x)``."
    return function


def _binary(name, primitive=None):
    def function(x1, x2):
        return elementwise(primitive or name, x1, x2)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"Elementwise ``{name}(x1, x2)``."
    return function


negative, abs, sign, sqrt, exp, expm1, log, log1p, sin, cos, arctan, floor, erf = (
    _unary(name) for name in "negative abs sign sqrt exp expm1 log log1p sin cos arctan floor erf".split()
)
absolute = abs
fabs = abs
add, subtract, multiply, divide, maximum, minimum, less, less_equal, equal = (
    _binary(name) for name in "add subtract multiply divide maximum minimum less less_equal equal".split()
)
true_divide = divide


def stop_gradient(variable):
    """The value, as a constant: no gradient flows through it."""
    return elementwise("stop_gradient", variable)


def power(x1, x2):
    """``x1`` to the power of ``x2``; small whole powers and roots known beforehand are products and roots."""
    return elementwise("power", x1, x2)


def square(x):
    """``x * x``."""
    return elementwise("multiply", x, x)


def reciprocal(x):
    """``1 / x``."""
    return elementwise("divide", 1.0, x)


def rsqrt(x):
    """``1 / sqrt(x)``."""
    return reciprocal(sqrt(x))


def cbrt(x):
    """The cube root; of negative numbers a negative one."""
    return multiply(sign(x), power(abs(x), 1 / 3))


def exp2(x):
    """``2 ** x``."""
    return exp(multiply(x, math.log(2)))


def log2(x):
    """The logarithm to base 2."""
    return multiply(log(x), 1 / math.log(2))


def log10(x):
    """The logarithm to base 10."""
    return multiply(log(x), 1 / math.log(10))


def logaddexp(x1, x2):
    """``log(exp(x1) + exp(x2))`` without overflow."""
    from fastnn.activations import softplus

    apart = where(equal(x1, x2), 0.0, subtract(x1, x2))  # infinity less itself is no number
    return add(maximum(x1, x2), softplus(negative(abs(apart))))


def logaddexp2(x1, x2):
    """``log2(2 ** x1 + 2 ** x2)``."""
    return multiply(logaddexp(multiply(x1, math.log(2)), multiply(x2, math.log(2))), 1 / math.log(2))


def tan(x):
    """Tangent."""
    return divide(sin(x), cos(x))


def sinh(x):
    """Hyperbolic sine."""
    e = expm1(abs(x))
    return multiply(sign(x), multiply(0.5, add(e, divide(e, add(e, 1.0)))))


def cosh(x):
    """Hyperbolic cosine."""
    e = exp(abs(x))
    return multiply(0.5, add(e, reciprocal(e)))


def arcsin(x):
    """Inverse sine."""
    return arctan(divide(x, sqrt(multiply(subtract(1.0, x), add(1.0, x)))))


def arccos(x):
    """Inverse cosine."""
    return multiply(2.0, arctan(sqrt(divide(subtract(1.0, x), add(1.0, x)))))


def arcsinh(x):
    """Inverse hyperbolic sine."""
    a = abs(x)
    root = sqrt(add(square(a), 1.0))
    return multiply(sign(x), log1p(add(a, divide(square(a), add(root, 1.0)))))


def arccosh(x):
    """Inverse hyperbolic cosine."""
    below = subtract(x, 1.0)
    return log1p(add(below, sqrt(multiply(below, add(x, 1.0)))))


def arctanh(x):
    """Inverse hyperbolic tangent."""
    return multiply(0.5, subtract(log1p(x), log1p(negative(x))))


def arctan2(x1, x2):
    """The angle of the point ``(x2, x1)``."""
    half = multiply(math.pi / 2, sign(x1))
    angle = arctan(divide(x1, where(equal(x2, 0.0), 1.0, x2)))
    behind = add(angle, where(less(x1, 0.0), -math.pi, math.pi))
    return where(equal(x2, 0.0), half, where(less(x2, 0.0), behind, angle))


def hypot(x1, x2):
    """``sqrt(x1 ** 2 + x2 ** 2)``."""
    return sqrt(add(square(x1), square(x2)))


def sinc(x):
    """``sin(pi x) / (pi x)``, and 1 at 0."""
    angle = multiply(math.pi, where(equal(x, 0.0), 1.0, x))
    return where(equal(x, 0.0), 1.0, divide(sin(angle), angle))


def ceil(x):
    """The smallest whole number that is not less."""
    return negative(floor(negative(x)))


def trunc(x):
    """The whole number next to it towards 0."""
    return multiply(sign(x), floor(abs(x)))


def round(x, decimals=0):
    """The nearest whole number, the even one of two; or the nearest number of so many decimals."""
    if decimals:
        return divide(elementwise("round", multiply(x, 10.0**decimals)), 10.0**decimals)
    return elementwise("round", x)


def floor_divide(x1, x2):
    """``floor(x1 / x2)``; of an infinite `x1` no number, as in NumPy."""
    quotient = where(logical_and(isinf(x2), _signs_differ(x1, x2)), -1.0, floor(divide(x1, x2)))
    return where(logical_and(isinf(x1), not_equal(x2, 0.0)), math.nan, quotient)


def _signs_differ(x1, x2):
    return less(multiply(x1, x2), 0.0)


def mod(x1, x2):
    """The remainder of a division, with the sign of `x2`."""
    rest = subtract(x1, multiply(floor_divide(x1, x2), x2))
    of_infinity = where(_signs_differ(x1, x2), x2, x1)
    return where(logical_and(isinf(x2), logical_not(isinf(x1))), of_infinity, rest)


remainder = mod


def fmod(x1, x2):
    """The remainder of a division, with the sign of `x1`."""
    return subtract(x1, multiply(trunc(divide(x1, x2)), x2))


def divide_no_nan(x1, x2):
    """``x1 / x2``, and 0 where `x2` is 0."""
    return where(equal(x2, 0.0), 0.0, divide(x1, where(equal(x2, 0.0), 1.0, x2)))


def fmax(x1, x2):
    """The larger one; where one is NaN, the other."""
    return where(isnan(x1), x2, where(isnan(x2), x1, maximum(x1, x2)))


def fmin(x1, x2):
    """The smaller one; where one is NaN, the other."""
    return where(isnan(x1), x2, where(isnan(x2), x1, minimum(x1, x2)))


def not_equal(x1, x2):
    """``x1 != x2``."""
    return logical_not(equal(x1, x2))


def greater(x1, x2):
    """``x1 > x2``."""
    return elementwise("less", x2, x1)


def greater_equal(x1, x2):
    """``x1 >= x2``."""
    return elementwise("less_equal", x2, x1)


def where(condition, x1=None, x2=None):
    """``x1`` where the condition holds (is not 0), else ``x2``. The gradient goes to the one that was taken.

    Of an array alone: the places where it holds, as a tuple with an array for each axis.
    """
    if x1 is None and x2 is None:
        if symbolic(condition):
            raise ValueError("ops.where: how many places there are is not known of a tensor. Give `x1` and `x2`.")
        return tuple(np.nonzero(condition))
    return elementwise("where", condition, x1, x2)


def clip(x, x_min, x_max):
    """``x``, but at least `x_min` and at most `x_max`."""
    if x_min is not None:
        x = maximum(x, x_min)
    return x if x_max is None else minimum(x, x_max)


def logical_not(x):
    """1 where `x` is 0, else 0."""
    return elementwise("equal", x, 0.0) if symbolic(x) else np.logical_not(x)


def logical_and(x1, x2):
    """1 where both are not 0."""
    if not symbolic(x1, x2):
        return np.logical_and(x1, x2)
    return multiply(_truth(x1), _truth(x2))


def logical_or(x1, x2):
    """1 where one is not 0."""
    if not symbolic(x1, x2):
        return np.logical_or(x1, x2)
    return maximum(_truth(x1), _truth(x2))


def logical_xor(x1, x2):
    """1 where exactly one is not 0."""
    return not_equal(_truth(x1), _truth(x2))


def _truth(x):
    return logical_not(logical_not(x))


def isnan(x):
    """1 where `x` is no number."""
    return not_equal(x, x)


def isinf(x):
    """1 where `x` is infinite."""
    return equal(abs(x), math.inf)


def isposinf(x):
    """1 where `x` is infinity."""
    return equal(x, math.inf)


def isneginf(x):
    """1 where `x` is minus infinity."""
    return equal(x, -math.inf)


def signbit(x):
    """1 where `x` is negative, -0.0 included."""
    if not symbolic(x):
        return np.signbit(np.asarray(x, np.float32))
    return where(equal(x, 0.0), less(divide(1.0, x), 0.0), less(x, 0.0))  # 1 / -0.0 is -infinity


def isfinite(x):
    """1 where `x` is a number."""
    return less(abs(x), math.inf)


def nan_to_num(x, nan=0.0, posinf=None, neginf=None):
    """Other numbers for NaN and infinities: 0 and the largest there are."""
    largest = float(np.finfo(np.float32).max)
    x = where(equal(x, math.inf), largest if posinf is None else posinf, x)
    x = where(equal(x, -math.inf), -largest if neginf is None else neginf, x)
    return where(isnan(x), nan, x)


def heaviside(x1, x2):
    """0 below 0, 1 above, `x2` at 0."""
    return where(equal(x1, 0.0), x2, greater(x1, 0.0))


def deg2rad(x):
    """Degrees to radians."""
    return multiply(x, math.pi / 180)


def rad2deg(x):
    """Radians to degrees."""
    return multiply(x, 180 / math.pi)


def erfc(x):
    """``1 - erf(x)``."""
    return subtract(1.0, erf(x))


def erfinv(x):
    """The inverse of `erf`, by two of Newton's steps from Winitzki's approximation (2008)."""
    t = log(multiply(subtract(1.0, x), add(1.0, x)))
    a = 0.147
    b = add(2 / (math.pi * a), multiply(0.5, t))
    y = multiply(sign(x), sqrt(subtract(sqrt(subtract(square(b), divide(t, a))), b)))
    for _ in range(2):
        slope = multiply(2 / math.sqrt(math.pi), exp(negative(square(y))))
        y = subtract(y, divide(subtract(erf(y), x), slope))
    return y


def cast(x, dtype):
    """Numbers are float32 in a graph: "int..." cuts the fraction off, "bool" makes 0 or 1, floats stay."""
    from fastnn.ops.core import array, result

    name = np.dtype("float32" if dtype == "bfloat16" else dtype).name
    if not symbolic(x):
        return result(array(x).astype("float32" if name == "float64" else name))
    if name.startswith("float"):
        return elementwise("copy", x)
    return _truth(x) if name == "bool" else trunc(x)


__all__ = [
    "abs",
    "absolute",
    "add",
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctan2",
    "arctanh",
    "cast",
    "cbrt",
    "ceil",
    "clip",
    "cos",
    "cosh",
    "deg2rad",
    "divide",
    "divide_no_nan",
    "equal",
    "erf",
    "erfc",
    "erfinv",
    "exp",
    "exp2",
    "expm1",
    "fabs",
    "floor",
    "floor_divide",
    "fmax",
    "fmin",
    "fmod",
    "greater",
    "greater_equal",
    "heaviside",
    "hypot",
    "isfinite",
    "isinf",
    "isnan",
    "isneginf",
    "isposinf",
    "less",
    "less_equal",
    "log",
    "log10",
    "log1p",
    "log2",
    "logaddexp",
    "logaddexp2",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "maximum",
    "minimum",
    "mod",
    "multiply",
    "nan_to_num",
    "negative",
    "not_equal",
    "power",
    "rad2deg",
    "reciprocal",
    "remainder",
    "round",
    "rsqrt",
    "sign",
    "signbit",
    "sin",
    "sinc",
    "sinh",
    "sqrt",
    "square",
    "stop_gradient",
    "subtract",
    "tan",
    "true_divide",
    "trunc",
    "where",
]
