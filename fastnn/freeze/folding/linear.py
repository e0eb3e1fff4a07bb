"""Linear layers that follow each other become one, where that is less work."""


def merge_linear_layers(network, report):
    """Multiply the kernels of dense layers with nothing in between, if nobody else reads what lies there.

    Of ``k1 -> n1 -> n2`` features one layer has ``k1 * n2`` products, two have ``k1 * n1 + n1 * n2``: a narrow middle
    is cheaper left alone. A table of an embedding takes a dense layer that follows if it does not grow.
    """
    for node in network.nodes:
        first = node.inputs[0].node if node.operation.name == "dense" else None
        if first is None or network.only_reader(first.output) is not node:
            continue
        kernel, bias = (node.variables[name].value for name in ("kernel", "bias"))
        if first.operation.name == "dense":
            own = first.variables["kernel"].value
            if own.shape[0] * kernel.shape[1] > own.size + kernel.size:
                report.keep(first, f"multiplied into {node.output.name}, it would be more work than both")
                continue
            network.set_constants(node, kernel=own @ kernel, bias=first.variables["bias"].value @ kernel + bias)
            network.set_inputs(node, first.inputs)
            report.notes.append(f"{first.output.name} multiplied into {node.output.name}: nothing is between them")
        elif first.operation.name == "embedding":
            table = first.variables["embeddings"].value
            if len(table) * kernel.shape[1] <= table.size + kernel.size:
                network.set_constants(first, embeddings=table @ kernel + bias)
                first.output.shape = node.output.shape
                network.replace(node.output, first.output)
                report.notes.append(f"{node.output.name} multiplied into the table of {first.output.name}")
