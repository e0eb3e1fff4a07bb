"""Every layer through one harness: shapes, values, gradients, against Keras and finite differences."""

import numpy as np
import pytest

import fastnn
from fastnn import layers
from harness.layers import built, check_gradients, check_step, check_values, data

ACTIVATIONS = "linear relu leaky_relu elu selu sigmoid tanh softmax softplus silu swish gelu mish".split()

# name: (make, shapes of a sample)
LAYERS = {
    "dense": (lambda L: L.Dense(5), [(7,), (1,), (3, 7), (2, 3, 17)]),
    "dense without bias": (lambda L: L.Dense(33, use_bias=False), [(7,), (3, 7)]),
    "einsum dense": (lambda L: L.EinsumDense("ab,bc->ac", 5, "relu", "c"), [(7,)]),
    "einsum dense, dots": (lambda L: L.EinsumDense("...x,xy->...y", 5, bias_axes="y"), [(7,), (3, 7)]),
    "einsum dense, middle axis": (lambda L: L.EinsumDense("abc,bd->adc", (5, None), bias_axes="d"), [(3, 7)]),
    "einsum dense, heads": (lambda L: L.EinsumDense("abc,cde->abde", (None, 2, 5), bias_axes="de"), [(3, 7)]),
    "einsum dense, two sums": (lambda L: L.EinsumDense("abcd,cde->abe", (None, 5)), [(3, 2, 7)]),
    "flatten": (lambda L: L.Flatten(), [(4,), (3, 5), (2, 3, 17)]),
    "reshape": (lambda L: L.Reshape((4, 3)), [(12,), (2, 6), (4, 3), (3, 4), (2, 2, 3)]),
    "reshape to vector": (lambda L: L.Reshape((-1,)), [(12,), (2, 6)]),
    "reshape, one axis free": (lambda L: L.Reshape((2, -1, 3)), [(12,), (4, 6)]),
    "relu": (lambda L: L.ReLU(), [(9,), (3, 5)]),
    "relu with a slope": (lambda L: L.ReLU(negative_slope=0.1), [(9,)]),
    "relu with all arguments": (lambda L: L.ReLU(max_value=1.5, negative_slope=0.2, threshold=0.3), [(9,), (3, 17)]),
    "prelu": (lambda L: L.PReLU(), [(7,), (2, 3, 17)]),
    "prelu, shared rows": (lambda L: L.PReLU(shared_axes=[1]), [(3, 17), (2, 3, 5)]),
    "prelu, shared columns": (lambda L: L.PReLU(shared_axes=[2]), [(3, 17)]),
    "prelu, one slope": (lambda L: L.PReLU(shared_axes=[1, 2]), [(3, 17)]),
    "leaky relu": (lambda L: L.LeakyReLU(), [(9,), (3, 5)]),
    "leaky relu with a slope": (lambda L: L.LeakyReLU(negative_slope=0.01), [(9,)]),
    "elu": (lambda L: L.ELU(), [(9,), (3, 5)]),
    "elu with alpha": (lambda L: L.ELU(alpha=0.5), [(9,)]),
    "softmax": (lambda L: L.Softmax(), [(9,), (3, 5), (2, 2, 19)]),
    "batch normalisation": (lambda L: L.BatchNormalization(), [(7,), (3, 7), (2, 3, 17)]),
    "batch normalisation, plain": (
        lambda L: L.BatchNormalization(momentum=0.7, epsilon=0.1, center=False, scale=False),
        [(7,)],
    ),
    "batch normalisation, scale only": (lambda L: L.BatchNormalization(center=False), [(7,)]),
    "batch normalisation, shift only": (lambda L: L.BatchNormalization(scale=False), [(7,)]),
    "frozen batch normalisation": (lambda L: L.BatchNormalization(trainable=False), [(7,), (3, 7)]),
    "batch normalisation, first axis": (lambda L: L.BatchNormalization(axis=1), [(2, 3, 5)]),
    "layer normalisation": (lambda L: L.LayerNormalization(), [(7,), (3, 17)]),
    "layer normalisation, plain": (lambda L: L.LayerNormalization(center=False, scale=False), [(7,)]),
    "layer normalisation, two axes": (lambda L: L.LayerNormalization(axis=[1, 2], epsilon=0.1), [(3, 7)]),
    "layer normalisation, middle axis": (lambda L: L.LayerNormalization(axis=-2), [(2, 3, 7)]),
    "rms normalisation": (lambda L: L.RMSNormalization(), [(3, 17)]),
    "unit normalisation": (lambda L: L.UnitNormalization(), [(3, 17)]),
    "unit normalisation, first axis": (lambda L: L.UnitNormalization(axis=1), [(3, 5)]),
    "group normalisation": (lambda L: L.GroupNormalization(groups=2), [(3, 4)]),
    "group normalisation, shift only": (lambda L: L.GroupNormalization(groups=-1, axis=1, scale=False), [(3, 4)]),
    "normalization": (
        lambda L: L.Normalization(mean=[1.0, 2.0, 3.0], variance=[0.5, 4.0, 9.0]),
        [(3,), (4, 3)],
    ),
    "normalization by one number": (
        lambda L: L.Normalization(axis=None, mean=2.0, variance=4.0),
        [(3,), (4, 3)],
    ),
    "normalization of each place": (
        lambda L: L.Normalization(axis=(1, 2), mean=np.arange(12.0).reshape(4, 3), variance=np.full((4, 3), 2.0)),
        [(4, 3)],
    ),
    "normalization of the first axis": (
        lambda L: L.Normalization(axis=1, mean=[1.0, 2.0], variance=[3.0, 4.0]),
        [(2, 3)],
    ),
    "inverted normalization": (
        lambda L: L.Normalization(mean=[1.0, 2.0, 3.0], variance=[0.5, 4.0, 9.0], invert=True),
        [(3,)],
    ),
    "rescaling": (lambda L: L.Rescaling(1 / 255, offset=-0.5), [(3,), (4, 5)]),
    **{f"activation {name}": (lambda L, name=name: L.Activation(name), [(9,), (2, 17)]) for name in ACTIVATIONS},
    **{f"dense {name}": (lambda L, name=name: L.Dense(6, activation=name), [(7,)]) for name in ACTIVATIONS},
}
CASES = [pytest.param(make, shape, id=f"{name} {shape}") for name, (make, shapes) in LAYERS.items() for shape in shapes]
# Its values are random; the gradient is not, once the masks are drawn.
WITH_DROPOUT = [
    pytest.param(lambda L: L.Dropout(0.4), (40,), id="dropout"),
    pytest.param(lambda L: L.Dropout(0.4, noise_shape=(None, 1, 5), seed=3), (4, 5), id="dropout of columns"),
    pytest.param(lambda L: L.AlphaDropout(0.3), (40,), id="alpha dropout"),
    pytest.param(lambda L: L.GaussianDropout(0.3), (40,), id="gaussian dropout"),
    pytest.param(lambda L: L.GaussianNoise(0.3), (3, 17), id="gaussian noise"),
    pytest.param(lambda L: L.RReLU(), (40,), id="rrelu"),
]
# One number for each feature is not in Keras.
ONLY_OURS = [
    pytest.param(lambda L: L.Rescaling([1.0, 2.0, 3.0], [0.0, 1.0, 2.0]), (3,), id="rescaling"),
    pytest.param(lambda L: L.ThresholdedReLU(0.5), (40,), id="thresholded relu"),
    pytest.param(lambda L: L.LayerNormalization(rms_scaling=True), (7,), id="layer normalisation by the variance"),
]


