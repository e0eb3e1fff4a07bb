"""Freezing: every place of batch normalisation disappears, and the outputs stay."""

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastnn
from fastnn import layers


def scrambled(model, seed=0):
    """The model with random weights: moving averages and scales that are nothing like 0 and 1."""
    random = np.random.default_rng(seed)
    for layer in model.layers:
        weights = []
        for variable in layer.weights:
            value = random.normal(size=variable.shape) * 0.5
            if variable.name in ("moving_variance", "variance"):
                value = random.uniform(0.2, 3, size=variable.shape)
            elif variable.name == "gamma":
                value = random.uniform(-2, 2, size=variable.shape)
            weights.append(value)
        layer.set_weights(weights)
    return model


def operations(frozen):
    return [node.operation.name.removeprefix("packed_") for node in frozen.graph.nodes]


def check(model, expected=None, shape=None):
    frozen = model.freeze()
    x = np.random.default_rng(1).normal(size=(37, *model.input_shape[1:])).astype(np.float32)
    before, after = np.asarray(model(x)), frozen(x)
    scale = np.abs(before).max() + 1e-6
    np.testing.assert_allclose(after, before, rtol=1e-5, atol=1e-5 * scale)
    if expected is not None:
        assert operations(frozen) == expected, frozen.notes
    return frozen


BN = layers.BatchNormalization


@pytest.mark.parametrize(
    ("stack", "expected"),
    [
        (lambda: [layers.Dense(5), BN()], ["dense"]),
        (lambda: [layers.Dense(5, use_bias=False), BN(), layers.Activation("elu")], ["dense", "activation"]),
        (lambda: [BN(), layers.Dense(5)], ["dense"]),
        (
            lambda: [layers.Dense(9, activation="relu"), BN(), layers.Dense(5)],
            ["dense", "activation", "dense"],
        ),
        (lambda: [BN(), BN(scale=False), layers.Dense(5), BN(center=False), BN()], ["dense"]),
        (lambda: [layers.Dense(5, activation="tanh"), BN()], ["dense", "activation", "affine"]),
        (lambda: [BN()], ["affine"]),
        (lambda: [BN(), layers.ReLU(), layers.Dense(3)], ["affine", "activation", "dense"]),
        (lambda: [layers.Dense(5), layers.Dropout(0.5), BN()], ["dense"]),
        (lambda: [layers.Rescaling(0.5, 1.0), BN(), layers.Dropout(0.2), layers.Dense(5)], ["dense"]),
        (lambda: [layers.Normalization(), layers.Dense(5), layers.Softmax()], ["dense", "softmax"]),
    ],
)
def test_every_position(stack, expected):
    check(scrambled(fastnn.Sequential([fastnn.Input((7,)), *stack()])), expected)


def test_through_a_reshape():
    stack = [layers.Flatten(), BN(), layers.Dense(3)]
    check(scrambled(fastnn.Sequential([fastnn.Input((4, 6)), *stack])), ["reshape", "dense"])
    # One number for each column of an image is one for each value of the flat sample, too.
    stack = [BN(), layers.Flatten(), layers.Dense(3)]
    check(scrambled(fastnn.Sequential([fastnn.Input((4, 6)), *stack])), ["reshape", "dense"])
    # The other way round it depends on the row: the scaling stays.
    stack = [BN(), layers.Reshape((4, 6)), layers.Dense(3)]
    check(scrambled(fastnn.Sequential([fastnn.Input((24,)), *stack])), ["affine", "reshape", "dense"])


def test_inputs_of_higher_rank():
    stack = [layers.Dense(5, activation="elu"), BN(), layers.Dense(3), BN()]
    model = scrambled(fastnn.Sequential([fastnn.Input((4, 6)), *stack]))
    assert check(model, ["dense", "activation", "dense"]).output_shape == (None, 4, 3)


LAYERS = st.sampled_from(["bn", "dense", "relu", "elu", "gelu", "softmax", "dropout", "rescaling"])


@given(st.lists(LAYERS, min_size=1, max_size=9), st.integers(1, 40), st.integers(0, 99))
def test_random_networks(kinds, width, seed):
    random = np.random.default_rng(seed)
    make = {
        "bn": lambda: BN(),
        "dense": lambda: layers.Dense(int(random.integers(1, 50)), activation=["linear", "tanh"][seed % 2]),
        "dropout": lambda: layers.Dropout(0.3),
        "rescaling": lambda: layers.Rescaling(0.3, -0.5),
    }
    stack = [make.get(kind, lambda kind=kind: layers.Activation(kind))() for kind in kinds]
    check(scrambled(fastnn.Sequential([fastnn.Input((width,)), *stack]), seed))


