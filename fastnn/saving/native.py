"""The native format: one file of safetensors (https://github.com/huggingface/safetensors).

Its header is JSON, its body plain arrays, so that nothing in it can be executed and any reader of safetensors can have
the weights. The header's metadata holds, each as JSON, the configuration of the model, as Keras writes it, and the
state of its training: with it a resumed `fit` gives the bits of one that was never interrupted. Arrays are named
"layers/dense/vars/0", as in Keras's files.
"""

import json

import numpy as np

from fastnn.saving import assets, state
from fastnn.saving.registration import CustomObjectScope
from fastnn.saving.saveable import allocating_at_most
from fastnn.saving.serialization import ObjectSharing, deserialize_keras_object, serialize_keras_object

FORMAT_VERSION = 1
_ASSETS = "/assets/"  # between the path of a layer and the name of a file of its own


def dump(root, weights_only=False, include_optimizer=True, **further):
    """The bytes of a layer or model. `further` texts go into the header."""
    from safetensors.numpy import save

    import fastnn

    metadata = {"format": "fastnn", "format_version": str(FORMAT_VERSION), "fastnn_version": fastnn.__version__}
    metadata |= further
    if not weights_only:
        with ObjectSharing():
            config = serialize_keras_object(root)
        if not include_optimizer:
            config.pop("compile_config", None)
        metadata["config"] = json.dumps(config)
        metadata["training"] = json.dumps(training_state(root))
    values, _ = state.collect(root)
    if not include_optimizer:
        values.pop("optimizer", None)
    tensors = flatten({**values, state.MASKS: state.masks(root)})
    if not weights_only:
        for path, contents in assets.collect(root).items():
            for name, content in contents.items():
                tensors[f"{path}{_ASSETS}{name}"] = np.frombuffer(content, np.uint8)
    return save(tensors, metadata)


def load(content, custom_objects=None, compile=True, source="The content"):
    """Make the layer or model of `dump`.

    Raises
    ------
    ValueError
        If the content is no such file, damaged, or of a newer version.
    """
    metadata, arrays = parse(content, source)
    if "config" not in metadata:
        raise ValueError(f"{source} holds weights only, no model: make the model and call model.load_weights(path).")
    config, training = (parse_json(metadata.get(key, "{}"), source) for key in ("config", "training"))
    root = make(config, custom_objects, compile, len(content), source)
    state.restore(root, unflatten(arrays))
    files = {}
    for name, array in arrays.items():
        path, inside, file = name.rpartition(_ASSETS)
        if inside:
            files.setdefault(path, {})[file] = array.tobytes()
    assets.restore(root, files, source)
    restore_training_state(root, training, source)
    return root


def parse(content, source):
    """The metadata and the arrays of a file, checked."""
    from safetensors import SafetensorError
    from safetensors.numpy import load as load_arrays

    try:
        arrays = load_arrays(content)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    except (SafetensorError, ValueError, KeyError, RecursionError, MemoryError) as error:
        raise ValueError(f"{source} is no file of safetensors, or damaged: {error}") from error
    metadata = header.get("__metadata__") or {}
    version = metadata.get("format_version", "0")
    if metadata.get("format") == "fastnn" and (not version.isdecimal() or int(version) > FORMAT_VERSION):
        raise ValueError(
            f"{source} is of version {version!r:.20} of the format, written by fastnn "
            f"{metadata.get('fastnn_version', '?'):.20}; this fastnn reads versions up to {FORMAT_VERSION}. Update it."
        )
    return metadata, arrays


def parse_json(text, source):
    """A JSON object."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{source} is damaged: its configuration is no JSON ({error}).") from error
    if not isinstance(value, dict):
        raise ValueError(f"{source} is damaged: its configuration is no JSON object.")
    return value


def make(config, custom_objects, compile, size, source):
    """The object of a configuration that came out of a file of `size` bytes."""
    from fastnn.layers import Layer

    if not compile:
        config = {key: value for key, value in config.items() if key != "compile_config"}
    try:
        with ObjectSharing(), CustomObjectScope(custom_objects), allocating_at_most(2 * size + 2**20):
            root = deserialize_keras_object(config, custom_objects)
    except (ValueError, TypeError, NotImplementedError) as error:
        raise type(error)(f"{source} could not be loaded: {error}") from error
    except (KeyError, AttributeError, IndexError, RecursionError, MemoryError, OverflowError) as error:
        raise ValueError(
            f"{source} could not be loaded, its configuration is damaged: {type(error).__name__}: {error}"
        ) from error
    if not isinstance(root, Layer):
        raise ValueError(f"{source} holds no model but {type(root).__name__}.")
    return root


def training_state(root):
    """What else the next `fit` depends on."""
    if not getattr(root, "compiled", False):
        return {}
    return {"seed": root._seed_of_training, "epochs_shuffled": root._epochs_shuffled}


def restore_training_state(root, training, source):
    """Set it."""
    if not getattr(root, "compiled", False) or not training:
        return
    seed, epochs = training.get("seed"), training.get("epochs_shuffled")
    for number in (seed, epochs):
        if type(number) is not int or not 0 <= number < 2**64:
            raise ValueError(f"{source} is damaged: the state of its training holds {number!r:.50}.")
    root._seed_of_training, root._epochs_shuffled = seed, epochs


def flatten(values):
    """Arrays by path and number as arrays by one name."""
    return {
        f"{path}/vars/{key}" if path else f"vars/{key}": np.asarray(array, order="C")
        for path, arrays in values.items()
        for key, array in arrays.items()
    }


def unflatten(arrays):
    """And back. Names that are none of these are left out."""
    values = {}
    for name, array in arrays.items():
        path, inside, key = f"/{name}".rpartition("/vars/")
        if inside:
            values.setdefault(path.removeprefix("/"), {})[key] = array
    return values
