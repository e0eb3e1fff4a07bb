"""What a layer expects of its inputs."""

from fastnn import _tree
from fastnn.backend import standardize_dtype


class InputSpec:
    """What an input of a layer must look like. Assigned to ``layer.input_spec`` (or a list of some, one an input), it
    is checked whenever the layer is called.

    Parameters
    ----------
    dtype : str, optional
        Tensors of a network are "float32".
    shape : tuple, optional
        With the axis of the batch; None where any size will do.
    ndim, max_ndim, min_ndim : int, optional
        Number of axes.
    axes : dict of int to int, optional
        Sizes of some axes.
    allow_last_axis_squeeze : bool, default False
        A last axis of size 1 may be there or not.
    name : str, optional
        By which the input is found in a dictionary.
    optional : bool, default False
        The input may be None.

    Raises
    ------
    TypeError
        If `axes` is no dictionary of numbers of axes.
    ValueError
        If it names an axis that an input of so many axes does not have.
    """

    def __init__(
        self,
        dtype=None,
        shape=None,
        ndim=None,
        max_ndim=None,
        min_ndim=None,
        axes=None,
        allow_last_axis_squeeze=False,
        name=None,
        optional=False,
    ):
        self.dtype = None if dtype is None else standardize_dtype(dtype)
        self.shape = None if shape is None else tuple(shape)
        self.ndim = ndim if shape is None else len(self.shape)
        self.max_ndim = max_ndim
        self.min_ndim = min_ndim
        self.allow_last_axis_squeeze = allow_last_axis_squeeze
        self.name = name
        self.optional = optional
        try:
            self.axes = {int(axis): size for axis, size in (axes or {}).items()}
        except (AttributeError, TypeError, ValueError) as error:
            raise TypeError(f"Argument `axes` must be a dict with integer keys. Received: axes={axes}") from error
        most = self.ndim if self.ndim is not None else max_ndim
        if self.axes and most is not None and max(self.axes) >= most:
            raise ValueError(f"Axis {max(self.axes)} is greater than the maximum allowed value: {most - 1}")

    def get_config(self):
        """Return the arguments that make an equal specification."""
        names = ("dtype", "shape", "ndim", "max_ndim", "min_ndim", "axes", "optional")
        return {name: getattr(self, name) for name in names}

    @classmethod
    def from_config(cls, config):
        """Make a specification from what `get_config` returned."""
        return cls(**config)

    def __repr__(self):
        names = ("dtype", "shape", "ndim", "max_ndim", "min_ndim", "axes")
        return f"InputSpec({', '.join(f'{name}={getattr(self, name)}' for name in names if getattr(self, name))})"

    def _problem(self, shape, dtype):
        """What is wrong with an input; None if nothing is."""
        ndim = len(shape)
        if self.ndim is not None and ndim != self.ndim and not self.allow_last_axis_squeeze:
            return f"expected ndim={self.ndim}, found ndim={ndim}"
        if self.max_ndim is not None and ndim > self.max_ndim:
            return f"expected max_ndim={self.max_ndim}, found ndim={ndim}"
        if self.min_ndim is not None and ndim < self.min_ndim:
            return f"expected min_ndim={self.min_ndim}, found ndim={ndim}"
        if self.dtype is not None and dtype != self.dtype:
            return f"expected dtype={self.dtype}, found dtype={dtype}"
        for axis, size in self.axes.items():
            if size is not None and shape[axis] not in (size, None):
                return f"expected axis {axis} of input shape to have value {size}"
        if self.shape is not None:
            wanted, found = self.shape, shape
            if self.allow_last_axis_squeeze:
                wanted, found = (each[:-1] if each[-1:] == (1,) else each for each in (wanted, found))
            if any(None not in pair and pair[0] != pair[1] for pair in zip(wanted, found, strict=False)):
                return f"expected shape={self.shape}"
        return None


def check_inputs(spec, inputs, layer_name):
    """Refuse inputs that are not what a layer's `input_spec` says.

    Raises
    ------
    ValueError
    """
    specs = _tree.flatten(spec)
    if isinstance(inputs, dict) and all(each.name for each in specs):
        inputs = [inputs.get(each.name) for each in specs]
    inputs = _tree.flatten(inputs)
    if len(inputs) != len(specs):
        raise ValueError(f"Layer {layer_name!r} expects {len(specs)} input(s). Received: {len(inputs)}")
    for number, (each, x) in enumerate(zip(specs, inputs, strict=True)):
        if each is None or (x is None and each.optional):
            continue
        problem = each._problem(tuple(x.shape), getattr(x, "dtype", "float32"))
        if problem:
            named = f" with name {each.name!r}" if each.name else ""
            raise ValueError(
                f"Input {number}{named} of layer {layer_name!r} is incompatible with the layer: {problem}. Full shape "
                f"received: {tuple(x.shape)}"
            )
