"""The networks that every speed figure of fastnn is quoted on, as data."""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np


@dataclass(frozen=True)
class Optimizer:
    """An update rule with the defaults of Keras: ``kind`` is "sgd" or "adam" (betas 0.9 and 0.999)."""

    kind: str
    learning_rate: float
    momentum: float = 0.0
    nesterov: bool = False
    epsilon: float = 1e-7


SGD = Optimizer("sgd", 0.01)
NESTEROV = Optimizer("sgd", 0.01, momentum=0.9, nesterov=True)
ADAM = Optimizer("adam", 0.001)


@dataclass(frozen=True)
class Workload:
    """A dense network, how it is trained, and how many samples an epoch of the benchmark has.

    With ``batch_norm`` the input and every hidden activation are batch-normalised, so that each dense layer reads
    normalised values: BN, Dense, activation, BN, Dense, ... The last layer is linear under ``loss="mse"`` and softmax
    under ``loss="crossentropy"``.

    ``samples`` is a multiple of 32 full batches where an epoch is that long, so that no peer has to compile a second
    shape for a partial batch, and small enough that the slowest peer's epoch takes about a second.
    """

    name: str
    sizes: tuple[int, ...]
    loss: str
    optimizer: Optimizer
    batch: int
    samples: int
    activation: str = "relu"
    batch_norm: bool = False

    @property
    def steps(self):
        """Training steps in an epoch."""
        return self.samples // self.batch

    @property
    def initializer(self):
        """The kernels' initializer, so that signals keep their size through every depth."""
        return "lecun_normal" if self.activation == "selu" else "he_normal"

    @property
    def layers(self):
        """(inputs, outputs, activation) of each dense layer; the last activation is None: logits or linear."""
        hidden = [self.activation] * (len(self.sizes) - 2)
        return [(k, n, each) for (k, n), each in zip(pairwise(self.sizes), [*hidden, None], strict=True)]

    @property
    def flops_per_sample(self):
        """Multiplications and additions of the three matrix products; the first layer needs no input gradient."""
        products = [k * n for k, n, _ in self.layers]
        return 2 * (3 * sum(products) - products[0])

    def data(self, samples=None, seed=0):
        """Standard-normal float32 inputs, with normal float32 targets or int64 classes, each as often as the others.

        Returns
        -------
        x : ndarray of shape (samples, sizes[0])
        y : ndarray of shape (samples,) for "crossentropy", (samples, sizes[-1]) for "mse"
        """
        samples = samples or self.samples
        rng = np.random.default_rng(seed)
        x = rng.standard_normal((samples, self.sizes[0]), dtype=np.float32)
        if self.loss == "mse":
            return x, rng.standard_normal((samples, self.sizes[-1]), dtype=np.float32)
        return x, rng.permutation(np.arange(samples) % self.sizes[-1])


_BOOK = (784, 300, 100, 10)
_BOOKBN = Workload("bookbn", _BOOK, "crossentropy", NESTEROV, batch=32, samples=4096, activation="elu", batch_norm=True)

TRAINING = {
    each.name: each
    for each in (
        Workload("tiny", (8, 16, 16, 1), "mse", SGD, batch=32, samples=16384),
        Workload("tabular", (32, 64, 64, 10), "crossentropy", ADAM, batch=32, samples=16384),
        Workload("tabular256", (32, 64, 64, 10), "crossentropy", ADAM, batch=256, samples=65536),
        Workload("book", _BOOK, "crossentropy", ADAM, batch=32, samples=4096),
        _BOOKBN,
        replace(_BOOKBN, name="bookbn256", batch=256, samples=8192),
        Workload("deepselu", (784, *[100] * 20, 10), "crossentropy", SGD, batch=32, samples=2048, activation="selu"),
        Workload("large", (1024, 2048, 2048, 1000), "crossentropy", ADAM, batch=256, samples=1024),
    )
}

INFERENCE = {
    each.name: each
    for each in (
        TRAINING["tiny"],
        TRAINING["tabular"],
        replace(TRAINING["book"], name="bookrelu", batch_norm=True),
        replace(_BOOKBN, name="bookelu"),
        replace(TRAINING["large"], name="largebn", batch_norm=True),
    )
}
INFERENCE_BATCHES = (1, 16, 256)
