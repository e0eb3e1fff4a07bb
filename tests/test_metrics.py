import json
import math

import numpy as np
import pytest

import fastnn
from fastnn import losses, metrics

ACCURACIES = [
    metrics.BinaryAccuracy,
    metrics.CategoricalAccuracy,
    metrics.SparseCategoricalAccuracy,
]
ERRORS = [
    metrics.BinaryCrossentropy,
    metrics.CategoricalCrossentropy,
    metrics.MeanAbsoluteError,
    metrics.MeanSquaredError,
    metrics.RootMeanSquaredError,
    metrics.SparseCategoricalCrossentropy,
]
COMPILED = [*ACCURACIES, *ERRORS]
LABELS = [metrics.SparseCategoricalAccuracy, metrics.SparseCategoricalCrossentropy]


def example(cls, rows, n, seed=0):
    rng = np.random.default_rng(seed)
    p = rng.random((rows, n))
    p /= p.sum(-1, keepdims=True)
    if cls in LABELS:
        return rng.integers(0, n, rows), p
    if cls in (metrics.CategoricalAccuracy, metrics.CategoricalCrossentropy):
        return np.eye(n)[rng.integers(0, n, rows)], p
    if cls in (metrics.BinaryAccuracy, metrics.BinaryCrossentropy, metrics.Accuracy):
        return rng.integers(0, 2, (rows, n)), p
    return rng.normal(size=(rows, n)), p


def test_mean():
    mean = metrics.Mean()
    assert mean.result() == 0
    assert mean([1, 3, 5, 7]) == 4
    assert mean([[10, 12]]) == pytest.approx(27 / 5)
    mean.reset_state()
    assert mean([1, 3, 5, 7], sample_weight=[1, 1, 0, 0]) == 2
    assert mean.result().dtype == np.float32


@pytest.mark.parametrize("cls", [*COMPILED, metrics.Accuracy])
@pytest.mark.parametrize("weighted", [False, True])
def test_same_values_as_keras(keras, cls, weighted):
    ours, theirs = cls(), getattr(keras.metrics, cls.__name__)()
    for rows, n in ((5, 4), (1, 4), (33, 4)):
        y, p = example(cls, rows, n, seed=rows)
        if cls is metrics.Accuracy:
            p = np.round(p + 0.3)
        weights = np.linspace(0.5, 2, rows) if weighted else None
        ours.update_state(y, p, sample_weight=weights)
        theirs.update_state(y, p, sample_weight=weights)
        assert ours.result() == pytest.approx(float(theirs.result()), rel=1e-5)
    ours.reset_state()
    assert ours.result() == 0


def test_same_shapes_as_keras(keras):
    """Vectors, columns, more axes, and weights of several shapes."""
    rng = np.random.default_rng(0)
    cases = [
        ("BinaryAccuracy", rng.integers(0, 2, 6), rng.random((6, 1)), [None, np.arange(6)]),
        ("BinaryAccuracy", rng.integers(0, 2, (6, 3)), rng.random((6, 3)),
         [np.arange(6), np.arange(6)[:, None], rng.random((6, 3))]),
        ("SparseCategoricalAccuracy", rng.integers(0, 3, (6, 1)), rng.random((6, 3)),
         [None, np.arange(6)]),
        ("SparseCategoricalAccuracy", rng.integers(0, 3, (6, 2)), rng.random((6, 2, 3)),
         [None, np.arange(6), rng.random((6, 2))]),
        ("MeanSquaredError", rng.random((6, 2, 3)), rng.random((6, 2, 3)),
         [None, np.arange(6), rng.random((6, 2))]),
        ("MeanSquaredError", rng.random(6), rng.random((6, 1)), [None, np.arange(6)]),
        ("RootMeanSquaredError", rng.random(6), rng.random(6), [None, np.arange(6)]),
        ("RootMeanSquaredError", [[0, 1], [0, 0]], [[1, 1], [0, 0]], [[1, 0]]),
        ("Accuracy", [[1], [2], [3], [4]], [[0], [2], [3], [4]], [None, [1, 1, 0, 0]]),
    ]  # fmt: skip
    for name, y, p, all_weights in cases:
        for weights in all_weights:
            ours, theirs = getattr(metrics, name)(), getattr(keras.metrics, name)()
            y, p = np.asarray(y), np.asarray(p, np.float32)
            ours.update_state(y, p, sample_weight=weights)
            theirs.update_state(y, p, sample_weight=weights)
            expected = pytest.approx(float(theirs.result()), rel=1e-5)
            assert ours.result() == expected, (name, np.shape(weights))


