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
            yield m.case(samples, dict(x=x, y=result(samples * per, n)), per, n=n, act=act, alpha=0.3)
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


def dense_forward(m):
    for rows, k, n in PRODUCTS:
        for act in 0, 3:
            operands = dict(x=matrix(m.normal(rows, k), act), w=panels(m.normal(k, n)), y=result(rows, n, act))
            operands["bias"] = None if act else vector(m.normal(n))
            yield m.case(rows, operands, k=k, n=n, act=act, alpha=1.0)


def dense_backward_weights(m):
    for rows, k, n in PRODUCTS:
        for accumulate in 0, 1:
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


def sgd(m):
    for momentum, nesterov in (False, 0), (True, 0), (True, 1):
        operands = dict(param=vector(m.normal(112)), grad=vector(m.normal(112)))
        operands["momentum"] = vector(m.normal(112)) if momentum else None
        yield m.case(1, operands, n=112, nesterov=nesterov, momentum_factor=0.9, hyper=[0.01])


def adam(m):
    for step, amsgrad in (0, False), (0, True), (1234, False):
        operands = dict(param=vector(m.normal(112)), grad=vector(m.normal(112)), m=vector(0.1 * m.normal(112)))
        operands.update(v=vector(0.1 * m.uniform(112)), vmax=vector(0.1 * m.uniform(112)) if amsgrad else None)
        settings = dict(n=112, beta_1=0.9, beta_2=0.999, epsilon=1e-7, hyper=[0.001], step=step)
        yield m.case(1, operands, same_bits=False, **settings)


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
            yield m.case(samples, operands, per, n=n, stream=17, rate=rate, seed=2**63 + 5, step=2**33 + 1)


def dropout_backward(m):
    for samples, per, n, extra in SHAPES:
        mask = m.random.integers(0, 2**16, (samples * per, kernels.row_stride(n) // 16)).astype(np.uint16)
        operands = dict(dy=matrix(m.normal(samples * per, n), extra), mask=Region(mask), dx=result(samples * per, n))
        yield m.case(samples, operands, per, n=n, rate=0.3)


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


def reduce_columns(m):
    for samples, per, n, extra in SHAPES:
        for kind in range(5):
            operands = dict(x=matrix(m.normal(samples * per, n), extra), y=result(samples, per))
            yield m.case(samples, operands, n=n, per=per, kind=kind, same_bits=False)


def reduce_rows(m):
    for samples, per, n, extra in SHAPES:
        for kind in range(3):
            x = matrix(m.normal(samples * per, n), extra)
            yield m.case(samples, dict(x=x, y=result(samples, n)), n=n, inner=1, count=per, kind=kind)
            operands = dict(x=x, y=result(per, n))
            yield m.case(samples, operands, 0, n=n, inner=per, count=0, kind=kind, fixed=per)


def batch_size(m):
    yield m.case(5, dict(y=vector(m.normal(1))))


def arrange(m):
    for samples, per, n, extra in SHAPES:
        x, y = matrix(m.normal(samples * per, n), extra), result(samples * n, per)
        plan = [2, n * y.ld, 0, per * x.ld, n * y.ld, 0, 0, per, x.ld, 1, n, 1, y.ld]
        yield m.case(samples, dict(plan=numbers(plan, np.int64), x=x, y=y))
        total = result(samples, n)
        plan = [2, total.ld, 1, per * x.ld, total.ld, 0, 0, per, x.ld, 0, n, 1, 1]
        yield m.case(samples, dict(plan=numbers(plan, np.int64), x=x, y=total))


def pack_panels(m):
    for _, k, n in PRODUCTS:
        yield m.case(1, dict(x=matrix(m.normal(k, n)), y=panels(m.normal(k, n))), 0, k=k, n=n)


def unpack_panels(m):
    for _, k, n in PRODUCTS:
        yield m.case(1, dict(x=panels(m.normal(k, n)), y=result(k, n)), 0, k=k, n=n)


def matmul(m):
    for height, k, n in PRODUCTS[:5]:
        for shared in 0, 1:
            operands = dict(a=matrix(m.normal(3 * height, k)), b=matrix(m.normal((1 if shared else 3) * k, n)),
                            y=result(3 * height, n))  # fmt: skip
            yield m.case(3, operands, height=height, k=k, n=n, groups=1, a_groups=1, b_groups=1 - shared)


GENERATORS = {
    "activation_forward": activation_forward,
    "activation_backward": activation_backward,
    "softmax_forward": softmax_forward,
    "softmax_backward": softmax_backward,
    "affine_forward": affine_forward,
    "affine_backward": affine_backward,
    "dense_forward": dense_forward,
    "dense_backward_weights": dense_backward_weights,
    "dense_backward_input": dense_backward_input,
    "add": add,
    "copy_vector": copy_vector,
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
    "accumulate": accumulate,
    "sparse_accuracy": accuracy(sparse=True),
    "categorical_accuracy": accuracy(),
    "binary_accuracy": accuracy(),
    "sgd": sgd,
    "adam": adam,
    "batchnorm_train": batchnorm_train,
    "batchnorm_infer": batchnorm_infer,
    "batchnorm_backward": batchnorm_backward,
    "batchnorm_dense_gradients": batchnorm_dense_gradients,
    "dropout_forward": dropout_forward,
    "dropout_backward": dropout_backward,
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
