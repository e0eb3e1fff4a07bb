"""What a model makes of one batch: the program for it, and the methods that run it once."""

import numpy as np

from fastnn import _revision
from fastnn.training.compiled import results
from fastnn.training.feeds import Stretch
from fastnn.training.known_batch import KnownBatch
from fastnn.training.samples import checked


class BatchTrainer:
    """The part of `Trainer` that is about single batches."""

    # ---- programs ----------------------------------------------------------------------------------------------------

    def _program(self, kind, batch, weighted):
        """The program of a kind, "train", "test" or "gradients", for batches of up to `batch` samples, made when first
        needed."""
        key = kind, weighted
        known = self._programs.get(key)
        if known is not None and known.fitted_at == _revision.current() and known.batch == batch:
            self._pinned.setdefault(kind, known.made_for[0])
            return known
        graph = self._pinned.get("train" if kind == "gradients" else kind) or self.graph
        self._settle_variables(graph)
        if kind != "gradients":
            self._pinned[kind] = graph
        structure = self.optimizer.structure() if kind == "train" and self.optimizer else None
        # A variable that becomes (un)trainable by itself is no revision.
        fitted_at = None if kind == "gradients" else _revision.current()
        made_for = graph, batch, graph.state(), self.trainable_weights if kind == "gradients" else structure
        if known is not None and known.made_for == made_for:
            known.fitted_at = fitted_at
            return known
        from fastnn.lowering import programs

        if kind == "train":
            if self.optimizer is None:
                raise ValueError("The model was compiled without an optimizer: call model.compile(optimizer, loss).")
            if self._trained is None:
                self._note_what_is_trained()
            trained = [variable for variable in graph.variables if variable in self._trained]
            program = programs.Training(graph, batch, self._heads, weighted, self.optimizer, trained, self._frozen)
        elif kind == "gradients":
            program = programs.Gradients(graph, batch, self._heads, weighted, self.trainable_weights)
        else:
            program = programs.Evaluation(graph, batch, self._heads, weighted)
        program.attached = self._attached_metrics()
        program.made_for, program.fitted_at = made_for, fitted_at
        self._programs[key] = program
        return program

    def _unpinned(self, kind, prepare):
        """What `prepare` returns; if it made the first program of a kind, layers may still change before that runs."""
        first = kind not in self._pinned
        found = prepare()
        if first:
            self._pinned.pop(kind, None)
        return found

    # ---- data --------------------------------------------------------------------------------------------------------

    def _checked_data(self, x, y, sample_weight, class_weight, names=("x", "y", "sample_weight")):
        """`Samples` that the programs can read."""
        return checked(self, x, y, sample_weight, class_weight, names)

    def _bound(self, program, samples):
        inputs = dict(zip(self._network.graph.inputs, samples.inputs, strict=True))
        return program.bind(inputs, samples.targets, samples.weights)

    # ---- single batches ----------------------------------------------------------------------------------------------

    def train_on_batch(self, x, y=None, sample_weight=None, class_weight=None, return_dict=False):
        """One training step on one batch; returns its loss (and metrics), as `evaluate` does."""
        count, program, sources = self._training_batch(x, y, sample_weight, class_weight)
        program.reset()
        if self._last_program is not program:  # attributes of models are looked at when they are set
            self._last_program = program
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
        return found if return_dict else flat(found)

    def test_on_batch(self, x, y=None, sample_weight=None, return_dict=False):
        """Loss (and metrics) on one batch, in inference mode."""
        self._require_compiled("test_on_batch")
        stretch = self._test_batch(x, y, sample_weight)
        stretch.program.reset()
        self._measure(stretch)
        found = results(stretch.program)
        return found if return_dict else flat(found)

    def _measure(self, stretch):
        """Add losses and metrics of a stretch to what its program has summed up."""
        seed = self._seed_of_training  # a layer may draw random numbers in inference, too
        self._last_program = stretch.program
        stretch.program.program.run(
            stretch.rows,
            first_batch=stretch.first,
            batches=stretch.batches,
            batch=stretch.batch,
            seed=seed,
            sources=stretch.sources,
        )

    def _training_batch(self, x, y, sample_weight, class_weight):
        """How many samples a batch has, the program for it and what that is to read."""
        if self._known_batch is not None and sample_weight is None and class_weight is None:
            known = self._known_batch.checked(self, x, y)
            if known is not None:
                return known
        return self._new_batch(x, y, sample_weight, class_weight)

    def _new_batch(self, x, y, sample_weight, class_weight):
        """The same for a batch of a new kind, which is remembered."""
        self._require_compiled("train_on_batch")
        samples = self._checked_data(x, y, sample_weight, class_weight)
        program = self._program("train", self._capacity("train", samples), samples.weighted)
        sources = self._bound(program, samples)
        other_labels = any(
            head.loss is not None and (head.loss.ignore_class is not None or head.loss.target_kind == "groups")
            for head in self._heads
        )
        if (
            samples.weights is None
            and not other_labels
            and all(type(each) is np.ndarray and each.dtype != object for each in (x, y))
        ):
            head = self._heads[0]
            labels = any(each.target_kind == "labels" for each in (head.loss, *head.metrics))
            classes = self._network.graph.outputs[0].features if labels else None
            # Nothing is read but this input, as it is, and these targets.
            if program.sources.keys() == {self._network.graph.inputs[0], ("targets", 0)}:
                self._known_batch = KnownBatch(self, program, x, y, samples, classes)
        return len(samples), program, sources

    def _test_batch(self, x, y, sample_weight):
        """A batch to be measured, as a `Stretch` of batches that run best, unless it matters which samples are
        measured together."""
        samples = self._checked_data(x, y, sample_weight, None)
        rows = len(samples)
        whole = self._network.graph.adds_losses or any(head.depends_on_batch for head in self._heads)
        capacity = self._capacity("test", samples) if whole else self._chunk
        program = self._program("test", capacity, samples.weighted)
        batch = min(rows, capacity)
        return Stretch(program, self._bound(program, samples), rows, batch, batches=-(-rows // batch))

    def _capacity(self, kind, samples):
        """Batches of varying size share the program of the largest one so far. One that must grow grows by half at
        least, so that batches that become longer and longer do not each make one."""
        known = self._programs.get((kind, samples.weighted))
        if known is None:
            return len(samples)
        largest = known.batch
        return largest if len(samples) <= largest else max(len(samples), largest + largest // 2)


def flat(found):
    """What `evaluate` returns: a list of values, or the only one."""
    values = list(found.values())
    return values[0] if len(values) == 1 else values
