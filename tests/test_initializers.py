import json
import math

import numpy as np
import pytest

import fastnn
from fastnn import _random, initializers

RANDOM = [
    initializers.RandomNormal,
    initializers.RandomUniform,
    initializers.TruncatedNormal,
    initializers.VarianceScaling,
    initializers.GlorotNormal,
    initializers.GlorotUniform,
    initializers.HeNormal,
    initializers.HeUniform,
    initializers.LecunNormal,
    initializers.LecunUniform,
]
MATRICES = [initializers.Orthogonal, initializers.Identity]
ALL = [initializers.Zeros, initializers.Ones, initializers.Constant, *RANDOM]
EVERY = [*ALL, *MATRICES]


@pytest.mark.parametrize("cls", ALL)
@pytest.mark.parametrize("shape", [(), (3,), 3, (4, 5), [4, 5], (2, 3, 4), (0, 4)])
def test_result_is_float32_of_the_given_shape(cls, shape):
    values = cls()(shape)
    assert isinstance(values, np.ndarray)
    assert values.dtype == np.float32
    assert values.shape == ((shape,) if isinstance(shape, int) else tuple(shape))
    assert np.isfinite(values).all()
    assert cls()((2, 2), dtype="float64").dtype == np.float64


def test_constants():
    np.testing.assert_array_equal(initializers.Zeros()((2, 3)), np.zeros((2, 3)))
    np.testing.assert_array_equal(initializers.Ones()((2, 3)), np.ones((2, 3)))
    np.testing.assert_array_equal(initializers.Constant(2.5)((2, 3)), np.full((2, 3), 2.5))


@pytest.mark.parametrize("cls", [*RANDOM, initializers.Orthogonal])
def test_one_instance_repeats_itself_and_two_instances_differ(cls):
    one, other = cls(), cls()
    np.testing.assert_array_equal(one((20, 3)), one((20, 3)))
    assert not np.array_equal(one((20, 3)), other((20, 3)))


@pytest.mark.parametrize("cls", [*RANDOM, initializers.Orthogonal])
def test_seed_decides_the_values(cls):
    np.testing.assert_array_equal(cls(seed=7)((5, 6)), cls(seed=7)((5, 6)))
    assert not np.array_equal(cls(seed=7)((5, 6)), cls(seed=8)((5, 6)))
    assert np.isfinite(cls(seed=-1)((5, 6))).all()
    assert np.isfinite(cls(seed=2**70 + 1)((5, 6))).all()


def test_session_seed_decides_unseeded_values():
    _random.set_seed(3)
    first = [initializers.HeNormal()((4, 4)) for _ in range(2)]
    _random.set_seed(3)
    again = [initializers.HeNormal()((4, 4)) for _ in range(2)]
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first[0], first[1])


@pytest.mark.parametrize(
    ("initializer", "mean", "stddev", "greatest"),
    [
        (initializers.RandomNormal(1.0, 2.0), 1.0, 2.0, None),
        (initializers.RandomUniform(-1.0, 3.0), 1.0, 4 / math.sqrt(12), 3.0),
        (initializers.TruncatedNormal(1.0, 2.0), 1.0, 2.0 * 0.8796256610342398, 5.0),
        (initializers.VarianceScaling(3.0, "fan_out"), 0.0, math.sqrt(3 / 500), None),
        (initializers.VarianceScaling(3.0, distribution="untruncated_normal"),
         0.0, math.sqrt(3 / 300), None),
        (initializers.VarianceScaling(3.0, distribution="uniform"),
         0.0, math.sqrt(3 / 300), math.sqrt(9 / 300)),
        (initializers.GlorotNormal(), 0.0, math.sqrt(2 / 800), None),
        (initializers.GlorotUniform(), 0.0, math.sqrt(2 / 800), math.sqrt(6 / 800)),
        (initializers.HeNormal(), 0.0, math.sqrt(2 / 300), None),
        (initializers.HeUniform(), 0.0, math.sqrt(2 / 300), math.sqrt(6 / 300)),
        (initializers.LecunNormal(), 0.0, math.sqrt(1 / 300), None),
        (initializers.LecunUniform(), 0.0, math.sqrt(1 / 300), math.sqrt(3 / 300)),
    ],
)  # fmt: skip
def test_moments(initializer, mean, stddev, greatest):
    values = initializer.from_config({**initializer.get_config(), "seed": 11})((300, 500))
    error = stddev / math.sqrt(values.size)
    assert abs(values.mean(dtype=np.float64) - mean) < 5 * error
    assert abs(values.std(dtype=np.float64) / stddev - 1) < 0.01
    if greatest is not None:
        assert np.abs(values - mean).max() <= greatest - mean + 1e-6
        assert np.abs(values - mean).max() > 0.99 * (greatest - mean)


