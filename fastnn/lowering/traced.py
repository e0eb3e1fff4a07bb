"""Functions of one's own in a program: traced once into a small graph, whose nodes the program computes and
differentiates.

row_values   a loss or a metric ``fn(y_true, y_pred)``: a value for each row, and the gradient of their mean
update_state what the `update_state` of a metric does to its variables
penalty      a regularizer ``fn(weight) -> number``: its value, and its gradient added to the weight's
projection   a constraint ``fn(weight) -> weight``: the weight becomes what it returns
update_step  what the `update_step` of an optimizer does to a variable and to its own
"""

import math

from fastnn.graph import Graph, Tensor
from fastnn.lowering.cost import elementwise_cycles
from fastnn.lowering.formula import Formula
from fastnn.lowering.layout import emit_formula, is_batched, new_slot, reshaped
from fastnn.operations import apply, calling
from fastnn.operations.parameter import Memory, read_variable, write_variable
from fastnn.variables import recording_assignments


def trace(function, shapes, names, kind):
    """The graph of a function of symbolic tensors.

    Parameters
    ----------
    function : callable
    shapes : list of tuple
        None at the first place is the batch.
    names : list of str
    kind : str
        What the function is, for errors: "loss 'mine'".

    Raises
    ------
    TypeError
        If it returns something else than a tensor or a number.
    """
    from fastnn.ops import core

    inputs = [Tensor(shape, name=name) for shape, name in zip(shapes, names, strict=True)]
    with calling(None), core.counting_samples():
        output = _tensor(function(*inputs), kind)
    return Graph(inputs, [output])


def _tensor(output, kind):
    """What a function of one's own returned, if it is one tensor or number."""
    from fastnn.ops import core

    if isinstance(output, (list, tuple)) or output is None:
        raise TypeError(
            f"The {kind} must return a tensor, made of its arguments by fastnn.ops. Received: {output!r:.100} of type "
            f"{type(output).__name__}"
        )
    return core.tensor(output)


def row_values(b, function, kind, prediction, target, weights, values, gradient=None, scale=1.0, adds_up=False):
    """Emit a loss or a metric of one's own.

    Parameters
    ----------
    b : Builder
    function : callable (y_true, y_pred)
        Returns a value for each sample, values for each (their mean counts), or one number for the whole batch.
    kind : str
        What it is, for errors.
    prediction, target : Slot
    weights : Slot or None
        One for each row.
    values : Slot
        Takes one value for each row of the prediction, times its weight.
    gradient : Slot or None
        Takes the gradient of ``scale`` times the mean of the values.
    adds_up : bool, default False
        Several values of a sample are divided by the number of its rows, not by their own: the sum over all rows
        becomes that of all values.

    Returns
    -------
    bool
        Is it one number for the whole batch?
    """
    shape = b.output_shape(prediction)
    target_shape = shape
    if target.n != prediction.n:  # one number for each row
        target_shape = (None,) if target.ld == 1 else (*shape[:-1], target.n)
    shapes, names, slots = [target_shape, shape], ["y_true", "y_pred"], [target, prediction]
    if weights is not None:
        shapes, names, slots = [*shapes, _of_rows(prediction)], [*names, "sample_weight"], [*slots, weights]
    of_batch = False

    def of_rows(y_true, y_pred, *weight):
        nonlocal of_batch
        output = _tensor(function(y_true, y_pred), kind)
        of_batch = not is_batched(output.shape)
        if of_batch and output.shape:  # something of the weights alone
            raise TypeError(
                f"The {kind} returned a tensor of shape {output.shape}: neither values of samples nor one number."
            )
        if not of_batch:
            output = _of_rows_or_samples(output, shape[1:-1], adds_up)
        return output * weight[0] if weight else output

    graph = trace(of_rows, shapes, names, kind)
    y_pred, output = graph.inputs[1], graph.outputs[0]
    part = b.part(graph, dict(zip(graph.inputs, slots, strict=True)), {y_pred} if gradient is not None else ())
    part.forward()
    formula = Formula()
    of_output = part.slot(output), (None, 1, 1) if output.shape == (None,) else output.shape
    emit_formula(b, formula, [formula.input(0)], [of_output], [values], (None, prediction.rows_per_sample, 1))
    if gradient is not None:
        part.set_gradient(output, _unit_gradient(b, output.shape, scale))
        part.backward()
        _copy(b, part.gradient(y_pred), gradient, shape)
    return of_batch


