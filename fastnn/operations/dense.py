"""``y = x . kernel + bias`` over the last axis of an input of any rank."""

import numpy as np

from fastnn._engine.kernels import panel_count
from fastnn.lowering.cost import elementwise_cycles, gemm_cycles, halves_rows, shares_rows
from fastnn.operations.activation import fusable_activation, slope_slot
from fastnn.operations.base import Operation
from fastnn.operations.batchnorm import BatchNorm


def product(node, e, kernel, bias, turned=False):
    """Emit a node's input times a matrix, or its transpose, plus a bias or None, as ONNX; all by their names."""
    x = e.value(node.inputs[0])
    if node.inputs[0].ndim == 2:
        return e.emit("Gemm", x, kernel, *([bias] if bias else []), **({"transB": 1} if turned else {}))
    y = e.emit("MatMul", x, e.emit("Transpose", kernel, perm=[1, 0]) if turned else kernel)
    return e.emit("Add", y, bias) if bias else y


class Dense(Operation):
    name = "dense"

    def output_shape(self, node):
        return (*node.inputs[0].shape[:-1], node.variables["kernel"].shape[1])

    def to_onnx(self, node, e):
        return product(node, e, e.variable(node.variables["kernel"]), e.variable(node.variables["bias"]))

    def forward(self, node, b):
        x = b.slot(node.inputs[0])
        k, n = node.variables["kernel"].shape
        activation = fusable_activation(node, b)
        y = b.matrix(x.rows_per_sample, n)
        b.emit(
            "dense_forward",
            rows=x.rows_per_sample,
            work_per_row=gemm_cycles(k, n),
            by_rows=shares_rows(k, n, b.batch),
            x=x,
            w=node.variables["kernel"],
            bias=node.variables["bias"],
            y=y,
            slope=slope_slot(activation, b) if activation else None,
            k=k,
            n=n,
            ldx=x.ld,
            ldy=y.ld,
            act=activation.attributes["kernel"] if activation else 0,
            alpha=activation.attributes["alpha"] if activation else 0.0,
        )
        if activation:
            b.absorb(activation, y)
        return y

    def backward(self, node, b, gradient):
        xhat = BatchNorm.kept_xhat(node.inputs[0].node, b)
        if xhat is not None and self._backward_with_batchnorm(node, b, gradient, xhat):
            return
        x = b.slot(node.inputs[0])
        kernel, bias = node.variables["kernel"], node.variables["bias"]
        k, n = kernel.shape
        if b.trains(kernel) or b.trains(bias):
            dw, accumulate = b.variable_gradient(kernel)
            db, accumulate_bias = b.variable_gradient(bias)
            if dw is None:  # only the bias is trained, but one kernel computes both: its other result goes nowhere
                dw = b.vector(kernel.nbytes // 4)
            halves = halves_rows(k, n, b.batch) and gradient.rows_per_sample == 1
            halves = halves and b.trains(kernel) and not (accumulate or accumulate_bias)
            b.emit(
                "dense_backward_weights",
                rows=gradient.rows_per_sample,
                work_per_row=gemm_cycles(k, n),
                x=x,
                dz=gradient,
                dw=dw,
                db=db,
                half_dw=b.halves.place(kernel) if halves else None,
                half_db=b.halves.place(bias) if halves else None,
                k=k,
                n=n,
                ldx=x.ld,
                lddz=gradient.ld,
                accumulate=accumulate + 2 * accumulate_bias,  # a kernel may have had another use, its bias none
            )

        def write(dx, accumulate, epilogue):
            b.emit(
                "dense_backward_input",
                rows=gradient.rows_per_sample,
                work_per_row=gemm_cycles(k, n),
                work=k * n / 2,  # the transposition of the weights, whatever the batch
                # It reads the same gradient as the instruction emitted before, and writes elsewhere.
                fence=not (b.trains(kernel) or b.trains(bias)),
                by_rows=shares_rows(k, n, b.batch),
                dz=gradient,
                w=kernel,
                v=epilogue.saved if epilogue else None,
                dx=dx,
                k=k,
                n=n,
                lddz=gradient.ld,
                ldv=epilogue.saved.ld if epilogue else 0,
                lddx=dx.ld,
                act=epilogue.kernel if epilogue else 0,
                accumulate=accumulate,
                alpha=epilogue.alpha if epilogue else 0.0,
            )

        b.propagate(node.inputs[0], write, accumulates=True, epilogue=True)

    def _backward_with_batchnorm(self, node, b, gradient, xhat):
        """The gradients of this layer and of the normalisation before it, without the product that would give the
        gradient of what lies between them; see ``csrc/ops/batchnorm_dense.c``. False where they cannot be had that way.
        """
        kernel, bias = node.variables["kernel"], node.variables["bias"]
        normalised = node.inputs[0].node.variables
        wanted = [kernel, bias, normalised["gamma"], normalised["beta"]]
        if any(b.has_gradient(variable) for variable in wanted):
            return False  # layers used twice add to a gradient, which these kernels cannot
        dw, db, dgamma, dbeta = (b.variable_gradient(variable)[0] for variable in wanted)
        k, n = kernel.shape
        db = b.vector(n) if db is None else db
        rows = gradient.rows_per_sample
        b.emit(
            "dense_backward_weights", rows=rows, work_per_row=gemm_cycles(k, n), x=xhat, dz=gradient, dw=dw, db=db,
            k=k, n=n, ldx=xhat.ld, lddz=gradient.ld, accumulate=False,
        )  # fmt: skip
        panels = panel_count(n)
        sums = b.vector(2 * panels * -(-k // 16) * 16)
        b.emit(
            "batchnorm_dense_gradients", rows=rows, work=k * elementwise_cycles(n, 3), w=kernel, dw=dw, db=db,
            gamma=normalised["gamma"], beta=normalised["beta"], sums=sums, k=k, n=n,
        )  # fmt: skip
        b.emit(
            "batchnorm_dense_sums", work=elementwise_cycles(k, 2 * panels), sums=sums, dgamma=dgamma, dbeta=dbeta, k=k,
            n=n,
        )  # fmt: skip
        return True

    def fold(self, node, f):
        kernel = f.constant(node.variables["kernel"])
        return f.dense(node, kernel, f.constant(node.variables["bias"], default=np.zeros(kernel.shape[1])))

    def scale_output(self, node, scaling):
        """``(x . W + c) s + t = x . (W diag(s)) + (c s + t)``."""
        kernel, bias = (node.variables[name].value for name in ("kernel", "bias"))
        vectors = scaling.by_feature(kernel.shape[1])
        if vectors is None:
            return None
        scale, shift = vectors
        return {"kernel": kernel * scale, "bias": bias * scale + shift}, [None]

    def scale_inputs(self, node, scalings):
        """``(x s + t) . W + c = x . (diag(s) W) + (t . W + c)``."""
        kernel, bias = (node.variables[name].value for name in ("kernel", "bias"))
        vectors = scalings[0].by_feature(len(kernel))
        if vectors is None:
            return None
        scale, shift = vectors
        return {"kernel": scale[:, None] * kernel, "bias": bias + shift @ kernel}, None
