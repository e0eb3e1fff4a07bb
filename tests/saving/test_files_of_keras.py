"""Files that real Keras reads and has written, those of Keras 2 included."""

import json
import os

import numpy as np
import pytest

import fastnn
from fastnn import layers, saving
from harness.saved import RANDOM, X, assert_same, book, close, fit


def test_with_real_keras(keras, tmp_path):
    """Saved there and loaded here, and the reverse: the same predictions, and training goes on alike."""
    theirs = book(keras, dropout=0.0)
    fit(theirs, shuffle=False)
    theirs.save(tmp_path / "theirs.keras")
    mine = saving.load_model(tmp_path / "theirs.keras")
    close([mine.predict(X, verbose=0)], [theirs.predict(X, verbose=0)])
    mine.save(tmp_path / "mine.keras")
    again = keras.models.load_model(tmp_path / "mine.keras")
    close([again.predict(X, verbose=0)], [theirs.predict(X, verbose=0)])
    close([v.numpy() for v in mine.optimizer.variables], [v.numpy() for v in theirs.optimizer.variables])
    close([v.numpy() for v in again.optimizer.variables], [v.numpy() for v in theirs.optimizer.variables])
    histories = [fit(model, shuffle=False) for model in (mine, again, theirs)]
    for history in histories[:2]:
        assert history["loss"] == pytest.approx(histories[2]["loss"], rel=1e-4)
        assert history["accuracy"] == pytest.approx(histories[2]["accuracy"])
    for model in (mine, again):
        for a, b in zip(model.get_weights(), theirs.get_weights(), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    # As Keras 2 did
    theirs.save(tmp_path / "theirs.h5")
    old = saving.load_model(tmp_path / "theirs.h5")
    close(old.get_weights(), theirs.get_weights())
    close([v.numpy() for v in old.optimizer.variables], [v.numpy() for v in theirs.optimizer.variables])
    old = book(fastnn)
    old.load_weights(tmp_path / "theirs.h5")
    close(old.get_weights(), theirs.get_weights())
    # Weights alone
    theirs.save_weights(tmp_path / "theirs.weights.h5")
    mine.load_weights(tmp_path / "theirs.weights.h5")
    close(mine.get_weights(), theirs.get_weights())
    fit(mine)
    mine.save_weights(tmp_path / "mine.weights.h5")
    theirs.load_weights(tmp_path / "mine.weights.h5")
    close(mine.get_weights(), theirs.get_weights())
    close([v.numpy() for v in mine.optimizer.variables], [v.numpy() for v in theirs.optimizer.variables])


def test_files_of_keras_2(tmp_path):
    """As tf.keras 2 wrote them: configurations without modules, the input's shape in the first layer."""
    h5py = pytest.importorskip("h5py")
    config = {
        "class_name": "Sequential",
        "config": {
            "name": "old",
            "layers": [
                {
                    "class_name": "Dense",
                    "config": {
                        "name": "one", "trainable": True, "batch_input_shape": [None, 3], "dtype": "float32",
                        "units": 2, "activation": "relu", "use_bias": True,
                        "kernel_initializer": {"class_name": "GlorotUniform", "config": {"seed": None}},
                        "bias_initializer": {"class_name": "Zeros", "config": {}},
                        "kernel_regularizer": None, "activity_regularizer": None,
                    },
                },
                {"class_name": "Dropout", "config": {"name": "no", "rate": 0.5, "noise_shape": None, "seed": None}},
                {"class_name": "Dense", "config": {"name": "two", "units": 1, "activation": "linear"}},
            ],
        },
    }  # fmt: skip
    shapes = {"one": {"kernel:0": (3, 2), "bias:0": (2,)}, "two": {"kernel:0": (2, 1), "bias:0": (1,)}}
    path = tmp_path / "old.h5"
    arrays = []
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(config)
        top = file.create_group("model_weights")
        top.attrs["layer_names"] = [b"one", b"no", b"two"]
        for layer in ("one", "no", "two"):
            group = top.create_group(layer)
            group.attrs["weight_names"] = [f"{layer}/{name}".encode() for name in shapes.get(layer, {})]
            for name, shape in shapes.get(layer, {}).items():
                arrays.append(RANDOM.normal(size=shape).astype(np.float32))
                group[f"{layer}/{name}"] = arrays[-1]
    model = saving.load_model(path)
    close(model.get_weights(), arrays)
    assert (model.name, model.input_shape, model.compiled) == ("old", (None, 3), False)
    other = fastnn.Sequential([fastnn.Input((2,)), layers.Dense(1, name="two"), layers.Dense(4, name="new")])
    other.load_weights(path, by_name=True)
    close(other.layers[0].get_weights(), arrays[2:])
    with pytest.raises(ValueError, match=r"'two' has variables.*\[\(2, 1\), \(1,\)\].*\(3, 2\)"):
        other.load_weights(path)
    with pytest.warns(UserWarning, match="'two' has variables"), pytest.warns(UserWarning, match="'new' has"):
        other.load_weights(path, skip_mismatch=True)
    with pytest.raises(ValueError, match="weights of 2 layers.*1 with weights"):
        fastnn.Sequential([fastnn.Input((2,)), layers.Dense(1)]).load_weights(path)
    with h5py.File(path, "a") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Strange", "config": {}})
    with pytest.raises(TypeError, match="Strange.*Keras itself can convert it"):
        saving.load_model(path)
    with h5py.File(path, "a") as file:
        file.attrs["model_config"] = json.dumps(config)
        del file["model_weights/two"]
        file["model_weights/two"] = h5py.ExternalLink("/etc/passwd", "/")
    with pytest.raises(ValueError, match="link at /model_weights/two"):
        saving.load_model(path)
    with h5py.File(path, "a") as file:
        del file["model_weights"]
    with pytest.raises(ValueError, match="damaged.*model_weights"):
        saving.load_model(path)
    path.write_bytes(b"no")
    with pytest.raises(ValueError, match="no HDF5 file"):
        saving.load_model(path)


def branched(k):
    """Two inputs, two outputs, a model within, a layer called twice."""
    L = k.layers
    a, b = k.Input((3,), name="a"), k.Input((3,), name="b")
    inner = k.Sequential([k.Input((3,)), L.Dense(4, activation="relu"), L.BatchNormalization()], name="inner")
    shared = L.Dense(4, name="shared")
    h = L.Concatenate()([inner(a), shared(a), shared(b)])
    return k.Model([a, b], [L.Dense(2, activation="softmax", name="one")(h), L.Dense(1, name="two")(h)])


def subclass(k):
    """Attributes before and after "layers" in the alphabet, and a list."""

    class Own(k.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.zero = k.layers.Dense(3)
            self.blocks = [k.layers.Dense(3), k.layers.Dense(3)]
            self.first = k.layers.Dense(3)

        def call(self, inputs):
            for layer in (self.zero, *self.blocks, self.first):
                inputs = layer(inputs)
            return inputs

    model = Own()
    model(np.ones((1, 3), np.float32))
    return model


def test_functional_models_and_subclasses_with_real_keras(keras, tmp_path):
    theirs, mine = branched(keras), branched(fastnn)
    theirs.save(tmp_path / "theirs.keras")
    mine.save(tmp_path / "mine.keras")
    x = [RANDOM.normal(size=(5, 3)).astype(np.float32) for _ in range(2)]
    again = saving.load_model(tmp_path / "theirs.keras")
    close(again.predict(x, verbose=0), theirs.predict_on_batch(x))
    there = keras.models.load_model(tmp_path / "mine.keras")
    close(there.predict_on_batch(x), mine.predict(x, verbose=0))
    theirs, mine = subclass(keras), subclass(fastnn)
    theirs.save_weights(tmp_path / "t.weights.h5")
    mine.load_weights(tmp_path / "t.weights.h5")
    close([np.asarray(mine(x[0]))], [np.asarray(theirs(x[0]))])
    mine = subclass(fastnn)
    mine.save_weights(tmp_path / "m.weights.h5")
    theirs.load_weights(tmp_path / "m.weights.h5")
    close([np.asarray(mine(x[0]))], [np.asarray(theirs(x[0]))])
    mine.save(tmp_path / "m.fastnn")
    assert_same(saving.load_model(tmp_path / "m.fastnn", custom_objects={"Own": type(mine)}), mine)


def scaled(x, factor=1.0):
    return fastnn.ops.tanh(x) * factor


def test_lambda_layers_are_saved_by_name(tmp_path, keras):
    def book(k, function):
        return k.Sequential([k.Input((4,)), k.layers.Dense(3), k.layers.Lambda(function, arguments={"factor": 2.0})])

    model = book(fastnn, scaled)
    for suffix in ".keras", ".fastnn":
        model.save(tmp_path / f"named{suffix}")
        with pytest.raises(TypeError, match="Could not locate function 'scaled'.*register_keras_serializable"):
            saving.load_model(tmp_path / f"named{suffix}")
        again = saving.load_model(tmp_path / f"named{suffix}", custom_objects={"scaled": scaled})
        x = np.ones((2, 4), np.float32)
        np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))
    assert again.layers[1].get_config() == model.layers[1].get_config()
    clone = fastnn.models.clone_model(model)
    clone.set_weights(model.get_weights())
    np.testing.assert_array_equal(clone.predict(x, verbose=0), model.predict(x, verbose=0))
    with pytest.raises(TypeError, match="A lambda cannot be saved"):
        book(fastnn, lambda x, factor: x).save(tmp_path / "lambda.keras")
    theirs = book(keras, lambda x, factor: x)
    theirs.save(tmp_path / "theirs.keras")
    with pytest.raises(ValueError, match="holds a Python lambda, that is, code"):
        saving.load_model(tmp_path / "theirs.keras")


