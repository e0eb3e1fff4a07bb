"""Nodes of an ONNX model as layers that everybody knows.

Functions of (reader, node, inputs, attributes) that return tensors, or None where the layer does not fit. At least one
of the inputs is a tensor; the others are constants, or None where they are left out.
"""

import math
import re

import numpy as np

from fastnn import layers
from fastnn.graph import Tensor
from fastnn.interop.onnx_operators import BATCH, OnnxOperator, axes_of, check_ranks, reshaped, sample_axes, sizes_of


class LayerMaker:
    """Makes layers of nodes; the base of those who walk over foreign graphs.

    Attributes
    ----------
    opset : int
    batch : int or None
        The size of the batch that the graph was written for, if it names one.
    consumers : dict of str to list
        Nodes that read a value, where such is known.
    """

    opset = 17
    batch = None

    def __init__(self):
        self.names = set()
        self.consumers = {}

    def unique(self, name):
        """A name for a layer after one in the foreign graph."""
        name = re.sub(r"[^\w.-]+", "_", str(name)).strip("_") or "layer"
        found, number = name, 0
        while found in self.names:
            number += 1
            found = f"{name}_{number}"
        self.names.add(found)
        return found

    def layer_name(self, node):
        """What the layer of a node is called: as the node, whose name may end in its operator."""
        name = re.sub(rf"[/_.]{node.op_type}(_\d+)?$", "", node.name.strip("/"))
        return self.unique(name or node.op_type.lower())

    def make(self, node, kind, inputs, attributes):
        """The layer that a node is, applied to its inputs."""
        found = LAYERS[kind](self, node, inputs, attributes) if kind in LAYERS else None
        return self.operator(node, kind, inputs, attributes) if found is None else found

    def operator(self, node, kind, inputs, attributes):
        """A node as an `OnnxOperator`."""
        if any(each is None for each in inputs):
            raise ValueError("it leaves out an input in the middle")
        tensors = [each for each in inputs if isinstance(each, Tensor)]
        constants = [None if isinstance(each, Tensor) else np.asarray(each) for each in inputs]
        if kind not in ("Expand", "Slice") and any((each == BATCH).any() for each in constants if each is not None):
            raise ValueError("it computes with the number of samples in the batch")
        layer = OnnxOperator(kind, attributes, constants, self.opset, name=self.layer_name(node))
        return layer(tensors if len(tensors) > 1 else tensors[0])

    def apply(self, node, layer_class, x, *arguments, weights=(), **options):
        """A layer named after a node, on tensors, with these weights."""
        layer = layer_class(*arguments, name=self.layer_name(node), **options)
        y = layer(x)
        if weights:
            layer.set_weights([np.array(each, np.float32) for each in weights])
        return y

    def only_reader(self, name):
        """The one node that reads a value which is no output, where such is known."""
        return None


def kind_of(node):
    return node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}"


def _is_constant(*values):
    return all(isinstance(each, np.ndarray) for each in values)


def _dense(reader, node, x, kernel, bias):
    weights = [kernel] if bias is None else [kernel, bias]
    return reader.apply(node, layers.Dense, x, kernel.shape[1], use_bias=bias is not None, weights=weights)


def _gemm(reader, node, inputs, attributes):
    x, kernel, bias = (*inputs, None)[:3]
    if not isinstance(x, Tensor) or not _is_constant(kernel) or attributes.get("transA"):
        raise ValueError("a Gemm is read as a dense layer: a batch times a constant matrix, transA=0")
    kernel = attributes.get("alpha", 1.0) * (kernel.T if attributes.get("transB") else kernel)
    if bias is not None:
        n = kernel.shape[1]
        if not _is_constant(bias) or bias.size not in (1, n) or (bias.ndim and bias.shape[-1] != bias.size):
            raise ValueError(f"its C must be a constant with a value for each of {n} columns")
        bias = np.broadcast_to(attributes.get("beta", 1.0) * bias.reshape(-1), n)
    return _dense(reader, node, x, kernel, bias)


