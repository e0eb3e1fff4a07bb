"""From a trained model to a predictor: fold what is constant, pack the weights, keep nothing that only training needs.

``fold``       rewrites a graph: batch normalisation and scalings into the dense layers around them, dropout away
``predictor``  the frozen network as a callable
``structured`` the same for several inputs or outputs
"""

from fastnn.freeze.fold import fold
from fastnn.freeze.predictor import LookupPredictor, Predictor
from fastnn.freeze.structured import StructuredPredictor
from fastnn.operations.lookup import Lookup

__all__ = ["Predictor", "StructuredPredictor", "fold", "freeze"]


def freeze(model):
    """Fold and pack a model; see `fastnn.models.Model.freeze`."""
    graph, notes = fold(model.graph.in_mode(False))
    if len(graph.inputs) == len(graph.outputs) == 1:
        looks_up = any(isinstance(node.operation, Lookup) for node in graph.nodes)
        return (LookupPredictor if looks_up else Predictor)(graph, notes, name=model.name)
    return StructuredPredictor(graph, notes, model.input, model.output, model.input_names, name=model.name)
