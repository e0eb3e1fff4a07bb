"""The page of `benchmarks.embedded_peers`."""

import statistics

from benchmarks.embedded_sizes import WAYS as SIZED
from benchmarks.embedded_ways import FLAGS, OWN
from benchmarks.measure import ratio
from benchmarks.render import table, times

_LOADED = "RTNeural dynamic"  # what comes from a file, as our images do


def page(networks, results, sizes, about):
    """Tables, and what they say.

    Parameters
    ----------
    networks : dict of str to Workload
    results : dict
        Network to way to a list of the median nanoseconds of each round, or why there are none.
    sizes : dict or str
        Of `embedded_sizes.measured`.
    about : dict
    """
    parts = [
        "# Networks in C\n",
        f"Made by `{about['command'].strip()}` on {about['date']}; not edited by hand.\n",
        f"- Processor: {about['processor']}\n- System: {about['system']}\n- Load: {about['load']}\n"
        + "".join(f"- {each}\n" for each in about["versions"]),
        "One answer after the other, from C, of the same network with the same weights and the same input, which lie "
        "in the cache; one thread of one process, and in every round all take turns. Outputs are compared with float64 "
        "first. Figures are medians over the rounds; a ratio is taken within each round, and its median shown: above 1 "
        f"fastnn is faster. Everything is compiled with `{' '.join(FLAGS[1:])}`, and RTNeural with AVX2 alone, too, "
        "which its own build file would choose. `export_c` and RTNeural's static models know all sizes when they are "
        "compiled, emlearn's and RTNeural's dynamic ones read them; `fastnn.h` runs a file. RTNeural answers in memory "
        "of its own; the others write where they are told to.\n",
        "## Beside the fastest peer, the worst first\n",
        "Compiled in, `export_c` beside all peers:\n",
        _worst(results, "export_c", lambda way: way not in OWN),
        "From a file, `fastnn.h` beside RTNeural's dynamic models:\n",
        _worst(results, "fastnn.h", lambda way: way.startswith(_LOADED)),
        "## Nanoseconds of an answer\n",
        _nanoseconds(networks, results),
        "## Flash and RAM on Cortex-M\n",
        "Bytes of a linked program with the network beyond one without: code, tables and what it needs of the C "
        "library (`-Os`, sections that nobody uses thrown away, newlib-nano); RAM without the stack and without inputs "
        "and outputs. RTNeural needs C++'s standard library and a heap, and is not built here.\n",
        _sizes(sizes),
    ]
    return "\n".join(parts)


def _worst(results, way, is_peer):
    """Each network's ratio to the fastest of some peers."""
    rows = []
    for name, found in results.items():
        peers = {each: statistics.median(ns) for each, ns in found.items() if is_peer(each) and isinstance(ns, list)}
        if not peers or isinstance(found[way], str):
            continue
        best = min(peers, key=peers.get)
        median, low, high = ratio(found[best], found[way])
        rows.append((median, [name, best, f"**{times(median)}**", f"{times(low)} to {times(high)}"]))
    if not rows:
        return "No ratios: no peer was there.\n"
    return table(
        ["network", "fastest peer", "fastnn's speed over it", "over the rounds"], [row for _, row in sorted(rows)]
    )


def _nanoseconds(networks, results):
    """Every way on every network, the fastest peer in bold; ways that are there for none have no column."""
    ways = list(next(iter(results.values())))
    measured = {way for found in results.values() for way in ways if isinstance(found[way], list)}
    missing = {way: next(iter(results.values()))[way] for way in ways if way not in measured}
    rows, notes = [], {}
    for name, found in results.items():
        peers = [statistics.median(ns) for way, ns in found.items() if way not in OWN and isinstance(ns, list)]
        row = [f"{name}: {'-'.join(map(str, networks[name].sizes))} {_activations(networks[name])}".rstrip()]
        for way in ways:
            if way in missing:
                continue
            if isinstance(found[way], str):
                notes.setdefault(way, []).append(f"{name}: {found[way]}")
                row.append("-")
                continue
            median = statistics.median(found[way])
            row.append(f"**{median:,.0f}**" if way not in OWN and median == min(peers) else f"{median:,.0f}")
        rows.append(row)
    text = table(["network", *(each for each in ways if each not in missing)], rows)
    notes |= {way: [why] for way, why in missing.items()}
    lines = "".join(f"- {way}: {'; '.join(whys)}\n" for way, whys in notes.items())
    return text + (f"\nNot measured:\n\n{lines}" if notes else "")


def _activations(workload):
    last = {"mse": "", "binary_crossentropy": "sigmoid", "crossentropy": "softmax"}[workload.loss]
    hidden = workload.activation if len(workload.sizes) > 2 else ""
    return ", ".join(filter(None, [hidden, last]))


def _sizes(sizes):
    if isinstance(sizes, str):
        return f"Not measured: {sizes}.\n"
    rows = []
    for (name, processor), found in sizes.items():
        cells = [
            found[way] if isinstance(found[way], str) else f"{found[way][0]:,} + {found[way][1]:,}" for way in SIZED
        ]
        rows.append([name, processor, *cells])
    return table(["network", "processor", *(f"{way}: flash + RAM" for way in SIZED)], rows)
