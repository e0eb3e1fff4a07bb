"""The largest values that reach each dense layer on data: what int8 rounds its inputs for."""

import numpy as np

from fastnn.graph import Graph
from fastnn.lowering.programs import Prediction

_ROWS = 1024  # at a time: what every dense layer reads is kept meanwhile


def ranges(graph, arrays):
    """Run data through a folded graph and note the largest magnitude of each input of each dense layer.

    The largest it is, and no percentile: inputs are rounded to about 15 bits, so that an outlier among them costs the
    others little, while what is cut off is lost.

    Parameters
    ----------
    graph : Graph
        In float32.
    arrays : list of ndarray
        For each of the graph's inputs, of equal lengths.

    Returns
    -------
    dict of Node to ndarray, shape (inputs,)
        Of the ``dense`` nodes.

    Raises
    ------
    ValueError
        If a layer reads infinities or what is not a number.
    """
    dense = [node for node in graph.nodes if node.operation.name == "dense"]
    tensors = list(dict.fromkeys(node.inputs[0] for node in dense))
    largest = {each: np.zeros(each.features, np.float32) for each in tensors}
    if not tensors:
        return {}
    program = Prediction(Graph(graph.inputs, tensors), min(_ROWS, len(arrays[0])))
    for start in range(0, len(arrays[0]), _ROWS):
        rows = [each[start : start + _ROWS] for each in arrays]
        values = program.run(dict(zip(graph.inputs, rows, strict=True)), len(rows[0]))
        for tensor, value in zip(tensors, values, strict=True):
            found = np.abs(value.reshape(-1, tensor.features)).max(axis=0)
            largest[tensor] = np.maximum(largest[tensor], found)  # passes NaN on
    for node in dense:
        if not np.isfinite(largest[node.inputs[0]]).all():
            raise ValueError(
                f"calibration_data: what {node.output.name!r} reads has infinities or NaN. Ranges are measured on "
                "samples that the network can answer: leave the others out."
            )
    return {node: largest[node.inputs[0]] for node in dense}
