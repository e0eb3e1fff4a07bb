"""Modules of PyTorch as layers: functions of (importer, place, module, tensor)."""

import math

import numpy as np

from fastnn import layers
from fastnn.interop.onnx_operators import BATCH


def numbers(parameter):
    return None if parameter is None else parameter.detach().cpu().float().numpy()


def _layer(layer_class, *arguments, **options):
    return lambda own, place, module, x: own.apply(place, layer_class, x, *arguments, **options)


def _activation(name):
    return _layer(layers.Activation, name)


def _linear(own, place, module, x):
    kernel = numbers(module.weight).T
    return dense(own, place, x, kernel, numbers(module.bias))


def dense(own, place, x, kernel, bias):
    weights = [kernel] if bias is None else [kernel, bias]
    return own.apply(place, layers.Dense, x, kernel.shape[1], use_bias=bias is not None, weights=weights)


def _batch_norm(own, place, module, x):
    if not module.track_running_stats or module.running_mean is None:
        raise ValueError("it has no running statistics: it normalises by each batch, in inference too")
    if module.momentum is None:
        raise ValueError("momentum=None, a mean over all batches, is not supported; assign module.momentum = 0.1")
    weights = [numbers(module.weight), numbers(module.bias)] if module.affine else []
    weights += [numbers(module.running_mean), numbers(module.running_var)]
    options = dict(momentum=1 - module.momentum, epsilon=module.eps, center=module.affine, scale=module.affine)
    return own.apply(place, layers.BatchNormalization, x, 1 if x.ndim > 2 else -1, **options, weights=weights)


def _layer_norm(own, place, module, x):
    count = len(module.normalized_shape)
    weights = [numbers(each) for each in (module.weight, module.bias) if each is not None]
    options = dict(epsilon=module.eps, scale=module.weight is not None, center=module.bias is not None)
    axis = list(range(-count, 0)) if count > 1 else -1
    return own.apply(place, layers.LayerNormalization, x, axis, **options, weights=weights)


def _rms_norm(own, place, module, x):
    count = len(module.normalized_shape)
    weight = module.weight if module.weight is not None else own.torch.ones(module.normalized_shape)
    epsilon = own.torch.finfo(weight.dtype).eps if module.eps is None else module.eps
    axis = list(range(-count, 0)) if count > 1 else -1
    return own.apply(place, layers.RMSNormalization, x, axis, epsilon, weights=[numbers(weight)])


def _group_norm(own, place, module, x):
    weights = [numbers(module.weight), numbers(module.bias)] if module.affine else []
    options = dict(groups=module.num_groups, axis=1, epsilon=module.eps, center=module.affine, scale=module.affine)
    return own.apply(place, layers.GroupNormalization, x, **options, weights=weights)


def _prelu(own, place, module, x):
    slopes = numbers(module.weight)
    shape = (slopes.size, *[1] * (x.ndim - 2))
    shared = [axis for axis, size in enumerate(shape, 1) if size == 1 and x.shape[axis] != 1]
    return own.apply(place, layers.PReLU, x, shared_axes=shared or None, weights=[slopes.reshape(shape)])


def _softplus(own, place, module, x):
    if module.threshold < 14:  # from there on log(1 + exp(x)) is x, to a millionth
        raise ValueError(f"threshold={module.threshold}, below which alone it is smooth, must be at least 14")
    if module.beta == 1:
        return own.apply(place, layers.Activation, x, "softplus")
    y = own.apply(place, layers.Rescaling, x, float(module.beta))
    y = own.apply(place, layers.Activation, y, "softplus")
    return own.apply(place, layers.Rescaling, y, 1 / module.beta)


def _softmax(kind):
    def make(own, place, module, x):
        if module.dim is None:
            raise ValueError("dim=None leaves to PyTorch which axis it means: give it one")
        return own.make(place._replace(op_type=kind), kind, [x], {"axis": module.dim})

    return make


def _last(name):
    def make(own, place, module, x):
        if module.dim not in (-1, x.ndim - 1):
            raise ValueError(f"only the last axis is supported. Received: dim={module.dim}")
        return own.apply(place, layers.Activation, x, name)

    return make


