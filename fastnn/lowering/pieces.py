"""Which updates are made piece by piece, while the gradient is in a cache.

The gradient of a large matrix is written once, read once, and wanted by nobody else. So the instruction that computes
it hands every piece of it, some rows of one panel, to those that would read it later: the instructions that *follow* it
(``csrc/ops/dense_weights.c``). The gradient as a whole is never in memory. No bit depends on this: what follows
computes each parameter, or each panel, by itself.

A step that is interrupted has changed nothing, and from its first update on it is not interrupted: so only what runs in
its last moments may be updated early.
"""

from fastnn.lowering.sharing import written_names
from fastnn.operations.parameter import Memory
from fastnn.variables import WORTH_KEEPING, Variable

_GRADIENT, _NORMALISATION = "dense_backward_weights", "batchnorm_dense_gradients"
# What optimizer.h gives a piece to: each parameter by itself, in one instruction.
_UPDATES = {"sgd", "adam", "adamax", "nadam", "lion", "rmsprop", "adagrad", "adadelta", "ftrl"}
_MOST_ROWS = 256  # of a batch: KC in gemm.c. More are added up in several passes over the gradient.
_LEAST_COLUMNS = 9  # fewer have kernels that turn the product around
_LEAST_BYTES = 1 << 20  # of parameters, gradients and the optimizer's memory: less stays in a cache anyway
_LONGEST_COMMIT = 2.5e8  # estimated cycles for which a step goes on, besides its updates, after it was asked to stop


def join_updates(emitted, batch):
    """Let updates follow the gradients that they read.

    Parameters
    ----------
    emitted : list of (op, bindings, keywords of `Instruction`)
    batch : int
        Samples of a full batch.

    Returns
    -------
    list of (op, bindings, keywords)
        An instruction with ``followers`` has so many right behind it.
    """
    steps = [_Step(*each) for each in emitted]
    updated = [step for step in steps if step.op in _UPDATES]
    if sum(end - begin for step in updated for _, begin, end in step.places.values()) < _LEAST_BYTES:
        return emitted
    groups = []
    for gradient in reversed([step for step in steps if _is_candidate(step, batch)]):
        joined = _joined(steps, gradient)
        if joined is None:
            continue
        order, group = joined
        late = [step for step in order[order.index(gradient) :] if not step.keywords["commits"]]
        if sum(step.cycles(batch) for step in late) > _LONGEST_COMMIT:
            break  # those before it would commit earlier still
        steps = order
        groups.append(group)
    for group in groups:
        for step in group:
            step.keywords.update(commits=True, fence=step is group[0])
        group[0].keywords["followers"] = len(group) - 1
        _spare_fence(steps, group)
    return [(step.op, step.bindings, step.keywords) for step in steps]


class _Step:
    """An instruction, and where its operands lie: (what memory, from, to) by name."""

    def __init__(self, op, bindings, keywords):
        self.op, self.bindings, self.keywords = op, bindings, dict(keywords)
        places = {name: _place(value) for name, value in bindings.items()}
        self.places = {name: place for name, place in places.items() if place}
        written = written_names(op)
        self.relied = False  # on the fence of a gradient that was moved behind it
        self.writes = [place for name, place in self.places.items() if written is None or name in written]

    def touches(self, place):
        return any(_overlap(place, own) for own in self.places.values())

    def cycles(self, batch):
        rows = batch * self.keywords["rows_per_sample"]
        return self.keywords["work"] + self.keywords["work_per_row"] * rows


def _place(value):
    value = value.operand if isinstance(value, Memory) else value
    value = value.storage if isinstance(value, Variable) else value
    if isinstance(value, tuple):
        return id(value[0]), value[1], value[1] + value[2]
    return (id(value), 0, value.nbytes) if hasattr(value, "nbytes") else None


def _overlap(a, b):
    return a[0] == b[0] and a[1] < b[2] and b[1] < a[2]


def _is_candidate(step, batch):
    bindings, rows = step.bindings, batch * step.keywords["rows_per_sample"]
    if step.op != _GRADIENT or bindings["accumulate"] or bindings.get("half_dw") is not None:
        return False
    _, begin, end = step.places["dw"]
    return rows <= _MOST_ROWS and bindings["n"] >= _LEAST_COLUMNS and end - begin >= WORTH_KEEPING


def _joined(steps, gradient):
    """The steps in another order, with all that touches a gradient behind it, and that group; None if it cannot be."""
    at, dw = steps.index(gradient), gradient.places["dw"]
    others = [step for step in steps if step is not gradient and step.touches(dw)]
    if not others or steps.index(others[0]) < at or [step.op for step in others[:-1]] not in ([], [_NORMALISATION]):
        return None
    update = others[-1]
    if update.op not in _UPDATES or update.places["grad"] != dw or "norms" in update.places:
        return None
    # The weights may change when nobody else reads them any more.
    group, weights, end = [gradient, *others], update.places["param"], steps.index(update)
    between = [step for step in steps[at:end] if step not in group]
    readers = [number for number, step in enumerate(between, 1) if step.touches(weights)]
    early, late = between[: max(readers, default=0)], between[max(readers, default=0) :] + steps[end + 1 :]
    if any(_disturbs(step, group, weights) for step in early) or any(step.op == "callback" for step in late):
        return None  # (what a callback raises must find the model unchanged)
    if early and not early[0].keywords["fence"]:
        early[0].keywords["fence"] = early[0].relied = gradient.keywords["fence"]
    if end + 1 < len(steps):
        steps[end + 1].keywords["fence"] |= update.keywords["fence"]
    return steps[:at] + early + group + late, group


def _disturbs(step, group, weights):
    """Would it change anything if a step ran before a group, and not between its gradient and its update? Not if it
    reads the weights, which are updated after it in any case."""
    for each in group:
        if any(step.touches(place) for place in each.writes if place != weights):
            return True
        if any(_overlap(place, own) for place in each.places.values() for own in step.writes):
            return True
    return False


def _spare_fence(steps, group):
    """What stands right behind a group had a fence before it for what was computed before the group, whose own fence
    serves it as well."""
    behind = steps.index(group[-1]) + 1
    if behind < len(steps) and steps[behind].relied:
        step = steps[behind]
        step.keywords["fence"] = any(step.touches(place) for each in group for place in each.writes)
