"""A frozen network as one block of bytes, which C checks, binds to memory and runs where it lies.

``csrc/frozen.h`` describes the format. `to_image` writes what a `Builder` has emitted: the instructions, their memory
plan for one sample (which grows with the rows), their constants as they lie, and a description for Python, from which
`graph_of` makes the graph again.
"""

import functools
import json
import struct
import zlib

import numpy as np

from fastnn._engine.runtime import OPS, Source
from fastnn.freeze.description import HEADER, NotInImage, damage_told, decode, description_of, encode
from fastnn.freeze.plain import from_plain, to_plain
from fastnn.lowering.builder import Builder, Slot
from fastnn.lowering.memory import plan
from fastnn.operations.lookup import Lookup
from fastnn.operations.parameter import Memory
from fastnn.variables import Variable

MAGIC = b"\x89FNN\r\n\x1a\n"
VERSION = 1
_LINE = 64
_PORT = struct.Struct("<QQII6Q")
_INSTR = struct.Struct("<IIqdd")
_OPERAND = struct.Struct("<IIQ")
_NONE, _SAMPLES, _ONCE, _CONSTANT, _INPUT, _OUTPUT = range(6)

# Operands that need no padding, and the dimension that is the distance of their rows: they may be the caller's arrays.
_READS_UNPADDED = {
    "packed_dense": ("x", "ldx"),
    "copy_rows": ("x", "ldx"),
    "reshape": ("x", "ldx"),
    "embedding": ("ids", "ldids"),
    "category_encode": ("ids", "ldids"),
}
_WRITES_UNPADDED = dict.fromkeys(("packed_dense", "copy_rows", "softmax_forward"), ("y", "ldy"))


class _Port:
    """An input or an output as an operand."""

    def __init__(self, section, number, name, shape):
        self.section = section
        self.number = number
        self.name = name
        self.shape = shape


class _Emitted:
    """An instruction that can still be changed."""

    def __init__(self, op, bindings, keywords):
        info = OPS[op]
        self.op = op
        self.operands = {name: bindings.get(name) for name in info.operands}
        self.dims = {name: int(bindings[name]) for name in info.dims}
        self.scalars = {name: float(bindings[name]) for name in info.scalars}
        self.keywords = keywords
        for name, value in self.operands.items():
            self.operands[name] = value.operand if isinstance(value, Memory) else value

    def slots(self):
        return [value for value in self.operands.values() if isinstance(value, Slot)]


def to_image(graph, description):
    """Write a folded and packed graph.

    Parameters
    ----------
    graph : Graph
    description : dict
        What Python shall find again, of numbers, texts, lists and dictionaries. The graph, the labels of the
        instructions and what each port reads are added.

    Returns
    -------
    bytes

    Raises
    ------
    NotInImage
    """
    for node in graph.nodes:  # panels are laid out for one instruction set
        value = node.variables.get("value")
        if value is not None and value.layout == "panels":
            node.variables["value"] = Variable(value.numpy(), name=value.name)
    builder = Builder(graph, 1)
    builder.forward()
    results = [builder.slot(tensor) for tensor in graph.outputs]  # of an input that is an output, too
    emitted = [_Emitted(*each) for each in builder.emitted]
    inputs = [
        _Port(_INPUT, number, key.name or f"input_{number}", key.shape[1:])
        for number, key in enumerate(builder.sources)
    ]
    if not inputs:
        raise NotInImage("This network does not depend on its inputs.")
    by_source = dict(zip(builder.sources.values(), inputs, strict=True))
    outputs = [
        _Port(_OUTPUT, number, tensor.name or f"output_{number}", tensor.shape[1:])
        for number, tensor in enumerate(graph.outputs)
    ]
    for each in emitted:
        if each.op == "gather":
            _make_copy(each, by_source[each.operands["source"]])
    copies = [_copy_out(slot, port) for slot, port in zip(results, outputs, strict=True)]
    emitted += copies
    for each in emitted:
        if not OPS[each.op].in_images or each.keywords["commits"]:
            raise NotInImage(
                f"Layer {each.keywords['label']!r} needs the engine's operation {each.op!r}, which an image of a "
                "frozen network cannot hold: this predictor runs in Python alone."
            )
    emitted = _read_in_place(emitted)
    emitted = _write_in_place(emitted, copies)
    constants = _Constants()
    code, names, memory = _code(emitted, constants)
    description = dict(description)
    description["labels"] = [each.keywords["label"] for each in emitted]
    description["reads"] = [_read_by(graph, key) for key in builder.sources]
    description["graph"] = _plain_graph(graph, emitted, constants)
    text = json.dumps(description, separators=(",", ":")).encode()
    return _assemble(names, inputs, outputs, code, len(emitted), memory, constants, text)


# ---- instructions ----------------------------------------------------------------------------------------------------


def _make_copy(gather, port):
    """A gather becomes a copy of the caller's rows."""
    n = gather.dims["n"]
    gather.op = "copy_rows"
    gather.operands = {"x": port, "y": gather.operands["y"]}
    gather.dims = {"n": n, "ldx": n, "ldy": gather.dims["ldy"]}


