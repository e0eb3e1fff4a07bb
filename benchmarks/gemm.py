"""fastnn's matrix products in their three shapes, beside the BLAS that NumPy carries."""

import time

import numpy as np

# (rows, inputs, outputs): the smallest, squares up to 2048, the dense layers of the workloads, and sizes off every
# vector width.
SHAPES = (
    (1, 1, 1),
    (2, 3, 5),
    (4, 4, 4),
    (8, 8, 8),
    (13, 11, 17),
    (16, 16, 16),
    (32, 32, 32),
    (33, 31, 29),
    (48, 48, 48),
    (64, 64, 64),
    (65, 63, 67),
    (128, 128, 128),
    (129, 255, 511),
    (256, 256, 256),
    (512, 512, 512),
    (1000, 999, 1001),
    (1024, 1024, 1024),
    (2048, 2048, 2048),
    (1, 784, 300),
    (32, 8, 16),
    (32, 16, 16),
    (32, 64, 64),
    (32, 784, 300),
    (32, 300, 100),
    (33, 77, 101),
    (256, 64, 64),
    (256, 784, 300),
    (256, 1024, 2048),
    (256, 2048, 1000),
)
FORMS = {"forward": "X·W", "input_gradient": "dY·Wᵀ", "weight_gradient": "Xᵀ·dY"}
LIBRARIES = ("fastnn", "numpy")


def product(library, form, m, k, n, threads=1):
    """run(count), which does one product of X (m x k), W (k x n) and dY (m x n) `count` times.

    Parameters
    ----------
    library : {"fastnn", "numpy"}
        NumPy's BLAS takes its threads from the environment (`benchmarks.threads`).
    form : str
        A key of `FORMS`.
    """
    rng = np.random.default_rng(0)
    x, w, dy = (rng.standard_normal(shape, dtype=np.float32) for shape in ((m, k), (k, n), (m, n)))
    if library == "fastnn":
        return _fastnn(form, x, w, dy, threads)
    return _numpy(*{"forward": (x, w), "input_gradient": (dy, w.T), "weight_gradient": (x.T, dy)}[form])


def _fastnn(form, x, w, dy, threads):
    """Everything lies as it does in training: weights and their gradients in panels, rows at the program's stride."""
    from fastnn._engine import kernels
    from fastnn.lowering.builder import row_stride

    def padded(matrix):
        return kernels.padded(matrix, extra=(row_stride(matrix.shape[1]) - kernels.row_stride(matrix.shape[1])) // 16)

    (m, k), n = x.shape, w.shape[1]
    ld_k, ld_n = row_stride(k), row_stride(n)
    # The outputs start as copies of arrays of their shape; every product overwrites them.
    name, operands, dims, scalars = {
        "forward": (
            "dense_forward",
            {"x": padded(x), "w": kernels.pack(w), "bias": None, "y": padded(dy)},
            {"k": k, "n": n, "ldx": ld_k, "ldy": ld_n, "act": 0},
            {"alpha": 0.0},
        ),
        "input_gradient": (
            "dense_backward_input",
            {"dz": padded(dy), "w": kernels.pack(w), "v": None, "dx": padded(x)},
            {"k": k, "n": n, "lddz": ld_n, "ldv": ld_k, "lddx": ld_k, "act": 0, "accumulate": 0},
            {"alpha": 0.0},
        ),
        "weight_gradient": (
            "dense_backward_weights",
            {"x": padded(x), "dz": padded(dy), "dw": kernels.pack(w), "db": None},
            {"k": k, "n": n, "ldx": ld_k, "lddz": ld_n, "accumulate": 0},
            {},
        ),
    }[form]

    def run(count):
        kernels.call(name, m, operands, dims, scalars, threads=threads, repeat=count)

    return run


def _numpy(a, b):
    """The fastest way into NumPy's BLAS: `dot`, which unlike `matmul` gives it every shape.

    Below 100,000 flops Python's part of a call would count. There the products go as a stack, over which `matmul` loops
    in C, and whose outputs stay in the first-level cache.
    """
    if 2 * a.size * b.shape[1] > 100_000:
        out = np.empty((a.shape[0], b.shape[1]), np.float32)

        def run(count):
            for _ in range(count):
                np.dot(a, b, out)

        return run

    stack = max(1, 32 * 1024 // (4 * a.shape[0] * b.shape[1]))
    left, right = (np.broadcast_to(each, (stack, *each.shape)) for each in (a, b))
    out = np.empty((stack, a.shape[0], b.shape[1]), np.float32)

    def run(count):
        for begin in range(0, count, stack):
            rest = min(stack, count - begin)
            np.matmul(left[:rest], right[:rest], out[:rest])

    return run


def timed(run, count):
    """Seconds of run(count)."""
    started = time.perf_counter()
    run(count)
    return time.perf_counter() - started


def repeats(run, seconds):
    """How many products take about so long."""
    count = 1
    while (took := timed(run, count)) < 0.2 * seconds:
        count *= 4
    return max(1, round(count * seconds / took))