def _of_rows(prediction):
    """The shape of one number for each row."""
    return (None,) if prediction.rows_per_sample == 1 else (None, prediction.rows_per_sample, 1)


def _of_rows_or_samples(output, steps, adds_up):
    """One value for each row, or for each sample, of a tensor that may have several."""
    from fastnn.ops import reductions, shapes

    rows, count = math.prod(steps), math.prod(output.shape[1:])
    by_rows = rows > 1 and output.shape[1 : 1 + len(steps)] == steps
    kept = 1 + len(steps) if by_rows else 1
    if output.ndim > kept:
        output = reductions.mean(output, list(range(kept, output.ndim)))
    if rows > 1:
        output = shapes.reshape(output, (-1, rows if by_rows else 1, 1))
    return output * (count / rows) if adds_up and count != rows else output


def update_state(b, metric, prediction, target, weights):
    """Emit what a metric's `update_state` assigns to its variables.

    Parameters
    ----------
    b : Builder
    metric : Metric
    prediction, target : Slot
    weights : Slot or None
        One for each row.
    """
    from fastnn.ops import shapes
    from fastnn.ops.core import counting_samples

    shape = b.output_shape(prediction)
    target_shape = shape
    if target.n != prediction.n:
        target_shape = (None,) if target.ld == 1 else (*shape[:-1], target.n)
    inputs = {Tensor(target_shape, name="y_true"): target, Tensor(shape, name="y_pred"): prediction}
    arguments, weighted = list(inputs), {}
    if weights is not None:
        of_rows = Tensor(_of_rows(prediction), name="sample_weight")
        inputs[of_rows] = weights
    with calling(None), counting_samples(), recording_assignments() as changed:
        if weights is not None:
            weighted["sample_weight"] = of_rows if of_rows.ndim == 1 else shapes.reshape(of_rows, (-1, *shape[1:-1]))
        metric.update_state(*arguments, **weighted)
    for variable, tensor in changed.items():
        if tensor.shape != variable.shape:
            raise ValueError(
                f"Metric {metric.name!r}: variable {variable.name!r} has shape {variable.shape} and cannot be assigned "
                f"a value of shape {tensor.shape}."
            )
    part = b.part(Graph(list(inputs), list(changed.values())), inputs)
    part.forward()
    for variable, tensor in changed.items():
        write_variable(b, variable, variable.storage, part.slot(tensor))


def _unit_gradient(b, shape, scale):
    """The gradient of ``scale`` times the mean of values by each of them."""
    formula = Formula()
    y = new_slot(b, shape)
    inputs, term = [], formula.constant(scale)
    if is_batched(shape):
        samples = new_slot(b, ())
        b.emit("batch_size", rows=0, work=1, y=samples)
        inputs, term = [(samples, ())], scale / math.prod(shape[1:]) / formula.input(0)
    emit_formula(b, formula, [term], inputs, [y], shape)
    return y


def _copy(b, source, target, shape):
    formula = Formula()
    term = formula.constant(0) if source is None else formula.input(0)
    emit_formula(b, formula, [term], [(source, shape)], [target], shape)


def _of_variable(b, function, variable, kind):
    def of_weight():
        return function(apply("parameter", [], {"value": variable}))

    graph = trace(of_weight, [], [], kind)
    part = b.part(graph, {})
    part.forward()
    return part, graph.outputs[0]


