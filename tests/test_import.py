"""`import fastnn` stays light: NumPy, and nothing that is only needed later."""

import ast
import graphlib
import inspect
import json
import sys
from pathlib import Path

import pytest

import fastnn
from harness.process import run_python

PACKAGE = Path(fastnn.__file__).parent

LATER = [
    "tqdm",
    "tabulate",
    "matplotlib",
    "pooch",
    "scipy",
    "pandas",
    "numpy.random",
    "numpy.ma",
    "argparse",
    "multiprocessing",
]


def modules(code):
    script = f"import json, sys; {code}; print(json.dumps(sorted(sys.modules)))"
    return set(json.loads(run_python(script, check=True).stdout))


def test_nothing_heavy_is_imported():
    added = modules("import fastnn") - modules("import numpy")
    assert not added & set(LATER)
    # What is not ours comes from the standard library.
    foreign = {name.split(".")[0] for name in added} - {"fastnn"} - set(sys.stdlib_module_names)
    assert not {name for name in foreign if not name.startswith(("_cython", "cython"))}


def test_the_package_alone_brings_the_engine_and_nothing_else():
    own = {name for name in modules("import fastnn") if name.startswith("fastnn")}
    assert own == {"fastnn", "fastnn._engine", "fastnn._engine.runtime"}


def test_what_is_asked_for_is_there():
    """Each in a process of its own that has imported nothing else of the package, so whatever comes first works."""
    script = """
import os, sys
import fastnn
public = sorted({*fastnn.__all__, *fastnn._MODULES})
for name in public:
    child = os.fork()
    if child == 0:
        try:
            found = getattr(fastnn, name)
            assert getattr(fastnn, name) is found
            os._exit(0)
        except BaseException as error:
            print(name, repr(error), flush=True)
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0, name
from fastnn import *
assert layers.Dense is fastnn.layers.Dense and Sequential is fastnn.models.Sequential
import fastnn.layers
assert fastnn.layers is layers and "Sequential" in dir(fastnn)
"""
    done = run_python(script)
    assert done.returncode == 0, done.stdout + done.stderr


def test_any_module_may_be_the_first():
    """Of those rooms that a command or a file opens before anything else has been imported."""
    script = """
import importlib, os
import fastnn
for name in ("lowering.formula", "lowering.builder", "lowering.memory", "lowering.primitives", "export",
             "freeze", "freeze.quantize", "freeze.image", "interop.onnx_writer", "eager", "saving", "graph"):
    child = os.fork()
    if child == 0:
        try:
            importlib.import_module(f"fastnn.{name}")
            os._exit(0)
        except BaseException as error:
            print(name, repr(error), flush=True)
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0, name
"""
    done = run_python(script)
    assert done.returncode == 0, done.stdout + done.stderr


def imported_at_once():
    """Which modules of the package each of them imports before anything of it is called, by the sources."""
    sources = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        sources[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    edges = {}
    for name, path in sources.items():
        edges[name] = set()
        for each in ast.parse(path.read_text()).body:
            found = []
            if isinstance(each, ast.Import):
                found = [alias.name for alias in each.names]
            elif isinstance(each, ast.ImportFrom):
                whole = [f"{each.module}.{alias.name}" for alias in each.names]
                found = [one if one in sources else each.module for one in whole]
            for one in found:  # a package comes before what is in it, unless it is on its way already
                parts = one.split(".")
                above = [".".join(parts[: i + 1]) for i in range(len(parts))]
                edges[name] |= {each for each in above if each in sources and not f"{name}.".startswith(f"{each}.")}
    return edges


def test_no_module_imports_itself_by_a_detour():
    try:
        graphlib.TopologicalSorter(imported_at_once()).prepare()
    except graphlib.CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


def test_what_operations_are_built_on_knows_none_of_them():
    """The layers of docs/architecture.md, from the top: what imports a lower one is never imported by it."""
    edges = imported_at_once()
    lower = {f"fastnn.lowering.{name}" for name in ("primitives", "formula", "layout", "cost", "memory")}
    lower |= {"fastnn.lowering", "fastnn.graph", "fastnn._tree", "fastnn._revision"}
    assert lower <= set(edges)
    for name in lower:
        assert {each for each in edges[name] if not each.startswith("fastnn._engine")} <= lower, name
    upper = ("fastnn.layers", "fastnn.models", "fastnn.training")
    for name in edges:
        if name.startswith("fastnn.operations"):
            assert not {each for each in edges[name] if each.startswith(upper)}, name


def test_who_serves_imports_neither_layers_nor_training():
    added = modules("import fastnn; fastnn.load_frozen") - modules("import fastnn")
    rooms = {name.split(".")[1] for name in added if name.startswith("fastnn.")}
    assert rooms <= {"_engine", "_revision", "_tree", "freeze", "lowering", "training"}
    assert {name for name in added if name.startswith("fastnn.training.")} <= {"fastnn.training.data"}  # checks arrays
    assert {name for name in added if name.startswith("fastnn.lowering.")} <= {
        "fastnn.lowering.cost",
        "fastnn.lowering.layout",
    }


def test_type_checkers_are_told_the_same_names():
    import fastnn

    tree = ast.parse(inspect.getsource(fastnn))
    (told,) = (each for each in tree.body if isinstance(each, ast.If) and each.test.id == "TYPE_CHECKING")
    homes = {alias.asname or alias.name: (each.module, alias.name) for each in told.body for alias in each.names}
    here = {name for name, value in vars(fastnn).items() if inspect.isroutine(value)}
    assert set(homes) | here >= set(fastnn.__all__)
    for name, (module, its_name) in homes.items():
        __import__(module if module != "fastnn" else f"fastnn.{its_name}")
        assert getattr(fastnn, name) is getattr(sys.modules[module], its_name)


def test_an_unknown_name_is_no_attribute():
    import fastnn

    with pytest.raises(AttributeError, match="module 'fastnn' has no attribute 'Seqential'"):
        fastnn.Seqential
    with pytest.raises(ImportError, match="Seqential"):
        from fastnn import Seqential  # noqa: F401


def test_the_public_names_exist():
    import fastnn

    for name in fastnn.__all__:
        assert getattr(fastnn, name) is not None
    with_lists = fastnn.layers, fastnn.losses, fastnn.metrics, fastnn.callbacks, fastnn.datasets, fastnn.models
    for module in with_lists:
        for name in module.__all__:
            assert getattr(module, name) is not None


def test_what_is_not_here_is_explained():
    import fastnn

    with pytest.raises(AttributeError, match=r"'Conv2D': fastnn has the layers of dense networks") as caught:
        fastnn.layers.Conv2D
    assert caught.value.name == "Conv2D"
    assert caught.value.obj is fastnn.layers
    assert not hasattr(fastnn.layers, "LSTM")
    assert "TYPE_CHECKING" not in dir(fastnn)
