import functools
import http.server
import random
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest

import fastnn
from fastnn import _naming, _random, backend, initializers, utils


def test_to_categorical():
    expected = [[1, 0, 0], [0, 0, 1], [0, 1, 0]]
    for labels in ([0, 2, 1], np.array([0, 2, 1], np.uint8), np.array([[0.0], [2.0], [1.0]])):
        one_hot = utils.to_categorical(labels)
        np.testing.assert_array_equal(one_hot, expected)
        assert one_hot.dtype == np.float64
    assert utils.to_categorical([0, 1], num_classes=5).shape == (2, 5)
    assert utils.to_categorical(np.zeros((2, 3), int), 4).shape == (2, 3, 4)
    assert utils.to_categorical([], 4).shape == (0, 4)
    np.testing.assert_array_equal(utils.to_categorical(1, 3), [0, 1, 0])


@pytest.mark.parametrize(
    ("labels", "classes", "message"),
    [
        ([0, 3], 3, r"labels in \[0, 3\), received 3"),
        ([-1, 0], None, r"labels in \[0, 1\), received -1"),
        ([0.5, 1], None, "integer labels"),
        ([], None, "num_classes"),
    ],
)
def test_to_categorical_refuses(labels, classes, message):
    with pytest.raises(ValueError, match=message):
        utils.to_categorical(labels, classes)


def test_to_categorical_is_that_of_keras(keras):
    for labels in ([0, 2, 1], [[0], [2]], [[0, 1], [2, 3]], 2):
        ours, theirs = utils.to_categorical(labels), keras.utils.to_categorical(labels)
        np.testing.assert_array_equal(ours, theirs)
        assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)


def test_seeds_are_a_deterministic_sequence():
    _random.set_seed(0)
    # The first values of SplitMix64 from state 0, as its authors' reference program prints them.
    assert [_random.next_seed() for _ in range(3)] == [
        0xE220A8397B1DCDAF,
        0x6E789E6AA1B965F4,
        0x06C45D188009454F,
    ]
    _random.set_seed(-1)
    assert 0 <= _random.next_seed() < 2**64


def test_without_a_seed_every_session_differs(monkeypatch):
    monkeypatch.setattr(_random, "_state", None)
    seeds = {_random.next_seed() for _ in range(100)}
    assert len(seeds) == 100
    assert all(0 <= seed < 2**64 for seed in seeds)


def test_set_random_seed_seeds_everything():
    def draw():
        utils.set_random_seed(42)
        return random.random(), np.random.rand(), initializers.HeNormal()((3, 3)).tolist()  # noqa: NPY002

    assert draw() == draw()
    with pytest.raises(ValueError, match="integer"):
        utils.set_random_seed("42")
    state = _random._state
    with pytest.raises(ValueError):
        utils.set_random_seed(-1)
    assert _random._state == state


@pytest.mark.parametrize(
    "name",
    ["Dense", "ReLU", "ELU", "LeakyReLU", "BatchNormalization", "SGD", "Adam", "MyOwn2Layer"],
)
def test_snake_case_is_that_of_keras(name):
    expected = {
        "Dense": "dense",
        "ReLU": "re_lu",
        "ELU": "elu",
        "LeakyReLU": "leaky_re_lu",
        "BatchNormalization": "batch_normalization",
        "SGD": "sgd",
        "Adam": "adam",
        "MyOwn2Layer": "my_own2_layer",
    }
    assert _naming.to_snake_case(name) == expected[name]


def test_unique_names_and_clear_session():
    backend.clear_session()
    assert [_naming.unique_name("Dense") for _ in range(3)] == ["dense", "dense_1", "dense_2"]
    assert _naming.unique_name("sequential") == "sequential"
    backend.clear_session(free_memory=False)
    assert _naming.unique_name("dense") == "dense"


def test_backend_settings():
    assert backend.floatx() == "float32"
    assert backend.epsilon() == 1e-7
    assert backend.image_data_format() == "channels_last"
    backend.set_floatx("float32")
    with pytest.raises(ValueError, match="float32 only"):
        backend.set_floatx("float64")


def test_names_of_types_are_those_of_keras(keras):
    for dtype in (None, float, int, bool, "int", "float64", "uint8", np.float32):
        assert backend.standardize_dtype(dtype) == keras.backend.standardize_dtype(dtype)
    with pytest.raises(ValueError, match="Invalid dtype"):
        backend.standardize_dtype("nothing")
    names = "bool int8 int32 int64 uint8 uint32 float16 float32 float64".split()
    for a in names:
        for b in names:
            assert backend.result_type(a, b) == keras.backend.result_type(a, b)
        assert backend.is_float_dtype(a) == keras.backend.is_float_dtype(a)
        assert backend.is_int_dtype(a) == keras.backend.is_int_dtype(a)


