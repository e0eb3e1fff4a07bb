"""Same seed, same bits, on any number of threads; same row, same bits, in any batch."""

import os

import numpy as np
import pytest

import fastnn
from fastnn import layers
from fastnn._engine import kernels
from harness.process import run_python


@pytest.fixture(autouse=True)
def any_number_of_threads():
    before = fastnn.get_threads()
    yield
    fastnn.set_threads(before)


def network():
    """Odd sizes, everything that draws random numbers or sums over a batch, and enough work for a team."""
    return fastnn.Sequential(
        [
            fastnn.Input((131,)),
            layers.BatchNormalization(),
            layers.Dense(257, activation="elu"),
            layers.Dropout(0.3),
            layers.BatchNormalization(),
            layers.Dense(99, activation="gelu", use_bias=False),
            layers.Dense(33, activation="tanh"),
            layers.Dropout(0.1),
            layers.Dense(7, activation="softmax"),
        ]
    )


def trained(threads, optimizer="adam", batch_size=150):
    fastnn.set_threads(threads)
    fastnn.utils.set_random_seed(11)
    random = np.random.default_rng(0)
    x, y = random.normal(size=(500, 131)), random.integers(0, 7, 500)
    model = network()
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(x, y, batch_size=batch_size, epochs=3, verbose=0, validation_split=0.1).history
    return model, x, history


@pytest.mark.parametrize("optimizer", ["adam", fastnn.optimizers.SGD(0.1, momentum=0.9, nesterov=True)])
def test_same_seed_same_bits_on_any_number_of_threads(optimizer):
    config = optimizer if isinstance(optimizer, str) else fastnn.optimizers.serialize(optimizer)
    alone, x, history = trained(1, config)
    for threads in 2, 3:
        team, _, other = trained(threads, config)
        for one, two in zip(alone.get_weights(), team.get_weights(), strict=True):
            np.testing.assert_array_equal(one, two)
        assert history == other
        np.testing.assert_array_equal(alone.predict(x, verbose=0), team.predict(x, verbose=0))


def test_another_seed_gives_other_bits():
    """The test above could not fail if nothing were random."""
    first = trained(1)[0].get_weights()
    fastnn.utils.set_random_seed(12)
    model = network()
    assert not np.array_equal(first[4], model.get_weights()[4])


def test_a_batch_is_what_it_is_however_it_is_reached():
    """Stepping one batch at a time, for a callback's sake, changes nothing."""
    whole = trained(2)[0].get_weights()

    class Watching(fastnn.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            pass

    fastnn.utils.set_random_seed(11)
    random = np.random.default_rng(0)
    x, y = random.normal(size=(500, 131)), random.integers(0, 7, 500)
    model = network()
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, batch_size=150, epochs=3, verbose=0, validation_split=0.1, callbacks=[Watching()])
    for one, two in zip(whole, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_same_row_same_bits_in_any_batch():
    model, x, _ = trained(2)
    whole = model.predict(x, verbose=0)
    for rows in 1, 2, 3, 5, 12, 13, 64, 255, 256, 257, 499:
        np.testing.assert_array_equal(model.predict(x[:rows], verbose=0), whole[:rows])
        np.testing.assert_array_equal(np.asarray(model(x[-rows:])), whole[-rows:])
    for batch_size in 1, 33, 500:
        np.testing.assert_array_equal(model.predict(x, batch_size=batch_size, verbose=0), whole)


SCRIPT = """
import sys, numpy as np, fastnn
sys.path.insert(0, {tests!r})
from models.test_bits import trained
digest = []
for threads in 1, 2:
    model, x, _ = trained(threads)
    whole = model.predict(x, verbose=0)
    assert np.array_equal(model.predict(x[3:4], verbose=0), whole[3:4])
    digest.append(b"".join(w.tobytes() for w in model.get_weights()))
assert digest[0] == digest[1]
print(fastnn.show_config(mode="dict")["instruction set"])
"""


@pytest.mark.parametrize("isa", kernels.isas())
def test_on_every_instruction_set(isa):
    tests = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    script = SCRIPT.format(tests=tests)
    done = run_python(script, FASTNN_CPU=isa)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == isa
