"""Cases of the operations that measure: losses and metrics."""

import numpy as np
from fastnn._engine.runtime import OPS

from emulated.making import SHAPES, matrix, result, vector
from emulated.recording import Region
from fastnn._engine import kernels


def loss(operand, sparse=False, has_output=False, probabilities=False, same_bits=False):
    """A generator of cases of a loss: with and without weights, gradient and output."""

    def generate(m):
        for i, (samples, per, n, extra) in enumerate(SHAPES):
            rows = samples * per
            values = m.uniform(rows, n) if probabilities else 5 * m.normal(rows, n)
            operands = {operand: matrix(values, extra), "row_loss": Region(m.normal(rows))}
            operands["d" + operand] = result(rows, n, 1) if i != 1 else None
            operands["weights"] = Region(m.uniform(samples * per)) if i % 2 else None
            if sparse:
                operands["labels"] = Region(m.random.integers(-1, n + 1, rows).astype(np.int32))
            else:
                operands["targets"] = matrix(m.random.integers(0, 2, (rows, n)).astype(np.float32))
            if has_output:
                operands["y"] = result(rows, n) if i != 2 else None
            settings = dict(n=n, scale=0.7, label_smoothing=0.1 * i) if "label_smoothing" in OPS[m.op].scalars else {}
            yield m.case(samples, operands, per, same_bits=same_bits, **settings or dict(n=n, scale=0.7))

    return generate


def _losses_of_points(m, settings=()):
    for i, (samples, per, n, extra) in enumerate(SHAPES):
        rows = samples * per
        operands = {"p": matrix(m.uniform(rows, n), extra), "row_loss": Region(m.normal(rows))}
        operands["dp"] = result(rows, n, 1) if i != 1 else None
        operands["weights"] = Region(m.uniform(samples * per)) if i % 2 else None
        if "labels" in OPS[m.op].operands:
            operands["labels"] = Region(m.random.integers(-1, n + 1, rows).astype(np.int32))
        else:
            operands["targets"] = matrix(m.random.integers(0, 2 + i % 2, (rows, n)).astype(np.float32))
        if "alpha" in OPS[m.op].operands:
            operands["alpha"] = vector(m.uniform(n))
        yield m.case(samples, operands, per, same_bits=False, n=n, scale=0.7, rtol=2e-5, **_every_other(settings, i))


def _every_other(settings, i):
    return {name: values[i % len(values)] for name, values in dict(settings).items()}


def loss_of_points(**settings):
    return lambda m: _losses_of_points(m, settings)


def circle(m):
    for i, (rows, n, extra) in enumerate([(1, 1, 0), (5, 16, 0), (14, 33, 1), (37, 70, 2)]):
        p = m.normal(rows, n)
        operands = {"p": matrix(p / np.linalg.norm(p, axis=1, keepdims=True), extra)}
        operands["labels"] = Region(m.random.integers(-1, 3, rows).astype(np.int32))
        results = {name: Region(m.normal(rows)) for name in ("row_loss", "positive", "negative", "unit")}
        settings = dict(n=n, remove_diagonal=i % 2, gamma=8.0, margin=0.3, same_bits=False, rtol=1e-4)
        if m.op == "circle_gradient":
            del results["row_loss"]
            results["dp"] = result(rows, n, 1)
            settings["scale"] = 0.7
        else:
            results["counted"] = Region(np.zeros(rows, np.int32))
            results["weights"] = Region(m.uniform(rows)) if i % 2 else None
            if i == 2:
                operands["refs"] = matrix(m.uniform(5, n), 1)
                operands["ref_labels"] = Region(m.random.integers(-1, 3, 5).astype(np.int32))
                settings["count"] = 5
        yield m.case(rows, {**operands, **results}, **settings)


def rescale_loss(m):
    for i, (samples, per, n, extra) in enumerate(SHAPES):
        operands = dict(row_loss=Region(m.normal(samples * per)), dp=matrix(m.normal(samples * per, n), extra))
        operands["weights"] = Region(m.uniform(samples * per)) if i % 2 else None
        labels = Region(m.random.integers(-1, n, samples * per).astype(np.int32))
        operands["labels"] = labels if i > 2 else None
        yield m.case(samples, operands, per, n=n)


def ignore_labels(m):
    for samples, per, *_ in SHAPES:
        labels = m.random.integers(-1, 4, samples * per).astype(np.int32)
        yield m.case(samples, dict(labels=Region(labels), out=Region(np.zeros_like(labels))), per, ignored=2)


def accumulate(m):
    for samples, per in (1, 1), (10, 3), (129, 1):
        weights = Region(m.uniform(samples * per)) if per > 1 else None
        acc = Region(np.array([10.0, 20.0]))
        yield m.case(samples, dict(values=Region(m.normal(samples * per)), weights=weights, acc=acc), per, rtol=1e-14)


def accuracy(sparse=False):
    def generate(m):
        for samples, per, n, extra in SHAPES:
            rows = samples * per
            p = np.round(m.uniform(rows, n), 1)  # with ties
            p[0, 0] = np.nan
            operands = dict(p=matrix(p, extra), values=Region(m.normal(rows)))
            if sparse:
                operands["labels"] = Region(np.argmax(p == p.max(axis=1, keepdims=True), axis=1).astype(np.int32))
            else:
                operands["targets"] = matrix((p > 0.4).astype(np.float32))
            settings = dict(n=n, threshold=0.5) if "threshold" in OPS[m.op].scalars else dict(n=n)
            yield m.case(samples, operands, per, **settings)

    return generate


