"""gather, gather_labels, scatter and reshape: every dtype and any strides, read in place."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastnn._engine import kernels
from reference import data
from reference.arrays import GARBAGE, garbage, matrix, same_bits, width

DTYPES = "f4 f8 f2 u1 i1 u2 i2 u4 i4 u8 i8 ?".split()
every_isa = pytest.mark.parametrize("isa", kernels.isas())
every_dtype = pytest.mark.parametrize("dtype", DTYPES)
layouts = st.sampled_from(["C", "F", "reversed", "stepped", "moved", "unaligned", "broadcast"])


def values(shape, dtype, seed=0):
    """Random numbers over the whole range of an integer dtype, over eight decades of a float."""
    dtype = np.dtype(dtype)
    random = np.random.default_rng(seed)
    if dtype.kind == "f":
        return (random.normal(size=shape) * 10 ** random.uniform(-4, 4, size=shape)).astype(dtype)
    if dtype.kind == "b":
        return random.integers(0, 2, size=shape).astype(bool)
    info = np.iinfo(dtype)
    return random.integers(info.min, info.max, size=shape, dtype=dtype, endpoint=True)


def laid_out(array, layout):
    """An equal array that lies in memory in another way."""
    if layout == "F":
        return np.asfortranarray(array)
    if layout == "reversed":
        return array[tuple(slice(None, None, -1) for _ in array.shape)]
    if layout == "stepped":
        wide = np.zeros([2 * size + 1 for size in array.shape], array.dtype)
        view = wide[tuple(slice(1, None, 2) for _ in array.shape)]
        view[...] = array
        return view
    if layout == "moved":
        return np.moveaxis(np.ascontiguousarray(np.moveaxis(array, 0, -1)), -1, 0)
    if layout == "unaligned":
        memory = np.empty(array.nbytes + 1, np.uint8)[1:]
        view = memory.view(array.dtype).reshape(array.shape)
        view[...] = array
        return view
    if layout == "broadcast":
        return np.broadcast_to(array[:1], array.shape)
    return array


def gather(source, rows_per_sample, n, order=None, samples=None, first=0, **how):
    samples = len(order) if samples is None else samples
    rows = samples * rows_per_sample
    y = garbage(rows, n, 1)
    dims = dict(n=n, ldy=y.shape[1])
    operands = dict(source=source, y=y)
    kernels.call("gather", samples, operands, dims, {}, rows_per_sample, first=first, order=order, **how)
    assert not y[:, n : width(n)].any()
    assert (y[:, width(n) :] == np.float32(GARBAGE)).all()
    return y[:, :n]


@every_isa
@every_dtype
@given(
    st.integers(1, 12),
    st.lists(st.integers(1, 9), max_size=3),
    layouts,
    st.integers(0, 2**32 - 1),
)
def test_gather(isa, dtype, count, sample_shape, layout, seed):
    source = laid_out(values((count, *sample_shape), dtype, seed), layout)
    random = np.random.default_rng(seed)
    order = random.integers(0, count, size=random.integers(1, 20))
    size = math.prod(sample_shape)
    rows_per_sample = random.choice([d for d in range(1, size + 1) if size % d == 0])
    n = size // rows_per_sample
    expected = data.gathered(source, order, rows_per_sample, n)
    for threads in 1, 2, 3:
        got = gather(source, rows_per_sample, n, order, isa=isa, threads=threads)
        np.testing.assert_array_equal(got, expected)


@every_isa
@every_dtype
@given(st.integers(1, 20), layouts, st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_labels(isa, dtype, count, layout, rows_per_sample, seed):
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2 if dtype == "?" else 100, size=(count, rows_per_sample))
    source = laid_out(labels.astype(dtype), layout)
    order = random.permutation(count)
    for threads in 1, 2, 3:
        got = np.full(count * rows_per_sample + 1, 77, np.int32)
        operands = dict(source=source, labels=got)
        how = dict(order=order, isa=isa, threads=threads)
        kernels.call("gather_labels", count, operands, {}, {}, rows_per_sample, **how)
        np.testing.assert_array_equal(got[:-1], source[order].astype(np.int32).ravel())
        assert got[-1] == 77


@every_isa
@pytest.mark.parametrize(
    "source",
    [
        np.array([np.nan, np.inf, -np.inf, 2.0**31, -(2.0**32), 3.7, -1.2]),
        np.array([np.nan, np.inf, -np.inf, 2.0**31, -(2.0**32), 3.7, -1.2], np.float32),
        np.array([np.nan, np.inf, -np.inf, np.inf, np.inf, 3.7, -1.2], np.float16),
        np.array([2**31, 2**32 + 1, -(2**31) - 1, 2**62, -(2**63), 3, -1]),
        np.array([2**31, 2**32 + 1, 2**63, 2**62, 2**64 - 1, 3, 2**40], np.uint64),
        np.array([2**31, 2**31 + 1, 2**32 - 1, 2**32 - 2, 2**31 + 7, 3, 2**31], np.uint32),
    ],
    ids=lambda source: source.dtype.name,
)
def test_a_label_that_int32_cannot_hold_is_no_class(isa, source):
    labels = np.zeros(7, np.int32)
    kernels.call("gather_labels", 7, dict(source=source, labels=labels), isa=isa)
    np.testing.assert_array_equal(labels, [-1, -1, -1, -1, -1, 3, -1])


@every_isa
def test_every_half_is_exact(isa):
    halves = np.arange(65536, dtype=np.uint16).view(np.float16)
    for source in halves[None], np.asfortranarray(np.stack([halves, halves]))[:1]:
        got = gather(source, 1, 65536, [0], isa=isa)[0]
        assert same_bits(got, halves.astype(np.float32))
        assert (np.signbit(got) == np.signbit(halves)).all()


@every_isa
@every_dtype
def test_in_order_from_any_sample_on(isa, dtype):
    source = values((30, 5), dtype)
    for first in 0, 1, 17:
        expected = data.gathered(source, np.arange(first, first + 13), 1, 5)
        np.testing.assert_array_equal(gather(source, 1, 5, samples=13, first=first, isa=isa), expected)
        order = np.arange(30)[::-1]
        expected = data.gathered(source, order[first : first + 13], 1, 5)
        got = gather(source, 1, 5, order, samples=13, first=first, isa=isa)
        np.testing.assert_array_equal(got, expected)


@every_isa
def test_nan_and_infinities_arrive(isa):
    special = np.array([[np.nan, np.inf, -np.inf, -0.0]])
    for dtype in np.float64, np.float32, np.float16:
        got = gather(special.astype(dtype), 1, 4, [0], isa=isa)
        assert same_bits(got, special.astype(np.float32))


@every_isa
@pytest.mark.parametrize("order", ["C", "F"])
def test_memory_maps_are_read_in_place(isa, order, tmp_path):
    source = np.memmap(tmp_path / "x", np.uint16, "w+", shape=(50, 6, 7), order=order)
    source[...] = values(source.shape, np.uint16)
    source.flush()
    source = np.memmap(tmp_path / "x", np.uint16, "r", shape=(50, 6, 7), order=order)
    samples = np.random.default_rng(0).permutation(50)
    expected = data.gathered(source, samples, 6, 7)
    np.testing.assert_array_equal(gather(source, 6, 7, samples, isa=isa), expected)


@every_isa
@given(st.integers(1, 20), st.integers(1, 4), st.integers(1, 70), st.integers(0, 3))
def test_scatter(isa, samples, rows_per_sample, n, first):
    rows = np.random.default_rng(n).normal(size=(samples * rows_per_sample, n)).astype(np.float32)
    y = matrix(rows, extra=1)
    for threads in 1, 2, 3:
        out = np.full((samples + first + 1, rows_per_sample, n), 5, np.float32)
        dims = dict(n=n, ldy=y.shape[1])
        how = dict(first=first, order=np.arange(100)[::-1], isa=isa, threads=threads)
        kernels.call("scatter", samples, dict(y=y, out=out), dims, {}, rows_per_sample, **how)
        np.testing.assert_array_equal(out[first:-1].reshape(rows.shape), rows)
        assert (out[:first] == 5).all()
        assert (out[-1] == 5).all()


@every_isa
@given(st.integers(1, 8), st.lists(st.integers(1, 6), min_size=1, max_size=4), st.data())
def test_reshape(isa, samples, shape, pick):
    size = math.prod(shape)
    divisors = [d for d in range(1, size + 1) if size % d == 0]
    rows_x, rows_y = pick.draw(st.sampled_from(divisors)), pick.draw(st.sampled_from(divisors))
    n_x, n_y = size // rows_x, size // rows_y
    flat = np.random.default_rng(size).normal(size=samples * size).astype(np.float32)
    x = matrix(flat.reshape(-1, n_x), extra=1)
    for threads in 1, 2, 3:
        y = garbage(samples * rows_y, n_y, 1)
        dims = dict(rows_x=rows_x, n_x=n_x, ldx=x.shape[1], rows_y=rows_y, n_y=n_y, ldy=y.shape[1])
        kernels.call("reshape", samples, dict(x=x, y=y), dims, isa=isa, threads=threads)
        np.testing.assert_array_equal(y[:, :n_y], flat.reshape(-1, n_y))
        assert not y[:, n_y : width(n_y)].any()
        assert (y[:, width(n_y) :] == np.float32(GARBAGE)).all()
