"""Names of layers, models, metrics and optimizers that were given none."""

import re
import threading

_counts = {}


class _Scopes(threading.local):
    def __init__(self):
        self.names = []


_scopes = _Scopes()


class name_scope:
    """While this context lasts, the paths of new variables begin with its name.

    Parameters
    ----------
    name : str
        Without "/".
    """

    def __init__(self, name, **kwargs):
        if not isinstance(name, str) or "/" in name:
            raise ValueError(f"Argument `name` must be a string and cannot contain '/'. Received: name={name!r}")
        self.name = name

    def __enter__(self):
        _scopes.names.append(self.name)
        return self

    def __exit__(self, *error):
        _scopes.names.pop()


def scopes_open():
    """The names of the scopes that are open, the outermost first."""
    return tuple(_scopes.names)


def to_snake_case(name):
    """Spell a class name as Keras does: "BatchNormalization" is "batch_normalization"."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def unique_name(prefix):
    """Return a name that this session has not given yet: "dense", "dense_1", "dense_2", ...

    Parameters
    ----------
    prefix : str
        A class name or a snake_case prefix.
    """
    prefix = to_snake_case(prefix)
    count = _counts.get(prefix, 0)
    _counts[prefix] = count + 1
    return f"{prefix}_{count}" if count else prefix


def count(prefix):
    """Count one more use of a prefix, apart from those of `unique_name`; returns how many there were."""
    key = prefix, "uid"
    _counts[key] = _counts.get(key, 0) + 1
    return _counts[key]


def reset_names():
    """Start all counters again."""
    _counts.clear()
