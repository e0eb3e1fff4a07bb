"""What surrounds an update: any combination of options beside the float64 oracle, and in models."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastnn
from fastnn import optimizers
from fastnn.variables import Variable
from harness.models import X, Y, classifier, same
from reference import optimizers as oracle

SHAPES = [(7, 5), (5,), (70, 90)]  # the last one has two chunks of squares
UPDATES = {
    "SGD": (oracle.sgd, dict(momentum=0.9), ["momentum"]),
    "Adam": (oracle.adam, dict(beta_1=0.9, beta_2=0.99, epsilon=1e-3), ["momentum", "velocity"]),
    "Lamb": (oracle.lamb, dict(beta_1=0.9, beta_2=0.99, epsilon=1e-3), ["momentum", "velocity"]),
    "RMSprop": (oracle.rmsprop, dict(rho=0.9, momentum=0.0, epsilon=1e-2), ["velocity"]),
}


@given(
    st.sampled_from(sorted(UPDATES)),
    st.sampled_from([{}, dict(clipvalue=0.5), dict(clipnorm=1.5), dict(global_clipnorm=3.0)]),
    st.sampled_from([None, 0.1]),
    st.sampled_from([None, 2, 3]),
    st.sampled_from([None, dict(ema_momentum=0.6), dict(ema_momentum=0.9, ema_overwrite_frequency=3)]),
    st.integers(1, 9),
)
@settings(max_examples=60)
def test_any_combination(name, clip, decay, accumulation, average, steps):
    update, own, slots = UPDATES[name]
    random = np.random.default_rng(steps)
    start = [random.normal(size=shape).astype(np.float32) for shape in SHAPES]
    optimizer = getattr(optimizers, name)(
        0.05, **own, **clip, weight_decay=decay, gradient_accumulation_steps=accumulation, use_ema=bool(average),
        **(average or {}),
    )  # fmt: skip
    variables = [Variable(each, layout="panels" if each.ndim > 1 else "rows") for each in start]
    around = dict(clip, weight_decay=decay or 0, accumulation=accumulation or 1)
    if average:
        around.update(ema_momentum=average["ema_momentum"], overwrite=average.get("ema_overwrite_frequency"))
    memory = [{slot: np.zeros(shape) for slot in slots} for shape in SHAPES]
    loop = oracle.Loop(update, start, memory, 0.05, own, **around)
    for _ in range(steps):
        grads = [random.normal(size=shape).astype(np.float32) for shape in SHAPES]
        optimizer.apply(grads, variables)
        loop.step(grads)
    for variable, expected in zip(variables, loop.weights, strict=True):
        np.testing.assert_allclose(variable.numpy(), expected, rtol=1e-4, atol=2e-5)
    assert optimizer.iterations == steps // (accumulation or 1)
    if average:
        optimizer.finalize_variable_values(variables)
        for variable, expected in zip(variables, loop.averages, strict=True):
            np.testing.assert_allclose(variable.numpy(), expected, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("cls", optimizers._CLASSES)
def test_the_same_bits_for_any_team(cls):
    results = []
    for threads in 1, 2, 3:
        fastnn.set_threads(threads)
        random = np.random.default_rng(0)
        variables = [Variable(random.normal(size=(300, 200)), layout="panels"), Variable(random.normal(size=200))]
        optimizer = cls(clipnorm=0.7, weight_decay=0.1, use_ema=True)
        for _ in range(3):
            optimizer.apply([random.normal(size=each.shape) for each in variables], variables)
        results.append([each.numpy() for each in variables])
    fastnn.set_threads(2)
    for other in results[1:]:
        for one, two in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(one, two)


def test_a_loop_of_ones_own_is_fit():
    """`apply` with the gradients that `fit` computes does what `fit` does."""
    model = classifier(optimizer=optimizers.SGD(0.5))
    before = model.get_weights()
    model.train_on_batch(X, Y)
    grads = [(a - b) / 0.5 for a, b in zip(before[:2], model.get_weights()[:2], strict=True)]
    model.set_weights(before)
    layer = model.layers[0]
    optimizers.SGD(0.5).apply_gradients([(grads[0], layer.kernel), (grads[1], layer.bias)])
    fresh = classifier(optimizer=optimizers.SGD(0.5))
    fresh.train_on_batch(X, Y)
    for one, other in zip(model.get_weights()[:2], fresh.get_weights()[:2], strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_numbers_assigned_after_compile_hold():
    for name, value in dict(beta_1=0.5, beta_2=0.9, epsilon=0.1, weight_decay=0.5, clipvalue=0.001).items():
        start = {"weight_decay": 0.1, "clipvalue": 10.0}
        kept = {key: each for key, each in start.items() if key == name}
        changed = classifier(optimizer=optimizers.Adam(0.01, **kept))
        made = classifier(optimizer=optimizers.Adam(0.01, **{**kept, name: value}))
        setattr(changed.optimizer, name, value)
        for model in changed, made:
            model.fit(X, Y, shuffle=False, verbose=0)
        same(changed, made)


def test_what_decides_the_memory_cannot_be_assigned_in_use():
    model = classifier(optimizer=optimizers.SGD(0.01))
    model.optimizer.momentum = 0.5  # not in use yet
    model.optimizer.momentum = 0.0
    model.fit(X, Y, verbose=0)
    for name, value in dict(momentum=0.9, use_ema=True, gradient_accumulation_steps=2).items():
        with pytest.raises(ValueError, match=f"`{name}` cannot become"):
            setattr(model.optimizer, name, value)
    with pytest.raises(ValueError, match="before the optimizer is built"):
        model.optimizer.exclude_from_weight_decay(var_names=["bias"])


@pytest.mark.parametrize(
    "assigned",
    [{"clipnorm": 0.05}, {"clipvalue": 0.01}, {"global_clipnorm": 0.05}, {"weight_decay": 0.5}, {"nesterov": True},
     {"clipvalue": 1e-3, "clipnorm": 0.05}, {"weight_decay": 0.5, "clipnorm": 0.05}],
)  # fmt: skip
def test_what_decides_no_memory_can_be_assigned_in_use(assigned):
    """As in Keras, where it takes effect at the next `compile`. Of several clips the norm's holds."""
    start = optimizers.SGD(0.1, momentum=0.5)
    changed = classifier(optimizer=start)
    changed.fit(X, Y, shuffle=False, verbose=0)
    weights, memory = changed.get_weights(), [each.numpy() for each in start.variables]

    def twin(**options):
        model = classifier(optimizer=optimizers.SGD(0.1, momentum=0.5, **options))
        model.optimizer.build(model.trainable_variables)
        return model

    def again(model):
        model.set_weights(weights)
        for variable, value in zip(model.optimizer.variables, memory, strict=True):
            variable.assign(value)
        model.fit(X, Y, shuffle=False, verbose=0)

    plain = {name: getattr(start, name) for name in assigned}
    for values in assigned, plain:  # there and back
        for name, value in values.items():
            setattr(start, name, value)
        given = {name: value for name, value in values.items() if name != "clipvalue" or len(values) == 1}
        made = twin(**given)
        for model in changed, made:
            again(model)
        same(changed, made)


