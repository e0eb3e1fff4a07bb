"""What compiled functions make of infinities and NaN, beside NumPy. (Signs of zeros are not compared.)"""

import numpy as np
import pytest

import fastnn
from fastnn import ops

VALUES = np.array([-np.inf, -7, -2.5, -2, -1, -0.5, -0.0, 0, 0.5, 1, 2, 3, np.inf, np.nan], np.float32)
ROWS = np.array(
    [
        [1, np.inf, 2, -np.inf, 3],
        [1, np.nan, 3, 2, 2],
        [np.inf, 1, np.inf, 0, 0],
        [-np.inf] * 5,
        [3, 1, np.nan, np.nan, 9],
        [1, 2, 3, 4, 5],
    ],
    np.float32,
)


def compiled(function, *arrays):
    inputs = [fastnn.Input(each.shape[1:]) for each in arrays]
    return np.asarray(fastnn.Model(inputs, function(*inputs))(list(arrays)))


@pytest.mark.parametrize("name", ["power", "floor_divide", "mod", "maximum", "minimum", "divide", "logaddexp"])
def test_of_two_values(name):
    a, b = (each.reshape(-1, 1) for each in np.meshgrid(VALUES, VALUES))
    with np.errstate(all="ignore"):
        expected = getattr(np, name)(a, b)
    for found in (compiled(getattr(ops, name), a, b), getattr(ops, name)(a, b)):
        np.testing.assert_allclose(found, expected, rtol=2e-6)


@pytest.mark.parametrize("name", ["cumsum", "cumprod", "argmax", "argmin", "max", "min", "sum"])
def test_of_rows(name):
    with np.errstate(all="ignore"):
        expected = getattr(np, name)(ROWS, axis=-1)
    found = compiled(lambda x: getattr(ops, name)(x, axis=-1), ROWS)
    np.testing.assert_allclose(found.reshape(expected.shape), expected, rtol=1e-6)


def test_padding_what_is_not_finite():
    found = compiled(lambda x: ops.pad(x, ((0, 0), (1, 2)), constant_values=4.0), ROWS)
    np.testing.assert_array_equal(found, np.pad(ROWS, ((0, 0), (1, 2)), constant_values=4.0))


def test_sparsemax_leaves_minus_infinity_out():
    rows = np.array([[-np.inf, 1, 2], [-np.inf, 0.1, 0.3], [np.nan, 1, 2]], np.float32)
    expected = [[0, 0, 1], [0, 0.4, 0.6], [np.nan] * 3]
    for found in (compiled(ops.sparsemax, rows), ops.sparsemax(rows)):
        np.testing.assert_allclose(found, expected, rtol=1e-6)
