"""Stopping when nothing gets better."""

import math
import warnings

from fastnn._suggestions import did_you_mean
from fastnn.callbacks.monitor import MonitorCallback
from fastnn.training.arguments import count, flag, number


class EarlyStopping(MonitorCallback):
    """Stop training when a quantity has stopped improving.

    Parameters
    ----------
    monitor : str, default "val_loss"
        A name in the logs.
    min_delta : float, default 0
        A smaller change is no improvement.
    patience : int, default 0
        Epochs without improvement after which training stops.
    verbose : {0, 1}, default 0
        1: say what is done.
    mode : {"auto", "min", "max"}, default "auto"
        Whether smaller or greater is better; "auto" asks the metric of that name.
    baseline : float, optional
        Epochs that are not better than this count as no improvement.
    restore_best_weights : bool, default False
        Go back to the weights of the best epoch at the end. Without an improvement on `baseline`,
        that is the best of the epochs there were.
    start_from_epoch : int, default 0
        Epochs before this one are not looked at.

    Raises
    ------
    ValueError
        If an argument is of the wrong kind; at the end of the first epoch, if "auto" cannot tell the direction.
    """

    def __init__(
        self,
        monitor="val_loss",
        min_delta=0,
        patience=0,
        verbose=0,
        mode="auto",
        baseline=None,
        restore_best_weights=False,
        start_from_epoch=0,
    ):
        super().__init__(monitor, mode, min_delta=min_delta)
        self.patience = count(patience, "patience", least=0)
        self.verbose = verbose
        self.baseline = None
        if baseline is not None:
            self.baseline = number(self, "baseline", baseline, "a finite number or None", math.isfinite)
        self.restore_best_weights = flag(restore_best_weights, "restore_best_weights")
        self.start_from_epoch = count(start_from_epoch, "start_from_epoch", least=0)
        self._reset()

    def _reset(self):
        self.wait = 0
        self.stopped_epoch = 0
        self.best = None
        self.best_weights = None
        self.best_epoch = 0

    def on_train_begin(self, logs=None):
        self._reset()  # an instance may serve several calls of fit

    def on_epoch_end(self, epoch, logs=None):
        if self.monitor_op is None:
            self._set_monitor_op()
        current = self.get_monitor_value(logs)
        if current is None or epoch < self.start_from_epoch:
            return
        if self.restore_best_weights and self.best_weights is None:
            self.best_weights = self.model.get_weights()
            self.best_epoch = epoch
        self.wait += 1
        if self._is_improvement(current, self.best):
            self.best = current
            self.best_epoch = epoch
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
            if self.baseline is None or self._is_improvement(current, self.baseline):
                self.wait = 0
            return
        if self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs=None):
        if self.stopped_epoch > 0 and self.verbose > 0:
            print(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.restore_best_weights and self.best_weights is not None:
            if self.verbose > 0:
                print(f"Restoring model weights from the end of the best epoch: {self.best_epoch + 1}.")
            self.model.set_weights(self.best_weights)

    def get_monitor_value(self, logs):
        """Return the monitored quantity of an epoch; None, with a warning, if it isn't there."""
        logs = logs or {}
        value = logs.get(self.monitor)
        if value is None:
            warnings.warn(
                f"Early stopping conditioned on metric `{self.monitor}` which is not available."
                f"{did_you_mean(self.monitor, logs)} "
                f"Available metrics are: {','.join(logs)}",
                stacklevel=2,
            )
        return value
