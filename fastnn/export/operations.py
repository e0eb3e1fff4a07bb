"""What each operation is in C: calls of the library, and loops."""

import math

import numpy as np

from fastnn.export.writer import strides
from fastnn.freeze.quantize import activation_limit, quantize
from fastnn.lowering.layout import body
from fastnn.operations import rownorm

_LARGEST_HALF = 65504
_WIDE = 16  # floats of 512 bits
_WITH_ALPHA = ("leaky_relu", "elu")
_IN_C = {
    "copy": "{0}",
    "stop_gradient": "{0}",
    "negative": "-{0}",
    "add": "{0} + {1}",
    "subtract": "{0} - {1}",
    "multiply": "{0} * {1}",
    "divide": "{0} / {1}",
    "less": "{0} < {1} ? 1.0f : 0.0f",
    "less_equal": "{0} <= {1} ? 1.0f : 0.0f",
    "equal": "{0} == {1} ? 1.0f : 0.0f",
    "where": "{0} == 0.0f ? {2} : {1}",
}


def literal(value):
    """A float32 in C."""
    value = np.float32(value)
    if not np.isfinite(value):
        return "NAN" if np.isnan(value) else "INFINITY" if value > 0 else "-INFINITY"
    return f"{value!s}f"


def _rows(tensor):
    """Rows and columns of the matrix that a tensor is."""
    *rows, columns = body(tensor.shape) or (1,)
    return math.prod(rows), columns


# ---- dense layers ----------------------------------------------------------------------------------------------------


def dense(node, w):
    precision = w.precision or node.attributes.get("precision", "float32")
    kernel = node.variables["kernel"].numpy()
    bias = node.variables["bias"] and node.variables["bias"].numpy()
    if bias is not None and _all_zero(bias):
        bias = None
    rows, k = _rows(node.inputs[0])
    relu = w.take_relu(node) if precision == "float32" else None
    x, y, n = w.read(node.inputs[0]), w.write(relu.output if relu else node.output), kernel.shape[1]
    given = f"{x}, {y}, {rows}, {k}, {n}"
    if precision == "int8":
        if not np.isfinite(kernel).all():
            raise w.cannot(node, "its weights are not all finite numbers, and cannot be quantised")
        integers, scale = quantize(kernel)
        limit, largest = activation_limit(integers), node.attributes.get("range") or 0.0
        kernel = w.table(node, "kernel", integers.T, "int8_t", f"{n} outputs by {k} inputs")
        tables = kernel, w.table(node, "scale", scale), _optional(w, node, bias)
        w.integers = max(w.integers, k)
        numbers = f"{literal(limit)}, {literal(largest)}, integers"
        w.add(f"net_dense_int8({given}, {', '.join(tables)}, {numbers});")
        return
    function, type_, more = "net_dense", "float", f", {int(relu is not None)}"
    if precision == "float16":
        if not np.all(np.abs(kernel) <= _LARGEST_HALF):
            raise w.cannot(node, f"float16 ends at {_LARGEST_HALF}, and a weight does not fit")
        kernel, function, type_ = kernel.astype(np.float16).view(np.uint16), "net_dense_float16", "uint16_t"
        more = ""
    table = w.table(node, "kernel", kernel, type_, f"{k} inputs by {n} outputs")
    w.add(f"{function}({given}, {table}, {_optional(w, node, bias)}{more});")


def nothing_but_vectors(graph):
    """Are wide dense layers all there is to compute? Vectors of 512 bits slow down what else is done beside them."""

    def wide(node):
        name, function = node.operation.name, node.attributes.get("function")
        return name in ("dense", "packed_dense", "identity", "reshape") or (
            name == "activation" and (function == "relu" or node.output.features >= _WIDE)
        )

    return all(map(wide, graph.nodes))


def _all_zero(values):
    """Also without a sign?"""
    return not values.view(np.uint32).any()


def _optional(w, node, bias, name="bias"):
    return "0" if bias is None else w.table(node, name, bias)


