"""A name that is none is answered with those that were probably meant, wherever names are looked up."""

import pytest

import fastnn as keras
from fastnn._suggestions import did_you_mean

layers, optimizers = keras.layers, keras.optimizers


def fitted(loss="mse", callbacks=None, **compiled):
    model = keras.Sequential([keras.Input((3,)), layers.Dense(1, name="price")])
    model.compile("sgd", loss, **compiled)
    return model.fit([[1.0, 2, 3]], [[1.0]], verbose=0, callbacks=callbacks)


CASES = [
    (lambda: layers.Dense(3, activation="rleu"), "'relu'"),
    (lambda: layers.Activation("LeakyRelu"), "'leaky_relu'"),
    (lambda: keras.activations.deserialize({"class_name": "function", "config": "sigmiod"}), "'sigmoid'"),
    (lambda: layers.Dense(3, kernel_initializer="glorot_unifrom"), "'glorot_uniform'"),
    (lambda: layers.Dense(3, kernel_initializer="HeNorml"), "'HeNormal'"),
    (lambda: layers.Dense(3, kernel_regularizer="l1l3"), "'l1l2'"),
    (lambda: layers.Dense(3, kernel_constraint="maxnorm"), "'max_norm'"),
    (lambda: keras.losses.get("MeanSquardError"), "'MeanSquaredError'"),
    (lambda: keras.losses.get("mean_squard_error"), "'mean_squared_error'"),
    (lambda: keras.metrics.get("Acuracy"), "'Accuracy'"),
    (lambda: optimizers.get("RMSporp"), "'rmsprop'"),
    (lambda: optimizers.deserialize({"class_name": "Addam", "config": {}}), "'adam'"),
    (lambda: optimizers.schedules.deserialize({"class_name": "ExponentialDecy", "config": {}}), "'ExponentialDecay'"),
    (lambda: layers.deserialize({"class_name": "Dens", "config": {}}), "'Dense'"),
    (lambda: layers.Dense(3, activaton="relu"), "'activation'"),
    (lambda: optimizers.Adam(lerning_rate=0.1), "'learning_rate'"),
    (lambda: fitted("msee"), "'mse'"),
    (lambda: fitted(metrics=["accurracy"]), "'accuracy'"),
    (lambda: fitted({"prise": "mse"}), "'price'"),
    (lambda: keras.Sequential([layers.Dense(1, name="hidden")]).get_layer("hiden"), "'hidden'"),
    (lambda: fitted(metric=["mae"]), "'metrics'"),
    (lambda: keras.Sequential().fit([[1.0]], [[1.0]], epoch=3), "'epochs'"),
    (lambda: keras.Sequential().evaluate([[1.0]], [[1.0]], batchsize=3), "'batch_size'"),
    (lambda: keras.Sequential().predict([[1.0]], verbos=0), "'verbose'"),
]


@pytest.mark.parametrize(("call", "meant"), CASES, ids=[meant for _, meant in CASES])
def test_the_nearest_name_comes_first(call, meant):
    with pytest.raises((ValueError, TypeError)) as caught:
        call()
    assert f"Did you mean {meant}" in str(caught.value)


def test_an_argument_that_is_like_none_is_answered_with_all():
    with pytest.raises(
        TypeError, match=r"fit\(\) got 'workers', which it does not know. It takes x, y, batch_size, epoch"
    ):
        keras.Sequential().fit([[1.0]], [[1.0]], workers=3)


def test_monitors_and_names_of_ones_own():
    for callback in (
        keras.callbacks.EarlyStopping("lss", mode="min"),
        keras.callbacks.ReduceLROnPlateau("lss", mode="min"),
    ):
        with pytest.warns(UserWarning, match="Did you mean 'loss'?"):
            fitted(callbacks=[callback])
    with keras.saving.custom_object_scope({"wobble": abs}), pytest.raises(ValueError, match="Did you mean 'wobble'"):
        layers.Dense(3, activation="wobbel")


@pytest.mark.parametrize("room", [keras, layers, keras.ops])
def test_python_can_suggest_names_of_modules(room):
    """It does where an error that nobody catches says what was asked of what."""
    with pytest.raises(AttributeError) as caught:
        room.matmull
    assert (caught.value.name, caught.value.obj) == ("matmull", room)
    assert {"softmax", "matmul"} <= set(dir(keras.ops))


def test_far_from_everything():
    assert did_you_mean("xyz", ["relu", "elu"]) == ""
    assert did_you_mean("Relu", ["relu", "ReLU"]) == " Did you mean 'ReLU'?"
    assert did_you_mean("relU", ["ReLU", "relu"]) == " Did you mean 'relu'?"
