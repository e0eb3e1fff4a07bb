"""The page and the picture of `benchmarks.sweep`."""

import statistics

import numpy as np

from benchmarks.render import table, times

_WORST = 20
_WIDE_LANES, _WIDE_BATCH = 0.8, 16  # of networks whose time should be that of their products
_QUANTILES = {"slowest": 0, "5 %": 0.05, "25 %": 0.25, "median": 0.5, "75 %": 0.75, "95 %": 0.95, "fastest": 1}


def markdown(measured, where, failed, versions, about, options):
    """Everything, the slowest networks first.

    Parameters
    ----------
    measured : list of benchmarks.sweep.Measured
    where : dict of int to dict
        `benchmarks.sweep.parts` of the inefficient networks, by number.
    failed : dict
        Name of a network to what went wrong.
    versions, about : dict
    options : Namespace
        ``networks, rounds, seconds``
    """
    inefficient = sorted((each for each in measured if each.is_inefficient), key=lambda each: each.efficiency)
    parts = [
        "# Random networks\n",
        f"Made by `{about['command'].strip()}` on {about['date']}; not edited by hand.\n",
        "\n".join(
            [
                f"- Processor: {about['processor']}",
                f"- System: {about['system']}",
                f"- Load: {about['load']}",
                *(f"- {name}: {version}" for name, version in versions.items()),
            ]
        )
        + "\n",
        f"{len(measured)} random networks of `benchmarks/networks.py`, trained by `fit` and by PyTorch's eager loop "
        f"on one thread, in {options.rounds} rounds of about {options.seconds:g} s in which they take turns. Above 1 "
        "fastnn is faster.\n",
        "![fastnn's speed over PyTorch's](sweep.png)\n",
        summary(measured, inefficient),
        f"## The {min(_WORST, len(measured))} slowest against PyTorch\n",
        networks_table(_by_ratio(measured)[:_WORST]),
        "## Far below the efficiency of the nearest workload\n",
        "Fewer than 75 % of the GFLOP/s of the workload that is nearest in flops per step and in batch. Flops are "
        "those of the products alone; the last column says what else there is to do. *Lanes* is how much of the "
        "vectors' work the products can use: layers of few units leave the rest empty at any speed.\n",
        networks_table(inefficient, where) if inefficient else "None.\n",
        "## By kind\n",
        *kinds_tables(measured),
    ]
    if failed:
        parts += ["## Not measured\n", table(["network", "why"], [list(each) for each in failed.items()])]
    parts += ["## All, the slowest first\n", networks_table(_by_ratio(measured))]
    return "\n".join(parts)


def _by_ratio(measured):
    return sorted(measured, key=lambda each: each.ratio[0])


def summary(measured, inefficient):
    """Quantiles of the ratio, and how many networks are below what they should reach."""
    ratios = [each.ratio[0] for each in measured]
    slower = sum(ratio < 1 for ratio in ratios)
    wide = [each for each in measured if each.network.batch >= _WIDE_BATCH and lanes_used(each.network) >= _WIDE_LANES]
    quantiles = [times(float(each)) for each in np.quantile(ratios, list(_QUANTILES.values()))]
    return (
        f"**Slower than PyTorch: {slower} of {len(ratios)}** ({slower / len(ratios):.1%}). Below 75 % of the nearest "
        f"workload's GFLOP/s: {len(inefficient)}; {sum(each in inefficient for each in wide)} of the {len(wide)} that "
        f"have batches of {_WIDE_BATCH} and more and can use {_WIDE_LANES:.0%} of the lanes.\n\n"
        + table(list(_QUANTILES), [quantiles])
    )


def networks_table(measured, where=None):
    """One row for each network; with `where`, what takes most of its step."""
    header = ["N", "network", "batch", "loss", "optimizer", "fastnn/PyTorch", "over the rounds", "µs/step", "GFLOP/s"]
    header += ["of the nearest's", "lanes"]
    rows = [_row(each) for each in measured]
    if where is None:
        return table(header, rows)
    return table([*header, "most of the time"], [[*row, _most(where[int(row[0])])] for row in rows])


def _most(shares):
    """The parts that make up two thirds of a step, at least."""
    found, total = [], 0.0
    for kind, share in shares.items():
        if total < 2 / 3:
            found.append(f"{kind} {share:.0%}")
        total += share
    return ", ".join(found)


