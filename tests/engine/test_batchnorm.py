"""batchnorm_train, batchnorm_infer and batchnorm_backward against the float64 oracle."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastnn._engine import kernels
from reference import activations
from reference import batchnorm as oracle
from reference.arrays import GARBAGE, garbage, matrix, same_bits, width

every_isa = pytest.mark.parametrize("isa", kernels.isas())

cases = st.fixed_dictionaries(
    {
        "samples": st.integers(1, 40),
        "rows_per_sample": st.integers(1, 3),
        "n": st.integers(1, 130),
        "extra": st.integers(0, 1),
        "seed": st.integers(0, 2**32 - 1),
        "affine": st.booleans(),
        "in_place": st.booleans(),
    }
)


class Case:
    """Random operands of one shape; `forward` and `backward` run on them and check the padding."""

    def __init__(self, samples, n, rows_per_sample=1, extra=0, seed=0, affine=True, in_place=False):
        self.samples, self.n, self.rows_per_sample, self.extra = samples, n, rows_per_sample, extra
        self.rows, self.in_place = samples * rows_per_sample, in_place
        random = np.random.default_rng(seed)
        self.x = (random.normal(size=(self.rows, n)) * 3 + random.normal(size=n)).astype(np.float32)
        self.dy = random.normal(size=(self.rows, n)).astype(np.float32)
        vectors = random.normal(size=(5, n)).astype(np.float32)
        self.gamma, self.beta = vectors[:2] if affine else (None, None)
        self.moving_mean, self.moving_variance = vectors[2], vectors[3] ** 2
        self.before = vectors[4]

    @property
    def gamma_beta(self):
        return (1.0, 0.0) if self.gamma is None else (self.gamma, self.beta)

    def _vectors(self, **vectors):
        return {key: None if v is None else kernels.padded(v) for key, v in vectors.items()}

    def forward(self, name, scalars, save=True, **how):
        a = self._vectors(
            gamma=self.gamma,
            beta=self.beta,
            moving_mean=self.moving_mean,
            moving_variance=self.moving_variance,
            mean=np.full(self.n, GARBAGE) if save else None,
            inv_std=np.full(self.n, GARBAGE) if save else None,
        )
        a["x"] = matrix(self.x, self.extra)
        a["y"] = a["x"] if self.in_place else garbage(self.rows, self.n, 1)
        dims = dict(n=self.n, ldx=a["x"].shape[1], ldy=a["y"].shape[1])
        kernels.call(name, self.samples, a, dims, scalars, self.rows_per_sample, **how)
        return self._checked(a, "y")

    def backward(self, mean, inv_std, wanted=("dx", "dgamma", "dbeta"), act=0, alpha=0.0, **flags):
        how = {key: flags.pop(key) for key in ("isa", "threads") if key in flags}
        flags = dict(batch_statistics=1, accumulate=0) | flags
        a = self._vectors(mean=mean, inv_std=inv_std, gamma=self.gamma)
        a["x"], a["dy"] = matrix(self.x, self.extra), matrix(self.dy)
        a["dx"] = None if "dx" not in wanted else a["dy"] if self.in_place else garbage(self.rows, self.n, 1)
        for key in "dgamma", "dbeta":
            a[key] = kernels.padded(self.before) if key in wanted else None
        lddx = 0 if a["dx"] is None else a["dx"].shape[1]
        dims = dict(n=self.n, ldx=a["x"].shape[1], lddy=a["dy"].shape[1], lddx=lddx, act=act, **flags)
        scalars = dict(alpha=alpha)
        kernels.call("batchnorm_backward", self.samples, a, dims, scalars, self.rows_per_sample, **how)
        return self._checked(a, "dx")

    def _checked(self, arrays, out):
        """The used part of each array, once its padding is known to be as the contract says."""
        for key, array in arrays.items():
            if array is not None and array.ndim == 1:
                assert not array[self.n :].any(), f"{key} is not zero in its padding"
        if arrays[out] is not None:
            assert np.isfinite(arrays[out][:, self.n : width(self.n)]).all()
            if not self.in_place:
                assert (arrays[out][:, width(self.n) :] == np.float32(GARBAGE)).all()
        return {key: array[..., : self.n] for key, array in arrays.items() if array is not None}


def scale_of(x):
    """What rounding errors of a normalised value are in proportion to."""
    mean, variance = oracle.statistics(x)
    return 1 + np.abs(mean) / np.sqrt(variance + 1e-3)


@every_isa
@given(cases)
def test_train(isa, case):
    case = Case(**case)
    momentum, epsilon = 0.9, 1e-3
    got = case.forward("batchnorm_train", dict(momentum=momentum, epsilon=epsilon), isa=isa)
    mean, variance = oracle.statistics(case.x)
    gamma, beta = case.gamma_beta
    np.testing.assert_allclose(got["mean"], mean, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(got["inv_std"], 1 / np.sqrt(variance + epsilon), rtol=2e-5)
    expected = oracle.forward(case.x, gamma, beta, mean, variance, epsilon)
    if case.rows > 1:  # a single row is its own mean: what is left of it is rounding
        assert (np.abs(got["y"] - expected) <= 3e-6 * scale_of(case.x) * (1 + np.abs(expected))).all()
    moved = [oracle.moved(case.moving_mean, mean, momentum), oracle.moved(case.moving_variance, variance, momentum)]
    np.testing.assert_allclose(got["moving_mean"], moved[0], rtol=2e-6, atol=2e-6)
    np.testing.assert_allclose(got["moving_variance"], moved[1], rtol=2e-6, atol=2e-6)


@every_isa
@given(cases, st.booleans())
def test_infer(isa, case, save):
    case = Case(**case)
    got = case.forward("batchnorm_infer", dict(epsilon=1e-3), save, isa=isa)
    mean, variance = case.moving_mean, case.moving_variance
    expected = oracle.forward(case.x, *case.gamma_beta, mean, variance, 1e-3)
    np.testing.assert_allclose(got["y"], expected, rtol=2e-6, atol=2e-5)
    if save:
        np.testing.assert_array_equal(got["mean"], mean)
        np.testing.assert_allclose(got["inv_std"], 1 / np.sqrt(variance.astype(np.float64) + 1e-3), rtol=1e-6)
    np.testing.assert_array_equal(got["moving_mean"], case.moving_mean)
    np.testing.assert_array_equal(got["moving_variance"], case.moving_variance)


@every_isa
@given(cases, st.booleans(), st.booleans(), st.sets(st.sampled_from(["dx", "dgamma", "dbeta"])))
def test_backward(isa, case, batch_statistics, accumulate, wanted):
    case = Case(**case)
    epsilon = 1e-3
    mean, variance = oracle.statistics(case.x)
    if not batch_statistics:
        mean, variance = case.moving_mean, case.moving_variance
    inv_std = 1 / np.sqrt(variance + epsilon)
    flags = dict(batch_statistics=batch_statistics, accumulate=accumulate)
    got = case.backward(mean, inv_std, wanted, isa=isa, **flags)
    gamma = case.gamma_beta[0]
    dx, dgamma, dbeta = oracle.backward(case.x, gamma, case.dy, mean, variance, epsilon, batch_statistics)
    before = case.before if accumulate else 0
    xhat = np.abs(oracle.normalised(case.x, mean, variance, epsilon)).max(axis=0) + 1
    sums = np.abs(case.dy).sum(axis=0) * xhat + 1
    if "dgamma" in wanted:
        assert (np.abs(got["dgamma"] - (dgamma + before)) <= 3e-6 * sums).all()
    if "dbeta" in wanted:
        assert (np.abs(got["dbeta"] - (dbeta + before)) <= 1e-6 * sums).all()
    if "dx" in wanted:
        size = np.abs(gamma * inv_std) * (np.abs(case.dy).max(axis=0) + xhat * sums / case.rows)
        assert (np.abs(got["dx"] - dx) <= 3e-6 * (size + 1)).all()


@every_isa
@pytest.mark.parametrize("name", ["relu", "leaky_relu", "elu", "sigmoid", "tanh"])
def test_backward_through_an_activation(isa, name):
    """What goes back through the activation before is the plain gradient times its derivative there."""
    case = Case(30, 45)
    mean, variance = oracle.statistics(case.x)
    inv_std, act = 1 / np.sqrt(variance + 1e-3), activations.NAMES.index(name)
    plain = case.backward(mean, inv_std, isa=isa)
    fused = case.backward(mean, inv_std, isa=isa, act=act, alpha=0.3)
    dx = matrix(plain["dx"])
    dims = dict(n=45, ldv=48, lddy=48, lddx=48, act=act)
    operands = dict(v=matrix(case.x), dy=dx, dx=dx)
    kernels.call("activation_backward", 30, operands, dims, dict(alpha=0.3), isa=isa)
    assert same_bits(fused["dx"], dx[:, :45])
    assert same_bits(fused["dgamma"], plain["dgamma"])


@every_isa
@pytest.mark.parametrize("rows", [1, 2, 3, 5, 8, 37])
@pytest.mark.parametrize("n", [1, 16, 17, 32, 48, 100])
def test_same_bits_for_any_team(isa, rows, n):
    """A column is in a wide strip or in a narrow one, as the team's size has it."""
    case = Case(rows, n)
    scalars = dict(momentum=0.99, epsilon=1e-3)
    first = case.forward("batchnorm_train", scalars, isa=isa)
    back = case.backward(first["mean"], first["inv_std"], isa=isa)
    for threads in 2, 3:
        other = case.forward("batchnorm_train", scalars, isa=isa, threads=threads)
        other_back = case.backward(first["mean"], first["inv_std"], isa=isa, threads=threads)
        for one, two in (first, other), (back, other_back):
            assert all(same_bits(one[key], two[key]) for key in one)


