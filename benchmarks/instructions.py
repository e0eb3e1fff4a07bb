"""How many instructions does a training step take? Counted, so the same on a busy machine as on an idle one.

    python -m benchmarks.instructions             # count, and print beside the last record
    python -m benchmarks.instructions --record    # ... and add to benchmarks/instructions.json
    python -m benchmarks.instructions --check     # fail if a workload takes over 3 % more than in the last record

Valgrind's callgrind runs fastnn on one thread, with the AVX2 kernels because it does not know AVX-512, and counts what
runs between the entry of `fnn_execute` and its return: no Python. A count says nothing of caches and of instructions
that wait for each other, so it finds what became longer, not what became slower. Compilers differ by more than 3 %:
records of another compiler, or of another major version of it, are not compared with.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from datetime import date
from pathlib import Path

from benchmarks import ROOT
from benchmarks.workloads import TRAINING

HISTORY = Path(__file__).with_suffix(".json")
ALLOWED = 0.03  # growth from the last record
INSTRUCTION_SET = "avx2"
# Valgrind computes every fused multiply-add in software, and `large` would take minutes a step. With a quarter of its
# widths it still takes several of the kernels' blocks.
WORKLOADS = {**TRAINING, "large": replace(TRAINING["large"], sizes=(256, 512, 512, 250))}
# The more steps, the less weighs what a call has beside its steps: some hundred instructions.
STEPS = {"tiny": 32, "tabular": 8, "tabular256": 2}


def train():
    """What valgrind watches: one call of the executor for each workload, in their order."""
    from benchmarks.engines import fastnn

    for name, workload in WORKLOADS.items():
        x, y = workload.data(workload.batch * STEPS.get(name, 1))
        fastnn.train(workload, x, y, threads=1)(1)


def count():
    """Instructions of one training step, by workload."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "callgrind")
        command = [
            "valgrind",
            "--tool=callgrind",
            f"--callgrind-out-file={out}",
            "--dump-after=fnn_execute",
            "--toggle-collect=fnn_execute",
            # Within it, now and then, by the clock, Python is asked for signals. Toggled twice, that is not counted.
            "--toggle-collect=*poll_signals*",
        ]
        done = subprocess.run(
            [*command, sys.executable, "-m", "benchmarks.instructions", "--train"],
            cwd=ROOT,
            env={**os.environ, "FASTNN_CPU": INSTRUCTION_SET, "OPENBLAS_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise SystemExit(f"{done.stdout}{done.stderr}\nCounting failed: see above.")
        dumps = [Path(f"{out}.{i + 1}") for i in range(len(WORKLOADS) + 1)]
        if [dump.exists() for dump in dumps] != [True] * len(WORKLOADS) + [False]:
            raise SystemExit(f"Expected {len(WORKLOADS)} calls of fnn_execute. Counted: {sorted(os.listdir(folder))}")
        totals = [int(re.search(r"^totals: (\d+)", dump.read_text(), re.MULTILINE)[1]) for dump in dumps[:-1]]
    return {name: round(total / STEPS.get(name, 1)) for name, total in zip(WORKLOADS, totals, strict=True)}


def _valgrind_works():
    """It may be too old for the processor or the C library, or miss the latter's symbols."""
    command = ["valgrind", "--tool=none", sys.executable, "-c", ""]
    return shutil.which("valgrind") is not None and subprocess.run(command, capture_output=True).returncode == 0


def comparable(history, compiler):
    """The last record by the same major version of the same compiler, or None."""
    return next((each for each in reversed(history) if _major(each["compiler"]) == _major(compiler)), None)


def _major(compiler):
    return compiler.split(".")[0]


def compare(counts, record):
    """A table of counts beside a record's, and the workloads that grew by more than is allowed.

    Parameters
    ----------
    counts : dict of str to int
    record : dict or None

    Returns
    -------
    table : str
    grown : list of str
    """
    before = record["instructions_per_step"] if record else {}
    lines, grown = [f"{'workload':12} {'instructions/step':>18} {'before':>14} {'change':>9}"], []
    for name, now in counts.items():
        then = before.get(name)
        if then and now > then * (1 + ALLOWED):
            grown.append(name)
        known = f"{then:14,} {now / then - 1:+9.2%}" if then else f"{'-':>14}"
        lines.append(f"{name:12} {now:18,} {known}{'  <--' if name in grown else ''}")
    return "\n".join(lines), grown


def _commit():
    def git(*arguments):
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True).stdout.strip()

    changed = git("status", "--porcelain", "--", "csrc", "fastnn", "setup.py")
    return git("rev-parse", "--short", "HEAD") + ("+changes" if changed else "")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--record", action="store_true", help="add the counts to benchmarks/instructions.json")
    action.add_argument("--check", action="store_true", help="exit with 1 if a workload takes more than recorded")
    action.add_argument("--train", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.train:
        train()
        return

    from fastnn._engine import runtime

    if not _valgrind_works() or INSTRUCTION_SET not in runtime.isas():
        print(f"Cannot count: needs a valgrind that runs here, and a processor with {INSTRUCTION_SET}.")
        sys.exit(0 if arguments.check else 1)
    history = json.loads(HISTORY.read_text()) if HISTORY.exists() else []
    record = comparable(history, runtime.COMPILER)
    counts = count()
    table, grown = compare(counts, record)
    print(table)
    if record is None:
        print(f"Cannot compare: no record was made with {_major(runtime.COMPILER)}.")
    else:
        print(f"Before: {record['commit']} of {record['date']}, {record['compiler']}. Now: {runtime.COMPILER}.")
    if arguments.record:
        entry = {"commit": _commit(), "date": date.today().isoformat(), "compiler": runtime.COMPILER}
        history.append({**entry, "instructions_per_step": counts})
        HISTORY.write_text(json.dumps(history, indent=1) + "\n")
    elif arguments.check and grown:
        sys.exit(
            f"More than {ALLOWED:.0%} above the record: {', '.join(grown)}. If that buys speed, show it with "
            "`python -m benchmarks.report` and record it: `python -m benchmarks.instructions --record`."
        )


if __name__ == "__main__":
    main()
