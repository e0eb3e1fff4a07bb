"""Values of an optimizer that look like Keras's variables, and are numbers."""

import numpy as np


class Assignable:
    """What has `numpy()` and `assign()` can be counted up and down, too."""

    def assign_add(self, value):
        """Add to the value."""
        return self.assign(self.numpy() + np.asarray(value, self.dtype))

    def assign_sub(self, value):
        """Subtract from the value."""
        return self.assign(self.numpy() - np.asarray(value, self.dtype))


class Rate(Assignable, float):
    """The learning rate of the next step: a float that can also be assigned, as Keras's variable can."""

    dtype = "float32"
    shape = ()

    def __new__(cls, value, optimizer):
        rate = super().__new__(cls, value)
        rate._optimizer = optimizer
        return rate

    def numpy(self):
        """The value, as float32: what it is now, whatever becomes of it."""
        return np.float32(self)

    @property
    def value(self):
        return float(self)

    def assign(self, value):
        """Set the optimizer's learning rate."""
        self._optimizer.learning_rate = value
        return self._optimizer.learning_rate

    def __reduce__(self):
        return float, (float(self),)


class Count(Assignable, int):
    """How many updates an optimizer has made: an int that can also be assigned."""

    dtype = "int32"
    shape = ()

    def __new__(cls, value, optimizer):
        count = super().__new__(cls, value)
        count._optimizer = optimizer
        return count

    def numpy(self):
        return np.int32(self)

    @property
    def value(self):
        return int(self)

    def assign(self, value):
        """Say how many updates there have been; schedules and bias corrections go on from there."""
        self._optimizer.iterations = value
        return self._optimizer.iterations

    def __reduce__(self):
        return int, (int(self),)


class State(Assignable):
    """What an optimizer remembers of one variable: an array of that variable's shape, in the engine's memory."""

    dtype = "float32"
    trainable = False

    def __init__(self, optimizer, reference, slot):
        self.name = f"{reference.path.replace('/', '_')}_{slot}"
        self.path = f"{optimizer.name}/{self.name}"
        self._reference = reference
        self._place = optimizer.state[reference][slot]

    @property
    def shape(self):
        return self._reference.shape

    def _floats(self):
        buffer, offset, nbytes = self._place
        return buffer.array(nbytes // 4, np.float32, offset)

    def numpy(self):
        """A copy of the values."""
        return self._reference.unpacked(self._floats())

    @property
    def value(self):
        return self.numpy()

    def assign(self, value):
        value = np.asarray(value, np.float32)
        if value.shape != self.shape:
            raise ValueError(f"{self.path!r} has shape {self.shape} and cannot take a value of shape {value.shape}.")
        self._reference.pack_into(self._floats(), value)
        return self

    def __array__(self, dtype=None, copy=None):
        value = self.numpy()
        return value if dtype is None else value.astype(dtype)

    def __repr__(self):
        return f"<State path={self.path}, shape={self.shape}>"


class Scalar(Assignable):
    """A number of an optimizer, among its variables."""

    shape = ()
    trainable = False

    def __init__(self, optimizer, name, read, write, dtype):
        self.name = name
        self.path = f"{optimizer.name}/{name}"
        self.dtype = dtype
        self._read, self._write = read, write

    def numpy(self):
        return np.asarray(self._read(), self.dtype)

    @property
    def value(self):
        return self.numpy()

    def assign(self, value):
        self._write(np.asarray(value).item())
        return self

    def __array__(self, dtype=None, copy=None):
        value = self.numpy()
        return value if dtype is None else value.astype(dtype)

    def __repr__(self):
        return f"<Scalar path={self.path}, value={self.numpy()}>"
