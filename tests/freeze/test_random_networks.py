"""Random networks through `Model.freeze`: folding, packing and the C runtime together answer as the model does.

`test_fold.py` and `test_fold_graphs.py` have more of shapes and patterns, on small layers. Here layers are as wide as
the blocks and tiles of the kernels, and then some, and rows are as many as make a batch of each kind.
"""

import pickle

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import fastnn
from fastnn import layers

ACTIVATIONS = ["linear", "relu", "elu", "selu", "tanh", "sigmoid", "softmax", "gelu", "silu", "leaky_relu", "softplus"]
WIDTHS = st.sampled_from([1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 48, 63, 64, 65, 100, 129, 200, 300])
ROWS = st.sampled_from([1, 2, 3, 5, 8, 13, 17, 33, 64, 70])
HIDDEN = st.lists(st.tuples(WIDTHS, st.sampled_from(ACTIVATIONS), st.sampled_from(["", "before", "after"])), max_size=4)


def network(inputs, hidden, outputs, random):
    """Dense layers, some with batch normalisation before or after their activation, of weights that keep the size."""
    stack = [layers.Rescaling(0.5, 0.1)] if random.random() < 0.3 else []
    for units, activation, normalised in (*hidden, (outputs, "linear", "")):
        stack.append(layers.Dense(units, use_bias=random.random() < 0.7))
        steps = [layers.Activation(activation), layers.BatchNormalization()][:: -1 if normalised == "before" else 1]
        stack += steps if normalised else steps[:1]
        stack += [layers.Dropout(0.2)]
    model = fastnn.Sequential([fastnn.Input((inputs,)), *stack])
    for layer in model.layers:
        weights = []
        for variable in layer.weights:
            value = random.normal(size=variable.shape)
            if variable.name == "moving_variance":
                value = random.uniform(0.3, 3, size=variable.shape)
            elif variable.name == "kernel":
                value = value / np.sqrt(variable.shape[0])
            weights.append(value)
        layer.set_weights(weights)
    return model


@settings(max_examples=60)
@given(WIDTHS, HIDDEN, WIDTHS, ROWS, st.integers(0, 2**32))
def test_frozen_is_the_model(inputs, hidden, outputs, rows, seed):
    random = np.random.default_rng(seed)
    model = network(inputs, hidden, outputs, random)
    frozen = model.freeze()
    assert not {"batchnorm", "dropout"} & {node.operation.name for node in frozen.graph.nodes}
    x = random.normal(size=(rows, inputs)).astype(np.float32)
    expected = model.predict(x, verbose=0)
    size = max(1, np.abs(expected).max())  # what is smaller is what is left of larger numbers
    np.testing.assert_allclose(frozen(x), expected, rtol=1e-5, atol=1e-5 * size)


@settings(max_examples=25)
@given(WIDTHS, HIDDEN, WIDTHS, ROWS, st.integers(0, 2**32), st.sampled_from(["float32", "float16", "int8"]))
def test_same_row_same_bits(inputs, hidden, outputs, rows, seed, precision):
    """In whatever batch, alone, in other memory, and by the image of an image."""
    random = np.random.default_rng(seed)
    frozen = network(inputs, hidden, outputs, random).freeze(precision)
    x = random.normal(size=(rows, inputs)).astype(np.float32)
    answers = frozen(x)
    again = pickle.loads(pickle.dumps(frozen))
    cut = int(random.integers(rows + 1))
    out = np.empty_like(answers)
    np.testing.assert_array_equal(np.concatenate([frozen(x[:cut]), frozen(x[cut:])]), answers)
    np.testing.assert_array_equal(np.concatenate([again(row[None]) for row in x]), answers)
    np.testing.assert_array_equal(frozen(np.asfortranarray(x, np.float64)[::-1], out)[::-1], answers)
