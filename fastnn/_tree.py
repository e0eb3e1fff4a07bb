"""Nested structures: lists, tuples and dictionaries of leaves, as inputs and outputs of models are.

The leaves of a dictionary are taken in the order of its sorted keys, as in Keras.
"""

from functools import partial
from operator import itemgetter


def flatten(structure):
    """The leaves, as a list."""
    if isinstance(structure, dict):
        return [leaf for key in sorted(structure) for leaf in flatten(structure[key])]
    if isinstance(structure, (list, tuple)):
        return [leaf for each in structure for leaf in flatten(each)]
    return [structure]


def pack(structure, leaves):
    """A structure like the given one, of other leaves."""
    leaves = iter(leaves)
    return map_structure(lambda _: next(leaves), structure)


def packer(structure):
    """What makes such a structure of a list of leaves: as `pack` does, prepared for many calls."""
    if not isinstance(structure, (dict, list, tuple)):
        return itemgetter(0)
    if type(structure) in (list, tuple) and not any(isinstance(each, (dict, list, tuple)) for each in structure):
        return type(structure)
    return partial(pack, structure)


def map_structure(function, structure):
    """A structure like the given one, whose leaves the function has made of the given one's."""
    if isinstance(structure, dict):
        mapped = {key: map_structure(function, structure[key]) for key in sorted(structure)}
        return {key: mapped[key] for key in structure}
    if isinstance(structure, (list, tuple)):
        return type(structure)(map_structure(function, each) for each in structure)
    return function(structure)
