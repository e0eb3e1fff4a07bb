"""Intersection over union of true and predicted classes, from their confusion matrix."""

import numpy as np

from fastnn import _eager
from fastnn.metrics.base import Metric, StateMetric


class IoU(StateMetric):
    """Mean over some classes of ``tp / (tp + fp + fn)``; classes that do not occur are left out.

    Parameters
    ----------
    num_classes : int
    target_class_ids : list of int
        Those whose mean it is.
    name : str, optional
    dtype : str, default "int"
        Weights are cut to whole numbers, as in Keras; "float32" leaves them.
    ignore_class : int, optional
        Targets of this class do not count.
    sparse_y_true, sparse_y_pred : bool, default True
        Targets (predictions) are class numbers, and not rows of which the largest value says the class.
    axis : int, default -1
        Axis of such rows. In a model, the last.
    """

    _direction = "up"
    _threshold = None

    def __init__(
        self,
        num_classes,
        target_class_ids,
        name=None,
        dtype=None,
        ignore_class=None,
        sparse_y_true=True,
        sparse_y_pred=True,
        axis=-1,
    ):
        if dtype not in (None, "int", "int32", "float32"):
            raise ValueError(f"{type(self).__name__} counts in 'int' or 'float32'. Received: dtype={dtype!r}")
        super().__init__(None, name)
        if max(target_class_ids) >= num_classes:
            raise ValueError(f"Target class id {max(target_class_ids)} is out of range, which is [{0}, {num_classes}).")
        self.dtype = "float32" if dtype == "float32" else "int32"
        self.num_classes = num_classes
        self.target_class_ids = list(target_class_ids)
        self.ignore_class = ignore_class
        self.sparse_y_true = sparse_y_true
        self.sparse_y_pred = sparse_y_pred
        self.axis = axis
        self.target_kind = "labels" if sparse_y_true and not sparse_y_pred else "values"

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Take in further targets, predictions and, if given, their weights (one for each class number)."""
        y_true, y_pred = np.asarray(y_true), np.asarray(y_pred)
        if not self.sparse_y_true:
            y_true = y_true.argmax(self.axis)
        if not self.sparse_y_pred:
            y_pred = y_pred.argmax(self.axis)
        if y_true.size != y_pred.size:
            raise ValueError(
                f"Metric {self.name!r}: expected as many targets as predictions. Received {y_true.size} and "
                f"{y_pred.size}."
            )
        weights = None
        if sample_weight is not None:
            weights = np.asarray(sample_weight, np.float32).reshape(-1)
            weights = np.broadcast_to(weights, y_true.size)

        def emit(*args):
            self._emit(*args, by_row=False)

        state = self._state_for(1)
        _eager.accumulate(emit, y_true.reshape(-1, 1), y_pred.reshape(-1, 1), weights, state)

    def state_size(self, n):
        return self.num_classes**2

    def accumulate(self, b, prediction, target, weights, state):
        if self.sparse_y_pred and not self.sparse_y_true:
            raise ValueError(
                f"Metric {self.name!r} of a model: targets of rows with predictions of class numbers are not of the "
                "same shape. Use sparse_y_true=True, or sparse_y_pred=False."
            )
        if not self.sparse_y_pred and self.axis != -1:
            raise ValueError(f"Metric {self.name!r} of a model works on the last axis. Received: axis={self.axis}")
        self._emit(b, prediction, target, weights, state, by_row=not self.sparse_y_pred)

    def _emit(self, b, prediction, target, weights, state, by_row):
        labels = by_row and self.target_kind == "labels"
        b.emit(
            "confusion_matrix",
            rows=prediction.rows_per_sample,
            work_per_row=3.0 * prediction.n,
            p=prediction,
            targets=None if labels else target,
            labels=target if labels else None,
            weights=weights,
            state=state,
            n=prediction.n,
            ldp=prediction.ld,
            ldt=0 if labels else target.ld,
            classes=self.num_classes,
            ignored=-1 if self.ignore_class is None else self.ignore_class,
            by_row=by_row,
            above=self._threshold is not None,
            whole=self.dtype != "float32",
            threshold=self._threshold or 0.0,
        )

    def finish(self, state):
        matrix = np.asarray(state, np.float64).reshape(self.num_classes, self.num_classes)
        right = np.diagonal(matrix)[self.target_class_ids]
        union = (matrix.sum(axis=0) + matrix.sum(axis=1) - np.diagonal(matrix))[self.target_class_ids]
        present = union > 1e-9
        scores = np.where(present, right / (union + 1e-7), 0.0)
        return float(scores.sum() / (present.sum() + 1e-7))

    def get_config(self):
        return {
            **Metric.get_config(self),
            "num_classes": self.num_classes,
            "target_class_ids": self.target_class_ids,
            "ignore_class": self.ignore_class,
            "sparse_y_true": self.sparse_y_true,
            "sparse_y_pred": self.sparse_y_pred,
            "axis": self.axis,
        }

    def _config_without(self, *names):
        return {name: value for name, value in IoU.get_config(self).items() if name not in names}


class BinaryIoU(IoU):
    """`IoU` of the two classes that a threshold makes of predictions.

    Parameters
    ----------
    target_class_ids : list of int, default (0, 1)
    threshold : float, default 0.5
        Predictions from it on are of class 1.
    name, dtype
        See `IoU`.
    """

    def __init__(self, target_class_ids=(0, 1), threshold=0.5, name=None, dtype=None):
        super().__init__(2, target_class_ids, name, dtype)
        self.threshold = threshold
        self._threshold = threshold

    def get_config(self):
        config = self._config_without("num_classes", "ignore_class", "sparse_y_true", "sparse_y_pred", "axis")
        return {**config, "threshold": self.threshold}


class MeanIoU(IoU):
    """`IoU` of all classes. Parameters: see `IoU`."""

    def __init__(
        self,
        num_classes,
        name=None,
        dtype=None,
        ignore_class=None,
        sparse_y_true=True,
        sparse_y_pred=True,
        axis=-1,
    ):
        classes = list(range(num_classes))
        super().__init__(num_classes, classes, name, dtype, ignore_class, sparse_y_true, sparse_y_pred, axis)

    def get_config(self):
        return self._config_without("target_class_ids")


class OneHotIoU(IoU):
    """`IoU` of targets that are rows, of which the largest value says the class. Parameters: see `IoU`."""

    def __init__(
        self,
        num_classes,
        target_class_ids,
        name=None,
        dtype=None,
        ignore_class=None,
        sparse_y_pred=False,
        axis=-1,
    ):
        super().__init__(num_classes, target_class_ids, name, dtype, ignore_class, False, sparse_y_pred, axis)

    def get_config(self):
        return self._config_without("sparse_y_true")


class OneHotMeanIoU(MeanIoU):
    """`MeanIoU` of targets that are rows, of which the largest value says the class. Parameters: see `IoU`."""

    def __init__(self, num_classes, name=None, dtype=None, ignore_class=None, sparse_y_pred=False, axis=-1):
        super().__init__(num_classes, name, dtype, ignore_class, False, sparse_y_pred, axis)

    def get_config(self):
        return self._config_without("sparse_y_true", "target_class_ids")
