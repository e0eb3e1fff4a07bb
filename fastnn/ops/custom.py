"""Functions that only Python can compute, and gradients of one's own."""

import functools
import warnings

import numpy as np

from fastnn.graph import Graph, Tensor
from fastnn.operations import apply, calling
from fastnn.operations.custom import MOST_INPUTS
from fastnn.ops.core import array, broadcast_shape, result, symbolic, tensor

_warned = False


def python_callback(function, *inputs, shape=None, gradient=None):
    """A function of arrays that cannot be composed of `fastnn.ops`, called back from the engine for every batch. Slow.

    Parameters
    ----------
    function : callable
        Takes an array for each of `inputs`, float32, with the batch as axis 0 of what belongs to samples. Returns one
        array.
    *inputs : Tensor, Variable or array_like
        One to five.
    shape : tuple, optional
        Of what it returns, None for the batch. Default: the shape of the first input.
    gradient : callable, optional
        Takes the gradient of the result and then the inputs, returns the gradient of each input: an array, or None for
        zero; of one input, not in a tuple. Without it nothing before the callback can be trained.

    Returns
    -------
    Tensor, or array where all inputs are arrays

    Warns
    -----
    UserWarning
        Once: the engine stops for Python, on one thread, at each batch.

    Notes
    -----
    What the function raises ends `fit` or `predict`, as Ctrl-C does, before the step has changed anything. It must not
    use the model that calls it. A model that has one cannot be frozen or exported.
    """
    global _warned
    if not inputs or len(inputs) > MOST_INPUTS:
        raise ValueError(f"ops.python_callback takes 1 to {MOST_INPUTS} inputs. Received: {len(inputs)}")
    for name, each in (("function", function), ("gradient", gradient)):
        if not callable(each) and not (name == "gradient" and each is None):
            raise TypeError(f"ops.python_callback: `{name}` must be callable. Received: {each!r}")
    if not symbolic(*inputs):
        return result(np.asarray(function(*(array(each) for each in inputs)), np.float32))
    if not _warned:
        _warned = True
        warnings.warn(
            "ops.python_callback is slow: for every batch the engine waits for Python, on one thread. What fastnn.ops "
            "can express is compiled.",
            stacklevel=2,
        )
    inputs = [tensor(each) for each in inputs]
    shape = inputs[0].shape if shape is None else tuple(shape)
    if shape[:1] == (None,) and not any(each.shape[:1] == (None,) for each in inputs):
        raise ValueError(f"ops.python_callback: shape={shape} has a value for each sample, but no input has.")
    return apply("python_callback", inputs, function=function, gradient=gradient, shape=shape)


def custom_gradient(f):
    """Give a function a gradient of one's own.

    Parameters
    ----------
    f : callable
        Takes tensors, and returns what it computes, one tensor, and a function ``gradient(upstream)``: that takes the
        gradient of the result, and returns that of each argument, a tuple if there are several. Both are composed of
        `fastnn.ops`.

    Returns
    -------
    callable
        Takes the same arguments and returns the result alone.

    Notes
    -----
    Variables that `f` reads without being given them are constants for it: they get no gradient, as in Keras with JAX.
    """

    @functools.wraps(f)
    def function(*arguments, **options):
        if not symbolic(*arguments):
            return f(*arguments, **options)[0]
        arguments = [tensor(each) for each in arguments]
        value = tensor(_called(f, arguments, options)[0])
        # The gradient again, of placeholders: a graph of its own, which any program can make part of itself.
        inputs = [Tensor(each.shape, name=f"argument {i} of {_name(f)}") for i, each in enumerate(arguments)]
        upstream = Tensor(value.shape, name=f"the gradient of {_name(f)}")
        with calling(None):
            found = _called(f, inputs, options)[1](upstream)
            found = list(found) if isinstance(found, (tuple, list)) else [found]
            if len(found) != len(inputs):
                raise ValueError(
                    f"ops.custom_gradient: the gradient of {_name(f)} must return one for each of its {len(inputs)} "
                    f"arguments. Received {len(found)}."
                )
            found = [tensor(0.0 if each is None else each) for each in found]
        for each, argument in zip(found, inputs, strict=True):
            if broadcast_shape("custom_gradient", [each.shape, argument.shape]) != argument.shape:
                raise ValueError(
                    f"ops.custom_gradient: the gradient of {argument.name} must have its shape, {argument.shape}. "
                    f"Received: {each.shape}"
                )
        return apply("custom_gradient", [value, *arguments], gradients=Graph([*inputs, upstream], found))

    return function


def _name(f):
    return getattr(f, "__name__", "the function")


def _called(f, arguments, options):
    found = f(*arguments, **options)
    if not isinstance(found, tuple) or len(found) != 2 or not callable(found[1]):
        raise TypeError(
            f"ops.custom_gradient: {_name(f)} must return (value, gradient), the gradient being a function. Received: "
            f"{found!r:.100}"
        )
    return found
