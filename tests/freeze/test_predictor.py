"""How frozen networks are called: lone samples, buffers, `out`, heads, threads, several inputs and outputs."""

import array
import asyncio
import threading

import numpy as np
import pytest

import fastnn
from fastnn import layers
from freeze import networks


@pytest.fixture(scope="module")
def model():
    return networks.classifier()


@pytest.fixture(scope="module")
def frozen(model):
    return model.freeze()


X = np.random.default_rng(0).normal(size=(600, 20)).astype(np.float32)


@pytest.mark.parametrize("make", networks.ALL)
def test_it_answers_what_the_model_answers(make):
    model = make()
    frozen = model.freeze()
    assert frozen.image is not None
    x = networks.samples(model, 300)
    expected = model.predict(x, verbose=0)
    np.testing.assert_allclose(frozen(x), expected, rtol=1e-4, atol=1e-5)
    for rows in 1, 2, 17, 265:
        np.testing.assert_array_equal(frozen(x[:rows]), frozen(x)[:rows])


def test_a_lone_sample(frozen):
    expected = frozen(X)[3]
    out = np.empty(7, np.float32)
    given = X[3], X[3].astype(np.float64), X[3].tolist(), array.array("f", X[3].tobytes()), memoryview(X[3])
    for each in given:
        np.testing.assert_array_equal(frozen(each), expected)
        assert frozen(each, out) is out
        np.testing.assert_array_equal(out, expected)
    target = array.array("f", bytes(28))
    assert frozen.predict(memoryview(X[3]), out=target) is target
    np.testing.assert_array_equal(target, expected)
    with pytest.raises(TypeError, match="cast"):
        frozen(X[3].tobytes())
    with pytest.raises(ValueError, match=r"shape \(7,\)"):
        frozen(X[3], np.empty((1, 7), np.float32))


def test_where_a_sample_is_one_value_an_array_is_a_batch():
    frozen = fastnn.Sequential([fastnn.Input((1,)), layers.Dense(2)]).freeze()
    assert frozen(np.ones(1, np.float32)).shape == (1, 2)
    assert frozen(np.ones(5, np.float32)).shape == (5, 2)


def test_out_may_be_the_input(frozen):
    same = fastnn.Sequential([fastnn.Input((7,)), layers.Dense(7)]).freeze()
    for rows in 1, 5, 300:
        x = X[:rows, :7].copy()
        expected = same(x)
        assert same(x, x) is x
        np.testing.assert_array_equal(x, expected)
        both = np.zeros(7 * rows + 4, np.float32)
        given, out = both[: 7 * rows].reshape(rows, 7), both[4:].reshape(rows, 7)
        given[...] = X[:rows, :7]
        np.testing.assert_array_equal(same(given, out), expected)


def test_probabilities_and_classes(frozen):
    np.testing.assert_array_equal(frozen.predict_proba(X), frozen(X))
    np.testing.assert_array_equal(frozen.predict_classes(X), frozen(X).argmax(axis=1))
    assert frozen.predict_classes(X[0]) == frozen(X[0]).argmax()
    binary = fastnn.Sequential([fastnn.Input((20,)), layers.Dense(1, "sigmoid")]).freeze()
    proba = binary.predict_proba(X)
    assert proba.shape == (600, 2)
    np.testing.assert_array_equal(proba[:, 1:], binary(X))
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(binary.predict_classes(X), proba.argmax(axis=1))
    assert binary.predict_proba(X[0]).shape == (2,)
    labels = fastnn.Sequential([fastnn.Input((20,)), layers.Dense(3, "sigmoid")]).freeze()
    assert labels.predict_proba(X).shape == labels.predict_classes(X).shape == (600, 3)
    for activation in None, "relu":
        regression = fastnn.Sequential([fastnn.Input((20,)), layers.Dense(3, activation)]).freeze()
        with pytest.raises(ValueError, match="softmax or sigmoid"):
            regression.predict_proba(X)
        with pytest.raises(ValueError, match="from_logits"):
            regression.predict_classes(X)


def test_in_an_event_loop(frozen):
    async def both():
        return await asyncio.gather(frozen.predict_async(X), frozen.predict_async(X[:5]))

    whole, part = asyncio.run(both())
    np.testing.assert_array_equal(whole, frozen(X))
    np.testing.assert_array_equal(part, whole[:5])


def test_many_rows_on_any_number_of_threads():
    """Threads take stretches of rows; the GIL is released."""
    frozen = fastnn.Sequential([fastnn.Input((20,)), layers.Dense(64, "relu"), layers.Dense(5)]).freeze()
    x = np.random.default_rng(1).normal(size=(5003, 20)).astype(np.float32)
    before = fastnn.get_threads()
    try:
        fastnn.set_threads(1)
        expected = frozen(x)
        for threads in 2, 3, 8:
            fastnn.set_threads(threads)
            np.testing.assert_array_equal(frozen(x), expected)
            np.testing.assert_array_equal(frozen(x[:250]), expected[:250])
    finally:
        fastnn.set_threads(before)


