"""Optimizers compared: eleven of them, each with the same five learning rates, on a small network.

The whole grid is shown, since "the best optimizer" mostly is the one whose default learning rate fits. The best cell of
each row (by validation accuracy) is then trained with further seeds, and only those are measured on test images.

Run: python examples/experiments/optimizers_compared.py [--quick] [--out folder]
"""

import numpy as np
from common import fashion, mean_and_deviation, options, save, show
from matplotlib import pyplot as plt

import fastnn as keras
from fastnn import layers, optimizers

OPTIMIZERS = {
    "SGD": optimizers.SGD,
    "momentum": lambda rate: optimizers.SGD(rate, momentum=0.9),
    "Nesterov": lambda rate: optimizers.SGD(rate, momentum=0.9, nesterov=True),
    "Adagrad": optimizers.Adagrad,
    "Adadelta": optimizers.Adadelta,
    "RMSprop": optimizers.RMSprop,
    "Adam": optimizers.Adam,
    "AdamW": lambda rate: optimizers.AdamW(rate, weight_decay=0.004),
    "Adamax": optimizers.Adamax,
    "Nadam": optimizers.Nadam,
    "Lion": optimizers.Lion,
}


def train(optimizer, data, epochs, seed):
    """A trained model, and what its `fit` has measured."""
    keras.utils.set_random_seed(seed)
    hidden = [layers.Dense(100, activation="relu", kernel_initializer="he_normal") for _ in range(2)]
    model = keras.Sequential([keras.Input((784,)), *hidden, layers.Dense(10, activation="softmax")])
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    (x, y), validation = data
    return model, model.fit(x, y, 64, epochs, validation_data=validation, verbose=0).history


def draw(grid, curves, rates):
    names = list(OPTIMIZERS)
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 5), layout="constrained")
    image = left.imshow(grid, cmap="viridis", vmin=40, vmax=90, aspect="auto")
    left.grid(False)
    left.set_xticks(range(len(rates)), [f"{rate:g}" for rate in rates])
    left.set_yticks(range(len(names)), names)
    for i, j in np.ndindex(grid.shape):
        best = grid[i, j] == grid[i].max()
        left.text(
            j, i, f"{grid[i, j]:.1f}", ha="center", va="center", weight="bold" if best else "normal",
            color="black" if grid[i, j] > 70 else "white",
        )  # fmt: skip
    left.set(title="validation accuracy (%) after the last epoch", xlabel="learning rate")
    figure.colorbar(image, ax=left, extend="min", label="%")
    colours = plt.get_cmap("tab20")(np.linspace(0, 1, 20))
    for place, (name, (rate, seeds)) in enumerate(curves.items()):
        epochs = np.arange(1, len(seeds[0]) + 1)
        style = ("-", "--", ":")[place // 4]
        right.plot(epochs, np.mean(seeds, axis=0), style, color=colours[2 * place % 20], label=f"{name}, {rate:g}")
    right.set(title=f"best rate of each, mean of {len(seeds)} seeds", xlabel="epoch", ylabel="training loss")
    right.set_xticks(epochs)
    right.legend(ncols=2)
    return figure


def main():
    args = options(__doc__)
    training, validation, test = fashion(1000 if args.quick else 20000, 500 if args.quick else 5000)
    epochs, seeds, rates = (1, 1, [1e-3, 1e-1]) if args.quick else (5, 3, [1e-4, 1e-3, 1e-2, 1e-1, 1])
    data = training, validation
    grid = np.zeros((len(OPTIMIZERS), len(rates)))
    curves, rows = {}, []
    for i, (name, make) in enumerate(OPTIMIZERS.items()):
        found = [train(make(rate), data, epochs, args.seed) for rate in rates]
        grid[i] = [100 * history["val_accuracy"][-1] for _, history in found]
        best = int(grid[i].argmax())
        more = [train(make(rates[best]), data, epochs, args.seed + extra) for extra in range(1, seeds)]
        chosen = [found[best], *more]
        curves[name] = rates[best], [history["loss"] for _, history in chosen]
        accuracies = [model.evaluate(*test, verbose=0)[1] for model, _ in chosen]
        losses = [history["loss"][-1] for _, history in chosen]
        rows.append([name, f"{rates[best]:g}", mean_and_deviation(losses, 3, 1), mean_and_deviation(accuracies)])
    headers = ["optimizer", "best rate", "training loss", "test accuracy (%)"]
    show(f"{epochs} epochs, {seeds} seeds (± their standard deviation)", headers, rows)
    save(draw(grid, curves, rates), args, "optimizers_compared.png")


if __name__ == "__main__":
    main()