def test_functions_as_in_keras(keras):
    rng = np.random.default_rng(0)
    y, p = rng.integers(0, 2, (6, 3)), rng.random((6, 3)).astype(np.float32)
    np.testing.assert_array_equal(metrics.binary_accuracy(y, p, 0.3), keras.metrics.binary_accuracy(y, p, 0.3))
    np.testing.assert_array_equal(metrics.categorical_accuracy(y, p), keras.metrics.categorical_accuracy(y, p))
    for labels in (rng.integers(0, 3, 6), rng.integers(0, 3, (6, 1))):
        np.testing.assert_array_equal(
            metrics.sparse_categorical_accuracy(labels, p),
            keras.metrics.sparse_categorical_accuracy(labels, p),
        )


def test_accuracy_values():
    assert metrics.BinaryAccuracy()([[1], [1], [0], [0]], [[0.98], [1], [0], [0.6]]) == 0.75
    assert metrics.BinaryAccuracy(threshold=0.7)([1, 0], [[0.6], [0.6]]) == 0.5
    one_hot, p = [[0, 0, 1], [0, 1, 0]], [[0.1, 0.9, 0.8], [0, 1, 0]]
    assert metrics.CategoricalAccuracy()(one_hot, p) == 0.5
    assert metrics.SparseCategoricalAccuracy()([2, 1], [[0.1, 0.6, 0.3], [0.05, 0.95, 0]]) == 0.5
    assert metrics.Accuracy()([1, 2, 3, 4], [0, 2, 3, 4]) == 0.75


def test_root_mean_squared_error_values():
    metric = metrics.RootMeanSquaredError()
    assert metric([[0, 1], [0, 0]], [[1, 1], [0, 0]]) == pytest.approx(0.5)
    assert metric.finish((8.0, 2.0)) == 2.0
    assert metric.finish((0.0, 0.0)) == 0.0


def test_wrapper_of_a_function():
    def largest(y_true, y_pred, power):
        return np.abs(np.subtract(y_true, y_pred)).max(-1) ** power

    metric = metrics.MeanMetricWrapper(largest, name="largest", power=2)
    assert metric([[0, 0], [0, 0]], [[1, 2], [3, 0]]) == 6.5
    assert metric.from_config(metric.get_config()).get_config() == metric.get_config()


@pytest.mark.parametrize("cls", [*COMPILED, metrics.Accuracy, metrics.Mean])
def test_configuration_is_that_of_keras(keras, cls):
    theirs = getattr(keras.metrics, cls.__name__)()
    ours = cls()
    assert ours.get_config() == theirs.get_config()
    assert ours._direction == getattr(theirs, "_direction", None)
    again = metrics.deserialize(json.loads(json.dumps(metrics.serialize(ours))))
    assert type(again) is cls
    assert again.get_config() == ours.get_config()


@pytest.mark.parametrize("cls", COMPILED)
def test_get_by_every_spelling(cls):
    snake = metrics.to_snake_case(cls.__name__)
    for identifier in (cls.__name__, snake, cls, {"class_name": cls.__name__, "config": {}}):
        assert type(metrics.get(identifier)) is cls
    metric = cls()
    assert metrics.get(metric) is metric
    assert metric.name == snake


SPARSE, VALUES = losses.SparseCategoricalCrossentropy(), losses.MeanSquaredError()


@pytest.mark.parametrize(
    ("identifier", "loss", "columns", "cls", "name"),
    [
        ("accuracy", SPARSE, 10, metrics.SparseCategoricalAccuracy, "accuracy"),
        ("acc", VALUES, 10, metrics.CategoricalAccuracy, "acc"),
        ("Accuracy", VALUES, 1, metrics.BinaryAccuracy, "Accuracy"),
        ("accuracy", None, 1, metrics.BinaryAccuracy, "accuracy"),
        ("mse", VALUES, 3, metrics.MeanSquaredError, "mse"),
        ("MeanAbsoluteError", VALUES, 3, metrics.MeanAbsoluteError, "MeanAbsoluteError"),
        (losses.mean_squared_error, VALUES, 3, metrics.MeanSquaredError, "mean_squared_error"),
        (metrics.binary_accuracy, VALUES, 3, metrics.BinaryAccuracy, "binary_accuracy"),
        (metrics.BinaryAccuracy, VALUES, 3, metrics.BinaryAccuracy, "binary_accuracy"),
        (metrics.BinaryAccuracy("mine"), VALUES, 3, metrics.BinaryAccuracy, "mine"),
        (losses.MeanSquaredError(name="own"), VALUES, 3, metrics.MeanLoss, "own"),
    ],
)
def test_resolve(identifier, loss, columns, cls, name):
    metric = metrics.resolve(identifier, loss, columns)
    assert type(metric) is cls
    assert metric.name == name


