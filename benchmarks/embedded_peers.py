"""Small networks from C, beside RTNeural's and emlearn's: ``python -m benchmarks.embedded_peers``.

Writes ``embedded.md`` into ``docs/`` (or ``--out``) and prints it. All of them run in one process, and take turns.
"""

import argparse
import shlex
import sys
from pathlib import Path

import numpy as np

from benchmarks import ROOT, embedded_page, embedded_rtneural, embedded_sizes, embedded_ways, measure
from benchmarks.engines import fastnn, installed, versions
from benchmarks.latency_network import Network
from benchmarks.report import machine
from benchmarks.threads import limit_threads
from benchmarks.workloads import ADAM, Workload


def _network(name, *sizes, activation="relu", loss="mse"):
    return Workload(name, sizes, loss, ADAM, 1, 1, activation=activation)


NETWORKS = {
    each.name: each
    for each in (
        # The layers of RTNeural's benchmarks, and its activations between two of them.
        *(_network(f"dense{n}", n, n) for n in (4, 8, 16, 32, 64)),
        _network("dense24to1", 24, 1),
        *(_network(f"{each}16", 16, 16, 16, activation=each) for each in ("tanh", "relu", "sigmoid")),
        _network("effect", 1, 8, 8, 1, activation="tanh"),  # the dense part of its example of a guitar's effect
        # The networks of emlearn's tests and examples.
        _network("binary", 3, 16, 8, 1, loss="binary_crossentropy"),
        _network("wine", 2, 10, 10, 3, loss="crossentropy"),
        # Ours.
        _network("tiny", 8, 16, 16, 1),
        _network("tabular", 32, 64, 64, 10, loss="crossentropy"),
        _network("digits", 64, 32, 10, loss="crossentropy"),
        _network("book", 784, 300, 100, 10, loss="crossentropy"),
    )
}


def parse(arguments):
    parser = argparse.ArgumentParser(prog="python -m benchmarks.embedded_peers", description=__doc__.splitlines()[0])
    parser.add_argument("--rtneural", type=Path, metavar="DIR", help="RTNeural's sources, with their submodules")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS), metavar="NAME")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.05, help="of one way in one round")
    parser.add_argument("--out", type=Path, default=ROOT / "docs")
    options = parser.parse_args(arguments)
    if options.rounds < 1:
        parser.error(f"--rounds must be at least 1. Received: {options.rounds}")
    if options.rtneural is not None and not (options.rtneural / "RTNeural" / "RTNeural.h").is_file():
        parser.error(f"--rtneural must be a folder that has RTNeural/RTNeural.h. Received: {str(options.rtneural)!r}")
    return options


def ways(networks, rtneural, progress):
    """Everything that is compared: ``{way: {network: callable or why there is none}}``."""
    found = {}
    for way, made in embedded_ways.WAYS.items():
        found[way] = {}
        progress(f"building {way}")
        for name, network in networks.items():
            try:
                found[way][name] = made(network)
            except (ImportError, OSError) as error:
                found[way][name] = f"missing: {str(error).splitlines()[0]}"
    return found | embedded_rtneural.ways(rtneural, networks, progress)


def measured(network, calls, rounds, seconds):
    """The median nanoseconds of each way in each round, or why there are none.

    Parameters
    ----------
    network : Network
    calls : dict
        Way to a callable or a reason.
    """
    x, y = aligned(network.data(1)), np.empty((1, network.workload.sizes[-1]), np.float32)
    results = {}
    for way, call in calls.items():
        results[way] = call if isinstance(call, str) else _why_not(network, way, call, x, y) or []
    ready = [way for way, found in results.items() if isinstance(found, list)]
    for i in range(rounds):
        for way in ready[:: -1 if i % 2 else 1]:
            results[way].append(float(np.median(calls[way].times(x, y, seconds))))
    return results


def _why_not(network, way, call, x, y):
    """Why a way's answer cannot be the network's, or None."""
    try:
        difference = network.difference(x, call(x, y))
    except RuntimeError as error:
        return f"refused: {error}"
    tolerance = measure.TOLERANCES["int8"] if "int8" in way else measure.TOLERANCE
    return None if difference <= tolerance else f"wrong: off by {difference:.1e}"


def aligned(x):
    """A copy that begins on a cache line and has zeros behind it: RTNeural loads whole vectors."""
    memory = np.zeros(x.size + 64, np.float32)
    start = -(memory.ctypes.data // 4) % 16
    copy = memory[start : start + x.size].reshape(x.shape)
    copy[...] = x
    return copy


def main(arguments=None):
    options = parse(arguments)
    about = machine()
    given = ["DIR" if each == str(options.rtneural) else each for each in arguments or sys.argv[1:]]
    about["command"] = f"python -m benchmarks.embedded_peers {shlex.join(given)}"

    def progress(line):
        print(line, file=sys.stderr, flush=True)

    networks = {name: Network(NETWORKS[name]) for name in options.networks}
    found, results = ways(networks, options.rtneural, progress), {}
    limit_threads(1)
    for name, network in networks.items():
        progress(f"{name}: measuring")
        calls = {way: found[way] if isinstance(found[way], str) else found[way][name] for way in found}
        results[name] = measured(network, calls, options.rounds, options.seconds)
    about["versions"] = [
        fastnn.version(),
        versions("emlearn") if installed("emlearn") else "no emlearn",
        embedded_rtneural.version(options.rtneural) if options.rtneural else "no RTNeural",
        embedded_ways.compiler_version(),
        *filter(None, [embedded_sizes.version()]),
    ]
    progress("sizes on Cortex-M")
    text = embedded_page.page(NETWORKS, results, embedded_sizes.measured(networks), about)
    print(text)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "embedded.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
