"""Layers that networks learn from unlabelled data with; see `fastnn.pretraining`."""

from fastnn import activations, initializers, ops
from fastnn.layers.base import Layer
from fastnn.layers.categories import one_of
from fastnn.layers.core import Dense
from fastnn.layers.regularization import Changeable, RandomLayer, setting
from fastnn.operations import apply
from fastnn.training.arguments import flag


class DenseTranspose(Layer):
    """``activation(inputs . kernel' + bias)`` with the kernel of a `Dense` layer: the decoder of a tied autoencoder.

    There is one kernel, trained through both uses; the bias is the layer's own. (What is `trainable` of this layer is
    so of the `Dense` layer, too.) The engine computes the product from the weights as they lie.

    Parameters
    ----------
    dense : Dense
        Must have been built when this layer is: put it before this layer.
    activation : str or callable, optional
        None: linear.
    use_bias : bool, default True
    bias_initializer : str or Initializer, default "zeros"

    Raises
    ------
    ValueError
        If `dense` is no `Dense` layer, or is not built.

    Notes
    -----
    Input: (batch, ..., units of the Dense layer). Output: (batch, ..., its inputs).

    Examples
    --------
    >>> import fastnn
    >>> from fastnn import layers
    >>> dense = layers.Dense(3, activation="tanh")
    >>> model = fastnn.Sequential([fastnn.Input((8,)), dense, layers.DenseTranspose(dense)])
    >>> model.count_params()
    35
    """

    def __init__(self, dense, activation=None, use_bias=True, bias_initializer="zeros", **kwargs):
        super().__init__(**kwargs)
        if not isinstance(dense, Dense):
            raise ValueError(
                f"{type(self).__name__}: `dense` must be the Dense layer whose kernel is shared. Received: {dense!r}"
            )
        self.dense = dense
        self.activation = activations.get(activation)
        self.use_bias = flag(use_bias, "use_bias")
        self.bias_initializer = initializers.get(bias_initializer)
        self.bias = None

    def build(self, input_shape):
        if not self.dense.built:
            raise ValueError(
                f"Layer {self.name!r} shares the kernel of {self.dense.name!r}, which is not built yet: call that "
                "layer first, in the same model or another."
            )
        if self.use_bias:
            self.bias = self.add_weight(self.dense.kernel.shape[:1], self.bias_initializer, name="bias")

    def call(self, inputs):
        kernel = self.dense.kernel
        if inputs.features != kernel.shape[1]:
            raise ValueError(
                f"Layer {self.name!r} expects inputs whose last axis is {kernel.shape[1]}, the units of "
                f"{self.dense.name!r}. Received an input of shape {inputs.shape}."
            )
        outputs = apply("dense_transpose", [inputs], {"kernel": kernel})
        return self.activation(outputs if self.bias is None else outputs + self.bias)

    def get_config(self):
        from fastnn.saving.serialization import serialize_keras_object

        return {
            **super().get_config(),
            "dense": serialize_keras_object(self.dense),
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "bias_initializer": initializers.serialize(self.bias_initializer),
        }

    @classmethod
    def from_config(cls, config):
        """Make a layer from what `get_config` returned. In a file of the whole model, `dense` is the layer there."""
        from fastnn.saving.serialization import deserialize_keras_object

        return super().from_config({**config, "dense": deserialize_keras_object(config["dense"])})


class MaskFeatures(RandomLayer):
    """Replaces values at random in training, for a network that learns to tell what was there.

    Each value is replaced alone, with probability `rate`; the engine draws anew in every step. Like data augmentation,
    the layer passes no gradient on: put it before what is trained.

    Parameters
    ----------
    rate : float, default 0.3
        In [0, 1]. May be assigned later; the next `fit` or call then uses it.
    replacement : {"sample", "mean"}, default "sample"
        By the value of another sample of the batch, any with equal chance, as VIME does; or by the feature's mean over
        the batch. In a batch of one sample, nothing changes.
    seed : int, optional
        See `RandomLayer`.

    References
    ----------
    Yoon, Zhang, Jordon and van der Schaar, VIME: Extending the success of self- and semi-supervised learning to tabular
    domain, NeurIPS 2020. Ucar, Hajiramezanali and Edwards, SubTab, NeurIPS 2021.
    """

    rate = Changeable("a number in [0, 1]", lambda value: 0 <= value <= 1)

    def __init__(self, rate=0.3, replacement="sample", seed=None, **kwargs):
        super().__init__(seed, **kwargs)
        self.rate = rate
        self.replacement = one_of(self, "replacement", replacement, ("sample", "mean"))

    def call(self, inputs, training=None):
        by_mean = self.replacement == "mean"
        rate = setting(self, "rate")
        return apply("replace_features", [inputs], rate=rate, by_mean=by_mean, training=training, seed=self.seed)

    def get_config(self):
        return {**super().get_config(), "rate": self.rate, "replacement": self.replacement}


class Replaced(Layer):
    """1 where two tensors differ, 0 elsewhere: of a batch and what `MaskFeatures` made of it."""

    def call(self, inputs):
        before, after = inputs
        return ops.not_equal(before, after)
