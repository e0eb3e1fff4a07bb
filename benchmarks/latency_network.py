"""The networks of `benchmarks.latency` with numbers in them: every engine gets the same ones."""

from itertools import pairwise

import numpy as np

from fastnn.cli.workloads import LOSSES

_EPSILON = 1e-3  # of Keras's batch normalisation


class Network:
    """A workload with weights, biases and moving averages as training might have left them.

    Parameters
    ----------
    workload : Workload

    Attributes
    ----------
    layers : list of (kernel, bias, activation)
        Of each dense layer, float32, with batch normalisation folded into it. The peers get these: nobody has to
        compute at each call what is constant.
    """

    def __init__(self, workload):
        self.workload = workload
        rng = np.random.default_rng(0)
        gain = 1.0 if workload.initializer == "lecun_normal" else 2.0
        self._weights, self.layers = [], []
        activations = [each for _, _, each in workload.layers[:-1]] + [LOSSES[workload.loss][1]]
        for (k, n), activation in zip(pairwise(workload.sizes), activations, strict=True):
            scale, shift = 1.0, np.zeros(k)
            if workload.batch_norm:
                gamma, variance = rng.uniform(0.5, 1.5, (2, k))
                beta, mean = rng.normal(0, 0.1, (2, k))
                scale = gamma / np.sqrt(variance + _EPSILON)
                shift = beta - mean * scale
                self._weights += [gamma, beta, mean, variance]
            kernel, bias = rng.normal(0, (gain / k) ** 0.5, (k, n)), rng.normal(0, 0.1, n)
            self._weights += [kernel, bias]
            folded = kernel * np.reshape(scale, (-1, 1)), bias + shift @ kernel
            self.layers.append((*(each.astype(np.float32) for each in folded), activation))

    @property
    def kernel_size(self):
        """Numbers in all kernels."""
        return sum(kernel.size for kernel, _, _ in self.layers)

    def data(self, batch):
        """Rows to predict, float32."""
        return self.workload.data(batch)[0]

    def model(self):
        """As fastnn's model, batch normalisation and all."""
        import fastnn

        model = self.workload.made_by(fastnn)
        model.set_weights(self._weights)
        return model

    def onnx(self, batch):
        """The frozen network as bytes of an ONNX model, of a batch of this size alone: some runtimes are faster so."""
        from onnx import checker

        model = self.model().freeze().to_onnx()
        for each in (*model.graph.input, *model.graph.output):
            each.type.tensor_type.shape.dim[0].dim_value = batch
        checker.check_model(model)
        return model.SerializeToString()

    def outputs(self, x):
        """What every engine should say, in float64."""
        for kernel, bias, activation in self.layers:
            x = _ACTIVATIONS[activation](x.astype(np.float64) @ kernel + bias)
        return x

    def difference(self, x, outputs):
        """How far an engine's outputs are from these, relative to the largest."""
        expected = self.outputs(x)
        difference = np.abs(np.reshape(np.asarray(outputs, np.float64), expected.shape) - expected)
        return float(difference.max() / np.abs(expected).max())


def _softmax(x):
    exp = np.exp(x - x.max(axis=-1, keepdims=True))
    return exp / exp.sum(axis=-1, keepdims=True)


_ACTIVATIONS = {
    None: lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "softmax": _softmax,
}
