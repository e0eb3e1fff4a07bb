import itertools
import math

import numpy as np
import pytest

from fastnn import callbacks, metrics
from fastnn.callbacks import Callback, CallbackList, EarlyStopping, History, LambdaCallback

HOOKS = {
    "epoch": ["on_epoch_begin", "on_epoch_end"],
    "batch": [f"on_{stage}_batch_{when}" for stage in ("train", "test", "predict") for when in ("begin", "end")],
    "stage": [f"on_{stage}_{when}" for stage in ("train", "test", "predict") for when in ("begin", "end")],
}
ALL_HOOKS = [*HOOKS["epoch"], *HOOKS["batch"], *HOOKS["stage"]]


class Model:
    """What callbacks need of a model: its weights are the number of the epoch."""

    def __init__(self, model_metrics=()):
        self.metrics = list(model_metrics)
        self.stop_training = False
        self.weights = None

    def get_weights(self):
        return self.weights

    def set_weights(self, weights):
        self.weights = weights


def call(hooks, name, logs=None):
    if name in HOOKS["stage"]:
        getattr(hooks, name)(logs)
    else:
        getattr(hooks, name)(3, logs)


@pytest.mark.parametrize("hook", ALL_HOOKS)
def test_every_hook_reaches_those_that_override_it(hook):
    seen = []

    class One(Callback):
        pass

    setattr(One, hook, lambda self, *args, **kwargs: seen.append((args, kwargs)))
    hooks = CallbackList([One(), Callback(), [One()]])
    for other in ALL_HOOKS:
        call(hooks, other, {"loss": 1.0})
    logs = {"loss": 1.0}
    expected = {
        "epoch": ((3, logs), {}),
        "batch": ((3,), {"logs": logs}),
        "stage": ((logs,), {}),
    }[next(kind for kind, names in HOOKS.items() if hook in names)]
    assert seen == [expected, expected]


def test_hooks_get_a_dictionary_where_there_are_no_logs():
    seen = []
    hooks = CallbackList(LambdaCallback(
        on_train_begin=lambda logs: seen.append(logs),
        on_epoch_begin=lambda epoch, logs: seen.append(logs),
        on_train_batch_begin=lambda batch, logs: seen.append(logs),
    ))  # fmt: skip
    hooks.on_train_begin()
    hooks.on_epoch_begin(0)
    hooks.on_train_batch_begin(0)
    assert seen == [{}, {}, {}]


@pytest.mark.parametrize("stage", ["train", "test", "predict"])
@pytest.mark.parametrize("when", ["begin", "end"])
def test_who_wants_to_be_called_for_each_batch(stage, when):
    def none(batch, logs=None):
        pass

    hooks = CallbackList([History(), LambdaCallback(**{f"on_{stage}_batch_{when}": none})])
    for each in ("train", "test", "predict"):
        assert getattr(hooks, f"has_{each}_batch_hooks") == (each == stage)
    quiet = CallbackList([History(), EarlyStopping(), Callback()])
    assert not any(getattr(quiet, f"has_{s}_batch_hooks") for s in ("train", "test", "predict"))


def test_older_names_of_the_batch_hooks():
    seen = []

    class Old(Callback):
        def on_batch_begin(self, batch, logs=None):
            seen.append(("begin", batch))

        def on_batch_end(self, batch, logs=None):
            seen.append(("end", batch, logs))

    hooks = CallbackList([Old()])
    assert hooks.has_train_batch_hooks
    assert not hooks.has_test_batch_hooks
    hooks.on_train_batch_begin(4)
    hooks.on_train_batch_end(4, {"loss": 1.0})
    assert seen == [("begin", 4), ("end", 4, {"loss": 1.0})]


def test_model_and_params_reach_all():
    class WithoutInit(Callback):
        def __init__(self):
            pass

    model, one, other = Model(), Callback(), WithoutInit()
    hooks = CallbackList((one, [other]), add_history=True, model=model, epochs=3, verbose=0)
    assert one.model is other.model is hooks.model is model
    assert one.params == other.params == hooks.params == {"epochs": 3, "verbose": 0}
    assert model.history is hooks.history
    assert hooks.callbacks == [one, other, hooks.history]


def test_a_history_of_the_users_own_is_used():
    history = History()
    hooks = CallbackList([history], add_history=True)
    assert hooks.history is history
    assert hooks.callbacks == [history]
    assert CallbackList(hooks).callbacks == [history]
    assert CallbackList().history is None


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (EarlyStopping, r"the class EarlyStopping. Pass EarlyStopping\(...\)"),
        (print, "LambdaCallback"),
        ("early", "'early' of type str"),
    ],
)
def test_what_is_no_callback_is_refused(wrong, message):
    with pytest.raises(TypeError, match=message):
        CallbackList([wrong])


