import random

import numpy as np
import pytest

from fastnn import _naming, _random, backend, initializers, utils


def test_to_categorical():
    expected = [[1, 0, 0], [0, 0, 1], [0, 1, 0]]
    for labels in ([0, 2, 1], np.array([0, 2, 1], np.uint8), np.array([[0.0], [2.0], [1.0]])):
        one_hot = utils.to_categorical(labels)
        np.testing.assert_array_equal(one_hot, expected)
        assert one_hot.dtype == np.float64
    assert utils.to_categorical([0, 1], num_classes=5).shape == (2, 5)
    assert utils.to_categorical(np.zeros((2, 3), int), 4).shape == (2, 3, 4)
    assert utils.to_categorical([], 4).shape == (0, 4)
    np.testing.assert_array_equal(utils.to_categorical(1, 3), [0, 1, 0])


@pytest.mark.parametrize(
    ("labels", "classes", "message"),
    [
        ([0, 3], 3, r"labels in \[0, 3\), received 3"),
        ([-1, 0], None, r"labels in \[0, 1\), received -1"),
        ([0.5, 1], None, "integer labels"),
        ([], None, "num_classes"),
    ],
)
def test_to_categorical_refuses(labels, classes, message):
    with pytest.raises(ValueError, match=message):
        utils.to_categorical(labels, classes)


def test_to_categorical_is_that_of_keras(keras):
    for labels in ([0, 2, 1], [[0], [2]], [[0, 1], [2, 3]], 2):
        ours, theirs = utils.to_categorical(labels), keras.utils.to_categorical(labels)
        np.testing.assert_array_equal(ours, theirs)
        assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)


def test_seeds_are_a_deterministic_sequence():
    _random.set_seed(0)
    # The first values of SplitMix64 from state 0, as its authors' reference program prints them.
    assert [_random.next_seed() for _ in range(3)] == [
        0xE220A8397B1DCDAF,
        0x6E789E6AA1B965F4,
        0x06C45D188009454F,
    ]
    _random.set_seed(-1)
    assert 0 <= _random.next_seed() < 2**64


def test_without_a_seed_every_session_differs(monkeypatch):
    monkeypatch.setattr(_random, "_state", None)
    seeds = {_random.next_seed() for _ in range(100)}
    assert len(seeds) == 100
    assert all(0 <= seed < 2**64 for seed in seeds)


def test_set_random_seed_seeds_everything():
    def draw():
        utils.set_random_seed(42)
        return random.random(), np.random.rand(), initializers.HeNormal()((3, 3)).tolist()  # noqa: NPY002

    assert draw() == draw()
    with pytest.raises(ValueError, match="integer"):
        utils.set_random_seed("42")
    state = _random._state
    with pytest.raises(ValueError):
        utils.set_random_seed(-1)
    assert _random._state == state


@pytest.mark.parametrize(
    "name",
    ["Dense", "ReLU", "ELU", "LeakyReLU", "BatchNormalization", "SGD", "Adam", "MyOwn2Layer"],
)
def test_snake_case_is_that_of_keras(name):
    expected = {
        "Dense": "dense",
        "ReLU": "re_lu",
        "ELU": "elu",
        "LeakyReLU": "leaky_re_lu",
        "BatchNormalization": "batch_normalization",
        "SGD": "sgd",
        "Adam": "adam",
        "MyOwn2Layer": "my_own2_layer",
    }
    assert _naming.to_snake_case(name) == expected[name]


def test_unique_names_and_clear_session():
    backend.clear_session()
    assert [_naming.unique_name("Dense") for _ in range(3)] == ["dense", "dense_1", "dense_2"]
    assert _naming.unique_name("sequential") == "sequential"
    backend.clear_session(free_memory=False)
    assert _naming.unique_name("dense") == "dense"


def test_backend_settings():
    assert backend.floatx() == "float32"
    assert backend.epsilon() == 1e-7
    assert backend.image_data_format() == "channels_last"
    backend.set_floatx("float32")
    with pytest.raises(ValueError, match="float32 only"):
        backend.set_floatx("float64")
