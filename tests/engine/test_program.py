"""Programs: memory planning, and what they refuse."""

import numpy as np
import pytest
from fastnn._engine.program import Instruction, Program
from fastnn._engine.runtime import Buffer, Source
from hypothesis import given
from hypothesis import strategies as st

from fastnn.lowering.memory import plan

LIFETIMES = st.lists(
    st.tuples(st.integers(0, 30), st.integers(0, 10), st.integers(0, 5000)).map(lambda t: (t[0], t[0] + t[1], t[2])),
    max_size=40,
)


@given(LIFETIMES)
def test_what_lives_together_does_not_share_memory(lifetimes):
    offsets, total = plan(lifetimes)
    placed = [
        (offset, offset + size, first, last) for offset, (first, last, size) in zip(offsets, lifetimes, strict=True)
    ]
    for i, (start, end, first, last) in enumerate(placed):
        assert start % 64 == 0
        assert end <= total
        for other_start, other_end, other_first, other_last in placed[:i]:
            together = first <= other_last and other_first <= last
            overlap = start < other_end and other_start < end
            assert not (together and overlap)


def test_memory_is_used_again():
    _, total = plan([(0, 1, 640), (2, 3, 640), (4, 5, 640)])
    assert total == 640


def affine(**changes):
    x, scale, y = Buffer(64 * 4), Buffer(64), Buffer(64 * 4)
    operands = dict(x=(x, 0, 256), scale=(scale, 0, 64), shift=(scale, 0, 64), y=(y, 0, 256))
    operands.update(changes)
    return Instruction("affine_forward", operands, dict(n=16, ldx=16, ldy=16), {}), x, scale, y


def test_it_runs():
    instruction, x, scale, y = affine()
    x.array(64)[:] = np.arange(64)
    scale.array(16)[:] = 2
    assert Program([instruction], 4).run(4) == 1
    np.testing.assert_array_equal(y.array(64), 2.0 * np.arange(64) + 2)


@pytest.mark.parametrize(("offset", "nbytes"), [(0, 257), (-64, 64), (256, 1), (0, -1)])
def test_it_refuses_what_lies_outside_of_its_buffers(offset, nbytes):
    instruction, *_ = affine(x=(Buffer(256), offset, nbytes))
    with pytest.raises(ValueError, match=r"'x' lies outside of its buffer"):
        Program([instruction], 4)


def test_it_refuses_missing_and_unknown_operands():
    with pytest.raises(ValueError, match="'y' is missing"):
        Program([affine(y=None)[0]], 4)
    with pytest.raises(ValueError, match="nothing named"):
        Program([affine(z=None)[0]], 4)
    with pytest.raises(KeyError):
        Program([Instruction("no_such_operation", {}, {}, {})], 4)


def test_it_refuses_batches_that_it_was_not_planned_for():
    program = Program([affine()[0]], 4)
    for batch in -1, 5:
        with pytest.raises(ValueError, match="1 to 4 samples"):
            program.run(8, batch=batch)
    with pytest.raises(ValueError, match="at least 1"):
        Program([affine()[0]], 0)
    with pytest.raises(ValueError, match="needs 8 entries"):
        program.run(8, order=np.arange(7))


@pytest.mark.parametrize("array", [np.zeros((3, 2), complex), np.zeros((3, 2), ">f4"), np.zeros((3, 2), object)])
def test_a_source_refuses_what_c_cannot_read(array):
    with pytest.raises(TypeError, match="convert it"):
        Source(array)


def test_a_source_needs_samples():
    with pytest.raises(ValueError, match="at least one axis"):
        Source(np.zeros((), np.float32))
    irregular = np.zeros((2,) * 8, np.float32)[..., ::2, ::-1].transpose(0, 7, 6, 5, 4, 3, 2, 1)
    with pytest.raises(ValueError, match="ascontiguousarray"):
        Source(irregular)


def test_a_buffer_is_aligned_zeroed_and_shared():
    for nbytes in 0, 1, 4096, 10_000_000:
        buffer = Buffer(nbytes)
        array = buffer.array(nbytes, np.uint8)
        assert array.ctypes.data % 64 == 0 or nbytes == 0
        assert not array.any()
    array[:] = 7
    assert buffer.array(4, np.uint8, 5).tolist() == [7] * 4
    with pytest.raises(ValueError, match="at least 0"):
        Buffer(-1)
