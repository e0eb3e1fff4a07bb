"""Callbacks of the learning rate: beside Keras, and by what they do."""

import numpy as np
import pytest

import fastnn
from fastnn import callbacks, optimizers
from harness.models import X, Y, classifier


def fits(keras, make, optimizer, **options):
    """The same fit in Keras and here; the models after it and their histories."""
    result = []
    for k in keras, fastnn:
        model = classifier(k, optimizer=optimizer(k))
        history = model.fit(
            X[:96],  # whole batches: Keras compiles for each size
            Y[:96],
            batch_size=16,
            shuffle=False,
            verbose=0,
            validation_data=(X[:32], Y[:32]),
            callbacks=make(k),
            **options,
        )
        result.append((model, history.history))
    return result


def check(pair):
    (theirs, expected), (mine, history) = pair
    assert set(history) == set(expected)
    for name, values in expected.items():
        assert history[name] == pytest.approx(values, rel=2e-4), name
    for one, other in zip(mine.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-3 * np.abs(other).max())


def test_callbacks_and_schedules_are_those_of_keras(keras):
    """One run with everything that needs `fit`: scheduler, plateau, moving averages, accumulated gradients."""

    def make(k):
        return [
            k.callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.9),
            k.callbacks.ReduceLROnPlateau(patience=1, min_delta=0.02, cooldown=1, min_lr=0.01, factor=0.5),
            k.callbacks.SwapEMAWeights(),
        ]

    options = dict(use_ema=True, ema_momentum=0.8, gradient_accumulation_steps=2, weight_decay=0.01, clipnorm=0.3)
    check(fits(keras, make, lambda k: k.optimizers.SGD(0.1, momentum=0.9, **options), epochs=5))

    def schedule(k):
        return k.optimizers.Adam(k.optimizers.schedules.CosineDecay(0.001, 12, 0.1, warmup_target=0.02, warmup_steps=5))

    check(fits(keras, lambda k: [], schedule, epochs=4))


def test_history_has_both_names():
    model = classifier()
    history = model.fit(X, Y, epochs=3, verbose=0, callbacks=[callbacks.LearningRateScheduler(lambda e: 0.1 / (e + 1))])
    assert history.history["learning_rate"] == history.history["lr"] == pytest.approx([0.1, 0.05, 0.1 / 3])
    assert "lr" in history.history
    assert history.history.get("lr") == history.history["lr"]
    assert "lr" not in list(history.history)
    assert "lr" not in list(history.history)


def test_a_rate_set_before_a_batch_is_that_batches():
    model = classifier(optimizer=optimizers.SGD(0.1))
    before = model.get_weights()

    class Stop(fastnn.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            self.model.optimizer.learning_rate = 0.0 if batch < 2 else 0.1
            fastnn.backend.set_value(self.model.optimizer.lr, float(self.model.optimizer.lr))

        def on_train_batch_end(self, batch, logs=None):
            moved = any(not np.array_equal(a, b) for a, b in zip(before[:2], self.model.get_weights()[:2], strict=True))
            assert moved == (batch >= 2)

    model.fit(X, Y, batch_size=16, verbose=0, callbacks=[Stop()])


def test_finder():
    model = classifier(optimizer=optimizers.SGD(0.03, momentum=0.9))
    model.fit(X, Y, verbose=0)
    before = [*model.get_weights(), *(v.numpy() for v in model.optimizer.variables)]
    finder = callbacks.LearningRateFinder(1e-5, 100.0)
    model.fit(X, Y, batch_size=8, epochs=20, verbose=0, callbacks=[finder])
    after = [*model.get_weights(), *(v.numpy() for v in model.optimizer.variables)]
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, other)
    assert model.optimizer.learning_rate == 0.03
    assert np.all(np.diff(np.log(finder.rates)) > 0)
    assert 1e-3 < finder.suggestion < 10
    ratio = np.diff(np.log(finder.rates))
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-6)
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    assert finder.plot().get_xscale() == "log"


def test_swapping_of_averages():
    model = classifier(optimizer=optimizers.SGD(0.1, use_ema=True, ema_momentum=0.9))
    seen = []

    class Look(fastnn.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append(self.model.layers[0].kernel.numpy())

    swap = callbacks.SwapEMAWeights(swap_on_epoch=True)
    model.fit(X, Y, epochs=2, verbose=0, callbacks=[swap, Look()])
    np.testing.assert_array_equal(model.layers[0].kernel.numpy(), seen[1])
    with pytest.raises(ValueError, match="use_ema"):
        classifier().fit(X, Y, verbose=0, callbacks=[callbacks.SwapEMAWeights(True)])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: callbacks.ReduceLROnPlateau(factor=1.0), "factor >= 1.0"),
        (lambda: callbacks.ReduceLROnPlateau(epsilon=1.0), "not recognized"),
        (lambda: callbacks.LearningRateFinder(1.0, 0.1), "min_rate < max_rate"),
        (lambda: callbacks.LearningRateFinder(smoothing=1.0), "`smoothing`"),
        (lambda: callbacks.LearningRateFinder().suggestion, "Fewer than 3 steps"),
        (lambda: classifier().fit(X[:4], Y[:4], callbacks=[callbacks.LearningRateFinder()]), "at least 2 steps"),
        (lambda: classifier().fit(X, Y, callbacks=[callbacks.LearningRateScheduler(lambda e, r: "0.1")]), "be a float"),
    ],
)
def test_wrong_use_is_refused(call, message):
    with pytest.raises(ValueError) as caught:
        call()
    assert message in str(caught.value)
