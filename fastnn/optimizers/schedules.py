"""Learning rates that follow the number of the training step: those of Keras 3, and `OneCycle`.

A schedule is evaluated for thousands of steps at once, in float32 as Keras does, and the engine reads the table: no
step waits for Python.
"""

import math

import numpy as np

from fastnn import _registry

_F = np.float32


class LearningRateSchedule:
    """Base class: a subclass defines ``__call__(step)``, which returns the learning rate of a step, counted from 0.

    Attributes
    ----------
    vectorised : bool, default False
        May `__call__` be given an array of steps, and return one of learning rates? Otherwise it is called once for
        each step, before a stretch of training.
    moves_momentum : bool, default False
        Has the schedule a method ``momentum(steps)``, too, for the optimizer's momentum (or beta_1)?

    Examples
    --------
    >>> class Halving(LearningRateSchedule):
    ...     def __call__(self, step):
    ...         return 0.1 * 0.5 ** (step // 1000)
    """

    vectorised = False
    moves_momentum = False

    def __call__(self, step):
        raise NotImplementedError(
            f"Learning rate schedule '{type(self).__name__}' must override `__call__(self, step)`."
        )

    def get_config(self):
        """Return the arguments that make an equal schedule."""
        raise NotImplementedError(
            f"Learning rate schedule '{type(self).__name__}' must override `get_config()` in order to be serializable."
        )

    @classmethod
    def from_config(cls, config):
        """Make a schedule from what `get_config` returned."""
        return cls(**config)

    def table(self, steps):
        """The learning rates of an array of steps, checked."""
        if self.vectorised:
            rates = np.broadcast_to(np.asarray(self(steps), np.float64), steps.shape)
        else:
            rates = np.array([float(self(step)) for step in steps], np.float64)
        wrong = ~((rates >= 0) & (rates < np.inf))
        if wrong.any():
            at = int(np.argmax(wrong))
            raise ValueError(
                f"{type(self).__name__} gave the learning rate {rates[at]} at step {steps[at]}: expected a number of "
                "at least 0."
            )
        return rates


class _Schedule(LearningRateSchedule):
    """What the schedules here share: arguments that are their configuration, evaluation on arrays."""

    vectorised = True

    def _keep(self, **arguments):
        self._arguments = arguments
        for name, value in arguments.items():
            setattr(self, name, value)
        for name in ("decay_steps", "first_decay_steps"):
            if name in arguments and not arguments[name] > 0:
                raise ValueError(f"Argument `{name}` must be > 0. Received: {name}={arguments[name]}")

    def get_config(self):
        return dict(self._arguments)

    def __call__(self, step):
        rates = self._rates(np.asarray(step).astype(_F))
        return rates if np.ndim(step) else _F(rates)


class ExponentialDecay(_Schedule):
    """``initial_learning_rate * decay_rate ** (step / decay_steps)``; with `staircase`, of the whole quotient.

    Parameters
    ----------
    initial_learning_rate : float
    decay_steps : int
        Positive.
    decay_rate : float
    staircase : bool, default False
    name : str, optional
    """

    def __init__(self, initial_learning_rate, decay_steps, decay_rate, staircase=False, name="ExponentialDecay"):
        self._keep(
            initial_learning_rate=initial_learning_rate,
            decay_steps=decay_steps,
            decay_rate=decay_rate,
            staircase=staircase,
            name=name,
        )

    def _rates(self, step):
        p = step / _F(self.decay_steps)
        return _F(self.initial_learning_rate) * _F(self.decay_rate) ** (np.floor(p) if self.staircase else p)


class InverseTimeDecay(_Schedule):
    """``initial_learning_rate / (1 + decay_rate * step / decay_steps)``; with `staircase`, of the whole quotient.

    The parameters are those of `ExponentialDecay`.
    """

    def __init__(self, initial_learning_rate, decay_steps, decay_rate, staircase=False, name="InverseTimeDecay"):
        self._keep(
            initial_learning_rate=initial_learning_rate,
            decay_steps=decay_steps,
            decay_rate=decay_rate,
            staircase=staircase,
            name=name,
        )

    def _rates(self, step):
        p = step / _F(self.decay_steps)
        return _F(self.initial_learning_rate) / (1 + _F(self.decay_rate) * (np.floor(p) if self.staircase else p))


