"""Dropout: rates, masks, seeds, and the idiom that keeps it on in inference."""

import numpy as np
import pytest

import fastnn
from fastnn import layers
from harness.layers import data


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_share_and_scale(rate):
    x = np.ones((2000, 50), np.float32)
    y = layers.Dropout(rate)(x, training=True)
    dropped = y == 0
    assert abs(dropped.mean() - rate) < 0.01
    np.testing.assert_allclose(y[~dropped], 1 / (1 - rate), rtol=1e-6)


def test_the_ends_of_the_range():
    x = data(30, 7)
    np.testing.assert_array_equal(layers.Dropout(0)(x, training=True), x)
    np.testing.assert_array_equal(layers.Dropout(1)(x, training=True), np.zeros_like(x))
    np.testing.assert_array_equal(layers.Dropout(0.9)(x), x)
    np.testing.assert_array_equal(layers.Dropout(0.9)(x, training=False), x)


@pytest.mark.parametrize("rate", [-0.1, 1.1, float("nan"), True])
def test_refuses_rates(rate):
    with pytest.raises(ValueError, match="rate"):
        layers.Dropout(rate)


def test_refuses_a_noise_shape():
    with pytest.raises(ValueError, match="noise_shape"):
        layers.Dropout(0.5, noise_shape=(1, 3))


def test_masks_differ_between_calls_layers_and_rows():
    x = np.ones((40, 64), np.float32)
    first, second = layers.Dropout(0.5), layers.Dropout(0.5)
    results = [first(x, training=True), first(x, training=True), second(x, training=True)]
    for i, a in enumerate(results):
        assert len(np.unique(a, axis=0)) == len(a)
        for b in results[:i]:
            assert 0.4 < (a == b).mean() < 0.6


def test_a_seed_repeats_the_masks():
    x = np.ones((20, 30), np.float32)

    def draw():
        fastnn.utils.set_random_seed(7)
        layer = layers.Dropout(0.5)
        return [np.asarray(layer(x, training=True)) for _ in range(3)]

    np.testing.assert_array_equal(draw(), draw())


class MCDropout(layers.Dropout):
    """The field's idiom for uncertainty: on in inference too (Gal and Ghahramani, ICML 2016)."""

    def call(self, inputs, training=False):
        return super().call(inputs, training=True)


@pytest.fixture
def monte_carlo():
    model = fastnn.Sequential(
        [fastnn.Input((8,)), layers.Dense(32, activation="relu"), MCDropout(0.5), layers.Dense(1)]
    )
    model.compile("sgd", "mse")
    return model


def test_monte_carlo_dropout_draws_new_masks_in_every_call(monte_carlo):
    x = np.repeat(data(1, 8), 600, axis=0)  # several chunks of rows
    answers = np.stack([monte_carlo.predict(x, verbose=0)[:, 0] for _ in range(5)])
    answers = np.concatenate([answers, np.asarray(monte_carlo(x)).T, monte_carlo.predict_on_batch(x).T])
    assert len(np.unique(answers)) > 0.9 * answers.size
    without = fastnn.Sequential([fastnn.Input((8,)), monte_carlo.layers[0], monte_carlo.layers[2]])
    expected = without.predict(x[:1], verbose=0)[0, 0]
    assert abs(answers.mean() - expected) < 4 * answers.std() / np.sqrt(answers.size)


def test_monte_carlo_dropout_trains_and_evaluates(monte_carlo):
    x, y = data(64, 8), data(64, 1, seed=1)
    before = monte_carlo.evaluate(x, y, verbose=0)
    monte_carlo.fit(x, y, epochs=30, verbose=0)
    assert monte_carlo.evaluate(x, y, verbose=0) < before
    single = MCDropout(0.5)(np.ones((4, 30)))
    assert set(np.unique(single)) == {0, 2}
