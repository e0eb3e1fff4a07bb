"""What PyTorch's functions and methods do: functions of (importer, place, *arguments), arguments as in PyTorch."""

import numpy as np

from fastnn import layers
from fastnn.graph import Tensor
from fastnn.interop.onnx_operators import BATCH, reshaped
from fastnn.interop.torch_layers import MODULES, dense, flatten, to_shape, unflatten


def _arithmetic(kind):
    def make(own, place, a, b, *, alpha=1):
        if alpha != 1:
            raise ValueError(f"alpha={alpha} is not supported")
        inputs = [each if isinstance(each, Tensor) else np.asarray(each, np.float32) for each in (a, b)]
        return own.make(place._replace(op_type=kind), kind, inputs, {})

    return make


def _unary(kind):
    return lambda own, place, x, **options: own.make(place._replace(op_type=kind), kind, [x], _nothing(options))


def _nothing(options):
    """Options that change nothing here; others are refused."""
    left = {key: value for key, value in options.items() if key != "inplace" and value is not None}
    if left:
        raise ValueError(f"the arguments {left} are not supported")
    return {}


def _applied(module_class):
    """A function of `torch.nn.functional` with the arguments of a module."""

    def make(own, place, x, *arguments, **options):
        module = getattr(own.torch.nn, module_class)(*arguments, **options)
        return MODULES[module_class](own, place, module, x)

    return make


def _softmax_of(kind):
    def make(own, place, x, dim=None, **options):
        if dim is None:
            raise ValueError("dim=None leaves to PyTorch which axis it means: give it one")
        options.pop("_stacklevel", None)
        return own.make(place._replace(op_type=kind), kind, [x], {"axis": dim, **_nothing(options)})

    return make


def _dropout(own, place, x, p=0.5, training=True, inplace=False):
    return own.apply(place, layers.Dropout, x, p) if training else x


def _linear_of(own, place, x, weight, bias=None):
    return dense(own, place, x, weight.T, bias)


def _matmul(own, place, a, b):
    return own.make(place._replace(op_type="MatMul"), "MatMul", [a, b], {})


def _cat(own, place, tensors, dim=0, **options):
    return own.make(place._replace(op_type="Concat"), "Concat", tensors, {"axis": options.get("axis", dim)})


def _stack(own, place, tensors, dim=0):
    dim %= tensors[0].ndim + 1
    return _cat(own, place, [_unsqueeze(own, place, each, dim) for each in tensors], dim)


def _clamp(own, place, x, min=None, max=None):
    bounds = {"min": min, "max": max}
    return own.make(place, "Clip", [x], {key: float(each) for key, each in bounds.items() if each is not None})


def _reduce(kind):
    def make(own, place, x, dim=None, keepdim=False):
        axes = list(range(x.ndim)) if dim is None else [dim] if isinstance(dim, int) else list(dim)
        return own.make(place, f"Reduce{kind}", [x], {"axes": axes, "keepdims": int(keepdim)})

    return make


def _view(own, place, x, *shape):
    shape = shape[0] if len(shape) == 1 and isinstance(shape[0], (list, tuple)) else shape
    return to_shape(own, place, x, reshaped(x, [int(each) for each in shape]))


def _unsqueeze(own, place, x, dim):
    return own.make(place, "Unsqueeze", [x], {"axes": [dim]})


def _squeeze(own, place, x, dim=None):
    axes = [i for i, size in enumerate(x.shape) if size == 1] if dim is None else np.atleast_1d(dim).tolist()
    return own.make(place, "Squeeze", [x], {"axes": [axis for axis in axes if x.shape[axis] == 1]})


def _permute(own, place, x, *order):
    order = order[0] if isinstance(order[0], (list, tuple)) else order
    return own.make(place, "Transpose", [x], {"perm": [each % x.ndim for each in order]})


def _transpose(own, place, x, dim0, dim1):
    order = list(range(x.ndim))
    order[dim0], order[dim1] = order[dim1], order[dim0]
    return _permute(own, place, x, order)


