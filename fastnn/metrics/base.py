"""What every metric is: sums over rows that a result is made of."""

import numpy as np

from fastnn import _eager, losses
from fastnn._initialised import Initialised
from fastnn._naming import name_scope, unique_name
from fastnn.backend import is_int_dtype
from fastnn.graph import Tensor
from fastnn.variables import Variable


class Metric(Initialised):
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
    A metric of one's own is a subclass that makes its state with `add_variable`, changes it in
    ``update_state(y_true, y_pred, sample_weight=None)`` with `assign`, `assign_add` and `fastnn.ops`, and computes
    `result` of it. Compiled into a model, `update_state` is traced into the step. Or it is a subclass of `Mean` whose
    `update_state` passes values for each sample on to ``super().update_state``.

    Those here implement `lower`, and `finish` if they are no plain mean; or, if a sum and a count are not all that
    they have to remember, `state_size`, `accumulate` and `finish`.
    """

    target_kind = "values"
    depends_on_batch = False  # as of losses
    dtype = "float32"
    _lowered_by = "lower"  # the method that says of programs what update_state() says of arrays
    _direction = None  # "up" or "down": what is better; EarlyStopping(mode="auto") asks

    def __init__(self, dtype=None, name=None):
        if dtype not in (None, "float32"):
            raise ValueError(f"Metrics are computed in float32. Received: dtype={dtype!r}")
        self.name = name or unique_name(type(self).__name__)
        self._variables = []

    def add_variable(self, shape, initializer, dtype=None, aggregation="sum", name=None):
        """Make a variable of the state, that `update_state` changes.

        Parameters
        ----------
        shape : tuple of int
        initializer : str or Initializer
        dtype : str, optional
            "float32", or a type of integers: a count, which is a float32, too, and as such exact to 2^24.
        aggregation
            Accepted for compatibility.
        name : str, default "variable"
        """
        counts = dtype is not None and is_int_dtype(dtype)
        with name_scope(self.name.replace("/", ">")):
            variable = Variable(
                initializer or "zeros", tuple(shape), None if counts else dtype, trainable=False, name=name
            )
        self._variables.append(variable)
        return variable

    def add_weight(self, shape=(), initializer=None, dtype=None, name=None):
        """Make a variable that the metric adds up in: `add_variable`, with 0 at first by default."""
        return self.add_variable(shape, initializer, dtype, name=name)

    @property
    def variables(self):
        """What the metric remembers: variables made by `add_variable`, its own sums, and those of metrics that are its
        attributes. Each has `numpy()` and `assign()`."""
        inner = [each for each in vars(self).values() if isinstance(each, Metric)]
        return [*self._variables, *self._sums(), *(variable for each in inner for variable in each.variables)]

    def _sums(self):
        """The numbers that a metric of fastnn adds up, as variables."""
        return []

    def update_state(self, *args, **kwargs):
        """Take in further values."""
        raise NotImplementedError(f"{type(self).__name__} must implement update_state().")

    def result(self):
        """Return the metric of everything since the last `reset_state`."""
        raise NotImplementedError(f"{type(self).__name__} must implement result().")

    def reset_state(self):
        """Forget everything: all of `variables` are 0 again."""
        for variable in self.variables:
            variable.assign(np.zeros(variable.shape))

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

    def state_size(self, n):
        """How many float64 numbers the metric remembers of an epoch.

        Parameters
        ----------
        n : int
            Columns of the prediction.
        """
        return 0 if self._variables else 2

    def accumulate(self, b, prediction, target, weights, state):
        """Emit what adds a batch to the metric's state in a program.

        Parameters
        ----------
        b : fastnn.lowering.builder.Builder
        prediction, target : Slot
        weights : Slot or None
            One for each row.
        state : tuple
            Memory of `state_size` float64 numbers, all 0 at the start of an epoch.
        """
        if self._variables:
            from fastnn.lowering.traced import update_state

            update_state(b, self, prediction, target, weights)
            return
        values = b.per_row(prediction.rows_per_sample)
        self.lower(b, prediction, target, values)
        accumulate_mean(b, values, weights, state)

    def not_compiled(self):
        """Return the error of a metric that cannot be part of a model."""
        from fastnn.metrics import COMPILED

        return ValueError(
            f"Metric {self.name!r} cannot be compiled into a model: {type(self).__name__} has no "
            f"compiled form. Call it on the result of predict(), or use one of: {COMPILED}."
        )

    def finish(self, state):
        """Return the metric of what a state has added up.

        Parameters
        ----------
        state : sequence of float
            Of a mean: the sum of the rows' values (times weights), and the number of rows (or the sum of
            their weights).
        """
        if self._variables:
            result = self.result()
            if isinstance(result, dict):  # reported by the names in it
                return {name: float(value) for name, value in result.items()}
            return float(result)
        total, count = state
        return float(total / count) if count else 0.0

    def get_config(self):
        """Return the arguments that make an equal metric."""
        return {"name": self.name, "dtype": self.dtype}

    @classmethod
    def from_config(cls, config):
        """Make a metric from what `get_config` returned."""
        return cls(**config)


class Mean(Metric):
    """The mean of values, weighted or not.

    Parameters
    ----------
    name : str, default "mean"
    dtype : str, optional
    """

    _traced = None  # while a metric of one's own is being traced: what it passed on

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
        if isinstance(values, Tensor):  # passed on by a metric of one's own, which is being traced
            if self._traced is None:
                raise TypeError(
                    f"Metric {self.name!r} cannot be updated inside `call`, where nothing has a value yet. Measure "
                    "outputs with compile(metrics=[...]), or update it with predictions, in a callback."
                )
            self._traced = values, sample_weight
            return
        values, weights = _samplewise(np.asarray(values, np.float32), sample_weight, np.mean)
        self.total += float(values.sum(dtype=np.float64))
        if weights is None:
            self.count += len(values) if values.ndim else 1
        else:
            self.count += float(weights.sum(dtype=np.float64))

    def lower(self, b, prediction, target, values):
        from fastnn.lowering.traced import row_values

        if not _eager.changed(self, update_state="lower"):
            raise self.not_compiled()

        def function(y_true, y_pred):
            self._traced = None, None
            self.update_state(y_true, y_pred)
            (found, weights), self._traced = self._traced, None
            if found is None or weights is not None:
                raise ValueError(
                    f"Metric {self.name!r}: update_state() of a Mean must pass values for each sample, and no weights "
                    "of its own, to super().update_state(). Make the state of other metrics with add_variable()."
                )
            return found

        row_values(b, function, f"metric {self.name!r}", prediction, target, None, values)

    def reset_state(self):
        self.total = 0.0
        self.count = 0.0

    def _sums(self):
        return [Sums(self, "total"), Sums(self, "count")]

    def result(self):
        """Return the mean as a float32; 0 before the first update."""
        return np.float32(self.finish((self.total, self.count)))


class Sum(Metric):
    """The sum of values, weighted or not. For values of one's own, on arrays only.

    Parameters
    ----------
    name : str, default "sum"
    dtype : str, optional
    """

    def __init__(self, name="sum", dtype=None):
        super().__init__(dtype, name)
        self.reset_state()

    def update_state(self, values, sample_weight=None):
        """Take in further values; weights as in `Mean`."""
        values, _ = _samplewise(np.asarray(values, np.float32), sample_weight, np.sum)
        self.total += float(values.sum(dtype=np.float64))

    def reset_state(self):
        self.total = 0.0

    def _sums(self):
        return [Sums(self, "total")]

    def result(self):
        """Return the sum as a float32."""
        return np.float32(self.total)


class StateMetric(Metric):
    """A metric that remembers more than a sum and a count. Subclasses say how large the state of `n` columns is, which
    operation adds to it, and what it means: `state_size`, `accumulate`, `finish`. The state exists once data has come.
    """

    _lowered_by = "accumulate"
    _state = None

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Take in further targets, predictions and, if given, their weights."""
        y_true, y_pred, weights = _eager.as_rows(self.target_kind, y_true, y_pred, sample_weight)
        self._update(y_true, y_pred, weights)

    def _update(self, y_true, y_pred, weights):
        """Take in rows, whose weights may be one for each row only."""
        if weights is not None and weights.ndim > 1:
            raise ValueError(
                f"Metric {self.name!r} takes one weight for each row. Received sample_weight for each of the "
                f"{y_pred.shape[1]} columns."
            )
        state = self._state_for(y_pred.shape[1])
        _eager.accumulate(self.accumulate, y_true, y_pred, weights, state)

    def _state_for(self, n):
        size = self.state_size(n)
        if self._state is None:
            self._state = np.zeros(size)
        elif len(self._state) != size:
            raise ValueError(
                f"Metric {self.name!r} has seen predictions of another number of columns than {n} since the last "
                "reset_state()."
            )
        return self._state

    def result(self):
        """Return the metric of everything since the last `reset_state`."""
        return np.asarray(self.finish(np.zeros(self.state_size(1)) if self._state is None else self._state), "f4")[()]

    def reset_state(self):
        self._state = None

    def _sums(self):
        return [] if self._state is None else [Sums(self, "_state")]


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
        self._loss = losses.of_function(fn, **kwargs)
        if self._loss is not None:
            self._direction = "down"
            self.target_kind = self._loss.target_kind
            self.depends_on_batch = self._loss.of_batch

    @property
    def is_own(self):
        """Is the function a user's, which is traced, and none of fastnn's?"""
        return self._loss is None and getattr(self._fn, "__module__", "").partition(".")[0] != "fastnn"

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Take in further targets, predictions and, if given, their weights."""
        super().update_state(self._fn(y_true, y_pred, **self._fn_kwargs), sample_weight)

    def lower(self, b, prediction, target, values):
        if self._loss is not None:
            self._loss.lower_rows(b, prediction, target, values)
            return
        from fastnn.lowering.traced import row_values

        if not self.is_own:
            raise self.not_compiled()

        def function(y_true, y_pred):
            return self._fn(y_true, y_pred, **self._fn_kwargs)

        row_values(b, function, f"metric {self.name!r}", prediction, target, None, values)

    def get_config(self):
        return {**super().get_config(), "fn": self._fn, **self._fn_kwargs}


class Sums:
    """What a metric of fastnn adds up, as a variable of it."""

    trainable = False
    dtype = "float32"

    def __init__(self, metric, attribute):
        self.name = attribute.lstrip("_")
        self.path = f"{metric.name}/{self.name}"
        self._metric, self._attribute = metric, attribute

    @property
    def shape(self):
        return np.shape(getattr(self._metric, self._attribute))

    def numpy(self):
        """A copy of the value, as float32."""
        return np.array(getattr(self._metric, self._attribute), np.float32)

    @property
    def value(self):
        return self.numpy()

    def assign(self, value):
        """Set the value."""
        value = np.array(value, np.float64)
        if value.shape != self.shape:
            raise ValueError(f"{self.path!r} has shape {self.shape} and cannot take a value of shape {value.shape}.")
        setattr(self._metric, self._attribute, value if value.ndim else float(value))
        return self

    def __array__(self, dtype=None, copy=None):
        value = self.numpy()
        return value if dtype is None else value.astype(dtype)

    def __repr__(self):
        return f"<Sums path={self.path}, value={self.numpy()}>"


def accumulate_mean(b, values, weights, state):
    """Emit what adds the rows' values to their sum, and their weights (or 1 each) to their number."""
    b.emit("accumulate", rows=values.rows_per_sample, work_per_row=2, values=values, weights=weights, acc=state)


def _samplewise(values, sample_weight, reduce):
    """Reduce values and weights to one for each sample, by the rules of Keras 3."""
    weights = None
    if sample_weight is not None:
        weights = np.asarray(sample_weight, np.float32)
        values, weights = _eager.same_rank(values, weights)
        if values.ndim > weights.ndim:
            values = reduce(values, axis=tuple(range(weights.ndim, values.ndim)))
        weights = np.broadcast_to(weights, values.shape)
        values = values * weights
        if weights.ndim > 1:
            weights = reduce(weights, axis=tuple(range(1, weights.ndim)))
    if values.ndim > 1:
        values = reduce(values, axis=tuple(range(1, values.ndim)))
    return values, weights
