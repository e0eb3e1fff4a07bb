"""Everything public can be asked about: documented, with a signature and a source, and pickled as a name."""

import importlib
import inspect
import pickle
import pydoc
import types

import pytest

import fastnn

ROOMS = (
    "activations backend callbacks config constraints datasets export freeze initializers interop layers losses "
    "metrics models optimizers optimizers.legacy optimizers.schedules pretraining pruning random regularizers saving "
    "utils"
).split()


@pytest.mark.parametrize("room", ["", *ROOMS])
def test_what_a_module_has_can_be_asked_about(room):
    module = importlib.import_module(f"fastnn.{room}".rstrip("."))
    assert set(module.__all__) <= set(dir(module))
    for name in module.__all__:
        found = getattr(module, name)
        if isinstance(found, types.ModuleType):
            continue
        assert inspect.getdoc(found), name
        assert found.__name__ in pydoc.plain(pydoc.render_doc(found)), name
        if not callable(found):
            continue
        inspect.signature(found)
        assert pickle.loads(pickle.dumps(found)) is found, name
        if name not in ("get_threads", "set_threads"):  # compiled
            assert inspect.getsource(found).lstrip().startswith(("class ", "def ", "@")), name


def test_functions_of_ops_can_be_asked_about():
    functions = {name: each for name, each in vars(fastnn.ops).items() if inspect.isfunction(each) and name[0] != "_"}
    assert len(functions) > 150
    for name, function in functions.items():
        assert inspect.getdoc(function), name
        inspect.signature(function)
        assert pickle.loads(pickle.dumps(function)) is function, name


def test_objects_show_what_they_are():
    """What a notebook writes of an object, and the names that it completes."""
    keras = fastnn
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="two")], name="small")
    for made, parts in (
        (model, ("Sequential", "small")),
        (model.layers[0], ("Dense", "two")),
        (model.layers[0].kernel, ("kernel", "(3, 2)")),
        (keras.optimizers.Adam(), ("Adam",)),
        (keras.losses.MeanSquaredError(), ("MeanSquaredError",)),
        (keras.metrics.AUC(), ("AUC",)),
    ):
        assert all(part in repr(made) for part in parts), repr(made)
        assert " at 0x" not in repr(made)
    assert {"kernel", "bias", "units", "activation"} <= set(dir(model.layers[0]))
    assert {"fit", "predict", "layers", "freeze"} <= set(dir(model))
    assert {"learning_rate", "iterations", "apply_gradients"} <= set(dir(keras.optimizers.Adam()))
