"""What training makes small.

A loss compares predictions with targets over the last axis and gives one value for each row. In
training it is one operation of the compiled step; where its prediction comes from a softmax or
sigmoid, that operation computes the activation too, since together the two have the simple and
precise gradient ``prediction - target``. Called on arrays, a loss runs the same operation and
returns NumPy floats.
"""

from fastnn import _eager, _registry
from fastnn.losses.base import FunctionLoss, Loss
from fastnn.losses.compiled import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    MeanAbsoluteError,
    MeanSquaredError,
    SparseCategoricalCrossentropy,
)

__all__ = [
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "Loss",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "SparseCategoricalCrossentropy",
    "binary_crossentropy",
    "categorical_crossentropy",
    "deserialize",
    "get",
    "mean_absolute_error",
    "mean_squared_error",
    "resolve",
    "serialize",
    "sparse_categorical_crossentropy",
]


def mean_squared_error(y_true, y_pred):
    """Return the `MeanSquaredError` of each row."""
    return MeanSquaredError().call(y_true, y_pred)


def mean_absolute_error(y_true, y_pred):
    """Return the `MeanAbsoluteError` of each row."""
    return MeanAbsoluteError().call(y_true, y_pred)


def categorical_crossentropy(y_true, y_pred, from_logits=False, label_smoothing=0.0, axis=-1):
    """Return the `CategoricalCrossentropy` of each row."""
    return CategoricalCrossentropy(from_logits, label_smoothing, axis).call(y_true, y_pred)


def sparse_categorical_crossentropy(y_true, y_pred, from_logits=False, ignore_class=None, axis=-1):
    """Return the `SparseCategoricalCrossentropy` of each row."""
    loss = SparseCategoricalCrossentropy(from_logits, ignore_class, axis=axis)
    return loss.call(y_true, y_pred)


def binary_crossentropy(y_true, y_pred, from_logits=False, label_smoothing=0.0, axis=-1):
    """Return the `BinaryCrossentropy` of each row."""
    return BinaryCrossentropy(from_logits, label_smoothing, axis).call(y_true, y_pred)


_FUNCTIONS = {
    binary_crossentropy: BinaryCrossentropy,
    categorical_crossentropy: CategoricalCrossentropy,
    mean_absolute_error: MeanAbsoluteError,
    mean_squared_error: MeanSquaredError,
    sparse_categorical_crossentropy: SparseCategoricalCrossentropy,
}
COMPILED = ", ".join(cls.__name__ for cls in _FUNCTIONS.values())
_OBJECTS = {
    **{function.__name__: function for function in _FUNCTIONS},
    **{cls.__name__: cls for cls in _FUNCTIONS.values()},
    "bce": binary_crossentropy,
    "BCE": binary_crossentropy,
    "mae": mean_absolute_error,
    "MAE": mean_absolute_error,
    "mse": mean_squared_error,
    "MSE": mean_squared_error,
}


def serialize(loss):
    """Return a loss's configuration as a dictionary; of a function, its name."""
    return _registry.serialize(loss)


def deserialize(name):
    """Make a loss from its configuration."""
    return _registry.deserialize(name, _OBJECTS, "loss")


def get(identifier):
    """Return the loss that `identifier` means.

    Parameters
    ----------
    identifier : str, dict, class, callable, Loss or None
        "MeanSquaredError" gives an instance, "mean_squared_error" and "mse" the function.

    Raises
    ------
    ValueError
        If the identifier is unknown.
    """
    return _registry.get(identifier, _OBJECTS, "loss")


def resolve(identifier, target_kind=None, output_n=None):
    """Return the `Loss` that ``compile(loss=identifier)`` means; None stays None.

    Parameters
    ----------
    identifier : str, dict, class, function, Loss or None
    target_kind : {"labels", "values"}, optional
        What targets look like, and
    output_n : int, optional
        columns of the prediction: they choose among the kinds of "crossentropy" (or "ce").

    Raises
    ------
    ValueError
        If the identifier is unknown, or something that no compiled step can run.

    Notes
    -----
    A function of one's own, or a subclass with a `call` of its own, is traced: see `FunctionLoss`.
    """
    if str(identifier).lower() in ("crossentropy", "ce"):
        if output_n == 1:
            loss = binary_crossentropy
        elif target_kind is None:
            raise ValueError(
                f"loss={identifier!r} means different losses for different targets. Name one: "
                "'sparse_categorical_crossentropy' for labels, 'categorical_crossentropy' for "
                "one-hot rows, 'binary_crossentropy' for zeros and ones."
            )
        elif target_kind == "labels":
            loss = sparse_categorical_crossentropy
        else:
            loss = categorical_crossentropy
    else:
        loss = get(identifier)
    if loss is None:
        return None
    kind = "column" if target_kind == "labels" and output_n != 1 else "values"
    if isinstance(loss, Loss):
        if _eager.changed(loss, __call__="lower"):
            raise loss.not_compiled()
        if _eager.changed(loss, call="lower"):
            return FunctionLoss(loss.call, kind, loss.name, loss.reduction)
        return loss
    if loss in _FUNCTIONS:
        return _FUNCTIONS[loss](name=identifier if isinstance(identifier, str) else loss.__name__)
    return FunctionLoss(loss, kind)
