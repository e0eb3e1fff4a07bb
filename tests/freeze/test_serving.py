"""`predict` and `evaluate` of predictors with the arguments of Keras's, and lone samples of several inputs."""

import inspect
import pickle

import numpy as np
import pytest

import fastnn
from fastnn import layers
from freeze import networks

X = np.random.default_rng(0).normal(size=(100, 20)).astype(np.float32)
Y = np.random.default_rng(1).integers(0, 7, 100)


@pytest.fixture(scope="module")
def model():
    model = networks.classifier()
    metrics = ["accuracy", fastnn.metrics.SparseTopKCategoricalAccuracy(3, name="third")]
    model.compile("adam", "sparse_categorical_crossentropy", metrics=metrics, weighted_metrics=["accuracy"])
    return model


@pytest.fixture(scope="module")
def frozen(model):
    return model.freeze()


# ---- predict ---------------------------------------------------------------------------------------------------------


def test_what_keras_predict_takes(model, frozen):
    expected = frozen(X)
    ways = (
        {}, {"batch_size": 32}, {"verbose": 0}, {"verbose": False}, {"verbose": 2}, {"callbacks": None},
        {"batch_size": 10, "verbose": "auto", "steps": 10}, {"callbacks": []}, {"steps": 1},
    )  # fmt: skip
    for way in ways:
        np.testing.assert_array_equal(frozen.predict(X, **way), expected)
        assert model.predict(X, **{"verbose": 0, **way}).shape == expected.shape
    np.testing.assert_array_equal(frozen.predict(X, 32, 0), expected)
    np.testing.assert_array_equal(frozen.predict(X, 7, "auto", 3), expected[:21])
    out = np.empty_like(expected)
    assert frozen.predict(X, 32, out=out) is out
    np.testing.assert_array_equal(out, expected)
    with pytest.warns(UserWarning, match="ran out of data"):
        np.testing.assert_array_equal(frozen.predict(X, batch_size=32, steps=9), expected)


def test_the_order_of_arguments_is_that_of_the_model():
    for kind in fastnn.freeze.Predictor, fastnn.freeze.LookupPredictor, fastnn.freeze.StructuredPredictor:
        for name in "predict", "evaluate":
            ours, theirs = (
                [each for each in inspect.signature(getattr(cls, name)).parameters.values()
                 if each.kind == each.POSITIONAL_OR_KEYWORD]
                for cls in (kind, fastnn.Model)
            )  # fmt: skip
            assert [(each.name, each.default) for each in ours] == [(each.name, each.default) for each in theirs]


def test_what_yields_batches(frozen):
    class Pairs(fastnn.utils.PyDataset):
        def __len__(self):
            return 4

        def __getitem__(self, number):
            return X[25 * number :][:25], Y[25 * number :][:25]

    np.testing.assert_array_equal(frozen.predict(each for each in np.split(X, 4)), frozen(X))
    np.testing.assert_array_equal(frozen.predict(Pairs()), frozen(X))
    np.testing.assert_array_equal(frozen.predict(Pairs(), steps=2), frozen(X[:50]))
    with pytest.raises(ValueError, match="`out` goes with arrays"):
        frozen.predict(Pairs(), out=np.empty((100, 7), np.float32))


def test_what_predict_refuses(frozen):
    with pytest.raises(TypeError, match="'batchsize'.*Did you mean 'batch_size'"):
        frozen.predict(X, batchsize=3)
    with pytest.raises(TypeError, match="'workers'"):
        frozen.predict(X, workers=2)
    with pytest.raises(ValueError, match=r"model\.predict\(\.\.\., callbacks"):
        frozen.predict(X, callbacks=[fastnn.callbacks.Callback()])
    with pytest.raises(TypeError, match=r"predict\(x, out=y\)"):
        frozen.predict(X, np.empty((100, 7), np.float32))
    for wrong in {"batch_size": 0}, {"batch_size": 2.5}, {"steps": 0}, {"verbose": 3}:
        with pytest.raises(ValueError, match=next(iter(wrong))):
            frozen.predict(X, **wrong)


def test_one_input_in_a_list_or_a_dictionary(model, frozen):
    (name,) = frozen.input_names
    assert [name] == model.input_names
    for each in [X], (X,), {name: X}, {name: X.tolist()}:
        np.testing.assert_array_equal(frozen(each), frozen(X))
        np.testing.assert_array_equal(frozen.predict(each), frozen(X))
    np.testing.assert_array_equal(frozen({name: X[0]}), frozen(X[0]))
    np.testing.assert_array_equal(frozen([X[0]]), frozen(X[:1]))  # a list of rows
    with pytest.raises(ValueError, match="without"):
        frozen({"other": X})


