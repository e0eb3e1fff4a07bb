"""Turns a graph into the body of a C function that computes one sample.

Values lie in C order without gaps, so a reshape is no work. Each value is an argument of the function, a constant, or a
`Buffer`: part of one array of floats, planned as the engine plans its arena. Until that is done the code names a buffer
``$number$``.
"""

import math
import re

import numpy as np

from fastnn.lowering import fusion, memory
from fastnn.lowering.layout import body, is_batched

ALIASES = ("identity", "reshape")  # operations whose result is their input, as values lie here
_INDICES = "ijlmop"


class Buffer:
    """Floats that are kept from one step to another.

    Attributes
    ----------
    floats : int
    first, last : int
        The steps that write and read it.
    argument : str or None
        The argument of the function in which it lies.
    """

    __slots__ = ("floats", "first", "last", "argument")

    def __init__(self, floats, first, last):
        self.floats = floats
        self.first = first
        self.last = last
        self.argument = None


class Constant:
    """A table in read-only memory.

    Attributes
    ----------
    name, type, comment : str
    values : ndarray
    """

    __slots__ = ("name", "type", "comment", "values")

    def __init__(self, name, type_, comment, values):
        self.name = name
        self.type = type_
        self.comment = comment
        self.values = values


class Writer:
    """Writes one graph down; the functions in `operations` say how.

    Parameters
    ----------
    graph : Graph
        Folded.
    precision : {"float32", "float16", "int8"} or None
        Of all dense layers; None: as the graph has them.

    Attributes
    ----------
    constants : list of Constant
    integers : int
        The longest row of a layer in int8: so many int16 are needed beside the floats.
    floats : int
        Size of the array in which the buffers lie.
    """

    def __init__(self, graph, precision=None):
        self.graph = graph
        self.precision = precision
        self.constants = []
        self.integers = self.floats = 0
        self._lines = []
        self._buffers = []
        self._names = set()
        self._same = {}
        self._groups = fusion.groups(graph)
        self._units = [node for node in graph.nodes if node not in self._groups or self._groups[node].root is node]
        self._last = {}
        for step, node in enumerate(self._units):
            for each in self._inputs(node):
                self._last[self._root(each)] = step
        for each in graph.outputs:
            self._last[self._root(each)] = len(self._units)
        self._done = set()
        single = len(graph.inputs) == 1, len(graph.outputs) == 1
        self.inputs = ["x" if single[0] else f"x{number}" for number in range(len(graph.inputs))]
        self.outputs = ["y" if single[1] else f"y{number}" for number in range(len(graph.outputs))]
        self._values = dict(zip(graph.inputs, self.inputs, strict=True))

    def run(self, emitters, emit_group):
        """The lines of the function's body.

        Parameters
        ----------
        emitters : dict
            From the names of operations to functions of a node and this writer.
        emit_group : callable
            The same for a `fusion.Group`.
        """
        for step, node in enumerate(self._units):
            self._step = step
            if node.operation.name in ALIASES or node in self._done:
                continue
            if node.operation.name not in emitters and node not in self._groups:
                raise self.cannot(node, "there is no C for this operation")
            if any(is_batched(each.shape) for each in node.inputs) and not is_batched(node.output.shape):
                raise self.cannot(node, "it joins the samples of a batch, and the function sees one sample at a time")
            if node.operation.name != "parameter":
                self._lines.append(self._described(node))
            if node in self._groups:
                emit_group(self._groups[node], self)
            else:
                emitters[node.operation.name](node, self)
        self._place_outputs()
        return self._placed()

    def _described(self, node, more=""):
        what = (node.attributes.get("function") or node.operation.name) + more
        name = in_comment(node.output.name)
        inputs = [str(body(each.shape)) for each in self._inputs(node)]
        shapes = " and ".join(inputs) if len(inputs) < 4 else f"{len(inputs)} tensors"
        return f"/* {name if name == what else f'{name}, {what}'}: {shapes} -> {body(node.output.shape)} */"

    def cannot(self, node, why):
        """The exception for a node that has no C."""
        return ValueError(
            f"Layer {node.output.name!r} (operation {node.operation.name!r}) cannot be exported to C: {why}. Leave it "
            "out of the exported model and compute it on the host, or use the frozen predictor."
        )

    # ---- what the operations ask for ---------------------------------------------------------------------------------

    def read(self, tensor):
        """What the code calls a tensor's first value."""
        value = self._values[self._root(tensor)]
        return f"${self._buffers.index(value)}$" if isinstance(value, Buffer) else value

    def write(self, tensor, over=()):
        """The same for a tensor to be written: over one of some others that is not read again, where it fits."""
        size = math.prod(body(tensor.shape))
        last = self._last.get(tensor, self._step)
        for each in over:
            value = self._values[self._root(each)]
            if isinstance(value, Buffer) and value.last == self._step and value.floats == size:
                value.last = last
                self._values[tensor] = value
                return self.read(tensor)
        self._buffers.append(Buffer(size, self._step, last))
        self._values[tensor] = self._buffers[-1]
        return self.read(tensor)

    def table(self, node, name, values, type_="float", order=""):
        """The name of a constant table; equal ones are one. `order`: how its values lie, in words."""
        values = np.ascontiguousarray(values)
        key = type_, values.shape, values.tobytes()
        if key not in self._same:
            full = f"net_{identifier(node.output.name)}_{name}"
            number = 2
            while full in self._names:
                full = f"net_{identifier(node.output.name)}_{name}_{number}"
                number += 1
            self._names.add(full)
            self._same[key] = full
            comment = f"{in_comment(node.output.name)}: {name}, {order or values.shape}"
            self.constants.append(Constant(full, type_, comment, values.reshape(-1)))
        return self._same[key]

    def take_relu(self, node):
        """The relu that alone reads a node's output, or None; the node's emitter computes it, too."""
        readers = [each for each in self._units if any(self._root(x) is node.output for x in self._inputs(each))]
        readers = [each for each in readers if each.operation.name not in ALIASES]
        outputs = [self._root(each) for each in self.graph.outputs]
        if len(readers) != 1 or node.output in outputs or readers[0] in self._groups:
            return None
        if readers[0].operation.name != "activation" or readers[0].attributes["function"] != "relu":
            return None
        self._done.add(readers[0])
        self._lines[-1] = self._described(node, " and relu")
        return readers[0]

    def define(self, tensor, text):
        """Let a tensor be what the code calls `text`."""
        self._values[tensor] = text

    def add(self, text):
        """A statement."""
        self._lines.append(text)

    def loop(self, sizes, operands, statement):
        """Loops around statements.

        Parameters
        ----------
        sizes : sequence of int
            Of the axes.
        operands : list of (name, offset, steps)
            What is read and written: where, beginning at which value, and how far apart along each axis.
        statement : callable
            Takes the element of each operand; returns lines.
        """
        sizes, steps = merged(sizes, [each[2] for each in operands])
        elements = []
        for (name, offset, _), step in zip(operands, steps, strict=True):
            terms = [index if each == 1 else f"{each} * {index}" for index, each in zip(_INDICES, step, strict=False)
                     if each]  # fmt: skip
            terms += [str(offset)] if offset or not terms else []
            elements.append(f"{name}[{' + '.join(terms)}]".replace("+ -", "- "))
        lines = statement(*elements)
        text, indent = [], ""
        for index, size in zip(_INDICES, sizes, strict=False):
            text.append(f"{indent}for (int {index} = 0; {index} < {size}; {index}++)")
            indent += "    "
        if len(lines) > 1:
            text[-1] += " {"
            text += [indent + line for line in lines] + [indent[4:] + "}"]
        else:
            text.append(indent + lines[0])
        self._lines += text

    # ---- where values lie --------------------------------------------------------------------------------------------

    def _inputs(self, node):
        return self._groups[node].inputs if node in self._groups else node.inputs

    def _root(self, tensor):
        while tensor.node is not None and tensor not in self.graph.inputs and tensor.node.operation.name in ALIASES:
            tensor = tensor.node.inputs[0]
        return tensor

    def _place_outputs(self):
        for name, tensor in zip(self.outputs, self.graph.outputs, strict=True):
            value = self._values[self._root(tensor)]
            if isinstance(value, Buffer) and value.argument is None:
                value.argument = name
            else:
                operands = [(name, 0, (1,)), (self.read(tensor), 0, (1,))]
                self._lines.append(f"/* {name} */")
                self.loop([math.prod(body(tensor.shape))], operands, lambda y, x: [f"{y} = {x};"])

    def _placed(self):
        """The lines, with places for the buffers."""
        kept = [each for each in self._buffers if each.argument is None]
        offsets, total = memory.plan([(each.first, each.last, 4 * each.floats) for each in kept], align=4)
        self.floats = total // 4
        places = {}
        for number, each in enumerate(self._buffers):
            offset = offsets[kept.index(each)] // 4 if each.argument is None else 0
            places[str(number)] = each.argument or ("memory", offset)
        return [_with_places(line, places) for line in self._lines]


