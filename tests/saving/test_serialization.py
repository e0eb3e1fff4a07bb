"""Objects as configurations and back, beside Keras's."""

import json

import numpy as np
import pytest

import fastnn
from fastnn import layers, saving

# What only recent Keras has. A file without them opens in every Keras 3, and there at their defaults.
RECENT = {"quantization_config", "renorm", "renorm_clipping", "renorm_momentum"}

LAYERS = {
    "Dense": lambda L: L.Dense(3, "relu", kernel_initializer="he_normal", use_bias=False, name="d", trainable=False),
    "Dense, defaults": lambda L: L.Dense(3),
    "InputLayer": lambda L: L.InputLayer((3, 2), batch_size=5),
    "BatchNormalization": lambda L: L.BatchNormalization(momentum=0.9, center=False),
    "Normalization": lambda L: L.Normalization(),
    "Normalization, one": lambda L: L.Normalization(axis=None, invert=True),
    "Normalization, given": lambda L: L.Normalization(mean=[1.0, 2.0], variance=[1, 4]),
    "Rescaling": lambda L: L.Rescaling([1, 2], 0.5),
    "Activation": lambda L: L.Activation("tanh"),
    "ReLU": lambda L: L.ReLU(negative_slope=0.1),
    "LeakyReLU": lambda L: L.LeakyReLU(0.2),
    "ELU": lambda L: L.ELU(0.5),
    "Softmax": lambda L: L.Softmax(),
    "Flatten": lambda L: L.Flatten(),
    "Reshape": lambda L: L.Reshape((2, -1)),
    "Dropout": lambda L: L.Dropout(0.3, seed=3),
}


def through_json(config):
    return json.loads(json.dumps(config))


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
def test_layers_come_back(make):
    layer = make(layers)
    config = through_json(saving.serialize_keras_object(layer))
    again = saving.deserialize_keras_object(config)
    assert type(again) is type(layer)
    assert through_json(saving.serialize_keras_object(again)) == config
    assert type(layer).from_config(layer.get_config()).get_config() == layer.get_config()


def test_configurations_are_those_of_keras(keras):
    for k in keras, fastnn:
        k.utils.clear_session()
    for name, make in LAYERS.items():
        theirs = through_json(keras.saving.serialize_keras_object(make(keras.layers)))
        mine = through_json(saving.serialize_keras_object(make(layers)))
        missing = set(theirs["config"]) - set(mine["config"])
        assert missing <= RECENT, name
        theirs["config"] = {key: value for key, value in theirs["config"].items() if key not in missing}
        assert mine == theirs, name
        assert through_json(saving.serialize_keras_object(saving.deserialize_keras_object(theirs))) == mine, name
        keras.saving.deserialize_keras_object(mine)


def stack(k):
    L = k.layers
    return [L.Flatten(), L.BatchNormalization(), L.Dense(3, activation="elu"), L.Dropout(0.5), L.Dense(2)]


def test_sequential_configurations_are_those_of_keras(keras):
    configs = []
    for k, other in ((keras, fastnn), (fastnn, keras)):
        k.utils.clear_session()
        other.utils.clear_session()
        model = k.Sequential([k.Input((2, 3)), *stack(k)], name="m")
        config = through_json(k.saving.serialize_keras_object(model))
        config.pop("compile_config", None)
        again = other.saving.deserialize_keras_object(config)
        assert again.output_shape == (None, 2)
        assert [layer.name for layer in again.layers] == [layer.name for layer in model.layers]
        assert config["build_config"] == {"input_shape": [None, 2, 3]}
        # Keras builds layers without variables, too.
        configs.append(without(config, RECENT | {"shared_object_id", "build_config"}))
    assert configs[0] == configs[1]


def without(config, keys):
    if isinstance(config, dict):
        return {key: without(value, keys) for key, value in config.items() if key not in keys}
    return [without(each, keys) for each in config] if isinstance(config, list) else config


def test_functions_and_plain_things(keras):
    def mine(x):
        return x

    for obj in (
        None,
        1,
        2.5,
        "a",
        True,
        [1, (2, 3)],
        {"a": [1]},
        b"x",
        slice(1, None),
        ...,
        np.arange(3),
        np.float32(2),
    ):
        config = saving.serialize_keras_object(obj)
        assert config == keras.saving.serialize_keras_object(obj)
        again = saving.deserialize_keras_object(config)
        np.testing.assert_equal(again, [1, [2, 3]] if isinstance(obj, list) else obj)
    assert saving.serialize_keras_object(mine) == keras.saving.serialize_keras_object(mine)
    config = saving.serialize_keras_object(fastnn.losses.mean_squared_error)
    assert config == keras.saving.serialize_keras_object(keras.losses.mean_squared_error)
    assert saving.deserialize_keras_object(config) is fastnn.losses.mean_squared_error
    assert fastnn.losses.deserialize(config) is fastnn.losses.mean_squared_error
    with saving.custom_object_scope({"mine": mine}):
        assert saving.deserialize_keras_object(saving.serialize_keras_object(mine)) is mine
        assert fastnn.activations.get("mine") is mine
        dense = layers.Dense(3, mine)
        assert layers.Dense.from_config(through_json(dense.get_config())).activation is mine
    with pytest.raises(ValueError, match="mine"):
        fastnn.activations.get("mine")
    with pytest.raises(TypeError, match="Could not locate function 'mine'.*register_keras_serializable"):
        saving.deserialize_keras_object(saving.serialize_keras_object(mine))


