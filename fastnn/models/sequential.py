"""A stack of layers."""

from fastnn.graph import Graph, Tensor
from fastnn.layers.base import Layer
from fastnn.layers.core import InputLayer
from fastnn.models.model import Model
from fastnn.operations import calling
from fastnn.saving.serialization import deserialize_keras_object, serialize_keras_object


class Sequential(Model):
    """A stack of layers, each fed with the output of the one before.

    Parameters
    ----------
    layers : list of Layer, optional
        The first may be an `Input` (or have `input_shape=`), which builds the variables at once; without, they are
        built when the first data comes.
    trainable : bool, default True
    name : str, optional

    Examples
    --------
    >>> import fastnn
    >>> from fastnn import layers
    >>> model = fastnn.Sequential([fastnn.Input((8,)), layers.Dense(4, activation="relu"), layers.Dense(1)])
    >>> model.output_shape
    (None, 1)
    """

    _layers_first = True  # in files, before attributes of a subclass

    def __init__(self, layers=None, trainable=True, name=None):
        super().__init__(trainable=trainable, name=name)
        self._input = None  # symbolic input and output of the stack so far
        self._output = None
        self._graph = None
        for layer in layers or ():
            self.add(layer)

    def add(self, layer):
        """Put a layer on top.

        Raises
        ------
        TypeError
            If it is no layer.
        ValueError
            If the model has a layer of this name, or an input comes after the first layer.
        """
        if isinstance(layer, Tensor):
            if layer.node is not None:
                raise ValueError("Sequential takes layers and an Input, not the output of a layer.")
            layer = InputLayer(layer.shape[1:], name=layer.name)
        if not isinstance(layer, Layer):
            raise TypeError(
                "Only instances of `fastnn.layers.Layer` can be added to a Sequential model. "
                f"Received: {layer!r} of type {type(layer).__name__}"
            )
        if isinstance(layer, Layer) and self in layer._all_layers():
            raise ValueError(f"Sequential model {self.name!r} cannot be a layer of itself.")
        if isinstance(layer, InputLayer):
            if self._input is not None or self._sublayers:
                raise ValueError(
                    f"Sequential model {self.name!r} has an input already; {layer.name!r} cannot be added."
                )
            self._input = self._output = layer.output
            return
        if any(each.name == layer.name for each in self._sublayers):
            raise ValueError(
                f"All layers added to a Sequential model should have unique names. Name {layer.name!r} is already the "
                "name of a layer in this model."
            )
        if self._input is None and not self._sublayers and layer.first_input_shape is not None:
            self._input = self._output = InputLayer(layer.first_input_shape).output
        if self._output is not None:
            with calling(self):
                self._output = layer(self._output)
            self.built = True
        self._sublayers.append(layer)
        self._changed()

    def pop(self):
        """Remove and return the last layer."""
        if not self._sublayers:
            raise ValueError("There are no layers in the model to remove.")
        layer = self._sublayers.pop()
        if self._input is not None:
            self._output = self._input
            for each in self._sublayers:
                self._output = each(self._output)
        self.built = bool(self._sublayers) and self._input is not None
        self._changed()
        return layer

    def _changed(self):
        self._graph = None
        self._reset_programs()

    def build(self, input_shape=None):
        """Build the variables for inputs of this shape, which includes the batch axis.

        Raises
        ------
        ValueError
            If the model has no layers, if neither this argument nor an `Input` says the shape, or if the model is built
            for another one.
        """
        if not self._sublayers:
            raise ValueError(f"Sequential model {self.name!r} has no layers. Add some with model.add(layer).")
        if self._input is None:
            if not isinstance(input_shape, (tuple, list)):
                raise ValueError(
                    f"Sequential model {self.name!r} must be told the shape of its input, batch axis included: "
                    f"model.build((None, features)). Received: input_shape={input_shape!r}"
                )
            output = first = InputLayer(input_shape[1:]).output
            for layer in self._sublayers:
                output = layer(output)
            self._input, self._output = first, output

    def _build_again(self, input_shape=None):
        same = isinstance(input_shape, (tuple, list)) and tuple(input_shape)[1:] == self.input_shape[1:]
        if input_shape is not None and not same:
            raise ValueError(
                f"Sequential model {self.name!r} has already been configured to use input shape {self.input_shape}. "
                f"You cannot build it with input_shape {input_shape}: make another model for it."
            )

    # ---- configuration -----------------------------------------------------------------------------------------------

    def get_config(self):
        config = {**super().get_config(), "layers": [serialize_keras_object(layer) for layer in self._sublayers]}
        if self._input is not None:
            first = InputLayer(self._input.shape[1:], dtype=self._input.dtype, name=self._input.name)
            config["layers"].insert(0, serialize_keras_object(first))
            config["build_input_shape"] = self._input.shape
        return config

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Make a model from what `get_config` returned, with new weights."""
        if "layers" not in config:
            raise ValueError(
                f"A configuration of a Sequential model has the keys 'name' and 'layers'. Received: {config!r:.300}"
            )
        model = cls(name=config.get("name"))
        with calling(model):
            for layer in config["layers"]:
                model.add(deserialize_keras_object(layer, custom_objects))
        shape = config.get("build_input_shape")
        if shape and model._input is None and model._sublayers:
            model.build(tuple(shape))
        model._trainable = config.get("trainable", True)
        return model

    def get_build_config(self):
        return None if self._input is None else {"input_shape": self._input.shape}

    # ---- calling -----------------------------------------------------------------------------------------------------

    def call(self, inputs, training=None):
        for layer in self._sublayers:
            inputs = layer(inputs, training=training)
        return inputs

    @property
    def graph(self):
        if self._graph is None:
            if self._output is None or not self._sublayers:
                raise ValueError(
                    f"Sequential model {self.name!r} is not built: it does not know the shape of its input. Start it "
                    "with fastnn.Input(shape), call model.build((None, features)), or call it on data first."
                )
            self._graph = Graph([self._input], [self._output])
        return self._graph
