"""Objects as plain configurations and back, in the format of Keras 3.

``{"module": ..., "class_name": ..., "config": {...}, "registered_name": ...}``, with "build_config" and
"compile_config" where there are. Nothing in a configuration is ever executed: a name stands for a class or function of
this library, or for one that the caller registered or passed. So lambdas are not saved at all.
"""

import contextlib
import importlib
import threading
import types

import numpy as np

from fastnn._suggestions import did_you_mean
from fastnn.saving import registration

PLAIN_TYPES = (str, int, float, bool)

# Where the classes and functions of a module of Keras are here. The order matters for configurations without a module.
_CLASS_ROOMS = (
    "layers", "models", "initializers", "optimizers", "optimizers.schedules", "losses", "metrics", "regularizers",
    "constraints", "interop", "utils",
)  # fmt: skip
_FUNCTION_ROOMS = ("activations", "losses", "metrics", "regularizers", "constraints")
_NOT_OBJECTS = {"get", "serialize", "deserialize", "resolve"}  # functions that are no activation or loss
_IN_THE_ROOT = {"Sequential", "Model"}  # keras.Sequential
_INSIDE_KERAS = {"Functional": "keras.src.models.functional"}  # what Keras saves by its place in the sources
NOT_IN_KERAS = frozenset({"DenseTranspose", "MaskFeatures", "RReLU", "ThresholdedReLU", "OneCycle", "OnnxOperator"})


class _Sharing(threading.local):
    def __init__(self):
        self.own = None  # registered name: class or function that is not from here
        self.configs = None  # id of an object: its configuration
        self.objects = None  # "shared_object_id" of a configuration: the object


_sharing = _Sharing()


class ObjectSharing:
    """While this context lasts, an object that occurs several times is saved, and made, as one."""

    def __enter__(self):
        self._outer = _sharing.configs, _sharing.objects
        _sharing.configs, _sharing.objects = {}, {}

    def __exit__(self, *error):
        _sharing.configs, _sharing.objects = self._outer


@contextlib.contextmanager
def collecting_own():
    """While this lasts, note the classes and functions of the user's own that are saved; gives them by name."""
    outer, _sharing.own = _sharing.own, {}
    try:
        yield _sharing.own
    finally:
        _sharing.own = outer


def _note_own(name, obj):
    if _sharing.own is not None:
        _sharing.own[name] = obj


# ---- objects to configurations ---------------------------------------------------------------------------------------


def serialize_keras_object(obj):
    """Return the configuration of an object: plain dictionaries, lists, strings and numbers.

    Parameters
    ----------
    obj : object
        Layer, optimizer, loss, ... of this library or of one's own with a `get_config`; a named function; an array; or
        a list or dictionary of such.

    Raises
    ------
    TypeError
        If it has no `get_config`, or is a lambda, which no file can hold.
    """
    if obj is None or isinstance(obj, PLAIN_TYPES):
        return obj
    if isinstance(obj, (list, tuple)):
        return type(obj)(map(serialize_keras_object, obj)) if type(obj) in (list, tuple) else list(obj)
    if isinstance(obj, dict):
        return {key: serialize_keras_object(value) for key, value in obj.items()}
    special = _serialize_special(obj)
    if special is not None:
        return special
    if isinstance(obj, np.generic) or (isinstance(obj, np.ndarray) and obj.ndim == 0):
        return obj.item()
    if isinstance(obj, types.FunctionType):
        name = _function_name(obj)
        return {"module": "builtins", "class_name": "function", "config": name, "registered_name": "function"}
    if not hasattr(obj, "get_config"):
        raise TypeError(
            f"Cannot serialize {obj!r:.200} of type {type(obj).__name__}: its class must implement get_config(), which "
            "returns the arguments that make an equal object."
        )
    return _serialize_instance(obj)


