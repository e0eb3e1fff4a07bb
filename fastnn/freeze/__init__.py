"""From a trained model to a predictor: fold what is constant, pack the weights, keep nothing that only training needs.

``fold``       rewrites a graph: batch normalisation and scalings into the dense layers around them, dropout away
``pack``       makes its dense layers those that kernels of a precision read fastest
``balance``    makes the inputs of layers alike before weights are rounded to 8 bits
``quantize``   the numbers of the precision int8
``precision``  which layer gets which, told or measured, by ``evaluation`` on data; ``calibrate``: ranges of inputs
``report``     what all this did
``image``      the network as one block of bytes, which C checks, maps and runs: what a file holds
``description``  the part of it that Python reads
``predictor``  an image as a callable
``structured`` the same for several inputs or outputs
``serving``    `predict` and `evaluate` with Keras's arguments
"""

from fastnn.freeze.predictor import LookupPredictor, Predictor, from_image, load_frozen, predictor_of
from fastnn.freeze.report import FoldReport, FreezeReport, LayerReport, OutputReport
from fastnn.freeze.structured import StructuredPredictor

__all__ = [
    "FoldReport", "FreezeReport", "LayerReport", "LookupPredictor", "OutputReport", "Predictor",
    "StructuredPredictor", "freeze", "from_image", "load_frozen",
]  # fmt: skip


def freeze(model, precision="float32", calibration_data=None, validation_data=None, tolerance=None):
    """Fold and pack a model; see `fastnn.models.Model.freeze`."""
    from fastnn.freeze.fold import fold  # here: who loads a predictor does not need them
    from fastnn.freeze.precision import check_arguments, packed

    check_arguments(precision, calibration_data, validation_data, tolerance)
    folded, folding = fold(model.graph)
    graph, report = packed(model, folded, folding, precision, calibration_data, validation_data, tolerance)
    return predictor_of(graph, report, model)