def penalty(b, function, variable, factor=1.0):
    """Emit a regularizer's value and, where the variable is trained, add its gradient to the variable's.

    Parameters
    ----------
    b : Builder
    function : callable (weight)
        Composed of fastnn.ops; returns one number.
    variable : Variable
        Of any layout.
    factor : float, default 1.0
        The penalty is multiplied by it.

    Returns
    -------
    Slot
        Of one float: the penalty.

    Notes
    -----
    Emit it anywhere between `train` and the optimizer's update: before or after the backward pass.
    """
    part, output = _of_variable(b, function, variable, f"regularizer of {variable.path!r}")
    if output.shape not in ((), (1,)):
        raise TypeError(
            f"The regularizer of {variable.path!r} must return one number. Received the shape {output.shape}."
        )
    value, y = part.slot(output), new_slot(b, ())
    formula = Formula()
    emit_formula(b, formula, [formula.input(0) * factor], [(value, ())], [y], ())
    if b.trains(variable):
        seed, formula = new_slot(b, output.shape), Formula()
        emit_formula(b, formula, [formula.constant(factor)], [], [seed], output.shape)
        part.set_gradient(output, seed)
        part.backward()
    return y


def projection(b, function, variable):
    """Emit ``variable = function(variable)``, after the optimizer's update of it.

    Parameters
    ----------
    b : Builder
    function : callable (weight)
        Composed of fastnn.ops; returns a tensor of the weight's shape.
    variable : Variable
        Of any layout.
    """
    part, output = _of_variable(b, function, variable, f"constraint of {variable.path!r}")
    if output.shape != variable.shape:
        raise TypeError(
            f"The constraint of {variable.path!r} must return a tensor of shape {variable.shape}. Received the shape "
            f"{output.shape}."
        )
    write_variable(
        b, variable, variable.storage, reshaped(b, part.slot(output), output.shape, variable.shape), commits=True
    )


def update_step(b, variable, param, grad, slots, n, optimizer, rate_factor, **common):
    """Emit what an optimizer's `update_step` assigns, to a variable and to those of its own.

    Parameters
    ----------
    b : Builder
    variable : Variable
    param, grad : operand
        Of `n` floats each, padding included.
    slots : dict
        Of an optimizer whose update is in C; not read.
    n : int
    optimizer : Optimizer
    rate_factor, **common
        The operands, dimensions and scalars that all optimizers have.
    """
    from fastnn import ops

    if common["clip"] or common["decays"]:
        b.emit(
            "prepare_update", work=elementwise_cycles(n, 6), commits=True, param=param, grad=grad, n=n,
            rate_factor=rate_factor, **common,
        )  # fmt: skip
    numbers = {name: Tensor((), name=name) for name in ("rate", "iterations", "updates")}
    gradient = Tensor(variable.shape, name="gradient")
    inputs = {tensor: new_slot(b, ()) for tensor in numbers.values()}
    accumulation = common["accumulation"]
    b.emit("update_numbers", rows=0, work=1, accumulation=accumulation, rate_factor=rate_factor,
           **{name: inputs[tensor] for name, tensor in numbers.items()})  # fmt: skip
    inputs[gradient] = read_variable(b, variable, grad)
    with calling(None), recording_assignments() as changed, optimizer.counting_by(numbers["iterations"]):
        optimizer.update_step(gradient, variable, numbers["rate"])
        outputs = {each: _updated(optimizer, each, value) for each, value in changed.items()}
        if accumulation:
            now = numbers["updates"] > 0
            outputs = {
                each: ops.where(now, value, apply("parameter", [], {"value": each})) for each, value in outputs.items()
            }
    part = b.part(Graph(list(inputs), list(outputs.values())), inputs)
    part.forward()
    values = {}
    for each, tensor in outputs.items():  # all are there before the first is written
        values[each] = part.slot(tensor)
        if isinstance(values[each], Memory) or tensor is gradient:
            values[each] = new_slot(b, each.shape)
            _copy(b, part.slot(tensor), values[each], each.shape)
    for each, value in values.items():
        write_variable(b, each, each.storage, value, commits=True)


def _updated(optimizer, variable, value):
    if value.shape != variable.shape:
        raise ValueError(
            f"{type(optimizer).__name__}.update_step: variable {variable.path!r} has shape {variable.shape} and cannot "
            f"be assigned a value of shape {value.shape}."
        )
    return value
