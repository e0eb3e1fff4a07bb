"""Tokens to bins by a hash, without a vocabulary: Hashing and HashedCrossing. The bins are those of Keras."""

import math

import numpy as np

from fastnn import _hashing, ops
from fastnn._revision import Setting
from fastnn.eager import Array, is_symbolic
from fastnn.layers.base import Layer
from fastnn.layers.categories import ENCODINGS, CategoryEncoding, categories_of, encoded, one_of
from fastnn.layers.core import refuse_unsupported
from fastnn.operations import apply
from fastnn.operations.lookup import Bins
from fastnn.saving.saveable import dtype_name
from fastnn.training.arguments import count, integer
from fastnn.training.data import as_array
from fastnn.variables import Variable

_MOST_COMBINATIONS = 2**22  # in a table


class Hashing(Layer):
    """The bin that a hash puts each string or integer into: categories as numbers without a vocabulary.

    Two tokens may share a bin. The hash is FarmHash's fingerprint of the token's text, or SipHash with a key.

    Parameters
    ----------
    num_bins : int
    mask_value : str or int, optional
        Has bin 0; all others share the rest.
    salt : int or list of two, optional
        The key of SipHash.
    output_mode : {"int", "one_hot", "multi_hot", "count"}
        See `CategoryEncoding`.
    sparse : False
        Not supported.

    Notes
    -----
    In a network it stands at an input; one of text is ``Input(shape, dtype="string")``.
    """

    def __init__(self, num_bins, mask_value=None, salt=None, output_mode="int", sparse=False, **kwargs):
        super().__init__(**{**kwargs, "dtype": _without_integers(kwargs.get("dtype"), output_mode)})
        refuse_unsupported(self, sparse=sparse or None)
        if num_bins is None or (integer(num_bins) or 0) <= 0:
            raise ValueError(
                f"The `num_bins` for `Hashing` cannot be `None` or non-positive values. Received: num_bins={num_bins}."
            )
        self.num_bins = count(num_bins, "num_bins")
        self.mask_value = mask_value
        self.salt = salt_of(self, salt)
        self.output_mode = one_of(self, "output_mode", output_mode, ("int", *ENCODINGS))
        self.sparse = False
        self._bins = Setting(Bins(self.num_bins, mask_value, self.salt))

    @property
    def _categories(self):
        return self.num_bins if self.output_mode == "int" else None

    def call(self, inputs):
        layer = inputs.call and inputs.call.layer
        text = isinstance(self.mask_value, str) or getattr(layer, "reads_text", False)
        found = apply("lookup", [inputs], table=self._bins, text=text)
        return found if self.output_mode == "int" else encoded(self, found, self.output_mode, self.num_bins)

    def __call__(self, inputs, *args, **kwargs):
        """Bins (int64) or indicators for an array; of a symbolic input, the same in a network."""
        if is_symbolic(inputs):
            return super().__call__(inputs, *args, **kwargs)
        found = self._bins.value.find(as_array(inputs, f"The input of {self.name!r}", text=True))
        if self.output_mode == "int":
            return found.view(Array)
        return CategoryEncoding(self.num_bins, self.output_mode)(found)

    def get_config(self):
        return {
            **super().get_config(),
            "dtype": "int64" if self.output_mode == "int" else "float32",
            "num_bins": self.num_bins,
            "salt": self.salt,
            "mask_value": self.mask_value,
            "output_mode": self.output_mode,
            "sparse": False,
        }


