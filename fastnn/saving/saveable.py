"""What a layer needs to be saved: its configuration, its build configuration, its variables."""

import contextlib
import inspect
import threading

from fastnn.saving.serialization import PLAIN_TYPES, serialize_keras_object

# How Keras writes the type of a layer's computation: a policy, of which there is one here.
FLOAT32_POLICY = {
    "module": "keras",
    "class_name": "DTypePolicy",
    "config": {"name": "float32"},
    "registered_name": None,
}

# Options of recent versions of Keras, at the values that mean "off". fastnn does not have them and does not write them,
# so what it writes also opens in a Keras that does not know them.
_ONLY_IN_KERAS = {
    "quantization_config": None,
    "renorm": False,
    "renorm_clipping": None,
    "renorm_momentum": 0.99,
}


def dtype_name(dtype):
    """The name of a type given as such, or as the configuration of one of Keras's policies."""
    if isinstance(dtype, dict) and isinstance(dtype.get("config"), dict):
        return dtype["config"].get("name")
    return dtype


class _Limit(threading.local):
    nbytes = None


_limit = _Limit()


@contextlib.contextmanager
def allocating_at_most(nbytes):
    """While this lasts, no variable may be larger: a small file must not ask for all of the machine's memory."""
    outer, _limit.nbytes = _limit.nbytes, nbytes
    try:
        yield
    finally:
        _limit.nbytes = outer


def check_allocation(values, name):
    """Refuse a variable of so many values that a file being loaded cannot have values for."""
    if _limit.nbytes is not None and 4 * values > _limit.nbytes:
        raise ValueError(f"variable {name!r} would have {values} values, far more than the file.")


class Saveable:
    """The part of `fastnn.layers.Layer` by which layers and models are saved. The names are Keras's."""

    def __new__(cls, *args, **kwargs):
        instance = super().__new__(cls)
        if cls.get_config is Saveable.get_config:  # what Keras saves of classes that do not say
            instance.__dict__["_arguments"] = _plain_arguments(cls, args, kwargs)
        return instance

    # ---- configuration -----------------------------------------------------------------------------------------------

    def get_config(self):
        """Return the arguments that make an equal layer, as JSON can hold them.

        A class whose ``__init__`` has arguments of its own overrides it: ``{**super().get_config(), "rate":
        self.rate}``. If all of them are plain numbers, strings and bools, that is not necessary.

        Raises
        ------
        NotImplementedError
            If a class does not override it and was given other arguments.
        """
        config = {"name": self.name, "trainable": self._trainable, "dtype": FLOAT32_POLICY}
        if type(self).get_config is not Saveable.get_config:
            if getattr(self, "activity_regularizer", None) is not None:
                config["activity_regularizer"] = serialize_keras_object(self.activity_regularizer)
            return config
        arguments = self.__dict__["_arguments"]
        if arguments is None:
            name = type(self).__name__
            raise NotImplementedError(
                f"{name} {self.name!r} was made with arguments that are not plain numbers, strings or bools, so "
                f"{name} must say how to make it again. Implement get_config():\n\n"
                "    def get_config(self):\n"
                '        return {**super().get_config(), "argument": self.argument}'
            )
        parameters = inspect.signature(type(self).__init__).parameters
        if not any(each.kind is each.VAR_KEYWORD for each in parameters.values()):
            config = {key: value for key, value in config.items() if key in parameters}
        return {**arguments, **config}

    @classmethod
    def from_config(cls, config):
        """Make a layer from what `get_config` returned."""
        for option, off in _ONLY_IN_KERAS.items():
            if option in config and config[option] != off:
                raise ValueError(f"{cls.__name__}: fastnn has no `{option}`. Received: {option}={config[option]!r}")
        config = {key: value for key, value in config.items() if key not in _ONLY_IN_KERAS}
        try:
            return cls(**config)
        except TypeError as error:
            raise TypeError(
                f"Class {cls.__name__} could not be made of its configuration: {error}. Arguments that are objects "
                f"(layers, functions) must be deserialized in {cls.__name__}.from_config(). "
                f"Configuration: {config!r:.500}"
            ) from error

    def get_build_config(self):
        """Return what `build_from_config` needs: the shape that the layer was built for. None if it was not."""
        shape = getattr(self, "_build_shape", None)
        return None if shape is None else {"input_shape": shape}

    def build_from_config(self, config):
        """Make the variables, for the shape that `get_build_config` told."""
        shape = config.get("input_shape")
        if shape is not None:
            self.build(_as_shape(shape))

    def __reduce__(self):
        """Pickled and copied as it is saved: as configuration and values, those of training included."""
        from fastnn.saving import native
        from fastnn.saving.serialization import collecting_own

        with collecting_own() as own:
            content = native.dump(self)
        return _unpickled, (content, own)

    # ---- variables ---------------------------------------------------------------------------------------------------

    def save_own_variables(self, store):
        """Put the layer's own variables, not those of layers inside it, into a dictionary: "0", "1", ..."""
        for number, variable in enumerate([*self._own_trainable, *self._own_non_trainable]):
            store[str(number)] = variable.numpy()

    def load_own_variables(self, store):
        """Take the values of the layer's own variables out of a dictionary.

        Raises
        ------
        ValueError
            If their number or a shape differs.
        """
        variables = [*self._own_trainable, *self._own_non_trainable]
        if len(store) != len(variables):
            unbuilt = "" if self.built else " It is not built: call the model on data, or build it, before loading."
            raise ValueError(
                f"Layer {self.name!r} has {len(variables)} variables ({', '.join(each.name for each in variables)}), "
                f"but the file has {len(store)} for it.{unbuilt}"
            )
        values = [store[str(number)] for number in range(len(variables))]
        for variable, value in zip(variables, values, strict=True):  # all or none
            if tuple(value.shape) != variable.shape:
                raise ValueError(
                    f"Layer {self.name!r}: {variable.name!r} has shape {variable.shape}, but in the file it has shape "
                    f"{tuple(value.shape)}."
                )
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)


def _unpickled(content, own):
    from fastnn.saving import native

    return native.load(content, own, source="The pickled object")


def _as_shape(shape):
    """Lists out of a JSON file as the tuples that they were."""
    if isinstance(shape, (list, tuple)) and shape and isinstance(shape[0], (list, tuple)):
        return [_as_shape(each) for each in shape]
    return tuple(shape)


def _plain_arguments(cls, args, kwargs):
    """The arguments of a constructor by name, its defaults too; None if they cannot be given again out of a file."""
    signature = inspect.signature(cls.__init__)
    try:
        bound = signature.bind(None, *args, **kwargs)
    except TypeError:
        return None  # __init__ itself will raise it
    bound.apply_defaults()
    found = {}
    for parameter in list(signature.parameters.values())[1:]:
        value = bound.arguments[parameter.name]
        if parameter.kind is parameter.VAR_KEYWORD:
            found |= value
        elif parameter.kind is parameter.VAR_POSITIONAL or parameter.kind is parameter.POSITIONAL_ONLY:
            if value != ():
                return None
        else:
            found[parameter.name] = value
    return found if all(map(_is_plain, found.values())) else None


def _is_plain(value):
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_plain(each) for key, each in value.items())
    return value is None or isinstance(value, PLAIN_TYPES)
