"""Metrics that are more than a mean, beside real Keras: on arrays in two portions, and in compiled models."""

import json

import numpy as np
import pytest

import fastnn
from fastnn import metrics

N = 40
_random = np.random.default_rng(0)
BITS, SCORES = _random.integers(0, 2, (N, 4)), np.round(_random.random((N, 4)), 2).astype(np.float32)
ONE_HOT = np.eye(4, dtype=np.float32)[_random.integers(0, 4, N)]
LABELS, GUESSES = _random.integers(0, 4, N), _random.integers(0, 4, N)
COLUMN = BITS[:, :1], SCORES[:, :1]
MATRIX = BITS, SCORES
CLASSES = ONE_HOT, SCORES
NUMBERS = BITS + np.float32(0.5) * SCORES[::-1], SCORES
WEIGHTS, COUNTS = _random.random(N).astype(np.float32), _random.integers(0, 3, N)

COUNTED = ["TruePositives", "FalsePositives", "TrueNegatives", "FalseNegatives", "Precision", "Recall"]
CONSTRAINED = {
    "SensitivityAtSpecificity": "specificity",
    "SpecificityAtSensitivity": "sensitivity",
    "PrecisionAtRecall": "recall",
    "RecallAtPrecision": "precision",
}
CASES = [
    *((name, COLUMN, {}) for name in COUNTED),
    *((name, MATRIX, {"thresholds": [0.7, 0.2]}) for name in COUNTED),
    ("FalsePositives", MATRIX, {"thresholds": [0, 0.5, 1.0]}),
    *((name, MATRIX, {"top_k": 2}) for name in ("Precision", "Recall")),
    *((name, MATRIX, {"top_k": 2, "class_id": 3}) for name in ("Precision", "Recall")),
    *((name, MATRIX, {"class_id": 1, "thresholds": 0.3}) for name in ("Precision", "Recall")),
    *((name, MATRIX, {argument: 0.6}) for name, argument in CONSTRAINED.items()),
    ("RecallAtPrecision", MATRIX, {"precision": 0.4, "class_id": 2}),
    ("PrecisionAtRecall", MATRIX, {"recall": 0.4, "num_thresholds": 1}),
    *(
        ("AUC", MATRIX if method == "interpolation" else COLUMN, {"curve": curve, "summation_method": method})
        for curve in ("ROC", "PR", "PRGAIN")
        for method in ("interpolation", "majoring", "minoring")
    ),
    ("AUC", COLUMN, {"thresholds": [0.6, 0.1, 0.35]}),
    ("AUC", MATRIX, {"num_thresholds": 30, "multi_label": True, "num_labels": 4}),
    ("AUC", MATRIX, {"label_weights": [1.0, 2.0, 3.0, 4.0]}),
    ("AUC", (COLUMN[0], 4 * COLUMN[1] - 2), {"from_logits": True}),
    *(("FBetaScore", MATRIX, {"average": each, "beta": 2.0, "threshold": 0.4}) for each in (None, "micro", "weighted")),
    *(("F1Score", CLASSES, {"average": each}) for each in (None, "macro", "weighted")),
    ("R2Score", NUMBERS, {}),
    ("R2Score", NUMBERS, {"class_aggregation": None}),
    ("R2Score", NUMBERS, {"class_aggregation": "variance_weighted_average", "num_regressors": 3}),
    ("IoU", (LABELS, GUESSES), {"num_classes": 4, "target_class_ids": [0, 2]}),
    ("IoU", (LABELS, SCORES), {"num_classes": 4, "target_class_ids": [0, 2], "sparse_y_pred": False}),
    ("MeanIoU", (LABELS, GUESSES), {"num_classes": 4, "ignore_class": 1}),
    ("MeanIoU", (LABELS, GUESSES), {"num_classes": 5, "dtype": "float32"}),
    ("BinaryIoU", COLUMN, {"threshold": 0.3}),
    ("OneHotIoU", CLASSES, {"num_classes": 4, "target_class_ids": [1]}),
    ("OneHotMeanIoU", CLASSES, {"num_classes": 4}),
    ("TopKCategoricalAccuracy", CLASSES, {"k": 2}),
    ("SparseTopKCategoricalAccuracy", (LABELS, SCORES), {"k": 2}),
    ("SparseTopKCategoricalAccuracy", (LABELS, np.argsort(-SCORES, 1)), {"k": 2, "from_sorted_ids": True}),
    ("PearsonCorrelation", NUMBERS, {}),
    ("ConcordanceCorrelation", NUMBERS, {}),
    ("Accuracy", (LABELS, GUESSES), {}),
]


def close(ours, theirs, case=""):
    # Keras counts in float32
    theirs = np.asarray(theirs)
    assert np.shape(ours) == theirs.shape, case
    np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=1e-5, err_msg=str(case))