@every_isa
def test_a_row_is_inferred_alike_in_any_batch(isa):
    case = Case(20, 50)
    together = case.forward("batchnorm_infer", dict(epsilon=1e-3), isa=isa)["y"]
    for i in range(20):
        alone = Case(1, 50)
        alone.__dict__.update(vars(case), x=case.x[i : i + 1], rows=1, samples=1)
        assert same_bits(alone.forward("batchnorm_infer", dict(epsilon=1e-3), isa=isa)["y"], together[i : i + 1])


@every_isa
def test_a_mean_far_from_zero_costs_no_accuracy(isa):
    case = Case(300, 20)
    case.x = (case.x / 3 + 10000).astype(np.float32)
    got = case.forward("batchnorm_train", dict(momentum=0.99, epsilon=1e-3), isa=isa)
    mean, variance = oracle.statistics(case.x)
    np.testing.assert_allclose(got["mean"], mean, rtol=1.2e-7)  # the nearest float, or the next
    np.testing.assert_allclose(got["inv_std"], 1 / np.sqrt(variance + 1e-3), rtol=1e-6)


@every_isa
def test_many_rows_are_summed_accurately(isa):
    case = Case(50000, 3)
    got = case.forward("batchnorm_train", dict(momentum=0.99, epsilon=1e-3), isa=isa)
    mean, variance = oracle.statistics(case.x)
    np.testing.assert_allclose(got["mean"], mean, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(got["inv_std"], 1 / np.sqrt(variance + 1e-3), rtol=1e-5)


@every_isa
@pytest.mark.parametrize("epsilon", [0.0, 1e-3])
def test_a_constant_feature_becomes_beta(isa, epsilon):
    case = Case(30, 20)
    case.x[:] = np.linspace(-5, 1e4, 20, dtype=np.float32)
    got = case.forward("batchnorm_train", dict(momentum=0.99, epsilon=epsilon), isa=isa)
    np.testing.assert_array_equal(got["y"], np.tile(case.beta, (30, 1)))


@every_isa
def test_nan_is_not_hidden(isa):
    case = Case(30, 40)
    case.x[3, 5], case.dy[4, 6] = np.nan, np.nan
    got = case.forward("batchnorm_train", dict(momentum=0.99, epsilon=1e-3), isa=isa)
    assert np.isnan(got["y"]).all(axis=0).tolist() == [j == 5 for j in range(40)]
    mean, variance = oracle.statistics(np.nan_to_num(case.x))
    dx = case.backward(mean, 1 / np.sqrt(variance + 1e-3), isa=isa)["dx"]
    assert np.isnan(dx).all(axis=0).tolist() == [j in (5, 6) for j in range(40)]
