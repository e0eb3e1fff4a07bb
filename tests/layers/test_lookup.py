"""StringLookup and IntegerLookup: vocabularies, beside Keras's, and text that enters a network."""

import importlib.util
import warnings

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


MANY = np.array(
    [["a", "b", "longer than eight"], ["x" * 20, "y" * 40, "z" * 70], ["", "ü", "a"], ["w" * 130, "b", "a"]]
)


def test_unknown_tokens_are_spread_and_weighed_as_in_keras(keras_lookup, tmp_path):
    numbers = np.arange(-6, 6).reshape(4, 3)
    for name, values, options in (
        ("StringLookup", MANY, dict(num_oov_indices=3, vocabulary=["a"])),
        ("StringLookup", MANY, dict(num_oov_indices=3, vocabulary=["a"], salt=[133, 7])),
        ("IntegerLookup", numbers, dict(num_oov_indices=3, vocabulary=[1], oov_method="farmhash")),
        ("IntegerLookup", numbers, dict(num_oov_indices=3, vocabulary=[1], oov_method="farmhash", salt=5)),
        ("StringLookup", MANY, dict(output_mode="count", max_tokens=9, pad_to_max_tokens=True, vocabulary=["a"])),
        ("StringLookup", MANY, dict(output_mode="tf_idf", vocabulary=["a", "b"], idf_weights=[0.5, 2.0])),
        ("StringLookup", MANY, dict(output_mode="tf_idf")),
        ("StringLookup", MANY, dict(output_mode="tf_idf", max_tokens=4, num_oov_indices=2)),
        ("IntegerLookup", numbers % 4, dict(output_mode="tf_idf", max_tokens=9, pad_to_max_tokens=True)),
    ):
        ours, theirs = (getattr(package.layers, name)(**options) for package in (fastnn, keras_lookup))
        if "vocabulary" not in options:
            ours.adapt(values)
            theirs.adapt(values)
        expected = np.asarray(theirs(values))
        np.testing.assert_allclose(ours(values), expected, rtol=1e-6, err_msg=str(options))
        model = fastnn.Sequential([fastnn.Input((3,), dtype="string"), ours])
        np.testing.assert_allclose(model.predict(values, verbose=0), expected, rtol=1e-6)
        again = type(ours).from_config(ours.get_config())
        np.testing.assert_allclose(again(values), expected, rtol=1e-6)
        # The weights lie with the arrays, or in the configuration, too. Keras loses an empty token in its file.
        if options.get("output_mode") == "tf_idf" and "" not in ours.get_vocabulary():
            for package, layer, other in (fastnn, ours, keras_lookup), (keras_lookup, theirs, fastnn):
                x = package.Input((3,), dtype="string" if ours._text else "int64")
                package.Model(x, layer(x)).save(tmp_path / "one.keras")
                read = other.models.load_model(tmp_path / "one.keras")
                found = read.predict(values, verbose=0) if other is fastnn else np.asarray(read.layers[-1](values))
                np.testing.assert_allclose(found, expected, rtol=1e-6)
    (tmp_path / "words.txt").write_text("b\na\n")
    assert layers.StringLookup(vocabulary=str(tmp_path / "words.txt"))([["a", "b", "c"]]).tolist() == [[2, 1, 0]]