@pytest.mark.filterwarnings("ignore")  # Keras: int64 is not available, weights are cut
@pytest.mark.parametrize("weighted", [False, True])
def test_results_on_arrays_are_those_of_keras(keras, weighted):
    for name, (y, p), options in CASES:
        weights = None
        if weighted:
            weights = COUNTS if "IoU" in name else WEIGHTS
        ours, theirs = getattr(metrics, name)(**options), getattr(keras.metrics, name)(**options)
        for part in slice(0, 20), slice(20, None):
            portion = None if weights is None else weights[part]
            ours.update_state(y[part], p[part], sample_weight=portion)
            theirs.update_state(y[part], p[part], sample_weight=portion)
        close(ours.result(), theirs.result(), (name, options))
        if weighted:
            continue
        assert ours._direction == getattr(theirs, "_direction", None), name
        config, wanted = ours.get_config(), theirs.get_config()
        if wanted.get("label_weights") is not None:
            wanted["label_weights"] = np.asarray(wanted["label_weights"]).tolist()
        assert {**config, "name": ""} == {**wanted, "name": ""}, name
        again = metrics.deserialize(json.loads(json.dumps(metrics.serialize(ours))))
        assert again.get_config() == config
        ours.reset_state()
        ours.update_state(y, p)
        again.update_state(y, p)
        np.testing.assert_array_equal(ours.result(), again.result())


def test_weights_of_every_value(keras):
    weights = _random.random((N, 4)).astype(np.float32)
    for name, data, options in (
        ("AUC", MATRIX, {}),
        ("Precision", MATRIX, {}),
        ("R2Score", NUMBERS, {}),
        ("AUC", MATRIX, {"multi_label": True, "num_labels": 4}),
    ):
        ours, theirs = getattr(metrics, name)(**options), getattr(keras.metrics, name)(**options)
        close(ours(*data, weights), theirs(*data, weights), (name, options))


def test_sum(keras):
    for values, weights in ([1, 3, 5, 7], None), ([1, 3, 5, 7], [1, 1, 0, 0]), ([[1, 2], [3, 4]], [2, 1]):
        assert metrics.Sum()(values, weights) == float(keras.metrics.Sum()(values, weights))


def test_before_the_first_update():
    for name, _, options in CASES:
        if name not in ("FBetaScore", "F1Score", "R2Score"):
            assert np.all(getattr(metrics, name)(**options).result() == 0), name


def network(k, activation, units=4):
    k.utils.set_random_seed(0)
    return k.Sequential([k.Input((6,)), k.layers.Dense(8, "tanh"), k.layers.Dense(units, activation)])


def compiled_case(kind):
    """Activation, loss, targets, and the arguments of metrics that go with them."""
    if kind == "labels":
        options = {"num_classes": 4, "sparse_y_pred": False}
        return "softmax", "sparse_categorical_crossentropy", LABELS, [
            ("SparseTopKCategoricalAccuracy", {"k": 2}), ("SparseCategoricalAccuracy", {}),
            ("MeanIoU", {**options, "dtype": "float32"}),
        ]  # fmt: skip
    if kind == "numbers":
        names = ["R2Score", "PearsonCorrelation", "ConcordanceCorrelation", "RootMeanSquaredError"]
        return None, "mse", NUMBERS[0], [(name, {}) for name in names]
    chosen = [case for case in CASES if case[1] is MATRIX or case[1] is CLASSES]
    every_other = [(name, options) for name, data, options in chosen if (data is CLASSES) == (kind == "classes")]
    extra = [("BinaryIoU", {"dtype": "float32"})] if kind == "bits" else []
    activation, loss = ("softmax", "categorical_crossentropy") if kind == "classes" else ("sigmoid", "mse")
    return activation, loss, ONE_HOT if kind == "classes" else BITS, every_other + extra


def measured(k, kind, weights=None):
    """A compiled model, and what it evaluates to: every metric plain (p0, p1, ...) and, if it can be, weighted."""
    activation, loss, y, chosen = compiled_case(kind)
    x = np.random.default_rng(1).normal(size=(N, 6)).astype(np.float32)
    y = y.astype(np.float32) if y.ndim > 1 else y
    model = network(k, activation)
    plain = {f"p{i}": case for i, case in enumerate(chosen)}
    whole = {f"w{key}": case for key, case in plain.items() if "dtype" not in case[1] and "IoU" not in case[0]}
    made = [
        [getattr(k.metrics, name)(**options, name=key) for key, (name, options) in cases.items()]
        for cases in (plain, whole)
    ]
    kwargs = {} if k is fastnn else {"run_eagerly": True}
    model.compile("sgd", loss, metrics=made[0], weighted_metrics=made[1], **kwargs)
    if weights is not None:
        model.set_weights(weights)
    found = model.evaluate(x, y, batch_size=20, sample_weight=WEIGHTS, verbose=0, return_dict=True)
    return model, found, x, y, plain | whole


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["labels", "numbers"])
def test_results_of_models_are_those_of_keras(keras, kind):
    theirs, expected, *_ = measured(keras, kind)
    _, found, _, _, cases = measured(fastnn, kind, theirs.get_weights())
    assert set(found) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(
            found[name], np.asarray(value), rtol=1e-4, atol=1e-4, err_msg=f"{name} {cases.get(name, '')}"
        )


