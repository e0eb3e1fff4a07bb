"""What is reported about training, evaluation and predictions.

A metric is a mean over rows, sometimes finished by a function (a root). In `fit` and `evaluate` it
is one operation of the compiled step; called on arrays it keeps its own sums, as in Keras 3.
"""

from fastnn import _eager, _registry, losses
from fastnn._naming import to_snake_case
from fastnn.losses import (
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_focal_crossentropy,
    categorical_hinge,
    hinge,
    huber,
    kl_divergence,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    poisson,
    sparse_categorical_crossentropy,
    squared_hinge,
)
from fastnn.metrics.accuracies import (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    CompiledAccuracy,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
    accuracy,
    binary_accuracy,
    categorical_accuracy,
    sparse_categorical_accuracy,
    sparse_top_k_categorical_accuracy,
    top_k_categorical_accuracy,
)
from fastnn.metrics.auc import AUC
from fastnn.metrics.base import Mean, MeanMetricWrapper, Metric, StateMetric, Sum
from fastnn.metrics.confusion import (
    FalseNegatives,
    FalsePositives,
    Precision,
    PrecisionAtRecall,
    Recall,
    RecallAtPrecision,
    SensitivityAtSpecificity,
    SpecificityAtSensitivity,
    TrueNegatives,
    TruePositives,
)
from fastnn.metrics.correlation import (
    ConcordanceCorrelation,
    PearsonCorrelation,
    concordance_correlation,
    pearson_correlation,
)
from fastnn.metrics.errors import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    CategoricalHinge,
    CosineSimilarity,
    Hinge,
    KLDivergence,
    LogCoshError,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanLoss,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Poisson,
    RootMeanSquaredError,
    SparseCategoricalCrossentropy,
    SquaredHinge,
)
from fastnn.metrics.iou import BinaryIoU, IoU, MeanIoU, OneHotIoU, OneHotMeanIoU
from fastnn.metrics.scores import F1Score, FBetaScore, R2Score

_CLASSES = (
    AUC,
    Accuracy,
    BinaryAccuracy,
    BinaryCrossentropy,
    BinaryIoU,
    CategoricalAccuracy,
    CategoricalCrossentropy,
    CategoricalHinge,
    ConcordanceCorrelation,
    CosineSimilarity,
    F1Score,
    FBetaScore,
    FalseNegatives,
    FalsePositives,
    Hinge,
    IoU,
    KLDivergence,
    LogCoshError,
    Mean,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanIoU,
    MeanMetricWrapper,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    OneHotIoU,
    OneHotMeanIoU,
    PearsonCorrelation,
    Poisson,
    Precision,
    PrecisionAtRecall,
    R2Score,
    Recall,
    RecallAtPrecision,
    RootMeanSquaredError,
    SensitivityAtSpecificity,
    SparseCategoricalAccuracy,
    SparseCategoricalCrossentropy,
    SparseTopKCategoricalAccuracy,
    SpecificityAtSensitivity,
    SquaredHinge,
    Sum,
    TopKCategoricalAccuracy,
    TrueNegatives,
    TruePositives,
)
_FUNCTIONS = {
    accuracy: Accuracy,
    binary_accuracy: BinaryAccuracy,
    binary_crossentropy: BinaryCrossentropy,
    categorical_accuracy: CategoricalAccuracy,
    categorical_crossentropy: CategoricalCrossentropy,
    categorical_hinge: CategoricalHinge,
    concordance_correlation: ConcordanceCorrelation,
    hinge: Hinge,
    kl_divergence: KLDivergence,
    log_cosh: LogCoshError,
    mean_absolute_error: MeanAbsoluteError,
    mean_absolute_percentage_error: MeanAbsolutePercentageError,
    mean_squared_error: MeanSquaredError,
    mean_squared_logarithmic_error: MeanSquaredLogarithmicError,
    pearson_correlation: PearsonCorrelation,
    poisson: Poisson,
    sparse_categorical_accuracy: SparseCategoricalAccuracy,
    sparse_categorical_crossentropy: SparseCategoricalCrossentropy,
    sparse_top_k_categorical_accuracy: SparseTopKCategoricalAccuracy,
    squared_hinge: SquaredHinge,
    top_k_categorical_accuracy: TopKCategoricalAccuracy,
}
__all__ = [
    "Metric",
    "StateMetric",
    "deserialize",
    "get",
    "resolve",
    "serialize",
    *(cls.__name__ for cls in _CLASSES),
    *(function.__name__ for function in _FUNCTIONS),
    "binary_focal_crossentropy",
    "categorical_focal_crossentropy",
    "huber",
    *"kld KLD kullback_leibler_divergence logcosh mae MAE mape MAPE mse MSE msle MSLE".split(),
]
# Short names, for code of Keras 2.
kld = KLD = kullback_leibler_divergence = kl_divergence
logcosh = log_cosh
mae = MAE = mean_absolute_error
mape = MAPE = mean_absolute_percentage_error
mse = MSE = mean_squared_error
msle = MSLE = mean_squared_logarithmic_error
_ON_ARRAYS_ONLY = (Mean, MeanMetricWrapper, Sum)
COMPILED = ", ".join(cls.__name__ for cls in _CLASSES if cls not in _ON_ARRAYS_ONLY)
_OBJECTS = {
    **{cls.__name__: cls for cls in _CLASSES},
    **{to_snake_case(cls.__name__): cls for cls in _CLASSES},
    "bce": BinaryCrossentropy,
    "BCE": BinaryCrossentropy,
    "mae": MeanAbsoluteError,
    "MAE": MeanAbsoluteError,
    "mape": MeanAbsolutePercentageError,
    "MAPE": MeanAbsolutePercentageError,
    "mse": MeanSquaredError,
    "MSE": MeanSquaredError,
    "msle": MeanSquaredLogarithmicError,
    "MSLE": MeanSquaredLogarithmicError,
}


