import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastnn._engine import kernels
from reference import dropout
from reference.arrays import GARBAGE, garbage, matrix, width

ISAS = kernels.isas()
RATES = st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 1.0]) | st.floats(0, 1, width=32)


def forward(x, rate, in_place=False, **how):
    """``(y, mask)`` by the engine; rows lie one cache line further apart than they need to."""
    rows, n = x.shape
    source = matrix(x, extra=1)
    y = source if in_place else garbage(rows, n, 1)
    mask = kernels.aligned((rows, width(n) // 16), np.uint16)
    stream = how.pop("stream", 3)
    dims = dict(n=n, ldx=source.shape[1], ldy=y.shape[1], stream=stream, own_seed=0)
    operands = dict(x=source, y=y, mask=mask)
    kernels.call("dropout_forward", rows, operands, dims, dict(rate=rate), **how)
    if not in_place:
        assert (y[:, width(n) :] == np.float32(GARBAGE)).all()
    return y[:, :n], mask


@pytest.mark.parametrize("isa", ISAS)
@given(st.integers(1, 40), st.integers(1, 150), RATES, st.integers(0, 2**64 - 1), st.booleans())
def test_forward_and_backward(isa, rows, n, rate, seed, in_place):
    x, dy = np.random.default_rng(1).normal(size=(2, rows, n)).astype(np.float32)
    keep = dropout.kept(rows, n, rate, seed, stream=3, step=9)
    y, mask = forward(x, rate, in_place, isa=isa, seed=seed, step=9)
    np.testing.assert_allclose(y, dropout.scaled(x, keep, rate), rtol=3e-7)
    np.testing.assert_array_equal((y != 0) | (x == 0) | (rate == 1), keep | (x == 0) | (rate == 1))

    dy = matrix(dy)
    dx = dy if in_place else garbage(rows, n, 1)
    dims = dict(n=n, lddy=dy.shape[1], lddx=dx.shape[1])
    expected = dropout.scaled(dy[:, :n], keep, rate)
    scale = 1 / (1 - np.float32(rate)) if rate < 1 else 0.0
    kernels.call("dropout_backward", rows, dict(dy=dy, mask=mask, dx=dx), dims, dict(scale=scale), isa=isa)
    np.testing.assert_allclose(dx[:, :n], expected, rtol=3e-7)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize(("rows", "n"), [(1, 5), (7, 16), (33, 50), (64, 130)])
def test_same_bits_for_any_team_and_instruction_set(isa, rows, n):
    x = np.ones((rows, n), np.float32)
    y, mask = forward(x, 0.4, isa=ISAS[0], seed=5)
    for threads in 1, 2, 3:
        other, other_mask = forward(x, 0.4, isa=isa, seed=5, threads=threads)
        np.testing.assert_array_equal(y, other)
        np.testing.assert_array_equal(mask, other_mask)


@pytest.mark.parametrize("isa", ISAS)
def test_rows_of_a_sample_are_dropped_separately(isa):
    x = np.ones((12, 20), np.float32)
    expected, _ = forward(x, 0.5, isa=isa)
    y, mask = kernels.aligned((12, 32)), kernels.aligned((12, 2), np.uint16)
    dims = dict(n=20, ldx=32, ldy=32, stream=3, own_seed=0)
    operands = dict(x=matrix(x), y=y, mask=mask)
    kernels.call("dropout_forward", 4, operands, dims, dict(rate=0.5), rows_per_sample=3, isa=isa)
    np.testing.assert_array_equal(y[:, :20], expected)


def test_each_seed_stream_and_step_drops_something_else():
    x = np.ones((50, 64), np.float32)
    first = forward(x, 0.5)[0]
    for how in dict(seed=1), dict(step=1), dict(stream=4), dict(seed=2**32), dict(step=2**32):
        differ = (forward(x, 0.5, **how)[0] != first).mean()
        assert 0.45 < differ < 0.55, how


@pytest.mark.parametrize("rate", [0.01, 0.2, 0.5, 0.8])
def test_the_rate_and_the_mean_are_kept(rate):
    x = np.ones((400, 512), np.float32)
    y, _ = forward(x, rate)
    deviation = np.sqrt(rate * (1 - rate) / x.size)
    assert abs((y == 0).mean() - rate) < 5 * deviation
    assert abs(y.mean() - 1) < 5 * deviation / (1 - rate)


@pytest.mark.parametrize("isa", ISAS)
def test_what_is_dropped_is_zero_even_if_it_was_not_finite(isa):
    x = np.resize(np.array([np.nan, np.inf, -np.inf], np.float32), (30, 40))
    y, _ = forward(x, 0.5, isa=isa)
    keep = dropout.kept(30, 40, 0.5, 0, 3, 0)
    assert (y[~keep] == 0).all()
    assert not np.isfinite(y[keep]).any()
