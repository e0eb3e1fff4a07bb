"""Models on what yields batches: generators, data sets, loaders, any iterable; and on frames."""

import threading
import time
import traceback

import numpy as np
import pytest

import fastnn
from fastnn import layers
from harness.process import run_python

ROWS = 70
RNG = np.random.default_rng(5)
X = RNG.normal(size=(ROWS, 6)).astype(np.float32)
Y = RNG.integers(0, 3, size=ROWS)


def network(**options):
    fastnn.utils.set_random_seed(1)
    model = fastnn.Sequential([fastnn.Input((6,)), layers.Dense(7, activation="relu"), layers.Dense(3, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"], **options)
    return model


def pieces(*sizes):
    start = 0
    for size in sizes:
        yield X[start : start + size], Y[start : start + size]
        start += size


def threads():
    return [each for each in threading.enumerate() if each.name.startswith("fastnn-")]


class Again:
    """Something to iterate over again and again, without a length."""

    def __init__(self, *sizes):
        self.sizes = sizes

    def __iter__(self):
        return pieces(*self.sizes)


class Rows(fastnn.utils.PyDataset):
    def __init__(self, size=10, **kwargs):
        super().__init__(**kwargs)
        self.size, self.log = size, []

    def __len__(self):
        return -(-ROWS // self.size)

    def __getitem__(self, index):
        self.log.append(index)
        return X[index * self.size :][: self.size], Y[index * self.size :][: self.size]

    def on_epoch_begin(self):
        self.log.append("begin")

    def on_epoch_end(self):
        self.log.append("end")


def same_weights(a, b):
    return all((v == w).all() for v, w in zip(a.get_weights(), b.get_weights(), strict=True))


# ---- training --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [(30, 30, 10), (1, 7, 40, 2, 20)])
def test_an_epoch_of_batches_is_as_many_single_steps(sizes):
    """Of any sizes: where a larger one needs another program, the sums of the epoch go on."""
    ours, single = network(), network()
    history = ours.fit(Again(*sizes), epochs=2, verbose=0).history
    for epoch in range(2):
        found = [single.train_on_batch(x, y, return_dict=True) for x, y in pieces(*sizes)]
        for name in ("loss", "accuracy"):
            mean = np.average([each[name] for each in found], weights=sizes)
            assert history[name][epoch] == pytest.approx(mean, rel=1e-12)
    assert same_weights(ours, single)
    assert ours.optimizer.iterations == 2 * len(sizes)


def test_batches_train_as_arrays_do():
    ours, arrays = network(), network()
    arrays.fit(X, Y, batch_size=10, epochs=3, shuffle=False, verbose=0)
    history = ours.fit(Rows(), epochs=3, shuffle=False, verbose=0).history
    assert same_weights(ours, arrays)
    assert history == arrays.history.history


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_shuffling_takes_the_batches_of_a_pydataset_in_another_order(workers):
    data, other = Rows(workers=workers), Rows()
    ours, twin = network(), network()
    ours.fit(data, epochs=2, verbose=0)
    twin.fit(other, epochs=2, verbose=0)
    assert same_weights(ours, twin)  # workers change nothing
    assert [each for each in other.log if isinstance(each, str)] == ["begin", "end"] * 2
    first, second = other.log[1:8], other.log[10:17]
    assert sorted(first) == sorted(second) == list(range(7))
    assert first != second


def test_an_epoch_of_steps_goes_on_where_the_last_one_ended():
    drawn = []

    def forever():
        while True:
            for x, y in pieces(30, 30, 10):
                drawn.append(len(x))
                yield x, y

    batches = forever()
    model = network()
    model.fit(batches, steps_per_epoch=2, epochs=2, verbose=0)
    assert drawn == [30, 30, 10, 30]  # none is drawn in vain
    model.fit(batches, steps_per_epoch=1, verbose=0)
    assert drawn[4:] == [30]
    other = network()
    other.fit(Again(30, 30, 10), steps_per_epoch=3, epochs=3, verbose=0)  # its passes end with the epochs: no warning
    assert other.optimizer.iterations == 9


def test_batches_rest_between_epochs():
    """Nothing is fetched while callbacks and validation run: what they change, the next epoch's batches see."""
    level, seen = [0], []

    def forever():
        while True:
            seen.append(level[0])
            yield X, Y

    class Raise(fastnn.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            time.sleep(0.02)
            level[0] += 1

    network().fit(forever(), steps_per_epoch=3, epochs=3, callbacks=[Raise()], verbose=0)
    assert seen == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_a_generator_that_ends():
    model = network()
    with pytest.warns(UserWarning, match="ran out of data"):
        history = model.fit(pieces(30, 30, 10), steps_per_epoch=2, epochs=5, verbose=0)
    assert len(history.history["loss"]) == 2
    assert model.optimizer.iterations == 3
    with pytest.warns(UserWarning, match="ran out of data"):
        assert len(model.fit(pieces(30, 30), epochs=3, verbose=0).history["loss"]) == 1
    with pytest.warns(UserWarning, match="ran out of data"):  # the second validation has the first two batches, again
        history = model.fit(X, Y, validation_data=pieces(30, 30, 10), epochs=2, verbose=0).history
    assert len(history["val_loss"]) == 2
    again = network().fit(X, Y, validation_data=pieces(30), epochs=2, verbose=0).history
    assert len(again["val_loss"]) == 2


def test_each_validation_begins_anew_where_it_can():
    data = Rows()
    network().fit(X, Y, validation_data=data, validation_steps=2, epochs=2, verbose=0)
    assert data.log == ["begin", 0, 1, "end"] * 2
    drawn = []

    def forever():
        while True:
            drawn.append(len(drawn))
            yield X, Y

    network().fit(X, Y, validation_data=forever(), validation_steps=2, epochs=3, verbose=0)
    assert drawn == [0, 1]  # the first two batches are kept, as in Keras
    drawn.clear()
    network().fit(X, Y, validation_data=forever(), validation_steps=3, epochs=3, verbose=0)
    assert drawn == [0, 1, 2, 3, 4]


def test_the_first_batch_builds_a_model():
    model = fastnn.Sequential([layers.Dense(3, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    built = []
    note = fastnn.callbacks.LambdaCallback(on_train_begin=lambda logs: built.append(model.built))
    model.fit(pieces(30, 30), callbacks=[note], verbose=0)
    assert built == [True]
    assert model.optimizer.iterations == 2


def test_weights_in_batches():
    w = RNG.uniform(0.1, 2, size=ROWS)
    ours, arrays = network(), network()
    arrays.fit(X, Y, sample_weight=w, batch_size=35, shuffle=False, verbose=0)
    ours.fit(((X[at : at + 35], Y[at : at + 35], w[at : at + 35]) for at in (0, 35)), verbose=0)
    assert same_weights(ours, arrays)
    mixed = network()
    history = mixed.fit(iter([(X, Y, np.full(ROWS, 2.0)), (X, Y)]), verbose=0).history  # with and without
    single = network()
    losses = single.train_on_batch(X, Y, np.full(ROWS, 2.0))[0], single.train_on_batch(X, Y)[0]
    assert history["loss"][0] == pytest.approx(np.mean(losses), rel=1e-12)
    ours, arrays = network(), network()
    arrays.fit(X, Y, class_weight={0: 3.0}, batch_size=35, shuffle=False, verbose=0)
    ours.fit(pieces(35, 35), class_weight={0: 3.0}, verbose=0)
    assert same_weights(ours, arrays)


def test_callbacks_see_every_batch():
    seen = []

    class Note(fastnn.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append((batch, self.params["steps"]))

        def on_test_batch_end(self, batch, logs=None):
            seen.append(("test", batch))

        def on_predict_batch_end(self, batch, logs=None):
            seen.append(("predict", batch, len(logs["outputs"])))

    network().fit(pieces(40, 10), validation_data=Again(20, 9), callbacks=[Note()], verbose=0)
    assert seen == [(0, None), (1, None), ("test", 0), ("test", 1)]
    seen.clear()
    network().predict(pieces(40, 10), callbacks=[Note()], verbose=0)
    assert seen == [("predict", 0, 40), ("predict", 1, 10)]
    seen.clear()
    stopping = network()
    stop = fastnn.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: setattr(stopping, "stop_training", 1))
    stopping.fit(Rows(), callbacks=[stop], verbose=0)
    assert stopping.optimizer.iterations == 1
    assert not threads()


def test_what_is_printed(capsys):
    model = network()
    model.fit(Again(40, 10), epochs=2, verbose=2)
    model.evaluate(pieces(40, 10), verbose=2)
    lines = capsys.readouterr().out.splitlines()
    assert [" 2/2 - " in f" {line}" or "- 2/2 -" in line for line in lines] == [True] * 3


# ---- evaluation and prediction ---------------------------------------------------------------------------------------


def test_evaluate_and_predict_are_those_of_the_arrays():
    model = network()
    expected = model.evaluate(X, Y, verbose=0)
    for batches in (pieces(30, 30, 10), Again(1, 60, 9), Rows(workers=3)):
        assert model.evaluate(batches, verbose=0) == pytest.approx(expected, rel=1e-12)
    assert model.evaluate(Rows(), steps=2, verbose=0) == pytest.approx(model.evaluate(X[:20], Y[:20], verbose=0))
    whole = model.predict(X, verbose=0)
    for batches in (
        pieces(30, 30, 10),
        (x for x, _ in pieces(30, 40)),
        ((x,) for x, _ in pieces(30, 40)),
        Rows(),
        iter([X]),
    ):
        assert (model.predict(batches, verbose=0) == whole).all()
    assert (model.predict(X, steps=2, batch_size=10, verbose=0) == whole[:20]).all()
    assert (model.predict(Rows(), steps=2, verbose=0) == whole[:20]).all()


def test_as_numpy_iterator():
    class Dataset:
        def as_numpy_iterator(self):
            return pieces(35, 35)

    ours, other = network(), network()
    ours.fit(Dataset(), epochs=2, verbose=0)
    other.fit(Again(35, 35), epochs=2, verbose=0)
    assert same_weights(ours, other)


def test_a_loader():
    torch = pytest.importorskip("torch", reason="needs PyTorch")
    data = torch.utils.data
    loader = data.DataLoader(data.TensorDataset(torch.from_numpy(X), torch.from_numpy(Y)), batch_size=32)
    ours, arrays = network(), network()
    ours.fit(loader, epochs=2, verbose=0)
    arrays.fit(X, Y, epochs=2, shuffle=False, verbose=0)
    assert same_weights(ours, arrays)
    assert (ours.predict(loader, verbose=0) == arrays.predict(X, verbose=0)).all()
    with pytest.raises(ValueError, match="as a DataLoader, `y`"):
        ours.fit(loader, Y, verbose=0)


# ---- several inputs, frames, text ------------------------------------------------------------------------------------


def two_inputs():
    fastnn.utils.set_random_seed(2)
    a, b = fastnn.Input((1,), name="a"), fastnn.Input((2,), name="b")
    model = fastnn.Model([a, b], layers.Dense(1, name="out")(layers.concatenate([a, b])))
    model.compile("sgd", "mse")
    return model


def test_batches_for_several_inputs():
    a, b, y = X[:, :1], X[:, 1:3], X[:, 3]
    expected = two_inputs()
    expected.fit([a, b], y, batch_size=ROWS, verbose=0, shuffle=False)
    for batch in (([a, b], y), ({"b": b, "a": a}, y), ({"b": b, "a": a}, {"out": y})):
        model = two_inputs()
        model.fit(iter([batch]), verbose=0)
        assert same_weights(model, expected)
        assert (model.predict(iter([batch]), verbose=0) == expected.predict([a, b], verbose=0)).all()


def frame(module):
    pytest.importorskip(module, reason=f"needs {module}")
    import importlib

    columns = {name: X[:, number] for number, name in enumerate("pqrstu")}
    return importlib.import_module(module).DataFrame({**columns, "y": Y, "city": ["Rome", "Oslo"] * (ROWS // 2)})


@pytest.mark.parametrize("module", ["pandas", "polars"])
def test_frames(module):
    table = frame(module)
    ours, arrays = network(), network()
    features = table[list("pqrstu")]
    found = ours.fit(features, table["y"], sample_weight=table["y"], validation_split=0.2, epochs=2, verbose=0)
    expected = arrays.fit(X, Y, sample_weight=Y, validation_split=0.2, epochs=2, verbose=0)
    assert found.history == expected.history
    assert (ours.predict(features, verbose=0) == arrays.predict(X, verbose=0)).all()
    assert ours.evaluate(features, table["y"], verbose=0) == arrays.evaluate(X, Y, verbose=0)
    columns = {"a": table["p"], "b": table[["q", "r"]]}
    model, other = two_inputs(), two_inputs()
    model.fit(columns, table["s"], verbose=0)
    other.fit([X[:, :1], X[:, 1:3]], X[:, 3], verbose=0)
    assert same_weights(model, other)
    assert (model.predict(columns, verbose=0) == other.predict([X[:, :1], X[:, 1:3]], verbose=0)).all()
    with pytest.raises(TypeError, match="x"):
        ours.fit(table, table["y"], verbose=0)  # with the column of text


@pytest.mark.parametrize("module", [None, "pandas", "polars"])
def test_text_in_batches(module):
    cities = ["Rome", "Oslo"] * (ROWS // 2)
    column = np.array(cities) if module is None else frame(module)["city"]

    def model():
        fastnn.utils.set_random_seed(2)
        city = fastnn.Input((1,), name="city", dtype="string")
        codes = layers.StringLookup(vocabulary=["Oslo", "Rome"])(city)
        embedded = layers.Flatten()(layers.Embedding(3, 2)(codes))
        made = fastnn.Model(city, layers.Dense(1)(embedded))
        made.compile("sgd", "mse")
        return made

    ours, other = model(), model()
    ours.fit(((column[at : at + 35], Y[at : at + 35]) for at in (0, 35)), verbose=0)
    other.fit(np.array(cities)[:, None], Y, batch_size=35, shuffle=False, verbose=0)
    assert same_weights(ours, other)


def test_memory_maps_lists_and_arrays_in_steps(tmp_path):
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    expected = network()
    expected.fit(X, Y, epochs=2, verbose=0)
    for x, y in ((mapped, Y), (X.tolist(), Y.tolist()), (mapped, list(Y))):
        model = network()
        model.fit(x, y, epochs=2, verbose=0)
        assert same_weights(model, expected)
    by_steps = network()
    by_steps.fit(X, Y, batch_size=32, steps_per_epoch=1, epochs=6, verbose=0)  # two passes, each in its own order
    assert same_weights(by_steps, expected)


# ---- what goes wrong -------------------------------------------------------------------------------------------------


def broken():
    yield X[:10], Y[:10]
    yield X[10:20], Y[10:20]
    raise LookupError("no third file")


def test_what_a_generator_raises_comes_out_of_fit():
    model = network()
    with pytest.raises(LookupError, match="no third file") as caught:
        model.fit(broken(), verbose=0)
    assert "in broken" in "".join(traceback.format_exception(caught.value))
    assert not threads()
    assert model.optimizer.iterations == 2
    model.fit(X, Y, verbose=0)

    class Bad(Rows):
        def __getitem__(self, index):
            if index == 3:
                raise OSError("file 3")
            return super().__getitem__(index)

    for workers in (0, 1, 3):
        with pytest.raises(OSError, match="file 3"):
            network().fit(Bad(workers=workers), shuffle=False, verbose=0)


def test_a_callback_that_raises_ends_the_thread():
    def fail(batch, logs):
        raise RuntimeError("callback")

    def forever():
        while True:
            yield X, Y

    batches = forever()
    with pytest.raises(RuntimeError, match="callback"):
        network().fit(batches, callbacks=[fastnn.callbacks.LambdaCallback(on_train_batch_end=fail)], verbose=0)
    assert not threads()
    next(batches)  # nobody else is at it


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.fit(pieces(30), Y), "as a generator, `y` should not be passed"),
        (lambda m: m.fit(pieces(30), sample_weight=Y), "as a generator, `sample_weight` should not be passed"),
        (lambda m: m.evaluate(Rows(), Y), "as a Rows, `y` should not be passed"),
        (lambda m: m.fit(pieces(30), validation_split=0.2), "`validation_split` is only supported for arrays"),
        (lambda m: m.fit(pieces()), "`x`, a generator, must yield at least one batch"),
        (lambda m: m.predict(pieces()), "`x`, a generator, must yield at least one batch"),
        (lambda m: m.fit(X, Y, validation_data=pieces()), "`validation_data`, a generator, must yield"),
        (lambda m: m.fit(iter([X])), "yielded x alone"),
        (lambda m: m.fit(iter([(X, Y, None, None)])), r"tuple of 4.*\(\[a, b\], y\)"),
        (lambda m: m.fit(iter([(X, Y), (X[:, :2], Y)])), r"expected samples of shape \(6,\)"),
        (lambda m: m.fit(iter([(X, Y), (X, Y + 7)])), r"y\[\d+\] is"),
        (lambda m: m.fit(iter([(X, Y, Y)]), class_weight={0: 1.0}), "at the same time"),
        (lambda m: m.fit(X), "`y` is missing.*yield batches"),
        (lambda m: m.fit(X, Y, steps_per_epoch=0), "`steps_per_epoch` must be an integer of at least 1"),
        (lambda m: m.fit(X, Y, validation_data=(X, Y), validation_steps=1.5), "`validation_steps` must be an integer"),
        (lambda m: m.evaluate(X, Y, steps=0), "`steps` must be an integer of at least 1"),
        (lambda m: m.predict(X, steps=-1), "`steps` must be an integer of at least 1"),
        (lambda m: fastnn.utils.PyDataset(workers=-1), "`workers` must be an integer of at least 0"),
        (lambda m: fastnn.utils.PyDataset(max_queue_size=0), "`max_queue_size` must be an integer of at least 1"),
    ],
)
def test_messages(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call(network())
    assert not threads()


def test_a_dataset_that_lacks_something():
    class Nothing(fastnn.utils.Sequence):
        pass

    with pytest.raises(NotImplementedError, match="Nothing needs a method __len__"):
        network().fit(Nothing(), verbose=0)
    Nothing.__len__ = lambda self: 2
    with pytest.raises(NotImplementedError, match="Nothing needs a method __getitem__"):
        network().fit(Nothing(), verbose=0)


SCRIPT = """
import os, signal, threading, time
import numpy as np
import fastnn
from fastnn import layers

model = fastnn.Sequential([fastnn.Input((3,)), layers.Dense(1)])
model.compile("sgd", "mse")
x = np.ones((8, 3), np.float32)
sent = []


def batches():
    for number in range(1000000):
        if number == 50:
            sent.append(time.perf_counter())
            os.kill(os.getpid(), signal.SIGINT)
        if number >= 50:
            time.sleep(0.1)  # the engine waits for this
        yield x, x[:, :1]


try:
    model.fit(batches(), verbose=0)
except KeyboardInterrupt:
    print("waited", time.perf_counter() - sent[0])
assert [each.name for each in threading.enumerate()] == ["MainThread"], threading.enumerate()
model.fit(x, x[:, :1], verbose=0)
"""


def test_ctrl_c():
    done = run_python(SCRIPT)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.split("waited")[1]) < 2
