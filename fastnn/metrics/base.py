"""What every metric is: sums over rows that a result is made of."""

import numpy as np

from fastnn import _eager
from fastnn._naming import unique_name


class Metric:
    """Base class of metrics.

    Parameters
    ----------
    dtype : str, optional
        "float32", the only type.
    name : str, optional

    Attributes
    ----------
    target_kind : {"labels", "values"}
        What targets are: one class number for each row, or numbers like those predicted.

    Notes
    -----
    A subclass that implements `update_state`, `result` and `reset_state` can be used on arrays. To
    be compiled into a model, it must also implement `lower`, and `finish` if it is no plain mean.
    """

    target_kind = "values"
    dtype = "float32"
    _direction = None  # "up" or "down": what is better; EarlyStopping(mode="auto") asks

    def __init__(self, dtype=None, name=None):
        if dtype not in (None, "float32"):
            raise ValueError(f"Metrics are computed in float32. Received: dtype={dtype!r}")
        self.name = name or unique_name(type(self).__name__)

    def update_state(self, *args, **kwargs):
        """Take in further values."""
        raise NotImplementedError(f"{type(self).__name__} must implement update_state().")

    def result(self):
        """Return the metric of everything since the last `reset_state`."""
        raise NotImplementedError(f"{type(self).__name__} must implement result().")

    def reset_state(self):
        """Forget everything."""
        raise NotImplementedError(f"{type(self).__name__} must implement reset_state().")

    def __call__(self, *args, **kwargs):
        """Update the state and return the result."""
        self.update_state(*args, **kwargs)
        return self.result()

    def lower(self, b, prediction, target, values):
        """Emit the operation that computes this metric in a program.

        Parameters
        ----------
        b : fastnn.lowering.builder.Builder
        prediction, target : Slot
        values : Slot
            Takes one value for each row of the prediction.
        """
        raise self.not_compiled()

    def not_compiled(self):
        """Return the error of a metric that cannot be part of a model."""
        from fastnn.metrics import COMPILED

        return ValueError(
            f"Metric {self.name!r} cannot be compiled into a model: {type(self).__name__} has no "
            f"compiled form. Call it on the result of predict(), or use one of: {COMPILED}."
        )

    def finish(self, total, count):
        """Return the metric of rows whose values (times weights) sum up to `total`.

        Parameters
        ----------
        total : float
        count : float
            Number of rows, or the sum of their weights.
        """
        return total / count if count else 0.0

    def get_config(self):
        """Return the arguments that make an equal metric."""
        return {"name": self.name, "dtype": self.dtype}

    @classmethod
    def from_config(cls, config):
        """Make a metric from what `get_config` returned."""
        return cls(**config)

    def __repr__(self):
        return f"<{type(self).__name__} name={self.name}>"


class Mean(Metric):
    """The mean of values, weighted or not.

    Parameters
    ----------
    name : str, default "mean"
    dtype : str, optional
    """

    def __init__(self, name="mean", dtype=None):
        super().__init__(dtype, name)
        self.reset_state()

    def update_state(self, values, sample_weight=None):
        """Take in further values.

        Parameters
        ----------
        values : array_like
        sample_weight : array_like, optional
            Of the same shape, or for the first axes only.
        """
        values, weights = _samplewise(np.asarray(values, np.float32), sample_weight)
        self.total += float(values.sum(dtype=np.float64))
        if weights is None:
            self.count += len(values) if values.ndim else 1
        else:
            self.count += float(weights.sum(dtype=np.float64))

    def reset_state(self):
        self.total = 0.0
        self.count = 0.0

    def result(self):
        """Return the mean as a float32; 0 before the first update."""
        return np.float32(self.finish(self.total, self.count))


class MeanMetricWrapper(Mean):
    """The mean of what a function of ``(y_true, y_pred)``, composed of `fastnn.ops`, returns for each sample.

    Parameters
    ----------
    fn : callable
    name : str, optional
    dtype : str, optional
    **kwargs
        Passed on to `fn`.
    """

    def __init__(self, fn, name=None, dtype=None, **kwargs):
        super().__init__(name, dtype)
        self._fn = fn
        self._fn_kwargs = kwargs

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Take in further targets, predictions and, if given, their weights."""
        super().update_state(self._fn(y_true, y_pred, **self._fn_kwargs), sample_weight)

    def lower(self, b, prediction, target, values):
        from fastnn.lowering.traced import row_values

        if getattr(self._fn, "__module__", "").partition(".")[0] == "fastnn":  # it works on arrays
            raise self.not_compiled()

        def function(y_true, y_pred):
            return self._fn(y_true, y_pred, **self._fn_kwargs)

        row_values(b, function, f"metric {self.name!r}", prediction, target, None, values)

    def get_config(self):
        return {**super().get_config(), "fn": self._fn, **self._fn_kwargs}


def _samplewise(values, sample_weight):
    """Reduce values and weights to one for each sample, by the rules of Keras 3."""
    weights = None
    if sample_weight is not None:
        weights = np.asarray(sample_weight, np.float32)
        values, weights = _eager.same_rank(values, weights)
        if values.ndim > weights.ndim:
            values = values.mean(axis=tuple(range(weights.ndim, values.ndim)))
        weights = np.broadcast_to(weights, values.shape)
        values = values * weights
        if weights.ndim > 1:
            weights = weights.mean(axis=tuple(range(1, weights.ndim)))
    if values.ndim > 1:
        values = values.mean(axis=tuple(range(1, values.ndim)))
    return values, weights
