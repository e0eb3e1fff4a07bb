"""Losses of points, rows and batches against the float64 oracle, whose gradient is taken by differences."""

import numpy as np
import pytest

from fastnn._engine import kernels
from reference import losses as oracle
from reference.arrays import garbage, matrix, same_bits

every_isa = pytest.mark.parametrize("isa", kernels.isas())
SIGNED, POSITIVE, PROBABILITY = "signed", "positive", "probability"
# operation, what predictions are, what targets are, settings
LOSSES = [
    ("huber", SIGNED, SIGNED, {"delta": 0.7}),
    ("log_cosh", SIGNED, SIGNED, {}),
    ("mean_absolute_percentage_error", SIGNED, SIGNED, {}),
    ("mean_squared_logarithmic_error", POSITIVE, POSITIVE, {}),
    ("poisson", POSITIVE, POSITIVE, {}),
    ("hinge", SIGNED, "bits", {}),
    ("hinge", SIGNED, SIGNED, {}),
    ("squared_hinge", SIGNED, "bits", {}),
    ("categorical_hinge", SIGNED, "one_hot", {}),
    ("kl_divergence", PROBABILITY, PROBABILITY, {}),
    ("cosine_similarity", SIGNED, SIGNED, {}),
    *(
        ("binary_focal_crossentropy", SIGNED if logits else PROBABILITY, "bits",
         {"gamma": gamma, "alpha": alpha, "label_smoothing": smoothing, "from_logits": logits})
        for gamma, alpha, smoothing, logits in ((2.0, -1.0, 0.0, 0), (1.5, 0.3, 0.1, 0), (0.5, -1.0, 0.1, 1),
                                                (0.0, 0.3, 0.0, 0), (1.0, -1.0, 0.0, 1))
    ),
    *(
        ("categorical_focal_crossentropy", SIGNED if logits else PROBABILITY, "one_hot",
         {"gamma": gamma, "label_smoothing": smoothing, "from_logits": logits})
        for gamma, smoothing, logits in ((2.0, 0.0, 0), (1.5, 0.1, 0), (3.0, 0.1, 1))
    ),
    ("generalized_crossentropy", PROBABILITY, "labels", {"q": 0.6}),
    ("tversky", PROBABILITY, "bits", {"alpha": 0.3, "beta": 0.8, "epsilon": 1e-7, "whole": 0}),
    ("tversky", PROBABILITY, "bits", {"alpha": 0.3, "beta": 0.8, "epsilon": 1e-7, "whole": 1}),
]  # fmt: skip
every_loss = pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: "-".join(map(str, (loss[0], *loss[3].values()))))


def draw(kind, rng, rows, n):
    if kind == SIGNED:
        return rng.normal(0, 2, (rows, n)).astype(np.float32)
    if kind == POSITIVE:
        return rng.uniform(0.1, 4, (rows, n)).astype(np.float32)
    if kind == PROBABILITY:
        return rng.uniform(0.02, 0.98, (rows, n)).astype(np.float32)
    if kind == "bits":
        return rng.integers(0, 2, (rows, n)).astype(np.float32)
    labels = rng.integers(0, n, rows).astype(np.int32)
    return labels if kind == "labels" else oracle.one_hot(labels, n).astype(np.float32)


