"""Single predictions beside those of the peers: ``python -m benchmarks.latency``.

Writes ``latency.md`` and ``latency.png`` into ``docs/`` (or ``--out``) and prints the page.
"""

import argparse
import contextlib
import shlex
import sys
from pathlib import Path

import numpy as np

from benchmarks import ROOT, latency_page, measure
from benchmarks.client import Client
from benchmarks.engines import OWN_PREDICTORS, PREDICTORS
from benchmarks.latency_network import Network
from benchmarks.report import machine
from benchmarks.workloads import INFERENCE, INFERENCE_BATCHES
from fastnn.cli.latency import time_calls

ACCURACY = ("bookrelu", "bookelu")


def parse(arguments):
    parser = argparse.ArgumentParser(prog="python -m benchmarks.latency", description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", choices=INFERENCE, default=list(INFERENCE), metavar="NAME")
    parser.add_argument("--batches", nargs="+", type=int, default=list(INFERENCE_BATCHES), metavar="N")
    parser.add_argument("--engines", nargs="+", choices=PREDICTORS, default=list(PREDICTORS), metavar="NAME")
    parser.add_argument(
        "--cpu", choices=("baseline", "avx2", "avx512", "neon"), help="fastnn's instructions; peers choose their own"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.2, help="of one engine in one round")
    parser.add_argument("--epochs", type=int, default=5, help="on Fashion-MNIST; 0: no accuracies")
    parser.add_argument(
        "--quick", action="store_true", help="2 rounds of 0.02 s, 1 epoch: to see that everything works"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "docs")
    options = parser.parse_args(arguments)
    if options.quick:
        options.rounds, options.seconds, options.epochs = 2, 0.02, min(options.epochs, 1)
    for name in ("rounds", *(["batches"] if options.batches else [])):
        value = getattr(options, name)
        if min(value if isinstance(value, list) else [value]) < 1:
            parser.error(f"--{name} must be at least 1. Received: {value}")
    return options


def main(arguments=None):
    options = parse(arguments)
    # Ours come first: every ratio is taken to one of them.
    own = dict.fromkeys(("fastnn", *(each for each in options.engines if each in OWN_PREDICTORS)))
    engines = [*own, *(each for each in options.engines if each not in OWN_PREDICTORS)]
    about = machine()
    about["command"] = "python -m benchmarks.latency " + shlex.join(sys.argv[1:] if arguments is None else arguments)

    nothing = float(np.median(time_calls(int, (), 0.05)))
    about["clock"] = f"a call of Python's int() takes {nothing:.0f} ns, which is in all figures but those from C"

    def progress(line):
        print(line, file=sys.stderr, flush=True)

    with contextlib.ExitStack() as stack:
        environment = {"FASTNN_CPU": options.cpu} if options.cpu else {}
        clients = [stack.enter_context(Client(engine, environment=environment)) for engine in engines]
        for client in clients:
            progress(f"{client.name}: {client.missing or client.version}")
            if client.missing_details:
                progress(client.missing_details)
        results = measure.latencies(
            clients, options.networks, options.batches, options.rounds, options.seconds, progress
        )
        sizes = {name: 4 * Network(INFERENCE[name]).kernel_size for name in options.networks}
        progress("reading memory")
        wanted = {size // part for size in sizes.values() for part in (1, 2, 4)}
        readings = measure.readings(clients[0], sorted(wanted), options.rounds, options.seconds)
        accuracies = {}
        for name in ACCURACY if options.epochs else ():
            progress(f"{name}: training on Fashion-MNIST")
            accuracies[name] = clients[0].ask("accuracy", name, options.epochs)
    names = {client.engine: client.name for client in clients}
    versions = {each.name: each.missing or each.version for each in clients if each.missing or ":" not in each.engine}
    page = latency_page.Page(results, sizes, readings, accuracies, names, versions, about, options)
    text = page.markdown()
    print(text)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "latency.md").write_text(text, encoding="utf-8")
    page.picture(options.out / "latency.png")
    progress(f"written: {options.out / 'latency.md'}, {options.out / 'latency.png'}")


if __name__ == "__main__":
    main()
