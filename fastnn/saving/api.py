"""Saving and loading by the suffix of the file's name. The formats are imported when they are used."""

import os
import warnings

from fastnn.saving import files

_MODELS = "'.fastnn' (fastnn's own) or '.keras' (Keras 3)"
_WEIGHTS = "'.safetensors' or '.weights.h5' (Keras 3)"

# What is no model to go on training, but has a way of its own.
_WRITERS = {".fnn": "model.freeze().save(path)", ".onnx": "model.to_onnx(path)", ".c": "model.freeze().export_c(path)"}
_READERS = {".fnn": "fastnn.load_frozen(path)", ".onnx": "fastnn.from_onnx(path)"}


def _instead(path, ways):
    """What to call for a file of another kind, as a sentence with a space behind it; empty for unknown kinds."""
    suffix = os.path.splitext(path)[1]
    return f"For {suffix!r} there is {ways[suffix]}. " if suffix in ways else ""


def save_model(model, filepath, overwrite=True, zipped=None, include_optimizer=True, **kwargs):
    """Save a model: architecture, weights, what it was compiled with, and the state of its training.

    The file is complete or not there: it is written beside `filepath`, and then put in its place.

    Parameters
    ----------
    model : Model
    filepath : str or path
        Ends in ".fastnn" (safetensors and JSON; a `fit` that goes on after loading has the bits of one that was never
        interrupted) or ".keras" (what Keras 3 reads; needs h5py); or, with a warning, ".h5" (as Keras 2; needs h5py).
    overwrite : bool, default True
        Replace what is there.
    zipped : None or True
        Accepted for compatibility; folders are not written.
    include_optimizer : bool, default True
        Also save what it was compiled with, and the optimizer's memory.

    Raises
    ------
    ValueError
        For another suffix.
    TypeError
        If something in the model cannot be saved, a lambda for example.
    FileExistsError
        If there is such a file, and `overwrite` is False.
    """
    from fastnn.saving import keras_archive, legacy_h5, native

    kwargs.pop("save_format", None)
    if kwargs:
        raise ValueError(f"save_model: unknown arguments {sorted(kwargs)}.")
    if zipped is False:
        raise ValueError("fastnn saves into one file, not into a folder. Received: zipped=False")
    path = files.check_target(filepath, overwrite)
    if path.endswith(".weights.h5"):
        raise ValueError(f"{path!r} ends as a file of weights does: call model.save_weights(path) for that.")
    if path.endswith((".h5", ".hdf5")):
        warnings.warn(
            "HDF5 files of Keras 2 are a legacy format, which loses what makes a resumed `fit` exact. Better save to "
            f"{_MODELS}.",
            stacklevel=3,
        )
        content = legacy_h5.dump(model, include_optimizer)
    elif path.endswith(".fastnn"):
        content = native.dump(model, include_optimizer=include_optimizer)
    elif path.endswith(".keras"):
        content = keras_archive.dump(model, include_optimizer)
    else:
        raise ValueError(
            f"A model is saved to a file that ends in {_MODELS}. {_instead(path, _WRITERS)}Received: {path!r}"
        )
    _write(path, content)


def load_model(filepath, custom_objects=None, compile=True, safe_mode=True):
    """Load a model that `save_model` or Keras 3 has saved.

    Parameters
    ----------
    filepath : str or path
        Ends in ".fastnn", ".keras" or, of Keras 2, ".h5".
    custom_objects : dict of str to class or function, optional
        Classes and functions of one's own in the model, unless they are registered
        (`fastnn.saving.register_keras_serializable`).
    compile : bool, default True
        Compile it as it was, and restore the optimizer's memory.
    safe_mode : bool, default True
        Accepted for compatibility: nothing in a file is ever executed, so lambdas cannot be loaded.

    Raises
    ------
    ValueError
        For another suffix, and for a file that is damaged, newer, or not what its name says.
    TypeError
        If it holds a class or function that is not known here.
    FileNotFoundError
    """
    from fastnn.saving import keras_archive, legacy_h5, native

    path = _existing(filepath)
    if path.endswith(".fastnn"):
        return native.load(_read(path), custom_objects, compile, f"The file {path!r}")
    if path.endswith(".keras"):
        return keras_archive.load(path, custom_objects, compile)
    if path.endswith((".h5", ".hdf5")) and not path.endswith(".weights.h5"):
        return legacy_h5.load(path, custom_objects, compile)
    raise ValueError(
        f"A model is loaded from a file that ends in {_MODELS}. {_instead(path, _READERS)}Received: {path!r}"
    )


