"""Functions that Python computes inside of a program, and gradients of one's own."""

import os
import signal
import threading
import time
import warnings

import numpy as np
import pytest

import fastnn
from fastnn import layers, ops
from fastnn.ops import custom
from harness.layers import data

X, Y = data(50, 7), data(50, 3, seed=1)


class Through(layers.Layer):
    """A layer of one function."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def call(self, inputs):
        return self.function(inputs)


def model_with(function, optimizer="sgd"):
    fastnn.utils.set_random_seed(1)
    model = fastnn.Sequential([fastnn.Input((7,)), layers.Dense(5), Through(function), layers.Dense(3)])
    model.compile(optimizer, "mse")
    return model


def fitted(model, threads=2, **options):
    before = fastnn.get_threads()
    fastnn.set_threads(threads)
    try:
        model.fit(X, Y, **{**dict(batch_size=16, epochs=5, shuffle=False, verbose=0), **options})
    finally:
        fastnn.set_threads(before)
    return model.get_weights()


def calling(function, gradient=None, **options):
    """`python_callback` without its warning."""

    def call(*inputs):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ops.python_callback(function, *inputs, gradient=gradient, **options)

    return call


def slow_tanh(x):
    return calling(np.tanh, lambda dy, x: dy * (1 - np.tanh(x) ** 2))(x)


@pytest.mark.parametrize("threads", [1, 2])
def test_python_in_the_middle_trains_as_the_engine_does(threads):
    ours, expected = model_with(slow_tanh), model_with(ops.tanh)
    for mine, reference in zip(fitted(ours, threads), fitted(expected, threads), strict=True):
        np.testing.assert_allclose(mine, reference, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(ours.predict(X, verbose=0), expected.predict(X, verbose=0), rtol=1e-4, atol=1e-6)
    assert ours.evaluate(X, Y, verbose=0) == pytest.approx(expected.evaluate(X, Y, verbose=0), rel=1e-5)
    np.testing.assert_allclose(ours(X), ours.predict(X, verbose=0), rtol=1e-5, atol=1e-6)


def test_several_inputs_and_shapes():
    def outer(x, w):
        assert x.flags.owndata or x.base.flags.owndata  # a copy: it may be kept
        return x[:, :, None] * w

    class Outer(layers.Layer):
        def build(self, shape):
            self.w = self.add_weight((5,), "glorot_uniform")

        def call(self, x):
            return calling(
                outer, lambda dy, x, w: [(dy * w).sum(-1), (dy * x[:, :, None]).sum((0, 1))], shape=(None, 7, 5)
            )(x, self.w)

    class Composed(Outer):
        def call(self, x):
            return ops.expand_dims(x, -1) * self.w

    results = []
    for layer in Outer, Composed:
        fastnn.utils.set_random_seed(2)
        model = fastnn.Sequential([fastnn.Input((7,)), layers.Dense(7), layer(), layers.Flatten(), layers.Dense(3)])
        model.compile("sgd", "mse")
        results.append(fitted(model))
    for mine, reference in zip(*results, strict=True):
        np.testing.assert_allclose(mine, reference, rtol=1e-5, atol=1e-6)


def test_it_says_that_it_is_slow(monkeypatch):
    monkeypatch.setattr(custom, "_warned", False)
    with pytest.warns(UserWarning, match="python_callback is slow"):
        ops.python_callback(np.sin, fastnn.Input((3,)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ops.python_callback(np.sin, fastnn.Input((3,)))
    np.testing.assert_allclose(ops.python_callback(np.sin, [0.5, 1]), np.sin([0.5, 1]), rtol=1e-6)


@pytest.mark.parametrize("threads", [1, 2])
def test_what_it_raises_reaches_the_caller_and_changes_nothing(threads):
    calls = []

    def failing(x):
        calls.append(len(x))
        if len(calls) == 3:
            raise ZeroDivisionError("the third time")
        return x

    model = model_with(calling(failing, lambda dy, x: dy))
    with pytest.raises(ZeroDivisionError, match="the third time"):
        fitted(model, threads)
    assert model.optimizer.iterations == 2
    assert calls == [16, 16, 16]
    plain = model_with(lambda x: x)
    fitted(plain, threads, epochs=1, steps_per_epoch=2)
    for mine, reference in zip(model.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, reference)
    fitted(model, threads)  # and the model goes on
    assert model.optimizer.iterations == 22


@pytest.mark.parametrize("threads", [1, 2])
def test_what_is_raised_after_an_update_ends_the_run_with_that_step(threads):
    """A constraint holds the weights in bounds when they have been changed already."""
    calls = []

    def failing(w):
        calls.append(w.shape)
        if len(calls) == 2:
            raise ZeroDivisionError("the second time")
        return w

    kernel = layers.Dense(5, kernel_constraint=calling(failing, shape=(7, 5)))
    model = fastnn.Sequential([fastnn.Input((7,)), kernel, layers.Dense(3)])
    model.compile("sgd", "mse")
    with pytest.raises(ZeroDivisionError, match="the second time"):
        fitted(model, threads)
    assert len(calls) == model.optimizer.iterations == 2


def test_ctrl_c_in_the_middle_of_python():
    def patient(x):
        time.sleep(0.01)
        return x

    model = model_with(calling(patient, lambda dy, x: dy))
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, epochs=10**6, verbose=0)
    assert np.isfinite(model.predict(X, verbose=0)).all()


@pytest.mark.parametrize(
    ("run", "error", "message"),
    [
        (lambda: fitted(model_with(calling(np.tanh))), ValueError, "no `gradient`, and something that is trained"),
        (lambda: model_with(slow_tanh).freeze(), ValueError, "'through.*calls Python.*frozen or exported"),
        (
            lambda: model_with(calling(lambda x: x[:, :2])).predict(X),
            ValueError,
            r"shape \(50, 5\). Received.*\(50, 2\)",
        ),
        (lambda: fitted(model_with(calling(np.tanh, lambda dy, x: (dy, dy)))), ValueError, "each of its 1 inputs"),
        (lambda: ops.python_callback(np.tanh), ValueError, "1 to 5 inputs"),
        (lambda: ops.python_callback(3, fastnn.Input((3,))), TypeError, "`function` must be callable"),
    ],
)
def test_refuses(run, error, message):
    with pytest.raises(error, match=message):
        run()


def test_nothing_trained_before_it_needs_no_gradient():
    model = model_with(lambda x: calling(np.sign)(ops.stop_gradient(x)))
    weights = model.get_weights()
    after = fitted(model)
    np.testing.assert_array_equal(weights[0], after[0])
    assert (weights[2] != after[2]).any()


def test_in_a_loss_and_a_metric_of_ones_own():
    def loss(y, p):
        return calling(lambda a, b: (a - b) ** 2, lambda dy, a, b: (None, -2 * dy * (a - b)))(y, p)

    model, plain = model_with(ops.tanh), model_with(ops.tanh)
    model.compile("sgd", loss)
    for mine, reference in zip(fitted(model), fitted(plain), strict=True):
        np.testing.assert_allclose(mine, reference, rtol=1e-5, atol=1e-6)


# ---- gradients of one's own ------------------------------------------------------------------------------------------


def log1pexp_of(ops):
    @ops.custom_gradient
    def log1pexp(x):
        e = ops.exp(x)

        def gradient(*args, upstream=None):
            if upstream is None:
                (upstream,) = args
            return ops.multiply(upstream, 0.5 - 1.0 / ops.add(1, e))  # not the true one, so that it is noticed

        return ops.log(1 + e), gradient

    return log1pexp


def test_custom_gradient_is_that_of_keras(keras):
    weights, results = None, []
    for package in fastnn, keras:
        function = log1pexp_of(package.ops)
        model = package.Sequential(
            [package.Input((7,)), package.layers.Dense(5), package.layers.Lambda(function), package.layers.Dense(3)]
        )
        model.compile(package.optimizers.SGD(0.1), "mse")
        weights = weights or model.get_weights()
        model.set_weights(weights)
        model.fit(X, Y, batch_size=16, epochs=5, shuffle=False, verbose=0)
        results.append([*model.get_weights(), model.predict(X, verbose=0)])
    for mine, reference in zip(*results, strict=True):
        np.testing.assert_allclose(mine, reference, rtol=1e-4, atol=1e-5)


def test_custom_gradient_of_two_arguments():
    """A straight-through estimator: rounded forward, as if it had not been backward; and a gradient turned round."""

    @ops.custom_gradient
    def rounded(x, scale):
        return ops.round(x * scale) / scale, lambda upstream: (upstream, None)

    @ops.custom_gradient
    def reversed_gradient(x):
        return x, lambda upstream: -upstream

    model = model_with(lambda x: reversed_gradient(reversed_gradient(rounded(x, 4.0))))
    plain = model_with(lambda x: x + ops.stop_gradient(ops.round(x * 4.0) / 4.0 - x))
    for mine, reference in zip(fitted(model), fitted(plain), strict=True):
        np.testing.assert_allclose(mine, reference, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(model.freeze()(X), model.predict(X, verbose=0), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(rounded(np.float32([0.3]), 4.0), [0.25])


def test_custom_gradient_refuses():
    with pytest.raises(TypeError, match=r"twice must return \(value, gradient\)"):
        ops.custom_gradient(twice)(fastnn.Input((3,)))
    with pytest.raises(ValueError, match="each of its 1 arguments. Received 2"):
        ops.custom_gradient(lambda x: (x, lambda dy: (dy, dy)))(fastnn.Input((3,)))
    with pytest.raises(ValueError, match="cannot be broadcast"):
        ops.custom_gradient(lambda x: (x[:, :1], lambda dy: ops.tile(dy, (1, 5))))(fastnn.Input((3,)))


def twice(x):
    return 2 * x
