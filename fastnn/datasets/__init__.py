"""Small data sets to learn and test with.

======================  ================================================  ==========================
module                  holds                                             comes from
======================  ================================================  ==========================
``digits``              1,797 handwritten digits, 8x8, values 0 to 16     this package
``mnist``               70,000 handwritten digits, 28x28, 0 to 255        the disk or a download
``fashion_mnist``       70,000 pieces of clothing, 28x28, 0 to 255        the disk or a download
``california_housing``  20,640 districts, 8 numbers each, house prices    the disk or a download
``boston_housing``      506 districts, 13 numbers each, house prices      the disk or a download
======================  ================================================  ==========================

Each has ``load_data()``, which returns ``(x_train, y_train), (x_test, y_test)``: uint8 arrays of images and labels,
floats of the houses. ``idx`` reads any file in the IDX format of the MNIST-like ones.
"""

import importlib

__all__ = ["boston_housing", "california_housing", "digits", "fashion_mnist", "idx", "mnist"]


def __getattr__(name):
    if name in __all__:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *__all__])