def test_multipliers():
    models = [classifier(optimizer=optimizers.SGD(0.1)) for _ in range(2)]
    start = models[0].get_weights()
    slow = models[1]
    slow.optimizer.learning_rate_multipliers = {slow: 0.5, slow.layers[0]: 0.1, slow.layers[0].bias: 0.0}
    for model in models:
        model.train_on_batch(X, Y)
    moved = [[w - s for w, s in zip(model.get_weights(), start, strict=True)] for model in models]
    for index, factor in enumerate([0.1, 0.0, 0.5, 0.5]):
        np.testing.assert_allclose(moved[1][index], factor * moved[0][index], atol=1e-6)
    slow.set_weights(start)
    slow.optimizer.learning_rate_multipliers = {}
    slow.train_on_batch(X, Y)
    for one, other in zip(slow.get_weights()[:2], models[0].get_weights()[:2], strict=True):
        np.testing.assert_allclose(one, other, atol=1e-7)


def test_weight_decay_spares_what_is_excluded():
    model = classifier(optimizer=optimizers.SGD(1e-30, weight_decay=1e29))  # lr * wd = 0.1
    model.optimizer.exclude_from_weight_decay(var_list=[model.layers[0].kernel], var_names=["bias", "gamma"])
    before = {variable.path: variable.numpy() for variable in model.trainable_weights}
    model.train_on_batch(X, Y)
    for variable in model.trainable_weights:
        spared = variable is model.layers[0].kernel or variable.name in ("bias", "gamma")
        np.testing.assert_allclose(variable.numpy(), before[variable.path] * (1 if spared else 0.9), rtol=1e-6)


def test_moving_means_at_the_end_of_fit():
    model = classifier(optimizer=optimizers.SGD(0.1, use_ema=True))
    model.fit(X, Y, verbose=0)
    for variable in model.trainable_weights:
        np.testing.assert_array_equal(variable.numpy(), model.optimizer.average(variable).numpy())


