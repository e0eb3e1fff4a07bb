"""What `model.explain_plan()` tells: the program that a step runs, what each instruction costs, why so many threads."""

import contextlib
import itertools
import time
from dataclasses import dataclass

import numpy as np

from fastnn._engine.program import WORK_WORTH_SHARING
from fastnn._engine.runtime import active_isa_name, get_threads
from fastnn.eager import CHUNK
from fastnn.lowering.cost import flops_and_bytes
from fastnn.operations.activation import KERNELS
from fastnn.operations.lookup import Lookup, host_values
from fastnn.training import arguments

_FLAGS = {
    "fence": "waits for all threads",
    "commits": "changes the model; from the first of these on, a step is not interrupted",
    "rows": "threads share the rows of the batch",
    "follows": "run piece by piece by the instruction above, in whose time it is",
}
_ACTIVATIONS = {number: name for name, (number, _, _) in KERNELS.items()}
_MEASURED_BATCHES, _MEASURED_SECONDS, _LEAST_MEASURED = 16, 0.3, 3


@dataclass(frozen=True)
class PlannedInstruction:
    """One instruction of a plan.

    Attributes
    ----------
    op : str
        Operation of the engine.
    kernel : str
        The same with its sizes and its activation: ``dense_forward 784x300 relu``.
    layer : str
        The layer, loss, metric or optimizer that it is part of.
    rows : int or None
        Rows of its matrices in a full batch; None where its cost does not depend on them.
    flops, nbytes : int
        Floating-point operations; bytes read and written, each once (`fastnn.lowering.cost.flops_and_bytes`).
    work : float
        Estimated cycles of one core.
    threads : int
        How many of the team run it.
    fence : bool
        Does it wait for all of the team?
    commits : bool
        Does it change the model? From the first of these on, a step is not interrupted.
    by_rows : bool
        Do threads share the rows of the batch, so that it need not wait for the instruction before?
    follows : bool
        Is it run piece by piece by the last instruction before it that does not follow? Neither reads or writes the
        gradient as a whole, and the time of both is that one's.
    seconds : float or None
        Measured, on one thread.
    """

    op: str
    kernel: str
    layer: str
    rows: int | None
    flops: int
    nbytes: int
    work: float
    threads: int
    fence: bool
    commits: bool
    by_rows: bool
    follows: bool
    seconds: float | None = None


