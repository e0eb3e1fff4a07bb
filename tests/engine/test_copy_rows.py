"""Values into rows with padding, and out of them: copy_rows."""

import numpy as np
import pytest

from fastnn._engine import kernels
from reference.arrays import GARBAGE, garbage, width


@pytest.mark.parametrize("isa", kernels.isas())
@pytest.mark.parametrize("n", [1, 5, 16, 33])
def test_both_ways(isa, n):
    rows = 7
    x = np.random.default_rng(n).normal(size=(rows, n)).astype(np.float32)
    for threads in 1, 3:
        inside = garbage(rows, n, 1)
        dims = dict(n=n, ldx=n, ldy=inside.shape[1])
        kernels.call("copy_rows", rows, {"x": x, "y": inside}, dims, threads=threads, isa=isa)
        np.testing.assert_array_equal(inside[:, :n], x)
        assert not inside[:, n : width(n)].any()
        assert (inside[:, width(n) :] == np.float32(GARBAGE)).all()
        outside = np.full(rows * n + 16, GARBAGE, np.float32)
        dims = dict(n=n, ldx=inside.shape[1], ldy=n)
        kernels.call("copy_rows", rows, {"x": inside, "y": outside}, dims, threads=threads, isa=isa)
        np.testing.assert_array_equal(outside[: rows * n].reshape(rows, n), x)
        assert (outside[rows * n :] == np.float32(GARBAGE)).all()
