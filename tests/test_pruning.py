"""Magnitude pruning: beside NumPy, and what keeps zeros zero."""

import numpy as np
import pytest

import fastnn
from fastnn import layers, pruning
from fastnn._engine import kernels
from harness.layers import data


@pytest.mark.parametrize("isa", kernels.isas())
def test_the_kernel(isa):
    w, mask = kernels.padded(data(100)), kernels.padded(data(100, seed=1) > 0)
    w[[3, 50]] = np.nan, np.inf
    mask[[3, 50]] = 0
    expected = np.where(mask > 0, w, 0)
    kernels.call("masked_weights", 1, dict(w=w, mask=mask), dict(n=len(w)), {}, 0, isa=isa, threads=2)
    np.testing.assert_array_equal(w, expected)
    assert not np.signbit(w[mask == 0]).any()


def test_the_schedules_are_those_of_the_papers():
    schedule = pruning.PolynomialDecay(0.1, 0.9, begin_step=20, end_step=115, frequency=10)
    for step in range(200):
        due = step in (*range(20, 116, 10), 115)
        expected = 0.9 + (0.1 - 0.9) * (1 - (step - 20) / 95) ** 3 if due else None
        assert schedule(step) == (pytest.approx(expected) if due else None)
    constant = pruning.ConstantSparsity(0.5, 3, frequency=4)
    assert [step for step in range(20) if constant(step) == 0.5] == [3, 7, 11, 15, 19]
    assert pruning.ConstantSparsity(0.5, 3, end_step=8)(9) is None


def smallest(sizes, count):
    """Where the so many smallest values are, the first ones of equals."""
    where = np.zeros(sizes.size, bool)
    where[np.argsort(sizes.ravel(), kind="stable")[:count]] = True
    return where


@pytest.mark.parametrize("scope", ["layer", "global"])
def test_training_is_that_of_numpy(scope):
    x, y = data(64, 10), data(64, 7, seed=1)
    model = fastnn.Sequential([fastnn.Input((10,)), layers.Dense(9, use_bias=False), layers.Dense(7, use_bias=False)])
    w = [each.astype(np.float64) for each in model.get_weights()]
    model.compile(fastnn.optimizers.SGD(0.05, momentum=0.9), "mse")
    schedule = pruning.PolynomialDecay(0.2, 0.7, begin_step=2, end_step=17, frequency=3)
    pruned = pruning.PruneLowMagnitude(schedule, scope=scope)
    model.fit(x, y, batch_size=16, epochs=5, shuffle=False, verbose=0, callbacks=[pruned])
    masks, momenta = [np.ones_like(each) for each in w], [np.zeros_like(each) for each in w]
    for step in range(20):
        share = schedule(step)
        if share is not None:
            groups = [[0, 1]] if scope == "global" else [[0], [1]]
            for group in groups:
                sizes = np.concatenate([np.abs(w[i]).ravel() for i in group])
                gone = np.split(smallest(sizes, round(sizes.size * share)), np.cumsum([w[i].size for i in group])[:-1])
                for i, each in zip(group, gone, strict=True):
                    masks[i] *= ~each.reshape(w[i].shape)
                    w[i] *= masks[i]
        rows = slice(step % 4 * 16, step % 4 * 16 + 16)
        hidden = x[rows] @ w[0]
        error = 2 * (hidden @ w[1] - y[rows]) / (16 * 7)
        gradients = [x[rows].T @ (error @ w[1].T), hidden.T @ error]
        for i in 0, 1:
            momenta[i] = 0.9 * momenta[i] - 0.05 * gradients[i]
            w[i] = (w[i] + momenta[i]) * masks[i]
    for ours, theirs in zip(model.get_weights(), w, strict=True):
        np.testing.assert_array_equal(ours == 0, theirs == 0)
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)
    assert pruning.sparsity(model) == pytest.approx(0.7, abs=0.01)
    if scope == "layer":
        assert pruning.sparsity(model.layers[0]) == 63 / 90


def pruned_model(optimizer="adam", share=0.5, **options):
    fastnn.utils.set_random_seed(1)
    kernel = layers.Dense(40, "relu", kernel_constraint="unit_norm")
    model = fastnn.Sequential([fastnn.Input((12,)), kernel, layers.BatchNormalization(), layers.Dense(2)])
    model.compile(optimizer, "mse")
    callback = pruning.PruneLowMagnitude(pruning.ConstantSparsity(share, 4, 4), **options)
    model.fit(data(96, 12), data(96, 2), epochs=4, verbose=0, callbacks=[callback])
    return model


