"""activation_forward, activation_backward and softmax against the float64 oracle."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastnn._engine import kernels
from reference import activations as oracle
from reference.arrays import garbage, matrix, same_bits, width

ISAS = kernels.isas()
NAMES = oracle.NAMES
every_isa = pytest.mark.parametrize("isa", ISAS)
every_activation = pytest.mark.parametrize("name", NAMES)

shapes = st.fixed_dictionaries(
    {
        "samples": st.integers(1, 24),
        "rows_per_sample": st.integers(1, 3),
        "n": st.integers(1, 70),
        "extra": st.integers(0, 2),
        "seed": st.integers(0, 2**32 - 1),
        "threads": st.integers(1, 3),
    }
)

# Largest error of the forward pass in ulp, wherever the result is at least 1e-35; the tails of gelu
# and gelu_tanh lose what rounding the exponent of an exponential costs.
ULPS = {
    "linear": 0,
    "relu": 0,
    "leaky_relu": 1,
    "elu": 3,
    "selu": 3,
    "sigmoid": 3,
    "tanh": 3,
    "softplus": 3,
    "silu": 4,
    "gelu": 80,
    "gelu_tanh": 220,
    "mish": 6,
}


def forward(name, x, n, samples, isa, alpha=0.3, threads=1, rows_per_sample=1, y=None, slope=None):
    y = garbage(len(x), n, (x.shape[1] - width(n)) // 16) if y is None else y
    dims = {"n": n, "ldx": x.shape[1], "ldy": y.shape[1], "act": NAMES.index(name)}
    kernels.call(
        "activation_forward",
        samples,
        {"x": x, "y": y, "slope": slope},
        dims,
        {"alpha": alpha},
        rows_per_sample=rows_per_sample,
        isa=isa,
        threads=threads,
    )
    return y


def backward(name, v, dy, n, samples, isa, alpha=0.3, threads=1, rows_per_sample=1, dx=None):
    dx = garbage(len(v), n) if dx is None else dx
    dims = {"n": n, "ldv": v.shape[1], "lddy": dy.shape[1], "lddx": dx.shape[1]}
    kernels.call(
        "activation_backward",
        samples,
        {"v": v, "dy": dy, "dx": dx},
        {**dims, "act": NAMES.index(name)},
        {"alpha": alpha},
        rows_per_sample=rows_per_sample,
        isa=isa,
        threads=threads,
    )
    return dx


def assert_derivative(dx, dy, slope):
    np.testing.assert_array_less(np.abs(dx - dy * slope), 6e-7 * np.maximum(1, np.abs(dy)) + 1e-35)


@every_isa
@every_activation
@settings(max_examples=40, deadline=None)
@given(shape=shapes, alpha=st.floats(0, 2, width=32))
def test_random_shapes(isa, name, shape, alpha):
    rng = np.random.default_rng(shape["seed"])
    n, extra, rows_per_sample = shape["n"], shape["extra"], shape["rows_per_sample"]
    samples, rows = shape["samples"], shape["samples"] * rows_per_sample
    values = rng.normal(0, 3, (rows, n)).astype(np.float32)
    gradient = rng.normal(0, 1, (rows, n)).astype(np.float32)
    run = {"alpha": alpha, "isa": isa, "rows_per_sample": rows_per_sample}
    x, dy = matrix(values, extra), matrix(gradient, extra)

    y = forward(name, x, n, samples, threads=shape["threads"], **run)
    expected = oracle.forward(name, values, alpha)
    limit = ULPS[name] * np.spacing(np.abs(expected).astype(np.float32)) + 1e-35
    assert np.all(np.abs(y[:, :n] - expected) <= limit)

    v = y
    if not oracle.SAVES_OUTPUT[name]:
        v = garbage(rows, n, extra)
        assert same_bits(forward(name, x, n, samples, threads=shape["threads"], slope=v, **run), y)
    dx = backward(name, v, dy, n, samples, threads=shape["threads"], **run)
    assert_derivative(dx[:, :n], gradient, oracle.derivative(name, values, alpha))

    # the same bits by one thread, with other strides, alone in a batch and in place
    tight, tight_v, tight_dy = (
        matrix(values, garbage=0),
        matrix(v[:, :n], garbage=0),
        matrix(gradient),
    )
    assert same_bits(forward(name, tight, n, samples, **run)[:, :n], y[:, :n])
    assert same_bits(backward(name, tight_v, tight_dy, n, samples, **run)[:, :n], dx[:, :n])
    row = int(rng.integers(rows))
    alone = {"alpha": alpha, "isa": isa}
    assert same_bits(forward(name, x[row : row + 1], n, 1, **alone)[:, :n], y[row : row + 1, :n])
    one_dx = backward(name, v[row : row + 1], dy[row : row + 1], n, 1, **alone)
    assert same_bits(one_dx[:, :n], dx[row : row + 1, :n])
    assert same_bits(backward(name, v.copy(), dy, n, samples, dx=dy, **run)[:, :n], dx[:, :n])
    assert same_bits(forward(name, x, n, samples, y=x, **run)[:, :n], y[:, :n])


@every_isa
@every_activation
def test_whole_float_range(isa, name):
    """Every 16411th float there is, with NaN, infinities, denormals and what overflows."""
    x = np.arange(0, 2**32, 16411, dtype=np.uint64).astype(np.uint32).view(np.float32)
    special = np.array([np.nan, np.inf, -np.inf, 0, -0.0, 1e-45, -1e-45, 3.4e38, -3.4e38], np.float32)
    values = np.resize(np.concatenate([special, x]), (len(x) // 64, 64))
    y = forward(name, matrix(values), 64, len(values), isa)[:, :64]
    with np.errstate(over="ignore", invalid="ignore"):
        expected = oracle.forward(name, values, 0.3)
        slope = oracle.derivative(name, values, 0.3)
        rounded = expected.astype(np.float32)
    np.testing.assert_array_equal(np.isnan(y), np.isnan(values))
    finite = np.isfinite(rounded)
    np.testing.assert_array_equal(y[~finite], rounded[~finite])
    limit = ULPS[name] * np.spacing(np.abs(rounded[finite])).astype(np.float64) + 1e-35
    assert np.all(np.abs(y[finite] - expected[finite]) <= limit)

    v = y
    if not oracle.SAVES_OUTPUT[name]:
        v = garbage(*values.shape)
        forward(name, matrix(values), 64, len(values), isa, slope=v)
    dx = backward(name, matrix(v), matrix(np.ones_like(values)), 64, len(values), isa)[:, :64]
    number = ~np.isnan(values)
    assert_derivative(dx[number], 1.0, slope[number])
    if name not in ("linear", "relu", "leaky_relu"):  # those look at the sign alone
        assert np.all(np.isnan(dx[~number]))


@every_activation
def test_the_oracle_differentiates_itself(name):
    x = np.random.default_rng(0).normal(0, 3, 2000)
    h = 1e-6
    numeric = (oracle.forward(name, x + h, 0.3) - oracle.forward(name, x - h, 0.3)) / (2 * h)
    np.testing.assert_allclose(oracle.derivative(name, x, 0.3), numeric, rtol=1e-6, atol=1e-8)


@every_activation
def test_the_oracle_is_keras(keras, name):
    x = np.random.default_rng(0).normal(0, 3, (7, 9)).astype(np.float32)
    theirs = {
        "leaky_relu": lambda x: keras.ops.leaky_relu(x, 0.3),
        "elu": lambda x: keras.ops.elu(x, 0.3),
        "gelu": lambda x: keras.ops.gelu(x, approximate=False),
        "gelu_tanh": lambda x: keras.ops.gelu(x, approximate=True),
    }.get(name) or keras.activations.get(name)
    expected = keras.ops.convert_to_numpy(theirs(x))
    np.testing.assert_allclose(oracle.forward(name, x, 0.3), expected, rtol=1e-5, atol=1e-6)


# ---- softmax --------------------------------------------------------------------------------


def softmax(x, n, samples, isa, threads=1, rows_per_sample=1, y=None):
    y = garbage(len(x), n) if y is None else y
    kernels.call(
        "softmax_forward",
        samples,
        {"x": x, "y": y},
        {"n": n, "ldx": x.shape[1], "ldy": y.shape[1]},
        rows_per_sample=rows_per_sample,
        isa=isa,
        threads=threads,
    )
    return y


def softmax_backward(y, dy, n, samples, isa, threads=1, rows_per_sample=1, dx=None):
    dx = garbage(len(y), n) if dx is None else dx
    kernels.call(
        "softmax_backward",
        samples,
        {"y": y, "dy": dy, "dx": dx},
        {"n": n, "ldy": y.shape[1], "lddy": dy.shape[1], "lddx": dx.shape[1]},
        rows_per_sample=rows_per_sample,
        isa=isa,
        threads=threads,
    )
    return dx


@every_isa
@settings(max_examples=40, deadline=None)
@given(shape=shapes, spread=st.sampled_from([0.0, 1.0, 30.0, 1e4]))
def test_softmax_random_shapes(isa, shape, spread):
    rng = np.random.default_rng(shape["seed"])
    n, extra, rows_per_sample = shape["n"], shape["extra"], shape["rows_per_sample"]
    samples, rows = shape["samples"], shape["samples"] * rows_per_sample
    values = rng.normal(0, spread, (rows, n)).astype(np.float32)
    gradient = rng.normal(0, 1, (rows, n)).astype(np.float32)
    run = {"isa": isa, "rows_per_sample": rows_per_sample}
    x, dy = matrix(values, extra), matrix(gradient, extra)

    y = softmax(x, n, samples, threads=shape["threads"], **run)
    # rounding x - max, which may reach 87, costs up to 87 / 2^24 of the result
    np.testing.assert_allclose(y[:, :n], oracle.softmax(values), rtol=7e-6, atol=1e-35)
    assert not y[:, n:].any()
    dirty = matrix(y[:, :n])
    dx = softmax_backward(dirty, dy, n, samples, threads=shape["threads"], **run)
    expected = oracle.softmax_backward(y[:, :n], gradient)
    np.testing.assert_allclose(dx[:, :n], expected, rtol=1e-5, atol=1e-6)
    assert not dx[:, n:].any()

    assert same_bits(softmax(matrix(values, garbage=3.0), n, samples, **run), y)
    assert same_bits(softmax_backward(y, matrix(gradient, garbage=0), n, samples, **run), dx)
    row = int(rng.integers(rows))
    assert same_bits(softmax(x[row : row + 1], n, 1, isa), y[row : row + 1])
    assert same_bits(softmax_backward(dirty, dy, n, samples, dx=dy, **run)[:, :n], dx[:, :n])
    assert same_bits(softmax(x, n, samples, y=x, **run)[:, :n], y[:, :n])


@every_isa
@pytest.mark.parametrize("times", [1, 5])  # few rows, and so many that they are transposed
def test_softmax_of_what_is_not_finite(isa, times):
    inf, nan = np.inf, np.nan
    rows = np.array(
        [
            [-inf, 0, 0],
            [-inf, -inf, 1e30],
            [nan, 0, 1],
            [0, nan, 1e38],
            [-inf, -inf, -inf],
            [inf, 0, 0],
            [1, 2, 3],
        ],
        np.float32,
    )
    y = softmax(matrix(np.repeat(rows, times, 0)), 3, times * len(rows), isa)[::times, :3]
    np.testing.assert_array_equal(y[0], [0, 0.5, 0.5])
    np.testing.assert_array_equal(y[1], [0, 0, 1])
    assert np.all(np.isnan(y[2:5]))
    assert np.isnan(y[5, 0])
    np.testing.assert_allclose(y[6], oracle.softmax(rows[6]), rtol=1e-6)
