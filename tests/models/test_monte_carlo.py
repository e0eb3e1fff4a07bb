"""Monte-Carlo dropout: `predict_mc`, beside the same passes one by one."""

import numpy as np
import pytest

import fastnn
from fastnn import layers
from harness.layers import data


def network(*middle):
    fastnn.utils.set_random_seed(3)
    stack = [layers.Dense(40, activation="relu"), *middle, layers.Dense(3, activation="softmax")]
    return fastnn.Sequential([fastnn.Input((8,)), *stack])


class MCDropout(layers.Dropout):
    def call(self, inputs, training=None):
        return super().call(inputs, training=True)


@pytest.mark.parametrize("make", [layers.Dropout, MCDropout, layers.GaussianDropout])
def test_it_agrees_with_passes_one_by_one(make):
    model = network(make(0.4))
    x = data(300, 8)  # more than one run takes
    mean, deviation = model.predict_mc(x, 400, seed=1)
    assert mean.shape == deviation.shape == (300, 3)
    passes = np.stack([np.asarray(model(x, training=True)) for _ in range(400)])
    error = passes.std(axis=0) * np.sqrt(2 / 400)
    assert (np.abs(mean - passes.mean(axis=0)) < 6 * error).all()
    np.testing.assert_allclose(deviation, passes.std(axis=0), rtol=0.35)
    np.testing.assert_allclose(deviation.mean(), passes.std(axis=0).mean(), rtol=0.02)


def test_one_pass_has_no_spread_and_two_have_that_of_two():
    model, x = network(layers.Dropout(0.5)), data(5, 8)
    mean, deviation = model.predict_mc(x, 1, seed=1)
    assert not deviation.any()
    assert (mean != model.predict(x, verbose=0)).any()
    doubled, deviation = model.predict_mc(np.concatenate([x, x]), 1, seed=1)
    assert (doubled[:5] != doubled[5:]).any()  # rows draw for themselves


def test_the_seed_repeats_on_any_number_of_threads():
    model, x = network(layers.Dropout(0.5), layers.GaussianNoise(0.1)), data(130, 8)
    expected = model.predict_mc(x, 50, seed=7)
    threads = fastnn.get_threads()
    try:
        for count in 1, 2, 3:
            fastnn.set_threads(count)
            for one, other in zip(model.predict_mc(x, 50, seed=7), expected, strict=True):
                np.testing.assert_array_equal(one, other)
    finally:
        fastnn.set_threads(threads)
    other, _ = model.predict_mc(x, 50, seed=8)
    assert (other != expected[0]).any()
    again = [model.predict_mc(x, 50)[0] for _ in range(2)]
    assert (again[0] != again[1]).any()


def test_batch_normalisation_stays_in_inference_mode_and_nothing_is_learnt():
    model = network(layers.BatchNormalization())
    model.layers[1].moving_mean.assign(np.ones(40))
    x, before = data(40, 8), model.get_weights()
    mean, deviation = model.predict_mc(x, 10)
    np.testing.assert_array_equal(mean, model.predict(x, verbose=0))
    assert not deviation.any()
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_dropout_on_inputs_and_a_rate_that_changes():
    model = fastnn.Sequential([fastnn.Input((4, 8)), layers.Dropout(0.5), layers.Flatten(), layers.Dense(2)])
    x = np.arange(3 * 4 * 8, dtype=np.uint8).reshape(3, 4, 8)
    _, deviation = model.predict_mc(x, 30, seed=1)
    assert deviation.all()
    model.layers[0].rate = 0.0
    mean, deviation = model.predict_mc(x, 30, seed=1)
    assert not deviation.any()
    np.testing.assert_array_equal(mean, model.predict(x, verbose=0))


def test_an_output_of_several_axes():
    model = fastnn.Sequential([fastnn.Input((4, 8)), layers.Dropout(0.5), layers.Dense(5)])
    mean, deviation = model.predict_mc(data(3, 4, 8), 2000, seed=1)
    assert mean.shape == deviation.shape == (3, 4, 5)
    np.testing.assert_allclose(mean, model.predict(data(3, 4, 8), verbose=0), atol=6 * deviation.max() / np.sqrt(2000))


def test_refuses():
    model = network(layers.Dropout(0.5))
    with pytest.raises(ValueError, match="`n` must be an integer of at least 1. Received: n=0"):
        model.predict_mc(data(3, 8), 0)
    with pytest.raises(ValueError, match=r"expected samples of shape \(8,\)"):
        model.predict_mc(data(3, 7))