@dataclass(frozen=True)
class Plan:
    """What a training step or a prediction runs. As text it is the table that `Model.explain_plan` prints.

    Attributes
    ----------
    title : str
    batch : int
        Samples of the step.
    isa : str
        Instruction set of the kernels.
    threads_allowed : int
    largest_team : int
        The threads that its largest instruction (or what is shared by rows without a fence) is estimated to be worth,
        and
    team : int
        those that the program runs on: as many, unless fewer were measured to be better.
    measured : dict of int to float
        Seconds of a batch by the size of the team, as far as running the program has shown.
    memory : dict of str to int
        Bytes for "activations", "parameters", "gradients" and "optimizer".
    instructions : list of PlannedInstruction
        In the order in which they run.
    largest : (PlannedInstruction, float)
        The one that decided about the team, and the estimated cycles of what is shared with it, or follows it.
    """

    title: str
    batch: int
    isa: str
    threads_allowed: int
    largest_team: int
    team: int
    measured: dict
    memory: dict
    instructions: list
    largest: tuple

    @property
    def flops(self):
        return sum(each.flops for each in self.instructions)

    @property
    def nbytes(self):
        """Bytes read and written, by all instructions together."""
        return sum(each.nbytes for each in self.instructions)

    @property
    def work(self):
        """Estimated cycles of one core."""
        return sum(each.work for each in self.instructions)

    @property
    def seconds(self):
        """Time of all instructions on one thread, or None if it was not measured."""
        return sum(each.seconds for each in self.instructions) if self._timed else None

    @property
    def _timed(self):
        return bool(self.instructions) and self.instructions[0].seconds is not None

    def why(self):
        """What the number of threads comes from, in words."""
        largest, cycles = self.largest
        allowed = "1 thread is allowed" if self.threads_allowed == 1 else f"{self.threads_allowed} threads are allowed"
        if largest.by_rows:
            size = f"what is shared by rows with {largest.kernel} is estimated at {short(cycles)} cycles"
        elif cycles > largest.work:
            size = f"{largest.kernel} with what follows it is estimated at {short(cycles)} cycles"
        else:
            size = f"the largest instruction, {largest.kernel}, is estimated at {short(cycles)} cycles"
        worth = f"each {WORK_WORTH_SHARING:,} are worth a thread"
        lines = [f"{allowed}; {size}, and {worth}: {_threads(self.largest_team)}"]
        if self.measured:
            times = ", ".join(f"{_threads(size)} {_duration(self.measured[size])}" for size in sorted(self.measured))
            lines.append(f"measured while running: {times} a batch; now in use: {_threads(self.team)}")
        elif self.largest_team > 1:
            lines.append("not measured yet: it starts with all of them, and tries fewer while it runs")
        return lines

    def __str__(self):
        from tabulate import tabulate

        headers = ["", "kernel", "layer", "rows", "flops", "bytes", "cycles", "threads", "flags"]
        alignment = ["right", "left", "left"] + ["right"] * 5 + ["left"]
        if self._timed:
            headers += ["µs", "GFLOP/s"]
            alignment += ["right"] * 2
        memory = ", ".join(f"{name} {short(nbytes)}B" for name, nbytes in self.memory.items() if nbytes)
        totals = [f"{len(self.instructions)} instructions", f"{short(self.flops)} flops"]
        totals += [f"{short(self.nbytes)}B read and written", f"{self.flops / max(self.nbytes, 1):.2g} flops a byte"]
        totals.append(f"{short(self.work)} cycles estimated")
        if self._timed:
            totals.append(f"{_duration(self.seconds)} on one thread: {self.flops / self.seconds / 1e9:.3g} GFLOP/s")
        rows = [self._row(number, each) for number, each in enumerate(self.instructions)]
        lines = [
            f"{self.title}, batch of {self.batch}, {self.isa} kernels",
            *(f" Threads: {line}" for line in self.why()),
            f" Memory: {memory}",
            tabulate(rows, headers, tablefmt="rounded_outline", colalign=alignment, disable_numparse=True),
            *(f" {flag}: {_FLAGS[flag]}" for flag in _FLAGS if any(flag in row[8].split(", ") for row in rows)),
            f" Total: {', '.join(totals)}",
        ]
        return "\n".join(lines)

    def _rate(self, number):
        """GFLOP/s of an instruction, and of what follows it, whose time is in its own; None of what has no flops."""
        first, *behind = self.instructions[number:]
        flops = first.flops + sum(each.flops for each in itertools.takewhile(lambda each: each.follows, behind))
        return flops / max(first.seconds, 1e-9) / 1e9 if flops else None

    def _row(self, number, each):
        row = [str(number), each.kernel, each.layer, "" if each.rows is None else f"{each.rows:,}"]
        row += [short(each.flops), short(each.nbytes), short(each.work), str(each.threads)]
        has = (each.fence, each.commits, each.by_rows, each.follows)
        row.append(", ".join(flag for flag, has_it in zip(_FLAGS, has, strict=True) if has_it))
        if self._timed:
            rate = None if each.follows else self._rate(number)
            row += ["" if each.follows else _microseconds(each.seconds), "" if rate is None else f"{rate:.3g}"]
        return row

    def __repr__(self):
        return f"<Plan: {self.title}, batch={self.batch}, {len(self.instructions)} instructions, team={self.team}>"


