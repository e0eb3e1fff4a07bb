"""Boston housing: 506 districts of 1978, 13 numbers each, and the median price of a house.

Use `california_housing` for new work: one of this table's columns assumes that people's colour sets a price.
"""

from fastnn.datasets import _housing

__all__ = ["load_data"]


def load_data(path="boston_housing.npz", test_split=0.2, seed=113):
    """Load the table, from the disk if it is there, else from the network.

    Looked for in ``$FASTNN_DATA/housing`` and in the user's cache (by default ``~/.cache/fastnn/housing``). Otherwise
    downloaded into that cache, checksum verified.

    Parameters
    ----------
    path : str, default "boston_housing.npz"
        Name of the file there.
    test_split : float, default 0.2
    seed : int, default 113
        Of the order, which is that of Keras.

    Returns
    -------
    (x_train, y_train), (x_test, y_test) : tuples of float64 arrays
        ``x`` (n, 13), ``y`` (n,) in thousands of dollars.

    Raises
    ------
    ModuleNotFoundError, OSError, ValueError
        As `fastnn.datasets.mnist.load_data`.

    References
    ----------
    D. Harrison and D. L. Rubinfeld: Hedonic housing prices and the demand for clean air. Journal of Environmental
    Economics and Management 5(1), 1978.
    """
    checksum = "f553886a1f8d56431e820c5b82552d9d95cfcb96d1e678153f8839538947dff5"
    return _housing.load(path, checksum, 13, test_split, seed)
