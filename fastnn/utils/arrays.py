"""Arrays before they are trained on: labels, norms, shares of a data set."""

from fastnn import _random


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


def normalize(x, axis=-1, order=2):
    """Divide an array by its norm along an axis; what has norm 0 stays as it is.

    Parameters
    ----------
    x : array_like
    axis : int, default -1
    order : number, default 2
        Of the norm, as for `numpy.linalg.norm`: 2 is the Euclidean one, 1 the sum of magnitudes.

    Returns
    -------
    ndarray

    Examples
    --------
    >>> normalize([[3.0, 4.0], [0.0, 0.0]])
    array([[0.6, 0.8],
           [0. , 0. ]])
    """
    import numpy as np

    x = np.asarray(x)
    norm = np.linalg.norm(x, order, axis, keepdims=True)
    return x / np.where(norm == 0, 1, norm)


def pack_x_y_sample_weight(x, y=None, sample_weight=None):
    """Pack what belongs to one batch into the tuple that `fit` takes from iterables; a lone `x` that is no list stays
    alone."""
    if y is None:
        return (x,) if isinstance(x, (tuple, list)) else x
    return (x, y) if sample_weight is None else (x, y, sample_weight)


def unpack_x_y_sample_weight(data):
    """Undo `pack_x_y_sample_weight`.

    Returns
    -------
    (x, y, sample_weight) : tuple
        None for what is not there.

    Raises
    ------
    ValueError
        If `data` is a tuple of more than three.
    """
    data = tuple(data) if isinstance(data, list) else data
    if not isinstance(data, tuple):
        return data, None, None
    if not 1 <= len(data) <= 3:
        raise ValueError(
            f"Data is expected to be `x`, `(x,)`, `(x, y)` or `(x, y, sample_weight)`. Received a tuple of {len(data)}."
        )
    return (*data, None, None)[:3]


def split_dataset(dataset, left_size=None, right_size=None, shuffle=False, seed=None, preferred_backend=None):
    """Split arrays into two parts of their samples.

    Parameters
    ----------
    dataset : array_like or tuple of array_like
        Of equal lengths.
    left_size, right_size : float or int, optional
        A share in (0, 1) or a number of samples; one of them may be missing.
    shuffle : bool, default False
        Take the samples in random order.
    seed : int, optional
        Of that order.

    Returns
    -------
    left, right
        Each an array, or a tuple of arrays if `dataset` is one. (Keras returns datasets of TensorFlow or PyTorch.)

    Raises
    ------
    ValueError
        If the sizes do not fit, or the lengths differ.
    """
    import numpy as np

    arrays = [np.asarray(each) for each in (dataset if isinstance(dataset, (tuple, list)) else [dataset])]
    samples = len(arrays[0])
    if any(len(each) != samples for each in arrays):
        raise ValueError(f"split_dataset expected arrays of one length. Received {[len(each) for each in arrays]}.")
    left, right = (_share(size, samples, name) for size, name in ((left_size, "left_size"), (right_size, "right_size")))
    if left is None and right is None:
        raise ValueError("At least one of `left_size` and `right_size` must be given.")
    left = samples - right if left is None else left
    right = samples - left if right is None else right
    if left + right > samples:
        raise ValueError(
            f"There are {samples} samples, fewer than left_size={left_size!r} and right_size={right_size!r}."
        )
    order = np.arange(samples)
    if shuffle:
        np.random.default_rng(_random.next_seed() if seed is None else seed).shuffle(order)
    parts = [tuple(each[chosen] for each in arrays) for chosen in (order[:left], order[samples - right :])]
    return tuple(parts) if isinstance(dataset, tuple) else tuple(part[0] if len(part) == 1 else part for part in parts)


def _share(size, samples, name):
    """A size given as a share or a number, as a number of samples."""
    if size is None:
        return None
    if isinstance(size, float) and 0 < size < 1:
        return round(size * samples)
    if isinstance(size, int) and not isinstance(size, bool) and 0 < size < samples:
        return size
    raise ValueError(
        f"`{name}` must be a share in (0, 1) or a number of samples below {samples}. Received: {name}={size!r}"
    )
