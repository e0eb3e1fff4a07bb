"""Transfer: a network that knows eight classes learns to tell the other two apart from 200 images.

Three networks of the same shape learn from the same 200 images: one from scratch, one whose hidden layers are those of
a network trained on the other eight classes and stay as they are, and one whose hidden layers are then unfrozen and
trained on with a tenth of the learning rate. Everything is repeated with other weights and other 200 images, for three
pairs of classes: what transfer is worth depends on both.

Run: python examples/experiments/transfer.py [--quick] [--out folder]
"""

import numpy as np
from common import fashion, mean_and_deviation, options, save, show
from matplotlib import pyplot as plt

import fastnn as keras
from fastnn import layers
from fastnn.datasets.fashion_mnist import CLASSES

PAIRS = [(0, 2), (0, 6), (7, 9)]
WAYS = ["from scratch", "frozen body", "then unfrozen"]
IMAGES = 200


def hidden():
    return [layers.Dense(100, activation="relu", kernel_initializer="he_normal") for _ in range(3)]


def eight_classes(pair, x, y, epochs):
    """Model A: all but the pair."""
    others = np.setdiff1d(np.arange(10), pair)
    model = keras.Sequential([keras.Input((784,)), *hidden(), layers.Dense(8, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    rows = np.isin(y, others)
    model.fit(x[rows], np.searchsorted(others, y[rows]), 64, epochs, verbose=0)
    return model


def train(model, x, y, epochs, rate=1e-3):
    model.compile(keras.optimizers.Adam(rate), "binary_crossentropy", metrics=["accuracy"])
    model.fit(x, y, 32, epochs, verbose=0)


def of_pair(x, y, pair):
    rows = np.isin(y, pair)
    return x[rows], (y[rows] == pair[1]).astype(np.float32)


def one_seed(seed, pair, training, test, epochs_a, epochs):
    """Test accuracy of each way."""
    keras.utils.set_random_seed(seed)
    model_a = eight_classes(pair, *training, epochs_a)
    x, y = of_pair(*training, pair)
    chosen = np.random.default_rng(seed).choice(len(x), IMAGES, replace=False)
    few, test = (x[chosen], y[chosen]), of_pair(*test, pair)

    scratch = keras.Sequential([keras.Input((784,)), *hidden(), layers.Dense(1, activation="sigmoid")])
    train(scratch, *few, 2 * epochs)  # as many steps as the other two have together
    found = [scratch.evaluate(*test, verbose=0)[1]]

    # The layers are shared: what model B learns, model A would lose. Here it is not needed again.
    model_b = keras.Sequential([*model_a.layers[:-1], layers.Dense(1, activation="sigmoid")])
    for layer in model_b.layers[:-1]:
        layer.trainable = False
    train(model_b, *few, epochs)
    found.append(model_b.evaluate(*test, verbose=0)[1])
    for layer in model_b.layers[:-1]:
        layer.trainable = True
    train(model_b, *few, epochs, 1e-4)
    found.append(model_b.evaluate(*test, verbose=0)[1])
    return found


def main():
    args = options(__doc__)
    training, _, test = fashion(2000 if args.quick else 30000)
    seeds, epochs_a, epochs = (2, 1, 5) if args.quick else (10, 4, 60)
    figure, axes = plt.subplots(1, 3, figsize=(11, 4), layout="constrained")
    rows = []
    for axis, pair in zip(axes, PAIRS, strict=True):
        name = " or ".join(CLASSES[each] for each in pair)
        numbers = range(args.seed, args.seed + seeds)
        found = np.array([one_seed(seed, pair, training, test, epochs_a, epochs) for seed in numbers])
        gain = found - found[:, :1]
        for i, way in enumerate(WAYS):
            better = f"{mean_and_deviation(gain[:, i])}, {(gain[:, i] > 0).sum()} of {seeds}" if i else ""
            rows.append([name, way, mean_and_deviation(found[:, i]), f"{100 * found[:, i].min():.1f}", better])
        axis.plot(100 * found.T, color="grey", alpha=0.5, marker="o", markersize=3, linewidth=0.8)
        axis.errorbar(range(3), 100 * found.mean(axis=0), 100 * found.std(axis=0, ddof=1), fmt="ks", capsize=6)
        axis.set(title=name, xlim=(-0.4, 2.4))
        axis.set_xticks(range(3), WAYS)
    axes[0].set_ylabel("test accuracy (%)")
    figure.suptitle(f"{IMAGES} images; each grey line is a seed, black: mean and standard deviation", fontsize=10)
    headers = ["classes", "way", "test accuracy (%)", "worst", "gain, and in how many seeds"]
    show(f"{IMAGES} training images, {seeds} seeds (± their standard deviation)", headers, rows)
    save(figure, args, "transfer.png")


if __name__ == "__main__":
    main()
