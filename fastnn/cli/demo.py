"""``fastnn demo``: train a network on real images, fold it, and say what both cost.

The network is the batch-normalised one of A. Geron, Hands-On Machine Learning, chapter 11: 300 and 100 units, ELU
(Clevert et al., 2016) and He initialisation (He et al., 2015), batch normalisation (Ioffe and Szegedy, 2015) of the
pixels and after each hidden layer; with dropout (Srivastava et al., 2014) before each dense layer.
"""

import argparse
import statistics
import time

import numpy as np

# Of the few digits, dropout makes more by hiding pixels too; Fashion-MNIST has enough images without.
_RECIPES = {
    "digits": {"brightest": 16, "pixel_dropout": 0.2, "learning_rate": 0.02, "batch_size": 32, "epochs": 40},
    "fashion-mnist": {"brightest": 255, "pixel_dropout": 0.0, "learning_rate": 0.1, "batch_size": 256, "epochs": 20},
}
# By batch normalisation or not: with it, training goes faster and overfits sooner.
_DROPOUT = {True: 0.2, False: 0.1}
_PATIENCE = 10
# The digits held out are 144: one of them misread with confidence can make the second epoch look the best.
_FIRST_EPOCH_TO_KEEP = 10
# The folded network sums in another order than the model: float32 rounding, far below this.
_TOLERANCE = 1e-4
_CALLS = 2000


def add_parser(commands):
    """Add ``demo`` to the subcommands `commands`."""
    parser = commands.add_parser(
        "demo",
        help="train a network on real images, fold it, and time both",
        description="Train a 300-100 ELU network on real images, fold it into a predictor with "
        "freeze(), check that both agree, and time one prediction of each.",
    )
    parser.add_argument("--dataset", choices=sorted(_RECIPES), default="digits", help="default: %(default)s")
    parser.add_argument("--epochs", type=positive, help=f"at most so many; {_defaults('epochs')}")
    parser.add_argument("--batch-size", type=positive, help=f"images in one step; {_defaults('batch_size')}")
    parser.add_argument("--seed", type=_seed, default=0, help="the same seed, the same bits; default: %(default)s")
    parser.add_argument(
        "--no-batch-norm",
        dest="batch_norm",
        action="store_false",
        help="scale the pixels instead, and train with Adam",
    )
    parser.add_argument(
        "--plot",
        metavar="PATH",
        default="learning_curve.png",
        help="where to draw the learning curve; default: %(default)s",
    )
    parser.set_defaults(run=run)


def _defaults(name):
    return "default: " + ", ".join(f"{recipe[name]} for {dataset}" for dataset, recipe in _RECIPES.items())