def test_fans_of_other_ranks():
    def stddev(initializer, shape):
        return initializer(shape).std(dtype=np.float64)

    scaling = initializers.VarianceScaling
    # A vector counts as its own fan; leading axes are a receptive field.
    assert stddev(scaling(seed=1), (20000,)) == pytest.approx(math.sqrt(1 / 20000), rel=0.05)
    assert stddev(scaling(seed=1), (5, 20, 300)) == pytest.approx(math.sqrt(1 / 100), rel=0.05)
    assert stddev(scaling(seed=1, mode="fan_out"), (5, 20, 300)) == pytest.approx(math.sqrt(1 / 1500), rel=0.05)
    axes = scaling(seed=1, input_axes=[0], output_axes=[1, 2])
    assert stddev(axes, (50, 20, 30)) == pytest.approx(math.sqrt(1 / 50), rel=0.05)


@pytest.mark.parametrize("cls", EVERY)
def test_config_round_trip(cls):
    initializer = cls(seed=5) if issubclass(cls, initializers.RandomInitializer) else cls()
    config = json.loads(json.dumps(initializers.serialize(initializer)))
    again = initializers.deserialize(config)
    assert type(again) is cls
    assert again.get_config() == initializer.get_config()
    np.testing.assert_array_equal(again((3, 4)), initializer((3, 4)))
    np.testing.assert_array_equal(initializer.clone()((3, 4)), initializer((3, 4)))


@pytest.mark.parametrize("cls", EVERY)
def test_get_by_every_spelling(cls):
    snake = initializers.to_snake_case(cls.__name__)
    for identifier in (cls.__name__, snake, cls, {"class_name": cls.__name__, "config": {}}):
        assert type(initializers.get(identifier)) is cls
    assert getattr(initializers, snake) is cls
    instance = cls()
    assert initializers.get(instance) is instance