def serialize(metric):
    """Return a metric's configuration as a dictionary; of a function, its name."""
    return _registry.serialize(metric)


def deserialize(config, custom_objects=None):
    """Make a metric from its configuration."""
    return _registry.deserialize(config, {**_OBJECTS, **(custom_objects or {})}, "metric")


def get(identifier):
    """Return the metric that `identifier` means.

    Parameters
    ----------
    identifier : str, dict, class, callable, Metric or None

    Raises
    ------
    ValueError
        If the identifier is unknown.
    """
    return _registry.get(identifier, _OBJECTS, "metric")


def resolve(identifier, loss, output_n, given=None):
    """Return the `Metric` that an entry of ``compile(metrics=[...])`` means.

    "accuracy" and "acc" mean, as in Keras, binary accuracy for a prediction of one column, sparse
    accuracy where targets are labels, and else categorical accuracy. A metric given by a string is
    named by that string, so "mse" is logged as "mse".

    Parameters
    ----------
    identifier : str, dict, class, function or Metric
    loss : fastnn.losses.Loss or None
        Of the same output: tells what targets are.
    output_n : int
        Columns of the prediction.
    given : {"labels", "values"}, optional
        What targets look like, where there is no loss that tells.

    Raises
    ------
    ValueError
        If the identifier is unknown, ambiguous, no metric that a compiled step can compute, or one
        for other targets than those of the loss.
    """
    if str(identifier).lower() in ("accuracy", "acc"):
        metric = _accuracy_for(identifier, loss, output_n, given)()
    else:
        metric = get(identifier)
    if isinstance(metric, losses.Loss):
        metric = MeanLoss(metric, metric.name, None)
    elif metric in _FUNCTIONS:
        metric = _FUNCTIONS[metric](name=metric.__name__)
    elif losses.of_function(metric) is not None:
        metric = MeanLoss(losses.of_function(metric), metric.__name__, None)
    elif callable(metric) and not isinstance(metric, Metric):
        metric = MeanMetricWrapper(metric, name=getattr(metric, "__name__", type(metric).__name__))
    if type(metric) is MeanMetricWrapper and metric.is_own:  # it reads whatever the loss reads
        metric.target_kind = "column" if loss is not None and loss.target_kind != "values" else "values"
        return metric
    if not isinstance(metric, Metric):
        raise ValueError(
            f"Metric {getattr(metric, '__name__', metric)!r} cannot be compiled into a model, "
            f"whose steps run without Python. Use one of: {COMPILED}; or compute yours from "
            "predict()."
        )
    own_mean = type(metric).lower is Mean.lower and not _eager.changed(metric, result="finish")
    if metric._variables or (own_mean and _eager.changed(metric, update_state="lower")):
        metric.target_kind = "column" if loss is not None and loss.target_kind != "values" else "values"
        metric.depends_on_batch = True
        return metric
    if _eager.changed(metric, update_state=metric._lowered_by, result="finish"):
        raise metric.not_compiled()
    if isinstance(identifier, str):
        metric.name = identifier
    # A loss of one's own reads labels as a column of numbers.
    read = (metric.target_kind, "column") if metric.target_kind in ("labels", "groups") else (metric.target_kind,)
    if loss is not None and output_n != 1 and loss.target_kind not in read:
        named = {
            "labels": "labels (class numbers)",
            "groups": "groups (whole numbers)",
            "values": "one value for each column",
            "column": "one number for each row",
        }
        raise ValueError(
            f"Metric {metric.name!r} needs targets of {named[metric.target_kind]}, but loss "
            f"{loss.name!r} needs {named[loss.target_kind]}. Use a metric of the same kind"
            + (
                f": {_accuracy_for('accuracy', loss, output_n).__name__}."
                if isinstance(metric, CompiledAccuracy)
                else "."
            )
        )
    return metric


def _accuracy_for(identifier, loss, output_n, given=None):
    if output_n == 1:
        return BinaryAccuracy
    kind = given if loss is None else loss.target_kind
    if kind is None:
        raise ValueError(
            f"Metric {identifier!r} means different accuracies for different targets, and there is "
            "no loss that tells which ones these are. Name one: 'sparse_categorical_accuracy' for "
            "labels, 'categorical_accuracy' for one-hot rows."
        )
    return SparseCategoricalAccuracy if kind == "labels" else CategoricalAccuracy
