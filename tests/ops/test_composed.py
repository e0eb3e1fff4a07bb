"""Functions of `fastnn.ops` that are composed of others: beside real Keras on arrays, and traced beside themselves."""

import os

import numpy as np
import pytest

import fastnn
from fastnn import ops

_RANDOM = np.random.default_rng(0)
A, B = (_RANDOM.normal(size=(3, 4)).astype("f4") for _ in range(2))
CUBE = _RANDOM.normal(size=(2, 3, 4)).astype("f4")
SQUARE = CUBE[0, :, :3]
GAPS = A.copy()
GAPS[0, 1] = GAPS[1] = np.nan
SPECIAL = np.array([[1, np.inf, -np.inf, np.nan]], "f4")
CASES = [
    ("allclose", A, A), ("isclose", A, A + 1e-6), ("isclose", SPECIAL, SPECIAL), ("isclose", SPECIAL, SPECIAL, 0, 0, True),
    ("batch_normalization", A, B[0], B[1] ** 2, -1, B[2], B[1]), ("cbrt", A), ("copy", A), ("cumprod", A),
    ("cumprod", A, 1), ("cumsum", A), ("cumsum", A, 0), ("diff", A), ("diff", A, 2, 0),
    ("divide_no_nan", A, np.array([0, 1, 2, 0], "f4")), ("erfc", A), ("fabs", A), ("fliplr", A), ("flipud", A),
    ("fmax", GAPS, B), ("fmin", GAPS, B), ("fmod", A, B), ("get_item", A, (slice(None), 1)),
    ("in_top_k", np.array([0, 1, 3]), A, 2), ("inner", A, B), ("inner", A[0], B[0]), ("isneginf", SPECIAL),
    ("isposinf", SPECIAL), ("pad", A, ((1, 0), (2, 1))), ("pad", A, 1, "reflect"), ("pad", A, 1, "constant", 3),
    ("ptp", A, 1), ("rad2deg", A), ("ravel", A), ("rms_normalization", A, B[0]), ("roll", A, 2), ("roll", A, 1, 1),
    ("roll", CUBE, (1, -1), (1, 2)), ("saturate_cast", A * 300, "uint8"), ("signbit", A), ("sinc", A - A[0, 0]),
    ("top_k", A, 2), ("array_split", A, 3, 1), ("diagonal", CUBE), ("diagonal", CUBE, 1, 1, 2), ("dstack", [A, B]),
    ("vstack", [A, B]), ("vstack", [A[0], B[0]]), ("hstack", [A, B]), ("hsplit", A, 2), ("vsplit", A, 3),
    ("dsplit", CUBE, 2),
    *((f"nan{kind}", GAPS, axis) for kind in ("max", "min", "sum", "mean", "prod", "var", "std") for axis in (None, 1)),
    ("rearrange", CUBE, "a b c -> a (c b)"), ("select", [A > 0, A > -1], [A, B], 7.0), ("trace", SQUARE),
    ("tri", 3, 4, 1), ("tril", CUBE, 1), ("triu", CUBE, -1), ("average", A, 1, B[0] ** 2), ("average", A, None, B),
    ("linspace", 0.0, 1.0, 5, True, True), ("max", A, 1, False, 0.5), ("min", A, None, False, -9.0), ("prod", A, 1),
    ("tensordot", CUBE, CUBE[0], [[1, 2], [0, 1]]), ("tensordot", CUBE, CUBE.transpose(1, 2, 0)), ("where", A > 0),
    ("where", A > 0, A, B), ("arange", 5), ("eye", 3), ("layer_normalization", A), ("normalize", A * 1e-7),
    ("take_along_axis", A, np.array([1, 2])), ("concatenate", [A, B]), ("dtype", A),
]  # fmt: skip


@pytest.fixture(scope="module")
def keras():
    os.environ.setdefault("KERAS_BACKEND", "jax")
    return pytest.importorskip("keras", reason="real Keras is the reference", exc_type=ImportError)