def save_weights(model, filepath, overwrite=True, max_shard_size=None):
    """Save the weights of a model, and the memory of its optimizer if it is compiled.

    Parameters
    ----------
    model : Model
    filepath : str or path
        Ends in ".safetensors" or ".weights.h5" (what Keras 3 reads; needs h5py).
    overwrite : bool, default True
    max_shard_size : None
        Not supported: there is one file.
    """
    from fastnn.saving import keras_archive, native

    if max_shard_size is not None:
        raise ValueError(f"fastnn saves weights into one file. Received: max_shard_size={max_shard_size}")
    path = files.check_target(filepath, overwrite)
    _require_built(model, "save")
    if path.endswith(".weights.h5"):
        content = keras_archive.dump_weights(model)
    elif path.endswith(".safetensors"):
        content = native.dump(model, weights_only=True)
    else:
        raise ValueError(f"Weights are saved to a file that ends in {_WEIGHTS}. Received: {path!r}")
    _write(path, content)


def load_weights(model, filepath, skip_mismatch=False, **kwargs):
    """Load weights into a model of the same architecture, and the memory of its optimizer if it is compiled.

    Parameters
    ----------
    model : Model
    filepath : str or path
        A file of weights (".safetensors", ".weights.h5") or of a whole model (".fastnn", ".keras"); or of Keras 2
        (".h5", ".hdf5").
    skip_mismatch : bool, default False
        Leave layers as they are whose weights do not fit, with a warning.
    by_name : bool, default False
        Of a file of Keras 2: into the layers of the same names, rather than one after the other.

    Raises
    ------
    ValueError
        If the weights do not fit, or the file is damaged or of another kind.
    """
    from fastnn.saving import keras_archive, legacy_h5, native, state

    by_name = bool(kwargs.pop("by_name", False))
    if kwargs:
        raise ValueError(f"load_weights: unknown arguments {sorted(kwargs)}.")
    path = _existing(filepath)
    _require_built(model, "load")
    source = f"The file {path!r}"
    if path.endswith((".h5", ".hdf5")) and not path.endswith(".weights.h5"):
        legacy_h5.load_weights(model, path, by_name, skip_mismatch)
        return
    if by_name:
        raise ValueError(f"`by_name` only works with HDF5 files of Keras 2 ('.h5'). Received: {path!r}")
    if path.endswith((".fastnn", ".safetensors")):
        values = native.unflatten(native.parse(_read(path), source)[1])
    elif path.endswith(".weights.h5"):
        values = keras_archive.load_weights(_read(path), source)
    elif path.endswith(".keras"):
        values = keras_archive.archived_weights(path)
    else:
        raise ValueError(f"Weights are loaded from a file that ends in {_WEIGHTS}, or {_MODELS}. Received: {path!r}")
    state.restore(model, values, skip_mismatch)


def _require_built(model, doing):
    if not model.built:
        raise ValueError(
            f"Model {model.name!r} has no weights to {doing} yet. Build it first: call it on data, call "
            "model.build((None, features)), or start it with an Input."
        )


def _existing(filepath):
    path = os.fspath(filepath)
    if not os.path.exists(path):
        raise FileNotFoundError(f"There is no file {path!r}. Check its name; the current folder is {os.getcwd()!r}.")
    if os.path.isdir(path):
        raise IsADirectoryError(f"{path!r} is a folder. fastnn loads files: {_MODELS}.")
    return path


def _read(path):
    with open(path, "rb") as file:
        return file.read()


def _write(path, content):
    with files.replacing(path) as file:
        file.write(content)
