"""What callbacks that look at one of the logs have in common."""

import math
import operator
import warnings

from fastnn.callbacks.base import Callback
from fastnn.callbacks.callback_list import flat
from fastnn.training.arguments import number


class MonitorCallback(Callback):
    """Base class of callbacks that ask whether a quantity has improved.

    Parameters
    ----------
    monitor : str, default "val_loss"
        A name in the logs.
    mode : {"auto", "min", "max"}, default "auto"
        Whether smaller or greater is better; "auto" asks the metric of that name.
    baseline : float, optional
        What counts as the best before the first epoch.
    min_delta : float, default 0
        A smaller change is no improvement.

    Attributes
    ----------
    best : float or None
    monitor_op : callable or None
        Says whether its first argument is better. None until it is first needed: only then are all metrics known.
    """

    def __init__(self, monitor="val_loss", mode="auto", baseline=None, min_delta=0):
        super().__init__()
        if mode not in ("auto", "min", "max"):
            warnings.warn(f"{type(self).__name__} mode '{mode}' is unknown, fallback to auto mode.", stacklevel=3)
            mode = "auto"
        self.monitor = monitor
        self.mode = mode
        self.best = baseline
        self.min_delta = abs(number(self, "min_delta", min_delta, "a finite number", math.isfinite))
        self.monitor_op = None

    def _set_monitor_op(self):
        self.monitor_op = self._direction()
        if self.monitor_op is operator.lt:
            self.min_delta *= -1

    def _is_improvement(self, value, reference):
        if self.monitor_op is None:
            self._set_monitor_op()
        return reference is None or self.monitor_op(value - self.min_delta, reference)

    def _direction(self):
        if self.mode != "auto":
            return operator.lt if self.mode == "min" else operator.gt
        name = self.monitor.removeprefix("val_")
        if name == "loss":
            return operator.lt
        for metric in flat(getattr(self.model, "metrics", None)):
            direction = getattr(metric, "_direction", None)
            if getattr(metric, "name", None) == name and direction is not None:
                return operator.gt if direction == "up" else operator.lt
        raise ValueError(
            f"{type(self).__name__} callback received monitor={self.monitor}, but it is not known "
            "whether that metric should be maximized or minimized. Pass `mode='max'` in order to "
            "monitor based on the highest metric value, or pass `mode='min'` in order to use the "
            "lowest value."
        )
