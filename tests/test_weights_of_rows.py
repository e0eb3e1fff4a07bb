"""Sample weights where samples have several rows: one for each sample, or one for each row of it ("temporal" ones)."""

import numpy as np
import pytest

import fastnn

N, STEPS, CLASSES = 22, 4, 3
RNG = np.random.default_rng(3)
X = RNG.normal(size=(N, STEPS, 5)).astype("f4")
LABELS = RNG.integers(0, CLASSES, (N, STEPS))
ONE_HOT = np.eye(CLASSES, dtype="f4")[LABELS]
OF_ROWS = RNG.uniform(0.1, 2, (N, STEPS)).astype("f4")
START = RNG.normal(size=(5, CLASSES)), RNG.normal(size=CLASSES)


def network(library, loss, **metrics):
    inputs = library.Input((STEPS, 5))
    model = library.Model(inputs, library.layers.Dense(CLASSES, "softmax")(inputs))
    model.set_weights([each.astype("f4") for each in START])
    model.compile(library.optimizers.SGD(0.1), loss, **metrics)
    return model


def own_metric(library):
    class Weighed(library.metrics.Metric):
        def __init__(self):
            super().__init__(name="weighed")
            self.total = self.add_weight(shape=(), initializer="zeros", name="total")

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.total.assign_add(library.ops.sum(library.ops.max(y_pred, axis=-1) * sample_weight))

        def result(self):
            return self.total * 1.0

    return Weighed()


def run(library, loss, targets, weights, metrics, generator=False):
    """All numbers of training and evaluation."""
    loss = loss(library) if callable(loss) else loss
    metrics = [each(library) if callable(each) else each for each in metrics]
    model = network(library, loss, weighted_metrics=metrics)
    part = slice(0, 16), slice(16, N)

    def batches():
        for each in part:
            yield X[each], targets[each], weights[each]

    validation = (X, targets, weights)
    if generator:
        found = model.fit(batches(), validation_data=validation, steps_per_epoch=2, shuffle=False, verbose=0).history
    else:
        found = model.fit(
            X, targets, sample_weight=weights, validation_data=validation, batch_size=8, epochs=2, shuffle=False,
            verbose=0,
        ).history  # fmt: skip
        found["evaluate"] = model.evaluate(X, targets, sample_weight=weights, batch_size=8, verbose=0)
        found["train"] = model.train_on_batch(X, targets, weights)
        found["test"] = model.test_on_batch(X, targets, weights)
    return found


CASES = {
    "labels": ("sparse_categorical_crossentropy", LABELS, OF_ROWS, ["accuracy", own_metric]),
    "by_weights": (
        lambda library: library.losses.SparseCategoricalCrossentropy(reduction="mean_with_sample_weight"),
        LABELS, OF_ROWS[..., None], ["accuracy"],
    ),
    "sum_ignoring": (
        lambda library: library.losses.SparseCategoricalCrossentropy(ignore_class=1, reduction="sum"),
        LABELS, OF_ROWS, [],
    ),
    "whole_batch": (lambda library: library.losses.Dice(), ONE_HOT, OF_ROWS, ["mse"]),
    "of_samples": ("mse", ONE_HOT, OF_ROWS[:, :1], ["mae"]),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_as_keras(keras, case):
    theirs, mine = (run(library, *CASES[case]) for library in (keras, fastnn))
    assert set(mine) == set(theirs)
    for key in theirs:
        np.testing.assert_allclose(mine[key], theirs[key], rtol=5e-5, err_msg=key)


def test_batches_of_a_generator_as_keras(keras):
    theirs, mine = (run(library, *CASES["labels"], generator=True) for library in (keras, fastnn))
    for key in theirs:
        np.testing.assert_allclose(mine[key], theirs[key], rtol=5e-5, err_msg=key)


@pytest.mark.parametrize("weights", [OF_ROWS[:, 0], OF_ROWS[:, :1], OF_ROWS[:, :1, None]])
def test_one_weight_for_each_sample_is_that_of_all_its_rows(weights):
    found = [
        network(fastnn, "mse", weighted_metrics=["mae"]).evaluate(X, ONE_HOT, sample_weight=each, verbose=0)
        for each in (weights, np.repeat(OF_ROWS[:, :1], STEPS, axis=1))
    ]
    assert found[0] == found[1]


def test_shuffled_and_split_weights_go_with_their_rows():
    """A row of weight 0 says nothing, wherever it comes."""
    weights, targets = OF_ROWS.copy(), ONE_HOT.copy()
    weights[:, 2], targets[:, 2] = 0, 1e6
    settings = dict(sample_weight=weights, epochs=2, validation_split=0.3, batch_size=4, verbose=0)
    history = network(fastnn, "mse", weighted_metrics=["mae"]).fit(X, targets, **settings).history
    assert max(max(each) for each in history.values()) < 3


@pytest.mark.parametrize("weights", [OF_ROWS[:, :2], OF_ROWS[:5], np.ones((N, STEPS, CLASSES)), OF_ROWS.T])
def test_other_shapes_are_refused(weights):
    with pytest.raises(ValueError, match=r"shape \(22,\), or for each of its rows, shape \(22, 4\)"):
        network(fastnn, "mse").fit(X, ONE_HOT, sample_weight=weights, verbose=0)


def test_a_weight_that_is_not_finite_is_named():
    weights = OF_ROWS.copy()
    weights[3, 1] = np.nan
    with pytest.raises(ValueError, match=r"sample_weight\[3, 1\] is nan"):
        network(fastnn, "mse").fit(X, ONE_HOT, sample_weight=weights, verbose=0)
