"""How a function of `fastnn.ops` meets what it is given.

Symbolic tensors, and variables while something is being traced: nodes are added to the graph. Arrays, numbers, and
variables otherwise: NumPy computes at once, in float32. There is no engine in the eager path on purpose: it has no
batch to share out, and serves to look at values and to build constants.
"""

import contextlib
import threading

import numpy as np

from fastnn.eager import Array
from fastnn.graph import Tensor
from fastnn.lowering.primitives import PRIMITIVES
from fastnn.operations import apply, tracing
from fastnn.variables import Variable, assigned


def symbolic(*values):
    """Must these be nodes of a graph?"""
    return any(isinstance(each, Tensor) or (isinstance(each, Variable) and tracing()) for each in values)


def tensor(value):
    """A tensor, a variable, a number or an array as a symbolic tensor."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, Variable):
        known = assigned(value)
        return apply("parameter", [], {"value": value}) if known is None else known
    return apply("parameter", [], {"value": Variable(array(value), name="constant", trainable=False)})


def array(value):
    """What an eager function computes with: float32 where there are fractions."""
    if isinstance(value, Variable):
        return value.numpy()
    if value is None:
        raise TypeError(
            "Expected numbers. Received: None. ops.shape(x)[0], the number of samples, is not known while a "
            "network is traced. ops.size(x) counts the values of each batch, ops.mean divides by their number."
        )
    found = np.asarray(value)
    if found.dtype.kind not in "fiub":
        raise TypeError(f"Expected numbers. Received: {value!r:.100} of type {type(value).__name__}")
    return found.astype(np.float32) if found.dtype.kind == "f" else found


def result(value):
    """What an eager function returns."""
    value = np.asarray(value)
    return (value.astype(np.float32) if value.dtype == np.float64 else value).view(Array)


def shape_of(value):
    """The shape of a tensor, a variable or an array."""
    return tuple(value.shape) if hasattr(value, "shape") else np.shape(value)


class _Counting(threading.local):
    samples = False


_counting = _Counting()


@contextlib.contextmanager
def counting_samples():
    """While this lasts, `shape` tells the samples of a batch as a tensor: what a loss or a metric is traced with is a
    batch of data, in layers it is any."""
    before, _counting.samples = _counting.samples, True
    try:
        yield
    finally:
        _counting.samples = before


def counts_samples():
    return _counting.samples


def is_batched(x):
    """Does axis 0 of a symbolic tensor count samples?"""
    return isinstance(x, Tensor) and x.shape[:1] == (None,)


def _is_number(value):
    return not isinstance(value, (Tensor, Variable)) and np.ndim(value) == 0


def elementwise(function, *arguments):
    """A primitive applied to values that are broadcast against each other."""
    if not symbolic(*arguments):
        values = [each if isinstance(each, (bool, int, float)) else array(each) for each in arguments]
        with np.errstate(all="ignore"):
            return result(PRIMITIVES[function].on_arrays(*values))
    inputs = [None if _is_number(each) else tensor(each) for each in arguments]
    shape = broadcast_shape(function, [each.shape for each in inputs if each is not None])
    numbers = tuple(float(each) if own is None else None for each, own in zip(arguments, inputs, strict=True))
    inputs = [_without_leading_ones(each, shape) for each in inputs if each is not None]
    return apply("elementwise", inputs, function=function, arguments=numbers, shape=shape)


def _without_leading_ones(x, shape):
    """A value for all samples that was given with an axis of 1 for them."""
    if shape[:1] == (None,) and not is_batched(x) and x.ndim == len(shape):
        from fastnn.ops.shapes import reshape

        return reshape(x, x.shape[1:])
    return x


def broadcast_shape(function, shapes):
    """The shape that tensors are broadcast to."""
    batched = [each for each in shapes if each[:1] == (None,)]
    if not batched:
        try:
            return np.broadcast_shapes(*shapes)
        except ValueError:
            raise _mismatch(function, shapes) from None
    ndim = len(batched[0])
    bodies = []
    for each in shapes:
        if each[:1] == (None,):
            if len(each) != ndim:
                raise _mismatch(
                    function, shapes, " Axis 0 counts samples in both, and would meet another axis: use "
                    "ops.expand_dims(x, -1), or keepdims=True in the reduction before.",
                )  # fmt: skip
            bodies.append(each[1:])
        elif len(each) < ndim:
            bodies.append(each)
        elif len(each) == ndim and each[0] == 1:
            bodies.append(each[1:])
        else:
            raise _mismatch(function, shapes)
    try:
        return (None, *np.broadcast_shapes(*bodies))
    except ValueError:
        raise _mismatch(function, shapes) from None


def _mismatch(function, shapes, hint=""):
    return ValueError(f"ops.{function}: the shapes {shapes} cannot be broadcast against each other.{hint}")


def axis_of(x, axis, function):
    """An axis counted from 0."""
    ndim = len(shape_of(x))
    if isinstance(axis, bool) or not hasattr(axis, "__index__") or not -ndim <= axis < ndim:
        raise ValueError(f"ops.{function}: a value of shape {shape_of(x)} has no axis {axis!r}.")
    return axis.__index__() % ndim


def refuse_batch_axis(x, axis, function):
    """Samples stay where they are."""
    if axis == 0 and is_batched(x):
        raise ValueError(
            f"ops.{function}: axis 0 of {x!r} counts the samples of a batch, which cannot be rearranged in a traced "
            "function. Work on the other axes, or prepare the data before it goes into the model."
        )
