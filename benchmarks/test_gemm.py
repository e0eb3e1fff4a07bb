"""One matrix product of each shape a dense layer needs: fastnn beside NumPy's BLAS, GFLOP/s in `extra_info`."""

import pytest

from benchmarks.gemm import FORMS, LIBRARIES, SHAPES

SECONDS = 0.02  # of one measured run


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("shape", SHAPES, ids=lambda each: "x".join(map(str, each)))
def test_product(timed, clients, shape, form, library):
    answer = timed(
        f"{form} {'x'.join(map(str, shape))}",
        lambda each: each["seconds"],
        clients("fastnn"),
        "gemm",
        library,
        form,
        *shape,
        SECONDS,
    )
    assert answer["gflops"] > 0
