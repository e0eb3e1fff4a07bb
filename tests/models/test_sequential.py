"""Sequential: building, adding and removing layers, weights, summary, sharing."""

import numpy as np
import pytest

import fastnn
from fastnn import layers
from harness.layers import data


def stack(L, **first):
    return [
        L.Dense(6, activation="relu", **first),
        L.BatchNormalization(),
        L.Dropout(0.3),
        L.Dense(3, use_bias=False),
        L.Softmax(),
    ]


def test_built_by_its_input_or_by_its_first_data():
    known = fastnn.Sequential([fastnn.Input((4,)), *stack(layers)])
    told = fastnn.Sequential(stack(layers, input_shape=(4,)))
    late = fastnn.Sequential(stack(layers))
    by_hand = fastnn.Sequential(stack(layers))
    assert known.built
    assert told.built
    assert not late.built
    assert late.weights == []
    by_hand.build((None, 4))
    assert late(data(5, 4)).shape == (5, 3)
    fitted = fastnn.Sequential(stack(layers))
    fitted.compile("sgd", "sparse_categorical_crossentropy")
    fitted.fit(data(5, 4), [0, 1, 2, 0, 1], verbose=0)
    for model in (known, told, late, by_hand, fitted):
        assert model.built
        assert model.input_shape == (None, 4)
        assert model.output_shape == (None, 3)
        assert [variable.shape for variable in model.weights] == [
            (4, 6), (6,), (6,), (6,), (6,), (6,), (6, 3)
        ]  # fmt: skip
        assert model.inputs[0].shape == (None, 4)
        assert model.outputs[0].shape == (None, 3)


def test_weights_names_and_order_are_those_of_keras(keras):
    fastnn.backend.clear_session()
    keras.backend.clear_session()
    ours = fastnn.Sequential([fastnn.Input((4,)), *stack(fastnn.layers)])
    theirs = keras.Sequential([keras.Input((4,)), *stack(keras.layers)])
    assert [layer.name for layer in ours.layers] == [layer.name for layer in theirs.layers]
    for kind in ("weights", "trainable_weights", "non_trainable_weights", "trainable_variables"):
        mine, reference = getattr(ours, kind), getattr(theirs, kind)
        assert [(v.path, v.name, tuple(v.shape), v.trainable) for v in mine] == [
            (v.path, v.name, tuple(v.shape), v.trainable) for v in reference
        ]
    assert ours.count_params() == theirs.count_params()
    ours.set_weights(theirs.get_weights())
    x = data(10, 4)
    np.testing.assert_allclose(ours(x), np.asarray(theirs(x)), rtol=1e-5, atol=1e-6)
    assert ours.input_shape == theirs.input_shape
    assert ours.output_shape == theirs.output_shape