def test_values_are_those_of_real_keras(keras):
    for name, *arguments in CASES:
        theirs, ours = getattr(keras.ops, name)(*arguments), getattr(ops, name)(*arguments)
        if isinstance(theirs, str):
            assert ours == theirs, name
            continue
        theirs, ours = (each if isinstance(each, (tuple, list)) else [each] for each in (theirs, ours))
        assert len(ours) == len(theirs), name
        for one, other in zip(ours, theirs, strict=True):
            assert one.shape == tuple(other.shape), name
            np.testing.assert_allclose(one, np.asarray(other), 2e-5, 1e-6, err_msg=name)


TRACED = {
    "batch_normalization": lambda x: ops.batch_normalization(x, B[0, :3], B[1, :3] ** 2, 1, B[2, :3], B[0, 1:]),
    "cumprod": lambda x: ops.cumprod(x, 1),
    "cumsum": lambda x: ops.cumsum(x, 1),
    "diff": lambda x: ops.diff(x, 2, 2),
    "diagonal": lambda x: ops.diagonal(x, 1, 1, 2),
    "trace": lambda x: ops.trace(x, 0, 1, 2),
    "dstack": lambda x: ops.dstack([x, x]),
    "hsplit": lambda x: ops.hsplit(x, 3)[1],
    "array_split": lambda x: ops.array_split(x, 3, 2)[0],
    "inner": lambda x: ops.inner(x, A),
    "pad": lambda x: ops.pad(x, ((0, 0), (1, 2), (0, 1)), constant_values=2.0),
    "ptp": lambda x: ops.ptp(x, -1),
    "roll": lambda x: ops.roll(x, (1, -1), (1, 2)),
    "rearrange": lambda x: ops.rearrange(x, "n a (b c) -> n c (a b)", b=2),
    "rms_normalization": lambda x: ops.rms_normalization(x, A),
    "select": lambda x: ops.select([x > 0, x > -1], [x, x * 2], 7.0),
    "tril": lambda x: ops.tril(x, 1),
    "triu": lambda x: ops.triu(x, -1),
    "top_k": lambda x: ops.concatenate(ops.top_k(x, 2), -1),
    "isclose": lambda x: ops.isclose(x, x + 1e-6),
    "average": lambda x: ops.average(x, 1, B[0, :3] ** 2),
    "tensordot": lambda x: ops.tensordot(x, A, [[1, 2], [0, 1]]),
    "tensordot, matrix": lambda x: ops.tensordot(x, SQUARE, [[1], [0]]),
    "elementwise": lambda x: ops.cbrt(x) + ops.sinc(x) + ops.erfc(x) + ops.fmod(x, 0.3) + ops.divide_no_nan(1.0, x),
    "nanmean": lambda x: ops.nanmean(ops.where(x > 1, np.nan, x), 1),
    "nanmax": lambda x: ops.nanmax(ops.where(x > 0, np.nan, x), (1, 2)),
}


@pytest.mark.parametrize("name", TRACED)
def test_traced_functions_give_what_they_give_on_arrays(name):
    x = fastnn.Input((3, 4))
    model = fastnn.Model(x, TRACED[name](x))
    wanted = np.asarray(TRACED[name](CUBE))
    got = model.predict(CUBE, verbose=0)
    assert got.shape == wanted.shape
    np.testing.assert_allclose(got, wanted, 1e-4, 1e-5)


def test_what_would_mix_samples_is_refused():
    x = fastnn.Input((3, 4))
    for function in (
        ops.ravel,
        ops.cumsum,
        lambda x: ops.roll(x, 1, 0),
        lambda x: ops.pad(x, 1),
        lambda x: ops.concatenate([x, x]),
        lambda x: ops.rearrange(x, "(n m) a b -> n m a b", m=2),
    ):
        with pytest.raises(ValueError, match=r"samples|axis of size None"):
            function(x)
    with pytest.raises(ValueError, match="same axes"):
        ops.rearrange(A, "a b -> a c")
    with pytest.raises(ValueError, match="by a constant only"):
        ops.pad(x, ((0, 0), (1, 1), (1, 1)), "reflect")
