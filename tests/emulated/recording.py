"""Programs of the engine with what they start from and what they leave, in a file that ``kernels_test.c`` can run.

A recording is made with the instruction set that is active here, which the other tests hold to float64 oracles. What it
says of memory is the same for every instruction set: plain row-major values, whatever panels they are packed in.

The file: 64-bit little-endian integers and floats, names of 32 bytes, arrays padded to a multiple of 8 bytes, in the
order in which `write` appends them.
"""

import numpy as np
from fastnn._engine.program import Program
from fastnn._engine.runtime import OPS, Buffer, Source, active_isa_name, shuffle

from fastnn._engine import kernels
from reference.arrays import GARBAGE

MAGIC = 0x666E6E31
# In the order of fnn_dtype in csrc/engine.h; 16-bit masks are compared as FNN_U16.
DTYPES = [np.dtype(each) for each in ("f4", "f8", "f2", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "?")]


class Region:
    """A matrix, or a vector as a matrix of one row, somewhere in a buffer.

    Parameters
    ----------
    values : array_like
        What it holds before the program runs.
    ld : int, optional
        Values from one row to the next; what lies between is garbage that must stay (see `write`).
    packed : bool
        Dense weights: the kernels have them in panels.
    storage : (Buffer, int offset), optional
        Memory that holds the values already; memory of its own by default.
    """

    def __init__(self, values, ld=None, packed=False, storage=None):
        self.before = np.array(values, ndmin=2, order="C")  # a copy
        self.shape, self.dtype, self.packed = self.before.shape, self.before.dtype, packed
        self.ld = ld or self.shape[1]
        self.buffer, self.offset = storage or (Buffer(self.nbytes), 0)
        if storage is None:
            self._fill()

    @property
    def nbytes(self):
        rows, columns = self.shape
        return rows * (kernels.row_stride(columns) if self.packed else self.ld) * self.dtype.itemsize

    @property
    def fill(self):
        """What the memory around the values holds."""
        return GARBAGE if self.ld > self.shape[1] else 0.0

    def _memory(self):
        if self.packed:
            return self.buffer.array(kernels.packed_floats(*self.shape), np.float32, self.offset)
        return self.buffer.array((self.shape[0], self.ld), self.dtype, self.offset)

    def _fill(self):
        memory = self._memory()
        if self.packed:
            memory[:] = kernels.pack(self.before)
        else:
            memory[:, self.shape[1] :] = self.fill
            memory[:, : self.shape[1]] = self.before

    def read(self):
        """The values that it holds now."""
        memory = self._memory()
        return kernels.unpack(memory, *self.shape) if self.packed else memory[:, : self.shape[1]].copy()


