"""Models in files and back: bits here, predictions and training with real Keras."""

import copy
import json
import os
import pickle
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

import fastnn
from fastnn import layers, saving
from fastnn.saving import files, keras_archive, native

RANDOM = np.random.default_rng(1)
X = RANDOM.normal(size=(50, 4)).astype(np.float32)
Y = RANDOM.integers(0, 3, size=50)


def adam(k):
    return k.optimizers.Adam(0.01, amsgrad=True)


def nesterov(k):
    return k.optimizers.SGD(0.05, momentum=0.9, nesterov=True)


def book(k, optimizer=adam, dropout=0.3, **compiled):
    L = k.layers
    normalise = L.Normalization()
    normalise.adapt(X)
    stack = [normalise, L.Dense(7, "elu", kernel_initializer="he_normal"), L.BatchNormalization(), L.Dropout(dropout)]
    model = k.Sequential([k.Input((4,)), *stack, L.Dense(3, "softmax")], name="book")
    loss = k.losses.SparseCategoricalCrossentropy()
    model.compile(optimizer(k), loss, **({"metrics": ["accuracy"]} | compiled))
    return model


def fit(model, epochs=1, **options):
    return model.fit(X, Y, batch_size=16, epochs=epochs, verbose=0, **options).history


def assert_same(one, other):
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("suffix", ["fastnn", "keras"])
@pytest.mark.parametrize("optimizer", [adam, nesterov])
def test_a_resumed_fit_has_the_bits_of_an_uninterrupted_one(tmp_path, suffix, optimizer):
    model = book(fastnn, optimizer)
    fit(model, 2)
    model.optimizer.learning_rate = 0.0123
    path = tmp_path / f"model.{suffix}"
    model.save(path)
    again = saving.load_model(path)
    assert_same(again, model)
    np.testing.assert_array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))
    assert again.optimizer.get_config() == model.optimizer.get_config()
    assert again.optimizer.iterations == model.optimizer.iterations == 8
    assert fit(again, 2) == fit(model, 2)
    assert_same(again, model)
    assert again.evaluate(X, Y, verbose=0) == model.evaluate(X, Y, verbose=0)


@pytest.mark.parametrize("copier", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies_go_on_alike_and_apart(copier):
    model = book(fastnn)
    fit(model)
    before = model.get_weights()
    again = copier([model])[0]
    assert_same(again, model)
    history = fit(again)
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)
    assert fit(model) == history
    assert_same(again, model)
    layer = copier(model.layers[1])
    assert_same(layer, model.layers[1])
    assert layer.get_config() == model.layers[1].get_config()
    frozen = model.freeze()
    np.testing.assert_array_equal(copier(frozen)(X), frozen(X))
    assert (copier(frozen).name, copier(frozen).notes) == (frozen.name, frozen.notes)


