import tracemalloc

import numpy as np
import pytest

from fastnn.training import data

READABLE = ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?"]


@pytest.mark.parametrize("dtype", READABLE)
def test_arrays_are_never_copied(dtype):
    array = np.zeros((6, 8), dtype)
    views = array, array.T, array[::2, ::-1], array[:, 1:3], np.broadcast_to(array, (3, 6, 8))
    for view in views:
        assert np.shares_memory(data.as_array(view, "x"), view)


def test_memory_maps_and_huge_views_are_not_read(tmp_path):
    file = np.memmap(tmp_path / "x", np.uint8, "w+", shape=(1000, 100))
    assert np.shares_memory(data.as_array(file, "x"), file)
    huge = np.broadcast_to(np.float32(1), (2**40, 2**20))
    tracemalloc.start()
    assert data.as_array(huge, "x").shape == huge.shape
    assert tracemalloc.get_traced_memory()[1] < 10000
    tracemalloc.stop()


def test_subclasses_become_plain_arrays():
    matrix = np.zeros((2, 3)).view(np.matrix)
    plain = data.as_array(matrix, "x")
    assert type(plain) is np.ndarray
    assert np.shares_memory(plain, matrix)


class WithArray:
    def __array__(self, dtype=None, copy=None):
        return np.arange(6.0).reshape(2, 3)


class WithToNumpy:
    def to_numpy(self):
        return np.arange(6.0).reshape(2, 3)


class Broken:
    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("call detach() first")


@pytest.mark.parametrize(
    "value",
    [
        [[0, 1, 2], [3, 4, 5]],
        ((0.0, 1.0, 2.0), (3.0, 4.0, 5.0)),
        [np.array([0, 1, 2]), np.array([3, 4, 5])],
        np.array([[0, 1.0, 2], [3, True + 3, 5]], object),
        WithArray(),
        WithToNumpy(),
        memoryview(np.arange(6).reshape(2, 3)),
    ],
)
def test_everything_that_holds_numbers_is_read(value):
    np.testing.assert_array_equal(data.as_array(value, "x"), np.arange(6).reshape(2, 3))


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (np.zeros(3, np.complex64), TypeError, "x has dtype complex64"),
        (np.zeros(3, np.longdouble), TypeError, f"x has dtype {np.dtype(np.longdouble)}"),
        (np.array(["a", "b"]), TypeError, "x has dtype <U1"),
        (["1.5", "2"], TypeError, "x has dtype <U3"),
        (np.zeros(3, "M8[s]"), TypeError, "x has dtype datetime64"),
        (np.zeros(3, "f4,f4"), TypeError, "x has dtype"),
        (np.zeros(3, ">f4" if np.little_endian else "<f4"), ValueError, "byte order"),
        (np.ma.masked_array([1.0, 2.0], [False, True]), TypeError, "masked"),
        (3.5, ValueError, "single value, 3.5"),
        (np.float32(3.5), ValueError, "single value"),
        (None, TypeError, "received NoneType"),
        ({"a": [1]}, TypeError, "received dict"),
        ((i for i in range(3)), TypeError, "received generator"),
        (object(), TypeError, "received object"),
        ([[1, 2], [3]], TypeError, "inhomogeneous"),
        (Broken(), TypeError, "call detach() first"),
        (np.array([[1, "a"], [3, 4]], object), TypeError, "x[0, 1] is 'a' of type str"),
        (np.array([1.0, [2, 3]], object), TypeError, "x[1] is [2, 3] of type list"),
        (np.array([1, 10**400], object), TypeError, "x[1] is 1000000"),
        (np.zeros((1,) * 7), ValueError, "7 axes"),
    ],
)
def test_what_holds_no_numbers_is_refused(value, error, message):
    with pytest.raises(error) as caught:
        data.as_array(value, "x")
    assert message in str(caught.value)


def test_sparse_matrices_are_refused():
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(TypeError, match=r"x\.toarray\(\)"):
        data.as_array(sparse.eye_array(3), "x")


def test_pandas():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": [1, 2], "b": [0.5, 1.5]})
    np.testing.assert_array_equal(data.as_array(frame, "x"), [[1, 0.5], [2, 1.5]])
    np.testing.assert_array_equal(data.as_array(frame["a"], "y"), [1, 2])
    with pytest.raises(TypeError, match="of type str"):
        data.as_array(pandas.DataFrame({"a": [1, 2], "b": ["u", "v"]}), "x")


