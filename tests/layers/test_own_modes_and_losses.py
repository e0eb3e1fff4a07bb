"""Own layers and models whose `call` branches on `training` or adds losses, beside real Keras; own penalties too."""

import numpy as np
import pytest

import fastnn

rng = np.random.default_rng(3)
X = rng.normal(size=(40, 6)).astype(np.float32)
T = (X[:, :2] - X[:, 2:4]).astype(np.float32)


def own(k):
    """The classes, written once for both libraries."""

    class Branching(k.layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.left, self.right = k.layers.Dense(5, activation="tanh"), k.layers.Dense(5)

        def build(self, shape):
            self.left.build(shape)
            self.right.build(shape)

        def call(self, inputs, training=None):
            left = self.left(inputs)
            if training:
                return left * 2.0 + self.right(inputs)
            return left

    class Passing(k.layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.inner = Branching()

        def build(self, shape):
            self.inner.build(shape)

        def call(self, inputs, training=None):
            return self.inner(inputs, training=training) + 1.0

    class Reconstructing(k.layers.Layer):
        def build(self, shape):
            self.back = k.layers.Dense(shape[-1])
            self.code = k.layers.Dense(3, activation="tanh")
            super().build(shape)

        def call(self, inputs, training=None):
            code = self.code(inputs)
            self.add_loss(0.5 * k.ops.mean(k.ops.square(self.back(code) - inputs)))
            if training:
                self.add_loss(k.ops.abs(code))  # a tensor: its sum
            return code

    class Odd(k.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.hidden, self.out = k.layers.Dense(4), k.layers.Dense(2)

        def call(self, inputs, training=False):
            hidden = self.hidden(inputs)
            self.add_loss(k.ops.sum(hidden) * 0.01)
            return self.out(k.ops.tanh(hidden) if not training else k.ops.relu(hidden))

    class Entropy(k.regularizers.Regularizer):
        def __init__(self, strength):
            self.strength = strength

        def __call__(self, x):
            return self.strength * k.ops.sum(k.ops.log(1.0 + k.ops.square(x)))

        def get_config(self):
            return {"strength": self.strength}

    class Halved(k.constraints.Constraint):
        def __call__(self, w):
            return k.ops.where(k.ops.abs(w) > 0.3, w * 0.5, w * 1.0)

    def penalised():
        return k.layers.Dense(
            4,
            kernel_regularizer=Entropy(0.1),
            bias_regularizer=lambda w: k.ops.sum(w * w) + k.ops.sum(w),
            kernel_constraint=Halved(),
            bias_constraint=lambda w: w - k.ops.mean(w),
            activity_regularizer=lambda y: 0.1 * k.ops.sum(k.ops.square(y)),
        )

    def stack(*layers):
        return k.Sequential([k.Input((6,)), *layers, k.layers.Dense(2)])

    return {
        "passing": lambda: stack(k.layers.Dense(6), Passing(), k.layers.BatchNormalization()),
        "losses": lambda: stack(penalised(), Reconstructing()),
        "model": Odd,
    }, [Branching, Passing, Reconstructing, Odd, Entropy, Halved]


def run(k, name, weights=None):
    model = own(k)[0][name]()
    model(X[:1])  # makes the variables of a subclass
    if weights is not None:
        model.set_weights(weights)
    start = [np.array(each) for each in model.get_weights()]
    model.compile(optimizer="adam", loss="mse", metrics=["mae"])
    history = model.fit(X, T, epochs=3, batch_size=16, shuffle=False, verbose=0).history
    return {
        "start": start,
        "history": history,
        "evaluated": model.evaluate(X, T, batch_size=16, verbose=0),
        "predicted": np.asarray(model.predict(X, verbose=0)),
        "training": np.asarray(model(X, training=True)),
        "inference": np.asarray(model(X, training=False)),
    }, model


@pytest.mark.parametrize("name", ["passing", "losses", "model"])
def test_as_keras(name, keras):
    theirs, _ = run(keras, name)
    mine, _ = run(fastnn, name, theirs["start"])
    for key in ("loss", "mae"):
        np.testing.assert_allclose(mine["history"][key], theirs["history"][key], rtol=1e-4, err_msg=key)
    np.testing.assert_allclose(mine["evaluated"], theirs["evaluated"], rtol=1e-4)
    for key in ("predicted", "training", "inference"):
        np.testing.assert_allclose(mine[key], theirs[key], rtol=1e-3, atol=1e-4, err_msg=key)
    if name in ("passing", "model"):
        assert np.abs(mine["training"] - mine["inference"]).max() > 1e-2


def test_the_branch_of_inference_is_saved_and_frozen(tmp_path):
    models, classes = own(fastnn)
    for name in ("passing", "model"):
        model = models[name]()
        model.compile("adam", "mse")
        model.fit(X, T, verbose=0)
        expected = model.predict(X, verbose=0)
        np.testing.assert_allclose(model.freeze()(X), expected, rtol=1e-5, atol=1e-6)
        model.save(tmp_path / "own.keras")
        loaded = fastnn.models.load_model(tmp_path / "own.keras", {each.__name__: each for each in classes})
        np.testing.assert_array_equal(loaded.predict(X, verbose=0), expected)
        before = loaded.evaluate(X, T, verbose=0)
        loaded.fit(X, T, epochs=5, verbose=0)
        assert loaded.evaluate(X, T, verbose=0) < before
        mean, deviation = model.predict_mc(X, 3)
        np.testing.assert_allclose(mean, expected, rtol=1e-5, atol=1e-6)
        assert not deviation.any()


def test_own_penalties_are_saved(tmp_path):
    regularizer, constraint = own(fastnn)[1][-2:]
    options = {"bias_regularizer": "l2", "bias_constraint": "non_neg", "activity_regularizer": regularizer(0.0)}
    dense = fastnn.layers.Dense(2, kernel_regularizer=regularizer(0.5), kernel_constraint=constraint(), **options)
    model = fastnn.Sequential([fastnn.Input((6,)), dense])
    model.compile("sgd", "mse")
    model.save(tmp_path / "own.keras")
    loaded = fastnn.models.load_model(tmp_path / "own.keras", {"Entropy": regularizer, "Halved": constraint})
    assert loaded.layers[0].kernel_regularizer.strength == 0.5
    assert loaded.layers[0].activity_regularizer.strength == 0
    assert loaded.layers[0].bias_regularizer.l2 == pytest.approx(0.01)
    assert isinstance(loaded.layers[0].bias_constraint, fastnn.constraints.NonNeg)
    assert loaded.evaluate(X, T, verbose=0) == model.evaluate(X, T, verbose=0)
    expected = np.mean((model.predict(X, verbose=0) - T) ** 2) + 0.5 * np.log1p(dense.get_weights()[0] ** 2).sum()
    np.testing.assert_allclose(model.evaluate(X, T, verbose=0), expected, rtol=1e-5)
    np.testing.assert_allclose(float(model.losses[0]), 0.5 * np.log1p(dense.get_weights()[0] ** 2).sum(), rtol=1e-5)


def test_a_layer_with_an_unused_output_is_trained_by_its_own_loss():
    class Pulled(fastnn.layers.Layer):
        def build(self, shape):
            self.w = self.add_weight((3,), "ones")

        def call(self, inputs):
            self.add_loss(fastnn.ops.sum(fastnn.ops.square(self.w)))
            return fastnn.ops.stop_gradient(inputs)

    layer = Pulled()
    model = fastnn.Sequential([fastnn.Input((2,)), layer])
    model.compile(fastnn.optimizers.SGD(0.1), "mse")
    assert model.train_on_batch(X[:4, :2], X[:4, :2]) == pytest.approx(3)
    np.testing.assert_allclose(layer.get_weights()[0], 0.8, rtol=1e-6)


def test_noise_drawn_in_the_branch_of_training():
    class AddNoise(fastnn.layers.Layer):
        def call(self, inputs, training=None):
            if training:
                return inputs + fastnn.random.normal(fastnn.ops.shape(inputs), mean=1.0, stddev=0.5)
            return inputs

    model = fastnn.Sequential([fastnn.Input((6,)), AddNoise()])
    x = np.zeros((3000, 6), np.float32)
    np.testing.assert_array_equal(model.predict(x, verbose=0), x)
    first, second = (np.asarray(model(x, training=True)) for _ in range(2))
    assert first.mean() == pytest.approx(1, abs=0.02)
    assert first.std() == pytest.approx(0.5, abs=0.02)
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.05
    assert model.predict_mc(x[:4], 50)[1].min() > 0.2
    np.testing.assert_array_equal(model.freeze()(x[:5]), x[:5])
    model.compile("sgd", "mse")
    assert model.train_on_batch(x, x) == pytest.approx(1.25, abs=0.05)
    assert model.evaluate(x, x, verbose=0) == 0


def test_what_cannot_be_is_refused():
    class Shapes(fastnn.layers.Layer):
        def call(self, inputs, training=None):
            return inputs if training else inputs[:, :1]

    with pytest.raises(ValueError, match="Both must be the same"):
        fastnn.Sequential([fastnn.Input((2,)), Shapes()])
    with pytest.raises(ValueError, match="inside `call"):
        Shapes().add_loss(1.0)

    class Number(fastnn.layers.Layer):
        def call(self, inputs):
            self.add_loss(3.0)
            return inputs

    with pytest.raises(ValueError, match="inside `call"):
        fastnn.Sequential([fastnn.Input((2,)), Number()])


def told(k):
    """Layers that tell others a mode, and what layers inside of those do."""

    class Block(k.layers.Layer):  # takes no mode itself
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.noise = k.layers.GaussianNoise(1.0, seed=1)

        def call(self, inputs):
            return self.noise(inputs)

    class Always(k.layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.block = Block()

        def call(self, inputs):
            return self.block(inputs, training=True)

    class Never(Always):
        def call(self, inputs, training=None):
            return self.block(inputs, training=False)

    return Always, Never


def test_what_a_layer_is_told_holds_for_those_inside_it(keras):
    """Does the noise come through: of a call as it is, in inference, in training, and of predict?"""

    def random(k):
        found = []
        for cls in told(k):
            model = k.Sequential([k.layers.Input((6,)), cls()])
            results = [cls()(X[:3]), cls()(X[:3], training=False), cls()(X[:3], training=True)]
            results.append(model.predict(X[:3], verbose=0))
            found.append([bool((np.asarray(each) != X[:3]).any()) for each in results])
        return found

    assert random(fastnn) == random(keras) == [[True] * 4, [False] * 4]


def test_penalties_of_activities(keras):
    """One on which nothing else depends, beside Keras; and that each use of a layer counts."""

    def stepped(k):
        inputs = k.layers.Input((3,))
        unused = k.layers.Dense(2, activity_regularizer=k.regularizers.L1L2(0.01, 0.02), kernel_initializer="ones")
        outputs = k.layers.Dense(1, kernel_initializer="zeros")(inputs), unused(inputs)
        model = k.Model(inputs, outputs)
        model.compile(k.optimizers.SGD(1.0), ["mse", None])
        loss = model.train_on_batch(X[:8, :3], [T[:8, :1], T[:8]])
        return np.ravel(loss)[0], unused.get_weights()

    (one, mine), (other, theirs) = stepped(fastnn), stepped(keras)
    assert one == pytest.approx(other, rel=1e-5)
    assert np.abs(mine[0] - 1).max() > 1e-3
    for ours, weights in zip(mine, theirs, strict=True):
        np.testing.assert_allclose(ours, weights, rtol=1e-5, atol=1e-6)

    shared = fastnn.layers.Dense(3, use_bias=False, kernel_initializer="ones", activity_regularizer="l2")
    inputs = fastnn.Input((3,))
    model = fastnn.Model(inputs, shared(shared(inputs)))
    model.compile("sgd", "mse")
    uses = 0.01 * (3 * 3.0**2 + 3 * 9.0**2)
    assert model.evaluate(np.ones((2, 3)), np.full((2, 3), 9.0), verbose=0) == pytest.approx(uses)
