"""One or more random cases for every operation of the engine, at sizes around the edges of vectors, tiles and blocks.

`all_cases` is what is recorded; an operation without a line in `GENERATORS` fails a test. Results are the same bits for
every vector length where each of them is one chain of fused multiply-adds; sums over the lanes of a vector, or over the
partial sums of a batch's statistics, are not.
"""

import numpy as np

from emulated.formula_cases import OF_FORMULAS
from emulated.making import PRODUCTS, SHAPES, SWEEP, Maker, matrix, panels, result, vector
from emulated.measured_cases import MEASURED
from emulated.parameter_cases import OF_PARAMETERS
from emulated.recording import Region
from fastnn._engine import kernels
from fastnn.freeze.quantize import activation_limit, quantize
from fastnn.operations.packed_dense import PRECISIONS, packed
from reference.activations import NAMES as ACTIVATIONS
from reference.arrays import GARBAGE


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
        without_padding = Region(np.full((samples * per, n), GARBAGE, np.float32))
        yield m.case(samples, operands | dict(y=without_padding), per, same_bits=False, n=n)


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
    for rows, k, n in [*PRODUCTS, (50, 131, 770)]:
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
    for rows in 131, 20:
        operands = dict(x=matrix(m.normal(rows, 9)), dz=matrix(m.normal(rows, 37)))
        operands.update(dw=panels(m.normal(9, 37)), db=vector(m.normal(37)))
        operands.update(half_dw=panels(m.normal(9, 37)), half_db=vector(m.normal(37)))
        yield m.case(rows, operands, k=9, n=37, accumulate=0)


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
    """Of one panel: where the sums of several are depends on the instruction set."""
    for k, n, affine in (3, 5, True), (33, 10, False), (50, 12, True), (20, 9, True):
        operands = dict(w=panels(m.normal(k, n)), dw=panels(m.normal(k, n)), db=vector(m.normal(n)))
        operands.update((key, vector(m.normal(k)) if affine else None) for key in ("gamma", "beta"))
        operands["sums"] = Region(np.zeros((2, k)), -(-k // 16) * 16)
        yield m.case(7, operands, same_bits=False, k=k, n=n)


def batchnorm_dense_sums(m):
    for k, n in (3, 5), (33, 10), (50, 12), (20, 9):
        sums = Region(m.normal(2, k), -(-k // 16) * 16)
        operands = dict(sums=sums, dgamma=vector(m.normal(k)), dbeta=vector(m.normal(k)) if k % 2 else None)
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
    "batchnorm_train": batchnorm_train,
    "batchnorm_infer": batchnorm_infer,
    "batchnorm_backward": batchnorm_backward,
    "batchnorm_dense_gradients": batchnorm_dense_gradients,
    "batchnorm_dense_sums": batchnorm_dense_sums,
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
    **MEASURED,
    **OF_FORMULAS,
    **OF_PARAMETERS,
}


def all_cases():
    """Recordings of every operation."""
    return [case for op, generate in GENERATORS.items() for case in generate(Maker(op))]
