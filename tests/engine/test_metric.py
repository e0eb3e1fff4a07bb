"""The accuracies against NumPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastnn._engine import kernels
from reference import losses as oracle
from reference.arrays import matrix, same_bits

every_isa = pytest.mark.parametrize("isa", kernels.isas())


def metric(name, p, targets, isa, threads=1, rows_per_sample=1, extra=0, padding=7.5e30, **scalars):
    values = kernels.aligned(len(p))
    values[:] = np.nan
    x = matrix(p, extra, padding)
    operands, dims = {"p": x, "values": values}, {"n": p.shape[1], "ldp": x.shape[1]}
    if targets.ndim == 1:
        operands["labels"] = targets
    else:
        operands["targets"] = matrix(targets, 0, padding)
        dims["ldt"] = operands["targets"].shape[1]
    samples = len(p) // rows_per_sample
    options = {"rows_per_sample": rows_per_sample, "isa": isa, "threads": threads}
    kernels.call(name, samples, operands, dims, scalars, **options)
    return values


shapes = st.fixed_dictionaries(
    {
        "samples": st.integers(1, 20),
        "rows_per_sample": st.integers(1, 3),
        "n": st.integers(1, 70),
        "levels": st.sampled_from([2, 5, 1000]),  # few levels make ties
        "threads": st.integers(1, 3),
        "extra": st.integers(0, 1),
        "seed": st.integers(0, 2**32 - 1),
    }
)


@every_isa
@settings(max_examples=100, deadline=None)
@given(shape=shapes)
def test_random_shapes(isa, shape):
    rng = np.random.default_rng(shape["seed"])
    rows, n = shape["samples"] * shape["rows_per_sample"], shape["n"]
    options = {key: shape[key] for key in ("threads", "rows_per_sample", "extra")}
    p = (rng.integers(-shape["levels"], 1, (rows, n)) / 10).astype(np.float32)  # padding is larger
    labels = np.where(rng.integers(0, 2, rows), p.argmax(axis=1), rng.integers(0, n, rows))
    labels = labels.astype(np.int32)
    one_hot = oracle.one_hot(labels, n)
    bits = rng.integers(0, 2, (rows, n)).astype(np.float32)
    expected = {
        "sparse_accuracy": (labels, {}, oracle.sparse_accuracy(p, labels)),
        "categorical_accuracy": (one_hot, {}, oracle.categorical_accuracy(p, one_hot)),
        "binary_accuracy": (
            bits,
            {"threshold": -0.2},
            oracle.binary_accuracy(p, bits, np.float32(-0.2)),
        ),
    }
    for name, (targets, scalars, value) in expected.items():
        ours = metric(name, p, targets, isa, **options, **scalars)
        np.testing.assert_allclose(ours, value, rtol=1e-6, err_msg=name)
        alone = metric(name, p, targets, isa, rows_per_sample=shape["rows_per_sample"], padding=0, **scalars)
        assert same_bits(ours, alone)


@every_isa
def test_the_first_maximum_wins(isa):
    p = np.zeros((41, 41), np.float32)
    for r in range(41):
        p[r, r:] = 1
    assert metric("sparse_accuracy", p, np.arange(41, dtype=np.int32), isa).all()
    assert metric("categorical_accuracy", p, p * 2 + 1, isa).all()


@every_isa
def test_what_is_not_a_number(isa):
    inf, nan = np.inf, np.nan
    p = np.array([[nan, 1, 2], [-inf, -inf, -inf], [nan, nan, nan], [-inf, inf, nan]], np.float32)
    # NaN is never the maximum; a row without one has it at 0
    assert metric("sparse_accuracy", p, np.array([2, 0, 0, 1], np.int32), isa).all()
    # as in Keras, NaN is not above the threshold
    right = metric("binary_accuracy", p, np.array([[0, 1, 1]] * 4, np.float32), isa, threshold=0.5)
    np.testing.assert_allclose(right, [1, 1 / 3, 1 / 3, 2 / 3], rtol=1e-6)


def test_the_oracle_is_keras(keras):
    rng = np.random.default_rng(0)
    p = (rng.integers(0, 4, (50, 5)) / 4).astype(np.float32)
    labels, bits = rng.integers(0, 5, 50), rng.integers(0, 2, (50, 5)).astype(np.float32)
    theirs = {
        "sparse_categorical_accuracy": (labels, oracle.sparse_accuracy(p, labels)),
        "categorical_accuracy": (bits, oracle.categorical_accuracy(p, bits)),
        "binary_accuracy": (bits, oracle.binary_accuracy(p, bits)),
    }
    for name, (targets, ours) in theirs.items():
        values = keras.ops.convert_to_numpy(getattr(keras.metrics, name)(targets, p))
        values = values.reshape(50, -1).mean(axis=1)  # theirs leaves this mean to the average of all
        np.testing.assert_allclose(ours, values, rtol=1e-6, err_msg=name)
