"""fastnn: a compact neural-network engine for dense networks on CPU.

Python describes a network, C computes it. The names are those of Keras 3::

    import fastnn

    (x, y), (x_test, y_test) = fastnn.datasets.digits.load_data()
    model = fastnn.Sequential([
        fastnn.Input((8, 8)),
        fastnn.layers.Flatten(),
        fastnn.layers.BatchNormalization(),
        fastnn.layers.Dense(300, activation="elu", kernel_initializer="he_normal"),
        fastnn.layers.BatchNormalization(),
        fastnn.layers.Dense(10, activation="softmax"),
    ])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, epochs=10, validation_split=0.1)
    frozen = model.freeze()
    probabilities = frozen(x_test)
"""

__version__ = "0.1.0"

from fastnn import (
    activations,
    backend,
    callbacks,
    config,
    constraints,
    datasets,
    initializers,
    layers,
    losses,
    metrics,
    models,
    ops,
    optimizers,
    pretraining,
    pruning,
    random,
    regularizers,
    saving,
    utils,
)
from fastnn._engine.runtime import get_threads, set_threads
from fastnn._naming import name_scope
from fastnn.config import get_include, show_config
from fastnn.graph import Tensor as KerasTensor
from fastnn.initializers import Initializer
from fastnn.layers import Input, InputSpec, Layer
from fastnn.losses import Loss
from fastnn.metrics import Metric
from fastnn.models import Model, Sequential
from fastnn.optimizers import Optimizer
from fastnn.regularizers import Regularizer
from fastnn.variables import Variable

# Names that are imported when they are asked for: what they need is not loaded by `import fastnn`.
_LATER = dict.fromkeys(("from_keras", "from_onnx", "from_torch"), "fastnn.interop")


def __getattr__(name):
    if name not in _LATER:
        raise AttributeError(f"module 'fastnn' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_LATER[name]), name)


def version():
    """Return the version of fastnn, as `__version__` does."""
    return __version__


__all__ = [
    "Initializer",
    "Input",
    "InputSpec",
    "KerasTensor",
    "Layer",
    "Loss",
    "Metric",
    "Model",
    "Optimizer",
    "Regularizer",
    "Sequential",
    "Variable",
    "activations",
    "backend",
    "callbacks",
    "config",
    "constraints",
    "datasets",
    "from_keras",
    "from_onnx",
    "from_torch",
    "get_include",
    "get_threads",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "models",
    "name_scope",
    "ops",
    "optimizers",
    "pretraining",
    "pruning",
    "random",
    "regularizers",
    "saving",
    "set_threads",
    "show_config",
    "utils",
    "version",
]
