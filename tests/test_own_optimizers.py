"""Update rules of one's own: beside the same rule in Keras, and beside those of the engine."""

import numpy as np
import pytest

import fastnn
from fastnn import optimizers
from fastnn.variables import Variable
from harness.models import X, Y, classifier, same

STEPS = 24


def adam(package):
    """Adam, as somebody would write it, with a memory of its own beside that of each variable."""
    ops = package.ops

    class Mine(package.optimizers.Optimizer):
        def __init__(self, learning_rate=0.01, beta=0.9, **kwargs):
            super().__init__(learning_rate=learning_rate, **kwargs)
            self.beta = beta

        def build(self, variables):
            super().build(variables)
            self.m, self.v = self.add_optimizer_variables(variables, ["m", "v"])
            self.largest = [
                self.add_variable(shape=(), initializer="ones", name=f"largest{i}") for i in range(len(variables))
            ]

        def update_step(self, gradient, variable, learning_rate):
            index = self._get_variable_index(variable)
            m, v, largest = self.m[index], self.v[index], self.largest[index]
            t = ops.cast(self.iterations + 1, variable.dtype)
            self.assign_add(m, (gradient - m) * (1 - self.beta))
            self.assign_add(v, (ops.square(gradient) - v) * 0.01)
            self.assign(largest, ops.maximum(largest, ops.max(ops.abs(gradient))))
            rate = learning_rate * ops.sqrt(1 - ops.power(0.99, t)) / (1 - ops.power(self.beta, t))
            self.assign_sub(variable, rate * m / (ops.sqrt(v) + 1e-7 * largest))

        def get_config(self):
            return {**super().get_config(), "beta": self.beta}

    return Mine


Mine = adam(fastnn)
OPTIONS = [
    dict(),
    dict(clipnorm=0.5, weight_decay=0.1, gradient_accumulation_steps=3, use_ema=True),
    dict(global_clipnorm=1.0, use_ema=True, ema_momentum=0.8, ema_overwrite_frequency=4, loss_scale_factor=2.0),
]
SHAPES, LAYOUTS = [(7, 5), (5,), (9, 6), (2, 3, 4), ()], ["panels", "rows", "flat", "rows", "rows"]
random = np.random.default_rng(0)
START = [np.asarray(random.normal(size=shape), np.float32) for shape in SHAPES]
GRADS = [[np.asarray(random.normal(size=shape), np.float32) for shape in SHAPES] for _ in range(STEPS)]


@pytest.mark.parametrize("options", OPTIONS)
def test_the_rule_is_that_of_keras(keras, options):
    jax = pytest.importorskip("jax")
    theirs, mine = adam(keras)(name="mine", **options), Mine(name="mine", **options)
    their_variables = [keras.Variable(value, name=f"v{i}") for i, value in enumerate(START)]
    my_variables = [
        Variable(value, name=f"v{i}", layout=layout)
        for i, (value, layout) in enumerate(zip(START, LAYOUTS, strict=True))
    ]
    theirs.build(their_variables)
    step = jax.jit(theirs.stateless_apply)
    values, state = [v.value for v in their_variables], [v.value for v in theirs.variables]
    for grads in GRADS:
        values, state = step(state, grads, values)
        mine.apply(grads, my_variables)
    for one, value in zip(my_variables, values, strict=True):
        np.testing.assert_allclose(one.numpy(), value, rtol=1e-4, atol=1e-5)
    assert [each.name for each in mine.variables] == [each.name for each in theirs.variables]
    for one, value in zip(mine.variables, state, strict=True):
        np.testing.assert_allclose(one.numpy(), value, rtol=1e-4, atol=1e-5)


