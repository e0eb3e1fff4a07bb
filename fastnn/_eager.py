"""Losses and metrics on arrays, outside of a program.

Their `lower` methods say once which operation of the engine computes them. A program's builder
keeps what they emit; the one here runs it at once, so that both ways give the same numbers.
"""

import numpy as np

from fastnn.training.data import as_array, check_labels


class Slot:
    """An array where a program would have a slot."""

    rows_per_sample = 1

    def __init__(self, array, n=1):
        self.array = array
        self.n = n
        self.ld = array.shape[-1]


class _Runner:
    """Stands in for a program's builder."""

    def __init__(self, rows):
        self.rows = self.batch = rows

    def matrix(self, rows_per_sample, n):
        from fastnn._engine import kernels

        return Slot(kernels.aligned((self.rows, kernels.row_stride(n))), n)

    def per_row(self, rows_per_sample):
        from fastnn._engine import kernels

        return Slot(kernels.aligned(self.rows))

    def constant(self, values):
        from fastnn._engine import kernels

        return Slot(kernels.padded(values))

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
    target_kind : {"labels", "groups", "values"}
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

    labels = target_kind in ("labels", "groups")
    y_true, y_pred = same_rank(as_array(y_true, "y_true"), as_array(y_pred, "y_pred"))
    *shape, n = y_pred.shape
    if labels and y_true.shape == (*shape, 1):
        y_true = y_true[..., 0]
    expected = tuple(shape) if labels else y_pred.shape
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
    if labels:
        check_labels(y_true, None if target_kind == "groups" else n, "y_true")
        target = Slot(np.ascontiguousarray(y_true.reshape(rows), np.int32))
    else:
        target = Slot(kernels.padded(y_true.reshape(rows, n)), n)
    values = Slot(kernels.aligned(rows))
    lower(_Runner(rows), Slot(kernels.padded(y_pred.reshape(rows, n)), n), target, values)
    return values.array.reshape(shape)


def as_rows(target_kind, y_true, y_pred, sample_weight=None):
    """Make rows of arrays of any number of axes, as `accumulate` takes them.

    Parameters
    ----------
    target_kind : {"labels", "values"}
    y_true, y_pred : array_like
        ``(..., n)``; labels are ``(...)`` or ``(..., 1)``. A vector of predictions is a column.
    sample_weight : array_like, optional
        For the first axes, or for every value.

    Returns
    -------
    y_true : ndarray, shape (rows, n), or (rows,) for labels
    y_pred : ndarray, shape (rows, n)
    weights : ndarray, shape (rows,) or (rows, n), or None
    """
    y_true, y_pred = same_rank(as_array(y_true, "y_true"), as_array(y_pred, "y_pred"))
    if y_pred.ndim < 2:
        y_pred = y_pred.reshape(-1, 1)
        y_true = y_true.reshape(-1, 1) if target_kind == "values" else y_true
    *shape, n = y_pred.shape
    if target_kind == "labels" and y_true.shape == (*shape, 1):
        y_true = y_true[..., 0]
    expected = tuple(shape) if target_kind == "labels" else y_pred.shape
    if y_true.shape != expected:
        raise ValueError(
            f"Expected y_true of shape {expected} for y_pred of shape {y_pred.shape}. "
            f"Received y_true of shape {y_true.shape}."
        )
    weights = None
    if sample_weight is not None:
        weights = np.asarray(sample_weight, np.float32)
        if weights.ndim == y_pred.ndim and weights.shape[-1] == 1:
            weights = weights[..., 0]
        per_value = weights.ndim == y_pred.ndim
        whole = y_pred.shape if per_value else tuple(shape)
        try:
            weights = np.broadcast_to(weights.reshape(weights.shape + (1,) * (len(whole) - weights.ndim)), whole)
        except ValueError:
            raise ValueError(
                f"sample_weight of shape {np.shape(sample_weight)} does not fit y_pred of shape {y_pred.shape}."
            ) from None
        weights = weights.reshape((-1, n) if per_value else -1)
    if target_kind == "labels":
        check_labels(y_true, n, "y_true")
        y_true = y_true.reshape(-1)
    else:
        y_true = y_true.reshape(-1, n)
    return y_true, y_pred.reshape(-1, n), weights


def accumulate(emit, y_true, y_pred, weights, state):
    """Add rows to the state of a metric.

    Parameters
    ----------
    emit : callable (b, prediction, target, weights, state)
        Emits the operation.
    y_true : ndarray, shape (rows, n), or (rows,) for labels
    y_pred : ndarray, shape (rows, n)
    weights : ndarray, shape (rows,), or None
    state : ndarray of float64
    """
    from fastnn._engine import kernels

    rows, n = y_pred.shape
    if rows == 0:
        return
    if y_true.ndim == 1:
        target = Slot(np.ascontiguousarray(y_true, np.int32))
    else:
        target = Slot(kernels.padded(y_true), y_true.shape[1])
    if weights is not None:
        weights = Slot(np.ascontiguousarray(weights, np.float32))
    emit(_Runner(rows), Slot(kernels.padded(y_pred), n), target, weights, Slot(state))


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
