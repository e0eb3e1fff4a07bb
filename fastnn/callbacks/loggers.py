"""Callbacks that write down how training goes: CSV files, TensorBoard, the terminal."""

import os
import time
import warnings

import numpy as np

from fastnn.callbacks.base import Callback
from fastnn.training.arguments import count, flag


class CSVLogger(Callback):
    """Write the logs of every epoch to a CSV file, a line each.

    Parameters
    ----------
    filename : str or path
    separator : str, default ","
    append : bool, default False
        Go on with the file that is there, instead of replacing it.

    Notes
    -----
    The columns are those of the first epoch. What a later one does not have is "NA".
    """

    def __init__(self, filename, separator=",", append=False):
        super().__init__()
        self.filename = os.fspath(filename)
        self.sep = separator
        self.append = flag(append, "append")
        self.keys = self.writer = self.csv_file = None

    def on_train_begin(self, logs=None):
        self.on_train_end()
        self.csv_file = open(self.filename, "a" if self.append else "w", newline="")  # noqa: SIM115  (on_train_end closes it)

    def on_epoch_end(self, epoch, logs=None):
        logs = logs or {}
        if self.writer is None:
            import csv

            self.keys = sorted(logs)
            if not any(key.startswith("val_") for key in self.keys):
                self.keys += [f"val_{key}" for key in self.keys]
            self.writer = csv.DictWriter(self.csv_file, ["epoch", *self.keys], delimiter=self.sep)
            if self.csv_file.tell() == 0:
                self.writer.writeheader()
        self.writer.writerow({"epoch": epoch, **{key: _cell(logs.get(key, "NA")) for key in self.keys}})
        self.csv_file.flush()

    def on_train_end(self, logs=None):
        if self.csv_file is not None:
            self.csv_file.close()
        self.keys = self.writer = self.csv_file = None


def _cell(value):
    if np.ndim(value) == 0:
        return value
    return f'"[{", ".join(map(str, value))}]"'


class ProgbarLogger(Callback):
    """Prints progress. `fit`, `evaluate` and `predict` do that themselves, so this is for loops of one's own, through
    ``CallbackList(add_progbar=True, verbose=..., epochs=..., steps=...)``; given to `fit`, it prints nothing more."""

    def __init__(self):
        super().__init__()
        self._progress = None
        self._in_fit = False

    def _begin(self, epochs=None):
        from fastnn.training.progress import Progress

        if self._progress is None:
            self._progress = Progress(self.params.get("verbose", 1), epochs, self.params.get("steps") or 0)
        self._started = time.perf_counter()

    def _end(self, logs):
        self._progress.epoch_end(logs or {}, time.perf_counter() - self._started)

    def on_train_begin(self, logs=None):
        self._in_fit, self._progress = True, None
        self._begin(self.params.get("epochs", 1))

    def on_epoch_begin(self, epoch, logs=None):
        self._begin(self.params.get("epochs", 1))
        self._progress.epoch_begin(epoch)

    def on_train_batch_end(self, batch, logs=None):
        self._progress.update(batch + 1, lambda: logs or {})

    def on_epoch_end(self, epoch, logs=None):
        self._end(logs)

    def on_train_end(self, logs=None):
        self._in_fit, self._progress = False, None

    def on_test_begin(self, logs=None):
        if not self._in_fit:
            self._begin()

    def on_test_end(self, logs=None):
        if not self._in_fit:
            self._end(logs)
            self._progress = None

    def on_predict_begin(self, logs=None):
        self._begin()

    def on_predict_end(self, logs=None):
        self._end({})
        self._progress = None


