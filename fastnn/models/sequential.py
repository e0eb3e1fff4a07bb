"""A stack of layers."""

from fastnn.graph import Tensor
from fastnn.layers.base import Layer
from fastnn.layers.inputs import InputLayer, input_like
from fastnn.models.model import Model
from fastnn.models.network import Network
from fastnn.operations import calling, inside_call
from fastnn.saving.serialization import deserialize_keras_object, serialize_keras_object
from fastnn.variables import Variable


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

    _kind = "Sequential model"
    _advice = "Start it with fastnn.Input(shape), call model.build((None, features)), or call it on data first."
    _is_traced = False
    _can_be_locked = False
    _layers_first = True  # in files, before attributes of a subclass

    def __init__(self, layers=None, trainable=True, name=None):
        super().__init__(name=name, trainable=trainable)
        self._tensors = []  # the symbolic input, and the output of each layer; empty while the input is unknown
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
            layer = layer.call.layer
        if not isinstance(layer, Layer):
            raise TypeError(
                "Only instances of `fastnn.layers.Layer` can be added to a Sequential model. "
                f"Received: {layer!r} of type {type(layer).__name__}"
            )
        if isinstance(layer, Layer) and self in layer._all_layers():
            raise ValueError(f"Sequential model {self.name!r} cannot be a layer of itself.")
        if isinstance(layer, InputLayer):
            if self._tensors or self._sublayers:
                raise ValueError(
                    f"Sequential model {self.name!r} has an input already; {layer.name!r} cannot be added."
                )
            self._tensors = [layer.output]
            return
        if any(each.name == layer.name for each in self._sublayers):
            raise ValueError(
                f"All layers added to a Sequential model should have unique names. Name {layer.name!r} is already the "
                "name of a layer in this model."
            )
        if not self._tensors and not self._sublayers:
            if layer.first_input_shape is not None:
                self._tensors = [InputLayer(layer.first_input_shape).output]
            elif isinstance(layer, Model) and layer._network is not None and len(layer.inputs) == 1:
                self._tensors = [input_like(layer.inputs[0])]
        if self._tensors:
            self._tensors.append(self._stacked(layer, self._tensors[-1]))
            self.built = True
        self._sublayers.append(layer)
        self._changed()

    def _stacked(self, layer, tensor):
        with calling(self), inside_call(False):  # in Keras, too, layers of a stack remember that they were called
            return layer(tensor)

    def pop(self, rebuild=True):
        """Remove and return the last layer. `rebuild` is accepted for compatibility.

        Raises
        ------
        ValueError
            If there is none.
        """
        if not self._sublayers:
            raise ValueError("There are no layers in the model to remove.")
        layer = self._sublayers.pop()
        self._tensors = self._tensors[: 1 + len(self._sublayers)]
        self.built = bool(self._sublayers) and bool(self._tensors)
        self._changed()
        return layer

    def _changed(self):
        known = self._tensors and self._sublayers
        self._network = Network(self._tensors[0], self._tensors[-1]) if known else None
        self._reset_programs()

    def _traced_again(self):
        network = self._network.traced_again()
        if network is not self._network:
            self._tensors = [network.inputs, *(step.outputs for step in network.steps if step.args)]
        return network

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
        if not self._tensors:
            if not isinstance(input_shape, (tuple, list)):
                raise ValueError(
                    f"Sequential model {self.name!r} must be told the shape of its input, batch axis included: "
                    f"model.build((None, features)). Received: input_shape={input_shape!r}"
                )
            tensors = [InputLayer(input_shape[1:]).output]
            for layer in self._sublayers:
                tensors.append(self._stacked(layer, tensors[-1]))
            self._tensors = tensors
            self._changed()

    def _build_again(self, input_shape=None):
        same = isinstance(input_shape, (tuple, list)) and tuple(input_shape)[1:] == self.input_shape[1:]
        if input_shape is not None and not same:
            raise ValueError(
                f"Sequential model {self.name!r} has already been configured to use input shape {self.input_shape}. "
                f"You cannot build it with input_shape {input_shape}: make another model for it."
            )

    # ---- attributes --------------------------------------------------------------------------------------------------

    def _adopt(self, parts):
        super()._adopt(_variables(parts))  # its layers are those that were added, as in Keras, and no attributes

    def _abandon(self, parts):
        super()._abandon(_variables(parts))

    # ---- configuration -----------------------------------------------------------------------------------------------

    def get_config(self):
        config = {**super().get_config(), "layers": [serialize_keras_object(layer) for layer in self._sublayers]}
        if self._tensors:
            config["layers"].insert(0, serialize_keras_object(self._tensors[0].call.layer))
            config["build_input_shape"] = self._tensors[0].shape
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
        if shape and not model._tensors and model._sublayers:
            model.build(tuple(shape))
        model._trainable = config.get("trainable", True)
        return model

    def get_build_config(self):
        return {"input_shape": self._tensors[0].shape} if self._tensors else None

    # ---- calling -----------------------------------------------------------------------------------------------------

    def call(self, inputs, training=None):
        for layer in self._sublayers:
            inputs = layer(inputs, training=training)
        return inputs


def _variables(parts):
    return [each for each in parts if isinstance(each, Variable)]
