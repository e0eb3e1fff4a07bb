"""How tensors of any shape lie in a program's memory, and instructions over such tensors.

A tensor of shape ``(None, ..., n)`` is a matrix with rows of n values; one of shape ``(None,)`` has a value for each
sample, without gaps. A tensor whose shape has no None (a parameter, or what is computed from parameters or from sums
over the batch) lies the same way, but is there once, whatever the batch: its slot has `rows_per_sample` 0.
"""

import math

import numpy as np

from fastnn._engine.runtime import Buffer
from fastnn.lowering.cost import elementwise_cycles

_OPERANDS, _REGISTERS = 10, 256  # of an expression: inputs and outputs; and what csrc/ops/expression.c has


def is_batched(shape):
    """Is there a value for each sample?"""
    return len(shape) > 0 and shape[0] is None


def row_axes(shape):
    """The axes that rows are counted by; None for the batch."""
    return shape[:-1] if shape[:1] != (None,) or len(shape) > 1 else shape


def columns(shape):
    """Values in a row."""
    return shape[-1] if shape and shape[-1] is not None else 1


def body(shape):
    """The shape of one sample, or of all of a tensor without a batch."""
    return shape[1:] if is_batched(shape) else shape


def new_slot(b, shape):
    """Memory for a tensor."""
    if not is_batched(shape):
        return b.fixed(math.prod(shape[:-1]), columns(shape))
    if len(shape) == 1:
        return b.per_row(1)
    return b.matrix(math.prod(shape[1:-1]), shape[-1])


def fixed_rows(shape):
    """Rows of a tensor without a batch; 0 with one: what the engine's `rows` are."""
    return 0 if is_batched(shape) else math.prod(shape[:-1])


def rows_per_sample(shape):
    return math.prod(body(shape)[:-1]) if is_batched(shape) else 0


def costs(shape, cycles_for_8):
    """The keywords of `emit` that tell what a pass over a tensor costs."""
    cycles = elementwise_cycles(columns(shape), cycles_for_8)
    if is_batched(shape):
        return {"rows": rows_per_sample(shape), "work_per_row": cycles}
    return {"rows": 0, "work": cycles * fixed_rows(shape)}


def strides(shape, ld):
    """Floats from one index of each axis of `body(shape)` to the next."""
    sizes = body(shape)
    steps = [1] * len(sizes)
    for axis in range(len(sizes) - 2, -1, -1):
        steps[axis] = ld if axis == len(sizes) - 2 else steps[axis + 1] * sizes[axis + 1]
    return steps


def sample_floats(shape, ld):
    """Floats from one sample to the next; of all rows, for a tensor without a batch."""
    return ld if len(shape) == 1 and is_batched(shape) else math.prod(body(shape)[:-1]) * ld


def numbers(values, dtype):
    """Constant numbers as an operand."""
    array = np.asarray(values, dtype)
    buffer = Buffer(max(array.nbytes, 4))
    buffer.array(array.shape, dtype)[...] = array
    return buffer, 0, buffer.nbytes


def access(slot, shape, out):
    """How an expression with rows of shape `out` reads a tensor: (ld, width, div, mod).

    None if no such numbers say it: the axes that the tensor has must follow each other.
    """
    rows, wanted = row_axes(shape), row_axes(out)
    rows = (1,) * (len(wanted) - len(rows)) + tuple(rows)[max(0, len(rows) - len(wanted)) :]
    there = [axis for axis, size in enumerate(wanted) if rows[axis] == size and size != 1]
    if there and any(wanted[axis] != 1 for axis in range(there[0], there[-1]) if axis not in there):
        return None
    width = 1 if columns(shape) == 1 else columns(out)
    if not there:
        return slot.ld, width, 1, 0 if all(size == 1 for size in wanted) else 1
    div = math.prod(wanted[there[-1] + 1 :])
    mod = 0 if all(size == 1 for size in wanted[: there[0]]) else math.prod(wanted[there[0] : there[-1] + 1])
    return slot.ld, width, div, mod


