"""ReLUs whose slope is learned or drawn, or that have a threshold."""

import math

from fastnn import activations, constraints, initializers, regularizers
from fastnn.layers.base import Layer
from fastnn.layers.regularization import RandomLayer
from fastnn.operations import apply
from fastnn.training.arguments import integer, number


class PReLU(Layer):
    """``x`` above zero, ``alpha * x`` below, with a learned `alpha` (He et al., ICCV 2015).

    Parameters
    ----------
    alpha_initializer : str or Initializer, default "Zeros"
    alpha_regularizer : str or Regularizer, optional
    alpha_constraint : str or Constraint, optional
    shared_axes : int or list of int, optional
        Axes, counted from 1 (0 is the batch), along which `alpha` is the same.

    Attributes
    ----------
    alpha : Variable, of a sample's shape with 1 for shared axes
    """

    def __init__(
        self, alpha_initializer="Zeros", alpha_regularizer=None, alpha_constraint=None, shared_axes=None, **kwargs
    ):
        super().__init__(**kwargs)
        self.alpha_initializer = initializers.get(alpha_initializer)
        self.alpha_regularizer = regularizers.get(alpha_regularizer)
        self.alpha_constraint = constraints.get(alpha_constraint)
        axes = shared_axes if isinstance(shared_axes, (list, tuple)) or shared_axes is None else [shared_axes]
        if axes is not None and any((integer(axis) or 0) < 1 for axis in axes):
            raise ValueError(
                "PReLU: `shared_axes` are integers of at least 1, the first axis after the batch. "
                f"Received: shared_axes={shared_axes!r}"
            )
        self.shared_axes = None if axes is None else list(axes)
        self.alpha = None

    def build(self, input_shape):
        shape = list(input_shape[1:])
        for axis in self.shared_axes or ():
            if axis > len(shape):
                raise ValueError(f"Layer {self.name!r}: an input of shape {input_shape} has no axis {axis} to share.")
            shape[axis - 1] = 1
        self.alpha = self.add_weight(
            tuple(shape),
            self.alpha_initializer,
            name="alpha",
            layout="flat",
            regularizer=self.alpha_regularizer,
            constraint=self.alpha_constraint,
        )

    def call(self, inputs):
        alpha = self.alpha.shape
        if len(alpha) != inputs.ndim - 1 or any(
            size not in (1, wanted) for size, wanted in zip(alpha, inputs.shape[1:], strict=True)
        ):
            raise ValueError(
                f"Layer {self.name!r} was built for samples of shape {alpha}. "
                f"Received an input of shape {inputs.shape}."
            )
        return apply("prelu", [inputs], {"alpha": self.alpha})

    def get_config(self):
        return {
            **super().get_config(),
            "alpha_initializer": initializers.serialize(self.alpha_initializer),
            "alpha_regularizer": regularizers.serialize(self.alpha_regularizer),
            "alpha_constraint": constraints.serialize(self.alpha_constraint),
            "shared_axes": self.shared_axes,
        }


class RReLU(RandomLayer):
    """``x`` above zero, ``a * x`` below: `a` drawn for each value in training, its mean in inference.

    Xu, Wang, Chen and Li, Empirical evaluation of rectified activations in convolution network, 2015. Not in Keras; the
    defaults are PyTorch's.

    Parameters
    ----------
    lower, upper : float, default 1/8 and 1/3
        `a` is uniform in [lower, upper).
    seed : int, optional
        See `RandomLayer`.
    """

    def __init__(self, lower=1 / 8, upper=1 / 3, seed=None, **kwargs):
        super().__init__(seed, **kwargs)
        self.lower = number(self, "lower", lower, "a finite number", math.isfinite)
        self.upper = number(
            self, "upper", upper, f"a finite number of at least `lower`, {self.lower}",
            lambda value: self.lower <= value < math.inf,
        )  # fmt: skip

    def call(self, inputs, training=None):
        return apply("random_relu", [inputs], lower=self.lower, upper=self.upper, training=training, seed=self.seed)

    def get_config(self):
        return {**super().get_config(), "lower": self.lower, "upper": self.upper}


class ThresholdedReLU(Layer):
    """``x`` above `theta`, 0 otherwise (Konda, Memisevic and Krueger, 2015). Keras 3 writes ``ReLU(threshold=theta)``.

    Parameters
    ----------
    theta : float, default 1
        At least 0.
    """

    def __init__(self, theta=1.0, **kwargs):
        super().__init__(**kwargs)
        self.theta = number(self, "theta", theta, "a number of at least 0", lambda value: 0 <= value < math.inf)

    def call(self, inputs):
        return activations.relu(inputs, threshold=self.theta)

    def get_config(self):
        return {**super().get_config(), "theta": self.theta}
