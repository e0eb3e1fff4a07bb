import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastnn._engine import kernels
from reference import dropout, noise
from reference.arrays import garbage, matrix
from reference.data import words

ISAS = kernels.isas()
ADD, SCALE, SLOPE = range(3)


def drawn(x, kind, low=0.0, high=1.0, v=None, isa=None, stream=3, own_seed=0, threads=1, **how):
    rows, n = x.shape
    x, y = matrix(x, 1), garbage(rows, n)
    v = None if v is None else matrix(v)
    dims = dict(n=n, ldv=0 if v is None else v.shape[1], ldx=x.shape[1], ldy=y.shape[1])
    dims.update(stream=stream, own_seed=own_seed, kind=kind)
    scalars = dict(low=low, high=high)
    kernels.call("noise", rows, dict(v=v, x=x, y=y), dims, scalars, isa=isa, threads=threads, **how)
    assert (y[:, n:] == 0).all()
    return y[:, :n]


@pytest.mark.parametrize("isa", ISAS)
@given(st.integers(1, 12), st.integers(1, 70), st.integers(0, 2**64 - 1), st.integers(1, 3))
def test_noise_is_that_of_the_oracle(isa, rows, n, seed, threads):
    x, v = np.random.default_rng(rows).normal(size=(2, rows, n)).astype(np.float32)
    where = rows, n, seed, 3, 9
    how = dict(isa=isa, seed=seed, step=9, threads=threads)
    z = noise.normal(*where)
    np.testing.assert_allclose(drawn(x, ADD, high=0.7, **how), x + np.float32(0.7) * z, rtol=2e-6, atol=4e-6)
    np.testing.assert_allclose(drawn(x, SCALE, high=0.7, **how), x * (1 + np.float32(0.7) * z), rtol=4e-6, atol=4e-6)
    slopes = 0.125 + (0.25 - 0.125) * noise.uniform(*where)
    expected = np.where(v > 0, x, x * slopes)
    np.testing.assert_allclose(drawn(x, SLOPE, low=0.125, high=0.25, v=v, **how), expected, rtol=1e-6)


def test_the_quantiles_reach_into_the_tails():
    z = drawn(np.zeros((1000, 1600), np.float32), ADD)
    np.testing.assert_allclose(z, noise.normal(1000, 1600, 0, 3, 0), rtol=3e-6, atol=1e-6)
    assert 4.5 < np.abs(z).max() < 5.5
    assert abs(z.mean()) < 5 / np.sqrt(z.size)
    assert abs(z.var() - 1) < 5 * np.sqrt(2 / z.size)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("kind", [ADD, SCALE, SLOPE])
def test_what_is_not_finite_stays_in_its_place(isa, kind):
    x = np.ones((5, 33), np.float32)
    x[1, 3], x[2, 32] = np.nan, np.inf
    y = drawn(x, kind, low=0.1, high=0.3, v=x if kind == SLOPE else None, isa=isa)
    np.testing.assert_array_equal(np.isfinite(y), np.isfinite(x))


def test_a_seed_of_the_layers_own_replaces_that_of_the_program():
    x = np.zeros((5, 40), np.float32)
    first = drawn(x, ADD, stream=0, own_seed=12, seed=1)
    np.testing.assert_array_equal(first, drawn(x, ADD, stream=0, own_seed=12, seed=2))
    assert (first != drawn(x, ADD, stream=0, own_seed=13, seed=1)).any()
    assert (first != drawn(x, ADD, stream=0, own_seed=12, seed=1, step=1)).any()


@pytest.mark.parametrize("isa", ISAS)
@given(st.integers(1, 6), st.integers(1, 5), st.integers(1, 50), st.booleans(), st.booleans(), st.booleans())
def test_shared_masks(isa, samples, per, n, share_rows, share_columns, share_batch):
    x = np.random.default_rng(0).normal(size=(samples * per, n)).astype(np.float32)
    noise_rows, noise_n = 1 if share_rows else per, 1 if share_columns else n
    total = noise_rows * (1 if share_batch else samples)
    width = kernels.row_stride(noise_n)
    upper = words(total * width, 5, 3, 2).reshape(total, width)[:, :noise_n] >> np.uint32(1)
    keep = (upper >= int(np.float32(0.4) * 2.0**31)).reshape(-1, noise_rows, noise_n)
    keep = np.broadcast_to(keep, (samples, per, n)).reshape(x.shape)
    source, y = matrix(x), garbage(*x.shape)
    mask = kernels.aligned((len(x), kernels.row_stride(n) // 16), np.uint16)
    table = np.zeros(max(16, per), np.int32)
    table[:per] = 0 if share_rows else np.arange(per)
    dims = dict(n=n, ldx=source.shape[1], ldy=y.shape[1], stream=3, own_seed=0, noise_n=noise_n)
    dims.update(noise_rows=noise_rows, shared_batch=share_batch)
    scalars = dict(rate=0.4, scale=1.5, shift=0.25, dropped=-3.0)
    operands = dict(x=source, map=table, y=y, mask=mask)
    kernels.call("masked_forward", samples, operands, dims, scalars, per, isa=isa, seed=5, step=2, threads=2)
    np.testing.assert_allclose(y[:, :n], np.where(keep, x * 1.5 + 0.25, -3), rtol=1e-6, atol=1e-6)
    dx = garbage(*x.shape)
    dims = dict(n=n, lddy=source.shape[1], lddx=dx.shape[1])
    kernels.call("dropout_backward", len(x), dict(dy=source, mask=mask, dx=dx), dims, dict(scale=1.5), isa=isa)
    np.testing.assert_allclose(dx[:, :n], dropout.scaled(x, keep, 0) * 1.5, rtol=1e-6)
