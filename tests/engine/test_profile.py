"""Instructions timed one by one, and the loops that show what the processor can do."""

import numpy as np
import pytest
from fastnn._engine.program import Instruction, Program
from fastnn._engine.runtime import Buffer

from fastnn._engine import kernels, runtime


def program():
    """x = 2 x + 1, then y = x."""
    x, y, factors = Buffer(64 * 4), Buffer(64 * 4), Buffer(128)
    factors.array(16)[:] = 2
    factors.array(16, offset=64)[:] = 1
    place = (x, 0, 256)
    operands = dict(x=place, scale=(factors, 0, 64), shift=(factors, 64, 64), y=place)
    instructions = [
        Instruction("affine_forward", operands, dict(n=16, ldx=16, ldy=16), {}, work_per_row=10.0, work=5.0),
        Instruction("copy_vector", dict(x=place, y=(y, 0, 256)), dict(n=64), {}, work=1e6),
    ]
    return Program(instructions, 4, {"activations": 512}), y


def test_timed_runs_compute_the_same():
    plain, expected = program()
    timed, result = program()
    times = np.full((3, 2), np.nan)
    assert plain.run(12) == timed.run(12, times=times) == 3
    np.testing.assert_array_equal(result.array(64), expected.array(64))
    assert (times >= 0).all()
    assert times.max() < 1e9


def test_a_timed_run_keeps_its_budget():
    times = np.zeros((100_000, 2))
    done = program()[0].run(400_000, times=times, budget=1e-4)
    assert 1 <= done < 100_000
    assert not times[done:].any()


@pytest.mark.parametrize("shape", [(2, 2), (3, 1), (3, 3)])
def test_times_must_have_room(shape):
    with pytest.raises(ValueError, match=r"shape \(3, 2\)"):
        program()[0].run(12, times=np.zeros(shape))


def test_estimates():
    plain, _ = program()
    assert plain.estimates(4, 8) == [(45.0, 1), (1e6, 8)]
    assert plain.estimates(1, 1) == [(15.0, 1), (1e6, 1)]
    assert plain.memory == {"activations": 512}
    assert plain.measured(4, 8) == ({}, 0)


@pytest.mark.parametrize("isa", runtime.isas())
def test_peak_counts_its_flops(isa):
    assert kernels.peak(0, isa) == 0
    assert kernels.peak(1000, isa) == 1000 * 12 * 2 * runtime.vector_floats(isa)


def test_additions():
    assert runtime.additions(8000) == 8000