def test_hashes_are_those_of_keras(keras_lookup):
    numbers = np.arange(-6, 6).reshape(4, 3)
    for values, options in (
        (MANY, dict(num_bins=1000)),
        (MANY, dict(num_bins=5, mask_value="a")),
        (MANY, dict(num_bins=1000, salt=[133, -7])),
        (MANY, dict(num_bins=5, salt=9, output_mode="count")),
        (MANY[:, :1], dict(num_bins=4, output_mode="one_hot")),
        (numbers, dict(num_bins=1000)),
        (numbers, dict(num_bins=3, mask_value=0, output_mode="multi_hot")),
    ):
        ours, theirs = (package.layers.Hashing(**options) for package in (fastnn, keras_lookup))
        expected = np.asarray(theirs(values))
        np.testing.assert_array_equal(ours(values), expected, err_msg=str(options))
        dtype = "string" if values is not numbers else None
        model = fastnn.Sequential([fastnn.Input(values.shape[1:], dtype=dtype), ours])
        np.testing.assert_array_equal(model.predict(values, verbose=0), expected)
        assert type(ours).from_config(ours.get_config()).get_config() == ours.get_config()
    for mode in "int", "one_hot":
        for shape in (12,), (12, 1):
            ours, theirs = (p.layers.HashedCrossing(num_bins=50, output_mode=mode) for p in (fastnn, keras_lookup))
            columns = [MANY.reshape(shape), numbers.reshape(shape)]
            with warnings.catch_warnings():  # JAX has no int64 and says so
                warnings.simplefilter("ignore")
                expected = np.asarray(theirs(columns))
            np.testing.assert_array_equal(ours(columns), expected)


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
        (lambda: layers.StringLookup(vocabulary=["a"], num_oov_indices=0)([["b"]]), ValueError, "no index for them"),
        (lambda: layers.StringLookup(vocabulary=["a", "b"], max_tokens=2), ValueError, "leaves room for 1"),
        (lambda: layers.StringLookup(vocabulary=["a"])(np.ones((2, 2))), TypeError, "expects text"),
        (lambda: layers.IntegerLookup(vocabulary=[1])([[1.5]]), TypeError, "expects integers"),
        (lambda: layers.StringLookup(output_mode="all"), ValueError, "`output_mode` must be one of"),
        (lambda: layers.StringLookup(output_mode="tf_idf", vocabulary=["a"]), ValueError, "`idf_weights` must be set"),
        (lambda: layers.StringLookup(idf_weights=[1.0], vocabulary=["a"]), ValueError, "only be set if `output_mode`"),
        (lambda: layers.IntegerLookup(salt=3), ValueError, "only be used when `oov_method='farmhash'`"),
        (lambda: layers.StringLookup(pad_to_max_tokens=True), ValueError, "needs `max_tokens`"),
        (lambda: layers.StringLookup(salt="x"), ValueError, "tuple of size 2 integers"),
        (lambda: layers.Hashing(0), ValueError, "non-positive values"),
        (lambda: layers.HashedCrossing(3)([["a"]]), ValueError, "at least two inputs"),
        (lambda: layers.HashedCrossing(3)([["a"], [1.5]]), ValueError, "integer or string dtype"),
        (
            lambda: layers.HashedCrossing(3)([fastnn.Input((1,)), fastnn.Input((1,))]),
            ValueError,
            "combines what StringLookup",
        ),
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


def test_copies_of_a_network_that_reads_text_read_text(tmp_path):
    """The input says whether it reads text where the layer behind it, Hashing, reads numbers as well."""
    stack = [layers.Hashing(8), layers.Embedding(8, 3), layers.Flatten(), layers.Dense(1)]
    model = fastnn.Sequential([fastnn.Input((2,), dtype="string"), *stack])
    expected = model.predict(WORDS, verbose=0)
    copies = [fastnn.Sequential.from_config(model.get_config()), fastnn.models.clone_model(model)]
    for copy in copies:
        copy.set_weights(model.get_weights())
    model.save(tmp_path / "m.fastnn")
    copies += [fastnn.models.load_model(tmp_path / "m.fastnn"), fastnn.Sequential([model])]
    for copy in copies:
        np.testing.assert_array_equal(copy.predict(WORDS, verbose=0), expected)
    with pytest.raises(TypeError, match=r"layers\.Hashing.*dtype='string'"):
        fastnn.Sequential([fastnn.Input((2,)), *stack]).predict(WORDS, verbose=0)


