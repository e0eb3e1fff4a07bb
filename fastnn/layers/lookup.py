"""Vocabularies: StringLookup and IntegerLookup give tokens their indices where data enter a network."""

import numpy as np

from fastnn._revision import Setting
from fastnn.eager import Array, is_symbolic
from fastnn.layers.base import Layer
from fastnn.layers.categories import ENCODINGS, encoded, one_of
from fastnn.layers.core import refuse_unsupported
from fastnn.operations import apply
from fastnn.operations.lookup import Table, as_tokens
from fastnn.training.arguments import count, flag


class _IndexLookup(Layer):
    _text = False

    def __init__(
        self, max_tokens, num_oov_indices, mask_token, oov_token, vocabulary, invert, output_mode, unsupported, **kwargs
    ):
        super().__init__(**kwargs)
        refuse_unsupported(self, **{name: value or None for name, value in unsupported.items()})
        self.max_tokens = None if max_tokens is None else count(max_tokens, "max_tokens", least=2)
        self.num_oov_indices = count(num_oov_indices, "num_oov_indices", least=0)
        self.mask_token = mask_token
        self.oov_token = oov_token
        self.invert = flag(invert, "invert")
        self.output_mode = one_of(self, "output_mode", output_mode, ("int", *ENCODINGS))
        if self.invert and self.output_mode != "int":
            raise ValueError(
                f"{type(self).__name__}: `invert=True` gives tokens, which only output_mode='int' can. "
                f"Received: output_mode={output_mode!r}"
            )
        self._tokens = None
        self._table = Setting(None)
        self._given = vocabulary is not None
        if self._given:
            self.set_vocabulary(vocabulary)

    # ---- vocabulary ------------------------------------------------------------------------------------------------

    @property
    def _first(self):
        """Index of the first token: a mask (of indices) and unknown ones come before."""
        return self._oov_start + self.num_oov_indices

    @property
    def _oov_start(self):
        return int(self.mask_token is not None and self.output_mode == "int")

    def set_vocabulary(self, vocabulary):
        """Set the tokens, in the order of their indices.

        Parameters
        ----------
        vocabulary : array_like
            With or without the special tokens (mask, out of vocabulary) at the start.
        """
        tokens = as_tokens(np.asarray(vocabulary).reshape(-1), self._text, self.name)
        special = [self.mask_token] * self._oov_start + [self.oov_token] * self.num_oov_indices
        if special and tokens[: len(special)].tolist() == special:
            tokens = tokens[len(special) :]
        if not tokens.size:
            raise ValueError(f"Layer {self.name!r}: cannot set an empty vocabulary. Received: {vocabulary!r}")
        unique, counts = np.unique(tokens, return_counts=True)
        if (counts > 1).any():
            raise ValueError(
                f"Layer {self.name!r}: the vocabulary has repeated tokens: {unique[counts > 1].tolist()[:10]}"
            )
        reserved = [each for each in (self.mask_token, self.oov_token) if each is not None and each in unique]
        if reserved:
            raise ValueError(f"Layer {self.name!r}: {reserved} have a meaning of their own and cannot be tokens.")
        if self.max_tokens is not None and len(tokens) + self._first > self.max_tokens:
            raise ValueError(
                f"Layer {self.name!r}: max_tokens={self.max_tokens} leaves room for {self.max_tokens - self._first} "
                f"tokens. Received {len(tokens)}."
            )
        self._tokens = tokens
        masked = 0 if self.output_mode == "int" else -1  # an indicator of nothing
        unknown = self.name, self._oov_start, self.num_oov_indices
        self._table.value = Table(tokens, self._first, self.mask_token, masked, unknown)

    def adapt(self, data):
        """Make a vocabulary of the tokens of `data`, the most frequent first (of two as frequent, the greater)."""
        if self._given:
            raise ValueError(f"Cannot adapt layer {self.name!r} after setting a static vocabulary via `vocabulary`.")
        tokens, counts = np.unique(as_tokens(_raw(data), self._text, self.name), return_counts=True)
        special = [each for each in (self.mask_token, self.oov_token) if each is not None]
        kept = ~np.isin(tokens, np.array(special, tokens.dtype if special and not self._text else None))
        tokens, counts = tokens[kept], counts[kept]
        tokens = tokens[np.lexsort((tokens, counts))[::-1]]
        if self.max_tokens is not None:
            tokens = tokens[: self.max_tokens - self._first]
        self.set_vocabulary(tokens)

    def get_vocabulary(self, include_special_tokens=True):
        """The tokens in the order of their indices, as a list."""
        tokens = [] if self._tokens is None else self._tokens.tolist()
        special = [self.mask_token] * self._oov_start + [self.oov_token] * self.num_oov_indices
        return special + tokens if include_special_tokens else tokens

    def vocabulary_size(self):
        """How many indices there are, special ones included."""
        return self._first + (0 if self._tokens is None else len(self._tokens))

    # ---- calling ---------------------------------------------------------------------------------------------------

    def call(self, inputs):
        if self.invert:
            raise ValueError(f"Layer {self.name!r}: invert=True gives tokens, which no network computes with.")
        indices = apply("lookup", [inputs], table=self._table, text=self._text)
        if self.output_mode == "int":
            return indices
        if self._tokens is None:
            raise ValueError(f"Layer {self.name!r} has no vocabulary yet: call adapt(data) first, or give it one.")
        return encoded(self, indices, self.output_mode, self.vocabulary_size())

    def __call__(self, inputs, *args, **kwargs):
        """Indices (int64) or indicators for an array; of a symbolic input, the same in a network."""
        self._require_init()
        if is_symbolic(inputs):
            return super().__call__(inputs, *args, **kwargs)
        if self.invert:
            vocabulary = np.array(self.get_vocabulary())
            indices = np.asarray(inputs)
            inside = (indices >= 0) & (indices < len(vocabulary))
            return np.where(inside, vocabulary[np.where(inside, indices, 0)], self.oov_token)
        if self._table.value is None:
            raise ValueError(f"Layer {self.name!r} has no vocabulary yet: call adapt(data) first, or give it one.")
        indices = self._table.value.find(as_tokens(_raw(inputs), self._text, self.name))
        if self.output_mode == "int":
            return indices.view(Array)
        from fastnn.layers.categories import CategoryEncoding

        encoding = CategoryEncoding(self.vocabulary_size(), self.output_mode)
        return encoding(indices)

    def get_config(self):
        return {
            **super().get_config(),
            "invert": self.invert,
            "max_tokens": self.max_tokens,
            "num_oov_indices": self.num_oov_indices,
            "oov_token": self.oov_token,
            "mask_token": self.mask_token,
            "output_mode": self.output_mode,
            "sparse": False,
            "pad_to_max_tokens": False,
            "idf_weights": None,
            "vocabulary": None if self._tokens is None else self._tokens.tolist(),
        }


