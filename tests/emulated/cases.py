"""One or more random cases for every operation of the engine, at sizes around the edges of vectors, tiles and blocks.

`all_cases` is what is recorded; an operation without a line in `GENERATORS` fails a test. Results are the same bits for
every vector length where each of them is one chain of fused multiply-adds; sums over the lanes of a vector, or over the
partial sums of a batch's statistics, are not.
"""

import numpy as np
from fastnn._engine.program import Instruction
from fastnn._engine.runtime import OPS, Source

from emulated.recording import Recording, Region
from fastnn._engine import kernels
from fastnn.freeze.quantize import activation_limit, quantize
from fastnn.operations.packed_dense import PRECISIONS, packed
from fastnn.operations.primitives import PRIMITIVES
from reference.activations import NAMES as ACTIVATIONS
from reference.arrays import GARBAGE

# samples, rows for each of them, columns, cache lines that rows are longer than need be
SHAPES = [(1, 1, 1, 0), (5, 1, 16, 0), (7, 2, 33, 1), (3, 3, 50, 2), (37, 1, 100, 0)]
# rows, inputs, units; the last ones are deeper than one block, and wide enough to have x packed
PRODUCTS = [(1, 3, 5), (1, 70, 140), (7, 17, 33), (13, 48, 20), (33, 65, 49), (70, 300, 9)]
PRODUCTS += [(100, 31, 130), (266, 40, 300), (64, 260, 150)]
# every 4194319th float there is, with NaN, infinities, denormals and what overflows
SWEEP = np.arange(0, 2**32, 4194319, dtype=np.uint64).astype(np.uint32).view(np.float32)[:, None]


class Maker:
    """Makes operands of random numbers, and cases of them."""

    def __init__(self, op):
        self.op = op
        self.random = np.random.default_rng(list(op.encode()))

    def normal(self, *shape):
        return self.random.normal(size=shape).astype(np.float32)

    def uniform(self, *shape):
        return self.random.uniform(0.05, 1, size=shape).astype(np.float32)

    def case(self, samples, operands, rows_per_sample=1, same_bits=True, **settings):
        """One instruction on the given operands; row strides are theirs, other dimensions and scalars are settings."""
        info = OPS[self.op]
        arrays = {Source(value): value for value in operands.values() if isinstance(value, np.ndarray)}
        regions = {key: value for key, value in operands.items() if isinstance(value, Region)}
        bound = {key: (region.buffer, region.offset, region.nbytes) for key, region in regions.items()}
        bound.update(dict.fromkeys((key for key in operands if key == "source"), next(iter(arrays), None)))
        strides = {"ld" + {"targets": "t"}.get(key, key): region.ld for key, region in regions.items()}
        values = {**dict.fromkeys((*info.dims, *info.scalars), 0), **strides, **settings}
        dims, scalars = ({key: values[key] for key in keys} for keys in (info.dims, info.scalars))
        run = {key: value for key, value in settings.items() if key not in dims and key not in scalars}
        run.setdefault("batch", samples)
        instruction = Instruction(self.op, bound, dims, scalars, rows_per_sample)
        return Recording(self.op, [instruction], regions, arrays, same_bits=same_bits, **run)


def matrix(values, extra=0):
    """An operand with garbage in its padding."""
    return Region(values, kernels.row_stride(np.shape(values)[1]) + 16 * extra)


def result(rows, n, extra=0):
    return matrix(np.full((rows, n), GARBAGE, np.float32), extra)


def vector(values):
    """An operand whose padding is zero, and stays so."""
    return Region(kernels.padded(values))


def panels(values):
    return Region(values, packed=True)


def activation_forward(m):
    for act in range(len(ACTIVATIONS)):
        for samples, per, n, extra in SHAPES:
            x = matrix(3 * m.normal(samples * per, n), extra)
            y, slope = (result(samples * per, n) for _ in range(2))
            yield m.case(samples, dict(x=x, y=y, slope=slope), per, n=n, act=act, alpha=0.3)
        x = matrix(SWEEP)
        yield m.case(len(SWEEP), dict(x=x, y=x), n=1, act=act, alpha=0.3, rtol=3e-5)


def activation_backward(m):
    for act in range(len(ACTIVATIONS)):
        for samples, per, n, extra in SHAPES:
            dy = matrix(m.normal(samples * per, n))
            operands = dict(v=matrix(3 * m.normal(samples * per, n), extra), dy=dy, dx=dy)
            yield m.case(samples, operands, per, n=n, act=act, alpha=0.3)
        operands = dict(v=matrix(SWEEP), dy=matrix(np.ones_like(SWEEP)), dx=matrix(SWEEP))
        yield m.case(len(SWEEP), operands, n=1, act=act, alpha=0.3, rtol=3e-5)


def softmax_forward(m):
    for samples, per, n, extra in SHAPES:
        operands = dict(x=matrix(9 * m.normal(samples * per, n), extra), y=result(samples * per, n, 1))
        yield m.case(samples, operands, per, same_bits=False, n=n)


