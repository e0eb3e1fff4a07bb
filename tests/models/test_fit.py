"""fit, evaluate, predict and the single batches: what they return, call, print and keep."""

import numpy as np
import pytest

import fastnn
from fastnn import callbacks, layers
from harness.models import SPARSE, X, Y, classifier, same

# ---- what fit returns -----------------------------------------------------------------------------


# Keras compiles each size of a batch anew, which takes far longer than it runs: here there is one.
EQUAL = slice(96)
VALIDATION = {"validation_data": (X[:32], Y[:32])}


@pytest.mark.parametrize(
    "arguments",
    [
        {"epochs": 3, "validation_split": 1 / 3},
        {"epochs": 5, "initial_epoch": 1, "validation_freq": 2, **VALIDATION},
        {"epochs": 4, "initial_epoch": 2, "validation_freq": [1, 4], **VALIDATION},
        {"epochs": 2, "class_weight": {0: 2.0, 1: 0.5}, **VALIDATION},
        {"epochs": 2, "initial_epoch": 2},
        {"epochs": 0},
    ],
    ids=lambda arguments: " ".join(arguments),
)
def test_history_is_that_of_keras(arguments, keras):
    histories = []
    for package in (fastnn, keras):
        model = classifier(package)
        fitted = model.fit(X[EQUAL], Y[EQUAL], verbose=0, shuffle=False, **arguments)
        histories.append(fitted)
    ours, theirs = histories
    assert list(ours.history) == list(theirs.history)
    assert ours.epoch == theirs.epoch
    assert ours.params == theirs.params
    for name, values in theirs.history.items():
        np.testing.assert_allclose(ours.history[name], values, rtol=1e-4, err_msg=name)


def test_evaluate_and_single_batches_return_what_keras_returns(keras):
    weights = np.linspace(0.5, 2, 96).astype(np.float32)
    x, y = X[EQUAL], Y[EQUAL]
    results = []
    for package in (fastnn, keras):
        model = classifier(package, ("accuracy", SPARSE))
        named = model.evaluate(x, y, verbose=0, return_dict=True)
        results.append(
            [
                [named[name] for name in ("loss", "accuracy", SPARSE)],
                model.evaluate(x, y, verbose=0),
                model.evaluate(x, y, verbose=0, sample_weight=weights),
                model.test_on_batch(x[:32], y[:32]),
                model.train_on_batch(x[:32], y[:32], sample_weight=weights[:32]),
                model.train_on_batch(x[32:64], y[32:64], class_weight={0: 3.0}),
            ]
        )
        if package is fastnn:
            assert model.metrics_names == list(named) == ["loss", "accuracy", SPARSE]
    for ours, theirs in zip(*results, strict=True):
        assert all(type(value) is float for value in ours)
        np.testing.assert_allclose(ours, theirs, rtol=1e-4)


def test_without_metrics_the_loss_is_a_float():
    model = classifier(metrics=())
    for method in (model.evaluate, model.test_on_batch, model.train_on_batch):
        quiet = {"verbose": 0} if method == model.evaluate else {}
        assert type(method(X, Y, **quiet)) is float
        assert list(method(X, Y, return_dict=True, **quiet)) == ["loss"]
    assert model.metrics_names == ["loss"]
    assert model.metrics == []


def test_history_accumulates_nothing_between_calls():
    model = classifier()
    assert len(model.fit(X, Y, epochs=2, verbose=0).history["loss"]) == 2
    assert len(model.fit(X, Y, epochs=3, verbose=0).history["loss"]) == 3
    own = callbacks.History()
    assert model.fit(X, Y, verbose=0, callbacks=[own]) is own