@pytest.mark.parametrize("optimizer", [lambda: "adam", lambda: fastnn.optimizers.AdamW(0.01, use_ema=True)])
def test_zeros_stay_until_they_are_released(optimizer):
    model, x, y = pruned_model(optimizer()), data(96, 12), data(96, 2)
    zeros = [each == 0 for each in model.get_weights()]
    assert pruning.sparsity(model) == 0.5
    assert [bool(each.any()) for each in zeros] == [True, False, False, False, False, False, True, False]
    model.fit(x, y, epochs=2, verbose=0)
    model.train_on_batch(x, y)
    model.set_weights([each + 1 for each in model.get_weights()])
    other = fastnn.Sequential(
        [fastnn.Input((12,)), *model.layers[:-1], layers.Dense(3)]
    )  # the masks go with the weights
    other.compile("adam", "mse")
    other.fit(x, data(96, 3), verbose=0)
    for each, zero in zip(model.get_weights(), zeros, strict=True):
        assert not each[zero].any()
        assert not np.signbit(each[zero]).any()
    np.testing.assert_allclose(np.linalg.norm(other.get_weights()[0], axis=0), 1, rtol=1e-5)
    pruning.release(model)
    model.fit(x, y, verbose=0)
    assert pruning.sparsity(model) < 0.1


def test_after_loading_zeros_can_be_held_again(tmp_path):
    pruned_model().save(tmp_path / "pruned.keras")
    model = fastnn.models.load_model(tmp_path / "pruned.keras")
    pruning.hold_zeros(model)
    model.fit(data(96, 12), data(96, 2), verbose=0)
    assert pruning.sparsity(model) == 0.5


@pytest.mark.parametrize("name", ["m.fastnn", "m.safetensors"])
def test_masks_are_saved(name, tmp_path):
    model = pruned_model()
    zeros = [each == 0 for each in model.get_weights()]
    if name == "m.fastnn":
        model.save(tmp_path / name)
        loaded = fastnn.models.load_model(tmp_path / name)
    else:
        model.save_weights(tmp_path / name)
        loaded = pruned_model(share=0.0)
        loaded.load_weights(tmp_path / name)
    for one in model, loaded:
        one.compile(fastnn.optimizers.Adam(), "mse")
        one.fit(data(96, 12), data(96, 2), epochs=2, shuffle=False, verbose=0)
    for one, other, zero in zip(model.get_weights(), loaded.get_weights(), zeros, strict=True):
        np.testing.assert_array_equal(one, other)
        assert not one[zero].any()
    assert pruning.sparsity(loaded) == 0.5


def test_batches_of_a_generator_prune_as_arrays_do():
    x, y = data(96, 12), data(96, 2)

    def batches():
        while True:
            for start in range(0, 96, 32):
                yield x[start : start + 32], y[start : start + 32]

    def weights(*data, **options):
        fastnn.utils.set_random_seed(1)
        model = fastnn.Sequential([fastnn.Input((12,)), layers.Dense(40, "relu"), layers.Dense(2)])
        model.compile("adam", "mse")
        callback = pruning.PruneLowMagnitude(pruning.ConstantSparsity(0.5, 4, 4))
        model.fit(*data, epochs=4, shuffle=False, verbose=0, callbacks=[callback], **options)
        assert pruning.sparsity(model) == 0.5
        return model.get_weights()

    for one, other in zip(weights(x, y), weights(batches(), steps_per_epoch=3), strict=True):
        np.testing.assert_array_equal(one, other)


def test_layers_can_be_chosen():
    model = pruned_model()
    first, last = model.layers[0], model.layers[-1]
    pruning.release(model)
    callback = pruning.PruneLowMagnitude(lambda step: 0.75, layers=[last])
    last.kernel.assign(np.where(np.arange(80).reshape(40, 2) % 3 == 0, 2.0, -1.0))  # equals: the first ones go
    model.compile(fastnn.optimizers.SGD(0.0), "mse")
    first.kernel.assign(np.ones((12, 40)))
    model.fit(data(96, 12), data(96, 2), verbose=0, callbacks=[callback])
    assert pruning.sparsity(first) == 0
    expected = np.where(np.arange(80) % 3 == 0, 2.0, 0.0)
    expected[np.flatnonzero(expected)[: 60 - 53]] = 0
    np.testing.assert_array_equal(last.kernel.numpy().ravel(), expected)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: pruning.PolynomialDecay(0.0, 1.0, 0, 10), r"`final_sparsity` must be a number in \[0, 1\)"),
        (lambda: pruning.PolynomialDecay(0.0, 0.5, 10, 10), "`end_step` must be an integer of at least 11"),
        (lambda: pruning.PolynomialDecay(0.0, 0.5, 0, 10, power=0), "`power` must be a positive number"),
        (lambda: pruning.ConstantSparsity(0.5, 5, 4), "`end_step` must be an integer of at least 5"),
        (lambda: pruning.PruneLowMagnitude(0.5), "`schedule` must be a schedule"),
        (lambda: pruning.PruneLowMagnitude(lambda step: None, scope="all"), '`scope` must be "layer" or "global"'),
        (lambda: pruned_model(layers=[layers.Dense(3)]), "there is nothing to prune"),
        (lambda: pruned_model(share=True), r"must be a number in \[0, 1\)"),
    ],
)
def test_mistakes(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_what_is_no_layer():
    with pytest.raises(TypeError, match="Expected a layer or a model"):
        pruning.sparsity([1])
