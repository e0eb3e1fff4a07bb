"""Layers that merge tensors, and those that rearrange one: values and steps beside Keras, gradients."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastnn
from fastnn import layers
from harness.layers import check_gradients, check_values, data

ELEMENTWISE = ["Add", "Multiply", "Average", "Maximum", "Minimum"]
# name: (make, shapes of samples)
CASES = {
    **{name: (lambda L, name=name: getattr(L, name)(), [(7,), (7,), (7,)]) for name in ELEMENTWISE},
    **{
        f"{name} of axes of 1": (lambda L, name=name: getattr(L, name)(), [(3, 1), (1, 17), (17,)])
        for name in ELEMENTWISE
    },
    "Subtract": (lambda L: L.Subtract(), [(2, 1, 5), (3, 5)]),
    "one": (lambda L: L.Add(), [(3,)]),
    "Concatenate": (lambda L: L.Concatenate(), [(3,), (20,), (5,)]),
    "Concatenate rows": (lambda L: L.Concatenate(axis=1), [(3, 4), (2, 4)]),
    "Concatenate columns": (lambda L: L.Concatenate(axis=-1), [(3, 17), (3, 9)]),
    "Concatenate in the middle": (lambda L: L.Concatenate(axis=2), [(3, 2, 4), (3, 9, 4)]),
    "Dot": (lambda L: L.Dot(1), [(8,), (8,)]),
    "Dot, normalised": (lambda L: L.Dot(-1, normalize=True), [(8,), (8,)]),
    "Dot of matrices": (lambda L: L.Dot((2, 1)), [(4, 8), (8, 3)]),
    "Dot of other axes": (lambda L: L.Dot((1, 2), normalize=True), [(8, 4, 2), (3, 8)]),
    "Dot of a matrix and a vector": (lambda L: L.Dot((-1, -1)), [(4, 8), (8,)]),
}


@pytest.mark.parametrize("case", CASES)
def test_values_are_those_of_keras(case, keras):
    make, shapes = CASES[case]
    inputs = [data(5, *shape, seed=number) for number, shape in enumerate(shapes)]
    result = make(layers)(inputs)
    expected = np.asarray(make(keras.layers)([keras.ops.array(each) for each in inputs]))
    assert result.shape == expected.shape
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=2e-6)
    symbolic = make(layers)([fastnn.Input(shape) for shape in shapes])
    assert symbolic.shape[1:] == result.shape[1:]
    model = fastnn.Model(inputs_ := [fastnn.Input(shape) for shape in shapes], make(layers)(inputs_))
    np.testing.assert_allclose(model.freeze()(inputs if len(inputs) > 1 else inputs[0]), expected, rtol=1e-5, atol=2e-6)


class Merging(layers.Layer):
    """A case as a layer of one input: dense layers make its inputs, reshaped."""

    def __init__(self, make, shapes):
        super().__init__()
        self.merge = make(layers)
        self.parts = [(layers.Dense(int(np.prod(shape))), layers.Reshape(shape)) for shape in shapes]
        self.dense = [dense for dense, _ in self.parts]

    def call(self, inputs):
        return self.merge([reshape(dense(inputs)) for dense, reshape in self.parts])


@pytest.mark.parametrize("case", CASES)
def test_gradients(case):
    make, shapes = CASES[case]
    check_gradients(lambda L: Merging(make, shapes), 3, (4,))


class Twice(layers.Layer):
    """The same tensor on both sides."""

    def call(self, inputs):
        x = layers.multiply([inputs, inputs])
        return layers.subtract([layers.add([x, x]), inputs])


def test_gradients_of_a_tensor_used_twice():
    check_gradients(lambda L: Twice(), 4, (5,))


ONE_INPUT = {
    "Identity": (lambda L: L.Identity(), [(4,), (2, 3)]),
    "Permute": (lambda L: L.Permute((2, 1)), [(3, 5), (17, 20)]),
    "Permute of three": (lambda L: L.Permute((3, 1, 2)), [(2, 3, 5), (4, 1, 18)]),
    "RepeatVector": (lambda L: L.RepeatVector(3), [(5,), (17,)]),
}
ONE_INPUT = [(make, shape) for make, shapes in ONE_INPUT.values() for shape in shapes]


@pytest.mark.parametrize(("make", "shape"), ONE_INPUT)
def test_layers_of_one_input(make, shape, keras):
    check_values(make, keras, 4, shape)
    check_gradients(make, 3, shape)


SIZES = st.integers(1, 20)


@settings(max_examples=25)
@given(st.permutations([1, 2, 3, 4]), st.tuples(SIZES, SIZES, SIZES, SIZES))
def test_any_permutation(dims, shape):
    x = data(2, *shape)
    np.testing.assert_array_equal(layers.Permute(tuple(dims))(x), x.transpose(0, *dims))


@settings(max_examples=25)
@given(st.integers(1, 3), st.lists(st.integers(1, 30), min_size=2, max_size=4), st.tuples(SIZES, SIZES, SIZES))
def test_concatenation_at_any_place(axis, sizes, shape):
    parts = [data(2, *(size if number + 1 == axis else each for number, each in enumerate(shape))) for size in sizes]
    np.testing.assert_array_equal(layers.concatenate(parts, axis=axis), np.concatenate(parts, axis))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: layers.Add()(x), "should be called on a list"),
        (lambda x: layers.add([x, fastnn.Input((5,))]), "incompatible shapes"),
        (lambda x: layers.subtract([x, x, x]), "exactly 2 inputs"),
        (lambda x: layers.concatenate([x, fastnn.Input((5, 2))]), "matching shapes except"),
        (lambda x: layers.concatenate([x, x], axis=0), "Axis 0 is the batch"),
        (lambda x: layers.concatenate([x, x], axis=2), "axis 2 is none"),
        (lambda x: layers.dot([x, fastnn.Input((5,))]), "dimension incompatibility"),
        (lambda x: layers.Dot("a"), "`axes` must be an integer"),
        (lambda x: layers.Permute((2, 3)), "consecutive and start from 1"),
        (lambda x: layers.Permute((2, 1))(x), "samples of 2 axes"),
        (lambda x: layers.RepeatVector(0), "at least 1"),
        (lambda x: layers.RepeatVector(2)(fastnn.Input((3, 4))), "repeats vectors"),
        (lambda x: layers.add([data(3, 4), data(2, 4)]), "batches of one size"),
    ],
)
def test_mistakes(call, message):
    with pytest.raises(ValueError, match=message):
        call(fastnn.Input((4,)))