def _matmul(reader, node, inputs, attributes):
    x, kernel = inputs
    if not isinstance(x, Tensor) or not _is_constant(kernel) or kernel.ndim != 2:
        return None
    follower, bias = reader.only_reader(node.output[0]), None
    if follower is not None and kind_of(follower) == "Add":
        (other,) = [name for name in follower.input if name != node.output[0]] or [None]
        value, n = reader.values.get(other), kernel.shape[1]
        if _is_constant(value) and value.size == n and (value.shape or (0,))[-1] == n and value.ndim <= x.ndim:
            bias = value.reshape(n)
    y = _dense(reader, node, x, kernel, bias)
    if bias is not None:
        reader.values[follower.output[0]] = y
    return y


def _batch_normalization(reader, node, inputs, attributes):
    x, *weights = inputs
    if not _is_constant(*weights) or attributes.get("training_mode") or len(node.output) > 1:
        raise ValueError("it is read with constant statistics only: export the model for inference")
    options = dict(momentum=attributes.get("momentum", 0.9), epsilon=attributes.get("epsilon", 1e-5))
    return reader.apply(node, layers.BatchNormalization, x, 1 if x.ndim > 2 else -1, **options, weights=weights)


def _layer_normalization(reader, node, inputs, attributes):
    x, gamma, beta = (*inputs, None)[:3]
    if not isinstance(x, Tensor) or not _is_constant(*[each for each in (gamma, beta) if each is not None]):
        raise ValueError("its scale and bias must be constants")
    if any(reader.consumers.get(name) for name in node.output[1:]):
        raise ValueError("its mean and deviation are read, too")
    axis = attributes.get("axis", -1)
    axes = sample_axes(x, range(axis + x.ndim if axis < 0 else axis, x.ndim))
    shape = tuple(x.shape[each] for each in axes)
    weights = [np.broadcast_to(each, shape) for each in (gamma, beta) if each is not None]
    options = dict(epsilon=attributes.get("epsilon", 1e-5), center=beta is not None)
    axes = axes if len(axes) > 1 else -1
    return reader.apply(node, layers.LayerNormalization, x, axes, **options, weights=weights)


def _activation(name):
    return lambda reader, node, inputs, attributes: reader.apply(node, layers.Activation, inputs[0], name)


def _elu(reader, node, inputs, attributes):
    return reader.apply(node, layers.ELU, inputs[0], attributes.get("alpha", 1.0))


def _selu(reader, node, inputs, attributes):
    usual = math.isclose(attributes.get("alpha", 1.67326), 1.67326, rel_tol=1e-5) and math.isclose(
        attributes.get("gamma", 1.0507), 1.0507, rel_tol=1e-5
    )
    return reader.apply(node, layers.Activation, inputs[0], "selu") if usual else None


def _leaky_relu(reader, node, inputs, attributes):
    return reader.apply(node, layers.LeakyReLU, inputs[0], attributes.get("alpha", 0.01))


def _thresholded_relu(reader, node, inputs, attributes):
    return reader.apply(node, layers.ThresholdedReLU, inputs[0], attributes.get("alpha", 1.0))


def _gelu(reader, node, inputs, attributes):
    exact = attributes.get("approximate", "none") == "none"
    return reader.apply(node, layers.Activation, inputs[0], "gelu") if exact else None


def _prelu(reader, node, inputs, attributes):
    x, slope = inputs
    if not isinstance(x, Tensor) or not _is_constant(slope):
        raise ValueError("its slopes must be constants")
    shape = (1,) * (x.ndim - 1 - slope.ndim) + slope.shape if slope.ndim < x.ndim else slope.shape[1:]
    if slope.ndim == x.ndim and slope.shape[0] != 1:
        raise ValueError("its slopes differ from sample to sample")
    shared = [axis for axis, size in enumerate(shape, 1) if size == 1 and x.shape[axis] != 1]
    return reader.apply(node, layers.PReLU, x, shared_axes=shared or None, weights=[slope.reshape(shape)])


