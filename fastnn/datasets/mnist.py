"""MNIST: 70,000 grey images of handwritten digits, 28x28 pixels."""

from pathlib import Path

import numpy as np

from fastnn.datasets import _cache, _mnist_like

__all__ = ["load_data"]

_MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
_SHA256 = (
    "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
)


def load_data(path="mnist.npz"):
    """Load MNIST, from the disk if it is there, else from the network.

    Looked for in ``$FASTNN_DATA/mnist`` and in the user's cache (``$XDG_CACHE_HOME/fastnn/mnist``,
    by default under ``~/.cache``). Otherwise downloaded into that cache, checksums verified, 12 MB.

    Parameters
    ----------
    path : str, default "mnist.npz"
        Where there is such a file, in one of these folders or by its own path, it is read: Keras keeps the data as one.

    Returns
    -------
    (x_train, y_train), (x_test, y_test) : tuples of uint8 arrays
        ``x_train`` (60000, 28, 28) and ``x_test`` (10000, 28, 28) hold pixels from 0 (background)
        to 255, ``y_train`` (60000,) and ``y_test`` (10000,) the digits 0 to 9.

    Raises
    ------
    ModuleNotFoundError
        If a download is needed and pooch is not installed (``pip install 'fastnn[datasets]'``).
    OSError
        If the download fails.
    ValueError
        If a file found is damaged or holds something else.

    References
    ----------
    Y. LeCun, L. Bottou, Y. Bengio, P. Haffner: Gradient-Based Learning Applied to Document
    Recognition. Proceedings of the IEEE 86(11), 1998.
    """
    for folder in _cache.candidates("mnist"):
        file = Path(folder, path)  # `path` alone, if it is absolute
        if file.is_file():
            with np.load(file, allow_pickle=False) as data:
                return (data["x_train"], data["y_train"]), (data["x_test"], data["y_test"])
    return _mnist_like.load("mnist", _MIRRORS, _SHA256)
