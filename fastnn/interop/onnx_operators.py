"""ONNX operators as functions of arrays and of symbolic tensors, and the layer that applies one.

Most of a network that is read becomes layers that everybody knows (`onnx_reader`). What is left, arithmetic and moved
values, is an `OnnxOperator`, so that the model can still be saved and copied.
"""

import math

import numpy as np

from fastnn import activations, ops
from fastnn.graph import Tensor
from fastnn.layers.base import Layer
from fastnn.ops.core import is_batched

# What `Shape` gives for the batch. No size is so large, and what is computed with it is none either.
BATCH = -(2**40)

_FLOATS = {1, 10, 11, 16}  # numbers of ONNX's types: float, float16, double, bfloat16
_INTEGERS = {2, 3, 4, 5, 6, 7, 12, 13}
_BOOL = 9


def sizes_of(values):
    """Integers out of a constant."""
    return [int(each) for each in np.asarray(values).reshape(-1)]


def reshaped(x, wanted, batch=None, allowzero=False):
    """The shape that a Reshape gives `x`: without the batch, if it has one.

    Parameters
    ----------
    x : Tensor or ndarray
    wanted : list of int
    batch : int, optional
        The size of the batch that the file was written for, if it names one.
    """
    shape = list(x.shape)
    wanted = [shape[i] if size == 0 and not allowzero else size for i, size in enumerate(wanted)]
    if not is_batched(x):
        return wanted
    total, (first, *rest) = math.prod(shape[1:]), wanted or [1]
    known = math.prod(size for size in rest if size != -1)
    if -1 in rest:
        rest = [total // known if size == -1 and known else size for size in rest]
    if first not in (None, -1, BATCH, batch) or any(size is None or size < 1 for size in rest):
        raise ValueError(
            f"the new shape {_readable(wanted)} of a value of shape {x.shape} has no batch as its first axis"
        )
    if math.prod(rest) != total:
        raise ValueError(
            f"a value of shape {x.shape} gets the shape {_readable(wanted)}: the samples of a batch would be mixed"
        )
    return rest


def _readable(shape):
    return [{BATCH: "batch", None: "batch"}.get(size, size) for size in shape]


def axes_of(inputs, attributes, place=1):
    """The axes of a node, from its input (later opsets) or its attribute; None where it names none."""
    if len(inputs) > place and inputs[place] is not None:
        return sizes_of(inputs[place])
    return attributes.get("axes")


def sample_axes(x, axes):
    """Axes counted from 0; refuses the batch."""
    axes = range(x.ndim) if axes is None else axes
    found = sorted((axis + x.ndim) % x.ndim for axis in axes)
    if is_batched(x) and 0 in found:
        raise ValueError(f"it goes over axis 0 of a value of shape {x.shape}, which counts the samples")
    return found


def _reduction(function):
    def apply(inputs, attributes, opset):
        x, axes = inputs[0], axes_of(inputs, attributes)
        if not axes and attributes.get("noop_with_empty_axes"):
            return x
        return function(x, tuple(sample_axes(x, axes or None)), keepdims=bool(attributes.get("keepdims", 1)))

    return apply


def _unary(function):
    return lambda inputs, attributes, opset: function(inputs[0])


def _binary(function):
    def apply(inputs, attributes, opset):
        check_ranks(inputs)
        return function(inputs[0], inputs[1])

    return apply


def _variadic(function):
    def apply(inputs, attributes, opset):
        check_ranks(inputs)
        result = inputs[0]
        for each in inputs[1:]:
            result = function(result, each)
        return result

    return apply


def check_ranks(inputs):
    """Values of batches must have as many axes, and others no more: else axis 0 would meet another one."""
    batched = {x.ndim for x in inputs if is_batched(x)}
    if len(batched) > 1 or (batched and any(np.ndim(x) > max(batched) for x in inputs if not isinstance(x, Tensor))):
        raise ValueError(
            f"values of the shapes {[getattr(x, 'shape', ()) for x in inputs]} are broadcast, and the batch of one "
            "would meet another axis"
        )


def _divide(inputs, attributes, opset):
    x, y = inputs
    if all(isinstance(each, np.ndarray) and each.dtype.kind in "iu" for each in inputs):
        return np.trunc(x / y).astype(x.dtype)
    check_ranks(inputs)
    return ops.divide(x, y)


def _clip(inputs, attributes, opset):
    low, high = (*inputs[1:], None, None)[:2]
    low, high = attributes.get("min", low), attributes.get("max", high)
    return ops.clip(inputs[0], None if low is None else float(low), None if high is None else float(high))


def _cast(inputs, attributes, opset):
    x, to = inputs[0], attributes["to"]
    if to not in _FLOATS | _INTEGERS | {_BOOL}:
        raise ValueError(f"it casts to type {to}, which is no kind of number")
    if isinstance(x, Tensor):
        return x if to in _FLOATS else ops.cast(x, "int32" if to in _INTEGERS else "bool")
    return np.asarray(x).astype(np.float32 if to in _FLOATS else np.int64 if to in _INTEGERS else bool)


def _concat(inputs, attributes, opset):
    if not any(isinstance(each, Tensor) for each in inputs):
        return np.concatenate([np.asarray(each) for each in inputs], attributes["axis"])
    return ops.concatenate(list(inputs), attributes["axis"])


def _gather(inputs, attributes, opset):
    x, places = inputs
    if isinstance(places, Tensor):
        raise ValueError("it takes places that are computed; only a table's rows can be looked up so")
    axis = attributes.get("axis", 0)
    if not isinstance(x, Tensor):
        return np.take(np.asarray(x), np.asarray(places).astype(np.int64), axis)
    sample_axes(x, [axis])
    if np.ndim(places) > 1:
        raise ValueError(f"it takes places of shape {np.shape(places)}; at most one axis of them is supported")
    return ops.take(x, places, axis)


def _slice(inputs, attributes, opset):
    x = inputs[0]
    if opset < 10:
        starts, ends, axes, steps = attributes["starts"], attributes["ends"], attributes.get("axes"), None
    else:
        starts, ends, axes, steps = (None if each is None else sizes_of(each) for each in (*inputs[1:], None, None)[:4])
    axes = range(len(starts)) if axes is None else axes
    index = [slice(None)] * x.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps or [1] * len(starts), strict=True):
        before_first = step < 0 and end < -(2**31) + 2
        index[axis] = slice(start, None if before_first or end > 2**31 - 2 else end, step)
    if is_batched(x) and index[0] != slice(None):
        first = index[0]
        if first.start not in (0, None) or first.stop not in (None, BATCH) or first.step not in (1, None):
            raise ValueError("it takes some of the samples of a batch")
        index[0] = slice(None)
    return x[tuple(index)]


