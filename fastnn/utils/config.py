"""A dictionary of settings with attributes."""


class Config:
    """Named values, as attributes and as in a dictionary, that can be protected from changes.

    Parameters
    ----------
    **kwargs
        The first values.

    Raises
    ------
    AttributeError, KeyError
        For a name without a value, asked for as an attribute or as a key.
    ValueError
        If the values are changed while they are frozen.

    Examples
    --------
    >>> from fastnn.utils import Config
    >>> config = Config(learning_rate=0.1)
    >>> config.epochs = 10
    >>> config["epochs"]
    10
    """

    def __init__(self, **kwargs):
        self.__dict__.update(_values=dict(kwargs), _frozen=False)

    @property
    def frozen(self):
        """Whether `freeze` was called."""
        return self._frozen

    def freeze(self):
        """Refuse changes from here on."""
        self.__dict__["_frozen"] = True

    def unfreeze(self):
        """Allow changes again."""
        self.__dict__["_frozen"] = False

    def _changeable(self):
        if self._frozen:
            raise ValueError("Cannot mutate attribute(s) because the config is frozen.")
        return self._values

    def as_dict(self):
        """Return the values as a new dictionary."""
        return dict(self._values)

    def to_json(self):
        """Return the values as a JSON string."""
        import json

        return json.dumps(self._values)

    def keys(self):
        return self._values.keys()

    def values(self):
        return self._values.values()

    def items(self):
        return self._values.items()

    def get(self, keyname, value=None):
        """Return the value of a name, or `value` if there is none."""
        return self._values.get(keyname, value)

    def pop(self, *args):
        """Take a value out, as `dict.pop` does."""
        return self._changeable().pop(*args)

    def update(self, *args, **kwargs):
        """Take in other values, as `dict.update` does."""
        self._changeable().update(*args, **kwargs)

    def __getattr__(self, name):
        if name.startswith("__") or name not in self.__dict__.get("_values", ()):
            raise AttributeError(f"Unknown attribute: {name!r}. Known ones: {list(self.__dict__.get('_values', ()))}")
        return self._values[name]

    def __setattr__(self, name, value):
        self._changeable()[name] = value

    def __delattr__(self, name):
        del self._changeable()[name]

    __setitem__, __delitem__ = __setattr__, __delattr__

    def __getitem__(self, name):
        return self._values[name]

    def __contains__(self, name):
        return name in self._values

    def __iter__(self):
        return iter(self._values)

    def __len__(self):
        return len(self._values)

    def __repr__(self):
        return f"<Config {self._values}>"
