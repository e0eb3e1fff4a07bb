"""How parameters change by their gradients.

An optimizer is one pass of the engine over all parameters, at the end of every training step. Here
are its settings; its arithmetic, that of Keras 3, is in ``csrc/ops/optimizer.c``.
"""

import math

import numpy as np

from fastnn import _registry
from fastnn._engine import kernels
from fastnn._naming import unique_name
from fastnn.training.arguments import flag

_LATER = {  # options of Keras 3 that the engine does not have yet, at the values that mean "off"
    "weight_decay": None,
    "clipnorm": None,
    "clipvalue": None,
    "global_clipnorm": None,
    "use_ema": False,
    "ema_momentum": 0.99,
    "ema_overwrite_frequency": None,
    "loss_scale_factor": None,
    "gradient_accumulation_steps": None,
}


class Optimizer:
    """Base class of optimizers.

    Parameters
    ----------
    learning_rate : float
        At least 0.
    weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum, \
ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps
        As in Keras 3, for code written for it. Not supported yet at other values than the default.
    name : str, optional

    Attributes
    ----------
    learning_rate : float
        May be assigned at any time, by a callback for example; holds from the next step on.
    iterations : int
        Training steps done.
    slot_names : tuple of str
        What is remembered of each parameter from step to step.
    state : dict of Variable to dict
        That memory, owned by the engine.

    Raises
    ------
    ValueError
        If an argument is unknown, out of range or not supported yet.
    """

    slot_names = ()

    def __init__(
        self,
        learning_rate,
        weight_decay=None,
        clipnorm=None,
        clipvalue=None,
        global_clipnorm=None,
        use_ema=False,
        ema_momentum=0.99,
        ema_overwrite_frequency=None,
        loss_scale_factor=None,
        gradient_accumulation_steps=None,
        name=None,
        **kwargs,
    ):
        given = {
            "weight_decay": weight_decay,
            "clipnorm": clipnorm,
            "clipvalue": clipvalue,
            "global_clipnorm": global_clipnorm,
            "use_ema": use_ema,
            "ema_momentum": ema_momentum,
            "ema_overwrite_frequency": ema_overwrite_frequency,
            "loss_scale_factor": loss_scale_factor,
            "gradient_accumulation_steps": gradient_accumulation_steps,
        }
        for option, value in given.items():
            if value != _LATER[option]:
                raise ValueError(
                    f"{type(self).__name__}: `{option}` isn't supported yet; only its default, "
                    f"{_LATER[option]!r}, is. Received: {option}={value!r}"
                )
            setattr(self, option, value)
        learning_rate = kwargs.pop("lr", learning_rate)  # its name before Keras 2.3
        if kwargs:
            raise ValueError(f"Argument(s) not recognized: {kwargs}")
        self.name = name or unique_name(type(self).__name__)
        self.learning_rate = learning_rate
        self.iterations = 0
        self.state = {}

    @property
    def learning_rate(self):
        """The factor of the next step, a float."""
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value):
        if callable(value):
            raise ValueError(
                f"{type(self).__name__}: schedules and functions as `learning_rate` aren't "
                "supported yet. Pass a float, and assign `optimizer.learning_rate` from a callback "
                f"to change it. Received: learning_rate={value!r}"
            )
        self._learning_rate = _number(self, "learning_rate", value, 0)

    lr = learning_rate

    def hyper(self):
        """Return the numbers that may change from step to step; the learning rate is the first."""
        return (self._learning_rate,)

    def lower(self, b, param, grad, slots, n):
        """Emit the update of some parameters.

        Parameters
        ----------
        b : fastnn.lowering.builder.Builder
        param, grad : operand
            Of `n` floats each, padding included.
        slots : dict of str to operand
            For every name of `slot_names`, as much memory, zero before the first step.
        n : int
        """
        raise ValueError(
            f"{type(self).__name__} has no compiled form; use one of: {', '.join(cls.__name__ for cls in _CLASSES)}."
        )

    def build(self, variables):
        """Give memory to the variables that have none yet."""
        from fastnn.lowering.programs import optimizer_state

        optimizer_state(self, variables)

    @property
    def variables(self):
        """Counter, learning rate and memory, in Keras's order, each with `numpy()` and `assign()`."""
        rate = _State(
            "learning_rate", lambda: np.float32(self._learning_rate), lambda v: _set(self, "learning_rate", v)
        )
        count = _State("iteration", lambda: np.int32(self.iterations), lambda v: _set(self, "iterations", v))
        first, last = [n for n in self.slot_names if n != "vmax"], [n for n in self.slot_names if n == "vmax"]
        slots = [_slot(v, self.state[v][n], n) for group in (first, last) for v in self.state for n in group]
        return [count, rate, *slots]

    def get_config(self):
        """Return the arguments that make an equal optimizer."""
        return {
            "name": self.name,
            "learning_rate": self.learning_rate,
            **{option: getattr(self, option) for option in _LATER},
        }

    @classmethod
    def from_config(cls, config):
        """Make an optimizer from what `get_config` returned."""
        return cls(**config)

    def __repr__(self):
        return f"<{type(self).__name__} name={self.name} learning_rate={self.learning_rate}>"


