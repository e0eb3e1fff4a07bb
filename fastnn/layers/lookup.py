"""Vocabularies: StringLookup and IntegerLookup give tokens their indices where data enter a network."""

import os

import numpy as np

from fastnn import ops
from fastnn._revision import Setting
from fastnn.eager import Array, is_symbolic
from fastnn.layers.base import Layer
from fastnn.layers.categories import ENCODINGS, encoded, one_of
from fastnn.layers.core import refuse_unsupported
from fastnn.layers.hashing import salt_of
from fastnn.operations import apply
from fastnn.operations.lookup import Table, as_tokens
from fastnn.training.arguments import count, flag
from fastnn.variables import Variable


class _IndexLookup(Layer):
    _text = False

    def __init__(
        self, max_tokens, num_oov_indices, mask_token, oov_token, vocabulary, idf_weights, invert, output_mode,
        pad_to_max_tokens, sparse, salt, **kwargs,
    ):  # fmt: skip
        super().__init__(**kwargs)
        refuse_unsupported(self, sparse=sparse or None)
        self.max_tokens = None if max_tokens is None else count(max_tokens, "max_tokens", least=2)
        self.num_oov_indices = count(num_oov_indices, "num_oov_indices", least=0)
        self.mask_token = mask_token
        self.oov_token = oov_token
        self.invert = flag(invert, "invert")
        output_mode = {"binary": "multi_hot", "tf-idf": "tf_idf"}.get(output_mode, output_mode)
        self.output_mode = one_of(self, "output_mode", output_mode, ("int", *ENCODINGS, "tf_idf"))
        self.pad_to_max_tokens = flag(pad_to_max_tokens, "pad_to_max_tokens")
        if self.pad_to_max_tokens and max_tokens is None:
            raise ValueError(f"{type(self).__name__}: `pad_to_max_tokens=True` needs `max_tokens`. Received: None")
        self.salt = salt_of(self, salt)
        if idf_weights is not None and self.output_mode != "tf_idf":
            raise ValueError(
                f"`idf_weights` should only be set if `output_mode` is `'tf_idf'`. Received: idf_weights={idf_weights} "
                f"and output_mode={output_mode!r}"
            )
        if self.invert and self.output_mode != "int":
            raise ValueError(
                f"{type(self).__name__}: `invert=True` gives tokens, which only output_mode='int' can. "
                f"Received: output_mode={output_mode!r}"
            )
        self._tokens = self._idf = None
        self._declared_size = None  # by a file of Keras, whose vocabulary comes after the network
        self._table = Setting(None)
        self._given = vocabulary is not None
        if self._given:
            self.set_vocabulary(vocabulary, idf_weights)

    # ---- vocabulary ------------------------------------------------------------------------------------------------

    @property
    def _first(self):
        """Index of the first token: a mask (of indices) and unknown ones come before."""
        return self._oov_start + self.num_oov_indices

    @property
    def _oov_start(self):
        return int(self.mask_token is not None and self.output_mode == "int")

    def set_vocabulary(self, vocabulary, idf_weights=None):
        """Set the tokens, in the order of their indices.

        Parameters
        ----------
        vocabulary : array_like, or str
            With or without the special tokens (mask, out of vocabulary) at the start; or the path of a text file that
            has one in each line.
        idf_weights : array_like of float, optional
            For "tf_idf", the weight of each token. Unknown ones have their mean, unless the special tokens are given.
        """
        if isinstance(vocabulary, str):
            with open(vocabulary, encoding="utf-8") as file:
                vocabulary = [line.rstrip("\n") for line in file]
            vocabulary = vocabulary if self._text else [int(each) for each in vocabulary]
        if (idf_weights is None) == (self.output_mode == "tf_idf"):
            raise ValueError(
                f"Layer {self.name!r}: `idf_weights` must be set if output_mode is 'tf_idf', and only then. Received: "
                f"output_mode={self.output_mode!r}, idf_weights={idf_weights}"
            )
        if idf_weights is not None and len(idf_weights) != len(vocabulary):
            raise ValueError(
                f"`idf_weights` must be the same length as vocabulary. Received: {len(idf_weights)} weights for "
                f"{len(vocabulary)} tokens."
            )
        tokens = as_tokens(np.asarray(vocabulary).reshape(-1), self._text, self.name)
        special = [self.mask_token] * self._oov_start + [self.oov_token] * self.num_oov_indices
        has_special = bool(special) and tokens[: len(special)].tolist() == special
        if has_special:
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
        if idf_weights is not None:
            weights = np.asarray(idf_weights, np.float32)
            front = [] if has_special else [weights.mean()] * self._first
            self._set_idf(np.concatenate([front, weights, [0.0] * (self._depth - len(weights) - len(front))]))
        masked = 0 if self.output_mode == "int" else -1  # an indicator of nothing
        unknown = self.name, self._oov_start, self.num_oov_indices, self._spread
        self._table.value = Table(tokens, self._first, self.mask_token, masked, unknown)

    def _set_idf(self, values):
        """Weights of indicators. Networks that have been made know them as a variable, which no training changes."""
        if self._idf is None or self._idf.shape != values.shape:
            self._idf = Variable(np.asarray(values, np.float32), name="idf_weights", trainable=False)
        else:
            self._idf.assign(values)

    @property
    def _spread(self):
        """How unknown tokens are spread over several indices."""
        return self.salt or "fingerprint"

    @property
    def _depth(self):
        """How many indicators there are."""
        return self.max_tokens if self.pad_to_max_tokens else self.vocabulary_size()

    def adapt(self, data):
        """Make a vocabulary of the tokens of `data`, the most frequent first (of two as frequent, the greater).

        For "tf_idf" also the weights, ``log(1 + documents / (1 + documents with the token))``: a document is a row.
        """
        if self._given:
            raise ValueError(f"Cannot adapt layer {self.name!r} after setting a static vocabulary via `vocabulary`.")
        data = as_tokens(_raw(data), self._text, self.name)
        tokens, counts = np.unique(data, return_counts=True)
        special = [each for each in (self.mask_token, self.oov_token) if each is not None]
        kept = ~np.isin(tokens, np.array(special, tokens.dtype if special and not self._text else None))
        tokens, counts = tokens[kept], counts[kept]
        tokens = tokens[np.lexsort((tokens, counts))[::-1]]
        if self.max_tokens is not None:
            tokens = tokens[: self.max_tokens - self._first]
        if self.output_mode != "tf_idf":
            return self.set_vocabulary(tokens)
        rows = data.reshape(len(data), -1)
        found = Table(tokens, 0, None, 0, (self.name, len(tokens), 1, None)).find(rows)
        present = np.zeros((len(rows), len(tokens) + 1), bool)
        np.put_along_axis(present, found, True, axis=1)
        return self.set_vocabulary(tokens, np.log(1 + len(rows) / (1 + present[:, :-1].sum(0))))

    def get_vocabulary(self, include_special_tokens=True):
        """The tokens in the order of their indices, as a list."""
        tokens = [] if self._tokens is None else self._tokens.tolist()
        special = [self.mask_token] * self._oov_start + [self.oov_token] * self.num_oov_indices
        return special + tokens if include_special_tokens else tokens

    def vocabulary_size(self):
        """How many indices there are, special ones included."""
        if self._tokens is None and self._declared_size is not None:
            return self._declared_size
        return self._first + (0 if self._tokens is None else len(self._tokens))

    @property
    def _categories(self):
        return None if self.invert or self.output_mode != "int" else self.vocabulary_size()

    # ---- calling ---------------------------------------------------------------------------------------------------

    def call(self, inputs):
        if self.invert:
            raise ValueError(f"Layer {self.name!r}: invert=True gives tokens, which no network computes with.")
        indices = apply("lookup", [inputs], table=self._table, text=self._text)
        if self.output_mode == "int":
            return indices
        if self._tokens is None and self._declared_size is None:
            raise ValueError(f"Layer {self.name!r} has no vocabulary yet: call adapt(data) first, or give it one.")
        if self.output_mode != "tf_idf":
            return encoded(self, indices, self.output_mode, self._depth)
        if self._idf is None:
            self._set_idf(np.zeros(self._depth))  # until the file's are read
        return ops.multiply(encoded(self, indices, "count", self._depth), self._idf)

    def __call__(self, inputs, *args, **kwargs):
        """Indices (int64) or indicators for an array; of a symbolic input, the same in a network."""
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

        if self.output_mode != "tf_idf":
            return CategoryEncoding(self._depth, self.output_mode)(indices)
        return CategoryEncoding(self._depth, "count")(indices) * self._idf.numpy()

    # ---- files -----------------------------------------------------------------------------------------------------

    @classmethod
    def from_config(cls, config):
        """Make a layer from what `get_config` returned, here or in Keras: whose vocabulary, unless it was given, is
        not in the configuration but in a file beside it."""
        own = {key: value for key, value in config.items() if key != "vocabulary_size"}
        if cls._text:
            own.pop("oov_method", None)  # of integers
        layer = cls(**own)
        layer._declared_size = config.get("vocabulary_size")
        return layer

    def load_assets(self, folder):
        """Read the vocabulary that Keras writes beside its configuration."""
        path = os.path.join(folder, "vocabulary.txt")
        if self._tokens is None and os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                tokens = file.read().splitlines()
            weights = None if self._idf is None else self._idf.numpy()
            known = None if weights is None else weights[: len(tokens)]  # the file has the special ones, too
            self.set_vocabulary(tokens if self._text else [int(each) for each in tokens], known)
            if weights is not None:
                self._set_idf(weights)

    def save_own_variables(self, store):
        super().save_own_variables(store)
        if self._idf is not None:
            store["idf_weights"] = self._idf.numpy()

    def load_own_variables(self, store):
        """Take the weights of "tf_idf", too, which Keras has there alone if they come from `adapt`."""
        store = dict(store)
        weights = store.pop("idf_weights", None)
        super().load_own_variables(store)
        if weights is None or self.output_mode != "tf_idf":
            return
        if np.shape(weights) != (self._depth,):
            raise ValueError(
                f"Layer {self.name!r} has {self._depth} indicators, but the file has weights of shape "
                f"{np.shape(weights)} for them."
            )
        self._set_idf(weights)

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
            "pad_to_max_tokens": self.pad_to_max_tokens,
            "idf_weights": None
            if self._idf is None
            else self._idf.numpy()[self._first : self.vocabulary_size()].tolist(),
            "vocabulary": None if self._tokens is None else self._tokens.tolist(),
            "salt": self.salt,
        }


