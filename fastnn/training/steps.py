"""One step at a time, under Keras's names: parts of `fit` for loops of one's own."""

import numpy as np

from fastnn import _tree
from fastnn.training import data
from fastnn.training.compiled import per_output, results

_STEPS = ("train_step", "test_step", "predict_step", "compute_loss", "compute_metrics")


class Steps:
    """The part of a model that does single steps. They can be called but not overridden: `fit` runs compiled programs,
    which never come back to Python between two steps."""

    run_eagerly = False
    _last_program = None  # what computed last

    def _refuse_own_steps(self):
        """Raise if a subclass overrides what `fit` would not call."""
        own = [name for name in _STEPS if getattr(type(self), name) is not getattr(Steps, name)]
        if own:
            raise NotImplementedError(
                f"{type(self).__name__} overrides {', '.join(own)}, which fastnn does not call: a training step is "
                "compiled as a whole. Write a loss, metric or layer of your own (of fastnn.ops), which becomes part of "
                "it, or a loop of your own around train_on_batch."
            )

    def train_step(self, data_):
        """Train on one batch ``(x, y)`` or ``(x, y, sample_weight)``; returns loss and metrics by name."""
        return self.train_on_batch(*data.unpack(data_), return_dict=True)

    def test_step(self, data_):
        """Evaluate one batch ``(x, y)`` or ``(x, y, sample_weight)``; returns loss and metrics by name."""
        return self.test_on_batch(*data.unpack(data_), return_dict=True)

    def predict_step(self, data_):
        """Predict one batch: ``x``, or the first of a tuple ``(x, y)``."""
        return self.predict_on_batch(data_[0] if isinstance(data_, tuple) else data_)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """The loss of predictions that are there already, penalties of variables included.

        Parameters
        ----------
        x, training
            Accepted for compatibility.
        y, y_pred : array_like, or structures of some for several outputs
        sample_weight : array_like, optional

        Returns
        -------
        float
        """
        total = float(sum(self.losses))
        for head, target, prediction, weight in self._measurements(y, y_pred, sample_weight):
            if head.loss is not None:
                total += head.loss_weight * float(head.loss(target, prediction, weight))
        return total

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """The metrics of predictions that are there already, by name, with those of earlier calls since
        `reset_metrics`. The arguments are those of `compute_loss`."""
        found = {}
        for head, target, prediction, weight in self._measurements(y, y_pred, sample_weight):
            for metric, name in head.metric_logs.items():
                metric.update_state(target, prediction, weight if metric in head.weighted_metrics else None)
                found[name] = float(metric.result())
        return found

    def _measurements(self, y, y_pred, sample_weight):
        """Of each output: its head, and its arrays."""
        self._require_compiled("compute_loss")
        predictions = _tree.flatten(y_pred)
        count, names = len(self.graph.outputs), self._heads_names()
        targets, weights = [y], [sample_weight]
        if count > 1:
            several = isinstance(sample_weight, (list, tuple, dict))
            targets = per_output(y, names, count, "y")
            weights = per_output(sample_weight, names, count, "sample_weight") if several else [sample_weight] * count
        heads = self._resolved_heads([None if each is None else np.asarray(each) for each in targets])
        return list(zip(heads, targets, predictions, weights, strict=True))

    def get_metrics_result(self):
        """Loss and metrics by name, of what the last `fit`, `evaluate` or step has seen since its beginning."""
        return {} if self._last_program is None else results(self._last_program)

    def reset_metrics(self):
        """Forget what losses and metrics have seen. (`fit`, `evaluate` and single steps begin with that themselves.)"""
        if self._last_program is not None:
            self._last_program.reset()
        for metric in self.metrics:
            metric.reset_state()
