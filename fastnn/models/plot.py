"""The picture that `fastnn.utils.plot_model` draws: layers as boxes in ranks, arrows where tensors go.

Drawn with matplotlib, so that nothing but a Python package is needed. Ranks are longest paths from the inputs; in a
rank, boxes are ordered by the mean place of their neighbours in the rank before (Sugiyama et al., 1981).
"""

from fastnn import _tree
from fastnn.graph import Node
from fastnn.models.network import name_of, owner_of

_LINE, _CHARACTER, _GAP, _MARGIN = 0.22, 0.085, 0.45, 0.25  # inches


class _Box:
    """A layer in the picture."""

    def __init__(self, lines):
        self.lines = lines
        self.before = []  # boxes whose outputs it takes
        self.rank = 0
        self.x = self.y = 0.0
        self.width = max(len(line) for line in lines) * _CHARACTER + 2 * _MARGIN
        self.height = len(lines) * _LINE + _MARGIN


def draw(
    model, show_shapes, show_dtype, show_layer_names, rankdir, expand_nested, show_layer_activations, show_trainable
):
    """The picture as a matplotlib `Figure`; see `fastnn.utils.plot_model`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import FancyBboxPatch

    shown = show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable
    boxes = _described(model, expand_nested, shown)
    width, height = _place(boxes, rankdir)
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
    axes.axis("off")
    for box in boxes:
        axes.text(
            box.x, box.y, "\n".join(box.lines), ha="center", va="center", family="monospace", fontsize=9, zorder=2,
        )  # fmt: skip
        corner = box.x - box.width / 2 + 0.05, box.y - box.height / 2 + 0.05
        shape = FancyBboxPatch(
            corner, box.width - 0.1, box.height - 0.1, boxstyle="round,pad=0.05", fc="#eef3fa", ec="#33506f", zorder=1,
        )  # fmt: skip
        axes.add_patch(shape)
        for other in box.before:
            start, end = _ends(other, box, rankdir)
            arrow = {"arrowstyle": "-|>", "color": "#33506f", "shrinkA": 0, "shrinkB": 0}
            axes.annotate("", end, start, arrowprops=arrow, zorder=0)
    return figure


def dot(model, rankdir, expand_nested, dpi, subgraph, splines, *shown):
    """The picture as a pydot graph; see `fastnn.utils.model_to_dot`."""
    import pydot

    boxes = _described(model, expand_nested, shown)
    if subgraph:
        graph = pydot.Cluster(graph_name=model.name, style="dashed", label=model.name, labeljust="l")
    else:
        graph = pydot.Dot(rankdir=rankdir, concentrate=True, dpi=dpi, splines=splines)
    names = {box: f"{model.name}_{number}" for number, box in enumerate(boxes)}
    for box, name in names.items():
        label = "\\n".join(line.replace("\\", "\\\\").replace('"', '\\"') for line in box.lines)
        graph.add_node(pydot.Node(name, label=f'"{label}"', shape="box", fontname="Helvetica"))
    for box, name in names.items():
        for other in box.before:
            graph.add_edge(pydot.Edge(names[other], name))
    return graph


def _described(model, expand_nested, shown):
    if not hasattr(model, "_known_network"):
        raise TypeError(
            f"A picture is drawn of a fastnn.Model, before it is frozen. Received: {model!r:.200} of type {type(model)}"
        )
    boxes, _ = _boxes(model._known_network(), lambda owner, network: _lines(owner, network, *shown), expand_nested, {})
    return boxes


def _boxes(network, describe, expand_nested, inputs):
    """The boxes of a network, and for each of its tensors the box that it comes from.

    Parameters
    ----------
    inputs : dict of Tensor to _Box
        Where the inputs come from, if the network is part of another.
    """
    made, boxes, sources = {}, [], dict(inputs)
    for step in network.steps:
        owner = owner_of(step)
        outputs = [step.output] if isinstance(step, Node) else _tree.flatten(step.outputs)
        if all(each in sources for each in outputs):
            continue  # an input of a network inside another
        taken = [sources[each] for each in _inputs_of(network, step)]
        inner = getattr(owner, "_network", None)
        if expand_nested and inner is not None:
            parts, found = _boxes(inner, describe, True, dict(zip(inner.graph.inputs, taken, strict=True)))
            boxes += parts
            sources.update(zip(outputs, (found[each] for each in inner.graph.outputs), strict=True))
            continue
        if owner not in made:
            made[owner] = _Box(describe(owner, network))
            boxes.append(made[owner])
        made[owner].before += [each for each in taken if each not in made[owner].before]
        sources.update(dict.fromkeys(outputs, made[owner]))
    return boxes, sources


def _inputs_of(network, step):
    return step.inputs if isinstance(step, Node) or step.args else []


def _lines(owner, network, shapes, dtype, names, activations, trainable):
    kind = owner.operation.name if isinstance(owner, Node) else type(owner).__name__
    lines = [f"{name_of(owner)} ({kind})" if names else kind]
    function = getattr(owner, "activation", None)
    if activations and function is not None:
        lines.append(f"activation: {getattr(function, '__name__', type(function).__name__)}")
    steps = network.calls_of(owner)
    if shapes:
        given = [str(each.shape) for each in (_inputs_of(network, steps[0]) if steps else [])]
        outputs = [steps[0].output] if isinstance(owner, Node) else _tree.flatten(steps[0].outputs)
        if given:
            lines.append(f"input: {', '.join(given)}")
        lines.append(f"output: {', '.join(str(each.shape) for each in outputs)}")
    if dtype:
        lines.append("dtype: float32")
    if trainable and not isinstance(owner, Node) and owner.weights:
        lines.append("trainable" if owner.trainable else "not trainable")
    return lines


def _place(boxes, rankdir):
    """Give every box its place; returns the size of the picture."""
    for _ in boxes:  # a shared layer may come before what it takes: as often as ranks can grow
        changed = False
        for box in boxes:
            rank = max((each.rank + 1 for each in box.before if each is not box), default=0)
            if rank > box.rank and rank < len(boxes):
                box.rank, changed = rank, True
        if not changed:
            break
    ranks = [[] for _ in range(1 + max(box.rank for box in boxes))]
    for box in boxes:
        ranks[box.rank].append(box)
    across, along = ("height", "width") if rankdir in ("LR", "RL") else ("width", "height")
    extent = max(sum(getattr(box, across) + _GAP for box in rank) for rank in ranks) + _GAP
    position, places = _GAP, {}
    for rank in filter(None, ranks):
        rank.sort(key=lambda box: _mean([places[each][0] for each in box.before if each in places], extent / 2))
        offset = (extent - sum(getattr(box, across) + _GAP for box in rank) + _GAP) / 2
        depth = max(getattr(box, along) for box in rank)
        for box in rank:
            places[box] = offset + getattr(box, across) / 2, position + depth / 2
            offset += getattr(box, across) + _GAP
        position += depth + _GAP
    for box, (one, other) in places.items():
        other = position - other if rankdir in ("BT", "RL") else other
        box.x, box.y = (other, one) if rankdir in ("LR", "RL") else (one, other)
    return (position, extent) if rankdir in ("LR", "RL") else (extent, position)


def _mean(values, default):
    return sum(values) / len(values) if values else default


def _ends(start, end, rankdir):
    """Where the arrow between two boxes begins and ends."""
    if rankdir in ("LR", "RL"):
        sign = 1 if rankdir == "LR" else -1
        return (start.x + sign * start.width / 2, start.y), (end.x - sign * end.width / 2, end.y)
    sign = 1 if rankdir == "TB" else -1
    return (start.x, start.y + sign * start.height / 2), (end.x, end.y - sign * end.height / 2)