class TensorBoard(Callback):
    """Write curves and histograms for TensorBoard (``pip install 'fastnn[tensorboard]'``).

    Under `log_dir`, "train" and "validation" have curves "epoch_loss", "epoch_accuracy" and so on, as from Keras; the
    learning rate is "epoch_learning_rate".

    Parameters
    ----------
    log_dir : str or path, default "logs"
    histogram_freq : int, default 0
        Histograms of all weights after every so many epochs; 0: never.
    write_graph : bool, default True
        Write the model's summary, as text. There is no graph of TensorFlow to draw.
    write_steps_per_second : bool, default False
        Write "epoch_steps_per_second".
    update_freq : "epoch", "batch" or int, default "epoch"
        Also write "batch_loss" and so on after every batch, or every so many, at the price of a return to Python for
        each step.
    profile_batch : int or tuple of int, default 0
        Taken with a warning: nothing is profiled.
    write_images, embeddings_freq, embeddings_metadata
        Not supported at other values than the default.
    """

    def __init__(
        self,
        log_dir="logs",
        histogram_freq=0,
        write_graph=True,
        write_images=False,
        write_steps_per_second=False,
        update_freq="epoch",
        profile_batch=0,
        embeddings_freq=0,
        embeddings_metadata=None,
    ):
        super().__init__()
        for name, value in dict(
            write_images=write_images,
            embeddings_freq=embeddings_freq,
            embeddings_metadata=embeddings_metadata,
        ).items():
            if value:
                raise ValueError(f"TensorBoard: `{name}` is not supported. Received: {name}={value!r}")
        if profile_batch:
            warnings.warn(
                "TensorBoard: nothing is profiled, as there is no profiler that TensorBoard reads. "
                f"model.explain_plan(measure=True) shows where time goes. Received: profile_batch={profile_batch!r}",
                stacklevel=2,
            )
        self.log_dir = os.fspath(log_dir)
        self.histogram_freq = count(histogram_freq, "histogram_freq", least=0)
        self.write_graph = flag(write_graph, "write_graph")
        self.write_steps_per_second = flag(write_steps_per_second, "write_steps_per_second")
        self.update_freq = 1 if update_freq == "batch" else update_freq
        if self.update_freq != "epoch":
            self.update_freq = count(self.update_freq, "update_freq")
            self.on_train_batch_end = self._batch_ended
        self._writers = {}
        self._in_fit = False

    def _writer(self, name):
        if name not in self._writers:
            try:
                from tensorboardX import SummaryWriter
            except ImportError as error:
                raise ImportError(
                    "The TensorBoard callback needs tensorboardX: pip install 'fastnn[tensorboard]'"
                ) from error
            self._writers[name] = SummaryWriter(os.path.join(self.log_dir, name))
        return self._writers[name]

    def on_train_begin(self, logs=None):
        self._in_fit = True
        writer = self._writer("train")
        if self.write_graph and self.model.built:
            self.model.summary(print_fn=lambda text: writer.add_text("model", f"```\n{text}\n```", 0))

    def on_epoch_begin(self, epoch, logs=None):
        self._started, self._steps = time.perf_counter(), int(self.model.optimizer.iterations)

    def _batch_ended(self, batch, logs=None):
        step = int(self.model.optimizer.iterations)
        if step % self.update_freq == 0:
            for name, value in (logs or {}).items():
                self._writer("train").add_scalar(f"batch_{name}", value, step)

    def on_epoch_end(self, epoch, logs=None):
        train = self._writer("train")
        for name, value in (logs or {}).items():
            if name.startswith("val_"):
                self._writer("validation").add_scalar(f"epoch_{name.removeprefix('val_')}", value, epoch)
            else:
                train.add_scalar(f"epoch_{name}", value, epoch)
        train.add_scalar("epoch_learning_rate", float(self.model.optimizer.learning_rate), epoch)
        if self.write_steps_per_second:
            steps = int(self.model.optimizer.iterations) - self._steps
            train.add_scalar("epoch_steps_per_second", steps / (time.perf_counter() - self._started), epoch)
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            for variable in self.model.weights:
                train.add_histogram(f"{variable.path}/histogram", variable.numpy(), epoch)
        for writer in self._writers.values():
            writer.flush()

    def on_test_end(self, logs=None):
        if self.model.optimizer is None:
            return
        step = int(self.model.optimizer.iterations)
        for name, value in (logs or {}).items():
            self._writer("validation").add_scalar(f"evaluation_{name}_vs_iterations", value, step)
        if not self._in_fit:
            self._close()

    def on_train_end(self, logs=None):
        self._in_fit = False
        self._close()

    def _close(self):
        for writer in self._writers.values():
            writer.close()
        self._writers = {}
