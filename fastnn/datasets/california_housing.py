"""California housing: 20,640 districts of 1990, 8 numbers each, and the median price of a house."""

from fastnn.datasets import _housing

__all__ = ["load_data"]


def load_data(version="large", path="california_housing.npz", test_split=0.2, seed=113):
    """Load the table, from the disk if it is there, else from the network.

    Looked for in ``$FASTNN_DATA/housing`` and in the user's cache (by default ``~/.cache/fastnn/housing``). Otherwise
    downloaded into that cache, checksum verified.

    Parameters
    ----------
    version : {"large", "small"}
        All rows, or the first 600.
    path : str, default "california_housing.npz"
        Name of the file there.
    test_split : float, default 0.2
    seed : int, default 113
        Of the order, which is that of Keras.

    Returns
    -------
    (x_train, y_train), (x_test, y_test) : tuples of float32 arrays
        ``x`` (n, 8): longitude, latitude, median age of the houses, rooms, bedrooms, population, households, median
        income; ``y`` (n,) in dollars.

    Raises
    ------
    ModuleNotFoundError, OSError, ValueError
        As `fastnn.datasets.mnist.load_data`.

    References
    ----------
    R. K. Pace and R. Barry: Sparse spatial autoregressions. Statistics and Probability Letters 33(3), 1997.
    """
    if version not in ("large", "small"):
        raise ValueError(f"`version` must be 'large' or 'small'. Received: version={version!r}")
    checksum = "1a2e3a52e0398de6463aebe6f4a8da34fb21fbb6b934cf88c3425e766f2a1a6f"
    return _housing.load(path, checksum, 8, test_split, seed, rows=600 if version == "small" else None)
