"""Models anew: copies with weights of their own."""

from fastnn import _tree
from fastnn.layers.inputs import input_like
from fastnn.models.functional import Functional
from fastnn.models.sequential import Sequential
from fastnn.saving.registration import CustomObjectScope
from fastnn.saving.serialization import collecting_own


def clone_model(model, input_tensors=None, clone_function=None, call_function=None, recursive=False):
    """A model of new layers like the given one's, with new weights.

    Parameters
    ----------
    model : Sequential, functional model, or one of a class with `get_config`
    input_tensors : Tensor or structure of some, optional
        What the new model starts from; new inputs by default.
    clone_function : callable (layer), optional
        Makes the layer that takes a layer's place. By default ``type(layer).from_config(layer.get_config())``.
    call_function : callable (layer, *args, **kwargs), optional
        What is done instead of calling a layer, in functional models.
    recursive : bool, default False
        Clone models inside the model with the same functions, too.

    Returns
    -------
    Model
        Not compiled.

    Raises
    ------
    ValueError
        For functions or inputs where they cannot be used.
    """
    if not isinstance(model, (Sequential, Functional)):
        if clone_function is not None or input_tensors is not None or call_function is not None:
            raise ValueError(
                "Arguments `clone_function`, `call_function` and `input_tensors` are only supported for Sequential and "
                f"functional models. Received a model of type {type(model).__name__}."
            )
        return type(model).from_config(model.get_config())
    made = {}

    def clone(layer):
        if layer not in made:
            if recursive and isinstance(layer, (Sequential, Functional)):
                made[layer] = clone_model(layer, None, clone_function, call_function, True)
            elif clone_function is not None:
                made[layer] = clone_function(layer)
            else:
                with collecting_own() as own:  # functions without a registered name are known here all the same
                    config = layer.get_config()
                with CustomObjectScope(own):
                    made[layer] = type(layer).from_config(config)
        return made[layer]

    if isinstance(model, Sequential):
        if call_function is not None:
            raise ValueError("`call_function` is not supported with Sequential models: their layers are merely listed.")
        inputs = _tree.flatten(input_tensors) if input_tensors is not None else _new_inputs(model)
        if len(inputs) > 1:
            raise ValueError(f"A Sequential model has one input. Received: input_tensors={input_tensors}")
        copy = Sequential([*inputs, *(clone(layer) for layer in model.layers)], name=model.name)
    else:
        inputs = input_tensors if input_tensors is not None else _tree.pack(model.input, _new_inputs(model))

        def call(layer, *args, **kwargs):
            return (call_function or _called)(clone(layer), *args, **kwargs)

        outputs = model._network.apply(_tree.flatten(inputs), call=call)
        copy = type(model)(inputs, outputs, name=model.name)
    copy._trainable = model.trainable
    return copy


def _called(layer, *args, **kwargs):
    return layer(*args, **kwargs)


def _new_inputs(model):
    """Inputs like the model's; none if it has no known ones."""
    if model._network is None:
        return []
    return [input_like(each, each.name) for each in model.inputs]
