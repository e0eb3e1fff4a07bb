"""The picture that `fastnn.utils.plot_model` draws: layers as boxes in ranks, arrows where tensors go.

Drawn with matplotlib, so that nothing but a Python package is needed. Ranks are longest paths from the inputs; in a
rank, boxes are ordered by the mean place of their neighbours in the rank before (Sugiyama et al., 1981). A model inside
the model is laid out by itself, and then is one large box, its frame.
"""

from fastnn import _tree
from fastnn.graph import Node
from fastnn.models.functional import Functional
from fastnn.models.network import name_of, owner_of

_LINE, _CHARACTER, _GAP, _MARGIN = 0.22, 0.085, 0.45, 0.25  # inches


class _Box:
    """A layer in the picture."""

    parts = ()

    def __init__(self, lines, frame):
        self.lines = lines
        self.frame = frame  # around it, if it is in a model inside the model
        self.before = []  # boxes whose outputs it takes
        self.rank = 0
        self.x = self.y = 0.0
        self.width = max(len(line) for line in lines) * _CHARACTER + 2 * _MARGIN
        self.height = len(lines) * _LINE + _MARGIN

    def boxes(self):
        """Itself, or all boxes inside."""
        return [self]

    def takes(self, other):
        """Draw an arrow to it."""
        if other not in self.before:
            self.before.append(other)

    def move(self, x, y):
        self.x += x
        self.y += y


class _Frame(_Box):
    """A model in the picture, with its layers inside."""

    def __init__(self, name, frame):
        super().__init__([name], frame)
        self.parts = []  # boxes and frames
        self.readers = []  # for each input of the model, the boxes that read it
        self.sources = {}  # for each tensor inside, the box that it comes from

    def boxes(self):
        return [box for part in self.parts for box in part.boxes()]

    def move(self, x, y):
        super().move(x, y)
        for part in self.parts:
            part.move(x, y)

    def place_parts(self, rankdir):
        """Give every part its place, and the frame its size and place: the corner of the picture."""
        width, height = _place(self.parts, rankdir)
        for part in self.parts:
            part.move(max(self.width - width, 0) / 2, _LINE)  # below the name
        self.width, self.height = max(self.width, width), height + _LINE
        self.x, self.y = self.width / 2, self.height / 2


