"""Symbolic tensors: what cannot be done with them."""

import operator

import numpy as np
import pytest

import fastnn
from fastnn import layers

BINARY = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
    "@": operator.matmul,
}


@pytest.mark.parametrize("symbol", BINARY)
def test_arithmetic_says_what_to_use(symbol):
    x = fastnn.Input((4,), name="pixels")
    y = layers.Dense(4)(x)
    match = r"(?s)on <Tensor.*symbolic.*layers\.Rescaling"
    for left, right in ((x, y), (x, 2), (2, x), (x, np.float32(2)), (np.ones(4), x), (x, "text"), ([1], x)):
        with pytest.raises(TypeError, match=match) as caught:
            BINARY[symbol](left, right)
        assert f"`{symbol}`" in str(caught.value) or "`numpy." in str(caught.value)


def test_other_functions_of_numbers_too():
    x = fastnn.Input((4,), name="pixels")
    for call in (operator.neg, abs, np.exp, np.tanh, lambda x: np.maximum(x, 0)):
        with pytest.raises(TypeError, match=r"name=pixels.*fastnn\.activations"):
            call(x)
    assert x == x
    assert x in {x}
