"""Callbacks in fit: when they are called, what they may do, and that watching changes nothing."""

import numpy as np
import pytest

import fastnn
from fastnn import callbacks, layers
from harness.models import SPARSE, X, Y, classifier, same


def recorder(package, batches=True):
    """A callback that writes down which hooks are called, with which number and names in the logs."""
    names = [f"on_{stage}_{when}" for stage in ("train", "test", "predict", "epoch") for when in ("begin", "end")]
    if batches:
        names += [name.replace("_b", "_batch_b").replace("_e", "_batch_e") for name in names[:6]]

    def hook(name):
        def call(*arguments, **named):
            *number, logs = *arguments, *named.values()
            callback.calls.append((name, number, sorted(logs or {})))

        return call

    callback = package.callbacks.LambdaCallback(**{name: hook(name) for name in names})
    callback.calls = []
    return callback


def test_batch_hooks_change_no_bit():
    models, histories = [], []
    for extra in ([], [recorder(fastnn)], [recorder(fastnn, batches=False)]):
        fastnn.utils.set_random_seed(3)
        model = fastnn.Sequential(
            [fastnn.Input((6,)), layers.Dense(20, activation="elu"), layers.BatchNormalization(),
             layers.Dropout(0.3), layers.Dense(3, activation="softmax")]
        )  # fmt: skip
        model.compile("adam", SPARSE, metrics=["accuracy"])
        histories.append(model.fit(X, Y, epochs=3, batch_size=20, verbose=0, validation_split=0.2, callbacks=extra))
        models.append(model)
    for model, history in zip(models[1:], histories[1:], strict=True):
        same(models[0], model)
        for name in ("loss", "accuracy"):
            assert history.history[name] == histories[0].history[name]
            # Sums of the same values in batches of another size
            np.testing.assert_allclose(history.history[f"val_{name}"], histories[0].history[f"val_{name}"], rtol=1e-6)


