"""Parameters: arrays outside, the kernels' layout inside."""

import contextlib
import threading

import numpy as np

from fastnn import _revision
from fastnn._engine import kernels
from fastnn._engine.runtime import Buffer
from fastnn._naming import scopes_open
from fastnn.graph import Tensor

_LINE_FLOATS = 16
WORTH_KEEPING = 32768  # bytes from which on a matrix is large


class _Assigned(threading.local):
    tensors = None


_assigned = _Assigned()


@contextlib.contextmanager
def recording_assignments():
    """While a function is traced: a dictionary of what it assigns to variables, which later reads of them see."""
    outer, _assigned.tensors = _assigned.tensors, {}
    try:
        yield _assigned.tensors
    finally:
        _assigned.tensors = outer


def assigned(variable):
    """What the function being traced has assigned to a variable; None if nothing."""
    return _assigned.tensors.get(variable) if _assigned.tensors else None


class Variable:
    """A parameter of a layer.

    Parameters
    ----------
    initializer : array_like, Initializer, callable or str
        Initial value, whose shape is the variable's for ever; or what makes one of the given `shape`.
    shape : tuple of int, optional
        For an initializer. An array's shape must be equal, if both are given.
    dtype : str, optional
        Only "float32"; data of other types is converted.
    trainable : bool, default True
        Whether `fit` may change it.
    autocast, aggregation, synchronization
        Accepted for compatibility: there is one type, and one machine.
    name : str, default "variable"
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

    def __init__(
        self,
        initializer,
        shape=None,
        dtype=None,
        trainable=True,
        autocast=True,
        aggregation="none",
        synchronization="auto",
        name=None,
        layout="rows",
    ):
        if dtype not in (None, "float32", float, np.float32):
            raise ValueError(f"fastnn computes in float32: a variable holds nothing else. Received: dtype={dtype!r}")
        value = _first_value(initializer, shape)
        self.name = name or "variable"
        self.path = "/".join([*scopes_open(), self.name])
        self._lay_out(value, layout)
        self.trainable = bool(trainable)
        self.regularizer = self.constraint = self.mask = None
        self.on_assign = None

    def _lay_out(self, value, layout):
        """Take memory for a value in this layout, and write it there."""
        self.shape = value.shape
        self.layout = layout
        if layout == "panels":
            floats = kernels.packed_floats(*self.shape)
        else:
            floats = value.size // max(self._columns, 1) * self.row_stride
        self.nbytes = -(-max(floats, 1) // _LINE_FLOATS) * _LINE_FLOATS * 4
        self._buffer = Buffer(self.nbytes)
        self._offset = 0
        self.in_arena = False
        self.pack_into(self._floats(), value)

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
        TypeError
            For a symbolic tensor, but in the `update_state` of a metric.
        """
        if _assigned.tensors is not None:
            from fastnn.ops.core import tensor

            _assigned.tensors[self] = tensor(value)
            return self
        if isinstance(value, Tensor):
            raise TypeError(
                f"Variable {self.path!r} cannot be assigned {value!r} here: a step computes it later. The state of a "
                "metric can be assigned in its update_state(); layers keep no state between steps but what fastnn's do."
            )
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

    def assign_add(self, value):
        """Add to the value."""
        return self.assign(self + value)

    def assign_sub(self, value):
        """Subtract from the value."""
        return self.assign(self - value)

    def lay_out(self, layout):
        """Store the value in another layout, as long as no arena holds it; returns whether it lies so now."""
        if self.layout != layout and not self.in_arena:
            self._lay_out(self.numpy(), layout)
        return self.layout == layout

    def _move(self, buffer, offset):
        target = buffer.array(self.nbytes // 4, np.float32, offset)
        target[:] = self._floats()
        self._buffer, self._offset, self.in_arena = buffer, offset, True
        _revision.changed()

    def __float__(self):
        return float(self._single())

    def __int__(self):
        return int(self._single())

    def _single(self):
        if self.size != 1:
            raise TypeError(f"Only a variable of one value is a number. {self.path!r} has shape {self.shape}.")
        return self.numpy().item()

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


def _first_value(initializer, shape):
    """The first value of a variable, as an array."""
    if isinstance(initializer, str) or callable(initializer):
        from fastnn import initializers

        if shape is None:
            raise ValueError(
                "When creating a Variable from an initializer, the `shape` argument should be specified. Received: "
                f"initializer={initializer!r}"
            )
        return np.asarray(initializers.get(initializer)(tuple(shape), dtype="float32"), np.float32)
    value = np.asarray(initializer, np.float32)
    if shape is not None and tuple(shape) != value.shape:
        raise ValueError(f"A value of shape {value.shape} was given for a variable of shape {tuple(shape)}.")
    return value


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


def is_large_matrix(variable):
    """Is it a matrix in panels that is large enough for its threads to keep theirs in their caches?"""
    return variable.layout == "panels" and variable.nbytes >= WORTH_KEEPING


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
