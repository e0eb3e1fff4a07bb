"""What happens to data on the host, in NumPy, before a program reads them: text and large integers become indices.

A node of such an operation stands at an input of the network. Programs do not read the input but the node's output,
whose values `host_values` computes wherever data enter: for `fit` and `predict` alike, once for a whole array.
"""

import numpy as np

from fastnn import _hashing
from fastnn._revision import Setting
from fastnn.operations.base import Operation


class Table:
    """An immutable map from tokens to indices.

    Parameters
    ----------
    tokens : ndarray
        Different ones, of text or int64.
    first : int
        Index of the first one; the others follow.
    mask_token : str, int or None
        Is given `mask_index`.
    unknown : tuple (name, start, count, spread)
        Of the layer; the first index of unknown tokens; how many such indices there are (0: they are refused); and what
        chooses among several: their "remainder", their "fingerprint", or a hash with the key (int, int).

    Attributes
    ----------
    tokens : ndarray
    """

    def __init__(self, tokens, first, mask_token, mask_index, unknown):
        self.tokens = tokens
        self._made_of = tokens, first, mask_token, mask_index, unknown
        order = np.argsort(tokens, kind="stable")
        self._keys, self._indices = tokens[order], first + order
        self._mask = None if mask_token is None else (mask_token, mask_index)
        self._unknown = tuple(unknown)

    def plain(self):
        """What it was made of: arrays, numbers and texts."""
        return self._made_of

    def find(self, values):
        """The index of each value, int64."""
        places = np.searchsorted(self._keys, values)
        places[places == len(self._keys)] = 0
        known = self._keys[places] == values
        found = np.where(known, self._indices[places], -1)
        if self._mask is not None:
            masked = values == self._mask[0]
            found[masked] = self._mask[1]
            known |= masked
        if not known.all():
            found[~known] = self._of_unknown(values[~known])
        return found

    def _of_unknown(self, values):
        name, start, count, spread = self._unknown
        if count == 0:
            raise ValueError(
                f"Layer {name!r}: {np.unique(values)[:10].tolist()} are not in the vocabulary, and "
                "num_oov_indices=0 leaves no index for them."
            )
        if count == 1:
            return start
        if spread == "remainder":
            return start + values % count
        return start + _hashing.bins(values, count, None if spread == "fingerprint" else spread)


class Bins:
    """An immutable map from tokens to bins, by a hash.

    Parameters
    ----------
    count : int
        Bins, that of the mask included.
    mask_token : str, int or None
        Has bin 0; all others share the rest.
    key : pair of int, optional
        See `_hashing.bins`.
    """

    def __init__(self, count, mask_token, key):
        self._made_of = count, mask_token, key
        self._mask = mask_token
        self._count = count - (mask_token is not None and count > 1)
        self._key = key

    def plain(self):
        """What it was made of: numbers and texts."""
        return self._made_of

    def find(self, values):
        """The bin of each value, int64."""
        if values.dtype.kind == "f":
            values = values.astype(np.int64)
        elif values.dtype.kind == "S":
            values = np.char.decode(values, "utf-8")
        found = _hashing.bins(values, self._count, self._key)
        if self._mask is None:
            return found
        return np.where(values == self._mask, 0, found + 1)


class Lookup(Operation):
    """Attributes of its nodes: `table` (a `Setting` of a `Table`, of `Bins` or None), `text` (are its inputs text?)."""

    name = "lookup"
    on_host = True

    def to_onnx(self, node, e):
        raise ValueError(
            f"Layer {node.output.name!r} looks up text or integers in a table, before anything is computed in float32, "
            "and ONNX models written here compute in float32 alone. Export the part behind it: "
            "fastnn.Model(lookup.output, model.output).to_onnx()."
        )

    def forward(self, node, b):
        if node.inputs[0] not in b.graph.inputs:
            raise ValueError(
                f"Layer {node.output.name!r} looks up what comes into the network, before any computation: it must "
                f"stand at an input. It is applied to {node.inputs[0]!r}."
            )
        return b.gather(node.output, node.output.rows_per_sample, node.output.features)

    def backward(self, node, b, gradient):
        """An index has no slope."""

    def fold(self, node, f):
        return f.keep(
            node, operation="lookup", table=Setting(node.attributes["table"].value), text=node.attributes["text"]
        )

    @staticmethod
    def compute(node, values):
        """The node's output for an array."""
        table, name = node.attributes["table"].value, node.output.name
        if table is None:
            raise ValueError(f"Layer {name!r} has no vocabulary yet: call adapt(data) first, or give it one.")
        return table.find(as_tokens(values, node.attributes["text"], name))


def as_tokens(values, text, name):
    """An array as the tokens of a table: of text or int64."""
    values = np.asarray(values)
    if text:
        if values.dtype.kind == "S":
            return np.char.decode(values, "utf-8")
        if values.dtype.kind != "U":
            raise TypeError(f"Layer {name!r} expects text. Received an array of dtype {values.dtype}.")
        return values
    if values.dtype.kind in "iub":
        return values.astype(np.int64)
    whole = values.astype(np.int64) if values.dtype.kind == "f" else None
    if whole is None or (whole != values).any():
        raise TypeError(f"Layer {name!r} expects integers. Received an array of dtype {values.dtype}.")
    return whole


def reads_text(graph, tensor):
    """Do only operations that read text read this input?"""
    consumers = graph.consumers(tensor)
    return bool(consumers) and all(isinstance(node.operation, Lookup) and node.attributes["text"] for node in consumers)


def host_values(graph, arrays):
    """What programs read: arrays by tensor, those of a graph's inputs and what the host computes from them."""
    if not graph.on_host:
        return arrays
    computed = {node.output: node.operation.compute(node, arrays[node.inputs[0]]) for node in graph.on_host}
    return {**arrays, **computed}