def explain(model, batch_size=32, training=True, measure=False):
    """The `Plan` of a model; see `Model.explain_plan`."""
    batch = arguments.count(batch_size, "batch_size", 32)
    if training:
        model._require_compiled("explain_plan")
        lowered, optimizer = _training_program(model, batch), model.optimizer
    else:
        batch = min(batch, CHUNK)
        lowered, optimizer = _prediction_program(model), None
    program = lowered.program
    seconds = _measured_instructions(lowered, batch, optimizer) if measure else [None] * program.length
    allowed = get_threads()
    largest, number, cycles = program.largest_team(batch, allowed)
    measured, best = program.measured(batch, largest)
    team = best if measured else largest
    memory = dict(program.memory)
    if training:
        state = [place for slots in optimizer.state.values() for place in slots.values()]
        memory["optimizer"] = sum(nbytes for _, _, nbytes in state)
    leaders = _leaders(program.instructions)
    instructions = [
        _planned(each, leader, batch, work, threads, time_taken)
        for each, leader, (work, threads), time_taken in zip(
            program.instructions, leaders, program.estimates(batch, team), seconds, strict=True
        )
    ]
    title = f"{'Training step' if training else 'Prediction'} of {model.name!r}"
    why = instructions[number], cycles
    return Plan(title, batch, active_isa_name(), allowed, largest, team, measured, memory, instructions, why)


def _leaders(instructions):
    """Of each instruction: the one that it follows, itself if it is followed, or None."""
    leaders = [None] * len(instructions)
    for number, each in enumerate(instructions):
        if each.followers:
            leaders[number : number + each.followers + 1] = [each] * (each.followers + 1)
    return leaders


def _planned(each, leader, batch, work, threads, seconds):
    rows = batch * each.rows_per_sample
    nowhere = leader.operands["dw"] if leader else None
    operands = [name for name, place in each.operands.items() if place is not None and place != nowhere]
    flops, nbytes = flops_and_bytes(each.op, rows, operands, each.dims)
    shown = rows if each.work_per_row else None
    return PlannedInstruction(
        each.op,
        _kernel(each),
        each.label,
        shown,
        flops,
        nbytes,
        work,
        threads,
        each.fence,
        each.commits,
        each.by_rows > 0,
        leader not in (None, each),
        seconds,
    )


def _kernel(each):
    """An operation with its sizes: ``dense_forward 784x300 relu``."""
    dims, words = each.dims, [each.op]
    if "k" in dims:
        words.append(f"{dims['k']}x{dims['n']}")
    elif "n" in dims:
        words.append(str(dims["n"]))
    elif "n_x" in dims:
        words.append(f"{dims['rows_x']}x{dims['n_x']} to {dims['rows_y']}x{dims['n_y']}")
    if dims.get("act"):
        words.append(_ACTIVATIONS[dims["act"]])
    if dims.get("accumulate"):
        words.append("adding")
    return " ".join(words)


# ---- programs --------------------------------------------------------------------------------------------------------


def _training_program(model, batch):
    """What `fit` would run: the very program, with what it has learnt, where `fit` has run with such batches."""
    if model._heads is not None:
        made = {weighted: known for (kind, weighted), known in model._programs.items() if kind == "train"}
        weighted = next((each for each, program in made.items() if each and program.batch == batch), False)
        return model._program("train", batch, weighted)
    # Data has not told yet whether targets are labels. Few losses leave that open; then they are taken to be labels.
    try:
        model._resolved_heads([None] * len(model.outputs))
        return model._program("train", batch, weighted=False)
    finally:
        model._heads = None
        model._programs.clear()


def _prediction_program(model):
    from fastnn.lowering.programs import Prediction

    graph, eager = model.graph, model._eager_program
    if eager is not None and eager.graph is graph:
        made_for, program = eager._programs.get(False, (None, None))
        if made_for == (CHUNK, graph.state()):
            return program
    return Prediction(graph, CHUNK)


