"""Dense, activations, shapes, inputs: arguments, and what the harness does not see."""

import inspect

import numpy as np
import pytest

import fastnn
from fastnn import activations, initializers, layers
from harness.layers import data


def test_dense_takes_initializers_by_name_and_by_instance():
    dense = layers.Dense(
        300,
        kernel_initializer=initializers.HeNormal(seed=1),
        bias_initializer=initializers.Constant(0.5),
    )
    dense.build((None, 100))
    np.testing.assert_array_equal(dense.bias.numpy(), np.full(300, 0.5, np.float32))
    np.testing.assert_array_equal(dense.kernel, initializers.HeNormal(seed=1)((100, 300)))
    zeros = layers.Dense(3, kernel_initializer="zeros")
    np.testing.assert_array_equal(zeros(data(2, 5)), np.zeros((2, 3)))


def test_dense_takes_functions_and_layers_as_activation():
    x, kernel, bias = data(4, 5), data(5, 3, seed=1), data(3, seed=2)

    def make(activation):
        dense = layers.Dense(3, activation=activation)
        dense.build((None, 5))
        dense.set_weights([kernel, bias])
        return np.asarray(dense(x))

    np.testing.assert_array_equal(make(activations.tanh), make("tanh"))
    np.testing.assert_array_equal(make(lambda z: activations.elu(z, alpha=0.5)), make(layers.ELU(alpha=0.5)))
    twice = make(lambda z: activations.tanh(activations.relu(z)))
    np.testing.assert_allclose(twice, np.tanh(make("relu")), rtol=1e-6)


def test_dense_that_was_built_refuses_other_features():
    dense = layers.Dense(3, name="head")
    dense(data(2, 5))
    with pytest.raises(ValueError, match=r"'head' was built for inputs whose last axis is 5.*6"):
        dense(data(2, 6))
    assert dense(data(2, 4, 5)).shape == (2, 4, 3)


@pytest.mark.parametrize("units", [0, -3, 2.5, "10", None, True, [3], np.nan, np.array([3])])
def test_dense_refuses_units(units):
    with pytest.raises(ValueError, match="positive integer"):
        layers.Dense(units)


def test_one_shape_after_another():
    """Only the last of them moves values: those before it hand them on as they lie."""
    x = data(7, 5)
    shapes = [layers.Reshape(shape) for shape in ((2, 3), (3, 2), (1, 6))]
    model = fastnn.Sequential([fastnn.Input((5,)), layers.Dense(6), *shapes, layers.Flatten()])
    model.compile("sgd", "mse")
    expected = x @ model.get_weights()[0]
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=1e-5, atol=1e-6)
    loss = model.fit(x, np.zeros((7, 6)), verbose=0).history["loss"]
    np.testing.assert_allclose(loss, np.mean(expected**2), rtol=1e-5)


def test_unknown_activation_and_initializer():
    with pytest.raises(ValueError, match="'rely'.*relu"):
        layers.Dense(3, activation="rely")
    with pytest.raises(ValueError, match="activation"):
        layers.Activation(5)
    with pytest.raises(ValueError, match="he_norm"):
        layers.Dense(3, kernel_initializer="he_norm")


def test_initializers_of_other_shapes_are_refused():
    dense = layers.Dense(3, kernel_initializer=lambda shape, dtype=None: np.zeros((2, 2)), name="d")
    with pytest.raises(ValueError, match=r"'d'.*'kernel'.*\(5, 3\).*\(2, 2\)"):
        dense(data(2, 5))


