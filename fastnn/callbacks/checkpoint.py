"""Saving the model while it is trained."""

import os
import warnings

import numpy as np

from fastnn.callbacks.monitor import MonitorCallback
from fastnn.training.arguments import flag, integer

_SUFFIXES = {True: (".weights.h5", ".safetensors"), False: (".keras", ".fastnn")}


class EveryBatches:
    """Says after which batches something is due: after every so many, over the ends of epochs.

    Parameters
    ----------
    save_freq : int or "epoch"
        "epoch": after none.
    owner : object
        For the error message.
    """

    def __init__(self, save_freq, owner):
        self.every = save_freq if save_freq == "epoch" else integer(save_freq)
        if self.every is None or (self.every != "epoch" and self.every < 1):
            raise ValueError(
                f"{type(owner).__name__}: `save_freq` must be 'epoch' or a positive integer, a number of batches. "
                f"Received: save_freq={save_freq!r}"
            )
        self._seen = 0
        self._last = -1

    def due(self, batch):
        """Is it, after this batch of the epoch?"""
        self._seen += batch + 1 if batch <= self._last else batch - self._last
        self._last = batch
        if self._seen < self.every:
            return False
        self._seen = 0
        return True


class ModelCheckpoint(MonitorCallback):
    """Save the model, or its weights, after epochs or batches.

    Each file is complete or not there: it is written beside its place and then renamed.

    Parameters
    ----------
    filepath : str or path
        May hold "{epoch:02d}", "{val_loss:.2f}" and other names of the logs, and "{batch}" with a `save_freq` of
        batches. Ends in ".keras" or ".fastnn"; of weights, in ".weights.h5" or ".safetensors". Folders are made.
    monitor : str, default "val_loss"
    verbose : {0, 1}, default 0
        1: say what is done.
    save_best_only : bool, default False
        Only save what is better than all before, by `monitor`.
    save_weights_only : bool, default False
        `model.save_weights` instead of `model.save`.
    mode : {"auto", "min", "max"}, default "auto"
        See `MonitorCallback`.
    save_freq : "epoch" or int, default "epoch"
        After every epoch or, at the price of a return to Python for each step, after every so many batches.
    initial_value_threshold : float, optional
        Only what is better than this is saved, with `save_best_only`.

    Raises
    ------
    ValueError
        For another suffix or a `save_freq` that is neither; while training, if "auto" cannot tell the direction.
    KeyError
        While training, if `filepath` holds a name that is not in the logs.
    """

    def __init__(
        self,
        filepath,
        monitor="val_loss",
        verbose=0,
        save_best_only=False,
        save_weights_only=False,
        mode="auto",
        save_freq="epoch",
        initial_value_threshold=None,
    ):
        super().__init__(monitor, mode, initial_value_threshold)
        self.filepath = os.fspath(filepath)
        self.verbose = verbose
        self.save_best_only = flag(save_best_only, "save_best_only")
        self.save_weights_only = flag(save_weights_only, "save_weights_only")
        self.save_freq = save_freq
        self._epoch = 0
        suffixes = _SUFFIXES[self.save_weights_only]
        if not self.filepath.endswith(suffixes) or (
            not self.save_weights_only and self.filepath.endswith(_SUFFIXES[True])
        ):
            raise ValueError(
                f"ModelCheckpoint: with save_weights_only={self.save_weights_only}, `filepath` must end in "
                f"{' or '.join(suffixes)}. Received: filepath={self.filepath!r}"
            )
        self._batches = EveryBatches(save_freq, self)
        if save_freq != "epoch":  # a hook of its own only then: nobody else pays for it
            self.on_train_batch_end = self._batch_ended

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    def on_epoch_end(self, epoch, logs=None):
        if self.monitor_op is None and self.save_best_only:
            self._set_monitor_op()
        if self.save_freq == "epoch":
            self._save({"epoch": epoch + 1, **(logs or {})}, epoch)

    def _batch_ended(self, batch, logs=None):
        if self._batches.due(batch):
            self._save({"epoch": self._epoch + 1, "batch": batch + 1, **(logs or {})}, self._epoch)

    def _save(self, values, epoch):
        try:
            path = self.filepath.format(**values)
        except KeyError as error:
            raise KeyError(
                f"ModelCheckpoint: filepath {self.filepath!r} holds the name {error}, which is not among the logs: "
                f"{sorted(values)}"
            ) from None
        if not self._should_save(values, epoch, path):
            return
        folder = os.path.dirname(path)
        if folder:
            os.makedirs(folder, exist_ok=True)
        save = self.model.save_weights if self.save_weights_only else self.model.save
        save(path, overwrite=True)
        self._say(f"\nEpoch {epoch + 1}: finished saving model to {path}")

    def _should_save(self, values, epoch, path):
        if not self.save_best_only:
            self._say(f"\nEpoch {epoch + 1}: saving model to {path}")
            return True
        current = values.get(self.monitor)
        if current is None or np.ndim(current) > 0:
            warnings.warn(
                f"Can save best model only with {self.monitor} available, as one number; saving anyway. The logs have: "
                f"{sorted(values)}",
                stacklevel=4,
            )
            return True
        best = "None" if self.best is None else f"{self.best:.5f}"
        if not self._is_improvement(current, self.best):
            self._say(f"\nEpoch {epoch + 1}: {self.monitor} did not improve from {best}")
            return False
        self._say(f"\nEpoch {epoch + 1}: {self.monitor} improved from {best} to {current:.5f}, saving model to {path}")
        self.best = current
        return True

    def _say(self, text):
        if self.verbose > 0:
            print(text)