def matmul(node, w):
    a, b = node.inputs
    (*groups, m, n), k = body(node.output.shape), a.shape[-1]
    b_step = k * n if len(body(b.shape)) > 2 else 0
    w.add(f"net_matmul({w.read(a)}, {w.read(b)}, {w.write(node.output)}, {math.prod(groups)}, {m}, {k}, {n}, {m * k}, "
          f"{b_step}, {int(bool(node.attributes['turned']))});")  # fmt: skip


# ---- element by element ----------------------------------------------------------------------------------------------


def activation(node, w):
    function, alpha = node.attributes["function"], literal(node.attributes["alpha"])
    _each(node, w, [], lambda x: x if function == "linear" else
          f"net_{function}({x}{', ' + alpha if function in _WITH_ALPHA else ''})")  # fmt: skip


def prelu(node, w):
    _each(node, w, [("alpha", node.variables["alpha"])], lambda x, alpha: f"net_prelu({x}, {alpha})")


def affine(node, w):
    names = ("scale", "shift") if node.operation.name == "affine" else ("gamma", "beta")
    scale, shift = (node.variables[name] for name in names)
    if shift is not None and _all_zero(shift.numpy()):
        shift = None
    there = [each for each in (("scale", scale), ("shift", shift)) if each[1] is not None]

    def value(x, *tables):
        by, plus = tables if len(tables) == 2 else (*tables, "0.0f") if shift is None else ("1.0f", *tables)
        return f"net_fma({x}, {by}, {plus})"

    _each(node, w, there, value)


def discretize(node, w):
    boundaries = node.variables["boundaries"].numpy()
    table = w.table(node, "boundaries", boundaries)
    _each(node, w, [], lambda x: f"net_bin({x}, {table}, {boundaries.size})")


def _each(node, w, tables, value):
    """A loop over the elements of the node's input and of tables that are broadcast to it."""
    x, shape = node.inputs[0], body(node.output.shape)
    operands = [(w.read(x), 0, strides(shape, shape))]
    for name, variable in tables:
        operands.append((w.table(node, name, variable.numpy()), 0, strides(variable.shape, shape)))
    operands.append((w.write(node.output, over=[x]), 0, strides(shape, shape)))
    w.loop(shape, operands, lambda *elements: [f"{elements[-1]} = {value(*elements[:-1])};"])


def group(group, w):
    """Elementwise nodes that are one formula: the terms one after the other, rounded as the engine rounds them."""
    formula, output = group.formula()
    tensor = group.root.output
    shape, tensors = body(tensor.shape), group.inputs
    operands = [(w.read(each), 0, strides(body(each.shape), shape)) for each in tensors]
    operands.append((w.write(tensor, over=tensors), 0, strides(shape, shape)))

    def statement(*elements):
        names, lines = {}, []
        for number in formula.needed([output]):
            name, *arguments = formula.terms[number]
            if name == "input":
                names[number] = elements[arguments[0]]
            elif name == "constant":
                text = literal(arguments[0])
                names[number] = f"({text})" if text.startswith("-") else text
            else:
                text = _IN_C.get(name, f"net_{name}({', '.join(['{0}', '{1}', '{2}'][: _arity(name)])})")
                names[number] = f"t{len(lines)}"
                lines.append(text.format(*(names[each] for each in arguments)))
        lines = lines or [names[output.number]]
        return [
            *(f"const float t{at} = {line};" for at, line in enumerate(lines[:-1])),
            f"{elements[-1]} = {lines[-1]};",
        ]

    w.loop(shape, operands, statement)


def _arity(name):
    return 2 if name in ("maximum", "minimum", "power") else 1


# ---- rows ------------------------------------------------------------------------------------------------------------


def softmax(node, w):
    rows, n = _rows(node.inputs[0])
    x = w.read(node.inputs[0])
    w.add(f"net_softmax({x}, {w.write(node.output, over=node.inputs)}, {rows}, {n});")


