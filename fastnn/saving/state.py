"""Where in a file the values of a model lie: a path for each layer, as Keras names them.

The layers of a model are at "layers/dense", "layers/dense_1", ... after their classes; a layer or a list of layers that
is an attribute of another is at that attribute's name. What an optimizer remembers is at "optimizer". At each path lie
numbered arrays.
"""

import functools
import warnings

import numpy as np

from fastnn._naming import to_snake_case
from fastnn.saving.saveable import Saveable

MASKS = "weights/masks"  # in native files; no layer can be at this path


def collect(root):
    """All values of a layer or model, and the names of its parts: two dictionaries by path."""
    values, names, seen = {}, {}, set()

    def visit(path, part):
        if id(part) in seen:
            return False
        seen.add(id(part))
        values[path], names[path] = {}, getattr(part, "name", None)
        part.save_own_variables(values[path])
        return True

    walk(root, "", visit)
    optimizer = _optimizer(root)
    if optimizer is not None:
        _in_order(optimizer, root)
        names["optimizer"] = optimizer.name
        values["optimizer"] = {str(i): np.asarray(each.numpy()) for i, each in enumerate(optimizer.variables)}
    return values, names


def restore(root, values, skip_mismatch=False):
    """Put values that `collect` found into a layer or model.

    Parameters
    ----------
    values : mapping of str to dict of str to ndarray
    skip_mismatch : bool, default False
        Leave layers as they are whose values do not fit, with a warning.

    Raises
    ------
    ValueError
        If values are missing or do not fit.
    """
    done, failed = set(), {}

    def visit(path, part):
        if id(part) in done:
            return False
        try:
            part.load_own_variables(values.get(path, {}))
        except (ValueError, KeyError) as error:
            failed[id(part)] = part, error
            return True
        done.add(id(part))
        failed.pop(id(part), None)  # it was at another path
        return True

    walk(root, "", visit)
    _restore_masks(root, values.get(MASKS, {}))
    restore_optimizer(root, values.get("optimizer"))
    if failed:
        layer, error = next(iter(failed.values()))
        message = (
            f"{len(failed)} of the layers could not be loaded: {', '.join(part.name for part, _ in failed.values())}. "
            f"The first, {layer.name!r}: {error}"
        )
        if not skip_mismatch:
            raise ValueError(message)
        warnings.warn(message, stacklevel=4)


def masks(root):
    """Which values are held at zero by pruning: arrays of 0 and 1, by the number of the weight."""
    weights = enumerate(root.weights)
    return {str(i): (each.mask.numpy() > 0).astype(np.uint8) for i, each in weights if each.mask is not None}


def _restore_masks(root, saved):
    from fastnn.pruning import hold

    weights = root.weights
    for number, mask in saved.items():
        variable = weights[int(number)] if number.isdecimal() and int(number) < len(weights) else None
        if variable is not None and variable.shape == mask.shape:  # else another architecture's, as weights may be
            hold(variable, mask != 0)


def _optimizer(root):
    return root.optimizer if getattr(root, "compiled", False) else None


def _in_order(optimizer, root):
    """Keras keeps an optimizer's memory in the order of the trainable weights; here it grew in that of the graph."""
    state = optimizer.state
    ordered = {each: state.pop(each) for each in [*root.trainable_weights, *root.weights] if each in state}
    state.update(ordered)


def restore_optimizer(root, saved):
    """Put the optimizer's part of the values into the optimizer of a compiled model; warn if they do not fit."""
    optimizer = _optimizer(root)
    if optimizer is None or not saved or not root.built:
        return
    if len(saved) > 2 or len(optimizer.variables) != len(saved):  # two: it was saved before its first step
        root._settle_variables(root.graph)
        optimizer.prepare(root.trainable_weights)
        _in_order(optimizer, root)
    variables = optimizer.variables
    fits = len(saved) == len(variables) and all(
        str(i) in saved and tuple(saved[str(i)].shape) == tuple(each.shape) for i, each in enumerate(variables)
    )
    if not fits:
        warnings.warn(
            f"The state of optimizer {optimizer.name!r} was not loaded: the file has {len(saved)} variables for it, "
            f"which are not its {len(variables)}. Training goes on as with a new optimizer.",
            stacklevel=5,
        )
        return
    for i, variable in enumerate(variables):
        value = saved[str(i)]
        # The configuration has the learning rate in full, the file in float32 only.
        if value.shape != () or np.float32(variable.numpy()) != np.float32(value):
            variable.assign(value)


def _model_class():
    from fastnn.models import Model

    return Model


@functools.cache
def _machinery():
    """Attributes of layers and models that are not the user's."""
    return frozenset(vars(_model_class()(name="model")))


def walk(part, path, visit):
    """Call `visit(path, part)` for a layer and all inside it; it returns whether to go on inside."""
    if not visit(path, part):
        return
    own = {name: value for name, value in vars(part).items() if name not in _machinery()}
    if isinstance(part, _model_class()):
        own["layers"] = part.layers
    stacked = getattr(part, "_layers_first", False)
    for name in sorted(own, key=lambda name: (name != "layers" or not stacked, name.startswith("_"), name)):
        _walk_value(own[name], f"{path}/{name}" if path else name, visit)


def _walk_value(value, path, visit):
    if isinstance(value, Saveable):
        walk(value, path, visit)
    elif isinstance(value, (list, tuple, dict)):
        used = {}
        for each in value.values() if isinstance(value, dict) else value:
            if isinstance(each, Saveable):
                name = to_snake_case(type(each).__name__)
            elif isinstance(each, (list, tuple, dict)):
                name = "container"
            else:
                continue
            count = used.get(name, 0)
            used[name] = count + 1
            _walk_value(each, f"{path}/{name}_{count}" if count else f"{path}/{name}", visit)