def _copy_out(slot, port):
    if not isinstance(slot, Slot) or not slot.rows_per_sample:
        raise NotInImage(f"The output {port.name!r} belongs to no sample: it is the same for every batch.")
    keywords = dict(
        rows_per_sample=slot.rows_per_sample, work_per_row=slot.n / 8 + 2, work=0.0, commits=False, fence=True
    )
    bindings = {"x": slot, "y": port, "n": slot.n, "ldx": slot.ld, "ldy": slot.n}
    return _Emitted("copy_rows", bindings, {**keywords, "label": port.name})


def _users(emitted):
    users = {}
    for each in emitted:
        for slot in each.slots():
            users.setdefault(slot, []).append(each)
    return users


def _read_in_place(emitted):
    """Without the copies of inputs that only instructions read which can read the caller's rows as they are."""
    users = _users(emitted)
    left = []
    for copy in emitted:
        port, slot = copy.operands.get("x"), copy.operands.get("y")
        if copy.op == "copy_rows" and isinstance(port, _Port) and isinstance(slot, Slot):
            readers = [each for each in users[slot] if each is not copy]
            places = [_READS_UNPADDED.get(each.op) for each in readers]
            if all(
                place and each.operands[place[0]] is slot and each.slots().count(slot) == 1
                for each, place in zip(readers, places, strict=True)
            ):
                for each, (operand, stride) in zip(readers, places, strict=True):
                    each.operands[operand] = port
                    each.dims[stride] = copy.dims["n"]
                continue
        left.append(copy)
    return left


def _write_in_place(emitted, copies):
    """Without the copies of outputs that only one instruction writes which can write the caller's rows as they are."""
    users = _users(emitted)
    for copy in copies:
        slot = copy.operands["x"]
        writers = [each for each in users.get(slot, ()) if each is not copy]
        place = _WRITES_UNPADDED.get(writers[0].op) if len(writers) == 1 else None
        if place and writers[0].operands[place[0]] is slot and writers[0].slots().count(slot) == 1:
            writers[0].operands[place[0]] = copy.operands["y"]
            writers[0].dims[place[1]] = copy.dims["ldy"]
            emitted = [each for each in emitted if each is not copy]
    return emitted


