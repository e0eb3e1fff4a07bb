"""`utils.FeatureSpace` beside real Keras's, alone and before a network; what it refuses."""

import warnings

import numpy as np
import pytest

import fastnn
from fastnn import layers
from fastnn.utils import FeatureSpace

ROWS = 60
_random = np.random.default_rng(0)
TABLE = {
    "plain": _random.normal(size=ROWS).astype(np.float32),
    "scaled": _random.normal(size=ROWS).astype(np.float32),
    "normal": (3 * _random.normal(size=ROWS) + 2).astype(np.float32),
    "binned": _random.normal(size=ROWS).astype(np.float32),
    "number": _random.integers(0, 6, ROWS).astype(np.int32),
    "town": _random.choice(["Rom", "Ulm", "Linz", "Bern"], ROWS),
    "code": _random.integers(0, 1000, ROWS).astype(np.int32),
    "word": _random.choice(["u", "v", "w"], ROWS),
}
NEW = {name: column[:7].copy() for name, column in TABLE.items()}
NEW["town"][1], NEW["number"][3] = "Graz", 99  # unknown


def space(package=fastnn, output_mode="concat", encoding="one_hot", **options):
    kinds = package.utils.FeatureSpace
    return kinds(
        {
            "plain": "float",
            "scaled": kinds.float_rescaled(2.0, 1.0),
            "normal": "float_normalized",
            "binned": kinds.float_discretized(5, output_mode=encoding),
            "number": kinds.integer_categorical(output_mode=encoding),
            "town": kinds.string_categorical(max_tokens=4, num_oov_indices=2, output_mode=encoding),
            "code": kinds.integer_hashed(7, output_mode=encoding),
            "word": "string_hashed",
        },
        crosses=[("town", "number"), kinds.cross(("word", "binned"), 11, output_mode=encoding)],
        crossing_dim=9,
        output_mode=output_mode,
        **options,
    )


@pytest.fixture(scope="module")
def adapted():
    made = space(name="space")
    made.adapt(TABLE)
    return made


def test_as_in_keras(keras):
    pytest.importorskip("tensorflow", reason="Keras's FeatureSpace computes with TensorFlow")
    for output_mode, encoding in ("concat", "one_hot"), ("dict", "int"):
        ours, theirs = (space(package, output_mode, encoding) for package in (fastnn, keras))
        with warnings.catch_warnings():  # JAX has no int64 and says so
            warnings.simplefilter("ignore")
            for each in ours, theirs:
                each.adapt(TABLE)
            row = {name: column[0] for name, column in NEW.items()}
            for data in NEW, row:
                found, expected = ours(data), theirs(data)
                if output_mode == "concat":
                    found, expected = {"": found}, {"": expected}
                assert list(found) == list(expected)
                for name, values in expected.items():
                    assert found[name].shape == values.shape
                    assert found[name].dtype.kind == np.asarray(values).dtype.kind
                    np.testing.assert_allclose(found[name], values, atol=1e-6, err_msg=name)


def test_of_layers_alone(adapted):
    """The same by hand: features in the order of their names, then crosses."""
    made = adapted.preprocessors
    town, number, binned, word = (made[name](NEW[name].reshape(-1, 1)) for name in ("town", "number", "binned", "word"))
    expected = {
        "binned": layers.CategoryEncoding(5)(binned),
        "code": layers.CategoryEncoding(7)(made["code"](NEW["code"].reshape(-1, 1))),
        "normal": (NEW["normal"] - TABLE["normal"].mean())[:, None] / TABLE["normal"].std(),
        "number": layers.CategoryEncoding(7)(number),
        "plain": NEW["plain"][:, None],
        "scaled": 2 * NEW["scaled"][:, None] + 1,
        "town": layers.CategoryEncoding(4)(town),
        "word": layers.CategoryEncoding(32)(word),
        "town_X_number": layers.HashedCrossing(9, output_mode="one_hot")([town, number]),
        "word_X_binned": layers.HashedCrossing(11, output_mode="one_hot")([word, binned.astype(int)]),
    }
    np.testing.assert_allclose(adapted(NEW), np.concatenate(list(expected.values()), -1), atol=1e-5)
    assert adapted.crossers["town_X_number"].num_bins == 9
    np.testing.assert_allclose(adapted({name: column[0] for name, column in NEW.items()}), adapted(NEW)[0])