def test_stop_training_after_an_epoch_and_after_a_batch():
    model = classifier()

    class AfterEpoch(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch == 2

    assert model.fit(X, Y, epochs=9, verbose=0, callbacks=[AfterEpoch()]).epoch == [0, 1, 2]
    before = model.optimizer.iterations

    class AfterBatch(callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = batch == 1

    history = model.fit(X, Y, epochs=9, batch_size=10, verbose=0, callbacks=[AfterBatch()])
    assert history.epoch == [0]
    assert model.optimizer.iterations == before + 2
    assert model.fit(X, Y, epochs=2, verbose=0).epoch == [0, 1], "stop_training does not stick"


def test_early_stopping_restores_the_best_weights():
    model = classifier(optimizer=fastnn.optimizers.Adam(0.1))
    kept = []

    class Keep(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            kept.append(self.model.get_weights())

    stop = callbacks.EarlyStopping(patience=2, restore_best_weights=True)
    history = model.fit(X, Y, epochs=200, verbose=0, validation_data=(X, Y[::-1].copy()), callbacks=[Keep(), stop])
    losses = history.history["val_loss"]
    assert len(losses) < 200
    best = int(np.argmin(losses))
    assert len(losses) == best + 3
    for old, new in zip(kept[best], model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    np.testing.assert_allclose(model.evaluate(X, Y[::-1], verbose=0)[0], losses[best], rtol=1e-6)


def test_early_stopping_knows_the_direction_of_metrics():
    for monitor in ("accuracy", "val_accuracy", "val_loss"):
        stop = callbacks.EarlyStopping(monitor=monitor, patience=1)
        classifier().fit(X, Y, epochs=3, verbose=0, validation_split=0.2, callbacks=[stop])
        assert stop.monitor_op(2, 1) == ("accuracy" in monitor)


def test_a_callback_may_change_the_learning_rate():
    rates = []

    class Decay(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            rates.append(self.model.optimizer.learning_rate)
            self.model.optimizer.learning_rate *= 0.5
            if epoch == 1:
                self.model.optimizer.learning_rate = 0.0
                self.frozen = self.model.get_weights()

    model, decay = classifier(), Decay()
    model.fit(X, Y, epochs=4, verbose=0, callbacks=[decay])
    assert rates[:2] == [0.01, 0.005]
    np.testing.assert_array_equal(decay.frozen[0], model.get_weights()[0])


def test_a_callback_may_use_the_model_meanwhile():
    """Other data, other batches, even other training: each run reads its own."""
    small = X[:3], Y[:3]

    class Meddle(callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.predict(small[0], verbose=0)
            self.model.evaluate(*small, verbose=0)
            self.model.test_on_batch(*small)

    watched, plain = classifier(), classifier()
    watched.fit(X, Y, epochs=2, verbose=0, callbacks=[Meddle()])
    plain.fit(X, Y, epochs=2, verbose=0)
    same(watched, plain)

    class Train(callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            self.model.train_on_batch(*small)

    model = classifier()
    model.fit(X, Y, verbose=0, callbacks=[Train()])
    assert np.isfinite(model.get_weights()[0]).all()
    assert model.optimizer.iterations == 8


def test_an_error_in_a_callback_comes_through_and_leaves_a_usable_model():
    def fail(epoch, logs):
        raise RuntimeError("mine")

    model = classifier()
    with pytest.raises(RuntimeError, match="mine"):
        model.fit(X, Y, verbose=1, callbacks=[callbacks.LambdaCallback(on_epoch_end=fail)])
    assert model.optimizer.iterations == 4
    model.fit(X, Y, verbose=0)


def test_an_epoch_that_was_told_to_stop_before_it_began_has_one_step(keras):
    def losses(package):
        class Stop(package.callbacks.Callback):
            def on_epoch_begin(self, epoch, logs=None):
                self.model.stop_training = epoch == 1

        model = package.Sequential([package.Input((2,)), package.layers.Dense(1, kernel_initializer="ones")])
        model.compile("sgd", "mse")
        x = np.arange(12, dtype=np.float32).reshape(6, 2) / 12
        options = {"batch_size": 2, "epochs": 3, "shuffle": False, "verbose": 0}
        return model.fit(x, x[:, :1], callbacks=[Stop()], **options).history["loss"]

    ours, theirs = losses(fastnn), losses(keras)
    assert len(ours) == 2
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)


def test_samples_stay_in_their_batches_where_that_is_asked_for():
    x = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    histories = []
    for shuffle in (False, "batch"):
        fastnn.utils.set_random_seed(0)
        model = fastnn.Sequential([fastnn.Input((3,)), fastnn.layers.Dense(1)])
        model.compile("sgd", "mse")
        histories.append(model.fit(x, x[:, :1], batch_size=5, epochs=2, shuffle=shuffle, verbose=0).history)
    assert histories[0] == histories[1]
    with pytest.raises(ValueError, match="`shuffle` must be True or False"):
        model.fit(x, x[:, :1], shuffle="batches")


def test_accuracy_of_an_output_without_a_loss_is_told_by_its_targets(keras):
    x = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    labels = np.arange(20) % 4

    def accuracies(package, targets):
        inputs = package.Input((3,))
        kinds = package.layers.Dense(4, "softmax", name="kind")(inputs)
        model = package.Model(inputs, [package.layers.Dense(1, name="value")(inputs), kinds])
        model.set_weights([np.linspace(-1, 1, each.size).reshape(each.shape) for each in model.get_weights()])
        model.compile("sgd", ["mse", None], metrics=[None, ["accuracy"]])
        return model.fit(x, [x[:, :1], targets], shuffle=False, verbose=0).history["kind_accuracy"]

    for targets in (labels, np.eye(4, dtype=np.float32)[labels]):
        assert accuracies(fastnn, targets) == pytest.approx(accuracies(keras, targets), rel=1e-5)