class _Constants:
    """Memory that instructions read, one after the other; what several read is there once."""

    def __init__(self):
        self.parts = []
        self.nbytes = 0
        self._places = {}

    def add(self, buffer, offset, nbytes):
        """Its place, in floats."""
        key = id(buffer), offset, nbytes
        if key not in self._places:
            padded = -(-max(nbytes, 1) // _LINE) * _LINE
            data = bytes(memoryview(buffer)[offset : offset + nbytes])
            self.parts.append((buffer, data.ljust(padded, b"\0")))  # holds the buffer, so that its id stays its own
            self._places[key] = self.nbytes // 4
            self.nbytes += padded
        return self._places[key]


def _places(emitted):
    """Where the slots are, {slot: (section, offset in floats)}, and the floats for each sample and once."""
    first, last = {}, {}
    for index, each in enumerate(emitted):
        for slot in each.slots():
            first.setdefault(slot, index)
            last[slot] = index
    # As in Builder: a slot lives on until the next fence, as slower threads may still be using it.
    fences = [i for i, each in enumerate(emitted) if each.keywords["fence"]] + [len(emitted)]
    places, sizes = {}, []
    for section in _SAMPLES, _ONCE:
        slots = [slot for slot in first if (slot.rows_per_sample == 0) == (section == _ONCE)]
        ends = [next(fence for fence in fences if fence > last[slot]) - 1 for slot in slots]
        offsets, total = plan([(first[slot], end, slot.nbytes) for slot, end in zip(slots, ends, strict=True)])
        places.update({slot: (section, 0, offset // 4) for slot, offset in zip(slots, offsets, strict=True)})
        sizes.append(total // 4)
    return places, sizes


def _code(emitted, constants):
    """Instructions in bytes, the signatures of their operations, and the floats of memory."""
    places, memory = _places(emitted)
    names = list(dict.fromkeys(each.op for each in emitted))
    code = []
    for each in emitted:
        info, keywords = OPS[each.op], each.keywords
        code.append(
            _INSTR.pack(
                names.index(each.op), bool(keywords["fence"]), keywords["rows_per_sample"], keywords["work_per_row"],
                keywords["work"],
            )
        )  # fmt: skip
        for name in info.operands:
            value = each.operands[name]
            if value is None:
                place = _NONE, 0, 0
            elif isinstance(value, Slot):
                place = places[value]
            elif isinstance(value, _Port):
                place = value.section, value.number, 0
            elif isinstance(value, Source):
                raise NotInImage(f"Layer {keywords['label']!r} reads its input in a way that an image cannot.")
            else:
                place = _CONSTANT, 0, constants.add(*(value.storage if isinstance(value, Variable) else value))
            code.append(_OPERAND.pack(*place))
        code.append(struct.pack(f"<{len(info.dims)}q", *(each.dims[name] for name in info.dims)))
        scalars = [each.scalars[name] for name in info.scalars]
        code.append(struct.pack(f"<{len(scalars)}f", *scalars).ljust(-(-len(scalars) // 2) * 8, b"\0"))
    return b"".join(code), names, memory


# ---- bytes -----------------------------------------------------------------------------------------------------------


def _assemble(operations, inputs, outputs, code, instructions, memory, constants, text):
    names = b"".join(OPS[name].signature.encode() + b"\0" for name in operations)
    ports = []
    for port in (*inputs, *outputs):
        axes, shape = len(port.shape), tuple(port.shape)
        floats = int(np.prod(shape, dtype=np.int64))
        ports.append(_PORT.pack(len(names), floats, axes, 0, *shape, *(0,) * (6 - axes)))
        names += port.name.encode() + b"\0"
    sections = [names, b"".join(ports), code, b"".join(data for _, data in constants.parts), text]
    places, end = [], HEADER.size
    for section in sections:
        end = -(-end // _LINE) * _LINE
        places.append(end)
        end += len(section)
    total = -(-end // _LINE) * _LINE
    (at_names, at_ports, at_code, at_constants, at_text) = places
    header = HEADER.pack(
        MAGIC, VERSION, 0, total, len(inputs), len(outputs), len(operations), instructions, *memory, at_names,
        len(names), at_ports, at_code, len(code), at_constants, constants.nbytes, at_text, len(text),
    )  # fmt: skip
    image = bytearray(total)
    for place, section in zip((0, *places), (header, *sections), strict=True):
        image[place : place + len(section)] = section
    return with_checksum(image)


def with_checksum(image):
    """The bytes of an image with the checksum that they have now."""
    image = bytearray(image)
    image[12:16] = struct.pack("<I", zlib.crc32(memoryview(image)[16:]))
    return bytes(image)


# ---- the graph -------------------------------------------------------------------------------------------------------


def _read_by(graph, key):
    """What a port reads: the number of the graph's input, and that of the node that looks it up, or None."""
    if key in graph.inputs:
        return [graph.inputs.index(key), None]
    return [graph.inputs.index(key.node.inputs[0]), graph.nodes.index(key.node)]


def _plain_graph(graph, emitted, constants):
    """The graph in plain form, with places of the constants instead of arrays."""
    dense = iter([each for each in emitted if each.op == "packed_dense"])
    places = {}
    for node in graph.nodes:
        if node.operation.name == "packed_dense":
            instr = next(dense)
            kernel = node.variables["kernel"]
            weights, scale = instr.operands["w"], instr.operands["scale"]
            places[kernel] = {
                "packed": node.attributes["precision"],
                "at": constants.add(*weights),
                "scale": None if scale is None else constants.add(*scale),
            }
    plain = to_plain(graph, lambda variable: places.get(variable) or {"at": constants.add(*variable.storage)})
    return encode(plain)


def graph_of(image):
    """The graph of an image. Kernels of float16 and int8 have the values that are used, not those that were rounded."""
    fields = HEADER.unpack_from(image)
    start, nbytes = fields[-4:-2]
    constants = np.frombuffer(image, np.uint8, nbytes, start)
    load = functools.partial(_value, constants)
    with damage_told():
        return from_plain(decode(description_of(image)["graph"]), load)


def _value(constants, place, shape, layout):
    """The value of a variable, row-major."""
    rest = constants[4 * place["at"] :]
    if "packed" not in place:
        columns = shape[-1] if shape else 1
        stride = columns if layout == "flat" else -(-columns // 16) * 16
        rows = int(np.prod(shape, dtype=np.int64)) // max(columns, 1)
        floats = rest[: 4 * rows * stride].view(np.float32).reshape(rows, stride)
        return floats[:, :columns].reshape(shape).copy()
    k, n = shape
    blocks, precision = -(-n // 16), place["packed"]
    if precision != "int8":
        dtype = np.dtype(precision)
        packed = rest[: blocks * k * 16 * dtype.itemsize].view(dtype).reshape(blocks, k, 16)
        return packed.transpose(1, 0, 2).reshape(k, -1)[:, :n].astype(np.float32)
    pairs = -(-k // 2)
    packed = rest[: blocks * pairs * 32].view(np.int8).reshape(blocks, pairs, 16, 2)
    integers = packed.transpose(1, 3, 0, 2).reshape(2 * pairs, -1)[:k, :n]
    scale = constants[4 * place["scale"] :][: 4 * n].view(np.float32)
    kernel = integers * scale
    # Rounding it again must give the same integers and scales: the largest of a column is what its scale was made of.
    largest = scale * np.float32(127)
    for candidate in (np.nextafter(largest, np.float32(0)), np.nextafter(largest, np.float32(np.inf))):
        largest = np.where(largest / np.float32(127) == scale, largest, candidate)
    return np.where(np.abs(integers) == 127, np.sign(integers) * largest, kernel).astype(np.float32)


def looks_up(graph):
    """Does an input pass through a table first?"""
    return any(isinstance(node.operation, Lookup) for node in graph.nodes)
