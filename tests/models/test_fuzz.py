"""Garbage as arguments: it works, or it is a ValueError or TypeError with a message; nothing else, never a crash."""

import contextlib
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import fastnn
from fastnn import layers
from harness.models import SPARSE, X, Y, classifier

SHAPES = arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=6)
DTYPES = ["f4", "f8", "f2", "i8", "u1", "?", ">f4", "c8", "U3", "O", "M8[s]", "V4", "i4,f4"]
ARRAYS = st.builds(np.zeros, SHAPES, st.sampled_from(DTYPES)) | arrays.arrays(
    st.sampled_from([np.float32, np.float64, np.int64, np.uint8]), SHAPES
)
# Numbers are small, or larger than any memory: what lies between would only be slow.
NUMBERS = st.sampled_from([-(2**63), -1, 0, 1, 2, 3, 6, 2**48, 2**63, 10**30]) | st.floats() | st.booleans()
LEAVES = st.none() | NUMBERS | st.text(max_size=4) | st.binary(max_size=4) | st.builds(object) | st.complex_numbers()
THINGS = st.sampled_from(
    [int, len, "adam", "relu", "mse", "he_normal", np.float32(2), layers.ReLU, np.sum, ..., range(3)]
)
GARBAGE = st.recursive(
    LEAVES | THINGS | ARRAYS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(NUMBERS | st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@contextlib.contextmanager
def refused_or_done():
    """Nothing but an exception that says something may come out, and one that no memory suffices."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # of NumPy, about the garbage
        try:
            yield
        except (ValueError, TypeError, MemoryError) as error:
            if not str(error):
                raise AssertionError("an exception without a message") from error


ARGUMENTS = {
    layers.Dense: ["units", "activation", "use_bias", "kernel_initializer", "bias_initializer", "input_shape", "dtype"],
    layers.Activation: ["activation"],
    layers.ReLU: ["negative_slope", "max_value", "threshold"],
    layers.LeakyReLU: ["negative_slope", "alpha"],
    layers.ELU: ["alpha"],
    layers.Softmax: ["axis"],
    layers.Reshape: ["target_shape"],
    layers.Flatten: ["data_format"],
    layers.Dropout: ["rate", "seed", "noise_shape"],
    layers.BatchNormalization: [
        "axis",
        "momentum",
        "epsilon",
        "center",
        "gamma_initializer",
        "moving_mean_initializer",
    ],
    layers.Normalization: ["axis", "mean", "variance", "invert"],
    layers.Rescaling: ["scale", "offset"],
    layers.InputLayer: ["shape", "batch_size", "dtype"],
}
REQUIRED = {"units": 3, "activation": "relu", "target_shape": (-1,), "rate": 0.5, "scale": 2.0, "shape": (6,)}


@pytest.mark.parametrize("layer", list(ARGUMENTS), ids=lambda layer: layer.__name__)
@given(st.data())
def test_layers(layer, data):
    names = data.draw(st.lists(st.sampled_from(ARGUMENTS[layer]), min_size=1, max_size=2, unique=True))
    given = {name: REQUIRED[name] for name in ARGUMENTS[layer][:1] if name in REQUIRED}
    given.update({name: data.draw(GARBAGE, label=name) for name in names})
    with refused_or_done():
        made = layer(**given)
        if layer is not layers.InputLayer:
            made(X[:4], training=True)
            made(X[:4])


@given(GARBAGE)
def test_inputs(garbage):
    model = classifier()
    for call in (
        model.predict,
        model.predict_on_batch,
        model,
        model.layers[0],
        layers.Flatten(),
        layers.Normalization().adapt,
    ):
        with refused_or_done():
            call(garbage)
    for function in (fastnn.activations.relu, fastnn.activations.softmax, fastnn.activations.get):
        with refused_or_done():
            function(garbage)


FIT = ["x", "y", "batch_size", "verbose", "callbacks", "validation_split", "validation_data", "shuffle", "class_weight"]
FIT += ["sample_weight", "initial_epoch", "validation_batch_size", "validation_freq", "steps_per_epoch"]


@given(st.dictionaries(st.sampled_from(FIT), GARBAGE, min_size=1, max_size=2))
def test_fit(garbage):
    model = classifier()
    with refused_or_done():
        model.fit(**{"x": X, "y": Y, "verbose": 0, **garbage})
    model.fit(X, Y, verbose=0)


@given(GARBAGE, GARBAGE, GARBAGE)
def test_single_batches(x, y, weights):
    model = classifier()
    for arguments in ((x, Y), (X, y), (x, y), (X, Y, weights), (x, y, weights)):
        for call in (model.train_on_batch, model.test_on_batch):
            with refused_or_done():
                call(*arguments)


@given(st.dictionaries(st.sampled_from(["optimizer", "loss", "loss_weights", "metrics"]), GARBAGE, min_size=1))
def test_compile(garbage):
    model = classifier()
    with refused_or_done():
        model.compile(**{"optimizer": "sgd", "loss": SPARSE, **garbage})
        model.fit(X, Y, verbose=0)
    model.compile("sgd", SPARSE)
    model.fit(X, Y, verbose=0)


@given(GARBAGE, GARBAGE)
def test_structure(one, other):
    model = classifier()
    for call in (
        lambda: fastnn.Sequential(one),
        lambda: fastnn.Sequential([layers.Dense(3)]).build(one),
        lambda: model.add(one),
        lambda: model.get_layer(one, other),
        lambda: model.set_weights(one),
        lambda: model.layers[0].kernel.assign(one),
        lambda: fastnn.Input(one, other),
        lambda: fastnn.set_threads(one) if not isinstance(one, (int, np.integer)) else None,
        lambda: fastnn.show_config(one if one != "print" else "dict"),
        lambda: fastnn.utils.to_categorical(one, other),
    ):
        with refused_or_done():
            call()
