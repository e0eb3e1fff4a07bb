"""Cross-entropies that weigh rows by how well they are predicted (``csrc/ops/loss_points.c``, ``loss_rows.c``)."""

import numpy as np

from fastnn.losses.base import Loss
from fastnn.losses.compiled import CompiledLoss, Crossentropy


class BinaryFocalCrossentropy(Crossentropy):
    """`BinaryCrossentropy` times ``(1 - p) ** gamma``, p being the probability of what is true.

    Lin et al., "Focal loss for dense object detection", ICCV 2017.

    Parameters
    ----------
    apply_class_balancing : bool, default False
        Weigh class 1 by `alpha` and class 0 by ``1 - alpha``.
    alpha : float, default 0.25
    gamma : float, default 2.0
    from_logits : bool, default False
        Predictions are what a sigmoid would be applied to.
    label_smoothing : float, default 0.0
        Targets are drawn this much towards 0.5.
    axis : int, default -1
        Only the last is supported.
    reduction, name, dtype
        See `Loss`.
    """

    _op, _logits_op = "binary_focal_crossentropy", ""
    _cycles = (70, 90)
    fused_activation = None

    def __init__(
        self,
        apply_class_balancing=False,
        alpha=0.25,
        gamma=2.0,
        from_logits=False,
        label_smoothing=0.0,
        axis=-1,
        reduction="sum_over_batch_size",
        name="binary_focal_crossentropy",
        dtype=None,
    ):
        super().__init__(from_logits, label_smoothing, axis, reduction, name, dtype)
        self.apply_class_balancing = apply_class_balancing
        self.alpha = alpha
        self.gamma = gamma

    def _further(self, b, n):
        alpha = self.alpha if self.apply_class_balancing else -1.0
        own = {"from_logits": self.from_logits, "gamma": self.gamma, "alpha": alpha}
        return {**super()._further(b, n), **own}

    def get_config(self):
        own = {"apply_class_balancing": self.apply_class_balancing, "alpha": self.alpha, "gamma": self.gamma}
        return {**super().get_config(), **own}


class CategoricalFocalCrossentropy(Crossentropy):
    """``sum(-alpha * (1 - p) ** gamma * y_true * log(p))`` over the last axis, for one-hot or other distributions.

    Lin et al., "Focal loss for dense object detection", ICCV 2017.

    Parameters
    ----------
    alpha : float or list of float, default 0.25
        Weight of all classes, or of each.
    gamma : float, default 2.0
    from_logits : bool, default False
        Predictions are what a softmax would be applied to.
    label_smoothing : float, default 0.0
        Share of the target that is spread over all classes.
    axis : int, default -1
        Only the last is supported.
    reduction, name, dtype
        See `Loss`.
    """

    _op, _logits_op = "categorical_focal_crossentropy", ""
    _cycles = (60, 90)
    fused_activation = None

    def __init__(
        self,
        alpha=0.25,
        gamma=2.0,
        from_logits=False,
        label_smoothing=0.0,
        axis=-1,
        reduction="sum_over_batch_size",
        name="categorical_focal_crossentropy",
        dtype=None,
    ):
        super().__init__(from_logits, label_smoothing, axis, reduction, name, dtype)
        self.alpha = alpha
        self.gamma = gamma

    def _further(self, b, n):
        alpha = np.asarray(self.alpha, np.float32).reshape(-1)
        if len(alpha) not in (1, n):
            raise ValueError(f"Loss {self.name!r} has {len(alpha)} values of `alpha` for {n} columns.")
        own = {"from_logits": self.from_logits, "gamma": self.gamma, "alpha": b.constant(np.broadcast_to(alpha, n))}
        return {**super()._further(b, n), **own}

    def get_config(self):
        return {**super().get_config(), "alpha": self.alpha, "gamma": self.gamma}


class CategoricalGeneralizedCrossEntropy(CompiledLoss):
    """``(1 - y_pred[label] ** q) / q``: cross-entropy for q to 0, absolute error for q to 1; stands wrong labels.

    Zhang and Sabuncu, "Generalized cross entropy loss for training deep neural networks with noisy labels", NeurIPS
    2018.

    Parameters
    ----------
    q : float, default 0.5
        Between 0 and 1.
    reduction, name, dtype
        See `Loss`.
    """

    _op = "generalized_crossentropy"
    _cycles = (2, 0)
    target_kind = "labels"

    def __init__(
        self, q=0.5, reduction="sum_over_batch_size", name="categorical_generalized_cross_entropy", dtype=None
    ):
        if not 0 < q < 1:
            raise ValueError(f"q must be in the interval (0, 1). Received: q={q}")
        super().__init__(name, reduction, dtype)
        self.q = q

    def _further(self, b, n):
        return {"q": self.q}

    def get_config(self):
        return {**Loss.get_config(self), "q": self.q}