def _functional():
    inputs = fastnn.Input((4,))
    branches = [fastnn.layers.Dense(3, "selu")(inputs), fastnn.layers.BatchNormalization()(inputs)]
    return fastnn.Model(inputs, fastnn.layers.Dense(1)(fastnn.layers.concatenate(branches)))


def _stacked():
    hidden = fastnn.layers.Dense(3, "relu", kernel_regularizer="l2")
    return fastnn.Sequential([fastnn.Input((4,)), hidden, fastnn.layers.LeakyReLU(0.1), fastnn.layers.Dense(1)])


@pytest.mark.parametrize("make", [_functional, _stacked])
def test_h5_of_keras_2_is_written_too(make, tmp_path):
    """``model.save("model.h5")``, as books have it."""
    pytest.importorskip("h5py")
    x = np.random.default_rng(0).normal(size=(32, 4)).astype("float32")
    model = make()
    model.compile(fastnn.optimizers.Adam(0.01), fastnn.losses.MeanSquaredError())
    model.fit(x, x[:, :1], epochs=2, verbose=0)
    with pytest.warns(UserWarning, match="legacy format"):
        model.save(tmp_path / "model.h5")
    again = fastnn.models.load_model(tmp_path / "model.h5")
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))
    assert len(again.optimizer.variables) == len(model.optimizer.variables)
    for found, expected in zip(again.optimizer.variables, model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(found.numpy(), expected.numpy())
    os.environ.setdefault("KERAS_BACKEND", "jax")
    keras = pytest.importorskip("keras", reason="real Keras reads it", exc_type=ImportError)
    theirs = keras.models.load_model(tmp_path / "model.h5")
    np.testing.assert_allclose(theirs.predict(x, verbose=0), model.predict(x, verbose=0), rtol=1e-5, atol=1e-6)
    assert int(theirs.optimizer.iterations) == 2
    # Keras gives the optimizer no variables before it loads such a file, so that its moments start anew: its own, too.


def test_h5_has_no_room_for_subclassed_models(tmp_path):
    pytest.importorskip("h5py")

    class Own(fastnn.Model):
        def __init__(self):
            super().__init__()
            self.dense = fastnn.layers.Dense(1)

        def call(self, x):
            return self.dense(x)

    model = Own()
    model(np.zeros((2, 3)))
    with pytest.warns(UserWarning, match="legacy"), pytest.raises(ValueError, match=r"Save to '\.keras'"):
        model.save(tmp_path / "model.h5")
    assert not (tmp_path / "model.h5").exists()
