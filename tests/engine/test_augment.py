import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastnn._engine import kernels
from reference import augment, noise
from reference.arrays import garbage, matrix

ISAS = kernels.isas()
KINDS = {
    "flip": (1.0, 1.0, 0.0, 0.0),
    "translate": (-0.4, 0.6, -0.3, 0.3),
    "rotate": (-0.2, 0.3, 0.0, 0.0),
    "zoom": (-0.4, 0.5, -0.5, 0.9),
}


def warp(x, kind, fill="constant", nearest=0, uniform=0, fill_value=2.0, numbers=None, **how):
    samples, h, w, c = x.shape
    source, y = matrix(x.reshape(samples, -1), 1), garbage(samples, h * w * c)
    dims = dict(h=h, w=w, c=c, kind=list(KINDS).index(kind), fill=augment.FILLS.index(fill), nearest=nearest)
    dims.update(uniform=uniform, stream=3, own_seed=0, ldx=source.shape[1], ldy=y.shape[1])
    a, b, low, high = numbers or KINDS[kind]
    scalars = dict(a=a, b=b, c_low=low, c_high=high, fill_value=fill_value)
    kernels.call("random_warp", samples, dict(x=source, y=y), dims, scalars, **how)
    assert (y[:, h * w * c :] == 0).all()
    return y[:, : h * w * c].reshape(x.shape)


@pytest.mark.parametrize("isa", ISAS)
@given(
    st.integers(1, 3), st.integers(1, 6), st.integers(1, 7), st.integers(1, 3), st.sampled_from(list(KINDS)),
    st.sampled_from(augment.FILLS), st.booleans(), st.booleans(), st.integers(0, 9),
)  # fmt: skip
def test_warps_are_those_of_the_oracle(isa, samples, h, w, c, kind, fill, nearest, uniform, step):
    x = np.random.default_rng(h).normal(size=(samples, h, w, c)).astype(np.float32)
    y = warp(x, kind, fill, nearest, uniform, isa=isa, seed=5, step=step, threads=2)
    numbers = np.float32(KINDS[kind]).astype(float)
    ms = augment.matrices(kind, *numbers, uniform, augment.draws(samples, 5, 3, step), h, w)
    for image, m, result in zip(x, ms, y, strict=True):
        # At the middle between two places, the last bit decides which is the nearest.
        places = np.stack([m[0] * np.arange(w)[None] + m[1] * np.arange(h)[:, None] + m[2],
                           m[3] * np.arange(w)[None] + m[4] * np.arange(h)[:, None] + m[5]])  # fmt: skip
        clear = ~nearest | (np.abs(places - np.floor(places) - 0.5) > 1e-5).all(axis=0)
        expected = augment.warped(image.astype(float), m, fill, nearest, 2.0)
        np.testing.assert_allclose(result[clear], expected[clear], atol=2e-5)


@pytest.mark.parametrize("kind", ["translate", "zoom"])
def test_what_is_not_finite_stays_in_its_sample_and_huge_factors_are_places_too(kind):
    x = np.ones((4, 5, 5, 1), np.float32)
    x[1, 2, 2] = np.nan
    y = warp(x, kind, "reflect")
    assert np.isfinite(y[[0, 2, 3]]).all()
    assert np.isfinite(warp(x[:1], kind, "wrap", numbers=(1e30, 1e30, 1e30, 1e30))).all()


@pytest.mark.parametrize("isa", ISAS)
@given(st.integers(1, 4), st.integers(1, 40), st.integers(1, 3), st.integers(0, 1))
def test_contrast_and_brightness(isa, samples, pixels, c, kind):
    x = np.random.default_rng(c).uniform(0, 255, (samples, pixels, c)).astype(np.float32)
    source, y = matrix(x.reshape(samples, -1)), garbage(samples, pixels * c)
    dims = dict(pixels=pixels, c=c, kind=kind, stream=3, own_seed=0, ldx=source.shape[1], ldy=y.shape[1])
    scalars = dict(a=0.25, b=1.5, low=10.0, high=200.0)
    kernels.call("random_intensity", samples, dict(x=source, y=y), dims, scalars, isa=isa, seed=5, threads=2)
    drawn = augment.between(0.25, 1.5, augment.draws(samples, 5, 3, 0)[:, 0])[:, None, None]
    mean = x.mean(axis=1, keepdims=True, dtype=float)
    expected = x + drawn * 190 if kind else (x - mean) * drawn + mean
    np.testing.assert_allclose(y[:, : pixels * c].reshape(x.shape), np.clip(expected, 10, 200), rtol=1e-5, atol=1e-3)
    assert (y[:, pixels * c :] == 0).all()


def mixed(x, alpha, per=1, **how):
    source, y = matrix(x, 1), garbage(*x.shape)
    dims = dict(n=x.shape[1], ldx=source.shape[1], ldy=y.shape[1], stream=3, own_seed=0)
    kernels.call("mixup", len(x) // per, dict(x=source, y=y), dims, dict(alpha=alpha), per, seed=5, **how)
    return y[:, : x.shape[1]]


@pytest.mark.parametrize("isa", ISAS)
@given(st.integers(1, 9), st.integers(1, 3), st.integers(1, 40), st.sampled_from([0.2, 0.5, 1.0, 4.0]))
def test_mixup(isa, samples, per, n, alpha):
    x = np.random.default_rng(n).normal(size=(samples * per, n)).astype(np.float32)
    share, shift = augment.mixing(float(np.float32(alpha)), augment.draws(samples, 5, 3, 0))
    share = share[:, None, None]
    cubes = x.reshape(samples, per, n)
    expected = share * cubes + (1 - share) * np.roll(cubes, -shift, axis=0)
    np.testing.assert_allclose(mixed(x, alpha, per, isa=isa, threads=2), expected.reshape(x.shape), atol=2e-6)


@pytest.mark.parametrize("alpha", [0.2, 1.0, 5.0])
def test_shares_have_the_beta_distribution(alpha):
    share, _ = augment.mixing(alpha, augment.draws(20000, 1, 3, 0))
    assert abs(share.mean() - 0.5) < 0.01
    assert abs(share.var() - 1 / (4 * (2 * alpha + 1))) < 0.003
    # E (x - 1/2)^4 of the symmetric distribution
    assert abs(((share - 0.5) ** 4).mean() - 3 / (16 * (2 * alpha + 1) * (2 * alpha + 3))) < 0.002


@pytest.mark.parametrize("isa", ISAS)
@given(st.integers(1, 30), st.integers(1, 3), st.integers(1, 70), st.sampled_from([0.1, 0.5, 1.0]), st.booleans())
def test_replaced_features(isa, samples, per, n, rate, by_mean):
    x = np.random.default_rng(n).normal(size=(samples, per, n)).astype(np.float32)
    source, y = matrix(x.reshape(-1, n), 1), garbage(samples * per, n)
    sums = x.sum(axis=0) if by_mean else None
    operand = matrix(sums) if by_mean else None
    dims = dict(n=n, ldsums=operand.shape[1] if by_mean else 0, ldx=source.shape[1], ldy=y.shape[1], stream=3)
    operands = dict(sums=operand, x=source, y=y)
    how = dict(isa=isa, seed=5, step=2, threads=3)
    kernels.call("replace_features", samples, operands, dict(dims, own_seed=0), dict(rate=rate), per, **how)
    uniform = noise.uniform(samples * per, n, 5, 3, 2).reshape(x.shape)
    np.testing.assert_array_equal(y[:, :n].reshape(x.shape), augment.replaced(x, rate, uniform, sums))
    assert (y[:, n:] == 0).all()
