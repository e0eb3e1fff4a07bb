"""Which elementwise nodes of a graph become one instruction.

A node joins the group of its consumers if nobody else reads its output and the shapes agree: a group is one formula
over what comes from outside. Its backward pass computes what it needs of the forward values once more, from the
group's inputs: that is arithmetic on values in registers, where keeping them would be traffic to memory.
"""

from fastnn.lowering.formula import Formula
from fastnn.lowering.layout import emit_formula, is_batched, new_slot, sum_to
from fastnn.lowering.primitives import ACTIVATIONS

_MOST_INPUTS, _MOST_NODES = 8, 48


class Group:
    """Nodes that are one formula.

    Attributes
    ----------
    root : Node
        Whose output is the formula's.
    nodes : set of Node
    inputs : list of Tensor
        What comes from outside, each once.
    """

    def __init__(self, root):
        self.root = root
        self.nodes = {root}
        self.inputs = list(dict.fromkeys(root.inputs))

    def inputs_with(self, node):
        """The inputs of the group if a node joined it."""
        rest = [each for each in self.inputs if each is not node.output]
        return list(dict.fromkeys([*rest, *node.inputs]))

    def formula(self):
        """The formula over the inputs, and its term."""
        formula = Formula()
        terms = {tensor: formula.input(number) for number, tensor in enumerate(self.inputs)}
        stack = [self.root]
        while stack:
            node = stack[-1]
            missing = [each.node for each in node.inputs if each not in terms]
            if missing:
                stack += missing
            else:
                terms[stack.pop().output] = _term(formula, node, [terms[each] for each in node.inputs])
        return formula, terms[self.root.output]

    def forward(self, b):
        """Emit the formula; returns the slot of its value."""
        formula, output = self.formula()
        shape = self.root.output.shape
        y = new_slot(b, shape)
        emit_formula(b, formula, [output], [(b.slot(each), each.shape) for each in self.inputs], [y], shape)
        return y

    def backward(self, b, gradient):
        """Emit the gradients of the inputs that need one."""
        formula, output = self.formula()
        shape = self.root.output.shape
        wanted = [number for number, tensor in enumerate(self.inputs) if b.needs_gradient(tensor)]
        given = formula.input(len(self.inputs))
        terms = formula.gradients(output, given, wanted)
        found = [(self.inputs[number], term) for number, term in zip(wanted, terms, strict=True) if term is not None]
        for tensor in [tensor for tensor, term in found if term.number == given.number]:  # of a sum
            if tensor.shape == shape:
                b.propagate_alias(tensor, gradient)
            else:
                b.set_gradient(tensor, sum_to(b, gradient, shape, tensor.shape))
        found = [(tensor, term) for tensor, term in found if term.number != given.number]
        if not found:
            return
        inputs = [(b.slot(each), each.shape) for each in self.inputs] + [(gradient, shape)]
        slots = [new_slot(b, shape) for _ in found]
        emit_formula(b, formula, [term for _, term in found], inputs, slots, shape)
        for (tensor, _), slot in zip(found, slots, strict=True):
            b.set_gradient(tensor, sum_to(b, slot, shape, tensor.shape))


def _term(formula, node, terms):
    if node.operation.name == "elementwise":
        known = iter(terms)
        arguments = [next(known) if each is None else each for each in node.attributes["arguments"]]
        return formula.apply(node.attributes["function"], *arguments)
    return ACTIVATIONS[node.attributes["function"]](terms[0], node.attributes["alpha"])


def groups(graph, apart=()):
    """The groups of a graph: a dict from each node that is in one to its `Group`.

    `apart` are nodes that must stay as they are.
    """
    found = {}
    outputs = set(graph.outputs)
    for node in reversed(graph.nodes):
        if not _fits(node) or node in apart:
            continue
        readers = {found.get(each) for each in graph.consumers(node.output)}
        group = readers.pop() if len(readers) == 1 else None
        if (
            group is not None
            and node.output not in outputs
            and node.output.shape == group.root.output.shape
            and len(group.nodes) < _MOST_NODES
            and len(group.inputs_with(node)) <= _MOST_INPUTS
        ):
            group.inputs = group.inputs_with(node)
            group.nodes.add(node)
        else:
            group = Group(node)
        found[node] = group
    return {node: group for node, group in found.items() if len(group.nodes) > 1 or not _has_kernel(node)}


def _has_kernel(node):
    """Is this an activation of a matrix? Alone it has a kernel."""
    shape = node.output.shape
    return node.operation.name == "activation" and is_batched(shape) and len(shape) > 1


def _fits(node):
    if node.operation.name == "elementwise":
        return True
    if node.operation.name != "activation" or node.attributes["function"] not in ACTIVATIONS:
        return False
    before = node.inputs[0].node  # a dense layer applies the activation itself
    return before is None or before.operation.name not in ("dense", "packed_dense")
