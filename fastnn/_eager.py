"""Losses and metrics on arrays, outside of a program.

Their `lower` methods say once which operation of the engine computes them. A program's builder
keeps what they emit; the one here runs it at once, so that both ways give the same numbers.
"""

import numpy as np

from fastnn.training.data import as_array, check_labels


class _Slot:
    """An array where a program would have a slot."""

    rows_per_sample = 1

    def __init__(self, array, n=1):
        self.array = array
        self.n = n
        self.ld = array.shape[-1]


class _Runner:
    """Stands in for a program's builder."""

    def __init__(self, rows):
        self.rows = rows

    def emit(self, op, rows=1, work_per_row=0.0, **bindings):
        from fastnn._engine import kernels
        from fastnn._engine.runtime import OPS

        info = OPS[op]
        operands = {name: bindings[name] for name in info.operands}
        kernels.call(
            op,
            self.rows,
            {name: slot and slot.array for name, slot in operands.items()},
            {name: bindings[name] for name in info.dims},
            {name: bindings[name] for name in info.scalars},
        )


def row_values(lower, target_kind, y_true, y_pred):
    """Compute one value for each row of a prediction.

    Parameters
    ----------
    lower : callable (b, prediction, target, values)
        Emits the operation.
    target_kind : {"labels", "values"}
    y_true, y_pred : array_like
        ``(..., n)``; labels are ``(...)`` or ``(..., 1)``. As in Keras, a last axis of length 1 may
        be missing from either.

    Returns
    -------
    ndarray of float32, of the shape of `y_pred` without its last axis

    Raises
    ------
    TypeError
        If one of them holds no numbers.
    ValueError
        If the shapes do not match, or labels are out of range.
    """
    from fastnn._engine import kernels

    y_true, y_pred = same_rank(as_array(y_true, "y_true"), as_array(y_pred, "y_pred"))
    *shape, n = y_pred.shape
    if target_kind == "labels" and y_true.shape == (*shape, 1):
        y_true = y_true[..., 0]
    expected = tuple(shape) if target_kind == "labels" else y_pred.shape
    if y_true.shape != expected:
        raise ValueError(
            f"Expected y_true of shape {expected} for y_pred of shape {y_pred.shape}. "
            f"Received y_true of shape {y_true.shape}."
        )
    if n == 0:
        raise ValueError(f"y_pred has rows of length 0: shape {y_pred.shape}.")
    rows = y_pred.size // n
    if rows == 0:
        return np.zeros(shape, np.float32)
    if target_kind == "labels":
        check_labels(y_true, n, "y_true")
        target = _Slot(np.ascontiguousarray(y_true.reshape(rows), np.int32))
    else:
        target = _Slot(kernels.padded(y_true.reshape(rows, n)), n)
    values = _Slot(kernels.aligned(rows))
    lower(_Runner(rows), _Slot(kernels.padded(y_pred.reshape(rows, n)), n), target, values)
    return values.array.reshape(shape)


def changed(obj, **counterparts):
    """Has a subclass of the user's own changed how `obj` is computed on arrays, but not in programs?

    Parameters
    ----------
    obj : Loss or Metric
    **counterparts : str
        For a method that works on arrays, the one that says the same of programs.
    """

    def is_own(method):
        owner = next(cls for cls in type(obj).__mro__ if method in vars(cls))
        return owner.__module__.partition(".")[0] == "fastnn"

    return any(is_own(other) and not is_own(method) for method, other in counterparts.items())


def same_rank(a, b):
    """Let two arrays whose number of axes differs by one agree, as Keras does.

    The longer one's last axis goes if its length is 1; unless the other is a vector, which becomes
    a column.
    """
    if a.ndim == b.ndim + 1 and a.shape[-1] == 1:
        return (a, b[:, None]) if b.ndim == 1 else (a[..., 0], b)
    if b.ndim == a.ndim + 1 and b.shape[-1] == 1:
        return (a[:, None], b) if a.ndim == 1 else (a, b[..., 0])
    return a, b
