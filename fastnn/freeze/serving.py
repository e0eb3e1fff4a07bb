"""`predict` and `evaluate` of a predictor with the arguments that Keras's have."""

from contextlib import closing

import numpy as np

from fastnn import _tree
from fastnn.freeze.description import decode
from fastnn.saving.serialization import NotFound, collecting_own, deserialize_keras_object, serialize_keras_object
from fastnn.training import arguments, feeds
from fastnn.training.batches import Batches, refuse_beside, yields_batches
from fastnn.training.compiled import per_output

_TOLD = ("loss", "loss_weights", "metrics", "weighted_metrics")


def check_arguments(method, batch_size, verbose, callbacks, unknown):
    """Refuse what a predictor has no use for, and what is none of the values that Keras knows."""
    if unknown:
        from fastnn._suggestions import unknown_arguments  # only where something is wrong
        from fastnn.freeze import Predictor

        raise unknown_arguments(getattr(Predictor, method), unknown, " of a frozen network")
    if callbacks:
        raise ValueError(
            f"A frozen network answers all at once, so that there is nothing to call callbacks at: use "
            f"model.{method}(..., callbacks=...). Received: callbacks={callbacks!r}"
        )
    if isinstance(batch_size, (np.ndarray, memoryview, list, tuple, dict)):
        raise TypeError(
            f"The second argument of {method}() is Keras's `batch_size`. Several inputs are one argument, a list or a "
            f"dictionary: frozen.{method}([a, b]). Where to write goes by its name, frozen.{method}(x, out=y), or as "
            f"frozen(x, y). Received: batch_size of type {type(batch_size).__name__}"
        )
    if batch_size is not None:
        arguments.count(batch_size, "batch_size")
    if verbose not in ("auto", 0, 1, 2):
        raise ValueError(f"`verbose` must be 'auto', 0, 1 or 2. Received: verbose={verbose!r}")


def predict(frozen, x, batch_size, steps, out):
    """See `fastnn.freeze.Predictor.predict`."""
    batches = yields_batches(x)
    if not batches and steps is None:
        return frozen(x, out)
    if batches and out is not None:
        raise ValueError(f"`out` goes with arrays, whose length is known. Received: x of type {type(x).__name__}")
    feed = feeds.prediction(frozen, x, batch_size, None if steps is None else arguments.count(steps, "steps"))
    with closing(feed.parts(False)) as parts:
        answers = [frozen(_named(frozen, arrays), out) for arrays, _ in parts]
    if len(answers) == 1:
        return answers[0]
    joined = [np.concatenate(each) for each in zip(*map(_tree.flatten, answers), strict=True)]
    return _tree.pack(answers[0], joined)


def _named(frozen, arrays):
    return dict(zip(frozen.input_names, arrays, strict=True))


# ---- evaluate --------------------------------------------------------------------------------------------------------


def compiled_with(model):
    """What a model was compiled with, as JSON holds it, and the classes and functions of the user's own in it by name.

    Returns
    -------
    config : dict or None
        None if it was not compiled; {"why": text} if that cannot be told.
    own : dict
    """
    if not model.compiled:
        return None, {}
    with collecting_own() as own:
        try:
            return serialize_keras_object({name: getattr(model._told, name) for name in _TOLD}), own
        except (TypeError, ValueError) as error:  # a lambda, or an object without get_config
            return {"why": str(error)}, own


def evaluate(frozen, x, y, batch_size, verbose, sample_weight, steps, return_dict, loss, metrics):
    """See `fastnn.freeze.Predictor.evaluate`."""
    told = _told(frozen, loss, metrics)
    if yields_batches(x):
        refuse_beside(x, y=y, sample_weight=sample_weight)
        batches = Batches(x, steps)
        x, y = ((frozen(each), *others) for each, *others in batches.epoch()), None
        known = batches.first()[1]
    else:
        x, known = frozen(_named(frozen, frozen._checked_inputs(x)[0])), y
    model = _identity(frozen)
    names = model._heads_names()
    if told["loss"] is None:
        targets = known if isinstance(known, (dict, list, tuple)) and len(names) > 1 else [known]
        targets = per_output(targets, names, len(names), "y")
        found = [_by_head(*each) for each in zip(frozen.heads, targets, frozen.output_sample_shapes, strict=True)]
        told["loss"] = [each for each, _ in found]
        if told["metrics"] is None:
            told["metrics"] = [each for _, each in found]
    model.compile(**told)
    return model.evaluate(x, y, batch_size, verbose, sample_weight, steps, return_dict=return_dict)


def _told(frozen, loss, metrics):
    """The arguments of `compile`."""
    told = dict.fromkeys(_TOLD)
    stored = frozen._description.get("compiled")
    if loss is not None and metrics is not None or stored is None:
        return {**told, "loss": loss, "metrics": metrics}
    try:
        if "why" in stored:
            raise ValueError(stored["why"])
        told.update({name: deserialize_keras_object(stored[name], frozen._own) for name in _TOLD})
    except NotFound as error:
        raise ValueError(
            f"{frozen.name!r} has of its model's loss and metrics the names, and {error.what} is not known here. Pass "
            "them, evaluate(x, y, loss=..., metrics=[...]), or register it with "
            "@fastnn.saving.register_keras_serializable() where it is defined, and import that first."
        ) from error
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        raise ValueError(
            f"{frozen.name!r} does not have the loss and metrics that its model was compiled with. Pass them, "
            f"evaluate(x, y, loss=..., metrics=[...]). {error}"
        ) from error
    if loss is not None:
        told.update(loss=loss, loss_weights=None)
    if metrics is not None:
        told.update(metrics=metrics, weighted_metrics=None)
    return told


def _identity(frozen):
    """A model of the same outputs that passes on what it is given: its losses and metrics are those of predictions."""
    from fastnn import layers
    from fastnn.models import Model

    shapes = frozen.output_sample_shapes
    names = frozen._description.get("output_names") or [None] * len(shapes)
    given = [layers.Input(shape, name=f"prediction_{number}") for number, shape in enumerate(shapes)]
    passed, made = [], {}
    for name, each in zip(names, given, strict=True):  # an output that is there twice has one name
        layer = made.setdefault(name or len(made), layers.Identity(name=name))
        passed.append(layer(each))
    structure = decode(frozen._description["outputs"])
    return Model(_tree.pack(structure, given), _tree.map_structure(passed.__getitem__, structure))


def _by_head(head, target, shape):
    """The loss, and the metrics, of an output that nobody has told any."""
    if head == "softmax":
        one_hot = target is not None and np.shape(target)[1:] == tuple(shape)
        return ("categorical_crossentropy" if one_hot else "sparse_categorical_crossentropy"), ["accuracy"]
    return ("binary_crossentropy", ["accuracy"]) if head == "sigmoid" else ("mean_squared_error", [])