@pytest.mark.parametrize("suffix", [".fastnn", ".keras"])
def test_saved_alone_and_before_a_network(suffix, adapted, tmp_path):
    adapted.save(tmp_path / f"space{suffix}")
    again = fastnn.models.load_model(tmp_path / f"space{suffix}")
    assert type(again) is FeatureSpace
    np.testing.assert_array_equal(again(NEW), adapted(NEW))
    outputs = layers.Dense(1)(layers.Dense(4, "relu")(adapted.get_encoded_features()))
    model = fastnn.Model(adapted.get_inputs(), outputs)
    model.compile(fastnn.optimizers.Adam(0.01), "mse")
    losses = model.fit(TABLE, TABLE["plain"], epochs=5, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    expected = model.predict(NEW, verbose=0)
    model.save(tmp_path / f"model{suffix}")
    np.testing.assert_array_equal(
        fastnn.models.load_model(tmp_path / f"model{suffix}").predict(NEW, verbose=0), expected
    )
    np.testing.assert_allclose(model.freeze()(NEW), expected, rtol=1e-5, atol=1e-6)


def test_a_layer_in_a_model(adapted, tmp_path):
    inputs = {name: fastnn.Input((1,), dtype=each.dtype, name=name) for name, each in adapted.features.items()}
    model = fastnn.Model(inputs, layers.Dense(1)(adapted(inputs)))
    model.save(tmp_path / "model.fastnn")
    again = fastnn.models.load_model(tmp_path / "model.fastnn")
    np.testing.assert_array_equal(again.predict(NEW, verbose=0), model.predict(NEW, verbose=0))


def test_tables_of_all_kinds(adapted):
    pandas = pytest.importorskip("pandas")
    rows = [{name: column[row] for name, column in TABLE.items()} for row in range(ROWS)]
    batches = [{name: column[start : start + 16] for name, column in TABLE.items()} for start in range(0, ROWS, 16)]
    for data in pandas.DataFrame(TABLE), rows, batches, {name: column.tolist() for name, column in TABLE.items()}:
        made = space()
        made.adapt(data)
        np.testing.assert_array_equal(made(NEW), adapted(NEW))
    np.testing.assert_array_equal(adapted(pandas.DataFrame(NEW)), adapted(NEW))
    model = fastnn.Model(adapted.get_inputs(), layers.Dense(1)(adapted.get_encoded_features()))
    expected = model.predict(NEW, verbose=0)
    for reader in lambda x: model.predict(x, verbose=0), model.freeze():
        np.testing.assert_allclose(reader(pandas.DataFrame(NEW)), expected, rtol=1e-5, atol=1e-6)
        with pytest.raises(ValueError, match="town"):
            reader(pandas.DataFrame(NEW).drop(columns="town"))


def test_adapting_twice(adapted):
    with pytest.raises(ValueError, match="has been adapted"):
        adapted.adapt(TABLE)
    again = FeatureSpace.from_config(adapted.get_config())  # means are no configuration, but weights
    with pytest.raises(ValueError, match=r"call `.adapt\(dataset\)`.*'normal'"):
        again(NEW)
    again.adapt(TABLE)
    np.testing.assert_array_equal(again(NEW), adapted(NEW))
    made = FeatureSpace({"a": "float"})
    made.adapt({"a": [1.0, 2.0]})  # nothing learns
    np.testing.assert_array_equal(made({"a": [1.0, 2.0]}), [[1], [2]])


def test_nothing_to_learn_and_layers_of_ones_own():
    three = FeatureSpace(
        {"a": FeatureSpace.integer_hashed(3), "b": FeatureSpace.float_discretized(None, bin_boundaries=[0.0, 1.0]),
         "c": FeatureSpace.feature("float32", layers.Dense(2, kernel_initializer="ones"), "float")},
        crosses=[("a", "b"), ("b", "a")], hashing_dim=4,
    )  # fmt: skip
    found = three({"a": [1, 2], "b": [0.5, 7.0], "c": [1.0, -1.0]})
    assert found.shape == (2, 3 + 3 + 2 + 32 + 32)
    np.testing.assert_array_equal(found[:, 3:8], [[0, 1, 0, 1, 1], [0, 0, 1, -1, -1]])
    # a cross of three
    sizes = {"a": 3, "b": 4, "c": 5}
    made = FeatureSpace({name: FeatureSpace.integer_hashed(n) for name, n in sizes.items()}, "dict", ["abc"], 50)
    numbers = {name: np.arange(100) * (1 + k) for k, name in enumerate(sizes)}
    bins = [made.preprocessors[name](column) for name, column in numbers.items()]
    wanted = layers.HashedCrossing(50, output_mode="one_hot")(bins)
    np.testing.assert_array_equal(made(numbers)["a_X_b_X_c"], wanted)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: FeatureSpace({}), "cannot be None or empty"),
        (lambda: FeatureSpace({"a": "float_normalised"}), "feature 'a'. Did you mean 'float_normalized'"),
        (lambda: FeatureSpace({"a": "float"}, output_mode="matrix"), "Expected one of ['dict', 'concat']"),
        (lambda: FeatureSpace({"a": "float"}, crosses=[("a", "b")]), "Received unknown features: ['b']"),
        (lambda: FeatureSpace({"a": "float", "b": "integer_hashed"}, crosses=["ab"]), "HashedCrossing combines what"),
        (lambda: FeatureSpace({"a": FeatureSpace.integer_hashed(3, "int")}), "feature 'a' has not been encoded"),
        (lambda: FeatureSpace.integer_hashed(3, "binary"), "Expected one of ['int', 'one_hot', 'float']"),
        (lambda: FeatureSpace({"a": FeatureSpace.feature("float32", layers.Dense(2), "one_hot")}), "not known, thus"),
        (lambda: FeatureSpace({"a": "float_normalized"})({"a": [1.0]}), "call `.adapt(dataset)`"),
        (lambda: FeatureSpace({"a": "float"})([1.0]), "can only be called with a dict"),
        (lambda: FeatureSpace({"a": "float", "b": "float"})({"a": [1.0]}), "without ['b']"),
        (lambda: FeatureSpace({"a": "float_normalized"}).adapt([1.0, 2.0]), "dict of arrays/lists"),
        (
            lambda: FeatureSpace({"a": FeatureSpace.integer_hashed(3000), "b": FeatureSpace.integer_hashed(3000)},
                                 crosses=["ab"]),
            "make 9000000 combinations",
        ),
    ],
)  # fmt: skip
def test_wrong_use_is_refused(call, message):
    with pytest.raises(ValueError) as caught:
        call()
    assert message in str(caught.value)
