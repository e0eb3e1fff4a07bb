"""Inverted dropout (Srivastava et al., 2014): in training each value is zeroed with probability `rate`, the others are
scaled by 1 / (1 - rate); otherwise the identity. Of whole rows or columns, too, and with the values of AlphaDropout."""

import numpy as np

from fastnn.lowering.cost import elementwise_cycles
from fastnn.operations.base import Operation
from fastnn.operations.noise import cannot_freeze, drawing, is_on
from fastnn.operations.sharing import row_map

_ALPHA = -1.6732632423543772 * 1.0507009873554805  # what SELU tends to for x -> -infinity


class Dropout(Operation):
    """Attributes of its nodes: `rate` (a `Setting`), `noise_shape` (of a batch, or None: a draw for each value),
    `alpha` (AlphaDropout), `training`, `seed` (see `noise`)."""

    name = "dropout"

    def to_onnx(self, node, e):
        return e.unchanged(node)

    def is_random(self, node, b):
        return is_on(node, b) and node.attributes["rate"].value > 0

    @staticmethod
    def _values(node):
        """What is kept becomes ``x * scale + shift``, the others `dropped`."""
        rate = node.attributes["rate"].value
        if not node.attributes["alpha"]:
            scale = np.float32(1) / (np.float32(1) - np.float32(rate)) if rate < 1 else 0.0
            return dict(scale=scale, shift=0.0, dropped=0.0)
        scale = ((1 - rate) * (1 + rate * _ALPHA**2)) ** -0.5
        shift = -scale * _ALPHA * rate
        return dict(scale=scale, shift=shift, dropped=scale * _ALPHA + shift)

    def forward(self, node, b):
        x = b.slot(node.inputs[0])
        if not self.is_random(node, b):
            return x
        y = b.matrix(x.rows_per_sample, x.n)
        mask = b.mask(x.rows_per_sample, x.n)
        b.keep(node, mask)
        common = dict(
            rows=x.rows_per_sample,
            work_per_row=elementwise_cycles(x.n, 24),
            x=x,
            y=y,
            mask=mask,
            n=x.n,
            ldx=x.ld,
            ldy=y.ld,
            rate=node.attributes["rate"].value,
            **drawing(node, b),
        )
        shape = node.attributes["noise_shape"]
        if shape is None and not node.attributes["alpha"]:
            b.emit("dropout_forward", **common)
            return y
        shape = shape or node.inputs[0].shape
        middle = shape[1:-1]
        b.emit(
            "masked_forward",
            map=row_map(node.inputs[0].shape[1:-1], middle),
            noise_n=shape[-1],
            noise_rows=int(np.prod(middle, dtype=int)),
            shared_batch=shape[0] == 1,
            **self._values(node),
            **common,
        )
        return y

    def backward(self, node, b, gradient):
        if not self.is_random(node, b):
            b.propagate_alias(node.inputs[0], gradient)
            return
        mask = b.kept(node)

        def write(dx, accumulate, epilogue):
            b.emit(
                "dropout_backward",
                rows=gradient.rows_per_sample,
                work_per_row=elementwise_cycles(gradient.n, 3),
                dy=gradient,
                mask=mask,
                dx=dx,
                n=gradient.n,
                lddy=gradient.ld,
                lddx=dx.ld,
                scale=self._values(node)["scale"],
            )

        b.propagate(node.inputs[0], write)

    def fold(self, node, f):
        if node.attributes["training"] and node.attributes["rate"].value:
            raise cannot_freeze(node)
        f.note(f"{node.output.name} dropped")
        return f.value(node.inputs[0])
