"""``fastnn latency``: how long does one prediction take, and how long do the slowest ones?

Three calls take turns, so that what drifts on the machine is in all of them: one that makes its output, one that is
given it, and one without any rows, which is what Python costs around the arithmetic.
"""

import gc
import os
import time
from array import array

import numpy as np

from fastnn import _tree
from fastnn.cli import models
from fastnn.cli.bench import duration, processor
from fastnn.cli.demo import positive
from fastnn.cli.workloads import TRAINING

_PERCENTILES = (50, 90, 99, 99.9, 100)
_LEAST_CALLS = 10
_TURN_SECONDS = 0.02
_BUCKETS = 16
_BAR = 50
_EIGHTHS = " ▏▎▍▌▋▊▉"


def add_parser(commands):
    """Add ``latency`` to the subcommands `commands`."""
    parser = commands.add_parser(
        "latency",
        help="time single predictions of a frozen network",
        description="Freeze a network and time calls of it, one after another, as a program that answers requests "
        "makes them: percentiles, a histogram, and what Python costs of it. Read the median, and beside it the 99th "
        "percentile: more than one and a half times as much means that something else runs on the processor.",
    )
    parser.add_argument(
        "model",
        metavar="MODEL|WORKLOAD",
        help=f"a file that ends in {', '.join((*models.SUFFIXES, models.FROZEN))}; or, to see what this machine does, "
        f"a network without a file: {', '.join(TRAINING)}",
    )
    parser.add_argument("--batch", type=positive, default=1, help="rows in one call; default: %(default)s")
    parser.add_argument("--seconds", type=duration, default=2.0, help="for each kind of call; default: %(default)s")
    parser.add_argument("--threads", type=positive, default=1, help="that may share a call; default: %(default)s")
    models.add_precision(parser)
    parser.set_defaults(run=run)


def run(args):
    """Measure and print as `args` (see `add_parser`) says; returns the exit status."""
    import fastnn

    processors = fastnn.show_config("dict")["processors usable"]
    if args.threads > processors:
        raise ValueError(f"--threads: there are {processors} processors. Received: {args.threads}")
    frozen = _frozen(args)
    before = fastnn.get_threads()
    fastnn.set_threads(args.threads)
    try:
        times = measure(frozen, args.batch, args.seconds)
    finally:
        fastnn.set_threads(before)
    print(f"{processor()}, {fastnn.show_config('dict')['instruction set']}")
    print(f"{args.model}, {frozen.precision}, batch {args.batch}, threads: {args.threads}\n")
    for line in _table(times):
        print(line)
    call = "frozen(x, out)"
    share = np.median(times["no rows"]) / np.median(times[call])
    print(f"A call without rows is what Python costs: {share:.0%} of {call}.")
    print(f"\n{call}, from so many microseconds up, share of {len(times[call]):,} calls:")
    for line in histogram(times[call]):
        print(line)
    return 0


def _frozen(args):
    if args.model in TRAINING and not os.path.exists(args.model):
        import fastnn

        return models.freeze(TRAINING[args.model].made_by(fastnn), args.precision)
    if not os.path.splitext(args.model)[1]:
        raise ValueError(f"Networks to time are {', '.join(TRAINING)}, or files of models. Received: {args.model!r}")
    return models.frozen_from(args.model, args.precision)


def measure(frozen, batch, seconds):
    """Time a predictor's calls on normal data.

    Parameters
    ----------
    frozen : fastnn.freeze.Predictor
    batch : int
        Rows.
    seconds : float
        About how long for each kind of call.

    Returns
    -------
    dict of str to ndarray
        Nanoseconds of single calls, for each way to call.
    """
    if frozen.looked_up:
        raise ValueError("fastnn latency times networks that read numbers: this one looks up text or integers.")
    draw = np.random.default_rng(0).standard_normal
    x = [draw((batch, *shape), dtype=np.float32) for shape in frozen.sample_shapes]
    if isinstance(frozen.input_shape, dict):  # in the form that the model takes
        x = dict(zip(frozen.input_names, x, strict=True))
    elif len(x) == 1:
        x = x[0]
    y = frozen(x)
    nothing = [_tree.map_structure(lambda each: each[:0], each) for each in (x, y)]
    calls = {"frozen(x)": (x,), "frozen(x, out)": (x, y), "no rows": nothing}
    for arguments in calls.values():
        time_calls(frozen, arguments, _TURN_SECONDS)  # caches and branch predictors are warm now
    times = {call: [] for call in calls}
    end = time.perf_counter() + seconds * len(calls)
    while time.perf_counter() < end or not times["no rows"]:
        for call, arguments in calls.items():
            times[call].append(time_calls(frozen, arguments, min(seconds, _TURN_SECONDS)))
    return {call: np.concatenate(each) for call, each in times.items()}


def time_calls(call, arguments, seconds):
    """Nanoseconds of single calls, one after another, for about so many seconds; at least 10 of them.

    Parameters
    ----------
    call : callable
    arguments : tuple
    seconds : float

    Returns
    -------
    ndarray of int64
    """
    clock, times = time.perf_counter_ns, array("q")
    collecting = gc.isenabled()
    gc.disable()
    try:
        end = clock() + int(1e9 * seconds)
        stopped = 0
        while stopped < end or len(times) < _LEAST_CALLS:
            started = clock()
            call(*arguments)
            stopped = clock()
            times.append(stopped - started)
    finally:
        if collecting:
            gc.enable()
    return np.array(times, np.int64)


def _table(times):
    """Percentiles in microseconds, one row for each way to call."""
    heads = ["median" if each == 50 else "max" if each == 100 else f"p{each:g}" for each in _PERCENTILES]
    yield f"{'microseconds':<16}" + "".join(f"{each:>11}" for each in heads) + f"{'p99/median':>12}{'calls':>12}"
    for call, each in times.items():
        found = np.percentile(each, _PERCENTILES) / 1e3
        ratio = np.percentile(each, 99) / np.median(each)
        yield f"{call:<16}" + "".join(f"{value:>11.2f}" for value in found) + f"{ratio:>12.2f}{len(each):>12,}"


def histogram(times):
    """Lines of a histogram: buckets that grow by equal factors up to the 99th percentile, and one for the rest.

    Parameters
    ----------
    times : ndarray
        Nanoseconds.
    """
    low, high = times.min(), max(np.percentile(times, 99), times.min() + 1)
    edges = np.geomspace(max(low, 1), high, _BUCKETS + 1)
    edges[0], edges[-1] = low, high
    counts, _ = np.histogram(times, edges)
    above = int((times > high).sum())
    most = max(counts.max(), above)
    for edge, count in zip(edges, (*counts, above), strict=True):
        eighths = round(8 * _BAR * count / most)
        bar = "█" * (eighths // 8) + _EIGHTHS[eighths % 8]
        yield f"{edge / 1e3:>10.2f}  {bar.rstrip():<{_BAR + 1}}{count / len(times):>7.2%}".rstrip()
