"""`PyDataset`: a data set of one's own, batch by batch."""

import itertools

from fastnn.training.arguments import count


class PyDataset:
    """Base class of data sets that make a batch when it is asked for; `fit`, `evaluate` and `predict` take them.

    A subclass has ``__len__``, the number of batches (or the property `num_batches`; None is an infinite data set),
    and ``__getitem__(index)``, which returns the batch of that number: ``(x,)``, ``(x, y)`` or
    ``(x, y, sample_weight)``. It may have `on_epoch_begin` and `on_epoch_end`.

    Parameters
    ----------
    workers : int, default 1
        Threads that call ``__getitem__`` while the engine computes; the batches keep their order. With 0 it is called
        in the thread that calls `fit`, between the steps.
    use_multiprocessing : bool, default False
        Accepted for compatibility: workers are threads. NumPy, files and images are read and computed without Python's
        lock for the most part.
    max_queue_size : int, default 10
        Batches that may be ready, or in work, if there is more than one worker.

    Raises
    ------
    ValueError
        If `workers` or `max_queue_size` is no such number.

    Examples
    --------
    >>> import numpy as np
    >>> class Rows(PyDataset):
    ...     def __init__(self, x, y, **kwargs):
    ...         super().__init__(**kwargs)
    ...         self.x, self.y = x, y
    ...     def __len__(self):
    ...         return -(-len(self.x) // 32)
    ...     def __getitem__(self, index):
    ...         rows = slice(32 * index, 32 * index + 32)
    ...         return self.x[rows], self.y[rows]
    >>> [len(y) for _, y in Rows(np.zeros((70, 3)), np.zeros(70))]
    [32, 32, 6]
    """

    # Here for subclasses that do not call super().__init__().
    workers = 1
    use_multiprocessing = False
    max_queue_size = 10

    def __init__(self, workers=1, use_multiprocessing=False, max_queue_size=10):
        self.workers = count(workers, "workers", least=0)
        self.use_multiprocessing = use_multiprocessing
        self.max_queue_size = count(max_queue_size, "max_queue_size")

    def __getitem__(self, index):
        raise NotImplementedError(
            f"{type(self).__name__} needs a method __getitem__(self, index) that returns the batch of that number."
        )

    def __iter__(self):
        batches = self.num_batches
        for index in itertools.count() if batches is None else range(batches):
            yield self[index]

    @property
    def num_batches(self):
        """Batches of an epoch; None if there is no end."""
        if hasattr(self, "__len__"):
            return len(self)
        raise NotImplementedError(
            f"{type(self).__name__} needs a method __len__(self), the number of batches, or a property `num_batches`."
        )

    def on_epoch_begin(self):
        """Called before the first batch of each epoch."""

    def on_epoch_end(self):
        """Called after the last batch of each epoch: the place to shuffle."""
