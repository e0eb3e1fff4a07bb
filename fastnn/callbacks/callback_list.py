"""Several callbacks as one."""

import functools

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

    has_train_batch_hooks = has_test_batch_hooks = has_predict_batch_hooks = False

    def __init__(
        self, callbacks=None, add_history=False, add_progbar=False, model=None, draws_progress=False, **params
    ):
        super().__init__()
        self.callbacks = [] if callbacks is None else list(flat(callbacks))
        for callback in self.callbacks:
            _check(callback)
        self.history = next((c for c in self.callbacks if isinstance(c, History)), None)
        if self.history is None and add_history:
            self.history = History()
            self.callbacks.append(self.history)
        if add_progbar and not any(isinstance(callback, ProgbarLogger) for callback in self.callbacks):
            self.callbacks.append(ProgbarLogger())
        # Who listens is looked up once. A hook that nobody overrides stays the one inherited, which does nothing.
        listeners = {}
        for callback in self.callbacks:
            if draws_progress and isinstance(callback, ProgbarLogger):
                continue
            for name in _hooks_of(callback):
                listeners.setdefault(name, []).append(getattr(callback, name))
        for name, hooks in listeners.items():
            setattr(self, name, _KINDS[name](hooks))
            if name in _OF_BATCHES:
                setattr(self, _OF_BATCHES[name], True)
        if "on_train_batch_begin" in listeners:
            self.on_batch_begin = self.on_train_batch_begin
        if "on_train_batch_end" in listeners:
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


def _hooks_of(callback):
    """The hooks that a callback overrides; or whose default calls an older name that it does."""
    if not _KINDS.keys().isdisjoint(vars(callback)):  # made by its __init__
        return _overridden(callback)
    return _overridden_by_class(type(callback))


def _overridden(callback):
    return [name for name in _KINDS if _overrides(callback, name) or _overrides(callback, name.replace("_train_", "_"))]


def _overrides(callback, name):
    hook = getattr(callback, name, None)
    return hook is not None and not getattr(hook, "_is_default", False)


_overridden_by_class = functools.lru_cache(maxsize=64)(_overridden)


def _epoch_hook(listeners):
    def call(epoch, logs=None):
        logs = _shared(logs)
        for hook in listeners:
            hook(epoch, logs)

    return call


def _batch_hook(listeners):
    def call(batch, logs=None):
        logs = _shared(logs)
        for hook in listeners:
            hook(batch, logs=logs)

    return call


def _stage_hook(listeners):
    def call(logs=None):
        logs = _shared(logs)
        for hook in listeners:
            hook(logs)

    return call


_KINDS = {
    **{f"on_epoch_{when}": _epoch_hook for when in ("begin", "end")},
    **{f"on_{stage}_{when}": _stage_hook for stage in ("train", "test", "predict") for when in ("begin", "end")},
    **{f"on_{stage}_batch_{when}": _batch_hook for stage in ("train", "test", "predict") for when in ("begin", "end")},
}
_OF_BATCHES = {name: f"has_{name.split('_')[1]}_batch_hooks" for name, kind in _KINDS.items() if kind is _batch_hook}


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
