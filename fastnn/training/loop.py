"""compile, fit, evaluate, predict: the loops around the programs that do the work.

`fit` crosses into C once for a chunk of steps: an epoch, or 0.1 s of one while a progress bar is drawn, or one step
where a callback has batch hooks.
"""

import math
import time

import numpy as np

from fastnn import losses as losses_module
from fastnn import metrics as metrics_module
from fastnn import optimizers
from fastnn.callbacks import CallbackList
from fastnn.training import arguments, data
from fastnn.training.known_batch import KnownBatch
from fastnn.training.progress import Progress

_REDRAW_SECONDS = 0.1


class Trainer:
    """The training half of a model. Expects `graph`, `_settle_variables`, `_new_seed` and `_checked_input`."""

    def _reset_trainer(self):
        self.optimizer = None
        self.loss = None
        self._compiled_with = None, None
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
        loss : str or Loss
        loss_weights : float, optional
            The loss is multiplied by it.
        metrics, weighted_metrics : list of (str or Metric), optional
            Computed over an epoch; sample weights apply to the weighted ones.
        run_eagerly, steps_per_execution, jit_compile, auto_scale_loss
            Accepted for compatibility: everything is compiled, always, and many steps run in one call.
        """
        optimizer = optimizers.get(optimizer)
        if loss_weights is not None and not (isinstance(loss_weights, (int, float)) and math.isfinite(loss_weights)):
            raise ValueError(
                f"This model has one output: `loss_weights` must be one finite number. Received: {loss_weights!r}"
            )
        metrics = arguments.as_list(metrics, "metrics")
        weighted_metrics = arguments.as_list(weighted_metrics, "weighted_metrics")
        losses_module.resolve(loss, "labels", 2)  # for any targets: what is unknown is refused here rather than in fit
        self.optimizer, self.loss = optimizer, loss
        self._compiled_with = optimizer, loss
        self._loss_weight = 1.0 if loss_weights is None else float(loss_weights)
        self._metrics, self._weighted_metrics = metrics, weighted_metrics
        self._compiled = True
        self._seed_of_training = self._new_seed()
        self._epochs_shuffled = 0
        self._reset_programs()
        if self.built:
            self._trained = set(self.trainable_weights)

    @property
    def metrics(self):
        """The metrics in use, once data has told which kinds they are."""
        return [metric for head in self._heads or () for metric in head.metrics]

    @property
    def metrics_names(self):
        """Names of what `evaluate` returns, in its order, once data has told which they are."""
        return ["loss", *(metric.name for metric in self.metrics)] if self._heads else []

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

    def _resolved_heads(self, y):
        """The loss and the metrics of the output, now that shapes are known. `y` helps to tell labels from one-hot."""
        from fastnn.lowering.programs import Head

        if self._heads is None:
            outputs = self.graph.outputs[0].features
            kind = "labels" if y.ndim < 2 or y.shape[-1] != outputs else "values"
            loss = losses_module.resolve(self.loss, kind, outputs)
            if loss is None:
                raise ValueError("The model was compiled without a loss: call model.compile(optimizer, loss=...).")
            metrics = [metrics_module.resolve(each, loss, outputs) for each in self._metrics]
            weighted = [metrics_module.resolve(each, loss, outputs) for each in self._weighted_metrics]
            arguments.give_unique_names(metrics, weighted)
            self._heads = [Head(loss, metrics, weighted, self._loss_weight)]
        return self._heads

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

    def _results(self, program):
        """Losses and metrics since the last reset, by name, in the order of evaluate()."""
        results = {}
        for (number, metric), (total, count) in zip(program.trackers, program.totals.tolist(), strict=True):
            if metric is None:
                results["loss"] = total / count * program.heads[number].loss_weight if count else 0.0
            else:
                results[metric.name] = metric.finish(total, count)
        if "loss" in results:
            results["loss"] += program.penalty()
        return results

    # ---- data --------------------------------------------------------------------------------------------------------

    def _checked_data(self, x, y, sample_weight, class_weight, names=("x", "y", "sample_weight")):
        """Arrays that the programs can read, in the shapes they expect."""
        if y is None:
            hint = "" if hasattr(x, "shape") else f" A {type(x).__name__} that yields both is not supported yet."
            raise ValueError(f"`{names[1]}` is missing: training and evaluation need targets as an array.{hint}")
        x = data.as_array(x, names[0])
        y = data.as_array(y, names[1])
        samples = data.check_lengths(**{names[0]: x, names[1]: y})
        x = self._checked_input(x, names[0])
        head = self._resolved_heads(y)[0]
        if class_weight is not None:
            if sample_weight is not None:
                raise ValueError(
                    "`class_weight` and `sample_weight` cannot be given at the same time: multiply them yourself."
                )
            classes = self.graph.outputs[0].features if head.loss.target_kind == "labels" else None
            sample_weight = data.class_weights(y, class_weight, classes)
        if sample_weight is not None:
            sample_weight = data.check_sample_weight(sample_weight, samples, names[2])
        kinds = dict.fromkeys([head.loss.target_kind, *(metric.target_kind for metric in head.metrics)])
        for kind in kinds:
            checked = data.check_targets(y, kind, self.graph.outputs[0].shape[1:], names[1])
        return x, checked, sample_weight

    def _bound(self, program, x, y, sample_weight):
        return program.bind({self.graph.inputs[0]: x}, [y], None if sample_weight is None else [sample_weight])

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
            Any numeric dtype and strides, memory-mapped too; converted batch by batch, never copied as a whole.
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
        arguments.refuse("fit", steps_per_epoch=steps_per_epoch, validation_steps=validation_steps)
        batch_size = arguments.count(batch_size, "batch_size", 32)
        validation_batch_size = arguments.count(validation_batch_size, "validation_batch_size", batch_size)
        validates = arguments.validation_epochs(validation_freq)
        first_epoch = arguments.count(initial_epoch, "initial_epoch", least=0)
        shuffle = arguments.flag(shuffle, "shuffle")
        planned = range(first_epoch, arguments.count(epochs, "epochs", least=0))
        x, y, sample_weight = self._checked_data(x, y, sample_weight, class_weight)
        if validation_split and validation_data is None:
            (x, y, sample_weight), validation = data.split_validation(validation_split, x, y, sample_weight)
            if class_weight is not None:
                validation = (*validation[:2], None)  # classes weigh in training only, as in Keras
        elif validation_data is not None:
            names = ("validation_data[0]", "validation_data[1]", "validation_data[2]")
            validation = self._checked_data(*data.unpack(validation_data), None, names=names)
        else:
            validation = None

        samples = len(x)
        steps = -(-samples // batch_size)
        program = self._program("train", min(batch_size, samples), sample_weight is not None)
        sources = self._bound(program, x, y, sample_weight)
        order = np.empty(samples, np.int64) if shuffle else None

        hooks = CallbackList(callbacks, add_history=True, model=self, epochs=epochs, steps=steps, verbose=verbose)
        progress = Progress(verbose, epochs, steps)
        self.stop_training = False
        logs = {}
        hooks.on_train_begin()
        try:
            for epoch in planned:
                started = time.perf_counter()
                hooks.on_epoch_begin(epoch)
                progress.epoch_begin(epoch)
                self._run_epoch(program, sources, samples, steps, batch_size, order, hooks, progress)
                logs = self._results(program)
                if validation is not None and validates(epoch + 1):
                    measured = self._evaluate(*validation, validation_batch_size, hooks)
                    logs.update({f"val_{name}": value for name, value in measured.items()})
                progress.epoch_end(logs, time.perf_counter() - started)
                logs = dict(sorted(logs.items()))  # as in Keras
                hooks.on_epoch_end(epoch, logs)
                if self.stop_training:
                    break
        finally:
            progress.close()
            if planned:
                self.optimizer.finalize_variable_values(self.graph.variables)
        hooks.on_train_end(logs)
        return hooks.history

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
                hooks.on_train_batch_end(done - 1, self._results(program))
            if progress.live:
                progress.update(done, lambda: self._results(program))

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
        x, y, sample_weight = self._checked_data(x, y, sample_weight, None)
        steps = -(-len(x) // batch_size)
        hooks = CallbackList(callbacks, model=self, steps=steps, verbose=verbose)
        progress = Progress(verbose, None, steps)
        started = time.perf_counter()
        results = self._evaluate(x, y, sample_weight, batch_size, hooks)
        progress.epoch_end(results, time.perf_counter() - started)
        return results if return_dict else _flat(results)

    def _evaluate(self, x, y, sample_weight, batch_size, hooks):
        # Sums over all rows do not depend on the batch, so without hooks the batch is the one that runs best.
        one_by_one = hooks.has_test_batch_hooks
        batch = min(batch_size if one_by_one else self._chunk, len(x))
        program = self._program("test", self._chunk if not one_by_one else batch, sample_weight is not None)
        program.reset()
        sources = self._bound(program, x, y, sample_weight)
        seed = self._seed_of_training  # a layer may draw random numbers in inference, too
        hooks.on_test_begin()
        if one_by_one:
            for step in range(-(-len(x) // batch)):
                hooks.on_test_batch_begin(step)
                program.program.run(len(x), first_batch=step, batches=1, batch=batch, seed=seed, sources=sources)
                hooks.on_test_batch_end(step, self._results(program))
        else:
            program.program.run(len(x), batch=batch, seed=seed, sources=sources)
        results = self._results(program)
        hooks.on_test_end(results)
        return results

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
        x = self._checked_input(data.as_array(x, "x"), "x")
        data.check_lengths(x=x)
        steps = -(-len(x) // batch_size)
        hooks = CallbackList(callbacks, model=self, steps=steps, verbose=verbose)
        progress = Progress(verbose, None, steps)
        started = time.perf_counter()
        hooks.on_predict_begin()
        if hooks.has_predict_batch_hooks:
            parts = []
            for step in range(steps):
                hooks.on_predict_batch_begin(step)
                parts.append(np.asarray(self(x[step * batch_size : (step + 1) * batch_size])))
                hooks.on_predict_batch_end(step, {"outputs": parts[-1]})
            result = np.concatenate(parts)
        else:
            result = np.asarray(self(x))
        hooks.on_predict_end()
        progress.epoch_end({}, time.perf_counter() - started)
        return result

    # ---- single batches ----------------------------------------------------------------------------------------------

    def train_on_batch(self, x, y=None, sample_weight=None, class_weight=None, return_dict=False):
        """One training step on one batch; returns its loss (and metrics), as `evaluate` does."""
        known = None
        settled = self._known_batch is not None and self._compiled_with == (self.optimizer, self.loss)
        if settled and sample_weight is None and class_weight is None:
            known = self._known_batch.checked(x, y)
        if known is not None:
            x, y = known
            program = self._known_batch.program
        else:
            x, y, sample_weight, program = self._new_batch(x, y, sample_weight, class_weight)
        program.reset()
        optimizer = self.optimizer
        try:
            program.program.run(
                len(x),
                batch=len(x),
                step=optimizer.steps,
                seed=self._seed_of_training,
                hyper=optimizer.hyper(),
                sources=self._bound(program, x, y, sample_weight),
            )
        finally:
            optimizer.steps += program.program.completed
        results = self._results(program)
        return results if return_dict else _flat(results)

    def test_on_batch(self, x, y=None, sample_weight=None, return_dict=False):
        """Loss (and metrics) on one batch, in inference mode."""
        self._require_compiled("test_on_batch")
        x, y, sample_weight = self._checked_data(x, y, sample_weight, None)
        results = self._evaluate(x, y, sample_weight, len(x), CallbackList(model=self))
        return results if return_dict else _flat(results)

    def _new_batch(self, x, y, sample_weight, class_weight):
        """The checked arrays of a batch and the program for it; remembers what kind of batch it was."""
        self._require_compiled("train_on_batch")
        given = x, y
        x, y, sample_weight = self._checked_data(x, y, sample_weight, class_weight)
        program = self._program("train", self._capacity("train", len(x), sample_weight), sample_weight is not None)
        if sample_weight is None and all(type(each) is np.ndarray and each.dtype != object for each in given):
            labels = any(each.target_kind == "labels" for each in (self._heads[0].loss, *self._heads[0].metrics))
            classes = self.graph.outputs[0].features if labels else None
            self._known_batch = KnownBatch(program, *given, x, y, classes)
        return x, y, sample_weight, program

    def _capacity(self, kind, samples, sample_weight):
        """Batches of varying size share the program of the largest one so far."""
        known = self._programs.get((kind, sample_weight is not None))
        return max(samples, known[1].batch) if known else samples


def _flat(results):
    values = list(results.values())
    return values[0] if len(values) == 1 else values
