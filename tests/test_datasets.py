"""The data sets: what is shipped, where the others are looked for, files that are damaged."""

import functools
import gzip
import hashlib
import http.server
import struct
import sys
import threading
import types

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fastnn.datasets import (
    _mnist_like,
    boston_housing,
    california_housing,
    digits,
    fashion_mnist,
    idx,
    mnist,
)

CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}


def encode(array):
    """`array` as an IDX file's bytes."""
    code = CODES[array.dtype.str[1:]]
    head = struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape)
    return head + array.astype(array.dtype.newbyteorder(">")).tobytes()


def write_set(folder, count=3, pack=True):
    """A small data set in the layout of MNIST."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    arrays = []
    for file in _mnist_like.FILES:
        shape = (count, 28, 28) if "images" in file else (count,)
        arrays.append(rng.integers(0, 10, shape, dtype=np.uint8))
        if pack:
            (folder / file).write_bytes(gzip.compress(encode(arrays[-1])))
        else:
            (folder / file).with_suffix("").write_bytes(encode(arrays[-1]))
    return arrays


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """No data on this machine: an empty cache, no FASTNN_DATA, no system folder."""
    monkeypatch.delenv("FASTNN_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    load = _mnist_like.load
    monkeypatch.setattr(_mnist_like, "load", lambda *args, system_folder=None: load(*args))
    return tmp_path


# ---- digits ------------------------------------------------------------------------------------


def test_digits_are_complete():
    (x_train, y_train), (x_test, y_test) = digits.load_data()
    assert x_train.shape == (1442, 8, 8)
    assert y_train.shape == (1442,)
    assert x_test.shape == (355, 8, 8)
    assert y_test.shape == (355,)
    for array in (x_train, y_train, x_test, y_test):
        assert array.dtype == np.uint8
    x, y = np.concatenate([x_train, x_test]), np.concatenate([y_train, y_test])
    assert (x.min(), x.max()) == (0, 16)
    # The counts of UCI's description of optdigits.tes.
    assert np.bincount(y).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_digits_split_is_even_and_fixed():
    (x_train, y_train), (x_test, y_test) = digits.load_data()
    assert set(np.bincount(y_test)) <= {34, 35, 36}
    assert y_train[:10].tolist() == list(range(10))
    again = digits.load_data()
    np.testing.assert_array_equal(again[0][0], x_train)
    np.testing.assert_array_equal(again[1][1], y_test)


def test_digits_match_scikit_learn():
    sklearn_datasets = pytest.importorskip(
        "sklearn.datasets", reason="scikit-learn, which has a copy, is not installed"
    )
    theirs = sklearn_datasets.load_digits()
    with np.load(digits._FILE) as ours:
        np.testing.assert_array_equal(ours["x"], theirs.images)
        np.testing.assert_array_equal(ours["y"], theirs.target)


# ---- the IDX format ----------------------------------------------------------------------------

arrays = st.sampled_from(sorted(CODES)).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=5))
)


@given(array=arrays, pack=st.booleans())
def test_idx_round_trip(tmp_path_factory, array, pack):
    path = tmp_path_factory.mktemp("idx") / "file"
    path.write_bytes(gzip.compress(encode(array)) if pack else encode(array))
    read = idx.read(path)
    np.testing.assert_array_equal(read, array)
    assert read.dtype == array.dtype
    assert read.dtype.isnative
    assert read.flags.writeable
    assert read.flags.c_contiguous


@given(data=st.data())
def test_idx_survives_any_bytes(tmp_path_factory, data):
    """A damaged file is a ValueError or, if only values changed, an array; never anything else."""
    array = np.arange(24, dtype="u1").reshape(2, 3, 4)
    content = bytearray(encode(array))
    if data.draw(st.booleans()):
        content = bytearray(gzip.compress(bytes(content)))
    for _ in range(data.draw(st.integers(0, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(0, len(content)))]
    content += data.draw(st.binary(max_size=8))
    path = tmp_path_factory.mktemp("idx") / "file"
    path.write_bytes(content)
    try:
        assert isinstance(idx.read(path), np.ndarray)
    except ValueError as error:
        assert str(path) in str(error)  # noqa: PT017 - both outcomes are right


GOOD = encode(np.arange(6, dtype="i2").reshape(2, 3))


def packed(content):
    """Without the time of day, which would be part of the tests' names."""
    return gzip.compress(content, mtime=0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an IDX file.*received nothing"),
        (b"\x89PNG\r\n\x1a\n", "not an IDX file.*received 89 50 4e 47"),
        (b"\0\0\x0a\x01\0\0\0\0", "not an IDX file"),
        (b"\0\0\x08\0", "expected 1 to 32 axes, received 0"),
        (b"\0\0\x08\xff", "expected 1 to 32 axes, received 255"),
        (b"\0\0\x08\x02\0\0", "cut short: expected 8 bytes of lengths for 2 axes, received 2"),
        (GOOD[:-1], "more than the file can hold|cut short"),
        (GOOD + b"\0", "received more bytes"),
        (b"\0\0\x08\x03" + b"\xff" * 12, "more than the file can hold"),
        (b"\0\0\x0e\x04" + b"\0" * 4 + b"\xff" * 12, "more than the file can hold"),
        (packed(GOOD[:-1]), r"cut short: expected 12 bytes of int16 values of shape \(2, 3\)"),
        (packed(GOOD)[:-9], "damaged gzip file|cut short"),
        (packed(GOOD)[:-1] + b"x", "damaged gzip file"),
        (packed(b"\0\0\x08\x03" + b"\x7f" * 12), "more than the file can hold"),
    ],
)
def test_idx_says_what_is_wrong(tmp_path, content, message):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        idx.read(path)
    assert str(path) in str(caught.value)