def test_weights_of_tokens_by_the_rows_that_have_them():
    lookup = layers.StringLookup(output_mode="tf_idf")
    lookup.adapt([["a", "b", "a"], ["b", "c", "d"]])
    assert lookup.get_vocabulary(include_special_tokens=False)[0] == "b"
    seen = np.log(1 + 2 / (1 + np.array([2, 1, 1, 1])))
    np.testing.assert_allclose(lookup([["b", "b", "b"]])[0, 1], 3 * seen[0], rtol=1e-6)


def test_a_single_value_comes_back_without_axes():
    assert float(layers.Rescaling(0.5)(3.0)) == 1.5
    assert layers.Normalization(axis=None, mean=1.0, variance=4.0)(3.0).shape == ()
    assert float(layers.Discretization(bin_boundaries=[0, 1])(0.5)) == 1


def test_crossing_in_a_network():
    town, bins = layers.StringLookup(vocabulary=["Rom", "Ulm"]), layers.Discretization([0.0, 1.0])
    inputs = fastnn.Input((1,), dtype="string", name="town"), fastnn.Input((1,), name="size")
    crossed = [layers.HashedCrossing(20, mode)([town(inputs[0]), bins(inputs[1])]) for mode in ("int", "one_hot")]
    data = {"town": np.array([["Ulm"], ["Rom"], ["Bern"]]), "size": np.array([[0.5], [-1.0], [3.0]])}
    model = fastnn.Model(inputs, crossed)
    columns = [town(data["town"]), bins(data["size"]).astype(int)]
    for found, mode in zip(model.predict(data, verbose=0), ("int", "one_hot"), strict=True):
        np.testing.assert_array_equal(found, layers.HashedCrossing(20, mode)(columns))


@pytest.mark.parametrize("suffix", [".fastnn", ".keras"])
def test_bins_that_were_found_are_saved(suffix, tmp_path, keras):
    layer = layers.Discretization(num_bins=4)
    layer.adapt(np.arange(100.0))
    fastnn.Sequential([fastnn.Input((1,)), layer]).save(tmp_path / f"model{suffix}")
    again = fastnn.models.load_model(tmp_path / f"model{suffix}").layers[0]
    assert again.get_config() == layer.get_config()
    np.testing.assert_array_equal(again([[1.0], [60.0], [99.0]]), [[0], [2], [3]])
    theirs = keras.layers.Discretization.from_config(layer.get_config())
    assert layers.Discretization.from_config(theirs.get_config()).bin_boundaries == layer.bin_boundaries


@pytest.mark.filterwarnings("ignore")
def test_archives_of_preprocessing_layers_both_ways(keras_lookup, tmp_path):
    """Keras keeps a vocabulary that it has found in a file of its own."""
    text, numbers = np.array([["b"], ["?"]]), np.array([[3], [9]])
    cases = [
        *(("StringLookup", {"output_mode": mode}, "string", text) for mode in ("int", "one_hot")),
        ("IntegerLookup", {}, "int64", numbers),
        ("Hashing", {"num_bins": 5}, "int64", numbers),
        ("Hashing", {"num_bins": 5, "output_mode": "one_hot"}, "string", text),
        ("Discretization", {"num_bins": 3}, "float32", numbers.astype(np.float32)),
    ]
    for name, options, dtype, values in cases:
        for made_by, read_by in (keras_lookup, fastnn), (fastnn, keras_lookup):
            layer = getattr(made_by.layers, name)(**options)
            if name != "Hashing":
                layer.adapt(np.array([["a"], ["b"], ["a"]]) if dtype == "string" else np.arange(30).reshape(-1, 1) % 7)
            made_by.Sequential([made_by.Input((1,), dtype=dtype), layer]).save(tmp_path / "model.keras")
            again = read_by.models.load_model(tmp_path / "model.keras").layers[-1]
            np.testing.assert_array_equal(again(values), layer(values), err_msg=f"{name} {options} {made_by.__name__}")
