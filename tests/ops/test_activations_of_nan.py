"""What is not a number stays so in the activations that are formulas, in a network as on arrays."""

import numpy as np
import pytest

import fastnn
from fastnn import activations, layers


@pytest.mark.parametrize(
    "function",
    [activations.relu6, activations.hard_sigmoid, activations.hard_silu, lambda x: activations.relu(x, max_value=3.0)],
)
def test_not_a_number_stays(function):
    x = np.array([[np.nan, -1.0, 0.5, 9.0]], np.float32)
    model = fastnn.Sequential([fastnn.Input((4,)), layers.Activation(function)])
    expected = np.asarray(function(x))
    assert np.isnan(expected[0, 0])
    assert np.isfinite(expected[0, 1:]).all()
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=1e-6)
    np.testing.assert_allclose(model.freeze()(x), expected, rtol=1e-6)


def test_not_a_number_stays_in_a_fused_relu():
    inputs = fastnn.Input((2,))
    outputs = layers.ReLU()(layers.Add()([inputs, layers.Identity()(inputs)]))
    predicted = fastnn.Model(inputs, outputs).predict(np.array([[np.nan, -1.0], [0.0, 2.0]]), verbose=0)
    np.testing.assert_array_equal(predicted, [[np.nan, 0], [0, 4]])
