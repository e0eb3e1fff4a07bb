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


def test_refuses_noise_shapes_that_do_not_fit():
    for shape in "ab", (None, 0), (None, 1.5), 3:
        with pytest.raises(ValueError, match="noise_shape.*tuple of positive integers and None"):
            layers.Dropout(0.5, noise_shape=shape)
    for shape in (None, 3), (None, 1, 1), (2, 7), (1,):
        with pytest.raises(ValueError, match=r"noise_shape.*\(None, 7\)"):
            layers.Dropout(0.5, noise_shape=shape)(data(30, 7), training=True)


def test_what_shares_a_draw_is_dropped_together():
    x = np.ones((40, 6, 10), np.float32)
    for shape, axes in (
        ((None, 1, 10), 1),
        ((None, 6, 1), 2),
        ((1, 6, 10), 0),
        ((None, 1, None), 1),
        ((1, 1, 1), (0, 1, 2)),
    ):
        y = layers.Dropout(0.5, noise_shape=shape)(x, training=True)
        assert (y.max(axis=axes) == y.min(axis=axes)).all()
        if shape != (1, 1, 1):
            assert 0.3 < (y == 0).mean() < 0.7
    assert layers.Dropout(0.5, noise_shape=[None, 1, 10]).get_config()["noise_shape"] == (None, 1, 10)


@pytest.mark.parametrize("make", [
    lambda seed: layers.Dropout(0.5, seed=seed),
    lambda seed: layers.AlphaDropout(0.5, seed=seed),
    lambda seed: layers.GaussianDropout(0.5, seed=seed),
    lambda seed: layers.GaussianNoise(0.5, seed=seed),
    lambda seed: layers.RReLU(seed=seed),
])  # fmt: skip
def test_a_seed_of_the_layers_own_repeats_whatever_the_others_draw(make):
    x = data(20, 30)
    first, again, other = make(7), make(7), make(-8)
    for _ in range(2):  # every call draws other numbers, the same ones for the same seed
        result = np.asarray(first(x, training=True))
        np.testing.assert_array_equal(result, again(x, training=True))
        assert (result != other(x, training=True)).any()
    assert (result != make(7)(x, training=True)).any()
    assert first.get_config()["seed"] == 7
    with pytest.raises(ValueError, match="`seed` must be an integer"):
        make("7")


def test_a_rate_that_is_assigned_takes_effect():
    model = fastnn.Sequential([fastnn.Input((40,)), layers.Dropout(0.0), layers.GaussianNoise(0.0), layers.Dense(1)])
    dropout, noise = model.layers[:2]
    model.compile(fastnn.optimizers.SGD(0.0), "mse")
    x, y = data(64, 40), data(64, 1)
    without = model.fit(x, y, verbose=0).history["loss"]
    assert model.fit(x, y, verbose=0).history["loss"] == pytest.approx(without)
    dropout.rate = 0.5
    dropped = model.fit(x, y, verbose=0).history["loss"]
    assert dropped != pytest.approx(without, rel=1e-3)
    assert (np.asarray(dropout(x, training=True)) == 0).any()
    dropout.rate, noise.stddev = 0, 2
    assert model.fit(x, y, verbose=0).history["loss"] != pytest.approx(without, rel=1e-3)
    with pytest.raises(ValueError, match=r"Dropout: `rate` must be a number in \[0, 1\]. Received: rate=2"):
        dropout.rate = 2
    assert dropout.rate == 0


def test_alpha_dropout_keeps_mean_and_variance():
    x = np.asarray(layers.Activation("selu")(data(3000, 50)))
    y = layers.AlphaDropout(0.2, seed=1)(x, training=True)
    assert abs(y.mean() - x.mean()) < 0.02
    assert abs(y.var() - x.var()) < 0.03
    assert len(np.unique(y[:, 0])) < len(y)  # what is dropped has one value
    with pytest.raises(ValueError, match="rate"):
        layers.AlphaDropout(1.0)


def test_gaussian_noise_and_dropout_have_the_wanted_spread():
    x = np.full((3000, 50), 2, np.float32)
    y = layers.GaussianNoise(0.3, seed=1)(x, training=True)
    assert abs(y.mean() - 2) < 0.005
    assert abs(y.std() - 0.3) < 0.005
    y = layers.GaussianDropout(0.2, seed=1)(x, training=True)
    assert abs(y.mean() - 2) < 0.02
    assert abs(y.std() - 2 * 0.5) < 0.02
    for layer in layers.GaussianNoise(0.3), layers.GaussianDropout(0.2), layers.AlphaDropout(0.5):
        np.testing.assert_array_equal(layer(x), x)


def test_rrelu_draws_slopes_in_training_and_takes_their_mean_in_inference():
    x = -np.ones((300, 50), np.float32)
    slopes = -layers.RReLU()(x, training=True)
    assert 1 / 8 <= slopes.min() < 0.127
    assert 0.331 < slopes.max() < 1 / 3
    np.testing.assert_allclose(layers.RReLU()(x), -(1 / 8 + 1 / 3) / 2, rtol=1e-6)
    np.testing.assert_array_equal(layers.RReLU()(-x, training=True), -x)
    with pytest.raises(ValueError, match="`upper` must be a finite number of at least `lower`, 0.5"):
        layers.RReLU(0.5, 0.2)


@pytest.mark.parametrize("place", ["first", "later"])
def test_noise_trains_on_inputs_too_and_vanishes_when_frozen(place):
    stack = [
        layers.GaussianNoise(0.1),
        layers.GaussianDropout(0.1),
        layers.AlphaDropout(0.1),
        layers.Dropout(0.1),
        layers.RReLU(),
    ]
    dense = [layers.Dense(5), layers.Dense(1)]
    model = fastnn.Sequential(
        [fastnn.Input((8,)), *(stack + dense if place == "first" else [dense[0], *stack, dense[1]])]
    )
    model.compile("sgd", "mse")
    x, y = data(64, 8), data(64, 1, seed=1)
    before = model.evaluate(x, y, verbose=0)
    model.fit(x, y, epochs=20, verbose=0)
    assert model.evaluate(x, y, verbose=0) < before
    frozen = model.freeze()
    np.testing.assert_allclose(frozen(x), model.predict(x, verbose=0), rtol=1e-5, atol=1e-6)
    assert {node.operation.name for node in frozen.graph.nodes} == {"packed_dense", "activation"}
    for layer in stack:
        mixed = fastnn.Sequential([fastnn.Input((8,)), Always(layer)])
        with pytest.raises(ValueError, match="training=True: it draws random numbers"):
            mixed.freeze()


class Always(layers.Layer):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def call(self, inputs):
        return self.inner(inputs, training=True)


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
