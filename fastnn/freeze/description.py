"""What an image says about itself to Python: a JSON text, which is all of it that a predictor reads before it runs.

Nothing here needs a graph: a program that loads a predictor shall not wait for the operations of which one is made.
"""

import contextlib
import json
import struct

import numpy as np

from fastnn._revision import Setting

HEADER = struct.Struct("<8sIIQ4I11Q")  # of csrc/frozen.h


class NotInImage(ValueError):
    """The network needs something that an image cannot hold; the message says what, and of which layer."""


def description_of(image):
    """What Python has put into an image that C has opened."""
    fields = HEADER.unpack_from(image)
    start, nbytes = fields[-2:]
    with damage_told():
        description = json.loads(bytes(image[start : start + nbytes]))
        if not description.keys() >= {"kind", "name", "graph", "reads", "labels", "report"}:
            raise KeyError("kind")
        return description


@contextlib.contextmanager
def damage_told():
    """Whatever a damaged description leads to is said in one way. C has seen to it that there is nothing worse."""
    try:
        yield
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        raise ValueError("The description in this frozen network is damaged: freeze the model again.") from error


# ---- attributes ------------------------------------------------------------------------------------------------------


def encode(value):
    """Attributes of nodes as JSON has them: what is neither number, text nor list is a list with its kind in front."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (list, tuple)):
        return ["list" if isinstance(value, list) else "tuple", *map(encode, value)]
    if isinstance(value, dict):
        return ["dict", *([encode(key), encode(each)] for key, each in value.items())]
    if isinstance(value, slice):
        return ["slice", value.start, value.stop, value.step]
    if isinstance(value, np.ndarray):
        return ["array", value.dtype.str, list(value.shape), value.ravel().tolist()]
    if isinstance(value, Setting):
        return ["setting", encode(value.value)]
    from fastnn.operations.arrange import Piece
    from fastnn.operations.lookup import Bins, Table

    if isinstance(value, (Bins, Table)):
        return ["bins" if isinstance(value, Bins) else "table", *map(encode, value.plain())]
    if isinstance(value, Piece):
        return ["piece", *(encode(getattr(value, name)) for name in Piece.__slots__)]
    raise NotInImage(f"An image cannot hold a {type(value).__name__}, which a layer of this network is made with.")


def decode(value):
    """The inverse of `encode`."""
    if not isinstance(value, list):
        return value
    kind, *rest = value
    if kind in ("list", "tuple"):
        return (list if kind == "list" else tuple)(map(decode, rest))
    if kind == "dict":
        return {decode(key): decode(each) for key, each in rest}
    if kind == "slice":
        return slice(*rest)
    if kind == "array":
        return np.array(rest[2], rest[0]).reshape(rest[1])
    if kind == "setting":
        return Setting(decode(rest[0]))
    if kind in ("bins", "table"):
        from fastnn.operations.lookup import Bins, Table

        return (Bins if kind == "bins" else Table)(*map(decode, rest))
    if kind == "piece":
        from fastnn.operations.arrange import Piece

        return Piece(*map(decode, rest))
    raise ValueError(f"The description in this frozen network has something unknown, {kind!r}: it is damaged.")