def _split(inputs, attributes, opset):
    x, axis = inputs[0], attributes.get("axis", 0)
    sample_axes(x, [axis])
    sizes = sizes_of(inputs[1]) if len(inputs) > 1 and inputs[1] is not None else attributes.get("split")
    if sizes is None:
        count, size = attributes["outputs"], x.shape[axis]
        part = -(-size // count)
        sizes = [part] * (count - 1) + [size - part * (count - 1)]
    return ops.split(x, np.cumsum(sizes)[:-1].tolist(), axis)


def _expand(inputs, attributes, opset):
    x, wanted = inputs[0], sizes_of(inputs[1])
    if not isinstance(x, Tensor):
        return np.broadcast_to(x, np.broadcast_shapes(np.shape(x), tuple(wanted)))
    offset = x.ndim - len(wanted)
    if offset < 0 or (offset == 0 and wanted[0] not in (1, -1, BATCH)):
        raise ValueError(f"a value of shape {x.shape} is expanded to {_readable(wanted)}, with axes before the batch")
    shape = list(x.shape)
    for i, size in enumerate(wanted, offset):
        if i > 0 and size not in (1, -1):
            shape[i] = size
    return ops.broadcast_to(x, tuple(shape))


def _tile(inputs, attributes, opset):
    return ops.tile(inputs[0], tuple(sizes_of(inputs[1])))


def _unsqueeze(inputs, attributes, opset):
    x, axes = inputs[0], axes_of(inputs, attributes)
    axes = sorted((axis + x.ndim + len(axes)) % (x.ndim + len(axes)) for axis in axes)
    for axis in axes:
        x = ops.expand_dims(x, axis) if isinstance(x, Tensor) else np.expand_dims(x, axis)
    return x


def _squeeze(inputs, attributes, opset):
    x, axes = inputs[0], axes_of(inputs, attributes)
    if not isinstance(x, Tensor):
        return np.squeeze(x, None if axes is None else tuple(axes))
    return ops.squeeze(x, [i for i, size in enumerate(x.shape) if size == 1] if axes is None else axes)


def _softmax(function):
    def apply(inputs, attributes, opset):
        x = inputs[0]
        axis = attributes.get("axis", -1 if opset >= 13 else 1)
        if opset < 13 and (axis + x.ndim) % x.ndim != x.ndim - 1:  # it was one over all axes from there on
            axis = tuple(range((axis + x.ndim) % x.ndim, x.ndim))
        return function(x, axis)

    return apply


def _flatten(inputs, attributes, opset):
    axis = attributes.get("axis", 1)
    return np.reshape(inputs[0], (math.prod(np.shape(inputs[0])[:axis]), -1))


def _argument(function):
    def apply(inputs, attributes, opset):
        if attributes.get("select_last_index"):
            raise ValueError("select_last_index is not supported")
        axis = sample_axes(inputs[0], [attributes.get("axis", 0)])[0]
        return function(inputs[0], axis, keepdims=bool(attributes.get("keepdims", 1)))

    return apply


def _hard_sigmoid(inputs, attributes, opset):
    return ops.clip(inputs[0] * attributes.get("alpha", 0.2) + attributes.get("beta", 0.5), 0.0, 1.0)


def _shrink(inputs, attributes, opset):
    x, bias, limit = inputs[0], attributes.get("bias", 0.0), attributes.get("lambd", 0.5)
    return ops.where(ops.less(x, -limit), x + bias, ops.where(ops.greater(x, limit), x - bias, 0.0))


def _swish(inputs, attributes, opset):
    return inputs[0] * activations.sigmoid(inputs[0] * attributes.get("alpha", 1.0))


def _selu(inputs, attributes, opset):
    alpha, gamma = attributes.get("alpha", 1.6732632423543772), attributes.get("gamma", 1.0507009873554805)
    return activations.elu(inputs[0], alpha) * gamma


def _matmul(inputs, attributes, opset):
    return ops.matmul(*inputs)


def _einsum(inputs, attributes, opset):
    return ops.einsum(attributes["equation"], *inputs)


def _where(inputs, attributes, opset):
    check_ranks(inputs)
    return ops.where(*inputs)


def _root_of_squares(x, axis, keepdims):
    return ops.sqrt(ops.sum(ops.square(x), axis, keepdims))


OPERATORS = {
    **{name: _unary(getattr(ops, name.lower())) for name in (
        "Abs", "Ceil", "Cos", "Erf", "Exp", "Floor", "IsNaN", "Log", "Reciprocal", "Round", "Sign", "Sin", "Sqrt",
        "Tan", "Sinh", "Cosh",
    )},
    **{name: _unary(getattr(activations, function)) for name, function in {
        "Relu": "relu", "Sigmoid": "sigmoid", "Tanh": "tanh", "Softplus": "softplus", "Softsign": "softsign",
        "HardSwish": "hard_silu", "Mish": "mish",
    }.items()},
    **{name: _unary(getattr(ops, function)) for name, function in {
        "Neg": "negative", "Not": "logical_not", "Atan": "arctan", "Asin": "arcsin", "Acos": "arccos",
        "Asinh": "arcsinh", "Acosh": "arccosh", "Atanh": "arctanh", "IsInf": "isinf",
    }.items()},
    **{name: _binary(getattr(ops, function)) for name, function in {
        "Add": "add", "Sub": "subtract", "Mul": "multiply", "Pow": "power", "Less": "less", "LessOrEqual": "less_equal",
        "Greater": "greater", "GreaterOrEqual": "greater_equal", "Equal": "equal", "And": "logical_and",
        "Or": "logical_or", "Xor": "logical_xor",
    }.items()},
    **{name: _variadic(getattr(ops, function)) for name, function in {
        "Sum": "add", "Max": "maximum", "Min": "minimum",
    }.items()},
    **{f"Reduce{name}": _reduction(function) for name, function in {
        "Sum": ops.sum, "Mean": ops.mean, "Max": ops.max, "Min": ops.min, "Prod": ops.prod, "L2": _root_of_squares,
        "L1": lambda x, axis, keepdims: ops.sum(ops.abs(x), axis, keepdims),
        "SumSquare": lambda x, axis, keepdims: ops.sum(ops.square(x), axis, keepdims),
        "LogSumExp": ops.logsumexp,
        "LogSum": lambda x, axis, keepdims: ops.log(ops.sum(x, axis, keepdims)),
    }.items()},
    "ArgMax": _argument(ops.argmax), "ArgMin": _argument(ops.argmin), "Cast": _cast, "Clip": _clip, "Concat": _concat,
    "Celu": lambda inputs, attributes, opset: activations.celu(inputs[0], attributes.get("alpha", 1.0)),
    "Div": _divide, "Einsum": _einsum, "Expand": _expand, "Flatten": _flatten, "Gather": _gather,
    "Gelu": lambda inputs, attributes, opset: activations.gelu(inputs[0], attributes.get("approximate") == "tanh"),
    "HardSigmoid": _hard_sigmoid, "Identity": lambda inputs, attributes, opset: inputs[0],
    "LogSoftmax": _softmax(activations.log_softmax), "MatMul": _matmul,
    "Mean": lambda inputs, attributes, opset: _variadic(ops.add)(inputs, attributes, opset) * (1 / len(inputs)),
    "Reshape": lambda inputs, attributes, opset: np.reshape(
        inputs[0], reshaped(inputs[0], sizes_of(inputs[1]), None, attributes.get("allowzero"))
    ),
    "Selu": _selu, "Shrink": _shrink, "Slice": _slice, "Softmax": _softmax(activations.softmax), "Split": _split,
    "Squeeze": _squeeze, "Swish": _swish, "Tile": _tile,
    "Transpose": lambda inputs, attributes, opset: ops.transpose(inputs[0], attributes.get("perm")),
    "Unsqueeze": _unsqueeze, "Where": _where,
}  # fmt: skip


class OnnxOperator(Layer):
    """An operator of ONNX, for what no other layer does.

    Parameters
    ----------
    operator : str
        Its name, one of `OPERATORS`.
    attributes : dict
        As ONNX names them.
    constants : list
        For each input of the operator a constant, or None: then it is an input of the layer.
    opset : int
        The version of the operators.

    Notes
    -----
    It is called on a tensor, or on a list of them if there are several. Its constants are not trained.
    """

    def __init__(self, operator, attributes=None, constants=(None,), opset=17, **kwargs):
        super().__init__(**kwargs)
        if operator not in OPERATORS:
            raise ValueError(f"OnnxOperator: {operator!r} is not known. Known: {', '.join(sorted(OPERATORS))}")
        self.operator = operator
        self.attributes = dict(attributes or {})
        self.constants = [None if each is None else np.asarray(each) for each in constants]
        self.opset = opset

    def call(self, inputs):
        given = iter(inputs if isinstance(inputs, (list, tuple)) else [inputs])
        values = [next(given) if each is None else each for each in self.constants]
        return OPERATORS[self.operator](values, self.attributes, self.opset)

    def get_config(self):
        return {
            **super().get_config(),
            "operator": self.operator,
            "attributes": self.attributes,
            "constants": self.constants,
            "opset": self.opset,
        }

    @classmethod
    def from_config(cls, config):
        from fastnn.saving.serialization import deserialize_keras_object

        return super().from_config({**config, "constants": deserialize_keras_object(config["constants"])})
