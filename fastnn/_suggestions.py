"""What was probably meant by a name that is none."""


def did_you_mean(name, names):
    """Return " Did you mean 'relu'?" for the names that are nearest, or nothing.

    Parameters
    ----------
    name : object
        What is no text is like no name.
    names : iterable of str
        Compared without regard to case and underscores; of several that are then the same, the one is named that is
        written as `name` is: with capitals, or without.
    """
    import difflib  # only where something is wrong

    if not isinstance(name, str):
        return ""
    spellings = {}
    for each in names:
        if isinstance(each, str):
            spellings.setdefault(_plain(each), []).append(each)
    near = difflib.get_close_matches(_plain(name), spellings, n=3)
    chosen = [min(spellings[each], key=lambda known: _differences(known, name)) for each in near]
    return f" Did you mean {' or '.join(map(repr, chosen))}?" if chosen else ""


def of_argument(name, cls):
    """The same for an argument that no `__init__` of a class takes."""
    import inspect

    return did_you_mean(name, {each for base in cls.__mro__ for each in inspect.signature(base.__init__).parameters})


def unknown_arguments(method, unknown, of=""):
    """The error for arguments that a method has caught as ``**unknown``.

    Parameters
    ----------
    method : callable
    unknown : dict
    of : str, optional
        Whose method it is, for the message: " of a frozen network".
    """
    import inspect

    known = [name for name in inspect.signature(method).parameters if name not in ("self", "unknown")]
    return TypeError(
        f"{method.__name__}(){of} got {', '.join(map(repr, unknown))}, which it does not know."
        f"{did_you_mean(next(iter(unknown)), known)} It takes {', '.join(known)}."
    )


def _plain(name):
    return name.lower().replace("_", "")


def _differences(known, name):
    """How unlike in style: capitals, underscores, then length."""
    return known[:1].isupper() != name[:1].isupper(), ("_" in known) != ("_" in name), len(known)
