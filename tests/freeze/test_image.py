"""Images: what goes into a file comes out of it, and whatever is wrong with one is said."""

import copy
import os
import pickle

import numpy as np
import pytest

import fastnn
from fastnn import layers
from fastnn.freeze import from_image
from fastnn.freeze.image import to_image, with_checksum
from freeze import networks


@pytest.fixture(scope="module")
def frozen():
    return networks.classifier().freeze()


@pytest.mark.parametrize("precision", ["float32", "float16", "int8"])
def test_files_pickles_and_copies_have_the_same_bits(tmp_path, precision):
    model = networks.classifier()
    frozen = model.freeze(precision=precision)
    x = networks.samples(model, 40)
    frozen.save(tmp_path / "net.fnn")
    for again in fastnn.load_frozen(tmp_path / "net.fnn"), pickle.loads(pickle.dumps(frozen)), copy.deepcopy(frozen):
        np.testing.assert_array_equal(again(x), frozen(x))
        assert (again.name, again.notes, again.precision) == (frozen.name, frozen.notes, precision)
        assert (again.input_shape, again.output_shape) == ((None, 20), (None, 7))
        # The graph is complete: another image of it is the same.
        added = ("labels", "reads", "graph")
        description = {name: value for name, value in again._description.items() if name not in added}
        assert to_image(again.graph, description) == bytes(frozen.image)
        with pytest.raises(AttributeError, match="immutable"):
            again.name = "other"


@pytest.mark.parametrize("make", [*networks.ALL[1:], networks.several])
def test_every_operation_comes_back(make):
    model = make()
    frozen = model.freeze()
    again = pickle.loads(pickle.dumps(frozen))
    x = {"a": np.ones((3, 5)), "b": np.ones((3, 3))} if make is networks.several else networks.samples(model, 3)
    expected, result = frozen(x), again(x)
    for name in expected if isinstance(expected, dict) else (...,):
        np.testing.assert_array_equal(result[name], expected[name])
    assert [each.operation.name for each in again.graph.nodes] == [each.operation.name for each in frozen.graph.nodes]


def test_text_is_looked_up_after_loading(tmp_path):
    lookup = layers.StringLookup(vocabulary=["red", "green", "blue"], mask_token="", name="colours")
    x = fastnn.Input((2,), dtype="string")
    model = fastnn.Model(x, layers.Dense(3)(layers.Flatten()(layers.Embedding(5, 4)(lookup(x)))))
    frozen = model.freeze()
    frozen.save(tmp_path / "net.fnn")
    again = fastnn.load_frozen(tmp_path / "net.fnn")
    data = np.array([["red", "blue"], ["", "unheard"]])
    np.testing.assert_allclose(again(data), model.predict(data, verbose=0), rtol=1e-5)
    np.testing.assert_array_equal(again(data[1]), frozen(data)[1])


def test_hashes_come_back(tmp_path):
    text, number = fastnn.Input((1,), dtype="string"), fastnn.Input((1,), dtype="int32")
    bins = layers.Hashing(5, mask_value="", output_mode="one_hot")(text), layers.Hashing(7, salt=3)(number)
    frozen = fastnn.Model([text, number], layers.Dense(3)(layers.Concatenate()(list(bins)))).freeze()
    frozen.save(tmp_path / "net.fnn")
    data = [np.array([["red"], ["blue"], [""]]), np.array([[1], [2], [10**6]])]
    for again in fastnn.load_frozen(tmp_path / "net.fnn"), pickle.loads(pickle.dumps(frozen)):
        np.testing.assert_array_equal(again(data), frozen(data))


@pytest.mark.parametrize("classes", [1, 3, 10, 16, 17, 40])
def test_softmax_writes_where_the_caller_wants_it(classes):
    """Nothing is copied, nothing is written beyond, and a row has the same bits in any batch."""
    model = fastnn.Sequential([fastnn.Input((5,)), layers.Dense(classes), layers.Softmax()])
    frozen = model.freeze()
    assert b"copy_rows" not in bytes(frozen.image)
    x = np.random.default_rng(0).normal(size=(300, 5)).astype(np.float32)
    x[7] = np.nan
    expected = frozen(x)
    np.testing.assert_allclose(expected, model.predict(x, verbose=0), rtol=1e-6)
    for rows in 1, 2, 13, 264, 299:
        room = np.full((rows + 1, classes), 7, np.float32)
        frozen(x[:rows], room[:rows])
        np.testing.assert_array_equal(room[:rows], expected[:rows])
        assert (room[rows] == 7).all()
    np.testing.assert_array_equal(frozen(x[9]), expected[9])