# ---- batches --------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [1, 2, 32, 102, 103, 104, 10**12])
def test_every_sample_counts_once_in_an_epoch(batch_size):
    """At a learning rate of 0 the loss of an epoch is the mean over the samples, whatever the batches."""
    model = fastnn.Sequential([fastnn.Input((6,)), layers.Dense(3, activation="softmax")])
    model.compile(fastnn.optimizers.SGD(0.0), SPARSE, metrics=["accuracy"])
    expected = model.evaluate(X, Y, verbose=0)
    history = model.fit(X, Y, batch_size=batch_size, epochs=2, verbose=0).history
    np.testing.assert_allclose(history["loss"], expected[0], rtol=1e-6)
    np.testing.assert_allclose(history["accuracy"], expected[1], rtol=1e-6)
    assert model.optimizer.iterations == 2 * -(-103 // batch_size)


def test_the_last_partial_batch_is_a_step_of_its_own():
    whole, parts = classifier(), classifier()
    whole.fit(X, Y, batch_size=40, shuffle=False, verbose=0)
    for start in (0, 40, 80):
        parts.train_on_batch(X[start : start + 40], Y[start : start + 40])
    same(whole, parts)


def test_order_of_the_samples():
    seen = []

    class Watch(callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(logs["loss"] * (batch + 1) - sum(seen[len(seen) - batch :]))

    x = np.arange(10.0).reshape(10, 1)
    model = fastnn.Sequential([fastnn.Input((1,)), layers.Dense(1, kernel_initializer="zeros")])
    model.compile(fastnn.optimizers.SGD(0.0), "mse")

    def order(**arguments):
        seen.clear()
        model.fit(x, x, batch_size=1, verbose=0, callbacks=[Watch()], **arguments)
        return np.round(np.sqrt(np.abs(seen))).astype(int).tolist()

    assert order(shuffle=False) == list(range(10))
    first, second = order(), order()
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second
    assert first != list(range(10))


def test_without_shuffling_nothing_is_random():
    models = [classifier(seed=seed) for seed in (1, 2)]
    for model in models:
        model.fit(X, Y, epochs=2, shuffle=False, verbose=0)
    same(*models)


def test_seeds_decide():
    def train(seed):
        model = classifier(seed=seed)
        model.fit(X, Y, epochs=2, verbose=0)
        return model

    same(train(1), train(1))
    assert (train(1).get_weights()[0] != train(2).get_weights()[0]).any()


def test_weights_of_samples():
    plain, ones, twice = classifier(), classifier(), classifier()
    plain.fit(X, Y, shuffle=False, verbose=0)
    ones.fit(X, Y, shuffle=False, verbose=0, sample_weight=np.ones(len(Y)))
    twice.fit(X, Y, shuffle=False, verbose=0, class_weight={0: 1, 1: 1, 2: 1})
    same(plain, ones)
    same(plain, twice)
    masked = classifier()
    expected = masked.evaluate(X[:50], Y[:50], verbose=0)[0] * 50 / 103
    weights = np.r_[np.ones(50), np.zeros(53)]
    np.testing.assert_allclose(masked.evaluate(X, Y, verbose=0, sample_weight=weights)[0], expected, rtol=1e-6)


def test_loss_weights_scale_the_loss_and_the_step():
    losses, steps = [], []
    for factor in (1.0, 2.5):
        model = classifier(loss_weights=factor)
        before = model.get_weights()[0]
        losses.append(model.train_on_batch(X, Y)[0])
        steps.append(model.get_weights()[0] - before)
    np.testing.assert_allclose(losses[1], 2.5 * losses[0], rtol=1e-6)
    np.testing.assert_allclose(steps[1], 2.5 * steps[0], rtol=1e-3, atol=1e-6)


# ---- compiling ------------------------------------------------------------------------------------


def test_compiling_again_starts_another_optimizer_and_keeps_the_weights():
    model = classifier(optimizer="adam")
    model.fit(X, Y, verbose=0)
    before = model.get_weights()
    model.compile("adam", SPARSE)
    assert model.optimizer.iterations == 0
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert isinstance(model.evaluate(X, Y, verbose=0), float)


def test_going_on_is_one_long_training():
    """The optimizer's state and the stream of orders go on from call to call."""
    once, twice = classifier(optimizer="adam"), classifier(optimizer="adam")
    once.fit(X, Y, epochs=4, verbose=0)
    twice.fit(X, Y, epochs=2, verbose=0)
    twice.evaluate(X, Y, verbose=0)
    twice.predict(X, verbose=0)
    twice.fit(X, Y, epochs=4, initial_epoch=2, verbose=0)
    same(once, twice)


@pytest.mark.parametrize(
    ("compiled", "message"),
    [
        ({"optimizer": "sdg", "loss": SPARSE}, "'sdg'.*Did you mean 'sgd'"),
        ({"optimizer": 3, "loss": SPARSE}, "optimizer"),
        ({"optimizer": "sgd", "loss": "categorical_crosentropy"}, "Did you mean"),
        ({"optimizer": "sgd", "loss": SPARSE, "metrics": "accuracy"}, "`metrics` argument to be a list"),
        (
            {"optimizer": "sgd", "loss": SPARSE, "loss_weights": [1, 2]},
            "`loss_weights` must match the number of losses",
        ),
        ({"optimizer": "sgd", "loss": SPARSE, "loss_weights": float("nan")}, "one finite number"),
    ],
)
def test_compile_refuses(compiled, message):
    with pytest.raises(ValueError, match=message):
        classifier().compile(**compiled)


@pytest.mark.parametrize(
    ("compiled", "message"),
    [
        ({"optimizer": "sgd"}, "without a loss"),
        ({"optimizer": None, "loss": SPARSE}, "without an optimizer"),
        ({"optimizer": "sgd", "loss": SPARSE, "metrics": ["acuracy"]}, "Did you mean 'accuracy'|acuracy"),
        ({"optimizer": "sgd", "loss": SPARSE, "metrics": ["categorical_accuracy"]}, "needs targets of"),
    ],
)
def test_what_only_training_needs_is_asked_for_then(compiled, message):
    model = classifier()
    model.compile(**compiled)
    for call in (lambda: model.fit(X, Y, verbose=0), lambda: model.train_on_batch(X, Y)):
        with pytest.raises(ValueError, match=message):
            call()


def test_crossentropy_of_the_kind_that_the_targets_say():
    for loss in ("crossentropy", "ce"):
        for y in (Y, np.eye(3)[Y]):
            model = classifier()
            model.compile("sgd", loss, metrics=["acc"])
            expected = classifier().evaluate(X, Y, verbose=0)
            np.testing.assert_allclose(model.evaluate(X, y, verbose=0), expected, rtol=1e-6)


@pytest.mark.parametrize("method", ["fit", "evaluate", "train_on_batch", "test_on_batch"])
def test_before_compiling(method):
    model = fastnn.Sequential([fastnn.Input((6,)), layers.Dense(3)])
    with pytest.raises(ValueError, match=rf"compile\(\)` before calling `{method}"):
        getattr(model, method)(X, Y)


# ---- printing -------------------------------------------------------------------------------------


def test_one_line_an_epoch(capsys):
    model = classifier()
    for verbose in ("auto", 1, 2):
        model.fit(X, Y, epochs=2, verbose=verbose, validation_split=0.2)
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == 2
        for number, line in enumerate(lines, 1):
            assert line.startswith(f"Epoch {number}/2 - 3/3 - ")
            for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
                assert f"{name}: " in line
    model.evaluate(X, Y)
    assert capsys.readouterr().out.startswith("4/4 - ")
    model.predict(X)
    assert capsys.readouterr().out.startswith("4/4 - ")
    for call in (model.fit, model.evaluate):
        call(X, Y, verbose=0)
    model.predict(X, verbose=0)
    assert capsys.readouterr() == ("", "")
    with pytest.raises(ValueError, match="verbose"):
        model.fit(X, Y, verbose=3)
