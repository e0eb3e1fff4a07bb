import json

import numpy as np
import pytest

from fastnn import backend, optimizers

CLASSES = list(optimizers._CLASSES)
OPTIONS = {
    "weight_decay": 0.1,
    "clipnorm": 1.0,
    "use_ema": True,
    "ema_momentum": 0.5,
    "ema_overwrite_frequency": 2,
    "loss_scale_factor": 2.0,
    "gradient_accumulation_steps": 2,
}


def keras_class(keras, cls):
    if cls is optimizers.Lamb:  # not in Keras's package yet
        return pytest.importorskip("keras.src.optimizers.lamb").Lamb
    return getattr(keras.optimizers, cls.__name__)


@pytest.mark.parametrize("cls", CLASSES)
def test_configuration_is_that_of_keras(keras, cls):
    theirs = keras_class(keras, cls)(name="mine", **OPTIONS).get_config()
    ours = cls(name="mine", **OPTIONS).get_config()
    assert set(ours) == set(theirs)
    for key, value in theirs.items():  # Keras keeps the learning rate as a float32
        assert ours[key] == (pytest.approx(value) if key == "learning_rate" else value)
    again = cls.from_config(theirs).get_config()
    assert again.pop("exclude_layers", []) == theirs.pop("exclude_layers", [])
    assert again == pytest.approx(theirs)


@pytest.mark.parametrize("cls", CLASSES)
def test_signature_is_that_of_keras(keras, cls):
    import inspect

    theirs = inspect.signature(keras_class(keras, cls).__init__).parameters
    ours = inspect.signature(cls.__init__).parameters
    assert [(p.name, p.default, p.kind) for p in ours.values()] == [
        (p.name, p.default, p.kind) for p in theirs.values()
    ]


def test_config_round_trip():
    for optimizer in (
        optimizers.SGD(0.1, momentum=0.9, nesterov=True, name="a"),
        optimizers.Adam(0.1, 0.8, 0.99, 1e-3, True, name="b"),
    ):
        config = json.loads(json.dumps(optimizers.serialize(optimizer)))
        again = optimizers.deserialize(config)
        assert type(again) is type(optimizer)
        assert again.get_config() == optimizer.get_config()


@pytest.mark.parametrize("cls", CLASSES)
def test_learning_rate(cls):
    optimizer = cls()
    assert optimizer.learning_rate == {"SGD": 0.01}.get(cls.__name__, 0.001)
    optimizer.learning_rate = np.float32(0.5)
    rate = optimizer.learning_rate
    assert isinstance(rate, float)
    assert np.atleast_2d(optimizer.hyper())[0, 0] == 0.5
    optimizer.lr *= 0.5
    assert optimizer.learning_rate == 0.25
    assert rate == rate.numpy() == backend.get_value(rate) == 0.5  # values, not references
    assert type(rate.numpy()) is np.float32
    optimizer.learning_rate.assign(0.125)
    assert optimizer.learning_rate == 0.125
    backend.set_value(optimizer.learning_rate, 0.0625)
    assert optimizer.lr == backend.get_value(optimizer.lr) == 0.0625
    assert cls(lr=0.125).learning_rate == 0.125
    assert cls(1).learning_rate == 1.0
    assert optimizer.iterations == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: optimizers.SGD("0.1"), "SGD expected `learning_rate` to be a number"),
        (lambda: optimizers.SGD(None), "`learning_rate`"),
        (lambda: optimizers.SGD(float("nan")), "`learning_rate`"),
        (lambda: optimizers.SGD(-1), "`learning_rate` to be a number of at least 0. Received: learning_rate=-1"),
        (lambda: optimizers.Adam(-1e-3), "`learning_rate`"),
        (lambda: optimizers.SGD(float("inf")), "`learning_rate`"),
        (lambda: optimizers.SGD(10**400), "`learning_rate`"),
        (lambda: optimizers.SGD(True), "`learning_rate`"),
        (lambda: optimizers.SGD(np.array([0.1])), "`learning_rate`"),
        (lambda: setattr(optimizers.SGD(), "learning_rate", -0.1), "`learning_rate`"),
        (lambda: optimizers.SGD(0.1, 0.9, "yes"), "`nesterov` must be True or False. Received: nesterov='yes'"),
        (lambda: optimizers.Adam(amsgrad=0.9), "`amsgrad` must be True or False"),
        (lambda: optimizers.SGD(clipnorm=1.0, clipvalue=1.0), "Only one of `clipnorm`, `clipvalue`"),
        (lambda: optimizers.SGD(gradient_accumulation_steps=1), "must be an integer >= 2"),
        (lambda: optimizers.SGD(use_ema=True, ema_momentum=1.5), "`ema_momentum` to be a number in [0, 1]"),
        (lambda: optimizers.AdamW(weight_decay=None), "`weight_decay` must be a float"),
        (lambda: optimizers.Lion(beta_1=0), "`beta_1`"),
        (lambda: optimizers.Ftrl(learning_rate_power=0.5), "to be a number of at most 0"),
        (lambda: optimizers.SGD(lambda: "much").hyper(), "`learning_rate` to be a number"),
        (lambda: setattr(optimizers.SGD(), "learning_rate_multipliers", {"dense": 2}), "of layers or variables"),
        (lambda: setattr(optimizers.SGD(), "iterations", -1), "`iterations`"),
        (lambda: optimizers.SGD(momentum=1.5), "`momentum` to be a number in [0, 1]"),
        (lambda: optimizers.SGD(momentum=2), "`momentum`"),
        (lambda: optimizers.SGD(momentum=-0.1), "`momentum`"),
        (lambda: optimizers.SGD(momentum=True), "`momentum`"),
        (lambda: optimizers.Adam(beta_1=1.0), "`beta_1` to be a number in [0, 1)"),
        (lambda: optimizers.Adam(beta_2=-1), "`beta_2`"),
        (lambda: optimizers.Adam(epsilon=-1e-8), "`epsilon` to be a number of at least 0"),
        (lambda: optimizers.Adam(rate=0.1), "Argument(s) not recognized: {'rate': 0.1}"),
        (lambda: optimizers.get("adm"), "Did you mean 'adam'"),
        (lambda: optimizers.get(optimizers.Adam), "Could not interpret optimizer identifier"),
        (lambda: optimizers.get(3), "Could not interpret optimizer identifier"),
        (lambda: optimizers.get({"class_name": "Adamm"}), "'adamm'"),
        (lambda: optimizers.get({"config": {}}), "class_name"),
        (lambda: optimizers.Optimizer(0.1).lower(None, None, None, None, {}, 16), "no compiled form"),
    ],
)
def test_wrong_arguments_are_refused(call, message):
    with pytest.raises(ValueError) as caught:
        call()
    assert message in str(caught.value)


def test_get():
    assert optimizers.get(None) is None
    for name, cls in (("sgd", optimizers.SGD), ("SGD", optimizers.SGD), ("Adam", optimizers.Adam)):
        assert type(optimizers.get(name)) is cls
    optimizer = optimizers.Adam()
    assert optimizers.get(optimizer) is optimizer
    config = {"class_name": "Adam", "config": {"learning_rate": 0.5}}
    assert optimizers.get(config).learning_rate == 0.5


def test_names_are_unique():
    first, second = optimizers.SGD().name, optimizers.SGD().name
    assert first != second
    assert first.startswith("sgd")
