"""Random networks, each given by its name: ``random-SEED-NUMBER``."""

from dataclasses import replace

import numpy as np

from fastnn.cli.workloads import LOSSES, Optimizer, Workload
from fastnn.operations.activation import KERNELS

# Every name that `activation=` of a layer takes. gelu_tanh has none: it is gelu with an argument.
ACTIVATIONS = (*(each for each in KERNELS if each != "gelu_tanh"), "softmax")
# Rates at which no network of these diverges within a benchmark.
OPTIMIZERS = (
    Optimizer("sgd", 1e-3),
    Optimizer("sgd", 1e-4, momentum=0.9),
    Optimizer("sgd", 1e-4, momentum=0.9, nesterov=True),
    Optimizer("adam", 1e-4),
    Optimizer("adam", 1e-4, amsgrad=True),
)
WIDEST, LARGEST_BATCH, DEEPEST = 700, 300, 4
# An epoch is as long as its costs allow: the call of `fit` is to be a small part of a small network's epoch, and a
# large one's is to take a fraction of a second.
_STEPS = (8, 128)
_EPOCH_FLOPS, _EPOCH_FLOATS = 5e8, 4e6


def name_of(seed, number):
    """The name of one network."""
    return f"random-{seed}-{number}"


def named(name):
    """The network that a name means.

    Widths and batches are log-uniform, up to `WIDEST` and `LARGEST_BATCH`; there are one to `DEEPEST` hidden layers.
    Activation, optimizer, loss, batch normalisation and dropout are drawn evenly.

    Parameters
    ----------
    name : str

    Returns
    -------
    Workload

    Raises
    ------
    ValueError
        If it names no network.
    """
    kind, *numbers = name.split("-")
    if kind != "random" or len(numbers) != 2 or not all(each.isdecimal() for each in numbers):
        raise ValueError(f"Expected a name such as tiny or random-0-17. Received: {name!r}")
    rng = np.random.default_rng([int(each) for each in numbers])

    def size(low, high):
        return int(np.exp(rng.uniform(np.log(low), np.log(high + 1))))

    def one_of(choices):
        return choices[rng.integers(len(choices))]

    loss = one_of(list(LOSSES))
    batch_norm = bool(rng.integers(2))
    hidden = [size(1, WIDEST) for _ in range(rng.integers(1, DEEPEST + 1))]
    sizes = (size(1, WIDEST), *hidden, size(2 if LOSSES[loss][1] == "softmax" else 1, WIDEST))
    # PyTorch refuses to normalise a batch of one row.
    batch = size(2 if batch_norm else 1, LARGEST_BATCH)
    network = Workload(
        name,
        sizes,
        loss,
        one_of(OPTIMIZERS),
        batch,
        batch,
        activation=one_of(ACTIVATIONS),
        batch_norm=batch_norm,
        dropout=float(one_of((0.0, 0.0, 0.2, 0.5))),
    )
    longest = min(_EPOCH_FLOPS / (batch * network.flops_per_sample), _EPOCH_FLOATS / (batch * (sizes[0] + sizes[-1])))
    steps = int(np.clip(longest, *_STEPS))
    return replace(network, samples=batch * steps)