def test_add_and_pop():
    model = fastnn.Sequential(name="m")
    with pytest.raises(ValueError, match="no layers"):
        model.build((None, 4))
    with pytest.raises(ValueError, match="no layers"):
        model(data(2, 4))
    with pytest.raises(ValueError, match="no layers"):
        model.pop()
    model.add(fastnn.Input((4,)))
    with pytest.raises(ValueError, match="not built"):
        model.graph
    model.add(layers.Dense(3, name="a"))
    model.add(layers.Dense(2, name="b"))
    x = data(5, 4)
    before = model(x)
    assert [layer.name for layer in model.layers] == ["a", "b"]
    removed = model.pop()
    assert removed.name == "b"
    assert model.output_shape == (None, 3)
    assert model(x).shape == (5, 3)
    model.add(removed)
    np.testing.assert_array_equal(model(x), before)
    model.pop()
    model.pop()
    assert not model.built
    model.add(layers.Dense(7))
    assert model(x).shape == (5, 7)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: fastnn.Sequential([3]), TypeError, "Only instances of .*Received: 3 of type int"),
        (lambda: fastnn.Sequential([layers.Dense]), TypeError, "of type type"),
        (lambda: fastnn.Sequential(layers.Dense(3)), TypeError, "not iterable"),
        (
            lambda: fastnn.Sequential([layers.Dense(3, name="a"), layers.Dense(3, name="a")]),
            ValueError,
            "unique names.*'a'",
        ),
        (lambda: fastnn.Sequential([layers.Dense(3), fastnn.Input((3,))]), ValueError, "input"),
        (lambda: fastnn.Sequential([fastnn.Input((3,)), fastnn.Input((3,))]), ValueError, "input"),
        (
            lambda: fastnn.Sequential([layers.Dense(3)(fastnn.Input((3,)))]),
            ValueError,
            "not the output of a layer",
        ),
        (lambda: fastnn.Sequential([layers.Dense(3)]).build(), ValueError, "shape of its input"),
        (lambda: fastnn.Sequential([layers.Dense(3)]).build(7), ValueError, "input_shape=7"),
        (lambda: fastnn.Sequential([layers.Dense(3)]).build((None, None)), ValueError, "positive"),
        (lambda: fastnn.Sequential([layers.Dense(3)]).freeze(), ValueError, "not built"),
        (lambda: fastnn.Sequential([layers.Dense(3)]).input_shape, ValueError, "not built"),
    ],
)
def test_mistakes(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_get_layer():
    model = fastnn.Sequential([fastnn.Input((4,)), layers.Dense(3, name="a"), layers.ReLU(name="b")])
    assert model.get_layer("b") is model.layers[1]
    assert model.get_layer(index=0).name == "a"
    assert model.get_layer(index=-1).name == "b"
    for arguments, message in [
        ({"name": "c"}, r"No such layer: 'c'.*\['a', 'b'\]"),
        ({"index": 2}, "2 layers.*index 2"),
        ({}, "Provide either"),
        ({"name": "a", "index": 0}, "Provide either"),
    ]:
        with pytest.raises(ValueError, match=message):
            model.get_layer(**arguments)


def test_summary_before_the_model_is_built():
    lines = []
    fastnn.Sequential([layers.Dense(3), layers.Dropout(0.1)]).summary(print_fn=lines.append)
    rows = [line.split() for line in lines[0].splitlines()]
    assert ["?", "│", "0", "(unbuilt)", "│"] in [row[-5:] for row in rows]
    assert ["?", "│", "0", "│"] in [row[-4:] for row in rows]
    assert "Total params: 0 " in lines[0]


def test_summary(capsys):
    inner = fastnn.Sequential([layers.Dense(6, activation="relu"), layers.Reshape((2, 3))], name="inner")
    model = fastnn.Sequential(
        [
            fastnn.Input((4,)),
            inner,
            layers.Activation("linear", name="nothing"),
            layers.BatchNormalization(name="bn", trainable=False),
            layers.Flatten(name="flat"),
            layers.Dense(1000, name="wide"),
        ],
        name="net",
    )
    model.summary(show_trainable=True)
    text = capsys.readouterr().out
    rows = {line.split("(")[0].strip("│| "): line for line in text.splitlines() if "(" in line}
    for name, shape, parameters, trained in [
        ("inner", "(None, 2, 3)", "30", "Y"),
        ("nothing", "(None, 2, 3)", "0", "│ - "),
        ("bn", "(None, 2, 3)", "12", "N"),
        ("flat", "(None, 6)", "0", "│ - "),
        ("wide", "(None, 1000)", "7,000", "Y"),
    ]:
        for part in (shape, parameters, trained):
            assert part in rows[name], (part, rows[name])
    assert 'Model: "net"' in text
    assert "Total params: 7,042 (27.51 KB)" in text
    assert "Trainable params: 7,030 (27.46 KB)" in text
    assert "Non-trainable params: 12 (48.00 B)" in text
    lines = []
    model.summary(print_fn=lines.append)
    assert "Y" not in "".join(lines).split("Total")[0].replace("Type", "")


def test_models_are_layers():
    encoder = fastnn.Sequential([layers.Dense(3, activation="tanh")], name="encoder")
    decoder = fastnn.Sequential([layers.Dense(4)], name="decoder")
    both = fastnn.Sequential([fastnn.Input((4,)), encoder, decoder])
    x = data(10, 4)
    np.testing.assert_allclose(both(x), decoder(encoder(x)), rtol=1e-6, atol=1e-6)
    assert both.weights == [*encoder.weights, *decoder.weights]
    both.compile(fastnn.optimizers.SGD(0.1), "mse")
    losses = both.fit(x, x, epochs=20, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    np.testing.assert_allclose(both(x), decoder(encoder(x)), rtol=1e-6, atol=1e-6)


def test_one_body_under_two_heads():
    """Storage belongs to the variable: training one model changes the other, whoever owns the arena."""
    body = layers.Dense(8, activation="tanh")
    models = [fastnn.Sequential([fastnn.Input((4,)), body, layers.Dense(units)]) for units in (1, 2)]
    x = data(40, 4)
    predictions = [np.asarray(model(x)) for model in models]
    for model, units in zip(models, (1, 2), strict=True):
        model.compile(fastnn.optimizers.Adam(0.05), "mse")
        before = body.get_weights()
        model.fit(x, data(40, units, seed=1), epochs=3, verbose=0)
        assert np.abs(body.get_weights()[0] - before[0]).max() > 0
    for model, old in zip(models, predictions, strict=True):
        hidden = np.tanh(x @ body.kernel.numpy() + body.bias.numpy())
        head = model.layers[-1]
        expected = hidden @ head.kernel.numpy() + head.bias.numpy()
        np.testing.assert_allclose(model(x), expected, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=1e-5, atol=1e-5)
        assert np.abs(expected - old).max() > 1e-3


def test_training_goes_on_after_the_weights_have_moved():
    """A second model moves what the first has not trained yet; the first one's programs follow."""
    shared = layers.Dense(5)
    first = fastnn.Sequential([fastnn.Input((4,)), shared, layers.Dense(1)])
    x, y = data(30, 4), data(30, 1, seed=1)
    assert first(x).shape == (30, 1)  # a program over the variables where they are now
    second = fastnn.Sequential([fastnn.Input((4,)), shared])
    second.compile("sgd", "mse")
    second.fit(x, data(30, 5, seed=2), verbose=0)
    first.compile("adam", "mse")
    first.fit(x, y, verbose=0)
    expected = (x @ shared.kernel.numpy() + shared.bias.numpy()) @ first.layers[1].kernel.numpy()
    np.testing.assert_allclose(first(x), expected + first.layers[1].bias.numpy(), rtol=1e-4, atol=1e-5)


def test_adding_a_layer_after_training():
    x, y = data(30, 4), data(30, 2, seed=1)
    model = fastnn.Sequential([fastnn.Input((4,)), layers.Dense(3, activation="relu")])
    model.compile("adam", "mse")
    model.fit(x, data(30, 3, seed=2), verbose=0)
    model.add(layers.Dense(2))
    losses = model.fit(x, y, epochs=20, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    model.pop()
    assert model.evaluate(x, data(30, 3, seed=2), verbose=0) > 0


def test_what_is_trainable_when_compiled_is_trained():
    x, y = data(30, 4), data(30, 2, seed=1)
    model = fastnn.Sequential([fastnn.Input((4,)), layers.Dense(3), layers.Dense(2)])

    def changed():
        before = model.get_weights()
        model.fit(x, y, verbose=0)
        return [bool((old != new).any()) for old, new in zip(before, model.get_weights(), strict=True)]

    model.layers[0].trainable = False
    assert model.trainable_weights == model.layers[1].weights
    model.compile("sgd", "mse")
    assert changed() == [False, False, True, True]
    model.layers[0].trainable = True
    with pytest.warns(UserWarning, match="since the model was compiled"):
        assert changed() == [False, False, True, True], "until compile is called again, as in Keras"
    model.compile("adam", "mse")
    assert changed() == [True] * 4
    model.layers[1].kernel.trainable = False  # one variable alone
    model.compile("adam", "mse")
    assert changed() == [True, True, False, True]
    model.trainable = False
    assert model.trainable_weights == []
    model.compile("adam", "mse")
    assert changed() == [False] * 4


def test_an_adversary_keeps_learning_where_it_was_compiled():
    """The idiom of generative adversarial networks: frozen in the second model only."""
    generator = fastnn.Sequential([fastnn.Input((2,)), layers.Dense(3)])
    judge = fastnn.Sequential([fastnn.Input((3,)), layers.Dense(1, activation="sigmoid")])
    judge.compile("sgd", "binary_crossentropy")
    judge.trainable = False
    both = fastnn.Sequential([generator, judge])
    both.compile("sgd", "binary_crossentropy")
    noise, labels = data(20, 2), np.ones(20)
    before = generator.get_weights(), judge.get_weights()
    both.train_on_batch(noise, labels)
    assert (before[0][0] != generator.get_weights()[0]).any()
    np.testing.assert_array_equal(before[1][0], judge.get_weights()[0])
    judge.train_on_batch(data(20, 3), labels)
    assert (before[1][0] != judge.get_weights()[0]).any()


def test_a_frozen_model_trains_nothing():
    model = fastnn.Sequential([fastnn.Input((4,)), layers.Dense(3)], trainable=False)
    assert model.trainable_weights == []
    assert len(model.non_trainable_weights) == 2
    model.compile("sgd", "mse")
    before = model.get_weights()
    model.fit(data(9, 4), data(9, 3), verbose=0)
    np.testing.assert_array_equal(before[0], model.get_weights()[0])


def test_calls_on_arrays():
    model = fastnn.Sequential([fastnn.Input((4,)), *stack(layers)])
    x = data(600, 4)
    for result in (model(x), model.predict(x, verbose=0), model.predict_on_batch(x)):
        assert result.shape == (600, 3)
        np.testing.assert_array_equal(result, model(x, training=False))
    assert type(model.predict(x, verbose=0)) is np.ndarray
    assert type(model(x).numpy()) is np.ndarray
    assert (model(x, training=True) != model(x)).any()
    np.testing.assert_array_equal(model([[1, 2, 3, 4]]), model(np.array([[1.0, 2, 3, 4]])))
    one_feature = fastnn.Sequential([fastnn.Input((1,)), layers.Dense(1)])
    assert one_feature.predict([1, 2, 3], verbose=0).shape == (3, 1)


def test_models_without_weights():
    model = fastnn.Sequential([fastnn.Input((2, 3)), layers.Flatten()])
    x = data(5, 2, 3)
    np.testing.assert_array_equal(model(x), x.reshape(5, 6))
    identity = fastnn.Sequential([fastnn.Input((3,)), layers.Dropout(0.5)])
    np.testing.assert_array_equal(identity.predict(x[:, 0], verbose=0), x[:, 0])
    identity.compile("sgd", "mse")
    assert identity.evaluate(x[:, 0], x[:, 0], verbose=0) == 0
    identity.fit(x[:, 0], x[:, 0], verbose=0)


def test_a_thousand_layers():
    model = fastnn.Sequential([fastnn.Input((3,)), *(layers.Dense(3) for _ in range(1000))])
    model.compile("sgd", "mse")
    assert np.isfinite(model.train_on_batch(data(2, 3), np.zeros((2, 3))))


def test_building_again_for_another_shape_is_refused(keras):
    def cases(package):
        known = package.Sequential([package.Input((4,)), package.layers.Dense(2)])
        late = package.Sequential([package.layers.Dense(2)])
        late.build((None, 4))
        return known, late

    message = r"(?s)configured to use input shape\s\(None, 4\).*input_shape \(None, 5\)"
    for model in (*cases(fastnn), *cases(keras)):
        model.build()
        model.build((None, 4))
        with pytest.raises(ValueError, match=message):
            model.build((None, 5))
    model = cases(fastnn)[0]
    model.build([None, 4])
    for shape in ((None, 4, 1), (None,), 4, "ab"):
        with pytest.raises(ValueError, match="configured to use input shape"):
            model.build(shape)
    assert model(data(3, 4)).shape == (3, 2)
