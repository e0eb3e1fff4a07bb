"""Embedding, CategoryEncoding and Discretization, beside Keras where it is installed."""

import importlib.util

import numpy as np
import pytest

import fastnn
from fastnn import layers
from harness.layers import data

IDS = np.random.default_rng(0).integers(0, 6, (20, 3))


@pytest.mark.parametrize("dtype", ["u1", "i8", "f4", "f8"])
def test_embedding_of_any_dtype(dtype):
    layer = layers.Embedding(6, 5)
    y = layer(IDS.astype(dtype))
    assert y.shape == (20, 3, 5)
    np.testing.assert_array_equal(y, layer.embeddings.numpy()[IDS])
    assert np.isnan(layer(np.array([[6.0, -7.0, 0.0]]))).all(axis=-1).tolist() == [[True, True, False]]
    np.testing.assert_array_equal(layer(np.array([[-6.0, -1.0, -0.5]]))[0], layer.embeddings.numpy()[[0, 5, 0]])


def test_embeddings_train_as_in_keras(keras):
    """20 steps of Adam on a table of three columns, one of which two samples of a batch share all the time."""
    weights, histories = None, []
    y = data(20, 2)
    for package in fastnn, keras:
        L = package.layers
        stack = [
            L.Embedding(6, 5),
            L.Flatten(),
            L.Dense(8, activation="tanh"),
            L.LayerNormalization(),
            L.PReLU(),
            L.Dense(2),
        ]
        model = package.Sequential([package.Input((3,)), *stack, L.Dense(2)])
        weights = weights or [np.array(each) for each in model.get_weights()]
        model.set_weights(weights)
        model.compile(package.optimizers.Adam(0.01), "mse")
        history = model.fit(IDS, y, batch_size=5, epochs=5, shuffle=False, verbose=0)
        histories.append((history.history["loss"], model.get_weights()))
    (ours, mine), (theirs, expected) = histories
    np.testing.assert_allclose(ours, theirs, rtol=1e-4)
    for one, other in zip(mine, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=2e-5)