def test_many_callers_at_once(frozen):
    expected, wrong = frozen(X), []

    def work(number):
        for i in range(60):
            rows = 1 + (i * 7 + number * 31) % 600
            if not np.array_equal(frozen(X[:rows]), expected[:rows]):
                wrong.append(rows)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert not wrong


def test_several_inputs_and_outputs():
    model = networks.several()
    frozen = model.freeze()
    assert frozen.image is not None
    x = {"a": X[:300, :5], "b": X[:300, 5:8].astype(np.float64)}
    expected = model.predict(x, verbose=0)
    result = frozen(x)
    out = {name: np.empty_like(value) for name, value in expected.items()}
    assert frozen.predict(x, out=out)["kind"] is out["kind"]
    for name, value in expected.items():
        np.testing.assert_allclose(result[name], value, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(out[name], result[name])
    with pytest.raises(ValueError, match="2 arrays"):
        frozen(x, [out["kind"]])
    with pytest.raises(ValueError, match=r"float32 array of shape \(300, 8\)"):
        frozen(x, {**out, "kind": out["value"]})
    with pytest.raises(ValueError, match="2 outputs"):
        frozen.predict_proba(x)


def test_a_forgotten_list_of_inputs_is_told():
    """The second argument is not the second input."""
    a, b = fastnn.Input((3,), name="a"), fastnn.Input((2,), name="b")
    frozen = fastnn.Model([a, b], layers.Dense(2)(layers.Concatenate()([a, b])), name="both").freeze()
    one, other = X[:4, :3].copy(), X[:4, :2].copy()
    with pytest.raises(ValueError, match=r"'both' has 2 inputs, a, b.*frozen\(\[a, b\]\).*second argument is `out`"):
        frozen(one, other)
    with pytest.raises(ValueError, match="`out`, the second argument, is where to write"):
        frozen([1.0, 2.0, 3.0], [4.0, 5.0])
    with pytest.raises(TypeError, match=r"frozen.predict\(\[a, b\]\)"):
        frozen.predict(one, other)
    single = fastnn.Sequential([fastnn.Input((3,)), layers.Dense(2)]).freeze()
    with pytest.raises(ValueError, match="`out`, the second argument, is where to write.*bool"):
        single(one, True)


@pytest.mark.parametrize("image", [True, False])
def test_answers_that_would_overwrite_each_other_are_refused(image):
    x = fastnn.Input((3,))
    heads = [layers.Dense(2)(x), layers.Dense(2)(x)]
    if not image:  # what depends on the other samples has none
        heads[0] = heads[0] - fastnn.ops.mean(heads[0], axis=0, keepdims=True)
    frozen = fastnn.Model(x, heads).freeze()
    assert (frozen.image is not None) == image
    data, memory = X[:4, :3].copy(), np.empty((6, 2), np.float32)
    for out in ([memory[:4], memory[:4]], [memory[:4], memory[2:]]):
        with pytest.raises(ValueError, match="outputs 0 and 1.*overwrite"):
            frozen(data, out)
    memory = np.empty((8, 2), np.float32)  # side by side is not the same
    expected = frozen(data)
    for found, wanted in zip(frozen(data, [memory[:4], memory[4:]]), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_what_an_image_cannot_hold_runs_in_python(tmp_path):
    """A sum over the samples of a batch: what one row gives depends on the others."""
    x = fastnn.Input((4,))
    model = fastnn.Model(x, x - fastnn.ops.mean(x, axis=0, keepdims=True))
    frozen = model.freeze()
    assert frozen.image is None
    assert frozen.nbytes == 0
    x = X[:9, :4]
    np.testing.assert_allclose(frozen(x), x - x.mean(axis=0), atol=1e-6)
    out = np.empty_like(x)
    assert frozen(x, out) is out
    with pytest.raises(ValueError, match="an image of a frozen network cannot hold"):
        frozen.save(tmp_path / "net.fnn")
    with pytest.raises(ValueError, match="float32 array of shape"):
        frozen(x, np.empty((3, 4), np.float32))


def test_it_can_be_looked_at(frozen, capsys):
    frozen.summary()
    printed = capsys.readouterr().out
    for word in "packed_dense", "float32", "folded into dense", f"{frozen.nbytes:,} bytes":
        assert word in printed
    assert frozen.precision == "float32"
    assert frozen.nbytes == frozen.image.nbytes
