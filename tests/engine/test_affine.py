"""The operations without a sum: affine_forward, affine_backward and add."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastnn._engine import kernels
from reference.arrays import GARBAGE, garbage, matrix, same_bits, width

ISAS = kernels.isas()
ROWS, COLUMNS = st.integers(1, 40), st.integers(1, 150)


def result(name, rows, n, out, operands, dims, in_place=None, **how):
    """What teams of 1, 2 and 3 write to ``out``, to the same bit."""
    results = []
    for threads in 1, 2, 3:
        arrays = {key: array.copy() for key, array in operands.items()}
        y = arrays[in_place] if in_place else garbage(rows, n, 1)
        arrays[out] = y
        kernels.call(name, rows, arrays, {**dims, "ld" + out: y.shape[1]}, threads=threads, **how)
        if not in_place:
            assert (y[:, width(n) :] == np.float32(GARBAGE)).all()
        results.append(y[:, :n])
    assert same_bits(results[0], results[1])
    assert same_bits(results[0], results[2])
    return results[0]


@pytest.mark.parametrize("isa", ISAS)
@given(ROWS, COLUMNS, st.booleans())
def test_affine(isa, rows, n, in_place):
    random = np.random.default_rng(rows * 1000 + n)
    x = matrix(random.normal(size=(rows, n)))
    scale, shift = kernels.padded(random.normal(size=(2, n)))
    operands, dims = dict(x=x, scale=scale, shift=shift), dict(n=n, ldx=x.shape[1])
    y = result("affine_forward", rows, n, "y", operands, dims, "x" if in_place else None, isa=isa)
    exact = x[:, :n].astype(np.float64) * scale[:n] + shift[:n]
    np.testing.assert_allclose(y, exact, rtol=1e-6, atol=1e-6)

    operands, dims = dict(dy=x, scale=scale), dict(n=n, lddy=x.shape[1])
    dx = result("affine_backward", rows, n, "dx", operands, dims, "dy" if in_place else None, isa=isa)
    np.testing.assert_array_equal(dx, x[:, :n] * scale[:n])


@pytest.mark.parametrize("isa", ISAS)
@given(ROWS, COLUMNS, st.booleans())
def test_add(isa, rows, n, in_place):
    a, b = np.random.default_rng(rows * 1000 + n).normal(size=(2, rows, n)).astype(np.float32)
    operands = dict(a=matrix(a), b=matrix(b, extra=2))
    dims = dict(n=n, lda=operands["a"].shape[1], ldb=operands["b"].shape[1])
    y = result("add", rows, n, "y", operands, dims, "a" if in_place else None, isa=isa)
    np.testing.assert_array_equal(y, a + b)


@pytest.mark.parametrize("isa", ISAS)
def test_rows_per_sample(isa):
    a = kernels.padded(np.arange(60.0).reshape(6, 10))
    y, dims = np.zeros_like(a), dict(n=10, lda=16, ldb=16, ldy=16)
    kernels.call("add", 2, dict(a=a, b=a, y=y), dims, rows_per_sample=3, isa=isa)
    np.testing.assert_array_equal(y, 2 * a)
