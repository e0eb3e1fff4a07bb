"""A small network and its data, for tests of what surrounds the numbers."""

import numpy as np

import fastnn
from harness.layers import data

X, Y = data(103, 6), np.random.default_rng(1).integers(0, 3, 103)
SPARSE = "sparse_categorical_crossentropy"


def classifier(package=fastnn, metrics=("accuracy",), optimizer="sgd", seed=0, **options):
    """The same small network with the same weights, here or in Keras."""
    package.utils.set_random_seed(seed)
    L = package.layers
    stack = [L.Dense(9, activation="relu"), L.BatchNormalization(), L.Dense(3, activation="softmax")]
    model = package.Sequential([package.Input((6,)), *stack])
    random = np.random.default_rng(5)
    model.set_weights([np.abs(random.normal(size=w.shape) * 0.5) for w in model.get_weights()])
    model.compile(optimizer, SPARSE, metrics=list(metrics), **options)
    return model


def same(a, b):
    for one, other in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