def test_resolve_chooses_as_keras_does(keras):
    from keras.src.trainers.compile_utils import get_metric

    for y_shape, loss, columns in (
        ((4,), SPARSE, 3), ((4, 1), SPARSE, 3), ((4, 3), VALUES, 3), ((4,), VALUES, 1),
        ((4, 1), VALUES, 1),
    ):  # fmt: skip
        for identifier in ("accuracy", "acc", "mse", "mean_absolute_error", "MeanSquaredError"):
            if loss is SPARSE and not identifier.startswith("acc"):
                continue
            theirs = get_metric(identifier, np.zeros(y_shape), np.zeros((4, columns)))
            ours = metrics.resolve(identifier, loss, columns)
            assert type(ours).__name__ == type(theirs).__name__
            assert ours.name == theirs.name


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metrics.resolve("accuracy", None, 3), "Name one"),
        (lambda: metrics.resolve("categorical_accuracy", SPARSE, 3),
         "Use a metric of the same kind: SparseCategoricalAccuracy."),
        (lambda: metrics.resolve("sparse_categorical_accuracy", VALUES, 3),
         "Use a metric of the same kind: CategoricalAccuracy."),
        (lambda: metrics.resolve("mse", SPARSE, 3), "needs targets of one value for each column"),
        (lambda: metrics.resolve("precisoin", VALUES, 3), "'precisoin'"),
        (lambda: metrics.Mean().lower(None, None, None, None), "no compiled form"),
        (lambda: metrics.Mean(dtype="float64"), "float32"),
        (lambda: metrics.binary_accuracy([[1, 0]], [[1, 0, 1]]), "the same shape"),
        (lambda: metrics.sparse_categorical_accuracy([1, 0], [[1, 0, 1]]), "labels of shape (1,)"),
        (lambda: metrics.get(4), "Could not interpret metric identifier: 4"),
    ],
)  # fmt: skip
def test_wrong_use_is_refused(call, message):
    with pytest.raises(ValueError) as caught:
        call()
    assert message in str(caught.value)


def test_metrics_of_ones_own_are_not_silently_replaced_by_what_they_inherit():
    class Root(metrics.MeanSquaredError):
        def result(self):
            return super().result() ** 0.5

    class Half(metrics.MeanSquaredError):
        def update_state(self, y_true, y_pred, sample_weight=None):
            super().update_state(y_true, np.asarray(y_pred) / 2, sample_weight)

    class Mine(metrics.Mean):
        def update_state(self, y_true, y_pred, sample_weight=None):
            super().update_state(np.max(y_pred, -1), sample_weight)

    for cls in (Root, Half):
        with pytest.raises(ValueError, match=f"{cls.__name__} has no compiled form"):
            metrics.resolve(cls(), VALUES, 3)
    model = fastnn.Sequential([fastnn.Input((2,)), fastnn.layers.Dense(3)])
    model.compile("sgd", "mse", metrics=[Mine()])
    with pytest.raises(TypeError, match="symbolic"):
        model.evaluate(np.zeros((4, 2)), np.zeros((4, 3)), verbose=0)
    assert Mine()([[0, 1]], [[3, 5]]) == 5

    class Finished(Root):
        def finish(self, state):
            total, count = state
            return (total / count) ** 0.5

    metric = Finished()
    assert metrics.resolve(metric, VALUES, 3) is metric


def test_base_class_must_be_subclassed():
    for method in ("update_state", "result"):
        with pytest.raises(NotImplementedError):
            getattr(metrics.Metric(), method)()


class Slot:
    def __init__(self, array, n, rows=1):
        self.array, self.n, self.ld, self.rows_per_sample = array, n, array.shape[-1], rows


class Runner:
    """A builder that runs what is emitted."""

    def __init__(self, samples):
        self.samples = samples

    def emit(self, op, rows, work_per_row, **bindings):
        from fastnn._engine import kernels, runtime

        assert work_per_row > 0
        info = runtime.OPS[op]
        operands = {name: bindings.pop(name) for name in info.operands}
        kernels.call(
            op,
            self.samples,
            {name: slot if slot is None else slot.array for name, slot in operands.items()},
            {name: bindings.pop(name) for name in info.dims},
            {name: bindings.pop(name) for name in info.scalars},
            rows_per_sample=rows,
        )
        assert not bindings


@pytest.mark.parametrize("cls", COMPILED)
@pytest.mark.parametrize("n", [1, 5, 40])
def test_lowered_operation_gives_the_same_result(cls, n):
    from fastnn._engine import kernels

    rows = 21
    metric = cls()
    y, p = example(cls, rows, n)
    p = p.astype(np.float32)
    if cls in LABELS:
        target = Slot(np.ascontiguousarray(y, np.int32), 1, 3)
    else:
        target = Slot(kernels.padded(y), n, 3)
    values = Slot(kernels.aligned(rows), 1, 3)
    metric.lower(Runner(rows // 3), Slot(kernels.padded(p), n, 3), target, values)
    compiled = metric.finish((values.array.sum(dtype=np.float64), rows))
    assert math.isfinite(compiled)
    assert compiled == pytest.approx(float(metric(y, p)), rel=1e-6)
