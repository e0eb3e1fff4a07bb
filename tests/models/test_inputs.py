"""Data of every kind gives what its float32 copy gives; data that fits nothing is refused, by name."""

import numpy as np
import pytest

import fastnn
from fastnn import layers
from harness.layers import data

SPARSE = "sparse_categorical_crossentropy"


def network(shape=(12,), classes=5):
    fastnn.utils.set_random_seed(4)
    model = fastnn.Sequential(
        [
            fastnn.Input(shape),
            layers.Flatten(name="flat"),
            layers.Dense(9, activation="elu"),
            layers.BatchNormalization(),
            layers.Dense(classes, activation="softmax", name="head"),
        ],
        name="net",
    )
    model.compile("adam", SPARSE, metrics=["accuracy"])
    return model


def everything(x, y, weights=None):
    """What training, evaluation, prediction and calls make of the data."""
    model = network(x.shape[1:])
    history = model.fit(x, y, epochs=2, batch_size=17, verbose=0, validation_split=0.2, sample_weight=weights)
    return [
        *history.history.values(),
        model.train_on_batch(x[:20], y[:20]),
        model.evaluate(x, y, verbose=0, sample_weight=weights),
        model.predict(x, verbose=0),
        np.asarray(model(x)),
        *model.get_weights(),
    ]


def assert_same(results, expected):
    for result, value in zip(results, expected, strict=True):
        np.testing.assert_array_equal(result, value)


# ---- every kind of array ---------------------------------------------------------------------------------------------

WHOLE = np.random.default_rng(0).integers(0, 128, (60, 12))
LABELS = np.random.default_rng(1).integers(0, 5, 60)
DTYPES = ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_dtypes(dtype):
    x = WHOLE.astype(dtype)
    y = LABELS.astype(dtype) if dtype != "?" else LABELS
    assert_same(everything(x, y), everything(x.astype(np.float32), LABELS))


def strided():
    base = data(60, 12)
    wide = np.zeros((120, 50), np.float32)
    wide[::2, 3:39:3] = base
    fields = np.zeros((60, 12), [("other", "u1"), ("value", "<f4")])
    fields["value"] = base
    return {
        "F-ordered": np.asfortranarray(base),
        "every second row and third column": wide[::2, 3:39:3],
        "backwards": base[::-1, ::-1].copy()[::-1, ::-1],
        "transposed": base.T.copy().T,
        "a field, not aligned": fields["value"],
        "read-only": np.frombuffer(base.tobytes(), np.float32).reshape(60, 12),
        "nested lists": base.tolist(),
        "a list of rows": list(base),
        "objects": base.astype(object),
        "a matrix": base.view(np.matrix),
    }


@pytest.mark.parametrize("kind", list(strided()))
def test_strides_and_containers(kind):
    x = strided()[kind]
    model, plain = network(), network()
    for each, array in ((model, x), (plain, data(60, 12))):
        each.fit(array, LABELS, epochs=2, batch_size=17, verbose=0)
    assert_same(
        [*model.get_weights(), model.predict(x, verbose=0), model(x), model.evaluate(x, LABELS, verbose=0)],
        [
            *plain.get_weights(),
            plain.predict(data(60, 12), verbose=0),
            plain(data(60, 12)),
            plain.evaluate(data(60, 12), LABELS, verbose=0),
        ],
    )


def test_broadcast_and_images():
    row = data(1, 12)
    assert_same(everything(np.broadcast_to(row, (60, 12)), LABELS), everything(np.repeat(row, 60, axis=0), LABELS))
    images = np.random.default_rng(2).integers(0, 256, (8, 9, 60)).astype(np.uint8)
    x = images.transpose(2, 1, 0)[:, ::-1, 1:7]
    assert_same(everything(x, LABELS), everything(np.ascontiguousarray(x, np.float32), LABELS))


def test_memory_maps(tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, WHOLE.astype(np.uint8))
    np.save(tmp_path / "y.npy", LABELS)
    x, y = np.load(path, mmap_mode="r"), np.load(tmp_path / "y.npy", mmap_mode="r")
    assert_same(everything(x, y), everything(WHOLE.astype(np.float32), LABELS))


def test_weights_and_targets_of_every_kind():
    x = data(60, 12)
    weights = np.linspace(0.5, 1.5, 60).astype(np.float32)
    expected = everything(x, LABELS, weights)
    for kind in (weights.astype(np.float64), weights[::-1].copy()[::-1], weights[:, None], weights.tolist()):
        assert_same(everything(x, LABELS, kind), expected)
    for kind in (LABELS[:, None], LABELS.astype(np.float64), np.asfortranarray(np.stack([LABELS] * 2, 1))[:, 0]):
        assert_same(everything(x, kind, weights), expected)


