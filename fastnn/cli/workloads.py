"""The networks that every speed figure of fastnn is quoted on, as data.

``fastnn bench`` trains them, and so does ``benchmarks/``, which the package does not contain.
"""

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
    amsgrad: bool = False

    def made_by(self, keras):
        """As an object of fastnn or of Keras."""
        if self.kind == "adam":
            return keras.optimizers.Adam(self.learning_rate, epsilon=self.epsilon, amsgrad=self.amsgrad)
        return keras.optimizers.SGD(self.learning_rate, momentum=self.momentum, nesterov=self.nesterov)


SGD = Optimizer("sgd", 0.01)
NESTEROV = Optimizer("sgd", 0.01, momentum=0.9, nesterov=True)
ADAM = Optimizer("adam", 0.001)

# Of each loss: its name in Keras, and the activation of the outputs that it is the loss of.
LOSSES = {
    "mse": ("mean_squared_error", None),
    "crossentropy": ("sparse_categorical_crossentropy", "softmax"),
    "dense_crossentropy": ("categorical_crossentropy", "softmax"),
    "binary_crossentropy": ("binary_crossentropy", "sigmoid"),
}
# Those that pass on about half of the signal's power: He's initialisation gives it back.
_HALVING = {"relu", "leaky_relu", "elu", "softplus", "silu", "gelu", "mish"}


@dataclass(frozen=True)
class Workload:
    """A dense network, how it is trained, and how many samples an epoch of the benchmark has.

    With ``batch_norm`` the input and every hidden activation are batch-normalised, so that each dense layer reads
    normalised values: BN, Dense, activation, BN, Dense, ... With ``dropout`` each dense layer but the first loses that
    share of what it reads. The last layer has the activation that belongs to the loss (`LOSSES`).

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
    dropout: float = 0.0

    @property
    def steps(self):
        """Training steps in an epoch."""
        return self.samples // self.batch

    @property
    def initializer(self):
        """The kernels' initializer, so that signals keep their size through every depth."""
        return "he_normal" if self.activation in _HALVING else "lecun_normal"

    @property
    def layers(self):
        """(inputs, outputs, activation) of each dense layer. The last has None: what follows is part of the loss."""
        hidden = [None if self.activation == "linear" else self.activation] * (len(self.sizes) - 2)
        return [(k, n, each) for (k, n), each in zip(pairwise(self.sizes), [*hidden, None], strict=True)]

    @property
    def flops_per_sample(self):
        """Multiplications and additions of the three matrix products; the first layer needs no input gradient."""
        products = [k * n for k, n, _ in self.layers]
        return 2 * (3 * sum(products) - products[0])

    def data(self, samples=None, seed=0):
        """Standard-normal float32 inputs, with normal targets or classes, each as often as the others.

        Returns
        -------
        x : ndarray of float32, shape (samples, sizes[0])
        y : ndarray
            For "crossentropy" int64 classes, of shape (samples,); for the other losses float32, of shape
            (samples, sizes[-1]): normal for "mse", one-hot for "dense_crossentropy", 0 and 1 for "binary_crossentropy".
        """
        samples = samples or self.samples
        outputs = self.sizes[-1]
        rng = np.random.default_rng(seed)
        x = rng.standard_normal((samples, self.sizes[0]), dtype=np.float32)
        if self.loss == "mse":
            return x, rng.standard_normal((samples, outputs), dtype=np.float32)
        if self.loss == "binary_crossentropy":
            return x, rng.integers(0, 2, (samples, outputs)).astype(np.float32)
        classes = rng.permutation(np.arange(samples) % outputs)
        return x, classes if self.loss == "crossentropy" else np.eye(outputs, dtype=np.float32)[classes]

    def made_by(self, keras, activate_outputs=True):
        """As a Sequential model of fastnn or of Keras; its outputs may be left as they come: logits."""
        layers = [keras.Input((self.sizes[0],))]
        for i, (_, units, activation) in enumerate(self.layers):
            if self.batch_norm:
                layers.append(keras.layers.BatchNormalization())
            if self.dropout and i:
                layers.append(keras.layers.Dropout(self.dropout))
            if i == len(self.layers) - 1 and activate_outputs:
                activation = LOSSES[self.loss][1]
            layers.append(keras.layers.Dense(units, activation=activation, kernel_initializer=self.initializer))
        return keras.Sequential(layers)


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
