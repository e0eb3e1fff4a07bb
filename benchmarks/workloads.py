"""The networks that engines are compared on: the eight of `fastnn.cli.workloads`, and random ones."""

from dataclasses import replace

from benchmarks import networks
from fastnn.cli.workloads import ADAM, NESTEROV, SGD, TRAINING, Optimizer, Workload

__all__ = ["ADAM", "INFERENCE", "INFERENCE_BATCHES", "NESTEROV", "SGD", "TRAINING", "Optimizer", "Workload", "find"]

INFERENCE = {
    each.name: each
    for each in (
        TRAINING["tiny"],
        TRAINING["tabular"],
        replace(TRAINING["book"], name="bookrelu", batch_norm=True),
        replace(TRAINING["bookbn"], name="bookelu"),
        replace(TRAINING["large"], name="largebn", batch_norm=True),
    )
}
INFERENCE_BATCHES = (1, 16, 256)


def find(name):
    """The workload to train that a name means: one of `TRAINING`, or a random one of `benchmarks.networks`."""
    return TRAINING[name] if name in TRAINING else networks.named(name)
