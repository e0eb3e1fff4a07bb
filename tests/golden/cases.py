"""Small trainings whose numbers do not depend on chance: the same with Keras, which records them, and with fastnn.

Each case is a function of a package, `keras` or `fastnn`, that returns arrays by name.
"""

import numpy as np

STEPS = 24
_random = np.random.default_rng(7)
X = _random.normal(size=(STEPS // 4 * 8, 4)).astype(np.float32)
ROWS = len(X)
LABELS = _random.integers(0, 3, ROWS)
BITS = _random.integers(0, 2, (ROWS, 3)).astype(np.float32)
ONE_HOT = np.eye(3, dtype=np.float32)[LABELS]
NUMBERS = _random.normal(size=(ROWS, 3)).astype(np.float32)
POSITIVE = np.abs(NUMBERS) + np.float32(0.1)
WEIGHTS = _random.uniform(0.2, 2, ROWS).astype(np.float32)
GUESSES = np.where(_random.uniform(size=ROWS) < 0.6, LABELS, _random.integers(0, 3, ROWS))


def model(package, activation=None, **options):
    """A network of 4, 5 and 3 units with known weights; `options` go to its first layer."""
    layers = package.layers
    net = package.Sequential(
        [package.Input((4,)), layers.Dense(5, "tanh", **options), layers.Dense(3, activation)],
    )
    random = np.random.default_rng(3)
    net.set_weights([random.normal(0, 0.6, each.shape).astype(np.float32) for each in net.get_weights()])
    return net


def trained(net, y, weights=None):
    """Weights after `STEPS` steps, and what `fit` told of each epoch."""
    history = net.fit(X, y, batch_size=8, epochs=4, shuffle=False, sample_weight=weights, verbose=0).history
    values = np.concatenate([each.ravel() for each in net.get_weights()])
    return {"weights": values, **{name: np.array(told, np.float32) for name, told in sorted(history.items())}}


def of_optimizer(name, **options):
    def run(package):
        optimizers = package.optimizers
        net = model(package)
        net.compile(getattr(optimizers, name)(**options), "mse")
        return trained(net, NUMBERS)

    return run


def of_schedule(name, **options):
    def run(package):
        schedule = getattr(package.optimizers.schedules, name)(**options)
        rates = np.array([float(schedule(step)) for step in range(0, 40, 2)], np.float32)
        net = model(package)
        net.compile(package.optimizers.SGD(schedule), "mse")
        return {"rates": rates, **trained(net, NUMBERS)}

    return run


def of_loss(name, y, activation=None, weights=None, rate=0.1, **options):
    def run(package):
        net = model(package, activation)
        net.compile(package.optimizers.SGD(rate), getattr(package.losses, name)(**options))
        return trained(net, y, weights)

    return run


def of_metrics(y, activation, loss, metrics, weighted=False):
    def run(package):
        net = model(package, activation)
        made = [getattr(package.metrics, name)(name=f"m{i}", **given) for i, (name, given) in enumerate(metrics)]
        net.compile(package.optimizers.SGD(0.1), loss, **{"weighted_metrics" if weighted else "metrics": made})
        return trained(net, y, WEIGHTS if weighted else None)

    return run


def of_stream(name, *values, weighted=True, **options):
    """A metric of what is computed elsewhere, called with arrays: its result after each of `STEPS` batches."""

    def run(package):
        metric = getattr(package.metrics, name)(**options)
        results = []
        for step in range(STEPS):
            rows = slice(2 * step, 2 * step + 2)
            metric.update_state(*(each[rows] for each in values), sample_weight=WEIGHTS[rows] if weighted else None)
            results.append(np.asarray(metric.result()))
        return {"results": np.array(results, np.float32)}

    return run


def _squares(y_true, y_pred):
    return (y_true - y_pred) ** 2


def of_weights(**options):
    """Regularizers and constraints, (name of the module, name of the class, arguments) by argument of the layer."""

    def run(package):
        made = {
            argument: getattr(getattr(package, room), name)(**given)
            for argument, (room, name, given) in options.items()
        }
        net = model(package, **made)
        net.compile(package.optimizers.SGD(0.1, momentum=0.5), "mse")
        return trained(net, NUMBERS)

    return run


COUNTED = ("TruePositives", "FalsePositives", "TrueNegatives", "FalseNegatives", "Precision", "Recall")
OF_BITS = [
    *((name, {}) for name in COUNTED),
    *((name, {"thresholds": [0.3, 0.6]}) for name in ("Precision", "Recall")),
    *(("AUC", {"curve": curve}) for curve in ("ROC", "PR")),
    ("AUC", {"num_thresholds": 20, "multi_label": True, "num_labels": 3}),
    ("BinaryAccuracy", {}),
    ("BinaryCrossentropy", {"label_smoothing": 0.1}),
    ("BinaryIoU", {"target_class_ids": [0, 1], "threshold": 0.4}),
    ("SensitivityAtSpecificity", {"specificity": 0.5}),
    ("SpecificityAtSensitivity", {"sensitivity": 0.5}),
    ("PrecisionAtRecall", {"recall": 0.5}),
    ("RecallAtPrecision", {"precision": 0.5}),
    ("Hinge", {}),
    ("SquaredHinge", {}),
]
# With a weight for each sample Keras fails where it has three values.
WEIGHTED_OF_BITS = [each for each in OF_BITS if each[0] != "BinaryIoU" and "multi_label" not in each[1]]
OF_CLASSES = [
    ("CategoricalAccuracy", {}),
    ("CategoricalCrossentropy", {}),
    ("TopKCategoricalAccuracy", {"k": 2}),
    ("F1Score", {"average": "macro"}),
    ("FBetaScore", {"average": "micro", "beta": 2.0}),
    ("CategoricalHinge", {}),
    ("KLDivergence", {}),
    ("OneHotIoU", {"num_classes": 3, "target_class_ids": [0, 2]}),
    ("OneHotMeanIoU", {"num_classes": 3}),
]
OF_LABELS = [
    ("SparseCategoricalAccuracy", {}),
    ("SparseCategoricalCrossentropy", {}),
    ("SparseTopKCategoricalAccuracy", {"k": 2}),
]
OF_NUMBERS = [
    ("MeanSquaredError", {}),
    ("RootMeanSquaredError", {}),
    ("MeanAbsoluteError", {}),
    ("MeanAbsolutePercentageError", {}),
    ("MeanSquaredLogarithmicError", {}),
    ("LogCoshError", {}),
    ("CosineSimilarity", {}),
    ("Poisson", {}),
    ("R2Score", {}),
    ("PearsonCorrelation", {}),
    ("ConcordanceCorrelation", {}),
]

CASES = {
    # optimizers
    "SGD": of_optimizer("SGD", learning_rate=0.1),
    "SGD, momentum": of_optimizer("SGD", learning_rate=0.05, momentum=0.9, clipvalue=0.3),
    "SGD, Nesterov": of_optimizer("SGD", learning_rate=0.05, momentum=0.9, nesterov=True, weight_decay=0.01),
    "RMSprop": of_optimizer("RMSprop", learning_rate=0.01),
    "RMSprop, centered": of_optimizer("RMSprop", learning_rate=0.01, momentum=0.5, centered=True, clipnorm=0.5),
    "Adagrad": of_optimizer("Adagrad", learning_rate=0.1),
    "Adadelta": of_optimizer("Adadelta", learning_rate=1.0, epsilon=1e-4),
    "Adam": of_optimizer("Adam", learning_rate=0.01),
    "Adam, amsgrad": of_optimizer("Adam", learning_rate=0.01, amsgrad=True, global_clipnorm=0.3),
    "Adam, averaged": of_optimizer("Adam", learning_rate=0.01, use_ema=True, ema_momentum=0.9),
    "Adam, accumulating": of_optimizer("Adam", learning_rate=0.02, gradient_accumulation_steps=3),
    "AdamW": of_optimizer("AdamW", learning_rate=0.01, weight_decay=0.1),
    "Adamax": of_optimizer("Adamax", learning_rate=0.01),
    "Nadam": of_optimizer("Nadam", learning_rate=0.01),
    "Ftrl": of_optimizer("Ftrl", learning_rate=0.1, l1_regularization_strength=0.01),
    "Ftrl, power": of_optimizer("Ftrl", learning_rate=0.1, learning_rate_power=-0.7, beta=0.2),
    "Lion": of_optimizer("Lion", learning_rate=0.005, weight_decay=0.1),
    "Lamb": of_optimizer("Lamb", learning_rate=0.01),
    "Adafactor": of_optimizer("Adafactor", learning_rate=0.1, clipnorm=1.0),
    "Muon": of_optimizer("Muon", learning_rate=0.02, weight_decay=0.1),
    # schedules
    "ExponentialDecay": of_schedule(
        "ExponentialDecay", initial_learning_rate=0.1, decay_steps=9, decay_rate=0.7, staircase=True
    ),
    "InverseTimeDecay": of_schedule("InverseTimeDecay", initial_learning_rate=0.1, decay_steps=9, decay_rate=0.7),
    "PiecewiseConstantDecay": of_schedule("PiecewiseConstantDecay", boundaries=[5, 16], values=[0.1, 0.05, 0.01]),
    "PolynomialDecay": of_schedule("PolynomialDecay", initial_learning_rate=0.1, decay_steps=20, power=2.0),
    "CosineDecay": of_schedule(
        "CosineDecay", initial_learning_rate=0.01, decay_steps=20, warmup_target=0.1, warmup_steps=7
    ),
    "CosineDecayRestarts": of_schedule(
        "CosineDecayRestarts", initial_learning_rate=0.1, first_decay_steps=7, t_mul=1.5, m_mul=0.8
    ),
    # losses
    "BinaryCrossentropy": of_loss("BinaryCrossentropy", BITS, "sigmoid", label_smoothing=0.1),
    "BinaryCrossentropy, logits": of_loss("BinaryCrossentropy", BITS, None, WEIGHTS, from_logits=True),
    "BinaryFocalCrossentropy": of_loss("BinaryFocalCrossentropy", BITS, "sigmoid", apply_class_balancing=True),
    "CategoricalCrossentropy": of_loss("CategoricalCrossentropy", ONE_HOT, "softmax", label_smoothing=0.1),
    "CategoricalCrossentropy, logits": of_loss("CategoricalCrossentropy", ONE_HOT, None, WEIGHTS, from_logits=True),
    "CategoricalFocalCrossentropy": of_loss("CategoricalFocalCrossentropy", ONE_HOT, "softmax"),
    "CategoricalGeneralizedCrossEntropy": of_loss("CategoricalGeneralizedCrossEntropy", LABELS, "softmax"),
    "CategoricalHinge": of_loss("CategoricalHinge", ONE_HOT),
    "Circle": of_loss("Circle", LABELS, None, WEIGHTS, rate=0.01, gamma=4.0, margin=0.3),
    "CosineSimilarity": of_loss("CosineSimilarity", NUMBERS),
    "Dice": of_loss("Dice", BITS, "sigmoid"),
    "Hinge": of_loss("Hinge", 2 * BITS - 1),
    "Huber": of_loss("Huber", NUMBERS, None, WEIGHTS, delta=0.5),
    "KLDivergence": of_loss("KLDivergence", ONE_HOT, "softmax"),
    "LogCosh": of_loss("LogCosh", NUMBERS),
    "MeanAbsoluteError": of_loss("MeanAbsoluteError", NUMBERS),
    "MeanAbsolutePercentageError": of_loss("MeanAbsolutePercentageError", POSITIVE, "softplus", rate=1e-4),
    "MeanSquaredError": of_loss("MeanSquaredError", NUMBERS, None, WEIGHTS),
    "MeanSquaredLogarithmicError": of_loss("MeanSquaredLogarithmicError", POSITIVE, "softplus"),
    "Poisson": of_loss("Poisson", POSITIVE, "softplus"),
    "SparseCategoricalCrossentropy": of_loss("SparseCategoricalCrossentropy", LABELS, "softmax"),
    "SparseCategoricalCrossentropy, ignoring": of_loss(
        "SparseCategoricalCrossentropy", LABELS, from_logits=True, ignore_class=1
    ),
    "SquaredHinge": of_loss("SquaredHinge", 2 * BITS - 1),
    "Tversky": of_loss("Tversky", BITS, "sigmoid", alpha=0.3, beta=0.7),
    # metrics
    "metrics of bits": of_metrics(BITS, "sigmoid", "binary_crossentropy", OF_BITS),
    "weighted metrics of bits": of_metrics(BITS, "sigmoid", "binary_crossentropy", WEIGHTED_OF_BITS, True),
    "metrics of classes": of_metrics(ONE_HOT, "softmax", "categorical_crossentropy", OF_CLASSES),
    "weighted metrics of classes": of_metrics(ONE_HOT, "softmax", "categorical_crossentropy", OF_CLASSES, True),
    "metrics of labels": of_metrics(LABELS, "softmax", "sparse_categorical_crossentropy", OF_LABELS),
    "weighted metrics of labels": of_metrics(LABELS, "softmax", "sparse_categorical_crossentropy", OF_LABELS, True),
    "metrics of numbers": of_metrics(POSITIVE, "softplus", "mse", OF_NUMBERS),
    "weighted metrics of numbers": of_metrics(POSITIVE, "softplus", "mse", OF_NUMBERS, True),
    "Mean": of_stream("Mean", WEIGHTS),
    "Sum": of_stream("Sum", WEIGHTS, weighted=False),
    "MeanMetricWrapper": of_stream("MeanMetricWrapper", NUMBERS, POSITIVE, fn=_squares),
    "Accuracy": of_stream("Accuracy", LABELS, GUESSES),
    "IoU": of_stream("IoU", LABELS, GUESSES, num_classes=3, target_class_ids=[0, 2], dtype="float32"),
    "MeanIoU": of_stream("MeanIoU", LABELS, GUESSES, num_classes=3, dtype="float32"),
    "IoU, ignoring": of_stream(
        "IoU", LABELS, GUESSES, num_classes=3, target_class_ids=[1], ignore_class=2, dtype="float32"
    ),
    # regularizers and constraints
    "L1": of_weights(kernel_regularizer=("regularizers", "L1", {"l1": 0.02})),
    "L2": of_weights(bias_regularizer=("regularizers", "L2", {"l2": 0.1})),
    "L1L2": of_weights(activity_regularizer=("regularizers", "L1L2", {"l1": 0.01, "l2": 0.02})),
    "OrthogonalRegularizer": of_weights(kernel_regularizer=("regularizers", "OrthogonalRegularizer", {"factor": 0.1})),
    "MaxNorm": of_weights(kernel_constraint=("constraints", "MaxNorm", {"max_value": 0.8})),
    "NonNeg": of_weights(kernel_constraint=("constraints", "NonNeg", {})),
    "UnitNorm": of_weights(kernel_constraint=("constraints", "UnitNorm", {"axis": 1})),
    "MinMaxNorm": of_weights(
        kernel_constraint=("constraints", "MinMaxNorm", {"min_value": 0.5, "max_value": 0.9, "rate": 0.4})
    ),
}