class PiecewiseConstantDecay(_Schedule):
    """``values[i]`` up to and including step ``boundaries[i]``, the last one from there on.

    Parameters
    ----------
    boundaries : list of int
        Increasing.
    values : list of float
        One more.
    name : str, optional
    """

    def __init__(self, boundaries, values, name="PiecewiseConstant"):
        if len(boundaries) != len(values) - 1:
            raise ValueError(
                "The length of boundaries should be 1 less than the length of values. Received: "
                f"boundaries={boundaries} of length {len(boundaries)}, and values={values} of length {len(values)}."
            )
        self._keep(boundaries=boundaries, values=values, name=name)

    def _rates(self, step):
        boundaries = np.asarray(self.boundaries).astype(np.int64)  # as Keras, which compares integers
        return np.asarray(self.values, _F)[np.searchsorted(boundaries, step, side="left")]


class PolynomialDecay(_Schedule):
    """From one learning rate to another by a power of the part of the way that is left.

    Parameters
    ----------
    initial_learning_rate : float
    decay_steps : int
        Positive.
    end_learning_rate : float, default 0.0001
    power : float, default 1.0
        1: a straight line.
    cycle : bool, default False
        Begin anew, with twice, three times ... as many steps, instead of staying at the end.
    name : str, optional
    """

    def __init__(
        self,
        initial_learning_rate,
        decay_steps,
        end_learning_rate=0.0001,
        power=1.0,
        cycle=False,
        name="PolynomialDecay",
    ):
        self._keep(
            initial_learning_rate=initial_learning_rate,
            decay_steps=decay_steps,
            end_learning_rate=end_learning_rate,
            power=power,
            cycle=cycle,
            name=name,
        )

    def _rates(self, step):
        steps, end = _F(self.decay_steps), _F(self.end_learning_rate)
        if self.cycle:
            steps = steps * np.where(step == 0, _F(1), np.ceil(step / steps))
        else:
            step = np.minimum(step, steps)
        return (_F(self.initial_learning_rate) - end) * (1 - step / steps) ** _F(self.power) + end


class CosineDecay(_Schedule):
    """Half a cosine down, after a straight line up if there is a warm-up (Loshchilov and Hutter, ICLR 2017).

    Parameters
    ----------
    initial_learning_rate : float
    decay_steps : int
        Positive; those of the warm-up come before them.
    alpha : float, default 0.0
        What is left at the end, as a part of the highest rate.
    name : str, optional
    warmup_target : float, optional
        Where the warm-up ends. None: there is none.
    warmup_steps : int, default 0
    """

    def __init__(
        self,
        initial_learning_rate,
        decay_steps,
        alpha=0.0,
        name="CosineDecay",
        warmup_target=None,
        warmup_steps=0,
    ):
        self._keep(
            initial_learning_rate=initial_learning_rate,
            decay_steps=decay_steps,
            alpha=alpha,
            name=name,
            warmup_target=warmup_target,
            warmup_steps=warmup_steps,
        )

    def _rates(self, step):
        first, steps = _F(self.initial_learning_rate), _F(self.decay_steps)
        if self.warmup_target is None:
            return first * self._cosine(np.minimum(step, steps) / steps)
        target, warmup = _F(self.warmup_target), _F(self.warmup_steps)
        step = np.minimum(step, steps + warmup)
        rising = (target - first) * (step / max(warmup, _F(1))) + first
        return np.where(step < warmup, rising, target * self._cosine((step - warmup) / steps))

    def _cosine(self, part):
        return _F(1 - self.alpha) * (_F(0.5) * (1 + np.cos(_F(math.pi) * part))) + _F(self.alpha)


class CosineDecayRestarts(_Schedule):
    """Half cosines down, again and again (Loshchilov and Hutter, "SGDR", ICLR 2017).

    Parameters
    ----------
    initial_learning_rate : float
    first_decay_steps : int
        Of the first period; positive.
    t_mul : float, default 2.0
        How much longer each period is than the last.
    m_mul : float, default 1.0
        How much higher each begins.
    alpha : float, default 0.0
        The least, as a part of the initial rate.
    name : str, optional
    """

    def __init__(
        self,
        initial_learning_rate,
        first_decay_steps,
        t_mul=2.0,
        m_mul=1.0,
        alpha=0.0,
        name="SGDRDecay",
    ):
        self._keep(
            initial_learning_rate=initial_learning_rate,
            first_decay_steps=first_decay_steps,
            t_mul=t_mul,
            m_mul=m_mul,
            alpha=alpha,
            name=name,
        )

    def _rates(self, step):
        part, longer = step / _F(self.first_decay_steps), _F(self.t_mul)
        if self.t_mul == 1:
            period = np.floor(part)
            part = part - period
        else:
            period = np.floor(np.log(1 - part * (1 - longer)) / np.log(longer))
            part = (part - (1 - longer**period) / (1 - longer)) / longer**period
        cosine = _F(0.5) * _F(self.m_mul) ** period * (1 + np.cos(_F(math.pi) * part))
        return _F(self.initial_learning_rate) * ((1 - _F(self.alpha)) * cosine + _F(self.alpha))