def _softmax(reader, node, inputs, attributes):
    x = inputs[0]
    axis = attributes.get("axis", -1 if reader.opset >= 13 else 1)
    last = axis % x.ndim == x.ndim - 1
    if not last and (reader.opset < 13 or node.op_type == "LogSoftmax"):
        return None
    if node.op_type == "LogSoftmax":
        return reader.apply(node, layers.Activation, x, "log_softmax")
    return reader.apply(node, layers.Softmax, x, -1 if last else axis)


def _clip(reader, node, inputs, attributes):
    low, high = (*inputs[1:], None, None)[:2]
    low, high = attributes.get("min", low), attributes.get("max", high)
    if isinstance(low, Tensor) or isinstance(high, Tensor):
        raise ValueError("its bounds must be constants")
    bounds = {"min": low, "max": high}
    bounds = {name: float(np.ravel(value)[0]) for name, value in bounds.items() if value is not None}
    if bounds.get("min") == 0:
        return reader.apply(node, layers.ReLU, inputs[0], bounds.get("max"))
    return reader.operator(node, "Clip", inputs[:1], bounds)


def _reshape(reader, node, inputs, attributes):
    x, wanted = inputs[0], sizes_of(inputs[1])
    shape = reshaped(x, wanted, reader.batch, attributes.get("allowzero"))
    return _to_shape(reader, node, x, shape)


def _to_shape(reader, node, x, shape):
    if tuple(shape) == x.shape[1:]:
        return x
    if not shape:
        raise ValueError(f"a value of shape {x.shape} loses its last axis; one number for a sample needs an axis here")
    if len(shape) == 1:
        return reader.apply(node, layers.Flatten, x)
    return reader.apply(node, layers.Reshape, x, tuple(shape))


def _flatten(reader, node, inputs, attributes):
    x, axis = inputs[0], attributes.get("axis", 1)
    if axis % x.ndim != 1:
        raise ValueError(f"axis={axis} of a value of shape {x.shape} puts samples, or parts of them, together")
    return _to_shape(reader, node, x, [math.prod(x.shape[1:])])


def _unsqueeze(reader, node, inputs, attributes):
    x, axes = inputs[0], axes_of(inputs, attributes)
    shape, ndim = list(x.shape), x.ndim + len(axes)
    for axis in sorted((axis + ndim) % ndim for axis in axes):
        if axis == 0:
            raise ValueError("it puts an axis before the batch")
        shape.insert(axis, 1)
    return _to_shape(reader, node, x, shape[1:])


def _squeeze(reader, node, inputs, attributes):
    x, axes = inputs[0], axes_of(inputs, attributes)
    if axes is None:
        axes = [i for i, size in enumerate(x.shape) if size == 1]
    axes = sample_axes(x, axes)
    if any(x.shape[axis] != 1 for axis in axes):
        raise ValueError(f"axes {axes} of a value of shape {x.shape} are not all of size 1")
    shape = [size for i, size in enumerate(x.shape) if i not in axes]
    return _to_shape(reader, node, x, shape[1:]) if len(shape) > 1 else None


def _transpose(reader, node, inputs, attributes):
    x = inputs[0]
    order = attributes.get("perm", list(range(x.ndim))[::-1])
    if order[0] != 0:
        raise ValueError(f"perm={order} moves the batch, axis 0")
    return reader.apply(node, layers.Permute, x, tuple(order[1:])) if order != sorted(order) else x


def _concat(reader, node, inputs, attributes):
    sample_axes(inputs[0], [attributes["axis"]])
    if not all(isinstance(each, Tensor) for each in inputs):
        return None
    return reader.apply(node, layers.Concatenate, inputs, attributes["axis"])