def normalise(node, w):
    rows, n = _rows(node.inputs[0])
    x, flags = w.read(node.inputs[0]), rownorm.KINDS[node.attributes["kind"]]
    y = w.write(node.output, over=node.inputs)
    gamma, beta = (
        _optional(w, node, node.variables[name] and node.variables[name].numpy(), name) for name in ("gamma", "beta")
    )
    flags = ", ".join(str(flags[name]) for name in ("subtract", "centre", "unit"))
    w.add(f"net_rownorm({x}, {y}, {rows}, {n}, {gamma}, {beta}, {literal(node.attributes['epsilon'])}, {flags});")


def reduce(node, w):
    x, kind = node.inputs[0], node.attributes["kind"]
    shape, axis = body(x.shape), node.attributes["axis"] - (len(x.shape) - len(body(x.shape)))
    sizes = f"{math.prod(shape[:axis])}, {shape[axis]}, {math.prod(shape[axis + 1 :])}"
    function = {"sum": "sum", "max": "extreme", "min": "extreme"}.get(kind, "argextreme")
    sign = "" if kind == "sum" else ", 1.0f" if kind.endswith("max") else ", -1.0f"
    source = w.read(x)
    w.add(f"net_{function}({source}, {w.write(node.output)}, {sizes}{sign});")


# ---- numbers that mean something, and values that move ---------------------------------------------------------------


def embedding(node, w):
    table = node.variables["embeddings"].numpy()
    ids, count = w.read(node.inputs[0]), math.prod(body(node.inputs[0].shape))
    y, values = w.write(node.output), w.table(node, "embeddings", table)
    w.add(f"net_embedding({ids}, {y}, {count}, {table.shape[1]}, {values}, {table.shape[0]});")


def category_encode(node, w):
    mode, n = node.attributes["mode"], node.attributes["tokens"]
    ids, count = w.read(node.inputs[0]), math.prod(body(node.inputs[0].shape))
    per = 1 if mode == "one_hot" else node.inputs[0].features
    w.add(f"net_category_encode({ids}, {w.write(node.output)}, {count // per}, {per}, {n}, {int(mode == 'count')});")


def parameter(node, w):
    w.define(node.output, w.table(node, "value", node.variables["value"].numpy()))


def arrange(node, w):
    shape = body(node.output.shape)
    y, covered = w.write(node.output), sum(math.prod(piece.sizes) for piece in node.attributes["pieces"])
    if covered < math.prod(shape):
        w.loop([math.prod(shape)], [(y, 0, (1,))], lambda to: [f"{to} = 0.0f;"])
    to = _plain(shape)
    for tensor, piece in zip(node.inputs, node.attributes["pieces"], strict=True):
        of = _plain(body(tensor.shape))
        if not math.prod(piece.sizes):
            continue
        operands = [
            (y, sum(to[axis] * at for axis, at in piece.y_start), [_step(to, *each) for each in piece.y_axes]),
            (w.read(tensor), sum(of[axis] * at for axis, at in piece.x_start), [_step(of, *e) for e in piece.x_axes]),
        ]
        w.loop(piece.sizes, operands, lambda into, value: [f"{into} = {value};"])


def _plain(shape):
    return [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]


def _step(steps, axis, times):
    return steps[axis] * times if axis >= 0 else 0


def lookup(node, w):
    raise w.cannot(node, "it looks tokens up in a table of text or large integers, which is done before the network")


EMITTERS = {
    "dense": dense,
    "packed_dense": dense,
    "matmul": matmul,
    "activation": activation,
    "prelu": prelu,
    "affine": affine,
    "scale_shift": affine,
    "discretize": discretize,
    "softmax": softmax,
    "rownorm": normalise,
    "reduce": reduce,
    "embedding": embedding,
    "category_encode": category_encode,
    "parameter": parameter,
    "arrange": arrange,
    "lookup": lookup,
}