class StringLookup(_IndexLookup):
    """The index of each string in a vocabulary: 0 is any unknown one (or the mask, if there is one, and 1 is unknown).

    It stands at an input of the network: strings become numbers on the host, once for a whole array, and never reach
    the engine.

    Parameters
    ----------
    max_tokens : int, optional
        Size of the vocabulary that `adapt` makes, special tokens included.
    num_oov_indices : {1, 0}
        0: an unknown string is an error. (Keras spreads them over several indices by a hash that is not here.)
    mask_token : str, optional
        Has index 0; of indicators, none.
    oov_token : str, default "[UNK]"
        What an unknown string is when inverted.
    vocabulary : list of str, optional
        Otherwise `adapt` makes it.
    invert : bool, default False
        Strings for indices; for arrays only.
    output_mode : {"int", "one_hot", "multi_hot", "count"}
        See `CategoryEncoding`.
    idf_weights, pad_to_max_tokens, sparse, salt
        Not supported.
    encoding : "utf-8"
        Of byte strings.
    """

    _text = True

    def __init__(
        self,
        max_tokens=None,
        num_oov_indices=1,
        mask_token=None,
        oov_token="[UNK]",
        vocabulary=None,
        idf_weights=None,
        invert=False,
        output_mode="int",
        pad_to_max_tokens=False,
        sparse=False,
        encoding="utf-8",
        salt=None,
        **kwargs,
    ):
        unsupported = dict(idf_weights=idf_weights, pad_to_max_tokens=pad_to_max_tokens, sparse=sparse, salt=salt)
        unsupported["num_oov_indices"] = num_oov_indices if num_oov_indices not in (0, 1) else None
        unsupported["encoding"] = None if encoding == "utf-8" else encoding
        super().__init__(
            max_tokens, num_oov_indices, mask_token, oov_token, vocabulary, invert, output_mode, unsupported, **kwargs
        )

    def get_config(self):
        return {**super().get_config(), "encoding": "utf-8", "salt": None}


class IntegerLookup(_IndexLookup):
    """The index of each integer in a vocabulary; see `StringLookup`. Integers are those of int64, never rounded.

    Parameters
    ----------
    max_tokens, mask_token, vocabulary, invert, output_mode
        As for `StringLookup`.
    num_oov_indices : int, default 1
        Unknown integers are spread over so many indices, by their remainder.
    oov_token : int, default -1
    vocabulary_dtype : "int64"
    oov_method : "floormod"
    idf_weights, pad_to_max_tokens, sparse, salt
        Not supported.
    """

    def __init__(
        self,
        max_tokens=None,
        num_oov_indices=1,
        mask_token=None,
        oov_token=-1,
        vocabulary=None,
        vocabulary_dtype="int64",
        idf_weights=None,
        invert=False,
        output_mode="int",
        sparse=False,
        pad_to_max_tokens=False,
        oov_method="floormod",
        salt=None,
        **kwargs,
    ):
        unsupported = dict(idf_weights=idf_weights, pad_to_max_tokens=pad_to_max_tokens, sparse=sparse, salt=salt)
        unsupported["vocabulary_dtype"] = None if vocabulary_dtype == "int64" else vocabulary_dtype
        unsupported["oov_method"] = None if oov_method == "floormod" else oov_method
        super().__init__(
            max_tokens, num_oov_indices, mask_token, oov_token, vocabulary, invert, output_mode, unsupported, **kwargs
        )

    def get_config(self):
        return {**super().get_config(), "vocabulary_dtype": "int64", "oov_method": "floormod", "salt": None}


def _raw(data):
    from fastnn.training.data import as_array

    return as_array(data, "The data of a lookup layer", text=True)
