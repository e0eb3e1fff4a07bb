"""BatchNormalization, Normalization, Rescaling: statistics, freezing, adapting, arguments."""

import numpy as np
import pytest

import fastnn
from fastnn import layers
from harness.layers import data


def test_batch_normalisation_follows_the_data():
    bn = layers.BatchNormalization(momentum=0.5)
    x = data(50, 3) * 2 + 5
    y = bn(x, training=True)
    np.testing.assert_allclose(y.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(y.std(axis=0), 1, atol=1e-3)
    np.testing.assert_allclose(bn.moving_mean.numpy(), 0.5 * x.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(bn.moving_variance.numpy(), 0.5 + 0.5 * x.var(axis=0), rtol=1e-5)
    before = bn.get_weights()
    bn(x)
    bn(x, training=False)
    for old, new in zip(before, bn.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_frozen_batch_normalisation_runs_in_inference_mode():
    bn = layers.BatchNormalization()
    x = data(50, 3) * 2 + 5
    assert np.abs(bn(x, training=True) - bn(x)).max() > 1
    bn.trainable = False
    np.testing.assert_array_equal(bn(x, training=True), bn(x))
    bn.trainable = True
    assert np.abs(bn(x, training=True) - bn(x)).max() > 1


def test_frozen_batch_normalisation_in_fit():
    x, y = data(64, 3) * 2 + 5, data(64, 1, seed=1)
    model = fastnn.Sequential([fastnn.Input((3,)), layers.BatchNormalization(), layers.Dense(1)])
    model.layers[0].trainable = False
    model.compile("sgd", "mse")
    before = model.layers[0].get_weights()
    model.fit(x, y, verbose=0)
    for old, new in zip(before, model.layers[0].get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"momentum": 1.5}, "momentum"),
        ({"momentum": -0.1}, "momentum"),
        ({"epsilon": 0}, "epsilon"),
        ({"epsilon": float("nan")}, "epsilon"),
        ({"center": "zeros"}, "`center` must be True or False"),
        ({"scale": 2.0}, "`scale` must be True or False"),
    ],
)
def test_batch_normalisation_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        layers.BatchNormalization(**arguments)


def test_axes_that_are_none():
    x = data(5, 4, 3)
    for make in (
        layers.BatchNormalization,
        layers.LayerNormalization,
        layers.UnitNormalization,
        layers.GroupNormalization,
    ):
        for axis in 0, 3, -3, -4:
            with pytest.raises(ValueError, match=f"`axis` must name different axes of a sample, 1 to 2.*axis=.{axis}"):
                make(axis=axis)(x)
    for wrong in ([1, 1], [1, -2], [0, 1], []):
        with pytest.raises(ValueError, match="`axis` must name different axes of a sample, 1 to 2"):
            layers.BatchNormalization(axis=wrong)(x)
    for wrong in (1.5, None, ["last"], True):
        with pytest.raises(TypeError, match="Expected an int or a list/tuple of ints"):
            layers.BatchNormalization(axis=wrong)
    with pytest.raises(ValueError, match="one device here"):
        layers.BatchNormalization(synchronized=True)
    with pytest.raises(TypeError, match="Expected an int or a list/tuple of ints"):
        layers.LayerNormalization(axis="last")
    with pytest.raises(ValueError, match="multiple of the number of groups, 2"):
        layers.GroupNormalization(2)(x)
    for layer in layers.LayerNormalization(), layers.GroupNormalization(3), layers.BatchNormalization(axis=2):
        layer(x)
        with pytest.raises(ValueError, match="was built for"):
            layer(data(5, 3, 4))


@pytest.mark.parametrize(("axis", "shape"), [([1, 2], (4, 3)), ([-1, 1], (4, 3)), ([1, 3], (4, 2, 3)), ([2], (4, 3))])
def test_batch_normalisation_over_several_axes(axis, shape):
    """One mean and variance for each place along those axes: the oracle of features that are one axis."""
    from reference import batchnorm

    bn, x = layers.BatchNormalization(axis=axis, momentum=0.5), data(20, *shape) * 2 + 3
    y = bn(x, training=True)
    axes = sorted(each % x.ndim for each in axis)
    places = tuple(x.shape[each] for each in axes)
    others = [each for each in range(x.ndim) if each not in axes]

    def rows(array):
        return array.transpose(others + axes).reshape(-1, np.prod(places))

    mean, variance = batchnorm.statistics(rows(x))
    expected = batchnorm.forward(rows(x), 1, 0, mean, variance, bn.epsilon)
    np.testing.assert_allclose(rows(y), expected, atol=1e-5)
    assert [each.shape for each in bn.weights] == [places] * 4
    np.testing.assert_allclose(bn.moving_mean.numpy(), mean.reshape(places) / 2, rtol=1e-5)
    np.testing.assert_allclose(bn.moving_variance.numpy(), 0.5 + variance.reshape(places) / 2, rtol=1e-5)
    with pytest.raises(ValueError, match="was built for"):
        bn(data(20, *(each + 1 for each in shape)))


