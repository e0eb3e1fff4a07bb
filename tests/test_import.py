"""`import fastnn` stays light: NumPy, and nothing that is only needed later."""

import json
import sys

from harness.process import run_python

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


def test_the_public_names_exist():
    import fastnn

    for name in fastnn.__all__:
        assert getattr(fastnn, name) is not None
    with_lists = fastnn.layers, fastnn.losses, fastnn.metrics, fastnn.callbacks, fastnn.datasets, fastnn.models
    for module in with_lists:
        for name in module.__all__:
            assert getattr(module, name) is not None