class _State:
    """A value of an optimizer that looks like a variable."""

    def __init__(self, name, numpy, assign):
        self.name, self.numpy, self.assign = name, numpy, assign

    @property
    def shape(self):
        return self.numpy().shape


def _set(optimizer, name, value):
    setattr(optimizer, name, np.asarray(value).item())


def _slot(variable, place, name):
    buffer, offset, nbytes = place
    floats = buffer.array(nbytes // 4, np.float32, offset)

    def numpy():
        if variable.layout == "panels":
            return kernels.unpack(floats, *variable.shape)
        return floats[: variable.size].reshape(variable.shape).copy()

    def assign(value):
        packed = kernels.pack(value) if variable.layout == "panels" else np.reshape(value, -1)
        floats[: packed.size] = packed

    return _State(name, numpy, assign)


class SGD(Optimizer):
    """Gradient descent, with or without momentum.

    Without: ``w -= learning_rate * g``. With momentum:
    ``m = momentum * m - learning_rate * g; w += m``; with Nesterov's,
    ``w += momentum * m - learning_rate * g`` (Sutskever et al., ICML 2013).

    Parameters
    ----------
    learning_rate : float, default 0.01
    momentum : float, default 0.0
        In [0, 1].
    nesterov : bool, default False
    weight_decay, ..., name
        See `Optimizer`.
    """

    def __init__(
        self,
        learning_rate=0.01,
        momentum=0.0,
        nesterov=False,
        weight_decay=None,
        clipnorm=None,
        clipvalue=None,
        global_clipnorm=None,
        use_ema=False,
        ema_momentum=0.99,
        ema_overwrite_frequency=None,
        loss_scale_factor=None,
        gradient_accumulation_steps=None,
        name=None,
        **kwargs,
    ):
        super().__init__(
            learning_rate,
            weight_decay,
            clipnorm,
            clipvalue,
            global_clipnorm,
            use_ema,
            ema_momentum,
            ema_overwrite_frequency,
            loss_scale_factor,
            gradient_accumulation_steps,
            name,
            **kwargs,
        )
        self.momentum = _number(self, "momentum", momentum, 0, 1)
        self.nesterov = flag(nesterov, "nesterov")

    @property
    def slot_names(self):
        return ("momentum",) if self.momentum else ()

    def lower(self, b, param, grad, slots, n):
        from fastnn.lowering.cost import elementwise_cycles

        b.emit(
            "sgd",
            work=elementwise_cycles(n, 4),
            commits=True,
            param=param,
            grad=grad,
            momentum=slots.get("momentum"),
            n=n,
            nesterov=self.nesterov,
            momentum_factor=self.momentum,
        )

    def get_config(self):
        return {**super().get_config(), "momentum": self.momentum, "nesterov": self.nesterov}


class Adam(Optimizer):
    """Steps scaled by running means of the gradient and of its square.

    ``m += (1 - beta_1) * (g - m); v += (1 - beta_2) * (g**2 - v)``, then with both corrected for
    their start at zero ``w -= learning_rate * m / (sqrt(v) + epsilon)``: Kingma and Ba, "Adam: a
    method for stochastic optimization", ICLR 2015, in the form before their section 2.1.

    Parameters
    ----------
    learning_rate : float, default 0.001
    beta_1, beta_2 : float, default 0.9 and 0.999
        In [0, 1).
    epsilon : float, default 1e-7
        The "epsilon hat" of the paper; not negative.
    amsgrad : bool, default False
        Divide by the largest v so far (Reddi et al., ICLR 2018).
    weight_decay, ..., name
        See `Optimizer`.
    """

    def __init__(
        self,
        learning_rate=0.001,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-7,
        amsgrad=False,
        weight_decay=None,
        clipnorm=None,
        clipvalue=None,
        global_clipnorm=None,
        use_ema=False,
        ema_momentum=0.99,
        ema_overwrite_frequency=None,
        loss_scale_factor=None,
        gradient_accumulation_steps=None,
        name=None,
        **kwargs,
    ):
        super().__init__(
            learning_rate,
            weight_decay,
            clipnorm,
            clipvalue,
            global_clipnorm,
            use_ema,
            ema_momentum,
            ema_overwrite_frequency,
            loss_scale_factor,
            gradient_accumulation_steps,
            name,
            **kwargs,
        )
        self.beta_1 = _number(self, "beta_1", beta_1, 0, 1, open_end=True)
        self.beta_2 = _number(self, "beta_2", beta_2, 0, 1, open_end=True)
        self.epsilon = _number(self, "epsilon", epsilon, 0)
        self.amsgrad = flag(amsgrad, "amsgrad")

    @property
    def slot_names(self):
        return ("m", "v", "vmax") if self.amsgrad else ("m", "v")

    def lower(self, b, param, grad, slots, n):
        from fastnn.lowering.cost import elementwise_cycles

        b.emit(
            "adam",
            work=elementwise_cycles(n, 12),
            commits=True,
            param=param,
            grad=grad,
            m=slots["m"],
            v=slots["v"],
            vmax=slots.get("vmax"),
            n=n,
            beta_1=self.beta_1,
            beta_2=self.beta_2,
            epsilon=self.epsilon,
        )

    def get_config(self):
        return {
            **super().get_config(),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
            "amsgrad": self.amsgrad,
        }


def _number(optimizer, name, value, low, high=None, open_end=False):
    """Return a setting as a float, or say what is wrong with it."""
    try:
        # Strings that spell a number, bools and arrays of one are mistakes; scalars of other libraries are not.
        mistaken = isinstance(value, (str, bytes, bool)) or getattr(value, "ndim", 0)
        number = math.nan if mistaken else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    inside = number >= low and (high is None or (number < high if open_end else number <= high))
    if not inside or number == math.inf:
        span = f" of at least {low}"
        if high is not None:
            span = f" in [{low}, {high}{')' if open_end else ']'}"
        raise ValueError(
            f"{type(optimizer).__name__} expected `{name}` to be a number{span}. Received: {name}={value!r}"
        )
    return number


_CLASSES = (SGD, Adam)
_OBJECTS = {cls.__name__.lower(): cls for cls in _CLASSES}


def serialize(optimizer):
    """Return an optimizer's configuration as a dictionary."""
    return _registry.serialize(optimizer)


def deserialize(config):
    """Make an optimizer from its configuration; case does not matter in its class name."""
    name = config.get("class_name")
    if isinstance(name, str):
        config = {**config, "class_name": name.lower()}
    return _registry.deserialize(config, _OBJECTS, "optimizer")


def get(identifier):
    """Return the optimizer that `identifier` means.

    Parameters
    ----------
    identifier : str, dict, Optimizer or None
        A name in any case, a configuration, or an instance, which is returned as it is.

    Raises
    ------
    ValueError
        If the identifier is unknown.
    """
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if isinstance(identifier, str):
        return _registry.get(identifier.lower(), _OBJECTS, "optimizer")
    if identifier is None or isinstance(identifier, Optimizer):
        return identifier
    raise ValueError(
        f"Could not interpret optimizer identifier: {identifier!r}. Expected a name, a "
        "configuration or an instance of fastnn.optimizers.Optimizer."
    )
