"""Dense layers in Einstein's notation."""

import re

from fastnn import activations, constraints, initializers, ops, regularizers
from fastnn.initializers import VarianceScaling
from fastnn.layers.base import Layer
from fastnn.layers.input_spec import InputSpec
from fastnn.operations import apply


class EinsumDense(Layer):
    """``activation(einsum(equation, inputs, kernel) + bias)``: products with a kernel of any rank.

    Parameters
    ----------
    equation : str
        As for `ops.einsum`, of two operands: "abc,cd->abd", or "...x,xy->...y" for inputs of any rank.
    output_shape : int or tuple of int
        Sizes of the output's axes without the batch and without what the dots stand for; None where the input says it.
    activation : str or callable, optional
    bias_axes : str, optional
        The output's axes that the bias has; without it there is no bias.
    kernel_initializer : str or Initializer, default "glorot_uniform"
    bias_initializer : str or Initializer, default "zeros"
    kernel_regularizer, bias_regularizer : str or Regularizer, optional
    kernel_constraint, bias_constraint : str or Constraint, optional
    gptq_unpacked_column_size : None
        Accepted for compatibility; it is about quantized training.
    **kwargs
        `name`, `trainable`, `input_shape`: see `Layer`.

    Raises
    ------
    ValueError
        For an equation of another form, and for sizes that contradict each other.

    Notes
    -----
    A kernel of two axes over the last one of the input is multiplied by the kernels of `Dense`; others by `ops.einsum`.
    """

    def __init__(
        self,
        equation,
        output_shape,
        activation=None,
        bias_axes=None,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        kernel_regularizer=None,
        bias_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
        gptq_unpacked_column_size=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if gptq_unpacked_column_size is not None:
            raise ValueError(
                f"Layer {self.name!r}: `gptq_unpacked_column_size` belongs to a quantisation that is not here; "
                "`model.freeze(precision='int8')` rounds weights. "
                f"Received: gptq_unpacked_column_size={gptq_unpacked_column_size}"
            )
        self.equation = equation
        self.partial_output_shape = (output_shape,) if isinstance(output_shape, int) else tuple(output_shape)
        self.bias_axes = bias_axes
        self.activation = activations.get(activation)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.kernel = self.bias = None
        self._names = _parsed(equation)

    def build(self, input_shape):
        x, w, y = self._letters(len(input_shape))
        sizes = self._sizes(x, w, y, input_shape)
        self.input_spec = InputSpec(ndim=len(input_shape))
        initializer = self.kernel_initializer
        if isinstance(initializer, VarianceScaling) and None in (initializer.input_axes, initializer.output_axes):
            into = [i for i, letter in enumerate(w) if letter not in y]
            out = [i for i, letter in enumerate(w) if letter in y]
            config = {**initializer.get_config(), "input_axes": into, "output_axes": out}
            initializer = type(initializer).from_config({**config, "seed": initializer.seed})
        self._plain = len(w) == 2 and x[-1] == w[0] and x[:-1] + w[1] == y
        self.kernel = self.add_weight(
            tuple(sizes[letter] for letter in w),
            initializer,
            name="kernel",
            layout="panels" if self._plain else "rows",
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        if self.bias_axes is not None:
            first = min(y.index(letter) for letter in self.bias_axes)
            self.bias = self.add_weight(
                tuple(sizes[letter] if letter in self.bias_axes else 1 for letter in y[first:]),
                self.bias_initializer,
                name="bias",
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )

    def _letters(self, ndim):
        """The names of the axes of input, kernel and output, with letters for the dots."""
        x, w, y = self._names
        rest = "".join(each for each in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if each not in x + w + y)
        dots = rest[: ndim - len(x.replace("...", ""))]
        if len(x.replace("...", dots)) != ndim:
            raise ValueError(f"Layer {self.name!r}: the equation {self.equation!r} does not fit inputs of {ndim} axes.")
        return x.replace("...", dots), w, y.replace("...", dots)

    def _sizes(self, x, w, y, input_shape):
        """The size of each axis, by its letter."""
        sizes = dict(zip(x, input_shape, strict=True))
        given = [y[0], *(each for each in self._names[2].replace("...", "") if each != y[0])]
        shape = [None, *self.partial_output_shape]
        if len(given) != len(shape):
            raise ValueError(
                f"Layer {self.name!r}: {self.equation!r} has {len(given) - 1} axes of an output that `output_shape` "
                f"must say the size of. Received: output_shape={self.partial_output_shape}"
            )
        for letter, size in zip(given, shape, strict=True):
            if sizes.get(letter) is not None and size not in (None, sizes[letter]):
                raise ValueError(
                    f"Input shape and output shape do not match at shared dimension '{letter}'. Input shape is "
                    f"{sizes[letter]}, and output shape is {size}."
                )
            if sizes.get(letter) is None:
                sizes[letter] = size
        for letter in y:
            if letter not in x + w:
                raise ValueError(
                    f"Dimension '{letter}' was specified in the output '{y}' but has no corresponding dim in the input "
                    f"spec '{x}' or weight spec '{w}'"
                )
        for letter in w:
            if sizes.get(letter) is None:
                raise ValueError(
                    f"Weight dimension '{letter}' did not have a match in either the input spec '{x}' or the output "
                    f"spec '{y}'. For this layer, the weight must be fully specified."
                )
        for letter in self.bias_axes or ():
            if letter not in y:
                raise ValueError(f"Bias dimension '{letter}' was requested, but is not part of the output spec '{y}'")
        return sizes

    def call(self, inputs):
        x, w, y = self._letters(inputs.ndim)
        if self._plain and (self.bias is None or self.bias.ndim == 1):
            return self.activation(apply("dense", [inputs], {"kernel": self.kernel, "bias": self.bias}))
        product = ops.einsum(f"{x},{w}->{y}", inputs, self.kernel)
        return self.activation(product if self.bias is None else ops.add(product, self.bias))

    def get_config(self):
        return {
            **super().get_config(),
            "equation": self.equation,
            "output_shape": self.partial_output_shape,
            "activation": activations.serialize(self.activation),
            "bias_axes": self.bias_axes,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
            "kernel_regularizer": regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": regularizers.serialize(self.bias_regularizer),
            "kernel_constraint": constraints.serialize(self.kernel_constraint),
            "bias_constraint": constraints.serialize(self.bias_constraint),
        }


def _parsed(equation):
    """The names of input, kernel and output in an equation."""
    letters = "([a-zA-Z]+)"
    for form in (f"{letters},{letters}->{letters}", rf"(\.\.\.[a-zA-Z]+),{letters}->(\.\.\.[a-zA-Z]+)",
                 rf"([a-zA-Z]{{2,}}\.\.\.),{letters}->([a-zA-Z]+\.\.\.)"):  # fmt: skip
        found = re.fullmatch(form, equation.replace(" ", ""))
        if found:
            return found.groups()
    raise ValueError(
        f"Invalid einsum equation '{equation}'. Equations must be in the form [X],[Y]->[Z], ...[X],[Y]->...[Z], or "
        "[X]...,[Y]->[Z]...."
    )