class StringLookup(_IndexLookup):
    """The index of each string in a vocabulary: 0 is any unknown one (or the mask, if there is one, and 1 is unknown).

    It stands at an input of the network: strings become numbers on the host, once for a whole array, and never reach
    the engine.

    Parameters
    ----------
    max_tokens : int, optional
        Size of the vocabulary that `adapt` makes, special tokens included.
    num_oov_indices : int, default 1
        Unknown strings are spread over so many indices, by a hash; see `Hashing`. 0: an unknown string is an error.
    mask_token : str, optional
        Has index 0; of indicators, none.
    oov_token : str, default "[UNK]"
        What an unknown string is when inverted.
    vocabulary : list of str, optional
        Otherwise `adapt` makes it.
    invert : bool, default False
        Strings for indices; for arrays only.
    idf_weights : list of float, optional
        For "tf_idf", with a vocabulary; otherwise `adapt` finds them.
    output_mode : {"int", "one_hot", "multi_hot", "count", "tf_idf"}
        See `CategoryEncoding`; "tf_idf": each count times the weight of its token, which is less for frequent ones.
    pad_to_max_tokens : bool, default False
        Indicators have `max_tokens` columns, even if there are fewer tokens.
    sparse : False
        Not supported.
    encoding : "utf-8"
        Of byte strings.
    salt : int or list of two, optional
        The key of the hash.
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
        refuse_unsupported(self, encoding=None if encoding == "utf-8" else encoding)
        super().__init__(
            max_tokens, num_oov_indices, mask_token, oov_token, vocabulary, idf_weights, invert, output_mode,
            pad_to_max_tokens, sparse, salt, **kwargs,
        )  # fmt: skip

    def get_config(self):
        return {**super().get_config(), "encoding": "utf-8"}


class IntegerLookup(_IndexLookup):
    """The index of each integer in a vocabulary; see `StringLookup`. Integers are those of int64, never rounded.

    Parameters
    ----------
    max_tokens, mask_token, vocabulary, idf_weights, invert, output_mode, sparse, pad_to_max_tokens
        As for `StringLookup`.
    num_oov_indices : int, default 1
        Unknown integers are spread over so many indices.
    oov_token : int, default -1
    vocabulary_dtype : {"int64", "int32"}
    oov_method : {"floormod", "farmhash"}
        How: by their remainder, or by a hash.
    salt : int or list of two, optional
        The key of the hash.
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
        self.vocabulary_dtype = one_of(self, "vocabulary_dtype", vocabulary_dtype, ("int64", "int32"))
        self.oov_method = one_of(self, "oov_method", oov_method, ("floormod", "farmhash"))
        if salt is not None and oov_method != "farmhash":
            raise ValueError(f"`salt` can only be used when `oov_method='farmhash'`. Received: oov_method={oov_method}")
        super().__init__(
            max_tokens, num_oov_indices, mask_token, oov_token, vocabulary, idf_weights, invert, output_mode,
            pad_to_max_tokens, sparse, salt, **kwargs,
        )  # fmt: skip

    @property
    def _spread(self):
        return super()._spread if self.oov_method == "farmhash" else "remainder"

    def get_config(self):
        return {**super().get_config(), "vocabulary_dtype": self.vocabulary_dtype, "oov_method": self.oov_method}


def _raw(data):
    from fastnn.training.data import as_array

    return as_array(data, "The data of a lookup layer", text=True)