class OneCycle(_Schedule):
    """Up to the highest learning rate and down to almost nothing, with the momentum going the other way.

    Smith and Topin, "Super-convergence", 2018; the numbers are those of PyTorch's ``OneCycleLR``. Not in Keras.

    Parameters
    ----------
    max_learning_rate : float
    total_steps : int
        All training steps: epochs times steps of an epoch. The last rate stays from there on.
    warmup_fraction : float, default 0.3
        Part of the steps that go up.
    anneal : {"cos", "linear"}, default "cos"
    cycle_momentum : bool, default True
        Move the optimizer's `momentum`, or its `beta_1`, too.
    base_momentum, max_momentum : float, default 0.85 and 0.95
        Momentum at the highest learning rate, and at both ends.
    div_factor : float, default 25.0
        The first rate is ``max_learning_rate / div_factor``,
    final_div_factor : float, default 1e4
        and the last one is the first, divided by this.
    three_phase : bool, default False
        Go down as slowly as up, and only then to almost nothing.
    name : str, optional
    """

    def __init__(
        self,
        max_learning_rate,
        total_steps,
        warmup_fraction=0.3,
        anneal="cos",
        cycle_momentum=True,
        base_momentum=0.85,
        max_momentum=0.95,
        div_factor=25.0,
        final_div_factor=1e4,
        three_phase=False,
        name="OneCycle",
    ):
        if not total_steps > 0:
            raise ValueError(f"Argument `total_steps` must be > 0. Received: total_steps={total_steps}")
        if anneal not in ("cos", "linear"):
            raise ValueError(f"`anneal` must be 'cos' or 'linear'. Received: anneal={anneal!r}")
        if not 0 <= warmup_fraction <= 1:
            raise ValueError(f"`warmup_fraction` must be in [0, 1]. Received: warmup_fraction={warmup_fraction}")
        if not 0 <= base_momentum <= max_momentum < 1:
            raise ValueError(
                "OneCycle expected 0 <= base_momentum <= max_momentum < 1. Received: "
                f"base_momentum={base_momentum}, max_momentum={max_momentum}"
            )
        self._keep(
            max_learning_rate=max_learning_rate,
            total_steps=total_steps,
            warmup_fraction=warmup_fraction,
            anneal=anneal,
            cycle_momentum=cycle_momentum,
            base_momentum=base_momentum,
            max_momentum=max_momentum,
            div_factor=div_factor,
            final_div_factor=final_div_factor,
            three_phase=three_phase,
            name=name,
        )
        self.moves_momentum = cycle_momentum
        first = max_learning_rate / div_factor
        top = warmup_fraction * total_steps - 1
        ends = [0.0, top, 2 * top, total_steps - 1] if three_phase else [0.0, top, total_steps - 1]
        self._ends = np.array(ends)
        self._rates_at = [first, max_learning_rate, first, first / final_div_factor]
        self._momenta_at = [max_momentum, base_momentum, max_momentum, max_momentum]
        if not three_phase:
            del self._rates_at[2], self._momenta_at[2]

    def __call__(self, step):
        rates = self._along(step, self._rates_at)
        return rates if np.ndim(step) else float(rates)

    def momentum(self, step):
        """The momentum of a step, or of an array of them."""
        return self._along(step, self._momenta_at)

    def _along(self, step, values):
        step = np.minimum(np.asarray(step, np.float64), self.total_steps - 1)
        phase = np.minimum(np.searchsorted(self._ends[1:], step, side="left"), len(self._ends) - 2)
        begin, end = self._ends[phase], self._ends[phase + 1]
        part = np.where(end > begin, (step - begin) / np.where(end > begin, end - begin, 1), 1.0)
        from_, to = np.asarray(values)[phase], np.asarray(values)[phase + 1]
        if self.anneal == "linear":
            return from_ + (to - from_) * part
        return to + (from_ - to) / 2 * (1 + np.cos(math.pi * part))


_CLASSES = (
    ExponentialDecay,
    InverseTimeDecay,
    PiecewiseConstantDecay,
    PolynomialDecay,
    CosineDecay,
    CosineDecayRestarts,
    OneCycle,
)
__all__ = ["LearningRateSchedule", *(cls.__name__ for cls in _CLASSES), "deserialize", "serialize"]
_OBJECTS = {cls.__name__: cls for cls in _CLASSES}


def serialize(learning_rate_schedule):
    """Return a schedule's configuration as a dictionary."""
    return _registry.serialize(learning_rate_schedule)


def deserialize(config, custom_objects=None):
    """Make a schedule from its configuration."""
    return _registry.deserialize(config, {**_OBJECTS, **(custom_objects or {})}, "learning rate schedule")
