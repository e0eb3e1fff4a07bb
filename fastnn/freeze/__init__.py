"""From a trained model to a predictor: fold what is constant, pack the weights, keep nothing that only training needs.

``fold``       rewrites a graph: batch normalisation and scalings into the dense layers around them, dropout away
``pack``       makes its dense layers those that kernels of a precision read fastest
``balance``    makes the inputs of layers alike before weights are rounded to 8 bits
``quantize``   the numbers of the precision int8
``image``      the network as one block of bytes, which C checks, maps and runs: what a file holds
``predictor``  an image as a callable
``structured`` the same for several inputs or outputs
"""

from fastnn.freeze.fold import fold
from fastnn.freeze.pack import check_precision, pack
from fastnn.freeze.predictor import LookupPredictor, Predictor, from_image, load_frozen, predictor_of
from fastnn.freeze.structured import StructuredPredictor

__all__ = [
    "LookupPredictor", "Predictor", "StructuredPredictor", "fold", "freeze", "from_image", "load_frozen", "pack",
]  # fmt: skip


def freeze(model, precision="float32"):
    """Fold and pack a model; see `fastnn.models.Model.freeze`."""
    check_precision(precision)
    graph, report = fold(model.graph)
    return predictor_of(pack(graph, precision), report.notes, model)
