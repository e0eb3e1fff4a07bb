"""Layers of one's own: subclasses that compose layers and activations."""

import numpy as np
import pytest

import fastnn
from fastnn import activations, layers
from harness.layers import check_gradients, data


class Block(layers.Layer):
    """Makes its layers in `build`, and calls them in another order than they were made."""

    def __init__(self, width, rate=0.0, **kwargs):
        super().__init__(**kwargs)
        self.width = width
        self.rate = rate

    def build(self, input_shape):
        self.up = layers.Dense(input_shape[-1])
        self.down = layers.Dense(self.width, use_bias=False)
        self.bn = layers.BatchNormalization()
        self.dropout = layers.Dropout(self.rate)

    def call(self, inputs, training=None):
        hidden = activations.elu(self.bn(self.down(inputs), training=training))
        return self.up(self.dropout(hidden, training=training))


class Twice(layers.Layer):
    """Uses one layer two times: its gradients add up."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.inner = None

    def build(self, input_shape):
        self.inner = layers.Dense(input_shape[-1], activation="tanh")

    def call(self, inputs):
        return self.inner(self.inner(inputs))


class Stack(layers.Layer):
    """Holds its layers in a list and a dictionary."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.hidden = [layers.Dense(6, activation="silu") for _ in range(2)]
        self.heads = {"out": layers.Dense(2)}

    def call(self, inputs):
        for layer in self.hidden:
            inputs = layer(inputs)
        return self.heads["out"](inputs)


@pytest.mark.parametrize("make", [lambda L: Block(4), lambda L: Block(4, 0.3), lambda L: Twice(),
                                  lambda L: Stack()], ids="block dropout twice stack".split())  # fmt: skip
@pytest.mark.parametrize("shape", [(5,), (3, 5)])
def test_gradients(make, shape):
    check_gradients(make, 6, shape)


def test_is_its_layers_one_after_the_other():
    block, x = Block(4), data(20, 5)
    for training in (False, True):
        y = block(x, training=training)
        hidden = activations.elu(block.bn(block.down(x), training=training))
        np.testing.assert_allclose(y, block.up(hidden), rtol=1e-6, atol=1e-6)


def test_weights_of_all_parts_in_the_order_of_their_making():
    fastnn.backend.clear_session()
    model = fastnn.Sequential([fastnn.Input((5,)), Block(4, name="block")], name="net")
    assert [variable.path for variable in model.weights] == [
        "net/block/dense/kernel",
        "net/block/dense/bias",
        "net/block/dense_1/kernel",
        "net/block/batch_normalization/gamma",
        "net/block/batch_normalization/beta",
        "net/block/batch_normalization/moving_mean",
        "net/block/batch_normalization/moving_variance",
    ]
    assert [variable.shape for variable in model.weights[:3]] == [(4, 5), (5,), (5, 4)]
    assert len(Stack()(fastnn.Input((3,))).node.layer.weights) == 2  # the last layer's own
    stack = Stack()
    stack(data(2, 3))
    assert len(stack.weights) == 6


def test_trains_like_the_plain_stack():
    x, y = data(100, 5), data(100, 2, seed=1)

    def train(wrap):
        fastnn.utils.set_random_seed(3)
        stack = [Stack()] if wrap else [
            layers.Dense(6, activation="silu"), layers.Dense(6, activation="silu"), layers.Dense(2)
        ]  # fmt: skip
        model = fastnn.Sequential([fastnn.Input((5,)), *stack])
        random = np.random.default_rng(0)
        model.set_weights([random.normal(size=v.shape) * 0.3 for v in model.weights])
        model.compile(fastnn.optimizers.Adam(0.01), "mse")
        history = model.fit(x, y, epochs=3, verbose=0).history
        return history["loss"], model.get_weights()

    (losses, weights), (plain_losses, plain_weights) = train(True), train(False)
    assert losses == plain_losses
    for ours, plain in zip(weights, plain_weights, strict=True):
        np.testing.assert_array_equal(ours, plain)


def test_build_by_hand_is_done_once():
    block = Block(4)
    block.build((None, 5))
    assert block.built
    parts = block._sublayers[:]
    block(data(2, 5))
    block.build((None, 5))
    assert block._sublayers == parts
    dense = layers.Dense(3)
    dense.build((None, 5))
    kernel = dense.kernel
    dense(data(2, 5))
    assert dense.kernel is kernel
    assert len(dense.weights) == 2


class Base(layers.Layer):
    def build(self, input_shape):
        self.dense = layers.Dense(3)

    def call(self, inputs):
        return self.dense(inputs)


class Derived(Base):
    def build(self, input_shape):
        super().build(input_shape)
        self.more = layers.Dense(2)

    def call(self, inputs, power=1):
        outputs = self.more(super().call(inputs))
        return activations.tanh(outputs) if power == 2 else outputs


