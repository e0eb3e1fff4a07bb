"""The short way that a repeated `train_on_batch` takes is the long way: same checks, same numbers."""

import gc
import weakref

import numpy as np
import pytest

import fastnn
from fastnn import layers

RANDOM = np.random.default_rng(3)
X = RANDOM.normal(size=(60, 4)).astype(np.float32)
LABELS = RANDOM.integers(0, 3, size=60)
VALUES = RANDOM.normal(size=60).astype(np.float32)


def network(outputs=3, loss="sparse_categorical_crossentropy", **options):
    fastnn.utils.set_random_seed(0)
    model = fastnn.Sequential(
        [fastnn.Input((4,)), layers.Dense(5, activation="relu"), layers.BatchNormalization(), layers.Dense(outputs)]
    )
    if "crossentropy" in loss:
        model.add(layers.Softmax())
    model.compile("adam", loss, **options)
    return model


def trained(y, loss, outputs, short, steps=6):
    model = network(outputs, loss)
    losses = []
    for i in range(steps):
        if not short:
            model._known_batch = None
        losses.append(model.train_on_batch(X[10 * i : 10 * i + 10], y[10 * i : 10 * i + 10]))
    return losses, model.get_weights()


@pytest.mark.parametrize(
    ("y", "loss", "outputs"),
    [
        (LABELS, "sparse_categorical_crossentropy", 3),
        (LABELS[:, None].astype(np.uint8), "sparse_categorical_crossentropy", 3),
        (np.eye(3)[LABELS], "categorical_crossentropy", 3),
        (VALUES, "mse", 1),
        (VALUES[:, None].astype(np.float64), "mse", 1),
    ],
)
def test_short_and_long_way_train_alike(y, loss, outputs):
    short, long = trained(y, loss, outputs, True), trained(y, loss, outputs, False)
    assert short[0] == long[0]
    for a, b in zip(short[1], long[1], strict=True):
        np.testing.assert_array_equal(a, b)


def test_arrays_of_another_kind_are_checked():
    model = network()
    model.train_on_batch(X[:10], LABELS[:10])
    assert model._known_batch.checked(model, X[10:20], LABELS[10:20]) is not None
    for x, y in [
        (X[:10].astype(np.float64), LABELS[:10]),
        (X[:10].astype(X.dtype.newbyteorder()), LABELS[:10]),
        (X[:10, None], LABELS[:10]),
        (X[:10], LABELS[:10].astype(np.float32)),
        (X[:9], LABELS[:9]),
        (X[:10].tolist(), LABELS[:10]),
        (X[:10], LABELS[:10].tolist()),
        (np.ma.array(X[:10]), LABELS[:10]),
        (X[:10], None),
    ]:
        assert model._known_batch.checked(model, x, y) is None
    with pytest.raises(ValueError, match="expected samples of shape"):
        model.train_on_batch(X[:10, :3], LABELS[:10])
    with pytest.raises(ValueError, match="same number of samples"):
        model.train_on_batch(X[:10], LABELS[:9])


@pytest.mark.parametrize("wrong", [-1, 3])
def test_labels_are_looked_at_each_time(wrong):
    model = network()
    model.train_on_batch(X[:10], LABELS[:10])
    labels = LABELS[:10].copy()
    labels[7] = wrong
    with pytest.raises(ValueError, match=rf"y\[7\] is {wrong}"):
        model.train_on_batch(X[:10], labels)


def test_changes_of_the_model_are_noticed():
    model = network()
    x, y = X[:10], LABELS[:10]
    model.train_on_batch(x, y)
    model.layers[1].trainable = False

    def moved():
        moving = model.layers[1].get_weights()[2:]
        found = model.train_on_batch(x, y)
        return found, [(a != b).any() for a, b in zip(moving, model.layers[1].get_weights()[2:], strict=True)]

    assert moved()[1] == [True, True]
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    found, changed = moved()  # batch normalisation uses its moving averages from now on
    assert len(found) == 2
    assert changed == [False, False]
    model.pop()
    model.add(layers.Dense(2))
    with pytest.raises(ValueError, match="y"):
        model.train_on_batch(x, np.full(10, 2))


def test_weights_of_samples_take_the_long_way():
    model = network()
    x, y = X[:10], LABELS[:10]
    model.train_on_batch(x, y)
    assert model.train_on_batch(x, y, sample_weight=np.zeros(10)) == 0
    assert model.train_on_batch(x, y, class_weight={0: 0.0, 1: 0.0, 2: 0.0}) == 0
    assert model.train_on_batch(x, y) > 0


def test_before_compile():
    model = fastnn.Sequential([fastnn.Input((4,)), layers.Dense(1)])
    with pytest.raises(ValueError, match="compile"):
        model.train_on_batch(X, VALUES)


@pytest.mark.parametrize(("name", "other"), [("optimizer", fastnn.optimizers.SGD(0.1)), ("loss", "mse")])
def test_assigning_what_was_compiled_is_refused(name, other):
    model = network()
    x, y = X[:10], LABELS[:10]
    model.train_on_batch(x, y)
    setattr(model, name, other)
    for method in (model.train_on_batch, model.fit):
        with pytest.raises(ValueError, match=f"`model.{name}` was assigned after"):
            method(x, y)


def test_what_is_looked_up_on_the_host_is_so_in_every_batch():
    codes, y = np.arange(12).reshape(-1, 1) % 3 + 5, np.ones(12)

    def model():
        fastnn.utils.set_random_seed(1)
        code = fastnn.Input((1,), dtype="int64")
        found = layers.Embedding(4, 2)(layers.IntegerLookup(vocabulary=[5, 6, 7])(code))
        made = fastnn.Model(code, layers.Dense(1)(layers.Flatten()(found)))
        made.compile("sgd", "mse")
        return made

    ours, other = model(), model()
    for _ in range(3):
        ours.train_on_batch(codes, y)
        other.fit(codes, y, batch_size=12, shuffle=False, verbose=0)
    assert all((a == b).all() for a, b in zip(ours.get_weights(), other.get_weights(), strict=True))


def test_kinds_of_arrays_have_few_axes():
    from fastnn._engine.runtime import Kind

    assert Kind(np.zeros((2, 1, 1, 1, 1, 3))).fits(np.ones((2, 1, 1, 1, 1, 3)))
    with pytest.raises(ValueError, match="up to 6 axes. Received: 7"):
        Kind(np.zeros((1,) * 7))


def test_no_array_is_kept():
    """Data may be large, and a model lives long."""
    model = fastnn.Sequential([fastnn.Input((4,)), layers.Dense(2)])
    model.compile("sgd", "mse")
    for use in (
        model.fit,
        model.evaluate,
        model.train_on_batch,
        model.test_on_batch,
        lambda x, y: model.predict(x),
        lambda x, y: model(x),
    ):
        x, y = np.ones((64, 4), np.float32), np.ones((64, 2), np.float32)
        kept = weakref.ref(x), weakref.ref(y)
        for _ in range(3):
            use(x, y)
        del x, y
        gc.collect()
        assert [each() for each in kept] == [None, None]
