"""What every initializer is, and those that draw nothing."""

import numpy as np


class Initializer:
    """Base class: subclasses implement ``__call__(shape, dtype=None)`` returning an array."""

    def __call__(self, shape, dtype=None):
        raise NotImplementedError(f"{type(self).__name__} must implement __call__(shape, dtype=None).")

    def get_config(self):
        """Return the arguments that make an equal initializer."""
        return {}

    @classmethod
    def from_config(cls, config):
        """Make an initializer from what `get_config` returned."""
        return cls(**config)

    def clone(self):
        """Return a new initializer of the same configuration; unseeded, it gets its own seed."""
        return type(self).from_config(self.get_config())


class Zeros(Initializer):
    """All zeros."""

    def __call__(self, shape, dtype=None):
        return np.zeros(as_shape(shape), as_dtype(dtype))


class Ones(Initializer):
    """All ones."""

    def __call__(self, shape, dtype=None):
        return np.ones(as_shape(shape), as_dtype(dtype))


class Constant(Initializer):
    """One value everywhere.

    Parameters
    ----------
    value : float, default 0.0
    """

    def __init__(self, value=0.0):
        self.value = value

    def __call__(self, shape, dtype=None):
        return np.full(as_shape(shape), self.value, as_dtype(dtype))

    def get_config(self):
        return {"value": self.value}


class Identity(Initializer):
    """The identity matrix times a factor; of a matrix that is not square, its main diagonal.

    Parameters
    ----------
    gain : float, default 1.0

    Raises
    ------
    ValueError
        When called, if the shape is not two-dimensional.
    """

    def __init__(self, gain=1.0):
        self.gain = gain

    def __call__(self, shape, dtype=None):
        shape = as_shape(shape)
        if len(shape) != 2:
            raise ValueError(
                f"Identity makes matrices only: expected a shape of two numbers. Received: shape={shape} of rank "
                f"{len(shape)}."
            )
        return (self.gain * np.eye(*shape)).astype(as_dtype(dtype))

    def get_config(self):
        return {"gain": self.gain}


def as_shape(shape):
    return (int(shape),) if isinstance(shape, (int, np.integer)) else tuple(shape)


def as_dtype(dtype):
    return np.dtype(np.float32 if dtype is None else dtype)
