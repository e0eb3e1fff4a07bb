"""Callbacks that move the learning rate, or look for a good one."""

import math
import warnings

import numpy as np

from fastnn._suggestions import did_you_mean
from fastnn.callbacks.base import Callback
from fastnn.callbacks.early_stopping import EarlyStopping


class LearningRateScheduler(Callback):
    """Set the learning rate at the beginning of each epoch.

    Parameters
    ----------
    schedule : callable (epoch, learning_rate) or (epoch)
        Returns the new learning rate, a float. Epochs count from 0.
    verbose : {0, 1}, default 0
        1: say what is done.

    Notes
    -----
    Adds "learning_rate" to the logs, so that it is in the history.
    """

    def __init__(self, schedule, verbose=0):
        super().__init__()
        self.schedule = schedule
        self.verbose = verbose

    def on_epoch_begin(self, epoch, logs=None):
        optimizer = self.model.optimizer
        try:
            rate = self.schedule(epoch, float(optimizer.learning_rate))
        except TypeError:  # a schedule of the epoch alone
            rate = self.schedule(epoch)
        if not isinstance(rate, (float, np.floating)):
            raise ValueError(f"The output of the `schedule` function should be a float. Got: {rate!r}")
        optimizer.learning_rate = rate
        if self.verbose > 0:
            print(f"\nEpoch {epoch + 1}: LearningRateScheduler setting learning rate to {float(rate)}.")

    def on_epoch_end(self, epoch, logs=None):
        if logs is not None:
            logs["learning_rate"] = float(self.model.optimizer.learning_rate)


class ReduceLROnPlateau(Callback):
    """Lower the learning rate when a quantity has stopped improving.

    Parameters
    ----------
    monitor : str, default "val_loss"
        A name in the logs.
    factor : float, default 0.1
        The learning rate is multiplied by it; less than 1.
    patience : int, default 10
        Epochs without improvement after which that happens.
    verbose : {0, 1}, default 0
        1: say what is done.
    mode : {"auto", "min", "max"}, default "auto"
        Whether smaller or greater is better; "auto" asks the metric of that name.
    min_delta : float, default 1e-4
        A smaller change is no improvement.
    cooldown : int, default 0
        Epochs after a reduction in which nothing is counted.
    min_lr : float, default 0.0
        The learning rate stays at least there.

    Notes
    -----
    Adds "learning_rate" to the logs, so that it is in the history.
    """

    # What improving means is the same as for EarlyStopping.
    _direction = EarlyStopping._direction
    _is_improvement = EarlyStopping._is_improvement

    def __init__(
        self,
        monitor="val_loss",
        factor=0.1,
        patience=10,
        verbose=0,
        mode="auto",
        min_delta=1e-4,
        cooldown=0,
        min_lr=0.0,
        **kwargs,
    ):
        super().__init__()
        if kwargs:
            raise ValueError(f"Argument(s) not recognized: {kwargs}")
        if factor >= 1.0:
            raise ValueError(f"ReduceLROnPlateau does not support a factor >= 1.0. Received factor={factor}")
        if mode not in ("auto", "min", "max"):
            warnings.warn(f"ReduceLROnPlateau mode '{mode}' is unknown, fallback to auto mode.", stacklevel=2)
            mode = "auto"
        self.monitor = monitor
        self.factor = factor
        self.patience = patience
        self.verbose = verbose
        self.mode = mode
        self.min_delta = abs(min_delta)
        self.cooldown = cooldown
        self.min_lr = min_lr
        self.monitor_op = None
        self._reset()

    def _reset(self):
        self.best = None
        self.cooldown_counter = 0
        self.wait = 0

    def on_train_begin(self, logs=None):
        self._reset()

    def on_epoch_end(self, epoch, logs=None):
        if self.monitor_op is None:  # only now are all metrics known
            self.monitor_op = self._direction()
            if self.monitor_op(0, 1):
                self.min_delta *= -1
        logs = {} if logs is None else logs
        logs["learning_rate"] = float(self.model.optimizer.learning_rate)
        current = logs.get(self.monitor)
        if current is None:
            warnings.warn(
                f"Learning rate reduction is conditioned on metric `{self.monitor}` which is not available."
                f"{did_you_mean(self.monitor, logs)} Available metrics are: {','.join(logs)}.",
                stacklevel=2,
            )
            return
        if self.in_cooldown():
            self.cooldown_counter -= 1
            self.wait = 0
        if self._is_improvement(current, self.best):
            self.best = current
            self.wait = 0
        elif not self.in_cooldown():
            self.wait += 1
            if self.wait >= self.patience:
                self._reduce(epoch)

    def _reduce(self, epoch):
        optimizer = self.model.optimizer
        old = float(optimizer.learning_rate)
        if old <= np.float32(self.min_lr):
            return
        new = max(old * self.factor, self.min_lr)
        optimizer.learning_rate = new
        if self.verbose > 0:
            print(f"\nEpoch {epoch + 1}: ReduceLROnPlateau reducing learning rate to {new}.")
        self.cooldown_counter = self.cooldown
        self.wait = 0

    def in_cooldown(self):
        return self.cooldown_counter > 0


