"""The Markdown tables and the picture of `benchmarks.report`."""

import statistics
from dataclasses import dataclass

from benchmarks.measure import ratio
from benchmarks.workloads import TRAINING


@dataclass(frozen=True)
class Report:
    """What was measured, and how to show it.

    Attributes
    ----------
    results : dict
        Of `measure.training`.
    names : dict
        Engine to the name in tables, fastnn first.
    versions : dict
        Name to what ran, or why nothing did.
    about : dict
        Machine, date, command.
    options : Namespace
        ``workloads, threads, rounds, seconds``
    """

    results: dict
    names: dict
    versions: dict
    about: dict
    options: object

    @property
    def peers(self):
        return [each for each in self.names if each != "fastnn"]

    def rates(self, workload, engine, threads):
        """The measured rates, or None."""
        found = self.results[workload, engine, threads]
        return found if isinstance(found, list) else None

    def ratios(self, workload, threads):
        """{peer: (median, smallest, largest) of fastnn/peer} for the peers that ran."""
        ours = self.rates(workload, "fastnn", threads)
        if ours is None:
            return {}
        theirs = {peer: self.rates(workload, peer, threads) for peer in self.peers}
        return {peer: ratio(ours, rates) for peer, rates in theirs.items() if rates is not None}

    def markdown(self):
        """All tables, as a page that says how it was made."""
        parts = [
            "# Benchmarks\n",
            f"Made by `{self.about['command'].strip()}` on {self.about['date']}; not edited by hand.\n",
            "\n".join(
                [
                    f"- Processor: {self.about['processor']}",
                    f"- System: {self.about['system']}",
                    f"- Load: {self.about['load']}",
                    *(f"- {name}: {version}" for name, version in self.versions.items()),
                ]
            )
            + "\n",
            "Samples/s are over whole epochs through each library's public API, shuffling included, on the networks of "
            "`fastnn/cli/workloads.py`. Every engine has a process of its own, pinned to as many processors as it has "
            "threads, compiled and warm. One runs at a time, and in each of the "
            f"{self.options.rounds} rounds all take turns for about {self.options.seconds:g} s. Rates are medians over "
            "the rounds; a ratio is taken within each round, and its median shown: above 1 fastnn is faster.\n",
            "![fastnn's speed over that of each peer](benchmarks.png)\n",
            "## In short\n",
            self.summary_table(),
        ]
        for threads in self.options.threads:
            parts += [f"## Training, {_threads(threads)}\n", self.training_table(threads), self.worst_table(threads)]
        return "\n".join(parts)

    def summary_table(self):
        """fastnn's steps, its ratio to the best peer at each thread count, and what more threads bring."""
        base, *others = self.options.threads
        rows = []
        for workload in self.options.workloads:
            ours, row = self.rates(workload, "fastnn", base), [workload]
            rate = None if ours is None else statistics.median(ours)
            row.append("" if rate is None else f"{1e6 * TRAINING[workload].batch / rate:,.1f}")
            row.append("" if rate is None else f"{rate * TRAINING[workload].flops_per_sample / 1e9:.1f}")
            for threads in self.options.threads:
                ratios = self.ratios(workload, threads)
                best = min(ratios, key=lambda peer: ratios[peer][0], default=None)
                row.append(f"**{times(ratios[best][0])}** {self.names[best]}" if best else "")
            for threads in others:
                more = self.rates(workload, "fastnn", threads)
                row.append("" if ours is None or more is None else _with_range(ratio(more, ours)))
            rows.append(row)
        header = ["workload", f"µs/step, {_threads(base)}", "GFLOP/s"]
        header += [f"against the best peer, {_threads(each)}" for each in self.options.threads]
        return table([*header, *(f"fastnn, {_threads(each)} against {base}" for each in others)], rows)

    def training_table(self, threads):
        """Samples/s, and in brackets how many times as fast fastnn is."""
        rows = []
        for workload in self.options.workloads:
            ratios = self.ratios(workload, threads)
            row = [workload, self._own_cell(workload, threads)]
            for peer in self.peers:
                rates = self.rates(workload, peer, threads)
                if rates is None:
                    row.append(self.results[workload, peer, threads])
                elif peer in ratios:
                    row.append(f"{short(statistics.median(rates))} ({times(ratios[peer][0])})")
                else:
                    row.append(short(statistics.median(rates)))
            worst = min(ratios, key=lambda peer: ratios[peer][0], default=None)
            row.append(f"**{times(ratios[worst][0])}** {self.names[worst]}" if worst else "")
            rows.append(row)
        return table(["workload", "fastnn", *(self.names[each] for each in self.peers), "worst ratio"], rows)

    def worst_table(self, threads):
        """The best peer of each workload, the worst ratio first, with its range over the rounds."""
        rows = []
        for workload in self.options.workloads:
            if ratios := self.ratios(workload, threads):
                worst = min(ratios, key=lambda peer: ratios[peer][0])
                rows.append((*ratios[worst], workload, self.names[worst]))
        if not rows:
            return "No ratios: fastnn, or every peer, is missing.\n"
        return table(
            ["worst first", "best peer", "fastnn/peer", "over the rounds"],
            [
                [workload, peer, f"{times(median)}", f"{times(low)} to {times(high)}"]
                for median, low, high, workload, peer in sorted(rows)
            ],
        )

    def picture(self, path):
        """Bars of fastnn/peer on a logarithmic scale, one panel for each thread count; below 1 they are hatched."""
        from matplotlib.figure import Figure  # no pyplot: no display, no global state

        counts, workloads = self.options.threads, self.options.workloads
        figure = Figure(figsize=(max(7, 1.6 * len(workloads)), 4.2 * len(counts)), layout="constrained")
        for axes, threads in zip(figure.subplots(len(counts), squeeze=False)[:, 0], counts, strict=True):
            bars = [bar for i, peer in enumerate(self.peers) for bar in self._draw_peer(axes, i, peer, threads)]
            axes.axhline(1, color="black", linewidth=1)
            axes.set_yscale("log")
            axes.margins(y=0.12)
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}×")
            axes.set_xticks(range(len(workloads)), workloads)
            axes.set_ylabel("fastnn / peer")
            axes.set_title(f"Training speed of fastnn over each peer's, {_threads(threads)}", fontsize=10)
            axes.grid(axis="y", linewidth=0.3)
            axes.set_axisbelow(True)
            if self.peers:
                axes.legend(fontsize=7, ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.08))
            for bar in bars:  # after the legend, which shows a peer's first bar
                if bar.get_height() < 0:
                    bar.set(hatch="////", edgecolor="red")
            for i, workload in enumerate(workloads):
                if ratios := self.ratios(workload, threads):
                    worst = min(median for median, _, _ in ratios.values())
                    axes.annotate(
                        f"worst {times(worst)}",
                        (i, 0.99),
                        xycoords=("data", "axes fraction"),
                        ha="center",
                        va="top",
                        fontsize=8,
                        color="red" if worst < 1 else "0.2",
                    )
        figure.savefig(path, dpi=130)

    def _draw_peer(self, axes, number, peer, threads):
        """One bar for each workload that the peer ran, from 1 up or down; its range over the rounds as a line."""
        width = 0.85 / len(self.peers)
        found = {
            i + (number - (len(self.peers) - 1) / 2) * width: ratios[peer]
            for i, workload in enumerate(self.options.workloads)
            if peer in (ratios := self.ratios(workload, threads))
        }
        name = self.names[peer]
        if not found:
            axes.bar(0, 0, bottom=1, color="0.85", label=f"{name} ({self._absent(peer, threads)})")
            return []
        return axes.bar(
            list(found),
            [median - 1 for median, _, _ in found.values()],
            width,
            bottom=1,
            yerr=[[m - low for m, low, _ in found.values()], [high - m for m, _, high in found.values()]],
            error_kw={"elinewidth": 0.7, "ecolor": "0.3"},
            color=f"C{number}",
            label=name,
        )

    def _own_cell(self, workload, threads):
        rates = self.rates(workload, "fastnn", threads)
        if rates is None:
            return self.results[workload, "fastnn", threads]
        rate = statistics.median(rates)
        return f"{short(rate)}, {rate * TRAINING[workload].flops_per_sample / 1e9:.1f} GFLOP/s"

    def _absent(self, peer, threads):
        """Why a peer has no bar in any workload."""
        found = [self.results[workload, peer, threads] for workload in self.options.workloads]
        return "; ".join(dict.fromkeys(each for each in found if isinstance(each, str))) or "no fastnn to compare with"


def table(header, rows):
    """A Markdown table of strings."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _threads(count):
    return "one thread" if count == 1 else f"{count} threads"


def _with_range(ratio):
    median, low, high = ratio
    return f"{times(median)} ({times(low)} to {times(high)})"


def times(value):
    """2 or 3 digits: 0.95×, 1.32×, 12.3×, 154×"""
    return f"{value:.2f}×" if value < 10 else f"{value:.1f}×" if value < 100 else f"{value:.0f}×"


def short(value):
    """3 or 4 digits: 941, 17.6k, 12.6M"""
    for limit, unit in ((1e6, "M"), (1e4, "k")):
        if value >= limit:
            scaled = value / (1e6 if unit == "M" else 1e3)
            return f"{scaled:.1f}{unit}" if scaled < 100 else f"{scaled:.0f}{unit}"
    return f"{value:.0f}"
