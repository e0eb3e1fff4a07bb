"""``fastnn bench``: how fast does this machine train?

Times ``fit`` on the networks of `fastnn.cli.workloads`, from those where a step takes microseconds to one whose time is
all in big matrix products. Thread counts take turns, so that what drifts on the machine cancels in their ratio.
"""

import argparse
import contextlib
import platform
import statistics
import time

from fastnn.cli.demo import positive
from fastnn.cli.workloads import LOSSES, TRAINING

_LEAST_ROUNDS = 3
_ROUND_SECONDS = 0.1
_PEERS = """\
fastnn beside PyTorch, JAX, Keras and scikit-learn is measured from a checkout of its repository:

    pip install '.[bench]' tensorflow-cpu
    python -m benchmarks.report --threads 1 2    # training
    python -m benchmarks.latency                 # single predictions, beside ONNX Runtime, LiteRT and OpenVINO too

which write docs/benchmarks.md and docs/latency.md, with pictures; benchmarks/README.md has the options."""


def add_parser(commands):
    """Add ``bench`` to the subcommands `commands`."""
    parser = commands.add_parser(
        "bench",
        help="measure how fast this machine trains",
        description="Train eight networks, from tiny to large, through fit(), and print how fast: on one thread, and "
        "on as many as there are processors.",
    )
    parser.add_argument(
        "--workloads",
        nargs="+",
        choices=TRAINING,
        default=list(TRAINING),
        metavar="NAME",
        help=f"some of {', '.join(TRAINING)}; default: all",
    )
    parser.add_argument(
        "--threads", nargs="+", type=positive, metavar="N", help="thread counts; default: 1 and one a processor"
    )
    parser.add_argument(
        "--seconds",
        type=duration,
        default=1.0,
        help="for each network and thread count, about; default: %(default)s",
    )
    parser.add_argument("--peers", action="store_true", help="say how other libraries are measured beside fastnn")
    parser.set_defaults(run=run)


def duration(text):
    """A positive number of seconds, for argparse."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a positive number, received {text}")
    return value


def run(args):
    """Measure and print as `args` (see `add_parser`) says; returns the exit status."""
    import fastnn

    if args.peers:
        print(_PEERS)
        return 0
    config = fastnn.show_config("dict")
    processors = config["processors usable"]
    counts = list(dict.fromkeys(args.threads or (1, processors)))
    if max(counts) > processors:
        raise ValueError(f"--threads: there are {processors} processors. Received: {max(counts)}")
    print(f"{processor()}, processors usable: {processors}, {platform.system()} {platform.release()}")
    print(f"fastnn {fastnn.__version__} ({config['instruction set']}, {config['compiler']}), ", end="")
    print(f"NumPy {config['NumPy']}, Python {config['Python']}\n")
    print(f"{'workload':<12}{'threads':>7}{'samples/s':>14}{'µs/step':>12}{'GFLOP/s':>9}", end="")
    print(f"  against {counts[0]}" if len(counts) > 1 else "")
    before = fastnn.get_threads()
    try:
        for name in args.workloads:
            for line in _lines(TRAINING[name], measure(TRAINING[name], counts, args.seconds)):
                print(line, flush=True)
    finally:
        fastnn.set_threads(before)
    return 0


def processor():
    """The processor's name."""
    with contextlib.suppress(FileNotFoundError), open("/proc/cpuinfo") as info:  # only Linux has it
        for line in info:
            if line.startswith("model name"):
                return line.split(":")[1].strip()
    return platform.processor() or platform.machine()


def measure(workload, counts, seconds):
    """Train a network, in rounds in which all thread counts take turns.

    Parameters
    ----------
    workload : Workload
    counts : list of int
        Numbers of threads.
    seconds : float
        About how long for each of them; at least three rounds.

    Returns
    -------
    dict of int to list of float
        Samples a second in every round, for each number of threads.
    """
    import fastnn

    model = workload.made_by(fastnn)
    model.compile(workload.optimizer.made_by(fastnn), LOSSES[workload.loss][0])
    x, y = workload.data()

    def seconds_of(epochs, threads):
        fastnn.set_threads(threads)
        start = time.perf_counter()
        model.fit(x, y, batch_size=workload.batch, epochs=epochs, verbose=0)
        return time.perf_counter() - start

    for threads in counts:  # the program is made, threads are started
        seconds_of(1, threads)
    epochs = max(1, round(min(_ROUND_SECONDS, seconds / _LEAST_ROUNDS) / seconds_of(1, counts[0])))
    rates = {threads: [] for threads in counts}
    end = time.perf_counter() + seconds * len(counts)
    while time.perf_counter() < end or len(rates[counts[0]]) < _LEAST_ROUNDS:
        for threads in counts:
            rates[threads].append(epochs * workload.samples / seconds_of(epochs, threads))
    return rates


def _lines(workload, rates):
    """The table's lines of one network."""
    first = next(iter(rates.values()))
    for i, (threads, each) in enumerate(rates.items()):
        rate = statistics.median(each)
        line = f"{'' if i else workload.name:<12}{threads:>7}{rate:>14,.0f}{1e6 * workload.batch / rate:>12,.1f}"
        line += f"{rate * workload.flops_per_sample / 1e9:>9.1f}"
        if i:
            against = statistics.median(a / b for a, b in zip(each, first, strict=True))
            line += f"  {against:.2f}×"
        yield line
