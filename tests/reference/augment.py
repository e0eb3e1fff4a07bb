"""Random changes of images in float64: the oracle of ``csrc/ops/augment.c``."""

import numpy as np

from reference.data import GROUP, words

FILLS = ("constant", "nearest", "reflect", "wrap")


def draws(samples, seed, stream, step):
    """The first three uniform numbers of each sample."""
    return (words(samples * GROUP, seed, stream, step).reshape(samples, GROUP)[:, :3] >> np.uint32(8)) / 2.0**24


def between(low, high, u):
    return low + (high - low) * u


def matrices(kind, a, b, c, d, uniform, u, h, w):
    """Of each sample, the six numbers that map a place (x, y) of the result to one of the image."""
    m = np.tile([1.0, 0, 0, 0, 1, 0], (len(u), 1))
    cx, cy = (w - 1) / 2, (h - 1) / 2
    if kind == "flip":
        flipped = u[:, 0] <= 0.5
        if a:
            m[flipped, 0], m[flipped, 2] = -1, w - 1
        if b:
            m[flipped, 4], m[flipped, 5] = -1, h - 1
    elif kind == "translate":
        m[:, 5], m[:, 2] = -between(a, b, u[:, 0]) * h, -between(c, d, u[:, 1]) * w
    elif kind == "rotate":
        angle = 2 * np.pi * between(a, b, u[:, 0])
        m[:, 0] = m[:, 4] = np.cos(angle)
        m[:, 3], m[:, 1] = np.sin(angle), -np.sin(angle)
        m[:, 2] = cx - cx * m[:, 0] - cy * m[:, 1]
        m[:, 5] = cy - cx * m[:, 3] - cy * m[:, 4]
    else:
        m[:, 4] = 1 + between(a, b, u[:, 0])
        m[:, 0] = m[:, 4] if uniform else 1 + between(c, d, u[:, 1])
        m[:, 2], m[:, 5] = cx * (1 - m[:, 0]), cy * (1 - m[:, 4])
    return m


def place(i, n, fill):
    """Where place i of a line is read, -1 for the fill value; by walking, as the modes are defined."""
    if fill == "constant":
        return i if 0 <= i < n else -1
    if fill == "nearest":
        return min(max(i, 0), n - 1)
    line = list(range(n)) if fill == "wrap" else [*range(n), *reversed(range(n))]
    return line[i % len(line)]


def warped(image, m, fill, nearest, fill_value):
    """One image of shape (h, w, c)."""
    h, w, _ = image.shape
    result = np.zeros(image.shape)
    for row in range(h):
        for col in range(w):
            x, y = m[0] * col + m[1] * row + m[2], m[3] * col + m[4] * row + m[5]
            if nearest:
                x, y = (np.sign(v) * np.floor(abs(v) + 0.5) for v in (x, y))
            ix, iy = int(np.floor(x)), int(np.floor(y))
            for dx, wx in (0, 1 - (x - ix)), (1, x - ix):
                for dy, wy in (0, 1 - (y - iy)), (1, y - iy):
                    px, py = place(ix + dx, w, fill), place(iy + dy, h, fill)
                    value = fill_value if px < 0 or py < 0 else image[py, px]
                    result[row, col] += wx * wy * value
    return result


def mixing(alpha, u):
    """lambda of each sample, and how far away the other sample is."""
    angle = np.cos(2 * np.pi * (u[:, 1] + 2.0**-25))
    half = 0.5 / np.sqrt(1 + 1 / (((u[:, 0] + 2.0**-25) ** (-1 / alpha) - 1) * angle**2))
    return 0.5 + np.where(angle < 0, -half, half), int(u[0, 2] * len(u))


def replaced(x, rate, uniform, sums=None):
    """x[samples][rows][n] with values replaced where `uniform`, of the same shape, is less than `rate`."""
    samples = len(x)
    rate = np.float32(rate)
    hit = uniform.astype(np.float32) < rate
    if sums is not None:
        return np.where(hit, sums / np.float32(samples), x)
    steps = np.minimum((uniform.astype(np.float32) / rate * np.float32(samples - 1)).astype(int) + 1, samples - 1)
    others = (np.arange(samples)[:, None, None] + np.where(hit, steps, 0)) % samples
    return np.take_along_axis(x, others, axis=0)