def test_in_fit_it_is_the_engines_adam():
    class Plain(optimizers.Optimizer):
        def build(self, variables):
            super().build(variables)
            self.m = self.add_optimizer_variables(variables, "m")

        def update_step(self, gradient, variable, learning_rate):
            m = self.m[self._get_variable_index(variable)]
            self.assign(m, 0.9 * m - learning_rate * gradient)
            self.assign_add(variable, m)

    schedule = optimizers.schedules.ExponentialDecay(0.1, 3, 0.7)
    options = dict(learning_rate=schedule, clipvalue=0.01, weight_decay=0.1, gradient_accumulation_steps=2)
    own, engines = classifier(optimizer=Plain(**options)), classifier(optimizer=optimizers.SGD(momentum=0.9, **options))
    engines.set_weights(own.get_weights())
    for model in own, engines:
        model.optimizer.learning_rate_multipliers = {model.layers[0]: 0.5}
        model.fit(X, Y, shuffle=False, verbose=0, epochs=2)
    for one, other in zip(own.get_weights(), engines.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("suffix", [".fastnn", ".keras"])
def test_its_memory_is_saved(tmp_path, suffix):
    pytest.importorskip("h5py")
    model = classifier(optimizer=Mine(0.02, beta=0.8))
    model.fit(X, Y, shuffle=False, verbose=0)
    model.save(tmp_path / f"m{suffix}")
    loaded = fastnn.models.load_model(tmp_path / f"m{suffix}", custom_objects={"Mine": Mine})
    assert loaded.optimizer.beta == 0.8
    assert len(loaded.optimizer.variables) == len(model.optimizer.variables)
    for each in model, loaded:
        each.fit(X, Y, shuffle=False, verbose=0)
    same(model, loaded)


@pytest.mark.filterwarnings("ignore:HDF5 files of Keras 2")
@pytest.mark.parametrize("cls", [optimizers.Adafactor, optimizers.Muon])
@pytest.mark.parametrize("suffix", [".fastnn", ".keras", ".h5"])
def test_memory_of_another_shape_is_saved(tmp_path, cls, suffix):
    pytest.importorskip("h5py")
    model = classifier(optimizer=cls(0.01, use_ema=True))
    model.fit(X, Y, shuffle=False, verbose=0)
    model.save(tmp_path / f"m{suffix}")
    loaded = fastnn.models.load_model(tmp_path / f"m{suffix}")
    for each in model, loaded:
        each.optimizer.learning_rate = 0.01
        each.fit(X, Y, shuffle=False, verbose=0)
    same(model, loaded)


def test_what_cannot_be_is_explained():
    class Shapes(optimizers.Optimizer):
        def update_step(self, gradient, variable, learning_rate):
            self.assign(variable, fastnn.ops.sum(gradient))

    class Forgetful(optimizers.Optimizer):
        def __init__(self):
            self.add_variable((1,))

    with pytest.raises(ValueError, match=r"Shapes.update_step: variable .* has shape .* value of shape \(\)"):
        classifier(optimizer=Shapes(0.1)).train_on_batch(X, Y)
    with pytest.raises(RuntimeError, match="forgot to call `super"):
        Forgetful()

    class Halved(optimizers.Adam):
        def update_step(self, gradient, variable, learning_rate):
            super().update_step(gradient, variable, learning_rate / 2)

    with pytest.raises(NotImplementedError, match="Halved.update_step calls that of the class .* Write the whole rule"):
        classifier(optimizer=Halved(0.1)).train_on_batch(X, Y)
    with pytest.raises(NotImplementedError, match="must implement update_step"):
        optimizers.Optimizer(0.1).update_step(None, None, None)
    with pytest.raises(ValueError, match="number of provided names"):
        Mine().add_optimizer_variables([], ["a", "b"], ["zeros"])
    first, second = (Variable(np.ones(3), name=name) for name in ("first", "second"))
    optimizer = Mine()
    optimizer.apply([np.ones(3)], [first])
    with pytest.raises(ValueError, match="Unknown variable: 'second'"):
        optimizer.apply([np.ones(3), np.ones(3)], [first, second])


@pytest.mark.parametrize("name", ["Adafactor", "Muon"])
def test_keras_goes_on_from_their_files(tmp_path, keras, name):
    """And the reverse: the memory lies in the order of Keras's."""
    x, y = random.normal(size=(16, 4)).astype(np.float32), random.normal(size=(16, 3)).astype(np.float32)
    models = []
    for k in fastnn, keras:
        model = k.Sequential([k.Input((4,)), k.layers.Dense(6, "tanh"), k.layers.Dense(3)])
        model.compile(getattr(k.optimizers, name)(0.05), "mse")
        model.fit(x, y, batch_size=8, verbose=0)
        model.save(tmp_path / f"{k.__name__}.keras")
        models.append(model)
    for model, other in zip(models, (keras, fastnn), strict=True):
        loaded = other.models.load_model(tmp_path / f"{'fastnn' if other is keras else 'keras'}.keras")
        for each in model, loaded:
            each.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0)
        for one, two in zip(model.get_weights(), loaded.get_weights(), strict=True):
            np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-5)
