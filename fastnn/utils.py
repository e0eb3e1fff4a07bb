"""Small helpers around a training run."""

import os

from fastnn import _random
from fastnn.backend import clear_session, is_keras_tensor, standardize_dtype
from fastnn.config import disable_interactive_logging, enable_interactive_logging, is_interactive_logging_enabled
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
from fastnn.training.pydataset import PyDataset

Sequence = PyDataset  # the older name

__all__ = [
    "CustomObjectScope",
    "Progbar",
    "PyDataset",
    "Sequence",
    "clear_session",
    "custom_object_scope",
    "deserialize_keras_object",
    "disable_interactive_logging",
    "enable_interactive_logging",
    "get_custom_objects",
    "get_file",
    "get_registered_name",
    "get_registered_object",
    "is_interactive_logging_enabled",
    "is_keras_tensor",
    "normalize",
    "pack_x_y_sample_weight",
    "plot_model",
    "register_keras_serializable",
    "serialize_keras_object",
    "set_random_seed",
    "split_dataset",
    "standardize_dtype",
    "to_categorical",
    "unpack_x_y_sample_weight",
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


def split_dataset(dataset, left_size=None, right_size=None, shuffle=False, seed=None):
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


def get_file(
    fname=None,
    origin=None,
    untar=False,
    md5_hash=None,
    file_hash=None,
    cache_subdir="datasets",
    hash_algorithm="auto",
    extract=False,
    archive_format="auto",
    cache_dir=None,
    force_download=False,
):
    """Download a file, unless it is in the cache; by pooch (``pip install 'fastnn[datasets]'``).

    Parameters
    ----------
    fname : str, optional
        Name in the cache; default: that of the URL.
    origin : str
        URL.
    untar, extract : bool, default False
        Unpack the archive beside it.
    md5_hash : str, optional
        Old spelling of `file_hash` for MD5.
    file_hash : str, optional
        Checksum, SHA-256 or MD5; another one is an error.
    cache_subdir : str, default "datasets"
    hash_algorithm : {"auto", "sha256", "md5"}
        "auto" goes by the length of `file_hash`.
    archive_format : {"auto", "tar", "zip"}
        "auto" goes by the file's name.
    cache_dir : str, optional
        Default: ``$XDG_CACHE_HOME/fastnn``, or ``~/.cache/fastnn``.
    force_download : bool, default False
        Download even what is in the cache.

    Returns
    -------
    str
        Path of the file; of the folder with its contents, if it was unpacked.

    Raises
    ------
    ModuleNotFoundError
        If pooch is not installed.
    OSError, ValueError
        If the download fails or has another checksum.
    """
    from fastnn.datasets import _cache

    if not origin:
        raise ValueError("get_file needs `origin`, the URL of the file.")
    pooch = _cache.pooch(f"get_file({origin!r})")
    fname = str(fname or os.path.basename(origin))
    folder = os.path.join(os.path.expanduser(cache_dir or _cache.folder()), cache_subdir)
    checksum = file_hash or md5_hash
    if checksum is not None and ":" not in checksum:
        md5 = hash_algorithm == "md5" or (hash_algorithm == "auto" and len(checksum) == 32)
        checksum = f"{'md5' if md5 else 'sha256'}:{checksum}"
    path = os.path.join(folder, fname)
    if force_download and os.path.exists(path):
        os.remove(path)
    if not (extract or untar):
        return pooch.retrieve(origin, checksum, fname, folder)
    zipped = archive_format == "zip" or (archive_format == "auto" and fname.endswith(".zip") and not untar)
    target = fname.split(".")[0] + "_extracted"
    unpack = pooch.Unzip(extract_dir=target) if zipped else pooch.Untar(extract_dir=target)
    pooch.retrieve(origin, checksum, fname, folder, processor=unpack)
    return os.path.join(folder, target)


class Progbar:
    """A progress bar for loops of one's own, drawn as `fit` draws its own.

    Parameters
    ----------
    target : int or None
        Steps in all; None if unknown, and then nothing is drawn before the end.
    width, interval, unit_name
        Accepted for compatibility: the bar fits the terminal and is drawn ten times a second.
    verbose : {0, 1, 2}
        0 prints nothing, 1 a bar in a terminal and a line at the end, 2 the line only.
    stateful_metrics : iterable of str, optional
        Values shown as they are; others are averaged over the steps.
    stateless_metrics : iterable of str, optional
        The reverse: only these are averaged.

    Raises
    ------
    ValueError
        If both kinds of metrics are given.
    """

    def __init__(
        self,
        target,
        width=20,
        verbose=1,
        interval=0.05,
        stateful_metrics=None,
        stateless_metrics=None,
        unit_name="step",
    ):
        from fastnn.training.progress import Progress

        if stateful_metrics is not None and stateless_metrics is not None:
            raise ValueError("Only one of `stateful_metrics` and `stateless_metrics` can be given.")
        self.target = target
        self.verbose = verbose
        self._stateful = frozenset(stateful_metrics or ())
        self._stateless = None if stateless_metrics is None else frozenset(stateless_metrics)
        self._sums = {}  # name -> [sum, steps]
        self._seen = 0
        self._progress = Progress(verbose, None, target or 0)
        self._progress.epoch_begin()

    def update(self, current, values=None, finalize=None):
        """Show that `current` steps are done.

        Parameters
        ----------
        current : int
        values : list of (str, float), optional
            Of the last steps.
        finalize : bool, optional
            Is this the end? Default: if `current` has reached `target`.
        """
        steps = max(current - self._seen, 1)
        for name, value in values or ():
            averaged = name not in self._stateful if self._stateless is None else name in self._stateless
            total, count = self._sums.get(name, (0.0, 0)) if averaged else (0.0, 0)
            self._sums[name] = (total + float(value) * steps, count + steps)
        self._seen = current
        if finalize is None:
            finalize = self.target is not None and current >= self.target
        if finalize:
            self._progress.finish(self._values(), current)
        elif self.target:
            self._progress.update(current, self._values)

    def add(self, n, values=None):
        """Show that `n` more steps are done."""
        self.update(self._seen + n, values)

    def _values(self):
        return {name: total / count for name, (total, count) in self._sums.items()}


def plot_model(
    model,
    to_file="model.png",
    show_shapes=False,
    show_dtype=False,
    show_layer_names=False,
    rankdir="TB",
    expand_nested=False,
    dpi=200,
    show_layer_activations=False,
    show_trainable=False,
):
    """Draw a model: its layers as boxes, and arrows where tensors go. Needs matplotlib: ``pip install 'fastnn[plot]'``.

    Parameters
    ----------
    model : Model
        A built one. Of a subclass only the operations inside its `call` are known; they are what is drawn.
    to_file : str or path, default "model.png"
        Its suffix chooses the format: png, pdf, svg.
    show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable : bool, default False
    rankdir : {"TB", "BT", "LR", "RL"}
        Where the inputs and the outputs are: "TB" is from top to bottom.
    expand_nested : bool, default False
        Draw the layers of models inside the model.
    dpi : int, default 200

    Returns
    -------
    matplotlib.figure.Figure
        Notebooks show it.

    Raises
    ------
    ValueError
        If the model is not built, or `rankdir` is unknown.
    ImportError
        If matplotlib is not installed.
    """
    if rankdir not in ("TB", "BT", "LR", "RL"):
        raise ValueError(f"`rankdir` must be 'TB', 'BT', 'LR' or 'RL'. Received: rankdir={rankdir!r}")
    try:
        from fastnn.models.plot import draw

        figure = draw(
            model, show_shapes, show_dtype, show_layer_names, rankdir, expand_nested, show_layer_activations,
            show_trainable,
        )  # fmt: skip
    except ModuleNotFoundError as error:
        raise ImportError(f"plot_model draws with matplotlib: pip install 'fastnn[plot]'. ({error})") from error
    if to_file is not None:
        figure.savefig(to_file, dpi=dpi)
    return figure
