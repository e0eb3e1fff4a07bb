"""Models of real Keras, out of memory: the same predictions, and the same training step."""

import numpy as np
import pytest

import fastnn
from fastnn import layers

RANDOM = np.random.default_rng(1)


def randomised(model):
    for variable in model.weights:
        if str(variable.dtype) == "float32" and "count" not in variable.path:
            variable.assign(RANDOM.uniform(0.2, 1.0, variable.shape))
    return model


@pytest.fixture(scope="module")
def stack(keras):
    L = keras.layers
    normalise = L.Normalization()
    hidden = [L.Dense(8, "elu", kernel_regularizer="l2"), L.BatchNormalization(momentum=0.8), L.Dropout(0.3)]
    model = randomised(
        keras.Sequential(
            [keras.Input((6,)), normalise, *hidden, L.PReLU(), L.LayerNormalization(), L.Dense(3, "softmax")]
        )
    )
    normalise.adapt(RANDOM.normal(size=(50, 6)))  # after, as only this tells what it computes with
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    return model


def assert_alike(ours, theirs, *arrays):
    data = arrays[0] if len(arrays) == 1 else list(arrays)
    wanted = theirs(data)
    for one in (ours, ours.freeze()):
        got = one.predict(data)
        for a, b in zip(
            got if isinstance(got, list) else [got], wanted if isinstance(wanted, list) else [wanted], strict=True
        ):
            np.testing.assert_allclose(a, np.asarray(b), rtol=1e-5, atol=1e-5)


def test_a_stack(stack):
    model = fastnn.from_keras(stack)
    assert [each.name for each in model.layers] == [each.name for each in stack.layers]
    assert_alike(model, stack, RANDOM.normal(size=(9, 6)).astype(np.float32))
    assert isinstance(model, fastnn.Sequential)
    assert float(model.optimizer.learning_rate) == pytest.approx(0.1)
    assert not fastnn.from_keras(stack, compile=False).compiled
    model.layers[-1].bias.assign(np.zeros(3))
    assert np.asarray(stack.layers[-1].bias).any()  # copies


def test_it_trains_as_keras_does(keras, stack):
    x, y = RANDOM.normal(size=(16, 6)).astype(np.float32), RANDOM.integers(0, 3, 16)
    for each in (model := fastnn.from_keras(stack)), stack:
        each.get_layer(stack.layers[3].name).rate = 0.0
        each.train_on_batch(x, y)
    for ours, theirs in zip(model.get_weights(), stack.get_weights(), strict=False):
        if theirs.dtype == np.float32:
            np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_a_functional_model_with_models_inside(keras, tmp_path):
    L = keras.layers
    inner = keras.Sequential([keras.Input((4,)), L.Dense(4, "gelu"), L.BatchNormalization()], name="inner")
    a, b = keras.Input((4,), name="a"), keras.Input((2, 2), name="b")
    hidden = L.Add()([inner(inner(a)), L.Flatten()(b)])
    model = randomised(keras.Model([a, b], [L.Dense(2, name="one")(hidden), L.Concatenate()([hidden, a])]))
    arrays = RANDOM.normal(size=(7, 4)).astype(np.float32), RANDOM.normal(size=(7, 2, 2)).astype(np.float32)
    ours = fastnn.from_keras(model)
    assert_alike(ours, model, *arrays)
    assert isinstance(ours.get_layer("inner"), fastnn.Sequential)
    model.save(tmp_path / "model.keras")
    assert_alike(fastnn.from_keras(tmp_path / "model.keras"), model, *arrays)


def test_what_cannot_be_read_is_refused(keras):
    with pytest.raises(TypeError, match="Received: Sequential"):
        fastnn.from_keras(fastnn.Sequential([layers.Dense(3)]))
    with pytest.raises(ValueError, match="has no weights yet"):
        fastnn.from_keras(keras.Sequential([keras.layers.Dense(3)]))
    with pytest.raises(TypeError, match="Conv1D"):
        fastnn.from_keras(keras.Sequential([keras.Input((4, 2)), keras.layers.Conv1D(3, 2)]))
    with pytest.raises(FileNotFoundError):
        fastnn.from_keras("nowhere.keras")
