"""The operations of ``csrc/ops/merge.c``, ``dot.c`` and ``rearrange.c`` against NumPy in float64."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastnn._engine import kernels
from reference.arrays import GARBAGE, garbage, matrix, same_bits
from reference.merge import FUNCTIONS, dot, merged, share

ISAS = kernels.isas()
SIZES = st.integers(1, 40)


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
@given(SIZES, st.integers(1, 100), st.integers(0, 4))
def test_merge(isa, rows, n, function):
    random = np.random.default_rng(rows * 1000 + n)
    a, b, dy = random.integers(-3, 4, (3, rows, n)).astype(np.float32)  # with ties
    x, other, gradient = matrix(a), matrix(b, extra=1), matrix(dy)
    name = FUNCTIONS[function]
    dims = dict(n=n, lda=x.shape[1], ldb=other.shape[1], ldy=x.shape[1], function=function)
    y = call("merge_forward", rows, dict(a=x, b=other, y=garbage(rows, n)), dims, "y", scalars=dict(scale=0.5), isa=isa)
    np.testing.assert_array_equal(y[:, :n], 0.5 * merged(name, a, b))
    assert (y[:, n:] == 0).all()
    dims = dict(n=n, ldx=x.shape[1], ldother=other.shape[1], lddy=x.shape[1], lddx=x.shape[1], function=function)
    operands = dict(x=x, other=other, dy=gradient, dx=garbage(rows, n))
    dx = call("merge_backward", rows, operands, dims, "dx", scalars=dict(scale=-2.0), isa=isa)
    np.testing.assert_array_equal(dx[:, :n], -2.0 * dy * share(name, a, b, first=True))


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("function", [3, 4])
def test_not_a_number_wins(isa, function):
    a, b = np.array([[np.nan, 1, 2]], np.float32), np.array([[1, np.nan, 3]], np.float32)
    x, other = matrix(a), matrix(b)
    dims = dict(n=3, lda=16, ldb=16, ldy=16, function=function)
    y = call("merge_forward", 1, dict(a=x, b=other, y=garbage(1, 3)), dims, "y", scalars=dict(scale=1.0), isa=isa)
    np.testing.assert_array_equal(np.isnan(y[0, :3]), [True, True, False])


@pytest.mark.parametrize("isa", ISAS)
@given(st.integers(1, 5), st.integers(1, 9), st.integers(1, 9), st.integers(1, 40))
def test_dot(isa, samples, m, n, k):
    random = np.random.default_rng(m * 1000 + n * 100 + k)
    a, b, dy = (
        random.normal(size=shape).astype(np.float32) for shape in ((samples, m, k), (samples, n, k), (samples, m, n))
    )
    first, second = matrix(a.reshape(-1, k)), matrix(b.reshape(-1, k), extra=1)
    dims = dict(rows_a=m, rows_b=n, k=k, lda=first.shape[1], ldb=second.shape[1], ldy=16)
    operands = dict(a=first, b=second, y=garbage(samples * m, n))
    y = call("dot_forward", samples, operands, dims, "y", isa=isa)
    np.testing.assert_allclose(y[:, :n].reshape(samples, m, n), dot(a, b), rtol=1e-5, atol=1e-5)
    gradient = matrix(dy.reshape(-1, n))
    for other, rows, others, transposed, exact in (
        (second, m, n, 0, np.einsum("imn,ink->imk", np.float64(dy), b)),
        (first, n, m, 1, np.einsum("imn,imk->ink", np.float64(dy), a)),
    ):
        dx = garbage(samples * rows, k)
        dims = dict(rows_x=rows, rows_other=others, k=k, lddy=16, ldother=other.shape[1], lddx=dx.shape[1])
        operands = dict(dy=gradient, other=other, dx=dx)
        dx = call("dot_backward", samples, operands, dims | dict(transposed=transposed), "dx", isa=isa)
        np.testing.assert_allclose(dx[:, :k].reshape(exact.shape), exact, rtol=1e-5, atol=1e-5)


def box(sizes, x, y, **others):
    named = {"s": sizes, "x": x, "y": y}
    dims = {f"{letter}{axis}": value for letter, values in named.items() for axis, value in enumerate(values)}
    return {**dims, "x_first": 0, "y_first": 0, "pad": 0, **others}


@pytest.mark.parametrize("isa", ISAS)
@given(st.integers(1, 3), st.integers(1, 45), st.integers(1, 45))
def test_rearrange(isa, samples, rows, n):
    values = np.random.default_rng(rows * 100 + n).normal(size=(samples, rows, n)).astype(np.float32)
    x, y = matrix(values.reshape(-1, n), extra=1), garbage(samples * n, rows)
    ldx, ldy = x.shape[1], y.shape[1]
    steps = dict(x_sample=rows * ldx, y_sample=n * ldy, pad=-rows % 16)
    dims = box((1, 1, 1, n, rows), (0, 0, 0, 1, ldx), (0, 0, 0, ldy, 1), **steps)
    turned = call("rearrange", samples, dict(x=x, y=y), dims, "y", isa=isa)
    np.testing.assert_array_equal(turned[:, :rows].reshape(samples, n, rows), values.transpose(0, 2, 1))
    assert (turned[:, rows : rows - (-rows // 16 * 16 + rows)] != np.float32(GARBAGE)).all()
    for y_rows, columns, step, axis in ((1, n, (0, 1), 1), (rows, 1, (16, 0), 2), (n, 1, (0, 16), 1)):
        y = garbage(samples * y_rows, columns)
        steps = dict(x_sample=rows * ldx, y_sample=y_rows * y.shape[1])
        dims = box((1, 1, 1, rows, n), (0, 0, 0, ldx, 1), (0, 0, 0, *step), **steps)
        total = call("rearrange_sum", samples, dict(x=x, y=y), dims, "y", isa=isa)[:, :columns]
        exact = values.astype(np.float64).sum(axis=axis)
        np.testing.assert_allclose(total.reshape(exact.shape), exact, rtol=1e-5, atol=1e-5)
