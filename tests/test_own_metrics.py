"""Metrics of one's own, compiled into a model, beside real Keras."""

import numpy as np
import pytest

import fastnn

rng = np.random.default_rng(0)
X = rng.normal(size=(50, 4)).astype(np.float32)
T = X[:, :3] * 2 - 1
WEIGHTS = np.linspace(0, 1, 50)


def own(k):
    """The classes, written once for both libraries."""
    ops = k.ops

    class Explained(k.metrics.Metric):
        def __init__(self, name="explained", **kwargs):
            super().__init__(name=name, **kwargs)
            self.errors = self.add_weight(name="errors", initializer="zeros")
            self.sums = self.add_variable((2, 3), "zeros", name="sums")
            self.n = self.add_weight(name="n", initializer="zeros")

        def update_state(self, y_true, y_pred, sample_weight=None):
            errors = ops.square(y_true - y_pred)
            if sample_weight is not None:
                errors = errors * ops.reshape(sample_weight, (-1, 1))
            self.errors.assign_add(ops.sum(errors))
            self.sums.assign(self.sums + ops.stack([ops.sum(y_true, axis=0), ops.sum(y_true * y_true, axis=0)]))
            self.n.assign_add(ops.sum(ops.ones_like(y_true[:, 0])))

        def result(self):
            total = ops.sum(self.sums[1]) - ops.sum(self.sums[0] ** 2) / self.n
            return 1 - self.errors / total

    class Distance(k.metrics.Mean):
        def update_state(self, y_true, y_pred, sample_weight=None):
            super().update_state(ops.abs(y_true - y_pred), sample_weight)

    return Explained, Distance


def run(k, weights=None):
    model = k.Sequential([k.Input((4,)), k.layers.Dense(3)])
    if weights is not None:
        model.set_weights(weights)
    start = model.get_weights()
    explained, distance = own(k)
    model.compile("sgd", "mse", metrics=[explained(), distance("d")], weighted_metrics=[explained("w"), distance("dw")])
    history = model.fit(
        X, T, epochs=2, batch_size=16, shuffle=False, verbose=0, sample_weight=WEIGHTS, validation_data=(X[:9], T[:9])
    ).history
    measured = [*model.evaluate(X, T, verbose=0), *model.train_on_batch(X[:8], T[:8])]
    alone = explained()
    alone.update_state(T[:20], X[:20, :3])
    alone.update_state(T[20:], X[20:, :3])
    return start, history, measured, float(alone.result())


def test_as_keras(keras):
    start, *theirs = run(keras)
    _, *mine = run(fastnn, start)
    assert list(mine[0]) == list(theirs[0])
    for key in theirs[0]:
        np.testing.assert_allclose(mine[0][key], theirs[0][key], rtol=1e-5, err_msg=key)
    np.testing.assert_allclose(mine[1], theirs[1], rtol=1e-5)
    np.testing.assert_allclose(mine[2], theirs[2], rtol=1e-5)


def test_state_is_that_of_an_epoch():
    explained, _ = own(fastnn)
    metric = explained()
    model = fastnn.Sequential([fastnn.Input((4,)), fastnn.layers.Dense(3)])
    model.compile("sgd", "mse", metrics=[metric])
    expected = 1 - ((T - model.predict(X, verbose=0)) ** 2).sum() / ((T - T.mean(axis=0)) ** 2).sum()
    for _ in range(2):
        assert model.evaluate(X, T, verbose=0)[1] == pytest.approx(expected, rel=1e-4)
    assert float(metric.n.numpy()) == 50
    assert [each.name for each in metric.variables] == ["errors", "sums", "n"]
    metric.reset_state()
    assert not metric.sums.numpy().any()


def test_what_cannot_be_traced_is_refused():
    class Numpy(fastnn.metrics.Metric):
        def __init__(self):
            super().__init__()
            self.n = self.add_weight()

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.n.assign_add(np.sum(np.asarray(y_true)))

        def result(self):
            return self.n

    class Shape(Numpy):
        def update_state(self, y_true, y_pred, sample_weight=None):
            self.n.assign(fastnn.ops.sum(y_true, axis=0))

    class Weights(fastnn.metrics.Mean):
        def update_state(self, y_true, y_pred, sample_weight=None):
            super().update_state(y_pred, y_true)

    class Layer(fastnn.layers.Layer):
        def build(self, shape):
            self.w = self.add_weight((3,))

        def call(self, inputs):
            self.w.assign(fastnn.ops.sum(inputs, axis=0))
            return inputs

    for metric, message in ((Numpy(), "symbolic"), (Shape(), "cannot be assigned"), (Weights(), "values for each")):
        model = fastnn.Sequential([fastnn.Input((4,)), fastnn.layers.Dense(3)])
        model.compile("sgd", "mse", metrics=[metric])
        with pytest.raises((TypeError, ValueError), match=message):
            model.fit(X, T, verbose=0)
    with pytest.raises(TypeError, match="cannot be assigned"):
        fastnn.Sequential([fastnn.Input((3,)), Layer()])


def test_metrics_that_are_attributes_are_reported(keras):
    def history(k):
        class Watched(k.Model):
            def __init__(self):
                super().__init__()
                self.dense = k.layers.Dense(3, kernel_initializer="zeros")
                self.watch = k.metrics.Mean(name="watch")

            def call(self, inputs):
                return self.dense(inputs)

        model = Watched()
        model.compile("sgd", "mse", metrics=["mae"])
        return model, model.fit(X, T, epochs=2, validation_data=(X, T), verbose=0).history

    model, mine = history(fastnn)
    assert set(mine) == set(history(keras)[1]) == {"loss", "watch", "mae", "val_loss", "val_watch", "val_mae"}
    assert mine["watch"] == [0, 0]
    assert model.metrics_names == ["loss", "watch", "mae"]

    class Update(fastnn.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            model.watch.update_state(batch)

    assert model.fit(X, T, epochs=2, batch_size=10, callbacks=[Update()], verbose=0).history["watch"] == [2, 2]


def test_metrics_are_not_updated_inside_call():
    class Wrong(fastnn.layers.Layer):
        def __init__(self):
            super().__init__()
            self.watch = fastnn.metrics.Mean(name="watch")

        def call(self, inputs):
            self.watch.update_state(inputs)
            return inputs

    with pytest.raises(TypeError, match="'watch' cannot be updated inside `call`"):
        Wrong()(X)


def test_a_result_may_be_several_numbers_by_name(keras):
    x = np.arange(12, dtype=np.float32).reshape(6, 2) / 12

    def measured(package):
        class Both(package.metrics.Metric):
            def __init__(self):
                super().__init__(name="both")
                self.total = self.add_weight(name="total", initializer="zeros")

            def update_state(self, y_true, y_pred, sample_weight=None):
                self.total.assign_add(package.ops.sum(y_pred))

            def result(self):
                return {"total": self.total + 0.0, "double": self.total * 2.0}

        model = package.Sequential([package.Input((2,)), package.layers.Dense(1, kernel_initializer="ones")])
        model.compile("sgd", "mse", metrics=[Both()])
        history = model.fit(x, x[:, :1], batch_size=2, epochs=2, shuffle=False, verbose=0).history
        return history, model.evaluate(x, x[:, :1], verbose=0, return_dict=True)

    (ours, our_end), (theirs, their_end) = measured(fastnn), measured(keras)
    assert set(ours) == set(theirs) == {"loss", "total", "double"}
    for name, values in theirs.items():
        np.testing.assert_allclose(ours[name], values, rtol=1e-5)
        np.testing.assert_allclose(our_end[name], their_end[name], rtol=1e-5)