def emit_formula(b, formula, outputs, inputs, slots, shape, commits=False):
    """Emit the computation of terms of a formula.

    Parameters
    ----------
    b : Builder
    formula : Formula
    outputs : list of Term
    inputs : list of (slot, shape)
        By the formula's numbers.
    slots : list of slots
        Of the outputs, all of the same kind.
    shape : tuple
        Of the outputs.
    commits : bool
        Changes the model.
    """
    first = 0
    while first < len(outputs):
        count = len(outputs) - first
        while count > 1 and not _fits(formula, outputs[first : first + count]):
            count -= 1
        part = slice(first, first + count)
        _emit_expression(b, formula, outputs[part], inputs, slots[part], shape, commits)
        first += count


def _fits(formula, outputs):
    registers, used, *_ = formula.compile(outputs)
    return len(used) + len(outputs) <= _OPERANDS and registers <= _REGISTERS


def _emit_expression(b, formula, outputs, inputs, slots, shape, commits):
    registers, used, constants, steps, results = formula.compile(outputs)
    if registers > _REGISTERS:
        raise ValueError(
            f"A formula of {len(steps)} elementwise steps with {len(constants)} different numbers needs {registers} "
            f"places for values, and there are {_REGISTERS}. Break it where several parts meet, with ops.reshape(x, "
            "...) to another shape and back for instance, or keep its numbers in an array."
        )
    code = [registers, len(used), len(constants), len(steps), len(outputs)]
    operands = {}
    for operand, number in enumerate(used):
        slot, its_shape = inputs[number]
        reads = access(slot, its_shape, shape)
        if reads is None:
            slot = broadcast(b, slot, its_shape, shape)
            reads = access(slot, shape, shape)
        operands[f"o{operand}"] = slot
        code += [operand, *reads]
    for step in steps:
        code += step
    for operand, (slot, register) in enumerate(zip(slots, results, strict=True), len(used)):
        operands[f"o{operand}"] = slot
        code += [operand, slot.ld, register]
    b.emit(
        "expression", **costs(shape, formula.cycles(outputs)), commits=commits, n=columns(shape),
        fixed=fixed_rows(shape), code=numbers(code, np.int32), constants=numbers(constants, np.float32), **operands,
    )  # fmt: skip


def broadcast(b, slot, shape, out):
    """A tensor's value repeated to a shape that it can be broadcast to."""
    aligned = (1,) * (len(body(out)) - len(body(shape))) + tuple(body(shape))
    axes = [(axis - len(aligned) + len(body(shape)), 1) if size == body(out)[axis] else (-1, 0)
            for axis, size in enumerate(aligned)]  # fmt: skip
    result = new_slot(b, out)
    emit_arrange(b, slot, shape, result, out, body(out), axes, [(axis, 1) for axis in range(len(aligned))])
    return result


def emit_arrange(
    b, x, x_shape, y, y_shape, sizes, x_axes, y_axes, x_start=(), y_start=(), add=False, joins=None
):  # fmt: skip
    """Emit ``y[index] = x[index]`` over a box of indices; y is 0 wherever nothing goes.

    Parameters
    ----------
    sizes : sequence of int
        Of the box.
    x_axes, y_axes : sequence of (axis of the sample, step)
        What a step along an axis of the box is in x and in y; axis -1: nothing.
    x_start, y_start : sequence of (axis, index), optional
        Where to begin.
    add : bool
        Places of y that indices share get the sum of their values.
    joins : int, optional
        Values that this instruction and those after it write to y together; 0: one before has set y to 0.
    """
    walks = list(zip(sizes, _steps(x_axes, x_shape, x.ld), _steps(y_axes, y_shape, y.ld), strict=True))
    walks.sort(key=lambda walk: -abs(walk[1] if add else walk[2]))  # vectors lie along the last one
    merged = []
    for size, xs, ys in (each for each in walks if each[0] != 1):
        if merged and merged[-1][1] == xs * size and merged[-1][2] == ys * size:
            merged[-1] = (merged[-1][0] * size, xs, ys)
        else:
            merged.append((size, xs, ys))
    merged = merged or [(1, 1, 1)]
    if len(merged) > 6:
        raise ValueError(f"Values cannot be rearranged over {len(merged)} axes at once; at most 6.")
    if not add:  # a plane that is transposed comes last
        turned = [each for each in merged[:-1] if each[1] == 1]
        merged[-1:-1] = [merged.pop(merged.index(each)) for each in turned[-1:]]
    joins = math.prod(sizes) if joins is None else joins
    plan = [
        len(merged), add, *_zeros(y_shape, y.ld, joins, add),
        sample_floats(x_shape, x.ld) if is_batched(x_shape) else 0, sample_floats(y_shape, y.ld),
        sum(_steps(x_start, x_shape, x.ld)), sum(_steps(y_start, y_shape, y.ld)), *sum(merged, ()),
    ]  # fmt: skip
    b.emit("arrange", **costs(y_shape, 4), plan=numbers(plan, np.int64), x=x, y=y)


