"""What a functional model is: everything between given inputs and outputs, as calls of layers."""

from collections import Counter
from functools import cached_property

from fastnn import _tree
from fastnn.graph import Call, Graph, Node, Tensor
from fastnn.layers.tracing import alike
from fastnn.operations import inside_call


class Network:
    """The calls of layers between inputs and outputs.

    Parameters
    ----------
    inputs, outputs : Tensor, or list, tuple or dict of some

    Attributes
    ----------
    inputs, outputs
        As they were given.
    graph : Graph
        Of the operations that the calls consist of.
    """

    def __init__(self, inputs, outputs):
        self.inputs = inputs
        self.outputs = outputs

    @cached_property
    def graph(self):
        return Graph(_tree.flatten(self.inputs), _tree.flatten(self.outputs))

    # ---- structure ---------------------------------------------------------------------------------------------------

    @cached_property
    def steps(self):
        """Calls of layers, and nodes of operations outside of layers, in an order in which they can be computed; those
        of the inputs included."""
        steps, known = [], {}
        stack = [(maker(tensor), False) for tensor in reversed(self.graph.outputs)]
        while stack:
            step, inputs_done = stack.pop()
            if step in known and not inputs_done:
                continue
            if inputs_done:
                steps.append(step)
            else:
                known[step] = None
                stack.append((step, True))
                if not self._is_input(step):
                    stack.extend((maker(tensor), False) for tensor in reversed(step.inputs))
        unused = [maker(tensor) for tensor in self.graph.inputs]
        return [step for step in unused if step not in known] + steps

    def _is_input(self, step):
        return isinstance(step, Call) and not step.args

    @cached_property
    def layers(self):
        """The layers, those of the inputs included, in Keras's order: the farther from the outputs the earlier, and
        then as a walk from the outputs meets them."""
        return [each for each in self.owners if not isinstance(each, Node)]

    @cached_property
    def owners(self):
        """The layers, and the nodes of operations outside of layers, in the order of `layers`."""
        depth_of_step, depths = {}, {}
        for step in reversed(self.steps):
            owner = owner_of(step)
            depth = max(depth_of_step.get(step, 0), depths.get(owner, 0))
            depths[owner] = depth_of_step[step] = depth
            for tensor in () if self._is_input(step) else step.inputs:
                before = maker(tensor)
                depth_of_step[before] = max(depth + 1, depth_of_step.get(before, 0))
        met = {owner: number for number, owner in enumerate(self._as_met())}
        return sorted(depths, key=lambda owner: (-depths[owner], met.get(owner, -1)))

    def _as_met(self):
        """Owners of the steps in the order in which a walk from the outputs first comes to them."""
        met, seen = {}, set()
        stack = [maker(tensor) for tensor in reversed(self.graph.outputs)]
        while stack:
            step = stack.pop()
            if step in seen:
                continue
            seen.add(step)
            met.setdefault(owner_of(step))
            if not self._is_input(step):
                stack.extend(maker(tensor) for tensor in reversed(step.inputs))
        return met

    def is_input_of(self, layer):
        """Is this the layer of one of the inputs?"""
        return any(each.call is not None and each.call.layer is layer for each in self.graph.inputs)

    def calls_of(self, owner):
        """The steps of this network that a layer (or a node) makes, in the order in which they were made."""
        calls = [step for step in self.steps if owner_of(step) is owner]
        return sorted(calls, key=lambda call: call.number) if len(calls) > 1 else calls

    @cached_property
    def output_names(self):
        """Of each output: the name of the layer that makes it."""
        return [name_of(owner_of(maker(tensor))) for tensor in self.graph.outputs]

    # ---- doing the same with other inputs ----------------------------------------------------------------------------

    def apply(self, inputs, training=None, call=None, again=None):
        """Make all calls anew, from other inputs.

        Parameters
        ----------
        inputs : list of Tensor
        training : bool, optional
            Passed on to every layer that takes it.
        call : callable (layer, *args, **kwargs), optional
            What is done instead of calling a layer.
        again : list, optional
            Takes each call of this network and the new one, which its layer then does not remember.

        Returns
        -------
        Tensor or structure of some
            Like `outputs`.
        """
        made = dict(zip(self.graph.inputs, inputs, strict=True))

        def new(value):
            return made[value] if isinstance(value, Tensor) else value

        for step in self.steps:
            if self._is_input(step):
                continue
            if isinstance(step, Node):
                taken = [new(each) for each in step.inputs]
                made[step.output] = Node(step.operation, taken, step.variables, dict(step.attributes), None).output
                continue
            args, kwargs = _tree.map_structure(new, (list(step.args), step.kwargs))
            if training is not None and step.layer._call_takes_training():
                kwargs = {**kwargs, "training": training}
            outputs = call(step.layer, *args, **kwargs) if call else step.layer(*args, **kwargs)
            made.update(zip(_tree.flatten(step.outputs), _tree.flatten(outputs), strict=True))
            if again is not None:
                again.append((step, step.layer._calls.pop()))
        return _tree.pack(self.outputs, [made[each] for each in self.graph.outputs])

    def traced_again(self):
        """What the same calls make now: another network if arguments of layers have changed since, else this one."""
        again = []
        with inside_call(False):
            network = Network(self.inputs, self.apply(self.graph.inputs, again=again))
        if alike(network.outputs, self.outputs, but=()):
            return self
        for old, new in again:  # layers remember the new call in place of the old one
            calls = old.layer._calls
            new.number = old.number
            if old in calls:
                calls[calls.index(old)] = new
        return network