@pytest.mark.parametrize("kind", ["bits", "classes"])
def test_results_of_models_are_those_on_arrays(kind):
    """Which are Keras's, as above; a model in Keras would compile for half a minute."""
    model, found, x, y, cases = measured(fastnn, kind)
    predicted = model.predict(x, verbose=0)
    assert set(found) == {"loss", *cases}
    for key, (name, options) in cases.items():
        expected = getattr(metrics, name)(**options)(y, predicted, WEIGHTS if key[0] == "w" else None)
        np.testing.assert_allclose(found[key], expected, rtol=1e-5, atol=1e-6, err_msg=f"{key} {name} {options}")


def test_in_fit_and_on_any_number_of_threads():
    x = np.random.default_rng(1).normal(size=(N, 6)).astype(np.float32)
    histories = []
    before = fastnn.get_threads()
    for threads in 1, 2:
        fastnn.set_threads(threads)
        model = network(fastnn, "sigmoid")
        model.compile("sgd", "mse", metrics=["auc", "precision", metrics.F1Score("macro")])
        history = model.fit(x, BITS, epochs=2, batch_size=16, verbose=0, validation_data=(x, BITS)).history
        assert sorted(history) == sorted(
            [*(each for each in ("auc", "precision", "f1_score", "loss")), "val_auc", "val_precision", "val_f1_score",
             "val_loss"])  # fmt: skip
        histories.append(history)
        fastnn.set_threads(before)
        score = metrics.AUC()(BITS, model.predict(x, verbose=0))
        assert history["val_auc"][-1] == pytest.approx(float(score), rel=1e-6)
    assert histories[0] == histories[1]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metrics.Precision(thresholds=[0.2, 1.5]), "must be in [0, 1]"),
        (lambda: metrics.Precision(class_id=4)(BITS, SCORES), "no class_id=4 among 4 columns"),
        (lambda: metrics.Precision(top_k=5)(BITS, SCORES), "top_k=5 of predictions of 4 columns"),
        (lambda: metrics.Precision()(BITS, SCORES[:, :3]), "Expected y_true of shape (40, 3)"),
        (lambda: metrics.Precision()(BITS, SCORES, WEIGHTS[:5]), "sample_weight of shape (5,)"),
        (lambda: metrics.AUC(curve="ROCK"), "Invalid AUC curve"),
        (lambda: metrics.AUC(summation_method="x"), "Invalid AUC summation"),
        (lambda: metrics.AUC(num_thresholds=1), "integer > 1"),
        (lambda: metrics.AUC(num_labels=3), "only when `multi_label`"),
        (lambda: metrics.AUC(multi_label=True, num_labels=3)(BITS, SCORES), "num_labels=3, but predictions have 4"),
        (lambda: metrics.AUC(label_weights=[1.0])(BITS, SCORES), "1 label weights for 4 columns"),
        (lambda: metrics.RecallAtPrecision(1.2), "`precision` must be in the range [0, 1]"),
        (lambda: metrics.RecallAtPrecision(0.2, num_thresholds=0), "integer > 0"),
        (lambda: metrics.F1Score(average="all"), "`average`"),
        (lambda: metrics.FBetaScore(beta=1), "`beta`"),
        (lambda: metrics.F1Score(threshold=0.0), "`threshold`"),
        (lambda: metrics.F1Score()(BITS[:, 0], SCORES[:, 0]), "expects 2D inputs"),
        (lambda: metrics.R2Score(class_aggregation="x"), "`class_aggregation`"),
        (lambda: metrics.IoU(2, [2]), "out of range"),
        (lambda: metrics.TopKCategoricalAccuracy(0), "`k` must be"),
        (lambda: metrics.PearsonCorrelation(axis=0), "last axis"),
    ],
)  # fmt: skip
def test_wrong_use_is_refused(call, message):
    with pytest.raises(ValueError) as caught:
        call()
    assert message in str(caught.value)


def test_other_numbers_of_columns_are_refused():
    metric = metrics.F1Score()
    metric.update_state(BITS, SCORES)
    with pytest.raises(ValueError, match="another number of columns than 3"):
        metric.update_state(BITS[:, :3], SCORES[:, :3])
    metric.reset_state()
    metric.update_state(BITS[:, :3], SCORES[:, :3])