# ---- measuring -------------------------------------------------------------------------------------------------------


def _measured_instructions(lowered, batch, optimizer):
    """Median seconds of each instruction, on one thread and on random data. The model is afterwards what it was."""
    samples = batch * _MEASURED_BATCHES
    program, times = lowered.program, np.empty((_MEASURED_BATCHES, lowered.program.length))
    options, result = _run_options(lowered, samples, optimizer), []
    with _unchanged(lowered):
        program.run(samples, batch=batch, batches=1, times=times, **options)  # warms up
        started = time.perf_counter()
        while len(result) < _LEAST_MEASURED or time.perf_counter() - started < _MEASURED_SECONDS:
            done = program.run(samples, batch=batch, times=times, budget=_MEASURED_SECONDS, **options)
            result.extend(times[:done].copy())
    return (np.median(result, axis=0) * 1e-9).tolist()


def _run_options(lowered, samples, optimizer):
    """What `Program.run` needs to run on random data."""
    random = np.random.default_rng(0)
    graph = lowered.graph
    inputs = {each: _random_data(graph, each, samples, random) for each in graph.inputs}
    if optimizer is None:
        inputs = host_values(graph, inputs)
        results = [np.empty((samples, *tensor.shape[1:]), np.float32) for tensor in graph.outputs]
        sources = [(source, inputs[each]) for each, source in lowered.sources.items()]
        return {"sources": sources, "outputs": [(*port, to) for port, to in zip(lowered.outputs, results, strict=True)]}
    targets = []
    for head, tensor in zip(lowered.heads, graph.outputs, strict=True):
        if head.loss.target_kind in ("labels", "groups"):
            targets.append(random.integers(0, tensor.features, (samples, *tensor.shape[1:-1])))
        else:
            targets.append(random.random((samples, *tensor.shape[1:]), np.float32))
    weights = [np.ones(samples, np.float32)] * len(targets)
    return {
        "sources": lowered.bind(inputs, targets, weights),
        # At a learning rate of 0 random data makes nothing diverge.
        "hyper": (0.0, *np.atleast_2d(optimizer.hyper())[0, 1:].tolist()),
        "step": optimizer.steps,
    }


def _random_data(graph, tensor, samples, random):
    """Values for an input: numbers, or tokens of the vocabulary by which it is looked up."""
    shape = (samples, *tensor.shape[1:])
    tables = [node.attributes["table"].value for node in graph.consumers(tensor) if isinstance(node.operation, Lookup)]
    if tables and tables[0] is not None:
        return random.choice(tables[0].tokens, shape)
    return random.standard_normal(shape, np.float32)


@contextlib.contextmanager
def _unchanged(lowered):
    """Whatever the program's commits may write, and its totals, are afterwards what they were."""
    places = [
        place
        for instruction in lowered.program.instructions
        if instruction.commits
        for place in instruction.operands.values()
        if isinstance(place, tuple)
    ]
    arrays = [buffer.array(nbytes, np.uint8, offset) for buffer, offset, nbytes in places]
    if hasattr(lowered, "totals"):
        arrays.append(lowered.totals)
    copies = [array.copy() for array in arrays]
    try:
        yield
    finally:
        for array, copy in zip(arrays, copies, strict=True):
            array[:] = copy


# ---- words -----------------------------------------------------------------------------------------------------------


def short(value):
    """Three digits and a prefix: ``941``, ``17.6k``, ``15.1M``."""
    for limit, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= 0.9995 * limit:
            return f"{value / limit:.3g}{prefix}"
    return f"{value:.3g}"


def _microseconds(seconds):
    return f"{seconds * 1e6:,.0f}" if seconds >= 1e-4 else f"{seconds * 1e6:.3g}"


def _duration(seconds):
    return f"{seconds * 1e3:.3g} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.3g} µs"


def _threads(count):
    return "1 thread" if count == 1 else f"{count} threads"
