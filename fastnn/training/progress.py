"""What `fit`, `evaluate` and `predict` print while they run.

One line for each epoch, in one write. In a terminal, an epoch that takes longer than a blink also
gets a live bar, which the line then replaces. A short epoch pays for its line only.
"""

import logging
import sys
import time

from fastnn.config import is_interactive_logging_enabled

_REDRAW = 0.1  # seconds from one drawing of the bar to the next
_ECHO = len("^C")  # what a terminal adds to the bar at Ctrl-C; were there no room, it would go to the next line
_LONG = 0.5  # seconds that an epoch must be expected to take for a bar: loading tqdm costs 70 ms


class Progress:
    """Prints the progress of one call of `fit`, `evaluate` or `predict`.

    Parameters
    ----------
    verbose : {0, 1, 2, "auto"}
        0 prints nothing, 1 a live bar in a terminal and one line for each epoch, 2 the lines only.
        "auto" is 1. Where standard output is no terminal, 1 is 2.
    epochs : int or None
        Of `fit`; None where there are none (`evaluate`, `predict`).
    steps : int or None
        Batches of an epoch; None if nobody knows.

    Raises
    ------
    ValueError
        If `verbose` is something else.

    Notes
    -----
    For each epoch, call `epoch_begin`, `update` after some of the steps (every 100 ms is enough)
    and `epoch_end`; after an exception, `close`.
    """

    def __init__(self, verbose, epochs, steps):
        verbose = 1 if verbose == "auto" else verbose
        if verbose not in (0, 1, 2):
            raise ValueError(
                f"Expected `verbose` to be 0 (silent), 1 (bar), 2 (one line an epoch) or 'auto'. "
                f"Received: verbose={verbose!r}"
            )
        self._stream = sys.stdout
        self._logged = not is_interactive_logging_enabled()
        self.enabled = bool(verbose) and (self._logged or self._stream is not None)
        self.live = self.enabled and not self._logged and verbose == 1 and _is_terminal(self._stream)
        self._epochs = epochs
        self._steps = steps
        self._bar = None
        self._title = ""
        self._began = self._drawn = 0.0

    def epoch_begin(self, epoch=0):
        """Start an epoch; the first is number 0."""
        if self._epochs is not None:
            self._title = f"Epoch {epoch + 1}/{self._epochs}"
        self._began = self._drawn = time.perf_counter()

    def update(self, step, logs):
        """Show that `step` steps are done.

        Parameters
        ----------
        step : int
        logs : callable
            Returns the loss and metrics so far, a dictionary of floats. Called only when they are
            drawn.
        """
        if not self.live:
            return
        now = time.perf_counter()
        if now - self._drawn < _REDRAW:
            return
        if self._bar is None:
            elapsed = now - self._began
            if step == 0 or elapsed / step * (self._steps or step) < _LONG:
                return
            self._bar = _new_bar(self._stream, self._title, self._steps, elapsed)
        self._bar.n = step
        self._bar.set_postfix_str(_values(logs()), refresh=False)
        self._bar.refresh()
        self._drawn = now

    def epoch_end(self, logs, seconds, steps=None):
        """Finish an epoch: print its line.

        Parameters
        ----------
        logs : dict of str to float
            Loss and metrics, also those of validation.
        seconds : float
            That its steps took.
        steps : int, optional
            Those that were done; all of them by default.
        """
        if not self.enabled:
            return
        self.close()
        steps = self._steps if steps is None else steps
        parts = [
            self._title,
            f"{steps}/{self._steps or steps}",
            _duration(seconds),
            _rate(steps, seconds),
            _values(logs),
        ]
        line = " - ".join(filter(None, parts))
        if self._logged:
            logging.getLogger("fastnn").info(line)
        else:
            self._stream.write(line + "\n")
            self._stream.flush()

    def finish(self, logs, steps):
        """Finish what has no epochs after so many steps, timed from `epoch_begin` on."""
        self._steps = steps
        self.epoch_end(logs, time.perf_counter() - self._began)

    def close(self):
        """Remove the bar, if there is one."""
        if self._bar is not None:
            self._bar.close()
            # tqdm clears what it wrote; behind it may stand the ^C that the terminal echoed.
            self._stream.write("\r" + " " * (self._bar.ncols or 0) + "\r")
            self._stream.flush()
            self._bar = None


def _is_terminal(stream):
    isatty = getattr(stream, "isatty", None)
    return isatty is not None and isatty()


def _new_bar(stream, title, steps, elapsed):
    """Make a tqdm bar that has been running for some time."""
    import threading

    from tqdm import tqdm

    class Bar(tqdm):
        monitor_interval = 0  # no thread: fit itself redraws often enough

        @property
        def format_dict(self):
            values = super().format_dict
            if (values["ncols"] or 0) > _ECHO:
                values["ncols"] -= _ECHO
            return values

    if not hasattr(Bar, "_lock"):
        # tqdm's own lock is shared between processes and may start one, to draw bars of several.
        Bar.set_lock(threading.RLock())
    bar = Bar(
        total=steps,
        desc=title,
        file=stream,
        leave=False,
        dynamic_ncols=True,
        unit=" steps",
        smoothing=0,
        bar_format="{desc}: {n_fmt}/{total_fmt} |{bar}| {rate_fmt}, ETA {remaining}{postfix}",
        delay=1e-9,  # not before it has values to show
    )
    bar.start_t -= elapsed
    return bar


def _values(logs):
    """Format losses and metrics as Keras does."""
    return " - ".join(
        f"{name}: {value:.4f}" if abs(value) > 1e-3 else f"{name}: {value:.4e}" for name, value in logs.items()
    )


def _duration(seconds):
    if seconds < 1:
        return f"{seconds * 1e3:.0f}ms" if seconds >= 0.01 else f"{seconds * 1e3:.1f}ms"
    if seconds < 60:
        return f"{seconds:.1f}s"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def _rate(steps, seconds):
    if seconds <= 0:
        return ""
    rate = steps / seconds
    return f"{rate:,.0f} steps/s" if rate >= 10 else f"{rate:.2g} steps/s"
