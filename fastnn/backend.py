"""Session-wide settings, under the names that `keras.backend` gives them."""

import gc

from fastnn import _naming

_EPSILON = 1e-7


def clear_session(free_memory=True):
    """Forget the names given so far, so that the next `Dense` is "dense" again.

    Models stay usable, and the random seed stays set: fastnn keeps no global graph.

    Parameters
    ----------
    free_memory : bool, default True
        Also collect garbage, so that models nobody refers to give back their memory now.
    """
    _naming.reset_names()
    if free_memory:
        gc.collect()


def floatx():
    """Return the floating-point type of all computation: always "float32"."""
    return "float32"


def set_floatx(value):
    """Choose the floating-point type. The kernels know one, so only "float32" is accepted.

    Raises
    ------
    ValueError
        For any other type.
    """
    if value != "float32":
        raise ValueError(
            f"fastnn computes in float32 only; set_floatx received {value!r}. Data of other types "
            "needs no conversion: it is converted batch by batch as it is read."
        )


def epsilon():
    """Return the smallest probability that the crossentropies take a logarithm of: 1e-7."""
    return _EPSILON


def image_data_format():
    """Return the order of an image's axes: always "channels_last"."""
    return "channels_last"


def get_value(x):
    """Return the value of a variable, of a learning rate or of anything else that has one, as an array or number.

    It is what the value is now: it does not follow later changes.
    """
    return x.numpy() if hasattr(x, "numpy") else x


def set_value(x, value):
    """Set the value of a variable or of ``optimizer.learning_rate``."""
    x.assign(value)
