"""Fashion-MNIST: 70,000 grey images of clothing, 28x28 pixels, ten classes."""

from fastnn.datasets import _mnist_like

__all__ = ["CLASSES", "load_data"]

#: What the labels 0 to 9 stand for.
CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)

_MIRRORS = (
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
)
_SHA256 = (
    "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
)


def load_data():
    """Load Fashion-MNIST, from the disk if it is there, else from the network.

    Looked for in ``$FASTNN_DATA/fashion-mnist``, in the folder of Debian's package
    ``dataset-fashion-mnist``, and in the user's cache (``$XDG_CACHE_HOME/fastnn/fashion-mnist``, by
    default under ``~/.cache``). Otherwise downloaded into that cache, checksums verified, 30 MB.

    Returns
    -------
    (x_train, y_train), (x_test, y_test) : tuples of uint8 arrays
        ``x_train`` (60000, 28, 28) and ``x_test`` (10000, 28, 28) hold pixels from 0 (background)
        to 255, ``y_train`` (60000,) and ``y_test`` (10000,) the labels, named in `CLASSES`.

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
    H. Xiao, K. Rasul, R. Vollgraf: Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine
    Learning Algorithms. arXiv:1708.07747, 2017. MIT licence.
    """
    return _mnist_like.load("fashion-mnist", _MIRRORS, _SHA256, system_folder="/usr/share/datasets/fashion-mnist")
