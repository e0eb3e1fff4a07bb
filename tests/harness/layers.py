"""One way to test every layer: against real Keras, which spells it alike, and against finite differences.

A layer under test is given as ``make``, a function of a module of layers: ``lambda L: L.Dense(3)``
makes fastnn's from `fastnn.layers` and Keras's from `keras.layers`.

For its gradients the layer stands in a small model behind a *probe*, a dense layer that is fed with
the identity matrix: the probe's kernel then is the input of the layer under test, and the kernel's
gradient is the gradient of that input, element by element.
"""

import numpy as np

import fastnn


def data(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def random_weights(variables, seed=1):
    """Values for variables, by their names and shapes: nothing is 0 or 1, variances are positive."""
    random = np.random.default_rng(seed)
    values = []
    for variable in variables:
        value = random.normal(size=variable.shape) * 0.5
        if variable.name.endswith("variance"):
            value = random.uniform(0.2, 3, size=variable.shape)
        elif variable.name == "gamma":
            value = random.uniform(0.5, 2, size=variable.shape)
        values.append(np.float32(value))
    return values


def built(make, module, sample_shape):
    """A layer that has its variables, with random values."""
    layer = make(module)
    layer.build((None, *sample_shape))
    if layer.weights:
        layer.set_weights(random_weights(layer.weights))
    return layer


def probed(make, package, samples, sample_shape, optimizer, seed=2):
    """A compiled model of the layer behind a probe, its data, and the targets.

    Returns
    -------
    model, x, y
    """
    *middle, features = sample_shape
    rows = samples * int(np.prod(middle, dtype=int))
    layers = package.layers
    model = package.Sequential([package.Input((*middle, rows)), layers.Dense(features, use_bias=False), make(layers)])
    values = random_weights(model.layers[1].weights)
    model.set_weights([data(rows, features, seed=seed), *values])
    model.compile(optimizer, "mse")
    x = np.eye(rows, dtype=np.float32).reshape(samples, *middle, rows)
    y = data(samples, *model.output_shape[1:], seed=seed + 1)
    return model, x, y


def check_values(make, keras, samples, sample_shape, rtol=1e-5, atol=2e-6):
    """Variables, shape, and values in inference and in training, against Keras."""
    x = data(samples, *sample_shape)
    ours = built(make, fastnn.layers, sample_shape)
    theirs = built(make, keras.layers, sample_shape)
    assert [v.name for v in ours.weights] == [v.name for v in theirs.weights]
    assert [v.shape for v in ours.weights] == [tuple(v.shape) for v in theirs.weights]
    assert [v.trainable for v in ours.weights] == [v.trainable for v in theirs.weights]
    for training in (False, None, True):
        expected = np.asarray(theirs(x, training=training))
        result = ours(x, training=training)
        assert result.shape == expected.shape
        assert result.dtype == np.float32
        np.testing.assert_allclose(result, expected, rtol=rtol, atol=atol)
    for mine, reference in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(mine, reference, rtol=rtol, atol=atol)  # moving averages


def check_step(make, keras, samples, sample_shape):
    """What one step of gradient descent makes of weights and inputs, against Keras."""
    stepped = []
    for package in (fastnn, keras):
        optimizer = package.optimizers.SGD(1.0)
        model, x, y = probed(make, package, samples, sample_shape, optimizer)
        before = model.get_weights()
        loss = model.train_on_batch(x, y)
        stepped.append((loss, before, model.get_weights()))
    (loss, before, after), (expected_loss, _, expected) = stepped
    np.testing.assert_allclose(loss, expected_loss, rtol=1e-5)
    np.testing.assert_allclose(after[0] - before[0], expected[0] - before[0], rtol=1e-3, atol=2e-6)
    for mine, reference in zip(after, expected, strict=True):
        np.testing.assert_allclose(mine, reference, rtol=1e-5, atol=1e-5)


def check_gradients(make, samples, sample_shape, step=5e-3, rtol=1e-2):
    """The gradient of everything that is trained, against central differences of the loss.

    Losses are those that training reports, at a learning rate of 0 and always at the first step, so
    that dropout draws the same masks. Each variable is moved along its gradient and a random
    direction at once: the first makes the difference large, the second finds what is missing.
    """
    optimizer = fastnn.optimizers.SGD(1.0)
    model, x, y = probed(make, fastnn, samples, sample_shape, optimizer)
    before = model.get_weights()
    model.train_on_batch(x, y)
    after = model.get_weights()
    optimizer.learning_rate = 0.0

    def loss(number, moved):
        model.set_weights([*before[:number], moved, *before[number + 1 :]])
        optimizer.iterations = 0
        return model.train_on_batch(x, y)

    random = np.random.default_rng(3)
    for number, variable in enumerate(model.weights):
        if not variable.trainable:
            continue
        value, gradient = before[number], before[number] - after[number]
        size = np.linalg.norm(gradient)
        direction = random.normal(size=value.shape)
        direction = 0.7 * direction / np.linalg.norm(direction) + 0.7 * gradient / max(size, 1e-9)
        ahead, behind = (loss(number, value + sign * step * direction) for sign in (1, -1))
        np.testing.assert_allclose(
            (ahead - behind) / (2 * step),
            (gradient * direction).sum(),
            atol=rtol * size + 2e-5,
            err_msg=variable.path,
        )
