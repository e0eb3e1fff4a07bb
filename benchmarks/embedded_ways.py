"""Networks compiled from C: fastnn's ways and emlearn's. All have the same compiler and flags."""

import ctypes
import functools
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from benchmarks import latency_native

# The last: a program's own functions are called directly, and not by way of a shared library's table.
FLAGS = ("-std=gnu11", "-O3", "-march=native", "-fno-semantic-interposition")


class Function:
    """A C function ``int run(void *, const float *x, int64_t rows, float *y)`` for one row, to call and to time.

    Parameters
    ----------
    library : ctypes.CDLL
    name : str
    outputs : callable, optional
        Copies what the last call has answered into an array, for networks that keep it; then `y` is not written to.
    """

    def __init__(self, library, name="run", outputs=None):
        self._library = library
        self._run = ctypes.cast(getattr(library, name), ctypes.c_void_p)
        self._outputs = outputs

    def __call__(self, x, y):
        self._timed(x, y, 1, 1)
        if self._outputs is not None:
            self._outputs(y)
        return y

    def times(self, x, y, seconds):
        """Nanoseconds of single calls; see `latency_native.looks`."""
        return latency_native.looks(functools.partial(self._timed, x, y), seconds)

    def _timed(self, x, y, repeat, count):
        nanoseconds = np.empty(count, np.int64)
        if status := latency_native.compiled().time_runs(self._run, None, x, 1, y, repeat, count, nanoseconds):
            raise RuntimeError(f"the network answers with status {status}")
        return nanoseconds


def compiled(compiler, flags, source, suffix=".c"):
    """A source as a loaded library.

    Raises
    ------
    OSError
        If there is no compiler, or it does not compile.
    """
    if compiler is None:
        raise OSError("no compiler")
    with tempfile.TemporaryDirectory() as folder:
        path, library = Path(folder, f"run{suffix}"), Path(folder, "run.so")
        path.write_text(source, encoding="utf-8")
        command = [compiler, *flags, "-w", path, "-shared", "-fPIC", "-o", library, "-lm"]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise OSError(f"it does not compile: {done.stderr[:1000]}")
        return ctypes.CDLL(str(library))


def _from_c(source, call, include=()):
    flags = (*FLAGS, *(f"-I{each}" for each in include))
    run = f"int run(void *unused, const float *x, int64_t rows, float *y) {{ {call} }}"
    return Function(compiled(latency_native.compiler(), flags, f"#include <stdint.h>\n{source}\n{run}\n"))


def exported_source(network, precision):
    """fastnn's export to C as one text: ``void net_predict(const float *x, float *y)``."""
    from fastnn.export import export_c

    with tempfile.TemporaryDirectory() as folder:
        source, header = export_c(
            network.model().freeze(), Path(folder, "net.c"), precision=precision, name="net"
        ).files
        text = source.read_text(encoding="utf-8")
        return text.replace('#include "net.h"', header.read_text(encoding="utf-8"))


def exported(network, precision):
    return _from_c(exported_source(network, precision), "net_predict(x, y); return 0;")


def in_image(network):
    """fastnn's C interface."""
    with tempfile.TemporaryDirectory() as folder:
        network.model().freeze().save(Path(folder, "net.fnn"))
        return latency_native.Session(Path(folder, "net.fnn"), 1)


def emlearn_source(network):
    """emlearn's float network: a table of layers that its `eml_net.h` walks.

    Its other way, "inline", would have code of its own for each layer, but fails in version 0.23.2, and calls the same
    loops over outputs and inputs.

    Returns
    -------
    source, call, include : str, str, sequence
        The second answers `x` in `y` and returns 0; the third are folders of headers.
    """
    import emlearn
    from emlearn import net

    activations = [{None: "identity", "sigmoid": "logistic"}.get(each, each) for _, _, each in network.layers]
    kernels, biases = ([layer[i] for layer in network.layers] for i in range(2))
    inputs, outputs = network.workload.sizes[0], network.workload.sizes[-1]
    source = net.c_generate_net_loadable(activations, kernels, biases, prefix="net")
    return source, f"return net_regress(x, {inputs}, y, {outputs});", (emlearn.includedir,)


def emlearn(network):
    return _from_c(*emlearn_source(network))


# Name -> what makes a callable of a network.
OWN = {
    "export_c": functools.partial(exported, precision="float32"),
    "export_c, int8": functools.partial(exported, precision="int8"),
    "fastnn.h": in_image,
}
WAYS = {**OWN, "emlearn": emlearn}


def compiler_version():
    """The C compiler's, in words."""
    if latency_native.compiler() is None:
        return "no C compiler"
    done = subprocess.run([latency_native.compiler(), "--version"], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[0]