class Twice(layers.Layer):
    """Sublayers in attributes, a list and a dictionary."""

    def __init__(self, units=3, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.first = layers.Dense(units)
        self.many = [layers.Dense(units), layers.Dense(units)]
        self.named = {"a": layers.Dense(units)}

    def call(self, inputs):
        for layer in (self.first, *self.many, self.named["a"]):
            inputs = layer(inputs)
        return inputs


def test_classes_of_ones_own(tmp_path):
    model = fastnn.Sequential([fastnn.Input((4,)), Twice(5), layers.Dense(2)])
    for suffix in ("fastnn", "keras"):
        path = tmp_path / f"m.{suffix}"
        model.save(path)
        with pytest.raises(TypeError, match="Could not locate class 'Twice'.*register_keras_serializable"):
            saving.load_model(path)
        assert_same(saving.load_model(path, custom_objects={"Twice": Twice}), model)
    with zipfile.ZipFile(path) as archive:
        values = keras_archive.load_weights(archive.read("model.weights.h5"), "")
    names = {path for path, arrays in values.items() if arrays}
    inner = {"first", "many/dense", "many/dense_1", "named/dense"}
    assert names == {"layers/dense", *(f"layers/twice/{name}" for name in inner)}
    assert_same(copy.deepcopy(model), model)


class Words(layers.Layer):
    words = ()

    def save_assets(self, folder):
        with open(os.path.join(folder, "words.txt"), "w") as file:
            file.write(" ".join(self.words))

    def load_assets(self, folder):
        with open(os.path.join(folder, "words.txt")) as file:
            self.words = tuple(file.read().split())

    def call(self, inputs):
        return inputs


def test_files_of_a_layers_own(tmp_path):
    model = fastnn.Sequential([fastnn.Input((4,)), layers.Dense(2), Words()])
    model.layers[1].words = ("ä", "b")
    for suffix in ("fastnn", "keras"):
        path = tmp_path / f"m.{suffix}"
        model.save(path)
        again = saving.load_model(path, custom_objects={"Words": Words})
        assert again.layers[1].words == ("ä", "b")
    with zipfile.ZipFile(path) as archive:
        assert "assets/layers/words/words.txt" in archive.namelist()
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("assets/layers/words/..", "x")
    with pytest.raises(ValueError, match="'..' is no name of a file"):
        saving.load_model(path, custom_objects={"Words": Words})
    assert copy.deepcopy(model).layers[1].words == ("ä", "b")


def test_weights_only(tmp_path):
    model = book(fastnn)
    fit(model)
    for name in ("w.safetensors", "w.weights.h5"):
        model.save_weights(tmp_path / name)
        again = book(fastnn)
        again.load_weights(tmp_path / name)
        assert_same(again, model)
        assert again.optimizer.iterations == model.optimizer.iterations
    for name in ("m.fastnn", "m.keras"):
        model.save(tmp_path / name)
        again = book(fastnn)
        again.load_weights(tmp_path / name)
        assert_same(again, model)
    with pytest.raises(ValueError, match="weights only"):
        native.load((tmp_path / "w.safetensors").read_bytes())


def test_weights_that_do_not_fit(tmp_path):
    model = book(fastnn)
    path = tmp_path / "w.safetensors"
    model.save_weights(path)
    other = fastnn.Sequential([fastnn.Input((4,)), layers.Dense(7, name="same"), layers.Dense(5, name="other")])
    other_weights = other.get_weights()
    with pytest.raises(ValueError, match=r"1 of the layers.*other.*\(7, 5\).*file it has shape \(7, 3\)"):
        other.load_weights(path)
    with pytest.warns(UserWarning, match="1 of the layers could not be loaded: other"):
        other.load_weights(path, skip_mismatch=True)
    np.testing.assert_array_equal(other.get_weights()[0], model.layers[1].get_weights()[0])
    np.testing.assert_array_equal(other.get_weights()[2], other_weights[2])


def test_without_compiling(tmp_path):
    model = book(fastnn)
    fit(model)
    model.save(tmp_path / "a.fastnn", include_optimizer=False)
    model.save(tmp_path / "b.fastnn")
    for again in (
        saving.load_model(tmp_path / "a.fastnn"),
        saving.load_model(tmp_path / "b.fastnn", compile=False),
    ):
        assert not again.compiled
        assert_same(again, model)
    assert os.path.getsize(tmp_path / "a.fastnn") < os.path.getsize(tmp_path / "b.fastnn")


def test_paths(tmp_path):
    model = book(fastnn)
    path = tmp_path / "m.fastnn"
    model.save(path)
    before = path.read_bytes()
    with pytest.raises(FileExistsError, match="overwrite=True"):
        model.save(path, overwrite=False)
    for name, error, message in (
        ("m.weights.h5", ValueError, "save_weights"),
        ("m.txt", ValueError, r"ends in '\.fastnn'"),
        ("m.fnn", ValueError, r"there is model.freeze\(\).save\(path\)"),
        ("no/m.fastnn", FileNotFoundError, "no folder"),
        ("", IsADirectoryError, "folder"),
    ):
        with pytest.raises(error, match=message):
            model.save(tmp_path / name)
    with pytest.raises(FileNotFoundError, match="There is no file"):
        saving.load_model(tmp_path / "n.fastnn")
    (tmp_path / "n.fnn").touch()
    with pytest.raises(ValueError, match=r"there is fastnn.load_frozen\(path\)"):
        saving.load_model(tmp_path / "n.fnn")
    (tmp_path / "n.fnn").unlink()
    with pytest.raises(ValueError, match="ends in"):
        model.save_weights(tmp_path / "w.npz")
    with pytest.raises(ValueError, match="Build it first"):
        fastnn.Sequential([layers.Dense(2)]).save_weights(tmp_path / "w.safetensors")
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["m.fastnn"]  # no pieces left behind


def test_an_interrupted_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    path.chmod(0o640)
    link = tmp_path / "link"
    link.symlink_to(path)

    def interrupted():
        with files.replacing(path) as file:
            file.write(b"ne")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_bytes() == b"old"
    with files.replacing(link) as file:
        file.write(b"new")
    assert path.read_bytes() == b"new"
    assert link.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o640
    assert sorted(os.listdir(tmp_path)) == ["a", "link"]


SMALL = fastnn.Sequential([fastnn.Input((2,)), layers.Dense(2, name="d")], name="s")
SMALL.compile("adam", "mse")
CONTENT = native.dump(SMALL)


def changed(**metadata):
    header = json.loads(CONTENT[8 : 8 + int.from_bytes(CONTENT[:8], "little")])["__metadata__"]
    return save_arrays(load_arrays(CONTENT), {**header, **metadata})


def test_newer_and_strange_native_files():
    with pytest.raises(ValueError, match="version '2'.*reads versions up to 1. Update it"):
        native.load(changed(format_version="2"))
    deep = "[" * 100_000
    config = json.loads(json.dumps(saving.serialize_keras_object(SMALL)))
    config["config"]["layers"][1]["config"]["units"] = 2**40
    for bad in ("", "{", "[]", "null", deep, "{}", json.dumps(config), '{"class_name": "Adam", "config": {}}'):
        with pytest.raises((ValueError, TypeError), match="The content"):
            native.load(changed(config=bad))
    for bad in ('{"seed": -1, "epochs_shuffled": 0}', '{"seed": "x"}', "{"):
        with pytest.raises(ValueError, match="damaged"):
            native.load(changed(training=bad))
    with pytest.raises(ValueError, match=r"'d'.*2 variables.*file has 0"):
        native.load(save_arrays({}, {"config": json.dumps(saving.serialize_keras_object(SMALL))}))


@settings(max_examples=150)
@given(st.data())
def test_damaged_native_files_are_refused(data):
    """A file that was cut or had bytes changed loads as a model, or is refused with a message."""
    content = bytearray(CONTENT)
    for _ in range(data.draw(st.integers(0, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        model = native.load(content)
    except (ValueError, TypeError, NotImplementedError) as error:
        assert str(error)  # noqa: PT017
    else:
        assert isinstance(model, layers.Layer)


def test_damaged_archives_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(keras_archive, "_SUSPICIOUS_BYTES", 2**20)
    path = tmp_path / "m.keras"
    SMALL.save(path)
    content = path.read_bytes()
    for cut in range(0, len(content), 997):
        path.write_bytes(content[:cut])
        with pytest.raises(ValueError, match="no archive of Keras 3, or damaged"):
            saving.load_model(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("metadata.json", "{}")
        archive.writestr("model.weights.h5", b"no")
        archive.writestr("config.json", bytes(2**24))
    with pytest.raises(ValueError, match="config.json claims"):
        saving.load_model(path)
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "x.weights.h5", "w") as file:
        file["layers"] = h5py.ExternalLink("/etc/passwd", "/")
    with pytest.raises(ValueError, match="link at /layers"):
        SMALL.load_weights(tmp_path / "x.weights.h5")
    with h5py.File(tmp_path / "x.weights.h5", "w") as file:
        file.create_dataset("layers/dense/vars/0", (2**40,), "f4", chunks=(1024,))
    with pytest.raises(ValueError, match="claims 4398046511104 bytes"):
        SMALL.load_weights(tmp_path / "x.weights.h5")


def close(one, other):
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


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
