"""Inputs are made alike for int8 where they are not, and only there, without a rounding."""

import numpy as np

import fastnn
from fastnn.freeze.balance import balance, input_scales


def test_scales_are_powers_of_two():
    kernel = np.random.default_rng(0).normal(size=(10, 40)).astype(np.float32)
    assert input_scales(kernel) is None
    kernel[2] *= 1000
    kernel[5] = 0
    scale = input_scales(kernel)
    assert 500 < scale[2] < 2000
    assert scale[5] == 1
    assert np.all(np.log2(scale) == np.rint(np.log2(scale)))
    balanced = np.abs(kernel / scale[:, None]).max(axis=1)[kernel.any(axis=1)]
    assert balanced.max() < 2.1 * balanced.min()
    kernel[1, 1] = np.inf
    assert input_scales(kernel) is None
    assert input_scales(np.zeros((3, 2), np.float32)) is None


def test_the_same_network():
    model = fastnn.Sequential([fastnn.Input((5,)), fastnn.layers.Dense(7, "relu"), fastnn.layers.Dense(3)])
    kernel = model.layers[1].kernel.numpy()
    kernel[2] *= 100
    model.layers[1].kernel.assign(kernel)
    graph = model.freeze().graph
    balanced = balance(graph)
    names = [node.operation.name for node in balanced.nodes]
    assert [name.replace("packed_", "") for name in names] == ["dense", "activation", "affine", "dense"]
    assert balanced.nodes[-1].variables["bias"] is graph.nodes[-1].variables["bias"]
    scale = balanced.nodes[-2].variables["scale"].numpy()
    unscaled = scale[:, None] * balanced.nodes[-1].variables["kernel"].numpy()
    np.testing.assert_array_equal(unscaled, graph.nodes[-1].variables["kernel"].numpy())
    assert not balanced.nodes[-2].variables["shift"].numpy().any()


def test_int8_keeps_what_hardly_varying_inputs_would_spoil():
    """Batch normalisation of such an input is folded into huge weights."""
    random = np.random.default_rng(0)
    model = fastnn.Sequential(
        [
            fastnn.Input((20,)),
            fastnn.layers.BatchNormalization(epsilon=1e-9),
            fastnn.layers.Dense(30, "relu"),
            fastnn.layers.Dense(3),
        ]
    )
    variance = np.ones(20, np.float32)
    variance[[3, 7]] = 1e-5
    model.layers[0].moving_variance.assign(variance)
    x = random.normal(size=(200, 20)).astype(np.float32)
    x[:, [3, 7]] = 0
    expected = model(x)
    error = np.abs(model.freeze(precision="int8")(x) - expected).max() / np.abs(expected).max()
    assert error < 0.02
