"""Models: layers that know their whole graph and can be trained."""

from fastnn.models.cloning import clone_model
from fastnn.models.functional import Functional
from fastnn.models.model import Model
from fastnn.models.sequential import Sequential

__all__ = ["Functional", "Model", "Sequential", "clone_model", "model_from_json"]


def model_from_json(json_string, custom_objects=None):
    """Make a model, with new weights, from what `Model.to_json` returned, here or in Keras.

    Parameters
    ----------
    json_string : str
    custom_objects : dict of str to class or function, optional
        What names mean that this library does not know.

    Raises
    ------
    ValueError, TypeError
        If the string is no JSON, or describes nothing that is known.
    """
    import json

    from fastnn.saving.serialization import deserialize_keras_object

    return deserialize_keras_object(json.loads(json_string), custom_objects)
