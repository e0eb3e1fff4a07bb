"""compile, fit, evaluate, predict: the loops around the programs that do the work.

`fit` crosses into C once for a chunk of steps: an epoch, or 0.1 s of one while a progress bar is drawn, or one step
where a callback has batch hooks.
"""

import time
import warnings
from contextlib import closing

import numpy as np

from fastnn import _revision, optimizers
from fastnn._engine.runtime import shuffle
from fastnn._suggestions import unknown_arguments
from fastnn.callbacks import CallbackList
from fastnn.layers.attributes import traces_own
from fastnn.training import arguments, feeds
from fastnn.training.compiled import Compiled, results
from fastnn.training.on_batch import BatchTrainer, flat
from fastnn.training.progress import Progress
from fastnn.training.steps import Steps

_REDRAW_SECONDS = 0.1
_NO_HOOKS = CallbackList()


class Trainer(BatchTrainer, Steps):
    """The training half of a model. Expects `graph`, `_settle_variables`, `_new_seed`, `_checked_inputs`,
    `_predicted`, `_packed` and `_follow_changes`."""

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
        self._known_batch = self._last_program = None
        self._heads = None
        self._trained = self._frozen = None
        self._pinned = {}  # kind of program -> graph, as it was when one was first made: it stays until `compile`
        self._predicting = None  # the same for `predict`
        self._warned_of = None  # the last graph of which a warning said that it is not the pinned one

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
        **unknown,
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
        if unknown:
            raise unknown_arguments(Trainer.compile, unknown)
        self._refuse_own_steps()
        optimizer = optimizers.get(optimizer)
        self._told = Compiled(loss, loss_weights, metrics, weighted_metrics)
        layers = self._all_layers()
        if self._network is not None:
            self._follow_changes(always=any(traces_own(type(layer)) for layer in layers))
            self._told.weights(len(self.graph.outputs), self._heads_names())
        self.optimizer, self.loss = optimizer, loss
        self._compiled_with = optimizer, loss
        self._compiled = True
        self._seed_of_training = self._new_seed()
        self._epochs_shuffled = 0
        self._reset_programs()
        self._trainable_flags = {layer: layer._trainable for layer in layers}
        if self._network is not None:
            self._note_what_is_trained()

    def _note_what_is_trained(self):
        """What is `trainable` now is, until the next `compile`."""
        self._trained = set(self.trainable_weights)
        layers = (node.layer for node in self._network.graph.nodes)
        self._frozen = {layer for layer in layers if layer is not None and not layer._trainable}

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
        attached = [metric.name for metric in self._attached_metrics()]
        return ["loss", *losses, *attached, *(name for head in self._heads for name in head.metric_logs.values())]

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

    def _warn_of_late_arguments(self, method, graph):
        """Warn once that what layers are told now is not what is computed."""
        if graph is not None and graph is not self.graph is not self._warned_of:
            self._warned_of = self.graph
            warnings.warn(
                f"Attributes of layers of model {self.name!r} have changed since it was compiled for `{method}`. That "
                "takes effect at the next model.compile(...); called on arrays, the model and its layers use the new "
                "ones already.",
                stacklevel=3,
            )

    def _resolved_heads(self, targets):
        """The losses and the metrics of the outputs, now that shapes are known. The targets help to tell labels from
        one-hot rows."""
        if self._heads is None:
            self._heads = self._told.heads(self._network.graph.outputs, self._heads_names(), targets)
        return self._heads

    def _measured(self, count, names):
        """Of each output: does it have a loss?"""
        return self._told.has_loss(count, names)

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
        **unknown,
    ):
        """Train for a number of epochs.

        Parameters
        ----------
        x, y : array_like, shape (samples, ...)
            Any numeric dtype and strides, memory-mapped too; converted batch by batch, never copied as a whole. Also
            nested lists, frames and series of pandas and polars, tensors of PyTorch and JAX. For several inputs or
            outputs a list of arrays, or a dictionary by the names of the inputs or outputs; for several inputs of one
            value each also a frame with columns of these names.

            Or `x` alone yields batches, tuples (inputs, targets) or (inputs, targets, sample_weights): a generator or
            another iterator, which has one pass; a `fastnn.utils.PyDataset`, a PyTorch `DataLoader`, a TensorFlow
            `Dataset` or any object that can be iterated over again, of which each epoch is a pass. A thread
            fetches the next batches while the engine computes. Batches may be of any size.
        batch_size : int, default 32
            The last batch of an epoch has what is left. With `steps_per_epoch`, by default what makes a pass of so many
            batches. Not used where `x` yields batches.
        epochs : int, default 1
            Number of the last epoch (counted from `initial_epoch`).
        verbose : {"auto", 0, 1, 2}
            0: silent, 1: a line an epoch and, in a terminal, a live bar for epochs of half a second
            and more, 2: a line an epoch.
        callbacks : list of Callback, optional
        validation_split : float, default 0
            The last so many of the samples are not trained on but evaluated after each epoch. For arrays only.
        validation_data : tuple (x, y) or (x, y, sample_weight), or what yields batches; optional
        shuffle : bool or "batch", default True
            A new order each epoch, determined by the seed: of samples in arrays, of batches in a `PyDataset`. What
            else yields batches keeps its order. "batch" leaves samples of arrays in their batches, where their order
            makes no difference: they stay as they are.
        class_weight : dict of int to float, optional
        sample_weight : array_like, shape (samples,), optional
            Where the output is of shape (samples, steps, n), also (samples, steps): one for each row. For several
            outputs the same for all, or as a list or dictionary like `y`.
        initial_epoch : int, default 0
        steps_per_epoch : int, optional
            Batches of an epoch; by default an epoch is a pass over the data. An epoch goes on where the last one has
            ended. Where the data end it ends, too, with a warning, and the next one begins a new pass; if there can
            be none, training ends.
        validation_steps : int, optional
            Validate on so many batches, the first ones. Of a generator, which cannot begin again, the first two and
            then the next ones that it yields, as in Keras.
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
            Within about 0.1 s of Ctrl-C; up to a second later while batches are fetched. The model stays usable.
        """
        if unknown:
            raise unknown_arguments(Trainer.fit, unknown)
        self._require_compiled("fit")
        if self._flags_checked_at != _revision.current():
            self._warn_of_changed_flags()
            self._flags_checked_at = _revision.current()
        self._warn_of_late_arguments("fit", self._pinned.get("train"))
        batch_size = arguments.optional_count(batch_size, "batch_size")
        steps_per_epoch = arguments.optional_count(steps_per_epoch, "steps_per_epoch")
        validation_steps = arguments.optional_count(validation_steps, "validation_steps")
        validation_batch_size = arguments.optional_count(validation_batch_size, "validation_batch_size")
        validates = arguments.validation_epochs(validation_freq)
        first_epoch = arguments.count(initial_epoch, "initial_epoch", least=0)
        shuffle = shuffle if shuffle == "batch" else arguments.flag(shuffle, "shuffle")
        epochs = arguments.count(epochs, "epochs", least=0)
        feed, validation = feeds.training(
            self, x, y, sample_weight, class_weight, batch_size, steps_per_epoch, shuffle, validation_split,
            validation_data, validation_batch_size, validation_steps,
        )  # fmt: skip

        hooks = self._hooks(callbacks, add_history=True, epochs=epochs, steps=feed.steps, verbose=verbose)
        progress = Progress(verbose, epochs, feed.steps)
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
                program, done = self._run_epoch(feed, hooks, progress)
                if program is None:  # there are no batches any more
                    break
                logs = results(program)
                if validation is not None and validates(epoch + 1):
                    measured = self._evaluate(validation, hooks)
                    logs.update({f"val_{name}": value for name, value in measured.items()})
                progress.epoch_end(logs, time.perf_counter() - started, done)
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
        if callbacks is None and "add_history" not in options:
            return _NO_HOOKS
        return CallbackList(callbacks, model=self, draws_progress=True, **options)

    def _shuffle(self, order):
        """Fill an array with its indices, in the order of the next pass."""
        shuffle(order, self._seed_of_training, self._epochs_shuffled)
        self._epochs_shuffled += 1
        return order

    def _run_epoch(self, feed, hooks, progress):
        """Train on what a feed has for an epoch. Returns the program with the sums, None if there was nothing, and the
        number of steps."""
        program, done = None, 0
        with closing(feed.epoch()) as stretches:
            for stretch in stretches:
                program = stretch.after(program)
                done += self._train(stretch, done, hooks, progress)
                if self.stop_training:
                    break
        return program, done

    def _train(self, stretch, before, hooks, progress):
        """Train on a stretch, before which there were so many steps of the epoch; returns how many it has made."""
        program, optimizer, seed = stretch.program, self.optimizer, self._seed_of_training
        self._last_program = program
        one_by_one = hooks.has_train_batch_hooks
        done = 0
        while done < stretch.batches:
            if one_by_one:
                hooks.on_train_batch_begin(before + done)
            chunk = 1 if one_by_one or self.stop_training else optimizer.steps_at_once(stretch.batches - done)
            try:
                program.program.run(
                    stretch.rows,
                    first_batch=stretch.first + done,
                    batches=chunk,
                    batch=stretch.batch,
                    step=optimizer.steps,
                    seed=seed,
                    order=stretch.order,
                    hyper=optimizer.hyper(chunk),
                    budget=_REDRAW_SECONDS if progress.live else 0.0,
                    sources=stretch.sources,  # again each time: a callback may have used the program for other data
                )
            finally:  # after Ctrl-C, too, the optimizer knows how many steps its state has seen
                completed = program.program.completed
                optimizer.steps += completed
            done += completed
            if one_by_one:
                hooks.on_train_batch_end(before + done - 1, results(program))
            if progress.live:
                progress.update(before + done, lambda: results(program))
            if self.stop_training:  # after a step, as in Keras: an epoch that has begun has one
                break
        return done

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
        **unknown,
    ):
        """Loss and metrics on data, in inference mode.

        Parameters
        ----------
        x, y, batch_size, verbose, sample_weight, callbacks
            As for `fit`: arrays, or an `x` that yields batches.
        steps : int, optional
            Measure so many batches only.
        return_dict : bool, default False

        Returns
        -------
        float, list of float or dict
            The loss, followed by the metrics if there are any; a dict by name if `return_dict`.
        """
        if unknown:
            raise unknown_arguments(Trainer.evaluate, unknown)
        self._require_compiled("evaluate")
        self._warn_of_late_arguments("evaluate", self._pinned.get("test"))
        batch_size = arguments.optional_count(batch_size, "batch_size")
        steps = arguments.optional_count(steps, "steps")
        feed = feeds.evaluation(self, x, y, sample_weight, batch_size, steps)
        hooks = self._hooks(callbacks, epochs=1, steps=feed.steps, verbose=verbose)
        progress = Progress(verbose, None, feed.steps)
        started = time.perf_counter()
        found = self._evaluate(feed, hooks)
        progress.epoch_end(found, time.perf_counter() - started, feed.steps)
        return found if return_dict else flat(found)

    def _evaluate(self, feed, hooks):
        one_by_one = hooks.has_test_batch_hooks
        hooks.on_test_begin()
        program = None
        with closing(feed.epoch(one_by_one)) as stretches:
            for step, stretch in enumerate(stretches):
                program = stretch.after(program)
                if one_by_one:
                    hooks.on_test_batch_begin(step)
                self._measure(stretch)
                if one_by_one:
                    hooks.on_test_batch_end(step, results(program))
        found = {} if program is None else results(program)
        hooks.on_test_end(found)
        return found

    # ---- predict -----------------------------------------------------------------------------------------------------

    def predict(self, x, batch_size=None, verbose="auto", steps=None, callbacks=None, **unknown):
        """Outputs for data of any length, as an array.

        Parameters
        ----------
        x : array_like, shape (samples, ...)
            Or what yields batches, as for `fit`: each x, or a tuple of which only the first is used.
        batch_size : int, optional
            Only decides how often callbacks with batch hooks are called, and how many samples `steps` are: a row's
            result is the same in any batch.
        verbose : {"auto", 0, 1, 2}
        steps : int, optional
            Predict so many batches only.
        callbacks : list of Callback, optional
        """
        if unknown:
            raise unknown_arguments(Trainer.predict, unknown)
        self._warn_of_late_arguments("predict", self._predicting and self._predicting.graph)
        batch_size = arguments.optional_count(batch_size, "batch_size")
        steps = arguments.optional_count(steps, "steps")
        feed = feeds.prediction(self, x, batch_size, steps)
        hooks = self._hooks(callbacks, epochs=1, steps=feed.steps, verbose=verbose)
        progress = Progress(verbose, None, feed.steps)
        started = time.perf_counter()
        by_batch = hooks.has_predict_batch_hooks
        hooks.on_predict_begin()
        predicted = []
        with closing(feed.parts(by_batch)) as parts:
            for step, (arrays, samples) in enumerate(parts):
                if by_batch:
                    hooks.on_predict_batch_begin(step)
                predicted.append(self._predicted(arrays, samples))
                if by_batch:
                    hooks.on_predict_batch_end(step, {"outputs": self._packed(predicted[-1], np.ndarray)})
        if len(predicted) == 1:
            outputs = predicted[0]
        else:
            outputs = [np.concatenate(each) for each in zip(*predicted, strict=True)]
        hooks.on_predict_end()
        progress.epoch_end({}, time.perf_counter() - started, feed.steps)
        return self._packed(outputs, np.ndarray)