def softmax_backward(m):
    for samples, per, n, extra in SHAPES:
        rows = samples * per
        operands = dict(y=matrix(m.uniform(rows, n), extra), dy=matrix(m.normal(rows, n)), dx=result(rows, n, 1))
        yield m.case(samples, operands, per, same_bits=False, n=n)


def affine_forward(m):
    for samples, per, n, extra in SHAPES:
        operands = dict(x=matrix(m.normal(samples * per, n), extra), y=result(samples * per, n))
        yield m.case(samples, operands | dict(scale=vector(m.normal(n)), shift=vector(m.normal(n))), per, n=n)


def affine_backward(m):
    for samples, per, n, extra in SHAPES:
        operands = dict(dy=matrix(m.normal(samples * per, n), extra), dx=result(samples * per, n))
        yield m.case(samples, operands | dict(scale=vector(m.normal(n))), per, n=n)


def add(m):
    for samples, per, n, extra in SHAPES:
        a, b = matrix(m.normal(samples * per, n), extra), matrix(m.normal(samples * per, n))
        yield m.case(samples, dict(a=a, b=b, y=result(samples * per, n)), per, n=n)
        yield m.case(samples, dict(a=a, b=b, y=a), per, n=n)


def copy_vector(m):
    for n in 16, 112:
        yield m.case(1, dict(x=vector(m.normal(n)), y=vector(m.normal(n))), n=n)


def copy_rows(m):
    """Between rows with padding and rows without."""
    for samples, per, n, extra in SHAPES:
        x, y = m.normal(samples * per, n), np.full((samples * per, n), GARBAGE, np.float32)
        for source, target in (Region(x), matrix(y, extra)), (matrix(x, extra), Region(y)), (Region(x), Region(y)):
            yield m.case(samples, dict(x=source, y=target), per, n=n)


def dense_forward(m):
    for rows, k, n in PRODUCTS:
        for act in 0, 3, 8:
            operands = dict(x=matrix(m.normal(rows, k), act), w=panels(m.normal(k, n)), y=result(rows, n, act))
            operands["slope"] = result(rows, n, act) if act == 8 else None
            operands["bias"] = None if act else vector(m.normal(n))
            yield m.case(rows, operands, k=k, n=n, act=act, alpha=1.0)


def packed_dense(m):
    """With rows that end where the values end; garbage behind the matrices would show reads and writes past them."""
    for rows, k, n in PRODUCTS:
        for number, precision in enumerate(PRECISIONS):
            kernel, limit, scale = m.normal(k, n), 0, None
            if precision == "int8":
                kernel, scale = quantize(kernel)
                limit, scale = activation_limit(kernel), vector(scale)
            block = packed(kernel, precision)
            operands = dict(x=Region(m.normal(rows, k)), y=Region(m.normal(rows, n)), scale=scale)
            operands["w"] = Region(block.array((1, block.nbytes), np.uint8))
            operands["bias"] = vector(m.normal(n)) if rows % 2 else None
            settings = dict(k=k, n=n, precision=number, limit=limit, alpha=1.0)
            act, calibrated = (3, 2.5) if rows % 2 else (0, 0.0)
            yield m.case(rows, operands, act=act, range=calibrated, **settings)


def dense_backward_weights(m):
    for rows, k, n in PRODUCTS:
        for accumulate in 0, 1, 3:
            operands = dict(x=matrix(m.normal(rows, k), accumulate), dz=matrix(m.normal(rows, n)))
            operands.update(dw=panels(m.normal(k, n)), db=vector(m.normal(n)))
            yield m.case(rows, operands, k=k, n=n, accumulate=accumulate)


def dense_backward_input(m):
    for rows, k, n in PRODUCTS:
        for accumulate, act in (0, 0), (1, 0), (0, 5):
            operands = dict(dz=matrix(m.normal(rows, n), act), w=panels(m.normal(k, n)), dx=matrix(m.normal(rows, k)))
            operands["v"] = matrix(m.uniform(rows, k)) if act else None
            yield m.case(rows, operands, k=k, n=n, act=act, accumulate=accumulate)


def gather(m):
    whole = m.random.integers(0, 100, (40, 6, 10))
    for dtype in "f4 f8 f2 u1 i1 u2 i2 u4 i4 u8 i8 ?".split():
        source = whole.astype(dtype)
        for view in source, source[::-1, ::2, 1:], source.transpose(0, 2, 1)[:, 3:]:
            rows, n = view.shape[1:]
            for per, columns in (rows, n), (1, rows * n):
                yield m.case(9, dict(source=view, y=result(9 * per, columns)), per, n=columns, epoch=3, total=40)
    yield m.case(9, dict(source=m.normal(30, 21), y=result(9, 21)), n=21, total=30, first_batch=1)


