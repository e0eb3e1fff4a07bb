"""The losses against the float64 oracle: values, gradients, weights and padding."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastnn._engine import kernels
from reference import losses as oracle
from reference.activations import sigmoid, softmax
from reference.arrays import garbage, matrix, same_bits

every_isa = pytest.mark.parametrize("isa", kernels.isas())

# name: (oracle, operand that is differentiated, has an output y, takes label_smoothing)
LOSSES = {
    "softmax_crossentropy_sparse": (oracle.softmax_crossentropy, "z", True, True),
    "softmax_crossentropy_dense": (oracle.softmax_crossentropy, "z", True, True),
    "sigmoid_crossentropy": (oracle.sigmoid_crossentropy, "z", True, True),
    "crossentropy_sparse": (oracle.crossentropy, "p", False, True),
    "crossentropy_dense": (oracle.crossentropy, "p", False, True),
    "binary_crossentropy": (oracle.binary_crossentropy, "p", False, True),
    "mean_squared_error": (oracle.mean_squared_error, "p", False, False),
    "mean_absolute_error": (oracle.mean_absolute_error, "p", False, False),
}
every_loss = pytest.mark.parametrize("name", LOSSES)


class Case:
    """One call: inputs as plain arrays, then the operation's outputs beside the oracle's."""

    def __init__(self, name, x, targets, weights=None, smoothing=0.0, scale=1.0, rows_per_sample=1):
        self.name, self.x, self.targets, self.weights = name, x, targets, weights
        self.smoothing, self.scale, self.rows_per_sample = smoothing, scale, rows_per_sample
        self.rows, self.n = x.shape

    def run(self, isa, threads=1, extra=0, gradient=True, output=True, in_place=False, padding=-7.5e30):
        """(row_loss, gradient or None, y or None), the last two with their padding."""
        _, operand, has_output, smooths = LOSSES[self.name]
        sparse = self.name.endswith("_sparse")
        x = matrix(self.x, extra, padding)
        row_loss = kernels.aligned(self.rows)
        row_loss[:] = np.nan
        dx = garbage(self.rows, self.n, 2 * extra) if gradient else None
        operands = {operand: x, "weights": self.weights, "row_loss": row_loss, "d" + operand: dx}
        dims = {
            "n": self.n,
            "ld" + operand: x.shape[1],
            "ldd" + operand: dx.shape[1] if gradient else 0,
        }
        if sparse:
            operands["labels"] = self.targets
        else:
            operands["targets"] = matrix(self.targets, 0, padding)
            dims["ldt"] = operands["targets"].shape[1]
        y = None
        if has_output:
            y = (x if in_place else garbage(self.rows, self.n)) if output else None
            operands["y"], dims["ldy"] = y, y.shape[1] if output else 0
        kernels.call(
            self.name,
            self.rows // self.rows_per_sample,
            operands,
            dims,
            {"scale": self.scale, **({"label_smoothing": self.smoothing} if smooths else {})},
            rows_per_sample=self.rows_per_sample,
            isa=isa,
            threads=threads,
        )
        return row_loss, dx, y

    def expected(self):
        """(row_loss, gradient) of the oracle."""
        function, _, _, smooths = LOSSES[self.name]
        targets = oracle.one_hot(self.targets, self.n) if self.targets.ndim == 1 else self.targets
        loss, gradient = function(self.x, targets, *([self.smoothing] if smooths else []))
        weights = np.ones(self.rows)
        if self.weights is not None:
            weights = self.weights.astype(np.float64)
        return loss * weights, gradient * weights[:, None] * self.scale / self.rows


def random_case(name, rng, samples, rows_per_sample, n, weighted, smoothing, scale, soft):
    rows = samples * rows_per_sample
    x = rng.normal(0, 2, (rows, n)).astype(np.float32)
    if name.startswith("crossentropy"):
        x = (softmax(x) * rng.uniform(0.5, 2, (rows, 1))).astype(np.float32)  # it divides by the sum
    elif name == "binary_crossentropy":
        x = sigmoid(x).astype(np.float32)
    if name.endswith("_sparse"):
        targets = rng.integers(0, n, rows).astype(np.int32)
    elif name.startswith("mean"):
        targets = rng.normal(0, 2, (rows, n)).astype(np.float32)
    elif soft:
        targets = rng.uniform(0, 1, (rows, n)).astype(np.float32)  # need not add up to 1
    else:
        targets = rng.integers(0, 2, (rows, n)).astype(np.float32)
    weights = rng.uniform(0, 3, rows).astype(np.float32) if weighted else None
    return Case(name, x, targets, weights, smoothing, scale, rows_per_sample)


cases = st.fixed_dictionaries(
    {
        "samples": st.integers(1, 20),
        "rows_per_sample": st.integers(1, 3),
        "n": st.integers(1, 70),
        "weighted": st.booleans(),
        "smoothing": st.sampled_from([0.0, 0.1]),
        "scale": st.sampled_from([1.0, 0.3]),
        "soft": st.booleans(),
    }
)


@every_isa
@every_loss
@settings(max_examples=40, deadline=None)
@given(shape=cases, seed=st.integers(0, 2**32 - 1), extra=st.integers(0, 1), threads=st.integers(1, 3))
def test_random_shapes(isa, name, shape, seed, extra, threads):
    case = random_case(name, np.random.default_rng(seed), **shape)
    row_loss, dx, y = case.run(isa, threads, extra)
    loss, gradient = case.expected()
    n = case.n
    np.testing.assert_allclose(row_loss, loss, rtol=3e-6, atol=3e-6)
    size = max(1.0, np.abs(gradient).max())
    np.testing.assert_allclose(dx[:, :n], gradient, rtol=1e-5, atol=2e-6 * size)
    assert not dx[:, n : kernels.row_stride(n)].any()
    if y is not None:
        output = softmax(case.x) if name.startswith("softmax") else sigmoid(np.float64(case.x))
        np.testing.assert_allclose(y[:, :n], output, rtol=3e-6, atol=1e-35)
        assert not y[:, n:].any()

    # the same bits whatever else is asked for, by one thread, with other strides and padding
    lone_loss, no_dx, no_y = case.run(isa, gradient=False, output=False, padding=0.0)
    assert no_dx is None
    assert no_y is None
    assert same_bits(lone_loss, row_loss)
    _, lone_dx, _ = case.run(isa, output=False)
    assert same_bits(lone_dx[:, :n], dx[:, :n])
    if y is not None:
        same_loss, same_dx, same_y = case.run(isa, extra=extra, in_place=True)
        assert same_bits(same_loss, row_loss)
        assert same_bits(same_dx[:, :n], dx[:, :n])
        assert same_bits(same_y[:, :n], y[:, :n])
        only_loss, _, only_y = case.run(isa, gradient=False)
        assert same_bits(only_loss, row_loss)
        assert same_bits(only_y, y)


@every_loss
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_oracle_differentiates_itself(name, smoothing):
    rng = np.random.default_rng(0)
    case = random_case(name, rng, 9, 1, 5, False, smoothing, 9.0, True)
    case.x = case.x.astype(np.float64)
    _, gradient = case.expected()
    h, numeric = 1e-6, np.empty_like(gradient)
    for j in range(case.n):
        sides = []
        for step in (h, -h):
            case.x[:, j] += step
            sides.append(case.expected()[0])
            case.x[:, j] -= step
        numeric[:, j] = (sides[0] - sides[1]) / (2 * h)
    np.testing.assert_allclose(gradient, numeric, rtol=1e-6, atol=1e-7)


@every_loss
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_oracle_is_keras(keras, name, smoothing):
    smooths = LOSSES[name][3] and not name.endswith("_sparse")  # Keras smooths no labels that are indices
    case = random_case(name, np.random.default_rng(1), 9, 1, 5, False, smoothing * smooths, 9.0, False)
    keras_name, options = name, {}
    if "crossentropy" in name:
        kind = "binary" if name.startswith(("sigmoid", "binary")) else "categorical"
        prefix = "sparse_" if name.endswith("_sparse") else ""
        keras_name = f"{prefix}{kind}_crossentropy"
        options["from_logits"] = name.startswith(("softmax", "sigmoid"))
    if smooths:
        options["label_smoothing"] = smoothing
    theirs = getattr(keras.losses, keras_name)(case.targets, case.x, **options)
    expected = keras.ops.convert_to_numpy(theirs)
    np.testing.assert_allclose(case.expected()[0], expected, rtol=1e-5, atol=1e-6)


@every_isa
def test_extreme_logits(isa):
    inf = np.inf
    z = np.array([[1e4, 0, -1e4], [-1e4, 1e4, 1e4], [3e38, -3e38, 0], [0, 0, -inf]], np.float32)
    labels = np.array([0, 0, 0, 1], np.int32)
    loss, dz, y = Case("softmax_crossentropy_sparse", z, labels, scale=4.0).run(isa)
    np.testing.assert_allclose(loss, [0, 2e4 + np.log(2), 0, np.log(2)], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(dz[:, :3], y[:, :3] - oracle.one_hot(labels, 3), atol=1e-6)
    # a masked class (a logit of -infinity) costs nothing with targets as a matrix, too
    dense = Case("softmax_crossentropy_dense", z, oracle.one_hot(labels, 3), scale=4.0).run(isa)
    for ours, sparse in zip(dense, (loss, dz, y), strict=True):
        assert same_bits(ours, sparse)

    z = np.array([[1e4], [-1e4], [3e38], [-3e38]], np.float32)
    t = np.array([[0], [1], [1], [0]], np.float32)
    loss, dz, y = Case("sigmoid_crossentropy", z, t, scale=4.0).run(isa)
    np.testing.assert_allclose(loss, [1e4, 1e4, 0, 0], rtol=1e-6)
    np.testing.assert_array_equal(dz[:, 0], [1, -1, 0, 0])
    np.testing.assert_array_equal(y[:, 0], [1, 0, 1, 0])


@every_isa
def test_probabilities_of_nought_and_one_are_clipped(isa):
    p = np.array([[1, 0, 0], [1, 0, 0], [0.5, 0.5, 0]], np.float32)
    labels = np.array([0, 1, 2], np.int32)
    for name, targets in (
        ("crossentropy_sparse", labels),
        ("crossentropy_dense", oracle.one_hot(labels, 3)),
        ("binary_crossentropy", oracle.one_hot(labels, 3)),
    ):
        case = Case(name, p, targets)
        loss, dp, _ = case.run(isa)
        expected_loss, expected_gradient = case.expected()
        # 1 - 1e-7 is not a float32: the loss where a 1 was clipped is off by the difference
        np.testing.assert_allclose(loss, expected_loss, rtol=0.02, atol=1e-7)
        np.testing.assert_allclose(dp[:, :3], expected_gradient, rtol=1e-6)


@every_isa
@every_loss
def test_nan_stays_in_its_row(isa, name):
    case = random_case(name, np.random.default_rng(2), 5, 1, 19, False, 0.0, 1.0, False)
    clean_loss, clean_dx, clean_y = case.run(isa)
    case.x[2, 7] = np.nan
    loss, dx, y = case.run(isa)
    others = [0, 1, 3, 4]
    assert np.isnan(loss[2])
    assert np.isnan(dx[2, 7])
    assert not dx[:, 19:].any()
    assert same_bits(loss[others], clean_loss[others])
    assert same_bits(dx[others], clean_dx[others])
    if y is not None:
        assert np.isnan(y[2, 7])
        assert same_bits(y[others], clean_y[others])


@every_isa
@every_loss
def test_row_does_not_depend_on_the_batch(isa, name):
    case = random_case(name, np.random.default_rng(3), 6, 1, 23, True, 0.1, 6.0, False)
    loss, dx, _ = case.run(isa)
    for r in range(6):
        alone = Case(name, case.x[[r]], case.targets[[r]], case.weights[[r]], 0.1, scale=1.0)
        one_loss, one_dx, _ = alone.run(isa)
        assert same_bits(one_loss, loss[[r]])
        assert same_bits(one_dx, dx[[r]])


@every_isa
@settings(max_examples=40, deadline=None)
@given(
    samples=st.integers(1, 300),
    rows_per_sample=st.integers(1, 3),
    weighted=st.booleans(),
    threads=st.integers(1, 3),
)
def test_accumulate(isa, samples, rows_per_sample, weighted, threads):
    rng = np.random.default_rng(samples)
    values = rng.normal(1, 1, samples * rows_per_sample).astype(np.float32)
    weights = rng.uniform(0, 2, len(values)).astype(np.float32) if weighted else None
    acc = np.array([10.0, 20.0])
    kernels.call(
        "accumulate",
        samples,
        {"values": values, "weights": weights, "acc": acc},
        rows_per_sample=rows_per_sample,
        isa=isa,
        threads=threads,
    )
    w = np.ones(len(values)) if weights is None else weights.astype(float)
    np.testing.assert_allclose(acc, [10 + (values * w).sum(), 20 + w.sum()], rtol=1e-12)