@pytest.mark.parametrize(("make", "shape"), CASES)
def test_values_are_those_of_keras(make, shape, keras):
    check_values(make, keras, 6, shape)


# JAX takes a second to compile each of these; test_gradients is for all layers.
@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("dense", (7,)),
        ("dense", (2, 3, 17)),
        ("softmax", (2, 2, 19)),
        ("batch normalisation", (7,)),
        ("batch normalisation", (3, 7)),
        ("batch normalisation, plain", (7,)),
        ("frozen batch normalisation", (3, 7)),
        ("normalization", (4, 3)),
    ],
)
def test_a_step_is_that_of_keras(name, shape, keras):
    check_step(LAYERS[name][0], keras, 6, shape)


@pytest.mark.parametrize(("make", "shape"), CASES + WITH_DROPOUT + ONLY_OURS)
def test_gradients(make, shape):
    check_gradients(make, 6, shape)


@pytest.mark.parametrize(("make", "shape"), CASES)
def test_a_row_has_the_same_bits_in_any_batch(make, shape):
    layer = built(make, layers, shape)
    x = data(300, *shape)
    together = layer(x)
    for i in (0, 1, 150, 299):
        np.testing.assert_array_equal(layer(x[i : i + 1])[0], together[i])


@pytest.mark.parametrize(("make", "shape"), CASES + WITH_DROPOUT)
def test_symbolic_and_eager_shapes_agree(make, shape):
    layer = make(layers)
    symbolic = layer(fastnn.Input(shape))
    assert symbolic.shape == (None, *layer(data(2, *shape)).shape[1:])
    assert layer.built
    assert layer.count_params() == sum(variable.size for variable in layer.weights)
    assert layer.name in repr(layer)


@pytest.mark.parametrize(("make", "shape"), CASES + WITH_DROPOUT)
def test_no_samples_give_no_rows(make, shape):
    layer = built(make, layers, shape)
    assert layer(np.empty((0, *shape))).shape == (0, *layer(data(2, *shape)).shape[1:])


def test_einsum_dense_refuses_what_it_would_ignore():
    with pytest.raises(ValueError, match="gptq_unpacked_column_size=4"):
        fastnn.layers.EinsumDense("ab,bc->ac", 3, gptq_unpacked_column_size=4)
