"""One call of each engine's predictor: one group for each network and batch."""

import pytest

from benchmarks.engines import PREDICTORS
from benchmarks.workloads import INFERENCE, INFERENCE_BATCHES

SECONDS = 0.05  # of one measured run: as many calls as fit


@pytest.mark.parametrize("engine", PREDICTORS)
@pytest.mark.parametrize("batch", INFERENCE_BATCHES)
@pytest.mark.parametrize("network", INFERENCE)
def test_latency(timed, clients, network, batch, engine):
    answer = timed(
        f"predict {network} batch {batch}",
        lambda each: each["median_us"] * 1e-6,
        clients(engine),
        "latency",
        network,
        batch,
        SECONDS,
        rounds=3,
    )
    assert answer["median_us"] <= answer["p99_us"]
