"""Training with several inputs and outputs, beside real Keras: losses, weights, metrics and their names."""

import numpy as np
import pytest

import fastnn
from harness.layers import data
from models.test_functional import X, heads

VALUES, LABELS = data(20, 1, seed=2), np.arange(20) % 3
WEIGHTS = np.linspace(0, 2, 20, dtype=np.float32)
SPARSE = "sparse_categorical_crossentropy"

# outputs as a dictionary, arguments of compile, targets, weights of samples
CASES = {
    "lists": (
        False,
        dict(loss=["mse", SPARSE], loss_weights=[1.0, 0.5], metrics=[["mae"], ["accuracy"]]),
        [VALUES, LABELS],
        None,
    ),
    "dictionaries": (
        True,
        dict(
            loss={"y": "mse", "x": SPARSE},
            loss_weights={"y": 0.3, "x": 2.0},
            metrics={"x": ["acc"]},
            weighted_metrics={"x": ["acc"], "y": ["mae"]},
        ),
        {"y": VALUES, "x": LABELS},
        {"y": WEIGHTS, "x": WEIGHTS[::-1]},
    ),
    "no loss": (
        False,
        dict(loss=["mse", None], metrics=[None, ["sparse_categorical_accuracy"]]),
        [VALUES, LABELS],
        None,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_runs_like_keras(case, keras):
    named, compiled, y, weights = CASES[case]
    runs, values = [], None
    for package in fastnn, keras:
        model = heads(package, named)
        values = values or [data(*w.shape, seed=number) * 0.4 for number, w in enumerate(model.get_weights())]
        model.set_weights(values)
        model.compile(package.optimizers.SGD(0.05), **compiled)
        options = dict(sample_weight=weights, verbose=0)
        history = model.fit(X, y, epochs=5, batch_size=5, shuffle=False, validation_data=(X, y), **options).history
        measured = model.evaluate(X, y, **options), model.evaluate(X, y, return_dict=True, **options)
        step = model.train_on_batch(X, y, sample_weight=weights)
        runs.append((history, *measured, step, model.get_weights()))
    ours, theirs = runs
    assert list(ours[0]) == list(theirs[0])
    for name, expected in theirs[0].items():
        np.testing.assert_allclose(ours[0][name], expected, rtol=2e-5, atol=1e-6, err_msg=name)
    np.testing.assert_allclose(ours[1], theirs[1], rtol=2e-5)
    assert set(ours[2]) == set(theirs[2])
    np.testing.assert_allclose(ours[3], theirs[3], rtol=2e-5)
    for mine, expected in zip(ours[4], theirs[4], strict=True):  # after 21 steps
        np.testing.assert_allclose(mine, expected, rtol=1e-4, atol=1e-5)


def trained(y, sample_weight=None, **compiled):
    fastnn.utils.set_random_seed(0)
    model = heads()
    model.compile("sgd", **compiled)
    model.fit(X, y, sample_weight=sample_weight, verbose=0, epochs=2)
    return model


def same(*models):
    first, *others = (model.get_weights() for model in models)
    return all(np.array_equal(a, b) for other in others for a, b in zip(first, other, strict=True))


def test_arguments_in_all_their_shapes():
    by_name, listed = dict(value=VALUES, kind=LABELS), [VALUES, LABELS]
    losses = dict(value="mse", kind=SPARSE)
    assert same(
        trained(by_name, loss=losses), trained(listed, loss=list(losses.values())), trained(tuple(listed), loss=losses)
    )
    assert same(
        trained(listed, WEIGHTS, loss=losses),
        trained(listed, [WEIGHTS, WEIGHTS], loss=losses),
        trained(by_name, dict(kind=WEIGHTS, value=WEIGHTS), loss=losses),
    )
    assert same(trained([VALUES], loss=["mse", None]), trained(dict(value=VALUES), loss=dict(value="mse")))
    assert not same(trained(listed, [WEIGHTS, None], loss=losses), trained(listed, WEIGHTS, loss=losses))
    assert same(trained(listed, loss=losses), trained(listed, loss=losses, loss_weights=dict(value=1.0)))


def test_a_part_of_the_data_validates():
    model = heads()
    model.compile("sgd", ["mse", SPARSE])
    history = model.fit(X, [VALUES, LABELS], validation_split=0.25, verbose=0).history
    assert list(history) == sorted(history)
    assert "val_kind_loss" in history
    assert model.metrics_names == ["loss", "value_loss", "kind_loss"]


class Batches(fastnn.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.outputs = []

    def on_predict_batch_end(self, batch, logs=None):
        self.outputs.append(logs["outputs"])


def test_predictions_batch_by_batch():
    model, seen = heads(named=True), Batches()
    together = model.predict(X, verbose=0)
    by_batch = model.predict(X, batch_size=8, callbacks=[seen], verbose=0)
    assert len(seen.outputs) == 3
    for name in "x", "y":
        np.testing.assert_array_equal(together[name], by_batch[name])
        np.testing.assert_array_equal(np.concatenate([each[name] for each in seen.outputs]), together[name])


@pytest.mark.parametrize(
    ("compiled", "y", "options", "message"),
    [
        (dict(loss=["mse"]), [VALUES, LABELS], {}, "`loss`: expected a list with one entry for each of the 2 outputs"),
        (dict(loss=dict(nothing="mse")), [VALUES, LABELS], {}, r"named \['value', 'kind'\].*nothing"),
        (dict(loss="mse", metrics=["mae"]), [VALUES, LABELS], {}, "`metrics`: expected a list"),
        (dict(loss=["mse", SPARSE]), VALUES, {}, "2 outputs.*Expected a list of targets"),
        (dict(loss=["mse", SPARSE]), [VALUES], {}, "Received 1 in a list"),
        (dict(loss=["mse", SPARSE]), dict(value=VALUES), {}, "y of output 'kind' is missing"),
        (dict(loss=["mse", SPARSE]), [VALUES[:5], LABELS], {}, "y of output 'value' has 5"),
        (dict(loss=["mse", SPARSE]), [VALUES, LABELS + 1], {}, r"y of output 'kind'\[\d+\] is 3"),
        (dict(loss=["mse", SPARSE]), [VALUES, LABELS], dict(class_weight={0: 2.0}), "single output"),
        (dict(loss=["mse", SPARSE]), [VALUES, LABELS], dict(sample_weight=[WEIGHTS]), "`sample_weight`.*2 outputs"),
        (dict(loss=[None, None]), [VALUES, LABELS], {}, "without a loss"),
        (dict(loss="mse", loss_weights=[1.0, 2.0, 3.0]), [VALUES, LABELS], {}, "must match the number of losses"),
    ],
)
def test_mistakes(compiled, y, options, message):
    model = heads()
    with pytest.raises(ValueError, match=message):  # noqa: PT012
        model.compile("sgd", **compiled)
        model.fit(X, y, verbose=0, **options)
