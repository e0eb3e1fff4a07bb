"""Checking the arguments of compile, fit and the like that are no data."""


def count(value, name, default=None, least=1):
    """Return an argument that counts something as an int; `default` for None.

    Raises
    ------
    ValueError
        If it is no integer, or less than `least`.
    """
    if value is None and default is not None:
        return default
    if isinstance(value, bool) or not hasattr(value, "__index__") or value < least:
        raise ValueError(f"`{name}` must be an integer of at least {least}. Received: {name}={value!r}")
    return int(value)


def validation_epochs(value):
    """Return what `validation_freq` means: a function that tells of an epoch's number, counted from 1, whether
    validation follows it."""
    if isinstance(value, (list, tuple, set, frozenset, range)):
        return value.__contains__
    every = count(value, "validation_freq")
    return lambda number: number % every == 0


def refuse(method, **arguments):
    """Refuse arguments of Keras that fastnn does not have, unless they are None."""
    for name, value in arguments.items():
        if value is not None:
            raise ValueError(
                f"{method}: `{name}` is not supported, an epoch is one pass over the data. Received: {name}={value!r}"
            )


def as_list(metrics, name):
    """Return the metrics given to compile as a list."""
    if metrics is None:
        return []
    if not isinstance(metrics, (list, tuple)):
        raise ValueError(f"Expected `{name}` argument to be a list. Received instead: {name}={metrics!r}")
    return list(metrics)


def give_unique_names(metrics, weighted):
    """Tell metrics of the same name apart, as Keras does: a weighted one becomes "weighted_accuracy", further ones of a
    kind are numbered."""
    unweighted = {metric.name for metric in metrics}
    for metric in weighted:
        if metric.name in unweighted:
            metric.name = f"weighted_{metric.name}"
    seen = {}
    for metric in [*metrics, *weighted]:
        number = seen.get(metric.name, 0)
        seen[metric.name] = number + 1
        if number:
            metric.name = f"{metric.name}_{number}"