def test_embeddings_inside_a_layer_of_ones_own_train_and_freeze():
    class Inside(layers.Layer):
        def __init__(self):
            super().__init__()
            self.table = layers.Embedding(6, 4)
            self.dense = layers.Dense(4)

        def call(self, inputs):
            return self.dense(self.table(inputs))

    fastnn.utils.set_random_seed(1)
    model = fastnn.Sequential([fastnn.Input((3,)), Inside(), layers.Flatten(), layers.Dense(1)])
    model.compile(fastnn.optimizers.Adam(0.03), "mse")
    y = IDS.sum(axis=1, keepdims=True).astype(float)
    losses = model.fit(IDS, y, epochs=60, verbose=0).history["loss"]
    assert losses[-1] < 0.2 * losses[0]
    np.testing.assert_allclose(model.freeze()(IDS), model.predict(IDS, verbose=0), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.Embedding(0, 3), "`input_dim` must be an integer of at least 1"),
        (lambda: layers.Embedding(3, 2.5), "`output_dim` must be an integer"),
        (lambda: layers.Embedding(2**24 + 1, 3), "exact to 2\\*\\*24"),
        (lambda: layers.Embedding(3, 3, mask_zero=True), "recurrent and attention layers"),
        (lambda: layers.CategoryEncoding(), "`num_tokens` must be"),
        (lambda: layers.CategoryEncoding(3, "twice"), "`output_mode` must be one of"),
        (lambda: layers.CategoryEncoding(3, "count")(np.ones((2, 3, 4))), "put Flatten before it"),
        (lambda: layers.Discretization(), "either `bin_boundaries` or `num_bins`"),
        (lambda: layers.Discretization([1.0], 3), "either `bin_boundaries` or `num_bins`"),
        (lambda: layers.Discretization([2.0, 1.0]), "ascending order"),
        (lambda: layers.Discretization(num_bins=3)(np.ones((2, 3))), "has no bins yet: call adapt"),
        (lambda: layers.Discretization([1.0]).adapt(np.ones((2, 3))), "use `num_bins` instead"),
    ],
)
def test_refuses(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("mode", ["one_hot", "multi_hot", "count"])
def test_encodings_are_those_of_keras(mode, keras):
    for ids in IDS, IDS[:, :1]:
        ours, theirs = (package.layers.CategoryEncoding(num_tokens=7, output_mode=mode) for package in (fastnn, keras))
        expected = np.asarray(theirs(ids))
        np.testing.assert_array_equal(ours(ids), expected)
        assert ours(fastnn.Input(ids.shape[1:])).shape[1:] == expected.shape[1:]


def test_weighted_counts_and_single_samples_are_those_of_keras(keras):
    weights = data(*IDS.shape)
    ours, theirs = (package.layers.CategoryEncoding(7, output_mode="count") for package in (fastnn, keras))
    expected = np.asarray(theirs(IDS, count_weights=weights))
    np.testing.assert_allclose(ours(IDS, count_weights=weights), expected, atol=1e-6)
    inputs = fastnn.Input((3,)), fastnn.Input((3,))
    model = fastnn.Model(inputs, ours(inputs[0], count_weights=inputs[1]))
    np.testing.assert_allclose(model.predict([IDS, weights], verbose=0), expected, atol=1e-6)
    np.testing.assert_array_equal(
        ours(IDS[0], count_weights=weights[0]), np.asarray(theirs(IDS[0], count_weights=weights[0]))
    )
    for mode, x in (("multi_hot", IDS[0]), ("one_hot", IDS[0]), ("one_hot", IDS[0, 0])):
        ours, theirs = (package.layers.CategoryEncoding(7, output_mode=mode) for package in (fastnn, keras))
        np.testing.assert_array_equal(ours(x), np.asarray(theirs(x)))
    with pytest.raises(ValueError, match="is not used when `output_mode` is not `'count'`"):
        ours(IDS, count_weights=weights)


def held(package, kind):
    """A model with regularizers and constraints on weights that the engine does not keep as a dense layer's."""
    L, C, R = package.layers, package.constraints, package.regularizers
    if kind == "embedding":
        first = [L.Embedding(6, 5, embeddings_regularizer=R.L2(0.1), embeddings_constraint=C.MaxNorm(0.7, axis=1))]
    elif kind == "embedding, columns":
        first = [
            L.Embedding(6, 5, embeddings_regularizer=R.OrthogonalRegularizer(0.1), embeddings_constraint="unit_norm")
        ]
    else:
        alpha = L.PReLU("ones", alpha_regularizer="l1", alpha_constraint=C.MinMaxNorm(0.2, 0.9, 0.5, axis=[0, 1]))
        first = [L.Embedding(6, 5, embeddings_constraint="non_neg"), L.Dense(4), alpha]
    model = package.Sequential([package.Input((3,)), *first, L.Flatten(), L.Dense(2)])
    model.compile(package.optimizers.SGD(0.2, momentum=0.5), "mse")
    return model


@pytest.mark.parametrize("kind", ["embedding", "embedding, columns", "prelu"])
def test_weights_are_held_as_in_keras(kind, keras):
    ours, theirs = held(fastnn, kind), held(keras, kind)
    weights = [data(*each.shape, seed=i) for i, each in enumerate(ours.get_weights())]
    losses = []
    for model in ours, theirs:
        model.set_weights(weights)
        losses.append(model.fit(IDS, data(20, 2), batch_size=10, epochs=10, shuffle=False, verbose=0).history["loss"])
    np.testing.assert_allclose(*losses, rtol=1e-4)
    for mine, expected in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(mine, expected, rtol=1e-4, atol=1e-5)
    again = fastnn.Sequential.from_config(ours.get_config())
    assert again.get_config() == ours.get_config()


@pytest.mark.parametrize("mode", ["int", "one_hot", "multi_hot", "count"])
def test_discretization_is_that_of_keras(mode, keras):
    if importlib.util.find_spec("tensorflow") is None:
        pytest.skip("Keras's Discretization needs TensorFlow")
    x = data(300, 4)
    for options in dict(bin_boundaries=[-1.0, 0.0, 0.5]), dict(num_bins=4), dict(num_bins=7, epsilon=0.05):
        ours, theirs = (package.layers.Discretization(output_mode=mode, **options) for package in (fastnn, keras))
        if "num_bins" in options:
            ours.adapt(x)
            theirs.adapt(x)
            np.testing.assert_allclose(ours.bin_boundaries, theirs.bin_boundaries, rtol=1e-5)
        expected = np.asarray(theirs(x))
        np.testing.assert_array_equal(ours(x), expected)


def test_bins_may_be_adapted_again_in_a_model():
    layer = layers.Discretization(num_bins=4, output_mode="one_hot")
    layer.adapt(np.arange(100.0))
    model = fastnn.Sequential([fastnn.Input((1,)), layer, layers.Dense(1, use_bias=False)])
    model.layers[1].kernel.assign([[0.0], [1.0], [2.0], [3.0]])
    x = np.array([[10.0], [30.0], [60.0], [90.0]])
    np.testing.assert_array_equal(model.predict(x, verbose=0)[:, 0], [0, 1, 2, 3])
    np.testing.assert_array_equal(model.freeze()(x)[:, 0], [0, 1, 2, 3])
    layer.adapt(np.arange(1000.0))
    assert not model.predict(x, verbose=0).any()


ONE_AXIS = {
    "one_hot": (lambda k: k.layers.CategoryEncoding(7, "one_hot"), [1, 0, 2, 1]),
    "multi_hot": (lambda k: k.layers.CategoryEncoding(7, "multi_hot"), np.array([1, 0, 2, 1])),
    "count": (lambda k: k.layers.CategoryEncoding(7, "count"), np.array([1, 0, 2, 1])),
    "one number": (lambda k: k.layers.CategoryEncoding(7, "one_hot"), 3),
    "one number counted": (lambda k: k.layers.CategoryEncoding(7, "count"), 3),
    "rescaling": (lambda k: k.layers.Rescaling(2.0, 1.0), np.array([-2.0, 0.2, 0.7])),
    "normalization": (lambda k: k.layers.Normalization(None, mean=1.0, variance=4.0), np.array([-2.0, 0.2, 0.7])),
    "embedding": (lambda k: k.layers.Embedding(7, 2, "ones"), np.array([1, 0, 2, 1])),
    "bins": (lambda k: k.layers.Discretization([0.0, 0.5]), np.array([-2.0, 0.2, 0.7])),
    "indicators of bins": (lambda k: k.layers.Discretization([0.0, 0.5], output_mode="one_hot"), np.array([-2.0, 0.2])),
    "count of bins": (lambda k: k.layers.Discretization([0.0, 0.5], output_mode="count"), np.array([-2.0, 0.2, 0.7])),
    "lookup": (lambda k: k.layers.IntegerLookup(vocabulary=[4, 5], output_mode="count"), np.array([5, 4, 9, 5])),
}


@pytest.mark.parametrize("name", ONE_AXIS)
def test_arrays_of_one_axis(name, keras):
    make, values = ONE_AXIS[name]
    if name in ("bins", "indicators of bins", "count of bins", "lookup"):
        pytest.importorskip("tensorflow", reason="Keras needs TensorFlow for it", exc_type=ImportError)
    expected = np.asarray(make(keras)(values))
    found = make(fastnn)(values)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_statistics_of_one_axis():
    layer, x = layers.Normalization(), np.array([1.0, 2.0, 3.0])
    layer.adapt(x)
    np.testing.assert_allclose(layer(x), (x - 2) / np.sqrt(2 / 3), rtol=1e-6)
    np.testing.assert_allclose(layer(x[:, np.newaxis])[:, 0], layer(x))
