"""Moving values (``csrc/ops/arrange.c``) and products within samples (``matmul.c``) against NumPy in float64."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastnn._engine import kernels
from reference.arrays import garbage, matrix, same_bits

ISAS = kernels.isas()


def call(name, samples, operands, dims, out, **how):
    """What teams of 1 and 3 write, to the same bit; the padding stays finite."""
    results = []
    for threads in 1, 3:
        arrays = {key: each.copy() for key, each in operands.items() if each is not None}
        kernels.call(name, samples, arrays, dims, threads=threads, **how)
        results.append(arrays[out])
    assert same_bits(*results)
    return results[0]


@pytest.mark.parametrize("isa", ISAS)
@given(st.integers(1, 5), st.integers(1, 9), st.integers(1, 40), st.integers(1, 40), st.integers(0, 2))
def test_matmul(isa, samples, m, n, k, turned):
    random = np.random.default_rng(m * 1000 + n * 100 + k)
    a, b = (random.normal(size=(samples, *shape)).astype(np.float32) for shape in ((m, k), (k, n)))
    exact = np.matmul(a.astype(np.float64), b)
    a = a.swapaxes(1, 2) if turned == 2 else a
    b = b.swapaxes(1, 2) if turned == 1 else b
    first, second = matrix(a.reshape(-1, a.shape[2])), matrix(b.reshape(-1, b.shape[2]), extra=1)
    y = garbage(samples * m, n)
    dims = dict(height=m, k=k, n=n, lda=first.shape[1], ldb=second.shape[1], ldy=y.shape[1], groups=1)
    dims |= dict(a_groups=1, b_groups=1, turned=turned)
    y = call("matmul", samples, dict(a=first, b=second, y=y), dims, "y", isa=isa)
    np.testing.assert_allclose(y[:, :n].reshape(samples, m, n), exact, rtol=1e-5, atol=1e-5)
    assert (y[:, n : n + -n % 16] == 0).all()


def plan(add, zeros, steps, *axes):
    """As ``arrange.c`` reads it, without offsets."""
    numbers = [len(axes), add, *zeros, *steps, 0, 0, *sum(axes, ())]
    return np.array(numbers, np.int64)


@pytest.mark.parametrize("isa", ISAS)
@given(st.integers(1, 3), st.integers(1, 45), st.integers(1, 45))
def test_arrange(isa, samples, rows, n):
    values = np.random.default_rng(rows * 100 + n).normal(size=(samples, rows, n)).astype(np.float32)
    x, y = matrix(values.reshape(-1, n), extra=1), garbage(samples * n, rows)
    ldx, ldy = x.shape[1], y.shape[1]
    padding = -rows % 16
    steps = rows * ldx, n * ldy
    for axes in ((n, 1, ldy), (rows, ldx, 1)), ((rows, ldx, 1), (n, 1, ldy)):
        operands = dict(plan=plan(0, (n, rows, ldy, padding), steps, *axes), x=x, y=y)
        turned = call("arrange", samples, operands, {}, "y", isa=isa)
        np.testing.assert_array_equal(turned[:, :rows].reshape(samples, n, rows), values.transpose(0, 2, 1))
        assert (turned[:, rows : rows + padding] == 0).all()
    for y_rows, columns, (down, right), axis in ((1, n, (0, 1), 1), (rows, 1, (16, 0), 2), (n, 1, (0, 16), 1)):
        y = garbage(samples * y_rows, columns)
        sample = y_rows * y.shape[1]
        code = plan(1, (1, 0, 0, sample), (rows * ldx, sample), (rows, ldx, down), (n, 1, right))
        total = call("arrange", samples, dict(plan=code, x=x, y=y), {}, "y", isa=isa)[:, :columns]
        exact = values.astype(np.float64).sum(axis=axis)
        np.testing.assert_allclose(total.reshape(exact.shape), exact, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("isa", ISAS)
def test_one_value_is_repeated(isa):
    x, y = matrix(np.array([[3.0], [4.0]], np.float32)), garbage(2, 21)
    code = plan(0, (1, 21, 0, 11), (16, 32), (21, 0, 1))
    y = call("arrange", 2, dict(plan=code, x=x, y=y), {}, "y", isa=isa)
    np.testing.assert_array_equal(y[:, :21], [[3.0] * 21, [4.0] * 21])
    assert (y[:, 21:] == 0).all()
