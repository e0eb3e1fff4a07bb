"""The UCI handwritten digits: 1,797 images of 8x8 pixels, shipped with the package."""

from pathlib import Path

import numpy as np

__all__ = ["load_data"]

_FILE = Path(__file__).parent / "data" / "digits.npz"


def load_data():
    """Load the test set of UCI's Optical Recognition of Handwritten Digits.

    13 people wrote them. Of each digit's images, in the order of the source, every fifth is for testing and the others
    are for training: both parts span the whole source, with each digit in equal shares. The split never changes.

    Returns
    -------
    (x_train, y_train), (x_test, y_test) : tuples of uint8 arrays
        ``x_train`` (1442, 8, 8) and ``x_test`` (355, 8, 8) hold pixels from 0 (blank) to 16 (full),
        ``y_train`` (1442,) and ``y_test`` (355,) the digits 0 to 9.

    References
    ----------
    E. Alpaydin, C. Kaynak: Optical Recognition of Handwritten Digits. UCI Machine Learning
    Repository, 1998, doi:10.24432/C50P49. CC BY 4.0; see ``data/LICENSE.md`` beside this file.

    Examples
    --------
    >>> (x_train, y_train), (x_test, y_test) = load_data()
    >>> x_train.shape, x_test.shape, int(x_train.max())
    ((1442, 8, 8), (355, 8, 8), 16)
    """
    with np.load(_FILE) as file:
        x, y = file["x"], file["y"]
    test = np.zeros(len(y), dtype=bool)
    for digit in range(10):
        test[np.flatnonzero(y == digit)[4::5]] = True
    return (x[~test], y[~test]), (x[test], y[test])
