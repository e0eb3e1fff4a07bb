"""An epoch of training through each engine's public API: one group for each workload."""

import math

import pytest

from benchmarks.engines import ENGINES
from benchmarks.workloads import TRAINING

SECONDS = 0.2  # of one measured run: as many epochs as fit


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("workload", TRAINING)
def test_epoch(timed, ask, clients, workload, engine):
    client = clients(engine)
    ask(client, "prepare", workload, SECONDS)
    try:
        answer = timed(f"train {workload}", lambda each: each["seconds"] / each["epochs"], client, "run", workload)
    finally:
        client.ask("drop", workload)
    assert math.isfinite(answer["loss"])


@pytest.mark.parametrize("engine", [each for each in ENGINES if each != "fastnn"])
@pytest.mark.parametrize("workload", ["tiny", "tabular256", "bookbn256", "deepselu"])
def test_every_engine_trains_the_same(ask, clients, workload, engine):
    """After equally many epochs on the same data the losses agree, but for their random initial weights."""
    losses = {}
    for each in ("fastnn", engine):
        client = clients(each)
        ask(client, "prepare", workload, 0)  # no time: one epoch a run
        losses[each] = ask(client, "run", workload)["loss"]
        client.ask("drop", workload)
    assert losses[engine] == pytest.approx(losses["fastnn"], rel=0.1)
