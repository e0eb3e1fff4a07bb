"""What yields batches: generators, data sets, loaders. Here it becomes a sequence of epochs."""

import itertools
import warnings
from collections.abc import Mapping, Sequence
from contextlib import closing, nullcontext

import numpy as np

from fastnn.training.ahead import ahead, by_workers
from fastnn.training.pydataset import PyDataset

RAN_OUT = (
    "Your input ran out of data; interrupting training. Make sure that your dataset or generator can generate at least "
    "`steps_per_epoch * epochs` batches. You may need to use the `.repeat()` function when building your dataset."
)

_KEPT = 2  # batches of an iterator that begin each epoch of validation: those that Keras looks at beforehand


def yields_batches(x):
    """Is this something to iterate over, whose items are batches, rather than arrays?"""
    if isinstance(x, PyDataset) or hasattr(x, "__next__") or hasattr(x, "as_numpy_iterator"):
        return True
    if isinstance(x, (np.ndarray, Sequence, Mapping)) or not hasattr(x, "__iter__"):
        return False
    return not any(hasattr(x, name) for name in ("__array__", "__array_interface__", "to_numpy", "toarray"))


def refuse_beside(x, **arguments):
    """Refuse what cannot be told of an iterable `x` but only by it.

    Raises
    ------
    ValueError
        If one of the arguments is not None.
    """
    for argument, value in arguments.items():
        if value is not None:
            raise ValueError(
                f"When providing `x` as a {type(x).__name__}, `{argument}` should not be passed: it belongs into the "
                "batches, which are tuples (inputs, targets) or (inputs, targets, sample_weights)."
            )


class Batches:
    """The batches of one epoch after the other, from something that can be iterated over.

    An epoch without a number of steps is one pass. With one, a pass goes on where the last epoch has stopped, and ends
    early, with a warning, where the pass ends; the next epoch begins the next pass. An iterator (a generator, say)
    has one pass only.

    Parameters
    ----------
    iterable : PyDataset, PyTorch DataLoader, TensorFlow Dataset, iterator, or what `iter` makes one of
        Each item is x, (x,), (x, y) or (x, y, sample_weight).
    steps : int, optional
        Batches of an epoch.
    shuffle : callable, optional
        Takes a number and returns as many indices in a new order: in this order the batches of a `PyDataset` come.
    anew : bool, default False
        Let each epoch begin a new pass, whatever the number of steps, as far as the iterable can begin one. Of an
        iterator the first two batches begin each epoch, and others follow that no epoch has had yet, as in Keras.
    name : str
        Of the argument, for messages.

    Attributes
    ----------
    steps : int or None
        Batches of an epoch, once that is known.
    description : str
        What is iterated over, for messages.
    """

    def __init__(self, iterable, steps=None, shuffle=None, anew=False, name="x"):
        self._iterable = iterable
        self._limit = steps
        self._shuffle = shuffle
        self._anew = anew
        self.description = f"`{name}`, a {type(iterable).__name__},"
        self._iterator = None
        self._taken = 0  # from the iterator
        self._kept = None  # the first batches of an iterator, where epochs begin anew
        self._open = False  # has an epoch begun?
        self.steps = steps or self._length()

    def _length(self):
        if isinstance(self._iterable, PyDataset):
            return self._iterable.num_batches
        try:
            return len(self._iterable)
        except TypeError:  # it has none, or not for this data set, as PyTorch's loaders of iterable ones
            return None

    def _begin(self):
        """Begin the next epoch, and the next pass unless there is one to go on with."""
        if not self._open:
            self._open = True
            if isinstance(self._iterable, PyDataset):
                self._iterable.on_epoch_begin()
        if self._iterator is None:
            self._taken = 0
            self._iterator = self._pass()

    def _pass(self):
        data = self._iterable
        if not isinstance(data, PyDataset):
            found = iter(data.as_numpy_iterator() if hasattr(data, "as_numpy_iterator") else data)
            if not self._anew or found is not data:
                return found
            if self._kept is None:
                self._kept = list(itertools.islice(found, _KEPT))
            return itertools.chain(self._kept, found)
        length = data.num_batches
        if length is None:
            order = itertools.count()
        else:
            order = range(length) if self._shuffle is None else self._shuffle(length).tolist()
        if data.workers > 1:
            return by_workers(data.__getitem__, order, data.workers, max(data.workers, data.max_queue_size))
        return map(data.__getitem__, order)

    def first(self):
        """The first batch of the first epoch, which will yield it again: ``(x, y, sample_weight)``.

        Raises
        ------
        ValueError
            If there is none.
        """
        self._begin()
        for batch in self._iterator:
            self._iterator = itertools.chain([batch], self._iterator)
            return self._unpacked(batch)
        raise ValueError(f"{self.description} must yield at least one batch. It is empty, or used up.")

    def epoch(self, stacklevel=2):
        """Yield the batches of the next epoch, each as ``(x, y, sample_weight)``; None for what is not there.

        Batches are fetched by a thread, but none beyond this epoch: whoever yields them rests between epochs.

        Warns
        -----
        UserWarning
            If there are fewer than `steps`.
        """
        self._begin()
        goes_on = self._taken > 0
        done = 0
        while True:
            part = itertools.islice(self._iterator, self._limit)
            in_this_thread = isinstance(self._iterable, PyDataset) and self._iterable.workers == 0
            with nullcontext(part) if in_this_thread else closing(ahead(part)) as batches:
                for batch in batches:
                    done += 1
                    yield self._unpacked(batch)
            if done or not goes_on:
                break
            self._iterator, goes_on = None, False  # the last epoch has ended where its pass did
            self._begin()
        self._taken += done
        if done < (self._limit or (self._kept and self.steps) or 1):
            warnings.warn(RAN_OUT, stacklevel=stacklevel + 1)
        if self._anew or self._limit is None or done < self._limit:
            self._iterator = None
        if self.steps is None:
            self.steps = done
        self._open = False
        if isinstance(self._iterable, PyDataset):
            self._iterable.on_epoch_end()

    def _unpacked(self, batch):
        if isinstance(batch, (tuple, list)):
            if not 1 <= len(batch) <= 3:
                raise ValueError(
                    f"{self.description} yielded a {type(batch).__name__} of {len(batch)}. Expected x, (x,), (x, y) or "
                    "(x, y, sample_weight); several inputs go into one list: ([a, b], y)."
                )
            return (*batch, None, None)[:3]
        return batch, None, None
