"""Rounding of weights to 8 bits and the room that leaves to activations."""

import numpy as np
import pytest

from fastnn.freeze.quantize import activation_limit, quantize


@pytest.fixture
def kernel():
    return np.random.default_rng(0).normal(size=(40, 9)).astype(np.float32) * np.logspace(-3, 3, 9, dtype=np.float32)


def test_every_output_has_its_own_scale(kernel):
    integers, scale = quantize(kernel)
    assert integers.dtype == np.int8
    np.testing.assert_array_equal(np.abs(integers).max(axis=0), 127)
    assert (np.abs(integers * scale - kernel) <= scale * 0.5001).all()


def test_a_column_of_zeros_stays_zero(kernel):
    kernel[:, 3] = 0
    integers, scale = quantize(kernel)
    assert not integers[:, 3].any()
    assert scale[3] == 1


def test_no_sum_can_overflow():
    for inputs in (1, 2, 300, 5000):
        integers = np.full((inputs, 2), -127, np.int8)
        limit = activation_limit(integers)
        assert limit * 127 * inputs <= 2**31 - 1
        assert limit == 32767 or (limit + 1) * 127 * inputs > 2**31 - 1
    assert activation_limit(np.zeros((4, 4), np.int8)) == 32767


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_refused(kernel, bad):
    kernel[2, 2] = bad
    with pytest.raises(ValueError, match="quantised"):
        quantize(kernel)
