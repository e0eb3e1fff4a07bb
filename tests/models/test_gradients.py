"""`Model.gradients`: against finite differences, the optimizer's own step, and real Keras with JAX."""

import numpy as np
import pytest

import fastnn
from fastnn import layers
from harness.layers import data, random_weights

ROWS, FEATURES, CLASSES = 24, 7, 3


def network(k, *more):
    k.utils.set_random_seed(3)
    stack = [
        k.layers.Dense(6, activation="tanh", kernel_regularizer="l2"),
        k.layers.BatchNormalization(),
        *more,
        k.layers.Dense(5, activation="softplus", activity_regularizer="l2"),
        k.layers.Dense(CLASSES, activation="softmax"),
    ]
    return k.Sequential([k.Input((FEATURES,)), *stack])


def compiled(model, k=fastnn, rate=1.0):
    # Other values than the initial ones, under which gamma would be 1 and the biases 0.
    model.set_weights(random_weights(model.weights))
    model.compile(k.optimizers.SGD(rate), "sparse_categorical_crossentropy")
    return model


@pytest.fixture
def batch():
    random = np.random.default_rng(1)
    return data(ROWS, FEATURES), random.integers(0, CLASSES, ROWS), random.random(ROWS).astype(np.float32)


def test_they_are_the_slopes_of_the_loss(batch):
    model = compiled(network(fastnn), rate=0.0)
    gradients = model.gradients(*batch)
    assert [each.shape for each in gradients] == [each.shape for each in model.trainable_weights]
    for number, (variable, gradient) in enumerate(zip(model.trainable_weights, gradients, strict=True)):
        at, losses = variable.numpy(), []
        direction = gradient / np.linalg.norm(gradient) + 0.3 * data(*variable.shape, seed=number)
        for step in 2e-3, -2e-3:
            variable.assign(at + step * direction)
            losses.append(model.train_on_batch(*batch))
        variable.assign(at)
        # The loss has seven digits, of which the difference leaves four or five.
        assert (losses[0] - losses[1]) / 4e-3 == pytest.approx((gradient * direction).sum(), rel=2e-3), variable.path


def test_the_next_training_step_uses_them_and_nothing_has_changed(batch):
    """Random masks included: the gradients are those of the very step that comes next."""
    model = compiled(network(fastnn, layers.Dropout(0.3), layers.GaussianNoise(0.1)))
    for _ in range(2):
        before = model.get_weights()
        gradients = model.gradients(*batch)
        np.testing.assert_equal(model.get_weights(), before)
        np.testing.assert_equal(model.gradients(*batch), gradients)
        trained = [each.numpy() for each in model.trainable_weights]
        model.train_on_batch(*batch)
        for old, variable, gradient in zip(trained, model.trainable_weights, gradients, strict=True):
            np.testing.assert_allclose(old - variable.numpy(), gradient, rtol=1e-5, atol=1e-6)
    assert (model.layers[1].moving_mean.numpy() != before[3]).any()


def test_batches_of_any_size_without_training_one(batch):
    x, y, _ = batch
    model, other = compiled(network(fastnn)), compiled(network(fastnn))
    sizes = [len(x), 4, 11]
    found = [model.gradients(x[:size], y[:size]) for size in sizes]
    for size, gradients in zip(reversed(sizes), reversed(found), strict=True):
        np.testing.assert_equal(other.gradients(x[:size], y[:size]), gradients)
    assert model.optimizer.steps == 0


def test_what_is_frozen_now_has_none_and_what_the_loss_ignores_has_zeros(batch):
    x, y, _ = batch
    first, second = fastnn.Input((FEATURES,), name="a"), fastnn.Input((FEATURES,), name="b")
    used, unused = layers.Dense(CLASSES, activation="softmax", name="used"), layers.Dense(2, name="unused")
    model = fastnn.Model([first, second], [used(first), unused(second)])
    model.compile("sgd", {"used": "sparse_categorical_crossentropy"})
    gradients = model.gradients([x, x], {"used": y})
    assert [each.shape for each in gradients] == [(FEATURES, CLASSES), (CLASSES,), (FEATURES, 2), (2,)]
    assert [each.any() for each in gradients] == [True, True, False, False]
    unused.trainable = False
    assert len(model.gradients([x, x], {"used": y})) == 2
    used.trainable = False
    assert model.gradients([x, x], {"used": y}) == []


def test_what_it_refuses(batch):
    x, y, weights = batch
    with pytest.raises(ValueError, match=r"call `compile\(\)` before calling `gradients\(\)`"):
        network(fastnn).gradients(x, y)
    model = compiled(network(fastnn))
    with pytest.raises(ValueError, match="same number of samples"):
        model.gradients(x, y[1:])
    with pytest.raises(ValueError, match="sample_weight: expected one number for each"):
        model.gradients(x, y, weights[1:])


def test_they_are_those_of_jax(keras, batch):
    import jax

    x, y, weights = batch
    mine, theirs = compiled(network(fastnn)), compiled(network(keras), keras)

    def loss(trainable, fixed):
        outputs, _, losses = theirs.stateless_call(trainable, fixed, x, training=True, return_losses=True)
        own = keras.losses.sparse_categorical_crossentropy(y, outputs)
        return (own * weights).mean() + sum(losses)

    state = [[each.value for each in which] for which in (theirs.trainable_variables, theirs.non_trainable_variables)]
    for one, other in zip(mine.gradients(x, y, weights), jax.jit(jax.grad(loss))(*state), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
