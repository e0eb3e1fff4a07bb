"""The table that `model.summary()` prints."""


def summary_text(model, show_trainable=False):
    """Layers, output shapes and numbers of parameters of a model, as text."""
    from tabulate import tabulate

    outputs = {node.layer: node.output for node in model.graph.nodes if node.layer is not None}
    headers = ["Layer (type)", "Output Shape", "Param #"] + ["Trainable"] * show_trainable
    rows = []
    for layer in model.layers:
        inside = [outputs[each] for each in layer._all_layers() if each in outputs]
        shape = str(inside[-1].shape) if inside else "?"
        row = [f"{layer.name} ({type(layer).__name__})", shape, f"{layer.count_params():,}"]
        rows.append(row + ["Y" if layer.trainable else "N"] * show_trainable)
    trainable = sum(variable.size for variable in model.trainable_weights)
    total = sum(variable.size for variable in model.weights)
    table = tabulate(rows, headers, tablefmt="rounded_outline", colalign=["left", "left", "right"], disable_numparse=True)
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
