"""The dense layer of frozen networks: in three precisions, for every instruction set, any batch and any team."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import fastnn
from fastnn import layers
from fastnn._engine import kernels
from fastnn.freeze.quantize import activation_limit, quantize
from fastnn.operations.packed_dense import PRECISIONS, packed
from reference import activations, dense
from reference.arrays import GARBAGE, same_bits

ISAS = kernels.isas()
FLOATS = ("float32", "float16")
# Around the edges of blocks, of tiles (3, 4, 6 and 12 rows, several blocks) and of where other kernels take over.
EDGES = [1, 2, 3, 4, 5, 6, 7, 8, 12, 13, 15, 16, 17, 24, 25, 31, 32, 33, 48, 64, 65, 127, 128, 129, 257]
SIZES = st.one_of(st.integers(1, 70), st.sampled_from(EDGES))


class Layer:
    """Random operands of a k x n layer, rows of which lie `gap` floats apart."""

    def __init__(self, m, k, n, precision, gap=0, bias=True):
        random = np.random.default_rng([m, k, n])
        self.k, self.n, self.precision, self.gap = k, n, precision, gap
        self.x = random.normal(size=(m, k)).astype(np.float32)
        self.w = random.normal(size=(k, n)).astype(np.float32)
        self.bias = random.normal(size=n).astype(np.float32) if bias else np.zeros(n, np.float32)
        kernel, self.scale, self.limit = self.w, None, 0
        if precision == "int8":
            kernel, self.scale = quantize(self.w)
            self.limit = activation_limit(kernel)
        self.kernel = kernel.astype(np.float16).astype(np.float32) if precision == "float16" else kernel
        buffer = packed(kernel, precision)
        self.packed = buffer.array((buffer.nbytes,), np.uint8)

    def __call__(self, isa, rows=slice(None), threads=1, act=0, alpha=0.0, range=0.0):
        """The outputs; arrays start anywhere, and nothing behind a row of them is read or written."""
        x = self.x[rows]
        ldx, ldy, m = self.k + self.gap, self.n + self.gap, len(x)
        memory_x, memory_y = (np.full(m * ld + 33, GARBAGE, np.float32) for ld in (ldx, ldy))
        shift_x, shift_y = 1 + self.gap, 3
        strided(memory_x[shift_x:], m, self.k, ldx)[:] = x
        bias = kernels.padded(self.bias) if self.bias.any() else None
        scale = None if self.scale is None else kernels.padded(self.scale)
        operands = dict(x=memory_x[shift_x:], w=self.packed, bias=bias, scale=scale, y=memory_y[shift_y:])
        dims = dict(k=self.k, n=self.n, ldx=ldx, ldy=ldy, act=act, precision=PRECISIONS.index(self.precision))
        dims["limit"] = self.limit
        kernels.call("packed_dense", m, operands, dims, dict(alpha=alpha, range=range), isa=isa, threads=threads)
        y = strided(memory_y[shift_y:], m, self.n, ldy)
        result = y.copy()
        y[:] = GARBAGE
        assert (memory_y == np.float32(GARBAGE)).all(), "written past the columns"
        return result

    def integers(self, range=0.0):
        """What the precision int8 is defined to compute, step by step."""
        x, limit = self.x, np.float32(self.limit)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            r = np.float32(range) if range else np.abs(x).max(axis=1, keepdims=True)
            inverse = np.broadcast_to(limit / r, (len(x), 1)).astype(np.float32)
            inverse = np.where(np.isfinite(inverse), inverse, np.float32(0))
            xq = np.clip(np.rint(np.nan_to_num(x * inverse)), -limit, limit).astype(np.int64)
            total = (xq @ self.kernel.astype(np.int64)).astype(np.int32).astype(np.float32)
            factor = (r / limit).astype(np.float32) * self.scale
            y = (total * factor).astype(np.float32) + self.bias
        y[~np.isfinite(x).all(axis=1)] = np.nan
        return y


def strided(memory, rows, columns, ld):
    return np.lib.stride_tricks.as_strided(memory, (rows, columns), (4 * ld, 4))


@pytest.mark.parametrize("precision", FLOATS)
@pytest.mark.parametrize("isa", ISAS)
@given(SIZES, SIZES, SIZES, st.integers(0, 3), st.booleans())
@example(1, 784, 300, 0, True)
@example(300, 513, 49, 1, True)
@example(3, 2048, 10, 0, False)
@example(13, 8, 1, 0, True)
@example(260, 900, 250, 1, True)
def test_floats(isa, precision, m, k, n, gap, bias):
    layer = Layer(m, k, n, precision, gap, bias)
    exact = dense.forward(layer.x, layer.kernel, layer.bias)
    np.testing.assert_allclose(layer(isa), exact, rtol=1e-5, atol=2e-6 * np.sqrt(k) + 1e-6)


@pytest.mark.parametrize("isa", ISAS)
@given(SIZES, SIZES, SIZES, st.integers(0, 3), st.sampled_from([0.0, 0.7, 3.0]))
@example(1, 784, 300, 0, 0.0)
@example(300, 513, 49, 1, 0.0)
@example(5, 3001, 10, 0, 0.0)
@example(2, 131072, 3, 0, 0.0)
def test_integers(isa, m, k, n, gap, range):
    """To the bit what the formula says, of each row's range and of a calibrated one."""
    layer = Layer(m, k, n, "int8", gap)
    np.testing.assert_array_equal(layer(isa, range=range), layer.integers(range))


