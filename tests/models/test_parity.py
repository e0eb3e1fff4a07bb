"""Whole training runs beside real Keras: the same weights, data and order, twenty steps, the same result to 1e-4."""

import numpy as np
import pytest

import fastnn

STEPS, BATCH = 20, 24


def relu_net(k):
    hidden = [k.layers.Dense(units, activation="relu") for units in (31, 17)]
    return [*hidden, k.layers.Dense(5, activation="softmax")]


def book_net(k):
    L = k.layers
    stack = [L.BatchNormalization()]
    for units in 30, 20:
        stack += [L.Dense(units, activation="elu", kernel_initializer="he_normal"), L.BatchNormalization()]
    return [*stack, L.Dense(5, activation="softmax")]


def before_the_activation(k):
    L = k.layers
    stack = [L.Dense(30, use_bias=False), L.BatchNormalization(momentum=0.9), L.Activation("relu")]
    return [*stack, L.Dense(5, activation="softmax")]


def deep_selu(k):
    hidden = [k.layers.Dense(20, activation="selu", kernel_initializer="lecun_normal") for _ in range(10)]
    return [*hidden, k.layers.Dense(5, activation="softmax")]


def every_activation(k):
    names = ["leaky_relu", "sigmoid", "tanh", "softplus", "silu", "gelu", "mish"]
    hidden = [k.layers.Dense(13 + i, activation=name) for i, name in enumerate(names)]
    return [*hidden, k.layers.Dense(5, activation="softmax")]


def activation_layers(k):
    L = k.layers
    stack = [L.Dense(20), L.LeakyReLU(negative_slope=0.1), L.Dense(15), L.ELU(alpha=0.7)]
    return [*stack, L.Dense(12), L.ReLU(), L.Dense(5), L.Softmax()]


def logits(k):
    return [k.layers.Dense(20, activation="tanh"), k.layers.Dense(5)]


def regression(k):
    return [k.layers.Rescaling(0.5, offset=0.1), k.layers.Dense(20, activation="swish"), k.layers.Dense(3)]


def one_sigmoid(k):
    return [k.layers.Dense(20, activation="relu"), k.layers.Dense(1, activation="sigmoid")]


def frozen_normalisation(k):
    normalise = k.layers.BatchNormalization()
    normalise.trainable = False
    return [k.layers.Dense(20, activation="relu"), normalise, k.layers.Dense(5, activation="softmax")]


def sgd(k):
    return k.optimizers.SGD(0.05)


def momentum(k):
    return k.optimizers.SGD(0.02, momentum=0.9)


def nesterov(k):
    return k.optimizers.SGD(0.02, momentum=0.9, nesterov=True)


def adam(k):
    return k.optimizers.Adam(0.003)


def amsgrad(k):
    return k.optimizers.Adam(0.003, beta_1=0.8, beta_2=0.95, epsilon=1e-5, amsgrad=True)


LABELS, ONE_HOT, ZERO_ONE, VALUES = "labels", "one-hot", "zero or one", "values"
SPARSE = "sparse_categorical_crossentropy"
CASES = [
    pytest.param(net, optimizer, loss, target, id=f"{i} {net.__name__} {optimizer.__name__}")
    for i, (net, optimizer, loss, target) in enumerate(
        [
            (relu_net, sgd, SPARSE, LABELS),
            (relu_net, momentum, SPARSE, LABELS),
            (relu_net, nesterov, SPARSE, LABELS),
            (relu_net, adam, SPARSE, LABELS),
            (relu_net, amsgrad, SPARSE, LABELS),
            (relu_net, adam, lambda k: k.losses.CategoricalCrossentropy(label_smoothing=0.1), ONE_HOT),
            (book_net, nesterov, SPARSE, LABELS),
            (book_net, adam, SPARSE, LABELS),
            (before_the_activation, momentum, SPARSE, LABELS),
            (deep_selu, sgd, SPARSE, LABELS),
            (every_activation, adam, SPARSE, LABELS),
            (activation_layers, nesterov, SPARSE, LABELS),
            (logits, adam, lambda k: k.losses.SparseCategoricalCrossentropy(from_logits=True), LABELS),
            (logits, sgd, lambda k: k.losses.CategoricalCrossentropy(from_logits=True), ONE_HOT),
            (logits, sgd, lambda k: k.losses.BinaryCrossentropy(from_logits=True, label_smoothing=0.2), ONE_HOT),
            (one_sigmoid, adam, "binary_crossentropy", ZERO_ONE),
            (regression, nesterov, "mse", VALUES),
            (regression, sgd, "mean_absolute_error", VALUES),
            (frozen_normalisation, momentum, SPARSE, LABELS),
        ]
    )
]


def targets(kind, random, rows, shape=()):
    labels = random.integers(0, 5, size=(rows, *shape))
    return {
        LABELS: labels,
        ONE_HOT: np.eye(5, dtype=np.float32)[labels],
        ZERO_ONE: (labels > 2).astype(np.float32),
        VALUES: random.normal(size=(rows, *shape, 3)).astype(np.float32),
    }[kind]


