"""Learning-rate schedules compared: seven of them, each with the best of three first (or highest) learning rates.

All train the same network with Nesterov momentum for the same number of epochs. The learning rate is chosen by
validation accuracy with one seed; the test accuracies are those of several.

Run: python examples/experiments/schedules_compared.py [--quick] [--out folder]
"""

import numpy as np
from common import fashion, mean_and_deviation, options, save, show
from matplotlib import pyplot as plt

import fastnn as keras
from fastnn import layers
from fastnn.callbacks import ReduceLROnPlateau
from fastnn.optimizers import schedules

BATCH = 64

# Of the first or highest rate and all steps: the schedule.
SCHEDULES = {
    "constant": lambda rate, steps: rate,
    "exponential": lambda rate, steps: schedules.ExponentialDecay(rate, steps, 0.01),
    "power": lambda rate, steps: schedules.InverseTimeDecay(rate, steps, 10),
    "piecewise": lambda rate, steps: schedules.PiecewiseConstantDecay(
        [steps // 2, steps * 3 // 4], [rate, rate / 5, rate / 25]
    ),
    "performance": lambda rate, steps: rate,  # and a callback that lowers it
    "cosine": lambda rate, steps: schedules.CosineDecay(rate, steps),
    "1cycle": lambda rate, steps: schedules.OneCycle(rate, steps),
}


class Rates(keras.callbacks.Callback):
    """Remembers the learning rate of every step."""

    def on_train_begin(self, logs=None):
        self.rates = []

    def on_train_batch_begin(self, batch, logs=None):
        self.rates.append(float(self.model.optimizer.learning_rate))


def train(name, rate, data, epochs, seed, callbacks=()):
    """A trained model, and what its `fit` has measured."""
    keras.utils.set_random_seed(seed)
    hidden = [layers.Dense(100, activation="relu", kernel_initializer="he_normal") for _ in range(2)]
    model = keras.Sequential([keras.Input((784,)), *hidden, layers.Dense(10, activation="softmax")])
    (x, y), validation = data
    schedule = SCHEDULES[name](rate, epochs * -(-len(x) // BATCH))
    optimizer = keras.optimizers.SGD(schedule, momentum=0.9, nesterov=True)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    if name == "performance":
        callbacks = [*callbacks, ReduceLROnPlateau(monitor="val_loss", factor=0.3, patience=1)]
    history = model.fit(x, y, BATCH, epochs, validation_data=validation, callbacks=list(callbacks), verbose=0)
    return model, history.history


def main():
    args = options(__doc__)
    training, validation, test = fashion(1000 if args.quick else 20000, 500 if args.quick else 5000)
    epochs, seeds, rates = (2, 1, [0.1]) if args.quick else (15, 4, [0.03, 0.1, 0.3])
    data = training, validation
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(12, 4.2), layout="constrained")
    rows = []
    for place, name in enumerate(SCHEDULES):
        grid = [train(name, rate, data, epochs, args.seed)[1]["val_accuracy"][-1] for rate in rates]
        best = rates[int(np.argmax(grid))]
        watch = Rates()
        runs = [train(name, best, data, epochs, args.seed, [watch])]
        runs += [train(name, best, data, epochs, args.seed + extra) for extra in range(1, seeds)]
        accuracies = [model.evaluate(*test, verbose=0)[1] for model, _ in runs]
        losses, measured = ([history[key] for _, history in runs] for key in ("loss", "val_accuracy"))
        style = {"color": f"C{place}", "linestyle": "--" if place % 2 else "-"}
        left.semilogy(np.linspace(0, epochs, len(watch.rates)), watch.rates, **style)
        middle.semilogy(range(1, epochs + 1), np.mean(losses, axis=0), **style)
        right.plot(range(1, epochs + 1), 100 * np.mean(measured, axis=0), label=f"{name}, {best:g}", **style)
        rows.append([
            name, f"{best:g}", *(f"{100 * each:.1f}" for each in grid),
            mean_and_deviation([each[-1] for each in losses], 3, 1), mean_and_deviation(accuracies, 2),
        ])  # fmt: skip
    left.set(title="learning rate", xlabel="epoch", ylim=(1e-5, 1))
    middle.set(title=f"training loss, mean of {seeds} seeds", xlabel="epoch")
    right.set(title=f"validation accuracy (%), mean of {seeds} seeds", xlabel="epoch")
    if not args.quick:
        right.set_ylim(80, 91)
    figure.legend(loc="outside lower center", ncols=7)
    headers = ["schedule", "best rate", *(f"validation, {rate:g}" for rate in rates), "training loss", "test (%)"]
    show(f"{epochs} epochs, {seeds} seeds (± their standard deviation)", headers, rows)
    save(figure, args, "schedules_compared.png")


if __name__ == "__main__":
    main()
