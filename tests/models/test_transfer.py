"""Taking over layers of another model, frozen and thawed, beside real Keras."""

import numpy as np
import pytest

import fastnn
from harness.layers import data, random_weights

X, A, B = data(60, 8), data(60, 3, seed=1), data(60, 2, seed=2)


def body(k):
    L = k.layers
    return [L.Dense(9, "selu"), L.BatchNormalization(), L.Dense(6, "tanh"), L.Dropout(0.0)]


def fitted(k, model, y, epochs=5):
    model.compile(k.optimizers.SGD(0.05, momentum=0.9), "mse")
    model.fit(X, y, batch_size=15, epochs=epochs, shuffle=False, verbose=0)


def sequential(k):
    """A head put in another's place; the body frozen, then thawed."""
    model_a = k.Sequential([k.Input((8,)), *body(k), k.layers.Dense(3)])
    model_a.set_weights(random_weights(model_a.weights))
    fitted(k, model_a, A)
    model_b = k.Sequential(model_a.layers[:-1])
    model_b.add(head := k.layers.Dense(2))
    model_b.build((None, 8))
    head.set_weights(random_weights(head.weights, seed=4))
    for layer in model_b.layers[:-1]:
        layer.trainable = False
    fitted(k, model_b, B)
    yield model_b
    for layer in model_b.layers[:-1]:
        layer.trainable = True
    model_b.layers[1].trainable = False  # its moving averages stand still, and are what it normalises by
    fitted(k, model_b, B)
    yield model_b
    yield model_a  # has the same body


def functional(k):
    inputs = k.Input((8,))
    x = inputs
    for layer in body(k):
        x = layer(x)
    model_a = k.Model(inputs, k.layers.Dense(3)(x))
    model_a.set_weights(random_weights(model_a.weights))
    base = k.Model(model_a.inputs, model_a.layers[-2].output)
    base.trainable = False
    new = k.Input((8,))
    outputs = (head := k.layers.Dense(2))(base(new, training=True))  # frozen BatchNormalization does not mind
    head.set_weights(random_weights(head.weights, seed=4))
    model_b = k.Model(new, outputs)
    fitted(k, model_b, B)
    yield model_b
    yield model_a
    base.trainable = True
    fitted(k, model_b, B)
    yield model_b


@pytest.mark.parametrize("course", [sequential, functional])
def test_transfer_is_that_of_keras(course, keras):
    """Twenty steps in each phase."""
    for ours, theirs in zip(course(fastnn), course(keras), strict=True):
        assert [each.shape for each in ours.weights] == [tuple(each.shape) for each in theirs.weights]
        assert len(ours.trainable_weights) == len(theirs.trainable_weights)
        for one, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)


def test_weights_are_shared():
    model_a = fastnn.Sequential([fastnn.Input((8,)), *body(fastnn), fastnn.layers.Dense(3)])
    model_b = fastnn.Sequential([*model_a.layers[:-1], fastnn.layers.Dense(2)])
    fitted(fastnn, model_b, B, 1)
    for one, other in zip(model_a.layers[:-1], model_b.layers, strict=False):
        assert one is other
        assert all(a is b for a, b in zip(one.weights, other.weights, strict=True))


@pytest.mark.parametrize("training", [True, None])
def test_frozen_batch_normalisation_is_in_inference_mode(training):
    layer = fastnn.layers.BatchNormalization()
    layer.build((None, 8))
    layer.trainable = False
    before = layer.get_weights()
    np.testing.assert_array_equal(layer(X, training=training), layer(X, training=False))
    inputs = fastnn.Input((8,))
    model = fastnn.Model(inputs, fastnn.layers.Dense(2)(layer(inputs, training=training)))
    fitted(fastnn, model, B, 1)
    for one, other in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_thawing_after_compile_waits_for_the_next_compile():
    inputs = fastnn.Input((8,))
    base = fastnn.Sequential([inputs, *body(fastnn)])
    base.trainable = False
    model = fastnn.Model(inputs, fastnn.layers.Dense(2)(base(inputs)))
    fitted(fastnn, model, B, 1)
    before = base.layers[0].get_weights()[0]
    base.trainable = True
    with pytest.warns(UserWarning, match="since the model was compiled"):
        model.fit(X, B, verbose=0)
    np.testing.assert_array_equal(base.layers[0].get_weights()[0], before)
    fitted(fastnn, model, B, 1)
    assert (base.layers[0].get_weights()[0] != before).any()


def test_each_layer_may_learn_at_a_rate_of_its_own():
    model = fastnn.Sequential([fastnn.Input((8,)), fastnn.layers.Dense(5), fastnn.layers.Dense(2)])
    first, last = (layer.kernel for layer in model.layers)
    before, start = model.get_weights(), (first.numpy(), last.numpy())
    moved = []
    for factor in 1.0, 0.1:
        model.set_weights(before)
        optimizer = fastnn.optimizers.SGD(0.1)
        optimizer.learning_rate_multipliers = {model.layers[0]: factor}
        model.compile(optimizer, "mse")
        model.train_on_batch(X, B)
        moved.append((first.numpy() - start[0], last.numpy() - start[1]))
    np.testing.assert_allclose(moved[1][0], 0.1 * moved[0][0], rtol=1e-2, atol=1e-6)
    np.testing.assert_array_equal(moved[1][1], moved[0][1])


class MCDropout(fastnn.layers.Dropout):
    def call(self, inputs, training=None):
        return super().call(inputs, training=True)


def test_monte_carlo_dropout_in_a_functional_model():
    inputs = fastnn.Input((8,))
    hidden = fastnn.layers.Dense(20, "relu")(inputs)
    joined = fastnn.layers.concatenate([MCDropout(0.5)(hidden), hidden])
    model = fastnn.Model(inputs, fastnn.layers.Dense(2)(joined))
    fitted(fastnn, model, B, 1)
    passes = np.stack([model.predict(X, verbose=0) for _ in range(200)])
    assert (passes.std(axis=0) > 0).all()
    mean, deviation = model.predict_mc(X, 200, seed=1)
    np.testing.assert_allclose(mean, passes.mean(axis=0), atol=6 * deviation.max() * np.sqrt(2 / 200))
    np.testing.assert_allclose(deviation, passes.std(axis=0), rtol=0.4)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_mixup_and_label_smoothing_in_fit(smoothing):
    """The loss of the first step, put together by hand."""
    labels = fastnn.utils.to_categorical(np.arange(60) % 3, 3)
    mixup = fastnn.layers.MixUp(0.4, seed=3)
    model = fastnn.Sequential([fastnn.Input((8,)), mixup, fastnn.layers.Dense(3, "softmax")])
    model.compile(fastnn.optimizers.SGD(0.0), fastnn.losses.CategoricalCrossentropy(label_smoothing=smoothing))
    loss = model.fit(X, labels, batch_size=60, shuffle=False, verbose=0).history["loss"][0]
    both = fastnn.layers.MixUp(0.4, seed=3)(np.concatenate([X, labels], axis=1), training=True)
    x, y = np.asarray(both)[:, :8], np.asarray(both)[:, 8:]
    assert (y != labels).any()
    y = y * (1 - smoothing) + smoothing / 3
    expected = -(y * np.log(model.layers[-1](x))).sum(axis=1).mean()
    assert loss == pytest.approx(expected, rel=1e-5)
