"""The page and the picture of `benchmarks.latency`."""

import statistics
from dataclasses import dataclass

from benchmarks.engines import OWN_PREDICTORS
from benchmarks.measure import WAITING, ratio
from benchmarks.render import table, times

# Of fewer calls, the 99th percentile is the slowest one.
_ENOUGH_CALLS = 100
_BYTES = {"float32": 4, "float16": 2, "int8": 1}


@dataclass(frozen=True)
class Page:
    """What was measured, and how to show it.

    Attributes
    ----------
    results : dict
        Of `measure.latencies`.
    sizes : dict
        Network to the bytes of its kernels in float32.
    readings : dict
        Of `measure.readings`.
    accuracies : dict
        Network to what `latency_accuracy.measured` found.
    names : dict
        Engine to the name in tables, fastnn first.
    versions : dict
        Name to what ran, or why nothing did.
    about : dict
        Machine, date, command.
    options : Namespace
        ``networks, batches, rounds, seconds, epochs``
    """

    results: dict
    sizes: dict
    readings: dict
    accuracies: dict
    names: dict
    versions: dict
    about: dict
    options: object

    # ---- what was found ----------------------------------------------------------------------------------------------

    @property
    def cases(self):
        return [(network, batch) for network in self.options.networks for batch in self.options.batches]

    @property
    def peers(self):
        return [each for each in self.names if each not in OWN_PREDICTORS]

    def medians(self, case, engine):
        """The median of each round, in microseconds; None where there is none."""
        found = self.results.get((*case, engine))
        return [each["median_us"] for each in found] if isinstance(found, list) else None

    def best_peer(self, case):
        """The engine with the smallest median, or None."""
        found = {peer: statistics.median(each) for peer in self.peers if (each := self.medians(case, peer))}
        return min(found, key=found.get, default=None)

    def speed(self, case, engine, peer):
        """(median, smallest, largest) of how many times as fast as a peer an engine is; None where one has not run."""
        ours, theirs = self.medians(case, engine), self.medians(case, peer)
        return ratio(theirs, ours) if ours and theirs else None

    # ---- tables ------------------------------------------------------------------------------------------------------

    def markdown(self):
        """All tables, as a page that says how it was made."""
        parts = [
            "# Single predictions\n",
            f"Made by `{self.about['command'].strip()}` on {self.about['date']}; not edited by hand.\n",
            "\n".join(
                [
                    f"- Processor: {self.about['processor']}",
                    f"- System: {self.about['system']}",
                    f"- Load: {self.about['load']}",
                    f"- Clock: {self.about['clock']}",
                    *(f"- {name}: {version}" for name, version in self.versions.items()),
                ]
            )
            + "\n",
            "One call after the other, from NumPy arrays to NumPy arrays, of networks of `benchmarks/workloads.py`. "
            "Every engine has the same weights, a process of its own, one thread and one processor; its outputs are "
            "compared with float64 first. Batch normalisation is folded for the peers, too: those that read ONNX get "
            "what `to_onnx` writes. Where a peer is faster with arrays that it was given before, it has them. One "
            "engine runs at a time, and "
            f"in each of the {self.options.rounds} rounds all take turns for about {self.options.seconds:g} s. Figures "
            "are medians over the rounds; a ratio is taken within each round, and its median shown: above 1 fastnn is "
            "faster. *out* is `frozen(x, out)`.\n",
            "![fastnn's speed over that of each peer](latency.png)\n",
            "## Against the best peer, the worst first\n",
            self.worst_table(),
            "## Microseconds a call\n",
            self.medians_table(),
            "## 99th percentile over median\n",
            f"A dash: fewer than {_ENOUGH_CALLS} calls in a round. From C, calls are timed for a few microseconds at a "
            "time. *The machine itself*: additions that wait for each other and need nothing but the processor, for as "
            "long as fastnn's median and timed as its calls, in turn with the others; on a processor that nothing "
            "disturbs it would be 1.\n",
            self.tails_table(),
            "## From C, and from memory\n",
            "Nanoseconds of a call of `fastnn_run`, what Python adds to it with `out=` given, and the bytes of weights "
            "that it reads in a second at batch 1, against reading as much memory and doing nothing else.\n",
            self.native_table(),
        ]
        if self.accuracies:
            parts += [
                "## What smaller precisions cost\n",
                f"Trained on Fashion-MNIST for {self.options.epochs} epochs, then frozen in each precision: how many "
                "of the 10,000 test images are recognised, how many get another class than from the model, and the "
                "largest difference of any probability to the model's.\n",
                self.accuracy_table(),
            ]
        return "\n".join(parts)

    def worst_table(self):
        """Each network and batch beside its best peer."""
        own = [each for each in self.names if each in OWN_PREDICTORS and not each.startswith("fastnn_c")]
        rows = []
        for case in self.cases:
            peer = self.best_peer(case)
            if peer is None or (first := self.speed(case, "fastnn", peer)) is None:
                continue
            cells = [f"{times(first[1])} to {times(first[2])}"]
            for engine in own:
                found = self.speed(case, engine, peer)
                cells.append(f"**{times(found[0])}**" if found else self._why_not(case, engine))
            rows.append((first[0], [*map(str, case), self.names[peer], *cells]))
        if not rows:
            return "No ratios: fastnn, or every peer, is missing.\n"
        header = ["network", "batch", "best peer", "over the rounds", *(self.names[each] for each in own)]
        return table(header, [row for _, row in sorted(rows, key=lambda each: each[0])])

    def medians_table(self):
        """The median of each engine; the best peer's in bold."""

        def cell(case, engine):
            found = self.medians(case, engine)
            if not found:
                return self._why_not(case, engine)
            text = microseconds(statistics.median(found))
            return f"**{text}**" if engine == self.best_peer(case) else text

        return self._of_all(cell)

    def tails_table(self):
        """How much slower the slowest calls are."""

        def cell(case, engine):
            found = self.results.get((*case, engine))
            if not isinstance(found, list) or min(each["calls"] for each in found) < _ENOUGH_CALLS:
                return "-"
            return f"{statistics.median(each['p99_us'] / each['median_us'] for each in found):.2f}"

        return self._of_all(cell, {WAITING: "the machine itself"})

    def _of_all(self, cell, more=()):
        names = {**self.names, **dict(more)}
        header = ["network", "batch", *names.values()]
        return table(header, [[*map(str, case), *(cell(case, each) for each in names)] for case in self.cases])

    def _why_not(self, case, engine):
        found = self.results.get((*case, engine))
        return found if isinstance(found, str) else "not run"

    def native_table(self):
        """Calls from C, Python's part, and bytes a second."""
        rows = []
        for case in self.cases:
            for precision, size in _BYTES.items():
                engine = "fastnn_c" if precision == "float32" else f"fastnn_c:{precision}"
                if engine not in self.names:
                    continue
                found = self.medians(case, engine)
                row = [*map(str, case), precision]
                if not found:
                    rows.append([*row, self._why_not(case, engine), *[""] * 4])
                    continue
                python = self.medians(case, "fastnn:out") if precision == "float32" else None
                more = [a - b for a, b in zip(python, found, strict=True)] if python else None
                row.append(nanoseconds(statistics.median(found)))
                row.append(nanoseconds(statistics.median(more)) if more else "")
                rows.append([*row, *self._bytes_cells(case, found, size)])
        if not rows:
            return "Not measured.\n"
        header = [
            "network",
            "batch",
            "precision",
            "ns a call",
            "ns more through Python",
            "weights, GB/s",
            "reading, GB/s",
        ]
        return table([*header, "share"], rows)

    def _bytes_cells(self, case, medians, size):
        network, batch = case
        if batch != 1:
            return [""] * 3
        nbytes = self.sizes[network] * size // 4
        rate = nbytes / statistics.median(medians) / 1e3
        reading = self.readings[nbytes]
        if isinstance(reading, str):
            return [f"{rate:.1f}", reading, ""]
        roof = statistics.median(reading) / 1e9
        return [f"{rate:.1f}", f"{roof:.1f}", f"{rate / roof:.0%}"]

    def accuracy_table(self):
        """Correct answers in each precision."""
        rows = []
        for network, found in self.accuracies.items():
            if reason := found.get("unsupported") or found.get("error"):
                rows.append([network, reason.strip().splitlines()[-1], *[""] * 4])
                continue
            for precision, each in found.items():
                points = 100 * (each["accuracy"] - found["float32"]["accuracy"])
                what = f"mixed ({', '.join(each['layers'])})" if precision == "mixed" else precision
                row = [network, what, f"{each['accuracy']:.2%}", f"{points:+.2f}", str(each["changed"])]
                rows.append([*row, f"{each['difference']:.1e}"])
        header = ["network", "precision", "correct", "points to float32", "other class", "largest difference"]
        return table(header, rows)

    # ---- picture -----------------------------------------------------------------------------------------------------

    def picture(self, path):
        """Bars of fastnn/peer on a logarithmic scale, one panel for each batch."""
        from matplotlib.figure import Figure  # no pyplot: no display, no global state

        networks, batches = self.options.networks, self.options.batches
        figure = Figure(figsize=(max(7, 1.8 * len(networks)), 3.4 * len(batches)), layout="constrained")
        width = 0.85 / max(1, len(self.peers))
        for axes, batch in zip(figure.subplots(len(batches), squeeze=False)[:, 0], batches, strict=True):
            for number, peer in enumerate(self.peers):
                found = {
                    i + (number - (len(self.peers) - 1) / 2) * width: speed[0]
                    for i, network in enumerate(networks)
                    if (speed := self.speed((network, batch), "fastnn", peer))
                }
                heights = [value - 1 for value in found.values()]
                axes.bar(list(found) or 0, heights or 0, width, bottom=1, color=f"C{number}", label=self.names[peer])
            axes.axhline(1, color="black", linewidth=1)
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}×")
            axes.yaxis.set_minor_formatter(lambda value, _: f"{value:g}×" if f"{value:.0e}"[0] in "25" else "")
            axes.set_xticks(range(len(networks)), networks)
            axes.set_ylabel("fastnn / peer")
            axes.set_title(f"frozen(x), float32, one thread, batch {batch}", fontsize=10)
            axes.grid(axis="y", linewidth=0.3)
            axes.set_axisbelow(True)
        axes.legend(fontsize=7, ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.1))
        figure.savefig(path, dpi=130)


def microseconds(value):
    """3 digits: 0.412, 4.12, 41.2, 412, 4,123"""
    digits = 3 if value < 1 else 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:,.{digits}f}"


def nanoseconds(value):
    """Of microseconds."""
    return f"{1e3 * value:,.0f}"
