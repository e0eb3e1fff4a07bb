"""Finds, fetches, checks and splits a table of houses and their prices, one ``.npz`` file."""

import numpy as np

from fastnn.datasets import _cache

_SOURCE = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"


def load(file, sha256, columns, test_split, seed, rows=None):
    """Load a table, shuffle it as Keras does and split it.

    Parameters
    ----------
    file : str
        Name of the ``.npz`` file, which has the arrays ``x`` and ``y``.
    sha256 : str
    columns : int
        Of ``x``.
    test_split : float
        In [0, 1): share of the rows that come last.
    seed : int
        Of the order.
    rows : int, optional
        Take only so many of the first rows.

    Returns
    -------
    (x_train, y_train), (x_test, y_test) : tuples of arrays
    """
    if not 0 <= test_split < 1:
        raise ValueError(f"`test_split` must be in [0, 1). Received: test_split={test_split!r}")
    path = _find(file, sha256)
    try:
        with np.load(path, allow_pickle=False) as arrays:
            x, y = arrays["x"][:rows], arrays["y"][:rows]
    except (KeyError, ValueError, EOFError, OSError) as error:
        raise ValueError(f"{path}: expected arrays x and y in an .npz file: {error}") from error
    if x.ndim != 2 or x.shape[1] != columns or y.shape != x.shape[:1]:
        raise ValueError(
            f"{path}: expected x of shape (n, {columns}) and y of shape (n,), received {x.shape} and {y.shape}"
        )
    order = np.arange(len(x))
    np.random.RandomState(seed).shuffle(order)
    first = int(len(x) * (1 - test_split))
    train, test = order[:first], order[first:]
    return (x[train], y[train]), (x[test], y[test])


def _find(file, sha256):
    folders = _cache.candidates("housing")
    for folder in folders:
        if (folder / file).is_file():
            return folder / file
    advice = f" Or put {file} into one of:\n  " + "\n  ".join(map(str, folders))
    pooch = _cache.pooch(f"{file} is not on this machine, and downloading it", advice)
    try:
        return pooch.retrieve(_SOURCE + file, f"sha256:{sha256}", file, folders[-1], progressbar=True)
    except (OSError, ValueError) as error:  # no network, no such file; another checksum
        raise OSError(f"{file} is not on this machine and could not be downloaded: {error}.{advice}") from error