def draw(
    model, show_shapes, show_dtype, show_layer_names, rankdir, expand_nested, show_layer_activations, show_trainable
):
    """The picture as a matplotlib `Figure`; see `fastnn.utils.plot_model`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import FancyBboxPatch, Rectangle

    shown = show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable
    boxes = _described(model, expand_nested, shown)
    width, height = _place(boxes, rankdir)
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
    axes.axis("off")
    for frame in _frames(boxes):
        corner = frame.x - frame.width / 2, frame.y - frame.height / 2
        axes.add_patch(Rectangle(corner, frame.width, frame.height, fill=False, linestyle="--", ec="#33506f", zorder=1))
        axes.text(corner[0] + 0.1, corner[1] + 0.1, frame.lines[0], va="top", family="monospace", fontsize=9, zorder=2)
    for box in (each for one in boxes for each in one.boxes()):
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
            if _goes_back(start, end, rankdir):
                arrow["connectionstyle"] = "arc3,rad=0.4"  # around what lies between
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
    names = {box: f"{model.name}_{number}" for number, box in enumerate(each for one in boxes for each in one.boxes())}
    frames = {frame: number for number, frame in enumerate(_frames(boxes))}

    def add(parts, to):
        for part in parts:
            if part.parts:
                inner = pydot.Cluster(
                    graph_name=f"{model.name}_frame_{frames[part]}", style="dashed", label=_quoted(part.lines),
                    labeljust="l",
                )  # fmt: skip
                add(part.parts, inner)
                to.add_subgraph(inner)
            else:
                to.add_node(pydot.Node(names[part], label=_quoted(part.lines), shape="box", fontname="Helvetica"))

    add(boxes, graph)
    for box, name in names.items():
        for other in box.before:
            graph.add_edge(pydot.Edge(names[other], name))
    return graph


def _quoted(lines):
    text = "\\n".join(line.replace("\\", "\\\\").replace('"', '\\"') for line in lines)
    return f'"{text}"'


def _frames(boxes):
    """All frames among the boxes, the outer ones first."""
    return [each for box in boxes if box.parts for each in (box, *_frames(box.parts))]


def _described(model, expand_nested, shown):
    if not hasattr(model, "_known_network"):
        raise TypeError(
            f"A picture is drawn of a fastnn.Model, before it is frozen. Received: {model!r:.200} of type {type(model)}"
        )
    picture = _Frame(model.name, None)
    _fill(picture, model, lambda owner, network: _lines(owner, network, *shown), expand_nested)
    return picture.parts


def _fill(frame, model, describe, expand_nested):
    """Put a model's boxes into its frame. In models inside the model, inputs have boxes only where they are layers of
    the model, as in Keras: where `Model(inputs, outputs)` was made of them."""
    network, made = model._known_network(), {}
    inputs = network.graph.inputs
    hidden = set() if frame.frame is None or isinstance(model, Functional) else {*inputs} - {*network.graph.outputs}
    readers = {tensor: [] for tensor in inputs}
    for step in network.steps:
        owner = owner_of(step)
        outputs = [step.output] if isinstance(step, Node) else _tree.flatten(step.outputs)
        if all(each in hidden for each in outputs):
            continue
        inner = getattr(owner, "_network", None) if expand_nested else None
        if owner not in made:
            made[owner] = _Box(describe(owner, network), frame) if inner is None else _Frame(owner.name, frame)
            frame.parts.append(made[owner])
            if inner is not None:
                _fill(made[owner], owner, describe, True)
        part, taken = made[owner], _inputs_of(network, step)
        ends = [part] * len(outputs) if inner is None else [part.sources[each] for each in inner.graph.outputs]
        entries = [[part]] * len(taken) if inner is None else part.readers
        for tensor, boxes in zip(taken, entries, strict=True):
            if tensor in hidden:
                readers[tensor] += boxes
            else:
                for box in boxes:
                    box.takes(frame.sources[tensor])
        frame.sources.update(zip(outputs, ends, strict=True))
    frame.readers = [readers[each] if each in hidden else [frame.sources[each]] for each in inputs]


def _inputs_of(network, step):
    return step.inputs if isinstance(step, Node) or step.args else []


def _lines(owner, network, shapes, dtype, names, activations, trainable):
    kind = owner.operation.name if isinstance(owner, Node) else type(owner).__name__
    lines = [f"{name_of(owner)} ({kind})" if names else kind]
    function = getattr(owner, "activation", None)
    if activations and function is not None:
        lines.append(f"activation: {getattr(function, '__name__', type(function).__name__)}")
    steps = network.calls_of(owner)
    outputs = [steps[0].output] if isinstance(owner, Node) else _tree.flatten(steps[0].outputs)
    if shapes:
        given = [str(each.shape) for each in _inputs_of(network, steps[0])]
        if given:
            lines.append(f"input: {', '.join(given)}")
        lines.append(f"output: {', '.join(str(each.shape) for each in outputs)}")
    if dtype:
        lines.append(f"dtype: {', '.join(dict.fromkeys(each.dtype for each in outputs))}")
    if trainable and not isinstance(owner, Node) and owner.weights:
        lines.append("trainable" if owner.trainable else "not trainable")
    return lines


def _place(boxes, rankdir):
    """Give every box its place; returns the size of the picture."""
    for frame in boxes:
        if frame.parts:
            frame.place_parts(rankdir)
    before = {box: _before(box, boxes) for box in boxes}
    _rank(before)
    ranks = [[] for _ in range(1 + max(box.rank for box in boxes))]
    for box in boxes:
        ranks[box.rank].append(box)
    across, along = ("height", "width") if rankdir in ("LR", "RL") else ("width", "height")
    extent = max(sum(getattr(box, across) + _GAP for box in rank) for rank in ranks) + _GAP
    position, places = _GAP, {}
    for rank in filter(None, ranks):
        rank.sort(key=lambda box: _mean([places[each][0] for each in before[box] if each in places], extent / 2))
        offset = (extent - sum(getattr(box, across) + _GAP for box in rank) + _GAP) / 2
        depth = max(getattr(box, along) for box in rank)
        for box in rank:
            places[box] = offset + getattr(box, across) / 2, position + depth / 2
            offset += getattr(box, across) + _GAP
        position += depth + _GAP
    for box, (one, other) in places.items():
        other = position - other if rankdir in ("BT", "RL") else other
        x, y = (other, one) if rankdir in ("LR", "RL") else (one, other)
        box.move(x - box.x, y - box.y)  # of a frame, what is inside moves, too
    return (position, extent) if rankdir in ("LR", "RL") else (extent, position)


def _rank(before):
    """Give every box its rank, after those before it. Arrows that close a circle, which layers that are called several
    times can do, do not count."""
    done, opened, stack = set(), set(), list(reversed(before))
    while stack:
        box = stack[-1]
        opened.add(box)
        waiting = [each for each in before[box] if each not in opened]
        if waiting and box not in done:
            stack += waiting
            continue
        if box not in done:
            box.rank = max((each.rank + 1 for each in before[box] if each in done), default=0)
            done.add(box)
        stack.pop()


def _before(box, boxes):
    """Which of some boxes and frames it takes outputs of, or something inside it does."""
    found = {}
    for other in (each for one in box.boxes() for each in one.before):
        while other is not None and other not in boxes:
            other = other.frame
        found[other] = None
    return [each for each in found if each not in (None, box)]


def _mean(values, default):
    return sum(values) / len(values) if values else default


def _ends(start, end, rankdir):
    """Where the arrow between two boxes begins and ends."""
    if rankdir in ("LR", "RL"):
        sign = 1 if rankdir == "LR" else -1
        return (start.x + sign * start.width / 2, start.y), (end.x - sign * end.width / 2, end.y)
    sign = 1 if rankdir == "TB" else -1
    return (start.x, start.y + sign * start.height / 2), (end.x, end.y - sign * end.height / 2)


def _goes_back(start, end, rankdir):
    """Does the arrow point against the direction of the picture, to a layer that is called again?"""
    axis = 0 if rankdir in ("LR", "RL") else 1
    return (end[axis] - start[axis]) * (1 if rankdir in ("LR", "TB") else -1) < 0