def positive(text):
    """A whole number of at least 1, for argparse."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected at least 1, received {value}")
    return value


def _seed(text):
    value = int(text)
    if not 0 <= value < 2**32:  # what NumPy takes
        raise argparse.ArgumentTypeError(f"expected 0 to {2**32 - 1}, received {value}")
    return value


def run(args):
    """Run the demo as `args` (see `add_parser`) says; returns the exit status."""
    import fastnn

    fastnn.utils.set_random_seed(args.seed)
    (x_train, y_train), (x_test, y_test) = _load(args.dataset)
    # The test set is for one look at the end: what steers the training is held out of the rest.
    order = np.random.default_rng(args.seed).permutation(len(x_train))
    held_out, kept = np.split(order, [len(order) // 10])

    recipe = _RECIPES[args.dataset]
    model = build(x_train.shape[1:], recipe, args.batch_norm)
    model.summary()
    start = time.perf_counter()
    history = model.fit(
        x_train[kept],
        y_train[kept],
        batch_size=args.batch_size or recipe["batch_size"],
        epochs=args.epochs or recipe["epochs"],
        validation_data=(x_train[held_out], y_train[held_out]),
        callbacks=[
            fastnn.callbacks.EarlyStopping(
                patience=_PATIENCE, restore_best_weights=True, start_from_epoch=_FIRST_EPOCH_TO_KEEP
            )
        ],
    )
    seconds = time.perf_counter() - start
    _, accuracy = model.evaluate(x_test, y_test, verbose=0)
    epochs = len(history.history["loss"])
    print(f"\nTrained {epochs} epochs on {len(kept)} images in {seconds:.1f} s.")
    print(f"Test accuracy: {accuracy:.4f} on {len(x_test)} images it had never seen.")

    frozen = model.freeze()
    agrees = _compare(model, frozen, x_test)
    _time(model, frozen, x_test[:1].astype("float32"))
    _plot(history.history, args)
    return 0 if agrees else 1


def _load(dataset):
    if dataset == "digits":
        from fastnn.datasets import digits as source
    else:
        from fastnn.datasets import fashion_mnist as source
    return source.load_data()


def build(input_shape, recipe, batch_norm):
    """The demo's network, compiled.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one image.
    recipe : dict
        One of `_RECIPES`: the largest pixel value, how much dropout the pixels get, and the learning rate of SGD.
    batch_norm : bool
        Normalise the pixels and each hidden layer's output, and train by SGD with Nesterov's momentum. Otherwise scale
        the pixels to 0..1 and train by Adam, at its default rate.

    Returns
    -------
    fastnn.Sequential
    """
    from fastnn import Input, Sequential, layers, optimizers

    def normalise():
        # An epoch of the digits is 41 steps: after it, the default momentum of 0.99 would still remember the start.
        return layers.BatchNormalization(momentum=0.9)

    model = Sequential([Input(input_shape), layers.Flatten()])
    model.add(normalise() if batch_norm else layers.Rescaling(1 / recipe["brightest"]))
    if recipe["pixel_dropout"]:
        model.add(layers.Dropout(recipe["pixel_dropout"]))
    for units in (300, 100):
        model.add(layers.Dense(units, activation="elu", kernel_initializer="he_normal"))
        if batch_norm:
            model.add(normalise())
        model.add(layers.Dropout(_DROPOUT[batch_norm]))
    model.add(layers.Dense(10, activation="softmax"))
    model.compile(
        optimizer=optimizers.SGD(recipe["learning_rate"], momentum=0.9, nesterov=True)
        if batch_norm
        else optimizers.Adam(),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def _compare(model, frozen, x):
    """Say how far the folded predictor is from its model; is that only rounding?"""
    difference = float(np.max(np.abs(frozen(x) - model.predict(x, verbose=0))))
    print(f"Frozen, its probabilities differ from the model's by at most {difference:.1e}.")
    if difference <= _TOLERANCE:  # also false for NaN
        return True
    print(f"That is more than rounding explains ({_TOLERANCE:.0e}): please report it.")
    return False


def _time(model, frozen, x):
    """Print the median times of one prediction, before and after folding."""
    out = np.empty((1, 10), "float32")
    ways = {
        "model.predict_on_batch(x)": lambda: model.predict_on_batch(x),
        "model(x)": lambda: model(x),
        "frozen(x)": lambda: frozen(x),
        "frozen.predict(x, out=y)": lambda: frozen.predict(x, out=out),
    }
    print(f"\nOne prediction of one image, median of {_CALLS} calls, in microseconds:")
    for way, call in ways.items():
        print(f"  {way:<26}{_median_us(call):8.2f}")


def _median_us(call):
    for _ in range(_CALLS // 20):  # caches and branch predictors warm, first-use set-up done
        call()
    clock = time.perf_counter_ns
    times = []
    for _ in range(_CALLS):
        start = clock()
        call()
        times.append(clock() - start)
    return statistics.median(times) / 1e3


def _plot(history, args):
    """Draw the learning curve, or say why not."""
    try:
        # Not pyplot: that would look for a screen.
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        print("\nNo learning curve drawn: that needs matplotlib (pip install 'fastnn[plot]').")
        return
    figure = Figure(figsize=(9, 4), layout="constrained")
    epochs = range(1, len(history["loss"]) + 1)
    for axes, name in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        # In training, dropout is on and the weights still move: the lines need not meet.
        axes.plot(epochs, history[name], marker=".", label="training")
        axes.plot(epochs, history["val_" + name], marker=".", label="validation")
        axes.set_xlabel("epoch")
        axes.set_ylabel(name)
        axes.grid(alpha=0.3)
        axes.legend()
    figure.suptitle(f"fastnn demo on {args.dataset}")
    figure.savefig(args.plot, dpi=120)
    print(f"\nLearning curve: {args.plot}")
