import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastnn._engine import kernels
from reference import embedding
from reference.arrays import garbage, matrix

ISAS = kernels.isas()


def flat(values):
    out = kernels.aligned(kernels.row_stride(values.size))
    out[: values.size] = values.reshape(-1)
    return out


@pytest.mark.parametrize("isa", ISAS)
@given(st.integers(1, 9), st.integers(1, 20), st.integers(1, 12), st.integers(1, 40), st.integers(1, 3))
def test_embedding(isa, samples, per, vocabulary, n, threads):
    random = np.random.default_rng(n)
    ids = random.integers(-vocabulary - 1, vocabulary + 1, (samples, per)).astype(np.float32)
    ids[0, 0] = np.nan
    table, dy = random.normal(size=(vocabulary, n)).astype(np.float32), random.normal(size=(samples * per, n))
    dy = dy.astype(np.float32)
    source, y, gradient = matrix(ids), garbage(samples * per, n), matrix(dy, 1)
    dims = dict(ids_n=per, ldids=source.shape[1], vocabulary=vocabulary, n=n)
    operands = dict(ids=source, table=flat(table), y=y)
    kernels.call("embedding", samples, operands, dims | dict(ldy=y.shape[1]), {}, per, isa=isa, threads=threads)
    np.testing.assert_array_equal(y[:, :n], embedding.rows(table, ids.reshape(-1)))
    assert (y[:, n:] == 0).all()
    for accumulate in 0, 1:
        dtable = flat(np.ones_like(table))
        settings = dims | dict(lddy=gradient.shape[1], accumulate=accumulate)
        operands = dict(ids=source, dy=gradient, dtable=dtable)
        kernels.call("embedding_gradient", samples, operands, settings, {}, per, isa=isa, threads=threads)
        expected = accumulate + embedding.gradient(vocabulary, ids.reshape(-1), dy)
        np.testing.assert_allclose(dtable[: table.size].reshape(table.shape), expected, rtol=1e-5, atol=1e-5)
        assert not dtable[table.size :].any()


@pytest.mark.parametrize("isa", ISAS)
@given(st.integers(1, 9), st.integers(1, 20), st.integers(1, 40))
def test_category_encode(isa, samples, per, tokens):
    ids = np.random.default_rng(tokens).integers(-2, tokens + 2, (samples, per)).astype(np.float32)
    source = matrix(ids)
    for count, rows, together in (0, samples, per), (1, samples, per), (0, samples * per, 1):
        y = garbage(rows, tokens)
        dims = dict(ids_n=per, ldids=source.shape[1], per=together, n=tokens, ldy=y.shape[1], count=count)
        kernels.call("category_encode", samples, dict(ids=source, y=y), dims, {}, rows // samples, isa=isa)
        expected = embedding.counts(ids.reshape(rows, together), tokens)
        np.testing.assert_array_equal(y[:, :tokens], expected if count else np.minimum(expected, 1))
        assert (y[:, tokens:] == 0).all()


@pytest.mark.parametrize("isa", ISAS)
@given(st.integers(1, 5), st.integers(1, 40), st.integers(1, 20))
def test_discretize(isa, rows, n, bins):
    random = np.random.default_rng(n)
    boundaries = np.sort(np.round(random.normal(size=bins), 1)).astype(np.float32)
    x = np.round(random.normal(size=(rows, n)), 1).astype(np.float32)
    x[0, 0], x[-1, -1] = np.nan, np.inf
    source, y = matrix(x), garbage(rows, n)
    dims = dict(n=n, ldx=source.shape[1], ldy=y.shape[1], bins=bins)
    kernels.call("discretize", rows, dict(x=source, boundaries=kernels.padded(boundaries), y=y), dims, {}, isa=isa)
    np.testing.assert_array_equal(y[:, :n], np.digitize(x, boundaries))