@pytest.mark.parametrize("isa", ISAS)
def test_int8_is_nearly_the_layer(isa):
    layer = Layer(20, 300, 40, "int8")
    exact = dense.forward(layer.x, layer.w, layer.bias)
    error = np.sqrt(np.mean((layer(isa) - exact) ** 2) / np.mean(exact**2))
    assert error < 0.01


@pytest.mark.parametrize("isa", ISAS)
def test_bits_of_the_training_kernel(isa):
    """float32 is the very chain of multiply-adds of dense_forward, and float16 that of rounded weights."""
    for m, k, n in (1, 784, 300), (7, 300, 49), (30, 33, 257), (140, 270, 70), (131, 790, 777):
        for precision in FLOATS:
            layer = Layer(m, k, n, precision)
            x, y = kernels.padded(layer.x), kernels.aligned((m, kernels.row_stride(n)))
            operands = dict(x=x, w=kernels.pack(layer.kernel, isa), bias=kernels.padded(layer.bias), y=y)
            dims = dict(k=k, n=n, ldx=x.shape[1], ldy=y.shape[1], act=3)
            kernels.call("dense_forward", m, operands, dims, dict(alpha=0.5), isa=isa)
            np.testing.assert_array_equal(layer(isa, act=3, alpha=0.5), y[:, :n])


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("isa", ISAS)
def test_same_bits_for_any_batch_and_team(isa, precision):
    for m, k, n in (260, 70, 33), (41, 300, 100), (14, 9, 1), (5, 20, 530), (41, 1601, 250), (60, 131, 770):
        layer = Layer(m, k, n, precision)
        whole = layer(isa, act=5)
        for threads in 2, 3, 7:
            np.testing.assert_array_equal(layer(isa, threads=threads, act=5), whole)
        for size in 1, 2, 3, 4, 5, 7, 11, 13, 25:
            first = (m - size) // 2
            if first >= 0:
                rows = slice(first, first + size)
                for threads in 1, 3:
                    np.testing.assert_array_equal(layer(isa, rows, threads, act=5), whole[rows])


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("isa", [isa for isa in ISAS if isa != "baseline"])
def test_same_bits_on_every_fused_instruction_set(isa, precision):
    for m, k, n in (1, 784, 10), (33, 300, 49), (2, 37, 257):
        layer = Layer(m, k, n, precision)
        np.testing.assert_array_equal(layer(isa), layer(ISAS[-1]))


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("function", activations.NAMES)
def test_activations(isa, precision, function):
    """Applied in the product they are those of the operation of its own."""
    act, alpha = activations.NAMES.index(function), 0.3
    for m, k, n in (1, 20, 37), (13, 5, 16), (130, 4, 70), (29, 7, 3):
        layer = Layer(m, k, n, precision)
        x = kernels.padded(layer(isa))
        dims = dict(n=n, ldx=x.shape[1], ldy=x.shape[1], act=act)
        kernels.call("activation_forward", m, dict(x=x, y=x, slope=None), dims, dict(alpha=alpha), isa=isa)
        np.testing.assert_array_equal(layer(isa, act=act, alpha=alpha), x[:, :n])


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("range", [0.0, 2.0])
def test_rows_that_int8_cannot_round(isa, range):
    """NaN and infinity make a row NaN; zeros, and what is nearly zero, give the bias; no other row notices."""
    for m in 1, 9:
        layer = Layer(8 * m, 21, 18, "int8")
        clean = layer(isa, range=range)
        bad = layer.x[::m]
        bad[1, 20], bad[2, 0], bad[3, 7], bad[5, :] = np.nan, np.inf, -np.inf, 0
        bad[4, 3:5] = np.nan, np.inf
        bad[6, :] = 1e-36
        y = layer(isa, range=range)
        assert np.isnan(y[::m][1:5]).all()
        np.testing.assert_array_equal(y[::m][5], layer.bias)
        np.testing.assert_allclose(y[::m][6], layer.bias, rtol=1e-6)
        others = np.ones(8 * m, bool)
        others[::m][1:7] = False
        np.testing.assert_array_equal(y[others], clean[others])
        assert same_bits(y, layer.integers(range))


