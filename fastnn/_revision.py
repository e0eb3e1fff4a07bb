"""Counts the changes after which a program may have to be made anew: a variable moved, a layer became (un)trainable.

As long as the number stands still, a program that fitted fits: nobody need look at every variable and layer again.
"""

_number = 0


def current():
    """The number of changes so far, in this process."""
    return _number


def changed():
    """Count a change."""
    global _number
    _number += 1


class Setting:
    """A number of a layer that may change after the layer was traced: nodes hold it, and programs are made again.

    Attributes
    ----------
    value : float
    """

    __slots__ = ("_value",)

    def __init__(self, value):
        self._value = value

    @property
    def value(self):
        return self._value

    @value.setter
    def value(self, value):
        self._value = value
        changed()
