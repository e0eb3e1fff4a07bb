"""Lists and dictionaries that are attributes of a layer of one's own: layers put into them become parts of it."""

from fastnn import variables


def parts_of(value, kind=None):
    """The layers and variables, or what is of another kind, that a value of an attribute is or holds."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for each in value:
            yield from parts_of(each, kind)
    elif kind is not None:
        if isinstance(value, kind):
            yield value
    elif isinstance(value, variables.Variable) or getattr(type(value), "_is_layer", False):
        yield value


def tracked(value, owner):
    """A list or dictionary as one that tells its owner of changes; anything else as it is."""
    if type(value) is list:
        value = TrackedList(tracked(each, owner) for each in value)
    elif type(value) is dict:
        value = TrackedDict((key, tracked(each, owner)) for key, each in value.items())
    else:
        return value
    value.owner = owner
    return value


class Tracked:
    """What is common to `TrackedList` and `TrackedDict`.

    Attributes
    ----------
    owner : Layer or None
        Whose attribute it is, or is in.
    """

    owner = None

    def _entering(self, value):
        """A value that is put in: layers in it become parts of the owner."""
        if self.owner is None:
            return value
        self.owner._adopt(list(parts_of(value)))
        return tracked(value, self.owner)

    def _changed(self, *gone):
        """The owner hears of a change, and of values that are not in it any more."""
        if self.owner is not None:
            if parts := list(parts_of(gone)):
                self.owner._abandon(parts)
            self.owner._note_change()


class TrackedList(Tracked, list):
    """A list whose layers are parts of its owner."""

    def append(self, value):
        super().append(self._entering(value))
        self._changed()

    def extend(self, values):
        super().extend([self._entering(each) for each in values])
        self._changed()

    def __iadd__(self, values):
        self.extend(values)
        return self

    def __imul__(self, times):
        self[:] = self * times
        return self

    def insert(self, index, value):
        super().insert(index, self._entering(value))
        self._changed()

    def __setitem__(self, index, value):
        gone = self[index]
        if isinstance(index, slice):
            value = list(value)
        super().__setitem__(index, self._entering(value))
        self._changed(gone)

    def __delitem__(self, index):
        gone = self[index]
        super().__delitem__(index)
        self._changed(gone)

    def pop(self, index=-1):
        value = super().pop(index)
        self._changed(value)
        return value

    def remove(self, value):
        del self[self.index(value)]

    def clear(self):
        del self[:]

    def sort(self, **kwargs):
        super().sort(**kwargs)
        self._changed()

    def reverse(self):
        super().reverse()
        self._changed()

    def __reduce__(self):
        return list, (list(self),)


class TrackedDict(Tracked, dict):
    """A dictionary whose layers are parts of its owner."""

    def __setitem__(self, key, value):
        gone = self.get(key)
        super().__setitem__(key, self._entering(value))
        self._changed(gone)

    def update(self, *args, **kwargs):
        for key, value in dict(*args, **kwargs).items():
            self[key] = value

    def __ior__(self, other):
        self.update(other)
        return self

    def setdefault(self, key, default=None):
        if key not in self:
            self[key] = default
        return self[key]

    def __delitem__(self, key):
        gone = self[key]
        super().__delitem__(key)
        self._changed(gone)

    def pop(self, key, *default):
        gone = self.get(key)
        value = super().pop(key, *default)
        self._changed(gone)
        return value

    def popitem(self):
        key, value = super().popitem()
        self._changed(value)
        return key, value

    def clear(self):
        gone = list(self.values())
        super().clear()
        self._changed(*gone)

    def __reduce__(self):
        return dict, (dict(self),)
