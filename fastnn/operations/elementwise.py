"""Elementwise functions of tensors that are broadcast against each other (see ``primitives``)."""

from fastnn.operations.base import Operation


class Elementwise(Operation):
    """Attributes of its nodes: `function`, the name of a primitive; `arguments`, a number for each argument that is one
    and None for each that is a tensor; `shape`, the output's.

    Groups of such nodes become one instruction; see ``fastnn/lowering/fusion.py``.
    """

    name = "elementwise"

    def output_shape(self, node):
        return node.attributes["shape"]
