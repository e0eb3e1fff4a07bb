"""What feeds an epoch: stretches of batches that the engine runs in one call, whatever the data are.

Arrays are one stretch, read where they lie. What yields batches makes a stretch of each.
"""

import warnings
from contextlib import closing

import numpy as np

from fastnn.training import data
from fastnn.training.batches import RAN_OUT, Batches, refuse_beside, yields_batches


class Stretch:
    """Some batches, one after the other, in one set of arrays.

    Attributes
    ----------
    program : fastnn.lowering.programs.Evaluation
    sources : list of (Source, ndarray)
        What it reads.
    rows : int
        Samples of all batches of the arrays.
    batch : int
        Samples of a batch; the last one has what is left.
    first, batches : int
        Number of the first batch, and how many there are.
    order : ndarray of int64, or None
        In which the samples are taken.
    """

    __slots__ = ("program", "sources", "rows", "batch", "first", "batches", "order")

    def __init__(self, program, sources, rows, batch, first=0, batches=1, order=None):
        self.program = program
        self.sources = sources
        self.rows = rows
        self.batch = batch
        self.first = first
        self.batches = batches
        self.order = order

    def after(self, program):
        """Let the sums go on from those of the stretch before, if there is one; returns the program that has them."""
        if program is None:
            self.program.reset()
        elif program is not self.program:
            self.program.go_on_from(program)
        return self.program