def run(loss, p, targets, weights, isa, per=1, threads=1, extra=0, gradient=True, padding=-7.5e30):
    name, _, _, settings = loss
    rows, n = p.shape
    x, row_loss = matrix(p, extra, padding), kernels.aligned(rows)
    dx = garbage(rows, n, extra) if gradient else None
    operands = {"p": x, "weights": weights, "row_loss": row_loss, "dp": dx}
    values = {"n": n, "ldp": x.shape[1], "lddp": dx.shape[1] if gradient else 0, "scale": 0.6, **settings}
    if targets.ndim == 1:
        operands["labels"] = targets
    else:
        operands["targets"] = matrix(targets, 0, padding)
        values["ldt"] = operands["targets"].shape[1]
    info = kernels.OPS[name]
    if "alpha" in info.operands:
        operands["alpha"] = kernels.padded(np.linspace(0.2, 0.9, n))
    dims, scalars = ({key: values[key] for key in keys} for keys in (info.dims, info.scalars))
    kernels.call(name, rows // per, operands, dims, scalars, rows_per_sample=per, isa=isa, threads=threads)
    return row_loss[:rows], dx


def expected(loss, p, targets, weights, per):
    name, _, _, settings = loss
    rows, n = p.shape
    settings = dict(settings)
    if name == "categorical_focal_crossentropy":
        settings["alpha"] = np.linspace(0.2, 0.9, n).astype(np.float32)
    targets = oracle.one_hot(targets, n) if targets.ndim == 1 else targets.astype(np.float64)
    w = np.ones(rows) if weights is None else weights.astype(np.float64)

    def value(x):
        return w * getattr(oracle, name)(x, targets, **settings)

    p, gradient, h = p.astype(np.float64), np.empty(p.shape), 1e-6
    for r, j in np.ndindex(*p.shape):
        step = np.zeros(p.shape)
        step[r, j] = h
        gradient[r, j] = (value(p + step) - value(p - step)).sum() / (2 * h)
    return value(p), gradient * 0.6 / rows


@every_isa
@every_loss
@pytest.mark.parametrize(("samples", "per", "n"), [(1, 1, 2), (3, 2, 5), (4, 1, 19)])
def test_values_and_gradients(isa, loss, samples, per, n):
    rng = np.random.default_rng(samples)
    p, targets = draw(loss[1], rng, samples * per, n), draw(loss[2], rng, samples * per, n)
    weights = rng.uniform(0.1, 2, samples * per).astype(np.float32) if per > 1 else None
    values, gradient = expected(loss, p, targets, weights, per)
    row_loss, dx = run(loss, p, targets, weights, isa, per, extra=1)
    np.testing.assert_allclose(row_loss, values, rtol=5e-6, atol=2e-6)
    np.testing.assert_allclose(dx[:, :n], gradient, rtol=3e-5, atol=3e-6 * max(1, np.abs(gradient).max()))
    assert not dx[:, n : kernels.row_stride(n)].any()
    # the same bits without a gradient, by several threads, with other strides and padding
    other, none = run(loss, p, targets, weights, isa, per, gradient=False, padding=0.0)
    assert none is None
    assert same_bits(other, row_loss)
    other, other_dx = run(loss, p, targets, weights, isa, per, threads=3)
    assert same_bits(other, row_loss)
    assert same_bits(other_dx[:, :n], dx[:, :n])


@every_isa
@every_loss
def test_nan_is_not_lost(isa, loss):
    rng = np.random.default_rng(2)
    p, targets = draw(loss[1], rng, 4, 19), draw(loss[2], rng, 4, 19)
    p[2, targets[2] if targets.ndim == 1 else 7] = np.nan
    row_loss, dx = run(loss, p, targets, None, isa)
    assert np.isnan(row_loss[2])
    assert np.isnan(dx[2, :19]).any()
    assert not dx[:, 19:32].any()
    if not loss[3].get("whole"):
        assert np.isfinite(row_loss[[0, 1, 3]]).all()
        assert np.isfinite(dx[[0, 1, 3]]).all()


@every_isa
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("labelled", [False, True])
def test_rescale(isa, weighted, labelled):
    rng = np.random.default_rng(3)
    row_loss, dp = rng.normal(size=10).astype(np.float32), matrix(rng.normal(size=(10, 5)))
    weights = rng.uniform(0, 1, 10).astype(np.float32) if weighted else None
    labels = rng.integers(-1, 2, 10).astype(np.int32) if labelled else None
    w = weights.astype(np.float64) if weighted else np.ones(10)
    divisor = (w * (labels >= 0 if labelled else 1)).sum() if weighted or labelled else 1
    wanted = row_loss * 10 / divisor, dp[:, :5] * 10 / divisor
    operands = dict(row_loss=row_loss, dp=dp, weights=weights, labels=labels)
    kernels.call("rescale_loss", 5, operands, dict(n=5, lddp=dp.shape[1]), {}, rows_per_sample=2, isa=isa, threads=2)
    np.testing.assert_allclose(row_loss, wanted[0], rtol=1e-6)
    np.testing.assert_allclose(dp[:, :5], wanted[1], rtol=1e-6)


@every_isa
@pytest.mark.parametrize("diagonal", [0, 1])
@pytest.mark.parametrize(("rows", "n", "gamma", "margin"), [(1, 3, 8.0, 0.4), (23, 5, 80.0, 0.4), (40, 19, 3.0, -0.3)])
def test_circle(isa, rows, n, gamma, margin, diagonal):
    rng = np.random.default_rng(rows)
    p, weights = rng.normal(size=(rows, n)), rng.uniform(0.1, 2, rows).astype(np.float32)
    p = (p / np.linalg.norm(p, axis=1, keepdims=True)).astype(np.float32)
    labels = rng.integers(0, 4, rows).astype(np.int32)
    labels[-1] = -7  # alone
    others, other_labels = rng.normal(size=(9, n)).astype(np.float32), rng.integers(0, 4, 9).astype(np.int32)

    def run(threads, padding, references=False):
        x, dx = matrix(p, 1, padding), garbage(rows, n, 2)
        found = {name: kernels.aligned(rows) for name in ("row_loss", "positive", "negative", "unit")}
        found["counted"] = np.zeros(rows, np.int32)
        operands = {"p": x, "labels": labels, "weights": weights, **found}
        settings = dict(n=n, ldp=x.shape[1], ldrefs=0, count=0, remove_diagonal=diagonal)
        if references:
            operands |= {"refs": matrix(others, 0, padding), "ref_labels": other_labels}
            settings |= {"ldrefs": operands["refs"].shape[1], "count": 9}
        scalars = dict(gamma=gamma, margin=margin)
        kernels.call("circle", rows, operands, settings, scalars, isa=isa, threads=threads)
        operands = {name: operands[name] for name in ("p", "labels", "positive", "negative", "unit")}
        dims = dict(n=n, ldp=x.shape[1], lddp=dx.shape[1], remove_diagonal=diagonal)
        kernels.call(
            "circle_gradient", rows, {**operands, "dp": dx}, dims, dict(scalars, scale=0.6), isa=isa, threads=threads
        )
        return found["row_loss"][:rows], dx, found["counted"]

    def value(x):
        with np.errstate(all="ignore"):
            return oracle.circle(x, labels, gamma, margin, diagonal)

    row_loss, dx, counted = run(1, -7.5e30)
    np.testing.assert_allclose(row_loss, weights * value(p), rtol=2e-5, atol=1e-6)
    np.testing.assert_array_equal(counted, np.where(value(p) > 0, 0, -1))
    gradient, h = np.empty(p.shape), 1e-6
    for place in np.ndindex(*p.shape):
        step = np.zeros(p.shape)
        step[place] = h
        gradient[place] = (weights * (value(p + step) - value(p - step))).sum() / (2 * h)
    gradient *= 0.6 / rows
    np.testing.assert_allclose(dx[:, :n], gradient, rtol=1e-4, atol=1e-5 * max(1, np.abs(gradient).max()))
    assert not dx[:, n : kernels.row_stride(n)].any()
    other, other_dx, _ = run(3, 0.0)
    assert same_bits(other, row_loss)
    assert same_bits(other_dx[:, :n], dx[:, :n])
    wanted = weights * oracle.circle(p, labels, gamma, margin, diagonal, others, other_labels)
    np.testing.assert_allclose(run(2, -7.5e30, True)[0], wanted, rtol=1e-4, atol=1e-5)
