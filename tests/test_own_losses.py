"""Losses of one's own in training: how the values that they return become one number."""

import numpy as np
import pytest

import fastnn
from fastnn import layers, ops

REDUCTIONS = ("sum_over_batch_size", "sum", "mean_with_sample_weight")
# Of y_true, y_pred and a namespace of operations; the shape of what they return is (samples, ...), or ().
FUNCTIONS = {
    "rows": lambda y, p, o: o.mean(o.square(y - p), axis=-1),
    "columns": lambda y, p, o: o.square(y - p),
    "scalar": lambda y, p, o: o.sqrt(o.mean(o.square(y - p))),
}
RATE, LOSS_WEIGHT = 0.01, 0.5


def linear(library, shape, kernel, bias):
    inputs = library.Input(shape)
    model = library.Model(inputs, library.layers.Dense(2)(inputs))
    model.set_weights([kernel, bias])
    return model


def own(library, function, reduction):
    class Own(library.losses.Loss):
        def call(self, y_true, y_pred):
            return function(y_true, y_pred, library.ops)

    return Own(name="own", reduction=reduction)


def example(rank, samples=7):
    rng = np.random.default_rng(rank)
    shape = (4,) if rank == 2 else (3, 4)
    x, y = rng.normal(size=(samples, *shape)), rng.normal(size=(samples, *shape[:-1], 2))
    return shape, x.astype("f4"), y.astype("f4"), rng.normal(size=(4, 2)), rng.normal(size=2)


def reduced(values, weights, reduction):
    """The loss by the rules of Keras; values may be () or (samples, ...), weights fit them or are None."""
    if weights is not None:
        weights = weights.reshape(weights.shape + (1,) * (np.ndim(values) - weights.ndim))
        values = values * weights  # one number for the whole batch becomes one for each row
    if reduction == "sum" or np.ndim(values) == 0:
        return np.sum(values)
    by_weights = reduction == "mean_with_sample_weight" and weights is not None
    return np.sum(values) / (np.sum(weights) if by_weights else np.size(values))


def oracle(function, x, y, kernel, bias, weights, reduction):
    """Loss in float64, and the weights after a step down its gradient, by differences."""

    def loss(parameters):
        p = x.astype(np.float64) @ parameters[:-1] + parameters[-1]
        return reduced(function(y.astype(np.float64), p, np), weights, reduction)

    start = np.vstack([kernel, bias]).astype("f4").astype(np.float64)
    gradient, h = np.zeros_like(start), 1e-6
    for place in np.ndindex(start.shape):
        step = np.zeros_like(start)
        step[place] = h
        gradient[place] = (loss(start + step) - loss(start - step)) / (2 * h)
    return LOSS_WEIGHT * loss(start), start - RATE * LOSS_WEIGHT * gradient


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize(("rank", "weighted"), [(2, False), (2, True), (3, False), (3, True)])
def test_reductions_beside_the_oracle(rank, name, reduction, weighted):
    shape, x, y, kernel, bias = example(rank)
    weights = np.random.default_rng(5).uniform(0.2, 2, y.shape[:-1]).astype("f4") if weighted else None
    model = linear(fastnn, shape, kernel, bias)
    loss = own(fastnn, FUNCTIONS[name], reduction)
    model.compile(fastnn.optimizers.SGD(RATE), loss, loss_weights=LOSS_WEIGHT)
    found = model.train_on_batch(x, y, sample_weight=weights)
    expected, updated = oracle(FUNCTIONS[name], x, y, kernel, bias, weights, reduction)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    np.testing.assert_allclose(np.vstack(model.get_weights()), updated, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("name", "reduction", "weighted"), [
    ("rows", "sum", True), ("rows", "mean_with_sample_weight", True), ("columns", "sum", False),
    ("scalar", "sum_over_batch_size", True), ("scalar", "sum", False),
])  # fmt: skip
def test_fit_and_evaluate_as_keras_does(keras, name, reduction, weighted):
    shape, x, y, kernel, bias = example(2, samples=11)
    weights = np.random.default_rng(5).uniform(0.2, 2, len(x)).astype("f4") if weighted else None
    found = []
    for library in (fastnn, keras):
        model = linear(library, shape, kernel, bias)
        model.compile(library.optimizers.SGD(0.01), own(library, FUNCTIONS[name], reduction))
        settings = dict(batch_size=4, sample_weight=weights, verbose=0)
        before = model.evaluate(x, y, **settings)
        history = model.fit(x, y, epochs=2, shuffle=False, **settings).history["loss"]
        found.append([before, *history, model.evaluate(x, y, **settings)])
    np.testing.assert_allclose(*found, rtol=2e-5)


def test_a_loss_of_the_whole_batch_is_evaluated_by_the_batches_asked_for():
    """Not by larger ones, as losses of rows are, whatever the batches: the root of a mean is no mean of roots."""
    shape, x, y, kernel, bias = example(2, samples=8)
    model = linear(fastnn, shape, kernel, bias)
    model.compile("sgd", lambda y, p: ops.sqrt(ops.mean(ops.square(y - p))))
    roots = np.sqrt(np.mean((y - model.predict(x, verbose=0)) ** 2, axis=1).reshape(4, 2).mean(1))
    for _ in range(2):  # the second time, it is known what the loss returns
        assert model.evaluate(x, y, batch_size=2, verbose=0) == pytest.approx(roots.mean(), rel=1e-6)


def test_reduction_none_is_refused():
    model = fastnn.Sequential([fastnn.Input((4,)), layers.Dense(2)])
    model.compile("sgd", own(fastnn, FUNCTIONS["rows"], "none"))
    with pytest.raises(ValueError, match="training needs one number"):
        model.fit(np.zeros((4, 4)), np.zeros((4, 2)), verbose=0)