def test_activations_that_return_no_tensor_are_refused():
    with pytest.raises(TypeError, match="'mine' must return.*NoneType"):
        layers.Activation(lambda x: None, name="mine")(data(2, 3))
    with pytest.raises(TypeError, match="symbolic"):
        layers.Activation(np.sort)(data(2, 3))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.LeakyReLU(negative_slope=-1), "negative_slope"),
        (lambda: layers.LeakyReLU(negative_slope=None), "negative_slope"),
        (lambda: layers.ReLU(negative_slope=-1), "negative_slope"),
        (lambda: layers.ReLU(max_value=-6), "max_value"),
        (lambda: layers.ReLU(threshold=-1.0), "threshold"),
        (lambda: layers.ELU(alpha=-1), "alpha"),
        (lambda: activations.elu(np.zeros(3), -1), "alpha"),
        (lambda: activations.leaky_relu(np.zeros(3), None), "negative_slope"),
        (lambda: layers.Softmax(axis=0)(data(2, 3, 4)), "axis 0 counts the samples"),
        (lambda: layers.Reshape((0, 3)), "target_shape"),
        (lambda: layers.Reshape((-1, -1)), "target_shape"),
        (lambda: layers.Reshape((2.5, 4)), "target_shape"),
        (lambda: layers.Dense(3, "relu", "he_normal"), "`use_bias` must be True or False.*'he_normal'"),
        (lambda: layers.Reshape((5, 2), name="r")(data(2, 12)), r"'r'.*\(12,\).*\(5, 2\)"),
        (lambda: layers.Reshape((5, -1), name="r")(data(2, 12)), r"'r'.*\(12,\).*\(5, -1\)"),
        (lambda: layers.Dense(3, dtype="float64"), "float32"),
        (lambda: fastnn.Input(), "`shape` must be a tuple"),
        (lambda: fastnn.Input(784), "`shape` must be a tuple"),
        (lambda: fastnn.Input(()), "at least one axis"),
        (lambda: fastnn.Input((None, 3)), "known, positive size"),
        (lambda: fastnn.Input((0,)), "known, positive size"),
        (lambda: fastnn.Input((2.5,)), "known, positive size"),
        (lambda: fastnn.Input((np.array([3]),)), "known, positive size"),
        (lambda: fastnn.Input("784"), "`shape` must be a tuple"),
        (lambda: fastnn.Input((3,), batch_size="32"), "`batch_size` must be an integer"),
        (lambda: fastnn.Input(batch_shape=("32", 4)), "`batch_size` must be an integer"),
        (lambda: fastnn.Input(batch_shape=(None, None)), "known, positive size"),
        (lambda: fastnn.Input(batch_shape=(None,)), "at least one axis"),
        (lambda: fastnn.Input(batch_shape=()), r"`batch_shape` must be a tuple such as \(None, 784\)"),
        (lambda: fastnn.Input(batch_shape=4), "`batch_shape` must be a tuple"),
        (lambda: fastnn.Input((4,), batch_shape=(None, 4)), "both `batch_shape` and `shape`"),
        (lambda: fastnn.Input(batch_size=2, batch_shape=(None, 4)), "`batch_size`"),
        (lambda: fastnn.Input((4,), sparse=True), "`sparse` is not supported"),
        (lambda: fastnn.Input((4,), optional=True, name="extra"), "'extra'.*`optional=True`.*zeros"),
        (lambda: fastnn.Input((4,), dtype="int33"), "Invalid dtype: 'int33'"),
        (lambda: fastnn.Input(tensor=np.zeros(4)), "`input_tensor` must be a symbolic tensor"),
        (lambda: fastnn.Input((3,), tensor=fastnn.Input((4,))), r"that of the `input_tensor`, \(4,\)"),
        (lambda: fastnn.Input(tensor=fastnn.Input((4,)), dtype="int32"), "that of the `input_tensor`, 'float32'"),
        (lambda: fastnn.Input(tensor=layers.Dense(2)(fastnn.Input((4,)))), "computed by a layer"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_inputs_are_those_of_keras(keras):
    for arguments in (((4, 3),), {"shape": [4]}, {"batch_shape": (None, 4, 3)}, {"batch_shape": [None, 4]},
                      ((4,), None, "float32", False, None, None, "pixels")):  # fmt: skip
        args, kwargs = ((), arguments) if isinstance(arguments, dict) else (arguments, {})
        ours, theirs = fastnn.Input(*args, **kwargs), keras.Input(*args, **kwargs)
        assert ours.shape == tuple(theirs.shape)
        assert ours.name == theirs.name or "name" not in kwargs
    for ours, theirs in ((fastnn.Input, keras.Input), (layers.InputLayer, keras.layers.InputLayer)):
        found, expected = (
            [name for name in inspect.signature(f).parameters if name != "kwargs"] for f in (ours, theirs)
        )
        assert found == expected
    model = fastnn.Sequential([layers.InputLayer(batch_shape=(None, 4)), layers.Dense(2)])
    assert model.predict(data(3, 4), verbose=0).shape == (3, 2)


@pytest.mark.parametrize(
    "arguments",
    [
        {"shape": (4,), "batch_size": 8},
        {"batch_shape": (8, 4)},
        {"shape": (4,), "dtype": "int32", "name": "codes"},
        {"batch_shape": (None, 2, 3), "dtype": np.float64},
        {"shape": (1,), "dtype": "string"},
    ],
)
def test_an_input_layer_says_what_it_was_told_as_in_keras(keras, arguments):
    ours, theirs = layers.InputLayer(**arguments), keras.layers.InputLayer(**arguments)
    for each in (ours, layers.InputLayer.from_config(ours.get_config())):
        assert each.batch_shape == theirs.batch_shape
        assert each.dtype == each.output.dtype == theirs.dtype == theirs.output.dtype
        assert {**each.get_config(), "name": None} == {**theirs.get_config(), "name": None}
    assert ours.output.shape == (None, *theirs.batch_shape[1:])


def test_a_fixed_batch_binds_nobody():
    model = fastnn.Sequential([fastnn.Input(batch_shape=(8, 4), dtype="int32"), layers.Dense(2)])
    assert model.predict(np.arange(12).reshape(3, 4), verbose=0).shape == (3, 2)
    again = fastnn.models.model_from_json(model.to_json())
    assert again.get_config()["layers"][0]["config"]["batch_shape"] == (8, 4)


def test_an_input_of_an_input_that_is_there():
    x = fastnn.Input((4,), dtype="int32")
    layer = layers.InputLayer((4,), input_tensor=x, name="again")
    assert layer.output is x
    assert fastnn.Input(tensor=x) is x
    assert layer.dtype == "int32"
    model = fastnn.Model(x, layers.Dense(2)(x))
    assert model.predict(data(3, 4), verbose=0).shape == (3, 2)


def test_old_and_new_spellings():
    x = data(3, 4)
    np.testing.assert_array_equal(layers.LeakyReLU(alpha=0.2)(x), layers.LeakyReLU(0.2)(x))
    model = fastnn.Sequential([layers.Dense(3, input_shape=(4,)), layers.Dense(2)])
    assert model.input_shape == (None, 4)
    assert fastnn.Sequential([layers.Dense(3, input_dim=4)]).input_shape == (None, 4)
    assert layers.InputLayer(input_shape=[4]).output.shape == (None, 4)
    assert layers.InputLayer(batch_input_shape=(None, 4)).output.shape == (None, 4)
    with pytest.raises(ValueError, match="Did you mean 'input_shape'|Did you mean 'shape'"):
        layers.InputLayer(input_shap=(4,))


def test_activation_functions_on_arrays():
    x = data(3, 4, 5)
    for name in ("relu", "elu", "selu", "sigmoid", "tanh", "softmax", "gelu", "mish", "linear"):
        function = activations.get(name)
        result = function(x)
        assert result.shape == x.shape
        np.testing.assert_array_equal(result, layers.Activation(name)(x))
        np.testing.assert_array_equal(result.numpy(), result)
        assert activations.get(activations.serialize(function)) is function
    assert activations.relu(-1.0) == 0
    assert activations.sigmoid(np.empty((0, 3))).shape == (0, 3)
    np.testing.assert_allclose(activations.relu([[-1, 2]], negative_slope=0.5), [[-0.5, 2]])


@pytest.mark.parametrize("layer", [layers.Dense(3), layers.Flatten(), layers.ReLU()])
@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros(5), r"at least 2 axes.*\(5,\)"),
        (np.zeros((3, 0)), r"\(3, 0\)"),
        (np.float32(3), "single value"),
        ("abc", "cannot be read as numbers|single value"),
        (None, "NoneType"),
        ([[1, 2], [3]], "could not be read"),
        (np.zeros((2, 3), complex), "complex128"),
    ],
)
def test_eager_calls_refuse_what_is_no_batch(layer, x, message):
    with pytest.raises((ValueError, TypeError), match=message):
        layer(x)


def test_a_dense_layer_that_no_memory_can_hold_is_refused():
    with pytest.raises(MemoryError, match="'giant'.*'kernel'.*1099511627776"):
        layers.Dense(2**40, name="giant")(data(2, 5))


def test_reshapes_behind_each_other():
    """Only the last one of a chain moves values, whatever shapes are between."""
    inputs = fastnn.Input((4,))
    hidden = layers.Dense(15)(inputs)
    shapes = [(3, 5), (5, 3), (1, 5, 3), (15,), (3, 5, 1)]
    outputs = hidden
    for shape in shapes:
        outputs = layers.Reshape(shape)(outputs)
    x = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    model = fastnn.Model(inputs, outputs)
    np.testing.assert_array_equal(model(x).ravel(), fastnn.Model(inputs, hidden)(x).ravel())
    np.testing.assert_array_equal(model.predict(x, verbose=0).ravel(), fastnn.Model(inputs, hidden)(x).ravel())


def test_arguments_may_be_changed_before_the_first_call(recwarn):
    layer = layers.Dense(2, activation="softmax")
    layer.activation = fastnn.activations.linear
    fastnn.Sequential([fastnn.Input((4,)), layer])
    assert not recwarn.list