def _row(each):
    network, (median, low, high) = each.network, each.ratio
    return [
        str(each.number),
        description(network),
        str(network.batch),
        network.loss,
        optimizer_name(network.optimizer),
        f"**{times(median)}**" if median < 1 else times(median),
        f"{times(low)} to {times(high)}",
        f"{each.step_us:.1f}",
        f"{each.gflops:.1f}",
        f"{each.efficiency:.0%} {each.nearest}",
        f"{lanes_used(network):.0%}",
    ]


def description(network):
    """``96-33-7 elu, batch norm, dropout 0.2``"""
    parts = ["-".join(map(str, network.sizes)) + f" {network.activation}"]
    parts += ["batch norm"] * network.batch_norm + [f"dropout {network.dropout:g}"] * bool(network.dropout)
    return ", ".join(parts)


def optimizer_name(rule):
    """``Nesterov``, ``AMSGrad``, ..."""
    if rule.kind == "adam":
        return "AMSGrad" if rule.amsgrad else "Adam"
    return "Nesterov" if rule.nesterov else "momentum" if rule.momentum else "SGD"


def lanes_used(network):
    """Share of the products' vector lanes that columns fill: outputs forward and in the weights' gradient, inputs in
    the inputs' gradient."""
    from fastnn._engine.runtime import vector_floats

    def padded(n):
        return -(-n // vector_floats()) * vector_floats()

    used = done = 0
    for i, (k, n, _) in enumerate(network.layers):
        used += k * n * (3 if i else 2)
        done += 2 * k * padded(n) + (padded(k) * n if i else 0)
    return used / done


def kinds_tables(measured):
    """How the networks of each activation, optimizer, ... fare: where a whole kind is slow, its kernel is."""
    kinds = {
        "activation": lambda network: network.activation,
        "optimizer": lambda network: optimizer_name(network.optimizer),
        "loss": lambda network: network.loss,
        "batch normalisation": lambda network: "yes" if network.batch_norm else "no",
        "dropout": lambda network: "yes" if network.dropout else "no",
        "hidden layers": lambda network: str(len(network.sizes) - 2),
    }
    for kind, of in kinds.items():
        groups = {}
        for each in measured:
            groups.setdefault(of(each.network), []).append(each)
        rows = [
            [
                name,
                str(len(group)),
                times(min(each.ratio[0] for each in group)),
                times(statistics.median(each.ratio[0] for each in group)),
                f"{statistics.median(each.efficiency for each in group):.0%}",
            ]
            for name, group in sorted(groups.items())
        ]
        yield table([kind, "networks", "slowest", "median", "GFLOP/s of the nearest's, median"], rows)


def picture(measured, path):
    """Flops per step against the ratio, both on logarithmic axes; named where fastnn is slower."""
    from matplotlib.figure import Figure  # no pyplot: no display, no global state

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    groups = {
        "batch 1 to 16": [each for each in measured if each.network.batch <= 16],
        "batch 17 to 64": [each for each in measured if 16 < each.network.batch <= 64],
        "batch 65 to 300": [each for each in measured if each.network.batch > 64],
    }
    for label, group in groups.items():
        axes.scatter([each.step_flops for each in group], [each.ratio[0] for each in group], s=14, label=label)
    below = [each for each in measured if each.is_inefficient]
    axes.scatter(
        [each.step_flops for each in below],
        [each.ratio[0] for each in below],
        s=60,
        facecolors="none",
        edgecolors="0.6",
        linewidths=0.7,
        label="below 75 % of the nearest workload's GFLOP/s",
    )
    for each in measured:
        if each.ratio[0] < 1:
            axes.annotate(str(each.number), (each.step_flops, each.ratio[0]), color="red", fontsize=8)
    axes.axhline(1, color="black", linewidth=1)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}×")
    axes.set_xlabel("flops per training step")
    axes.set_ylabel("fastnn / PyTorch")
    axes.set_title(f"Training speed of {len(measured)} random networks over PyTorch's, one thread", fontsize=10)
    axes.grid(linewidth=0.3)
    axes.set_axisbelow(True)
    axes.legend(fontsize=7)
    figure.savefig(path, dpi=130)
