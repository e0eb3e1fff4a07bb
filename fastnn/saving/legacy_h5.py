"""HDF5 files as Keras 2 wrote them and Keras 3 still can: of whole models, and of weights, which are only read.

The configuration of the model is JSON in an attribute. The weights of each layer are in a group of the layer's name, in
the order that an attribute tells.
"""

import contextlib
import json
import warnings

from fastnn.saving import assets, native, state
from fastnn.saving.keras_archive import child_of, import_h5py, read_array
from fastnn.saving.serialization import ObjectSharing, serialize_keras_object

_HINT = "Keras itself can convert it: keras.models.load_model(path).save('model.keras')."


def dump(model, include_optimizer=True):
    """The bytes of such a file of a whole model.

    Raises
    ------
    ValueError
        For models that the format has no room for: subclassed ones, and those with layers that have files of their own.
    """
    from fastnn.models import Functional, Sequential

    h5py = import_h5py()
    if not isinstance(model, (Sequential, Functional)) or not model.built or assets.collect(model):
        raise ValueError(
            f"Model {model.name!r} cannot be saved as HDF5 of Keras 2, which holds Sequential and functional models "
            "that know their inputs, without vocabularies. Save to '.keras' or '.fastnn'."
        )
    with ObjectSharing():
        config = serialize_keras_object(model)
    training = config.get("compile_config") if include_optimizer else None
    # In memory only: what it writes goes through the atomic writer.
    with h5py.File("model", "w", driver="core", backing_store=False) as file:
        file.attrs["keras_version"], file.attrs["backend"] = "3.0.0", "fastnn"
        file.attrs["model_config"] = json.dumps({key: config[key] for key in ("class_name", "config")})
        weights = file.create_group("model_weights")
        weights.attrs["layer_names"] = [layer.name.encode() for layer in model.layers]
        for layer in model.layers:
            variables = [*layer.trainable_weights, *layer.non_trainable_weights]
            _write(weights.create_group(layer.name), {each.path: each.numpy() for each in variables})
        _write(weights.create_group("top_level_model_weights"), {})
        if training:
            optimizer = training["optimizer"]
            training = {key: value for key, value in training.items() if key != "optimizer"}
            training["optimizer_config"] = {key: optimizer[key] for key in ("class_name", "config")}
            file.attrs["training_config"] = json.dumps(training)
            arrays = state.collect(model)[0].get("optimizer", {})
            _write(file.create_group("optimizer_weights"), {f"optimizer/{key}": each for key, each in arrays.items()})
        file.flush()
        return file.id.get_file_image()


def _write(group, arrays):
    group.attrs["weight_names"] = [name.encode() for name in arrays]
    for name, array in arrays.items():
        group[name] = array


def load(path, custom_objects=None, compile=True):
    """Make the model of a file.

    Raises
    ------
    ValueError, TypeError
        If the file holds no model, is damaged, or holds one of another architecture than fastnn can make of it.
    """
    h5py, source = import_h5py(), f"The file {path!r}"
    with _opened(h5py, path, source) as file:
        if "model_config" not in file.attrs:
            raise ValueError(
                f"{source} holds weights only, no model: make the model and call model.load_weights(path)."
            )
        config = native.parse_json(_text(file.attrs["model_config"]), source)
        try:
            model = native.make(_modern(config), custom_objects, False, file.id.get_filesize(), source)
        except (TypeError, ValueError) as error:
            raise type(error)(f"{error} {_HINT}") from error
        _restore(model, _layers(h5py, child_of(h5py, file, "model_weights", source), source), False, False)
        if compile and "training_config" in file.attrs:
            training = native.parse_json(_text(file.attrs["training_config"]), source)
            training["optimizer"] = training.pop("optimizer_config", None)
            known = ("optimizer", "loss", "loss_weights", "metrics", "weighted_metrics")
            model.compile_from_config({key: training.get(key) for key in known})
            if "optimizer_weights" in file:
                arrays = _arrays(h5py, child_of(h5py, file, "optimizer_weights", source), source)
                state.restore_optimizer(model, {str(i): array for i, array in enumerate(arrays)})
    return model


def load_weights(model, path, by_name=False, skip_mismatch=False):
    """Load the weights of such a file into a model: layer after layer, or by the layers' names."""
    h5py, source = import_h5py(), f"The file {path!r}"
    with _opened(h5py, path, source) as file:
        _restore(model, _layers(h5py, _weights(h5py, file, source), source), by_name, skip_mismatch)


@contextlib.contextmanager
def _opened(h5py, path, source):
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, KeyError, RuntimeError) as error:
        raise ValueError(f"{source} is no HDF5 file of Keras 2, or damaged: {error}") from error


def _weights(h5py, file, source):
    return child_of(h5py, file, "model_weights", source) if "model_weights" in file else file


def _text(value):
    return value.decode() if isinstance(value, bytes) else value


def _modern(config):
    """A configuration of Keras 2 in the words of Keras 3: the first layer's shape becomes an input."""
    inner = config.get("config")
    if config.get("class_name") != "Sequential" or not isinstance(inner, dict) or not inner.get("layers"):
        return config
    first, *others = inner["layers"]
    own = dict(first.get("config") or {})
    if first.get("class_name") != "InputLayer" and "batch_input_shape" in own:
        shape = own.pop("batch_input_shape")
        entry = {"class_name": "InputLayer", "config": {"batch_shape": shape, "name": f"{own.get('name')}_input"}}
        inner = {**inner, "layers": [entry, {**first, "config": own}, *others]}
    return {**config, "config": inner}


def _layers(h5py, group, source):
    """Name and arrays of each layer that has some."""
    if "layer_names" not in group.attrs:
        raise ValueError(f"{source} holds neither a model nor weights of one as Keras 2 wrote them.")
    names = [_text(name) for name in group.attrs["layer_names"]]
    layers = [(name, _arrays(h5py, child_of(h5py, group, name, source), source)) for name in names]
    return [(name, arrays) for name, arrays in layers if arrays]


def _arrays(h5py, group, source):
    arrays = []
    for name in group.attrs["weight_names"]:
        *folders, last = _text(name).split("/")
        inside = group
        for folder in folders:
            inside = child_of(h5py, inside, folder, source)
        arrays.append(read_array(h5py, inside, last, source))
    return arrays


def _restore(model, saved, by_name, skip_mismatch):
    layers = [layer for layer in model.layers if layer.weights]
    if by_name:
        known = {layer.name: layer for layer in layers}
        pairs = [(known[name], arrays) for name, arrays in saved if name in known]
    elif len(layers) != len(saved):
        raise ValueError(
            f"The file has weights of {len(saved)} layers, {[name for name, _ in saved]}, but model {model.name!r} has "
            f"{len(layers)} with weights: {[layer.name for layer in layers]}."
        )
    else:
        pairs = list(zip(layers, (arrays for _, arrays in saved), strict=True))
    for layer, arrays in pairs:
        variables = [*layer.trainable_weights, *layer.non_trainable_weights]
        shapes = [variable.shape for variable in variables]
        if shapes != [array.shape for array in arrays]:
            message = (
                f"Layer {layer.name!r} has variables of shapes {shapes}, but in the file they are "
                f"{[array.shape for array in arrays]}."
            )
            if not skip_mismatch:
                raise ValueError(message)
            warnings.warn(message, stacklevel=4)
            continue
        for variable, array in zip(variables, arrays, strict=True):
            variable.assign(array)