def top_k(m):
    for samples, per, n, extra in SHAPES:
        p = matrix(np.round(m.uniform(samples * per, n), 1), extra)
        if m.op == "top_k_filter":
            operands = dict(p=p, y=result(samples * per, n))
        elif m.op == "sparse_top_k":
            labels = m.random.integers(-1, n + 1, samples * per).astype(np.int32)
            operands = dict(p=p, labels=Region(labels), values=Region(m.normal(samples * per)))
        else:
            operands = dict(p=p, targets=matrix(m.uniform(samples * per, n)), values=Region(m.normal(samples * per)))
        yield m.case(samples, operands, per, n=n, k=min(n, 3))


def correlation(m):
    for samples, per, n, extra in SHAPES[1:]:
        t = m.normal(samples * per, n)
        operands = dict(p=matrix(t + m.normal(samples * per, n), extra), targets=matrix(t))
        operands["values"] = Region(m.normal(samples * per))
        yield m.case(samples, operands, per, same_bits=False, n=n)


def _counted(m, i, samples, per, n, extra, state):
    operands = dict(p=matrix(m.uniform(samples * per, n), extra), state=Region(m.random.uniform(0, 9, state)))
    operands["targets"] = matrix(m.random.integers(0, 2, (samples * per, n)).astype(np.float32))
    return operands | dict(weights=Region(m.uniform(samples * per)) if i % 2 else None)


def threshold_histogram(m):
    for i, (samples, per, n, extra) in enumerate(SHAPES):
        levels = (5, 40, None, 33, None)[i]
        thresholds = None if levels is None else kernels.padded(np.sort(m.uniform(levels)))
        count = levels or 11
        operands = _counted(m, i, samples, per, n, extra, (n if i > 2 else 1) * 2 * (count + 1))
        operands["thresholds"] = None if levels is None else Region(thresholds)
        operands["columns"] = vector(m.uniform(n)) if i == 1 else None
        yield m.case(
            samples, operands, per, first=0, end=n, m=count, least=i % 2, per_column=int(i > 2), sigmoid=int(i == 3),
            rtol=1e-12,
        )  # fmt: skip


def class_counts(m):
    for i, (samples, per, n, extra) in enumerate(SHAPES):
        operands = _counted(m, i, samples, per, n, extra, 4 * n)
        yield m.case(samples, operands, per, n=n, by_maximum=i % 2, threshold=0.4, rtol=1e-12)


def confusion_matrix(m):
    for i, (samples, per, n, extra) in enumerate(SHAPES):
        operands = _counted(m, i, samples, per, n, extra, n * n if i % 2 else 4)
        operands["labels"] = None
        if i == 3:
            operands["targets"] = None
            operands["labels"] = Region(m.random.integers(-1, n + 1, samples * per).astype(np.int32))
            operands["weights"].before[0, 0] = 1e30  # beyond all integers
            operands["weights"]._fill()
        settings = dict(n=n, classes=n if i % 2 else 2, by_row=i % 2, above=(i + 1) % 2, threshold=0.5)
        yield m.case(samples, operands, per, ignored=i - 2, whole=int(i == 3), rtol=1e-12, **settings)


def regression_moments(m):
    for i, (samples, per, n, extra) in enumerate(SHAPES):
        operands = _counted(m, i, samples, per, n, extra, 4 * n + 1)
        yield m.case(samples, operands, per, n=n, rtol=1e-12)


MEASURED = {
    "softmax_crossentropy_sparse": loss("z", sparse=True, has_output=True),
    "softmax_crossentropy_dense": loss("z", has_output=True),
    "sigmoid_crossentropy": loss("z", has_output=True),
    "crossentropy_sparse": loss("p", sparse=True, probabilities=True),
    "crossentropy_dense": loss("p", probabilities=True),
    "binary_crossentropy": loss("p", probabilities=True),
    "mean_squared_error": loss("p"),
    "mean_absolute_error": loss("p"),
    "huber": loss_of_points(delta=(0.4,)),
    "log_cosh": loss_of_points(),
    "mean_absolute_percentage_error": loss_of_points(),
    "mean_squared_logarithmic_error": loss_of_points(),
    "poisson": loss_of_points(),
    "hinge": loss_of_points(),
    "squared_hinge": loss_of_points(),
    "binary_focal_crossentropy": loss_of_points(gamma=(2, 1.5, 0), alpha=(-1, 0.3), from_logits=(0, 0, 0, 1)),
    "kl_divergence": loss_of_points(),
    "cosine_similarity": loss_of_points(),
    "categorical_hinge": loss_of_points(),
    "categorical_focal_crossentropy": loss_of_points(gamma=(2, 1.5), label_smoothing=(0, 0.1), from_logits=(0, 0, 1)),
    "generalized_crossentropy": loss_of_points(q=(0.5,)),
    "tversky": loss_of_points(alpha=(0.3,), beta=(0.8,), epsilon=(1e-7,), whole=(0, 1)),
    "circle": circle,
    "circle_gradient": circle,
    "rescale_loss": rescale_loss,
    "ignore_labels": ignore_labels,
    "accumulate": accumulate,
    "sparse_accuracy": accuracy(sparse=True),
    "categorical_accuracy": accuracy(),
    "binary_accuracy": accuracy(),
    "equal_values": accuracy(),
    "sparse_top_k": top_k,
    "categorical_top_k": top_k,
    "pearson": correlation,
    "concordance": correlation,
    "threshold_histogram": threshold_histogram,
    "class_counts": class_counts,
    "confusion_matrix": confusion_matrix,
    "regression_moments": regression_moments,
    "top_k_filter": top_k,
}
