"""Cases of the operations that change or penalise parameters: optimizers, constraints, regularizers."""

import numpy as np
from fastnn._engine.program import Instruction
from fastnn._engine.runtime import OPS, Buffer

from emulated.making import SHAPES, matrix, panels, result, vector
from emulated.recording import Recording, Region
from fastnn._engine import kernels


def optimizer(*own, own_dims=None, slots="", squares=""):
    """Cases with and without everything that optimizers share: clipping, decay, accumulation."""

    def cases(m):
        for clip, decays, step in (0, 0, 0), (1, 1, 5), (3, 0, 1001):
            operands = dict(param=vector(m.normal(112)), grad=vector(m.normal(112)))
            operands["norms"] = Region(np.array([30.0, 2.0])) if clip == 3 else None
            operands.update((name, vector(0.1 * m.normal(112))) for name in slots.split())
            operands.update((name, vector(0.1 * m.uniform(112))) for name in squares.split())
            settings = dict(n=112, clip=clip, norm_count=2, decays=decays, rate_factor=0.5, accumulation=2 * decays)
            settings |= dict(matrix_rows=7 * decays, matrix_columns=16 * decays)  # 112 floats in any panels
            operands = {name: operands.get(name) for name in OPS[m.op].operands}
            if "sums" in operands:
                operands["sums"] = Region(np.zeros(2))
            hyper = [0.01, 0.1, 0.5, 0.0, *own]
            yield m.case(1, operands, same_bits=False, **settings, **(own_dims or {}), hyper=hyper, step=step)

    return cases


def lamb_apply(m):
    operands = dict(param=vector(m.normal(112)), direction=vector(m.normal(112)), sums=Region(np.array([3.0, 2.0])))
    yield m.case(1, operands, same_bits=False, n=112, rate_factor=1, hyper=[0.01])


def _in_rows(values):
    """Rows of whole cache lines, with zeros behind what they hold."""
    padded = np.zeros((len(values), -(-values.shape[1] // 16) * 16), np.float32)
    padded[:, : values.shape[1]] = values
    return Region(padded)


def adafactor(m):
    """The passes over a matrix, each of which sees what those before it have left in its scratch memory. The last one
    goes over all floats, whose number is the same for every instruction set only where the width suits the widest."""
    for batches, height, columns, ld in (1, 23, 70, 0), (1, 9, 5, 0), (1, 23, 80, 0), (2, 9, 21, 32), (1, 12, 20, 20):
        made = panels if ld == 0 else Region if ld == columns else _in_rows
        regions = {name: made(m.normal(batches * height, columns)) for name in ("param", "grad")}
        for name, n in ("r", height), ("c", columns):
            regions[name] = _in_rows(m.uniform(batches, n))
        count = batches * (columns // 8 + 1)
        scratch = {"sums": 16 * count, "partial": 4 * count * height, "root": 4 * batches * 64}
        places = {name: (each.buffer, each.offset, each.nbytes) for name, each in regions.items()}
        places |= {name: (Buffer(nbytes), 0, nbytes) for name, nbytes in scratch.items()}
        places |= {"norms": None, "direction": places["grad"]}
        floats = regions["param"].nbytes // 4
        settings = dict(n=floats, batches=batches, height=height, columns=columns, ld=ld, count=count,
                        size=batches * height * columns, decays=1, rate_factor=0.5, clip=1)  # fmt: skip
        program = []
        passes = ["adafactor_moments", "adafactor_rows", "adafactor_direction"]
        for op in passes + ["adafactor_apply"] * (ld > 0 or columns % 16 == 0):
            parts = [{key: settings.get(key, 0) for key in names} for names in (OPS[op].dims, OPS[op].scalars)]
            program.append(Instruction(op, {key: places[key] for key in OPS[op].operands}, *parts, 1))
        hyper = [0.3, 0.1, 0.8, 0.0, -0.8, 1e-10, 1e-3, 0.7]
        yield Recording(m.op, program, regions, batch=1, step=2, hyper=hyper)


def muon_start(m):
    for height, columns in (23, 70), (33, 20):
        short, long = sorted((height, columns))
        x = Region(np.zeros((short, kernels.row_stride(long)), np.float32))
        operands = dict(grad=panels(m.normal(height, columns)), sums=Region(np.array([3.0, 2.0])), x=x)
        yield m.case(1, operands, height=height, columns=columns, ldx=x.ld, count=2)


def muon_product(m):
    for height, k, n in (23, 23, 70), (17, 17, 17), (5, 3, 33):
        for turned in 0, 1:
            x, y = (matrix(m.normal(height, each)) for each in ((n, k) if turned else (k, n)))
            operands = dict(x=x, w=panels(m.normal(k, n)), y=y)
            yield m.case(1, operands, height=height, k=k, n=n, turned=turned)


def muon_blend(m):
    operands = dict(x=matrix(m.normal(9, 33)), y=matrix(m.normal(9, 33)))
    yield m.case(1, operands, height=9, n=33, u=1, v=2, hyper=[0.1, 0, 0, 0, 0.5, 2.0])


def muon_apply(m):
    for height, columns in (23, 70), (33, 20):
        operands = dict(param=panels(m.normal(height, columns)), x=matrix(m.normal(*sorted((height, columns)))))
        hyper = [0.1, 0, 0, 0, *9 * [0], 0.2]
        yield m.case(1, operands, same_bits=False, height=height, columns=columns, rate_factor=0.5, hyper=hyper)


def update_numbers(m):
    operands = {name: Region(np.zeros((1, 1), np.float32)) for name in OPS[m.op].operands}
    yield m.case(1, operands, accumulation=3, rate_factor=0.5, hyper=[0.25], step=5)


def join_halves(m):
    for rows, columns in (0, 0), (3, 37):
        n = rows * 48 if rows else 112
        operands = dict(grad=vector(m.normal(n)), half=vector(m.normal(n)))
        yield m.case(1, operands, n=n, matrix_rows=rows, matrix_columns=columns)


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


OF_PARAMETERS = {
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
    "adafactor_moments": adafactor,
    "adafactor_rows": lambda m: (),  # those before and behind them do not work without each other
    "adafactor_direction": lambda m: (),
    "adafactor_vector": optimizer(-0.8, 1e-10, 1e-3, 0.7, own_dims=dict(count=1), squares="velocity"),
    "adafactor_apply": lambda m: (),
    "muon_adam": optimizer(0.9, 0.999, 1e-7, 0.5, 0.1, slots="momentum", squares="velocity"),
    "muon_momentum": optimizer(*5 * [0.0], 0.9, own_dims=dict(nesterov=1), slots="momentum"),
    "muon_start": muon_start,
    "muon_product": muon_product,
    "muon_blend": muon_blend,
    "muon_apply": muon_apply,
    "prepare_update": optimizer(),
    "update_numbers": update_numbers,
    "join_halves": join_halves,
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
}
