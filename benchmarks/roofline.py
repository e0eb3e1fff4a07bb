"""How near training comes to what this processor can do: ``python -m benchmarks.roofline``.

Writes ``roofline.md`` and ``roofline.png`` into ``docs/`` (or ``--out``) and prints the page.
"""

import argparse
import math
import os
import shlex
import statistics
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from benchmarks import ROOT
from benchmarks.gemm import timed
from benchmarks.render import table
from benchmarks.report import machine
from benchmarks.threads import limit_threads
from benchmarks.worker import Worker
from benchmarks.workloads import TRAINING

# A roof is the best of many looks of some milliseconds: what slows a look down is somebody else.
LOOKS, LOOK_CYCLES, LOOK_BYTES = 40, 5_000_000, 1 << 27
KINDS = ("forward", "dW", "dX", "normalisation", "optimizer", "gather", "loss", "rest")
PRODUCTS = {"dense_forward": "forward", "dense_backward_weights": "dW", "dense_backward_input": "dX"}


# ---- roofs -----------------------------------------------------------------------------------------------------------


def best_seconds(new_look, threads=1):
    """The shortest time of many looks, for each of so many threads, which look at once: ``new_look()()`` is seconds."""

    def best(_):
        look = new_look()
        return min(look() for _ in range(LOOKS))

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(best, range(threads)))


def clock():
    """Cycles a second, by additions that take a cycle each."""
    from fastnn._engine import runtime

    return LOOK_CYCLES / best_seconds(lambda: lambda: timed(runtime.additions, LOOK_CYCLES))[0]


def peak(threads):
    """Flops a second of multiply-adds in registers."""
    from fastnn._engine import kernels

    rounds = LOOK_CYCLES // 6  # 12 multiply-adds, two a cycle
    flops = kernels.peak(rounds)
    return sum(flops / seconds for seconds in best_seconds(lambda: lambda: timed(kernels.peak, rounds), threads))