def test_idx_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        idx.read(tmp_path / "absent")


# ---- where MNIST and Fashion-MNIST are looked for ----------------------------------------------


@pytest.mark.parametrize("pack", [True, False])
@pytest.mark.parametrize("module", [mnist, fashion_mnist])
def test_found_in_fastnn_data(nowhere, monkeypatch, module, pack):
    name = module.__name__.rpartition(".")[2].replace("_", "-")
    written = write_set(nowhere / "data" / name, pack=pack)
    monkeypatch.setenv("FASTNN_DATA", str(nowhere / "data"))
    (x_train, y_train), (x_test, y_test) = module.load_data()
    for read, expected in zip((x_train, y_train, x_test, y_test), written, strict=True):
        np.testing.assert_array_equal(read, expected)


def test_found_in_the_cache(nowhere):
    written = write_set(nowhere / "cache" / "fastnn" / "mnist")
    np.testing.assert_array_equal(mnist.load_data()[0][0], written[0])


def test_found_in_the_system_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("FASTNN_DATA", raising=False)
    written = write_set(tmp_path / "system")
    (x_train, _), _ = _mnist_like.load("any", (), (), system_folder=str(tmp_path / "system"))
    np.testing.assert_array_equal(x_train, written[0])


def test_fastnn_data_comes_first(nowhere, monkeypatch):
    wished = write_set(nowhere / "data" / "mnist", count=4)
    write_set(nowhere / "cache" / "fastnn" / "mnist", count=5)
    monkeypatch.setenv("FASTNN_DATA", str(nowhere / "data"))
    np.testing.assert_array_equal(mnist.load_data()[0][0], wished[0])


def test_incomplete_folder_is_passed_over(nowhere, monkeypatch):
    write_set(nowhere / "data" / "mnist")
    (nowhere / "data" / "mnist" / _mnist_like.FILES[3]).unlink()
    monkeypatch.setenv("FASTNN_DATA", str(nowhere / "data"))
    written = write_set(nowhere / "cache" / "fastnn" / "mnist", count=5)
    np.testing.assert_array_equal(mnist.load_data()[0][0], written[0])


@pytest.mark.parametrize(
    ("file", "array", "message"),
    [
        (0, np.zeros((3, 28, 27), "u1"), r"expected uint8 images of shape \(n, 28, 28\)"),
        (0, np.zeros((3, 28, 28), "f4"), "received float32 values"),
        (1, np.zeros(4, "u1"), "expected 3 uint8 labels.*received uint8 values of shape"),
        (3, np.full(3, 10, "u1"), "expected labels from 0 to 9, received 10"),
    ],
)
def test_wrong_contents(nowhere, monkeypatch, file, array, message):
    write_set(nowhere / "data" / "mnist")
    (nowhere / "data" / "mnist" / _mnist_like.FILES[file]).write_bytes(gzip.compress(encode(array)))
    monkeypatch.setenv("FASTNN_DATA", str(nowhere / "data"))
    with pytest.raises(ValueError, match=message):
        mnist.load_data()


# ---- downloads ---------------------------------------------------------------------------------


