"""Session-wide settings, under the names that `keras.backend` gives them, and, for code of Keras 2, its mathematics:
``backend.mean``, ``backend.square`` and so on are those of `fastnn._backend_functions`, imported when asked for."""

import gc

from fastnn import _naming

__all__ = [
    "backend", "clear_session", "epsilon", "floatx", "get_uid", "get_value", "image_data_format", "is_float_dtype",
    "is_int_dtype", "is_keras_tensor", "result_type", "set_epsilon", "set_floatx", "set_image_data_format", "set_value",
    "standardize_dtype",
]  # fmt: skip

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


def set_epsilon(value):
    """Choose `epsilon`. The kernels know one, so only 1e-7 is accepted.

    Raises
    ------
    ValueError
        For any other number.
    """
    if value != _EPSILON:
        raise ValueError(f"fastnn's kernels have the epsilon {_EPSILON}; set_epsilon received {value!r}.")


def backend():
    """Return the name of what computes: always "fastnn"."""
    return "fastnn"


def get_uid(prefix=""):
    """Return how often it was asked for this prefix since `clear_session`, this time included."""
    return _naming.count(prefix)


def is_keras_tensor(x):
    """Return whether `x` is a symbolic tensor, such as `fastnn.Input` makes."""
    from fastnn.graph import Tensor

    return isinstance(x, Tensor)


def standardize_dtype(dtype):
    """Return the name of a type: "float32" for None and `float`, "int32" for `int`, "bool" for `bool`.

    Raises
    ------
    ValueError
        If it is no type of numbers.
    """
    import numpy as np

    python_types = {None: "float32", float: "float32", int: "int32", "int": "int32", bool: "bool"}
    if dtype in python_types:
        return python_types[dtype]
    try:
        return np.dtype(getattr(dtype, "name", dtype)).name
    except TypeError as error:
        raise ValueError(f"Invalid dtype: {dtype!r}") from error


def is_float_dtype(dtype):
    """Return whether a type is one of floating-point numbers."""
    return standardize_dtype(dtype).startswith(("float", "bfloat"))


def is_int_dtype(dtype):
    """Return whether a type is one of whole numbers."""
    return standardize_dtype(dtype).startswith(("int", "uint"))


def result_type(*dtypes):
    """Return the type of a computation with values of these types, by Keras's rules: floats of 32 bits unless all
    floats are of 16, integers of at most 32 unless unsigned and signed are mixed."""
    import numpy as np

    names = [standardize_dtype(each) for each in dtypes] or ["float32"]
    floats = [name for name in names if is_float_dtype(name)]
    name = np.result_type(*(floats or names)).name
    return {"float64": "float32", "int64": "int32", "uint64": "uint32"}.get(name, name)


def image_data_format():
    """Return the order of an image's axes: always "channels_last"."""
    return "channels_last"


def set_image_data_format(data_format):
    """Choose the order of an image's axes. The kernels know one, so only "channels_last" is accepted.

    Raises
    ------
    ValueError
        For any other order.
    """
    if data_format != "channels_last":
        raise ValueError(f"Images are 'channels_last' in fastnn. Received: data_format={data_format!r}")


def get_value(x):
    """Return the value of a variable, of a learning rate or of anything else that has one, as an array or number.

    It is what the value is now: it does not follow later changes.
    """
    return x.numpy() if hasattr(x, "numpy") else x


def set_value(x, value):
    """Set the value of a variable or of ``optimizer.learning_rate``."""
    x.assign(value)


def __getattr__(name):
    if not name.startswith("_"):
        from fastnn import _backend_functions

        if name in _backend_functions.__all__:
            return getattr(_backend_functions, name)
    raise AttributeError(
        f"module 'fastnn.backend' has no attribute {name!r}. Mathematics is in fastnn.ops, random numbers are in "
        "fastnn.random."
    )


def __dir__():
    from fastnn import _backend_functions

    return sorted([*globals(), *_backend_functions.__all__])
