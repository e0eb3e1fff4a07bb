"""Parameters: arrays outside, the kernels' layout inside."""

import numpy as np

from fastnn import _revision
from fastnn._engine import kernels
from fastnn._engine.runtime import Buffer

_LINE_FLOATS = 16


class Variable:
    """A parameter of a layer.

    Parameters
    ----------
    value : array_like
        Initial value; its shape is the variable's shape for ever.
    name : str
    trainable : bool
        Whether `fit` may change it.
    layout : {"rows", "flat", "panels"}
        How the engine stores it: rows of whole cache lines, one row after the other without padding (tables), or
        panel-packed (the kernels of dense layers). `numpy` and `assign` always speak of the plain row-major array.

    Attributes
    ----------
    regularizer : Regularizer or None
        Its penalty is part of the loss.
    constraint : Constraint or None
        What the value is held to after every update.
    mask : Variable or None
        Where it is 0, so is the value, whatever updates and assignments say: see `fastnn.pruning`.
    on_assign : callable or None
        Called after each `assign`, for a layer that keeps something computed from the value.

    Notes
    -----
    Storage belongs to the variable, not to a model: two models that share a layer share its memory. A model moves the
    variables that it is the first to own into one contiguous arena, so that its optimizer is one pass.
    """

    def __init__(self, value, name="variable", trainable=True, layout="rows"):
        value = np.asarray(value, np.float32)
        self.shape = value.shape
        self.name = name
        self.path = name
        self.trainable = bool(trainable)
        self.layout = layout
        if layout == "panels":
            floats = kernels.packed_floats(*self.shape)
        else:
            floats = value.size // max(self._columns, 1) * self.row_stride
        self.nbytes = -(-max(floats, 1) // _LINE_FLOATS) * _LINE_FLOATS * 4
        self._buffer = Buffer(self.nbytes)
        self._offset = 0
        self.in_arena = False
        self.regularizer = self.constraint = self.mask = None
        self.on_assign = None
        self.assign(value)

    dtype = "float32"

    @property
    def ndim(self):
        return len(self.shape)

    @property
    def size(self):
        """Number of values."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def storage(self):
        """Where the engine finds it: (buffer, byte offset, byte length)."""
        return self._buffer, self._offset, self.nbytes

    def _floats(self):
        return self._buffer.array(self.nbytes // 4, np.float32, self._offset)

    @property
    def _columns(self):
        return self.shape[-1] if self.shape else 1

    @property
    def row_stride(self):
        """Floats from one row to the next, unless the layout is "panels"."""
        return self._columns if self.layout == "flat" else -(-self._columns // _LINE_FLOATS) * _LINE_FLOATS

    def _rows(self, floats):
        """Memory as rows with their padding."""
        return floats[: self.size // max(self._columns, 1) * self.row_stride].reshape(-1, max(self.row_stride, 1))

    def numpy(self):
        """A copy of the value as a row-major float32 array."""
        return self.unpacked(self._floats())

    def unpacked(self, floats):
        """A row-major copy of memory that is laid out as this variable's."""
        if self.layout == "panels":
            return kernels.unpack(floats, *self.shape)
        return self._rows(floats)[:, : self._columns].reshape(self.shape).copy()

    def pack_into(self, floats, value):
        """Write a row-major array into memory that is laid out as this variable's."""
        if self.layout == "panels":
            packed = kernels.pack(value)
            floats[: packed.size] = packed
        else:
            self._rows(floats)[:, : self._columns] = value.reshape(-1, self._columns)

    @property
    def value(self):
        return self.numpy()

    def assign(self, value):
        """Set the value.

        Raises
        ------
        ValueError
            If the shape is not the variable's.
        """
        value = np.asarray(value, np.float32)
        if value.shape != self.shape:
            raise ValueError(
                f"Variable {self.path!r} has shape {self.shape} and cannot take a value of shape {value.shape}."
            )
        if self.mask is not None:
            value = np.where(self.mask.numpy() > 0, value, np.float32(0))
        self.pack_into(self._floats(), value)
        if self.on_assign is not None:
            self.on_assign()
        return self

    def lay_out(self, layout):
        """Store the value in another layout, as long as no arena holds it; returns whether it lies so now."""
        if self.layout != layout and not self.in_arena:
            self.__init__(self.numpy(), self.name, self.trainable, layout)
        return self.layout == layout

    def _move(self, buffer, offset):
        target = buffer.array(self.nbytes // 4, np.float32, offset)
        target[:] = self._floats()
        self._buffer, self._offset, self.in_arena = buffer, offset, True
        _revision.changed()

    def __array__(self, dtype=None, copy=None):
        if copy is False:
            raise ValueError("A variable's array is always a copy; use np.asarray(variable) without copy=False.")
        value = self.numpy()
        return value if dtype is None else value.astype(dtype)

    def __reduce__(self):
        raise TypeError(
            f"Variable {self.path!r} cannot be pickled or copied: its value lies in the engine's memory. Take "
            "the value with variable.numpy(), and give it to another variable with assign()."
        )

    def __repr__(self):
        return f"<Variable path={self.path}, shape={self.shape}, dtype={self.dtype}, trainable={self.trainable}>"


def move_to_arena(variables):
    """Lay out variables that no arena holds yet one after the other, in the given order."""
    loose = [variable for variable in dict.fromkeys(variables) if not variable.in_arena]
    if not loose:
        return
    arena = Buffer(sum(variable.nbytes for variable in loose))
    offset = 0
    for variable in loose:
        variable._move(arena, offset)
        offset += variable.nbytes


def runs_of(variables):
    """Group variables into runs that lie one after the other in memory: lists of variables, in memory order."""
    ordered = sorted(dict.fromkeys(variables), key=lambda each: (id(each._buffer), each._offset))
    runs = []
    for variable in ordered:
        last = runs[-1][-1] if runs else None
        if last and last._buffer is variable._buffer and last._offset + last.nbytes == variable._offset:
            runs[-1].append(variable)
        else:
            runs.append([variable])
    return runs