class Plain(layers.Layer):
    def __init__(self, units, factor=2, **kwargs):
        super().__init__(**kwargs)
        self.inner = layers.Dense(units * factor)

    def call(self, inputs):
        return self.inner(inputs)


class NotPlain(layers.Layer):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner


class Scaled(layers.Dense):
    def __init__(self, units, factor, **kwargs):
        super().__init__(units, **kwargs)
        self.factor = factor

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


def test_layers_of_ones_own():
    plain = Plain(3, name="p", trainable=False)
    assert Plain.from_config(plain.get_config()).get_config() == plain.get_config()
    config = through_json(saving.serialize_keras_object(plain))
    assert config["registered_name"] == "Plain"
    with pytest.raises(TypeError, match="Could not locate class 'Plain'.*custom_objects"):
        saving.deserialize_keras_object(config)
    assert isinstance(saving.deserialize_keras_object(config, {"Plain": Plain}), Plain)
    with pytest.raises(NotImplementedError, match="(?s)NotPlain.*not plain numbers.*def get_config"):
        NotPlain(layers.Dense(2)).get_config()
    with pytest.raises(ValueError, match="Unrecognized keyword arguments passed to Scaled: {'no': 1}"):
        Scaled.from_config({"units": 1, "factor": 2, "no": 1})


def test_registered_classes():
    try:
        saving.register_keras_serializable("house", name="Big")(Scaled)
        assert saving.get_registered_name(Scaled) == "house>Big"
        assert saving.get_registered_object("house>Big") is Scaled
        model = fastnn.Sequential([fastnn.Input((2,)), Scaled(3, factor=7)])
        config = through_json(saving.serialize_keras_object(model))
        again = fastnn.utils.deserialize_keras_object(config)
        assert again.layers[0].factor == 7
        assert config["config"]["layers"][1]["registered_name"] == "house>Big"
    finally:
        saving.get_custom_objects().pop("house>Big", None)
    with pytest.raises(ValueError, match="get_config"):
        saving.register_keras_serializable()(type("Without", (), {}))


def test_scopes_nest_as_in_keras(keras):
    for k in keras, fastnn:
        outer, found = k.saving.CustomObjectScope({"a": 1, "b": 2}), k.saving.get_registered_object
        with outer:
            with k.saving.CustomObjectScope({"a": 3}):
                assert (found("a"), found("b")) == (3, None)
            assert (found("a"), found("b")) == (1, 2)
        assert found("a") is None


def test_options_that_only_keras_has():
    config = layers.BatchNormalization().get_config()
    assert layers.BatchNormalization.from_config({**config, "renorm": False, "renorm_momentum": 0.99}).axis == -1
    with pytest.raises(ValueError, match="BatchNormalization: fastnn has no `renorm`"):
        layers.BatchNormalization.from_config({**config, "renorm": True})


HOSTILE = [
    {"module": "os", "class_name": "system", "config": {}},
    {"module": "builtins", "class_name": "function", "config": "eval"},
    {"module": "builtins", "class_name": "function", "config": "deserialize"},
    {"module": "keras.layers", "class_name": "np", "config": {}},
    {"module": "keras.layers", "class_name": "__doc__", "config": {}},
    {"module": "keras.saving", "class_name": "function", "config": "load_model"},
    {"class_name": "__lambda__", "config": {"value": "x"}},
    {"class_name": ["Dense"], "config": {}},
    {"class_name": "Dense", "config": 3},
    {"class_name": "function", "config": {}},
    object(),
]


@pytest.mark.parametrize("config", HOSTILE, ids=range(len(HOSTILE)))
def test_what_is_no_configuration_is_refused(config):
    with pytest.raises((TypeError, ValueError)):
        saving.deserialize_keras_object(config, safe_mode=False)


def test_lambdas_are_not_saved():
    with pytest.raises(TypeError, match="lambda cannot be saved: a file holds names, never code"):
        saving.serialize_keras_object(layers.Dense(2, activation=lambda x: x))
