"""The end of a training step: gradients are added up and clipped, parameters updated, averaged, and held in bounds."""

from functools import partial

import numpy as np

from fastnn import constraints
from fastnn._engine.runtime import Buffer
from fastnn.lowering import traced
from fastnn.lowering.cost import elementwise_cycles
from fastnn.optimizers.lamb import chunks
from fastnn.variables import is_large_matrix, runs_of

_CLIP_NORM, _CLIP_GLOBAL_NORM = 2, 3  # as csrc/ops/optimizer.h numbers them


def emit_update(b, optimizer, variables):
    """Emit the update of variables whose gradients have been written.

    Parameters
    ----------
    b : fastnn.lowering.builder.Builder
    optimizer : Optimizer
    variables : list of Variable
    """
    b.label = optimizer.name
    optimizer.prepare(variables)
    pieces = []  # of each variable, in memory order: where everything is
    for variable in (each for run in runs_of(variables) for each in run):
        grad = b.variable_gradient(variable)[0]
        pieces.append((variable, {"param": variable.storage, "grad": grad, **optimizer.state[variable]}))
    accumulation = optimizer.gradient_accumulation_steps or 0
    if accumulation:
        for _, at in _runs(pieces):
            n = at["param"][2] // 4
            b.emit(
                "accumulate_gradients", work=elementwise_cycles(n, 3), commits=True, grad=at["grad"],
                accumulator=at["gradient_accumulator"], n=n, accumulation=accumulation,
            )  # fmt: skip
    clip = optimizer.clip()
    norms = _emit_norms(b, pieces, clip) if clip in (_CLIP_NORM, _CLIP_GLOBAL_NORM) else {}

    def group(variable):
        alone = optimizer.is_traced or optimizer.is_alone(variable) or clip == _CLIP_NORM or is_large_matrix(variable)
        own = variable if alone else None
        return optimizer.decays(variable), optimizer.learning_rate_multiplier(variable), own

    for variable, at in _runs(pieces, group):
        sums = norms.get(variable)
        decays, factor, _ = group(variable)
        rows, columns = variable.shape if is_large_matrix(variable) else (0, 0)
        lower = optimizer.lower if not optimizer.is_traced else partial(traced.update_step, optimizer=optimizer)
        lower(
            b, variable, at["param"], at["grad"], {name: at[name] for name in optimizer.slots_of(variable)},
            at["param"][2] // 4,
            accumulation=accumulation, clip=clip, norms=sums, norm_count=sums[2] // 8 if sums else 0,
            rate_factor=factor, decays=decays, matrix_rows=rows, matrix_columns=columns,
        )  # fmt: skip
    if optimizer.use_ema:
        for _, at in _runs(pieces):
            n = at["param"][2] // 4
            b.emit(
                "average_weights", work=elementwise_cycles(n, 4), commits=True, param=at["param"],
                average=at["average"], n=n, accumulation=accumulation,
                overwrite=optimizer.ema_overwrite_frequency or 0,
            )  # fmt: skip
    for variable, _ in pieces:
        _emit_mask(b, variable)
        if variable.constraint is not None:
            constraints.lower(b, variable.constraint, variable)
            _emit_mask(b, variable)  # a norm is that of what is left, and a function of one's own may change zeros
    b.label = ""


def _emit_mask(b, variable):
    if variable.mask is not None:
        n = variable.nbytes // 4
        b.emit("masked_weights", work=elementwise_cycles(n, 2), commits=True, w=variable, mask=variable.mask, n=n)


def _emit_norms(b, pieces, clip):
    """Sums of squares of the gradients: of each variable where it finds those that it is clipped by."""
    counts = [chunks(at["param"][2] // 4) for _, at in pieces]
    sums, offset, places = Buffer(8 * sum(counts)), 0, {}
    for (variable, at), count in zip(pieces, counts, strict=True):
        n = at["param"][2] // 4
        places[variable] = place = (sums, offset, 8 * count)
        # The first waits for the gradients; the others read and write elsewhere.
        b.emit("sum_squares", work=elementwise_cycles(n, 2), fence=offset == 0, x=at["grad"], sums=place, n=n)
        offset += 8 * count
    if clip == _CLIP_GLOBAL_NORM:
        places = dict.fromkeys(places, (sums, 0, sums.nbytes))
    return places


def _runs(pieces, key=lambda variable: None):
    """Join variables of the same key whose memory, gradients and state follow each other; yields the first variable of
    each run and its places."""
    runs = []
    for variable, at in pieces:
        if runs and runs[-1][1] == key(variable) and _follows(runs[-1][2], at):
            joined = runs[-1][2]
            runs[-1][2] = {name: (*joined[name][:2], joined[name][2] + at[name][2]) for name in at}
        else:
            runs.append([variable, key(variable), at])
    for variable, _, at in runs:
        yield variable, at


def _follows(run, piece):
    """Does everything of a piece lie behind what the run has of it?"""
    return run.keys() == piece.keys() and all(
        run[name][0] is at[0] and run[name][1] + run[name][2] == at[1] for name, at in piece.items()
    )


class Update:
    """An optimizer's update by itself, for training loops of one's own.

    Parameters
    ----------
    optimizer : Optimizer
    variables : sequence of Variable
    """

    def __init__(self, optimizer, variables):
        from fastnn.graph import Graph
        from fastnn.lowering.builder import Builder

        b = Builder(Graph([], []), 1)
        b.train(variables)
        self._places = [b.variable_gradient(variable)[0] for variable in variables]
        emit_update(b, optimizer, list(variables))
        self._variables = tuple(variables)
        self._made_for = self._state(optimizer, variables)
        self._program = b.program()

    @staticmethod
    def _state(optimizer, variables):
        places = [(id(each._buffer), each._offset, each.constraint, each.mask) for each in variables]
        return places, optimizer.structure()

    def fits(self, optimizer, variables):
        """Is this still the update of these variables?"""
        return self._variables == tuple(variables) and self._made_for == self._state(optimizer, variables)

    def run(self, optimizer, grads):
        """Do one step."""
        scale = optimizer.loss_scale_factor
        for variable, place, grad in zip(self._variables, self._places, grads, strict=True):
            grad = np.asarray(grad, np.float32)
            if grad.shape != variable.shape:
                raise ValueError(
                    f"The gradient of {variable.path!r} must have its shape, {variable.shape}. Received: {grad.shape}"
                )
            buffer, offset, nbytes = place
            variable.pack_into(buffer.array(nbytes // 4, np.float32, offset), grad / scale if scale else grad)
        try:
            self._program.run(1, batch=1, step=optimizer.steps, hyper=optimizer.hyper())
        finally:
            optimizer.steps += self._program.completed
