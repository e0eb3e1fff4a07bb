"""What can be set on an optimizer: declared once, checked whenever it is assigned."""

import inspect
import math

from fastnn import _revision
from fastnn.training.arguments import flag, integer


class Setting:
    """A setting of an optimizer, declared in its class body; an argument of its constructor of the same name.

    Parameters
    ----------
    default : object
    check : callable (optimizer, name, value)
        Returns the value in its proper type, or raises a ValueError.
    shape : callable (value), optional
        What of the value decides which memory the optimizer has, or how training is lowered. All else may change at any
        time, and holds from the next step on.
    remembered : bool, default True
        Is it the memory that `shape` decides? Then it cannot change any more once there is some. If it is only the
        lowering, training is lowered anew.
    after_name : bool, default False
        Where it stands among the constructor's arguments.
    """

    def __init__(self, default, check, shape=lambda value: None, after_name=False, remembered=True):
        self.default = default
        self.check = check
        self.shape = shape
        self.after_name = after_name
        self.remembered = remembered

    def __set_name__(self, owner, name):
        self.name = name

    def __get__(self, optimizer, owner=None):
        return self if optimizer is None else optimizer._values[self.name]

    def __set__(self, optimizer, value):
        value = self.check(optimizer, self.name, value)
        known = optimizer._values
        other = optimizer.built and self.shape(value) != self.shape(known[self.name])
        if other and self.remembered:
            raise ValueError(
                f"{type(optimizer).__name__}: `{self.name}` cannot become {value!r} after {known[self.name]!r} "
                "once the optimizer is in use: it decides what the optimizer remembers. Make a new optimizer, and call "
                "model.compile(...) with it."
            )
        known[self.name] = value
        optimizer._constants = None
        if other:
            optimizer._switched += 1
            changed()


def number(default, low=-math.inf, high=None, open_end=False, shape=lambda value: None, after_name=False):
    """A number of at least `low`, and of at most (below, if `open_end`) `high`."""

    def check(owner, name, value):
        return as_number(owner, name, value, low, high, open_end)

    return Setting(default, check, shape, after_name)


def switch(default, after_name=False, remembered=True):
    """True or False."""
    return Setting(default, lambda owner, name, value: flag(value, name), bool, after_name, remembered)


def option(default=None, after_name=False):
    """A number of at least 0, or None."""

    def check(owner, name, value):
        return None if value is None else as_number(owner, name, value, 0)

    return Setting(default, check, bool, after_name, remembered=False)


def optional_count(least):
    """An integer of at least `least`, or None."""

    def check(owner, name, value):
        counted = integer(value)
        if value is not None and (counted is None or counted < least):
            raise ValueError(f"`{name}` must be an integer >= {least} or None. Received: {name}={value!r}")
        return counted if value is not None else None

    return Setting(None, check, lambda value: value)


def as_number(optimizer, name, value, low, high=None, open_end=False):
    """Return a setting as a float, or say what is wrong with it."""
    try:
        # Strings that spell a number, bools and arrays of one are mistakes; scalars of other libraries are not.
        mistaken = isinstance(value, (str, bytes, bool)) or getattr(value, "ndim", 0)
        result = math.nan if mistaken else float(value)
    except (TypeError, ValueError, OverflowError):
        result = math.nan
    inside = result >= low and (high is None or (result < high if open_end else result <= high))
    if not inside or math.isinf(result):
        span = f" of at least {low}" if low > -math.inf else ""
        if high is not None:
            span = f" in [{low}, {high}{')' if open_end else ']'}" if low > -math.inf else f" of at most {high}"
        raise ValueError(
            f"{type(optimizer).__name__} expected `{name}` to be a number{span}. Received: {name}={value!r}"
        )
    return result


def settings_of(cls):
    """All settings of a class by name, in the order of its constructor: its own before those it inherits."""
    found = {}
    for each in cls.__mro__:
        found.update(
            (name, value) for name, value in vars(each).items() if isinstance(value, Setting) if name not in found
        )
    return found


def constructor(cls, learning_rate):
    """The ``__init__`` of an optimizer: the learning rate, the settings that its class declares, and a name."""
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = [inspect.Parameter("self", kind), inspect.Parameter("learning_rate", kind, default=learning_rate)]
    names = settings_of(cls)
    before, after = (
        [inspect.Parameter(name, kind, default=each.default) for name, each in names.items() if each.after_name is late]
        for late in (False, True)
    )
    parameters += [*before, inspect.Parameter("name", kind, default=None), *after]
    parameters.append(inspect.Parameter("kwargs", inspect.Parameter.VAR_KEYWORD))
    signature = inspect.Signature(parameters)

    def __init__(self, *args, **kwargs):
        bound = signature.bind(self, *args, **kwargs)
        bound.apply_defaults()
        given = dict(bound.arguments)
        del given["self"]
        self._begin(given.pop("learning_rate"), given.pop("name"), given.pop("kwargs"), given)

    __init__.__signature__ = signature
    __init__.__qualname__ = f"{cls.__qualname__}.__init__"
    return __init__


def changed():
    """Programs that were made for other settings are to be made anew."""
    _revision.changed()
