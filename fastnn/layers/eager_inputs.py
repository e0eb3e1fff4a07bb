"""What layers make of arrays that they are called on."""

import numpy as np


class _Leaf:
    """An array-like as one leaf of a structure, be it a list of numbers."""

    def __init__(self, array):
        self.array = array


def several(inputs):
    """Inputs of an eager call as a structure of leaves. A list holds several inputs if all of them are batches, and
    rows of one otherwise."""
    if isinstance(inputs, dict) and inputs:
        return {key: several(each) for key, each in inputs.items()}
    if isinstance(inputs, (list, tuple)) and inputs and all(getattr(each, "ndim", 0) >= 2 for each in inputs):
        return type(inputs)(_Leaf(each) for each in inputs)
    return _Leaf(inputs)


def is_flat(inputs):
    """Is this a number, an array of one axis, or a list of numbers?"""
    if isinstance(inputs, (list, tuple)):
        return bool(inputs) and not any(np.ndim(each) for each in inputs)
    return not isinstance(inputs, dict) and np.ndim(inputs) < 2


def as_floats(inputs, layer, text=False):
    """Eager inputs as an array that the engine can read (or, if `text`, that a lookup can)."""
    from fastnn.training.data import as_array

    x = as_array(inputs, f"The input of {layer.name!r}", text)
    if x.ndim < 2:
        raise ValueError(
            f"Layer {layer.name!r} expects a batch: an array of at least 2 axes, (samples, features). "
            f"Received shape {x.shape}; add an axis, for example x[np.newaxis]."
        )
    if 0 in x.shape[1:]:
        raise ValueError(f"Layer {layer.name!r}: every sample has a value at least. Received shape {x.shape}.")
    return x
