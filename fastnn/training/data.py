"""Checking what users pass as data, so that the engine can read it where it lies.

Arrays of numbers are never copied as a whole here, whatever their type, strides or size: the engine
converts them batch by batch. Everything else that can be read as numbers becomes an array; what
cannot is refused with the name of the argument, what was expected and what came.
"""

import math
import sys

import numpy as np

MAX_AXES = 6  # FNN_MAX_AXES of the engine

_READABLE = frozenset(np.dtype(t) for t in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?"))
_CHUNK = 1 << 16  # values looked at in one go: what a check allocates stays in the cache


def as_array(data, name, text=False):
    """Return `data` as an array that the engine can read.

    Parameters
    ----------
    data : array_like
        An array of any strides (returned without a copy), nested lists of equal lengths, or an
        object with ``__array__`` or ``to_numpy`` (pandas, PyTorch, JAX). Arrays of Python objects
        are converted to float64.
    name : str
        Of the argument, for error messages.
    text : bool, default False
        Let arrays of strings pass, too: a layer that looks them up will read them.

    Returns
    -------
    ndarray, of 1 to 6 axes

    Raises
    ------
    TypeError
        If it cannot be read as numbers of a type that the engine knows: float16, float32, float64,
        bool, or integers of up to 64 bits.
    ValueError
        If it is a single value, has more than 6 axes, or is of another machine's byte order.
    """
    masked = sys.modules.get("numpy.ma")  # not loaded: nobody can have made one
    if masked is not None and isinstance(data, masked.MaskedArray):
        raise TypeError(f"{name} is a masked array, whose mask would be ignored. Pass {name}.filled(...).")
    array = np.asarray(data) if isinstance(data, np.ndarray) else _converted(data, name)
    if array.dtype not in _READABLE:
        array = _readable(array, name, text)
    if array.ndim == 0:
        raise ValueError(f"{name} is a single value, {data!r}. Expected an array whose first axis counts samples.")
    if array.ndim > MAX_AXES:
        raise ValueError(f"{name} has {array.ndim} axes, shape {array.shape}. Expected at most {MAX_AXES}.")
    return array


def columns_of(data, names):
    """A frame that is given for several inputs as a dictionary of its columns; everything else as it is."""
    if len(names) < 2 or isinstance(data, dict) or not hasattr(data, "columns"):
        return data
    return {column: data[column] for column in data.columns}


def check_lengths(**arrays):
    """Return the number of samples, the same in all `arrays` (those that are None don't count).

    Raises
    ------
    ValueError
        If the numbers differ, or are zero.
    """
    lengths = {name: len(array) for name, array in arrays.items() if array is not None}
    if len(set(lengths.values())) > 1:
        sizes = ", ".join(f"{name} has {length}" for name, length in lengths.items())
        raise ValueError(
            f"Data cardinality is ambiguous. Make sure all arrays contain the same number of samples: {sizes}."
        )
    for name, length in lengths.items():
        if length == 0:
            raise ValueError(f"{name} is empty: it has shape {arrays[name].shape}.")
    return next(iter(lengths.values()))


def check_inputs(x, shape, name):
    """Return `x` with one sample shaped as the model expects.

    As in Keras, a last axis of length 1 may be missing or too many.

    Parameters
    ----------
    x : ndarray
    shape : tuple of int
        Of one sample.
    name : str
        What is being read, for the error message: "x", "layer 'dense'".

    Raises
    ------
    ValueError
        If `x` has another shape.
    """
    view = _matching(x, tuple(shape))
    if view is None:
        raise ValueError(
            f"{name}: expected samples of shape {tuple(shape)}, that is an array of shape "
            f"{_batch(shape)}. Received an array of shape {x.shape}."
        )
    return view


def check_targets(y, kind, output_shape, name, ignored=None):
    """Return the targets shaped as a loss reads them, one for each row of the prediction.

    Parameters
    ----------
    y : ndarray
    kind : {"labels", "groups", "values", "column"}
        The `target_kind` of a loss: see `losses.Loss`.
    output_shape : tuple of int
        Of the prediction for one sample.
    name : str
    ignored : int, optional
        A label that need not be a column of the prediction.

    Returns
    -------
    ndarray
        A view: ``(samples, *output_shape[:-1])`` for labels, ``(samples, *output_shape)`` for
        values.

    Raises
    ------
    ValueError
        If `y` has another shape, or holds something else than labels in ``[0, classes)``.
    """
    wanted = output_shape = tuple(output_shape)
    if kind in ("labels", "groups"):
        wanted = output_shape[:-1]
    elif kind == "column":
        wanted = (*output_shape[:-1], 1)
    view = _matching(y, wanted)
    if view is None:
        raise ValueError(
            f"{name}: expected {_batch(wanted)} for a prediction of shape "
            f"{_batch(output_shape)}, received shape {y.shape}.{_hint(y, kind, output_shape)}"
        )
    if kind == "labels":
        check_labels(view, output_shape[-1], name, ignored)
    elif kind == "groups":
        check_labels(view, None, name)
    return view


def check_labels(y, classes, name, ignored=None):
    """Check that all values are class numbers: whole, and in ``[0, classes)``; without classes, in that of int32.

    Parameters
    ----------
    y : ndarray of integers, bool or floats
        Read in parts, never copied as a whole.
    classes : int or None
    name : str
    ignored : int, optional
        A further value that is allowed.

    Raises
    ------
    ValueError
        Names the first value that is none.
    """
    if y.size == 0:
        return
    # Integers, the usual case, need no mask: the extremes tell.
    low, high = (-(2**31), 2**31) if classes is None else (0, classes)
    if y.dtype.kind != "f" and int(y.min()) >= low and int(y.max()) < high:
        return
    for start, part in _parts(y):
        if y.dtype.kind == "f":
            wrong = ~((part >= low) & (part < high) & (part == np.floor(part)))
        else:
            wrong = (part < low) | (part >= high)
        if ignored is not None:
            wrong &= part != ignored
        if wrong.any():
            first, *rest = np.unravel_index(np.argmax(wrong), wrong.shape)
            where = ", ".join(str(int(i)) for i in (start + first, *rest))
            value = part[(first, *rest)]
            bounds = f"in [{low}, {high})"
            why = "" if classes is None else f", since the prediction has {classes} columns"
            raise ValueError(f"{name}[{where}] is {value}. Expected labels: whole numbers {bounds}{why}.")


def check_sample_weight(sample_weight, samples, name="sample_weight", steps=()):
    """Return sample weights as an array of shape (samples, *steps).

    Parameters
    ----------
    sample_weight : array_like
        One for each sample, or one for each of its rows: of the shape that is returned, also with further axes of
        size 1; or with 1 for any of `steps`.
    samples : int
    name : str
    steps : tuple of int
        The axes of an output between the samples and the last one.

    Raises
    ------
    TypeError
        If they are no numbers.
    ValueError
        If there are not as many as samples or rows, or one is NaN or infinite.
    """
    weights = given = as_array(sample_weight, name)
    while weights.ndim > 1 + len(steps) and weights.shape[-1] == 1:
        weights = weights[..., 0]
    if weights.ndim == 1:
        weights = weights.reshape(-1, *(1 for _ in steps))
    shape = (samples, *steps)
    fits = weights.ndim == len(shape) and len(weights) == samples
    if not fits or any(n not in (1, wanted) for n, wanted in zip(weights.shape[1:], steps, strict=True)):
        rows = f", or for each of its rows, shape {shape}" if steps else ""
        raise ValueError(
            f"{name}: expected one number for each of the {samples} samples, shape ({samples},){rows}. "
            f"Received shape {given.shape}."
        )
    if weights.dtype.kind == "f":
        for start, part in _parts(weights):
            finite = np.abs(part) <= np.finfo(np.float32).max  # not so for NaN; larger ones overflow in the engine
            if not finite.all():
                first, *rest = np.unravel_index(np.argmin(finite), finite.shape)
                where = ", ".join(str(int(i)) for i in (start + first, *rest))
                raise ValueError(f"{name}[{where}] is {part[(first, *rest)]}. Expected finite float32 numbers.")
    return np.broadcast_to(weights, shape)


def class_weights(y, class_weight, classes=None):
    """Return the weight of each sample by its class.

    Parameters
    ----------
    y : ndarray, shape (samples,), (samples, 1) or (samples, classes)
        Labels, or one-hot rows of which the largest column is the label.
    class_weight : dict of int to float
        Classes that are missing weigh 1.
    classes : int, optional
        How many there are, if labels are in ``[0, classes)``; known from one-hot rows.

    Returns
    -------
    ndarray of float32, shape (samples,)

    Raises
    ------
    ValueError
        If `class_weight` is no such dictionary, or has a class that no label can be; or `y` is of another shape.
    """
    if not isinstance(class_weight, dict):
        raise ValueError(
            "class_weight: expected a dictionary of class numbers to weights, received "
            f"{class_weight!r} of type {type(class_weight).__name__}."
        )
    for key, weight in class_weight.items():
        if not (_is_number(key) and key == int(key) and _is_number(weight)):
            raise ValueError(
                f"class_weight: expected class numbers and finite weights, received {{{key!r}: {weight!r}}}."
            )
    if y.ndim > 2:
        raise ValueError(
            "class_weight: expected one label for each sample, that is y of shape (samples,), "
            f"(samples, 1) or (samples, classes). Received shape {y.shape}."
        )
    if y.ndim == 2 and y.shape[1] > 1:
        classes = y.shape[1]
    for key in class_weight:
        if classes is not None and not 0 <= key < classes:
            raise ValueError(
                f"class_weight: there are {classes} classes, numbered from 0 to {classes - 1}. Received a weight for "
                f"class {key!r}."
            )
    weights = np.ones(len(y), np.float32)
    if not class_weight:
        return weights
    known_classes = np.array(sorted(class_weight), np.int64)
    values = np.array([class_weight[c] for c in sorted(class_weight)], np.float32)
    for start, part in _parts(y):
        if part.ndim == 2:
            part = part.argmax(axis=1) if part.shape[1] != 1 else part[:, 0]
        with np.errstate(invalid="ignore"):  # NaN is no class of the dictionary: it weighs 1
            labels = np.round(part).astype(np.int64)
        place = np.minimum(np.searchsorted(known_classes, labels), len(known_classes) - 1)
        known = known_classes[place] == labels
        weights[start : start + len(labels)][known] = values[place[known]]
    return weights


def split_validation(fraction, *arrays):
    """Split off the last part of the data for validation, as views.

    Parameters
    ----------
    fraction : float
        In (0, 1): the share that is split off.
    *arrays : ndarray or None
        Of equal lengths.

    Returns
    -------
    training, validation : tuple
        Each with one view for each array, None for None.

    Raises
    ------
    ValueError
        If the fraction is out of range, or leaves one of the parts empty.
    """
    if not (_is_number(fraction) and 0 < fraction < 1):
        raise ValueError(f"validation_split: expected a number in (0, 1), received {fraction!r}.")
    samples = next(len(a) for a in arrays if a is not None)
    split = math.floor(samples * (1.0 - fraction))
    if split in (0, samples):
        raise ValueError(
            f"Training data contains {samples} samples, which is not sufficient to split it into "
            f"a validation and training set as specified by `validation_split={fraction}`. Either "
            "provide more data, or a different value for the `validation_split` argument."
        )
    training = tuple(None if a is None else a[:split] for a in arrays)
    validation = tuple(None if a is None else a[split:] for a in arrays)
    return training, validation


def unpack(data, name="validation_data"):
    """Return ``x, y, sample_weight`` of a tuple or list of two or three.

    Raises
    ------
    ValueError
        If `data` is something else.
    """
    if not isinstance(data, (tuple, list)) or len(data) not in (2, 3):
        size = f" of length {len(data)}" if isinstance(data, (tuple, list)) else ""
        raise ValueError(
            f"{name}: expected a tuple (x, y) or (x, y, sample_weight), received {type(data).__name__}{size}."
        )
    return (*data, None) if len(data) == 2 else tuple(data)


def _converted(data, name):
    """Make an array of something that is none."""
    if hasattr(data, "toarray"):
        raise TypeError(f"{name} is a sparse matrix ({type(data).__name__}). Pass {name}.toarray().")
    try:
        if hasattr(data, "to_numpy") and not hasattr(data, "__array__"):
            return np.asarray(data.to_numpy())
        array = np.asarray(data)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise TypeError(
            f"{name} could not be read as an array of numbers. Received {type(data).__name__}: {error}"
        ) from error
    if array.dtype == object and array.ndim == 0:
        raise TypeError(f"{name}: expected an array or nested lists of numbers, received {type(data).__name__}.")
    return array


def _readable(array, name, text):
    """Make an array of numbers (or of text) of one of another type, or say why not."""
    if array.dtype == object and array.size and text and all(isinstance(each, (str, bytes)) for each in array.flat):
        return array.astype(str if isinstance(array.flat[0], str) else bytes)
    if array.dtype == object:
        return _from_objects(array, name)
    if text and array.dtype.kind in "US":
        return array
    if array.dtype.newbyteorder("=") in _READABLE:
        raise ValueError(
            f"{name} has the byte order of another machine (dtype {array.dtype.str!r}). "
            f"Convert it with {name}.astype({name}.dtype.newbyteorder('=')); in parts, if it "
            "does not fit in memory."
        )
    raise TypeError(
        f"{name} has dtype {array.dtype}, which cannot be read as numbers. Expected float16, "
        "float32, float64, bool or integers of up to 64 bits."
    )


def _from_objects(array, name):
    """Convert an array of Python objects to float64, or say which one is no number."""
    try:
        return array.astype(np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        for index, value in np.ndenumerate(array):
            try:
                float(value)
            except (TypeError, ValueError, OverflowError):
                where = ", ".join(map(str, index))
                raise TypeError(
                    f"{name} is an array of Python objects, and {name}[{where}] is "
                    f"{value!r:.60} of type {type(value).__name__}. Expected numbers, in rows of "
                    "equal lengths."
                ) from error
        raise TypeError(f"{name} is an array of Python objects: {error}") from error


def _matching(array, shape):
    """View `array` with samples of `shape`, whether or not it has a last axis of length 1."""
    if array.shape[1:] == shape:
        return array
    if array.shape[1:] == (*shape, 1):
        return array[..., 0]
    if (*array.shape[1:], 1) == shape:
        return array[..., None]
    return None


def _hint(y, kind, output_shape):
    """What a frequent confusion of labels and one-hot rows needs."""
    classes = output_shape[-1]
    if kind == "labels" and y.shape[1:] == output_shape:
        return (
            " These look like one-hot rows: use categorical_crossentropy (or categorical_accuracy) "
            "instead of the sparse one."
        )
    if kind == "values" and classes > 1 and y.shape[1:] in (output_shape[:-1], (1,)):
        return (
            " If these are labels, use sparse_categorical_crossentropy, or turn them into one-hot "
            f"rows with fastnn.utils.to_categorical(y, {classes})."
        )
    return ""


def _batch(shape):
    return "(" + ", ".join(["samples", *map(str, shape)]) + ("" if shape else ",") + ")"


def _parts(array):
    """Yield (number of the first sample, view) over the first axis, of about _CHUNK values."""
    step = max(1, _CHUNK // max(1, math.prod(array.shape[1:])))
    for start in range(0, len(array), step):
        yield start, array[start : start + step]


def _is_number(value):
    return isinstance(value, (int, float, np.integer, np.floating)) and math.isfinite(value)