def test_inheritance_and_arguments_of_call():
    layer = Derived()
    x = data(4, 5)
    assert layer(x).shape == (4, 2)
    assert len(layer.weights) == 4
    np.testing.assert_allclose(layer(x, power=2), np.tanh(layer(x)), rtol=1e-6)


def test_own_weights_have_names_and_flags():
    class Own(layers.Layer):
        def __init__(self):
            super().__init__(name="own")
            self.scale = self.add_weight((3,), "ones", name="scale")
            self.steps = self.add_weight(name="steps", initializer="zeros", trainable=False)

        def call(self, inputs):
            return inputs

    own = Own()
    assert [(v.path, v.shape, v.trainable) for v in own.weights] == [
        ("own/scale", (3,), True),
        ("own/steps", (), False),
    ]
    assert own.trainable_weights == [own.scale]
    assert own.non_trainable_weights == [own.steps]
    x = data(2, 4)
    np.testing.assert_array_equal(own(x), x)


class WithoutCall(layers.Layer):
    pass


class ForgotSuper(layers.Layer):
    def __init__(self):
        self.dense = layers.Dense(3)


class ForgotSuperToo(layers.Layer):
    def __init__(self):
        self.width = 3


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (WithoutCall, NotImplementedError, "WithoutCall must implement call"),
        (ForgotSuper, RuntimeError, r"ForgotSuper.__init__ must call super\(\).__init__\(\)"),
        (ForgotSuperToo, RuntimeError, r"ForgotSuperToo.__init__ must call super\(\).__init__\(\)"),
    ],
)
def test_mistakes_are_explained(make, error, message):
    with pytest.raises(error, match=message):
        make()(data(2, 3))


def test_a_forgotten_constructor_of_the_base_class_is_named():
    """Wherever the object is first used; other attributes that are not there keep their messages."""

    class Model(fastnn.Model):
        def __init__(self):
            self.width = 3

    class Loss(fastnn.losses.Loss):
        def __init__(self):
            self.width = 3

    class Metric(fastnn.metrics.Metric):
        def __init__(self):
            self.total = self.add_weight()

    class Optimizer(fastnn.optimizers.Optimizer):
        def __init__(self):
            self.width = 3

    class Momentum(fastnn.optimizers.SGD):
        def __init__(self):
            self.momentum = 0.9  # a setting of its base class

    model = fastnn.Sequential([fastnn.Input((3,)), layers.Dense(1)])
    for name, use in {
        "Model": lambda: Model().compile("sgd", "mse"),
        "ForgotSuperToo": lambda: fastnn.Sequential([fastnn.Input((3,)), ForgotSuperToo()]),
        "Loss": lambda: model.compile("sgd", Loss()),
        "Metric": lambda: model.compile("sgd", "mse", metrics=[Metric()]),
        "Optimizer": lambda: [model.compile(Optimizer(), "mse"), model.fit(data(4, 3), data(4, 1), verbose=0)],
        "Momentum": lambda: model.compile(Momentum(), "mse"),
    }.items():
        with pytest.raises(RuntimeError, match=rf"{name}.__init__ must call super\(\).__init__\(\)"):
            use()
    for each in (Model(), ForgotSuperToo(), Loss(), Optimizer()):  # what a debugger shows
        assert repr(each) == f"<{type(each).__name__}, whose __init__ has not called super().__init__()>"
    assert repr(layers.Dense(1, name="d")) == "<Dense name=d, built=False>"
    with pytest.raises(AttributeError, match="no attribute 'colour'"):
        _ = model.colour
    with pytest.raises(AttributeError, match="not been called|never been called|symbolic"):
        _ = layers.Dense(3).input
    assert not hasattr(Loss(), "__deepcopy__")


def test_a_call_that_returns_numbers_is_refused():
    class Numbers(layers.Layer):
        def call(self, inputs):
            return np.zeros(3)

    with pytest.raises(TypeError, match="Numbers.call of layer 'numbers.*symbolic.*ndarray"):
        Numbers()(data(2, 3))


def test_a_frozen_block_keeps_what_it_builds_later():
    x, y = data(50, 5), data(50, 5, seed=1)
    block = Block(4, trainable=False)
    head = layers.Dense(5)
    model = fastnn.Sequential([fastnn.Input((5,)), block, head])
    assert model.trainable_weights == head.weights
    model.compile("sgd", "mse")
    # Its batch normalisation is itself trainable and goes on counting, as in Keras.
    before = [block.up.get_weights(), block.down.get_weights()]
    model.fit(x, y, verbose=0)
    np.testing.assert_array_equal(before[0][0], block.up.get_weights()[0])
    np.testing.assert_array_equal(before[1][0], block.down.get_weights()[0])
