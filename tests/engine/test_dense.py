"""The dense kernels: three matrix products at every size, for every instruction set and any team."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fastnn._engine import kernels
from reference import activations, dense
from reference.arrays import garbage, matrix

ISAS = kernels.isas()
# Around the edges of tiles, panels and blocks: 6 and 12 rows, 8, 16 and 32 columns, 256 deep.
EDGES = [1, 2, 5, 6, 7, 11, 12, 13, 15, 16, 17, 24, 31, 32, 33, 48, 63, 64, 65, 255, 256, 257]
SIZES = st.one_of(st.integers(1, 70), st.sampled_from(EDGES))


class Layer:
    """Random operands of a k x n layer for m rows, with garbage wherever kernels must not look."""

    def __init__(self, m, k, n, isa, extra=0):
        random = np.random.default_rng([m, k, n])
        self.m, self.k, self.n, self.isa, self.extra = m, k, n, isa, extra
        self.x, self.dz = (random.normal(size=(m, size)).astype(np.float32) for size in (k, n))
        self.w = random.normal(size=(k, n)).astype(np.float32)
        self.bias = random.normal(size=n).astype(np.float32)
        self.packed = kernels.pack(self.w, isa)

    def forward(self, threads=1, bias=True, act=0, alpha=0.0, slope=None):
        x, y = matrix(self.x, self.extra), garbage(self.m, self.n, self.extra)
        operands = dict(x=x, w=self.packed, bias=kernels.padded(self.bias) if bias else None, y=y, slope=slope)
        dims = dict(k=self.k, n=self.n, ldx=x.shape[1], ldy=y.shape[1], act=act)
        kernels.call("dense_forward", self.m, operands, dims, dict(alpha=alpha), isa=self.isa, threads=threads)
        return y[:, : self.n]

    def backward_weights(self, threads=1, accumulate=0, bias=True):
        x, dz = matrix(self.x, self.extra), matrix(self.dz, self.extra, garbage=np.nan)
        dw = kernels.pack(self.w if accumulate & 1 else np.full_like(self.w, np.nan), self.isa)
        db = kernels.padded(self.bias if accumulate & 2 else np.full_like(self.bias, np.nan))
        operands = dict(x=x, dz=dz, dw=dw, db=db if bias else None)
        dims = dict(k=self.k, n=self.n, ldx=x.shape[1], lddz=dz.shape[1], accumulate=accumulate)
        kernels.call("dense_backward_weights", self.m, operands, dims, isa=self.isa, threads=threads)
        return dw, db

    def backward_input(self, threads=1, accumulate=None, act=0, alpha=0.0, v=None):
        dz = matrix(self.dz, self.extra)
        dx = matrix(self.x, self.extra) if accumulate else garbage(self.m, self.k, self.extra)
        saved = None if v is None else matrix(v, self.extra)
        dims = dict(k=self.k, n=self.n, lddz=dz.shape[1], lddx=dx.shape[1], act=act)
        dims.update(ldv=0 if v is None else saved.shape[1], accumulate=bool(accumulate))
        operands = dict(dz=dz, w=self.packed, v=saved, dx=dx)
        kernels.call("dense_backward_input", self.m, operands, dims, dict(alpha=alpha), isa=self.isa, threads=threads)
        return dx[:, : self.k]


def close(actual, exact, depth):
    """Within what a float32 sum of `depth` standard-normal products may differ by."""
    np.testing.assert_allclose(actual, exact, rtol=1e-5, atol=2e-6 * np.sqrt(depth) + 1e-6)


@pytest.mark.parametrize("isa", ISAS)
@given(SIZES, SIZES, SIZES, st.integers(0, 2))
@example(1, 784, 300, 0)
@example(32, 784, 300, 1)
@example(300, 513, 49, 0)
@example(3, 2048, 10, 0)
def test_products(isa, m, k, n, extra):
    layer = Layer(m, k, n, isa, extra)
    close(layer.forward(), dense.forward(layer.x, layer.w, layer.bias), k)
    close(layer.forward(bias=False), dense.forward(layer.x, layer.w, 0), k)

    dw, db = layer.backward_weights()
    exact_dw, exact_db = dense.backward_weights(layer.x, layer.dz)
    close(kernels.unpack(dw, k, n, isa), exact_dw, m)
    close(db[:n], exact_db, m)
    # The padding of gradients must stay zero: optimizers run over it.
    assert not db[n:].any()
    assert np.count_nonzero(dw) <= k * n

    exact_dx = dense.backward_input(layer.dz, layer.w)
    close(layer.backward_input(), exact_dx, n)
    close(layer.backward_input(accumulate=True), layer.x + exact_dx, n)

    for accumulate in 1, 2, 3:
        dw, db = layer.backward_weights(accumulate=accumulate)
        close(kernels.unpack(dw, k, n, isa), layer.w * (accumulate & 1) + exact_dw, m)
        close(db[:n], layer.bias * (accumulate // 2) + exact_db, m)


@pytest.mark.parametrize("isa", ISAS)
@given(SIZES, SIZES, SIZES)
@example(33, 100, 300)
@example(257, 65, 257)
def test_same_bits_for_any_team(isa, m, k, n):
    layer = Layer(m, k, n, isa)
    alone = layer.forward(), *layer.backward_weights(), layer.backward_input()
    for threads in 2, 3, 5:
        team = (
            layer.forward(threads),
            *layer.backward_weights(threads),
            layer.backward_input(threads),
        )
        for one, other in zip(alone, team, strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("isa", ISAS)
@given(st.integers(2, 60), SIZES, SIZES)
@example(257, 300, 33)
def test_same_row_same_bits_in_any_batch(isa, m, k, n):
    whole = Layer(m, k, n, isa)
    y, dx = whole.forward(act=3, alpha=1.0), whole.backward_input()
    for first, last in (0, 1), (m // 2, m // 2 + 1), (1, m), (m // 3, m):
        part = Layer(m, k, n, isa)
        part.m, part.x, part.dz = last - first, whole.x[first:last], whole.dz[first:last]
        np.testing.assert_array_equal(part.forward(act=3, alpha=1.0), y[first:last])
        np.testing.assert_array_equal(part.backward_input(), dx[first:last])


@pytest.mark.parametrize("isa", [isa for isa in ISAS if isa != "baseline"])
def test_same_bits_on_every_fused_instruction_set(isa):
    """One chain of fused multiply-adds for each element: the vector length cannot matter."""
    for m, k, n in (33, 300, 49), (1, 784, 10), (300, 33, 257):
        mine, best = Layer(m, k, n, isa), Layer(m, k, n, ISAS[-1])
        np.testing.assert_array_equal(mine.forward(), best.forward())
        np.testing.assert_array_equal(mine.backward_input(), best.backward_input())
        np.testing.assert_array_equal(
            kernels.unpack(mine.backward_weights()[0], k, n, isa),
            kernels.unpack(best.backward_weights()[0], k, n, ISAS[-1]),
        )


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("function", activations.NAMES)
def test_epilogues(isa, function):
    """Activation and derivative applied in the product are those of the operations of their own."""
    act, alpha = activations.NAMES.index(function), 0.3
    slopes = not activations.SAVES_OUTPUT[function]
    for m, k, n in (13, 20, 37), (1, 5, 3), (40, 300, 10), (300, 4, 300):
        layer = Layer(m, k, n, isa, extra=1)
        z = layer.forward()
        y = z.copy()
        padded, out = matrix(y), garbage(m, n, 1)
        slope, fused = (garbage(m, n, 1) if slopes else None for _ in range(2))
        dims = dict(n=n, ldx=padded.shape[1], ldy=out.shape[1], act=act)
        kernels.call("activation_forward", m, dict(x=padded, y=out, slope=slope), dims, dict(alpha=alpha), isa=isa)
        np.testing.assert_array_equal(layer.forward(act=act, alpha=alpha, slope=fused), out[:, :n])
        if slopes:
            np.testing.assert_array_equal(fused[:, :n], slope[:, :n])

        v = layer.x  # any values will do
        plain = matrix(layer.backward_input())
        saved, dx = matrix(v), garbage(m, k)
        dims = dict(n=k, ldv=saved.shape[1], lddy=plain.shape[1], lddx=dx.shape[1], act=act)
        operands = dict(v=saved, dy=plain, dx=dx)
        kernels.call("activation_backward", m, operands, dims, dict(alpha=alpha), isa=isa)
        np.testing.assert_array_equal(layer.backward_input(act=act, alpha=alpha, v=v), dx[:, :k])


@pytest.mark.parametrize("isa", ISAS)
@given(SIZES, SIZES)
def test_panels(isa, k, n):
    w = np.random.default_rng([k, n]).normal(size=(k, n)).astype(np.float32)
    packed = kernels.pack(w, isa)
    assert packed.size == kernels.packed_floats(k, n, isa)
    np.testing.assert_array_equal(kernels.unpack(packed, k, n, isa), w)
    assert np.count_nonzero(packed) == np.count_nonzero(w)


def test_unpack_refuses_what_is_too_short():
    with pytest.raises(ValueError, match="packed 5 x 7 matrix"):
        kernels.unpack(np.zeros(3, np.float32), 5, 7)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize(("m", "k", "n"), [(128, 33, 20), (257, 64, 64), (300, 5, 3), (129, 100, 70), (60, 20, 20)])
def test_weight_gradients_in_halves(isa, m, k, n):
    """Those of the first and of the second half of the rows, on any number of threads; or all in the first, of few."""
    layer = Layer(m, k, n, isa)
    x, dz = matrix(layer.x), matrix(layer.dz, garbage=np.nan)
    dims = dict(k=k, n=n, ldx=x.shape[1], lddz=dz.shape[1], accumulate=0)
    rows = m // 2 if m >= 128 else m
    expected = []
    for part in slice(rows), slice(rows, None):
        x64, dz64 = layer.x[part].astype(np.float64), layer.dz[part].astype(np.float64)
        expected.append((x64.T @ dz64, dz64.sum(axis=0)))
    found = []
    for threads in 1, 2, 3, 4, 7:
        parts = [kernels.pack(np.full_like(layer.w, np.nan), isa) for _ in range(2)]
        sums = [kernels.padded(np.full_like(layer.bias, np.nan)) for _ in range(2)]
        operands = dict(x=x, dz=dz, dw=parts[0], db=sums[0], half_dw=parts[1], half_db=sums[1])
        kernels.call("dense_backward_weights", m, operands, dims, isa=isa, threads=threads)
        for dw, db, (weights, bias) in zip(parts, sums, expected, strict=True):
            np.testing.assert_allclose(kernels.unpack(dw, k, n, isa), weights, rtol=1e-4, atol=1e-4)
            np.testing.assert_allclose(db[:n], bias, rtol=1e-4, atol=1e-4)
        found.append(b"".join(each.tobytes() for each in (*parts, *sums)))
    assert len(set(found)) == 1
