"""One call of each engine's predictor: one group for each network and batch."""

import pytest

from benchmarks.engines import ENGINES
from benchmarks.workloads import INFERENCE, INFERENCE_BATCHES


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("batch", INFERENCE_BATCHES)
@pytest.mark.parametrize("workload", INFERENCE)
def test_latency(timed, clients, workload, batch, engine):
    calls = 20 if workload == "largebn" else 200
    answer = timed(
        f"predict {workload} batch {batch}",
        lambda each: each["median_us"] * 1e-6,
        clients(engine),
        "latency",
        workload,
        batch,
        calls,
        rounds=3,
    )
    assert answer["median_us"] <= answer["p99_us"]
