"""Finding objects by name and turning them into plain configurations and back.

Losses, metrics, optimizers and initializers are all named by the same kinds of identifier. Each of
those modules keeps a dictionary of its names; the rules are here, once.
"""

import inspect


def get(identifier, objects, kind):
    """Return the object that `identifier` means.

    Parameters
    ----------
    identifier : str, dict, class, callable, instance or None
        A name in `objects`; a configuration ``{"class_name": ..., "config": {...}}``; a class, of
        which an instance with default arguments is made; anything else callable is returned as it
        is. None stays None.
    objects : dict of str to class or function
    kind : str
        What is being looked for, for the error message: "loss".

    Raises
    ------
    ValueError
        If no object has this name, or the identifier is of another type.
    """
    if identifier is None:
        return None
    if isinstance(identifier, dict):
        return deserialize(identifier, objects, kind)
    if isinstance(identifier, str):
        found = objects.get(identifier)
        if found is None:
            raise ValueError(_unknown(identifier, objects, kind))
    else:
        found = identifier
    if inspect.isclass(found):
        return found()
    if callable(found):
        return found
    raise ValueError(
        f"Could not interpret {kind} identifier: {identifier!r} of type "
        f"{type(identifier).__name__}. Expected a name, a configuration, a class or an instance."
    )


def serialize(obj):
    """Return the configuration of an object as a dictionary that `get` and JSON understand.

    Classes and functions without a configuration are spelled by their name.
    """
    if obj is None or isinstance(obj, str):
        return obj
    if not hasattr(obj, "get_config"):
        return obj.__name__
    return {
        "module": type(obj).__module__,
        "class_name": type(obj).__name__,
        "config": obj.get_config(),
        "registered_name": None,
    }


def deserialize(config, objects, kind):
    """Make the object that a configuration of `serialize` (or of Keras) describes.

    Raises
    ------
    ValueError
        If the configuration names no class, or one that is not in `objects`.
    """
    if isinstance(config, str):
        return get(config, objects, kind)
    name = config.get("class_name")
    if not isinstance(name, str):
        raise ValueError(
            f'Could not interpret {kind} configuration: expected {{"class_name": ..., '
            f'"config": {{...}}}}, received {config!r}.'
        )
    found = objects.get(name)
    if not inspect.isclass(found):
        raise ValueError(_unknown(name, objects, kind))
    return found.from_config(config.get("config") or {})


def _unknown(name, objects, kind):
    import difflib

    near = difflib.get_close_matches(name, objects, n=3)
    hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    known = ", ".join(sorted(k for k, v in objects.items() if inspect.isclass(v)))
    return f"Could not interpret {kind} identifier: {name!r}.{hint} Known names: {known}."
