"""Finding objects by name and turning them into plain configurations and back.

Losses, metrics, optimizers and initializers are all named by the same kinds of identifier. Each of
those modules keeps a dictionary of its names; the rules are here, once. Names of one's own come first.
How a configuration looks is said in `fastnn.saving.serialization`.
"""

import inspect

from fastnn._suggestions import did_you_mean
from fastnn.saving import registration
from fastnn.saving.serialization import deserialize_keras_object, serialize_keras_object


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
        found = registration.get_registered_object(identifier, module_objects=objects)
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
    """Return the configuration of an object as a dictionary that `get` and JSON understand; a name stays a name."""
    return serialize_keras_object(obj)


def deserialize(config, objects, kind):
    """Make the object that a configuration of `serialize` (or of Keras) describes.

    Raises
    ------
    ValueError
        If the configuration names nothing, or something that is neither in `objects` nor registered.
    """
    if isinstance(config, str):
        return get(config, objects, kind)
    name = config.get("class_name")
    if name == "function":
        name = config.get("config")
    if not isinstance(name, str):
        raise ValueError(
            f'Could not interpret {kind} configuration: expected {{"class_name": ..., '
            f'"config": {{...}}}}, received {config!r}.'
        )
    own = registration.custom_objects_here()
    if name not in objects and name not in own and config.get("registered_name") not in own:
        raise ValueError(_unknown(name, objects, kind))
    return deserialize_keras_object({"config": {}, **config}, module_objects=objects)


def _unknown(name, objects, kind):
    hint = did_you_mean(name, {**registration.custom_objects_here(), **objects})
    classes = [key for key, value in objects.items() if inspect.isclass(value)]
    known = ", ".join(sorted(classes or objects))
    return f"Could not interpret {kind} identifier: {name!r}.{hint} Known names: {known}."
