"""Magnitude pruning: the smallest weights become zero in the course of training, and stay zero. ::

    schedule = pruning.PolynomialDecay(0.0, 0.9, begin_step=200, end_step=2000)
    model.fit(x, y, epochs=20, callbacks=[pruning.PruneLowMagnitude(schedule)])
    pruning.sparsity(model)  # 0.9 of the weights are exactly 0

A pruned weight is held at zero by a mask, which the engine applies after every update and constraint, and which
assigned values go through, too. It stays with the weight, in every model that has it, also without the callback, until
`release`. Files of fastnn's own formats have it; after loading a file in one of Keras's, call `hold_zeros`.
"""

import math

import numpy as np

from fastnn import _revision
from fastnn.callbacks import Callback
from fastnn.layers.base import Layer
from fastnn.training.arguments import count, integer, number
from fastnn.variables import Variable

__all__ = ["ConstantSparsity", "PolynomialDecay", "PruneLowMagnitude", "hold_zeros", "release", "sparsity"]

_NOT_PRUNED = {"gamma", "beta", "alpha", "bias"}


class PolynomialDecay:
    """A sparsity that grows from `initial_sparsity` to `final_sparsity`, fast at first, then ever slower.

    ``final + (initial - final) * (1 - (step - begin_step) / (end_step - begin_step)) ** power``

    Parameters
    ----------
    initial_sparsity, final_sparsity : float
        Share of the weights that are zero, in [0, 1).
    begin_step, end_step : int
        Steps of training: weights are pruned from the one to the other.
    power : float, default 3
    frequency : int, default 100
        Weights are pruned at `begin_step`, every so many steps from there, and at `end_step`.

    References
    ----------
    Zhu and Gupta, To prune, or not to prune, 2017, equation 1.
    """

    def __init__(self, initial_sparsity, final_sparsity, begin_step, end_step, power=3, frequency=100):
        self.initial_sparsity = _share(self, "initial_sparsity", initial_sparsity)
        self.final_sparsity = _share(self, "final_sparsity", final_sparsity)
        self.begin_step = count(begin_step, "begin_step", least=0)
        self.end_step = count(end_step, "end_step", least=self.begin_step + 1)
        self.power = number(self, "power", power, "a positive number", lambda value: 0 < value < math.inf)
        self.frequency = count(frequency, "frequency")

    def __call__(self, step):
        """The sparsity from this step on; None at steps that prune nothing."""
        if not _due(self, step):
            return None
        left = 1 - (step - self.begin_step) / (self.end_step - self.begin_step)
        return self.final_sparsity + (self.initial_sparsity - self.final_sparsity) * left**self.power


class ConstantSparsity:
    """The same sparsity each time.

    Parameters
    ----------
    target_sparsity : float
        Share of the weights that are zero, in [0, 1).
    begin_step : int
    end_step : int, default -1
        The last step that prunes; -1: there is none.
    frequency : int, default 100
        See `PolynomialDecay`.
    """

    def __init__(self, target_sparsity, begin_step, end_step=-1, frequency=100):
        self.target_sparsity = _share(self, "target_sparsity", target_sparsity)
        self.begin_step = count(begin_step, "begin_step", least=0)
        self.end_step = -1 if integer(end_step) == -1 else count(end_step, "end_step", least=self.begin_step)
        self.frequency = count(frequency, "frequency")

    def __call__(self, step):
        """The sparsity from this step on; None at steps that prune nothing."""
        return self.target_sparsity if _due(self, step) else None