def gather_labels(m):
    labels = np.array([3, -1, 100, 2**40, 0, 9, 2**31 - 1, -(2**31), 127, 2**31])
    for dtype in "f4 f8 f2 u1 i1 u2 i2 u4 i4 u8 i8 ?".split():
        with np.errstate(all="ignore"):
            source = np.stack([labels, labels[::-1]], axis=1).astype(dtype)
        if dtype == "f8":
            source[0] = np.nan, -np.inf
        for view in source[:, 0], source:
            per = view.size // len(view)
            yield m.case(len(view), dict(source=view, labels=Region(np.zeros(len(view) * per, np.int32))), per)


def scatter(m):
    for samples, per, n, extra in SHAPES:
        out = Region(m.normal(2 * samples * per * n))
        y = matrix(m.normal(samples * per, n), extra)
        yield m.case(samples, dict(y=y, out=out), per, n=n, total=2 * samples, first_batch=1)


def reshape(m):
    for rows_x, n_x, rows_y, n_y in (1, 24, 4, 6), (4, 6, 1, 24), (3, 40, 8, 15), (1, 1, 1, 1):
        operands = dict(x=matrix(m.normal(5 * rows_x, n_x), 1), y=result(5 * rows_y, n_y, 1))
        yield m.case(5, operands, rows_x=rows_x, n_x=n_x, rows_y=rows_y, n_y=n_y)


def loss(operand, sparse=False, has_output=False, probabilities=False, same_bits=False):
    """A generator of cases of a loss: with and without weights, gradient and output."""

    def generate(m):
        for i, (samples, per, n, extra) in enumerate(SHAPES):
            rows = samples * per
            values = m.uniform(rows, n) if probabilities else 5 * m.normal(rows, n)
            operands = {operand: matrix(values, extra), "row_loss": Region(m.normal(rows))}
            operands["d" + operand] = result(rows, n, 1) if i != 1 else None
            operands["weights"] = Region(m.uniform(samples)) if i % 2 else None
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
        operands["weights"] = Region(m.uniform(samples)) if i % 2 else None
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


def rescale_loss(m):
    for i, (samples, per, n, extra) in enumerate(SHAPES):
        operands = dict(row_loss=Region(m.normal(samples * per)), dp=matrix(m.normal(samples * per, n), extra))
        operands["weights"] = Region(m.uniform(samples)) if i % 2 else None
        labels = Region(m.random.integers(-1, n, samples * per).astype(np.int32))
        operands["labels"] = labels if i > 2 else None
        yield m.case(samples, operands, per, n=n)


def ignore_labels(m):
    for samples, per, *_ in SHAPES:
        labels = m.random.integers(-1, 4, samples * per).astype(np.int32)
        yield m.case(samples, dict(labels=Region(labels), out=Region(np.zeros_like(labels))), per, ignored=2)


def accumulate(m):
    for samples, per in (1, 1), (10, 3), (129, 1):
        weights = Region(m.uniform(samples)) if per > 1 else None
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
    return operands | dict(weights=Region(m.uniform(samples)) if i % 2 else None)


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


def optimizer(*own, own_dims=None, slots="", squares=""):
    """Cases with and without everything that optimizers share: clipping, decay, accumulation."""

    def cases(m):
        for clip, decays, step in (0, 0, 0), (1, 1, 5), (3, 0, 1001):
            operands = dict(param=vector(m.normal(112)), grad=vector(m.normal(112)))
            operands["norms"] = Region(np.array([30.0, 2.0])) if clip == 3 else None
            operands.update((name, vector(0.1 * m.normal(112))) for name in slots.split())
            operands.update((name, vector(0.1 * m.uniform(112))) for name in squares.split())
            settings = dict(n=112, clip=clip, norm_count=2, decays=decays, rate_factor=0.5, accumulation=2 * decays)
            operands = {name: operands.get(name) for name in OPS[m.op].operands}
            if "sums" in operands:
                operands["sums"] = Region(np.zeros(2))
            hyper = [0.01, 0.1, 0.5, 0.0, *own]
            yield m.case(1, operands, same_bits=False, **settings, **(own_dims or {}), hyper=hyper, step=step)

    return cases


def lamb_apply(m):
    operands = dict(param=vector(m.normal(112)), direction=vector(m.normal(112)), sums=Region(np.array([3.0, 2.0])))
    yield m.case(1, operands, same_bits=False, n=112, rate_factor=1, hyper=[0.01])


def accumulate_gradients(m):
    for step in 1, 2:
        operands = dict(grad=vector(m.normal(112)), accumulator=vector(m.normal(112)))
        yield m.case(1, operands, n=112, accumulation=3, step=step)


def sum_squares(m):
    yield m.case(1, dict(x=vector(m.normal(5008)), sums=Region(np.zeros(2))), same_bits=False, n=5008)


def average_weights(m):
    for step in 0, 5:
        operands = dict(param=vector(m.normal(112)), average=vector(m.normal(112)))
        yield m.case(1, operands, n=112, overwrite=3, step=step, hyper=[0.01, 0, 0, 0.9])