def _chunk(own, place, x, chunks, dim=0):
    size = -(-x.shape[dim] // chunks)
    return _split(own, place, x, size, dim)


def _split(own, place, x, size, dim=0):
    total = x.shape[dim]
    sizes = list(size) if isinstance(size, (list, tuple)) else [min(size, total - i) for i in range(0, total, size)]
    return own.make(place, "Split", [x, np.array(sizes)], {"axis": dim})


def _getitem(own, place, x, index):
    """Slices and numbers along axes."""
    if not isinstance(x, Tensor):  # the results of chunk and split
        return x[index]
    index = index if isinstance(index, (list, tuple)) else [index]
    gap = index.index(Ellipsis) if Ellipsis in index else len(index)
    missing = x.ndim - sum(each is not None and each is not Ellipsis for each in index)
    index = [*index[:gap], *[slice(None)] * missing, *index[gap + 1 :]]
    axis = 0
    starts, ends, axes, steps, gone, new = [], [], [], [], [], []
    for each in index:
        if each is None:
            new.append(axis + len(new) - len(gone))
            continue
        if isinstance(each, slice) and each != slice(None):
            begin, end, step = each.indices(x.shape[axis]) if axis else (each.start or 0, each.stop, each.step or 1)
            starts, ends, steps = [*starts, begin], [*ends, 2**31 - 1 if end is None else end], [*steps, step]
            axes.append(axis)
        elif isinstance(each, int):
            each = each % x.shape[axis] if axis else each
            starts, ends, steps = [*starts, each], [*ends, each + 1], [*steps, 1]
            axes.append(axis)
            gone.append(axis)
        elif each != slice(None):
            raise ValueError(f"an index must be made of numbers, slices, ... and None. Received: {each!r:.100}")
        axis += 1
    if axes:
        x = own.make(place, "Slice", [x, *map(np.array, (starts, ends, axes, steps))], {})
    x = own.make(place, "Squeeze", [x], {"axes": gone}) if gone else x
    return own.make(place, "Unsqueeze", [x], {"axes": new}) if new else x


def _size(own, place, x, dim=None):
    shape = [BATCH if size is None else size for size in x.shape]
    return shape if dim is None else shape[dim]


def _getattr(own, place, x, name):
    if name == "shape":
        return _size(own, place, x)
    if name == "ndim":
        return x.ndim
    if name in ("device", "dtype"):
        return name
    raise ValueError(f"the attribute {name!r} of a tensor is not supported")


def _same(own, place, x, *arguments, **options):
    return x


_UNARY = {
    "abs": "Abs", "ceil": "Ceil", "cos": "Cos", "erf": "Erf", "exp": "Exp", "floor": "Floor", "hardswish": "HardSwish",
    "log": "Log", "mish": "Mish", "neg": "Neg", "reciprocal": "Reciprocal", "relu": "Relu", "round": "Round",
    "sigmoid": "Sigmoid", "sign": "Sign", "silu": "Swish", "sin": "Sin", "softsign": "Softsign", "sqrt": "Sqrt",
    "tanh": "Tanh",
}  # fmt: skip
_BINARY = {
    "add": "Add", "div": "Div", "iadd": "Add", "imul": "Mul", "isub": "Sub", "maximum": "Max", "minimum": "Min",
    "mul": "Mul", "multiply": "Mul", "pow": "Pow", "sub": "Sub", "subtract": "Sub", "truediv": "Div",
}  # fmt: skip
_AS_MODULES = {
    "celu": "CELU", "elu": "ELU", "gelu": "GELU", "glu": "GLU", "hardshrink": "Hardshrink",
    "hardsigmoid": "Hardsigmoid", "hardtanh": "Hardtanh", "leaky_relu": "LeakyReLU", "logsigmoid": "LogSigmoid",
    "relu6": "ReLU6", "selu": "SELU", "softplus": "Softplus", "softshrink": "Softshrink", "tanhshrink": "Tanhshrink",
}  # fmt: skip
FUNCTIONS = {
    **{name: _unary(kind) for name, kind in _UNARY.items()},
    **{name: _arithmetic(kind) for name, kind in _BINARY.items()},
    **{name: _applied(module) for name, module in _AS_MODULES.items()},
    **{name: _reduce(kind) for name, kind in {"amax": "Max", "amin": "Min", "mean": "Mean", "sum": "Sum"}.items()},
    **dict.fromkeys(("clone", "contiguous", "detach", "float", "to"), _same),
    "cat": _cat, "chunk": _chunk, "clamp": _clamp, "clip": _clamp, "concat": _cat, "concatenate": _cat,
    "dropout": _dropout, "flatten": flatten, "getattr": _getattr, "getitem": _getitem, "linear": _linear_of,
    "log_softmax": _softmax_of("LogSoftmax"), "matmul": _matmul, "permute": _permute, "reshape": _view, "size": _size,
    "softmax": _softmax_of("Softmax"), "split": _split, "squeeze": _squeeze, "stack": _stack, "transpose": _transpose,
    "unflatten": unflatten, "unsqueeze": _unsqueeze, "view": _view,
}  # fmt: skip
