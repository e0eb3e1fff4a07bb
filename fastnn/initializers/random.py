"""Initializers that draw random numbers."""

import math

import numpy as np

from fastnn import _random
from fastnn.initializers.base import Initializer, as_dtype, as_shape

# Standard deviation of the normal distribution cut off at two standard deviations.
_TRUNCATED_STDDEV = 0.87962566103423978


class RandomInitializer(Initializer):
    """Base class of those that draw: holds the seed.

    Parameters
    ----------
    seed : int, optional
        Default: the next seed of the session (see `fastnn.utils.set_random_seed`).
    """

    def __init__(self, seed=None):
        if seed is not None and not isinstance(seed, (int, np.integer)):
            raise ValueError(
                f"{type(self).__name__} expected `seed` to be an integer or None, "
                f"received seed={seed!r} of type {type(seed).__name__}."
            )
        self._given_seed = seed
        self.seed = _random.next_seed() if seed is None else int(seed)

    def get_config(self):
        return {"seed": None if self._given_seed is None else int(self._given_seed)}

    def _generator(self):
        return np.random.Generator(np.random.PCG64(self.seed & (2**64 - 1)))

    def _normal(self, shape, mean, stddev, dtype):
        values = self._generator().standard_normal(as_shape(shape), np.float32)
        return _scaled(values, stddev, mean, dtype)

    def _truncated_normal(self, shape, mean, stddev, dtype):
        shape = as_shape(shape)
        generator = self._generator()
        values = generator.standard_normal(math.prod(shape), np.float32)
        # Redrawing is exact, and 95 % of the values are right the first time.
        outside = np.flatnonzero(np.abs(values) > 2)
        while outside.size:
            values[outside] = generator.standard_normal(outside.size, np.float32)
            outside = outside[np.abs(values[outside]) > 2]
        return _scaled(values.reshape(shape), stddev, mean, dtype)

    def _uniform(self, shape, low, high, dtype):
        values = self._generator().random(as_shape(shape), np.float32)
        return _scaled(values, high - low, low, dtype)


class RandomNormal(RandomInitializer):
    """Values from a normal distribution.

    Parameters
    ----------
    mean : float, default 0.0
    stddev : float, default 0.05
    seed : int, optional
    """

    def __init__(self, mean=0.0, stddev=0.05, seed=None):
        super().__init__(seed)
        self.mean = mean
        self.stddev = stddev

    def __call__(self, shape, dtype=None):
        return self._normal(shape, self.mean, self.stddev, dtype)

    def get_config(self):
        return {**super().get_config(), "mean": self.mean, "stddev": self.stddev}


class TruncatedNormal(RandomNormal):
    """Values from a normal distribution; those further than 2 `stddev` from `mean` are redrawn.

    Parameters
    ----------
    mean : float, default 0.0
    stddev : float, default 0.05
        Of the distribution before it is cut off.
    seed : int, optional
    """

    def __call__(self, shape, dtype=None):
        return self._truncated_normal(shape, self.mean, self.stddev, dtype)


class RandomUniform(RandomInitializer):
    """Values spread evenly from `minval` to `maxval`.

    Parameters
    ----------
    minval : float, default -0.05
    maxval : float, default 0.05
    seed : int, optional
    """

    def __init__(self, minval=-0.05, maxval=0.05, seed=None):
        super().__init__(seed)
        self.minval = minval
        self.maxval = maxval

    def __call__(self, shape, dtype=None):
        return self._uniform(shape, self.minval, self.maxval, dtype)

    def get_config(self):
        return {**super().get_config(), "minval": self.minval, "maxval": self.maxval}


