"""Small helpers around a training run."""

from fastnn import _random
from fastnn.backend import clear_session
from fastnn.saving import (
    CustomObjectScope,
    custom_object_scope,
    deserialize_keras_object,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
    serialize_keras_object,
)

__all__ = [
    "CustomObjectScope",
    "clear_session",
    "custom_object_scope",
    "deserialize_keras_object",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "register_keras_serializable",
    "serialize_keras_object",
    "set_random_seed",
    "to_categorical",
]


def set_random_seed(seed):
    """Seed everything that draws random numbers: Python's `random`, NumPy and fastnn.

    A program that calls this first computes the same bits every time it runs, on any number of
    threads.

    Parameters
    ----------
    seed : int
        In [0, 2**32), which is what `numpy.random.seed` takes.

    Raises
    ------
    ValueError
        If `seed` is no integer or out of range.
    """
    import random

    import numpy

    if not isinstance(seed, int):
        raise ValueError(f"Expected `seed` argument to be an integer. Received: seed={seed} (of type {type(seed)})")
    # The user's own code may draw from NumPy's global generator; fastnn does not.
    numpy.random.seed(seed)  # noqa: NPY002
    random.seed(seed)
    _random.set_seed(seed)


def to_categorical(x, num_classes=None):
    """Turn integer labels into one-hot rows.

    Parameters
    ----------
    x : array_like of int, shape (...,) or (..., 1)
        Labels in [0, num_classes).
    num_classes : int, optional
        Length of a row. Default: the greatest label plus one.

    Returns
    -------
    ndarray of float64, shape (..., num_classes)
        As from Keras. float64 costs no copy later: training converts batch by batch.

    Raises
    ------
    ValueError
        If a label is not an integer or out of range, or `num_classes` is missing for empty `x`.

    Examples
    --------
    >>> to_categorical([0, 2], num_classes=3)
    array([[1., 0., 0.],
           [0., 0., 1.]])
    """
    import numpy as np

    labels = np.asarray(x)
    integers = labels.astype(np.int64)
    if not np.array_equal(integers, labels):
        raise ValueError(
            f"to_categorical expected integer labels, received values of type {labels.dtype} "
            "that are not whole numbers."
        )
    if integers.ndim > 1 and integers.shape[-1] == 1:
        integers = integers[..., 0]
    if not num_classes:
        if integers.size == 0:
            raise ValueError("to_categorical needs `num_classes` when `x` is empty.")
        num_classes = int(integers.max()) + 1
    outside = (integers < 0) | (integers >= num_classes)
    if outside.any():
        raise ValueError(f"to_categorical expected labels in [0, {num_classes}), received {integers[outside].flat[0]}.")
    categorical = np.zeros((*integers.shape, num_classes))
    np.put_along_axis(categorical, integers[..., None], 1, axis=-1)
    return categorical
