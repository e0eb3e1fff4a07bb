"""Networks as C source beside emlearn's: ``python -m benchmarks.embedded_peers``.

Writes ``embedded.md`` into ``docs/`` (or ``--out``) and prints it. All of them are compiled by the same compiler with
the same flags, and called from C.
"""

import argparse
import ctypes
import functools
import shlex
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks import ROOT, latency_native, measure
from benchmarks.engines import fastnn, installed, versions
from benchmarks.latency_network import Network
from benchmarks.latency_page import nanoseconds
from benchmarks.measure import ratio
from benchmarks.render import table, times
from benchmarks.report import machine
from benchmarks.threads import limit_threads
from benchmarks.workloads import ADAM, Workload

FLAGS = ("-std=gnu11", "-O3", "-march=native")
NETWORKS = {
    each.name: each
    for each in (
        Workload("sensor", (6, 8, 3), "crossentropy", ADAM, 1, 1),
        Workload("effect", (1, 8, 8, 1), "mse", ADAM, 1, 1, activation="tanh"),
        Workload("tiny", (8, 16, 16, 1), "mse", ADAM, 1, 1),
        Workload("tabular", (32, 64, 64, 10), "crossentropy", ADAM, 1, 1),
        Workload("digits", (64, 32, 10), "crossentropy", ADAM, 1, 1),
        Workload("book", (784, 300, 100, 10), "crossentropy", ADAM, 1, 1),
    )
}


class Compiled:
    """A C function ``int run(void *, const float *x, int64_t rows, float *y)`` for one row, to call and to time."""

    def __init__(self, source, include=()):
        with tempfile.TemporaryDirectory() as folder:
            path, library = Path(folder, "run.c"), Path(folder, "run.so")
            path.write_text("#include <stdint.h>\n" + source, encoding="utf-8")
            command = [latency_native.compiler(), *FLAGS, "-w", *(f"-I{each}" for each in include)]
            done = subprocess.run(
                [*command, "-shared", "-fPIC", path, "-o", library, "-lm"], capture_output=True, text=True
            )
            if done.returncode:
                raise OSError(f"it does not compile: {done.stderr}")
            self._library = ctypes.CDLL(str(library))

    def __call__(self, x, y):
        self._timed(x, y, 1, 1)
        return y

    def times(self, x, y, seconds):
        """Nanoseconds of single calls; see `latency_native.looks`."""
        return latency_native.looks(functools.partial(self._timed, x, y), seconds)

    def _timed(self, x, y, repeat, count):
        nanoseconds = np.empty(count, np.int64)
        run = ctypes.cast(self._library.run, ctypes.c_void_p)
        if status := latency_native.compiled().time_runs(run, None, x, 1, y, repeat, count, nanoseconds):
            raise RuntimeError(f"the network answers with status {status}")
        return nanoseconds


def exported(network, precision):
    """fastnn's export to C."""
    from fastnn.export import export_c

    with tempfile.TemporaryDirectory() as folder:
        export_c(network.model().freeze(), Path(folder, "net.c"), precision=precision, name="net")
        source = Path(folder, "net.c").read_text(encoding="utf-8")
        call = "net_predict(x, y); return 0;"
        return Compiled(
            f"{source}\nint run(void *net, const float *x, int64_t rows, float *y) {{ {call} }}\n", include=[folder]
        )


def in_image(network):
    """fastnn's C interface."""
    with tempfile.TemporaryDirectory() as folder:
        network.model().freeze().save(Path(folder, "net.fnn"))
        return latency_native.Session(Path(folder, "net.fnn"), 1)


def emlearn(network):
    """emlearn's float network, which its `eml_net.h` walks. Its other way, "inline", calls the same loops."""
    import emlearn
    from emlearn import net

    activations = [activation or "identity" for _, _, activation in network.layers]
    kernels, biases = ([layer[i] for layer in network.layers] for i in range(2))
    source = net.c_generate_net_loadable(activations, kernels, biases, prefix="net")
    inputs, outputs = network.workload.sizes[0], network.workload.sizes[-1]
    call = f"return net_regress(x, {inputs}, y, {outputs});"
    return Compiled(
        f"{source}\nint run(void *unused, const float *x, int64_t rows, float *y) {{ {call} }}\n",
        include=[emlearn.includedir],
    )


WAYS = {
    "fastnn.h": in_image,
    "export_c": lambda network: exported(network, "float32"),
    "export_c, int8": lambda network: exported(network, "int8"),
    "emlearn": emlearn,
}


def measured(name, rounds, seconds):
    """The median nanoseconds of each way in each round, or why there are none."""
    network = Network(NETWORKS[name])
    x, results, ready = network.data(1), {}, {}
    y = np.empty((1, network.workload.sizes[-1]), np.float32)
    for way, made in WAYS.items():
        try:
            call = made(network)
        except (ImportError, OSError, AttributeError) as error:
            results[way] = f"missing: {error}"
            continue
        difference = network.difference(x, call(x, y))
        if difference > (measure.TOLERANCES["int8"] if "int8" in way else measure.TOLERANCE):
            results[way] = f"wrong: off by {difference:.1e}"
            continue
        results[way], ready[way] = [], call
    for i in range(rounds):
        for way in list(ready)[:: -1 if i % 2 else 1]:
            results[way].append(float(np.median(ready[way].times(x, y, seconds))))
    return results


def page(results, about):
    """A table, and what it says."""
    rows = []
    for name, found in results.items():
        row = [f"{name}: {'-'.join(map(str, NETWORKS[name].sizes))} {NETWORKS[name].activation}"]
        peer = found["emlearn"]
        for way in WAYS:
            if isinstance(found[way], str):
                row.append(found[way])
                continue
            text = nanoseconds(statistics.median(found[way]) / 1e3)
            if way != "emlearn" and not isinstance(peer, str):
                text += f" ({times(ratio(peer, found[way])[0])})"
            row.append(text)
        rows.append(row)
    return "\n".join(
        [
            "# Networks in C\n",
            f"Made by `{about['command'].strip()}` on {about['date']}; not edited by hand.\n",
            f"- Processor: {about['processor']}\n- Load: {about['load']}\n- Compiled with `{' '.join(FLAGS)}`\n"
            f"- {about['versions']}\n",
            "Nanoseconds of one answer, from C, one thread, data in the cache; medians over rounds in which all take "
            "turns. In brackets, how many times as fast as emlearn.\n",
            table(["network", *WAYS], rows),
        ]
    )


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m benchmarks.embedded_peers", description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS), metavar="NAME")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.1, help="of one way in one round")
    parser.add_argument("--out", type=Path, default=ROOT / "docs")
    options = parser.parse_args(arguments)
    if options.rounds < 1:
        parser.error(f"--rounds must be at least 1. Received: {options.rounds}")
    about = machine()
    limit_threads(1)
    about["command"] = "python -m benchmarks.embedded_peers " + shlex.join(
        sys.argv[1:] if arguments is None else arguments
    )
    about["versions"] = ", ".join([fastnn.version(), *([versions("emlearn")] if installed("emlearn") else [])])
    text = page({name: measured(name, options.rounds, options.seconds) for name in options.networks}, about)
    print(text)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "embedded.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