def test_get_other_identifiers():
    def function(shape, dtype=None):
        return np.ones(shape, np.float32)

    assert initializers.get(None) is None
    assert initializers.get(function) is function
    assert type(initializers.get("normal")) is initializers.RandomNormal
    assert type(initializers.get("uniform")) is initializers.RandomUniform
    values = np.arange(6).reshape(2, 3)
    np.testing.assert_array_equal(initializers.get(values)((2, 3)), values)
    assert initializers.get(values)((2, 3)).dtype == np.float32
    with pytest.raises(ValueError, match=r"Expected `shape` to be \(2, 3\)"):
        initializers.get(values)((3, 2))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: initializers.get("he_norml"), "Did you mean 'he_normal'"),
        (lambda: initializers.get(3), "Could not interpret initializer identifier: 3"),
        (lambda: initializers.get({"config": {}}), "expected {\"class_name\""),
        (lambda: initializers.get({"class_name": "Nothing"}), "'Nothing'"),
        (lambda: initializers.HeNormal(seed="x"), "HeNormal expected `seed`"),
        (lambda: initializers.Orthogonal()((3,)), "at least two numbers. Received: shape=(3,) of rank 1"),
        (lambda: initializers.Identity()((3, 3, 3)), "matrices only"),
        (lambda: initializers.for_activation("rellu"), "Known activations: celu"),
        (lambda: initializers.for_activation("relu", "flat"), "'normal' or 'uniform'"),
        (lambda: initializers.VarianceScaling(scale=0.0), "`scale` must be positive"),
        (lambda: initializers.VarianceScaling(mode="fan"), "Invalid `mode`"),
        (lambda: initializers.VarianceScaling(distribution="x"), "Invalid `distribution`"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_refused(call, message):
    with pytest.raises(ValueError) as error:
        call()
    assert message in str(error.value)


def test_base_class_must_be_subclassed():
    with pytest.raises(NotImplementedError):
        initializers.Initializer()((2,))


@pytest.mark.parametrize("cls", [*ALL, initializers.Orthogonal])  # that of Keras forgets the gain of Identity
def test_same_arguments_and_configuration_as_keras(keras, cls):
    theirs = getattr(keras.initializers, cls.__name__)
    assert set(cls().get_config()) == set(theirs().get_config())
    assert cls.from_config(theirs().get_config()).get_config() == theirs().get_config()


def test_same_moments_as_keras(keras):
    for cls in RANDOM:
        ours = cls(seed=1)((100, 400))
        theirs = np.asarray(getattr(keras.initializers, cls.__name__)(seed=1)((100, 400)))
        assert ours.std() == pytest.approx(theirs.std(), rel=0.02), cls
        assert np.abs(ours).max() == pytest.approx(np.abs(theirs).max(), rel=0.2), cls


@pytest.mark.parametrize("shape", [(5, 5), (7, 3), (3, 7), (2, 4, 3), (1, 1)])
def test_orthogonal(shape):
    values = initializers.Orthogonal(gain=3.0, seed=2)(shape).reshape(-1, shape[-1]).astype(np.float64) / 3
    product = values @ values.T if values.shape[0] < values.shape[1] else values.T @ values
    np.testing.assert_allclose(product, np.eye(len(product)), atol=1e-6)


def test_orthogonal_is_uniform():
    """Every entry of a uniform orthogonal matrix has mean 0 and variance 1 / n; without the signs of R it has not."""
    n, draws = 3, 2000
    values = np.array([initializers.Orthogonal(seed=seed)((n, n)) for seed in range(draws)])
    np.testing.assert_allclose(values.mean(0), np.zeros((n, n)), atol=5 / math.sqrt(n * draws))
    np.testing.assert_allclose(values.var(0) * n, np.ones((n, n)), atol=0.1)
    assert abs((np.linalg.det(values) > 0).mean() - 0.5) < 0.06


def test_identity(keras):
    for shape in (3, 3), (2, 4), (4, 2):
        theirs = np.asarray(keras.initializers.Identity(gain=2.5)(shape))
        np.testing.assert_array_equal(initializers.Identity(gain=2.5)(shape), theirs)


def test_every_name_of_keras_but_that_of_spectrograms(keras):
    theirs = {name for name in dir(keras.initializers) if not name.startswith("_")}
    missing = {name for name in theirs if not hasattr(initializers, name)}
    assert missing == {"STFT", "STFTInitializer", "stft"}


@pytest.mark.parametrize(
    ("activation", "distribution", "cls"),
    [
        ("selu", "normal", initializers.LecunNormal),
        ("selu", "uniform", initializers.LecunUniform),
        ("relu", "normal", initializers.HeNormal),
        ("leaky_relu", "uniform", initializers.HeUniform),
        ("swish", "normal", initializers.HeNormal),
        (None, "normal", initializers.GlorotNormal),
        ("tanh", "uniform", initializers.GlorotUniform),
        (fastnn.activations.selu, "normal", initializers.LecunNormal),
        (fastnn.layers.LeakyReLU, "normal", initializers.HeNormal),
        (fastnn.layers.LeakyReLU(), "normal", initializers.HeNormal),
        (fastnn.layers.Activation("sigmoid"), "normal", initializers.GlorotNormal),
    ],
)
def test_recommended_initializers(activation, distribution, cls):
    initializer = initializers.for_activation(activation, distribution, seed=4)
    assert type(initializer) is cls
    np.testing.assert_array_equal(initializer((3, 4)), cls(seed=4)((3, 4)))


def test_a_function_of_ones_own_gets_shape_and_dtype():
    def mine(shape, dtype):
        assert dtype == "float32"
        return np.full(shape, 0.25, dtype)

    layer = fastnn.layers.Dense(3, kernel_initializer=mine, bias_initializer=lambda shape, dtype=None: np.ones(shape))
    layer.build((None, 2))
    np.testing.assert_array_equal(layer.get_weights()[0], np.full((2, 3), 0.25))
    np.testing.assert_array_equal(layer.get_weights()[1], np.ones(3))
