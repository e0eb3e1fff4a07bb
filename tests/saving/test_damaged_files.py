"""Files that are damaged, newer, or meant to do harm are refused."""

import json
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

import fastnn
from fastnn import layers, saving
from fastnn.saving import keras_archive, native

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
