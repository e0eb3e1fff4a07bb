"""Random arrays, under the names of `keras.random`.

These functions compute at once, with NumPy. Inside a network the engine draws its own numbers: `layers.Dropout`,
`GaussianNoise` and the like. The values are not those of Keras, whose backends do not agree with each other either; the
distributions are.
"""

import numpy as np

from fastnn import _random
from fastnn._naming import unique_name
from fastnn.eager import Array, is_symbolic
from fastnn.operations import apply, is_inside_call, layers_being_called

__all__ = [
    "SeedGenerator",
    "beta",
    "binomial",
    "categorical",
    "dropout",
    "gamma",
    "normal",
    "randint",
    "shuffle",
    "truncated_normal",
    "uniform",
]


class SeedGenerator:
    """A seed that differs each time it is used.

    A function given an integer as `seed` returns the same values at every call; given a generator, new ones, but the
    same in every run of the program.

    Parameters
    ----------
    seed : int, optional
        Default: one from the stream that `fastnn.utils.set_random_seed` starts.
    name : str, optional

    Raises
    ------
    ValueError
        If `seed` is no integer.
    """

    def __init__(self, seed=None, name=None):
        if seed is not None and (isinstance(seed, bool) or not isinstance(seed, (int, np.integer))):
            raise ValueError(f"Argument `seed` must be an integer. Received: seed={seed!r}")
        self.name = name or unique_name(type(self).__name__)
        self._initial_seed = seed
        self._seed = _random.next_seed() if seed is None else int(seed)
        self._used = 0

    def next(self, ordered=True):
        """Return the next pair of integers (seed, number of this call).

        Parameters
        ----------
        ordered : bool, default True
            Accepted for compatibility: they always come in order.
        """
        self._used += 1
        return self._seed, self._used - 1

    def get_config(self):
        """Return the arguments that make an equal generator."""
        return {"seed": self._initial_seed, "name": self.name}

    @classmethod
    def from_config(cls, config):
        """Make a generator from what `get_config` returned."""
        return cls(**config)


def normal(shape, mean=0.0, stddev=1.0, dtype=None, seed=None):
    """Draw from a normal distribution.

    Parameters
    ----------
    shape : tuple of int
    mean, stddev : float, default 0 and 1
    dtype : str, default "float32"
    seed : int or SeedGenerator, optional
        Default: a new seed each time, from the stream that `fastnn.utils.set_random_seed` starts.

    Returns
    -------
    Array
        Or, in the `call` of a layer and with the shape of a batch, ``ops.shape(x)``, a symbolic tensor: the engine
        draws in every step. An integer `seed` then starts a sequence.
    """
    if len(shape) > 1 and shape[0] is None:
        own = int(seed) if isinstance(seed, (int, np.integer)) else None
        return apply("random_normal", [], shape=tuple(shape), mean=mean, stddev=stddev, seed=own, training=True)
    return _array(_generator(seed, shape).normal(mean, stddev, shape), dtype)


def uniform(shape, minval=0.0, maxval=1.0, dtype=None, seed=None):
    """Draw from a uniform distribution over [minval, maxval); integers if `dtype` is an integer type.

    Parameters
    ----------
    shape : tuple of int
    minval, maxval : float, default 0 and 1
    dtype, seed
        See `normal`.
    """
    if np.issubdtype(np.dtype(dtype or "float32"), np.integer):
        return randint(shape, minval, maxval, dtype, seed)
    return _array(_generator(seed, shape).uniform(minval, maxval, shape), dtype)


def truncated_normal(shape, mean=0.0, stddev=1.0, dtype=None, seed=None):
    """Draw from a normal distribution of which what is more than two `stddev` from the mean is drawn again.

    Parameters
    ----------
    shape, mean, stddev, dtype, seed
        See `normal`.
    """
    rng = _generator(seed, shape)
    values = rng.standard_normal(shape)
    outside = np.abs(values) > 2
    while outside.any():
        values[outside] = rng.standard_normal(int(outside.sum()))
        outside = np.abs(values) > 2
    return _array(values * stddev + mean, dtype)


def randint(shape, minval, maxval, dtype="int32", seed=None):
    """Draw whole numbers from [minval, maxval), all equally probable.

    Parameters
    ----------
    shape : tuple of int
    minval, maxval : int
    dtype : str, default "int32"
    seed
        See `normal`.
    """
    return _array(_generator(seed, shape).integers(int(minval), int(maxval), shape), dtype)