# ---- several inputs --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def several():
    return networks.several().freeze()


def test_a_lone_sample_of_several_inputs(several):
    a, b = X[:, :5], X[:, 5:8]
    whole = several({"a": a, "b": b})
    for lone in {"a": a[3], "b": b[3]}, [a[3], b[3]], {"a": a[3].tolist(), "b": b[3].astype(np.float64)}:
        answer = several(lone)
        assert answer["kind"].shape == (8,)
        assert answer["value"].shape == (1,)
        for name in answer:
            np.testing.assert_array_equal(answer[name], whole[name][3])
    out = {"kind": np.empty(8, np.float32), "value": np.empty(1, np.float32)}
    assert several(lone, out)["kind"] is out["kind"]
    np.testing.assert_array_equal(out["kind"], whole["kind"][3])
    with pytest.raises(ValueError, match=r"of shape \(8,\)"):
        several(lone, {**out, "kind": np.empty((1, 8), np.float32)})
    with pytest.raises(ValueError, match=r"Input 'b' .*expected samples of shape \(3,\)"):
        several({"a": a, "b": b[3]})
    with pytest.raises(ValueError, match="3 in a list"):
        several([a, b, b])


def test_arrays_of_several_inputs_are_read_where_they_lie():
    """What needs no conversion takes a shorter way, to the same answers and messages."""
    model = networks.several()
    outputs = [model.output[name] for name in ("value", "kind")]
    frozen = fastnn.Model([model.input[name] for name in "ba"], outputs).freeze()
    a, b = np.ascontiguousarray(X[:, :5]), np.ascontiguousarray(X[:, 5:8])
    expected = frozen([b.astype(np.float64), a.astype(np.float64)])
    for x in [b, a], (b, a), dict(zip(frozen.input_names, (b, a), strict=True)):
        for rows in 100, 1, 0:
            part = {name: each[:rows] for name, each in x.items()} if type(x) is dict else [each[:rows] for each in x]
            for given, whole in zip(frozen(part), expected, strict=True):
                np.testing.assert_array_equal(given, whole[:rows])
    for given, whole in zip(frozen([b[7], a[7]]), expected, strict=True):
        np.testing.assert_array_equal(given, whole[7])
    x, y = np.tile(a, (6, 1)), np.tile(b, (6, 1))
    out = [x.reshape(-1)[-600:].reshape(600, 1), np.empty((600, 8), np.float32)]  # where later rows are read
    assert frozen([y, x], out) is out
    for given, whole in zip(out, expected, strict=True):
        np.testing.assert_array_equal(given, np.tile(whole, (6, 1)))
    with pytest.raises(ValueError, match="as many samples each"):
        frozen([b[:4], a])
    with pytest.raises(ValueError, match="Received: NoneType"):
        frozen([b, a], [None, out[1]])
    with pytest.raises(ValueError, match="2 arrays, one for each output. Received: 1"):
        frozen([b, a], out[:1])


def test_inputs_of_one_value():
    """Alone they are samples only if something else says so."""
    numbers, age = fastnn.Input((3,), name="numbers"), fastnn.Input((1,), name="age")
    city = fastnn.Input((1,), dtype="string", name="city")
    known = layers.StringLookup(vocabulary=["Rome", "Oslo"], output_mode="one_hot")(city)
    y = layers.Dense(2)(layers.Concatenate()([numbers, age, known]))
    frozen = fastnn.Model([numbers, age, city], y).freeze()
    batch = {"numbers": X[:2, :3], "age": np.float32([30, 40]), "city": ["Rome", "Oslo"]}
    expected = frozen(batch)
    assert expected.shape == (2, 2)
    for age_, city_ in (30, "Rome"), ([30], ["Rome"]), (np.float32(30), np.array("Rome")):
        lone = {"numbers": X[0, :3], "age": age_, "city": city_}
        np.testing.assert_array_equal(frozen(lone), expected[0])
        np.testing.assert_array_equal(frozen.predict(lone), expected[0])
    np.testing.assert_array_equal(frozen({**batch, "numbers": X[:1, :3], "age": [30], "city": ["Rome"]}), expected[:1])
    with pytest.raises(TypeError, match="'age'.*cannot be read as numbers"):
        frozen({**batch, "age": ["thirty", "forty"]})
    columns = [fastnn.Input((1,), name=name) for name in "ab"]
    frozen = fastnn.Model(columns, layers.Dense(2)(layers.Concatenate()(columns))).freeze()
    assert frozen([[1.0], [2.0]]).shape == (1, 2)
    assert frozen([1.0, 2.0]).shape == (2,)


