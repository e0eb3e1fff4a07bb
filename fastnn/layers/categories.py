"""Whole numbers as inputs: Embedding, CategoryEncoding, Discretization."""

import numpy as np

from fastnn import constraints, initializers, ops, regularizers
from fastnn.eager import Array, is_symbolic
from fastnn.layers.base import Layer
from fastnn.layers.core import refuse_unsupported
from fastnn.operations import apply
from fastnn.training.arguments import count, number
from fastnn.variables import Variable

# Whole numbers up to this one are exact in float32, as which they travel through a network.
EXACT = 2**24
ENCODINGS = ("one_hot", "multi_hot", "count")


class Embedding(Layer):
    """A learned vector for each of the numbers 0 to ``input_dim - 1``: one more axis, of size `output_dim`.

    Numbers may be of any dtype; fractions are cut off. As in Keras with JAX, negative numbers count from the end, and
    for a number out of range the vector is NaN, and with it the loss. Put `Flatten` after it to join the vectors of
    several columns.

    Parameters
    ----------
    input_dim : int
        How many there are; at most 2**24.
    output_dim : int
    embeddings_initializer : str or Initializer, default "uniform"
    embeddings_regularizer : str or Regularizer, optional
        Of the whole table, whichever rows a batch reads.
    embeddings_constraint : str or Constraint, optional
    mask_zero : False
        Masks are read by recurrent and attention layers, which fastnn does not have.
    weights : array_like or list of one, optional
        Initial value, shape (input_dim, output_dim).
    lora_rank : None
        Not supported.
    """

    def __init__(
        self,
        input_dim,
        output_dim,
        embeddings_initializer="uniform",
        embeddings_regularizer=None,
        embeddings_constraint=None,
        mask_zero=False,
        weights=None,
        lora_rank=None,
        input_length=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        refuse_unsupported(self, lora_rank=lora_rank)
        if mask_zero:
            raise ValueError(
                "Embedding: `mask_zero=True` makes a mask, which recurrent and attention layers read; fastnn has none "
                f"of these and would ignore it. Leave it out. Received: mask_zero={mask_zero!r}"
            )
        self.input_dim = count(input_dim, "input_dim")
        self.output_dim = count(output_dim, "output_dim")
        if self.input_dim > EXACT:
            raise ValueError(
                f"Embedding: numbers travel as float32, which is exact to 2**24 = {EXACT}. Map them to fewer, with "
                f"IntegerLookup. Received: input_dim={input_dim}"
            )
        self.embeddings_initializer = initializers.get(embeddings_initializer)
        self.embeddings_regularizer = regularizers.get(embeddings_regularizer)
        self.embeddings_constraint = constraints.get(embeddings_constraint)
        self.embeddings = None
        self._initial = weights

    _takes_columns = True

    def build(self, input_shape):
        shape = (self.input_dim, self.output_dim)
        self.embeddings = self.add_weight(
            shape,
            self.embeddings_initializer,
            name="embeddings",
            layout="flat",
            regularizer=self.embeddings_regularizer,
            constraint=self.embeddings_constraint,
        )
        if self._initial is not None:
            initial = self._initial[0] if np.ndim(self._initial) == 3 else self._initial
            self.embeddings.assign(initial)

    def call(self, inputs):
        return apply("embedding", [inputs], {"embeddings": self.embeddings})

    def get_config(self):
        return {
            **super().get_config(),
            "input_dim": self.input_dim,
            "output_dim": self.output_dim,
            "embeddings_initializer": initializers.serialize(self.embeddings_initializer),
            "embeddings_regularizer": regularizers.serialize(self.embeddings_regularizer),
            "activity_regularizer": regularizers.serialize(self.activity_regularizer),
            "embeddings_constraint": constraints.serialize(self.embeddings_constraint),
            "mask_zero": False,
        }


class CategoryEncoding(Layer):
    """Indicators of numbers 0 to ``num_tokens - 1``; any other number counts for nothing.

    Parameters
    ----------
    num_tokens : int
    output_mode : {"multi_hot", "one_hot", "count"}
        "multi_hot" (1 for each number that is among a sample's) and "count" (how often it is) make a sample of shape
        (numbers,) one of shape (num_tokens,). "one_hot" encodes each number for itself: one more axis, or a last axis
        of size 1 becomes `num_tokens`. An array of one axis is one sample, or, for "one_hot", as many of one number.
    sparse : False
        Not supported.

    Notes
    -----
    A single sample, without an axis for the batch, may be encoded, too; but not in a network.
    """

    def __init__(self, num_tokens=None, output_mode="multi_hot", sparse=False, **kwargs):
        super().__init__(**kwargs)
        refuse_unsupported(self, sparse=sparse or None)
        self.num_tokens = count(num_tokens, "num_tokens")
        output_mode = "multi_hot" if output_mode == "binary" else output_mode
        self.output_mode = one_of(self, "output_mode", output_mode, ENCODINGS)
        self.sparse = False

    def call(self, inputs, count_weights=None):
        if count_weights is None:
            return encoded(self, inputs, self.output_mode, self.num_tokens)
        self._check_weights(count_weights, inputs)
        return ops.sum(ops.one_hot(inputs, self.num_tokens) * ops.expand_dims(count_weights, -1), -2)

    def _check_weights(self, count_weights, inputs):
        if self.output_mode != "count":
            raise ValueError(
                "`count_weights` is not used when `output_mode` is not `'count'`. Received "
                f"`count_weights={count_weights}`."
            )
        if count_weights.shape != inputs.shape:
            raise ValueError(
                f"Layer {self.name!r}: `count_weights` must have the shape of the inputs, {inputs.shape}. Received: "
                f"{count_weights.shape}"
            )

    def __call__(self, inputs, *args, count_weights=None, **kwargs):
        """Indicators of symbolic or other numbers, with `count_weights`, one for each, in the mode "count"."""
        if is_symbolic(inputs) or is_symbolic(count_weights):
            weighted = {} if count_weights is None else {"count_weights": count_weights}
            return super().__call__(inputs, *args, **weighted, **kwargs)
        numbers = np.asarray(inputs)
        together = self.output_mode != "one_hot"
        if numbers.ndim > together:  # a batch
            if count_weights is None:
                return super().__call__(numbers if numbers.ndim > 1 else numbers[:, np.newaxis], *args, **kwargs)
            weights = np.asarray(count_weights, np.float32)
            self._check_weights(weights, numbers)
            counts = np.zeros((*numbers.shape[:-1], self.num_tokens), np.float32)
            inside = np.nonzero((numbers >= 0) & (numbers < self.num_tokens))
            np.add.at(counts, (*inside[:-1], numbers[inside].astype(np.int64)), weights[inside])
            return counts.view(Array)
        weights = None if count_weights is None else np.reshape(count_weights, (1, -1))
        found = self(np.reshape(numbers, (1, -1)), *args, count_weights=weights, **kwargs)
        return found[0] if together else found

    def get_config(self):
        return {**super().get_config(), "num_tokens": self.num_tokens, "output_mode": self.output_mode, "sparse": False}


class Discretization(Layer):
    """The number of the bin that each value lies in: 0 below the first boundary, which itself is in bin 1.

    Parameters
    ----------
    bin_boundaries : list of float, optional
        In ascending order.
    num_bins : int, optional
        Instead: `adapt` finds boundaries between which about equally many values lie.
    epsilon : float, default 0.01
        How fine the quantiles are looked at: `adapt` keeps ``1 / epsilon`` of them.
    output_mode : {"int", "one_hot", "multi_hot", "count"}
        What is made of the numbers, see `CategoryEncoding`.
    sparse : False
        Not supported.
    """

    def __init__(
        self, bin_boundaries=None, num_bins=None, epsilon=0.01, output_mode="int", sparse=False, **kwargs
    ):  # fmt: skip
        super().__init__(**kwargs)
        refuse_unsupported(self, sparse=sparse or None)
        if (bin_boundaries is None) == (num_bins is None):
            raise ValueError(
                "Discretization: give either `bin_boundaries` or `num_bins`, which `adapt` makes boundaries for. "
                f"Received: bin_boundaries={bin_boundaries!r}, num_bins={num_bins!r}"
            )
        self.num_bins = None if num_bins is None else count(num_bins, "num_bins", least=2)
        self.epsilon = number(self, "epsilon", epsilon, "a number in (0, 1)", lambda value: 0 < value < 1)
        self.output_mode = one_of(self, "output_mode", output_mode, ("int", *ENCODINGS))
        self.sparse = False
        self._boundaries = None
        if bin_boundaries is not None:
            values = np.asarray(bin_boundaries)
            if values.ndim != 1 or not values.size or values.dtype.kind not in "iuf" or (np.diff(values) < 0).any():
                raise ValueError(
                    "Discretization: `bin_boundaries` must be a list of numbers in ascending order. "
                    f"Received: {bin_boundaries!r}"
                )
            self._boundaries = Variable(values, name="boundaries", trainable=False)

    @property
    def bin_boundaries(self):
        """The boundaries as a list; None before `adapt`."""
        return None if self._boundaries is None else self._boundaries.numpy().tolist()

    @property
    def _categories(self):
        return None if self._boundaries is None or self.output_mode != "int" else self._boundaries.size + 1

    def adapt(self, data):
        """Find the boundaries of `num_bins` bins that hold about equally many of the values of `data`, of all axes.

        Quantiles are those of Keras: of every ``epsilon * size``-th of the sorted values, interpolated.
        """
        from fastnn.training.data import as_array

        if self.num_bins is None:
            raise ValueError(
                "Cannot adapt a Discretization layer that has been initialized with `bin_boundaries`, use `num_bins` "
                "instead."
            )
        values = np.sort(np.asarray(as_array(data, f"The data of {self.name!r}.adapt"), np.float32), axis=None)
        if not values.size or not np.isfinite(values).all():
            raise ValueError(f"Layer {self.name!r}: `adapt` needs finite values. Received {values.size} values.")
        step = max(1.0, values.size * self.epsilon)
        kept = values[int(step - 1) :: int(step)]
        kept, weights = _thinned(kept, np.full(len(kept), step), self.epsilon)
        kept, _ = _thinned(kept, weights, 1 / self.num_bins)
        boundaries = np.resize(kept[: self.num_bins - 1], self.num_bins - 1)
        if self._boundaries is None:
            self._boundaries = Variable(boundaries, name="boundaries", trainable=False)
        else:
            self._boundaries.assign(boundaries)

    _takes_columns = True

    def _compute_columns(self, values, training=None):
        return super()._compute_columns(values) if self.output_mode == "int" else encode_columns(self, values)

    def call(self, inputs):
        if self._boundaries is None:
            raise ValueError(
                f"Layer {self.name!r} has no bins yet: call adapt(data) first, or make it with `bin_boundaries`."
            )
        bins = apply("discretize", [inputs], {"boundaries": self._boundaries})
        return bins if self.output_mode == "int" else encoded(self, bins, self.output_mode, self._boundaries.size + 1)

    def get_config(self):
        config = super().get_config()
        del config["trainable"]  # which Keras's layer does not take
        return {
            **config,
            "bin_boundaries": self.bin_boundaries,
            "num_bins": self.num_bins,
            "epsilon": self.epsilon,
            "output_mode": self.output_mode,
            "sparse": False,
        }

    @classmethod
    def from_config(cls, config):
        """Make one from what `get_config` returned, which after `adapt` holds boundaries and the number of bins."""
        boundaries = config.get("bin_boundaries")
        if boundaries is None or config.get("num_bins") is None:
            return cls(**config)
        layer = cls(**{**config, "bin_boundaries": None})
        layer._boundaries = Variable(boundaries, name="boundaries", trainable=False)
        return layer


def _thinned(values, weights, share):
    """Quantiles of weighted sorted values, one for each `share` of the weight, and the weights between them."""
    if len(values) * share < 1:
        return values, weights
    places = share + np.arange(0.0, 1.0, share)
    sums = weights.cumsum()
    at = sums / sums[-1]
    return np.interp(places, at, values), np.diff(np.interp(places, at, sums), prepend=0)


def one_of(layer, name, value, known):
    """Refuse an argument that is none of the known words."""
    if value not in known:
        raise ValueError(f"{type(layer).__name__}: `{name}` must be one of {list(known)}. Received: {name}={value!r}")
    return value


def categories_of(layer):
    """How many different whole numbers a layer returns; None if it returns something else, or one does not know."""
    return getattr(layer, "_categories", None)


def encode_columns(layer, values):
    """Indicators of values without an axis of features: for each of them, or, in modes that count, of one sample."""
    if layer.output_mode == "one_hot":
        return layer._compute(values.reshape(-1, 1))
    return layer._compute(values.reshape(1, -1))[0]


def encoded(layer, inputs, mode, tokens):
    """Indicators of a tensor of numbers."""
    if mode != "one_hot" and inputs.ndim > 2:
        raise ValueError(
            f"Layer {layer.name!r}: {mode!r} counts the numbers of a sample, which must have one axis. "
            f"Received an input of shape {inputs.shape}; put Flatten before it."
        )
    return apply("category_encode", [inputs], mode=mode, tokens=tokens)