def norm_constraint(m):
    for k, n in (1, 21), (23, 5), (9, 70):
        for axis in 0, 1, 2:
            settings = dict(k=k, n=n, axis=axis, low=0.5, high=2.0, rate=0.7, epsilon=1e-7)
            yield m.case(1, dict(w=panels(m.normal(k, n))), same_bits=False, **settings)


def non_negative(m):
    yield m.case(1, dict(w=vector(m.normal(112))), n=112)


def masked_weights(m):
    mask = (m.uniform(112) > 0.5).astype(np.float32)
    yield m.case(1, dict(w=vector(m.normal(112)), mask=vector(mask)), n=112)


def weight_penalty(m):
    for accumulate in 0, 1:
        operands = dict(w=vector(m.normal(5008)), grad=vector(m.normal(5008)), sums=Region(np.zeros(2)))
        yield m.case(1, operands, same_bits=False, n=5008, accumulate=accumulate, l1=0.1, l2=0.2)


def activity_penalty(m):
    for samples, per, n, extra in SHAPES:
        operands = dict(y=matrix(m.normal(samples * per, n), extra), values=Region(np.zeros((1, samples * per), "f4")))
        yield m.case(samples, operands, per, same_bits=False, n=n, l1=0.1, l2=0.2)


def activity_gradient(m):
    for samples, per, n, extra in SHAPES:
        operands = dict(y=matrix(m.normal(samples * per, n), extra), dy=matrix(m.normal(samples * per, n)))
        yield m.case(samples, operands | dict(dx=result(samples * per, n)), per, n=n, l1=0.1, l2=0.2)


def unit_rows(m):
    for columns in 0, 1:
        rows, size = (33, 21) if columns else (21, 33)
        operands = dict(w=panels(m.normal(21, 33)), u=Region(np.zeros((rows, kernels.row_stride(size)), np.float32)))
        operands["lengths"] = Region(np.zeros((1, rows), np.float32))
        yield m.case(1, operands, k=21, n=33, ldu=kernels.row_stride(size), columns=columns)


def orthogonal_penalty(m):
    for columns in 0, 1:
        rows, size = (33, 21) if columns else (21, 33)
        ld = kernels.row_stride(size)
        u = np.zeros((rows, ld), np.float32)
        u[:, :size] = m.normal(rows, size)
        u /= np.linalg.norm(u, axis=1, keepdims=True)
        operands = dict(u=Region(u), lengths=Region(m.uniform(1, rows)), grad=panels(m.normal(21, 33)))
        operands["sums"] = Region(np.zeros(rows))
        settings = dict(k=21, n=33, ldu=ld, columns=columns, accumulate=columns, factor=0.3)
        yield m.case(1, operands, same_bits=False, **settings)


def add_penalty(m):
    operands = dict(sums=Region(np.array([1.0, 2.0, 4.0])), acc=Region(np.array([3.0, 5.0])))
    yield m.case(7, operands, count=3, counts=1)


def _normalised(m, samples, per, n, extra, affine):
    operands = dict(x=matrix(3 * m.normal(samples * per, n) + m.normal(n), extra), y=result(samples * per, n, extra))
    operands.update(gamma=vector(m.normal(n)) if affine else None, beta=vector(m.normal(n)) if affine else None)
    return operands | dict(moving_mean=vector(m.normal(n)), moving_variance=vector(m.uniform(n)))


def batchnorm_train(m):
    for i, (samples, per, n, extra) in enumerate(SHAPES):
        operands = _normalised(m, samples, per, n, extra, affine=i % 2)
        operands.update(mean=vector(m.normal(n)), inv_std=vector(m.normal(n)))
        operands["xhat"] = result(samples * per, n, extra) if i > 2 else None
        # A lone row has no variance: 1 / sqrt(epsilon) then enlarges the last bit of its mean.
        yield m.case(samples, operands, per, same_bits=False, n=n, momentum=0.9, epsilon=1e-3, atol=2e-5)


def batchnorm_infer(m):
    for i, (samples, per, n, extra) in enumerate(SHAPES):
        operands = _normalised(m, samples, per, n, extra, affine=i % 2)
        operands.update(mean=vector(m.normal(n)) if i > 2 else None, inv_std=vector(m.normal(n)) if i > 2 else None)
        yield m.case(samples, operands, per, n=n, epsilon=1e-3)


def batchnorm_backward(m):
    for samples, per, n, extra in SHAPES:
        for statistics, accumulate, act, gradients in (1, 0, 0, True), (1, 1, 3, True), (0, 0, 6, False):
            rows = samples * per
            operands = dict(x=matrix(m.normal(rows, n), extra), mean=vector(m.normal(n)), inv_std=vector(m.uniform(n)))
            operands.update(gamma=vector(m.normal(n)) if act else None, dy=matrix(m.normal(rows, n)))
            operands["dx"] = result(rows, n, 1) if act else operands["dy"]
            operands.update((key, vector(m.normal(n)) if gradients else None) for key in ("dgamma", "dbeta"))
            settings = dict(batch_statistics=statistics, accumulate=accumulate, act=act, alpha=1.0)
            yield m.case(samples, operands, per, same_bits=False, n=n, **settings)


