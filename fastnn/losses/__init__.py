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
from fastnn.losses.distances import (
    CategoricalHinge,
    CosineSimilarity,
    Hinge,
    Huber,
    KLDivergence,
    LogCosh,
    MeanAbsolutePercentageError,
    MeanSquaredLogarithmicError,
    Poisson,
    SquaredHinge,
)
from fastnn.losses.focal import (
    BinaryFocalCrossentropy,
    CategoricalFocalCrossentropy,
    CategoricalGeneralizedCrossEntropy,
)
from fastnn.losses.overlap import Dice, Tversky
from fastnn.losses.pairs import Circle, beside_references


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


def mean_absolute_percentage_error(y_true, y_pred):
    """Return the `MeanAbsolutePercentageError` of each row."""
    return MeanAbsolutePercentageError().call(y_true, y_pred)


def mean_squared_logarithmic_error(y_true, y_pred):
    """Return the `MeanSquaredLogarithmicError` of each row."""
    return MeanSquaredLogarithmicError().call(y_true, y_pred)


def log_cosh(y_true, y_pred):
    """Return the `LogCosh` of each row."""
    return LogCosh().call(y_true, y_pred)


def poisson(y_true, y_pred):
    """Return the `Poisson` of each row."""
    return Poisson().call(y_true, y_pred)


def kl_divergence(y_true, y_pred):
    """Return the `KLDivergence` of each row."""
    return KLDivergence().call(y_true, y_pred)


def hinge(y_true, y_pred):
    """Return the `Hinge` of each row."""
    return Hinge().call(y_true, y_pred)


def squared_hinge(y_true, y_pred):
    """Return the `SquaredHinge` of each row."""
    return SquaredHinge().call(y_true, y_pred)


def categorical_hinge(y_true, y_pred):
    """Return the `CategoricalHinge` of each row."""
    return CategoricalHinge().call(y_true, y_pred)


def cosine_similarity(y_true, y_pred, axis=-1):
    """Return the `CosineSimilarity` of each row."""
    return CosineSimilarity(axis).call(y_true, y_pred)


def huber(y_true, y_pred, delta=1.0):
    """Return the `Huber` loss of each row."""
    return Huber(delta).call(y_true, y_pred)


def binary_focal_crossentropy(
    y_true,
    y_pred,
    apply_class_balancing=False,
    alpha=0.25,
    gamma=2.0,
    from_logits=False,
    label_smoothing=0.0,
    axis=-1,
):
    """Return the `BinaryFocalCrossentropy` of each row."""
    loss = BinaryFocalCrossentropy(apply_class_balancing, alpha, gamma, from_logits, label_smoothing, axis)
    return loss.call(y_true, y_pred)


def categorical_focal_crossentropy(
    y_true, y_pred, alpha=0.25, gamma=2.0, from_logits=False, label_smoothing=0.0, axis=-1
):
    """Return the `CategoricalFocalCrossentropy` of each row."""
    return CategoricalFocalCrossentropy(alpha, gamma, from_logits, label_smoothing, axis).call(y_true, y_pred)


def categorical_generalized_cross_entropy(y_true, y_pred, q):
    """Return the `CategoricalGeneralizedCrossEntropy` of each row."""
    return CategoricalGeneralizedCrossEntropy(q).call(y_true, y_pred)


def dice(y_true, y_pred, axis=None):
    """Return the `Dice` loss of everything, or of each row."""
    return Dice(axis=axis).call(y_true, y_pred)[()]


def tversky(y_true, y_pred, alpha=0.5, beta=0.5, axis=None):
    """Return the `Tversky` loss of everything, or of each row."""
    return Tversky(alpha, beta, axis=axis).call(y_true, y_pred)[()]


def circle(y_true, y_pred, ref_labels=None, ref_embeddings=None, remove_diagonal=True, gamma=80, margin=0.4):
    """Return the `Circle` loss of each row, beside the others or beside reference embeddings and their labels."""
    loss = Circle(gamma, margin, remove_diagonal)
    if ref_labels is None and ref_embeddings is None:
        return loss.call(y_true, y_pred)
    return beside_references(loss, y_true, y_pred, ref_labels, ref_embeddings)