def test_check_lengths():
    x, y = np.zeros((5, 2)), np.zeros(5)
    assert data.check_lengths(x=x, y=y, sample_weight=None) == 5
    with pytest.raises(ValueError, match="cardinality is ambiguous.*x has 5, y has 4"):
        data.check_lengths(x=x, y=y[:4])
    with pytest.raises(ValueError, match=r"x is empty: it has shape \(0, 2\)"):
        data.check_lengths(x=x[:0], y=y[:0])


@pytest.mark.parametrize(
    ("given", "shape", "viewed"),
    [
        ((5, 3), (3,), (5, 3)),
        ((5,), (1,), (5, 1)),
        ((5, 3, 1), (3,), (5, 3)),
        ((5, 28, 28), (28, 28), (5, 28, 28)),
        ((5, 28, 28), (28, 28, 1), (5, 28, 28, 1)),
    ],
)
def test_check_inputs_views(given, shape, viewed):
    x = np.zeros(given)
    view = data.check_inputs(x, shape, "x")
    assert view.shape == viewed
    assert np.shares_memory(view, x)


@pytest.mark.parametrize(("given", "shape"), [((5, 4), (3,)), ((5,), (3,)), ((5, 28, 28), (784,))])
def test_check_inputs_refuses(given, shape):
    with pytest.raises(ValueError) as error:
        data.check_inputs(np.zeros(given), shape, "x")
    assert f"received an array of shape {given}" in str(error.value).lower()
    assert f"(samples, {', '.join(map(str, shape))})" in str(error.value)


@pytest.mark.parametrize(
    ("given", "kind", "output", "viewed"),
    [
        ((5,), "labels", (10,), (5,)),
        ((5, 1), "labels", (10,), (5,)),
        ((5, 4), "labels", (4, 10), (5, 4)),
        ((5, 4, 1), "labels", (4, 10), (5, 4)),
        ((5,), "values", (1,), (5, 1)),
        ((5, 1), "values", (1,), (5, 1)),
        ((5, 3), "values", (3,), (5, 3)),
        ((5, 3, 1), "values", (3,), (5, 3)),
    ],
)
def test_check_targets_views(given, kind, output, viewed):
    y = np.zeros(given)
    view = data.check_targets(y, kind, output, "y")
    assert view.shape == viewed
    assert np.shares_memory(view, y)


@pytest.mark.parametrize(
    ("given", "kind", "output", "message"),
    [
        ((5, 3), "labels", (3,), "one-hot rows"),
        ((5,), "values", (3,), r"to_categorical\(y, 3\)"),
        ((5, 1), "values", (3,), r"to_categorical\(y, 3\)"),
        ((5, 2), "values", (3,), r"expected \(samples, 3\).*received shape \(5, 2\)"),
        ((5, 2), "labels", (3,), r"expected \(samples,\).*received shape \(5, 2\)"),
    ],
)
def test_check_targets_refuses(given, kind, output, message):
    with pytest.raises(ValueError, match=message):
        data.check_targets(np.zeros(given), kind, output, "y")


@pytest.mark.parametrize("dtype", READABLE)
def test_labels_of_every_type(dtype):
    data.check_labels(np.array([0, 1, 1, 0]).astype(dtype), 2, "y")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.array([0, 1, 3]), "y[2] is 3. Expected labels: whole numbers in [0, 3)"),
        (np.array([0, -1, 3], np.int8), "y[1] is -1"),
        (np.array([2**64 - 1], np.uint64), "y[0] is 18446744073709551615"),
        (np.array([0.0, 1.0, np.nan]), "y[2] is nan"),
        (np.array([np.inf]), "y[0] is inf"),
        (np.array([0.0, 0.5]), "y[1] is 0.5"),
        (np.array([[0, 1], [9, 0]]), "y[1, 0] is 9"),
        (np.array([[0, 1], [0, 9]]).T[::-1], "y[0, 1] is 9"),
    ],
)
def test_wrong_labels_are_named(labels, message):
    with pytest.raises(ValueError) as error:
        data.check_labels(labels, 3, "y")
    assert message in str(error.value)


def test_labels_are_scanned_in_parts():
    labels = np.zeros((2_000_000, 2), np.float32)[:, 0]
    labels[1_234_567] = 7
    tracemalloc.start()
    data.check_labels(labels, 8, "y")
    with pytest.raises(ValueError, match=r"y\[1234567\] is 7.0"):
        data.check_labels(labels, 7, "y")
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


def test_check_sample_weight():
    for weights in ([1, 2, 3], np.array([[1.0], [2.0], [3.0]]), np.array([1, 2, 3], np.uint8)):
        checked = data.check_sample_weight(weights, 3)
        np.testing.assert_array_equal(checked, [1, 2, 3])
        assert checked.shape == (3,)
    for wrong in ([1.0], np.ones((3, 2)), np.ones(4)):
        with pytest.raises(ValueError, match="each of the 3 samples"):
            data.check_sample_weight(wrong, 3)
    for bad in (np.nan, np.inf):
        with pytest.raises(ValueError, match=rf"sample_weight\[1\] is {bad}"):
            data.check_sample_weight([1.0, bad, 2.0], 3)


