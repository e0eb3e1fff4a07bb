"""What all layers can do: names, variables, flags, weights in and out."""

import copy
import pickle

import numpy as np
import pytest

import fastnn
from fastnn import layers
from fastnn.variables import Variable
from harness.layers import data


def test_names_are_counted_as_in_keras():
    fastnn.backend.clear_session()
    names = [layers.Dense(1).name, layers.Dense(1).name, layers.ReLU().name, layers.LeakyReLU().name]
    assert names == ["dense", "dense_1", "re_lu", "leaky_re_lu"]
    assert layers.Dense(1, name="head").name == "head"


def test_variables_before_and_after_building():
    dense = layers.Dense(3, name="d")
    assert dense.weights == []
    assert not dense.built
    with pytest.raises(ValueError, match="'d' has no variables yet"):
        dense.count_params()
    dense(data(2, 5))
    kernel, bias = dense.variables
    assert (kernel.name, kernel.path, kernel.shape, kernel.dtype) == ("kernel", "d/kernel", (5, 3), "float32")
    assert (kernel.ndim, kernel.size, bias.ndim) == (2, 15, 1)
    assert "d/kernel" in repr(kernel)
    assert dense.count_params() == 18
    np.testing.assert_array_equal(np.asarray(kernel), dense.get_weights()[0])
    np.testing.assert_array_equal(kernel.value, kernel.numpy())
    assert np.asarray(kernel, np.float64).dtype == np.float64


def test_trainable_reaches_variables_and_parts():
    bn = layers.BatchNormalization()
    bn.build((None, 3))
    assert [v.name for v in bn.trainable_variables] == ["gamma", "beta"]
    assert [v.name for v in bn.non_trainable_variables] == ["moving_mean", "moving_variance"]
    bn.trainable = False
    assert bn.trainable_weights == []
    assert len(bn.non_trainable_weights) == 4
    assert [v.trainable for v in bn.variables] == [False] * 4
    bn.trainable = True
    assert [v.trainable for v in bn.variables] == [True, True, False, False]


def test_weights_in_and_out():
    dense = layers.Dense(33)
    dense.build((None, 17))
    kernel, bias = data(17, 33), data(33, seed=1)
    dense.set_weights([kernel, bias])
    np.testing.assert_array_equal(dense.get_weights()[0], kernel)
    np.testing.assert_array_equal(dense.get_weights()[1], bias)
    dense.kernel.assign(kernel.T.copy().T * 2)  # F-ordered
    np.testing.assert_array_equal(dense.kernel.numpy(), kernel * 2)
    taken = dense.get_weights()[0]
    taken[:] = 0
    assert dense.kernel.numpy().any(), "get_weights returns copies"


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([], "has 2 variables and cannot take 0 arrays"),
        ([np.zeros((5, 3))], "cannot take 1 arrays.*expected shapes"),
        ([np.zeros((3, 5)), np.zeros(3)], r"'d/kernel' has shape \(5, 3\).*\(3, 5\)"),
        ([np.zeros((5, 3)), np.zeros(4)], r"'d/bias' has shape \(3,\).*\(4,\)"),
        ([np.zeros((5, 3)), "abc"], "could not convert"),
        (None, "has no len"),
    ],
)
def test_weights_that_do_not_fit_change_nothing(weights, message):
    dense = layers.Dense(3, name="d")
    dense.build((None, 5))
    before = dense.get_weights()
    with pytest.raises((ValueError, TypeError), match=f"(?i){message}"):
        dense.set_weights(weights)
    for old, new in zip(before, dense.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_variables_refuse_other_shapes():
    variable = Variable(np.zeros(3), name="v")
    with pytest.raises(ValueError, match=r"'v' has shape \(3,\).*\(4,\)"):
        variable.assign(np.zeros(4))
    with pytest.raises(ValueError, match="copy"):
        np.array(variable, copy=False)
    several = np.arange(30.0).reshape(2, 5, 3)
    for layout in "rows", "flat":
        np.testing.assert_array_equal(Variable(several, name="v", layout=layout).numpy(), several)
    assert Variable(several, name="v").lay_out("flat")


def test_symbolic_tensors_say_what_they_are():
    x = fastnn.Input((4, 3), name="pixels")
    assert (x.shape, x.ndim, x.features, x.rows_per_sample) == ((None, 4, 3), 3, 3, 4)
    assert "pixels" in repr(x)
    y = layers.Dense(2, name="d")(x)
    assert y.shape == (None, 4, 2)
    assert "dense [(None, 4, 3)] -> (None, 4, 2)" in repr(y.node)
    with pytest.raises(TypeError, match="symbolic"):
        np.asarray(y)


def test_one_layer_on_inputs_of_many_shapes():
    dense = layers.Dense(3)
    x = data(2, 4, 5)
    for view in (x, x[:, 0], x.reshape(8, 5), x[:, :, None]):
        np.testing.assert_array_equal(dense(view).reshape(-1), dense(view.reshape(-1, 5)).reshape(-1))


def test_unknown_arguments_are_refused():
    with pytest.raises(ValueError, match="Unrecognized keyword arguments passed to Dense: {'colour': 'red'}"):
        layers.Dense(3, colour="red")
    with pytest.raises(TypeError, match="unexpected"):
        layers.ReLU()(data(2, 3), colour="red")


@pytest.mark.parametrize("value", ["x", "", 0, 1, None, np.ones(1, bool)])
def test_trainable_is_a_bool(value):
    dense = layers.Dense(3)
    with pytest.raises(ValueError, match="`trainable` must be True or False. Received: trainable="):
        dense.trainable = value
    assert dense.trainable
    with pytest.raises(ValueError, match="`trainable`"):
        layers.Dense(3, trainable=value)
    dense.trainable = np.False_
    assert dense.trainable is False


@pytest.mark.parametrize("copier", [pickle.dumps, copy.copy, copy.deepcopy])
def test_variables_cannot_be_copied(copier):
    dense = layers.Dense(2, name="head")
    dense.build((None, 4))
    with pytest.raises(TypeError, match=r"Variable 'head/kernel' cannot be.*numpy\(\).*assign\(\)"):
        copier(dense.kernel)
