"""Models of real Keras, out of memory or out of a file.

Out of memory they are read as out of a file: a configuration, and for each layer its own variables by number.
"""

import json
import os

import numpy as np

from fastnn.layers import Layer
from fastnn.models import Model
from fastnn.saving import load_model, native


def from_keras(model, custom_objects=None, compile=True):
    """Make a model of one of real Keras.

    Parameters
    ----------
    model : keras.Model, str or path
        A built model of Keras 3, `Sequential` or functional, with any backend; or a file, see
        `fastnn.models.load_model`.
    custom_objects : dict of str to class or function, optional
        What classes and functions in the model mean that are neither Keras's nor registered here.
    compile : bool, default True
        Compile it as it was. The memory of the optimizer comes out of files only.

    Returns
    -------
    Model
        With copies of the weights.

    Raises
    ------
    ValueError, TypeError
        For a model that is not built, and for layers and options that fastnn does not have; the message names them.

    Examples
    --------
    >>> frozen = fastnn.from_keras(keras_model).freeze()
    """
    if isinstance(model, (str, os.PathLike)):
        return load_model(model, custom_objects, compile)
    if not any(
        each.__module__.partition(".")[0] == "keras" and each.__name__ == "Model" for each in type(model).__mro__
    ):
        raise TypeError(f"from_keras takes a model of Keras 3 or a file. Received: {type(model).__name__}")
    if not model.built:
        raise ValueError(f"Model {model.name!r} has no weights yet: build it, or call it on data, before.")
    from keras.saving import serialize_keras_object

    config = json.loads(json.dumps(serialize_keras_object(model)))
    size = 4 * sum(int(np.prod(each.shape)) for each in model.weights)
    ours = native.make(config, custom_objects, compile, size, f"Keras's model {model.name!r}")
    _copy(model, ours)
    return ours


def _is_keras(cls):
    return cls.__module__.partition(".")[0] == "keras"


def _copy(theirs, ours):
    """The variables of a layer, and of those inside it."""
    values = {}
    theirs.save_own_variables(values)
    ours.load_own_variables({key: np.asarray(value).astype(np.float32) for key, value in values.items()})
    if hasattr(theirs, "get_vocabulary"):
        ours.set_vocabulary(theirs.get_vocabulary(include_special_tokens=False))
    for one, other in _inner(theirs, ours):
        if not hasattr(one, "save_own_variables"):
            raise ValueError(f"Layer {other.name!r} is {type(one).__name__} in Keras's model, which is no layer.")
        _copy(one, other)


def _inner(theirs, ours):
    """Pairs of the layers inside: those of a model in their order, others by the names of the attributes."""
    if isinstance(ours, Model) and _is_keras(type(theirs)):
        yield from zip(theirs.layers, ours.layers, strict=True)
        return
    for name, value in vars(ours).items():
        if isinstance(value, Layer):
            yield getattr(theirs, name), value
        elif isinstance(value, (list, tuple)) and not name.startswith("_"):
            inner = [each for each in value if isinstance(each, Layer)]
            if inner:
                yield from zip(getattr(theirs, name), inner, strict=True)
