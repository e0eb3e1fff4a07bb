"""Monte-Carlo dropout: does a network that drops units while it predicts know better what it does not know?

`predict_mc` averages a hundred predictions with dropout on (Gal and Ghahramani, 2016), beside the usual `predict`:
accuracy, calibration, and whether the entropy of a prediction tells right from wrong.

Run: python examples/experiments/mc_dropout.py [--quick] [--out folder]
"""

import numpy as np
from common import fashion, mean_and_deviation, options, save, show
from matplotlib import pyplot as plt

import fastnn as keras
from fastnn import layers
from fastnn.datasets.fashion_mnist import CLASSES

BINS = 10


def train(data, epochs, seed):
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([keras.Input((784,))])
    for units in 300, 100:
        model.add(layers.Dense(units, activation="relu", kernel_initializer="he_normal"))
        model.add(layers.Dropout(0.3))
    model.add(layers.Dense(10, activation="softmax"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(*data, 128, epochs, verbose=0)
    return model


def entropy(p):
    return -(p * np.log(np.maximum(p, 1e-12))).sum(axis=1)


def reliability(p, y):
    """Of predictions in bins of their confidence: mean confidence, accuracy, and share of all."""
    confidence, right = p.max(axis=1), p.argmax(axis=1) == y
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    used = [bins == each for each in range(BINS) if (bins == each).any()]
    return np.array([[confidence[rows].mean(), right[rows].mean(), rows.mean()] for rows in used]).T


def measures(p, y):
    """Accuracy, negative log-likelihood, expected calibration error, and the probability that the entropy of a wrong
    prediction is greater than that of a right one (the area under the ROC curve)."""
    right, unsure = p.argmax(axis=1) == y, entropy(p)
    confidence, accuracy, share = reliability(p, y)
    ranks = np.argsort(np.argsort(unsure)) + 1
    wrong = (~right).sum()
    area = (ranks[~right].sum() - wrong * (wrong + 1) / 2) / (wrong * right.sum())
    likelihood = -np.log(np.maximum(p[np.arange(len(y)), y], 1e-12)).mean()
    return right.mean(), likelihood, (np.abs(confidence - accuracy) * share).sum(), area


def draw(predictions, deviation, x, y):
    figure = plt.figure(figsize=(12, 7.5), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=(1.25, 1))
    left, middle, right = above.subplots(1, 3)
    left.plot([0, 1], [0, 1], color="grey", linewidth=0.8, label="perfect")
    for place, (name, p) in enumerate(predictions.items()):
        style = {"color": f"C{place}", "label": name}
        confidence, accuracy, _ = reliability(p, y)
        left.plot(confidence, accuracy, marker="o", markersize=4, **style)
        order, correct = np.argsort(entropy(p)), p.argmax(axis=1) == y
        kept = np.arange(1, len(y) + 1)
        shown = slice(len(y) // 10, None)
        right.plot(100 * (kept / len(y))[shown], 100 * (np.cumsum(correct[order]) / kept)[shown], **style)
    unsure, correct = entropy(p), p.argmax(axis=1) == y
    bins = np.linspace(0, unsure.max(), 30)
    for rows, name in (correct, "right"), (~correct, "wrong"):
        middle.hist(unsure[rows], bins, density=True, alpha=0.6, label=f"{name} ({rows.sum()})")
    left.set(title="reliability", xlabel="confidence", ylabel="accuracy")
    middle.set(title="Monte-Carlo predictions, right and wrong", xlabel="entropy (nats)", ylabel="density")
    right.set(title="when the least certain are left out", xlabel="images kept (%)", ylabel="accuracy (%)")
    for axis in left, middle, right:
        axis.legend()
    below.suptitle("the images with the highest entropy: true class, mean probabilities ± deviation", fontsize=10)
    for axis, i in zip(below.subplots(1, 6), np.argsort(-unsure), strict=False):
        axis.imshow(x[i].reshape(28, 28), cmap="gray_r")
        axis.set_axis_off()
        likely = [f"{CLASSES[k]} {p[i, k]:.2f} ± {deviation[i, k]:.2f}" for k in np.argsort(-p[i])[:3]]
        axis.set_title("\n".join([CLASSES[y[i]].upper(), *likely]), fontsize=8)
    return figure


def main():
    args = options(__doc__)
    training, _, (x, y) = fashion(2000 if args.quick else 55000)
    epochs, seeds, passes = (2, 1, 20) if args.quick else (15, 3, 100)
    found = {"predict": [], "predict_mc": []}
    for seed in range(args.seed, args.seed + seeds):
        model = train(training, epochs, seed)
        mean, deviation = model.predict_mc(x, passes, seed=seed)
        predictions = {"predict": model.predict(x, verbose=0), "predict_mc": mean}
        for name, p in predictions.items():
            found[name].append(measures(p, y))
        if seed == args.seed:
            figure = draw(predictions, deviation, x, y)
    rows = []
    for name, values in found.items():
        accuracy, likelihood, error, area = np.transpose(values)
        rows.append([
            name, mean_and_deviation(accuracy, 2), mean_and_deviation(likelihood, 3, 1),
            mean_and_deviation(error, 2), mean_and_deviation(area, 3, 1),
        ])  # fmt: skip
    headers = ["", "test accuracy (%)", "log loss", "calibration error (%)", "entropy: wrong over right"]
    show(f"{passes} passes, {seeds} seeds (± their standard deviation)", headers, rows)
    save(figure, args, "mc_dropout.png")


if __name__ == "__main__":
    main()