def _threshold(own, place, module, x):
    if module.value != 0 or module.threshold < 0:
        raise ValueError("it is supported with value=0 and a threshold of at least 0")
    return own.apply(place, layers.ThresholdedReLU, x, float(module.threshold))


def _operator_of(kind, **attributes):
    """By an ONNX operator, whose attributes are numbers or names of the module's attributes."""

    def make(own, place, module, x):
        given = {
            key: float(getattr(module, each) if isinstance(each, str) else each) for key, each in attributes.items()
        }
        return own.make(place, kind, [x], given)

    return make


def _embedding(own, place, module, x):
    if module.max_norm is not None:
        raise ValueError("max_norm, which changes the weights in every call, is not supported")
    return own.apply(place, layers.Embedding, x, *module.weight.shape, weights=[numbers(module.weight)])


def to_shape(own, place, x, shape):
    return own.make(place._replace(op_type="Reshape"), "Reshape", [x, np.array([BATCH, *shape])], {})


def flatten(own, place, x, start_dim=0, end_dim=-1):
    start, end = start_dim % x.ndim, end_dim % x.ndim
    if start == 0:
        raise ValueError(f"start_dim={start_dim} puts the samples of a batch together; begin with 1")
    return to_shape(own, place, x, [*x.shape[1:start], math.prod(x.shape[start : end + 1]), *x.shape[end + 1 :]])


def unflatten(own, place, x, dim, sizes):
    dim %= x.ndim
    known = math.prod(each for each in sizes if each != -1)
    sizes = [x.shape[dim] // known if each == -1 else each for each in sizes]
    return to_shape(own, place, x, [*x.shape[1:dim], *sizes, *x.shape[dim + 1 :]])


MODULES = {
    "AlphaDropout": lambda own, place, module, x: own.apply(place, layers.AlphaDropout, x, module.p),
    "BatchNorm1d": _batch_norm,
    "CELU": _operator_of("Celu", alpha="alpha"),
    "Dropout": lambda own, place, module, x: own.apply(place, layers.Dropout, x, module.p),
    "ELU": lambda own, place, module, x: own.apply(place, layers.ELU, x, module.alpha),
    "Embedding": _embedding,
    "Flatten": lambda own, place, module, x: flatten(own, place, x, module.start_dim, module.end_dim),
    "GELU": lambda own, place, module, x: own.make(place, "Gelu", [x], {"approximate": module.approximate}),
    "GLU": _last("glu"),
    "GroupNorm": _group_norm,
    "Hardshrink": _operator_of("Shrink", lambd="lambd", bias=0),
    "Hardsigmoid": _activation("hard_sigmoid"),
    "Hardswish": _activation("hard_silu"),
    "Hardtanh": _operator_of("Clip", min="min_val", max="max_val"),
    "Identity": lambda own, place, module, x: x,
    "LayerNorm": _layer_norm,
    "LeakyReLU": lambda own, place, module, x: own.apply(place, layers.LeakyReLU, x, module.negative_slope),
    "Linear": _linear,
    "LogSigmoid": _activation("log_sigmoid"),
    "LogSoftmax": _softmax("LogSoftmax"),
    "Mish": _activation("mish"),
    "PReLU": _prelu,
    "RMSNorm": _rms_norm,
    "RReLU": lambda own, place, module, x: own.apply(place, layers.RReLU, x, module.lower, module.upper),
    "ReLU": _activation("relu"),
    "ReLU6": _activation("relu6"),
    "SELU": _activation("selu"),
    "SiLU": _activation("silu"),
    "Sigmoid": _activation("sigmoid"),
    "Softmax": _softmax("Softmax"),
    "Softplus": _softplus,
    "Softshrink": _operator_of("Shrink", lambd="lambd", bias="lambd"),
    "Softsign": _activation("softsign"),
    "Tanh": _activation("tanh"),
    "Tanhshrink": _activation("tanh_shrink"),
    "Threshold": _threshold,
    "Unflatten": lambda own, place, module, x: unflatten(own, place, x, module.dim, module.unflattened_size),
}
ELEMENTWISE = {"Dropout", "AlphaDropout", "Identity", "ReLU", "Tanh", "Sigmoid"}
