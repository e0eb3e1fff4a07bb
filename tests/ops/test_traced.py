"""Regularizers and constraints of one's own, as a program has them."""

import numpy as np
import pytest

import fastnn
from fastnn import ops
from fastnn.graph import Graph
from fastnn.lowering import traced
from fastnn.lowering.builder import Builder
from fastnn.variables import Variable

CASES = [("panels", (7, 5)), ("rows", (7, 5)), ("rows", (5,)), ("rows", (2, 3, 4))]


@pytest.mark.parametrize(("layout", "shape"), CASES)
def test_penalty_and_projection(layout, shape):
    variable = Variable(np.random.default_rng(0).normal(size=shape), name="w", layout=layout)
    before = variable.numpy()
    b = Builder(Graph([], []), 1)
    b.train([variable])
    for _ in range(2):  # gradients add up
        traced.penalty(b, lambda w: 0.1 * ops.sum(ops.square(w)), variable, 2.0)
    traced.projection(b, lambda w: ops.maximum(w, 0.0) / 2.0, variable)
    buffer, offset, nbytes = b.variable_gradient(variable)[0]
    b.program().run(1)
    gradient = Variable(np.zeros(shape), name="g", layout=layout)
    gradient._floats()[:] = buffer.array(nbytes // 4, np.float32, offset)
    np.testing.assert_allclose(gradient.numpy(), 0.8 * before, rtol=1e-6)
    np.testing.assert_array_equal(variable.numpy(), np.maximum(before, 0) / 2)


def test_what_they_return_is_checked():
    variable = Variable(np.ones((3, 2)), name="w")
    b = Builder(Graph([], []), 1)
    with pytest.raises(TypeError, match="must return one number"):
        traced.penalty(b, ops.square, variable)
    with pytest.raises(TypeError, match=r"must return a tensor of shape \(3, 2\)"):
        traced.projection(b, ops.sum, variable)
    with pytest.raises(TypeError, match="must return a tensor"):
        traced.penalty(b, lambda w: None, variable)


def test_size_counts_the_values_of_each_batch():
    """As the streaming metrics of books count: a total over `size`."""

    class MeanError(fastnn.metrics.Metric):
        def __init__(self, name="mean_error", **kwargs):
            super().__init__(name=name, **kwargs)
            self.total = self.add_weight(name="total", initializer="zeros")
            self.count = self.add_weight(name="count", initializer="zeros")

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.total.assign_add(ops.sum(ops.abs(y_true - y_pred)))
            self.count.assign_add(ops.cast(ops.size(y_true), "float32"))

        def result(self):
            return self.total / self.count

    x = np.random.default_rng(0).normal(size=(50, 3)).astype("float32")
    model = fastnn.Sequential([fastnn.Input((3,)), fastnn.layers.Dense(2)])
    model.compile("sgd", "mse", metrics=[MeanError(), "mae"])
    history = model.fit(x, x[:, :2], batch_size=20, verbose=0).history
    np.testing.assert_allclose(history["mean_error"], history["mae"], rtol=1e-6)
    assert ops.size(x) == 150

    class PerSample(fastnn.layers.Layer):
        def call(self, inputs):
            return inputs / ops.cast(ops.shape(inputs)[0], "float32")

    with pytest.raises(TypeError, match="number of samples"):
        PerSample()(fastnn.Input((3,)))


def test_losses_and_metrics_may_count_samples():
    """In them the shape of a batch begins with the number of its samples, as in the metrics of books."""

    class RootMeanSquare(fastnn.metrics.Metric):
        def __init__(self, name="rmse"):
            super().__init__(name=name)
            self.total = self.add_weight(name="total", initializer="zeros")
            self.samples = self.add_weight(name="samples", initializer="zeros", dtype="int32")

        def update_state(self, y_true, y_pred, sample_weight=None):
            y_true = ops.one_hot(y_true, ops.shape(y_pred)[1])
            self.total.assign_add(ops.sum(ops.square(y_true - y_pred)))
            self.samples.assign_add(ops.shape(y_pred)[0])

        def result(self):
            return ops.sqrt(self.total / ops.cast(self.samples, "float32"))

    def summed(y_true, y_pred):
        flat = ops.reshape(y_pred, (ops.shape(y_pred)[0], -1))
        return -ops.sum(ops.log(flat) * ops.reshape(ops.one_hot(y_true, 3), (-1, 3))) / ops.shape(y_pred)[0]

    random = np.random.default_rng(0)
    x, y = random.normal(size=(50, 4)).astype("float32"), random.integers(0, 3, 50)
    model = fastnn.Sequential([fastnn.Input((4,)), fastnn.layers.Dense(3, "softmax")])
    model.compile("sgd", summed, metrics=[RootMeanSquare()])
    model.fit(x, y, batch_size=20, verbose=0)
    p = model.predict(x, verbose=0)
    found = model.evaluate(x, y, batch_size=20, verbose=0, return_dict=True)
    assert found["rmse"] == pytest.approx(np.sqrt(((np.eye(3)[y] - p) ** 2).sum() / 50), rel=1e-5)
    assert found["loss"] == pytest.approx(-np.log(p[np.arange(50), y]).mean(), rel=1e-5)
    eager = RootMeanSquare()
    eager.update_state(y, p)
    assert float(eager.result()) == pytest.approx(found["rmse"], rel=1e-5)