def _serialize_special(obj):
    if isinstance(obj, bytes):
        return {"class_name": "__bytes__", "config": {"value": obj.decode("utf-8")}}
    if isinstance(obj, slice):
        parts = {name: serialize_keras_object(getattr(obj, name)) for name in ("start", "stop", "step")}
        return {"class_name": "__slice__", "config": parts}
    if obj is Ellipsis:
        return {"class_name": "__ellipsis__", "config": {}}
    if isinstance(obj, np.ndarray) and obj.ndim > 0:
        return {"class_name": "__numpy__", "config": {"value": obj.tolist(), "dtype": obj.dtype.name}}
    return None


def _function_name(function):
    name = registration.get_registered_name(function)
    if name == "<lambda>":
        raise TypeError(
            "A lambda cannot be saved: a file holds names, never code. Give the function a name with `def`, and "
            "register it with @fastnn.saving.register_keras_serializable(), or pass it to "
            "load_model(custom_objects={name: function})."
        )
    if function.__module__.partition(".")[0] != "fastnn":
        _note_own(name, function)
    return name


def _serialize_instance(obj):
    config = obj.get_config()
    if not isinstance(config, dict):
        raise TypeError(f"get_config() of {obj!r:.200} must return a dictionary. It returned: {config!r:.200}")
    module, registered_name = _address(getattr(type(obj), "saved_as", type(obj)))
    config = {
        "module": module,
        "class_name": type(obj).__name__,
        "config": serialize_keras_object(config),
        "registered_name": registered_name,
    }
    for extra in ("build_config", "compile_config"):
        method = getattr(obj, f"get_{extra}", None)
        value = method() if method is not None else None
        if value is not None:
            config[extra] = serialize_keras_object(value)
    if _sharing.configs is not None:
        first = _sharing.configs.setdefault(id(obj), config)
        if first is not config:
            first["shared_object_id"] = config["shared_object_id"] = id(obj)
    return config


def _address(cls):
    """The "module" and "registered_name" of a class, as Keras writes them."""
    name = cls.__name__
    if cls.__module__.partition(".")[0] == "fastnn":
        for room in _CLASS_ROOMS:
            if getattr(_room(room), name, None) is cls:
                if name in NOT_IN_KERAS:
                    return f"fastnn.{room}", name
                if name in _INSIDE_KERAS:
                    return _INSIDE_KERAS[name], name
                return "keras" if name in _IN_THE_ROOT else f"keras.{room}", None
    module = None if cls.__module__ == "__main__" else cls.__module__
    registered_name = registration.get_registered_name(cls)
    _note_own(registered_name, cls)
    return module, registered_name


# ---- configurations to objects ---------------------------------------------------------------------------------------


def deserialize_keras_object(config, custom_objects=None, safe_mode=True, **kwargs):
    """Make the object that a configuration describes.

    Parameters
    ----------
    config : object
        What `serialize_keras_object` returned, here or in Keras.
    custom_objects : dict of str to class or function, optional
        What names mean that this library does not know, besides those that are registered.
    safe_mode : bool, default True
        Accepted for compatibility. Configurations are never executed, so False does not allow more.
    module_objects : dict of str to class or function, optional
        Classes and functions that plain names may mean.

    Raises
    ------
    TypeError, ValueError
        If it describes nothing that is known here; the message says what.
    """
    module_objects = kwargs.pop("module_objects", None)
    if kwargs:
        raise TypeError(f"deserialize_keras_object got unknown arguments: {sorted(kwargs)}")
    known = registration.custom_objects_here(custom_objects)
    if isinstance(config, str):
        if known.get(config) is not None:
            return known[config]
        if module_objects and config in module_objects:
            found = module_objects[config]
            return found() if isinstance(found, type) else found
    if config is None or isinstance(config, PLAIN_TYPES):
        return config
    if isinstance(config, (list, tuple)):
        return [deserialize_keras_object(each, known) for each in config]
    if not isinstance(config, dict):
        raise TypeError(f"Could not parse config: {config!r:.200}")
    if "class_name" not in config or "config" not in config:
        return {key: deserialize_keras_object(value, known) for key, value in config.items()}
    name, inner = config["class_name"], config["config"] if config["config"] is not None else {}
    if not isinstance(name, str):
        raise TypeError(f"Expected 'class_name' to be a string. Received: {name!r:.200}")
    if name.startswith("__"):
        return _deserialize_special(name, inner, known)
    if name == "function":
        if not isinstance(inner, str):
            raise TypeError(f"Expected 'config' of a function to be its name. Received: {inner!r:.200}")
        return _find(inner, config.get("registered_name"), config.get("module"), _FUNCTION_ROOMS, known, module_objects)
    if not isinstance(inner, dict):
        raise TypeError(f"Expected 'config' of class {name} to be a dictionary. Received: {inner!r:.200}")
    shared = config.get("shared_object_id")
    if shared is not None and _sharing.objects is not None and shared in _sharing.objects:
        return _sharing.objects[shared]
    cls = _find(name, config.get("registered_name"), config.get("module"), _CLASS_ROOMS, known, module_objects)
    if isinstance(cls, types.FunctionType):
        return cls
    instance = _instance(cls, config, inner, known)
    if shared is not None and _sharing.objects is not None:
        _sharing.objects[shared] = instance
    return instance


