"""A progress bar for loops of one's own."""


class Progbar:
    """A progress bar for loops of one's own, drawn as `fit` draws its own.

    Parameters
    ----------
    target : int or None
        Steps in all; None if unknown, and then nothing is drawn before the end.
    width, interval, unit_name
        Accepted for compatibility: the bar fits the terminal and is drawn ten times a second.
    verbose : {0, 1, 2}
        0 prints nothing, 1 a bar in a terminal and a line at the end, 2 the line only.
    stateful_metrics : iterable of str, optional
        Values shown as they are; others are averaged over the steps.
    stateless_metrics : iterable of str, optional
        The reverse: only these are averaged.

    Raises
    ------
    ValueError
        If both kinds of metrics are given.
    """

    def __init__(
        self,
        target,
        width=20,
        verbose=1,
        interval=0.05,
        stateful_metrics=None,
        stateless_metrics=None,
        unit_name="step",
    ):
        from fastnn.training.progress import Progress

        if stateful_metrics is not None and stateless_metrics is not None:
            raise ValueError("Only one of `stateful_metrics` and `stateless_metrics` can be given.")
        self.target = target
        self.verbose = verbose
        self._stateful = frozenset(stateful_metrics or ())
        self._stateless = None if stateless_metrics is None else frozenset(stateless_metrics)
        self._sums = {}  # name -> [sum, steps]
        self._seen = 0
        self._progress = Progress(verbose, None, target or 0)
        self._progress.epoch_begin()

    def update(self, current, values=None, finalize=None):
        """Show that `current` steps are done.

        Parameters
        ----------
        current : int
        values : list of (str, float), optional
            Of the last steps.
        finalize : bool, optional
            Is this the end? Default: if `current` has reached `target`.
        """
        steps = max(current - self._seen, 1)
        for name, value in values or ():
            averaged = name not in self._stateful if self._stateless is None else name in self._stateless
            total, count = self._sums.get(name, (0.0, 0)) if averaged else (0.0, 0)
            self._sums[name] = (total + float(value) * steps, count + steps)
        self._seen = current
        if finalize is None:
            finalize = self.target is not None and current >= self.target
        if finalize:
            self._progress.finish(self._values(), current)
        elif self.target:
            self._progress.update(current, self._values)

    def add(self, n, values=None):
        """Show that `n` more steps are done."""
        self.update(self._seen + n, values)

    def _values(self):
        return {name: total / count for name, (total, count) in self._sums.items()}