def test_batch_normalisation_of_two_axes_trains_as_of_one(keras):
    """Real Keras refuses a list, but one axis of 12 features has the numbers of two of 4 and 3."""
    x, y = data(64, 4, 3), data(64, 2, seed=1)

    def network(package, axis):
        several = isinstance(axis, list)
        middle = [] if several else [package.layers.Reshape((12,))]
        made = package.layers.BatchNormalization(axis=axis, beta_regularizer="l2", gamma_constraint="non_neg")
        stack = [*middle, made, package.layers.Reshape((12,)), package.layers.Dense(2, kernel_initializer="ones")]
        model = package.Sequential([package.Input((4, 3)), *stack])
        model.compile(package.optimizers.Adam(0.01), "mse")
        model.fit(x, y, epochs=5, batch_size=16, shuffle=False, verbose=0)
        return model

    ours, joined, theirs = network(fastnn, [1, 2]), network(fastnn, -1), network(keras, -1)
    for found, same, expected in zip(ours.get_weights(), joined.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_array_equal(found.ravel(), same.ravel())
        np.testing.assert_allclose(found.ravel(), expected.ravel(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("suffix", [".fastnn", ".keras"])
def test_batch_normalisation_of_two_axes_is_saved_and_frozen(suffix, tmp_path):
    bn = layers.BatchNormalization(axis=[1, 2], gamma_regularizer="l1", beta_constraint="non_neg")
    model = fastnn.Sequential([fastnn.Input((4, 3)), bn, layers.Flatten(), layers.Dense(2)])
    for weight in model.weights:
        weight.assign(np.abs(data(*weight.shape)) + 0.5)
    x = data(20, 4, 3)
    expected = model.predict(x, verbose=0)
    model.save(tmp_path / f"model{suffix}")
    again = fastnn.models.load_model(tmp_path / f"model{suffix}")
    np.testing.assert_array_equal(again.predict(x, verbose=0), expected)
    assert again.layers[0].get_config() == bn.get_config()
    np.testing.assert_allclose(model.freeze()(x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "make",
    [layers.BatchNormalization, layers.LayerNormalization, lambda **given: layers.GroupNormalization(3, **given)],
)
def test_scale_and_shift_are_held_and_saved(make, keras):
    given = dict(beta_regularizer="l2", gamma_regularizer="l1", beta_constraint="non_neg", gamma_constraint="unit_norm")
    ours = make(**given)
    theirs = getattr(keras.layers, type(ours).__name__).from_config(ours.get_config())
    again = type(ours).from_config(theirs.get_config())
    assert [again.gamma_regularizer.l1, type(again.beta_constraint)] == [np.float32(0.01), fastnn.constraints.NonNeg]
    assert type(ours).from_config(ours.get_config()).get_config() == ours.get_config()
    weights = []
    for layer, package in ((ours, fastnn), (theirs, keras)):
        model = package.Sequential([package.Input((6,)), layer])
        model.compile(package.optimizers.SGD(0.1), "mse")
        model.fit(data(32, 6), data(32, 6, seed=1), epochs=3, shuffle=False, verbose=0)
        weights.append(model.get_weights())
    for found, expected in zip(*weights, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_row_normalisation_stays_when_frozen():
    stack = [layers.LayerNormalization(), layers.Dense(6), layers.RMSNormalization(), layers.GroupNormalization(2)]
    model = fastnn.Sequential([fastnn.Input((8,)), *stack, layers.PReLU(), layers.UnitNormalization(), layers.Dense(2)])
    for weight in model.weights:
        weight.assign(data(*weight.shape))
    x = data(20, 8)
    np.testing.assert_allclose(model.freeze()(x), model.predict(x, verbose=0), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "axis"),
    [((200, 3), -1), ((40, 5, 3), -1), ((200, 3), None), ((40, 5, 3), None), ((40, 5, 3), (1, -1)), ((40, 5, 3), 1)],
)
def test_adapt_is_that_of_keras(shape, axis, keras):
    x = data(*shape) * [1, 10, 0.1] + [5, 0, -100]
    ours, theirs = layers.Normalization(axis=axis), keras.layers.Normalization(axis=axis)
    ours.adapt(x)
    theirs.adapt(np.float32(x))
    np.testing.assert_allclose(ours(x), np.asarray(theirs(np.float32(x))), rtol=1e-3, atol=1e-3)
    assert [v.name for v in ours.weights] == [v.name for v in theirs.weights]
    assert [v.shape for v in ours.weights] == [tuple(v.shape) for v in theirs.weights]


def test_adapt_is_exact_far_from_zero_and_for_every_dtype(tmp_path):
    x = np.random.default_rng(0).normal(size=(5000, 4)) + 1e4
    layer = layers.Normalization()
    layer.adapt(x)
    np.testing.assert_allclose(layer.mean.numpy(), x.mean(axis=0), rtol=1e-7)
    np.testing.assert_allclose(layer.variance.numpy(), x.var(axis=0), rtol=1e-6)
    file = np.memmap(tmp_path / "x", np.uint8, "w+", shape=(300, 4, 5))
    file[:] = np.random.default_rng(1).integers(0, 256, file.shape)
    other = layers.Normalization()
    other.adapt(file)
    np.testing.assert_allclose(other.mean.numpy(), file.mean(axis=(0, 1)), rtol=1e-6)


def test_adapting_again_starts_anew_and_reaches_models():
    layer = layers.Normalization()
    model = fastnn.Sequential([fastnn.Input((3,)), layer])
    first, second = data(100, 3), data(100, 3, seed=1) * 3 + 2
    layer.adapt(first)
    model(first)
    layer.adapt(second)
    np.testing.assert_allclose(model(second).mean(axis=0), 0, atol=1e-5)
    other = layers.Normalization()
    other.build((None, 3))
    other.set_weights(layer.get_weights())
    np.testing.assert_array_equal(other(second), layer(second))


def test_a_feature_that_does_not_vary_stays_finite():
    layer = layers.Normalization()
    layer.adapt(np.ones((10, 2)))
    np.testing.assert_array_equal(layer(np.ones((3, 2))), np.zeros((3, 2)))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: layers.Normalization(mean=1.0), "both `mean` and `variance`"),
        (lambda: layers.Normalization(axis=0), "axis"),
        (lambda: layers.Normalization(mean=1.0, variance=1.0).adapt(data(2, 3)), "static"),
        (lambda: layers.Normalization(name="n").adapt(np.empty((0, 3))), "'n'.*empty"),
        (lambda: layers.Normalization(name="n").adapt(["a", "b"]), "'n'"),
        (
            lambda: layers.Normalization(mean=[1, 2], variance=[1, 2])(data(2, 3)),
            r"shape \(3,\).*Received the shape \(2,\)",
        ),
        (lambda: layers.Rescaling([1, 2])(data(2, 3)), "`scale`.*3 features.*2 numbers"),
        (lambda: layers.Rescaling("a"), "`scale` must be one finite number.*scale='a'"),
        (lambda: layers.Rescaling("3"), "scale='3'"),
        (lambda: layers.Rescaling(None), "scale=None"),
        (lambda: layers.Rescaling([[1, 2], [3]]), "scale="),
        (lambda: layers.Rescaling(np.inf), "scale=inf"),
        (lambda: layers.Rescaling(1, "x"), "`offset`.*offset='x'"),
        (lambda: layers.Normalization(mean="a", variance=1), "`mean`.*mean='a'"),
        (lambda: layers.Normalization(mean=1, variance=[1, None]), "`variance`"),
        (lambda: layers.Normalization(invert="yes"), "`invert` must be True or False"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call()


def test_adapt_refuses_other_features():
    layer = layers.Normalization(name="n")
    layer.adapt(data(5, 3))
    with pytest.raises(ValueError, match=r"'n' was built for 3 features.*\(5, 4\)"):
        layer.adapt(data(5, 4))


@pytest.mark.parametrize("invert", [False, True])
@pytest.mark.parametrize("axis", [-1, None])
def test_assigned_statistics_are_seen(axis, invert):
    layer = layers.Normalization(axis=axis, invert=invert)
    model = fastnn.Sequential([fastnn.Input((3,)), layer, layers.Dense(1)])
    model.compile(fastnn.optimizers.SGD(0.0), "mse")
    x, y = data(20, 3), data(20, 1)
    layer.adapt(x)
    shape = layer.mean.shape
    statistics = np.full(shape, 2.0), np.full(shape, 9.0)
    for method in (lambda: model.predict(x, verbose=0), lambda: model.evaluate(x, y, verbose=0),
                   lambda: model.fit(x, y, verbose=0, shuffle=False).history["loss"]):  # fmt: skip
        layer.adapt(x)
        before = np.asarray(method())
        layer.mean.assign(statistics[0])
        layer.variance.assign(statistics[1])
        after = np.asarray(method())
        np.testing.assert_allclose(layer(x), x * 3 + 2 if invert else (x - 2) / 3, rtol=1e-5, atol=1e-5)
        assert not np.allclose(before, after)
        layer.set_weights([*statistics, 20])  # another way to say the same
        np.testing.assert_array_equal(method(), after)
