"""Random arrays outside of networks: repeatable by seed, and of the stated distributions."""

import numpy as np
import pytest

import fastnn
from fastnn import random

DRAWS = {
    "normal": lambda seed: random.normal((4000,), 1.0, 2.0, seed=seed),
    "uniform": lambda seed: random.uniform((4000,), -1.0, 3.0, seed=seed),
    "truncated_normal": lambda seed: random.truncated_normal((4000,), 1.0, 0.5, seed=seed),
    "randint": lambda seed: random.randint((4000,), 2, 5, seed=seed),
    "gamma": lambda seed: random.gamma((4000,), 3.0, seed=seed),
    "beta": lambda seed: random.beta((4000,), 2.0, 6.0, seed=seed),
    "binomial": lambda seed: random.binomial((4000,), 10, 0.3, seed=seed),
    "categorical": lambda seed: random.categorical(np.log([[0.2, 0.8]]), 4000, seed=seed)[0],
}
MEAN_AND_DEVIATION = {
    "normal": (1, 2),
    "uniform": (1, 4 / 12**0.5),
    "truncated_normal": (1, 0.5 * 0.8796),
    "randint": (3, (2 / 3) ** 0.5),
    "gamma": (3, 3**0.5),
    "beta": (0.25, (12 / (64 * 9)) ** 0.5),
    "binomial": (3, 2.1**0.5),
    "categorical": (0.8, 0.4),
}


@pytest.mark.parametrize("name", DRAWS)
def test_distribution(name):
    values = DRAWS[name](3)
    mean, deviation = MEAN_AND_DEVIATION[name]
    assert values.shape == (4000,)
    assert values.dtype == ("int32" if name in ("randint", "categorical") else "float32")
    assert abs(values.mean() - mean) < 5 * deviation / 4000**0.5
    assert abs(values.std() / deviation - 1) < 0.06


@pytest.mark.parametrize("name", DRAWS)
def test_an_integer_repeats_and_a_generator_goes_on(name):
    draw = DRAWS[name]
    np.testing.assert_array_equal(draw(7), draw(7))
    assert (draw(7) != draw(8)).any()

    def twice():
        generator = random.SeedGenerator(7)
        return draw(generator), draw(generator)

    (first, second), (first_again, second_again) = twice(), twice()
    assert (first != second).any()
    np.testing.assert_array_equal(first, first_again)
    np.testing.assert_array_equal(second, second_again)


def test_without_a_seed_the_session_decides():
    def draw():
        fastnn.utils.set_random_seed(1)
        return random.normal((3,)), random.normal((3,))

    (a, b), (c, d) = draw(), draw()
    np.testing.assert_array_equal(a, c)
    np.testing.assert_array_equal(b, d)
    assert (a != b).any()


def test_truncated_normal_is_truncated():
    values = random.truncated_normal((20000,), 0.0, 1.0, seed=0)
    assert 1.9 < np.abs(values).max() <= 2


def test_shuffle_and_dropout():
    x = np.arange(24.0).reshape(6, 4)
    shuffled = random.shuffle(x, axis=1, seed=2)
    assert (shuffled != x).any()
    np.testing.assert_array_equal(np.sort(shuffled, axis=1), x)
    ones = np.ones((200, 50), np.float32)
    dropped = random.dropout(ones, 0.2, seed=0)
    assert set(np.unique(dropped)) == {0, np.float32(1.25)}
    assert abs(dropped.mean() - 1) < 0.02
    by_row = random.dropout(ones, 0.5, noise_shape=(200, 1), seed=0)
    assert (by_row == by_row[:, :1]).all()
    assert not random.dropout(ones, 1).any()


def test_mistakes():
    with pytest.raises(ValueError, match="seed"):
        random.normal((2,), seed="a")
    with pytest.raises(ValueError, match="seed"):
        random.SeedGenerator(1.5)
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        random.dropout(np.ones(3), 2)
    with pytest.raises(ValueError, match="shape"):
        random.categorical([0.5, 0.5], 3)
    with pytest.raises(TypeError, match="symbolic"):
        random.dropout(fastnn.Input((3,)), 0.5)


def test_config_of_a_generator():
    generator = random.SeedGenerator.from_config(random.SeedGenerator(5, name="s").get_config())
    assert generator.get_config() == {"seed": 5, "name": "s"}


def test_numbers_that_would_be_drawn_once_are_refused_in_a_call():
    class Noisy(fastnn.layers.Layer):
        def __init__(self, draw):
            super().__init__(name="noisy")
            self.draw = draw

        def call(self, x):
            return x + self.draw(x)

    for draw in (
        lambda x: random.normal((3,)),
        lambda x: random.uniform(fastnn.ops.shape(x)),
        lambda x: random.truncated_normal((3,), seed=random.SeedGenerator(1)),
    ):
        with pytest.raises(ValueError, match="'noisy'.*same in every step"):
            Noisy(draw)(fastnn.Input((3,)))
    assert Noisy(lambda x: random.normal((3,), seed=4))(fastnn.Input((3,))).shape == (None, 3)


def test_an_initializer_may_draw_while_a_call_is_traced():
    def own(shape, dtype=None):
        return random.normal(shape)

    class Outer(fastnn.layers.Layer):
        def __init__(self):
            super().__init__()
            self.inner = fastnn.layers.Dense(2, kernel_initializer=own)

        def call(self, x):
            return self.inner(x)

    assert np.unique(fastnn.Sequential([fastnn.Input((3,)), Outer()]).get_weights()[0]).size == 6