def twins(keras, net, shape, optimizer, loss, **compiled):
    """The same network in Keras and here, with the weights of the first."""
    models = []
    for k in keras, fastnn:
        k.utils.set_random_seed(7)
        model = k.Sequential([k.Input(shape), *net(k)])
        model.compile(optimizer(k), loss if isinstance(loss, str) else loss(k), **compiled)
        models.append(model)
    random = np.random.default_rng(5)
    weights = [w + (0.1 * random.random(w.shape)).astype(w.dtype) for w in models[0].get_weights()]
    for model in models:
        model.set_weights(weights)
    return models


def close(mine, theirs):
    """Equal to 1e-4 of the largest value: what twenty steps make of different orders of summation."""
    for one, other in zip(mine, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4 * max(1e-3, np.abs(other).max()))


@pytest.mark.parametrize(("net", "optimizer", "loss", "target"), CASES)
def test_twenty_steps(keras, net, optimizer, loss, target):
    theirs, mine = twins(keras, net, (11,), optimizer, loss)
    random = np.random.default_rng(1)
    x = random.normal(size=(STEPS * BATCH, 11)).astype(np.float32)
    y = targets(target, random, len(x))
    histories = [m.fit(x, y, batch_size=BATCH, epochs=1, shuffle=False, verbose=0).history for m in (theirs, mine)]
    close(mine.get_weights(), theirs.get_weights())
    assert histories[1]["loss"] == pytest.approx(histories[0]["loss"], rel=1e-4)
    close([mine.predict(x, verbose=0)], [theirs.predict(x, verbose=0)])
    assert mine.evaluate(x, y, verbose=0) == pytest.approx(theirs.evaluate(x, y, verbose=0), rel=1e-4)


def test_weights_metrics_and_validation(keras):
    """Sample weights, class weights, metrics and the last, smaller batch."""
    metrics = dict(metrics=["accuracy"], weighted_metrics=["accuracy"])
    random = np.random.default_rng(2)
    x = random.normal(size=(100, 11)).astype(np.float32)
    y = random.integers(0, 5, size=100)
    weights = random.random(100).astype(np.float32)
    for extra in dict(sample_weight=weights), dict(class_weight={0: 2.0, 3: 0.5}):
        theirs, mine = twins(keras, relu_net, (11,), adam, SPARSE, **metrics)
        fits = [
            m.fit(x, y, batch_size=32, epochs=3, shuffle=False, verbose=0, validation_split=0.2, **extra).history
            for m in (theirs, mine)
        ]
        assert list(fits[1]) == list(fits[0])
        for name, values in fits[0].items():
            assert fits[1][name] == pytest.approx(values, rel=1e-4), name
        close(mine.get_weights(), theirs.get_weights())


@pytest.mark.parametrize("shape", [(4, 6), (3, 2, 6)])
def test_inputs_of_higher_rank(keras, shape):
    def net(k):
        L = k.layers
        return [L.Dense(9, activation="elu"), L.BatchNormalization(), L.Dense(5, activation="softmax")]

    theirs, mine = twins(keras, net, shape, momentum, SPARSE, metrics=["accuracy"])
    random = np.random.default_rng(3)
    x = random.normal(size=(60, *shape)).astype(np.float32)
    y = targets(LABELS, random, 60, shape[:-1])
    logs = [m.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0).history for m in (theirs, mine)]
    for name in logs[0]:
        assert logs[1][name] == pytest.approx(logs[0][name], rel=1e-4), name
    close(mine.get_weights(), theirs.get_weights())


def test_reshapes_and_normalization(keras):
    random = np.random.default_rng(4)
    x = random.normal(3, 2, size=(60, 4, 6)).astype(np.float32)
    y = random.integers(0, 5, size=60)

    def net(k):
        L = k.layers
        normalise = L.Normalization()
        normalise.adapt(x)
        stack = [normalise, L.Reshape((8, 3)), L.Dense(7, activation="relu")]
        return [*stack, L.Flatten(), L.Dense(5, activation="softmax")]

    models = []
    for k in keras, fastnn:
        model = k.Sequential([k.Input((4, 6)), *net(k)])
        model.compile(sgd(k), SPARSE)
        models.append(model)
    theirs, mine = models
    mine.set_weights(theirs.get_weights())
    for model in models:
        model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0)
    close(mine.get_weights(), theirs.get_weights())
    close([mine.predict(x, verbose=0)], [theirs.predict(x, verbose=0)])


def test_train_on_batch_of_varying_size(keras):
    theirs, mine = twins(keras, book_net, (11,), adam, SPARSE, metrics=["accuracy"])
    random = np.random.default_rng(6)
    for rows in 5, 32, 17, 64, 3:
        x, y = random.normal(size=(rows, 11)).astype(np.float32), random.integers(0, 5, size=rows)
        assert mine.train_on_batch(x, y) == pytest.approx(theirs.train_on_batch(x, y), rel=1e-3)
        assert mine.test_on_batch(x, y) == pytest.approx(theirs.test_on_batch(x, y), rel=1e-3)
    close(mine.get_weights(), theirs.get_weights())
