"""The metrics with a state of their own against NumPy in float64."""

import numpy as np
import pytest

from fastnn._engine import kernels
from reference.arrays import matrix, same_bits

every_isa = pytest.mark.parametrize("isa", kernels.isas())
SHAPES = [(1, 1, 1), (9, 1, 1), (150, 1, 1), (7, 2, 5), (13, 1, 33)]  # samples, rows of each, columns


def run(name, p, targets, isa, per=1, threads=1, weights=None, state=None, padding=7.5e30, scalars=None, **dims):
    operands = {"p": matrix(p, 0, padding), "state": state, "weights": weights}
    if targets is not None and targets.ndim == 1:
        operands |= {"labels": targets, "targets": None}
    elif targets is not None:
        operands["targets"] = matrix(targets, 0, padding)
        operands |= {"labels": None} if name == "confusion_matrix" else {}
    dims["ldp"] = operands["p"].shape[1]
    dims["ldt"] = 0 if operands.get("targets") is None else operands["targets"].shape[1]
    if "constants" in dims:
        operands |= dims.pop("constants")
    kernels.call(name, len(p) // per, operands, dims, scalars or {}, rows_per_sample=per, isa=isa, threads=threads)
    return state


def example(samples, per, n, seed=0):
    rng = np.random.default_rng(seed)
    rows = samples * per
    p = (rng.integers(0, 21, (rows, n)) / 20).astype(np.float32)  # many on a threshold
    targets = rng.integers(0, 2, (rows, n)).astype(np.float32)
    weights = rng.uniform(0, 3, rows).astype(np.float32)
    return rng, p, targets, weights, weights.astype(np.float64)


@every_isa
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("levels", [3, 21, 60])
@pytest.mark.parametrize("even", [False, True])
def test_threshold_histogram(isa, shape, levels, even):
    samples, per, n = shape
    rng, p, targets, weights, w = example(*shape)
    thresholds = np.arange(levels) / (levels - 1) if even else np.sort([0.5, *rng.random(levels - 1)])
    thresholds = thresholds.astype(np.float32)
    if even:  # as Keras counts them: by a float32 product
        p = (rng.integers(0, levels, p.shape) / np.float32(levels - 1)).astype(np.float32)
    below = (thresholds < p[..., None]).sum(-1)
    if even:
        below = np.ceil(p * np.float32(levels - 1)).astype(int)
    columns = rng.uniform(0, 2, n).astype(np.float32)
    for per_column in 0, 1:
        expected = np.zeros((n if per_column else 1, 2, levels + 1))
        for r in range(samples * per):
            for j in range(n):
                expected[j * per_column, int(targets[r, j]), below[r, j]] += w[r] * columns[j]
        constants = {"thresholds": None if even else kernels.padded(thresholds), "columns": columns}
        settings = dict(first=0, end=n, m=levels, least=0, per_column=per_column, sigmoid=0, constants=constants)
        states = [
            run("threshold_histogram", p, targets, isa, per, threads, weights, np.zeros(expected.size), **settings)
            for threads in (1, 3)
        ]
        np.testing.assert_allclose(states[0], expected.ravel(), rtol=1e-12)
        assert same_bits(*states)


@every_isa
def test_thresholds_and_what_is_no_number(isa):
    p = np.array([[np.nan], [-np.inf], [np.inf], [0.0], [1.0]], np.float32)
    for thresholds in None, kernels.padded([0.0, 0.5, 1.0]):
        settings = dict(first=0, end=1, m=3, least=0, per_column=0, sigmoid=0)
        constants = {"thresholds": thresholds, "columns": None}
        state = run("threshold_histogram", p, np.ones((5, 1), np.float32), isa, state=np.zeros(8),
                    constants=constants, **settings)  # fmt: skip
        beyond = [3, 0, 2, 0] if thresholds is None else [3, 0, 1, 1]  # even ones clip to [0, 1]
        np.testing.assert_array_equal(state, [0, 0, 0, 0, *beyond])


@every_isa
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("by_maximum", [0, 1])
def test_class_counts(isa, shape, by_maximum):
    _, per, n = shape
    _, p, t, weights, w = example(*shape)
    decided = p > 0.4
    if by_maximum:
        decided = (p >= p.max(1, keepdims=True)) & (p > 1e-9)
    expected = [decided * t, decided * (1 - t), ~decided * t, t]
    expected = np.concatenate([(each * w[:, None]).sum(0) for each in expected])
    state = run("class_counts", p, t, isa, per, 2, weights, np.zeros(4 * n), n=n, by_maximum=by_maximum,
                scalars={"threshold": 0.4})  # fmt: skip
    np.testing.assert_allclose(state, expected, rtol=1e-12)


@every_isa
@pytest.mark.parametrize("shape", SHAPES[1:])
@pytest.mark.parametrize("kind", ["labels", "rows", "numbers", "threshold"])
def test_confusion_matrix(isa, shape, kind):
    samples, per, n = shape
    rng, p, t, weights, w = example(*shape)
    classes = n if kind in ("labels", "rows") else 4
    if kind == "labels":
        truth, guess = rng.integers(0, n, samples * per), p.argmax(1)
        targets = truth.astype(np.int32)
    elif kind == "rows":
        targets, truth, guess = t, t.argmax(1), p.argmax(1)
    else:
        targets = rng.integers(-1, 6, p.shape).astype(np.float32)
        truth, w = targets.astype(int).ravel(), np.repeat(w, n)
        if kind == "numbers":
            p = rng.integers(-1, 6, p.shape).astype(np.float32) + np.float32(0.25)
        guess = (p >= np.float32(0.5)).ravel().astype(int) if kind == "threshold" else p.astype(int).ravel()
    whole = kind == "rows"
    expected = np.zeros((classes, classes))
    for a, b, weight in zip(truth, guess, np.floor(w) if whole else w, strict=True):
        if 0 <= a < classes and 0 <= b < classes and a != 1:
            expected[a, b] += weight
    state = run("confusion_matrix", p, targets, isa, per, 2, weights, np.zeros(classes**2), n=n, classes=classes,
                ignored=1, by_row=int(kind in ("labels", "rows")), above=int(kind == "threshold"), whole=int(whole),
                scalars={"threshold": 0.5})  # fmt: skip
    np.testing.assert_allclose(state, expected.ravel(), rtol=1e-12)


@every_isa
@pytest.mark.parametrize("shape", SHAPES)
def test_regression_moments(isa, shape):
    _, per, n = shape
    rng, p, _, weights, w = example(*shape)
    t = rng.normal(size=p.shape).astype(np.float32)
    exact, w = t.astype(np.float64), w[:, None]
    expected = [(exact * w).sum(0), (exact**2 * w).sum(0), ((exact - p) ** 2 * w).sum(0), np.full(n, w.sum())]
    state = run("regression_moments", p, t, isa, per, 2, weights, np.zeros(4 * n + 1), n=n)
    np.testing.assert_allclose(state, [*np.concatenate(expected), p.size], rtol=1e-12, atol=1e-12)


@every_isa
@pytest.mark.parametrize("n", [1, 5, 40])
def test_top_k(isa, n):
    rng, p, t, _, _ = example(30, 1, n)
    order = np.argsort(-p, axis=1, kind="stable")
    labels = rng.integers(-1, n + 1, 30).astype(np.int32)
    for k in {1, min(3, n), n}:
        kept = np.full(p.shape, -1e10, np.float32)
        np.put_along_axis(kept, order[:, :k], np.take_along_axis(p, order[:, :k], 1), 1)
        x, y = matrix(p, 0, 7.5e30), kernels.aligned((30, kernels.row_stride(n)))
        kernels.call("top_k_filter", 30, dict(p=x, y=y), dict(n=n, ldp=x.shape[1], ldy=y.shape[1], k=k), {}, isa=isa)
        np.testing.assert_array_equal(y[:, :n], kept)
        column = np.where((labels >= 0) & (labels < n), labels, 0)
        at = np.take_along_axis(p, column[:, None], 1)
        expected = ((p > at).sum(1) < k) & (labels >= 0) & (labels < n)
        values = kernels.aligned(30)
        kernels.call("sparse_top_k", 30, dict(p=x, labels=labels, values=values), dict(n=n, ldp=x.shape[1], k=k), {},
                     isa=isa)  # fmt: skip
        np.testing.assert_array_equal(values[:30], expected)
        targets = matrix(t, 0, 7.5e30)
        dims = dict(n=n, ldp=x.shape[1], ldt=targets.shape[1], k=k)
        kernels.call("categorical_top_k", 30, dict(p=x, targets=targets, values=values), dims, {}, isa=isa)
        at = np.take_along_axis(p, t.argmax(1)[:, None], 1)
        np.testing.assert_array_equal(values[:30], (p > at).sum(1) < k)


@every_isa
@pytest.mark.parametrize("n", [2, 5, 40])
def test_correlation(isa, n):
    rng = np.random.default_rng(n)
    t = rng.normal(3, 1, (20, n)).astype(np.float32)
    p = (t + rng.normal(size=t.shape)).astype(np.float32)
    x, targets, values = matrix(p, 0, 7.5e30), matrix(t, 0, 7.5e30), kernels.aligned(20)
    exact = [each - each.mean(1, keepdims=True) for each in (p.astype(np.float64), t.astype(np.float64))]
    covariance, (vp, vt) = (exact[0] * exact[1]).mean(1), [(each**2).mean(1) for each in exact]
    distance = p.mean(1, dtype=np.float64) - t.mean(1, dtype=np.float64)
    expected = {
        "pearson": covariance / np.sqrt(vp * vt),
        "concordance": 2 * covariance / (vp + vt + distance**2 + 1e-7),
    }
    for name, value in expected.items():
        dims = dict(n=n, ldp=x.shape[1], ldt=targets.shape[1])
        kernels.call(name, 20, dict(p=x, targets=targets, values=values), dims, {}, isa=isa, threads=2)
        np.testing.assert_allclose(values[:20], value, rtol=2e-5, atol=2e-6)
