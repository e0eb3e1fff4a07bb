"""The table that `model.summary()` prints."""


def summary_text(model, show_trainable=False):
    """Layers, output shapes and numbers of parameters of a model, as text."""
    from tabulate import tabulate

    inside = {layer: row for row, outer in enumerate(model.layers) for layer in outer._all_layers()}
    outputs = {inside[node.layer]: node.output for node in model.graph.nodes if node.layer in inside}
    headers = ["Layer (type)", "Output Shape", "Param #"] + ["Trainable"] * show_trainable
    rows = []
    shape = model.input_shape
    for number, layer in enumerate(model.layers):
        shape = outputs[number].shape if number in outputs else shape  # no node: the layer gives on what it gets
        row = [f"{layer.name} ({type(layer).__name__})", str(shape), f"{layer.count_params():,}"]
        rows.append(row + ["Y" if layer.trainable else "N"] * show_trainable)
    trainable = sum(variable.size for variable in model.trainable_weights)
    total = sum(variable.size for variable in model.weights)
    alignment = ["left", "left", "right"] + ["left"] * show_trainable
    table = tabulate(rows, headers, tablefmt="rounded_outline", colalign=alignment, disable_numparse=True)
    lines = [
        f'Model: "{model.name}"',
        table,
        f" Total params: {total:,} ({_size(total * 4)})",
        f" Trainable params: {trainable:,} ({_size(trainable * 4)})",
        f" Non-trainable params: {total - trainable:,} ({_size((total - trainable) * 4)})",
    ]
    return "\n".join(lines)


def _size(nbytes):
    for unit in ("B", "KB", "MB"):
        if nbytes < 1024:
            return f"{nbytes:.2f} {unit}"
        nbytes /= 1024
    return f"{nbytes:.2f} GB"