class VarianceScaling(RandomInitializer):
    """Values of mean 0 and variance ``scale / n``, n being a number of inputs or outputs.

    Parameters
    ----------
    scale : float, default 1.0
        Positive.
    mode : {"fan_in", "fan_out", "fan_avg"}, default "fan_in"
        n: the number of inputs of a unit, of units fed by an input, or their average.
    distribution : {"truncated_normal", "untruncated_normal", "uniform"}
        Default "truncated_normal", for which the variance holds after truncation. "normal" means
        "truncated_normal".
    seed : int, optional
    input_axes, output_axes : list of int, optional
        Axes of the weights that count as inputs and outputs. Default: the last axis are the
        outputs, the one before it the inputs, and those before that a receptive field.

    Raises
    ------
    ValueError
        If `scale` is not positive, or `mode` or `distribution` is unknown.
    """

    def __init__(
        self,
        scale=1.0,
        mode="fan_in",
        distribution="truncated_normal",
        seed=None,
        input_axes=None,
        output_axes=None,
    ):
        if not scale > 0.0:
            raise ValueError(f"Argument `scale` must be positive float. Received: scale={scale}")
        if mode not in ("fan_in", "fan_out", "fan_avg"):
            raise ValueError(f"Invalid `mode` argument: {mode}. Please use one of 'fan_in', 'fan_out', 'fan_avg'")
        distribution = distribution.lower()
        if distribution == "normal":
            distribution = "truncated_normal"
        if distribution not in ("truncated_normal", "untruncated_normal", "uniform"):
            raise ValueError(
                f"Invalid `distribution` argument: {distribution}. Please use one of "
                "'truncated_normal', 'untruncated_normal', 'uniform'"
            )
        super().__init__(seed)
        self.scale = scale
        self.mode = mode
        self.distribution = distribution
        self.input_axes = input_axes
        self.output_axes = output_axes

    def __call__(self, shape, dtype=None):
        fan_in, fan_out = _fans(as_shape(shape), self.input_axes, self.output_axes)
        n = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        variance = self.scale / max(1.0, n)
        if self.distribution == "uniform":
            limit = math.sqrt(3 * variance)
            return self._uniform(shape, -limit, limit, dtype)
        if self.distribution == "untruncated_normal":
            return self._normal(shape, 0.0, math.sqrt(variance), dtype)
        return self._truncated_normal(shape, 0.0, math.sqrt(variance) / _TRUNCATED_STDDEV, dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "scale": self.scale,
            "mode": self.mode,
            "distribution": self.distribution,
            "input_axes": self.input_axes,
            "output_axes": self.output_axes,
        }


class _Scheme(VarianceScaling):
    """A named setting of VarianceScaling."""

    _scale, _mode, _distribution = 1.0, "fan_in", "truncated_normal"

    def __init__(self, seed=None, input_axes=None, output_axes=None):
        super().__init__(self._scale, self._mode, self._distribution, seed, input_axes, output_axes)

    def get_config(self):
        config = super().get_config()
        return {name: config[name] for name in ("seed", "input_axes", "output_axes")}


class GlorotNormal(_Scheme):
    """Truncated normal of variance 2 / (inputs + outputs); also called Xavier (Glorot 2010)."""

    _mode = "fan_avg"


class GlorotUniform(_Scheme):
    """Uniform within ±sqrt(6 / (inputs + outputs)); also called Xavier (Glorot 2010)."""

    _mode, _distribution = "fan_avg", "uniform"


class HeNormal(_Scheme):
    """Truncated normal of variance 2 / inputs, for ReLU and its kin (He 2015)."""

    _scale = 2.0


class HeUniform(_Scheme):
    """Uniform within ±sqrt(6 / inputs), for ReLU and its kin (He 2015)."""

    _scale, _distribution = 2.0, "uniform"


class LecunNormal(_Scheme):
    """Truncated normal of variance 1 / inputs, for SELU (LeCun 1998, Klambauer 2017)."""


class LecunUniform(_Scheme):
    """Uniform within ±sqrt(3 / inputs), for SELU (LeCun 1998, Klambauer 2017)."""

    _distribution = "uniform"


class Orthogonal(RandomInitializer):
    """A random matrix with orthonormal columns (orthonormal rows, if it is wider than high), times a factor.

    It is the Q of a normal random matrix's QR decomposition, with the signs that make it uniform among all such
    matrices (Saxe et al., "Exact solutions to the nonlinear dynamics of learning in deep linear neural networks",
    ICLR 2014). All axes but the last count as one.

    Parameters
    ----------
    gain : float, default 1.0
    seed : int, optional

    Raises
    ------
    ValueError
        When called, if the shape has fewer than two numbers.
    """

    def __init__(self, gain=1.0, seed=None):
        super().__init__(seed)
        self.gain = gain

    def __call__(self, shape, dtype=None):
        shape = as_shape(shape)
        if len(shape) < 2:
            raise ValueError(
                f"Orthogonal makes matrices: expected a shape of at least two numbers. Received: shape={shape} of "
                f"rank {len(shape)}."
            )
        rows, columns = math.prod(shape[:-1]), shape[-1]
        # float64: LAPACK's float32 leaves the columns orthogonal to 1e-6 only
        q, r = np.linalg.qr(self._generator().standard_normal((max(rows, columns), min(rows, columns))))
        q *= np.copysign(1.0, np.diagonal(r))
        if rows < columns:
            q = q.T
        return (self.gain * q.reshape(shape)).astype(as_dtype(dtype))

    def get_config(self):
        return {"gain": self.gain, **super().get_config()}


def _scaled(values, factor, offset, dtype):
    values *= np.float32(factor)
    values += np.float32(offset)
    return values.astype(as_dtype(dtype), copy=False)


def _fans(shape, input_axes, output_axes):
    """Count the inputs of a unit and the units that an input feeds."""
    if input_axes is not None and output_axes is not None:
        return math.prod(shape[a] for a in input_axes), math.prod(shape[a] for a in output_axes)
    if len(shape) < 2:
        n = shape[0] if shape else 1
        return n, n
    field = math.prod(shape[:-2])
    return shape[-2] * field, shape[-1] * field