def batchnorm_dense_gradients(m):
    for k, n, affine in (3, 5, True), (33, 10, False), (50, 33, True), (20, 100, True):
        operands = dict(w=panels(m.normal(k, n)), dw=panels(m.normal(k, n)), db=vector(m.normal(n)))
        operands.update((key, vector(m.normal(k)) if affine else None) for key in ("gamma", "beta"))
        operands.update(dgamma=vector(np.zeros(k)), dbeta=vector(np.zeros(k)) if affine else None)
        yield m.case(7, operands, same_bits=False, k=k, n=n)


def dropout_forward(m):
    for samples, per, n, extra in SHAPES:
        for rate in 0.0, 0.3:
            words = kernels.row_stride(n) // 16
            operands = dict(x=matrix(m.normal(samples * per, n), extra), y=result(samples * per, n))
            operands["mask"] = Region(np.zeros((samples * per, words), np.uint16))
            yield m.case(samples, operands, per, n=n, stream=17, own_seed=0, rate=rate, seed=2**63 + 5, step=2**33 + 1)


def dropout_backward(m):
    for samples, per, n, extra in SHAPES:
        mask = m.random.integers(0, 2**16, (samples * per, kernels.row_stride(n) // 16)).astype(np.uint16)
        operands = dict(dy=matrix(m.normal(samples * per, n), extra), mask=Region(mask), dx=result(samples * per, n))
        yield m.case(samples, operands, per, n=n, scale=1.4)


def row_map(per, rows):
    return Region(np.resize(np.arange(rows, dtype=np.int32), max(per, 1)))


def masked_forward(m):
    for i, (samples, per, n, extra) in enumerate(SHAPES):
        noise_rows, noise_n = (1, n) if i % 2 else (per, 1)
        words = kernels.row_stride(n) // 16
        operands = dict(x=matrix(m.normal(samples * per, n), extra), y=result(samples * per, n))
        operands.update(map=row_map(per, noise_rows), mask=Region(np.zeros((samples * per, words), np.uint16)))
        settings = dict(noise_n=noise_n, noise_rows=noise_rows, shared_batch=i == 2, stream=i, own_seed=5)
        yield m.case(samples, operands, per, n=n, rate=0.4, scale=1.3, shift=0.2, dropped=-1.0, **settings)


def noise(m):
    for kind in range(3):
        for samples, per, n, extra in SHAPES:
            x = matrix(m.normal(samples * per, n), extra)
            operands = dict(v=matrix(m.normal(samples * per, n)) if kind == 2 else None, x=x, y=x)
            settings = dict(kind=kind, low=0.1, high=0.3, stream=17, own_seed=0, seed=2**63 + 5, step=2**33 + 1)
            yield m.case(samples, operands, per, n=n, **settings)


def prelu(m):
    for i, (samples, per, n, extra) in enumerate(SHAPES):
        rows, alpha_n = (1, n) if i % 2 else (per, 1)
        operands = dict(v=matrix(m.normal(samples * per, n), extra), x=matrix(m.normal(samples * per, n)))
        operands.update(alpha=vector(m.normal(rows * alpha_n)), map=row_map(per, rows), y=result(samples * per, n))
        yield m.case(samples, operands, per, n=n, alpha_n=alpha_n)


def prelu_gradient(m):
    for i, (samples, per, n, extra) in enumerate(SHAPES):
        rows, alpha_n = (1, n) if i % 2 else (per, 1)
        operands = dict(x=matrix(m.normal(samples * per, n), extra), dy=matrix(m.normal(samples * per, n)))
        operands.update(map=row_map(per, rows), dalpha=vector(m.normal(rows * alpha_n)))
        settings = dict(alpha_n=alpha_n, alpha_rows=rows, accumulate=i % 2)
        yield m.case(samples, operands, per, same_bits=False, n=n, **settings)


ROW_NORMS = [(1, 1, 0), (0, 0, 0), (0, 1, 0), (0, 0, 1)]


def rownorm_forward(m):
    for i, (samples, per, n, extra) in enumerate(SHAPES):
        rows = samples * per
        operands = dict(x=matrix(m.normal(rows, n) + 1, extra), y=result(rows, n), gamma=vector(m.normal(n)))
        operands.update(
            beta=vector(m.normal(n)) if i % 2 else None, mean=Region(m.normal(rows)), inv=Region(m.normal(rows))
        )
        for subtract, centre, unit in ROW_NORMS:
            flags = dict(subtract=subtract, centre=centre, unit=unit)
            yield m.case(samples, operands, per, same_bits=False, n=n, epsilon=1e-3, atol=2e-5, **flags)


def rownorm_backward(m):
    for samples, per, n, extra in SHAPES:
        rows = samples * per
        operands = dict(x=matrix(m.normal(rows, n), extra), dy=matrix(m.normal(rows, n)), dx=result(rows, n))
        operands.update(mean=Region(m.normal(rows)), inv=Region(m.uniform(rows)), gamma=vector(m.normal(n)))
        for subtract, centre, unit in ROW_NORMS:
            flags = dict(subtract=subtract, centre=centre, unit=unit)
            yield m.case(samples, operands, per, same_bits=False, n=n, epsilon=1e-3, **flags)


def column_gradients(m):
    for i, (samples, per, n, extra) in enumerate(SHAPES):
        rows = samples * per
        operands = dict(x=matrix(m.normal(rows, n), extra), dy=matrix(m.normal(rows, n)), dgamma=vector(m.normal(n)))
        operands.update(dbeta=vector(m.normal(n)), mean=Region(m.normal(rows)) if i % 2 else None)
        operands["inv"] = Region(m.uniform(rows)) if i % 2 else None
        yield m.case(samples, operands, per, n=n, accumulate=i % 2)


def _ids(m, samples, per, vocabulary):
    ids = m.random.integers(-1, vocabulary + 1, (samples, per)).astype(np.float32)
    ids.ravel()[::5] = np.resize(np.float32([np.nan, np.inf, -np.inf, 1e30, 2.5]), ids.ravel()[::5].size)
    return matrix(ids)


def embedding(m):
    for samples, per, n, extra in SHAPES:
        operands = dict(ids=_ids(m, samples, per, 9), table=vector(m.normal(9 * n)), y=result(samples * per, n, extra))
        yield m.case(samples, operands, per, ids_n=per, vocabulary=9, n=n)


def embedding_gradient(m):
    for i, (samples, per, n, extra) in enumerate(SHAPES):
        operands = dict(ids=_ids(m, samples, per, 9), dy=matrix(m.normal(samples * per, n), extra))
        operands["dtable"] = vector(m.normal(9 * n))
        yield m.case(samples, operands, per, ids_n=per, vocabulary=9, n=n, accumulate=i % 2)


def category_encode(m):
    for count in 0, 1:
        for samples, per, n, extra in SHAPES:
            operands = dict(ids=_ids(m, samples, per, n), y=result(samples, n, extra))
            yield m.case(samples, operands, ids_n=per, per=per, n=n, count=count)


def discretize(m):
    for samples, per, n, extra in SHAPES:
        operands = dict(x=matrix(m.normal(samples * per, n), extra), y=result(samples * per, n))
        operands["boundaries"] = vector(np.sort(m.normal(7)))
        yield m.case(samples, operands, per, n=n, bins=7)


def montecarlo(m):
    for samples, per, n, extra in SHAPES:
        size = samples * per * n
        operands = dict(y=matrix(m.normal(2 * samples * per, n), extra))
        operands.update(mean=Region(np.zeros(size)), spread=Region(np.zeros(size)))
        yield m.case(2 * samples, operands, per, n=n, total=samples)


def random_warp(m):
    for kind in range(4):
        for fill in range(4):
            operands = dict(x=matrix(m.normal(3, 5 * 4 * 2)), y=result(3, 5 * 4 * 2, 1))
            settings = dict(h=5, w=4, c=2, kind=kind, fill=fill, nearest=fill % 2, uniform=fill // 2, stream=4)
            settings.update(a=-0.3, b=0.4, c_low=-0.2, c_high=0.5, fill_value=2.0, seed=9, step=1)
            yield m.case(3, operands, same_bits=False, **settings)


def random_intensity(m):
    for kind in 0, 1:
        for samples, _, n, extra in SHAPES:
            operands = dict(x=matrix(m.uniform(samples, 3 * n), extra), y=result(samples, 3 * n))
            settings = dict(pixels=n, c=3, kind=kind, a=0.5, b=1.5, low=0.1, high=0.9, stream=4, seed=9)
            yield m.case(samples, operands, same_bits=False, **settings)


def mixup(m):
    for samples, per, n, extra in SHAPES:
        operands = dict(x=matrix(m.normal(samples * per, n), extra), y=result(samples * per, n))
        yield m.case(samples, operands, per, same_bits=False, n=n, alpha=0.4, stream=4, seed=9)


def replace_features(m):
    for i, (samples, per, n, extra) in enumerate(SHAPES):
        operands = dict(x=matrix(m.normal(samples * per, n), extra), y=result(samples * per, n))
        if i % 2:
            operands["sums"] = matrix(m.normal(per, n))
        yield m.case(samples, operands, per, n=n, rate=0.4, stream=i, own_seed=5, seed=9)


def numbers(values, dtype):
    return Region(np.asarray(values, dtype))


def expression(m):
    """Every step there is, of whole rows, of pieces of long ones, of operands that are laid out otherwise."""
    count = 1 + max(each.opcode for each in PRIMITIVES.values())
    for samples, per, n, extra in [SHAPES[2], (3, 1, 1100, 0)]:
        rows = samples * per
        for opcode in range(count):
            # registers: x, a value a row, a value a column, a constant, the step's result, the sum
            steps = [(opcode, 4, 0, 1, 2), (18, 5, 4, 3, 3)]
            code = [6, 3, 1, 2, 1, 0, 0, n, 1, 0, 1, 16, 1, 1, 0, 2, 0, n, 1, 1, *sum(steps, ()), 3, 0, 5]
            x, y = matrix(m.uniform(rows, n), extra), result(rows, n)
            code[6], code[-2] = x.ld, y.ld
            operands = dict(code=numbers(code, np.int32), constants=numbers([0.5], np.float32), o0=x,
                            o1=matrix(m.uniform(rows, 1)), o2=vector(m.uniform(n)), o3=y)  # fmt: skip
            yield m.case(samples, operands, per, same_bits=False, n=n, rtol=1e-4)
    # A value a row, with gaps (o0) and without (o1): x - x', and x + x' into results that lie either way.
    for gaps in 1, 16:
        x, y = matrix(m.normal(48, 1)), vector(m.normal(48))
        results = [result(48, 1) if gaps > 1 else vector(np.zeros(48)) for _ in range(2)]
        code = [4, 2, 0, 2, 2, 0, x.ld, 1, 1, 0, 1, 1, 1, 1, 0, 19, 2, 0, 1, 1, 18, 3, 0, 1, 1, 2, gaps, 2, 3, gaps, 3]
        operands = dict(code=numbers(code, np.int32), constants=numbers([0], np.float32), o0=x, o1=y)
        yield m.case(48, operands | dict(o2=results[0], o3=results[1]), n=1)
    # A sum of what no sample has a part in.
    operands = dict(code=numbers([3, 2, 0, 1, 1, 0, 64, 50, 1, 0, 1, 64, 50, 1, 1, 18, 2, 0, 1, 1, 2, 64, 2], np.int32))
    operands |= dict(constants=numbers([0], np.float32), o0=matrix(m.normal(9, 50)), o1=matrix(m.normal(1, 50)))
    yield m.case(2, operands | dict(o2=result(9, 50)), 0, n=50, fixed=9)


def reduce_columns(m):
    for samples, per, n, extra in SHAPES:
        for kind in range(5):
            operands = dict(x=matrix(m.normal(samples * per, n), extra), y=result(samples, per))
            yield m.case(samples, operands, n=n, per=per, kind=kind, same_bits=False)
            # to a value a row, without gaps; of some, NaN
            x = m.normal(samples * per, n)
            x[::3, n // 2] = np.nan
            operands = dict(x=matrix(x, extra), y=vector(np.zeros(samples * per)))
            yield m.case(samples, operands, per, n=n, per=1, ldy=1, kind=kind, same_bits=False)


def reduce_rows(m):
    for samples, per, n, extra in SHAPES:
        for kind in range(3):
            x = matrix(m.normal(samples * per, n), extra)
            yield m.case(samples, dict(x=x, y=result(samples, n)), n=n, inner=1, count=per, kind=kind)
            operands = dict(x=x, y=result(per, n))
            yield m.case(samples, operands, 0, n=n, inner=per, count=0, kind=kind, fixed=per)
        x = m.normal(1, samples * per)
        x[:, 3::7] = np.nan
        operands = dict(x=vector(x.ravel()), y=vector(np.zeros(samples)))  # without gaps
        yield m.case(samples, operands, n=1, ldx=1, ldy=1, inner=1, count=per, kind=2)
        yield m.case(samples, operands | dict(y=result(1, 1)), 0, n=1, ldx=1, inner=1, count=0, kind=0, fixed=1)


def batch_size(m):
    yield m.case(5, dict(y=vector(m.normal(1))))


def arrange(m):
    for samples, per, n, extra in [*SHAPES, (2, 20, 33, 1), (2, 40, 17, 0)]:
        x, y = matrix(m.normal(samples * per, n), extra), result(samples * n, per)
        padding = n, per, y.ld, -per % 16
        plan = [2, 0, *padding, per * x.ld, n * y.ld, 0, 0, n, 1, y.ld, per, x.ld, 1]  # transposed
        yield m.case(samples, dict(plan=numbers(plan, np.int64), x=x, y=y))
        y = result(samples * 3, n)
        plan = [2, 0, 1, 0, 0, 3 * y.ld, per * x.ld, 3 * y.ld, 0, y.ld, 2, 0, y.ld, n, 1, 1]  # a row, repeated
        yield m.case(samples, dict(plan=numbers(plan, np.int64), x=x, y=y))
        for rows, columns in (1, n), (per, 1), (n, 1):  # sums
            y = result(samples * rows, columns)
            down, right = {(1, n): (0, 1), (per, 1): (y.ld, 0)}.get((rows, columns), (0, y.ld))
            sample = rows * y.ld
            plan = [2, 1, 1, 0, 0, sample, per * x.ld, sample, 0, 0, per, x.ld, down, n, 1, right]
            yield m.case(samples, dict(plan=numbers(plan, np.int64), x=x, y=y), same_bits=False)


def pack_panels(m):
    for _, k, n in PRODUCTS:
        yield m.case(1, dict(x=matrix(m.normal(k, n)), y=panels(m.normal(k, n))), 0, k=k, n=n)


def unpack_panels(m):
    for _, k, n in PRODUCTS:
        yield m.case(1, dict(x=panels(m.normal(k, n)), y=result(k, n)), 0, k=k, n=n)


def matmul(m):
    for height, k, n in PRODUCTS[:5]:
        for turned, shared in (0, 0), (0, 1), (1, 0), (2, 0):
            a = m.normal(3 * k, height) if turned == 2 else m.normal(3 * height, k)
            b = m.normal(3 * n, k) if turned == 1 else m.normal((1 if shared else 3) * k, n)
            operands = dict(a=matrix(a), b=matrix(b), y=result(3 * height, n))
            yield m.case(3, operands, same_bits=turned != 1, height=height, k=k, n=n, groups=1, a_groups=1,
                         b_groups=1 - shared, turned=turned)  # fmt: skip


GENERATORS = {
    "activation_forward": activation_forward,
    "activation_backward": activation_backward,
    "softmax_forward": softmax_forward,
    "softmax_backward": softmax_backward,
    "affine_forward": affine_forward,
    "affine_backward": affine_backward,
    "dense_forward": dense_forward,
    "packed_dense": packed_dense,
    "dense_backward_weights": dense_backward_weights,
    "dense_backward_input": dense_backward_input,
    "add": add,
    "copy_vector": copy_vector,
    "copy_rows": copy_rows,
    "gather": gather,
    "gather_labels": gather_labels,
    "scatter": scatter,
    "reshape": reshape,
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
    "sgd": optimizer(0.9, own_dims=dict(nesterov=1), slots="momentum"),
    "adam": optimizer(0.9, 0.999, 1e-7, slots="momentum", squares="velocity velocity_hat"),
    "adamax": optimizer(0.9, 0.999, 1e-7, slots="momentum", squares="norm"),
    "nadam": optimizer(0.9, 0.999, 1e-7, 0.2, slots="momentum", squares="velocity"),
    "lion": optimizer(0.9, 0.99, slots="momentum"),
    "rmsprop": optimizer(0.9, 0.8, 1e-3, slots="momentum average_gradient", squares="velocity"),
    "adagrad": optimizer(1e-7, squares="accumulator"),
    "adadelta": optimizer(0.95, 1e-4, squares="accumulated_grad accumulated_delta_var"),
    "ftrl": optimizer(-0.7, 0.1, 0.01, 0.1, 0.2, slots="linear", squares="accumulator"),
    "lamb_direction": optimizer(0.9, 0.999, 1e-7, slots="momentum", squares="velocity"),
    "lamb_apply": lamb_apply,
    "accumulate_gradients": accumulate_gradients,
    "sum_squares": sum_squares,
    "average_weights": average_weights,
    "norm_constraint": norm_constraint,
    "masked_weights": masked_weights,
    "non_negative": non_negative,
    "weight_penalty": weight_penalty,
    "activity_penalty": activity_penalty,
    "activity_gradient": activity_gradient,
    "unit_rows": unit_rows,
    "orthogonal_penalty": orthogonal_penalty,
    "add_penalty": add_penalty,
    "batchnorm_train": batchnorm_train,
    "batchnorm_infer": batchnorm_infer,
    "batchnorm_backward": batchnorm_backward,
    "batchnorm_dense_gradients": batchnorm_dense_gradients,
    "dropout_forward": dropout_forward,
    "dropout_backward": dropout_backward,
    "masked_forward": masked_forward,
    "noise": noise,
    "prelu": prelu,
    "prelu_gradient": prelu_gradient,
    "rownorm_forward": rownorm_forward,
    "rownorm_backward": rownorm_backward,
    "column_gradients": column_gradients,
    "embedding": embedding,
    "embedding_gradient": embedding_gradient,
    "category_encode": category_encode,
    "discretize": discretize,
    "montecarlo": montecarlo,
    "random_warp": random_warp,
    "random_intensity": random_intensity,
    "mixup": mixup,
    "replace_features": replace_features,
    "expression": expression,
    "reduce_columns": reduce_columns,
    "reduce_rows": reduce_rows,
    "batch_size": batch_size,
    "arrange": arrange,
    "pack_panels": pack_panels,
    "unpack_panels": unpack_panels,
    "matmul": matmul,
}


def all_cases():
    """Recordings of every operation."""
    return [case for op, generate in GENERATORS.items() for case in generate(Maker(op))]
