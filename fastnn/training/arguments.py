"""Checking arguments that are no data: those of compile and fit, of layers and callbacks."""

import operator

import numpy as np


def integer(value):
    """Return an integer of any type as an int; None for everything else, also for bools and arrays."""
    try:
        return None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        return None


def count(value, name, default=None, least=1):
    """Return an argument that counts something as an int; `default` for None.

    Raises
    ------
    ValueError
        If it is no integer, or less than `least`.
    """
    if value is None and default is not None:
        return default
    counted = integer(value)
    if counted is None or counted < least:
        raise ValueError(f"`{name}` must be an integer of at least {least}. Received: {name}={value!r}")
    return counted


def optional_count(value, name):
    """The same of an argument that may be None, which stays None."""
    return None if value is None else count(value, name)


def flag(value, name):
    """Return a switch as a bool.

    Raises
    ------
    ValueError
        If it is neither True nor False: another argument that has slipped into its place, for example.
    """
    if not isinstance(value, (bool, np.bool_)):
        raise ValueError(f"`{name}` must be True or False. Received: {name}={value!r}")
    return bool(value)


def number(owner, name, value, expected, fits):
    """Return an argument as a float, if `fits(value)`.

    Parameters
    ----------
    owner : object
        Whose argument it is, for the message.
    name : str
    value : object
    expected : str
        What it must be, for the message: "a number in [0, 1]".
    fits : callable

    Raises
    ------
    ValueError
        Otherwise, or if it is no number.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not fits(value):
        raise ValueError(f"{type(owner).__name__}: `{name}` must be {expected}. Received: {name}={value!r}")
    return float(value)


def validation_epochs(value):
    """Return what `validation_freq` means: a function that tells of an epoch's number, counted from 1, whether
    validation follows it."""
    if isinstance(value, (list, tuple, set, frozenset, range)):
        return value.__contains__
    every = count(value, "validation_freq")
    return lambda number: number % every == 0
