"""Is fastnn fast at every size? Random networks beside PyTorch: ``python -m benchmarks.sweep``.

Each network of `benchmarks.networks` is trained by ``fit`` and by PyTorch's eager loop, on one thread, in turns. Writes
``sweep.md`` and ``sweep.png`` into ``docs/`` (or ``--out``) and prints the page: the slowest first. It also names the
networks that do much fewer of their flops in a second than the workload nearest to them does: kernels that are slow at
some sizes show there, even where PyTorch is slower still. ``--only N`` measures one network again.
"""

import argparse
import contextlib
import math
import shlex
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks import ROOT, measure, networks, sweep_page
from benchmarks.client import Client
from benchmarks.report import machine
from benchmarks.roofline import kind_of, planned
from benchmarks.threads import limit_threads
from benchmarks.workloads import TRAINING, Workload, find

EFFICIENT = 0.75  # of the nearest workload's GFLOP/s: less is far below


@dataclass(frozen=True)
class Measured:
    """One network, and how fast it was trained.

    Attributes
    ----------
    number : int
        What ``--only`` takes.
    network : Workload
    rates, peer_rates : list of float
        Samples/s of fastnn and of PyTorch, one for each round.
    nearest : str
        The workload of `TRAINING` that is nearest in flops per step and in batch.
    nearest_gflops : float
        Of that workload, at about the same time.
    """

    number: int
    network: Workload
    rates: list[float]
    peer_rates: list[float]
    nearest: str
    nearest_gflops: float

    @property
    def ratio(self):
        """(median, smallest, largest) of fastnn/PyTorch over the rounds."""
        return measure.ratio(self.rates, self.peer_rates)

    @property
    def step_flops(self):
        return flops_per_step(self.network)

    @property
    def step_us(self):
        """Microseconds of one training step of fastnn."""
        return 1e6 * self.network.batch / statistics.median(self.rates)

    @property
    def gflops(self):
        return self.step_flops / self.step_us / 1e3

    @property
    def efficiency(self):
        """GFLOP/s over that of the nearest workload."""
        return self.gflops / self.nearest_gflops

    @property
    def is_inefficient(self):
        return self.efficiency < EFFICIENT


def flops_per_step(workload):
    """Of the matrix products."""
    return workload.batch * workload.flops_per_sample


def nearest(network):
    """The name of the workload that is nearest in the logarithms of flops per step and of batch."""

    def distance(name):
        workload = TRAINING[name]
        return math.hypot(
            math.log(flops_per_step(workload) / flops_per_step(network)), math.log(workload.batch / network.batch)
        )

    return min(TRAINING, key=distance)


def parts(network):
    """Share of a step that each kind of instruction takes, the largest first: a dict."""
    plan = planned(network, threads=1)
    seconds = {}
    for each in plan.instructions:
        kind = kind_of(each, network)
        kind = each.op.split("_")[0] if kind == "rest" else kind
        seconds[kind] = seconds.get(kind, 0.0) + each.seconds / plan.seconds
    return dict(sorted(seconds.items(), key=lambda item: -item[1]))


def parse(arguments):
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sweep", description=__doc__.splitlines()[0])
    parser.add_argument("--networks", type=int, default=200, metavar="COUNT")
    parser.add_argument("--seed", type=int, default=0, help="another seed, other networks")
    parser.add_argument("--only", type=int, nargs="+", metavar="N", help="these networks alone; writes nothing")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.1, help="of one engine in one round")
    parser.add_argument("--out", type=Path, default=ROOT / "docs")
    options = parser.parse_args(arguments)
    if min(options.networks, options.rounds) < 1:
        parser.error("--networks and --rounds must be at least 1")
    return options


def run(numbers, seed, rounds, seconds, progress=measure.say_nothing):
    """Train networks by number.

    Returns
    -------
    measured : list of Measured
    failed : dict
        Name of a network to what went wrong.
    versions : dict
        Name of an engine to its version.
    """
    with contextlib.ExitStack() as stack:
        ours, theirs = clients = [stack.enter_context(Client(each)) for each in ("fastnn", "pytorch")]
        for client in clients:
            if client.missing:
                raise SystemExit(f"{client.name}: {client.missing_details or client.missing}")
        names = {number: networks.name_of(seed, number) for number in numbers}
        neighbours = {name: nearest(find(name)) for name in names.values()}
        for neighbour in dict.fromkeys(neighbours.values()):
            progress(f"preparing {neighbour}, to compare with")
            ours.ask("prepare", neighbour, seconds)
        measured, failed = [], {}
        for number, name in names.items():
            # Just before and after: a machine that others use may be half as fast some minutes later.
            around = _rates(ours, neighbours[name], rounds)
            results = measure.training(clients, [name], rounds, seconds, progress)
            around += _rates(ours, neighbours[name], rounds)
            rates, peer_rates = (results[name, client.engine, 1] for client in clients)
            if reasons := [each for each in (rates, peer_rates) if isinstance(each, str)]:
                failed[name] = "; ".join(reasons)
                continue
            gflops = statistics.median(around) * TRAINING[neighbours[name]].flops_per_sample / 1e9
            measured.append(Measured(number, find(name), rates, peer_rates, neighbours[name], gflops))
        return measured, failed, {client.name: client.version for client in clients}


def _rates(client, name, rounds):
    return [client.ask("run", name)["samples_per_second"] for _ in range(rounds)]


def main(arguments=None):
    options = parse(arguments)
    about = machine()
    about["command"] = "python -m benchmarks.sweep " + shlex.join(sys.argv[1:] if arguments is None else arguments)
    measured, failed, versions = run(
        options.only or range(options.networks),
        options.seed,
        options.rounds,
        options.seconds,
        lambda line: print(line, file=sys.stderr, flush=True),
    )
    limit_threads(1)  # as the workers were
    explained = measured if options.only else [each for each in measured if each.is_inefficient]
    where = {each.number: parts(each.network) for each in explained}
    if options.only:
        print(sweep_page.networks_table(measured, where), *failed.items(), sep="\n")
        return
    page = sweep_page.markdown(measured, where, failed, versions, about, options)
    print(page)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "sweep.md").write_text(page, encoding="utf-8")
    sweep_page.picture(measured, options.out / "sweep.png")
    print(f"written: {options.out / 'sweep.md'}, {options.out / 'sweep.png'}", file=sys.stderr)


if __name__ == "__main__":
    main()
