"""fastnn through its C interface: what is left of a call without Python."""

from benchmarks import latency_native
from benchmarks.engines import fastnn, installed

NAME = "fastnn, from C"
version = fastnn.version


def available():
    return installed("fastnn") and latency_native.compiler() is not None


def predictor(network, x, threads, variant):
    """Variants: the precisions of `freeze`. fastnn_run has no threads."""
    import tempfile
    from pathlib import Path

    import numpy as np

    frozen = network.model().freeze(precision=variant or "float32")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "network.fnn")
        frozen.save(path)
        session = latency_native.Session(path, len(x))
    return session, (x, np.empty((len(x), network.workload.sizes[-1]), np.float32))