class HashedCrossing(Layer):
    """The bin of several columns together: a category for each combination, by a hash.

    It is called on arrays; or in a network on what StringLookup, IntegerLookup, Hashing or Discretization return, of
    which it is known how many numbers there are: the bins of all combinations are then in a table.

    Parameters
    ----------
    num_bins : int
    output_mode : {"int", "one_hot"}
    sparse : False
        Not supported.
    """

    def __init__(self, num_bins, output_mode="int", sparse=False, name=None, dtype=None, **kwargs):
        super().__init__(name=name, dtype=_without_integers(dtype, output_mode))
        refuse_unsupported(self, sparse=sparse or None)
        self.num_bins = count(num_bins, "num_bins")
        self.output_mode = one_of(self, "output_mode", output_mode, ("int", "one_hot"))
        self.sparse = False

    @property
    def _categories(self):
        return self.num_bins if self.output_mode == "int" else None

    def call(self, inputs):
        sizes = [categories_of(each.node and each.node.layer) for each in inputs]
        if None in sizes:
            raise ValueError(
                f"Layer {self.name!r}: in a network, HashedCrossing combines what StringLookup, IntegerLookup, Hashing "
                f"or Discretization return with output_mode='int'. Received: {inputs[sizes.index(None)]!r}. On other "
                "columns it is called as arrays, before a network."
            )
        combinations = math.prod(sizes)
        if combinations > _MOST_COMBINATIONS:
            raise ValueError(
                f"Layer {self.name!r}: {' times '.join(map(str, sizes))} categories make {combinations} combinations, "
                f"more than {_MOST_COMBINATIONS}. Give the columns fewer categories (max_tokens), or hash them."
            )
        if any(each.shape != inputs[0].shape for each in inputs) or inputs[0].shape[1:] not in ((), (1,)):
            raise ValueError(
                "All `HashedCrossing` inputs should have the shape `(batch_size)` or `(batch_size, 1)`. Received "
                f"shapes: {[each.shape for each in inputs]}"
            )
        columns = [each.ravel() for each in np.meshgrid(*map(np.arange, sizes), indexing="ij")]
        bins = _hashing.crossed(columns, self.num_bins).reshape(-1, 1)
        place = inputs[0]
        for size, each in zip(sizes[1:], inputs[1:], strict=True):
            place = place * size + each
        table = Variable(bins, name="bins", trainable=False, layout="flat")
        found = ops.reshape(apply("embedding", [place], {"embeddings": table}), (-1, *inputs[0].shape[1:]))
        return found if self.output_mode == "int" else encoded(self, found, "one_hot", self.num_bins)

    def __call__(self, inputs, *args, **kwargs):
        """Bins (int64) or indicators for a list of at least two arrays of shape (samples,) or (samples, 1)."""
        if not isinstance(inputs, (list, tuple)):
            raise ValueError(
                f"`HashedCrossing` should be called on a list or tuple of inputs. Received: inputs={inputs!r:.200}"
            )
        if len(inputs) < 2:
            raise ValueError(
                f"`HashedCrossing` should be called on at least two inputs. Received: inputs={inputs!r:.200}"
            )
        if is_symbolic(inputs):
            return super().__call__(inputs, *args, **kwargs)
        columns = [as_array(each, f"An input of {self.name!r}", text=True) for each in inputs]
        shape = columns[0].shape
        if len(shape) > 2 or shape[1:] not in ((), (1,)):
            raise ValueError(
                "All `HashedCrossing` inputs should have shape `()`, `(batch_size)` or `(batch_size, 1)`. Received "
                f"shapes: {[each.shape for each in columns]}"
            )
        if any(each.shape != shape for each in columns):
            raise ValueError(
                f"All `HashedCrossing` inputs should have equal shape. Received shapes: {[x.shape for x in columns]}"
            )
        if any(each.dtype.kind not in "iubSU" for each in columns):
            raise ValueError(
                "All `HashedCrossing` inputs should have an integer or string dtype. Received: "
                f"{[each.dtype for each in columns]}"
            )
        found = _hashing.crossed(columns, self.num_bins)
        return found.view(Array) if self.output_mode == "int" else CategoryEncoding(self.num_bins, "one_hot")(found)

    def get_config(self):
        dtype = "int64" if self.output_mode == "int" else "float32"
        own = {"num_bins": self.num_bins, "output_mode": self.output_mode, "sparse": False}
        return {**own, "name": self.name, "dtype": dtype}


def _without_integers(dtype, output_mode):
    """Keras's layers of tokens have an integer type where they return integers; there is one type here."""
    return None if output_mode == "int" and dtype_name(dtype) in ("int32", "int64") else dtype


def salt_of(layer, salt):
    """The key of SipHash as a list of two integers; None stays None."""
    if salt is None:
        return None
    if isinstance(salt, (tuple, list)) and len(salt) == 2:
        return list(salt)
    if integer(salt) is not None:
        return [salt, salt]
    raise ValueError(
        f"The `salt` argument for `{type(layer).__name__}` can only be a tuple of size 2 integers, or a single "
        f"integer. Received: salt={salt!r}."
    )
