"""A folded graph as plain dictionaries, and back: what images hold, and how a predictor without one is pickled."""

from fastnn.graph import Graph, Node, Tensor
from fastnn.operations import REGISTRY
from fastnn.variables import Variable


def to_plain(graph, store=lambda variable: variable.numpy()):
    """Describe a graph by names, numbers and what `store` makes of each variable."""
    numbers = {tensor: number for number, tensor in enumerate(graph.inputs)}
    nodes = []
    for node in graph.nodes:
        nodes.append(
            {
                "operation": node.operation.name,
                "inputs": [numbers[each] for each in node.inputs],
                "variables": {
                    name: each and (store(each), each.shape, each.layout) for name, each in node.variables.items()
                },
                "attributes": dict(node.attributes),
                "name": node.output.name,
            }
        )
        numbers[node.output] = len(numbers)
    return {
        "inputs": [(each.shape, each.dtype, each.name) for each in graph.inputs],
        "nodes": nodes,
        "outputs": [numbers[each] for each in graph.outputs],
    }


def from_plain(plain, load=lambda value, shape, layout: value):
    """Make the graph anew; `load` gives the value of each variable."""
    tensors = [Tensor(shape, dtype, name=name) for shape, dtype, name in plain["inputs"]]
    inputs = list(tensors)
    for each in plain["nodes"]:
        variables = {
            name: stored and Variable(load(*stored), name=name, layout=stored[2])
            for name, stored in each["variables"].items()
        }
        given = [tensors[number] for number in each["inputs"]]
        output = Node(REGISTRY[each["operation"]], given, variables, each["attributes"], None).output
        output.name = each["name"]
        tensors.append(output)
    return Graph(inputs, [tensors[number] for number in plain["outputs"]])