def _arithmetic(layer_class, rescaled=None):
    """A merging layer for tensors, a `Rescaling`, which folds into dense layers, for a tensor and a constant."""

    def read(reader, node, inputs, attributes):
        check_ranks(inputs)
        if all(isinstance(each, Tensor) for each in inputs):
            return None if layer_class is None else reader.apply(node, layer_class, inputs)
        if rescaled is None or len(inputs) != 2:
            return None
        turned = not isinstance(inputs[0], Tensor)
        x, constant = inputs[::-1] if turned else inputs
        values = np.asarray(constant, np.float32).reshape(-1)
        per_feature = values.size == x.shape[-1] and constant.shape[-1:] == (values.size,)
        if not (values.size == 1 or per_feature) or constant.ndim > x.ndim or not np.isfinite(values).all():
            return None
        arguments = rescaled(values.astype(np.float64), turned)
        if arguments is None:
            return None
        scale, offset = (each.tolist() if np.size(each) > 1 else float(np.ravel(each)[0]) for each in arguments)
        return reader.apply(node, layers.Rescaling, x, scale, offset)

    return read


def _times(constant, turned):
    return constant, 0.0


def _plus(constant, turned):
    return 1.0, constant


def _minus(constant, turned):
    return (-1.0, constant) if turned else (1.0, -constant)


def _divided(constant, turned):
    return None if turned or (constant == 0).any() else (1 / constant, 0.0)


def _gather(reader, node, inputs, attributes):
    table, numbers = inputs
    if not (_is_constant(table) and isinstance(numbers, Tensor)):
        return None
    if attributes.get("axis", 0) != 0 or table.ndim != 2:
        raise ValueError("only the rows of a table can be looked up: axis=0 of two axes")
    return reader.apply(node, layers.Embedding, numbers, *table.shape, weights=[table])


def _dropout(reader, node, inputs, attributes):
    ratio = attributes.get("ratio", 0.5) if len(inputs) < 2 or inputs[1] is None else float(np.ravel(inputs[1])[0])
    if len(inputs) > 2 and inputs[2] is not None and np.any(inputs[2]):
        raise ValueError("it is in training mode: export the model for inference")
    if any(reader.consumers.get(name) for name in node.output[1:]):
        raise ValueError("its mask is read, too")
    return reader.apply(node, layers.Dropout, inputs[0], ratio)


def _cast(reader, node, inputs, attributes):
    return inputs[0] if attributes["to"] in (1, 10, 11, 16) else None


def _scaler(reader, node, inputs, attributes):
    offset, scale = (np.asarray(attributes.get(*each), np.float64) for each in (("offset", 0.0), ("scale", 1.0)))
    return reader.apply(node, layers.Rescaling, inputs[0], scale.tolist(), (-offset * scale).tolist())


LAYERS = {
    "Add": _arithmetic(layers.Add, _plus),
    "BatchNormalization": _batch_normalization,
    "Cast": _cast,
    "Clip": _clip,
    "Concat": _concat,
    "Div": _arithmetic(None, _divided),
    "Dropout": _dropout,
    "Elu": _elu,
    "Flatten": _flatten,
    "Gather": _gather,
    "Gelu": _gelu,
    "Gemm": _gemm,
    "Identity": lambda reader, node, inputs, attributes: inputs[0],
    "LayerNormalization": _layer_normalization,
    "LeakyRelu": _leaky_relu,
    "LogSoftmax": _softmax,
    "MatMul": _matmul,
    "Max": _arithmetic(layers.Maximum),
    "Min": _arithmetic(layers.Minimum),
    "Mul": _arithmetic(layers.Multiply, _times),
    "PRelu": _prelu,
    "Reshape": _reshape,
    "Selu": _selu,
    "Softmax": _softmax,
    "Squeeze": _squeeze,
    "Sub": _arithmetic(layers.Subtract, _minus),
    "Sum": _arithmetic(layers.Add),
    "Swish": lambda reader, node, inputs, attributes: (
        reader.apply(node, layers.Activation, inputs[0], "silu") if attributes.get("alpha", 1.0) == 1 else None
    ),
    "ThresholdedRelu": _thresholded_relu,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
    "ai.onnx.ml.Scaler": _scaler,
    **{
        operator: _activation(name)
        for operator, name in {
            "Exp": "exponential",
            "HardSwish": "hard_silu",
            "Mish": "mish",
            "Relu": "relu",
            "Sigmoid": "sigmoid",
            "Softplus": "softplus",
            "Softsign": "softsign",
            "Tanh": "tanh",
        }.items()
    },
}
