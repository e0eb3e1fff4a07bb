"""Emits the instructions of a program over symbolic slots, then binds them to memory."""

from copy import copy

import numpy as np

from fastnn._engine.program import Instruction, Program
from fastnn._engine.runtime import OPS, Buffer, Source
from fastnn.lowering.cost import elementwise_cycles
from fastnn.lowering.formula import Formula
from fastnn.lowering.fusion import groups
from fastnn.lowering.halves import Halves
from fastnn.lowering.layout import emit_formula, is_batched, new_slot
from fastnn.lowering.memory import plan
from fastnn.lowering.pieces import join_updates
from fastnn.lowering.sharing import arrange, can_share_rows
from fastnn.operations.activation import KERNELS, Activation, saved_slot
from fastnn.operations.parameter import Memory
from fastnn.variables import Variable, runs_of

_LINE_FLOATS = 16


def row_stride(n):
    """Floats from one row of a matrix of n columns to the next.

    A multiple of a cache line, so that kernels may store whole vectors; an odd multiple where rows are long, so that
    the same column of many rows does not fall into the same few cache sets.
    """
    lines = -(-n // _LINE_FLOATS)
    return (lines + (lines % 2 == 0 and lines > 4)) * _LINE_FLOATS


class Slot:
    """Memory that a program writes and reads again: a matrix, a value for each row, or a vector.

    Attributes
    ----------
    rows_per_sample, n, ld : int
        Rows for each sample, columns, row stride in floats (matrices).
    nbytes : int
        For a full batch.
    """

    __slots__ = ("rows_per_sample", "n", "ld", "nbytes")

    def __init__(self, rows_per_sample, n, ld, nbytes):
        self.rows_per_sample = rows_per_sample
        self.n = n
        self.ld = ld
        self.nbytes = nbytes


class Epilogue:
    """The derivative of an activation, to be applied where its output's gradient is produced."""

    __slots__ = ("kernel", "alpha", "saved")

    def __init__(self, kernel, alpha, saved):
        self.kernel = kernel
        self.alpha = alpha
        self.saved = saved


class Builder:
    """Builds one program.

    Parameters
    ----------
    graph : Graph
    batch : int
        Samples of a full batch.
    training : bool
        The mode of nodes that behave differently in training.
    noise : bool, optional
        The mode of those that draw random numbers, where it is another.
    """

    def __init__(self, graph, batch, training=False, noise=None):
        self.graph = graph
        self.batch = batch
        self.training = training
        self.noise = training if noise is None else noise
        self.frozen = None  # the layers that were not trainable when the model was compiled, where that matters
        self.label = ""  # what the instructions emitted now are part of: a layer, a loss, ...
        self.sources = {}  # graph input -> Source; plus whatever `source` was asked for
        self.penalties = None  # a list where the penalties of activities are wanted: values of rows, to be added up
        self._emitted = []  # (op, bindings, keywords of Instruction)
        self._slots = {}  # Tensor -> Slot
        self._all_slots = []
        self._absorbed = {}
        self._deferred = set()
        self._committed = {}
        self._kept = {}
        self._groups = {}
        self._wanted = frozenset()
        self._given = {}
        self._fixed_label = ""
        self.random_streams = 0
        self.mixed = []  # what targets must be mixed like, see operations/augment.py
        self._trained = set()
        self._gradients = {}  # Tensor -> Slot
        self._variable_gradients = {}  # Variable -> (Buffer, offset, nbytes)
        self._written_gradients = set()
        self.halves = Halves(self._variable_gradients)
        self._needs_gradient = {}

    def is_frozen(self, layer):
        """Does the layer behave as one that is not trainable?"""
        return layer is not None and (not layer.trainable if self.frozen is None else layer in self.frozen)

    def part(self, graph, slots, wanted=()):
        """A builder that adds another graph to the same program.

        Parameters
        ----------
        graph : Graph
        slots : dict of Tensor to Slot
            Where the values of its inputs are.
        wanted : collection of Tensor
            Inputs whose gradients are asked for; `gradient` tells where they are after `backward`.
        """
        part = copy(self)
        part.graph = graph
        part._slots, part._given, part._wanted = dict(slots), slots, frozenset(wanted)
        part._absorbed, part._kept, part._groups, part._gradients, part._needs_gradient = {}, {}, {}, {}, {}
        part._deferred = set()
        part._fixed_label = self.label
        return part

    # ---- memory ---------------------------------------------------------------------------------------------------

    def _new(self, rows_per_sample, n, ld, nbytes):
        slot = Slot(rows_per_sample, n, ld, nbytes)
        self._all_slots.append(slot)
        return slot

    def matrix(self, rows_per_sample, n):
        """A float32 matrix of rows_per_sample rows for each sample."""
        ld = row_stride(n)
        return self._new(rows_per_sample, n, ld, self.batch * rows_per_sample * ld * 4)

    def per_row(self, rows_per_sample):
        """One 4-byte value for each row."""
        return self._new(rows_per_sample, 1, 1, self.batch * rows_per_sample * 4)

    def vector(self, n):
        """n floats, whatever the batch."""
        return self._new(0, n, n, -(-n // _LINE_FLOATS) * _LINE_FLOATS * 4)

    def fixed(self, rows, n):
        """A float32 matrix that is there once, whatever the batch."""
        ld = row_stride(n)
        return self._new(0, n, ld, rows * ld * 4)

    def mask(self, rows_per_sample, n):
        """One bit for each value of a matrix."""
        words = -(-n // _LINE_FLOATS)
        return self._new(rows_per_sample, n, words, self.batch * rows_per_sample * words * 2)

    def constant(self, values):
        """Memory that holds float32 values, padded with zeros to whole vectors, for instructions to read."""
        buffer = Buffer(row_stride(len(values)) * 4)
        buffer.array((len(values),), np.float32)[:] = values
        return buffer, 0, buffer.nbytes

    # ---- instructions ---------------------------------------------------------------------------------------------

    def emit(self, op, rows=1, work_per_row=0.0, work=0.0, commits=False, fence=True, by_rows=True, **bindings):
        """Add an instruction.

        Parameters
        ----------
        op : str
            Operation of the engine.
        rows : int
            Rows for each sample.
        work_per_row, work : float
            Estimated cycles.
        commits : bool
            Changes the model.
        fence : bool
            Pass False only where the instruction neither reads nor overwrites what those since the last fence touch.
        by_rows : bool
            Pass False where threads had better share something else than the rows of the batch.
        **bindings
            Every operand (Slot, Variable, Source, (Buffer, offset, nbytes) or None), dimension and scalar by name.
        """
        index = len(self._emitted)
        keywords = dict(rows_per_sample=rows, work_per_row=work_per_row, work=work, commits=commits, fence=fence)
        keywords["by_rows"] = by_rows and not commits and can_share_rows(op, rows)
        keywords["label"] = self.label
        self._emitted.append((op, bindings, keywords))
        return index

    @property
    def emitted(self):
        """What was emitted: (operation, bindings by name, keywords of `Instruction`) of each instruction."""
        return list(self._emitted)

    def new_random_stream(self):
        """A number that no other random instruction of this program has."""
        self.random_streams += 1
        return self.random_streams

    def committed(self, variable):
        """A copy of a variable that instructions may change early in a step; `commit` makes it the variable's value.

        So a step that is interrupted has changed nothing.
        """
        if variable not in self._committed:
            n = variable.nbytes // 4
            early = self.vector(n)
            self._committed[variable] = early, self.label
            # It reads what the last step committed and writes what nobody has read yet.
            self.emit("copy_vector", work=n / 16, fence=False, x=variable, y=early, n=n)
        return self._committed[variable][0]

    def commit(self):
        """Emit what makes the values of `committed` those of their variables; after the last of them was changed."""
        for variable, (early, label) in self._committed.items():
            n = variable.nbytes // 4
            self.label = label
            self.emit("copy_vector", work=n / 16, commits=True, x=early, y=variable, n=n)
        self.label = ""

    # ---- forward --------------------------------------------------------------------------------------------------

    def slot(self, tensor):
        """Where a tensor's value is."""
        slot = self._slots.get(tensor)
        if slot is None:  # an input that nothing has read before
            slot = self._slots[tensor] = self.gather(tensor, tensor.rows_per_sample, tensor.features, tensor.ndim == 1)
        return slot

    def reads_data(self, tensor):
        """Is this an input whose values come from the data?"""
        return tensor in self.graph.inputs and tensor not in self._given

    def output_shape(self, slot):
        """The shape of the graph's output that lies in a slot."""
        return next(each.shape for each in self.graph.outputs if self._slots.get(each) is slot)

    def source(self, key):
        """The data behind a key, usually an input of the graph."""
        return self.sources.setdefault(key, Source())

    def gather(self, key, rows_per_sample, n, without_gaps=False):
        """Emit the copy of a batch's rows from the data into a matrix; rows of one value may be `without_gaps`."""
        y = self.per_row(rows_per_sample) if without_gaps else self.matrix(rows_per_sample, n)
        self.emit(
            "gather",
            rows=rows_per_sample,
            work_per_row=elementwise_cycles(n, 16) + 40,  # samples in any order have to be fetched from far away
            source=self.source(key),
            y=y,
            n=n,
            ldy=y.ld,
        )
        return y

    def gather_labels(self, key, rows_per_sample):
        """Emit the copy of a batch's labels, as int32."""
        labels = self.per_row(rows_per_sample)
        self.emit("gather_labels", rows=rows_per_sample, work_per_row=3, source=self.source(key), labels=labels)
        return labels

    def forward(self):
        """Emit the forward pass of the whole graph."""
        self._groups = groups(self.graph, self._deferred)
        for node in self.graph.nodes:
            self.label = self._fixed_label or node.output.name
            if node in self._groups:
                if self._groups[node].root is node:
                    self._slots[node.output] = self._groups[node].forward(self)
            elif node in self._deferred:
                self._slots[node.output] = self.matrix(node.output.rows_per_sample, node.output.features)
            else:
                self._slots[node.output] = node.operation.forward(node, self)
        self.label = ""

    def defer(self, node):
        """Say that an instruction after the forward pass (a loss) computes this node's output."""
        self._deferred.add(node)

    def is_deferred(self, node):
        return node in self._deferred

    def absorb(self, node, slot):
        """Say that an earlier instruction computes this node's output, into the given slot."""
        self._absorbed[node] = slot

    def absorbed(self, node):
        return self._absorbed.get(node)

    def keep(self, node, value):
        """Remember something of a node's forward pass for its backward pass."""
        self._kept[node] = value

    def kept(self, node):
        return self._kept[node]

    # ---- backward -------------------------------------------------------------------------------------------------

    def train(self, variables):
        """Say which variables get gradients, and give the gradients memory laid out like the variables' own."""
        for run in runs_of(variables):
            buffer = Buffer(sum(variable.nbytes for variable in run))
            offset = 0
            for variable in run:
                self._variable_gradients[variable] = (buffer, offset, variable.nbytes)
                offset += variable.nbytes
        self._trained = set(self._variable_gradients)

    def trains(self, variable):
        return variable in self._trained

    def needs_gradient(self, tensor):
        """Does any trained variable influence this tensor?"""
        known = self._needs_gradient
        if not known:
            for each in self.graph.inputs:
                known[each] = each in self._wanted
            for node in self.graph.nodes:
                influenced = any(known[each] for each in node.inputs) or any(map(self.trains, node.variables.values()))
                known[node.output] = influenced and node.attributes.get("function") != "stop_gradient"
        return known[tensor]

    def has_gradient(self, variable):
        """Has a gradient of this variable been written already?"""
        return variable in self._written_gradients

    def variable_gradient(self, variable):
        """Where to write a variable's gradient, and whether to add to what is there (a shared layer's second use)."""
        if not self.trains(variable):
            return None, False
        seen = variable in self._written_gradients
        self._written_gradients.add(variable)
        if variable in self.halves:
            self.halves.emit_sums(self)  # what is added next is added to the whole
        return self._variable_gradients[variable], seen

    def gradient_places(self):
        """Where the gradients of the trained variables are: (Buffer, offset, nbytes) by variable."""
        return dict(self._variable_gradients)

    @property
    def gradients_written(self):
        """Trained variables that the loss depends on."""
        return [variable for variable in self._variable_gradients if variable in self._written_gradients]

    def set_gradient(self, tensor, slot):
        """Say where the gradient of an output is (the loss has written it)."""
        if tensor in self._gradients:
            self._add(tensor, slot)
        else:
            self._gradients[tensor] = slot

    def gradient(self, tensor):
        """Where the gradient of a tensor is; None if nothing depends on it."""
        return self._gradients.get(tensor)

    def propagate(self, tensor, write, accumulates=False, epilogue=False):
        """Let an operation write the gradient of one of its inputs.

        Parameters
        ----------
        tensor : Tensor
        write : callable (slot, accumulate, epilogue)
            Emits the instruction. `accumulate` tells it to add to the slot; `epilogue` is an `Epilogue` or None.
        accumulates : bool
            Can `write` add? Otherwise an extra instruction does.
        epilogue : bool or "output"
            Can `write` also apply the derivative of the activation that made the tensor ("output": only of one that is
            computed from its output)?
        """
        if not self.needs_gradient(tensor):
            return
        derivative = None
        if epilogue and tensor not in self._gradients:
            derivative = self._epilogue(tensor, epilogue)
            if derivative is not None:
                tensor = tensor.node.inputs[0]
        existing = self._gradients.get(tensor)
        if existing is not None and accumulates:
            write(existing, True, None)
            return
        slot = new_slot(self, tensor.shape)
        write(slot, False, derivative)
        self.set_gradient(tensor, slot)

    def propagate_alias(self, tensor, slot):
        """The gradient of an input is the very one of the output."""
        if not self.needs_gradient(tensor):
            return
        if self.graph.only_consumer(tensor) is None:  # it will be added to, but the output's must stay
            own = new_slot(self, tensor.shape)
            formula = Formula()
            emit_formula(self, formula, [formula.input(0)], [(slot, tensor.shape)], [own], tensor.shape)
            slot = own
        self.set_gradient(tensor, slot)

    def _epilogue(self, tensor, kind):
        """The activation whose output alone this tensor is, as an epilogue; None if it cannot be one."""
        node = tensor.node
        if node is None or not isinstance(node.operation, Activation) or node in self._groups:
            return None
        if self.graph.only_consumer(tensor) is None or self.graph.only_consumer(node.inputs[0]) is None:
            return None
        if kind == "output" and KERNELS[node.attributes["function"]][1] != "output":
            return None
        return Epilogue(node.attributes["kernel"], node.attributes["alpha"], saved_slot(node, self))

    def _add(self, tensor, slot):
        total = self._gradients[tensor]
        if tensor.ndim < 2 or not is_batched(tensor.shape):
            formula = Formula()
            inputs = [(total, tensor.shape), (slot, tensor.shape)]
            emit_formula(self, formula, [formula.input(0) + formula.input(1)], inputs, [total], tensor.shape)
            return
        self.emit(
            "add", rows=total.rows_per_sample, work_per_row=elementwise_cycles(total.n, 3), a=total, b=slot, y=total,
            n=total.n, lda=total.ld, ldb=slot.ld, ldy=total.ld,
        )  # fmt: skip

    def backward(self):
        """Emit the backward pass of the whole graph, from the gradients set on the outputs."""
        for node in reversed(self.graph.nodes):
            gradient = self._gradients.get(node.output)
            if gradient is not None or node.operation.adds_loss:
                self.label = self._fixed_label or node.output.name
                backward = self._groups[node].backward if node in self._groups else node.operation.backward
                backward(*(() if node in self._groups else (node,)), self, gradient)
        self.label = ""

    # ---- binding --------------------------------------------------------------------------------------------------

    def program(self, sources=None):
        """Plan memory and bind everything; returns a `Program`.

        Each call makes a program over an arena of its own. `sources` maps this builder's sources to others that the
        program shall read instead.
        """
        emitted = arrange(join_updates(self._emitted, self.batch))
        arena, places = self._plan(emitted)
        sources = sources or {}
        instructions = []
        in_pieces = 0
        for op, bindings, keywords in emitted:
            info = OPS[op]
            in_pieces += bindings["dw"][2] if keywords.get("followers") else 0
            operands, dims, scalars = {}, {}, {}
            for name, value in bindings.items():
                if name in info.operands:
                    operands[name] = self._bind(value, places, sources)
                elif name in info.dims:
                    dims[name] = int(value)
                elif name in info.scalars:
                    scalars[name] = float(value)
                else:
                    raise ValueError(f"Operation {op!r} of the engine has nothing named {name!r}.")
            instructions.append(Instruction(op, operands, dims, scalars, **keywords))
        memory = {
            "activations": arena.nbytes,
            "parameters": sum(variable.nbytes for variable in self.graph.variables),
            "gradients": sum(each.nbytes for each in self._variable_gradients) + self.halves.nbytes - in_pieces,
        }
        return Program(instructions, self.batch, memory)

    def _plan(self, emitted):
        """The arena, and where in it the slots are. A slot lives on until the next fence: slower threads may still be
        using it."""
        fences = [i for i, (_, _, keywords) in enumerate(emitted) if keywords["fence"]] + [len(emitted)]
        next_fence = np.searchsorted(fences, np.arange(len(emitted)), side="right")
        first, last = {}, {}
        for index, (_, bindings, _) in enumerate(emitted):
            for value in bindings.values():
                value = value.operand if isinstance(value, Memory) else value
                if isinstance(value, Slot):
                    first.setdefault(value, index)
                    last[value] = index
        used = [slot for slot in self._all_slots if slot in first]
        lifetimes = [(first[slot], fences[next_fence[last[slot]]] - 1, slot.nbytes) for slot in used]
        offsets, total = plan(lifetimes)
        buffer = Buffer(total)
        return buffer, {slot: (buffer, offset, slot.nbytes) for slot, offset in zip(used, offsets, strict=True)}

    @staticmethod
    def _bind(value, places, sources):
        if isinstance(value, Memory):
            value = value.operand
        if isinstance(value, Source):
            return sources.get(value, value)
        if isinstance(value, Slot):
            return places[value]
        if isinstance(value, Variable):
            return value.storage
        return value
