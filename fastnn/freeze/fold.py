"""Rewrites a graph for inference: less of it is left, and the outputs stay.

The operations first say what they are at inference (`Operation.fold`). The passes of ``fastnn/freeze/folding`` then
make that smaller, one after the other, again and again until none finds anything: what one of them removes may have
been in another one's way. All arithmetic is in float64; constants are rounded to float32 once, at the end.
"""

from fastnn.freeze.folding.constants import compute_constants, find_layers
from fastnn.freeze.folding.inference import at_inference
from fastnn.freeze.folding.linear import merge_linear_layers
from fastnn.freeze.folding.rearrangements import cancel_rearrangements
from fastnn.freeze.folding.rounding import rounded
from fastnn.freeze.folding.scalings import fold_scalings
from fastnn.freeze.folding.sharing import share_equal_nodes
from fastnn.freeze.folding.units import remove_units
from fastnn.freeze.report import FoldReport

PASSES = (
    compute_constants,
    share_equal_nodes,
    cancel_rearrangements,
    fold_scalings,
    merge_linear_layers,
    remove_units,
)


def fold(graph):
    """Fold a graph for inference.

    Parameters
    ----------
    graph : Graph
        With variables. It is left as it is.

    Returns
    -------
    graph : Graph
        A new one over constants of its own.
    report : FoldReport
        What was folded into what, what was not and why; see ``report.notes``.

    Raises
    ------
    ValueError
        If a layer is called with ``training=True``: what it computes is not constant.
    """
    graph = graph.in_mode(False)
    report = FoldReport()
    network = at_inference(graph, report)
    compute_constants(network, report)
    find_layers(network, report)
    size = None
    while size != network.size:
        size = network.size
        for each in PASSES:
            each(network, report)
    folded = rounded(network, report)
    report.finish(graph, folded)
    return folded, report
