"""What people bring along: functions that only Python can compute, and gradients of their own."""

import numpy as np

from fastnn._engine.program import Callback
from fastnn.lowering.formula import Formula
from fastnn.lowering.layout import emit_formula, new_slot
from fastnn.operations.base import Operation

MOST_INPUTS = 5  # of a callback; beside them there is the gradient


class PythonCallback(Operation):
    """Attributes of its nodes: `function`, `gradient` (or None), `shape`. See `fastnn.ops.python_callback`."""

    name = "python_callback"

    def output_shape(self, node):
        return node.attributes["shape"]

    def forward(self, node, b):
        y = new_slot(b, node.output.shape)
        function = node.attributes["function"]

        def compute(*arrays):
            return [_checked(function(*arrays), node.output.shape, len(arrays[0]), node, "function")]

        _emit(b, compute, [(b.slot(each), each.shape) for each in node.inputs], [(y, node.output.shape)])
        return y

    def backward(self, node, b, gradient):
        wanted = [b.needs_gradient(each) for each in node.inputs]
        if not any(wanted):
            return
        function = node.attributes["gradient"]
        if function is None:
            raise ValueError(
                f"{node.output.name!r}: ops.python_callback was given no `gradient`, and something that is trained "
                "stands before it. Give it gradient=..., a function of the gradient and the inputs, or cut the "
                "gradient off with ops.stop_gradient(x) around its inputs."
            )
        slots = {each: new_slot(b, each.shape) for each, needed in zip(node.inputs, wanted, strict=True) if needed}

        def compute(upstream, *arrays):
            found = function(upstream, *arrays)
            found = found if isinstance(found, (tuple, list)) else (found,)
            if len(found) != len(arrays):
                raise ValueError(
                    f"{node.output.name!r}: the gradient of ops.python_callback must return an array, or None, for "
                    f"each of its {len(arrays)} inputs. Received {len(found)}."
                )
            results = []
            for each, value in zip(node.inputs, found, strict=True):
                if each in slots and len(results) < len(slots):
                    value = np.zeros(1, np.float32) if value is None else value
                    results.append(_checked(value, each.shape, len(upstream), node, "gradient"))
            return results

        inputs = [(gradient, node.output.shape), *((b.slot(each), each.shape) for each in node.inputs)]
        _emit(b, compute, inputs, [(slot, each.shape) for each, slot in slots.items()])
        for each, slot in slots.items():
            b.set_gradient(each, slot)

    def fold(self, node, f):
        raise ValueError(
            f"Layer {node.output.name!r} calls Python, by ops.python_callback: what is frozen or exported runs without "
            "it. Write the function with fastnn.ops."
        )


def _emit(b, function, inputs, outputs):
    callback = Callback(function, *([(shape, slot.ld) for slot, shape in each] for each in (inputs, outputs)))
    bound = {f"x{i}": slot for i, (slot, _) in enumerate(inputs)}
    bound.update({f"y{i}": slot for i, (slot, _) in enumerate(outputs)})
    b.emit("callback", rows=0, work=1, function=callback, **bound)


def _checked(value, shape, samples, node, what):
    wanted = tuple(samples if size is None else size for size in shape)
    value = np.asarray(value, np.float32)
    if value.shape != wanted:
        try:
            value = np.broadcast_to(value, wanted) if what == "gradient" and value.size == 1 else value.reshape(wanted)
        except ValueError:
            raise ValueError(
                f"{node.output.name!r}: the {what} of ops.python_callback must return an array of shape {wanted}. "
                f"Received shape {value.shape}."
            ) from None
    return value


class CustomGradient(Operation):
    """Its first input; the gradient of the others is what a graph says: `gradients`, whose inputs stand for them and,
    the last one, for the gradient of the value. See `fastnn.ops.custom_gradient`."""

    name = "custom_gradient"

    def to_onnx(self, node, e):
        return e.unchanged(node)

    def forward(self, node, b):
        return b.slot(node.inputs[0])

    def backward(self, node, b, gradient):
        graph, arguments = node.attributes["gradients"], node.inputs[1:]
        slots = [*(b.slot(each) for each in arguments), gradient]
        part = b.part(graph, dict(zip(graph.inputs, slots, strict=True)))
        part.forward()
        for each, found in zip(arguments, graph.outputs, strict=True):
            if b.needs_gradient(each):
                own, formula = new_slot(b, each.shape), Formula()
                emit_formula(b, formula, [formula.input(0)], [(part.slot(found), found.shape)], [own], each.shape)
                b.set_gradient(each, own)

    def fold(self, node, f):
        return f.value(node.inputs[0])
