"""Regularizers and constraints: beside Keras in a training run, and one by one beside what they say of arrays."""

import json

import numpy as np
import pytest

import fastnn
from fastnn import constraints, layers, regularizers

X = np.random.default_rng(0).normal(size=(240, 11)).astype(np.float32)
Y = np.random.default_rng(1).integers(0, 5, 240)
SPARSE = "sparse_categorical_crossentropy"


def net(k):
    L, R, C = k.layers, k.regularizers, k.constraints
    hidden = L.Dense(
        20,
        activation="relu",
        kernel_regularizer="l2",
        bias_regularizer=R.L1(0.001),
        kernel_constraint=C.MaxNorm(1.0),
        bias_constraint=C.MinMaxNorm(0.1, 0.2, 0.5),
    )
    normalised = L.BatchNormalization(
        gamma_regularizer=R.L1L2(0.01, 0.02), beta_constraint="non_neg", gamma_constraint=C.UnitNorm()
    )
    second = L.Dense(
        9,
        activation="tanh",
        activity_regularizer=R.L1L2(0.01, 0.02),
        kernel_regularizer=R.OrthogonalRegularizer(0.3),
        kernel_constraint=C.UnitNorm(axis=1),
    )
    last = L.Dense(
        5,
        activation="softmax",
        activity_regularizer="l2",
        kernel_regularizer=R.OrthogonalRegularizer(0.5, "columns"),
        kernel_constraint=C.MinMaxNorm(0.5, 1.0, 0.9, axis=[0, 1]),
    )
    return k.Sequential(
        [k.Input((11,)), hidden, L.Dense(12, use_bias=False), normalised, second, L.ActivityRegularization(0.02), last]
    )


def test_twenty_steps(keras):
    """1e-3 of the largest value: the penalties' gradients jump where a weight or a product changes its sign."""
    theirs, mine = models = [net(k) for k in (keras, fastnn)]
    random = np.random.default_rng(5)
    start = [w + 0.1 + 0.1 * random.random(w.shape).astype(w.dtype) for w in theirs.get_weights()]
    logs = []
    for model in models:
        model.set_weights(start)
        model.compile("sgd", SPARSE)
        before = model.evaluate(X, Y, batch_size=120, verbose=0)  # whole batches: Keras compiles for each size
        history = model.fit(X, Y, batch_size=12, shuffle=False, verbose=0).history
        after = model.evaluate(X, Y, batch_size=120, verbose=0)
        logs.append((before, *history["loss"], after, sum(map(float, model.losses))))
    # Keras measures two of the penalties in `losses` of activities, too, after a call
    assert logs[1][:3] == pytest.approx(logs[0][:3], rel=2e-4)
    for one, other in zip(mine.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-3 * np.abs(other).max())


MATRIX, VECTOR = (37, 21), (19,)
REGULARIZERS = [
    (regularizers.L1(0.3), MATRIX),
    (regularizers.L2(0.3), VECTOR),
    (regularizers.L1L2(0.1, 0.2), MATRIX),
    (regularizers.OrthogonalRegularizer(2.0), MATRIX),
    (regularizers.OrthogonalRegularizer(2.0, "columns"), MATRIX),
]


