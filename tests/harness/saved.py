"""The model that tests of files save and load, its data, and what its copies must have in common."""

import numpy as np

RANDOM = np.random.default_rng(1)
X = RANDOM.normal(size=(50, 4)).astype(np.float32)
Y = RANDOM.integers(0, 3, size=50)


def adam(k):
    return k.optimizers.Adam(0.01, amsgrad=True)


def nesterov(k):
    return k.optimizers.SGD(0.05, momentum=0.9, nesterov=True)


def book(k, optimizer=adam, dropout=0.3, **compiled):
    L = k.layers
    normalise = L.Normalization()
    normalise.adapt(X)
    stack = [normalise, L.Dense(7, "elu", kernel_initializer="he_normal"), L.BatchNormalization(), L.Dropout(dropout)]
    model = k.Sequential([k.Input((4,)), *stack, L.Dense(3, "softmax")], name="book")
    loss = k.losses.SparseCategoricalCrossentropy()
    model.compile(optimizer(k), loss, **({"metrics": ["accuracy"]} | compiled))
    return model


def fit(model, epochs=1, **options):
    return model.fit(X, Y, batch_size=16, epochs=epochs, verbose=0, **options).history


def assert_same(one, other):
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def close(one, other):
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