def test_a_last_axis_of_one_may_be_missing_or_too_many():
    model = network((4, 3))
    x = data(10, 4, 3)
    np.testing.assert_array_equal(model.predict(x[..., None], verbose=0), model.predict(x, verbose=0))
    single = fastnn.Sequential([fastnn.Input((1,)), layers.Dense(1)])
    single.compile("sgd", "mse")
    x = data(10, 1)
    assert single.evaluate(x[:, 0], x[:, 0], verbose=0) == single.evaluate(x, x, verbose=0)


# ---- what is refused -------------------------------------------------------------------------------------------------

X, Y = data(20, 12), LABELS[:20]
NAN = np.where(np.arange(20) == 7, np.nan, 1.0)

BAD = {
    "features": (X[:, :11], Y, r"x \(model 'net'\).*samples of shape \(12,\).*\(20, 11\)"),
    "axes": (X[:, None], Y, r"\(12,\).*\(20, 1, 12\)"),
    "one sample without its axis": (X[0], Y[:1], r"cardinality.*x has 12, y has 1"),
    "lengths": (X, Y[:19], "x has 20, y has 19"),
    "empty": (X[:0], Y[:0], r"x is empty.*\(0, 12\)"),
    "empty list": ([], [], "x is empty"),
    "scalar": (3.0, Y, "x is a single value"),
    "complex": (X.astype(complex), Y, "x has dtype complex128"),
    "text": (X.astype(str), Y, "x .*has dtype <U"),
    "dates": (X.astype("M8[s]"), Y, "x has dtype datetime64"),
    "byte order": (X.astype(">f4" if np.little_endian else "<f4"), Y, "x has the byte order"),
    "ragged": ([[1, 2], [3]], Y[:2], "x could not be read"),
    "objects": (np.array([[1, "a"]] * 20, object), Y, r"x\[0, 1\] is 'a'"),
    "None": (None, Y, "x.*NoneType"),
    "dictionary": ({"x": X}, Y, "x.*dict"),
    "generator": (iter(X), Y, "x.*iterator"),
    "masked": (np.ma.masked_array(X, X > 1), Y, "masked"),
    "many axes": (np.zeros((20, 12, 1, 1, 1, 1, 1)), Y, "x has 7 axes"),
    "symbolic": (fastnn.Input((12,)), Y, "symbolic"),
    "no targets": (X, None, "`y` is missing"),
    "labels too large": (X, Y + 1, r"y\[\d+\] is 5.*whole numbers in \[0, 5\).*5 columns"),
    "labels negative": (X, Y - 1, r"y\[\d+\] is -1"),
    "labels NaN": (X, NAN, r"y\[7\] is nan"),
    "labels all NaN": (X, np.full(20, np.nan), r"y\[0\] is nan"),
    "labels between": (X, Y + 0.5, r"y\[0\] is \d.5"),
    "one-hot": (X, np.eye(5)[Y], "look like one-hot rows"),
    "targets of another shape": (X, np.zeros((20, 3)), r"y: expected \(samples,\).*\(20, 3\)"),
    "huge": (np.broadcast_to(np.float32(1), (20, 2**50)), Y, r"\(12,\).*\(20, 1125899906842624\)"),
}