class TrainingArrays:
    """Epochs of training on arrays.

    Parameters
    ----------
    model : Model
    samples : Samples
    batch_size : int, optional
        32 by default, or what makes a pass of `steps` batches.
    steps : int, optional
        Batches of an epoch. The next epoch goes on where it has ended; with the end of the arrays an epoch ends early.
    shuffle : bool
        Take the samples of each pass in a new order.

    Attributes
    ----------
    steps : int
        Batches of an epoch.
    """

    def __init__(self, model, samples, batch_size, steps, shuffle):
        rows = len(samples)
        self._model = model
        self._rows, self._batch = rows, min(_batch_size(batch_size, steps, rows), rows)
        self._limit = steps
        self._pass = -(-rows // self._batch)
        self._done = 0  # batches of this pass
        self._samples = samples
        self._program = None
        model._unpinned("train", self._bind)
        self._begun = False
        self._order = np.empty(rows, np.int64) if shuffle else None
        self.steps = steps or self._pass

    def _bind(self):
        program = self._model._program("train", self._batch, self._samples.weighted)
        if program is not self._program:
            self._program = program
            self._sources = self._model._bound(program, self._samples)

    def epoch(self):
        """Yield the stretch of the next epoch."""
        if not self._begun:
            self._bind()  # again: callbacks have been told the model meanwhile, and may have masked weights
            self._begun = True
        if self._done == 0 and self._order is not None:
            self._model._shuffle(self._order)
        batches = min(self.steps, self._pass - self._done)
        yield Stretch(self._program, self._sources, self._rows, self._batch, self._done, batches, self._order)
        self._done = (self._done + batches) % self._pass
        if batches < self.steps:
            warnings.warn(RAN_OUT, stacklevel=4)


class EvaluationArrays:
    """Evaluations on arrays, each over the first `steps` batches, or all. Parameters as for `TrainingArrays`."""

    def __init__(self, model, samples, batch_size, steps):
        self._model = model
        self._samples = samples
        self._batch = min(_batch_size(batch_size, steps, len(samples)), len(samples))
        self._limit = steps
        self._rows = len(samples) if steps is None else min(len(samples), steps * self._batch)
        self.steps = steps or -(-self._rows // self._batch)

    def epoch(self, by_batch):
        """Yield the stretches of an evaluation: one of batches that run best, or one for each of the batches."""
        # Sums over all rows do not depend on the batch. What is measured of a batch as a whole is measured of batches
        # of the size that was asked for.
        model, rows = self._model, self._rows
        as_asked = by_batch or model._network.graph.adds_losses or any(head.depends_on_batch for head in model._heads)
        batch = min(self._batch if as_asked else model._chunk, rows)
        program = model._program("test", batch if as_asked else model._chunk, self._samples.weighted)
        sources = model._bound(program, self._samples)
        batches = -(-rows // batch)
        if by_batch:
            for number in range(batches):
                yield Stretch(program, sources, rows, batch, number)
        else:
            yield Stretch(program, sources, rows, batch, batches=batches)
        if -(-rows // self._batch) < self.steps:
            warnings.warn(RAN_OUT, stacklevel=4)


class Fetched:
    """Epochs of training or evaluation on what yields batches.

    Parameters
    ----------
    model : Model
        Built by the first batch, if it is not yet.
    kind : {"train", "test"}
    batches : Batches
    class_weight : dict, optional
    """

    def __init__(self, model, kind, batches, class_weight=None):
        self._model = model
        self._kind = kind
        self._batches = batches
        self._class_weight = class_weight
        first = batches.first()
        model._unpinned(kind, lambda: self._ready(*first))  # callbacks may expect a model that is built

    @property
    def steps(self):
        return self._batches.steps

    def epoch(self, by_batch=True):
        """Yield a stretch for each batch."""
        with closing(self._batches.epoch(stacklevel=4)) as batches:
            for batch in batches:
                yield self._ready(*batch)

    def _ready(self, x, y, sample_weight):
        if y is None:
            raise ValueError(
                f"{self._batches.description} yielded x alone. Training and evaluation need targets: yield tuples "
                "(inputs, targets) or (inputs, targets, sample_weights)."
            )
        if self._kind == "test":
            return self._model._test_batch(x, y, sample_weight)
        count, program, sources = self._model._training_batch(x, y, sample_weight, self._class_weight)
        return Stretch(program, sources, count, count)


def training(
    model, x, y, sample_weight, class_weight, batch_size, steps, shuffle, split, validation_data,
    validation_batch_size, validation_steps,
):  # fmt: skip
    """The feeds of `fit`, for training and for validation (or None), from its arguments."""
    if yields_batches(x):
        if split and validation_data is None:
            raise ValueError(
                "Argument `validation_split` is only supported for arrays: what comes last in an iterable is not known "
                f"beforehand. Pass `validation_data`. Received: x of type {type(x).__name__}"
            )
        refuse_beside(x, y=y, sample_weight=sample_weight)
        feed = Fetched(model, "train", Batches(x, steps, _order_of(model) if shuffle else None), class_weight)
        samples = validation = None
    else:
        samples = model._checked_data(x, y, sample_weight, class_weight)
        validation = None
        if split and validation_data is None:
            samples, validation = samples.split(split)
            if class_weight is not None:
                validation.weights = None  # classes weigh in training only, as in Keras
    if yields_batches(validation_data):
        validating = Fetched(
            model, "test", Batches(validation_data, validation_steps, anew=True, name="validation_data")
        )
    elif validation_data is not None:
        names = ("validation_data[0]", "validation_data[1]", "validation_data[2]")
        validation = model._checked_data(*data.unpack(validation_data), None, names=names)
    if validation is not None:
        validating = EvaluationArrays(model, validation, validation_batch_size or batch_size, validation_steps)
    elif validation_data is None:
        validating = None
    if samples is not None:
        feed = TrainingArrays(model, samples, batch_size, steps, shuffle is True)
    return feed, validating


def evaluation(model, x, y, sample_weight, batch_size, steps):
    """The feed of `evaluate`, from its arguments."""
    if yields_batches(x):
        refuse_beside(x, y=y, sample_weight=sample_weight)
        return Fetched(model, "test", Batches(x, steps))
    return EvaluationArrays(model, model._checked_data(x, y, sample_weight, None), batch_size, steps)


class PredictedArrays:
    """Arrays to be predicted: the first `steps` batches, or all.

    Attributes
    ----------
    steps : int
        How many batches there are.
    """

    def __init__(self, model, x, batch_size, steps):
        self._arrays, self._samples = model._checked_inputs(x, "x")
        data.check_lengths(x=self._arrays[0])
        self._batch = _batch_size(batch_size, steps, self._samples)
        self._rows = self._samples if steps is None else min(self._samples, steps * self._batch)
        self.steps = -(-self._rows // self._batch)
        if steps is not None and self.steps < steps:
            warnings.warn(RAN_OUT, stacklevel=4)

    def parts(self, by_batch):
        """Yield lists of arrays, each with the number of its samples: a batch each, or all at once."""
        length = self._batch if by_batch else self._rows
        for start in range(0, self._rows, length):
            stop = min(start + length, self._rows)
            whole = stop - start == self._samples
            yield (self._arrays if whole else [each[start:stop] for each in self._arrays]), stop - start


class PredictedBatches:
    """Batches to be predicted."""

    def __init__(self, model, batches):
        self._model = model
        self._batches = batches
        self._model._checked_inputs(batches.first()[0], "x")

    @property
    def steps(self):
        return self._batches.steps

    def parts(self, by_batch=True):
        """Yield lists of arrays, each with the number of its samples."""
        with closing(self._batches.epoch(stacklevel=4)) as batches:
            for x, _, _ in batches:
                yield self._model._checked_inputs(x, "x")


def prediction(model, x, batch_size, steps):
    """The feed of `predict`, from its arguments."""
    if yields_batches(x):
        return PredictedBatches(model, Batches(x, steps))
    return PredictedArrays(model, x, batch_size, steps)


def _order_of(model):
    return lambda length: model._shuffle(np.empty(length, np.int64))


def _batch_size(batch_size, steps, rows):
    if batch_size is not None:
        return batch_size
    return 32 if steps is None else -(-rows // steps)
