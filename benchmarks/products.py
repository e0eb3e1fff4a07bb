"""The matrix products of dense layers beside the BLAS that NumPy carries: ``python -m benchmarks.products``.

Writes ``products.md`` into ``docs/`` (or ``--out``) and prints it: every size of `benchmarks.gemm`, in all three forms,
and the slowest against BLAS first.
"""

import argparse
import shlex
import statistics
import sys
from pathlib import Path

from benchmarks import ROOT
from benchmarks.client import Client
from benchmarks.gemm import FORMS, LIBRARIES, SHAPES
from benchmarks.measure import ratio
from benchmarks.render import table, times
from benchmarks.report import machine

ASKED_BELOW_64, ASKED = 1.5, 1.0


def parse(arguments):
    parser = argparse.ArgumentParser(prog="python -m benchmarks.products", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.02, help="of one library in one round, or one product")
    parser.add_argument("--out", type=Path, default=ROOT / "docs")
    options = parser.parse_args(arguments)
    if options.rounds < 1:
        parser.error(f"--rounds must be at least 1. Received: {options.rounds}")
    return options


def measured(client, rounds, seconds, progress):
    """GFLOP/s of both libraries: ``{(shape, form): {"fastnn": rates, "numpy": rates}}``."""
    results = {}
    for shape in SHAPES:
        progress(f"products: {'x'.join(map(str, shape))}")
        for form in FORMS:
            rates = results[shape, form] = {library: [] for library in LIBRARIES}
            # The round that is thrown away warms both up and finds their numbers of repetitions.
            for i in range(rounds + 1):
                for library in LIBRARIES[:: -1 if i % 2 else 1]:
                    answer = client.ask("gemm", library, form, *shape, seconds)
                    if "error" in answer:
                        raise SystemExit(f"{library}, {form} {shape}: {answer['error']}")
                    rates[library] += [answer["gflops"]] * (i > 0)
    return results


def page(results, about, options, blas):
    """Everything as Markdown."""
    ratios = {key: ratio(rates["fastnn"], rates["numpy"]) for key, rates in results.items()}
    behind = sorted((each, key) for key, each in ratios.items() if each[0] < _asked(key[0]))
    lines = [
        "# Matrix products\n",
        f"Made by `{about['command'].strip()}` on {about['date']}; not edited by hand.\n",
        f"- Processor: {about['processor']}",
        f"- System: {about['system']}",
        f"- Load: {about['load']}",
        f"- NumPy's BLAS: {blas}\n",
        "The three products of a dense layer on one thread, as training computes them, beside NumPy's `dot` into an "
        "array that is there (small ones as a stack, so that Python's part of a call does not count). Both take turns "
        f"in each of {options.rounds} rounds; a ratio is taken within each round, and its median shown: above 1 fastnn "
        "is faster.\n",
        f"Wanted are {ASKED_BELOW_64} for layers of less than 64 inputs and outputs, and {ASKED:g} elsewhere. "
        f"{len(behind)} of {len(ratios)} have less:\n",
        table(
            ["rows × inputs × outputs", "product", "fastnn/BLAS", "over the rounds"],
            [[_name(key[0]), FORMS[key[1]], times(each[0]), f"{times(each[1])} to {times(each[2])}"]
             for each, key in behind],
        ) if behind else "",
        "GFLOP/s of fastnn / of BLAS (ratio):\n",
        table(
            ["rows × inputs × outputs", *FORMS.values(), "worst ratio"],
            [
                [_name(shape), *(_cell(results[shape, form], ratios[shape, form]) for form in FORMS),
                 f"**{times(min(ratios[shape, form][0] for form in FORMS))}**"]
                for shape in SHAPES
            ],
        ),
    ]  # fmt: skip
    return "\n".join(lines)


def _asked(shape):
    return ASKED_BELOW_64 if max(shape[1:]) < 64 else ASKED


def _name(shape):
    return "×".join(map(str, shape))


def _cell(rates, each):
    ours, theirs = (statistics.median(rates[library]) for library in LIBRARIES)
    return f"{ours:.3g} / {theirs:.3g} ({times(each[0])})"


def blas_of_numpy():
    import numpy as np

    found = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return f"{found['name']} {found['version']}, NumPy {np.__version__}"


def main(arguments=None):
    options = parse(arguments)
    about = machine()
    about["command"] = "python -m benchmarks.products " + shlex.join(sys.argv[1:] if arguments is None else arguments)
    with Client("fastnn", threads=1) as client:
        if client.missing:
            raise SystemExit(client.missing)
        results = measured(
            client, options.rounds, options.seconds, lambda line: print(line, file=sys.stderr, flush=True)
        )
    text = page(results, about, options, blas_of_numpy())
    print(text)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "products.md").write_text(text, encoding="utf-8")
    print(f"written: {options.out / 'products.md'}", file=sys.stderr)


if __name__ == "__main__":
    main()
