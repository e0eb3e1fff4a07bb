"""The gradients of a batch normalisation taken from those of the dense layer that it feeds."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fastnn._engine import kernels
from reference import batchnorm, dense
from reference.arrays import garbage, matrix

EPSILON = 1e-3


@pytest.mark.parametrize("isa", kernels.isas())
@given(st.integers(2, 40), st.integers(1, 70), st.integers(1, 70), st.booleans())
@example(32, 784, 300, True)
@example(7, 33, 10, True)
def test_against_the_general_way(isa, m, k, n, affine):
    random = np.random.default_rng([m, k, n])
    x, dz = random.normal(1, 2, size=(m, k)), random.normal(size=(m, n))
    w, gamma, beta = random.normal(size=(k, n)), random.normal(size=k), random.normal(size=k)
    if not affine:
        gamma, beta = np.ones(k), np.zeros(k)
    mean, variance = batchnorm.statistics(x)
    y = batchnorm.forward(x, gamma, beta, mean, variance, EPSILON)
    exact_dw, exact_db = dense.backward_weights(y, dz)
    dy = dense.backward_input(dz, w)
    _, exact_dgamma, exact_dbeta = batchnorm.backward(x, gamma, dy, mean, variance, EPSILON)

    xhat = (x - mean) / np.sqrt(variance + EPSILON)
    g = (xhat.T @ dz).astype(np.float32)
    results = []
    for threads in 1, 2, 3:
        operands = dict(w=kernels.pack(w, isa), dw=kernels.pack(g, isa), db=kernels.padded(exact_db))
        padded = kernels.row_stride(k)
        operands["sums"] = sums = kernels.aligned(2 * kernels.panel_count(n, isa) * padded)
        sums[:] = np.nan
        if affine:
            operands.update(gamma=kernels.padded(gamma), beta=kernels.padded(beta))
        kernels.call("batchnorm_dense_gradients", m, operands, dict(k=k, n=n), isa=isa, threads=threads)
        totals = dict(sums=sums, dgamma=kernels.aligned(padded), dbeta=kernels.aligned(padded))
        totals["dgamma"][:] = np.nan
        kernels.call("batchnorm_dense_sums", m, totals, dict(k=k, n=n), isa=isa, threads=threads)
        results.append([operands["dw"], totals["dgamma"], totals["dbeta"]])
    for other in results[1:]:
        for one, two in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(one, two)
    dw, dgamma, dbeta = results[0]
    scale = np.sqrt(n * m)
    np.testing.assert_allclose(kernels.unpack(dw, k, n, isa), exact_dw, rtol=1e-4, atol=1e-5 * scale)
    np.testing.assert_allclose(dgamma[:k], exact_dgamma, rtol=1e-4, atol=1e-5 * scale)
    np.testing.assert_allclose(dbeta[:k], exact_dbeta, rtol=1e-4, atol=1e-5 * scale)
    assert np.count_nonzero(dw) <= k * n
    assert not dgamma[k:].any()


@pytest.mark.parametrize("isa", kernels.isas())
@given(st.integers(1, 40), st.integers(1, 70), st.booleans())
def test_xhat(isa, rows, n, affine):
    """The training pass that keeps the normalised values gives them, and the same output."""
    random = np.random.default_rng([rows, n])
    x, gamma, beta = random.normal(3, 2, size=(rows, n)), random.normal(size=n), random.normal(size=n)
    operands = dict(x=matrix(x), y=garbage(rows, n), xhat=garbage(rows, n))
    operands.update(
        {name: kernels.padded(np.zeros(n)) for name in ("moving_mean", "moving_variance", "mean", "inv_std")}
    )
    if affine:
        operands.update(gamma=kernels.padded(gamma), beta=kernels.padded(beta))
    ld = operands["x"].shape[1]
    scalars = dict(momentum=0.9, epsilon=EPSILON)
    kernels.call("batchnorm_train", rows, operands, dict(n=n, ldx=ld, ldy=ld), scalars, isa=isa)
    mean, variance = batchnorm.statistics(operands["x"][:, :n])
    xhat = batchnorm.normalised(x, mean, variance, EPSILON)
    np.testing.assert_allclose(operands["xhat"][:, :n], xhat, rtol=1e-4, atol=1e-4)
    expected = xhat * gamma + beta if affine else xhat
    np.testing.assert_allclose(operands["y"][:, :n], expected, rtol=1e-4, atol=2e-4)


@pytest.mark.parametrize("shared", ["nothing", "normalisation", "dense"])
def test_both_ways_train_alike(shared):
    """Networks where the short way applies, and where it must not because a layer is used twice."""
    import fastnn
    from fastnn import layers

    class Twice(layers.Layer):
        """The input's normalisation or the dense layer after it is used a second time."""

        def build(self, input_shape):
            self.normalise = layers.BatchNormalization()
            self.dense = layers.Dense(input_shape[-1], activation="tanh")

        def call(self, inputs, training=None):
            y = self.dense(self.normalise(inputs, training=training))
            if shared == "normalisation":
                y = self.normalise(y, training=training)
            return self.dense(y) if shared == "dense" else y

    fastnn.utils.set_random_seed(3)
    model = fastnn.Sequential([fastnn.Input((5,)), Twice(), layers.Dense(2)])
    model.compile(fastnn.optimizers.SGD(1.0), "mse")

    random = np.random.default_rng(0)
    x, y = random.normal(1, 2, size=(12, 5)).astype(np.float32), random.normal(size=(12, 2)).astype(np.float32)
    before = [each.numpy() for each in model.trainable_variables]
    model.train_on_batch(x, y)
    steps = [a - b.numpy() for a, b in zip(before, model.trainable_variables, strict=True)]
    # Central differences of the loss in training mode; forward passes only.
    for number, variable in enumerate(model.trainable_variables):
        for index in list(np.ndindex(variable.shape))[:6]:
            losses = []
            for delta in (1e-2, -1e-2):
                value = before[number].copy()
                value[index] += delta
                for each, old in zip(model.trainable_variables, before, strict=True):
                    each.assign(old)
                variable.assign(value)
                losses.append(float(np.mean((np.asarray(model(x, training=True), np.float64) - y) ** 2)))
            slope = (losses[0] - losses[1]) / 2e-2
            assert steps[number][index] == pytest.approx(slope, rel=2e-2, abs=2e-3), variable.path
