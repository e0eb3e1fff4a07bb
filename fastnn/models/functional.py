"""Functional models as configurations, in the format of Keras 3."""

from fastnn import _tree
from fastnn.graph import Tensor
from fastnn.models.model import Model
from fastnn.models.network import maker, name_of
from fastnn.saving.serialization import deserialize_keras_object, serialize_keras_object


class Functional(Model):
    """What ``Model(inputs, outputs)`` makes; see `Model`."""

    def get_config(self):
        """The calls of layers that the model consists of.

        Raises
        ------
        TypeError
            If there are operations outside of layers.
        """
        network = self._network
        for owner in network.owners:
            if owner not in network.layers:
                raise TypeError(
                    f"Model {self.name!r} cannot be saved as a configuration: {name_of(owner)!r} is an operation on "
                    "tensors outside of any layer. Put it into a layer of your own."
                )
        layers = []
        for layer in network.layers:
            calls = [] if network.is_input_of(layer) else network.calls_of(layer)
            config = serialize_keras_object(layer)
            config["name"] = layer.name
            config["inbound_nodes"] = [self._call_config(call) for call in calls]
            layers.append(config)
        return {
            "name": self.name,
            "trainable": self.trainable,
            "layers": layers,
            "input_layers": _tree.map_structure(self._place, network.inputs),
            "output_layers": _tree.map_structure(self._place, network.outputs),
        }

    def _history(self, tensor):
        """Layer, number of its call in this model, and number of its output, that a tensor comes from."""
        call = maker(tensor)
        number = self._network.calls_of(call.layer).index(call)
        return [call.layer.name, number, _tree.flatten(call.outputs).index(tensor)]

    def _place(self, tensor):
        name, number, index = self._history(tensor)
        # Keras counts as the first call of a functional model the one that it was made of.
        return [name, number + isinstance(maker(tensor).layer, Functional), index]

    def _call_config(self, call):
        def described(value):
            if isinstance(value, Tensor):
                place = {"shape": list(value.shape), "dtype": value.dtype, "keras_history": self._history(value)}
                return {"class_name": "__keras_tensor__", "config": place}
            return serialize_keras_object(value)

        return {
            "args": [_tree.map_structure(described, each) for each in call.args],
            "kwargs": {key: _tree.map_structure(described, each) for key, each in call.kwargs.items()},
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Make a model from what `get_config` returned, here or in Keras, with new weights.

        Raises
        ------
        ValueError
            If the configuration is not that of a functional model.
        """
        missing = [key for key in ("layers", "input_layers", "output_layers") if key not in config]
        if missing:
            raise ValueError(f"A configuration of a functional model has {missing}. Received: {config!r:.300}")
        layers, waiting = {}, []
        for each in config["layers"]:
            layer = deserialize_keras_object(each, custom_objects)
            layers[each["name"]] = layer
            waiting += [(layer, call) for call in each["inbound_nodes"]]
        outputs = {layer: [] if waits else [layer.output] for layer, waits in _waits(layers, waiting).items()}
        while waiting:
            later, blocked = [], set()
            for layer, call in waiting:
                if layer in blocked or not _known(call, layers, outputs):
                    later.append((layer, call))
                    blocked.add(layer)  # calls keep their numbers
                    continue
                args, kwargs = _revived(call, layers, outputs)
                outputs[layer].append(layer(*args, **kwargs))
            if len(later) == len(waiting):
                raise ValueError(
                    f"The layers {sorted({layer.name for layer, _ in later})} wait for each other's outputs."
                )
            waiting = later

        def tensors(places):
            if isinstance(places, dict):
                return {key: tensors(each) for key, each in places.items()}
            if len(places) == 3 and isinstance(places[0], str):
                layer = layers[places[0]]
                number = places[1] - isinstance(layer, Functional)
                return _tree.flatten(outputs[layer][number])[places[2]]
            return [tensors(each) for each in places]

        model = cls(tensors(config["input_layers"]), tensors(config["output_layers"]), name=config.get("name"))
        if not config.get("trainable", True):
            model.trainable = False
        return model


def _waits(layers, waiting):
    """Whether each layer is called on something; those that are not are inputs."""
    called = {layer for layer, _ in waiting}
    return {layer: layer in called for layer in layers.values()}


def _places(value):
    """The tensors that a call refers to, as [layer, number of call, number of output]."""
    if isinstance(value, dict):
        if value.get("class_name") == "__keras_tensor__":
            return [value["config"]["keras_history"]]
        return [place for each in value.values() for place in _places(each)]
    if isinstance(value, (list, tuple)):
        return [place for each in value for place in _places(each)]
    return []


def _known(call, layers, outputs):
    for name, number, _ in _places([call["args"], call["kwargs"]]):
        if name not in layers:
            raise ValueError(f"The configuration refers to layer {name!r}, which is not in it.")
        if number >= len(outputs[layers[name]]):
            return False
    return True


def _revived(call, layers, outputs):
    def value(described):
        if isinstance(described, dict):
            if described.get("class_name") == "__keras_tensor__":
                name, number, index = described["config"]["keras_history"]
                return _tree.flatten(outputs[layers[name]][number])[index]
            if "class_name" in described:
                return deserialize_keras_object(described)
            return {key: value(each) for key, each in described.items()}
        return [value(each) for each in described] if isinstance(described, (list, tuple)) else described

    kwargs = {key: value(each) for key, each in call["kwargs"].items() if key != "mask" or each is not None}
    return [value(each) for each in call["args"]], kwargs