_FUNCTIONS = {
    binary_crossentropy: BinaryCrossentropy,
    binary_focal_crossentropy: BinaryFocalCrossentropy,
    categorical_crossentropy: CategoricalCrossentropy,
    categorical_focal_crossentropy: CategoricalFocalCrossentropy,
    categorical_generalized_cross_entropy: CategoricalGeneralizedCrossEntropy,
    categorical_hinge: CategoricalHinge,
    circle: Circle,
    cosine_similarity: CosineSimilarity,
    dice: Dice,
    hinge: Hinge,
    huber: Huber,
    kl_divergence: KLDivergence,
    log_cosh: LogCosh,
    mean_absolute_error: MeanAbsoluteError,
    mean_absolute_percentage_error: MeanAbsolutePercentageError,
    mean_squared_error: MeanSquaredError,
    mean_squared_logarithmic_error: MeanSquaredLogarithmicError,
    poisson: Poisson,
    sparse_categorical_crossentropy: SparseCategoricalCrossentropy,
    squared_hinge: SquaredHinge,
    tversky: Tversky,
}
__all__ = [
    "Loss",
    "deserialize",
    "get",
    "of_function",
    "resolve",
    "serialize",
    *(cls.__name__ for cls in _FUNCTIONS.values()),
    *(function.__name__ for function in _FUNCTIONS),
    *"kld KLD kullback_leibler_divergence logcosh mae MAE mape MAPE mse MSE msle MSLE".split(),
]
# Short names, for code of Keras 2.
kld = KLD = kullback_leibler_divergence = kl_divergence
logcosh = log_cosh
mae = MAE = mean_absolute_error
mape = MAPE = mean_absolute_percentage_error
mse = MSE = mean_squared_error
msle = MSLE = mean_squared_logarithmic_error
COMPILED = ", ".join(cls.__name__ for cls in _FUNCTIONS.values())
_OBJECTS = {
    **{function.__name__: function for function in _FUNCTIONS},
    **{cls.__name__: cls for cls in _FUNCTIONS.values()},
    "bce": binary_crossentropy,
    "BCE": binary_crossentropy,
    "kld": kl_divergence,
    "KLD": kl_divergence,
    "kullback_leibler_divergence": kl_divergence,
    "logcosh": log_cosh,
    "mae": mean_absolute_error,
    "MAE": mean_absolute_error,
    "mape": mean_absolute_percentage_error,
    "MAPE": mean_absolute_percentage_error,
    "mse": mean_squared_error,
    "MSE": mean_squared_error,
    "msle": mean_squared_logarithmic_error,
    "MSLE": mean_squared_logarithmic_error,
}


def of_function(function, **options):
    """Return the loss that computes what one of this module's functions does, or a loss itself; None for others."""
    if isinstance(function, Loss):
        return function
    try:
        cls = _FUNCTIONS.get(function)
    except TypeError:  # something callable that cannot be hashed
        return None
    return None if cls is None else cls(name=function.__name__, **options)


def serialize(loss):
    """Return a loss's configuration as a dictionary; of a function, its name."""
    return _registry.serialize(loss)


def deserialize(name, custom_objects=None):
    """Make a loss from its configuration."""
    return _registry.deserialize(name, {**_OBJECTS, **(custom_objects or {})}, "loss")


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
        loss._require_init()
        if _eager.changed(loss, __call__="lower"):
            raise loss.not_compiled()
        if _eager.changed(loss, call="lower"):
            return FunctionLoss(loss.call, kind, loss.name, loss.reduction)
        return loss
    if loss in _FUNCTIONS:
        return _FUNCTIONS[loss](name=identifier if isinstance(identifier, str) else loss.__name__)
    return FunctionLoss(loss, kind)