def test_session_settings():
    assert backend.backend() == fastnn.config.backend() == "fastnn"
    backend.set_epsilon(1e-7)
    with pytest.raises(ValueError, match="epsilon"):
        backend.set_epsilon(1e-3)
    backend.clear_session()
    assert [backend.get_uid("a"), backend.get_uid("a"), backend.get_uid("b")] == [1, 2, 1]
    assert backend.is_keras_tensor(fastnn.Input((2,)))
    assert not backend.is_keras_tensor(np.zeros(2))


@pytest.mark.parametrize("axis", [-1, 1])  # over axis 0 Keras divides by the wrong norms
@pytest.mark.parametrize("order", [1, 2])
def test_normalize_is_that_of_keras(keras, axis, order):
    x = np.random.default_rng(0).normal(size=(4, 3))
    x[0] = 0
    np.testing.assert_allclose(utils.normalize(x, axis, order), keras.utils.normalize(x, axis, order))


def test_pack_and_unpack():
    for packed in ("x", ("x", "y"), ("x", "y", "w")):
        x, y, w = utils.unpack_x_y_sample_weight(packed)
        assert utils.pack_x_y_sample_weight(x, y, w) == packed
    assert utils.pack_x_y_sample_weight(["a", "b"]) == (["a", "b"],)
    with pytest.raises(ValueError, match="tuple of 4"):
        utils.unpack_x_y_sample_weight((1, 2, 3, 4))


def test_split_dataset():
    x, y = np.arange(10), np.arange(10) * 2
    left, right = utils.split_dataset(x, left_size=0.8)
    np.testing.assert_array_equal(left, x[:8])
    np.testing.assert_array_equal(right, x[8:])
    (x1, y1), (x2, y2) = utils.split_dataset((x, y), right_size=3, shuffle=True, seed=1)
    assert [len(each) for each in (x1, y1, x2, y2)] == [7, 7, 3, 3]
    np.testing.assert_array_equal(y1, x1 * 2)
    assert sorted([*x1, *x2]) == list(range(10))
    assert (np.concatenate([x1, x2]) != x).any()
    for wrong in ({}, {"left_size": 11}, {"left_size": 1.5}, {"left_size": 6, "right_size": 6}):
        with pytest.raises(ValueError, match="size"):
            utils.split_dataset(x, **wrong)
    with pytest.raises(ValueError, match="one length"):
        utils.split_dataset((x, y[:4]), left_size=0.5)


def test_get_file(tmp_path):
    pytest.importorskip("pooch", reason="the extra `datasets` is not installed")
    source = tmp_path / "served"
    source.mkdir()
    (source / "a.txt").write_text("hello")
    with zipfile.ZipFile(source / "b.zip", "w") as archive:
        archive.write(source / "a.txt", "inside.txt")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=source)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/"
        path = utils.get_file(origin=url + "a.txt", cache_dir=tmp_path, file_hash="5d41402abc4b2a76b9719d911017c592")
        assert Path(path).read_text() == "hello"
        (source / "a.txt").write_text("changed")
        assert Path(utils.get_file(origin=url + "a.txt", cache_dir=tmp_path)).read_text() == "hello"
        path = utils.get_file(origin=url + "a.txt", cache_dir=tmp_path, force_download=True)
        assert Path(path).read_text() == "changed"
        with pytest.raises(ValueError, match="hash"):
            utils.get_file("other.txt", url + "a.txt", cache_dir=tmp_path, file_hash="0" * 64)
        folder = utils.get_file(origin=url + "b.zip", cache_dir=tmp_path, extract=True)
        assert (Path(folder) / "inside.txt").read_text() == "hello"
        server.shutdown()
        thread.join()
    with pytest.raises(ValueError, match="origin"):
        utils.get_file("a")


def test_progbar(capsys):
    bar = utils.Progbar(4, verbose=2, stateful_metrics=["lr"])
    bar.update(1, [("loss", 2.0), ("lr", 0.5)])
    bar.add(1, [("loss", 4.0), ("lr", 0.25)])
    assert capsys.readouterr().out == ""
    bar.update(4, [("loss", 6.0), ("lr", 0.125)])
    line = capsys.readouterr().out
    assert line.startswith("4/4 - ")
    assert line.endswith("loss: 4.5000 - lr: 0.1250\n")
    with pytest.raises(ValueError, match="Only one"):
        utils.Progbar(1, stateful_metrics=[], stateless_metrics=[])
