"""Whole training programs, as a model lowers them."""

import numpy as np

import fastnn
from emulated.recording import Recording, Region
from fastnn import layers


def _recording(name, model, x, y, batch, **run):
    samples = model._checked_data(x, y, None, None)
    training = model._program("train", batch, False)
    regions = {}
    for variable in model.graph.variables:
        buffer, offset, _ = variable.storage
        packed = variable.layout == "panels"
        if packed and variable.shape[1] % 16:
            raise ValueError("The memory of odd numbers of units is not the same for every instruction set.")
        regions[variable.path] = Region(variable.numpy(), packed=packed, storage=(buffer, offset))
    regions["totals"] = Region(training.totals, storage=(training._accumulators, 0))
    arrays = dict(model._bound(training, samples))
    run.update(batch=batch, total=len(samples), hyper=model.optimizer.hyper())
    return Recording(name, training.program.instructions, regions, arrays, **run)


def all_programs():
    """Recordings of an epoch of training, the last batch of it smaller: classifiers and regressions."""
    random = np.random.default_rng(0)
    x = random.normal(size=(90, 21))
    fastnn.utils.set_random_seed(1)
    stack = [
        layers.BatchNormalization(),
        layers.Dense(48, activation="elu"),
        layers.Dropout(0.2),
        layers.BatchNormalization(),
        layers.Dense(32, activation="relu"),
        layers.Dense(16, activation="softmax"),
    ]
    classifier = fastnn.Sequential([fastnn.Input((21,)), *stack])
    optimizer = fastnn.optimizers.SGD(0.05, momentum=0.9, nesterov=True)
    classifier.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    stack = [layers.Dense(64, activation="gelu"), layers.Dense(32, activation="tanh"), layers.Dense(16)]
    regression = fastnn.Sequential([fastnn.Input((21,)), *stack])
    regression.compile(fastnn.optimizers.Adam(0.01, epsilon=0.01), "mse")  # smooth where gradients are nearly zero
    targets = random.normal(size=(90, 16)).astype(np.float32)
    run = dict(batch=32, epoch=5, seed=2**63 + 1, rtol=1e-4, atol=1e-5)
    stack = [layers.Dense(16, activation="relu"), layers.Dense(16)]
    many_rows = fastnn.Sequential([fastnn.Input((9,)), *stack])  # whose gradients are computed in halves
    many_rows.compile(fastnn.optimizers.SGD(0.1), "mse")
    x_many, y_many = random.normal(size=(276, 9)).astype(np.float32), random.normal(size=(276, 16)).astype(np.float32)
    stack = [
        layers.BatchNormalization(),
        layers.Dense(256, activation="elu"),
        layers.Dense(256, activation="tanh"),
        layers.Dense(16),
    ]
    wide = fastnn.Sequential([fastnn.Input((48,)), *stack])  # whose updates follow their gradients piece by piece
    wide.compile(fastnn.optimizers.Adam(0.01, epsilon=0.01), "mse")
    x_wide = random.normal(size=(90, 48)).astype(np.float32)
    return [
        _recording("wide", wide, x_wide, targets, **run),
        _recording("many rows", many_rows, x_many, y_many, **{**run, "batch": 140}),
        _recording("classifier", classifier, x.astype(np.uint8), random.integers(0, 16, 90), **run),
        _recording("regression", regression, x, targets, **run),
    ]