def test_variables_can_be_carried_over():
    """What a file would hold: training goes on as if it had not been interrupted."""
    make = lambda: classifier(optimizer=optimizers.Nadam(0.01, use_ema=True, gradient_accumulation_steps=3))  # noqa: E731
    one, other = make(), make()
    for model in one, other:
        model.optimizer.build(model.trainable_weights)
    one.train_on_batch(X, Y)
    one.train_on_batch(X, Y)
    other.set_weights(one.get_weights())
    for mine, theirs in zip(other.optimizer.variables, one.optimizer.variables, strict=True):
        mine.assign(theirs.numpy())
    other.optimizer.learning_rate = one.optimizer.learning_rate  # among the variables it is float32
    for model in one, other:
        model.train_on_batch(X, Y)
        model.train_on_batch(X, Y)
    same(one, other)


def test_the_default_of_compile_is_rmsprop():
    model = fastnn.Sequential([fastnn.Input((6,)), fastnn.layers.Dense(3)])
    model.compile(loss="mse")
    assert type(model.optimizer) is optimizers.RMSprop


def test_legacy_optimizers_decay(tmp_path):
    """learning_rate / (1 + decay * iterations), as before Keras 3; saved as what Keras knows."""
    x, y = np.ones((8, 2), np.float32), np.zeros((8, 1), np.float32)
    optimizer = optimizers.legacy.SGD(lr=0.1, decay=0.5)
    assert isinstance(optimizer, optimizers.SGD)
    assert issubclass(optimizers.legacy.Adam, optimizers.Adam)
    model = fastnn.Sequential([fastnn.Input((2,)), fastnn.layers.Dense(1, use_bias=False, kernel_initializer="ones")])
    model.compile(optimizer, "mse")
    weight = 1.0
    for step in range(5):
        assert float(optimizer.learning_rate) == pytest.approx(0.1 / (1 + 0.5 * step))
        model.train_on_batch(x, y)
        weight -= 0.1 / (1 + 0.5 * step) * 2 * (2 * weight)
    np.testing.assert_allclose(model.get_weights()[0], weight, rtol=1e-5)
    model.save(tmp_path / "m.fastnn")
    loaded = fastnn.models.load_model(tmp_path / "m.fastnn").optimizer
    assert type(loaded) is optimizers.SGD
    assert float(loaded.learning_rate) == pytest.approx(0.1 / 3.5)
    assert optimizers.legacy.Adam(0.25).learning_rate == 0.25
    with pytest.raises(ValueError, match="`decay` is for a learning rate that is a number"):
        optimizers.legacy.Adam(optimizers.schedules.ExponentialDecay(0.1, 1, 0.5), decay=0.1)
    with pytest.warns(UserWarning, match="InverseTimeDecay"):
        optimizers.SGD(0.1, decay=0.1)


def test_an_optimizer_is_of_one_model():
    def model():
        made = fastnn.Sequential([fastnn.Input((2,)), fastnn.layers.Dense(3), fastnn.layers.Dense(1)])
        made.compile(optimizer, "mse")
        return made

    x, y = np.ones((8, 2)), np.zeros((8, 1))
    optimizer = optimizers.Adam()
    first, second = model(), model()
    first.fit(x, y, verbose=0)
    with pytest.raises(ValueError, match="Unknown variable.*another model"):
        second.fit(x, y, verbose=0)
    first.layers[0].trainable = False
    first.compile(optimizer, "mse")
    first.fit(x, y, verbose=0)


def test_a_subclass_keeps_its_settings():
    class Careful(optimizers.Adam):
        def __init__(self, learning_rate=1e-4, **kwargs):
            super().__init__(learning_rate, clipnorm=1.0, **kwargs)

    optimizer = Careful(beta_1=0.8)
    assert (optimizer.learning_rate, optimizer.beta_1, optimizer.clipnorm) == (1e-4, 0.8, 1.0)
    assert json.dumps(optimizer.get_config())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: optimizers.SGD().apply([np.zeros(3)]), "must already be built"),
        (lambda: optimizers.SGD().apply([np.zeros(3)], []), "a gradient for each"),
        (lambda: optimizers.SGD().apply([None], [Variable(np.zeros(3))]), "No gradients provided"),
        (lambda: optimizers.SGD().apply([np.zeros(4)], [Variable(np.zeros(3), name="w")]), "'w' must have its shape"),
    ],
)
def test_wrong_use_of_apply_is_refused(call, message):
    with pytest.raises(ValueError) as caught:
        call()
    assert message in str(caught.value)
