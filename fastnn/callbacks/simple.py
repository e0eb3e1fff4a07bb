"""Callbacks of a few lines each."""

import math

from fastnn.callbacks.base import Callback


class _Records(dict):
    """A dictionary that also finds "learning_rate" under the name it had before Keras 3, "lr"."""

    def __missing__(self, key):
        if key == "lr" and "learning_rate" in self:
            return self["learning_rate"]
        raise KeyError(key)

    def __contains__(self, key):
        return super().__contains__(key) or (key == "lr" and super().__contains__("learning_rate"))

    def get(self, key, default=None):
        return super().get("learning_rate" if key == "lr" and not super().__contains__(key) else key, default)


class History(Callback):
    """Records the logs of every epoch; what `fit` returns.

    Attributes
    ----------
    history : dict of str to list of float
        One value for each epoch.
    epoch : list of int
        Numbers of the epochs.
    """

    def __init__(self):
        super().__init__()
        self.history = _Records()

    def on_train_begin(self, logs=None):
        self.epoch = []

    def on_epoch_end(self, epoch, logs=None):
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
        self.model.history = self


class LambdaCallback(Callback):
    """A callback made of functions.

    Parameters
    ----------
    on_epoch_begin, on_epoch_end : callable (epoch, logs), optional
    on_train_begin, on_train_end : callable (logs), optional
    on_train_batch_begin, on_train_batch_end : callable (batch, logs), optional
        `logs` is passed by name.
    **kwargs
        Functions for any other hook of `Callback`, by its name.

    Examples
    --------
    >>> decay = LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, logs["loss"]))
    """

    def __init__(
        self,
        on_epoch_begin=None,
        on_epoch_end=None,
        on_train_begin=None,
        on_train_end=None,
        on_train_batch_begin=None,
        on_train_batch_end=None,
        **kwargs,
    ):
        super().__init__()
        hooks = {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end,
        }
        self.__dict__.update(kwargs)
        self.__dict__.update((name, hook) for name, hook in hooks.items() if hook is not None)


class TerminateOnNaN(Callback):
    """Stop training as soon as the loss is NaN or infinite. Costs a return to Python each step.

    Parameters
    ----------
    raise_error : bool, default False
        Raise a RuntimeError instead of ending `fit` in an orderly way.
    """

    def __init__(self, raise_error=False):
        super().__init__()
        self.raise_error = raise_error

    def on_batch_end(self, batch, logs=None):
        loss = (logs or {}).get("loss")
        if loss is None or math.isfinite(loss):
            return
        if self.raise_error:
            raise RuntimeError(
                f"NaN or Inf loss encountered at batch {batch}. Loss value: {loss}. Terminating training immediately."
            )
        print(f"Batch {batch}: Invalid loss, terminating training")
        self.model.stop_training = True