class PruneLowMagnitude(Callback):
    """Sets the smallest weights to zero and holds them there, more and more of them.

    At each step that the schedule names, before it is taken, so many of the weights of each kernel that are nearest to
    zero become zero. Of equally small ones, the first go. What is zero stays zero.

    Parameters
    ----------
    schedule : PolynomialDecay, ConstantSparsity or callable (step)
        The share of weights that are to be zero from this step of the optimizer on, or None.
    layers : list of Layer, optional
        Whose weights; by default all layers of the model. Weights are those that have two axes or more and are trained:
        neither biases nor what normalises.
    scope : {"layer", "global"}, default "layer"
        Is the share that of each kernel, or of all kernels together, so that some lose more than others?

    Notes
    -----
    Costs a return to Python each step, as all callbacks with batch hooks do, and a partial sort each time it prunes.
    `EarlyStopping(restore_best_weights=True)` may restore those of an earlier epoch, less the ones that were pruned
    since.

    References
    ----------
    Han, Pool, Tran and Dally, Learning both weights and connections for efficient neural networks, NeurIPS 2015.
    """

    def __init__(self, schedule, layers=None, scope="layer"):
        super().__init__()
        if not callable(schedule):
            raise ValueError(
                "PruneLowMagnitude: `schedule` must be a schedule such as pruning.PolynomialDecay, or a function of "
                f"the step. Received: schedule={schedule!r}"
            )
        if scope not in ("layer", "global"):
            raise ValueError(f'PruneLowMagnitude: `scope` must be "layer" or "global". Received: scope={scope!r}')
        self.schedule, self.layers, self.scope = schedule, layers, scope

    def set_model(self, model):
        super().set_model(model)
        held = self.layers if self.layers is not None else [model]
        self._kernels = list(dict.fromkeys(kernel for layer in held for kernel in _kernels(layer)))
        if not self._kernels:
            raise ValueError(
                f"PruneLowMagnitude: there is nothing to prune in {[each.name for each in held]}: no trained weights "
                "of two axes. Build the model first: give it an Input."
            )
        for kernel in self._kernels:
            _mask(kernel)

    def on_train_batch_begin(self, batch, logs=None):
        share = self.schedule(int(self.model.optimizer.iterations))
        if share is None:
            return
        groups = [self._kernels] if self.scope == "global" else [[kernel] for kernel in self._kernels]
        for kernels in groups:
            _prune(kernels, share)


def sparsity(model):
    """The share of weights that are exactly zero.

    Parameters
    ----------
    model : Model or Layer
        Of its weights, those count that `PruneLowMagnitude` prunes by default, trained or not.

    Returns
    -------
    float
        0.0 where there are none.
    """
    kernels = _kernels(model, trained=False)
    zeros = sum(int((kernel.numpy() == 0).sum()) for kernel in kernels)
    return zeros / max(1, sum(kernel.size for kernel in kernels))


def hold_zeros(model):
    """Hold the weights that are zero now at zero, as pruning does: after loading a pruned model, for example.

    Parameters
    ----------
    model : Model or Layer
    """
    for kernel in _kernels(model):
        hold(kernel, kernel.numpy() != 0)


def release(model):
    """Let all weights be trained again; those that are zero start from there.

    Parameters
    ----------
    model : Model or Layer
    """
    for kernel in _kernels(model, trained=False):
        kernel.mask = None
    _revision.changed()


def _kernels(layer, trained=True):
    if not isinstance(layer, Layer):
        raise TypeError(f"Expected a layer or a model. Received: {layer!r} of type {type(layer).__name__}")
    variables = layer.trainable_weights if trained else layer.weights
    return [each for each in variables if each.ndim >= 2 and each.name not in _NOT_PRUNED]


def hold(variable, keep):
    """Hold the values of a variable at zero that are not to be kept."""
    value = variable.numpy()
    _mask(variable).assign(keep)
    variable.assign(value)


def _mask(variable):
    """The mask of a variable, made if there is none."""
    if variable.mask is None:
        variable.mask = Variable(np.ones(variable.shape), name="mask", trainable=False, layout=variable.layout)
        _revision.changed()  # programs without it are out of date
    return variable.mask


def _prune(kernels, share):
    """Mask the given share of the kernels' weights, the smallest."""
    values = [kernel.numpy() for kernel in kernels]
    sizes = np.concatenate([np.abs(value).ravel() for value in values])
    pruned = round(sizes.size * _share(None, "sparsity", share))
    if pruned == 0:
        return
    limit = np.partition(sizes, pruned - 1)[pruned - 1]
    keep = ~(sizes <= limit)  # what is not a number is not small
    ties = np.flatnonzero(sizes == limit)
    keep[ties[pruned - int((sizes < limit).sum()) :]] = True
    start = 0
    for kernel, value in zip(kernels, values, strict=True):
        kept = keep[start : start + value.size].reshape(value.shape)
        start += value.size
        kernel.mask.assign(kept & (kernel.mask.numpy() > 0))  # what is zero stays zero
        kernel.assign(value)


def _due(schedule, step):
    if step < schedule.begin_step or (0 <= schedule.end_step < step):
        return False
    return step == schedule.end_step or (step - schedule.begin_step) % schedule.frequency == 0


def _share(owner, name, value):
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not 0 <= value < 1:
        of = "" if owner is None else f"{type(owner).__name__}: "
        raise ValueError(f"{of}`{name}` must be a number in [0, 1). Received: {name}={value!r}")
    return float(value)