def _zeros(shape, ld, values, add):
    """What must be 0 before values are written to a sample, or added: rows, offset, step and floats of each."""
    if add or 0 < values < math.prod(body(shape)):
        return 1, 0, 0, sample_floats(shape, ld)
    padding = min(ld - columns(shape), -columns(shape) % 16)
    return (rows_per_sample(shape) or fixed_rows(shape)) if values and padding else 0, columns(shape), ld, padding


def _steps(axes, shape, ld):
    known = strides(shape, ld)
    return [known[axis] * step if axis >= 0 else 0 for axis, step in axes]


def emit_reduce(b, kind, x, x_shape, axis, y, y_shape):
    """Emit the sum (0), maximum (1), minimum (2), or place of the maximum (3) or minimum (4) over an axis."""
    if axis == len(x_shape) - 1 and axis > 0 or x_shape == y_shape or (len(x_shape) == 1 and not is_batched(x_shape)):
        per = 1 if len(y_shape) == len(x_shape) else columns(y_shape)
        b.emit(
            "reduce_columns", **costs(x_shape, 1.5) | {"rows": rows_per_sample(y_shape)}, x=x, y=y,
            n=columns(x_shape), ldx=x.ld, ldy=y.ld, per=per, kind=kind, fixed=fixed_rows(y_shape),
        )  # fmt: skip
        return
    over_batch = axis == 0 and is_batched(x_shape)
    keywords = {"rows": rows_per_sample(y_shape)}
    cost = elementwise_cycles(columns(x_shape), 1.5)
    if over_batch:
        keywords["work"] = cost * rows_per_sample(x_shape) * b.batch
    else:
        keywords |= {"work_per_row": cost * x_shape[axis]}
    b.emit(
        "reduce_rows", **keywords, x=x, y=y, n=columns(x_shape), ldx=x.ld, ldy=y.ld,
        inner=math.prod(x_shape[axis + 1 : -1]), count=0 if over_batch else x_shape[axis], kind=kind,
        fixed=fixed_rows(y_shape),
    )  # fmt: skip


def reshaped(b, x, shape, out):
    """The same values in another shape of a sample: the same memory where that is right, else a copy."""
    old, new = (rows_per_sample(each) or fixed_rows(each) for each in (shape, out))
    if (old, columns(shape)) == (new, columns(out)):
        return x
    y = new_slot(b, out)
    copy_reshaped(b, x, shape, y, out)
    return y


def copy_reshaped(b, x, shape, y, out):
    """Emit the copy of values into another shape of a sample."""
    old, new = (rows_per_sample(each) or fixed_rows(each) for each in (shape, out))
    cycles = elementwise_cycles(math.prod(body(out)), 2)
    b.emit(
        "reshape", rows=1 if is_batched(out) else 0, **{"work_per_row" if is_batched(out) else "work": cycles}, x=x,
        y=y, rows_x=old, n_x=columns(shape), ldx=x.ld, rows_y=new, n_y=columns(out), ldy=y.ld,
    )  # fmt: skip


def sum_to(b, slot, shape, out):
    """Emit the sums over the axes along which a tensor of shape `out` was broadcast to `shape`; returns their slot."""
    while is_batched(shape) and not is_batched(out):
        y = new_slot(b, shape[1:])
        emit_reduce(b, 0, slot, shape, 0, y, shape[1:])
        slot, shape = y, shape[1:]
    aligned = (1,) * (len(shape) - len(out)) + tuple(out)
    for axis in range(len(shape)):
        if aligned[axis] != shape[axis]:
            reduced = (*shape[:axis], 1, *shape[axis + 1 :])
            y = new_slot(b, reduced)
            emit_reduce(b, 0, slot, shape, axis, y, reduced)
            slot, shape = y, reduced
    return reshaped(b, slot, shape, out)
