"""Cases of the operations that formulas are made of: arithmetic, sums, products, and moving values."""

import numpy as np

from emulated.making import PRODUCTS, SHAPES, matrix, panels, result, vector
from emulated.recording import Region
from fastnn.lowering.primitives import PRIMITIVES


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


OF_FORMULAS = {
    "expression": expression,
    "reduce_columns": reduce_columns,
    "reduce_rows": reduce_rows,
    "batch_size": batch_size,
    "arrange": arrange,
    "pack_panels": pack_panels,
    "unpack_panels": unpack_panels,
    "matmul": matmul,
}
