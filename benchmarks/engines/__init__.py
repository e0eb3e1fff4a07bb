"""One module for each library that is timed, all with a name and functions of the same names.

``NAME``
    What tables call it.
``available()``
    Can it be imported here?
``version()``
    What runs, in words.

Those of `ENGINES` train:

``unsupported(workload)``
    Why the library cannot express this network, or None.
``train(workload, x, y, threads)``
    Build and compile; return ``run(epochs)``, which trains on with reshuffled data and returns the last epoch's mean
    loss. Each way is the fastest that the library's public API was measured to have.

Those of `PREDICTORS` predict:

``predictor(network, x, threads, variant)``
    For a `benchmarks.latency_network.Network` return a function and its arguments, so that ``function(*arguments)`` are
    the outputs for the float32 rows `x`, in the fastest way that the library's public API was measured to have. The
    variant is what follows the colon in `PREDICTORS`, or an empty string. If the function has a method
    ``times``, that is what measures it: ``function.times(*arguments, seconds)``, nanoseconds of single calls.

A module imports its library inside its functions, so that a missing one can be named in the report.
"""

import importlib
import importlib.metadata
import importlib.util

ENGINES = ("fastnn", "pytorch", "torch_compile", "keras_jax", "keras_tensorflow", "sklearn", "jax")
OWN_PREDICTORS = (
    *("fastnn", "fastnn:out", "fastnn:float16", "fastnn:int8"),
    *("fastnn_c", "fastnn_c:float16", "fastnn_c:int8"),
)
PREDICTORS = (*OWN_PREDICTORS, "onnxruntime", "litert", "openvino", "pytorch", "torch_compile", "numpy")


def load(engine):
    """The module of an engine, and its variant: what follows a colon in the name, or an empty string."""
    known = dict.fromkeys((*ENGINES, *PREDICTORS))
    if engine not in known:
        raise ValueError(f"engine must be one of {', '.join(known)}. Received: {engine!r}")
    module, _, variant = engine.partition(":")
    return importlib.import_module(f"benchmarks.engines.{module}"), variant


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
