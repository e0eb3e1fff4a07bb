"""One module for each library that is timed, all with a name and the same five functions.

``NAME``
    What tables call it.
``available()``
    Can it be imported here?
``version()``
    What runs, in words.
``unsupported(workload)``
    Why the library cannot express this network, or None.
``train(workload, x, y, threads)``
    Build and compile; return ``run(epochs)``, which trains on with reshuffled data and returns the last epoch's mean
    loss. Each way is the fastest that the library's public API was measured to have.
``predictor(workload, batch, threads)``
    Return ``predict(x)`` from `batch` rows of float32 to NumPy outputs (logits or probabilities, as is natural there).

A module imports its library inside its functions, so that a missing one can be named in the report.
"""

import importlib
import importlib.metadata
import importlib.util

ENGINES = ("fastnn", "pytorch", "torch_compile", "keras_jax", "keras_tensorflow", "sklearn", "jax")


def load(engine):
    """The module of one engine."""
    if engine not in ENGINES:
        raise ValueError(f"engine must be one of {', '.join(ENGINES)}. Received: {engine!r}")
    return importlib.import_module(f"benchmarks.engines.{engine}")


def installed(*modules):
    """Can all these be imported?"""
    return all(importlib.util.find_spec(each) is not None for each in modules)


def beyond(workload, activations=("relu", "elu", "selu")):
    """Why an engine cannot train this network if it was written for those of `TRAINING` alone, or None."""
    if workload.activation not in activations:
        return f"no {workload.activation}"
    if workload.loss not in ("mse", "crossentropy"):
        return f"no {workload.loss}"
    return "no dropout" if workload.dropout else "no amsgrad" if workload.optimizer.amsgrad else None


def versions(*distributions):
    """Names and versions: ``keras 3.15.1, jax 0.10.2``."""
    return ", ".join(f"{each} {importlib.metadata.version(each)}" for each in distributions)