def test_a_list_has_the_order_in_which_the_model_was_written():
    first, second = fastnn.Input((3,), name="z"), fastnn.Input((3,), name="a")
    model = fastnn.Model({"z": first, "a": second}, layers.Dense(2)(first * 2.0 + second))
    given = [X[:, :3], X[:, 3:6]]
    np.testing.assert_allclose(model.freeze()(given), model.predict(given, verbose=0), rtol=1e-5, atol=1e-6)


def test_it_is_called_as_a_model_is(model, frozen, several, capsys):
    np.testing.assert_array_equal(frozen(X, training=False), frozen(X))
    np.testing.assert_array_equal(frozen.predict_on_batch(X), frozen(X))
    x = {"a": X[:, :5], "b": X[:, 5:8]}
    np.testing.assert_array_equal(several(x, training=None)["kind"], several.predict_on_batch(x)["kind"])
    near(frozen.test_on_batch(X, Y), model.test_on_batch(X, Y))
    assert frozen.test_on_batch(X, Y, return_dict=True).keys() == model.test_on_batch(X, Y, return_dict=True).keys()
    assert capsys.readouterr().out == ""
    for each, given in (frozen, X), (several, x):
        with pytest.raises(ValueError, match="no training mode"):
            each(given, training=True)


# ---- evaluate --------------------------------------------------------------------------------------------------------


def near(found, expected):
    assert found == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_the_losses_and_metrics_of_the_model(model, frozen, tmp_path):
    frozen.save(tmp_path / "net.fnn")
    weights = np.linspace(0.5, 2, 100)
    batches = [(X[start : start + 30], Y[start : start + 30]) for start in range(0, 100, 30)]
    for each in frozen, fastnn.load_frozen(tmp_path / "net.fnn"), pickle.loads(pickle.dumps(frozen)):
        for way in {}, {"batch_size": 10, "steps": 3}, {"return_dict": True}, {"sample_weight": weights}:
            near(each.evaluate(X, Y, verbose=0, **way), model.evaluate(X, Y, verbose=0, **way))
        near(each.evaluate(iter(batches), verbose=0), model.evaluate(iter(batches), verbose=0))
    loss, mae = frozen.evaluate(X, np.eye(7)[Y], verbose=0, loss="mse", metrics=["mae"])
    near([loss, mae], [np.square(frozen(X) - np.eye(7)[Y]).mean(), np.abs(frozen(X) - np.eye(7)[Y]).mean()])
    assert list(frozen.evaluate(X, Y, verbose=0, return_dict=True, metrics=["accuracy"])) == ["loss", "accuracy"]


def test_it_prints_as_the_model_does(frozen, capsys):
    frozen.evaluate(X, Y)
    assert "accuracy" in capsys.readouterr().out
    frozen.predict(X, verbose=1)
    frozen.evaluate(X, Y, verbose=0)
    assert capsys.readouterr().out == ""


def test_several_outputs():
    model = networks.several()
    x = {"a": X[:, :5], "b": X[:, 5:8]}
    y = {"value": X[:, 0], "kind": Y}
    natural = model.freeze().evaluate(x, y, verbose=0, return_dict=True)
    assert list(natural) == ["loss", "kind_loss", "value_loss", "kind_accuracy"]
    losses = {"value": "mse", "kind": "sparse_categorical_crossentropy"}
    model.compile("sgd", losses, loss_weights={"value": 0.5, "kind": 2}, metrics={"kind": ["accuracy"]})
    frozen = model.freeze()
    near(frozen.evaluate(x, y, verbose=0, return_dict=True), model.evaluate(x, y, verbose=0, return_dict=True))
    listed = fastnn.Model(model.inputs, model.outputs)
    listed.compile("sgd", list(losses.values())[::-1], metrics=[["accuracy"], None])
    given, targets = [x["a"], x["b"]], [Y, X[:, 0]]
    near(listed.freeze().evaluate(given, targets, verbose=0), listed.evaluate(given, targets, verbose=0))


def test_a_model_that_was_not_compiled():
    x, binary = X[:, :4], (X[:, 0] > 0).astype(np.float32)
    for units, activation, y, names in (
        (3, "softmax", Y % 3, ["loss", "accuracy"]), (3, "softmax", np.eye(3)[Y % 3], ["loss", "accuracy"]),
        (1, "sigmoid", binary, ["loss", "accuracy"]), (1, None, X[:, 0], ["loss"]),
    ):  # fmt: skip
        model = fastnn.Sequential([fastnn.Input((4,)), layers.Dense(units, activation)])
        found = model.freeze().evaluate(x, y, verbose=0, return_dict=True)
        assert list(found) == names
        losses = {1: "binary_crossentropy", 2: "sparse_categorical_crossentropy"}
        loss = losses[np.ndim(y)] if activation == "sigmoid" else "mse"
        if activation == "softmax":
            loss = "sparse_categorical_crossentropy" if y.ndim == 1 else "categorical_crossentropy"
        model.compile("sgd", loss, metrics=["accuracy"] if activation else None)
        near(found, model.evaluate(x, y, verbose=0, return_dict=True))