def test_callbacks_of_keras_are_understood(keras):
    seen = []

    class Theirs(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append((epoch, logs, self.model))

    model = Model()
    hooks = CallbackList([Theirs()], model=model, epochs=1)
    assert not hooks.has_train_batch_hooks
    hooks.on_train_begin()
    hooks.on_epoch_end(2, {"loss": 1.0})
    assert seen == [(2, {"loss": 1.0}, model)]
    assert CallbackList([keras.callbacks.TerminateOnNaN()]).has_train_batch_hooks


def test_hooks_are_those_of_keras(keras):
    def names(cls):
        return {name for name in dir(cls) if not name.startswith("_")}

    assert names(Callback) == names(keras.callbacks.Callback)


def test_history():
    model = Model()
    hooks = CallbackList(add_history=True, model=model)
    for _ in range(2):  # a second fit goes on with the lists, but counts its own epochs
        hooks.on_train_begin()
        hooks.on_epoch_end(0, {"loss": 3.0, "accuracy": 0.5})
        hooks.on_epoch_end(1, {"loss": 2.0, "accuracy": 0.6, "val_loss": 4.0})
    assert model.history is hooks.history
    assert model.history.epoch == [0, 1]
    assert model.history.history == {
        "loss": [3.0, 2.0, 3.0, 2.0],
        "accuracy": [0.5, 0.6, 0.5, 0.6],
        "val_loss": [4.0, 4.0],
    }


def run_early_stopping(callback, values, monitor="val_loss", model=None):
    """Feed values of the monitored quantity; returns what can be seen from outside."""
    model = model or Model()
    callback.set_model(model)
    callback.on_train_begin()
    epochs = 0
    for epoch, value in enumerate(values):
        model.weights = epoch
        callback.on_epoch_end(epoch, {monitor: value} if value is not None else {})
        epochs = epoch + 1
        if model.stop_training:
            break
    callback.on_train_end()
    return epochs, model.weights, callback.best, callback.best_epoch, callback.stopped_epoch


def test_early_stopping_stops_and_restores(capsys):
    values = [5.0, 4.0, 4.5, 4.2, 4.1, 3.0]
    callback = EarlyStopping(patience=2, restore_best_weights=True, verbose=1)
    assert run_early_stopping(callback, values) == (4, 1, 4.0, 1, 3)
    assert capsys.readouterr().out == (
        "Epoch 4: early stopping\nRestoring model weights from the end of the best epoch: 2.\n"
    )
    # An instance may serve again, and forgets.
    assert run_early_stopping(callback, values[2:]) == (4, 3, 3.0, 3, 0)


@pytest.mark.parametrize("mode", ["min", "max", "auto"])
@pytest.mark.parametrize("patience", [0, 1, 3])
@pytest.mark.parametrize("restore", [False, True])
def test_early_stopping_is_that_of_keras(keras, capsys, mode, patience, restore):
    rng = np.random.default_rng(patience)
    for baseline, min_delta, start in itertools.product((None, 0.5), (0, 0.3), (0, 2)):
        arguments = {
            "mode": mode,
            "patience": patience,
            "restore_best_weights": restore,
            "baseline": baseline,
            "min_delta": min_delta,
            "start_from_epoch": start,
            "verbose": 1,
        }
        for values in (rng.normal(size=12), np.sort(rng.normal(size=8)), [1.0, math.nan, 0.5, 2]):
            values = [float(value) for value in values]
            ours = run_early_stopping(EarlyStopping(**arguments), values)
            our_text = capsys.readouterr().out
            theirs = run_early_stopping(keras.callbacks.EarlyStopping(**arguments), values)
            assert ours == theirs
            assert our_text == capsys.readouterr().out


@pytest.mark.parametrize(
    ("argument", "values", "message"),
    [
        ("patience", ["a", None, -1, 2.5, np.array([3])], "`patience` must be an integer of at least 0"),
        ("start_from_epoch", ["a", None, -1, True], "`start_from_epoch` must be an integer of at least 0"),
        ("min_delta", ["a", None, math.nan, [1]], "EarlyStopping: `min_delta` must be a finite number"),
        ("baseline", ["a", math.nan, [1]], "EarlyStopping: `baseline` must be a finite number or None"),
        ("restore_best_weights", ["a", 2], "`restore_best_weights` must be True or False"),
    ],
)
def test_early_stopping_refuses_by_name(argument, values, message):
    for value in values:
        with pytest.raises(ValueError, match=f"{message}. Received: {argument}="):
            EarlyStopping(**{argument: value})


def test_early_stopping_warns_as_keras_does(keras):
    for cls in (EarlyStopping, keras.callbacks.EarlyStopping):
        with pytest.warns(UserWarning, match="conditioned on metric `val_loss` which is not"):
            run_early_stopping(cls(), [None])
        with pytest.warns(UserWarning, match="mode 'down' is unknown, fallback to auto mode"):
            cls(mode="down")


def test_early_stopping_asks_metrics_for_the_direction():
    model = Model([metrics.BinaryAccuracy("accuracy"), metrics.MeanSquaredError("mse")])
    values = [1.0, 2.0, 3.0]
    for monitor, epochs in (("val_accuracy", 3), ("accuracy", 3), ("val_mse", 2), ("loss", 2)):
        model.stop_training = False
        assert run_early_stopping(EarlyStopping(monitor), values, monitor, model)[0] == epochs
    with pytest.raises(ValueError, match="monitor=val_f1"):
        run_early_stopping(EarlyStopping("val_f1"), values, "val_f1", model)


def test_terminate_on_nan(capsys):
    model = Model()
    hooks = CallbackList([callbacks.TerminateOnNaN()], model=model)
    hooks.on_train_batch_end(0, {"loss": 1.0})
    assert not model.stop_training
    hooks.on_train_batch_end(1, {"loss": math.nan})
    assert model.stop_training
    assert capsys.readouterr().out == "Batch 1: Invalid loss, terminating training\n"
    hooks = CallbackList([callbacks.TerminateOnNaN(raise_error=True)], model=model)
    with pytest.raises(RuntimeError, match="at batch 7"):
        hooks.on_train_batch_end(7, {"loss": math.inf})
