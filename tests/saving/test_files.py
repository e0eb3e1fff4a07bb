"""Models in files and back: bits."""

import copy
import os
import pickle
import zipfile

import numpy as np
import pytest

import fastnn
from fastnn import layers, saving
from fastnn.saving import files, keras_archive, native
from harness.saved import X, Y, adam, assert_same, book, fit, nesterov


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
