"""One command for every table and the picture: ``python -m benchmarks.report``.

Writes ``benchmarks.md`` and ``benchmarks.png`` into ``docs/`` (or ``--out``) and prints the tables.
"""

import argparse
import contextlib
import datetime
import os
import platform
import shlex
import sys
from pathlib import Path

from benchmarks import ROOT, measure, render
from benchmarks.client import Client
from benchmarks.engines import ENGINES
from benchmarks.workloads import TRAINING
from fastnn.cli.bench import processor


def parse(arguments):
    usable = len(os.sched_getaffinity(0))
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__.splitlines()[0])
    parser.add_argument("--workloads", nargs="+", choices=TRAINING, default=list(TRAINING), metavar="NAME")
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=list(ENGINES), metavar="NAME")
    parser.add_argument(
        "--threads",
        nargs="+",
        type=int,
        default=[1, 2][:usable],
        metavar="N",
        help="a table for each, and what more bring; default: 1 2",
    )
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.5, help="of one engine in one round")
    parser.add_argument("--quick", action="store_true", help="3 rounds of 0.2 s: to see that everything works")
    parser.add_argument("--out", type=Path, default=ROOT / "docs")
    options = parser.parse_args(arguments)
    if options.quick:
        options.rounds, options.seconds = 3, 0.2
    if options.rounds < 1:
        parser.error(f"--rounds must be at least 1. Received: {options.rounds}")
    if min(options.threads) < 1 or max(options.threads) > usable:
        parser.error(f"--threads must lie between 1 and the {usable} processors at hand. Received: {options.threads}")
    return options


def machine():
    """What the figures were measured on, in words."""
    return {
        "date": datetime.date.today().isoformat(),
        "processor": f"{processor()}, {len(os.sched_getaffinity(0))} processors usable",
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "load": f"{os.getloadavg()[0]:.2f} before the start (other work on the machine; 0 is best)",
    }


def main(arguments=None):
    options = parse(arguments)
    # fastnn comes first however the engines are ordered: every ratio is taken to it.
    engines = ["fastnn", *(each for each in options.engines if each != "fastnn")]
    about = machine()
    about["command"] = "python -m benchmarks.report " + shlex.join(sys.argv[1:] if arguments is None else arguments)

    def progress(line):
        print(line, file=sys.stderr, flush=True)

    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(engine, threads)) for threads in options.threads for engine in engines]
        for client in clients[: len(engines)]:
            progress(f"{client.name}: {client.missing or client.version}")
            if client.missing_details:
                progress(client.missing_details)
        results = measure.training(clients, options.workloads, options.rounds, options.seconds, progress)
    names = {client.engine: client.name for client in clients}
    versions = {client.name: client.missing or client.version for client in clients}
    report = render.Report(results, names, versions, about, options)
    text = report.markdown()
    print(text)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "benchmarks.md").write_text(text, encoding="utf-8")
    report.picture(options.out / "benchmarks.png")
    progress(f"written: {options.out / 'benchmarks.md'}, {options.out / 'benchmarks.png'}")


if __name__ == "__main__":
    main()
