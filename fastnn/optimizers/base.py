"""What all optimizers have in common."""

import re
import warnings

import numpy as np

from fastnn._initialised import Initialised
from fastnn._naming import unique_name
from fastnn._suggestions import of_argument
from fastnn.optimizers import settings
from fastnn.optimizers.applying import Applies
from fastnn.optimizers.live import Count, Rate, Scalar, State
from fastnn.optimizers.own import OwnRule
from fastnn.optimizers.schedules import LearningRateSchedule
from fastnn.optimizers.schedules import deserialize as deserialize_schedule
from fastnn.optimizers.schedules import serialize as serialize_schedule

_TABLE_ROWS = 16384  # steps that one table of numbers is made for: 1 MB
_FIRST_CLIPS = ("clipnorm", "global_clipnorm", "clipvalue")  # which of several holds that were assigned later
_CLIPS = ("clipvalue", "clipnorm", "global_clipnorm")  # numbered from 1, as csrc/ops/optimizer.h does


class Optimizer(OwnRule, Applies, Initialised):
    """Base class of optimizers.

    Parameters
    ----------
    learning_rate : float, LearningRateSchedule or callable
        At least 0. A schedule is asked for every step, a callable without arguments before every step.
    weight_decay : float, optional
        Before each update every weight loses this part of itself times the learning rate: ``w -= w * weight_decay *
        learning_rate``. Of all variables, those excepted that `exclude_from_weight_decay` names.
    clipnorm, clipvalue, global_clipnorm : float, optional
        One of them at most. The gradient of each variable is scaled down to this norm; each of its values is cut off
        there; all gradients together are scaled down to this norm.
    use_ema : bool, default False
        Keep the moving mean of every weight, ``mean = ema_momentum * mean + (1 - ema_momentum) * w`` after each update,
        starting at the first update's weights. At the end of `fit` the weights become their means.
    ema_momentum : float, default 0.99
        In [0, 1].
    ema_overwrite_frequency : int, optional
        The weights also become their means after every so many updates.
    loss_scale_factor : float, optional
        Gradients given to `apply` are divided by it. In `fit` the loss is multiplied by the same, so that nothing
        changes: gradients are float32, which needs no such scaling.
    gradient_accumulation_steps : int, optional
        At least 2: one update in so many steps, with the mean of their gradients.
    name : str, optional

    Attributes
    ----------
    learning_rate : float
        May be assigned at any time, by a callback for example; holds from the next step on. `numpy()` gives it as
        float32, `assign(value)` sets it.
    iterations : int
        Updates done. `steps` counts training steps, which are more if gradients are accumulated.
    learning_rate_multipliers : dict of Layer or Variable to float
        For fine-tuning: the learning rate of a layer (with all that is inside it) or variable is multiplied by this.
        Weight decay follows, as it is measured by the learning rate. Where several apply, the variable's own comes
        before its layer's, and an inner layer's before an outer one's. Assign a dictionary to change it; that
        holds from the next call of `fit` or `train_on_batch` on.
    variables : list
        Counter, learning rate and memory, in Keras's order, each with `numpy()` and `assign()`.
    slot_names : tuple of str
        What is remembered of each parameter from step to step.
    state : dict of Variable to dict
        That memory: for every slot ``(buffer, offset, nbytes)``, laid out as the variable is.

    Raises
    ------
    ValueError
        If an argument is unknown or out of range.

    Notes
    -----
    Any setting can be assigned later, too, and holds from the next step on; those that decide what the optimizer
    remembers are refused once it is in use.
    """

    op = None  # the operation of the engine that updates
    own_numbers = ()  # the settings that it reads, in its order
    per_variable = False  # each variable is updated by itself, rather than runs of them
    interleaved = True  # in `variables`: all slots of one parameter before the next parameter's
    momentum_setting = None  # what a schedule that moves the momentum moves

    weight_decay = settings.option()
    clipnorm = settings.option()
    clipvalue = settings.option()
    global_clipnorm = settings.option()
    use_ema = settings.switch(False)
    ema_momentum = settings.number(0.99, 0, 1)
    ema_overwrite_frequency = settings.optional_count(1)
    loss_scale_factor = settings.option()
    gradient_accumulation_steps = settings.optional_count(2)

    def __init_subclass__(cls, learning_rate=None, **kwargs):
        super().__init_subclass__(**kwargs)
        if learning_rate is not None:
            cls.__init__ = settings.constructor(cls, learning_rate)

    def _begin(self, learning_rate, name, others, given):
        """What every constructor does with its arguments."""
        learning_rate = others.pop("lr", learning_rate)  # its name before Keras 2.3
        if others.pop("decay", None) is not None:
            warnings.warn(
                "Argument `decay` is no longer supported and will be ignored. Give a schedule as learning_rate, "
                "schedules.InverseTimeDecay(learning_rate, 1, decay), or take the optimizer from optimizers.legacy.",
                stacklevel=4,
            )
        if others:
            hint = of_argument(next(iter(others)), type(self))
            raise ValueError(f"Argument(s) not recognized: {others}.{hint}")
        self.name = name or unique_name(type(self).__name__)
        self.steps = 0
        self.state = {}
        self._added = []  # variables of a rule of one's own
        self._counted = None  # `iterations` while such a rule is traced
        self._own_shaped = {}  # the slots that have a shape of their own, as variables
        self._values = {}
        self._switched = 0  # how often a setting was assigned that needs other programs
        self._constants = None  # hyper() where nothing depends on the step
        self._excluded, self._excluded_names = set(), None
        self._multipliers = {}
        self._applied = None
        for each, value in given.items():
            setattr(self, each, value)
        clips = {each: getattr(self, each) for each in _CLIPS}
        if sum(value is not None for value in clips.values()) > 1:
            raise ValueError(
                "Only one of `clipnorm`, `clipvalue` and `global_clipnorm` can be set. Received: "
                + ", ".join(f"{each}={value}" for each, value in clips.items())
            )
        self._learning_rate = 0.0
        self.learning_rate = learning_rate

    # ---- learning rate -----------------------------------------------------------------------------------------------

    @property
    def learning_rate(self):
        """The factor of the next step: a float with `numpy()` and `assign()`."""
        rate = self._learning_rate
        if isinstance(rate, LearningRateSchedule):
            rate = rate(self.steps)
        elif callable(rate):
            rate = rate()
        return Rate(rate, self)

    @learning_rate.setter
    def learning_rate(self, value):
        if isinstance(value, LearningRateSchedule):
            if value.moves_momentum:
                self._check_moving_momentum(value)
        elif not callable(value):
            if isinstance(self._learning_rate, LearningRateSchedule):
                raise TypeError(
                    "This optimizer was created with a `LearningRateSchedule` object as its `learning_rate` "
                    "constructor argument, hence its learning rate is not settable. If you need the learning rate to "
                    "be settable, you should instantiate the optimizer with a float `learning_rate` argument."
                )
            value = settings.as_number(self, "learning_rate", value, 0)
        self._learning_rate = value
        self._constants = None

    lr = learning_rate

    def _check_moving_momentum(self, schedule):
        if self.momentum_setting is None:
            raise ValueError(
                f"{type(self).__name__} has no momentum that {type(schedule).__name__} could move: pass "
                "cycle_momentum=False to the schedule."
            )
        if not getattr(self, self.momentum_setting):
            raise ValueError(
                f"{type(schedule).__name__} moves the momentum, and this {type(self).__name__} has none: give it a "
                f"{self.momentum_setting} (its size does not matter), or pass cycle_momentum=False to the schedule."
            )

    @property
    def learning_rate_multipliers(self):
        return dict(self._multipliers)

    @learning_rate_multipliers.setter
    def learning_rate_multipliers(self, value):
        from fastnn.layers.base import Layer
        from fastnn.variables import Variable

        multipliers = {}
        for key, factor in dict(value or {}).items():
            if not isinstance(key, (Layer, Variable)):
                raise ValueError(
                    f"`learning_rate_multipliers` is a dictionary of layers or variables to numbers. Received the key "
                    f"{key!r} of type {type(key).__name__}; model.get_layer(name) finds a layer."
                )
            multipliers[key] = settings.as_number(self, "learning_rate_multipliers", factor, 0)
        self._multipliers = multipliers
        settings.changed()

    def learning_rate_multiplier(self, variable):
        """The factor of a variable's learning rate."""
        if variable in self._multipliers:
            return self._multipliers[variable]
        holding = [
            (len(key.weights), factor)
            for key, factor in self._multipliers.items()
            if hasattr(key, "weights") and variable in key.weights
        ]
        return min(holding, key=lambda each: each[0], default=(0, 1.0))[1]

    # ---- what the engine reads ---------------------------------------------------------------------------------------

    @property
    def iterations(self):
        if self._counted is not None:
            return self._counted
        return Count(self.steps // (self.gradient_accumulation_steps or 1), self)

    @iterations.setter
    def iterations(self, value):
        count = settings.integer(value)
        if count is None or count < 0:
            raise ValueError(f"`iterations` must be an integer of at least 0. Received: iterations={value!r}")
        self.steps = count * (self.gradient_accumulation_steps or 1)

    def steps_at_once(self, wanted):
        """How many steps may run before `hyper` has to be asked again, at most `wanted`."""
        if isinstance(self._learning_rate, float):
            return wanted
        return min(wanted, _TABLE_ROWS) if isinstance(self._learning_rate, LearningRateSchedule) else 1

    def hyper(self, steps=1):
        """The numbers of the next so many steps, as the engine reads them: a tuple if they are the same for each, else
        an array with a row for each. The learning rate is the first."""
        if isinstance(self._learning_rate, float):
            if self._constants is None:
                self._constants = self._row(self._learning_rate)
            return self._constants
        schedule = self._learning_rate
        if not isinstance(schedule, LearningRateSchedule):
            return self._row(settings.as_number(self, "learning_rate", schedule(), 0))
        table = np.tile(np.array(self._row(0.0)), (steps, 1))
        numbers = np.arange(self.steps, self.steps + steps)
        table[:, 0] = schedule.table(numbers)
        if schedule.moves_momentum:
            table[:, 4 + self.own_numbers.index(self.momentum_setting)] = schedule.momentum(numbers)
        return table

    def _row(self, learning_rate):
        clip = next((value for value in (getattr(self, each) for each in _FIRST_CLIPS) if value), 0.0)
        own = [getattr(self, each) for each in self.own_numbers]
        return (learning_rate, self.weight_decay or 0.0, clip, self.ema_momentum, *own)

    def structure(self):
        """What programs of this optimizer are made for; another one needs others."""
        return self._multipliers, self._excluded, self._excluded_names, self._switched

    @property
    def slot_names(self):
        return ()

    def slots(self, variable):
        """The names of everything that memory is needed for, to remember it of a variable."""
        around = ["average"] * self.use_ema + ["gradient_accumulator"] * bool(self.gradient_accumulation_steps)
        return [*around, *self.slots_of(variable)]

    def slots_of(self, variable):
        """Those of `slot_names` that this variable has."""
        return self.slot_names

    def slot_shape(self, variable, slot):
        """The shape of what is remembered; None: it lies as the variable does, value by value."""

    def first_value(self, slot):
        """What a slot holds before the first step."""
        return 0.0

    def is_alone(self, variable):
        """Is this variable updated by itself, rather than in a run of them?"""
        return self.per_variable

    def clip(self):
        """How gradients are clipped: 0, or 1 more than the position in clipvalue, clipnorm, global_clipnorm."""
        return next((_CLIPS.index(each) + 1 for each in _FIRST_CLIPS if getattr(self, each)), 0)

    def switches(self):
        """The dimensions that are the operation's own."""
        return {}

    def lower(self, b, variable, param, grad, slots, n, **common):
        """Emit the update of some parameters.

        Parameters
        ----------
        b : fastnn.lowering.builder.Builder
        variable : Variable
            The one that is updated, or the first of a run.
        param, grad : operand
            Of `n` floats each, padding included.
        slots : dict of str to operand
            Its memory, for every name of `slots_of`; as much, unless it has a shape of its own.
        n : int
        **common
            The operands, dimensions and scalars that all optimizers have: see ``csrc/ops/optimizer.h``.
        """
        from fastnn._engine.runtime import OPS
        from fastnn.lowering.cost import elementwise_cycles

        if self.op is None:
            raise ValueError(
                f"{type(self).__name__} has no compiled form. Give it an `update_step(gradient, variable, "
                "learning_rate)` composed of fastnn.ops, or derive it from one of the optimizers of fastnn.optimizers."
            )
        missing = {name: None for name in OPS[self.op].optional if name not in slots and name != "norms"}
        # Updates need not wait for each other: they read and write elsewhere.
        fence = [op for op, _, _ in b.emitted[-1:]] != [self.op]
        b.emit(
            self.op, work=elementwise_cycles(n, 24), commits=True, fence=fence, param=param, grad=grad, n=n, **common,
            **slots, **missing, **self.switches(),
        )  # fmt: skip

    # ---- weight decay ------------------------------------------------------------------------------------------------

    def exclude_from_weight_decay(self, var_list=None, var_names=None):
        """Let `weight_decay` spare some variables. To be called before the optimizer is in use.

        Parameters
        ----------
        var_list : list of Variable, optional
        var_names : list of str, optional
            Regular expressions; a variable is spared in whose name one is found: ``["bias"]``.
        """
        if self.built:
            raise ValueError("`exclude_from_weight_decay()` can only be configured before the optimizer is built.")
        self._excluded = set(var_list or ())
        self._excluded_names = re.compile("|".join(sorted(set(var_names)))) if var_names else None

    def decay_of(self, variable):
        """The setting that says how much of this variable's weights decays."""
        return self.weight_decay

    def decays(self, variable):
        """Does weight decay act on this variable?"""
        if not self.decay_of(variable) or variable in self._excluded:
            return False
        return self._excluded_names is None or self._excluded_names.search(variable.name) is None

    # ---- memory ------------------------------------------------------------------------------------------------------

    @property
    def built(self):
        return bool(self.state)

    def build(self, variables):
        """Give memory to the variables that have none yet.

        Raises
        ------
        ValueError
            If it was built before, and for none of them: they are another model's.
        """
        from fastnn._engine.runtime import Buffer
        from fastnn.variables import Variable, runs_of

        missing = [variable for variable in variables if variable not in self.state]
        if self.built and missing and len(missing) == len(variables):
            raise ValueError(
                f"Unknown variable: {missing[0].path!r}. Optimizer {self.name!r} remembers things of another model's "
                "variables, and counts its steps. Make a new optimizer for this model, and call model.compile(...) "
                "with it."
            )
        self.state.update((variable, {}) for variable in missing)  # in their order
        for run in runs_of(missing):
            alike = {}  # by name: the variables of the run that have such a slot, laid out as they are
            for variable in run:
                for name in self.slots(variable):
                    shape = self.slot_shape(variable, name)
                    if shape is None:
                        alike.setdefault(name, []).append(variable)
                        continue
                    own = Variable(np.full(shape, self.first_value(name)), trainable=False, name=variable.name)
                    own.path = f"{self.name}/{own.name}"
                    self._own_shaped[variable, name] = own
                    self.state[variable][name] = own.storage
            for name, variables_alike in alike.items():
                buffer, offset = Buffer(sum(each.nbytes for each in variables_alike)), 0
                if name in self.slot_names and self.first_value(name):
                    buffer.array(buffer.nbytes // 4)[:] = self.first_value(name)
                for variable in variables_alike:
                    self.state[variable][name] = buffer, offset, variable.nbytes
                    offset += variable.nbytes

    @property
    def variables(self):
        result = [Scalar(self, "iteration", lambda: self.steps, lambda value: setattr(self, "steps", value), "int32")]
        if isinstance(self._learning_rate, float):
            result.append(
                Scalar(
                    self,
                    "learning_rate",
                    lambda: self._learning_rate,
                    lambda value: setattr(self, "learning_rate", value),
                    "float32",
                )
            )
        for group in [["average"], ["gradient_accumulator"], *self._slot_groups()]:
            found = [self.remembered(variable, name) for variable in self.state for name in group]
            result += [each for each in found if each is not None]
        return result + self._added

    def remembered(self, variable, slot):
        """What a slot holds of a variable, with `numpy()` and `assign()`; None where there is no such slot."""
        if (variable, slot) in self._own_shaped:
            return self._own_shaped[variable, slot]
        return State(self, variable, slot) if slot in self.state[variable] else None

    def _slot_groups(self):
        """The slots that lie beside each other for each parameter among `variables`."""
        return [list(self.slot_names)] if self.interleaved else [[name] for name in self.slot_names]

    def average(self, variable):
        """The moving mean of a variable, with `use_ema`: has `numpy()` and `assign()`."""
        return State(self, variable, "average")

    def finalize_variable_values(self, var_list):
        """With `use_ema`, let the variables become their moving means; `fit` does so at its end."""
        if self.use_ema:
            for variable in var_list:
                if variable in self.state:
                    variable.assign(self.average(variable).numpy())

    # ---- configuration -----------------------------------------------------------------------------------------------

    def get_config(self):
        """Return the arguments that make an equal optimizer."""
        rate = self._learning_rate
        if isinstance(rate, LearningRateSchedule):
            rate = serialize_schedule(rate)
        elif callable(rate):
            rate = getattr(rate, "__name__", repr(rate))
        return {"name": self.name, "learning_rate": rate, **self._values}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Make an optimizer from what `get_config` returned."""
        if isinstance(config.get("learning_rate"), dict):
            schedule = deserialize_schedule(config["learning_rate"], custom_objects)
            config = {**config, "learning_rate": schedule}
        return cls(**config)

    def _described(self):
        return f"name={self.name} learning_rate={float(self.learning_rate)}"


def _required_rate():
    import inspect

    __init__ = settings.constructor(Optimizer, inspect.Parameter.empty)
    return __init__


Optimizer.__init__ = _required_rate()