class SwapEMAWeights(Callback):
    """Evaluate and predict with the moving means of the weights, for optimizers with ``use_ema=True``.

    Parameters
    ----------
    swap_on_epoch : bool, default False
        Also exchange them from the end of each epoch to the beginning of the next, for callbacks that save the model.
    """

    def __init__(self, swap_on_epoch=False):
        super().__init__()
        self.swap_on_epoch = swap_on_epoch
        self._ema_weights_in_model = False

    def _averages(self):
        optimizer = self.model.optimizer
        if not getattr(optimizer, "use_ema", False):
            raise ValueError(
                "SwapEMAWeights must be used when `use_ema=True` is set on the optimizer. Received: use_ema="
                f"{getattr(optimizer, 'use_ema', None)}"
            )
        return [(variable, optimizer.average(variable)) for variable in optimizer.state]

    def _swap(self, in_model):
        if self._ema_weights_in_model == in_model:
            return
        for variable, average in self._averages():
            value = variable.numpy()
            variable.assign(average.numpy())
            average.assign(value)
        self._ema_weights_in_model = in_model

    def on_epoch_begin(self, epoch, logs=None):
        if self.swap_on_epoch:
            self._swap(False)

    def on_epoch_end(self, epoch, logs=None):
        if self.swap_on_epoch:
            self._swap(True)
            if epoch == self.params["epochs"] - 1:  # the end of `fit` shall find the means where it looks for them
                for variable, average in self._averages():
                    average.assign(variable.numpy())

    def on_test_begin(self, logs=None):
        self._swap(True)

    def on_test_end(self, logs=None):
        self._swap(False)

    def on_predict_begin(self, logs=None):
        self._swap(True)

    def on_predict_end(self, logs=None):
        self._swap(False)


class LearningRateFinder(Callback):
    """Try learning rates from very small to very large in one short run, and look where the loss falls fastest.

    Smith, "Cyclical learning rates for training neural networks", WACV 2017, section 3.3. The learning rate grows by
    the same factor at each step of the `fit` that has this callback; the run ends early when the loss explodes.
    Afterwards weights, optimizer and learning rate are what they were before.

    Parameters
    ----------
    min_rate, max_rate : float, default 1e-6 and 1.0
        The range.
    smoothing : float, default 0.9
        Of the loss: each step's mean keeps this much of the last one.
    stop_factor : float, default 4.0
        The loss has exploded when it is so many times its least.

    Attributes
    ----------
    rates, losses : list of float
        Of each step; the losses smoothed.
    suggestion : float
        Where the smoothed loss fell fastest.

    Examples
    --------
    >>> finder = LearningRateFinder()
    >>> model.fit(x, y, epochs=1, callbacks=[finder])
    >>> finder.plot()
    >>> model.optimizer.learning_rate = finder.suggestion
    """

    def __init__(self, min_rate=1e-6, max_rate=1.0, smoothing=0.9, stop_factor=4.0):
        super().__init__()
        if not 0 < min_rate < max_rate < math.inf:
            raise ValueError(
                f"LearningRateFinder expected 0 < min_rate < max_rate. Received: min_rate={min_rate}, "
                f"max_rate={max_rate}"
            )
        if not 0 <= smoothing < 1:
            raise ValueError(f"`smoothing` must be in [0, 1). Received: smoothing={smoothing}")
        self.min_rate, self.max_rate = min_rate, max_rate
        self.smoothing, self.stop_factor = smoothing, stop_factor
        self.rates, self.losses = [], []

    def on_train_begin(self, logs=None):
        self.rates, self.losses = [], []
        self._average = 0.0
        steps = (self.params.get("epochs") or 1) * (self.params.get("steps") or 0)
        if steps < 2:
            raise ValueError(
                "LearningRateFinder needs a run of at least 2 steps, of known number: give `fit` more data or epochs."
            )
        self._factor = (self.max_rate / self.min_rate) ** (1 / (steps - 1))
        self._weights = [(variable, variable.numpy()) for variable in self.model.variables]
        optimizer = self.model.optimizer
        self._state = [(variable, variable.numpy()) for variable in optimizer.variables]
        self._rate = float(optimizer.learning_rate)
        optimizer.learning_rate = self.min_rate

    def on_epoch_begin(self, epoch, logs=None):
        self._sum = 0.0  # of this epoch's losses; logs have their mean

    def on_train_batch_begin(self, batch, logs=None):
        self.model.optimizer.learning_rate = self.min_rate * self._factor ** len(self.rates)

    def on_train_batch_end(self, batch, logs=None):
        total = logs["loss"] * (batch + 1)
        loss, self._sum = total - self._sum, total
        self._average = self.smoothing * self._average + (1 - self.smoothing) * loss
        smoothed = self._average / (1 - self.smoothing ** (len(self.rates) + 1))
        self.rates.append(float(self.model.optimizer.learning_rate))
        self.losses.append(smoothed)
        if not math.isfinite(smoothed) or smoothed > self.stop_factor * min(self.losses) > 0:
            self.model.stop_training = True

    def on_train_end(self, logs=None):
        for variable, value in [*self._weights, *self._state]:
            variable.assign(value)
        self.model.optimizer.learning_rate = self._rate

    @property
    def suggestion(self):
        losses = np.array([loss for loss in self.losses if math.isfinite(loss)])
        if len(losses) < 3:
            raise ValueError("Fewer than 3 steps ran: there is nothing to suggest. Train with this callback first.")
        return self.rates[int(np.argmin(np.gradient(losses)))]  # the rates are a geometric row: equal steps of log

    def plot(self, ax=None):
        """Draw loss against learning rate; needs matplotlib. Returns the axes, whose ``figure.savefig(path)`` saves it.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; default: the current ones.
        """
        if ax is not None and not hasattr(ax, "plot"):
            raise TypeError(
                f"LearningRateFinder.plot draws into axes of matplotlib. Received: ax={ax!r}. To save a picture: "
                "finder.plot().figure.savefig(path)"
            )
        if ax is None:
            import matplotlib.pyplot as plt

            ax = plt.gca()
        ax.plot(self.rates, self.losses)
        ax.axvline(self.suggestion, linestyle="--", label=f"suggestion: {self.suggestion:.2g}")
        ax.set(xscale="log", xlabel="learning rate", ylabel="loss (smoothed)")
        ax.legend()
        return ax
