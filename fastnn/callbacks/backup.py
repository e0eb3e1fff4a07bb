"""Going on where an interrupted training was."""

import os

from fastnn.callbacks.base import Callback
from fastnn.callbacks.checkpoint import EveryBatches
from fastnn.training.arguments import flag


class BackupAndRestore(Callback):
    """Save the state of training, and go on from there when `fit` is called again after an interruption.

    The same program, started again, ends with the bits it would have ended with. After an interruption between two
    epochs, that is: within one, training goes on with the weights of the last save at the beginning of that epoch.

    Parameters
    ----------
    backup_dir : str or path
        A folder of its own, for this training only. Made if it is not there.
    save_freq : "epoch" or int, default "epoch"
        After every epoch or, at the price of a return to Python for each step, after every so many batches.
    double_checkpoint : bool, default False
        Accepted for compatibility: the file is complete or not there, so no second one is needed.
    delete_checkpoint : bool, default True
        Remove the folder when `fit` ends.

    Raises
    ------
    ValueError
        For an empty `backup_dir` or a `save_freq` that is neither; at the start of `fit`, if the file there is damaged
        or of another model.
    """

    def __init__(self, backup_dir, save_freq="epoch", double_checkpoint=False, delete_checkpoint=True):
        super().__init__()
        if not backup_dir:
            raise ValueError("BackupAndRestore: `backup_dir` must name a folder. It is empty.")
        self.backup_dir = os.fspath(backup_dir)
        self.save_freq = save_freq
        self.double_checkpoint = flag(double_checkpoint, "double_checkpoint")
        self.delete_checkpoint = flag(delete_checkpoint, "delete_checkpoint")
        self._path = os.path.join(self.backup_dir, "latest.safetensors")
        self._epoch = 0
        self._shuffled = 0  # epochs shuffled before this one
        self._batches = EveryBatches(save_freq, self)
        if save_freq != "epoch":
            self.on_train_batch_end = self._batch_ended

    def on_train_begin(self, logs=None):
        from fastnn.saving import native, state

        if not os.path.exists(self._path):
            return
        source = f"The backup {self._path!r}"
        with open(self._path, "rb") as file:
            metadata, arrays = native.parse(file.read(), source)
        progress = native.parse_json(metadata.get("backup", ""), source)
        state.restore(self.model, native.unflatten(arrays))
        native.restore_training_state(self.model, progress, source)
        self.model._initial_epoch = self._epoch = progress["epoch"]

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch
        self._shuffled = self.model._epochs_shuffled

    def on_epoch_end(self, epoch, logs=None):
        self._epoch = epoch + 1
        self._shuffled = self.model._epochs_shuffled
        if self.save_freq == "epoch":
            self._save()

    def _batch_ended(self, batch, logs=None):
        if self._batches.due(batch):
            self._save()

    def _save(self):
        import json

        from fastnn.saving import files, native

        os.makedirs(self.backup_dir, exist_ok=True)
        progress = {**native.training_state(self.model), "epochs_shuffled": self._shuffled, "epoch": self._epoch}
        content = native.dump(self.model, weights_only=True, backup=json.dumps(progress))
        with files.replacing(self._path) as file:
            file.write(content)

    def on_train_end(self, logs=None):
        if self.delete_checkpoint and os.path.isdir(self.backup_dir):
            import shutil

            shutil.rmtree(self.backup_dir)
