"""What is assigned to layers after a model was made of them: seen at once by calls on arrays, and by `fit`, `evaluate`
and `predict` if they were not called before, else at the next `compile`, as in Keras on JAX."""

import warnings

import numpy as np
import pytest

import fastnn
from fastnn import _revision, layers

random = np.random.default_rng(5)
X = random.normal(size=(16, 4)).astype(np.float32)
Y = random.normal(size=(16, 2)).astype(np.float32)


def kinds(k):
    """Models that compute the same, made in each way: `head(model)` is the dense layer with the softmax."""

    def dense():
        return k.layers.Dense(2, activation="softmax", kernel_initializer="ones", bias_initializer=Ramp())

    class Ramp(k.initializers.Initializer):
        def __call__(self, shape, dtype=None):
            return k.ops.convert_to_tensor(np.arange(shape[0], dtype="float32"))

    class Head(k.layers.Layer):
        def __init__(self):
            super().__init__()
            self.inside = [dense()]
            self.factors = [1.0]
            self._shift = 0.0

        def call(self, inputs):
            return self.inside[0](inputs) * self.factors[0] + self._shift

    class Net(k.Model):
        def __init__(self):
            super().__init__()
            self.head = Head()
            self.on = True

        def call(self, inputs, training=None):
            outputs = self.head(inputs)
            return outputs if self.on else inputs[:, :2]

    def functional():
        inputs = k.Input((4,))
        return k.Model(inputs, dense()(inputs))

    sequential = k.Sequential([k.Input((4,)), dense()])
    nested = k.Sequential([k.Input((4,)), k.Sequential([k.Input((4,)), Head()])])
    return {
        "sequential": (sequential, lambda model: model.layers[-1]),
        "functional": (functional(), lambda model: model.layers[-1]),
        "subclass": (Net(), lambda model: model.head.inside[0]),
        "nested": (nested, lambda model: model.layers[0].layers[0].inside[0]),
    }


