import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastnn._engine import kernels
from reference import optimizers

ISAS = kernels.isas()
SIZES = st.integers(1, 60).map(lambda n: n * 16)
SEEDS = st.integers(0, 2**32 - 1)


def filled(values):
    return kernels.padded(np.asarray(values, np.float32))


def run(name, operands, dims, scalars, **how):
    """Run on copies for teams of 1, 2 and 3, which must agree to the bit; returns the operands."""
    results = []
    for threads in 1, 2, 3:
        arrays = {key: None if a is None else filled(a) for key, a in operands.items()}
        kernels.call(name, 1, arrays, dims, scalars, threads=threads, **how)
        results.append(arrays)
    for other in results[1:]:
        for key, array in results[0].items():
            if array is not None:
                np.testing.assert_array_equal(array, other[key])
    return results[0]


@pytest.mark.parametrize("isa", ISAS)
@given(SIZES, SEEDS, st.sampled_from([1e-4, 0.01, 1.0]))
def test_sgd(isa, n, seed, learning_rate):
    random = np.random.default_rng(seed)
    param, grad = random.normal(size=(2, n)).astype(np.float32)
    operands = dict(param=param, grad=grad, momentum=None)
    dims, scalars = dict(n=n, nesterov=0), dict(momentum_factor=0.0)
    after = run("sgd", operands, dims, scalars, isa=isa, hyper=(learning_rate,))
    expected, _ = optimizers.sgd(param, grad, learning_rate)
    np.testing.assert_allclose(after["param"], expected, rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("nesterov", [False, True])
@given(SIZES, SEEDS)
def test_sgd_with_momentum(isa, nesterov, n, seed):
    random = np.random.default_rng(seed)
    param, grad, momentum = random.normal(size=(3, n)).astype(np.float32)
    operands = dict(param=param, grad=grad, momentum=momentum)
    dims, scalars = dict(n=n, nesterov=nesterov), dict(momentum_factor=0.9)
    after = run("sgd", operands, dims, scalars, isa=isa, hyper=(0.1,))
    expected = optimizers.sgd(param, grad, 0.1, momentum, 0.9, nesterov)
    np.testing.assert_allclose(after["param"], expected[0], rtol=2e-6, atol=2e-6)
    np.testing.assert_allclose(after["momentum"], expected[1], rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("amsgrad", [False, True])
@given(SIZES, SEEDS, st.sampled_from([0, 1, 9, 1000, 10**7, 2**40]))
def test_adam(isa, amsgrad, n, seed, step):
    random = np.random.default_rng(seed)
    param, grad, m, v, vmax = random.normal(size=(5, n)).astype(np.float32)
    v, vmax = v * v, vmax * vmax if amsgrad else None
    scalars = dict(beta_1=0.9, beta_2=0.999, epsilon=1e-7)
    operands = dict(param=param, grad=grad, m=m, v=v, vmax=vmax)
    after = run("adam", operands, dict(n=n), scalars, isa=isa, step=step, hyper=(0.01,))
    # Three digits make beta_2 a different number in float32; the bias correction allows for it.
    single = {key: float(np.float32(value)) for key, value in scalars.items()}
    expected = optimizers.adam(param, grad, m, v, vmax, 0.01, step + 1, **single)
    for key, array in zip(["param", "m", "v", "vmax"], expected, strict=True):
        if array is not None:
            np.testing.assert_allclose(after[key], array, rtol=3e-6, atol=2e-6, err_msg=key)


@pytest.mark.parametrize("isa", ISAS)
def test_adam_from_zero_is_the_adam_of_exact_betas(isa):
    """Over a run, betas rounded to float32 change nothing that float32 could show."""
    n, scalars = 64, dict(beta_1=0.9, beta_2=0.999, epsilon=1e-7)
    random = np.random.default_rng(0)
    arrays = {key: kernels.aligned(n) for key in ("param", "grad", "m", "v")}
    expected = (np.zeros(n), np.zeros(n), np.zeros(n), None)
    for step in range(200):
        arrays["grad"][:] = random.normal(size=n)
        operands = {**arrays, "vmax": None}
        kernels.call("adam", 1, operands, dict(n=n), scalars, isa=isa, step=step, hyper=(0.001,))
        expected = optimizers.adam(expected[0], arrays["grad"], *expected[1:], 0.001, step + 1, **scalars)
    np.testing.assert_allclose(arrays["param"], expected[0], rtol=2e-5, atol=1e-7)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("epsilon", [0.0, 1e-7])
def test_zeros_stay_zeros(isa, epsilon):
    """Padding has no gradient and must not become NaN, whatever epsilon is."""
    arrays = {key: kernels.aligned(32) for key in ("param", "grad", "m", "v", "vmax")}
    scalars = dict(beta_1=0.9, beta_2=0.999, epsilon=epsilon)
    kernels.call("adam", 1, arrays, dict(n=32), scalars, isa=isa)
    for key, array in arrays.items():
        assert not array.any(), key


@pytest.mark.parametrize("isa", ISAS)
def test_nan_is_not_hidden(isa):
    arrays = {key: kernels.aligned(16) for key in ("param", "grad", "m", "v", "vmax")}
    arrays["grad"][3] = np.nan
    scalars = dict(beta_1=0.9, beta_2=0.999, epsilon=1e-7)
    kernels.call("adam", 1, arrays, dict(n=16), scalars, isa=isa)
    for key in ("param", "m", "v", "vmax"):
        assert np.isnan(arrays[key]).tolist() == [i == 3 for i in range(16)], key


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("epsilon", [0.0, 1e-7])
def test_adam_at_the_ends_of_the_range(isa, epsilon):
    """A second moment that has overflowed stops the parameter, one of 0 does not throw it, and NaN stays visible."""
    grad = np.array([1e30, -1e25, 1e19, 0, 1e-30, np.nan] + [1] * 10, np.float32)
    arrays = {key: kernels.aligned(16) for key in ("param", "grad", "m", "v")}
    arrays["grad"][:] = grad
    scalars = dict(beta_1=0.9, beta_2=0.999, epsilon=epsilon)
    kernels.call("adam", 1, {**arrays, "vmax": None}, dict(n=16), scalars, isa=isa, hyper=(0.001,))
    after = arrays["param"]
    assert after[0] == after[1] == after[3] == 0
    assert abs(after[2] + 0.001) < 1e-6
    assert abs(after[4]) < 1e-9
    assert np.isnan(after[5])
    np.testing.assert_allclose(after[6:], -0.001, rtol=1e-3)
