"""Means of losses."""

import math

import numpy as np

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
        self.depends_on_batch = loss.of_batch

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Take in further targets, predictions and, if given, their weights."""
        super().update_state(self._loss.call(y_true, y_pred), sample_weight)

    def lower(self, b, prediction, target, values):
        self._loss.lower_rows(b, prediction, target, values)

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


class MeanAbsolutePercentageError(MeanLoss):
    """Mean of `fastnn.losses.MeanAbsolutePercentageError`.

    Parameters
    ----------
    name : str, default "mean_absolute_percentage_error"
    dtype : str, optional
    """

    def __init__(self, name="mean_absolute_percentage_error", dtype=None):
        super().__init__(losses.MeanAbsolutePercentageError(), name, dtype)

    def get_config(self):
        return Metric.get_config(self)


class MeanSquaredLogarithmicError(MeanLoss):
    """Mean of `fastnn.losses.MeanSquaredLogarithmicError`.

    Parameters
    ----------
    name : str, default "mean_squared_logarithmic_error"
    dtype : str, optional
    """

    def __init__(self, name="mean_squared_logarithmic_error", dtype=None):
        super().__init__(losses.MeanSquaredLogarithmicError(), name, dtype)

    def get_config(self):
        return Metric.get_config(self)


class LogCoshError(MeanLoss):
    """Mean of `fastnn.losses.LogCosh`.

    Parameters
    ----------
    name : str, default "logcosh"
    dtype : str, optional
    """

    def __init__(self, name="logcosh", dtype=None):
        super().__init__(losses.LogCosh(), name, dtype)

    def get_config(self):
        return Metric.get_config(self)


class Hinge(MeanLoss):
    """Mean of `fastnn.losses.Hinge`.

    Parameters
    ----------
    name : str, default "hinge"
    dtype : str, optional
    """

    def __init__(self, name="hinge", dtype=None):
        super().__init__(losses.Hinge(), name, dtype)

    def get_config(self):
        return Metric.get_config(self)


class SquaredHinge(MeanLoss):
    """Mean of `fastnn.losses.SquaredHinge`.

    Parameters
    ----------
    name : str, default "squared_hinge"
    dtype : str, optional
    """

    def __init__(self, name="squared_hinge", dtype=None):
        super().__init__(losses.SquaredHinge(), name, dtype)

    def get_config(self):
        return Metric.get_config(self)


class CategoricalHinge(MeanLoss):
    """Mean of `fastnn.losses.CategoricalHinge`.

    Parameters
    ----------
    name : str, default "categorical_hinge"
    dtype : str, optional
    """

    def __init__(self, name="categorical_hinge", dtype=None):
        super().__init__(losses.CategoricalHinge(), name, dtype)

    def get_config(self):
        return Metric.get_config(self)


class KLDivergence(MeanLoss):
    """Mean of `fastnn.losses.KLDivergence`.

    Parameters
    ----------
    name : str, default "kl_divergence"
    dtype : str, optional
    """

    def __init__(self, name="kl_divergence", dtype=None):
        super().__init__(losses.KLDivergence(), name, dtype)

    def get_config(self):
        return Metric.get_config(self)


class Poisson(MeanLoss):
    """Mean of `fastnn.losses.Poisson`.

    Parameters
    ----------
    name : str, default "poisson"
    dtype : str, optional
    """

    def __init__(self, name="poisson", dtype=None):
        super().__init__(losses.Poisson(), name, dtype)

    def get_config(self):
        return Metric.get_config(self)


class CosineSimilarity(MeanLoss):
    """Mean of the cosine of the angle between rows of targets and of predictions: 1 for the same direction.

    Parameters
    ----------
    name : str, default "cosine_similarity"
    dtype : str, optional
    axis : int, default -1
        Only the last is supported.
    """

    _direction = "up"

    def __init__(self, name="cosine_similarity", dtype=None, axis=-1):
        super().__init__(losses.CosineSimilarity(axis), name, dtype)

    def finish(self, state):
        return 0.0 - super().finish(state)  # the loss has the other sign

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
    ignore_class : int, optional
        Rows of this label have no loss; as in Keras they count in the mean unless there are weights.
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

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Take in further labels, predictions and, if given, their weights."""
        mask = self._loss._mask(y_true, None)
        if mask is not None and sample_weight is not None:
            sample_weight = np.asarray(sample_weight, np.float32)
            sample_weight = sample_weight * mask.reshape(sample_weight.shape)
        super().update_state(y_true, y_pred, sample_weight)

    def accumulate(self, b, prediction, target, weights, state):
        if weights is not None and self._loss.ignore_class is not None:
            raise ValueError(
                f"Metric {self.name!r}: a weighted metric of a model has no `ignore_class`. Give the samples of that "
                "class a weight of 0."
            )
        super().accumulate(b, prediction, target, weights, state)

    def get_config(self):
        return {**super().get_config(), "axis": self._loss.axis}
