"""Values that belong to no sample: a variable as a tensor, and the number of samples in the batch."""

from fastnn.lowering.formula import Formula
from fastnn.lowering.layout import columns, copy_reshaped, emit_formula, new_slot
from fastnn.operations.base import Operation


class Memory:
    """An operand that is no slot of the program, where one is expected."""

    rows_per_sample = 0

    def __init__(self, operand, n, ld):
        self.operand = operand
        self.n = n
        self.ld = ld


class Parameter(Operation):
    """The value of a variable, `value`, as rows; one that lies otherwise is copied."""

    name = "parameter"

    def output_shape(self, node):
        return node.variables["value"].shape

    def to_onnx(self, node, e):
        return e.variable(node.variables["value"])

    def forward(self, node, b):
        return read_variable(b, node.variables["value"])

    def backward(self, node, b, gradient):
        variable = node.variables["value"]
        target, accumulate = b.variable_gradient(variable)
        if target is not None:
            write_variable(b, variable, target, gradient, accumulate)


def read_variable(b, variable, place=None):
    """The value of a variable, or of what lies at a place as it does, as rows."""
    memory, shape = place or variable, variable.shape
    if variable.layout == "rows":
        return Memory(memory, columns(shape), variable.row_stride)
    y = new_slot(b, shape)
    if variable.layout == "flat":
        copy_reshaped(b, Memory(memory, variable.size, variable.size), (variable.size,), y, shape)
    else:
        k, n = shape
        b.emit("unpack_panels", rows=0, work=k * n / 2, x=memory, y=y, k=k, n=n, ldy=y.ld)
    return y


def write_variable(b, variable, target, value, accumulate=False, commits=False):
    """Emit the copy of a tensor's value into memory laid out as a variable is, or its addition to what is there."""
    shape = variable.shape
    if variable.layout == "panels":
        k, n = shape
        slot = target if not accumulate else b.vector(variable.nbytes // 4)
        b.emit("pack_panels", rows=0, work=k * n / 2, commits=commits, x=value, y=slot, k=k, n=n, ldx=value.ld)
        if accumulate:
            floats = variable.nbytes // 4
            formula = Formula()
            total = Memory(target, floats, floats)
            inputs = [(total, (floats,)), (Memory(slot, floats, floats), (floats,))]
            emit_formula(b, formula, [formula.input(0) + formula.input(1)], inputs, [total], (floats,), commits)
        return
    formula = Formula()
    if variable.layout == "flat":
        flat = b.vector(variable.nbytes // 4)
        copy_reshaped(b, value, shape, flat, (variable.size,))
        value, shape, stride = flat, (variable.size,), variable.nbytes // 4
    else:
        stride = variable.row_stride
    memory = Memory(target, columns(shape), stride)
    term = formula.input(1) + formula.input(0) if accumulate else formula.input(0)
    inputs = [(value, shape), (memory, shape)]
    emit_formula(b, formula, [term], inputs, [memory], shape, commits)


class BatchSize(Operation):
    """The number of samples in the batch, as a tensor of shape ()."""

    name = "batch_size"

    def output_shape(self, node):
        return ()

    def to_onnx(self, node, e):
        return e.reshape(e.emit("Cast", e.batch_size(), to=1), node.output)

    def forward(self, node, b):
        y = new_slot(b, ())
        b.emit("batch_size", rows=0, work=1, y=y)
        return y

    def backward(self, node, b, gradient):
        """A count has no gradient."""
