"""Files of Keras 3: ``.keras`` archives and ``.weights.h5``.

An archive is a zip of ``metadata.json``, ``config.json`` and ``model.weights.h5``. In the HDF5 file each layer has a
group of its path (see `fastnn.saving.state`) with a group "vars" of numbered arrays. What Keras has no place for, the
state of training that makes a resumed `fit` exact, is in ``metadata.json``, where Keras does not look.
"""

import datetime
import io
import json
import math
import zipfile

import numpy as np

from fastnn.saving import assets, native, state
from fastnn.saving.serialization import ObjectSharing, serialize_keras_object

_CONFIG, _METADATA, _WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
_ASSETS = "assets/"
_KERAS_VERSION = "3.0.0"  # of the format
# A file may be packed well, but not hold next to nothing and claim to be huge.
_SUSPICIOUS_BYTES, _SUSPICIOUS_RATIO = 2**28, 1000


def import_h5py():
    try:
        import h5py
    except ImportError as error:
        raise ImportError(
            "Files of Keras (.keras, .weights.h5, .h5) need h5py: pip install 'fastnn[keras]'. Files that end in "
            ".fastnn and .safetensors do not."
        ) from error
    return h5py


def dump(model, include_optimizer=True):
    """The bytes of a ``.keras`` archive."""
    import fastnn

    with ObjectSharing():
        config = serialize_keras_object(model)
    if not include_optimizer:
        config.pop("compile_config", None)
    metadata = {
        "keras_version": _KERAS_VERSION,
        "date_saved": datetime.datetime.now().strftime("%Y-%m-%d@%H:%M:%S"),
        "fastnn_version": fastnn.__version__,
        "fastnn_training": native.training_state(model),
    }
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(_METADATA, json.dumps(metadata))
        archive.writestr(_CONFIG, json.dumps(config))
        archive.writestr(_WEIGHTS, dump_weights(model, include_optimizer))
        for path, contents in assets.collect(model).items():
            for name, content in contents.items():
                archive.writestr(f"{_ASSETS}{path}/{name}", content)
    return file.getvalue()


def load(path, custom_objects=None, compile=True):
    """Make the model of a ``.keras`` archive.

    Raises
    ------
    ValueError
        If it is none, or damaged.
    """
    source = f"The file {path!r}"
    config, metadata, weights = _members(path, (_CONFIG, _METADATA, _WEIGHTS), source)
    config, metadata = (_json(text, source) for text in (config, metadata))
    model = native.make(config, custom_objects, compile, len(weights), source)
    state.restore(model, load_weights(weights, source))
    assets.restore(model, _archived_assets(path, source), source)
    training = metadata.get("fastnn_training")
    native.restore_training_state(model, training if isinstance(training, dict) else {}, source)
    return model


def archived_weights(path):
    """All arrays of a ``.keras`` archive, by path."""
    source = f"The file {path!r}"
    return load_weights(*_members(path, (_WEIGHTS,), source), source)


def _archived_assets(path, source):
    found = {}
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.startswith(_ASSETS) and not name.endswith("/"):
                folder, _, file = name.removeprefix(_ASSETS).rpartition("/")
                found.setdefault(folder, {})[file] = _member(archive, name, source)
    return found


def _members(path, names, source):
    try:
        with zipfile.ZipFile(path) as archive:
            return [_member(archive, name, source) for name in names]
    except (zipfile.BadZipFile, KeyError, EOFError, NotImplementedError, OverflowError) as error:
        raise ValueError(f"{source} is no archive of Keras 3, or damaged: {error}") from error


def _member(archive, name, source):
    info = archive.getinfo(name)
    if info.file_size > max(_SUSPICIOUS_BYTES, _SUSPICIOUS_RATIO * info.compress_size):
        raise ValueError(f"{source}: {name} claims {info.file_size} bytes in {info.compress_size}; it is not read.")
    try:
        return archive.read(info)
    except Exception as error:  # zlib, lzma and bz2 each have errors of their own
        raise ValueError(f"{source} is damaged: {name} cannot be read ({error}).") from error


def _json(text, source):
    try:
        return native.parse_json(text.decode(), source)
    except UnicodeDecodeError as error:
        raise ValueError(f"{source} is damaged: its configuration is no text.") from error


def dump_weights(model, include_optimizer=True):
    """The bytes of a ``.weights.h5`` file."""
    h5py = import_h5py()
    values, names = state.collect(model)
    if not include_optimizer:
        values.pop("optimizer", None)
    # In memory only: what it writes goes through the atomic writer.
    with h5py.File("weights", "w", driver="core", backing_store=False) as file:
        for path, arrays in values.items():
            group = file.create_group(f"{path}/vars" if path else "vars")
            if names[path]:
                group.attrs["name"] = names[path]
            for key, array in arrays.items():
                group[key] = array
        file.flush()
        return file.id.get_file_image()


def load_weights(content, source):
    """All arrays of a ``.weights.h5`` file, by path; what `state.restore` takes."""
    h5py = import_h5py()
    values = {}
    try:
        with h5py.File(io.BytesIO(content), "r") as file:
            _read_group(h5py, file, "", values, source)
    except (OSError, KeyError, RuntimeError, TypeError, RecursionError, MemoryError) as error:
        raise ValueError(f"{source} is no HDF5 file of weights, or damaged: {error}") from error
    return values


def _read_group(h5py, group, path, values, source):
    for name in group:
        child = child_of(h5py, group, name, source)
        if not isinstance(child, h5py.Group):
            continue
        if name == "vars":
            values[path] = {key: read_array(h5py, child, key, source) for key in child}
        else:
            _read_group(h5py, child, f"{path}/{name}" if path else name, values, source)


def child_of(h5py, group, name, source):
    """What an HDF5 group has under a name, if it really lies there."""
    if not isinstance(group.get(name, getlink=True), (h5py.HardLink, type(None))):
        where = f"{group.name.rstrip('/')}/{name}"
        raise ValueError(f"{source} has a link at {where}. It is not followed: it may lead out of the file.")
    return group[name]


def read_array(h5py, group, name, source):
    """An array of an HDF5 file, if it really lies there."""
    dataset = child_of(h5py, group, name, source)
    if not isinstance(dataset, h5py.Dataset):
        raise ValueError(f"{source}: {group.name}/{name} is no array.")
    if dataset.external or dataset.is_virtual:
        raise ValueError(f"{source}: {group.name}/{name} lies in another file. It is not read.")
    claimed = math.prod(dataset.shape) * dataset.dtype.itemsize
    if claimed > max(_SUSPICIOUS_BYTES, _SUSPICIOUS_RATIO * dataset.id.get_storage_size()):
        raise ValueError(f"{source}: {group.name}/{name} claims {claimed} bytes, which are not there; it is not read.")
    if dataset.dtype.kind not in "iufb":
        raise ValueError(f"{source}: {group.name}/{name} holds no numbers but {dataset.dtype}.")
    return np.asarray(dataset)
