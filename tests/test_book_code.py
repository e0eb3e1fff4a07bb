"""Code as one finds it in books on deep learning with Keras, old spellings included: every line must run."""

import numpy as np
import pytest

import fastnn as keras
from fastnn import backend as K

rng = np.random.default_rng(0)
X = rng.random((120, 28, 28)).astype(np.float32)
Y = rng.integers(0, 10, 120)
H = rng.normal(size=(120, 8)).astype(np.float32)
T = (H[:, :1] * 2 + H[:, 1:2] - 1).astype(np.float32)


@pytest.fixture(autouse=True)
def _fresh_session():
    keras.backend.clear_session()
    keras.utils.set_random_seed(42)


def test_image_classifier_with_sequential():
    model = keras.models.Sequential()
    model.add(keras.layers.Flatten(input_shape=[28, 28]))
    model.add(keras.layers.Dense(30, activation="relu"))
    model.add(keras.layers.Dense(20, activation=keras.activations.relu, kernel_initializer="he_normal"))
    model.add(keras.layers.Dense(10, activation="softmax"))
    model.summary(print_fn=lambda line: None)
    hidden1 = model.layers[1]
    assert hidden1.name == "dense"
    assert model.get_layer("dense") is hidden1
    weights, biases = hidden1.get_weights()
    assert weights.shape == (784, 30)
    assert not biases.any()
    model.compile(
        loss="sparse_categorical_crossentropy",
        optimizer=keras.optimizers.SGD(learning_rate=1e-2),
        metrics=["accuracy"],
    )
    history = model.fit(X, Y, epochs=3, validation_data=(X[:20], Y[:20]), verbose=0)
    assert history.params == {"epochs": 3, "steps": 4, "verbose": 0}
    assert history.epoch == [0, 1, 2]
    assert set(history.history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    loss, accuracy = model.evaluate(X[:30], Y[:30], verbose=0)
    assert loss > 0
    assert 0 <= accuracy <= 1
    probabilities = model.predict(X[:3], verbose=0)
    assert probabilities.argmax(axis=-1).shape == (3,)


def test_regression_and_callbacks(tmp_path):
    model = keras.models.Sequential(
        [keras.layers.Dense(30, activation="relu", input_shape=H.shape[1:]), keras.layers.Dense(1)]
    )
    model.compile(loss="mean_squared_error", optimizer=keras.optimizers.SGD(lr=1e-3))
    checkpoint = keras.callbacks.ModelCheckpoint(str(tmp_path / "best.keras"), save_best_only=True)
    stopping = keras.callbacks.EarlyStopping(patience=10, restore_best_weights=True)

    class PrintValTrainRatioCallback(keras.callbacks.Callback):
        ratios = []

        def on_epoch_end(self, epoch, logs):
            self.ratios.append(logs["val_loss"] / logs["loss"])

    model.fit(
        H, T, epochs=4, validation_split=0.2, verbose=0, callbacks=[checkpoint, stopping, PrintValTrainRatioCallback()]
    )
    assert len(PrintValTrainRatioCallback.ratios) == 4
    best = keras.models.load_model(tmp_path / "best.keras")
    np.testing.assert_allclose(best.predict(H, verbose=0), model.predict(H, verbose=0), rtol=1e-5, atol=1e-6)
    model.save_weights(tmp_path / "my.weights.h5")
    model.load_weights(tmp_path / "my.weights.h5")


def test_wide_and_deep_with_two_inputs_and_two_outputs():
    input_a = keras.layers.Input(shape=[5], name="wide_input")
    input_b = keras.layers.Input(shape=[6], name="deep_input")
    hidden1 = keras.layers.Dense(30, activation="relu")(input_b)
    hidden2 = keras.layers.Dense(30, activation="relu")(hidden1)
    concat = keras.layers.concatenate([input_a, hidden2])
    output = keras.layers.Dense(1, name="main_output")(concat)
    aux_output = keras.layers.Dense(1, name="aux_output")(hidden2)
    model = keras.models.Model(inputs=[input_a, input_b], outputs=[output, aux_output])
    model.compile(loss=["mse", "mse"], loss_weights=[0.9, 0.1], optimizer=keras.optimizers.SGD(learning_rate=1e-3))
    a, b = H[:, :5], H[:, 2:]
    history = model.fit((a, b), (T, T), epochs=2, validation_data=((a[:9], b[:9]), (T[:9], T[:9])), verbose=0)
    assert {"loss", "main_output_loss", "aux_output_loss", "val_main_output_loss"} <= set(history.history)
    total, main, aux = model.evaluate((a, b), (T, T), verbose=0)
    np.testing.assert_allclose(total, 0.9 * main + 0.1 * aux, rtol=1e-5)
    y_main, y_aux = model.predict([a[:3], b[:3]], verbose=0)
    assert y_main.shape == y_aux.shape == (3, 1)
    again = model.predict({"wide_input": a[:3], "deep_input": b[:3]}, verbose=0)
    np.testing.assert_array_equal(again[0], y_main)


class WideAndDeepModel(keras.models.Model):
    def __init__(self, units=30, activation="relu", **kwargs):
        super().__init__(**kwargs)
        self.norm = keras.layers.Normalization()
        self.hidden1 = keras.layers.Dense(units, activation=activation)
        self.hidden2 = keras.layers.Dense(units, activation=activation)
        self.main_output = keras.layers.Dense(1)
        self.aux_output = keras.layers.Dense(1)

    def call(self, inputs):
        input_a, input_b = inputs
        hidden = self.hidden2(self.hidden1(self.norm(input_b)))
        concat = keras.layers.concatenate([input_a, hidden])
        return self.main_output(concat), self.aux_output(hidden)


def test_subclassed_model():
    model = WideAndDeepModel(20, name="wide_and_deep")
    model.compile(loss="mse", loss_weights=[0.9, 0.1], optimizer="adam")
    model.norm.adapt(H[:, 2:])
    history = model.fit((H[:, :5], H[:, 2:]), (T, T), epochs=2, verbose=0)
    assert history.history["loss"][1] < history.history["loss"][0]
    assert model.predict((H[:3, :5], H[:3, 2:]), verbose=0)[0].shape == (3, 1)


def test_subclassed_model_with_training():
    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(8, activation="elu")
            self.drop = keras.layers.Dropout(0.5)
            self.out = keras.layers.Dense(1)

        def call(self, inputs, training=None):
            return self.out(self.drop(self.dense(inputs), training=training))

    model = Net()
    model.compile(loss="mse", optimizer="nadam")
    model.fit(H, T, epochs=1, verbose=0)
    np.testing.assert_array_equal(np.asarray(model(H)), np.asarray(model(H)))
    assert (np.asarray(model(H, training=True)) != np.asarray(model(H, training=True))).any()


def test_faster_optimizers_and_schedules():
    for optimizer in (
        keras.optimizers.SGD(learning_rate=0.001, momentum=0.9, nesterov=True),
        keras.optimizers.Adagrad(learning_rate=0.001),
        keras.optimizers.RMSprop(learning_rate=0.001, rho=0.9),
        keras.optimizers.Adam(learning_rate=0.001, beta_1=0.9, beta_2=0.999),
        keras.optimizers.Adamax(),
        keras.optimizers.Nadam(),
        keras.optimizers.AdamW(weight_decay=1e-4),
        keras.optimizers.SGD(clipvalue=1.0),
        keras.optimizers.SGD(clipnorm=1.0),
        keras.optimizers.SGD(
            keras.optimizers.schedules.ExponentialDecay(initial_learning_rate=0.01, decay_steps=20, decay_rate=0.1)
        ),
        keras.optimizers.SGD(keras.optimizers.schedules.PiecewiseConstantDecay([10, 20], [0.01, 0.005, 0.001])),
        keras.optimizers.legacy.Adam(),
    ):
        model = keras.Sequential([keras.layers.Input([8]), keras.layers.Dense(1)])
        model.compile(loss="mse", optimizer=optimizer)
        losses = model.fit(H, T, epochs=2, verbose=0).history["loss"]
        assert losses[1] < losses[0]


def test_learning_rate_callbacks():
    model = keras.Sequential([keras.layers.Dense(4, input_shape=[8]), keras.layers.Dense(1)])
    model.compile(loss="mse", optimizer=keras.optimizers.SGD(learning_rate=0.01))

    def exponential_decay(lr0, s):
        return lambda epoch: lr0 * 0.1 ** (epoch / s)

    scheduler = keras.callbacks.LearningRateScheduler(exponential_decay(lr0=0.01, s=20))
    history = model.fit(H, T, epochs=3, callbacks=[scheduler], verbose=0)
    rates = history.history.get("lr", history.history.get("learning_rate"))
    np.testing.assert_allclose(rates, [0.01 * 0.1 ** (e / 20) for e in range(3)], rtol=1e-6)
    with_rate = keras.callbacks.LearningRateScheduler(lambda epoch, lr: lr * 0.5)
    model.fit(H, T, epochs=2, callbacks=[with_rate], verbose=0)
    np.testing.assert_allclose(float(model.optimizer.learning_rate.numpy()), rates[-1] / 4, rtol=1e-6)
    plateau = keras.callbacks.ReduceLROnPlateau(factor=0.5, patience=1, monitor="loss", min_delta=1e9)
    before = K.get_value(model.optimizer.learning_rate)
    model.fit(H, T, epochs=4, callbacks=[plateau], verbose=0)
    assert K.get_value(model.optimizer.learning_rate) < before

    class ExponentialLearningRate(keras.callbacks.Callback):
        def __init__(self, factor):
            super().__init__()
            self.factor = factor
            self.rates = []
            self.losses = []

        def on_batch_end(self, batch, logs):
            self.rates.append(K.get_value(self.model.optimizer.learning_rate))
            self.losses.append(logs["loss"])
            K.set_value(self.model.optimizer.learning_rate, self.model.optimizer.learning_rate * self.factor)

    finder = ExponentialLearningRate(1.1)
    model.fit(H, T, epochs=1, callbacks=[finder], verbose=0)
    np.testing.assert_allclose(np.diff(np.log(finder.rates)), np.log(1.1), rtol=1e-4)


def test_regularisation():
    model = keras.Sequential(
        [
            keras.layers.Flatten(input_shape=[28, 28]),
            keras.layers.Dropout(rate=0.2),
            keras.layers.Dense(
                20, activation="elu", kernel_initializer="he_normal", kernel_regularizer=keras.regularizers.l2(0.01)
            ),
            keras.layers.Dropout(rate=0.2),
            keras.layers.Dense(20, kernel_constraint=keras.constraints.max_norm(1.0)),
            keras.layers.LeakyReLU(alpha=0.2),
            keras.layers.Dense(20, activation="selu", kernel_initializer="lecun_normal"),
            keras.layers.AlphaDropout(rate=0.2),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(loss="sparse_categorical_crossentropy", optimizer="nadam", metrics=["accuracy"])
    model.fit(X, Y, epochs=2, verbose=0)
    assert np.linalg.norm(model.layers[4].get_weights()[0], axis=0).max() < 1 + 1e-5
    y_probas = np.stack([np.asarray(model(X[:5], training=True)) for _ in range(10)])
    assert y_probas.std(axis=0).max() > 0


def test_monte_carlo_dropout():
    class MCDropout(keras.layers.Dropout):
        def call(self, inputs, training=None):
            return super().call(inputs, training=True)

    model = keras.Sequential(
        [keras.layers.Flatten(input_shape=[28, 28]), keras.layers.Dropout(0.2), keras.layers.Dense(10, "softmax")]
    )
    mc_model = keras.Sequential(
        [MCDropout(layer.rate) if isinstance(layer, keras.layers.Dropout) else layer for layer in model.layers]
    )
    mc_model.compile(loss="sparse_categorical_crossentropy", optimizer="sgd")
    mc_model.set_weights(model.get_weights())
    predictions = np.stack([mc_model.predict(X[:3], verbose=0) for _ in range(5)])
    assert predictions.std(axis=0).max() > 0
    mean, deviation = model.predict_mc(X[:3], 20)
    assert mean.shape == deviation.shape == (3, 10)


def test_transfer():
    model_a = keras.Sequential(
        [keras.layers.Flatten(input_shape=[28, 28]), keras.layers.Dense(20, "selu"), keras.layers.Dense(8, "softmax")]
    )
    model_a.compile(loss="sparse_categorical_crossentropy", optimizer="sgd", metrics=["accuracy"])
    model_a.fit(X, Y % 8, epochs=1, verbose=0)
    model_a_clone = keras.models.clone_model(model_a)
    model_a_clone.set_weights(model_a.get_weights())
    model_b = keras.Sequential(model_a_clone.layers[:-1])
    model_b.add(keras.layers.Dense(1, activation="sigmoid"))
    for layer in model_b.layers[:-1]:
        layer.trainable = False
    model_b.compile(loss="binary_crossentropy", optimizer=keras.optimizers.SGD(0.001), metrics=["accuracy"])
    before = model_b.layers[1].get_weights()[0]
    model_b.fit(X, Y % 2, epochs=1, verbose=0)
    np.testing.assert_array_equal(model_b.layers[1].get_weights()[0], before)
    for layer in model_b.layers[:-1]:
        layer.trainable = True
    model_b.compile(loss="binary_crossentropy", optimizer=keras.optimizers.SGD(0.001), metrics=["accuracy"])
    model_b.fit(X, Y % 2, epochs=1, verbose=0)
    assert (model_b.layers[1].get_weights()[0] != before).any()
    np.testing.assert_array_equal(model_a.layers[1].get_weights()[0], before)


def huber_fn(y_true, y_pred):
    error = y_true - y_pred
    is_small_error = keras.ops.abs(error) < 1
    squared_loss = keras.ops.square(error) / 2
    linear_loss = keras.ops.abs(error) - 0.5
    return keras.ops.where(is_small_error, squared_loss, linear_loss)


class HuberLoss(keras.losses.Loss):
    def __init__(self, threshold=1.0, **kwargs):
        self.threshold = threshold
        super().__init__(**kwargs)

    def call(self, y_true, y_pred):
        error = y_true - y_pred
        is_small_error = keras.ops.abs(error) < self.threshold
        squared_loss = keras.ops.square(error) / 2
        linear_loss = self.threshold * keras.ops.abs(error) - self.threshold**2 / 2
        return keras.ops.where(is_small_error, squared_loss, linear_loss)

    def get_config(self):
        return {**super().get_config(), "threshold": self.threshold}


def my_softplus(z):
    return keras.ops.log(keras.ops.exp(z) + 1.0)


def my_glorot_initializer(shape, dtype="float32"):
    stddev = (2.0 / (shape[0] + shape[1])) ** 0.5
    return keras.random.normal(shape, stddev=stddev, dtype=dtype)


def my_l1_regularizer(weights):
    return keras.ops.sum(keras.ops.abs(0.01 * weights))


def my_positive_weights(weights):
    return keras.ops.where(weights < 0.0, keras.ops.zeros_like(weights), weights)


def test_own_functions(tmp_path):
    model = keras.Sequential(
        [
            keras.layers.Input([8]),
            keras.layers.Dense(30, activation="selu", kernel_initializer="lecun_normal"),
            keras.layers.Dense(
                1,
                activation=my_softplus,
                kernel_initializer=my_glorot_initializer,
                kernel_regularizer=my_l1_regularizer,
                kernel_constraint=my_positive_weights,
            ),
        ]
    )
    model.compile(loss=huber_fn, optimizer="nadam", metrics=["mae", huber_fn])
    history = model.fit(H, T, epochs=2, verbose=0)
    assert set(history.history) == {"loss", "mae", "huber_fn"}
    assert (model.layers[1].get_weights()[0] >= 0).all()
    model.save(tmp_path / "own.keras")
    own = {each.__name__: each for each in (my_softplus, my_glorot_initializer, my_l1_regularizer, my_positive_weights)}
    loaded = keras.models.load_model(tmp_path / "own.keras", custom_objects={"huber_fn": huber_fn, **own})
    np.testing.assert_allclose(loaded.predict(H, verbose=0), model.predict(H, verbose=0), rtol=1e-6)
    loaded.fit(H, T, epochs=1, verbose=0)
    model.compile(loss=HuberLoss(2.0), optimizer="nadam")
    model.fit(H, T, epochs=1, verbose=0)


def test_own_layers():
    class MyDense(keras.layers.Layer):
        def __init__(self, units, activation=None, **kwargs):
            super().__init__(**kwargs)
            self.units = units
            self.activation = keras.activations.get(activation)

        def build(self, batch_input_shape):
            self.kernel = self.add_weight(
                name="kernel", shape=[batch_input_shape[-1], self.units], initializer="glorot_normal"
            )
            self.bias = self.add_weight(name="bias", shape=[self.units], initializer="zeros")
            super().build(batch_input_shape)

        def call(self, inputs):
            return self.activation(inputs @ self.kernel + self.bias)

        def get_config(self):
            return {**super().get_config(), "units": self.units}

    class AddGaussianNoise(keras.layers.Layer):
        def __init__(self, stddev, **kwargs):
            super().__init__(**kwargs)
            self.noise = keras.layers.GaussianNoise(stddev)

        def call(self, inputs, training=None):
            return self.noise(inputs, training=training)

    class ResidualBlock(keras.layers.Layer):
        def __init__(self, n_layers, n_neurons, **kwargs):
            super().__init__(**kwargs)
            self.hidden = [keras.layers.Dense(n_neurons, activation="elu") for _ in range(n_layers)]

        def call(self, inputs):
            z = inputs
            for layer in self.hidden:
                z = layer(z)
            return inputs + z

    model = keras.Sequential(
        [
            MyDense(30, activation="relu", input_shape=[8]),
            AddGaussianNoise(0.1),
            ResidualBlock(2, 30),
            keras.layers.Lambda(lambda x: keras.ops.exp(-keras.ops.square(x))),
            MyDense(1),
        ]
    )
    model.compile(loss="mse", optimizer="nadam")
    losses = model.fit(H, T, epochs=3, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


def test_own_metric():
    class HuberMetric(keras.metrics.Mean):
        def __init__(self, threshold=1.0, name="huber", dtype=None):
            super().__init__(name, dtype)
            self.threshold = threshold

        def update_state(self, y_true, y_pred, sample_weight=None):
            super().update_state(huber_fn(y_true, y_pred), sample_weight)

    metric = HuberMetric()
    metric.update_state(T, T + 0.5)
    np.testing.assert_allclose(float(metric.result()), 0.125, rtol=1e-5)
    precision = keras.metrics.Precision()
    precision([0, 1, 1, 1, 0, 1, 0, 1], [1, 1, 0, 1, 0, 1, 0, 1])
    precision([0, 1, 0, 0, 1, 0, 1, 1], [1, 0, 1, 1, 0, 0, 0, 0])
    assert float(precision.result()) == 0.5
    precision.reset_state()


def test_embeddings_and_preprocessing():
    text = keras.layers.StringLookup(vocabulary=["red", "green"])
    assert np.asarray(text(["green", "blue", "red"])).tolist() == [2, 0, 1]
    norm = keras.layers.Normalization(input_shape=[8])
    norm.adapt(H)
    ids = keras.layers.Input([1], name="ids")
    numbers = keras.layers.Input([8], name="numbers")
    embedded = keras.layers.Flatten()(keras.layers.Embedding(10, 2)(ids))
    output = keras.layers.Dense(1)(keras.layers.Concatenate()([norm(numbers), embedded]))
    model = keras.Model([ids, numbers], output)
    model.compile("adam", "mse")
    model.fit({"ids": Y, "numbers": H}, T, epochs=1, verbose=0)


def test_stacked_and_tied_autoencoder():
    encoder = keras.Sequential([keras.layers.Flatten(input_shape=[28, 28]), keras.layers.Dense(30, activation="selu")])
    decoder = keras.Sequential(
        [keras.layers.Dense(784, activation="sigmoid", input_shape=[30]), keras.layers.Reshape([28, 28])]
    )
    autoencoder = keras.Sequential([encoder, decoder])
    autoencoder.compile(loss="binary_crossentropy", optimizer=keras.optimizers.SGD(learning_rate=0.5))
    losses = autoencoder.fit(X, X, epochs=2, verbose=0).history["loss"]
    assert losses[1] < losses[0]
    assert encoder.predict(X[:2], verbose=0).shape == (2, 30)

    class DenseTranspose(keras.layers.Layer):
        def __init__(self, dense, activation=None, **kwargs):
            self.dense = dense
            super().__init__(**kwargs)
            self.activation = keras.activations.get(activation)

        def build(self, batch_input_shape):
            self.biases = self.add_weight(name="bias", shape=[self.dense.weights[0].shape[0]], initializer="zeros")
            super().build(batch_input_shape)

        def call(self, inputs):
            z = keras.ops.matmul(inputs, keras.ops.transpose(self.dense.weights[0]))
            return self.activation(z + self.biases)

    dense = keras.layers.Dense(30, activation="selu")
    tied = keras.Sequential(
        [
            keras.layers.Flatten(input_shape=[28, 28]),
            dense,
            DenseTranspose(dense, "sigmoid"),
            keras.layers.Reshape([28, 28]),
        ]
    )
    tied.compile(loss="binary_crossentropy", optimizer="sgd")
    tied.fit(X, X, epochs=1, verbose=0)
    assert len(tied.trainable_weights) == 3
