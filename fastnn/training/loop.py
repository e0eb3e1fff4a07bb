"""compile, fit, evaluate, predict: the loops around the programs that do the work.

`fit` crosses into C once for a chunk of steps: an epoch, or 0.1 s of one while a progress bar is drawn, or one step
where a callback has batch hooks.
"""

import time
import warnings

import numpy as np

from fastnn import _revision, optimizers
from fastnn.callbacks import CallbackList
from fastnn.training import arguments, data
from fastnn.training.compiled import Compiled, results
from fastnn.training.known_batch import KnownBatch
from fastnn.training.progress import Progress
from fastnn.training.samples import checked

_REDRAW_SECONDS = 0.1


class Trainer:
    """The training half of a model. Expects `graph`, `_settle_variables`, `_new_seed`, `_checked_inputs`,
    `_forward` and `_packed`."""

    def _reset_trainer(self):
        self.optimizer = None
        self.loss = None
        self._compiled_with = None, None
        self._trainable_flags = {}
        self._flags_checked_at = None  # the revision at which they were last looked at
        self.history = None
        self.stop_training = False
        self._compiled = False
        self._seed_of_training = None
        self._epochs_shuffled = 0
        self._reset_programs()

    def _reset_programs(self):
        self._programs = {}
        self._known_batch = None
        self._heads = None
        self._trained = None

    # ---- compile -----------------------------------------------------------------------------------------------------

    def compile(
        self,
        optimizer="rmsprop",
        loss=None,
        loss_weights=None,
        metrics=None,
        weighted_metrics=None,
        run_eagerly=False,
        steps_per_execution=1,
        jit_compile="auto",
        auto_scale_loss=True,
    ):
        """Say how to train. What is `trainable` now is trained until the next call, whatever becomes of the flags.

        Parameters
        ----------
        optimizer : str or Optimizer
        loss : str or Loss, or list or dict of some
            One for all outputs, or for each of them in a list, or by the outputs' names in a dictionary; outputs with
            None, or not in the dictionary, have no loss.
        loss_weights : float, or list or dict of float, optional
            The losses are multiplied by them and summed up. Missing ones are 1.
        metrics, weighted_metrics : list or dict, optional
            Computed over an epoch; sample weights apply to the weighted ones. A list of names or `Metric` objects for
            one output; for several, a list of such lists or a dictionary of such lists by the outputs' names.
        run_eagerly, steps_per_execution, jit_compile, auto_scale_loss
            Accepted for compatibility: everything is compiled, always, and many steps run in one call.
        """
        optimizer = optimizers.get(optimizer)
        self._told = Compiled(loss, loss_weights, metrics, weighted_metrics)
        self.optimizer, self.loss = optimizer, loss
        self._compiled_with = optimizer, loss
        self._compiled = True
        self._seed_of_training = self._new_seed()
        self._epochs_shuffled = 0
        self._reset_programs()
        self._trainable_flags = {layer: layer.trainable for layer in self._all_layers()}
        if self.built:
            self._trained = set(self.trainable_weights)

    @property
    def metrics(self):
        """The metrics in use, once data has told which kinds they are."""
        return [metric for head in self._heads or () for metric in head.metrics]

    @property
    def metrics_names(self):
        """Names of what `evaluate` returns, in its order, once data has told which they are."""
        if not self._heads:
            return []
        losses = [head.loss_log for head in sorted(self._heads, key=lambda head: head.loss_place) if head.loss_log]
        return ["loss", *losses, *(name for head in self._heads for name in head.metric_logs.values())]

    @property
    def compiled(self):
        return self._compiled

    def _require_compiled(self, method):
        if not self._compiled:
            raise ValueError(f"You must call `compile()` before calling `{method}()`.")
        for name, compiled in zip(("optimizer", "loss"), self._compiled_with, strict=True):
            if getattr(self, name) is not compiled:
                raise ValueError(
                    f"`model.{name}` was assigned after `compile()`, which changes nothing: call "
                    f"model.compile(...) with the new {name} before `{method}()`."
                )

    def _warn_of_changed_flags(self):
        """Warn once, as Keras does, that what is `trainable` now is not what is trained."""
        changed = [
            layer.name
            for layer in self._all_layers()
            if self._trainable_flags.setdefault(layer, layer.trainable) != layer.trainable
        ]
        if changed:
            self._trainable_flags = {layer: layer.trainable for layer in self._all_layers()}
            warnings.warn(
                f"The layers {changed} have changed their `trainable` since the model was compiled. That takes effect "
                "at the next model.compile(...): call it before `fit()`.",
                stacklevel=3,
            )

    def _resolved_heads(self, targets):
        """The losses and the metrics of the outputs, now that shapes are known. The targets help to tell labels from
        one-hot rows."""
        if self._heads is None:
            self._heads = self._told.heads(self.graph.outputs, self._heads_names(), targets)
        return self._heads

    def _measured(self, count, names):
        """Of each output: does it have a loss?"""
        return self._told.has_loss(count, names)

    # ---- programs ----------------------------------------------------------------------------------------------------

    def _program(self, kind, batch, weighted):
        """The training or evaluation program for batches of up to `batch` samples, made when first needed."""
        from fastnn.lowering import programs

        self._settle_variables()
        made_for = batch, self.graph.state(), self.optimizer.structure() if kind == "train" and self.optimizer else None
        key = kind, weighted
        known = self._programs.get(key)
        if known is not None and known[0] == made_for:
            return known[1]
        if kind == "train":
            if self.optimizer is None:
                raise ValueError("The model was compiled without an optimizer: call model.compile(optimizer, loss).")
            if self._trained is None:
                self._trained = set(self.trainable_weights)
            trained = [variable for variable in self.graph.variables if variable in self._trained]
            program = programs.Training(self.graph, batch, self._heads, weighted, self.optimizer, trained)
        else:
            program = programs.Evaluation(self.graph, batch, self._heads, weighted)
        self._programs[key] = (made_for, program)
        return program

    # ---- data --------------------------------------------------------------------------------------------------------

    def _checked_data(self, x, y, sample_weight, class_weight, names=("x", "y", "sample_weight")):
        """`Samples` that the programs can read."""
        return checked(self, x, y, sample_weight, class_weight, names)

    def _bound(self, program, samples):
        inputs = dict(zip(self.graph.inputs, samples.inputs, strict=True))
        return program.bind(inputs, samples.targets, samples.weights)

    # ---- fit ---------------------------------------------------------------------------------------------------------

    def fit(
        self,
        x=None,
        y=None,
        batch_size=None,
        epochs=1,
        verbose="auto",
        callbacks=None,
        validation_split=0.0,
        validation_data=None,
        shuffle=True,
        class_weight=None,
        sample_weight=None,
        initial_epoch=0,
        steps_per_epoch=None,
        validation_steps=None,
        validation_batch_size=None,
        validation_freq=1,
    ):
        """Train for a number of epochs.

        Parameters
        ----------
        x, y : array_like, shape (samples, ...)
            Any numeric dtype and strides, memory-mapped too; converted batch by batch, never copied as a whole. For
            several inputs or outputs a list of arrays, or a dictionary by the names of the inputs or outputs.
        batch_size : int, default 32
            The last batch of an epoch has what is left.
        epochs : int, default 1
            Number of the last epoch (counted from `initial_epoch`).
        verbose : {"auto", 0, 1, 2}
            0: silent, 1: a line an epoch and, in a terminal, a live bar for epochs of half a second
            and more, 2: a line an epoch.
        callbacks : list of Callback, optional
        validation_split : float, default 0
            The last so many of the samples are not trained on but evaluated after each epoch.
        validation_data : tuple (x, y) or (x, y, sample_weight), optional
        shuffle : bool, default True
            A new order each epoch, determined by the seed.
        class_weight : dict of int to float, optional
        sample_weight : array_like, shape (samples,), optional
            For several outputs the same for all, or as a list or dictionary like `y`.
        initial_epoch : int, default 0
        steps_per_epoch, validation_steps : None
            Not supported: an epoch is one pass over the data.
        validation_batch_size : int, optional
        validation_freq : int or collection of int, default 1
            Validate after every so many epochs, or after those of these numbers, the first being 1.

        Returns
        -------
        History
            Its `history` has a list for each loss and metric, one value an epoch.

        Raises
        ------
        ValueError, TypeError
            For data that does not fit the model; the message says what was expected.
        KeyboardInterrupt
            Within about 50 ms of Ctrl-C; the model stays usable.
        """
        self._require_compiled("fit")
        if self._flags_checked_at != _revision.current():
            self._warn_of_changed_flags()
            self._flags_checked_at = _revision.current()
        arguments.refuse("fit", steps_per_epoch=steps_per_epoch, validation_steps=validation_steps)
        batch_size = arguments.count(batch_size, "batch_size", 32)
        validation_batch_size = arguments.count(validation_batch_size, "validation_batch_size", batch_size)
        validates = arguments.validation_epochs(validation_freq)
        first_epoch = arguments.count(initial_epoch, "initial_epoch", least=0)
        shuffle = arguments.flag(shuffle, "shuffle")
        epochs = arguments.count(epochs, "epochs", least=0)
        samples = self._checked_data(x, y, sample_weight, class_weight)
        if validation_split and validation_data is None:
            samples, validation = samples.split(validation_split)
            if class_weight is not None:
                validation.weights = None  # classes weigh in training only, as in Keras
        elif validation_data is not None:
            names = ("validation_data[0]", "validation_data[1]", "validation_data[2]")
            validation = self._checked_data(*data.unpack(validation_data), None, names=names)
        else:
            validation = None

        count = len(samples)
        steps = -(-count // batch_size)
        # Before the program, as a callback may prune weights: then it is told the model.
        hooks = self._hooks(callbacks, add_history=True, epochs=epochs, steps=steps, verbose=verbose)
        program = self._program("train", min(batch_size, count), samples.weighted)
        sources = self._bound(program, samples)
        order = np.empty(count, np.int64) if shuffle else None

        progress = Progress(verbose, epochs, steps)
        self.stop_training = False
        logs = {}
        self._initial_epoch = None
        hooks.on_train_begin()
        try:
            # A callback that restored the model may have set where to go on.
            for epoch in range(self._initial_epoch or first_epoch, epochs):
                started = time.perf_counter()
                hooks.on_epoch_begin(epoch)
                progress.epoch_begin(epoch)
                self._run_epoch(program, sources, count, steps, batch_size, order, hooks, progress)
                logs = results(program)
                if validation is not None and validates(epoch + 1):
                    measured = self._evaluate(validation, validation_batch_size, hooks)
                    logs.update({f"val_{name}": value for name, value in measured.items()})
                progress.epoch_end(logs, time.perf_counter() - started)
                hooks.on_epoch_end(epoch, logs)
                if self.stop_training:
                    break
        finally:
            progress.close()
            if epochs > first_epoch:
                self.optimizer.finalize_variable_values(self.graph.variables)
        hooks.on_train_end(logs)
        return hooks.history

    def _hooks(self, callbacks, **options):
        return CallbackList(callbacks, model=self, draws_progress=True, **options)

    def _run_epoch(self, program, sources, samples, steps, batch_size, order, hooks, progress):
        from fastnn._engine.runtime import shuffle

        seed = self._seed_of_training
        if order is not None:
            shuffle(order, seed, self._epochs_shuffled)
            self._epochs_shuffled += 1
        program.reset()
        optimizer = self.optimizer
        one_by_one = hooks.has_train_batch_hooks
        done = 0
        while done < steps and not self.stop_training:
            if one_by_one:
                hooks.on_train_batch_begin(done)
            chunk = 1 if one_by_one else optimizer.steps_at_once(steps - done)
            try:
                program.program.run(
                    samples,
                    first_batch=done,
                    batches=chunk,
                    batch=min(batch_size, samples),
                    step=optimizer.steps,
                    seed=seed,
                    order=order,
                    hyper=optimizer.hyper(chunk),
                    budget=_REDRAW_SECONDS if progress.live else 0.0,
                    sources=sources,  # again each time: a callback may have used the program for other data
                )
            finally:  # after Ctrl-C, too, the optimizer knows how many steps its state has seen
                completed = program.program.completed
                optimizer.steps += completed
            done += completed
            if one_by_one:
                hooks.on_train_batch_end(done - 1, results(program))
            if progress.live:
                progress.update(done, lambda: results(program))

    # ---- evaluate ----------------------------------------------------------------------------------------------------

    def evaluate(
        self,
        x=None,
        y=None,
        batch_size=None,
        verbose="auto",
        sample_weight=None,
        steps=None,
        callbacks=None,
        return_dict=False,
    ):
        """Loss and metrics on data, in inference mode. The parameters are those of `fit`; `steps` must be None.

        Returns
        -------
        float, list of float or dict
            The loss, followed by the metrics if there are any; a dict by name if `return_dict`.
        """
        self._require_compiled("evaluate")
        arguments.refuse("evaluate", steps=steps)
        batch_size = arguments.count(batch_size, "batch_size", 32)
        samples = self._checked_data(x, y, sample_weight, None)
        steps = -(-len(samples) // batch_size)
        hooks = self._hooks(callbacks, epochs=1, steps=steps, verbose=verbose)
        progress = Progress(verbose, None, steps)
        started = time.perf_counter()
        found = self._evaluate(samples, batch_size, hooks)
        progress.epoch_end(found, time.perf_counter() - started)
        return found if return_dict else _flat(found)

    def _evaluate(self, samples, batch_size, hooks):
        # Sums over all rows do not depend on the batch, so without hooks the batch is the one that runs best.
        # What is measured of a batch as a whole is measured of batches of the size that was asked for.
        one_by_one = hooks.has_test_batch_hooks
        count = len(samples)
        by_batch = one_by_one or any(head.depends_on_batch for head in self._heads)
        batch = min(batch_size if by_batch else self._chunk, count)
        program = self._program("test", batch if by_batch else self._chunk, samples.weighted)
        program.reset()
        sources = self._bound(program, samples)
        seed = self._seed_of_training  # a layer may draw random numbers in inference, too
        hooks.on_test_begin()
        if one_by_one:
            for step in range(-(-count // batch)):
                hooks.on_test_batch_begin(step)
                program.program.run(count, first_batch=step, batches=1, batch=batch, seed=seed, sources=sources)
                hooks.on_test_batch_end(step, results(program))
        else:
            program.program.run(count, batch=batch, seed=seed, sources=sources)
        found = results(program)
        hooks.on_test_end(found)
        return found

    # ---- predict -----------------------------------------------------------------------------------------------------

    def predict(self, x, batch_size=None, verbose="auto", steps=None, callbacks=None):
        """Outputs for data of any length, as an array.

        Parameters
        ----------
        x : array_like, shape (samples, ...)
        batch_size : int, optional
            Only decides how often callbacks with batch hooks are called: a row's result is the same in any batch.
        verbose : {"auto", 0, 1, 2}
        steps : None
            Not supported: all of the data is predicted.
        callbacks : list of Callback, optional
        """
        arguments.refuse("predict", steps=steps)
        batch_size = arguments.count(batch_size, "batch_size", 32)
        arrays, samples = self._checked_inputs(x, "x")
        data.check_lengths(x=arrays[0])
        steps = -(-samples // batch_size)
        hooks = self._hooks(callbacks, epochs=1, steps=steps, verbose=verbose)
        progress = Progress(verbose, None, steps)
        started = time.perf_counter()
        hooks.on_predict_begin()
        if hooks.has_predict_batch_hooks:
            parts = []
            for step in range(steps):
                hooks.on_predict_batch_begin(step)
                rows = slice(step * batch_size, (step + 1) * batch_size)
                part = [each[rows] for each in arrays]
                parts.append(self._forward(part, len(part[0]), False))
                hooks.on_predict_batch_end(step, {"outputs": self._packed(parts[-1], np.ndarray)})
            outputs = [np.concatenate(each) for each in zip(*parts, strict=True)]
        else:
            outputs = self._forward(arrays, samples, False)
        hooks.on_predict_end()
        progress.epoch_end({}, time.perf_counter() - started)
        return self._packed(outputs, np.ndarray)

    # ---- single batches ----------------------------------------------------------------------------------------------

    def train_on_batch(self, x, y=None, sample_weight=None, class_weight=None, return_dict=False):
        """One training step on one batch; returns its loss (and metrics), as `evaluate` does."""
        known = None
        settled = self._known_batch is not None and self._compiled_with == (self.optimizer, self.loss)
        if settled and sample_weight is None and class_weight is None:
            known = self._known_batch.checked(x, y)
        if known is not None:
            count = len(x)
            program, sources = known
        else:
            count, program, sources = self._new_batch(x, y, sample_weight, class_weight)
        program.reset()
        optimizer = self.optimizer
        try:
            program.program.run(
                count,
                batch=count,
                step=optimizer.steps,
                seed=self._seed_of_training,
                hyper=optimizer.hyper(),
                sources=sources,
            )
        finally:
            optimizer.steps += program.program.completed
        found = results(program)
        return found if return_dict else _flat(found)

    def test_on_batch(self, x, y=None, sample_weight=None, return_dict=False):
        """Loss (and metrics) on one batch, in inference mode."""
        self._require_compiled("test_on_batch")
        samples = self._checked_data(x, y, sample_weight, None)
        found = self._evaluate(samples, len(samples), CallbackList(model=self))
        return found if return_dict else _flat(found)

    def _new_batch(self, x, y, sample_weight, class_weight):
        """How many samples a batch has, the program for it and what that is to read; remembers what kind of batch it
        was."""
        self._require_compiled("train_on_batch")
        samples = self._checked_data(x, y, sample_weight, class_weight)
        program = self._program("train", self._capacity("train", samples), samples.weighted)
        sources = self._bound(program, samples)
        ignores = any(head.loss is not None and head.loss.ignore_class is not None for head in self._heads)
        if (
            samples.weights is None
            and not ignores
            and all(type(each) is np.ndarray and each.dtype != object for each in (x, y))
        ):
            head = self._heads[0]
            labels = any(each.target_kind == "labels" for each in (head.loss, *head.metrics))
            classes = self.graph.outputs[0].features if labels else None
            if len(program.sources) == 2:  # nothing is read but this input and these targets
                self._known_batch = KnownBatch(program, self.graph, x, y, samples, classes)
        return len(samples), program, sources

    def _capacity(self, kind, samples):
        """Batches of varying size share the program of the largest one so far."""
        known = self._programs.get((kind, samples.weighted))
        return max(len(samples), known[1].batch) if known else len(samples)


def _flat(found):
    values = list(found.values())
    return values[0] if len(values) == 1 else values
