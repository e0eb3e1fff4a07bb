"""fastnn's matrix products in their three shapes, beside the BLAS that NumPy carries."""

import statistics
import time
from types import SimpleNamespace

import numpy as np

# The dense layers of the workloads, sizes off every vector width, and large squares.
SHAPES = (
    (32, 8, 16),
    (32, 16, 16),
    (32, 64, 64),
    (256, 64, 64),
    (32, 784, 300),
    (32, 300, 100),
    (256, 784, 300),
    (256, 300, 100),
    (256, 1024, 2048),
    (256, 2048, 1000),
    (1, 784, 300),
    (33, 77, 101),
    (129, 255, 511),
    (512, 512, 512),
    (1024, 1024, 1024),
)
FORMS = ("X·W", "dY·Wᵀ", "Xᵀ·dY")


def products(m, k, n, threads=1):
    """{form: SimpleNamespace(fastnn=run, numpy=run)}, where run(count) does the same product `count` times.

    fastnn reads and writes weights in its own panels, as in training. NumPy is given preallocated outputs, and several
    products a call where they are small, so that both are timed in C and not in Python.
    """
    from fastnn._engine import kernels

    rng = np.random.default_rng(0)
    x, dz, w = (rng.standard_normal(shape, dtype=np.float32) for shape in ((m, k), (m, n), (k, n)))
    strides = {
        "k": k, "n": n, "ldx": kernels.row_stride(k), "ldy": kernels.row_stride(n),
        "lddz": kernels.row_stride(n), "ldv": kernels.row_stride(k), "lddx": kernels.row_stride(k),
        "act": 0, "accumulate": 0,
    }  # fmt: skip
    padded_x, padded_dz, packed = kernels.padded(x), kernels.padded(dz), kernels.pack(w)

    def fastnn(name, dims, scalars, operands):
        def run(count):
            kernels.call(
                name, m, operands, {each: strides[each] for each in dims.split()}, scalars,
                threads=threads, repeat=count,
            )  # fmt: skip

        return run

    def numpy(a, b):
        # matmul walks a stack in C. The outputs of a stack stay within 32 KiB, for the first-level cache.
        stack = max(1, min(64, 8192 // (a.shape[0] * b.shape[1])))
        left, right = (np.broadcast_to(each, (stack, *each.shape)) for each in (a, b))
        out = np.empty((stack, a.shape[0], b.shape[1]), np.float32)

        def run(count):
            for _ in range(count // stack):
                np.matmul(left, right, out)
            if rest := count % stack:
                np.matmul(left[:rest], right[:rest], out[:rest])

        return run

    alpha = {"alpha": 0.0}
    return {
        "X·W": SimpleNamespace(
            fastnn=fastnn(
                "dense_forward", "k n ldx ldy act", alpha,
                {"x": padded_x, "w": packed, "bias": None, "y": kernels.padded(dz)},
            ),
            numpy=numpy(x, w),
        ),
        "dY·Wᵀ": SimpleNamespace(
            fastnn=fastnn(
                "dense_backward_input", "k n lddz ldv lddx act accumulate", alpha,
                {"dz": padded_dz, "w": packed, "v": None, "dx": kernels.padded(x)},
            ),
            numpy=numpy(dz, w.T),
        ),
        "Xᵀ·dY": SimpleNamespace(
            fastnn=fastnn(
                "dense_backward_weights", "k n ldx lddz accumulate", {},
                {"x": padded_x, "dz": padded_dz, "dw": kernels.pack(w), "db": None},
            ),
            numpy=numpy(x.T, dz),
        ),
    }  # fmt: skip


def repeats(run, seconds):
    """How many products take about so long."""
    count = 1
    while True:
        took = timed(run, count)
        if took > 0.2 * seconds:
            return max(1, round(count * seconds / took))
        count *= 4


def timed(run, count):
    started = time.perf_counter()
    run(count)
    return time.perf_counter() - started


def compare(m, k, n, threads=1, seconds=0.05, rounds=5):
    """GFLOP/s of both and their ratio for every form: medians over rounds in which they take turns.

    Returns
    -------
    dict
        ``{form: {"fastnn": GFLOP/s, "numpy": GFLOP/s, "ratio": fastnn/numpy}}``
    """
    flops = 2e-9 * m * k * n
    result = {}
    for form, runs in products(m, k, n, threads).items():
        counts = {name: repeats(run, seconds) for name, run in vars(runs).items()}
        rates = {name: [] for name in counts}
        for _ in range(rounds):
            for name, count in counts.items():
                rates[name].append(flops * count / timed(getattr(runs, name), count))
        ratios = [a / b for a, b in zip(rates["fastnn"], rates["numpy"], strict=True)]
        result[form] = {name: statistics.median(each) for name, each in rates.items()}
        result[form]["ratio"] = statistics.median(ratios)
    return result
