"""Callbacks that write files, and the order and the logs of all hooks beside real Keras's."""

import csv
import os

import numpy as np
import pytest

import fastnn
from fastnn import callbacks, layers

RANDOM = np.random.default_rng(3)
X = RANDOM.normal(size=(24, 4)).astype(np.float32)
Y = RANDOM.integers(0, 3, size=24)


def network(k=fastnn, learning_rate=0.05):
    model = k.Sequential([k.Input((4,)), k.layers.Dense(5, "tanh"), k.layers.Dense(3, "softmax")])
    model.compile(k.optimizers.SGD(learning_rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def fit(model, epochs=2, **options):
    return model.fit(X, Y, batch_size=8, epochs=epochs, verbose=0, **options)


STAGES = [f"on_{stage}_{when}" for stage in ("train", "test", "predict") for when in ("begin", "end")]
NUMBERED = [
    f"on_{what}_{when}"
    for what in ("epoch", "batch", "train_batch", "test_batch", "predict_batch")
    for when in ("begin", "end")
]


def recorder(k, calls, tag="", adds=False):
    """A callback that writes down every call of a hook."""

    def stage(name):
        def hook(self, logs=None):
            calls.append((tag, name, None, logs if logs is None else dict(logs)))

        return hook

    def numbered(name):
        def hook(self, number, logs=None):
            calls.append((tag, name, number, logs if logs is None else dict(logs)))
            if adds and name == "on_epoch_end":
                logs["added"] = number
            if name.startswith("on_train_batch"):
                getattr(super(cls, self), name)(number, logs)

        return hook

    hooks = {name: stage(name) for name in STAGES} | {name: numbered(name) for name in NUMBERED}
    cls = type("Recorder", (k.callbacks.Callback,), hooks)
    return cls()


def record(k, weights):
    calls = []
    model = network(k)
    model.set_weights(weights)
    pair = [recorder(k, calls, "a", adds=True), recorder(k, calls, "b")]
    history = fit(model, shuffle=False, validation_split=0.25, validation_freq=2, callbacks=pair)
    model.evaluate(X, Y, batch_size=16, verbose=0, callbacks=pair[:1])
    model.predict(X[:3], verbose=0, callbacks=pair[:1])
    return calls, history, pair[0].params


def test_hooks_come_in_keras_order_with_its_logs(keras):
    weights = network().get_weights()
    theirs, their_history, their_params = record(keras, weights)
    mine, history, params = record(fastnn, weights)
    assert [call[:3] for call in mine] == [call[:3] for call in theirs]
    for (*call, logs), (*_, expected) in zip(mine, theirs, strict=True):
        assert list(logs) == list(expected), call
        for name, value in expected.items():
            np.testing.assert_allclose(logs[name], value, rtol=1e-4, atol=1e-5, err_msg=str(call))
    assert history.epoch == their_history.epoch
    assert history.params == their_history.params
    assert params == their_params
    assert list(history.history) == list(their_history.history)
    assert history.history["added"] == [0, 1]


def test_checkpoints(tmp_path):
    model = network()
    template = tmp_path / "new" / "{epoch:02d}-{val_loss:.3f}.fastnn"
    history = fit(model, 3, callbacks=[callbacks.ModelCheckpoint(template)], validation_split=0.25).history
    names = sorted(os.listdir(tmp_path / "new"))
    assert names == [f"{epoch:02d}-{loss:.3f}.fastnn" for epoch, loss in enumerate(history["val_loss"], 1)]
    again = fastnn.models.load_model(tmp_path / "new" / names[-1])
    np.testing.assert_array_equal(again.get_weights()[0], model.get_weights()[0])
    with pytest.raises(KeyError, match="'nothing', which is not among the logs.*val_loss"):
        fit(model, callbacks=[callbacks.ModelCheckpoint("{nothing}.keras")], validation_split=0.25)


def test_the_best_is_kept(tmp_path, capsys):
    path = tmp_path / "best.safetensors"

    class Fake(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["score"] = (0.5, 0.7, 0.6, 0.9)[epoch]

    checkpoint = callbacks.ModelCheckpoint(
        path, "score", 1, save_best_only=True, save_weights_only=True, mode="max", initial_value_threshold=0.6
    )
    seen = []
    watch = callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(path.exists()))
    fit(network(), 4, callbacks=[Fake(), checkpoint, watch])
    assert seen == [False, True, True, True]
    assert checkpoint.best == 0.9
    printed = capsys.readouterr().out
    assert "score did not improve from 0.60000" in printed
    assert f"score improved from 0.70000 to 0.90000, saving model to {path}" in printed
    with pytest.warns(UserWarning, match="only with other available"):
        fit(network(), 1, callbacks=[callbacks.ModelCheckpoint(tmp_path / "a.fastnn", "other", 0, True, mode="min")])
    with pytest.raises(ValueError, match="monitor=strange.*minimized"):
        fit(network(), 1, callbacks=[callbacks.ModelCheckpoint(tmp_path / "a.fastnn", "strange", 0, True)])


def test_checkpoints_after_batches(tmp_path):
    path = tmp_path / "{epoch}-{batch}.weights.h5"
    checkpoint = callbacks.ModelCheckpoint(path, save_weights_only=True, save_freq=2)
    fit(network(), 2, callbacks=[checkpoint])
    assert sorted(os.listdir(tmp_path)) == ["1-2.weights.h5", "2-1.weights.h5", "2-3.weights.h5"]
    # Without a frequency of batches it has no hook for them, which would cost a return to Python each step.
    assert not callbacks.CallbackList([callbacks.ModelCheckpoint("a.keras")]).has_train_batch_hooks
    assert not callbacks.CallbackList([callbacks.BackupAndRestore("a")]).has_train_batch_hooks
    assert not callbacks.CallbackList([callbacks.TensorBoard("a")]).has_train_batch_hooks
    for bad in (0, "batch", 1.5, True):
        with pytest.raises(ValueError, match="save_freq"):
            callbacks.ModelCheckpoint("a.keras", save_freq=bad)
    for bad in dict(filepath="a.weights.h5"), dict(filepath="a.keras", save_weights_only=True), dict(filepath="a"):
        with pytest.raises(ValueError, match="filepath"):
            callbacks.ModelCheckpoint(**bad)


@pytest.mark.parametrize(("freq", "stop"), [("epoch", 2), (2, 1)])
def test_backup_and_restore(tmp_path, freq, stop):
    """Interrupted and begun anew, training ends with the bits it would have ended with."""

    def program(*more):
        fastnn.utils.set_random_seed(7)
        model = network()
        model.compile("adam", "sparse_categorical_crossentropy")
        backup = callbacks.BackupAndRestore(tmp_path / "backup", save_freq=freq)
        return model, fit(model, 4, callbacks=[backup, *more]).history

    whole, history = program()
    assert not (tmp_path / "backup").exists()

    class Power(callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == stop:
                raise RuntimeError("gone")

    with pytest.raises(RuntimeError, match="gone"):
        program(Power())
    assert os.listdir(tmp_path / "backup") == ["latest.safetensors"]
    again, rest = program()
    if freq == "epoch":
        assert rest["loss"] == history["loss"][stop:]
        for a, b in zip(again.get_weights(), whole.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
    else:  # the last save was after the second batch of the first epoch, which is done again
        assert len(rest["loss"]) == 4
    assert not (tmp_path / "backup").exists()


def test_a_backup_of_another_model_is_refused(tmp_path):
    keep = callbacks.BackupAndRestore(tmp_path / "b", delete_checkpoint=False)
    fit(network(), 1, callbacks=[keep])
    other = fastnn.Sequential([fastnn.Input((4,)), layers.Dense(3, "softmax")])
    other.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match="could not be loaded"):
        fit(other, callbacks=[keep])
    (tmp_path / "b" / "latest.safetensors").write_bytes(b"{}")
    with pytest.raises(ValueError, match="The backup.*damaged"):
        fit(network(), callbacks=[keep])
    with pytest.raises(ValueError, match="backup_dir"):
        callbacks.BackupAndRestore("")


def test_csv(tmp_path, keras):
    class Adds:
        def on_epoch_end(self, epoch, logs=None):
            logs["several"] = np.arange(3)

    texts = []
    for k in keras, fastnn:
        path = tmp_path / f"{k.__name__}.csv"
        adds = type("Adds", (k.callbacks.Callback,), {"on_epoch_end": Adds.on_epoch_end})()
        for append, separator in ((False, ";"), (True, ";")):
            logger = k.callbacks.CSVLogger(path, separator, append)
            logger.set_model(None)
            logger.on_train_begin()
            for epoch, logs in enumerate(({"loss": 0.5, "accuracy": 1.0}, {"loss": 0.25, "val_loss": 3})):
                adds.on_epoch_end(epoch, logs)
                logger.on_epoch_end(epoch, logs)
            logger.on_train_end()
        texts.append(path.read_bytes().replace(b"\r", b""))
    assert texts[1] == texts[0]
    path = tmp_path / "fit.csv"
    history = fit(network(), callbacks=[callbacks.CSVLogger(path)]).history
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["loss"]) for row in rows] == history["loss"]


def test_tensorboard(tmp_path):
    pytest.importorskip("tensorboardX", reason="fastnn[tensorboard] is not installed")
    from tensorboardX.proto.event_pb2 import Event

    board = callbacks.TensorBoard(tmp_path, histogram_freq=1, write_steps_per_second=True, update_freq=2)
    model = network()
    history = fit(model, callbacks=[board], validation_split=0.25).history
    found = {}
    for name in ("train", "validation"):
        (path,) = (tmp_path / name).iterdir()
        content, position = path.read_bytes(), 0
        while position < len(content):  # length, its checksum, the event, its checksum
            length = int.from_bytes(content[position : position + 8], "little")
            event = Event.FromString(content[position + 12 : position + 12 + length])
            position += length + 16
            for value in event.summary.value:
                found.setdefault((name, value.tag), []).append((event.step, value.simple_value))
    assert found["train", "epoch_loss"] == [(i, pytest.approx(v)) for i, v in enumerate(history["loss"])]
    assert found["validation", "epoch_loss"] == [(i, pytest.approx(v)) for i, v in enumerate(history["val_loss"])]
    assert [step for step, _ in found["train", "batch_loss"]] == [2, 4, 6]
    assert found["train", "epoch_learning_rate"][0] == (0, pytest.approx(0.05))
    assert [step for step, _ in found["validation", "evaluation_loss_vs_iterations"]] == [3, 6]
    assert len(found["train", f"{model.weights[0].path}/histogram"]) == 2
    assert ("train", "epoch_steps_per_second") in found
    with pytest.warns(UserWarning, match="nothing is profiled.*explain_plan"):
        callbacks.TensorBoard(profile_batch=(100, 200))
    with pytest.raises(ValueError, match="`embeddings_freq` is not supported"):
        callbacks.TensorBoard(embeddings_freq=1)


def test_progress_of_a_loop_of_ones_own(capsys):
    hooks = callbacks.CallbackList(add_progbar=True, verbose=2, epochs=2, steps=3)
    hooks.on_train_begin()
    for epoch in range(2):
        hooks.on_epoch_begin(epoch)
        for batch in range(3):
            hooks.on_train_batch_end(batch, {"loss": 0.5})
        hooks.on_epoch_end(epoch, {"loss": 0.25})
    hooks.on_train_end()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" - ")[0] for line in lines] == ["Epoch 1/2", "Epoch 2/2"]
    assert all(line.endswith("loss: 0.2500") for line in lines)
    model = network()
    model.fit(X, Y, epochs=1, verbose=2, callbacks=[callbacks.ProgbarLogger()])
    assert capsys.readouterr().out.count("Epoch 1/1") == 1
    assert not callbacks.CallbackList([callbacks.ProgbarLogger()], draws_progress=True).has_train_batch_hooks


def test_best_weights_come_back_when_training_ends_by_itself():
    model = network()
    weights = []

    class Fake(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            weights.append(self.model.get_weights())
            logs["score"] = (3, 1, 2, 2)[epoch]

    stop = callbacks.EarlyStopping("score", patience=10, mode="min", restore_best_weights=True)
    fit(model, 4, callbacks=[Fake(), stop])
    assert (stop.best, stop.best_epoch, stop.stopped_epoch) == (1, 1, 0)
    for a, b in zip(model.get_weights(), weights[1], strict=True):
        np.testing.assert_array_equal(a, b)
