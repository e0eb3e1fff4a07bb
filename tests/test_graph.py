"""Symbolic tensors: Python's operators, and what cannot be done with them."""

import operator

import numpy as np
import pytest

import fastnn
from fastnn import layers

BINARY = [operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod, operator.pow]
COMPARISONS = [operator.lt, operator.le, operator.gt, operator.ge]


def computed(function, *arrays):
    """What a function of symbolic tensors computes."""
    inputs = [fastnn.graph.Tensor((None, *each.shape[1:]), name="x") for each in arrays]
    eager = fastnn.eager.Eager(fastnn.graph.Graph(inputs, [function(*inputs)]))
    return eager.run(dict(zip(inputs, arrays, strict=True)), len(arrays[0]), False, None)[0]


@pytest.mark.parametrize("function", [*BINARY, *COMPARISONS])
def test_operators(function):
    rng = np.random.default_rng(0)
    a, b = rng.uniform(0.5, 3, (5, 4)).astype(np.float32), rng.uniform(0.5, 3, (5, 4)).astype(np.float32)
    np.testing.assert_allclose(computed(function, a, b), function(a, b), rtol=2e-6)
    np.testing.assert_allclose(computed(lambda x: function(x, 1.7), a), function(a, np.float32(1.7)), rtol=2e-6)
    np.testing.assert_allclose(computed(lambda x: function(1.7, x), a), function(np.float32(1.7), a), rtol=2e-6)
    row = np.array([1, 2, 3, 0.5], np.float32)
    np.testing.assert_allclose(computed(lambda x: function(x, row), a), function(a, row), rtol=2e-6)
    np.testing.assert_allclose(computed(lambda x: function(row, x), a), function(row, a), rtol=2e-6)


def test_unary_operators_products_and_indices():
    a = np.random.default_rng(0).normal(size=(5, 3, 4)).astype(np.float32)
    w = np.random.default_rng(1).normal(size=(4, 2)).astype(np.float32)
    np.testing.assert_array_equal(computed(lambda x: -abs(x), a), -abs(a))
    np.testing.assert_allclose(computed(lambda x: x @ w, a), a @ w, rtol=1e-5, atol=1e-6)
    for index in np.s_[:, 1], np.s_[:, ::-1, 1:3], np.s_[..., -1], np.s_[:, None, 0, :2], np.s_[:]:
        np.testing.assert_array_equal(computed(lambda x, index=index: x[index], a), a[index])
    x = fastnn.Input((4,))
    assert x == x
    assert x in {x}


def test_functions_of_numpy_become_operations_or_say_what_to_use():
    a = np.random.default_rng(0).uniform(1, 2, (5, 4)).astype(np.float32)
    np.testing.assert_allclose(computed(lambda x: np.exp(np.maximum(x, 1.5)), a), np.exp(np.maximum(a, 1.5)), rtol=1e-6)
    x = fastnn.Input((4,), name="pixels")
    for call in (np.spacing, np.asarray, np.sort, float, bool):
        with pytest.raises(TypeError, match=r"(?s)name=pixels.*fastnn\.ops.*on the data"):
            call(x)


@pytest.mark.parametrize("other", ["text", None, {}])
def test_what_is_no_number_is_refused(other):
    x = layers.Dense(4)(fastnn.Input((4,)))
    with pytest.raises(TypeError, match="Expected numbers"):
        x + other
    with pytest.raises(TypeError, match="Expected numbers"):
        other * x
