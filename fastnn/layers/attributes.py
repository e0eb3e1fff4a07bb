"""Attributes of layers: which hold parts of a layer, and which of them change what its `call` makes."""

import functools
import inspect
import warnings

from fastnn import _revision, activations, regularizers
from fastnn.layers.tracked import parts_of, tracked
from fastnn.operations import is_inside_call
from fastnn.variables import Variable

# Arguments of the library's own layers that only `build` reads.
_OF_VARIABLES = ("units", "use_bias"), ("_initializer", "_regularizer", "_constraint")
_PLAIN = frozenset((bool, int, float, str, type(None)))
_READ = {"activation": activations.get, "activity_regularizer": regularizers.get}


class HasAttributes:
    """The part of `Layer` that looks at what is assigned to it. Expects `_sublayers`, `_own_trainable`,
    `_own_non_trainable` and `_all_layers`."""

    # What the library itself sets: no `call` reads it.
    _BOOKKEEPING = frozenset(
        """_added_losses _arguments _build_shape _calls _changed_at _eager _eager_at _eager_steps _is_locked
        _own_non_trainable _own_trainable _seed _sublayers _trainable _was_traced built first_input_shape input_spec
        name path trainable""".split()
    )
    _changed_at = 0  # the revision at which an attribute has changed that `call` may read
    _was_traced = False  # nothing can be out of date before
    _is_locked = False  # may it get no further variables and layers?

    def __setattr__(self, name, value):
        if name in self._BOOKKEEPING:
            object.__setattr__(self, name, value)
            return
        if type(value) not in _PLAIN:
            if parts := list(parts_of(value)):
                self._adopt(parts)
            if is_own(type(self)):
                value = tracked(value, self)
        if self._was_traced:
            self._set_late(name, value)
        else:
            object.__setattr__(self, name, value)

    def _set_late(self, name, value):
        own = is_own(type(self))
        counts = own or name in _arguments_of(type(self))
        if counts and not own:
            value = self._late_argument(name, value)
        before = self.__dict__.get(name)
        object.__setattr__(self, name, value)
        elsewhere = own and name not in self.__dict__  # a slot, or wherever a property puts it
        if elsewhere or (counts and not _same(before, self.__dict__.get(name))):
            self._note_change()

    # ---- parts -------------------------------------------------------------------------------------------------------

    def _adopt(self, parts):
        """Make layers, and variables of a layer of one's own, parts of this one.

        Raises
        ------
        ValueError
            If the layer is built.
        """
        for part in parts:
            if not isinstance(part, Variable):
                known = self.__dict__.setdefault("_sublayers", [])  # as in Keras, before super().__init__(), too
            elif _is_in(part, [*self._own_trainable, *self._own_non_trainable]):
                continue
            else:
                known = self._own_trainable if part.trainable else self._own_non_trainable
            if not _is_in(part, known):
                self._refuse_if_locked(repr(part))
                if known is self._sublayers or is_own(type(self)):
                    known.append(part)

    def _refuse_if_locked(self, part):
        if self._is_locked:
            raise ValueError(
                "You cannot add new elements of state (variables or sub-layers) to a layer that is already built. "
                f"{type(self).__name__} {self.name!r} received {part}, which would be no part of what it computes. "
                "All state must be created in `__init__()` or in `build()`. For a model with another part make a new "
                "one, of the layers that stay: they keep their weights."
            )

    def _abandon(self, parts):
        """Layers and variables are not where they were; those that no attribute holds are parts no more."""
        held = [part for value in vars(self).values() if type(value) is not list for part in parts_of(value)]
        gone = [part for part in parts if not _is_in(part, held)]
        if gone:
            for known in (self._sublayers, self._own_trainable, self._own_non_trainable):
                known[:] = [each for each in known if not _is_in(each, gone)]

    # ---- changes -----------------------------------------------------------------------------------------------------

    def _late_argument(self, name, value):
        """What becomes of an argument of the library's own layers that is assigned after `call` was traced."""
        names, endings = _OF_VARIABLES
        if name in _READ:
            return _READ[name](value)
        if name in names or name.endswith(endings):
            warnings.warn(
                f"`{name}` of layer {self.name!r} says how its variables are made, and they are made: they stay as "
                "they are. Make a new layer; or, for a penalty or a constraint, assign it to the variable, as in "
                "`layer.kernel.regularizer = ...`, and compile.",
                UserWarning,
                stacklevel=4,
            )
        return value

    def _note_change(self):
        """What was traced of this layer is out of date. (What `call` itself sets while it is traced does not count.)"""
        if self._was_traced and not is_inside_call():
            _revision.changed()
            self._changed_at = _revision.current()

    def _changed_since(self, revision):
        """Has an attribute changed since, of this layer or of one inside it?"""
        return any(layer._changed_at > revision for layer in self._all_layers())


@functools.cache
def is_own(defined):
    """Is it a class, or a function, of the user's?"""
    return defined.__module__.partition(".")[0] != "fastnn"


@functools.cache
def traces_own(layer_class):
    """Is its `call` one of the user's?"""
    return is_own(layer_class.call)


@functools.cache
def _arguments_of(layer_class):
    """The names of what a layer is constructed from."""
    constructors = [each.__init__ for each in layer_class.__mro__ if "__init__" in vars(each) and each is not object]
    return frozenset(name for each in constructors for name in inspect.signature(each).parameters)


def _same(before, after):
    """Is nothing changed, as far as can be told at a glance?"""
    plain = type(after) in _PLAIN or isinstance(after, (bytes, tuple, frozenset))
    return before is after or (plain and type(before) is type(after) and _equal(before, after))


def _equal(a, b):
    try:
        return bool(a == b)
    except (TypeError, ValueError):  # a tuple of arrays
        return False


def _is_in(part, parts):
    return any(part is each for each in parts)
