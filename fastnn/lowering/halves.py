"""Gradients that are computed in two halves of the rows, so that two threads which share the rows need not exchange
them (``csrc/ops/dense_weights.c``)."""

from fastnn._engine.runtime import Buffer
from fastnn.lowering.cost import elementwise_cycles
from fastnn.variables import is_large_matrix


class Halves:
    """The second halves of a program's gradients, which lie like the first ones.

    Parameters
    ----------
    places : dict of Variable to (Buffer, offset, nbytes)
        Where the gradients are, and thus their first halves.
    """

    def __init__(self, places):
        self._places = places
        self._twins = {}  # by the buffer of the first halves
        self._pending = []  # variables whose halves have been written, and not added up

    def __contains__(self, variable):
        return variable in self._pending

    @property
    def nbytes(self):
        return sum(twin.nbytes for twin in self._twins.values())

    def place(self, variable):
        """Where to write the gradient from the second half of the rows; None if it is not wanted."""
        if variable not in self._places:
            return None
        buffer, offset, nbytes = self._places[variable]
        if buffer not in self._twins:
            self._twins[buffer] = Buffer(buffer.nbytes)
        self._pending.append(variable)
        return self._twins[buffer], offset, nbytes

    def emit_sums(self, b):
        """Emit the sums of what has been written: of large matrices one by one, so that threads have what is theirs."""
        pieces = []  # [buffer, offset, nbytes, rows and columns of a large matrix]
        order = {variable: number for number, variable in enumerate(self._places)}  # by memory
        for variable in sorted(self._pending, key=order.get):
            buffer, offset, nbytes = self._places[variable]
            shape = variable.shape if is_large_matrix(variable) else (0, 0)
            before = pieces[-1] if pieces else [None, 0, 0, None]
            if shape == (0, 0) == before[3] and before[0] is buffer and before[1] + before[2] == offset:
                before[2] += nbytes
            else:
                pieces.append([buffer, offset, nbytes, shape])
        for number, (buffer, offset, nbytes, (rows, columns)) in enumerate(pieces):
            n = nbytes // 4
            b.emit(
                "join_halves", work=elementwise_cycles(n, 24), fence=number == 0, grad=(buffer, offset, nbytes),
                half=(self._twins[buffer], offset, nbytes), n=n, matrix_rows=rows, matrix_columns=columns,
            )  # fmt: skip
        self._pending.clear()
