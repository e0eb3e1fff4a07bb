"""Products of tensors. One with a variable that is a matrix is ``dense``."""

import math

from fastnn._engine.kernels import packed_floats
from fastnn.lowering.cost import gemm_cycles
from fastnn.lowering.layout import body, emit_arrange, emit_reduce, is_batched, new_slot, rows_per_sample
from fastnn.operations.base import Operation

_FIRST_TURNED = 2  # what the engine calls it when the first matrix is read transposed; 1 or True: the second
_MANY_ROWS = 8  # of the first, from which on transposing the second pays


class MatMul(Operation):
    """``(..., m, k) . (..., k, n)``, where the axes before the last two agree, or the second has none of them.

    Attributes of its nodes: `turned`, is the second ``(..., n, k)``?
    """

    name = "matmul"

    def output_shape(self, node):
        return (*node.inputs[0].shape[:-1], node.inputs[1].shape[-2 if node.attributes["turned"] else -1])

    def to_onnx(self, node, e):
        x, w = (e.value(each) for each in node.inputs)
        if node.attributes["turned"]:
            order = list(range(node.inputs[1].ndim))
            w = e.emit("Transpose", w, perm=[*order[:-2], order[-1], order[-2]])
        return e.emit("MatMul", x, w)

    def forward(self, node, b):
        x, w = node.inputs
        y = new_slot(b, node.output.shape)
        if self._with_matrix(node):
            packed = self._packed(b, b.slot(w), w.shape)
            b.keep(node, packed)
            self._dense(
                b, "dense_forward", node, x=b.slot(x), w=packed, y=y, ldx=b.slot(x).ld, ldy=y.ld, act=0, alpha=0
            )
        else:
            _product(b, b.slot(x), x.shape, b.slot(w), w.shape, y, node.output.shape, node.attributes["turned"])
        return y

    def backward(self, node, b, gradient):
        x, w = node.inputs
        shape = node.output.shape
        if self._with_matrix(node):
            if b.needs_gradient(w):
                k, n = w.shape
                packed, dw = b.vector(packed_floats(k, n)), new_slot(b, w.shape)
                self._dense(b, "dense_backward_weights", node, x=b.slot(x), dz=gradient, dw=packed, db=b.vector(n),
                            ldx=b.slot(x).ld, lddz=gradient.ld, accumulate=False)  # fmt: skip
                b.emit("unpack_panels", rows=0, work=k * n / 2, x=packed, y=dw, k=k, n=n, ldy=dw.ld)
                b.set_gradient(w, dw)
            if b.needs_gradient(x):
                dx = new_slot(b, x.shape)
                self._dense(b, "dense_backward_input", node, dz=gradient, w=b.kept(node), v=None, dx=dx,
                            lddz=gradient.ld, ldv=0, lddx=dx.ld, act=0, accumulate=False, alpha=0)  # fmt: skip
                b.set_gradient(x, dx)
            return
        if b.needs_gradient(x):
            dx = new_slot(b, x.shape)
            _product(b, gradient, shape, b.slot(w), w.shape, dx, x.shape, not node.attributes["turned"])
            b.set_gradient(x, dx)
        if b.needs_gradient(w):
            of_each = (*x.shape[:-2], *w.shape[-2:])
            dw = new_slot(b, of_each)
            first, second = (b.slot(x), x.shape), (gradient, shape)
            if node.attributes["turned"]:
                first, second = second, first
            _product(b, *first, *second, dw, of_each, _FIRST_TURNED)
            while of_each != w.shape:
                less = new_slot(b, of_each[1:])
                emit_reduce(b, 0, dw, of_each, 0, less, of_each[1:])
                dw, of_each = less, of_each[1:]
            b.set_gradient(w, dw)

    @staticmethod
    def _with_matrix(node):
        """Is the second one matrix for all samples? Then the kernels of dense layers do it."""
        x, w = node.inputs
        return is_batched(x.shape) and not is_batched(w.shape) and w.ndim == 2 and not node.attributes["turned"]

    @staticmethod
    def _packed(b, slot, shape):
        k, n = shape
        packed = b.vector(packed_floats(k, n))
        b.emit("pack_panels", rows=0, work=k * n / 2, x=slot, y=packed, k=k, n=n, ldx=slot.ld)
        return packed

    @staticmethod
    def _dense(b, op, node, **bindings):
        x, w = node.inputs
        k, n = w.shape
        b.emit(op, rows=rows_per_sample(x.shape), work_per_row=gemm_cycles(k, n), k=k, n=n, **bindings)


def _product(b, x, x_shape, w, w_shape, y, y_shape, turned):
    (m, n), k = y_shape[-2:], x_shape[-2 if turned is _FIRST_TURNED else -1]
    if turned is True and m >= _MANY_ROWS:
        w, w_shape = _transposed(b, w, w_shape)
        turned = False
    batched = is_batched(y_shape)
    groups = math.prod(body(y_shape)[:-2])
    b.emit(
        "matmul", rows=int(batched), **{"work_per_row" if batched else "work": groups * m * gemm_cycles(k, n) * 2},
        a=x, b=w, y=y, height=m, k=k, n=n, lda=x.ld, ldb=w.ld, ldy=y.ld, groups=groups, turned=turned,
        a_groups=len(x_shape) == len(y_shape), b_groups=len(w_shape) == len(y_shape),
    )  # fmt: skip


def _transposed(b, x, shape):
    """The last two axes exchanged."""
    turned = (*shape[:-2], shape[-1], shape[-2])
    y = new_slot(b, turned)
    walk = [(axis, 1) for axis in range(len(body(shape)))]
    emit_arrange(b, x, shape, y, turned, body(turned), [*walk[:-2], walk[-1], walk[-2]], walk)
    return y, turned