def squares(y_true, y_pred):
    return fastnn.ops.mean(fastnn.ops.square(y_true - y_pred), axis=-1)


def test_losses_of_ones_own():
    model = fastnn.Sequential([fastnn.Input((20,)), layers.Dense(3)])
    model.compile("sgd", squares, metrics=[squares])
    frozen, y = model.freeze(), X[:, :3]
    near(frozen.evaluate(X, y, verbose=0), model.evaluate(X, y, verbose=0))
    again = pickle.loads(pickle.dumps(frozen))
    with pytest.raises(ValueError, match=r"loss=\.\.\., metrics=.*register"):
        again.evaluate(X, y, verbose=0)
    near(again.evaluate(X, y, verbose=0, loss=squares, metrics=[squares]), model.evaluate(X, y, verbose=0))
    with fastnn.saving.CustomObjectScope({"squares": squares}):
        near(again.evaluate(X, y, verbose=0), model.evaluate(X, y, verbose=0))
    model.compile("sgd", lambda y_true, y_pred: squares(y_true, y_pred))
    with pytest.raises(ValueError, match="lambda"):
        model.freeze().evaluate(X, y)


def test_what_evaluate_refuses(frozen):
    with pytest.raises(ValueError, match="`y` is missing"):
        frozen.evaluate(X)
    with pytest.raises(ValueError, match="x has 100, y has 99"):
        frozen.evaluate(X, Y[1:])
    with pytest.raises(ValueError, match="callbacks"):
        frozen.evaluate(X, Y, callbacks=[fastnn.callbacks.Callback()])
    with pytest.raises(TypeError, match="'epochs'"):
        frozen.evaluate(X, Y, epochs=3)


def test_arrays_that_need_no_conversion_give_what_others_give():
    """Batches of C-contiguous float32 arrays take a short way through Python."""
    a, b = fastnn.Input((4,), name="a"), fastnn.Input((1,), name="b")
    joint = layers.Concatenate()([layers.Dense(3, activation="relu")(a), b])
    frozen = fastnn.Model([b, a], [layers.Dense(2)(joint), layers.Dense(1)(joint)]).freeze()
    random = np.random.default_rng(3)
    x = [random.normal(size=(5, 1)).astype(np.float32), random.normal(size=(5, 4)).astype(np.float32)]
    expected = frozen([each.astype(np.float64) for each in x])
    for given in x, tuple(x), {"a": x[1], "b": x[0]}, [x[0], np.asfortranarray(x[1])], [x[0], x[1].tolist()]:
        for result, value in zip(frozen(given), expected, strict=True):
            np.testing.assert_array_equal(result, value)
    out = [np.zeros((5, 2), np.float32), np.zeros((5, 1), np.float32)]
    assert frozen(x, out) is out
    np.testing.assert_array_equal(out[0], expected[0])
    with pytest.raises(ValueError, match="as many samples"):
        frozen([x[0][:3], x[1]])
    one = frozen([x[0][0], x[1][0]])
    assert [each.shape for each in one] == [(2,), (1,)]


def test_a_loss_that_is_not_known_where_a_predictor_is_loaded(tmp_path):
    class Own(fastnn.losses.Loss):
        def call(self, y_true, y_pred):
            return fastnn.ops.mean(fastnn.ops.square(y_true - y_pred), -1)

    model = fastnn.Sequential([fastnn.Input((3,)), fastnn.layers.Dense(1)])
    model.compile("sgd", Own())
    model.freeze().save(tmp_path / "a.fnn")
    loaded = fastnn.load_frozen(tmp_path / "a.fnn")
    x, y = np.ones((4, 3), np.float32), np.ones((4, 1), np.float32)
    with pytest.raises(ValueError, match="class 'Own' is not known here. Pass them, evaluate") as caught:
        loaded.evaluate(x, y, verbose=0)
    assert "Did you mean" not in str(caught.value)
    assert loaded.evaluate(x, y, verbose=0, loss=Own(), metrics=[]) is not None
    with fastnn.saving.custom_object_scope({"Own": Own}):
        assert loaded.evaluate(x, y, verbose=0) is not None
