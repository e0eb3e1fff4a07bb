import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastnn._engine import kernels
from reference.arrays import garbage, matrix

ISAS = kernels.isas()


@pytest.mark.parametrize("isa", ISAS)
@given(st.integers(1, 6), st.integers(1, 4), st.integers(1, 50), st.booleans(), st.booleans(), st.integers(1, 3))
def test_prelu(isa, samples, per, n, share_rows, share_columns, threads):
    random = np.random.default_rng(n)
    x, dy = np.round(random.normal(size=(2, samples * per, n)), 1).astype(np.float32)  # with zeros
    alpha_rows, alpha_n = 1 if share_rows else per, 1 if share_columns else n
    alpha = random.normal(size=(alpha_rows, alpha_n)).astype(np.float32)
    table = np.zeros(16, np.int32)
    table[:per] = 0 if share_rows else np.arange(per)
    flat = kernels.aligned(kernels.row_stride(alpha.size))
    flat[: alpha.size] = alpha.reshape(-1)
    slopes = np.tile(np.broadcast_to(alpha, (per, n)), (samples, 1))
    source, gradient = matrix(x), matrix(dy, 1)
    for values, operand in (x, source), (dy, gradient):
        y = garbage(*x.shape)
        dims = dict(n=n, ldv=source.shape[1], ldx=operand.shape[1], ldy=y.shape[1], alpha_n=alpha_n)
        operands = dict(v=source, x=operand, alpha=flat, map=table, y=y)
        kernels.call("prelu", samples, operands, dims, {}, per, isa=isa, threads=threads)
        expected = np.where(x > 0, values, np.where(x < 0, values * slopes, 0))
        np.testing.assert_array_equal(y[:, :n], expected)
        assert (y[:, n:] == 0).all()
    for accumulate in 0, 1:
        dalpha = np.zeros_like(flat)
        dalpha[: alpha.size] = 1
        dims = dict(n=n, ldx=source.shape[1], lddy=gradient.shape[1], alpha_n=alpha_n, alpha_rows=alpha_rows)
        operands = dict(x=source, dy=gradient, map=table, dalpha=dalpha)
        dims["accumulate"] = accumulate
        kernels.call("prelu_gradient", samples, operands, dims, {}, per, isa=isa, threads=threads)
        parts = (np.minimum(x, 0) * dy.astype(np.float64)).reshape(samples, per, n).sum(axis=0)
        parts = parts.sum(axis=0, keepdims=True) if share_rows else parts
        parts = parts.sum(axis=1, keepdims=True) if share_columns else parts
        np.testing.assert_allclose(dalpha[: alpha.size], parts.reshape(-1) + accumulate, rtol=1e-5, atol=1e-5)
        assert not dalpha[alpha.size :].any()
