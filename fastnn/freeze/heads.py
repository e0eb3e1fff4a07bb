"""What the numbers that a network puts out are."""


def head_of(node):
    """What makes the output of a node probabilities: "softmax", "sigmoid" or None."""
    if node is None:
        return None
    if node.operation.name == "softmax":
        return "softmax"
    return "sigmoid" if node.attributes.get("function") == "sigmoid" else None
