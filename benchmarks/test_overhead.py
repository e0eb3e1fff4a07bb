"""What the Python around the arithmetic costs: calls of fit and of predictors, hooks, progress lines.

Run: pytest benchmarks/test_overhead.py --benchmark-columns=min,median,rounds
"""

import io

import numpy as np
import pytest

import fastnn
from fastnn import layers
from fastnn.callbacks import CallbackList
from fastnn.training.progress import Progress

LOGS = {"accuracy": 0.5, "loss": 3.0, "val_accuracy": 0.5, "val_loss": 3.0}


def network(*sizes):
    fastnn.utils.set_random_seed(0)
    hidden = [layers.Dense(size, activation="relu") for size in sizes[1:-1]]
    model = fastnn.Sequential([fastnn.Input((sizes[0],)), *hidden, layers.Dense(sizes[-1])])
    model.compile("adam", "mse")
    return model


def data(rows, sizes):
    random = np.random.default_rng(0)
    return (random.normal(size=(rows, size)).astype(np.float32) for size in (sizes[0], sizes[-1]))


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.benchmark(group="fit of one step, 4-4-1 network")
@pytest.mark.parametrize("epochs", [1, 101])
def test_fit(benchmark, epochs):
    """The difference of the two, over 100, is the cost of an epoch."""
    model, (x, y) = network(4, 4, 1), data(1, (4, 1))
    benchmark(model.fit, x, y, epochs=epochs, verbose=0)


@pytest.mark.benchmark(group="train_on_batch, 4-64-64-2 network")
@pytest.mark.parametrize("rows", [1, 32, 64])
def test_train_on_batch(benchmark, rows):
    """The step of reinforcement learning."""
    model, (x, y) = network(4, 64, 64, 2), data(rows, (4, 2))
    benchmark(model.train_on_batch, x, y)


@pytest.mark.benchmark(group="one row of the 8-16-16-1 network")
@pytest.mark.parametrize("way", ["model(x)", "predict", "frozen(x)", "frozen(x, out)"])
def test_one_row(benchmark, way):
    model, (x, y) = network(8, 16, 16, 1), data(1, (8, 1))
    frozen = model.freeze()
    call = {
        "model(x)": lambda: model(x),
        "predict": lambda: model.predict(x, verbose=0),
        "frozen(x)": lambda: frozen(x),
        "frozen(x, out)": lambda: frozen(x, y),
    }[way]
    benchmark(call)


@pytest.mark.benchmark(group="hooks and line of one epoch")
def test_hooks(benchmark):
    hooks = CallbackList(add_history=True, model=network(4, 4, 1))
    hooks.on_train_begin()

    def epoch():
        hooks.on_epoch_begin(0)
        hooks.on_epoch_end(0, LOGS)

    benchmark(epoch)


@pytest.mark.benchmark(group="hooks and line of one epoch")
def test_progress_line(benchmark, monkeypatch):
    monkeypatch.setattr("sys.stdout", Terminal())
    progress = Progress(1, 1000, 50)

    def epoch():
        progress.epoch_begin(3)
        progress.epoch_end(LOGS, 0.005)

    benchmark(epoch)
