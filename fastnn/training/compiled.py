"""What `compile` was told, made into losses and metrics of each output."""

import math

from fastnn import _tree
from fastnn import losses as losses_module
from fastnn import metrics as metrics_module
from fastnn._suggestions import did_you_mean


class Compiled:
    """The arguments of `compile` that say what to measure.

    Parameters
    ----------
    loss, loss_weights, metrics, weighted_metrics
        See `Model.compile`.

    Raises
    ------
    ValueError
        For what is unknown, or no kind of argument that is meant for any number of outputs.
    """

    def __init__(self, loss, loss_weights, metrics, weighted_metrics):
        for each in _tree.flatten(loss):
            losses_module.resolve(each, "labels", 2)  # what is unknown is refused here rather than in fit
        for each in _tree.flatten(loss_weights):
            if each is not None and not _is_weight(each):
                raise ValueError(
                    "`loss_weights` must be one finite number, or a list or dictionary with one for each output. "
                    f"Received: {loss_weights!r}"
                )
        for name, value in (("metrics", metrics), ("weighted_metrics", weighted_metrics)):
            if value is not None and not isinstance(value, (list, tuple, dict)):
                raise ValueError(
                    f"Expected `{name}` argument to be a list, tuple, or dict. Received instead: {name}={value!r}"
                )
        self.loss = loss
        self.loss_weights = loss_weights
        self.metrics = metrics
        self.weighted_metrics = weighted_metrics

    def weights(self, count, names):
        """The factor of each output's loss.

        Raises
        ------
        ValueError
            If they are not for these outputs.
        """
        if isinstance(self.loss_weights, (list, tuple)) and len(self.loss_weights) != count:
            raise ValueError(
                f"`loss_weights` must match the number of losses: the model has {count} output(s)"
                f"{f' {names}' if names else ''}. Received: loss_weights={self.loss_weights!r}"
            )
        given = _per_output(self.loss_weights, names, count, "loss_weights", every=True)
        return [1.0 if each is None else float(each) for each in given]

    def has_loss(self, count, names):
        """Of each output: does it have a loss?"""
        return [each is not None for each in _per_output(self.loss, names, count, "loss", every=True)]

    def heads(self, tensors, names, targets):
        """A `Head` for each output.

        Parameters
        ----------
        tensors : list of Tensor
            The outputs.
        names : list of str or None
            Theirs, if they have any.
        targets : list of ndarray or None
            They help to tell labels from one-hot rows.

        Raises
        ------
        ValueError
            If the arguments of `compile` are not for these outputs.
        """
        from fastnn.lowering.programs import Head

        count = len(tensors)
        losses = _per_output(self.loss, names, count, "loss", every=True)
        weights = self.weights(count, names)
        metrics, weighted = (
            [_tree.flatten(given)] if count == 1 and given else _per_output(given or None, names, count, name)
            for name, given in (("metrics", self.metrics), ("weighted_metrics", self.weighted_metrics))
        )
        heads = []
        for number, tensor in enumerate(tensors):
            columns, y = tensor.features, targets[number]
            kind = "labels" if y is None or y.ndim < 2 or y.shape[-1] != columns else "values"
            loss = losses_module.resolve(losses[number], kind, columns)
            own, own_weighted = (
                [
                    metrics_module.resolve(each, loss, columns, None if y is None else kind)
                    for each in _as_list(given[number])
                    if each is not None
                ]
                for given in (metrics, weighted)
            )
            heads.append(Head(loss, own, own_weighted, weights[number]))
            # As in Keras, losses given as a dictionary are reported in its order.
            heads[-1].loss_place = (
                list(self.loss).index(names[number]) if loss and isinstance(self.loss, dict) else number
            )
        if all(head.loss is None for head in heads):
            raise ValueError("The model was compiled without a loss: call model.compile(optimizer, loss=...).")
        _name_logs(heads, names)
        return heads


def results(program):
    """Losses and metrics since the last reset, by name, in the order of `evaluate`: the loss, those of the outputs, the
    metrics."""
    loss = 0.0
    found = {"loss": loss}
    for metric in program.attached:
        value = metric.result()
        found.update(value if isinstance(value, dict) else {metric.name: float(value)})
    for head, metric, state in program.trackers:
        if metric is None:
            total, count = state.tolist()
            value = total / count if count else 0.0
            loss += value * head.loss_weight
            if head.loss_log is not None:
                found[head.loss_log] = value
        else:
            value = metric.finish(state)
            found.update(value if isinstance(value, dict) else {head.metric_logs[metric]: value})
    found["loss"] = loss + program.penalty()
    if len(program.heads) > 1:
        order = {"loss": 0, **{head.loss_log: 1 + head.loss_place for head in program.heads}}
        last = 1 + len(program.heads)
        found = dict(sorted(found.items(), key=lambda item: (order.get(item[0], last), item[0])))
    return found


def _name_logs(heads, names):
    """Name losses and metrics as Keras does: after their output, if there are several. A weighted one of a name that is
    taken becomes "weighted_accuracy", further ones of a kind are numbered."""
    taken = {"loss"}
    several = sum(head.loss is not None for head in heads) > 1
    for number, head in enumerate(heads):
        if several and head.loss is not None:
            head.loss_log = _free(f"{names[number] if names else head.loss.name}_loss", taken)
    taken = set()
    prefixes = [f"{name}_" for name in names] if names and len(heads) > 1 else [""] * len(heads)
    for prefix, head in zip(prefixes, heads, strict=True):
        for metric in head.metrics:
            if metric not in head.weighted_metrics:
                head.metric_logs[metric] = _free(prefix + metric.name, taken)
    for prefix, head in zip(prefixes, heads, strict=True):
        for metric in head.weighted_metrics:
            name = prefix + metric.name
            head.metric_logs[metric] = _free(f"{prefix}weighted_{metric.name}" if name in taken else name, taken)


def _free(name, taken):
    number, free = 0, name
    while free in taken:
        number += 1
        free = f"{name}_{number}"
    taken.add(free)
    return free


def _per_output(given, names, count, argument, every=False):
    """What was given for each output, as a list; None where nothing was.

    Parameters
    ----------
    given
        None; a dictionary by name; a list or tuple; with `every` also one thing for all outputs.
    """
    if given is None:
        return [None] * count
    if isinstance(given, dict):
        known = names or []
        unknown = [key for key in given if key not in known]
        if unknown:
            raise ValueError(
                f"`{argument}`: the outputs are named {known}. Received a dictionary with {sorted(map(str, given))}."
                f"{did_you_mean(str(unknown[0]), known)}"
            )
        return [given.get(name) for name in known] if known else [None] * count
    if isinstance(given, (list, tuple)):
        if len(given) != count:
            raise ValueError(
                f"`{argument}`: expected a list with one entry for each of the {count} outputs"
                f"{f' {names}' if names else ''}, or a dictionary by their names. Received: {argument}={given!r}"
            )
        return list(given)
    if not every:
        raise ValueError(f"`{argument}` must be a list or a dictionary. Received: {argument}={given!r}")
    return [given] * count


def per_output(given, names, count, argument):
    """Targets or weights of samples for each output, as a list; None where there are none.

    Raises
    ------
    ValueError
        If they are not for these outputs.
    """
    return _per_output(given, names, count, argument)


def _as_list(value):
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _is_weight(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
