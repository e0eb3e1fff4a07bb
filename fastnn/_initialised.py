"""What tells the author of a subclass that its `__init__` does not call that of its base class."""


class Initialised:
    """Base of what users derive classes from: an attribute that is not there yet says why.

    Attributes
    ----------
    _set_by_init : str
        An attribute that ``__init__`` of the base class sets.
    """

    _set_by_init = "name"

    def __getattr__(self, name):  # called only for what is not found
        if not name.startswith("__"):
            self._require_init()
        return object.__getattribute__(self, name)  # for the message, which may be that of a property

    def _require_init(self):
        if self._set_by_init not in self.__dict__:
            raise RuntimeError(f"{type(self).__name__}.__init__ must call super().__init__() before anything else.")

    def __repr__(self):  # debuggers ask for it at any time: it must not raise
        if self._set_by_init not in self.__dict__:
            return f"<{type(self).__name__}, whose __init__ has not called super().__init__()>"
        return f"<{type(self).__name__} {self._described()}>"

    def _described(self):
        """What its representation says beside its class."""
        return f"name={self.name}"
