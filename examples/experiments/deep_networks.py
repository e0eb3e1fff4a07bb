"""Vanishing and exploding gradients: a hundred layers, started in seven ways.

For each start: the spread of the activations and the size of the gradients in every layer before the first step
(Glorot and Bengio, 2010), then whether the network learns anything, with the best of three learning rates.

Run: python examples/experiments/deep_networks.py [--quick] [--out folder]
"""

import numpy as np
from common import fashion, options, save, show
from matplotlib import pyplot as plt

import fastnn as keras
from fastnn import layers

WIDTH = 100

# Name: activation, initializer (or the standard deviation of a normal one), batch normalisation
STARTS = {
    "sigmoid, N(0, 1)": ("sigmoid", 1.0, False),
    "sigmoid, Glorot": ("sigmoid", "glorot_uniform", False),
    "ReLU, N(0, 0.05²)": ("relu", 0.05, False),
    "ReLU, N(0, 0.2²)": ("relu", 0.2, False),
    "ReLU, He": ("relu", "he_normal", False),
    "SELU, LeCun": ("selu", "lecun_normal", False),
    "ReLU, He, batch norm": ("relu", "he_normal", True),
}


def build(activation, initializer, batch_norm, depth, seed):
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([keras.Input((784,))])
    for _ in range(depth):
        # A new object each time: one initializer without a seed repeats its values.
        initial = keras.initializers.RandomNormal(0, initializer) if isinstance(initializer, float) else initializer
        model.add(layers.Dense(WIDTH, kernel_initializer=initial, use_bias=not batch_norm))
        if batch_norm:
            model.add(layers.BatchNormalization())
        model.add(layers.Activation(activation))
    model.add(layers.Dense(10, activation="softmax"))
    return model


def look(model, x, y):
    """Standard deviation of each hidden layer's activations, and norm of each kernel's gradient."""
    outputs = [layer.output for layer in model.layers if isinstance(layer, layers.Activation)]
    activations = keras.Model(model.inputs, outputs)(x, training=True)
    kernels = [variable.name == "kernel" for variable in model.trainable_weights]
    gradients = [g for g, is_kernel in zip(model.gradients(x, y), kernels, strict=True) if is_kernel]
    return [np.std(each, dtype=np.float64) for each in activations], [np.linalg.norm(each) for each in gradients]


def not_zero(values):
    """A line on a logarithmic axis ends where float32 underflows."""
    return np.where(np.array(values) > 0, values, np.nan)


def train(start, rate, data, epochs, depth, seed):
    (x, y), validation = data
    model = build(*start, depth, seed)
    model.compile(keras.optimizers.SGD(rate, momentum=0.9), "sparse_categorical_crossentropy", metrics=["accuracy"])
    stop = keras.callbacks.TerminateOnNaN()
    history = model.fit(x, y, 64, epochs, validation_data=validation, callbacks=[stop], verbose=0).history
    return history["val_accuracy"]


def main():
    args = options(__doc__)
    training, validation, _ = fashion(1000 if args.quick else 10000, 500 if args.quick else 2000)
    depth, epochs, rates = (20, 1, [1e-3]) if args.quick else (100, 5, [1e-4, 1e-3, 1e-2])
    mean, deviation = training[0].mean(), training[0].std()
    data = [((x - mean) / deviation, y) for x, y in (training, validation)]
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(12, 4.2), layout="constrained")
    rows, number = [], np.arange(1, depth + 1)
    for place, (name, start) in enumerate(STARTS.items()):
        model = build(*start, depth, args.seed)
        model.compile(loss="sparse_categorical_crossentropy")
        spreads, norms = look(model, *(each[:500] for each in data[0]))
        curves = {rate: train(start, rate, data, epochs, depth, args.seed) for rate in rates}
        best = max(curves, key=lambda rate: max(curves[rate]))
        style = {"color": f"C{place}", "linestyle": "--" if place < 4 else "-"}
        left.semilogy(number, not_zero(spreads), **style)
        middle.semilogy(number, not_zero(norms[:-1]), **style)
        right.plot(range(1, len(curves[best]) + 1), curves[best], marker="o", markersize=3, label=name, **style)
        reached = [f"{100 * max(curve):.1f}" for curve in curves.values()]
        rows.append([name, f"{spreads[-1]:.2g}", f"{norms[0]:.2g}", f"{norms[-2]:.2g}", *reached])
    left.set(title="activations before training", xlabel="hidden layer", ylabel="standard deviation")
    middle.set(title="gradients before training", xlabel="hidden layer", ylabel="norm of the kernel's gradient")
    right.set(title="best of the learning rates", xlabel="epoch", ylabel="validation accuracy", ylim=(0, 1))
    figure.legend(loc="outside lower center", ncols=7)
    headers = ["start", f"spread, layer {depth}", "gradient, layer 1", f"gradient, layer {depth}"]
    show("Validation accuracy (%), by learning rate", headers + [f"{rate:g}" for rate in rates], rows)
    save(figure, args, "deep_networks.png")


if __name__ == "__main__":
    main()
