"""A subclassed model with a layer, an initializer, a regularizer and a constraint of one's own, beside the same classes
in Keras: its numbers after 25 steps, and those of `evaluate` and `predict`.

Tolerance 1e-4 of a value: the sums of both libraries are in float32, in another order.
"""

import numpy as np

import fastnn

random = np.random.default_rng(5)
X = random.normal(size=(48, 6)).astype(np.float32)
Y = random.normal(size=(48, 2)).astype(np.float32)


def classes(k):
    """A model of classes of one's own, written for package `k`."""
    ops = k.ops

    class Waves(k.initializers.Initializer):
        def __init__(self, scale=1.0):
            self.scale = scale

        def __call__(self, shape, dtype=None):
            values = self.scale * np.sin(1.0 + np.arange(np.prod(shape)))
            return ops.convert_to_tensor(values.reshape(shape).astype("float32"))

        def get_config(self):
            return {"scale": self.scale}

    class Cauchy(k.regularizers.Regularizer):
        def __call__(self, x):
            return 0.02 * ops.sum(ops.log(1.0 + ops.square(x)))

    class Shorter(k.constraints.Constraint):
        def __call__(self, w):
            return w * ops.minimum(1.0, 0.9 / ops.sqrt(ops.sum(ops.square(w), axis=1, keepdims=True)))

    class Bilinear(k.layers.Layer):
        def __init__(self, units, **kwargs):
            super().__init__(**kwargs)
            self.units = units

        def build(self, input_shape):
            options = dict(initializer=Waves(0.4), regularizer=Cauchy(), constraint=Shorter())
            self.left = self.add_weight(shape=(input_shape[-1], self.units), name="left", **options)
            self.right = self.add_weight(shape=(input_shape[-1], self.units), initializer="ones", name="right")

        def call(self, inputs):
            return ops.matmul(inputs, self.left) * ops.tanh(ops.matmul(inputs, self.right))

    class Net(k.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.bilinear = Bilinear(5)
            self.norm = k.layers.BatchNormalization()
            self.hidden = k.layers.Dense(
                4, "tanh", kernel_initializer=Waves(0.5), kernel_regularizer=Cauchy(), kernel_constraint=Shorter(),
                bias_regularizer=lambda b: 0.1 * ops.sum(ops.abs(b - 0.2)),
            )  # fmt: skip
            self.out = k.layers.Dense(2, kernel_initializer=Waves())

        def call(self, inputs, training=None):
            hidden = self.hidden(self.norm(self.bilinear(inputs), training=training))
            return self.out(hidden if training else hidden * 1.5)

    return Net


def test_their_numbers_are_those_of_keras(keras):
    found = []
    for k in fastnn, keras:
        model = classes(k)()
        model.compile(k.optimizers.Adam(0.02), "mse", metrics=["mae"])
        told = dict(shuffle=False, verbose=0)
        history = model.fit(X, Y, batch_size=8, epochs=5, validation_split=0.25, **told).history
        evaluated = model.evaluate(X, Y, batch_size=20, verbose=0)
        predicted = np.asarray(model.predict(X, batch_size=20, verbose=0))
        found.append((history, evaluated, predicted, [np.asarray(each) for each in model.get_weights()]))
    (mine, evaluated, predicted, weights), (theirs, their_evaluated, their_predicted, their_weights) = found
    assert mine.keys() == theirs.keys()
    for name, values in theirs.items():
        np.testing.assert_allclose(mine[name], values, rtol=1e-4, err_msg=name)
    for one, other in zip(weights, their_weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(evaluated, their_evaluated, rtol=1e-4)
    np.testing.assert_allclose(predicted, their_predicted, rtol=1e-3, atol=1e-4)
