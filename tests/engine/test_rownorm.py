import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastnn._engine import kernels
from reference import rownorm
from reference.arrays import garbage, matrix

ISAS = kernels.isas()
KINDS = list(rownorm.KINDS)
EPSILON = 1e-3


def flags(kind):
    return dict(zip(("subtract", "centre", "unit"), rownorm.KINDS[kind], strict=True))


def forward(x, gamma, beta, kind, isa=None, threads=1, epsilon=EPSILON):
    rows, n = x.shape
    x, y, mean, inv = matrix(x, 1), garbage(rows, n), kernels.aligned(rows), kernels.aligned(rows)
    vectors = {
        key: None if value is None else kernels.padded(value) for key, value in dict(gamma=gamma, beta=beta).items()
    }
    dims = dict(n=n, ldx=x.shape[1], ldy=y.shape[1], **flags(kind))
    operands = dict(x=x, y=y, mean=mean, inv=inv, **vectors)
    kernels.call("rownorm_forward", rows, operands, dims, dict(epsilon=epsilon), isa=isa, threads=threads)
    assert (y[:, n:] == 0).all()
    return y[:, :n], mean, inv


@pytest.mark.parametrize("isa", ISAS)
@given(st.integers(1, 9), st.integers(1, 70), st.sampled_from(KINDS), st.booleans(), st.integers(1, 3))
def test_forward_and_backward(isa, rows, n, kind, affine, threads):
    random = np.random.default_rng(n)
    x, dy = (random.normal(size=(rows, n)).astype(np.float32) + np.float32(0.5) for _ in range(2))
    gamma, beta = random.normal(size=(2, n)).astype(np.float32) if affine else (None, None)
    g, b = (gamma, beta) if affine else (1.0, 0.0)
    y, mean, inv = forward(x, gamma, beta, kind, isa, threads)
    np.testing.assert_allclose(y, rownorm.forward(x, g, b, kind, EPSILON), rtol=2e-5, atol=2e-5)

    source, gradient, dx = matrix(x), matrix(dy, 1), garbage(rows, n)
    dims = dict(n=n, ldx=source.shape[1], lddy=gradient.shape[1], lddx=dx.shape[1], **flags(kind))
    operands = dict(x=source, mean=mean, inv=inv, gamma=kernels.padded(gamma) if affine else None, dy=gradient, dx=dx)
    kernels.call("rownorm_backward", rows, operands, dims, dict(epsilon=EPSILON), isa=isa, threads=threads)
    expected = rownorm.backward(x, g, dy, kind, EPSILON)
    np.testing.assert_allclose(dx[:, :n], expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max() + 1e-5)
    assert (dx[:, n:] == 0).all()

    dgamma, dbeta = kernels.padded(np.ones(n)), kernels.padded(np.ones(n))
    statistics = dict(mean=mean if flags(kind)["subtract"] else None, inv=inv)
    dims = dict(n=n, ldx=source.shape[1], lddy=gradient.shape[1], accumulate=1)
    operands = dict(x=source, dy=gradient, dgamma=dgamma, dbeta=dbeta, **statistics)
    kernels.call("column_gradients", rows, operands, dims, {}, isa=isa, threads=threads)
    plain = rownorm.forward(x, 1.0, 0.0, kind, EPSILON)
    np.testing.assert_allclose(dgamma[:n], 1 + (dy * plain).sum(axis=0), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(dbeta[:n], 1 + dy.sum(axis=0, dtype=np.float64), rtol=1e-5, atol=1e-5)
    assert not dgamma[n:].any()
    assert not dbeta[n:].any()


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_finite_stays_in_its_row(isa, kind):
    x = np.random.default_rng(0).normal(size=(6, 35)).astype(np.float32)
    expected, *_ = forward(x, None, None, kind, isa)
    x[1, 0], x[2, 34], x[4, 7] = np.nan, np.inf, -np.inf
    y, *_ = forward(x, None, None, kind, isa)
    for row in 0, 3, 5:
        np.testing.assert_array_equal(y[row], expected[row])
    assert not np.isfinite(y[1]).all()


@pytest.mark.parametrize("isa", ISAS)
def test_a_mean_far_from_zero_costs_no_accuracy(isa):
    x = (1e4 + np.random.default_rng(0).normal(size=(4, 200))).astype(np.float32)
    y, *_ = forward(x, None, None, "layer", isa)
    np.testing.assert_allclose(y, rownorm.forward(x, 1, 0, "layer", EPSILON), rtol=1e-3, atol=1e-3)


def test_a_norm_of_zero_divides_nothing():
    y, _, inv = forward(np.zeros((2, 5), np.float32), None, None, "unit", epsilon=1e-24)
    assert not y.any()
    assert np.isfinite(inv).all()