@pytest.mark.parametrize("kind", list(BAD))
def test_data_that_does_not_fit(kind):
    x, y, message = BAD[kind]
    model = network()
    before = model.get_weights()
    calls = [
        lambda: model.fit(x, y, verbose=0),
        lambda: model.evaluate(x, y, verbose=0),
        lambda: model.train_on_batch(x, y),
        lambda: model.test_on_batch(x, y),
    ]
    for call in calls:
        with pytest.raises((ValueError, TypeError), match=message):
            call()
    if y is not None and x is not X and kind not in ("lengths", "one sample without its axis"):
        for call in (model.predict, model, model.predict_on_batch):
            if kind in ("empty", "empty list", "symbolic") and call != model.predict:
                continue  # no rows give no rows; a call on a symbolic tensor goes on describing
            with pytest.raises((ValueError, TypeError)):
                call(x)
    assert_same(model.get_weights(), before)
    assert model.fit(X, Y, verbose=0).epoch == [0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 0}, "`batch_size` must be an integer.*Received: batch_size=0"),
        ({"batch_size": -1}, "`batch_size`"),
        ({"batch_size": 2.5}, "`batch_size`"),
        ({"batch_size": "32"}, "`batch_size`"),
        ({"batch_size": np.array([3])}, "`batch_size`"),
        ({"epochs": "3"}, "`epochs`.*Received: epochs='3'"),
        ({"epochs": -1}, "`epochs`"),
        ({"epochs": 1.5}, "`epochs`"),
        ({"initial_epoch": None}, "`initial_epoch`"),
        ({"validation_split": 1.0}, "validation_split"),
        ({"validation_split": "a"}, "validation_split"),
        ({"validation_split": 0.99}, "not sufficient to split"),
        ({"validation_freq": 0, "validation_data": (X, Y)}, "`validation_freq`"),
        ({"validation_batch_size": 0}, "`validation_batch_size`"),
        ({"validation_data": X}, r"validation_data: expected a tuple \(x, y\)"),
        ({"validation_data": (X,)}, "validation_data: expected a tuple.*length 1"),
        ({"validation_data": (X[:, :3], Y)}, r"validation_data\[0\].*\(12,\).*\(20, 3\)"),
        ({"validation_data": (X, Y + 3)}, r"validation_data\[1\]\[\d+\] is"),
        ({"validation_data": (X, Y[:3])}, r"validation_data\[0\] has 20, validation_data\[1\] has 3"),
        ({"validation_data": (X, Y, [1, 2])}, r"validation_data\[2\]: expected one number for each of the 20"),
        ({"sample_weight": [1, 2]}, "sample_weight: expected one number for each of the 20 samples"),
        ({"sample_weight": NAN}, r"sample_weight\[7\] is nan"),
        ({"sample_weight": ["a"] * 20}, "sample_weight has dtype"),
        ({"class_weight": [1, 2]}, "class_weight: expected a dictionary"),
        ({"class_weight": {"a": 1}}, "class_weight: expected class numbers"),
        ({"class_weight": {0: 1}, "sample_weight": np.ones(20)}, "at the same time"),
        ({"callbacks": [3]}, "callbacks: expected instances"),
        ({"callbacks": [fastnn.callbacks.History]}, r"the class History"),
        ({"verbose": "loud"}, "verbose"),
        ({"class_weight": {7: 2.0}}, "class_weight: there are"),
        ({"shuffle": "rows"}, "`shuffle` must be True or False"),
        ({"steps_per_epoch": 0}, "`steps_per_epoch` must be an integer of at least 1"),
        ({"validation_steps": "all"}, "`validation_steps` must be an integer of at least 1"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
def test_arguments_of_fit(arguments, message):
    model = network()
    with pytest.raises((ValueError, TypeError), match=message):
        model.fit(X, Y, **{"verbose": 0, **arguments})
    assert model.optimizer.iterations == 0


def test_arguments_of_the_other_methods():
    model = network()
    for call in (
        lambda: model.evaluate(X, Y, batch_size=0),
        lambda: model.predict(X, batch_size=0),
        lambda: model.evaluate(X, Y, verbose=7),
        lambda: model.predict(X, verbose=7),
        lambda: model.evaluate(X, Y, steps=0),
        lambda: model.predict(X, steps=0),
        lambda: model.predict(X, callbacks=[3]),
        lambda: model.evaluate(X, Y, sample_weight=[1]),
        lambda: model.train_on_batch(X, Y, class_weight=3),
    ):
        with pytest.raises((ValueError, TypeError)):
            call()


def test_targets_of_values():
    model = fastnn.Sequential([fastnn.Input((12,)), layers.Dense(3)], name="net")
    model.compile("sgd", "mse")
    for y, message in [
        (np.zeros(20), r"y: expected \(samples, 3\).*\(20,\).*to_categorical\(y, 3\)"),
        (np.zeros((20, 2)), r"y: expected \(samples, 3\).*\(20, 2\)"),
        (np.zeros((20, 3, 2)), r"y: expected \(samples, 3\).*\(20, 3, 2\)"),
    ]:
        with pytest.raises(ValueError, match=message):
            model.fit(X, y, verbose=0)


def test_a_model_that_was_built_by_data_keeps_its_shape():
    model = fastnn.Sequential([layers.Dense(3)], name="late")
    with pytest.raises(ValueError, match="'late' is not built"):
        model.graph
    model(X)
    with pytest.raises(ValueError, match=r"model 'late'.*\(12,\).*\(20, 5\)"):
        model(X[:, :5])


def test_not_a_number_stays_in_its_row():
    model = network()
    x = X.copy()
    expected = model.predict(x, verbose=0)
    x[3, 5], x[8, 0] = np.nan, np.inf
    result = model.predict(x, verbose=0)
    clean = np.delete(np.arange(20), [3, 8])
    np.testing.assert_array_equal(result[clean], expected[clean])
    assert np.isnan(result[3]).all()


def test_predictions_that_no_memory_can_hold():
    model = fastnn.Sequential([fastnn.Input((1,)), layers.Dense(1)])
    with pytest.raises(MemoryError):
        model.predict(np.broadcast_to(np.float32(1), (2**48, 1)), verbose=0)
