"""Python's operators, and NumPy's elementwise functions, on symbolic tensors and variables."""

import numpy as np

from fastnn.graph import Tensor
from fastnn.ops import elementwise, products, shapes
from fastnn.variables import Variable

_BINARY = {
    "add": elementwise.add,
    "sub": elementwise.subtract,
    "mul": elementwise.multiply,
    "truediv": elementwise.divide,
    "floordiv": elementwise.floor_divide,
    "mod": elementwise.mod,
    "pow": elementwise.power,
    "matmul": products.matmul,
}
_COMPARISONS = {
    "lt": elementwise.less,
    "le": elementwise.less_equal,
    "gt": elementwise.greater,
    "ge": elementwise.greater_equal,
}


def _checked(other):
    if other is None or isinstance(other, (str, bytes, dict, set)):
        raise TypeError(f"Expected numbers, an array or a tensor. Received: {other!r} of type {type(other).__name__}")
    return other


def _forward(function):
    return lambda self, other: function(self, _checked(other))


def _reflected(function):
    return lambda self, other: function(_checked(other), self)


def _array_ufunc(self, ufunc, method, *inputs, **kwargs):
    import fastnn.ops

    function = getattr(fastnn.ops, ufunc.__name__, None)
    if method != "__call__" or kwargs or function is None:
        if isinstance(self, Variable):
            arrays = [each.numpy() if isinstance(each, Variable) else each for each in inputs]
            return getattr(ufunc, method)(*arrays, **kwargs)
        raise self._no_values(f"numpy.{ufunc.__name__}")
    return function(*inputs)


def install():
    """Give the operators to both classes."""
    for kind in Tensor, Variable:
        for name, function in _BINARY.items():
            setattr(kind, f"__{name}__", _forward(function))
            setattr(kind, f"__r{name}__", _reflected(function))
        for name, function in _COMPARISONS.items():
            setattr(kind, f"__{name}__", _forward(function))
        kind.__neg__ = lambda self: elementwise.negative(self)
        kind.__abs__ = lambda self: elementwise.abs(self)
        kind.__array_ufunc__ = _array_ufunc
    Tensor.__getitem__ = shapes.getitem
    Variable.__getitem__ = lambda self, index: (
        shapes.getitem(shapes.tensor(self), index) if shapes.symbolic(self) else np.asarray(self)[index]
    )