@pytest.mark.parametrize(("regularizer", "shape"), REGULARIZERS)
def test_a_step_follows_the_gradient_of_the_penalty(regularizer, shape):
    """The loss is the penalty alone; its gradient in float64, by central differences."""
    value = np.random.default_rng(3).normal(size=(37, 21))
    kind = "bias" if len(shape) == 1 else "kernel"
    dense = layers.Dense(shape[-1], **{f"{kind}_regularizer": regularizer})
    model = fastnn.Sequential([fastnn.Input((37 if kind == "kernel" else 4,)), dense])
    variable = getattr(dense, kind)
    value = value if kind == "kernel" else value[0, :19]
    variable.assign(value)
    model.compile(fastnn.optimizers.SGD(1.0), "mse", loss_weights=0.0)
    x, y = np.zeros((8, model.input_shape[1])), np.zeros((8, shape[-1]))
    value = variable.numpy().astype(np.float64)
    assert model.evaluate(x, y, verbose=0) == pytest.approx(regularizer(value), rel=1e-5)
    assert model.losses == pytest.approx([regularizer(value)], rel=1e-5)
    assert model.train_on_batch(x, y) == pytest.approx(regularizer(value), rel=1e-5)
    step = value - variable.numpy()
    for index in list(np.ndindex(shape))[:: max(1, value.size // 40)]:
        around = []
        for change in 1e-6, -1e-6:
            moved = value.copy()
            moved[index] += change
            around.append(regularizer(moved))
        assert step[index] == pytest.approx((around[0] - around[1]) / 2e-6, rel=1e-3, abs=2e-6)


def test_penalties_are_the_same_bits_for_any_team():
    results = []
    for threads in 1, 2, 3:
        fastnn.set_threads(threads)
        fastnn.utils.set_random_seed(0)
        model = fastnn.Sequential([fastnn.Input((11,))])
        model = net(fastnn)
        model.compile(fastnn.optimizers.Lamb(clipnorm=0.5), SPARSE)
        history = model.fit(X, Y, epochs=2, batch_size=64, verbose=0).history["loss"]
        results.append((history, [w.tobytes() for w in model.get_weights()]))
    fastnn.set_threads(2)
    assert results[0] == results[1] == results[2]


CONSTRAINTS = [
    constraints.NonNeg(),
    constraints.UnitNorm(),
    constraints.UnitNorm(axis=1),
    constraints.MaxNorm(0.7),
    constraints.MaxNorm(3, axis=-1),
    constraints.MaxNorm(2, axis=None),
    constraints.MinMaxNorm(3.0, 4.0, 0.3),
    constraints.MinMaxNorm(1.0, 2.0, axis=[0, 1]),
]


@pytest.mark.parametrize("constraint", CONSTRAINTS)
@pytest.mark.parametrize("units", [5, 16, 49, 70])
def test_a_step_ends_with_the_constraint(constraint, units, keras):
    dense = layers.Dense(units, kernel_constraint=constraint)
    model = fastnn.Sequential([fastnn.Input((23,)), dense])
    dense.kernel.assign(np.random.default_rng(units).normal(size=(23, units)))
    model.compile(fastnn.optimizers.SGD(0.0), "mse")
    before = dense.kernel.numpy()
    model.train_on_batch(np.zeros((4, 23)), np.zeros((4, units)))
    np.testing.assert_allclose(dense.kernel.numpy(), constraint(before), rtol=1e-5, atol=1e-7)
    theirs = getattr(keras.constraints, type(constraint).__name__)(**constraint.get_config())
    if getattr(constraint, "axis", 0) != [0, 1]:
        np.testing.assert_allclose(constraint(before), np.asarray(theirs(before)), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("module", ["regularizers", "constraints"])
def test_names_and_configurations(module, keras):
    mine, theirs = getattr(fastnn, module), getattr(keras, module)
    names = {
        "regularizers": ["l1", "l2", "l1l2", "L1L2", "orthogonal_regularizer", "L1"],
        "constraints": ["max_norm", "MaxNorm", "non_neg", "unit_norm", "min_max_norm"],
    }[module]
    for name in names:
        one, other = mine.get(name), theirs.get(name)
        assert type(one).__name__ == type(other).__name__
        assert one.get_config() == pytest.approx(other.get_config())
        again = mine.deserialize(json.loads(json.dumps(mine.serialize(one))))
        assert type(again) is type(one)
        assert again.get_config() == one.get_config()
        assert mine.get(one) is one
    for name in {"regularizers": ["l1", "l2", "l1_l2"], "constraints": names}[module]:
        assert type(getattr(mine, name)()) is type(mine.get(name))
    assert mine.get(None) is None
    with pytest.raises(ValueError, match="Could not interpret"):
        mine.get("l3")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: regularizers.L2(-1), "non-negative"),
        (lambda: regularizers.L1("much"), "non-negative"),
        (lambda: regularizers.OrthogonalRegularizer(mode="all"), "Expected one of"),
        (lambda: regularizers.OrthogonalRegularizer()(np.zeros(3)), "rank 2"),
        (lambda: constraints.MaxNorm(-1), "`max_value`"),
        (lambda: constraints.UnitNorm(axis="rows"), "`axis`"),
        (lambda: trained(kernel_regularizer=lambda w: w), "must return one number"),
        (lambda: trained(kernel_constraint=lambda w: w[0]), "must return a tensor of shape (3, 2)"),
        (lambda: trained(activity_regularizer=lambda w: 0.1), "must return one number"),
        (lambda: trained(activity_regularizer=regularizers.OrthogonalRegularizer()), "cannot be an `activity_reg"),
        (lambda: trained(bias_regularizer=regularizers.OrthogonalRegularizer()), "rank 2"),
        (lambda: trained(kernel_constraint=constraints.MaxNorm(axis=2)), "has no axis 2"),
    ],
)
def test_wrong_ones_are_refused(call, message):
    with pytest.raises((ValueError, TypeError)) as caught:
        call()
    assert message in str(caught.value)


def trained(**options):
    model = fastnn.Sequential([fastnn.Input((3,)), layers.Dense(2, **options)])
    model.compile("sgd", "mse")
    model.fit(np.zeros((4, 3)), np.zeros((4, 2)), verbose=0)
    return model


def test_frozen_layers_have_no_penalty():
    model = trained(kernel_regularizer="l2")
    assert model.losses[0] > 0
    model.layers[0].trainable = False
    model.compile("sgd", "mse")
    assert model.losses == []
    assert model.evaluate(np.zeros((4, 3)), np.zeros((4, 2)), verbose=0) == pytest.approx(
        float((model.layers[0].bias.numpy() ** 2).mean())
    )


def test_freezing_drops_the_penalties():
    model = trained(activity_regularizer="l2")
    x = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    np.testing.assert_allclose(model.freeze()(x), model.predict(x, verbose=0), rtol=1e-6)