def test_weights_are_there_once(frozen):
    """16 columns to a block: 33 units take 48 columns. The rest is the description."""
    weights = 4 * (20 * 48 + 48 + 33 * 16 + 16)
    assert weights < frozen.nbytes < weights + 3500


def test_a_file_is_there_as_a_whole_or_not_at_all(frozen, tmp_path, monkeypatch):
    path = tmp_path / "net.fnn"
    frozen.save(path)
    before = path.read_bytes()
    monkeypatch.setattr(os, "replace", lambda *paths: (_ for _ in ()).throw(OSError("no space")))
    with pytest.raises(OSError, match="no space"):
        frozen.save(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["net.fnn"]
    with pytest.raises(FileExistsError, match="overwrite"):
        frozen.save(path, overwrite=False)
    with pytest.raises(ValueError, match=r"\.fnn"):
        frozen.save(tmp_path / "net.bin")


def test_saving_over_a_file_in_use_is_safe(frozen, tmp_path):
    frozen.save(tmp_path / "net.fnn")
    used = fastnn.load_frozen(tmp_path / "net.fnn")
    x = np.ones((2, 20), np.float32)
    networks.classifier().freeze().save(tmp_path / "net.fnn")
    np.testing.assert_array_equal(used(x), frozen(x))
    (tmp_path / "net.fnn").unlink()
    np.testing.assert_array_equal(used(x), frozen(x))


def damaged(image):
    image = bytearray(image)
    image[len(image) // 2] ^= 4
    return image


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda image: b"", "is empty"),
        (lambda image: b"PK\3\4" + image[4:], "no frozen network"),
        (lambda image: image.replace(b"\r\n", b"\n", 1), "no frozen network"),
        (lambda image: image[:12], "ends too early"),
        (lambda image: image[:-1], "ends too early"),
        (lambda image: image + b"\0", "more behind the frozen network"),
        (lambda image: 2 * image, "more behind the frozen network"),
        (lambda image: damaged(image) + image, "does not fit"),
        (damaged, "checksum"),
        (lambda image: image[:8] + b"\2" + image[9:], "newer version"),
        (lambda image: with_checksum(image.replace(b"packed_dense x", b"packet_dense x")), "lacks or has"),
        (lambda image: with_checksum(image.replace(b";k n ldx", b";n k ldx")), "lacks or has"),
        (lambda image: with_checksum(image.replace(b'"kind"', b'"find"')), "description"),
        (lambda image: with_checksum(image.replace(b'"Predictor"', b'"Predicter"')), "does not know"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(frozen, tmp_path, change, message):
    path = tmp_path / "net.fnn"
    path.write_bytes(change(bytes(frozen.image)))
    with pytest.raises(ValueError, match=message) as caught:
        fastnn.load_frozen(path)
    assert str(path) in str(caught.value)
    with pytest.raises(IsADirectoryError, match="A frozen network is a file"):
        fastnn.load_frozen(tmp_path)
    with pytest.raises(FileNotFoundError, match="Check its name"):
        fastnn.load_frozen(tmp_path / "none.fnn")
    for name, hint in (("net.keras", "load_model"), ("net.onnx", "from_onnx")):
        (tmp_path / name).write_bytes(b"PK" * 600)
        with pytest.raises(ValueError, match=f"no frozen network.*{hint}"):
            fastnn.load_frozen(tmp_path / name)


def test_numbers_that_lead_outside_are_refused(frozen):
    """Every word of the ports and instructions, made too large: refused, or it was of no consequence."""
    image = bytes(frozen.image)
    start, end = (int.from_bytes(image[at : at + 8], "little") for at in (72, 96))  # ports to constants
    refused = 0
    for at in range(start, end, 8):
        changed = bytearray(image)
        changed[at + 3] |= 0x40
        try:
            from_image(with_checksum(changed))
        except ValueError as error:
            refused += "contradicts itself" in str(error)
    assert refused > (end - start) // 8 * 0.6


def test_what_is_not_aligned_is_copied(frozen):
    x = np.ones((2, 20), np.float32)
    room = bytearray(frozen.nbytes + 3)
    room[3:] = frozen.image
    again = from_image(memoryview(room)[3:])
    room[:] = bytes(len(room))  # and what may change is, too
    np.testing.assert_array_equal(again(x), frozen(x))