def test_a_dense_layer_that_is_read_twice_is_not_changed():
    """A normalisation may be folded into a dense layer only if nobody else reads that layer's output."""
    from fastnn.freeze.fold import fold
    from fastnn.graph import Graph

    x = fastnn.Input((6,))
    dense, normalised = layers.Dense(4), BN()
    y = dense(x)
    z = normalised(y)
    normalised.set_weights([np.full(4, v) for v in (2.0, 1.0, 0.5, 3.0)])
    graph, _ = fold(Graph([x], [y, z]))
    names = [node.operation.name for node in graph.nodes]
    assert names == ["dense", "affine"]
    assert graph.outputs[0].node.operation.name == "dense"


def test_a_layer_that_is_always_training_is_refused():
    class AlwaysOn(layers.Dropout):
        def call(self, inputs, training=None):
            return super().call(inputs, training=True)

    model = fastnn.Sequential([fastnn.Input((6,)), AlwaysOn(0.5, name="mc"), layers.Dense(2)])
    with pytest.raises(ValueError, match="'mc' is called with training=True"):
        model.freeze()


def test_it_does_not_follow_the_model():
    model = fastnn.Sequential([fastnn.Input((6,)), layers.Dense(4, "relu"), BN(), layers.Dense(2)])
    frozen = model.freeze()
    x = np.ones((3, 6), np.float32)
    before = frozen(x)
    scrambled(model)
    np.testing.assert_array_equal(frozen(x), before)
    with pytest.raises(AttributeError, match="immutable"):
        frozen.name = "other"


@pytest.fixture
def frozen():
    stack = [layers.Dense(33, activation="elu"), BN(), layers.Dense(7, activation="softmax")]
    return scrambled(fastnn.Sequential([fastnn.Input((20,)), *stack])).freeze()


def test_same_row_same_bits_in_any_batch(frozen):
    x = np.random.default_rng(0).normal(size=(600, 20)).astype(np.float32)
    whole = frozen(x)
    for rows in 1, 2, 3, 7, 64, 255, 257:
        np.testing.assert_array_equal(frozen(x[:rows]), whole[:rows])
    np.testing.assert_array_equal(frozen(x[123:124]), whole[123:124])


def test_any_input_gives_what_its_float32_copy_gives(frozen):
    x = np.random.default_rng(0).integers(0, 9, size=(12, 20))
    expected = frozen(x.astype(np.float32))
    wide = np.zeros((24, 40))
    wide[::2, ::2] = x
    for given_ in x, x.astype(np.uint8), x.astype(np.float64), np.asfortranarray(x), wide[::2, ::2], x.tolist():
        np.testing.assert_array_equal(frozen(given_), expected)


def test_out(frozen):
    x = np.ones((5, 20), np.float32)
    out = np.full((5, 7), np.nan, np.float32)
    assert frozen.predict(x, out=out) is out
    np.testing.assert_array_equal(out, frozen(x))
    wrong = np.zeros((5, 8), np.float32), np.zeros((4, 7), np.float32), np.zeros((5, 7)), np.zeros((7, 5), np.float32).T
    read_only = np.zeros((5, 7), np.float32)
    read_only.flags.writeable = False
    for each in (*wrong, read_only, [1.0]):
        with pytest.raises(ValueError, match=r"float32 array of shape \(5, 7\)"):
            frozen(x, each)
    assert frozen(np.zeros((0, 20), np.float32)).shape == (0, 7)


@pytest.mark.parametrize(
    "x", [np.ones((3, 19)), np.ones(19), np.ones((2, 3, 20)), "text", None, [[1, 2], [3]], np.ones((2, 20), complex)]
)
def test_bad_input_is_refused(frozen, x):
    with pytest.raises((ValueError, TypeError)):
        frozen(x)


def test_many_threads_at_once(frozen):
    """No lock and no shared scratch: each call works on an arena of its own."""
    x = np.random.default_rng(0).normal(size=(8, 300, 20)).astype(np.float32)
    expected = [frozen(each) for each in x]
    wrong = []

    def work(number):
        for _ in range(50):
            if not np.array_equal(frozen(x[number]), expected[number]):
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
