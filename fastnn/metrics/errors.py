"""Means of losses."""

import math

from fastnn import losses
from fastnn.metrics.accuracies import pair
from fastnn.metrics.base import Mean, Metric


class MeanLoss(Mean):
    """The mean of a compiled loss."""

    _direction = "down"

    def __init__(self, loss, name, dtype):
        super().__init__(name, dtype)
        self._loss = loss
        self.target_kind = loss.target_kind

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Take in further targets, predictions and, if given, their weights."""
        super().update_state(self._loss.call(y_true, y_pred), sample_weight)

    def lower(self, b, prediction, target, values):
        self._loss.lower(b, prediction, target, None, values, None)

    def get_config(self):
        config = self._loss.get_config()
        return {**config, **super().get_config()}


class MeanSquaredError(MeanLoss):
    """Mean of ``(y_true - y_pred) ** 2``.

    Parameters
    ----------
    name : str, default "mean_squared_error"
    dtype : str, optional
    """

    def __init__(self, name="mean_squared_error", dtype=None):
        super().__init__(losses.MeanSquaredError(), name, dtype)

    def get_config(self):
        return Metric.get_config(self)


class RootMeanSquaredError(MeanSquaredError):
    """Square root of the mean of ``(y_true - y_pred) ** 2``.

    Parameters
    ----------
    name : str, default "root_mean_squared_error"
    dtype : str, optional
    """

    def __init__(self, name="root_mean_squared_error", dtype=None):
        super().__init__(name, dtype)

    def update_state(self, y_true, y_pred, sample_weight=None):
        y_true, y_pred = pair(y_true, y_pred)
        if y_pred.ndim == 1:  # samples of one value, where a loss would see one sample
            y_true, y_pred = y_true[:, None], y_pred[:, None]
        super().update_state(y_true, y_pred, sample_weight)

    def finish(self, state):
        return math.sqrt(super().finish(state))


class MeanAbsoluteError(MeanLoss):
    """Mean of ``|y_true - y_pred|``.

    Parameters
    ----------
    name : str, default "mean_absolute_error"
    dtype : str, optional
    """

    def __init__(self, name="mean_absolute_error", dtype=None):
        super().__init__(losses.MeanAbsoluteError(), name, dtype)

    def get_config(self):
        return Metric.get_config(self)


class _CrossentropyMetric(MeanLoss):
    def __init__(self, loss, name, dtype):
        super().__init__(loss, name, dtype)
        self.from_logits = loss.from_logits

    def get_config(self):
        config = super().get_config()
        del config["reduction"]
        return config


class BinaryCrossentropy(_CrossentropyMetric):
    """Mean of `fastnn.losses.BinaryCrossentropy`.

    Parameters
    ----------
    name : str, default "binary_crossentropy"
    dtype : str, optional
    from_logits : bool, default False
    label_smoothing : float, default 0
    """

    def __init__(self, name="binary_crossentropy", dtype=None, from_logits=False, label_smoothing=0):
        super().__init__(losses.BinaryCrossentropy(from_logits, label_smoothing), name, dtype)

    def get_config(self):
        config = super().get_config()
        del config["axis"]
        return config


class CategoricalCrossentropy(_CrossentropyMetric):
    """Mean of `fastnn.losses.CategoricalCrossentropy`.

    Parameters
    ----------
    name : str, default "categorical_crossentropy"
    dtype : str, optional
    from_logits : bool, default False
    label_smoothing : float, default 0
    axis : int, default -1
    """

    def __init__(
        self,
        name="categorical_crossentropy",
        dtype=None,
        from_logits=False,
        label_smoothing=0,
        axis=-1,
    ):
        loss = losses.CategoricalCrossentropy(from_logits, label_smoothing, axis)
        super().__init__(loss, name, dtype)


class SparseCategoricalCrossentropy(_CrossentropyMetric):
    """Mean of `fastnn.losses.SparseCategoricalCrossentropy`.

    Parameters
    ----------
    name : str, default "sparse_categorical_crossentropy"
    dtype : str, optional
    from_logits : bool, default False
    ignore_class : None
        Not supported yet.
    axis : int, default -1
    """

    def __init__(
        self,
        name="sparse_categorical_crossentropy",
        dtype=None,
        from_logits=False,
        ignore_class=None,
        axis=-1,
    ):
        loss = losses.SparseCategoricalCrossentropy(from_logits, ignore_class, axis=axis)
        super().__init__(loss, name, dtype)

    def get_config(self):
        return {**super().get_config(), "axis": self._loss.axis}