class Recording:
    """A program, run once.

    Parameters
    ----------
    name : str
    instructions : list of Instruction
    regions : dict of str to Region
        All memory that does not start as zeros, and all that is compared.
    arrays : dict of Source to ndarray
        What the sources read: views of C-contiguous arrays.
    batch, total : int
        Samples of a batch and of the epoch.
    epoch : int, optional
        The order of the samples is that of this epoch; one after the other by default.
    same_bits : bool
        Does every result consist of the same fused multiply-adds for every vector length?
    rtol, atol : float
        Otherwise the results of two instruction sets may differ by so much; atol is relative to the largest.
    """

    def __init__(
        self, name, instructions, regions, arrays=None, *, batch, total=None, epoch=None, first_batch=0, step=0, seed=0,
        hyper=(), same_bits=False, rtol=2e-5, atol=4e-6,
    ):  # fmt: skip
        self.name, self.instructions, self.regions, self.arrays = name, instructions, regions, arrays or {}
        self.batch, self.total, self.epoch, self.first_batch = batch, total or batch, epoch, first_batch
        self.step, self.seed, self.hyper = step, seed, tuple(hyper)
        self.same_bits, self.rtol, self.atol = same_bits, rtol, atol
        order = None
        if epoch is not None:
            order = np.empty(self.total, np.int64)
            shuffle(order, seed, epoch)
        self.order = order
        self.batches = Program(instructions, batch).run(
            self.total, first_batch=first_batch, batch=batch, step=step, seed=seed, order=order, hyper=self.hyper,
            sources=list(self.arrays.items()),
        )  # fmt: skip
        self.after = {key: region.read() for key, region in regions.items()}

    @property
    def operations(self):
        return {each.op for each in self.instructions}

    def write(self, file):
        buffers, blocks = {}, []
        for region in self.regions.values():
            buffers[region.buffer] = region.buffer.nbytes, region.fill
        for instruction in self.instructions:
            for value in instruction.operands.values():
                if value is not None and not isinstance(value, Source):
                    buffers.setdefault(value[0], (value[0].nbytes, 0.0))
        numbers = {buffer: i for i, buffer in enumerate(buffers)}
        order = [] if self.order is None else self.order
        epoch = -1 if self.epoch is None else self.epoch
        blocks += [_name(self.name), _ints(self.batch, self.total, self.first_batch, self.batches, self.step)]
        blocks += [_ints(self.seed, epoch, len(order), *order), _ints(len(self.hyper)), _floats(*self.hyper)]
        blocks.append(_ints(len(buffers)))
        for nbytes, fill in buffers.values():
            blocks += [_ints(nbytes), _floats(fill)]
        blocks.append(_ints(len(self.arrays)))
        for array in self.arrays.values():
            blocks += _source(array)
        blocks.append(_ints(len(self.regions)))
        for key, region in self.regions.items():
            blocks += self._region(key, region, numbers[region.buffer])
        sources = {source: i for i, source in enumerate(self.arrays)}
        blocks.append(_ints(len(self.instructions)))
        for instruction in self.instructions:
            blocks += _instruction(instruction, numbers, sources)
        file.write(b"".join(blocks))

    def _region(self, key, region, number):
        after = self.after[key]
        finite = np.abs(after[np.isfinite(after)], dtype=np.float64)
        size = finite.max(initial=0.0)
        placed = _ints(number, region.offset, *region.shape, region.ld, DTYPES.index(region.dtype), region.packed)
        allowed = _ints(self.same_bits) + _floats(self.rtol, self.atol * size)
        return [_name(key), placed, allowed, _bytes(region.before), _bytes(after)]


def _source(array):
    owner = array if array.base is None else array.base
    if not isinstance(owner, np.ndarray) or not owner.flags.c_contiguous:
        raise ValueError("A recorded source must be a view of a C-contiguous array.")
    offset, dtype = array.ctypes.data - owner.ctypes.data, DTYPES.index(array.dtype)
    return [_ints(owner.nbytes, offset, dtype, array.ndim, *array.shape, *array.strides), _bytes(owner)]


def _instruction(instruction, numbers, sources):
    info = OPS[instruction.op]
    blocks = [_name(instruction.op)]
    flags = (bool(each) for each in (instruction.fence, instruction.commits, instruction.by_rows))
    blocks.append(_ints(instruction.rows_per_sample, *flags, instruction.followers))
    blocks.append(_ints(len(info.operands), len(info.dims), len(info.scalars)))
    for key in info.operands:
        value = instruction.operands.get(key)
        if value is None:
            blocks.append(_ints(-1, 0))
        elif isinstance(value, Source):
            blocks.append(_ints(len(numbers) + sources[value], 0))
        else:
            blocks.append(_ints(numbers[value[0]], value[1]))
    blocks.append(_ints(*(instruction.dims[key] for key in info.dims)))
    blocks.append(_floats(*(instruction.scalars[key] for key in info.scalars)))
    return blocks


def write(path, recordings):
    """Write recordings for ``kernels_test.c``."""
    with open(path, "wb") as file:
        file.write(_ints(MAGIC, active_isa_name() != "baseline", len(recordings)))
        for recording in recordings:
            recording.write(file)


def _ints(*values):
    return np.array([int(each) % 2**64 for each in values], "<u8").tobytes()


def _floats(*values):
    return np.array(values, "<f8").tobytes()


def _bytes(array):
    data = array.tobytes()
    return data + bytes(-len(data) % 8)


def _name(text):
    data = text.encode()[:31]
    return data + bytes(32 - len(data))