def _deserialize_special(name, inner, known):
    if name in ("__numpy__", "__tensor__"):
        return np.array(inner["value"], np.dtype(inner["dtype"]))
    if name == "__bytes__":
        return inner["value"].encode("utf-8")
    if name == "__ellipsis__":
        return Ellipsis
    if name == "__slice__":
        return slice(*(deserialize_keras_object(inner[part], known) for part in ("start", "stop", "step")))
    if name == "__lambda__":
        raise ValueError(
            "The configuration holds a Python lambda, that is, code. fastnn never runs code out of a file, not even "
            "with safe_mode=False. Save the model anew with a named function in the lambda's place."
        )
    raise TypeError(f"Could not make an object of {name!r}, which is unknown here.")


def _instance(cls, config, inner, known):
    if not hasattr(cls, "from_config"):
        raise TypeError(f"Class {cls.__name__} has no from_config() method, which would make an instance of it.")
    with registration.CustomObjectScope(known):
        instance = cls.from_config(inner)
        build_config = config.get("build_config")
        if build_config and not instance.built:
            instance.build_from_config(build_config)
        compile_config = config.get("compile_config")
        if compile_config:
            instance.compile_from_config(compile_config)
    return instance


class NotFound(TypeError):
    """`what`, a class or function that a configuration names, is not known here."""


def _find(name, registered_name, module, rooms, known, module_objects):
    """The class or function of a name: one's own first, then what is public here."""
    one_of_its_own, registered_name = registered_name is not None, registered_name or name
    for objects in (known, module_objects):
        for key in (registered_name, name):
            if objects and objects.get(key) is not None:
                return objects[key]
    kind = "function" if rooms is _FUNCTION_ROOMS else "class"
    root, _, rest = module.partition(".") if isinstance(module, str) else ("", "", "")
    if root in ("", "keras", "fastnn", "builtins") and not name.startswith("_") and name not in _NOT_OBJECTS:
        for room in [rest] * (rest in rooms) or rooms:
            found = getattr(_room(room), name, None)
            if isinstance(found, type if kind == "class" else types.FunctionType):
                return found
    if kind == "function":  # Keras up to 3.6 saved registered functions by their plain names
        for key, found in known.items():
            if key.endswith(f">{name}"):
                return found
    where = f" of module {module!r}" if module else ""
    names = [*known, *(module_objects or ())]
    if not one_of_its_own:
        names += [each for room in rooms for each in dir(_room(room)) if each[0] != "_"]
    error = NotFound(
        f"Could not locate {kind} {name!r}{where}.{did_you_mean(name, names)} If it is one of your own, register it "
        "with @fastnn.saving.register_keras_serializable() and import it before loading, or pass "
        f"custom_objects={{{registered_name!r}: {name}}}. If it is one of Keras's, fastnn does not have it."
    )
    error.what = f"{kind} {name!r}"
    raise error


def _room(name):
    """A module of fastnn, or None."""
    try:
        return importlib.import_module(f"fastnn.{name}")
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("fastnn."):
            raise
        return None
