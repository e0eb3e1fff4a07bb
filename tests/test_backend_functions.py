"""The mathematics of Keras 2's backend: its defaults, on arrays and in losses that are compiled."""

import numpy as np
import pytest

import fastnn as keras
from fastnn import backend as K

x = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (lambda: K.mean(K.square(x), axis=-1), np.mean(x**2, axis=-1)),
        (lambda: K.argmax(x), np.argmax(x, -1)),
        (lambda: K.argmin(x), np.argmin(x, -1)),
        (lambda: K.cast(K.clip(x, None, 0.5), "float32"), np.minimum(x, 0.5)),
        (lambda: K.clip(x, 0.0, 1), np.clip(x, 0, 1)),
        (lambda: K.concatenate([x, x]), np.concatenate([x, x], axis=-1)),
        (lambda: K.constant(2.0, shape=(2, 3)), np.full((2, 3), 2.0)),
        (lambda: K.constant([1, 2]), [1.0, 2.0]),
        (lambda: K.cumsum(x), np.cumsum(x, 0)),
        (lambda: K.cumprod(x), np.cumprod(x, 0)),
        (lambda: K.dot(x, x.T), x @ x.T),
        (lambda: K.expand_dims(x), x[..., None]),
        (lambda: K.flatten(x), x.ravel()),
        (lambda: K.gather(x, [2, 0]), x[[2, 0]]),
        (lambda: K.hard_sigmoid(x), np.clip(0.2 * x + 0.5, 0, 1)),
        (lambda: K.l2_normalize(x, axis=1), x / np.linalg.norm(x, axis=1, keepdims=True)),
        (lambda: K.permute_dimensions(x, (1, 0)), x.T),
        (lambda: K.pow(x, 2), x**2),
        (lambda: K.sqrt(x), np.sqrt(np.maximum(x, 0))),
        (lambda: K.int_shape(x), (4, 3)),
    ],
)
def test_on_arrays(found, expected):
    np.testing.assert_allclose(found(), expected, rtol=1e-5, atol=1e-6)


def test_every_name_is_there_and_others_are_explained():
    for name in dir(K):
        getattr(K, name)
    assert {"mean", "get_value", "abs"} <= set(dir(K))
    with pytest.raises(AttributeError, match=r"'learning_phase'.*fastnn\.ops"):
        K.learning_phase()


def test_in_a_loss_metric_and_constraint():
    def rmse(y_true, y_pred):
        return K.sqrt(K.mean(K.square(y_pred - y_true), axis=-1))

    def unit(w):
        return w / (K.epsilon() + K.sqrt(K.sum(K.square(w), axis=0, keepdims=True)))

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, kernel_constraint=unit)])
    model.compile("sgd", rmse, metrics=[rmse, keras.metrics.mse])
    history = model.fit(x, x[:, :2], verbose=0).history
    assert history["loss"] == pytest.approx(history["rmse"], rel=1e-6)
    np.testing.assert_allclose(np.linalg.norm(model.get_weights()[0], axis=0), 1, rtol=1e-5)


def test_short_names_of_losses_and_metrics():
    for room in keras.losses, keras.metrics:
        assert room.mse is room.MSE is room.mean_squared_error
        assert room.kullback_leibler_divergence is room.kld is room.kl_divergence
        assert room.logcosh is room.log_cosh
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.compile("sgd", keras.losses.MSE, metrics=[keras.metrics.mae])
    assert np.isfinite(model.fit(x, x[:, :2], verbose=0).history["mean_absolute_error"])