@pytest.mark.parametrize("isa", ISAS)
def test_every_float16(isa):
    """All finite ones, subnormal ones too, are read exactly."""
    values = np.arange(65536, dtype=np.uint16).view(np.float16)
    values = values[np.isfinite(values)].astype(np.float32)
    layer = Layer(1, 1, len(values), "float16", bias=False)
    layer.kernel = values[None]
    buffer = packed(layer.kernel, "float16")
    layer.packed, layer.x = buffer.array((buffer.nbytes,), np.uint8), np.ones((1, 1), np.float32)
    np.testing.assert_array_equal(layer(isa)[0], values)
    layer.x = np.ones((40, 1), np.float32)
    np.testing.assert_array_equal(layer(isa)[39], values)


# ---- through the public interface ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model():
    fastnn.utils.set_random_seed(3)
    stack = [layers.Dense(70, activation="gelu"), layers.BatchNormalization(), layers.Dense(33, activation="relu")]
    return fastnn.Sequential([fastnn.Input((37,)), *stack, layers.Dense(5, activation="softmax")])


@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-6), ("float16", 2e-3), ("int8", 2e-2)])
def test_frozen(model, precision, tolerance):
    x = np.random.default_rng(0).normal(size=(50, 37)).astype(np.float32)
    frozen = model.freeze(precision=precision)
    dense_nodes = [node for node in frozen.graph.nodes if node.operation.name == "packed_dense"]
    assert [node.attributes["precision"] for node in dense_nodes] == [precision] * 3
    y = frozen(x)
    np.testing.assert_allclose(y, model.predict(x, verbose=0), atol=tolerance)
    for rows in slice(0, 1), slice(3, 8), slice(9, 40):
        np.testing.assert_array_equal(frozen(x[rows]), y[rows])


def test_frozen_refusals(model):
    with pytest.raises(ValueError, match="'float32', 'float16', 'int8', .* Received: precision='bfloat16'"):
        model.freeze(precision="bfloat16")
    large = fastnn.Sequential([fastnn.Input((3,)), layers.Dense(2, name="loud")])
    for value in 1e5, np.inf, np.nan:
        large.layers[-1].set_weights([np.full((3, 2), value), np.zeros(2)])
        with pytest.raises(ValueError, match="weights of 'loud' reach .* float16 ends at 65504"):
            large.freeze(precision="float16")
    with pytest.raises(ValueError, match="weights of 'loud' have infinities or NaN, which int8"):
        large.freeze(precision="int8")
    large.layers[-1].set_weights([np.full((3, 2), 65504.0), np.zeros(2)])
    np.testing.assert_array_equal(large.freeze(precision="float16")(np.ones((1, 3)))[0], 3 * 65504.0)
    wide = fastnn.Sequential([fastnn.Input((131073,)), layers.Dense(1, name="wide")])
    with pytest.raises(ValueError, match="'wide' reads 131073 values"):
        wide.freeze(precision="int8")