def test_without_pooch(nowhere, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'fastnn\[datasets\]'") as caught:
        mnist.load_data()
    assert "FASTNN_DATA" in str(caught.value)
    assert str(nowhere / "cache" / "fastnn" / "mnist") in str(caught.value)


def fake_pooch(monkeypatch, retrieve):
    monkeypatch.setitem(sys.modules, "pooch", types.SimpleNamespace(retrieve=retrieve))


def test_without_network(nowhere, monkeypatch):
    def retrieve(url, known_hash, fname, path, progressbar):
        raise OSError("no route to host")

    fake_pooch(monkeypatch, retrieve)
    with pytest.raises(OSError, match="could not be downloaded") as caught:
        fashion_mnist.load_data()
    for text in ("no route to host", *fashion_mnist._MIRRORS, "FASTNN_DATA", "Try again"):
        assert text in str(caught.value)


def test_second_mirror_is_tried(nowhere, monkeypatch):
    written = write_set(nowhere / "mirror")
    asked = []

    def retrieve(url, known_hash, fname, path, progressbar):
        asked.append(url)
        if url.startswith(mnist._MIRRORS[0]):
            raise ValueError("SHA256 hash of downloaded file does not match")
        assert known_hash.startswith("sha256:")
        assert path == nowhere / "cache" / "fastnn" / "mnist"
        return nowhere / "mirror" / fname

    fake_pooch(monkeypatch, retrieve)
    np.testing.assert_array_equal(mnist.load_data()[1][1], written[3])
    assert len(asked) == 5


@pytest.mark.parametrize("module", [mnist, fashion_mnist])
def test_checksums_are_well_formed(module):
    assert len(module._SHA256) == len(_mnist_like.FILES)
    for checksum in module._SHA256:
        assert len(bytes.fromhex(checksum)) == 32


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """A folder served at an address of this machine."""
    # The progress bar of a download would leave tqdm's monitoring thread behind.
    monkeypatch.setattr("tqdm.tqdm.monitor_interval", 0)
    folder = tmp_path / "mirror"
    written = write_set(folder)

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=folder)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        checksums = [hashlib.sha256((folder / file).read_bytes()).hexdigest() for file in _mnist_like.FILES]
        yield f"http://127.0.0.1:{server.server_port}/", checksums, written
        server.shutdown()
        thread.join()


def test_real_download_into_the_cache(nowhere, mirror):
    pytest.importorskip("pooch", reason="the extra `datasets` is not installed")
    address, checksums, written = mirror
    (x_train, _), _ = _mnist_like.load("set", (address,), checksums)
    np.testing.assert_array_equal(x_train, written[0])
    assert sorted(path.name for path in (nowhere / "cache" / "fastnn" / "set").iterdir()) == sorted(_mnist_like.FILES)
    _mnist_like.load("set", (), ())  # from the cache now


def test_real_download_with_a_wrong_checksum(nowhere, mirror):
    pytest.importorskip("pooch", reason="the extra `datasets` is not installed")
    address, checksums, _ = mirror
    with pytest.raises(OSError, match="hash"):
        _mnist_like.load("set", (address,), ["0" * 64, *checksums[1:]])
    assert list((nowhere / "cache" / "fastnn" / "set").iterdir()) == []


def test_real_download_of_a_missing_file(nowhere, mirror):
    pytest.importorskip("pooch", reason="the extra `datasets` is not installed")
    address, checksums, _ = mirror
    with pytest.raises(OSError, match="404"):
        _mnist_like.load("set", (address + "nothing/",), checksums)


# ---- houses ------------------------------------------------------------------------------------


def write_table(folder, file, rows, columns):
    """A table whose first column counts its rows."""
    folder.mkdir(parents=True, exist_ok=True)
    x = np.zeros((rows, columns))
    x[:, 0] = np.arange(rows)
    np.savez(folder / file, x=x, y=np.arange(rows) * 2.0)


def test_houses(nowhere, monkeypatch):
    monkeypatch.setenv("FASTNN_DATA", str(nowhere))
    write_table(nowhere / "housing", "boston_housing.npz", 50, 13)
    write_table(nowhere / "housing", "california_housing.npz", 1000, 8)
    (x, y), (x_test, y_test) = boston_housing.load_data()
    assert (x.shape, y.shape, x_test.shape, y_test.shape) == ((40, 13), (40,), (10, 13), (10,))
    order = np.arange(50)
    np.random.RandomState(113).shuffle(order)
    np.testing.assert_array_equal(np.concatenate([x, x_test])[:, 0], order)
    np.testing.assert_array_equal(np.concatenate([y, y_test]), order * 2)
    (x, _), (x_test, _) = california_housing.load_data("small", test_split=0.25, seed=1)
    assert (len(x), len(x_test)) == (450, 150)
    assert len(california_housing.load_data(test_split=0)[0][0]) == 1000


def test_houses_refused(nowhere, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'fastnn\[datasets\]'"):
        boston_housing.load_data()
    monkeypatch.setenv("FASTNN_DATA", str(nowhere))
    write_table(nowhere / "housing", "boston_housing.npz", 5, 12)
    with pytest.raises(ValueError, match=r"shape \(n, 13\)"):
        boston_housing.load_data()
    (nowhere / "housing" / "california_housing.npz").write_bytes(b"no archive")
    with pytest.raises(ValueError, match="npz"):
        california_housing.load_data()
    with pytest.raises(ValueError, match="version"):
        california_housing.load_data("medium")
    with pytest.raises(ValueError, match="test_split"):
        california_housing.load_data(test_split=1)


def test_houses_without_network(nowhere, monkeypatch):
    def retrieve(url, known_hash, fname, path, progressbar):
        raise OSError("no route to host")

    fake_pooch(monkeypatch, retrieve)
    with pytest.raises(OSError, match="could not be downloaded: no route to host"):
        california_housing.load_data()
