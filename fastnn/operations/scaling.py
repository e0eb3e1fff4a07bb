"""``x * scale + shift`` with constants, place by place of a sample."""

import numpy as np

from fastnn.lowering.layout import body

LARGEST_FACTOR = 2.0**60


class Scaling:
    """A scaling of all values of a sample.

    Attributes
    ----------
    scale, shift : ndarray of float64
        With as many axes as the sample; of size 1 along those that make no difference.
    """

    __slots__ = ("scale", "shift")

    def __init__(self, scale, shift):
        self.scale = _compact(scale)
        self.shift = _compact(shift)

    @classmethod
    def of(cls, tensor, scale, shift):
        """The scaling of a tensor's values by arrays that can be broadcast to them."""
        axes = len(body(tensor.shape))
        return cls(*(np.reshape(each, (1,) * (axes - np.ndim(each)) + np.shape(each)) for each in (scale, shift)))

    @classmethod
    def nothing(cls, axes):
        """The one that changes nothing."""
        return cls(np.ones((1,) * axes), np.zeros((1,) * axes))

    @property
    def is_identity(self):
        return self.only_shifts and self.only_scales

    @property
    def only_shifts(self):
        return self.scale.size == 1 and self.scale.item() == 1

    @property
    def only_scales(self):
        return not self.shift.any()

    @property
    def is_positive(self):
        """Does it commute with functions that are homogeneous for positive numbers, as ReLU is?"""
        return self.only_scales and bool((self.scale > 0).all())

    @property
    def is_extreme(self):
        """Might weights with these factors leave the range of float32?"""
        factors = np.abs(self.scale[self.scale != 0])
        return bool((factors > LARGEST_FACTOR).any() or (factors < 1 / LARGEST_FACTOR).any())

    def then(self, other):
        """This scaling followed by another one."""
        return Scaling(self.scale * other.scale, self.shift * other.scale + other.shift)

    def moved(self, function):
        """The scaling of the same values at other places: `function` is what happens to an array of them."""
        return Scaling(function(self.scale), function(self.shift))

    def by_feature(self, n):
        """Scale and shift as vectors for the n values of the last axis; None if other axes make a difference."""
        if self.scale.shape[:-1] != (1,) * (self.scale.ndim - 1) or self.shift.shape[:-1] != self.scale.shape[:-1]:
            return None
        return tuple(np.broadcast_to(each.reshape(-1), n) for each in (self.scale, self.shift))

    def in_axes(self, axes):
        """The same scaling of samples that have further axes in front."""
        return self.moved(lambda array: array.reshape((1,) * (axes - array.ndim) + array.shape))

    def broadcast(self, shape):
        """Scale and shift as arrays of a sample's shape."""
        return np.broadcast_to(self.scale, shape), np.broadcast_to(self.shift, shape)

    def onto(self, tensor):
        """The scaling of a tensor that is broadcast to the sample; None if it has too few places for that."""
        shape = body(tensor.shape)
        missing = self.scale.ndim - len(shape)
        for array in (self.scale, self.shift):
            wide = array.shape[:missing] + tuple(
                size for size, own in zip(array.shape[missing:], shape, strict=True) if own == 1
            )
            if any(size != 1 for size in wide):
                return None
        return self.moved(lambda array: array.reshape(array.shape[missing:]))


def _compact(array):
    array = np.asarray(array, np.float64)
    for axis, size in enumerate(array.shape):
        if size > 1:
            first = np.take(array, [0], axis)
            if (array == first).all():
                array = first
    return array