def shuffle(x, axis=0, seed=None):
    """Return `x` with the slices along an axis in random order.

    Parameters
    ----------
    x : array_like
    axis : int, default 0
    seed
        See `normal`.
    """
    x = _concrete(x, "shuffle")
    return _generator(seed).permutation(x, axis=axis).view(Array)


def categorical(logits, num_samples, dtype="int32", seed=None):
    """Draw class numbers with the probabilities ``softmax(logits)``.

    Parameters
    ----------
    logits : array_like, shape (batch, classes)
    num_samples : int
        For each row.
    dtype : str, default "int32"
    seed
        See `normal`.

    Returns
    -------
    Array, shape (batch, num_samples)
    """
    logits = np.asarray(_concrete(logits, "categorical"), np.float64)
    if logits.ndim != 2:
        raise ValueError(f"categorical expected logits of shape (batch, classes). Received shape {logits.shape}.")
    # The largest of logits with Gumbel noise is distributed like their softmax.
    noise = _generator(seed).gumbel(size=(logits.shape[0], int(num_samples), logits.shape[1]))
    return _array((logits[:, None, :] + noise).argmax(axis=-1), dtype)


def dropout(inputs, rate, noise_shape=None, seed=None):
    """Set a share of the values to zero, and scale the others up so that the sum is kept in expectation.

    Parameters
    ----------
    inputs : array_like
    rate : float
        In [0, 1].
    noise_shape : tuple of int, optional
        Shape of the mask, where it is to be the same along some axes: 1 there.
    seed
        See `normal`.
    """
    x = np.asarray(_concrete(inputs, "dropout"))
    if not 0 <= rate <= 1:
        raise ValueError(f"dropout expected `rate` in [0, 1]. Received: rate={rate!r}")
    kept = _generator(seed).random(x.shape if noise_shape is None else noise_shape) >= rate
    return _array(np.where(kept, x / (1 - rate) if rate < 1 else 0, 0), x.dtype if x.dtype.kind == "f" else None)


def gamma(shape, alpha, dtype=None, seed=None):
    """Draw from the gamma distribution of shape `alpha` and scale 1.

    Parameters
    ----------
    shape, dtype, seed
        See `normal`.
    alpha : float or array_like
    """
    return _array(_generator(seed, shape).gamma(alpha, size=shape), dtype)


def binomial(shape, counts, probabilities, dtype=None, seed=None):
    """Draw how many of `counts` trials succeed, each with the given probability.

    Parameters
    ----------
    shape, dtype, seed
        See `normal`.
    counts : int or array_like
    probabilities : float or array_like
    """
    return _array(_generator(seed, shape).binomial(np.asarray(counts, np.int64), probabilities, shape), dtype)


def beta(shape, alpha, beta, dtype=None, seed=None):
    """Draw from the beta distribution.

    Parameters
    ----------
    shape, dtype, seed
        See `normal`.
    alpha, beta : float or array_like
    """
    return _array(_generator(seed, shape).beta(alpha, beta, shape), dtype)


def _generator(seed, shape=()):
    """NumPy's generator for what a user gives as `seed`.

    Raises
    ------
    ValueError
        In the `call` of a layer, where the values would be drawn once and be the same in every step.
    """
    layers = layers_being_called()
    traced = layers and layers[-1].built and is_inside_call()  # not while it is built, and an initializer draws
    if None in shape or (traced and not isinstance(seed, (int, np.integer))):
        where = f" in `call` of layer {layers[-1].name!r}" if layers else ""
        raise ValueError(
            f"fastnn.random{where}: `call` is traced once, so that these numbers would be the same in every step. "
            "fastnn.random.normal(ops.shape(x)) is drawn anew in each, as are the layers Dropout and GaussianNoise; "
            f"for a constant give an integer as `seed`. Received: shape={tuple(shape)}, seed={seed!r}"
        )
    if isinstance(seed, SeedGenerator):
        return np.random.default_rng(seed.next())
    if seed is None:
        return np.random.default_rng(_random.next_seed())
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise ValueError(f"Argument `seed` must be an integer or a SeedGenerator. Received: seed={seed!r}")
    return np.random.default_rng(int(seed) & (2**64 - 1))


def _concrete(x, name):
    if is_symbolic(x):
        raise TypeError(
            f"fastnn.random.{name} works on arrays, and {x!r} is symbolic. Inside of a network use the layers "
            "that draw random numbers: Dropout, GaussianNoise, GaussianDropout, AlphaDropout."
        )
    return np.asarray(x)


def _array(values, dtype):
    return np.asarray(values).astype(dtype or np.float32).view(Array)
