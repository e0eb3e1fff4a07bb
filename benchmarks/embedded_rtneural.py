"""Networks in RTNeural, a header library for C++: its two ways on each of its three backends.

A static model (``ModelT``) has all sizes as template parameters, a dynamic one reads them from a file. Both get their
weights as RTNeural publishes: from JSON, in the form that its exporter for Keras writes. The input lies where vectors
may be loaded from, and nobody copies the outputs, as its documentation has it.
"""

import ctypes
import json
import os
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from benchmarks.embedded_ways import Function, compiled

_NATIVE, _AVX = ("-march=native",), ("-mavx2", "-mfma")
# Name -> its macro, where its headers lie in RTNeural's sources, the instructions it may use, and what it aligns to.
# The two of AVX2 are what RTNeural's own CMake file has as RTNEURAL_USE_AVX; for Eigen 32 is the most that it knows.
BACKENDS = {
    "Eigen": ("RTNEURAL_USE_EIGEN", "modules/Eigen", _NATIVE, 32),
    "Eigen, AVX2": ("RTNEURAL_USE_EIGEN", "modules/Eigen", _AVX, 32),
    "xsimd": ("RTNEURAL_USE_XSIMD", "modules/xsimd/include", _NATIVE, 64),
    "xsimd, AVX2": ("RTNEURAL_USE_XSIMD", "modules/xsimd/include", _AVX, 32),
    "STL": ("RTNEURAL_USE_STL", ".", _NATIVE, 16),
}
FLAGS = (
    *("-std=c++17", "-O3", "-fno-semantic-interposition"),
    "-DEIGEN_STACK_ALLOCATION_LIMIT=0",  # static models are large objects, but not on a stack
)
_ACTIVATIONS = {"relu": "ReLu", "tanh": "Tanh", "sigmoid": "Sigmoid", "softmax": "Softmax", "elu": "ELu"}

_HEAD = """\
#include <RTNeural/RTNeural.h>
#include <cstdint>
#include <memory>
"""
_NETWORK = """
static RTNeural::{model} static{i}_model;
static std::unique_ptr<RTNeural::Model<float>> dynamic{i}_model;
extern "C" {{
void load{i}(const char *text) {{
    const auto json = nlohmann::json::parse(text);
    static{i}_model.parseJson(json);
    dynamic{i}_model = RTNeural::json_parser::parseJson<float>(json);
}}
int static{i}(void *, const float *x, std::int64_t, float *) {{
    static{i}_model.forward(x);
    return 0;
}}
int dynamic{i}(void *, const float *x, std::int64_t, float *) {{
    dynamic{i}_model->forward(x);
    return 0;
}}
const float *static{i}_outputs() {{ return static{i}_model.getOutputs(); }}
const float *dynamic{i}_outputs() {{ return dynamic{i}_model->getOutputs(); }}
}}
"""


def version(folder):
    """RTNeural and its version."""
    try:
        return "RTNeural " + re.search(r"RTNeural VERSION ([0-9.]+)", Path(folder, "CMakeLists.txt").read_text())[1]
    except (OSError, TypeError):
        return "RTNeural of unknown version"


def compiler():
    """The C++ compiler to use, or None."""
    return next(filter(None, map(shutil.which, (os.environ.get("CXX") or "c++", "g++", "clang++"))), None)


def ways(folder, networks, progress):
    """Compile every network for every backend, several at a time: that takes minutes.

    Parameters
    ----------
    folder : path-like or None
        RTNeural's sources, with those of its submodules.
    networks : dict of str to Network
    progress : callable
        Is given a line of text now and then.

    Returns
    -------
    dict
        Way to ``{network: callable}``, or to why there is none.
    """
    progress("compiling RTNeural")
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        libraries = pool.map(lambda backend: _library(folder, backend, networks.values()), BACKENDS)
    found = {}
    for backend, library in zip(BACKENDS, libraries, strict=True):
        for kind in ("static", "dynamic"):
            way = f"RTNeural {kind}, {backend}"
            if isinstance(library, str):
                found[way] = library
                continue
            found[way] = {
                each: Function(library, f"{kind}{i}", _outputs(library, f"{kind}{i}_outputs"))
                for i, each in enumerate(networks)
            }
    return found


def _library(folder, backend, networks):
    """All networks on one backend, with their weights loaded; or why not."""
    if folder is None:
        return "no sources: see --rtneural"
    macro, headers, instructions, alignment = BACKENDS[backend]
    include = Path(folder, headers).resolve()
    if not include.is_dir():
        return f"missing: no {headers} in RTNeural's folder"
    defined = (f"-D{macro}=1", f"-DRTNEURAL_DEFAULT_ALIGNMENT={alignment}")
    flags = (*FLAGS, *instructions, *defined, f"-I{Path(folder).resolve()}", f"-I{include}")
    try:
        library = compiled(compiler(), flags, _source(networks), ".cpp")
    except OSError as error:
        return f"missing: {error}".splitlines()[0]
    for i, network in enumerate(networks):
        getattr(library, f"load{i}")(_json(network).encode())
    return library


def _source(networks):
    return _HEAD + "".join(_NETWORK.format(i=i, model=_model(each)) for i, each in enumerate(networks))


def _model(network):
    parts = []
    for kernel, bias, activation in network.layers:
        parts.append(f"DenseT<float, {kernel.shape[0]}, {len(bias)}>")
        if activation is not None:
            parts.append(f"{_ACTIVATIONS[activation]}ActivationT<float, {len(bias)}>")
    sizes = network.workload.sizes
    return f"ModelT<float, {sizes[0]}, {sizes[-1]}, {', '.join(f'RTNeural::{each}' for each in parts)}>"


def _json(network):
    layers = [
        {
            "type": "dense",
            "activation": activation or "",
            "shape": [None, len(bias)],
            "weights": [kernel.tolist(), bias.tolist()],
        }
        for kernel, bias, activation in network.layers
    ]
    return json.dumps({"in_shape": [None, network.workload.sizes[0]], "layers": layers})


def _outputs(library, name):
    function = getattr(library, name)
    function.restype = ctypes.POINTER(ctypes.c_float)

    def copied(y):
        y[...] = np.ctypeslib.as_array(function(), y.shape)

    return copied
