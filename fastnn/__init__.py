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

from importlib import import_module as _import_module
from typing import TYPE_CHECKING

from fastnn._engine.runtime import get_threads, set_threads  # here: a broken installation says so at `import fastnn`

if TYPE_CHECKING:  # what `_HOMES` means, for type checkers and editors
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
    from fastnn._naming import name_scope
    from fastnn.config import get_include, get_library, show_config
    from fastnn.freeze import load_frozen
    from fastnn.graph import Tensor as KerasTensor
    from fastnn.initializers import Initializer
    from fastnn.interop import from_keras, from_onnx, from_torch
    from fastnn.layers import Input, InputSpec, Layer
    from fastnn.losses import Loss
    from fastnn.metrics import Metric
    from fastnn.models import Model, Sequential
    from fastnn.optimizers import Optimizer
    from fastnn.regularizers import Regularizer
    from fastnn.variables import Variable


def version():
    """Return the version of fastnn, as `__version__` does."""
    return __version__


# Modules that are imported when they are first asked for, and names with the module that has them: a program that only
# loads a predictor shall not wait for optimizers.
_MODULES = (
    "activations", "backend", "callbacks", "config", "constraints", "datasets", "eager", "export", "freeze", "graph",
    "initializers", "interop", "layers", "losses", "metrics", "models", "operations", "ops", "optimizers",
    "pretraining", "pruning", "random", "regularizers", "saving", "utils", "variables",
)  # fmt: skip
_HOMES = {
    "Initializer": "initializers",
    "Input": "layers",
    "InputSpec": "layers",
    "KerasTensor": "graph:Tensor",
    "Layer": "layers",
    "Loss": "losses",
    "Metric": "metrics",
    "Model": "models",
    "Optimizer": "optimizers",
    "Regularizer": "regularizers",
    "Sequential": "models",
    "Variable": "variables",
    "from_keras": "interop",
    "from_onnx": "interop",
    "from_torch": "interop",
    "get_include": "config",
    "get_library": "config",
    "load_frozen": "freeze",
    "name_scope": "_naming",
    "show_config": "config",
}


def __getattr__(name):
    if name in _MODULES:
        return _import_module(f"fastnn.{name}")
    if name not in _HOMES:
        here = _import_module("fastnn")  # for Python's "Did you mean"
        raise AttributeError(f"module 'fastnn' has no attribute {name!r}", name=name, obj=here)
    module, _, its_name = _HOMES[name].partition(":")
    found = getattr(_import_module(f"fastnn.{module}"), its_name or name)
    globals()[name] = found  # asked for once
    return found


def __dir__():
    return sorted({*globals(), *__all__} - {"TYPE_CHECKING"})


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
    "get_library",
    "get_threads",
    "initializers",
    "layers",
    "load_frozen",
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
