"""StringLookup and IntegerLookup: vocabularies, beside Keras's, and text that enters a network."""

import importlib.util

import numpy as np
import pytest

import fastnn
from fastnn import layers

WORDS = np.array([["red", "blue"], ["green", "red"], ["red", "pink"], ["blue", "green"]])
NUMBERS = np.array([[7, 2**40], [3, 7], [7, -5], [2**40, 3]])


@pytest.fixture
def keras_lookup(keras):
    if importlib.util.find_spec("tensorflow") is None:
        pytest.skip("Keras's lookup layers need TensorFlow")
    return keras


@pytest.mark.parametrize("mode", ["int", "one_hot", "multi_hot", "count"])
@pytest.mark.parametrize(("name", "values"), [("StringLookup", WORDS), ("IntegerLookup", NUMBERS)])
def test_lookups_are_those_of_keras(name, values, mode, keras_lookup):
    tokens = np.unique(values).tolist()
    mask = tokens[0]
    for options in dict(vocabulary=tokens[1:]), dict(), dict(mask_token=mask), dict(max_tokens=3):
        ours, theirs = (
            getattr(package.layers, name)(output_mode=mode, **options) for package in (fastnn, keras_lookup)
        )
        if "vocabulary" not in options:
            ours.adapt(values)
            theirs.adapt(values)
        assert ours.get_vocabulary() == theirs.get_vocabulary()
        assert ours.vocabulary_size() == theirs.vocabulary_size()
        x = values[::-1]
        np.testing.assert_array_equal(ours(x), np.asarray(theirs(x)))
        model = fastnn.Sequential([fastnn.Input((2,)), ours])
        np.testing.assert_array_equal(model.predict(x, verbose=0), np.asarray(theirs(x)))


def test_a_network_that_reads_text():
    fastnn.utils.set_random_seed(0)
    lookup = layers.StringLookup(output_mode="int")
    lookup.adapt(WORDS)
    stack = [lookup, layers.Embedding(lookup.vocabulary_size(), 4), layers.Flatten(), layers.Dense(1)]
    model = fastnn.Sequential([fastnn.Input((2,), dtype="string"), *stack])
    model.compile(fastnn.optimizers.Adam(0.05), "mse")
    y = np.array([[1.0], [2.0], [3.0], [4.0]])
    losses = model.fit(WORDS, y, epochs=200, verbose=0).history["loss"]
    assert losses[-1] < 0.01
    expected = model.predict(WORDS, verbose=0)
    np.testing.assert_array_equal(model.predict(WORDS.astype(object), verbose=0), expected)
    np.testing.assert_array_equal(model.predict(WORDS.astype("S"), verbose=0), expected)
    np.testing.assert_array_equal(model.predict(WORDS.tolist(), verbose=0), expected)
    np.testing.assert_array_equal(model(WORDS), expected)
    assert model.evaluate(WORDS, y, verbose=0) == pytest.approx(np.mean((expected - y) ** 2), rel=1e-4)
    model.train_on_batch(WORDS, y)
    frozen = model.freeze()
    np.testing.assert_allclose(frozen(WORDS), model.predict(WORDS, verbose=0), rtol=1e-5)
    assert model.predict([["never", "seen"]], verbose=0).shape == (1, 1)
    with pytest.raises(ValueError, match="static vocabulary"):
        layers.StringLookup(vocabulary=["a"]).adapt(WORDS)
    assert stack[0].get_config()["vocabulary"] == ["red", "green", "blue", "pink"]


def test_integers_beyond_float32_are_told_apart():
    ids = np.array([[2**53 + 1], [2**53 + 2], [2**53 + 3]])
    lookup = layers.IntegerLookup(vocabulary=ids.ravel())
    model = fastnn.Sequential([fastnn.Input((1,)), lookup, layers.CategoryEncoding(4, "one_hot")])
    np.testing.assert_array_equal(model.predict(ids, verbose=0), np.eye(4)[1:])
    np.testing.assert_array_equal(model.freeze()(ids), np.eye(4)[1:])
    spread = layers.IntegerLookup(num_oov_indices=3, vocabulary=[100])
    np.testing.assert_array_equal(spread([[100, 7, 8, -1]]), [[3, 1, 2, 2]])


def test_a_new_vocabulary_takes_effect():
    lookup = layers.StringLookup()
    model = fastnn.Sequential([fastnn.Input((1,)), lookup, layers.Rescaling(2.0)])
    with pytest.raises(ValueError, match="no vocabulary yet: call adapt"):
        model.predict([["a"]], verbose=0)
    lookup.adapt(["a", "a", "b"])
    frozen = model.freeze()
    assert model.predict([["a"], ["b"], ["c"]], verbose=0).tolist() == [[2], [4], [0]]
    lookup.adapt(["b", "b", "a"])
    assert model.predict([["a"], ["b"], ["c"]], verbose=0).tolist() == [[4], [2], [0]]
    assert frozen([["a"], ["b"], ["c"]]).tolist() == [[2], [4], [0]]


def test_inverted():
    lookup = layers.StringLookup(vocabulary=["a", "b"])
    inverse = layers.StringLookup(vocabulary=lookup.get_vocabulary(), invert=True)
    assert inverse(lookup([["a", "x"], ["b", "a"]])).tolist() == [["a", "[UNK]"], ["b", "a"]]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: layers.StringLookup(vocabulary=["a", "a"]), ValueError, "repeated tokens"),
        (lambda: layers.StringLookup(vocabulary=[]), (ValueError, TypeError), "empty vocabulary|expects text"),
        (lambda: layers.StringLookup(vocabulary=[1]), TypeError, "expects text"),
        (lambda: layers.StringLookup(num_oov_indices=2), ValueError, "`num_oov_indices` is not supported"),
        (lambda: layers.StringLookup(vocabulary=["a"], num_oov_indices=0)([["b"]]), ValueError, "no index for them"),
        (lambda: layers.StringLookup(vocabulary=["a", "b"], max_tokens=2), ValueError, "leaves room for 1"),
        (lambda: layers.StringLookup(vocabulary=["a"])(np.ones((2, 2))), TypeError, "expects text"),
        (lambda: layers.IntegerLookup(vocabulary=[1])([[1.5]]), TypeError, "expects integers"),
        (lambda: layers.StringLookup(output_mode="tf_idf"), ValueError, "`output_mode` must be one of"),
        (lambda: layers.StringLookup()([["a"]]), ValueError, "no vocabulary yet"),
        (lambda: layers.Dense(2)([["a"]]), TypeError, "cannot be read as numbers"),
        (
            lambda: fastnn.Sequential([fastnn.Input((1,)), layers.Dense(2)]).predict([["a"]], verbose=0),
            TypeError,
            "through layers.StringLookup",
        ),
        (
            lambda: fastnn.Sequential([layers.Dense(2), layers.IntegerLookup(vocabulary=[1])])(np.ones((1, 1))),
            ValueError,
            "must stand at an input",
        ),
    ],
)
def test_refuses(make, error, message):
    with pytest.raises(error, match=message):
        make()