@pytest.mark.parametrize(
    "y",
    [
        np.array([0, 2, 1, 2, 5]),
        np.array([[0.0], [2.0], [1.0], [2.0], [5.0]]),
        np.eye(6)[[0, 2, 1, 2, 5]],
    ],
)
def test_class_weights(y):
    weights = data.class_weights(y, {0: 0.5, 2: 3.0, 4: 9.0})
    np.testing.assert_array_equal(weights, np.array([0.5, 3, 1, 3, 1], np.float32))
    assert weights.dtype == np.float32
    np.testing.assert_array_equal(data.class_weights(y, {}), np.ones(5))


def test_class_weights_of_many_samples():
    y = np.random.default_rng(0).integers(0, 50, 200_000)
    table = np.random.default_rng(1).uniform(0.5, 2, 50).astype(np.float32)
    weights = data.class_weights(y, dict(enumerate(table.tolist())))
    np.testing.assert_array_equal(weights, table[y])


def test_class_weights_are_those_of_keras(keras):
    from keras.src.trainers.data_adapters.data_adapter_utils import class_weight_to_sample_weights

    rng = np.random.default_rng(0)
    table = {0: 0.1, 3: 2.5, 7: 4}
    for y in (rng.integers(0, 9, 100), rng.integers(0, 9, (100, 1)).astype(float),
              rng.random((100, 9))):  # fmt: skip
        expected = class_weight_to_sample_weights(y, table)
        np.testing.assert_array_equal(data.class_weights(y, table), expected)


@pytest.mark.parametrize(
    ("y", "table", "message"),
    [
        (np.zeros(3), [1, 2], "expected a dictionary"),
        (np.zeros(3), {0.5: 1}, "received {0.5: 1}"),
        (np.zeros(3), {"a": 1}, "received {'a': 1}"),
        (np.zeros(3), {0: np.nan}, "received {0: nan}"),
        (np.zeros((3, 2, 2)), {0: 1}, r"Received shape \(3, 2, 2\)"),
        (np.eye(3), {0: 1, 7: 2}, "3 classes, numbered from 0 to 2. Received a weight for class 7"),
        (np.eye(3), {-1: 2}, "class -1"),
    ],
)
def test_class_weights_refuses(y, table, message):
    with pytest.raises(ValueError, match=message):
        data.class_weights(y, table)


def test_class_weights_of_classes_that_cannot_be_are_refused():
    labels = np.array([0, 2, 1])
    np.testing.assert_array_equal(data.class_weights(labels, {2: 5, 7: 2}), [1, 5, 1])  # who knows how many there are
    np.testing.assert_array_equal(data.class_weights(labels, {2: 5}, classes=3), [1, 5, 1])
    with pytest.raises(ValueError, match="class_weight: there are 3 classes.*class 7"):
        data.class_weights(labels, {2: 5, 7: 2}, classes=3)


def test_nan_targets_weigh_one():
    np.testing.assert_array_equal(data.class_weights(np.array([np.nan, 1]), {0: 5, 1: 2}), [1, 2])


def test_split_validation_takes_the_last_part_as_views():
    x, y = np.arange(20).reshape(10, 2), np.arange(10)
    (x1, y1, w1), (x2, y2, w2) = data.split_validation(0.25, x, y, None)
    np.testing.assert_array_equal(y1, np.arange(7))  # floor(10 * 0.75), as Keras
    np.testing.assert_array_equal(y2, [7, 8, 9])
    assert np.shares_memory(x1, x)
    assert np.shares_memory(x2, x)
    assert w1 is None
    assert w2 is None


@pytest.mark.parametrize("fraction", [0, 1, -0.5, 1.5, np.nan, "0.2"])
def test_split_validation_refuses_fractions(fraction):
    with pytest.raises(ValueError, match="validation_split"):
        data.split_validation(fraction, np.zeros(10))


def test_split_validation_refuses_empty_parts():
    with pytest.raises(ValueError, match="Training data contains 1 samples"):
        data.split_validation(0.5, np.zeros(1))


def test_unpack():
    assert data.unpack((1, 2)) == (1, 2, None)
    assert data.unpack([1, 2, 3]) == (1, 2, 3)
    for wrong in ((1,), (1, 2, 3, 4), 5, np.zeros((2, 3))):
        with pytest.raises(ValueError, match="validation_data: expected a tuple"):
            data.unpack(wrong)
