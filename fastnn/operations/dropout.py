"""Inverted dropout (Srivastava et al., 2014): in training each value is zeroed with probability `rate`, the others are
scaled by 1 / (1 - rate); otherwise the identity."""

from fastnn.lowering.cost import elementwise_cycles
from fastnn.operations.base import Operation


class Dropout(Operation):
    """Attributes of its nodes: `rate`, `training` (True, False, or None: as the program)."""

    name = "dropout"

    def _active(self, node, b):
        training = node.attributes["training"]
        return node.attributes["rate"] > 0 and (b.training if training is None else training)

    def forward(self, node, b):
        x = b.slot(node.inputs[0])
        if not self._active(node, b):
            return x
        y = b.matrix(x.rows_per_sample, x.n)
        mask = b.mask(x.rows_per_sample, x.n)
        b.keep(node, mask)
        b.emit(
            "dropout_forward",
            rows=x.rows_per_sample,
            work_per_row=elementwise_cycles(x.n, 24),
            x=x,
            y=y,
            mask=mask,
            n=x.n,
            ldx=x.ld,
            ldy=y.ld,
            stream=b.new_random_stream(),
            rate=node.attributes["rate"],
        )
        return y

    def backward(self, node, b, gradient):
        if not self._active(node, b):
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
                rate=node.attributes["rate"],
            )

        b.propagate(node.inputs[0], write)

    def fold(self, node, f):
        if node.attributes["training"] and node.attributes["rate"]:
            raise ValueError(
                f"Layer {node.output.name!r} is called with training=True: it draws random numbers in every call and "
                "cannot be frozen."
            )
        f.note(f"{node.output.name} dropped")
        return f.value(node.inputs[0])