def bandwidth(nbytes, threads):
    """Bytes read and written a second by adding one half of so much memory to the other, in place."""
    from fastnn._engine import kernels

    n = max(16, nbytes // (8 * threads) // 16 * 16)
    dims, moved = {"n": n, "lda": n, "ldb": n, "ldy": n}, 12 * n
    count = max(1, LOOK_BYTES // moved)

    def new_look():
        a, b = kernels.aligned(n), kernels.aligned(n)
        return lambda: timed(lambda count: kernels.call("add", 1, {"a": a, "b": b, "y": a}, dims, repeat=count), count)

    return sum(count * moved / seconds for seconds in best_seconds(new_look, threads))


def caches(threads):
    """Bytes of each level of the cache that `threads` processors have; empty where the system does not say."""
    sizes = {}
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        kind, level, size, sharing = (
            (index / name).read_text().strip() for name in ("type", "level", "size", "shared_cpu_list")
        )
        if kind != "Instruction":
            private = not any(each in sharing for each in ",-")
            sizes[f"L{level}"] = int(size.rstrip("K")) * 1024 * (threads if private else 1)
    return sizes


@dataclass(frozen=True)
class Roofs:
    """What the processor can do.

    Attributes
    ----------
    clock : float
        Cycles a second.
    peak : float
        Flops a second.
    caches : dict of str to int
        Bytes.
    bandwidths : dict of str to float
        Bytes a second of sums over memory that fits into each cache, but not into the one before; and in "memory".
    """

    clock: float
    peak: float
    caches: dict
    bandwidths: dict

    @classmethod
    def measured(cls, threads):
        sizes = caches(threads)
        levels = [(1 << 14, None), *((size, level) for level, size in sizes.items())]
        fills = {level: math.isqrt(smaller * size) for (smaller, _), (size, level) in pairwise(levels)}
        fills["memory"] = min(4 * levels[-1][0], 1 << 28)
        bandwidths = {level: bandwidth(nbytes, threads) for level, nbytes in fills.items()}
        return cls(clock(), peak(threads), sizes, bandwidths)

    def level(self, nbytes):
        """Where a working set of so many bytes lies."""
        return next((level for level, size in self.caches.items() if nbytes <= size), "memory")


# ---- workloads -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Point:
    """A workload under its roof.

    Attributes
    ----------
    name : str
    plan : fastnn.lowering.explain.Plan
        With each instruction's time, on one thread.
    seconds : list of float
        Of a step through `fit`, in each round.
    level : str
        Where the working set lies, and
    bandwidth : float
        bytes a second of sums over so much memory.
    peak : float
        Flops a second of the processor.
    """

    name: str
    plan: object
    seconds: list
    level: str
    bandwidth: float
    peak: float

    @property
    def step(self):
        """Median seconds of a step."""
        return statistics.median(self.seconds)

    @property
    def intensity(self):
        """Flops for each byte that instructions read and write."""
        return self.plan.flops / self.plan.nbytes

    @property
    def rate(self):
        return self.plan.flops / self.step

    @property
    def roof(self):
        return min(self.peak, self.intensity * self.bandwidth)

    @property
    def limit(self):
        return "arithmetic" if self.roof == self.peak else self.level


def working_set(plan):
    """Bytes that a step comes back to in the next one, and those in between."""
    return sum(plan.memory.values())


def planned(workload, threads):
    """The plan of a workload's training step, with the time of each instruction."""
    import fastnn
    from fastnn.cli.workloads import LOSSES

    fastnn.set_threads(threads)
    model = workload.made_by(fastnn)
    model.compile(optimizer=workload.optimizer.made_by(fastnn), loss=LOSSES[workload.loss][0])
    return model.explain_plan(workload.batch, measure=True, print_fn=lambda text: None)


def step_times(names, threads, rounds, seconds):
    """Seconds of a step through `fit`, a list with one for each round; workloads take turns in every round."""
    from benchmarks.engines import load

    worker, times = Worker(*load("fastnn"), threads), {name: [] for name in names}
    for name in names:
        worker.prepare(name, seconds)
    for i in range(rounds):
        for name in names[:: -1 if i % 2 else 1]:
            times[name].append(TRAINING[name].batch / worker.run(name)["samples_per_second"])
    return times


def kind_of(instruction, workload):
    """Which of `KINDS` an instruction is."""
    from fastnn.cli.workloads import LOSSES

    op = instruction.op
    if op in PRODUCTS:
        return PRODUCTS[op]
    if op.startswith("batchnorm") or op == "copy_vector":
        return "normalisation"
    if op.startswith("gather"):
        return "gather"
    if instruction.commits:
        return "optimizer"
    return "loss" if instruction.layer == LOSSES[workload.loss][0] else "rest"


# ---- page ------------------------------------------------------------------------------------------------------------


def page(points, roofs, about, threads):
    """Everything as Markdown."""
    bandwidths = ", ".join(f"{level} {rate / 1e9:.0f}" for level, rate in roofs.bandwidths.items())
    sizes = ", ".join(f"{level} {_bytes(size)}" for level, size in roofs.caches.items())
    lines = [
        "# Roofline\n",
        f"Made by `{about['command'].strip()}` on {about['date']}; not edited by hand.\n",
        f"- Processor: {about['processor']}, {points[0].plan.isa} kernels; {sizes or 'caches unknown'}",
        f"- System: {about['system']}",
        f"- Load: {about['load']}",
        f"- Clock: {roofs.clock / 1e9:.2f} GHz, by additions that wait for each other",
        f"- Arithmetic: {roofs.peak / 1e9:.1f} GFLOP/s, {roofs.peak / roofs.clock:.1f} flops a cycle, by multiply-adds "
        f"in registers on {'one thread' if threads == 1 else f'{threads} threads'} (wide vectors may slow the clock)",
        f"- Memory: GB/s read and written by sums of two arrays within {bandwidths}\n",
        "Roofs are the best of many short looks, steps the median of rounds in which the workloads take turns through "
        "`fit`. Flops and bytes are those of `explain_plan`: every instruction reads and writes each of its operands "
        "once. The roof is the arithmetic, or what the bandwidth allows: that of sums over as much memory as the "
        "working set has. A step that is much below both loses its time to something else.\n",
        "![Roofline](roofline.png)\n",
        steps_table(points, roofs),
        "## Where a step's time goes\n",
        "Each instruction alone, on one thread, with a look at the clock after each (which small networks feel): its "
        "share of their sum, and in brackets GFLOP/s of the products, GB/s of what is no product. The updates of large "
        "matrices follow their gradient piece by piece: they are in the time of dW.\n",
        kinds_table(points),
    ]
    return "\n".join(lines)


def steps_table(points, roofs):
    """A line for each workload: what a step does, how long it takes, and what that is of its roof."""
    header = ["workload", "flops/step", "bytes/step", "flops/byte", "working set", "time/step", "over the rounds"]
    header += ["cycles/step", "GFLOP/s", "flops/cycle", "of the peak", "roof", "of the roof"]
    rows = []
    for each in points:
        cycles = each.step * roofs.clock
        row = [each.name, _short(each.plan.flops), _bytes(each.plan.nbytes), f"{each.intensity:.2f}"]
        row += [f"{_bytes(working_set(each.plan))} ({each.level})", _time(each.step)]
        row += [f"{_time(min(each.seconds))} to {_time(max(each.seconds))}", _short(cycles), f"{each.rate / 1e9:.1f}"]
        row += [f"{each.plan.flops / cycles:.1f}", f"{each.rate / each.peak:.0%}"]
        row += [f"{each.limit}, {each.roof / 1e9:.0f} GFLOP/s", f"**{each.rate / each.roof:.0%}**"]
        rows.append(row)
    return table(header, rows)


def kinds_table(points):
    """The shares of `KINDS` in each workload, and the sum of all parts beside the step."""
    rows = []
    for each in points:
        row, whole = [each.name], each.plan.seconds
        kinds = []  # what follows a gradient piece by piece is in its time
        for part in each.plan.instructions:
            kinds.append(kinds[-1] if part.follows else kind_of(part, TRAINING[each.name]))
        for kind in KINDS:
            parts = [part for part, its_kind in zip(each.plan.instructions, kinds, strict=True) if its_kind == kind]
            row.append(_part(kind, parts, whole) if parts else "")
        rows.append([*row, f"{whole / each.step:.2f}"])
    return table(["workload", *KINDS, "sum/step"], rows)


def _part(kind, parts, whole):
    seconds = sum(part.seconds for part in parts)
    amount = sum(part.flops if kind in PRODUCTS.values() else part.nbytes for part in parts)
    return f"{seconds / whole:.0%} ({amount / max(seconds, 1e-12) / 1e9:.0f})"


def picture(points, roofs, path):
    """The roofs as lines, the workloads as points, on logarithmic scales."""
    from matplotlib.figure import Figure  # no pyplot: no display, no global state

    figure = Figure(figsize=(8, 5.5), layout="constrained")
    axes = figure.subplots()
    left, right = min(each.intensity for each in points) / 3, max(each.intensity for each in points) * 3
    colours, top = {}, roofs.peak / 1e9
    for number, (level, rate) in enumerate(roofs.bandwidths.items()):
        colours[level] = f"C{number}"
        corner, slope = min(roofs.peak / rate, right), rate / 1e9
        label = f"{level}: {slope:.0f} GB/s"
        axes.plot([left, corner], [slope * left, slope * corner], colours[level], linewidth=1, label=label)
    ridge = min(roofs.peak / max(roofs.bandwidths.values()), right)
    axes.plot([ridge, right], [top, top], "black", linewidth=1.5, label=f"peak: {top:.0f} GFLOP/s")
    for each in points:
        colour, rate = colours[each.level], each.rate / 1e9
        axes.vlines(each.intensity, rate, each.roof / 1e9, colour, linewidth=0.6)
        axes.plot(each.intensity, rate, "o", color=colour, markeredgecolor="black")
        axes.annotate(
            each.name, (each.intensity, rate), (1, -5), textcoords="offset points", fontsize=8, rotation=-50, va="top"
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_ylim(min(each.rate for each in points) / 3e9, 1.5 * top)
    axes.set_xlabel("flops for each byte that instructions read and write")
    axes.set_ylabel("GFLOP/s")
    axes.set_title("Training steps, and their way to the roof (colour: where the working set lies)", fontsize=10)
    axes.grid(linewidth=0.3, which="both")
    axes.legend(fontsize=8, loc="lower right")
    figure.savefig(path, dpi=130)


def _short(value):
    from fastnn.lowering.explain import short

    return short(value)


def _bytes(value):
    return f"{_short(value)}B"


def _time(seconds):
    return f"{seconds * 1e3:.3g} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.3g} µs"


# ---- command ---------------------------------------------------------------------------------------------------------


def parse(arguments):
    parser = argparse.ArgumentParser(prog="python -m benchmarks.roofline", description=__doc__.splitlines()[0])
    parser.add_argument("--workloads", nargs="+", choices=TRAINING, default=list(TRAINING), metavar="NAME")
    parser.add_argument("--threads", type=int, default=1, metavar="N")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.3, help="of one workload in one round")
    parser.add_argument("--out", type=Path, default=ROOT / "docs")
    options = parser.parse_args(arguments)
    usable = len(os.sched_getaffinity(0))
    if not 1 <= options.threads <= usable:
        parser.error(f"--threads must lie between 1 and the {usable} processors at hand. Received: {options.threads}")
    if options.rounds < 1:
        parser.error(f"--rounds must be at least 1. Received: {options.rounds}")
    return options


def main(arguments=None):
    options = parse(arguments)
    about = machine()
    about["command"] = "python -m benchmarks.roofline " + shlex.join(sys.argv[1:] if arguments is None else arguments)
    limit_threads(options.threads)  # NumPy is imported already, but nothing of it is timed

    def progress(line):
        print(line, file=sys.stderr, flush=True)

    progress("roofs")
    roofs = Roofs.measured(options.threads)
    plans = {}
    for name in options.workloads:
        progress(f"{name}: its instructions")
        plans[name] = planned(TRAINING[name], options.threads)
    progress(f"steps of {', '.join(options.workloads)}: {options.rounds} rounds")
    times = step_times(options.workloads, options.threads, options.rounds, options.seconds)
    points = []
    for name, plan in plans.items():
        nbytes = working_set(plan)
        rate = bandwidth(nbytes, options.threads)
        points.append(Point(name, plan, times[name], roofs.level(nbytes), rate, roofs.peak))
    text = page(points, roofs, about, options.threads)
    print(text)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "roofline.md").write_text(text, encoding="utf-8")
    picture(points, roofs, options.out / "roofline.png")
    progress(f"written: {options.out / 'roofline.md'}, {options.out / 'roofline.png'}")


if __name__ == "__main__":
    main()
