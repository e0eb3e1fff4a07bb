"""Names under which objects of one's own are saved, and by which they are found again."""

import inspect
import threading

_OBJECTS = {}  # registered name: object
_NAMES = {}  # object: registered name


class _Scope(threading.local):
    """The innermost `CustomObjectScope` of this thread."""

    def __init__(self):
        self.objects = {}


_scope = _Scope()


def register_keras_serializable(package="Custom", name=None):
    """Register the decorated class or function, so that files that contain it can be loaded.

    Parameters
    ----------
    package : str, default "Custom"
    name : str, optional
        The object's own name by default; it is saved as "package>name".

    Raises
    ------
    ValueError
        If a class has no `get_config`.

    Examples
    --------
    >>> import fastnn
    >>> @fastnn.saving.register_keras_serializable("mine")
    ... class Scaled(fastnn.layers.Dense):
    ...     pass
    >>> fastnn.saving.get_registered_name(Scaled)
    'mine>Scaled'
    """

    def register(obj):
        if inspect.isclass(obj) and not hasattr(obj, "get_config"):
            raise ValueError(
                f"Cannot register class {obj.__name__}: it has no get_config() method, which says how to make it again."
            )
        registered = f"{package}>{obj.__name__ if name is None else name}"
        _OBJECTS[registered] = obj
        _NAMES[obj] = registered
        return obj

    return register


def get_registered_name(obj):
    """Return the name that a class or function is saved by: its registered one, else its own."""
    try:
        return _NAMES.get(obj) or obj.__name__
    except TypeError:  # not hashable, so never registered
        return obj.__name__


def get_registered_object(name, custom_objects=None, module_objects=None):
    """Return the object of a name: from the `CustomObjectScope`, the registered ones, `custom_objects` or
    `module_objects`, in this order; None if there is none."""
    for objects in (_scope.objects, _OBJECTS, custom_objects, module_objects):
        if objects and name in objects:
            return objects[name]
    return None


def get_custom_objects():
    """Return the dictionary of all registered objects. It may be changed."""
    return _OBJECTS


def custom_objects_here(custom_objects=None):
    """All objects of one's own that are known now, as one dictionary."""
    return {**(custom_objects or {}), **_scope.objects, **_OBJECTS}


class CustomObjectScope:
    """While this context lasts, names in configurations may mean these objects.

    Parameters
    ----------
    custom_objects : dict of str to class or function
    """

    def __init__(self, custom_objects):
        if custom_objects is not None and not isinstance(custom_objects, dict):
            raise TypeError(
                "`custom_objects` must be a dictionary from names to classes or functions. "
                f"Received: {custom_objects!r} of type {type(custom_objects).__name__}"
            )
        self.custom_objects = dict(custom_objects or {})
        self._outer = []

    def __enter__(self):
        self._outer.append(_scope.objects)
        _scope.objects = self.custom_objects
        return self

    def __exit__(self, *error):
        _scope.objects = self._outer.pop()


custom_object_scope = CustomObjectScope