def _with_places(line, places):
    def element(found):
        place, index = places[found[1]], found[2]
        if isinstance(place, str):
            return f"{place}[{index}]"
        name, offset = place
        terms = index.split(" + ")
        if terms[-1].isdecimal():
            offset += int(terms.pop())
        return f"{name}[{' + '.join(terms + ([str(offset)] if offset or not terms else []))}]"

    def pointer(found):
        place = places[found[1]]
        if isinstance(place, str):
            return place
        name, offset = place
        return f"{name} + {offset}" if offset else name

    line = re.sub(r"\$(\d+)\$\[([^]]*)\]", element, line)
    return re.sub(r"\$(\d+)\$", pointer, line)


def identifier(text):
    """Text as the end of a C identifier."""
    return re.sub(r"\W+", "_", text, flags=re.ASCII).strip("_").lower() or "layer"


def in_comment(text):
    """Text that ends no comment and is ASCII."""
    return re.sub(r"[^\w ./:-]", "_", text, flags=re.ASCII)


def strides(shape, out):
    """Floats from one index to the next along each axis of `out`, for a tensor that is broadcast to it."""
    aligned = (1,) * (len(out) - len(shape)) + tuple(shape)
    return tuple(0 if size == 1 else math.prod(aligned[axis + 1 :]) for axis, size in enumerate(aligned))


def merged(sizes, steps):
    """Axes that can be walked as one, as one: fewer sizes, and the steps of each operand along those."""
    axes = []
    for size, *along in zip(sizes, *steps, strict=True):
        if size == 1:
            continue
        if axes and all(outer == inner * size for outer, inner in zip(axes[-1][1:], along, strict=True)):
            axes[-1] = [axes[-1][0] * size, *along]
        else:
            axes.append([size, *along])
    axes = axes or [[1, *(0 for _ in steps)]]
    return [each[0] for each in axes], [[each[number + 1] for each in axes] for number in range(len(steps))]