def between(inputs, outputs):
    """The network between tensors. Where one of the inputs is no Input but what some layer made, Inputs of their own
    take the place of such, and the layers are called again.

    Raises
    ------
    ValueError
        If something is no symbolic tensor, an input comes twice, two layers have the same name, or an output depends
        on what is no input.
    """
    for name, values in (("inputs", inputs), ("outputs", outputs)):
        for each in _tree.flatten(values):
            if not isinstance(each, Tensor):
                raise ValueError(
                    f"All `{name}` of a model must be symbolic tensors, made by Input() and by calling layers. "
                    f"Received: {each!r:.100} of type {type(each).__name__}"
                )
    flat = _tree.flatten(inputs)
    if not flat or not _tree.flatten(outputs):
        raise ValueError(f"A model has at least one input and one output. Received: {inputs=}, {outputs=}")
    if len(set(flat)) < len(flat):
        raise ValueError(f"Every input may be given once. Received: inputs={inputs}")
    network = Network(inputs, outputs)
    if any(tensor.node is not None for tensor in flat):
        from fastnn.layers.inputs import Input

        fresh = [each if each.node is None else Input(each.shape[1:], name=f"{each.name}_input") for each in flat]
        again = _Cut(inputs, outputs)
        with inside_call(False):
            network = Network(_tree.pack(inputs, fresh), again.apply(fresh))
    for name, times in Counter(layer.name for layer in network.layers).items():
        if times > 1:
            raise ValueError(
                f"The name {name!r} is used {times} times in the model. All layers need names of their own: "
                "layers.Dense(10, name=...)."
            )
    return network


class _Cut(Network):
    """A network some of whose inputs are made by layers, which do not belong to it."""

    def _is_input(self, step):
        return super()._is_input(step) or any(each in self.graph.inputs for each in _outputs(step))


def _outputs(step):
    return _tree.flatten(step.outputs) if isinstance(step, Call) else [step.output]


def maker(tensor):
    """The call or, outside of layers, the node that a tensor comes from."""
    return tensor.call or tensor.node


def owner_of(step):
    return step.layer if isinstance(step, Call) else step


def name_of(owner):
    """The name of a layer, or of a node outside of layers."""
    return owner.output.name if isinstance(owner, Node) else owner.name
