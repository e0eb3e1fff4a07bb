"""Small helpers around a training run."""

import os
import sys

from fastnn import _random
from fastnn.backend import clear_session, is_keras_tensor, standardize_dtype
from fastnn.config import disable_interactive_logging, enable_interactive_logging, is_interactive_logging_enabled
from fastnn.saving import (
    CustomObjectScope,
    custom_object_scope,
    deserialize_keras_object,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
    serialize_keras_object,
)
from fastnn.training.pydataset import PyDataset
from fastnn.utils.arrays import (
    normalize,
    pack_x_y_sample_weight,
    split_dataset,
    to_categorical,
    unpack_x_y_sample_weight,
)
from fastnn.utils.config import Config
from fastnn.utils.files import get_file
from fastnn.utils.progbar import Progbar

Sequence = PyDataset  # the older name

__all__ = [
    "Config",
    "CustomObjectScope",
    "FeatureSpace",
    "Progbar",
    "PyDataset",
    "Sequence",
    "clear_session",
    "custom_object_scope",
    "deserialize_keras_object",
    "disable_interactive_logging",
    "enable_interactive_logging",
    "get_custom_objects",
    "get_file",
    "get_registered_name",
    "get_registered_object",
    "get_source_inputs",
    "is_interactive_logging_enabled",
    "is_keras_tensor",
    "model_to_dot",
    "normalize",
    "pack_x_y_sample_weight",
    "plot_model",
    "register_keras_serializable",
    "serialize_keras_object",
    "set_random_seed",
    "split_dataset",
    "standardize_dtype",
    "to_categorical",
    "unpack_x_y_sample_weight",
]


def __getattr__(name):
    if name == "FeatureSpace":  # which is a model: whoever wants something else here shall not wait for it
        from fastnn.utils.feature_space import FeatureSpace

        return FeatureSpace
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name, obj=sys.modules[__name__])


def __dir__():
    return sorted({*globals(), *__all__})


def get_source_inputs(tensor):
    """Return the inputs that a symbolic tensor is computed from, as a list.

    Parameters
    ----------
    tensor : Tensor
    """
    found, stack, seen = {}, [tensor], set()
    while stack:
        each = stack.pop()
        if each in seen:
            continue
        seen.add(each)
        if each.node is None:
            found[each] = None
        else:
            stack.extend(reversed(each.node.inputs))
    return list(found)


def set_random_seed(seed):
    """Seed everything that draws random numbers: Python's `random`, NumPy and fastnn.

    A program that calls this first computes the same bits every time it runs, on any number of
    threads.

    Parameters
    ----------
    seed : int
        In [0, 2**32), which is what `numpy.random.seed` takes.

    Raises
    ------
    ValueError
        If `seed` is no integer or out of range.
    """
    import random

    import numpy

    if not isinstance(seed, int):
        raise ValueError(f"Expected `seed` argument to be an integer. Received: seed={seed} (of type {type(seed)})")
    # The user's own code may draw from NumPy's global generator; fastnn does not.
    numpy.random.seed(seed)  # noqa: NPY002
    random.seed(seed)
    _random.set_seed(seed)


def plot_model(
    model,
    to_file="model.png",
    show_shapes=False,
    show_dtype=False,
    show_layer_names=False,
    rankdir="TB",
    expand_nested=False,
    dpi=200,
    show_layer_activations=False,
    show_trainable=False,
    splines="ortho",
    layer_range=None,
):
    """Draw a model: its layers as boxes, and arrows where tensors go. Needs matplotlib: ``pip install 'fastnn[plot]'``.

    Parameters
    ----------
    model : Model
        A built one. Of a subclass only the operations inside its `call` are known; they are what is drawn.
    to_file : str or path, default "model.png"
        Its suffix chooses the format: png, pdf, svg. With the suffix ".dot" its text in Graphviz's language is
        written instead, as `model_to_dot` has it, which needs pydot rather than matplotlib.
    show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable : bool, default False
    rankdir : {"TB", "BT", "LR", "RL"}
        Where the inputs and the outputs are: "TB" is from top to bottom.
    expand_nested : bool, default False
        Draw the layers of models inside the model, each of these in a frame.
    dpi : int, default 200
    splines : str, default "ortho"
        Accepted for compatibility: Graphviz, whose setting it is, does not draw here.
    layer_range : None
        As in Keras, no longer a choice.

    Returns
    -------
    matplotlib.figure.Figure
        Notebooks show it. None for a ".dot" file.

    Raises
    ------
    ValueError
        If the model is not built, `rankdir` is unknown, or a `layer_range` is given.
    ImportError
        If matplotlib is not installed.
    """
    _check_picture(rankdir, layer_range)
    if to_file is not None and os.path.splitext(to_file)[1] == ".dot":
        graph = model_to_dot(
            model, show_shapes, show_dtype, show_layer_names, rankdir, expand_nested, dpi, False,
            show_layer_activations, show_trainable, splines,
        )  # fmt: skip
        with open(to_file, "w", encoding="utf-8") as file:
            file.write(graph.to_string())
        return None
    try:
        from fastnn.models.plot import draw

        figure = draw(
            model, show_shapes, show_dtype, show_layer_names, rankdir, expand_nested, show_layer_activations,
            show_trainable,
        )  # fmt: skip
    except ModuleNotFoundError as error:
        raise ImportError(f"plot_model draws with matplotlib: pip install 'fastnn[plot]'. ({error})") from error
    if to_file is not None:
        figure.savefig(to_file, dpi=dpi)
    return figure


def model_to_dot(
    model,
    show_shapes=False,
    show_dtype=False,
    show_layer_names=True,
    rankdir="TB",
    expand_nested=False,
    dpi=200,
    subgraph=False,
    show_layer_activations=False,
    show_trainable=False,
    splines="ortho",
    layer_range=None,
):
    """Describe the picture of a model in Graphviz's language. Needs pydot; `plot_model` draws without.

    Parameters
    ----------
    model, show_shapes, show_dtype, show_layer_names, rankdir, expand_nested, show_layer_activations, show_trainable
        As of `plot_model`.
    dpi : int, default 200
    subgraph : bool, default False
        Return a cluster, to be put into another graph.
    splines : str, default "ortho"
        How Graphviz draws edges.
    layer_range : None
        As in Keras, no longer a choice.

    Returns
    -------
    pydot.Dot or pydot.Cluster
        ``str(graph)`` is its text; what draws it is the program ``dot``.

    Raises
    ------
    ValueError
        If the model is not built, `rankdir` is unknown, or a `layer_range` is given.
    ImportError
        If pydot is not installed.
    """
    _check_picture(rankdir, layer_range)
    from fastnn.models.plot import dot

    try:
        return dot(
            model, rankdir, expand_nested, dpi, subgraph, splines, show_shapes, show_dtype, show_layer_names,
            show_layer_activations, show_trainable,
        )  # fmt: skip
    except ModuleNotFoundError as error:
        raise ImportError(f"model_to_dot needs pydot: pip install pydot. ({error})") from error


def _check_picture(rankdir, layer_range):
    if rankdir not in ("TB", "BT", "LR", "RL"):
        raise ValueError(f"`rankdir` must be 'TB', 'BT', 'LR' or 'RL'. Received: rankdir={rankdir!r}")
    if layer_range is not None:
        raise ValueError(
            "A picture is drawn of a whole model. For some of its layers, draw Model(tensor_before, tensor_after); "
            f"model.summary(layer_range=...) lists some. Received: layer_range={layer_range!r}"
        )
