"""Several callbacks as one."""

from fastnn.callbacks.base import Callback
from fastnn.callbacks.loggers import ProgbarLogger
from fastnn.callbacks.simple import History


class CallbackList(Callback):
    """Several callbacks as one. A hook reaches only those that override it.

    Its own hooks are those of `Callback`; they pass on an empty dictionary where they get no logs.

    Parameters
    ----------
    callbacks : Callback or (nested) list of Callback, optional
    add_history : bool, default False
        Add a `History` if there is none.
    add_progbar : bool, default False
        Add a `ProgbarLogger` if there is none, for a loop of one's own.
    draws_progress : bool, default False
        Whoever calls the hooks draws progress, as `fit` does: a `ProgbarLogger` is not called.
    model : Model, optional
    **params
        Passed to each callback's `set_params`.

    Attributes
    ----------
    callbacks : list of Callback
    history : History or None
    has_train_batch_hooks, has_test_batch_hooks, has_predict_batch_hooks : bool
        Does any callback want to be called for each batch?

    Raises
    ------
    TypeError
        If something in `callbacks` is no callback.
    """

    def __init__(
        self, callbacks=None, add_history=False, add_progbar=False, model=None, draws_progress=False, **params
    ):
        super().__init__()
        self.callbacks = list(flat(callbacks))
        for callback in self.callbacks:
            _check(callback)
        self.history = next((c for c in self.callbacks if isinstance(c, History)), None)
        if self.history is None and add_history:
            self.history = History()
            self.callbacks.append(self.history)
        if add_progbar and not any(isinstance(callback, ProgbarLogger) for callback in self.callbacks):
            self.callbacks.append(ProgbarLogger())
        # Who listens is looked up once: an epoch's hooks cost next to nothing where nobody does.
        heard = [(callback, _hooks_of(callback)) for callback in self.callbacks]
        if draws_progress:
            heard = [(callback, hooks) for callback, hooks in heard if not isinstance(callback, ProgbarLogger)]
        for when in ("begin", "end"):
            setattr(self, f"on_epoch_{when}", _epoch_hook(_listeners(heard, f"on_epoch_{when}")))
        for stage in ("train", "test", "predict"):
            wanted = False
            for when in ("begin", "end"):
                # The default of on_train_batch_end calls on_batch_end, its older name.
                names = [f"on_{stage}_batch_{when}"] + [f"on_batch_{when}"] * (stage == "train")
                listeners = _listeners(heard, *names)
                wanted = wanted or bool(listeners)
                setattr(self, names[0], _batch_hook(listeners))
                name = f"on_{stage}_{when}"
                setattr(self, name, _stage_hook(_listeners(heard, name)))
            setattr(self, f"has_{stage}_batch_hooks", wanted)
        self.on_batch_begin = self.on_train_batch_begin
        self.on_batch_end = self.on_train_batch_end
        if model is not None:
            self.set_model(model)
        if params:
            self.set_params(params)

    def set_params(self, params):
        super().set_params(params)
        for callback in self.callbacks:
            callback.set_params(params)

    def set_model(self, model):
        super().set_model(model)
        if self.history is not None:
            model.history = self.history
        for callback in self.callbacks:
            callback.set_model(model)


def flat(callbacks):
    """Yield what nested lists hold; nothing for None."""
    if isinstance(callbacks, CallbackList):
        callbacks = callbacks.callbacks
    if isinstance(callbacks, (list, tuple)):
        for each in callbacks:
            yield from flat(each)
    elif callbacks is not None:
        yield callbacks


_HOOKS = [
    "on_batch_begin",
    "on_batch_end",
    *(f"on_{what}_{when}" for what in ("epoch", "train", "test", "predict") for when in ("begin", "end")),
    *(f"on_{what}_batch_{when}" for what in ("train", "test", "predict") for when in ("begin", "end")),
]


def _hooks_of(callback):
    """The hooks that a callback overrides."""
    return {
        name
        for name in _HOOKS
        if not getattr(getattr(callback, name, None), "_is_default", False) and hasattr(callback, name)
    }


def _listeners(heard, hook, *older_names):
    """The hooks of those callbacks that override it, or one that its default calls."""
    return [getattr(callback, hook) for callback, hooks in heard if hook in hooks or not hooks.isdisjoint(older_names)]


def _epoch_hook(listeners):
    def call(epoch, logs=None):
        if listeners:
            logs = _shared(logs)
            for hook in listeners:
                hook(epoch, logs)

    return call


def _batch_hook(listeners):
    def call(batch, logs=None):
        if listeners:
            logs = _shared(logs)
            for hook in listeners:
                hook(batch, logs=logs)

    return call


def _stage_hook(listeners):
    def call(logs=None):
        if listeners:
            logs = _shared(logs)
            for hook in listeners:
                hook(logs)

    return call


def _shared(logs):
    """The dictionary that all callbacks get, by name: what one adds the later ones see, and nobody else."""
    return dict(sorted(logs.items())) if logs else {}


def _check(callback):
    if isinstance(callback, type):
        raise TypeError(
            f"callbacks: expected instances, received the class {callback.__name__}. Pass {callback.__name__}(...)."
        )
    if not (hasattr(callback, "set_model") and hasattr(callback, "set_params")):
        raise TypeError(
            "callbacks: expected instances of fastnn.callbacks.Callback, received "
            f"{callback!r} of type {type(callback).__name__}. A function becomes one with "
            "LambdaCallback(on_epoch_end=function)."
        )
