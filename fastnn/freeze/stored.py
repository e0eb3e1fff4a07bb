"""What is stored of a frozen network, and the table that `summary` prints of it."""

_BYTES = {"float32": 4, "float16": 2, "int8": 1}


def stored_bytes(node):
    """Bytes of an operation's constants, as they are counted without padding: kernels in their precision."""
    precision = node.attributes.get("precision", "float32")
    total = 0
    for name, variable in node.variables.items():
        if variable is not None:
            total += variable.size * (_BYTES[precision] if name == "kernel" else _BYTES["float32"])
    if precision == "int8":
        total += node.output.features * _BYTES["float32"]  # a scale for each unit
    return total


def table(graph):
    """The operations of a folded graph: shapes, parameters, what they are stored in, bytes; and their sums."""
    from tabulate import tabulate

    rows, parameters, nbytes = [], 0, 0
    for node in graph.nodes:
        size = sum(each.size for each in node.variables.values() if each is not None)
        precision = node.attributes.get("precision", "float32") if size else ""
        stored = stored_bytes(node)
        rows.append(
            [
                f"{node.output.name} ({node.operation.name})",
                str(node.output.shape),
                f"{size:,}",
                precision,
                f"{stored:,}",
            ]
        )
        parameters += size
        nbytes += stored
    head = ("Layer (operation)", "Output Shape", "Param #", "Precision", "Bytes")
    alignment = ("left", "left", "right", "left", "right")
    text = tabulate(rows, head, tablefmt="rounded_outline", colalign=alignment, disable_numparse=True)
    return f"{text}\n Total: {parameters:,} parameters, {nbytes:,} bytes"