def seen(model, which=("call", "predict", "predict_on_batch", "evaluate", "fit")):
    """What each way of running a model makes of it; its learning rate is 0."""
    found = {
        "call": lambda: np.asarray(model(X)),
        "predict": lambda: np.asarray(model.predict(X, verbose=0)),
        "predict_on_batch": lambda: np.asarray(model.predict_on_batch(X)),
        "evaluate": lambda: model.evaluate(X, Y, verbose=0),
        "fit": lambda: model.fit(X, Y, verbose=0).history["loss"][0],
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {name: found[name]() for name in which}


def changes(k, kind):
    """A story of changes; what is seen after each of them."""
    model, head = kinds(k)[kind]

    def compiled():
        model.compile(k.optimizers.SGD(0.0), "mse")
        return seen(model)

    yield compiled()
    layer = head(model)
    layer.activation = k.activations.linear
    yield seen(model)
    layer.activity_regularizer = k.regularizers.L2(0.3)
    model.compile(k.optimizers.SGD(0.0), "mse")
    yield seen(model, ["fit"])
    layer.activity_regularizer = None
    layer.activation = k.activations.tanh
    yield seen(model, ["evaluate"])  # not called since `compile`: the new value
    yield seen(model, ["fit"])  # called since then: the old one
    yield seen(model, ["call", "predict"])


def test_arguments_take_effect_when_they_do_in_keras(keras):
    for step, (mine, theirs) in enumerate(zip(changes(fastnn, "nested"), changes(keras, "nested"), strict=True)):
        for name, value in theirs.items():
            np.testing.assert_allclose(mine[name], value, rtol=1e-4, atol=1e-5, err_msg=f"{name}, step {step}")


def own_changes(k):
    """The same with attributes that a `call` of one's own reads."""
    model, _ = kinds(k)["subclass"]
    model.compile(k.optimizers.SGD(0.0), "mse")
    yield seen(model)
    model.head.factors[0] = 3.0
    yield seen(model)
    model.head._shift = 1.0
    yield seen(model)
    model.compile(k.optimizers.SGD(0.0), "mse")
    yield seen(model)
    model.on = False
    yield seen(model)
    model.compile(k.optimizers.SGD(0.0), "mse")
    yield seen(model)
    layer = k.layers.Lambda(lambda inputs: inputs * 2.0)
    yield {"layer": np.asarray(layer(X))}
    layer.function = lambda inputs: inputs * 3.0
    yield {"layer": np.asarray(layer(X))}


def test_attributes_of_own_layers_take_effect_when_they_do_in_keras(keras):
    for step, (mine, theirs) in enumerate(zip(own_changes(fastnn), own_changes(keras), strict=True)):
        for name, value in theirs.items():
            np.testing.assert_allclose(mine[name], value, rtol=1e-4, atol=1e-5, err_msg=f"{name}, step {step}")


@pytest.mark.parametrize("kind", ["sequential", "functional", "subclass", "nested"])
def test_an_argument_takes_effect_at_the_next_compile(kind):
    model, head = kinds(fastnn)[kind]
    model.compile(fastnn.optimizers.SGD(0.0), "mse")
    before = seen(model)
    head(model).activation = "relu"  # more than Keras, which wants a function
    linear = np.maximum(X.sum(1, keepdims=True) + np.arange(2), 0)
    after = seen(model)
    for name in ("predict", "predict_on_batch", "evaluate", "fit"):
        np.testing.assert_array_equal(after[name], before[name])
    np.testing.assert_allclose(after["call"], linear, rtol=1e-5, atol=1e-6)
    frozen = model.freeze()  # takes what the layers are now
    np.testing.assert_allclose(frozen(X), linear, rtol=1e-5, atol=1e-6)
    model.compile(fastnn.optimizers.SGD(0.0), "mse")
    after = seen(model)
    for name in ("call", "predict", "predict_on_batch"):
        np.testing.assert_allclose(after[name], linear, rtol=1e-5, atol=1e-6)
    assert after["evaluate"] == pytest.approx(np.mean((linear - Y) ** 2), rel=1e-5) == after["fit"]
    head(model).activation = None
    np.testing.assert_allclose(model(X), X.sum(1, keepdims=True) + np.arange(2), rtol=1e-5, atol=1e-5)


def test_what_was_called_warns_until_the_next_compile():
    model = fastnn.Sequential([fastnn.Input((4,)), layers.Dense(2)])
    model.compile("sgd", "mse")
    model.fit(X, Y, verbose=0)
    model.predict(X, verbose=0)
    model.layers[0].activation = "tanh"
    with pytest.warns(UserWarning, match=r"model 'sequential.*compiled for `fit`.*at the next model.compile"):
        model.fit(X, Y, verbose=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(X, Y, verbose=0)  # once is enough
        model.layers[0].activation = model.layers[0].activation
        model.compile("sgd", "mse")
        model.fit(X, Y, verbose=0)
        model.predict(X, verbose=0)
    model.layers[0].activation = "relu"
    with pytest.warns(UserWarning, match="compiled for `predict`"):
        model.predict(X, verbose=0)


@pytest.mark.filterwarnings("ignore:The layers")
@pytest.mark.parametrize("trained", [True, False])
def test_normalisation_is_frozen_at_the_next_compile(trained):
    """Its weights and its statistics alike. (Keras refuses to go on without another `compile`.)"""
    model = fastnn.Sequential([fastnn.Input((4,)), layers.BatchNormalization(), layers.Dense(2)])
    norm = model.layers[0]
    norm.trainable = trained

    def moved():
        before = [norm.gamma.numpy(), norm.moving_mean.numpy()]
        model.fit(X, Y, verbose=0)
        model.train_on_batch(X, Y)
        return [(now.numpy() != then).any() for now, then in zip([norm.gamma, norm.moving_mean], before, strict=True)]

    model.compile("sgd", "mse")
    assert moved() == [trained, trained]
    norm.trainable = not trained
    assert moved() == [trained, trained]
    in_training = np.asarray(norm(X, training=True))  # calls on arrays see it at once
    assert np.allclose(in_training.mean(0), 0, atol=1e-5) == (not trained)
    model.compile("sgd", "mse")
    assert moved() == [not trained, not trained]


def generated():
    while True:
        yield X, Y


def test_callbacks_may_change_layers_before_the_first_step(keras):
    """Those of the first epoch decide, as later ones find what is compiled."""
    found = []
    for k in fastnn, keras:
        kinds = [k.activations.tanh, k.activations.relu]

        class Annealing(k.callbacks.Callback):
            def on_epoch_begin(self, epoch, logs=None, kinds=kinds):
                self.model.layers[-1].activation = kinds[epoch]

        for data in ((X, Y), (generated(),)):
            model = k.Sequential([k.Input((4,)), k.layers.Dense(2, kernel_initializer="ones")])
            model.compile(k.optimizers.SGD(0.1), "mse")
            told = dict(callbacks=[Annealing()], validation_data=(X, Y), steps_per_epoch=1, epochs=2)
            found.append(model.fit(*data, **told, shuffle=False, verbose=0).history)
    for mine, theirs in zip(found[:2], found[2:], strict=True):
        for name, values in theirs.items():
            np.testing.assert_allclose(mine[name], values, rtol=1e-5, err_msg=name)


def test_the_optimizer_goes_on_with_what_it_remembers():
    model = fastnn.Sequential([fastnn.Input((4,)), layers.Dense(3, "relu"), layers.Dense(2)])
    optimizer = fastnn.optimizers.Adam(0.01)
    model.compile(optimizer, "mse")
    model.fit(X, Y, epochs=3, verbose=0)
    before = model.get_weights()
    model.layers[0].activation = "tanh"
    model.compile(optimizer, "mse")
    assert optimizer.iterations == 3
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    model.fit(X, Y, verbose=0)
    assert optimizer.iterations == 4
    assert any((one != other).any() for one, other in zip(before, model.get_weights(), strict=True))


def test_models_made_of_tensors_of_a_layer_that_was_changed():
    inputs = fastnn.Input((4,))
    layer = layers.Dense(2, "softmax")
    outputs = layer(inputs)
    model, other = fastnn.Model(inputs, outputs), fastnn.Model(inputs, outputs)
    layer.activation = None
    linear = X @ layer.kernel.numpy()
    for each in (model, other, fastnn.Model(inputs, outputs), fastnn.Model(inputs, layer.output)):
        np.testing.assert_allclose(each(X), linear, rtol=1e-5, atol=1e-6)
    assert model.output is layer.output or other.output is layer.output
    assert len(layer._calls) == 1
    again = fastnn.Sequential(model.layers)
    again.add(layers.ReLU())
    layer.activation = "sigmoid"
    again.pop()
    again.add(layers.Rescaling(2.0))
    np.testing.assert_allclose(again(X), 2 / (1 + np.exp(-linear)), rtol=1e-4)


def test_arguments_of_variables_stay_as_they_are():
    model = fastnn.Sequential([fastnn.Input((4,)), layers.Dense(2)])
    model.compile("sgd", "mse")
    before = seen(model, ["call", "evaluate"])
    layer = model.layers[0]
    for name, value in (("units", 7), ("use_bias", False), ("kernel_regularizer", fastnn.regularizers.L2(1.0))):
        with pytest.warns(UserWarning, match=f"`{name}` of layer 'dense.* they stay as they are"):
            setattr(layer, name, value)
    model.compile("sgd", "mse")
    for name, value in seen(model, ["call", "evaluate"]).items():
        np.testing.assert_array_equal(value, before[name])
    layer.kernel.regularizer = fastnn.regularizers.L2(1.0)
    model.compile("sgd", "mse")
    expected = before["evaluate"] + np.sum(layer.kernel.numpy() ** 2)
    assert model.evaluate(X, Y, verbose=0) == pytest.approx(expected, rel=1e-5)


class Counting(layers.Layer):
    def __init__(self):
        super().__init__()
        self.scale, self.traced = 2.0, 0

    def call(self, inputs):
        self.traced += 1  # does not count as a change: `call` itself does it
        return inputs * self.scale


def test_what_has_not_changed_is_not_traced_again():
    model = fastnn.Sequential([fastnn.Input((4,)), Counting(), layers.Dense(2)])
    model.compile("sgd", "mse")
    layer = model.layers[0]
    seen(model)
    np.asarray(layer(X))
    traced, graph = layer.traced, model.graph
    seen(model)
    layer.scale = 2.0
    np.asarray(layer(X))
    assert layer.traced == traced
    layer.note = "nothing that `call` reads"
    seen(model)
    model.compile("sgd", "mse")  # traces it, as Keras does, but nothing has come out differently
    assert layer.traced > traced
    assert model.graph is graph
    layer.scale = 3.0
    np.testing.assert_array_equal(layer(X), X * 3)
    assert model.graph is not graph


def test_running_a_model_is_no_change():
    """Each attribute that the library sets itself must be in `_BOOKKEEPING`, or programs were looked through again."""

    class Net(fastnn.Model):
        def __init__(self):
            super().__init__()
            self.stack = [layers.Dense(3), layers.Dropout(0.5), layers.BatchNormalization(), layers.Dense(2)]

        def call(self, inputs, training=None):
            for layer in self.stack:
                inputs = layer(inputs)
            return inputs

    model = Net()
    model.compile("adam", "mse", metrics=["mae"])

    def everything():
        seen(model)
        model.fit(X, Y, epochs=2, verbose=0, validation_data=(X, Y), callbacks=[fastnn.callbacks.EarlyStopping()])
        model.train_on_batch(X, Y)
        model.test_on_batch(X, Y)
        model(X, training=True)
        model.predict_mc(X, 2)
        model.gradients(X, Y)
        model.freeze()
        for layer in model.layers:
            layer(np.ones((2, 3), np.float32) if layer is not model.stack[0] else X, training=True)

    everything()
    revision = _revision.current()
    everything()
    assert _revision.current() == revision
