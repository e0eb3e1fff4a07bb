"""How parameters change by their gradients.

An optimizer is one pass of the engine over all parameters, at the end of every training step. Here
are its settings; its arithmetic, that of Keras 3, is in ``csrc/ops/optimizer*.c``.
"""

from fastnn import _registry
from fastnn.optimizers import legacy, schedules
from fastnn.optimizers.accumulating import Adadelta, Adagrad, Ftrl, RMSprop
from fastnn.optimizers.adafactor import Adafactor
from fastnn.optimizers.adam import Adam, Adamax, AdamW, Nadam
from fastnn.optimizers.base import Optimizer
from fastnn.optimizers.lamb import Lamb
from fastnn.optimizers.muon import Muon
from fastnn.optimizers.sgd import SGD, Lion

_CLASSES = (SGD, RMSprop, Adagrad, Adadelta, Adam, AdamW, Adamax, Nadam, Ftrl, Lion, Lamb, Adafactor, Muon)
_OBJECTS = {cls.__name__.lower(): cls for cls in _CLASSES}

__all__ = [
    *(cls.__name__ for cls in _CLASSES),
    "Optimizer",
    "deserialize",
    "get",
    "legacy",
    "schedules",
    "serialize",
]


def serialize(optimizer):
    """Return an optimizer's configuration as a dictionary."""
    return _registry.serialize(optimizer)


def deserialize(config, custom_objects=None):
    """Make an optimizer from its configuration; case does not matter in its class name."""
    name = config.get("class_name")
    objects = {**_OBJECTS, **(custom_objects or {})}
    if isinstance(name, str) and name not in objects:
        config = {**config, "class_name": name.lower()}
    return _registry.deserialize(config, objects, "optimizer")


def get(identifier):
    """Return the optimizer that `identifier` means.

    Parameters
    ----------
    identifier : str, dict, Optimizer or None
        A name in any case, a configuration, or an instance, which is returned as it is.

    Raises
    ------
    ValueError
        If the identifier is unknown.
    """
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if isinstance(identifier, str):
        return _registry.get(identifier.lower(), _OBJECTS, "optimizer")
    if identifier is None or isinstance(identifier, Optimizer):
        return identifier
    raise ValueError(
        f"Could not interpret optimizer identifier: {identifier!r}. Expected a name, a "
        "configuration or an instance of fastnn.optimizers.Optimizer."
    )
